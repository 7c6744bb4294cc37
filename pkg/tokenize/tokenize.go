// Package tokenize cuts texts into the tokens that a network was trained on, as a tokenizer.json says: the file that
// Hugging Face's tokenizers write. The tokens are those of that library, but for characters that Unicode knows since its
// tables were made; what it knows and this package does not is refused when the file is read, by name. A file is trusted
// as its network is: a regular expression in it may be slow on some texts.
package tokenize

import (
	"encoding/json"
	"fmt"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Tokenizer is a tokenizer.json. It is immutable and safe for concurrent use.
type Tokenizer struct {
	raw, normal *finder // of added tokens, in the text as it is and in the normalised one
	normalise   normaliser
	cut         splitter
	model       model
	vocab       map[string]int32
	added       map[string]int64
	post        processor
	truncation  *truncation
	filler      padding
	fills       bool // each text is filled up
}

// MaxBytes is how long a text may be.
const MaxBytes = 64 << 20

// file is a tokenizer.json.
type file struct {
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []added         `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Model         json.RawMessage `json:"model"`
}

// Parse reads a tokenizer.json. It returns [fault.Invalid] for what is none, and [fault.Unsupported], naming it, for one
// with a component that is not known here.
func Parse(data []byte) (*Tokenizer, error) {
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func parse(data []byte) (*Tokenizer, error) {
	var f file
	if err := read("file", data, &f); err != nil {
		return nil, err
	}
	t := &Tokenizer{
		normalise: func(a aligned) (aligned, error) { return a, nil },
		cut:       func(a aligned) ([]aligned, error) { return []aligned{a}, nil },
		post:      processor{added: func(bool) int { return 0 }, process: func(seqs []sequence) []sequence { return seqs }},
		added:     make(map[string]int64, len(f.AddedTokens)),
	}
	var err error
	if t.model, err = newModel(f.Model); err != nil {
		return nil, err
	}
	t.vocab = t.model.vocabulary()
	if err := t.components(f); err != nil {
		return nil, err
	}
	for _, a := range f.AddedTokens {
		t.added[a.Content] = a.ID
	}
	if !t.fills {
		t.filler = t.usualPadding()
	}
	t.raw, t.normal, err = newFinders(f.AddedTokens, t.vocab, t.normalise)
	return t, err
}

// components builds what a file may lack.
func (t *Tokenizer) components(f file) (err error) {
	if !absent(f.Normalizer) {
		if t.normalise, err = buildNormaliser(f.Normalizer, 0); err != nil {
			return err
		}
	}
	if !absent(f.PreTokenizer) {
		if t.cut, err = buildSplitter(f.PreTokenizer, 0); err != nil {
			return err
		}
	}
	if !absent(f.PostProcessor) {
		if t.post, err = buildProcessor(f.PostProcessor, 0); err != nil {
			return err
		}
	}
	if !absent(f.Truncation) {
		if t.truncation, err = newTruncation(f.Truncation); err != nil {
			return fmt.Errorf("truncation: %w", err)
		}
	}
	if !absent(f.Padding) {
		if t.filler, err = newPadding(f.Padding); err != nil {
			return fmt.Errorf("padding: %w", err)
		}
		t.fills = true
	}
	return nil
}

// newModel builds the model. Old files do not say of which type theirs is.
func newModel(raw json.RawMessage) (model, error) {
	if absent(raw) {
		return nil, fmt.Errorf("%w: it has no model", fault.Invalid)
	}
	table := map[string]maker[model]{"WordPiece": newWordPiece, "WordLevel": newWordLevel, "BPE": newBPE, "Unigram": newUnigram}
	var head struct {
		Type   string          `json:"type"`
		Merges json.RawMessage `json:"merges"`
		Prefix json.RawMessage `json:"continuing_subword_prefix"`
		UnkID  json.RawMessage `json:"unk_id"`
	}
	if err := read("model", raw, &head); err != nil {
		return nil, err
	}
	switch {
	case head.Type != "":
		return build("model", table, raw, 0)
	case !absent(head.Merges):
		return newBPE(raw, 0)
	case !absent(head.UnkID):
		return newUnigram(raw, 0)
	case !absent(head.Prefix):
		return newWordPiece(raw, 0)
	}
	return nil, fmt.Errorf("%w: the model has no type", fault.Invalid)
}

// Length changes what a file says of how long an encoding is.
type Length struct {
	Max int // at most so many tokens, the special ones included; 0: as the file says
	Pad int // filled up to so many; 0: as the file says; negative: not filled up
}

// Sized returns a tokenizer whose encodings have another length.
func (t *Tokenizer) Sized(l Length) *Tokenizer {
	sized := *t
	if l.Max > 0 {
		sized.truncation = &truncation{most: l.Max, strategy: longestFirst}
		if t.truncation != nil {
			sized.truncation.left = t.truncation.left
		}
	}
	if l.Pad != 0 {
		filler := t.filler
		filler.size, filler.multiple = max(0, l.Pad), 0
		sized.filler, sized.fills = filler, l.Pad > 0
	}
	return &sized
}

// Fill fills an encoding up to so many tokens, on the side and with the token that the file says. A longer one stays as it
// is.
func (t *Tokenizer) Fill(e Encoding, size int) Encoding { return t.filler.fillTo(size, e) }

// MaxLength returns how many tokens an encoding has at most; 0: as many as the text has.
func (t *Tokenizer) MaxLength() int {
	if t.truncation == nil {
		return 0
	}
	return t.truncation.most
}

// ID returns the number of a token.
func (t *Tokenizer) ID(token string) (int64, bool) {
	if id, ok := t.vocab[token]; ok {
		return int64(id), true
	}
	id, ok := t.added[token]
	return id, ok
}

// Pad returns the token that fills up: the one that the file says, else the one of the usual name; 0 and "" where there is
// none.
func (t *Tokenizer) Pad() (id int64, token string) { return t.filler.id, t.filler.token }

// usualPadding is how a text is filled up where the file does not say.
func (t *Tokenizer) usualPadding() padding {
	for _, name := range []string{"[PAD]", "<pad>", "<|pad|>", "<PAD>"} {
		if id, ok := t.ID(name); ok {
			return padding{id: id, token: name}
		}
	}
	return padding{}
}

// Encode returns a text as tokens, the special ones included. A byte that is not UTF-8 counts as U+FFFD. It returns
// [fault.TooLarge] for a text of more than [MaxBytes], and [fault.Invalid] for one that has no tokens for want of an
// unknown one, or that may not be cut as it would have to.
func (t *Tokenizer) Encode(text string) (Encoding, error) { return t.encode(text) }

// EncodePair returns two texts as the tokens of one encoding, as [Tokenizer.Encode] does for one.
func (t *Tokenizer) EncodePair(a, b string) (Encoding, error) { return t.encode(a, b) }

func (t *Tokenizer) encode(texts ...string) (Encoding, error) {
	seqs := make([]sequence, len(texts))
	for i, text := range texts {
		var err error
		if seqs[i], err = t.sequence(text, int64(i)); err != nil {
			return Encoding{}, fmt.Errorf("tokenize: %w", err)
		}
	}
	if t.truncation != nil {
		most := max(0, t.truncation.most-t.post.added(len(texts) > 1))
		if err := t.truncation.cut(seqs, most); err != nil {
			return Encoding{}, fmt.Errorf("tokenize: %w", err)
		}
	}
	var whole Encoding
	for _, s := range t.post.process(seqs) {
		whole.append(s.Encoding)
	}
	if t.fills {
		whole = t.filler.fill(whole)
	}
	return whole, nil
}

// sequence returns one text as tokens, without special ones.
func (t *Tokenizer) sequence(text string, typeID int64) (sequence, error) {
	if len(text) > MaxBytes {
		return sequence{}, fmt.Errorf("%w: the text has %d bytes, at most %d are taken", fault.TooLarge, len(text), MaxBytes)
	}
	s := sequence{original: text}
	if text == "" {
		return s, nil
	}
	for _, p := range t.raw.parts(newAligned(text)) {
		if err := t.addNormal(&s, p, typeID); err != nil {
			return s, err
		}
	}
	return s, nil
}

// addNormal adds the tokens of a part of the text as it is.
func (t *Tokenizer) addNormal(s *sequence, p part, typeID int64) error {
	if p.added {
		s.add(int64(p.id), typeID, p.text, p.original(0, len(p.text)))
		return nil
	}
	normal, err := t.normalise(p.aligned)
	if err != nil {
		return err
	}
	for _, p := range t.normal.parts(normal) {
		if p.added {
			s.add(int64(p.id), typeID, p.text, p.original(0, len(p.text)))
			continue
		}
		if err := t.addWords(s, p.aligned, typeID); err != nil {
			return err
		}
	}
	return nil
}

// addWords adds the tokens of a normalised part of the text.
func (t *Tokenizer) addWords(s *sequence, a aligned, typeID int64) error {
	words, err := t.cut(a)
	if err != nil {
		return err
	}
	for _, word := range words {
		if word.text == "" {
			continue
		}
		tokens, err := t.model.tokens(word.text)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			s.add(int64(token.id), typeID, token.text, word.original(token.from, token.to))
		}
	}
	return nil
}
