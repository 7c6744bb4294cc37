package tokenize

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// bpe joins the two neighbours that were joined first in training, over and over, beginning with single characters.
type bpe struct {
	vocab    map[string]int32
	texts    map[int32]string
	merges   map[uint64]joined // by the numbers of both
	unknown  int32             // negative: unknown characters vanish
	fuse     bool              // unknown characters in a row are one token
	bytes    bool              // unknown characters become tokens of their bytes, where there are such
	whole    bool              // a word that is a token is not taken apart
	prefix   string            // of tokens that do not begin a word
	suffix   string            // of tokens that end one
	byteText [256]string
}

// joined is what two tokens become, and how early that was learnt.
type joined struct{ rank, id int32 }

type bpeFile struct {
	Dropout      float64           `json:"dropout"`
	Unknown      *string           `json:"unk_token"`
	Prefix       string            `json:"continuing_subword_prefix"`
	Suffix       string            `json:"end_of_word_suffix"`
	FuseUnknown  bool              `json:"fuse_unk"`
	ByteFallback bool              `json:"byte_fallback"`
	IgnoreMerges bool              `json:"ignore_merges"`
	Vocab        map[string]int64  `json:"vocab"`
	Merges       []json.RawMessage `json:"merges"`
}

func newBPE(raw json.RawMessage, _ int) (model, error) {
	var file bpeFile
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	if file.Dropout != 0 {
		return nil, fmt.Errorf("%w: dropout %v: the same text would have different tokens each time; set it to null", fault.Unsupported, file.Dropout)
	}
	vocab, err := checkIDs(file.Vocab)
	if err != nil {
		return nil, err
	}
	m := &bpe{
		vocab: vocab, texts: make(map[int32]string, len(vocab)), merges: make(map[uint64]joined, len(file.Merges)), unknown: -1,
		fuse: file.FuseUnknown, bytes: file.ByteFallback, whole: file.IgnoreMerges, prefix: file.Prefix, suffix: file.Suffix,
		byteText: byteTexts(),
	}
	for text, id := range vocab {
		m.texts[id] = text
	}
	if file.Unknown != nil && *file.Unknown != "" {
		id, ok := vocab[*file.Unknown]
		if !ok {
			return nil, fmt.Errorf("%w: unk_token %q is not in the vocabulary", fault.Invalid, *file.Unknown)
		}
		m.unknown = id
	}
	for rank, raw := range file.Merges {
		if err := m.learn(int32(rank), raw); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// learn reads one merge: a list of two tokens, or both with a space between them.
func (m *bpe) learn(rank int32, raw json.RawMessage) error {
	var both []string
	if err := json.Unmarshal(raw, &both); err != nil {
		var line string
		if err := read("merges", raw, &line); err != nil {
			return err
		}
		both = strings.Split(line, " ")
	}
	if len(both) != 2 {
		return fmt.Errorf("%w: merge %d is %s, want two tokens", fault.Invalid, rank, short(string(raw)))
	}
	whole := both[0] + strings.TrimPrefix(both[1], m.prefix)
	left, okLeft := m.vocab[both[0]]
	right, okRight := m.vocab[both[1]]
	id, ok := m.vocab[whole]
	if !ok || !okLeft || !okRight {
		return fmt.Errorf("%w: merge %d of %q and %q to %q: one of them is not in the vocabulary", fault.Invalid, rank, both[0], both[1], whole)
	}
	m.merges[pairOf(left, right)] = joined{rank, id}
	return nil
}

func pairOf(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

func (m *bpe) vocabulary() map[string]int32 { return m.vocab }

// symbol is a token of a word that may yet be joined with a neighbour. Their places do not change; size 0: it has been
// joined to one in front of it.
type symbol struct {
	id         int32
	size       int
	prev, next int
}

func (m *bpe) tokens(word string) ([]token, error) {
	if m.whole {
		if id, ok := m.vocab[word]; ok {
			return []token{{id, word, 0, len(word)}}, nil
		}
	}
	symbols := m.symbols(word)
	m.join(symbols)
	var all []token
	at := 0
	for _, s := range symbols {
		if s.size == 0 {
			continue
		}
		if s.id >= 0 {
			all = append(all, token{s.id, m.texts[s.id], at, at + s.size})
		}
		at += s.size
	}
	return all, nil
}

// vanished is the number of a character that has no token.
const vanished = -1

// symbols returns a word's characters.
func (m *bpe) symbols(word string) []symbol {
	all := make([]symbol, 0, len(word))
	add := func(id int32, size int) {
		all = append(all, symbol{id: id, size: size, prev: len(all) - 1, next: len(all) + 1})
	}
	unknown := false // the last one is
	for i, r := range word {
		size := utf8.RuneLen(r)
		text := word[i : i+size]
		if i > 0 {
			text = m.prefix + text
		}
		if i+size == len(word) {
			text += m.suffix
		}
		if id, ok := m.vocab[text]; ok {
			add(id, size)
			unknown = false
			continue
		}
		if m.bytes && m.addBytes(word[i:i+size], add) {
			unknown = false
			continue
		}
		if unknown && m.fuse {
			all[len(all)-1].size += size
			continue
		}
		add(max(m.unknown, vanished), size)
		unknown = true
	}
	if len(all) > 0 {
		all[len(all)-1].next = -1
	}
	return all
}

// addBytes adds a character's bytes, if there is a token for each.
func (m *bpe) addBytes(character string, add func(id int32, size int)) bool {
	for _, b := range []byte(character) {
		if _, ok := m.vocab[m.byteText[b]]; !ok {
			return false
		}
	}
	for _, b := range []byte(character) {
		add(m.vocab[m.byteText[b]], 1)
	}
	return true
}

// byteTexts is how tokens of single bytes are written.
func byteTexts() [256]string {
	var texts [256]string
	for b := range texts {
		texts[b] = fmt.Sprintf("<0x%02X>", b)
	}
	return texts
}

// join joins neighbours in the order in which it was learnt, from left to right.
func (m *bpe) join(symbols []symbol) {
	var q queue
	offer := func(left, right int) {
		if left < 0 || right < 0 {
			return
		}
		if j, ok := m.merges[pairOf(symbols[left].id, symbols[right].id)]; ok {
			q.push(candidate{joined: j, at: left})
		}
	}
	for i := 1; i < len(symbols); i++ {
		offer(i-1, i)
	}
	for len(q) > 0 {
		c := q.pop()
		left := &symbols[c.at]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &symbols[left.next]
		if j, ok := m.merges[pairOf(left.id, right.id)]; !ok || j.id != c.id {
			continue // one of them has been joined with another neighbour since
		}
		left.id, left.size, left.next = c.id, left.size+right.size, right.next
		right.size = 0
		if left.next >= 0 {
			symbols[left.next].prev = c.at
		}
		offer(left.prev, c.at)
		offer(c.at, left.next)
	}
}

// candidate is a place where two neighbours may be joined.
type candidate struct {
	joined
	at int
}

func (c candidate) before(other candidate) bool {
	return c.rank < other.rank || c.rank == other.rank && c.at < other.at
}

// queue is a heap of candidates, the earliest learnt first.
type queue []candidate

func (q *queue) push(c candidate) {
	h := append(*q, c)
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
	*q = h
}

func (q *queue) pop() candidate {
	h := *q
	first := h[0]
	h[0] = h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[i]) {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*q = h
	return first
}
