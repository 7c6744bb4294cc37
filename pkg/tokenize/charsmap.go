package tokenize

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"

	"github.com/tsgo/tsgo/pkg/fault"
)

// charsmap is sentencepiece's compiled table of replacements: a double array of the texts to be replaced, whose leaves
// say where the replacement begins among texts that end with a zero.
type charsmap struct {
	units []uint32
	texts string
}

func charsmapNormaliser(raw json.RawMessage, _ int) (normaliser, error) {
	var file struct {
		Charsmap []byte `json:"precompiled_charsmap"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	c, err := newCharsmap(file.Charsmap)
	if err != nil {
		return nil, err
	}
	return func(a aligned) (aligned, error) { return c.normalise(a), nil }, nil
}

func newCharsmap(data []byte) (charsmap, error) {
	const word = 4
	if len(data) < word {
		return charsmap{}, fmt.Errorf("%w: precompiled_charsmap: %d bytes, want a table", fault.Invalid, len(data))
	}
	size := int64(binary.LittleEndian.Uint32(data))
	if data = data[word:]; size > int64(len(data)) || size%word != 0 {
		return charsmap{}, fmt.Errorf("%w: precompiled_charsmap: its array is said to have %d bytes, %d follow", fault.Invalid, size, len(data))
	}
	c := charsmap{units: make([]uint32, size/word), texts: string(data[size:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(data[i*word:])
	}
	if !utf8.ValidString(c.texts) {
		return charsmap{}, fmt.Errorf("%w: precompiled_charsmap: its replacements are not UTF-8", fault.Invalid)
	}
	return c, nil
}

// What a unit of the array says.
const (
	unitLeaf   = 1 << 8       // a leaf follows
	unitFar    = 1 << 9       // the offset counts in steps of 256
	unitLabel  = 1<<31 | 0xFF // the byte it is for
	unitValue  = 1<<31 - 1    // of a leaf
	unitOffset = 10           // its bits begin here
	farSteps   = 8            // 256 in bits
	longest    = 6            // characters of several code points are looked up whole below so many bytes
	endOfText  = "\x00"       // behind each replacement
	noUnit     = ^uint32(0)   // no unit has this place: there are at most 2^30
)

func offset(unit uint32) uint32 {
	if unit&unitFar != 0 {
		return unit >> unitOffset << farSteps
	}
	return unit >> unitOffset
}

// find returns the replacement of the shortest beginning of text that has one.
func (c charsmap) find(text string) (string, bool) {
	if len(c.units) == 0 {
		return "", false
	}
	at := offset(c.units[0])
	for _, b := range []byte(text) {
		at ^= uint32(b)
		if b == 0 || uint64(at) >= uint64(len(c.units)) || c.units[at]&unitLabel != uint32(b) {
			return "", false
		}
		unit := c.units[at]
		at ^= offset(unit)
		if unit&unitLeaf != 0 && uint64(at) < uint64(len(c.units)) {
			from := c.units[at] & unitValue
			if uint64(from) >= uint64(len(c.texts)) {
				return "", false
			}
			found, _, _ := strings.Cut(c.texts[from:], endOfText)
			return found, utf8.ValidString(found)
		}
	}
	return "", false
}

// normalise replaces characters as a reader sees them where the table has them, else their code points.
func (c charsmap) normalise(a aligned) aligned {
	changes := make([]change, 0, len(a.text))
	modified := false
	replace := func(old string) bool {
		with, ok := c.find(old)
		if ok {
			modified = true
			changes = replaced(changes, old, with)
		}
		return ok
	}
	for seen := graphemes.FromString(a.text); seen.Next(); {
		whole := seen.Value()
		if len(whole) < longest && replace(whole) {
			continue
		}
		for i, r := range whole {
			if !replace(whole[i : i+utf8.RuneLen(r)]) {
				changes = append(changes, change{r, 0})
			}
		}
	}
	if !modified {
		return a
	}
	return a.transform(changes)
}

// replaced appends the changes that put with in the place of old.
func replaced(changes []change, old, with string) []change {
	before, after := utf8.RuneCountInString(old), utf8.RuneCountInString(with)
	i := 0
	for _, r := range with {
		delta := 0
		if i++; i > before {
			delta = 1
		}
		changes = append(changes, change{r, delta})
	}
	if after < before && len(changes) > 0 {
		changes[len(changes)-1].delta -= before - after
	}
	return changes
}
