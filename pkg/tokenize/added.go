package tokenize

import (
	"fmt"
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// added is a token that is found in the text before the model sees it.
type added struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not inside of a word
	LStrip     bool   `json:"lstrip"`      // with the spaces in front of it
	RStrip     bool   `json:"rstrip"`      // with the spaces behind it
	Normalized bool   `json:"normalized"`  // looked for in the normalised text
}

// finder finds added tokens in a text.
type finder struct {
	contents *prefixes
	tokens   map[int32]added
}

// newFinders returns the finder for the text as it is and the one for the normalised text; nil for one without tokens.
// The model's number for a text wins over the one that an added token has.
func newFinders(all []added, vocab map[string]int32, normalise normaliser) (raw, normal *finder, err error) {
	texts := [2]map[string]int32{{}, {}}
	tokens := map[int32]added{}
	for _, t := range all {
		if id, ok := vocab[t.Content]; ok {
			t.ID = int64(id)
		}
		if t.ID < 0 || t.ID > math.MaxInt32 {
			return nil, nil, fmt.Errorf("%w: added token %q has id %d", fault.Invalid, t.Content, t.ID)
		}
		which, text := 0, t.Content
		if t.Normalized {
			which = 1
			a, err := normalise(newAligned(text))
			if err != nil {
				return nil, nil, fmt.Errorf("added token %q: %w", t.Content, err)
			}
			text = a.text
		}
		texts[which][text] = int32(t.ID)
		tokens[int32(t.ID)] = t
	}
	finders := [2]*finder{}
	for i, contents := range texts {
		if len(contents) > 0 {
			finders[i] = &finder{newPrefixes(contents), tokens}
		}
	}
	return finders[0], finders[1], nil
}

// part is some of a text: an added token, or what the model is still to cut.
type part struct {
	aligned
	id    int32
	added bool
}

// parts cuts a text at the added tokens: at each place the longest that is there.
func (f *finder) parts(a aligned) []part {
	if a.text == "" {
		return nil
	}
	if f == nil {
		return []part{{aligned: a.slice(0, len(a.text))}}
	}
	var all []part
	done := 0 // everything in front of this is in a part
	for at := 0; at < len(a.text); {
		n, id := f.contents.longest(a.text[at:])
		if n == 0 {
			at++
			continue
		}
		from, to, ok := f.place(a.text, at, at+n, f.tokens[id])
		at += n
		if !ok {
			continue
		}
		if from = max(from, done); from > done {
			all = append(all, part{aligned: a.slice(done, from)})
		}
		if from < to {
			all = append(all, part{a.slice(from, to), id, true})
		}
		done, at = to, max(at, to)
	}
	if done < len(a.text) {
		all = append(all, part{aligned: a.slice(done, len(a.text))})
	}
	return all
}

// place returns where the token is with the spaces that belong to it, and whether it may be there.
func (f *finder) place(text string, from, to int, t added) (int, int, bool) {
	if t.SingleWord {
		before, _ := utf8.DecodeLastRuneInString(text[:from])
		after, _ := utf8.DecodeRuneInString(text[to:])
		if from > 0 && isWord(before) || to < len(text) && isWord(after) {
			return from, to, false
		}
	}
	if t.LStrip {
		from = len(trimRight(text[:from]))
	}
	if t.RStrip {
		to += run(text[to:], unicode.IsSpace)
	}
	return from, to, true
}
