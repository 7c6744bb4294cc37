package tokenize

import "slices"

// Encoding is a text as tokens: as many elements in each field as there are tokens.
type Encoding struct {
	IDs     []int64  // the tokens' numbers
	TypeIDs []int64  // which text a token is of, as the model counts them
	Mask    []int64  // 1, or 0 for a token that only fills up
	Special []bool   // the token was put in, to mark an end or to fill up: it is not of the text
	Tokens  []string // as the vocabulary has them
	Offsets [][2]int // the bytes of the original text, from and up to; 0, 0 for a special token
}

// Len returns how many tokens there are.
func (e *Encoding) Len() int { return len(e.IDs) }

func (e *Encoding) add(id, typeID int64, text string, at span) {
	e.IDs = append(e.IDs, id)
	e.TypeIDs = append(e.TypeIDs, typeID)
	e.Mask = append(e.Mask, 1)
	e.Special = append(e.Special, false)
	e.Tokens = append(e.Tokens, text)
	e.Offsets = append(e.Offsets, [2]int{int(at.from), int(at.to)})
}

// put appends a token that is not of the text.
func (e *Encoding) put(id, typeID, mask int64, text string) {
	e.add(id, typeID, text, span{})
	last := e.Len() - 1
	e.Special[last], e.Mask[last] = true, mask
}

func (e *Encoding) append(other Encoding) {
	e.IDs = append(e.IDs, other.IDs...)
	e.TypeIDs = append(e.TypeIDs, other.TypeIDs...)
	e.Mask = append(e.Mask, other.Mask...)
	e.Special = append(e.Special, other.Special...)
	e.Tokens = append(e.Tokens, other.Tokens...)
	e.Offsets = append(e.Offsets, other.Offsets...)
}

// keep drops all tokens but those from i to j.
func (e *Encoding) keep(i, j int) {
	e.IDs, e.TypeIDs, e.Mask = e.IDs[i:j], e.TypeIDs[i:j], e.Mask[i:j]
	e.Special, e.Tokens, e.Offsets = e.Special[i:j], e.Tokens[i:j], e.Offsets[i:j]
}

// ofType says that all tokens are of one type.
func (e *Encoding) ofType(id int64) {
	e.TypeIDs = slices.Repeat([]int64{id}, e.Len())
}
