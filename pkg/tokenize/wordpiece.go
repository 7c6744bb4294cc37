package tokenize

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// wordPiece takes the longest token that fits, from left to right. A word that cannot be cut so is unknown as a whole.
type wordPiece struct {
	vocab   map[string]int32
	unknown token
	prefix  string // of tokens that do not begin a word
	most    int    // characters of a word
	longest int    // bytes of a token
}

func newWordPiece(raw json.RawMessage, _ int) (model, error) {
	file := struct {
		Vocab   map[string]int64 `json:"vocab"`
		Unknown string           `json:"unk_token"`
		Prefix  string           `json:"continuing_subword_prefix"`
		Most    int              `json:"max_input_chars_per_word"`
	}{Unknown: "[UNK]", Prefix: "##", Most: 100}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	vocab, err := checkIDs(file.Vocab)
	if err != nil {
		return nil, err
	}
	id, ok := vocab[file.Unknown]
	if !ok {
		return nil, fmt.Errorf("%w: unk_token %q is not in the vocabulary", fault.Invalid, file.Unknown)
	}
	m := &wordPiece{vocab: vocab, unknown: token{id: id, text: file.Unknown}, prefix: file.Prefix, most: file.Most}
	for text := range vocab {
		m.longest = max(m.longest, len(text))
	}
	return m, nil
}

func (m *wordPiece) vocabulary() map[string]int32 { return m.vocab }

func (m *wordPiece) tokens(word string) ([]token, error) {
	if utf8.RuneCountInString(word) > m.most {
		return m.whole(word), nil
	}
	var all []token
	for from := 0; from < len(word); {
		t, ok := m.next(word, from)
		if !ok {
			return m.whole(word), nil
		}
		all = append(all, t)
		from = t.to
	}
	return all, nil
}

// whole returns a word as unknown.
func (m *wordPiece) whole(word string) []token {
	t := m.unknown
	t.to = len(word)
	return []token{t}
}

// next returns the longest token at a place in a word.
func (m *wordPiece) next(word string, from int) (token, bool) {
	prefix := ""
	if from > 0 {
		prefix = m.prefix
	}
	to := min(len(word), from+max(0, m.longest-len(prefix)))
	for to < len(word) && !utf8.RuneStart(word[to]) {
		to--
	}
	for to > from {
		text := prefix + word[from:to]
		if id, ok := m.vocab[text]; ok {
			return token{id, text, from, to}, true
		}
		_, size := utf8.DecodeLastRuneInString(word[from:to])
		to -= size
	}
	return token{}, false
}

// wordLevel has a token for each word that it knows.
type wordLevel struct {
	vocab   map[string]int32
	unknown string
}

func newWordLevel(raw json.RawMessage, _ int) (model, error) {
	var file struct {
		Vocab   map[string]int64 `json:"vocab"`
		Unknown string           `json:"unk_token"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	vocab, err := checkIDs(file.Vocab)
	return &wordLevel{vocab: vocab, unknown: file.Unknown}, err
}

func (m *wordLevel) vocabulary() map[string]int32 { return m.vocab }

func (m *wordLevel) tokens(word string) ([]token, error) {
	if id, ok := m.vocab[word]; ok {
		return []token{{id, word, 0, len(word)}}, nil
	}
	if id, ok := m.vocab[m.unknown]; ok {
		return []token{{id, m.unknown, 0, len(word)}}, nil
	}
	return nil, fmt.Errorf("%w: the word %q is not in the vocabulary, and the tokenizer has no token for unknown words", fault.Invalid, short(word))
}

// short cuts a foreign text to what a message can hold.
func short(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	for i := range text {
		if i >= most {
			return text[:i] + "..."
		}
	}
	return text
}
