package tokenize

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// unigram takes the tokens whose probabilities have the greatest product.
type unigram struct {
	vocab    map[string]int32
	find     *prefixes
	scores   []float64 // by number
	unknown  int32     // negative: there is none
	penalty  float64   // the score of an unknown character
	bytes    bool      // what is unknown becomes tokens of its bytes, where there are such
	byteText [256]string
}

// unknownPenalty is how much worse an unknown character is than the worst token.
const unknownPenalty = 10

// piece is a token and its score, a list of two in the file.
type piece struct {
	text  string
	score float64
}

func (p *piece) UnmarshalJSON(data []byte) error {
	var both []json.RawMessage
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if len(both) != 2 {
		return fmt.Errorf("a token is %s, want a list of its text and its score", short(string(data)))
	}
	if err := json.Unmarshal(both[0], &p.text); err != nil {
		return err
	}
	return json.Unmarshal(both[1], &p.score)
}

func newUnigram(raw json.RawMessage, _ int) (model, error) {
	var file struct {
		Unknown      *int64  `json:"unk_id"`
		Vocab        []piece `json:"vocab"`
		ByteFallback bool    `json:"byte_fallback"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	m := &unigram{
		vocab: make(map[string]int32, len(file.Vocab)), scores: make([]float64, len(file.Vocab)), unknown: -1,
		penalty: math.Inf(1), bytes: file.ByteFallback, byteText: byteTexts(),
	}
	if file.Unknown != nil {
		if *file.Unknown < 0 || *file.Unknown >= int64(len(file.Vocab)) {
			return nil, fmt.Errorf("%w: unk_id is %d, the vocabulary has %d tokens", fault.Invalid, *file.Unknown, len(file.Vocab))
		}
		m.unknown = int32(*file.Unknown)
	}
	for id, p := range file.Vocab {
		m.vocab[p.text] = int32(id)
		m.scores[id] = p.score
		m.penalty = min(m.penalty, p.score)
	}
	m.penalty -= unknownPenalty
	m.find = newPrefixes(m.vocab)
	return m, nil
}

func (m *unigram) vocabulary() map[string]int32 { return m.vocab }

// step is the best way to a place in a word: its last token and its score.
type step struct {
	score float64
	from  int
	id    int32
}

func (m *unigram) tokens(word string) ([]token, error) {
	steps, err := m.best(word)
	if err != nil {
		return nil, err
	}
	var all []token
	for to := len(word); to > 0; {
		s := steps[to]
		if n := len(all); n > 0 && s.id == m.unknown && all[n-1].id == m.unknown {
			all[n-1].from = s.from
		} else {
			all = append(all, token{id: s.id, from: s.from, to: to})
		}
		to = s.from
	}
	slices.Reverse(all)
	return m.named(word, all)
}

// best returns the best way to each place of a word that begins a character.
func (m *unigram) best(word string) ([]step, error) {
	steps := make([]step, len(word)+1)
	for i := 1; i < len(steps); i++ {
		steps[i].from = -1 // there is no way to it yet
	}
	for from, r := range word {
		size := utf8.RuneLen(r)
		alone := false // the character is a token itself
		reach := func(to int, id int32, score float64) {
			if score += steps[from].score; steps[to].from < 0 || score > steps[to].score {
				steps[to] = step{score, from, id}
			}
		}
		m.find.each(word[from:], func(n int, id int32) {
			reach(from+n, id, m.scores[id])
			alone = alone || n == size
		})
		if alone {
			continue
		}
		if m.unknown < 0 {
			return nil, fmt.Errorf("%w: the character %q is not in the vocabulary, and the tokenizer has no token for unknown ones", fault.Invalid, r)
		}
		reach(from+size, m.unknown, m.penalty)
	}
	return steps, nil
}

// named gives the tokens their texts; what is unknown becomes bytes where there are tokens for them.
func (m *unigram) named(word string, all []token) ([]token, error) {
	named := make([]token, 0, len(all))
	for _, t := range all {
		t.text = word[t.from:t.to]
		id, ok := m.vocab[t.text]
		if ok {
			t.id = id
		}
		if ok || !m.bytes || !m.hasBytes(t.text) {
			named = append(named, t)
			continue
		}
		for _, b := range []byte(t.text) {
			text := m.byteText[b]
			named = append(named, token{m.vocab[text], text, t.from, t.to})
		}
	}
	return named, nil
}

func (m *unigram) hasBytes(text string) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool {
		_, ok := m.vocab[m.byteText[b]]
		return !ok
	})
}
