package tokenize

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// truncation is how long texts are cut.
type truncation struct {
	most     int    // tokens, the special ones included
	strategy string // which of two texts is cut
	left     bool   // the front is cut off, not the end
}

// The strategies of a truncation.
const (
	longestFirst = "LongestFirst"
	onlyFirst    = "OnlyFirst"
	onlySecond   = "OnlySecond"
)

// side reads a direction: whether it is left.
func side(direction string) (bool, error) {
	if direction != "" && direction != "Left" && direction != "Right" {
		return false, fmt.Errorf("%w: direction %q", fault.Unsupported, direction)
	}
	return direction == "Left", nil
}

func newTruncation(raw json.RawMessage) (*truncation, error) {
	var file struct {
		Direction string `json:"direction"`
		MaxLength int    `json:"max_length"`
		Strategy  string `json:"strategy"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	if file.MaxLength < 0 {
		return nil, fmt.Errorf("%w: max_length is %d", fault.Invalid, file.MaxLength)
	}
	strategy := cmp.Or(file.Strategy, longestFirst)
	if !slices.Contains([]string{longestFirst, onlyFirst, onlySecond}, strategy) {
		return nil, fmt.Errorf("%w: strategy %q", fault.Unsupported, strategy)
	}
	left, err := side(file.Direction)
	return &truncation{most: file.MaxLength, strategy: strategy, left: left}, err
}

// cut shortens one or two texts to so many tokens together.
func (t truncation) cut(seqs []sequence, most int) error {
	if len(seqs) == 1 && t.strategy == longestFirst {
		t.shorten(&seqs[0], most)
		return nil
	}
	total := 0
	for _, s := range seqs {
		total += s.Len()
	}
	if total <= most {
		return nil
	}
	if t.strategy == longestFirst {
		first, second := share(seqs[0].Len(), seqs[1].Len(), most)
		t.shorten(&seqs[0], first)
		t.shorten(&seqs[1], second)
		return nil
	}
	which := 0
	if t.strategy == onlySecond {
		which = 1
	}
	if which >= len(seqs) {
		return fmt.Errorf("%w: the text has %d tokens, at most %d fit, and only a second text may be cut", fault.Invalid, total, most)
	}
	rest := seqs[which].Len() - (total - most)
	if rest < 1 {
		return fmt.Errorf("%w: the texts have %d tokens, at most %d fit, and cutting one of them is not enough", fault.Invalid, total, most)
	}
	t.shorten(&seqs[which], rest)
	return nil
}

// share returns how many tokens are left to each of two texts: as many to both where both are too long.
func share(first, second, most int) (int, int) {
	short := min(first, second)
	long := max(short, most-short)
	if short+long > most {
		short = most / 2
		long = short + most%2
	}
	if first > second {
		return long, short
	}
	return short, long
}

func (t truncation) shorten(s *sequence, most int) {
	if n := s.Len(); n > most && t.left {
		s.keep(n-most, n)
	} else if n > most {
		s.keep(0, most)
	}
}

// padding is how short texts are filled up.
type padding struct {
	size     int // tokens; 0: only to the next multiple
	multiple int // fills up to a multiple of this, above 0
	left     bool
	id       int64
	typeID   int64
	token    string
}

func newPadding(raw json.RawMessage) (padding, error) {
	var file struct {
		Strategy  json.RawMessage `json:"strategy"`
		Direction string          `json:"direction"`
		Multiple  int             `json:"pad_to_multiple_of"`
		ID        int64           `json:"pad_id"`
		TypeID    int64           `json:"pad_type_id"`
		Token     string          `json:"pad_token"`
	}
	if err := read("settings", raw, &file); err != nil {
		return padding{}, err
	}
	p := padding{multiple: file.Multiple, id: file.ID, typeID: file.TypeID, token: file.Token}
	var err error
	if p.left, err = side(file.Direction); err != nil {
		return padding{}, err
	}
	var fixed struct {
		Fixed *int `json:"Fixed"`
	}
	if err := json.Unmarshal(file.Strategy, &fixed); err == nil && fixed.Fixed != nil {
		p.size = *fixed.Fixed
	} else if string(file.Strategy) != `"BatchLongest"` {
		return padding{}, fmt.Errorf("%w: strategy %s", fault.Unsupported, short(string(file.Strategy)))
	}
	if p.size < 0 || p.size > maxPadding || p.multiple < 0 || p.multiple > maxPadding {
		return padding{}, fmt.Errorf("%w: padding to %d tokens, or to a multiple of %d: want from 0 to %d", fault.Invalid, p.size, p.multiple, maxPadding)
	}
	return p, nil
}

// maxPadding bounds how many tokens a text is filled up to.
const maxPadding = 1 << 20

// fill fills an encoding up.
func (p padding) fill(e Encoding) Encoding {
	size := max(p.size, e.Len())
	if p.multiple > 0 && size%p.multiple > 0 {
		size += p.multiple - size%p.multiple
	}
	return p.fillTo(size, e)
}

func (p padding) fillTo(size int, e Encoding) Encoding {
	missing := size - e.Len()
	if missing <= 0 {
		return e
	}
	var filler Encoding
	for range missing {
		filler.put(p.id, p.typeID, 0, p.token)
	}
	if p.left {
		filler.append(e)
		return filler
	}
	e.append(filler)
	return e
}
