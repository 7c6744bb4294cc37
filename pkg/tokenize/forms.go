package tokenize

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Unicode's normal forms are made here, of the tables of x/text, and not by x/text: it does not tell which character
// comes from which.

// decomposed returns the normaliser of form NFD or NFKD.
func decomposed(form norm.Form) func(aligned) aligned {
	return func(a aligned) aligned {
		if form.IsNormalString(a.text) {
			return a
		}
		return a.transform(decompose(form, a.text))
	}
}

// composed returns the normaliser of form NFC or NFKC.
func composed(form norm.Form) func(aligned) aligned {
	from := norm.NFD
	if form == norm.NFKC {
		from = norm.NFKD
	}
	return func(a aligned) aligned {
		if form.IsNormalString(a.text) {
			return a
		}
		return a.transform(compose(decompose(from, a.text)))
	}
}

// The syllables of Hangul.
const (
	firstSyllable = 0xAC00
	lastSyllable  = 0xD7A3
)

// decompose takes the characters apart, and puts the marks behind each in their order.
func decompose(form norm.Form, text string) []change {
	out := make([]change, 0, len(text))
	marks := 0 // the last so many characters are marks
	sorted := func() {
		slices.SortStableFunc(out[len(out)-marks:], func(a, b change) int { return cmp.Compare(class(a.r), class(b.r)) })
		marks = 0
	}
	put := func(r rune, delta int) {
		if r < utf8.RuneSelf || class(r) == 0 {
			sorted()
			out = append(out, change{r, delta})
			return
		}
		out = append(out, change{r, delta})
		marks++
	}
	for i, r := range text {
		parts := form.PropertiesString(text[i:]).Decomposition()
		switch {
		case firstSyllable <= r && r <= lastSyllable: // Hangul is decomposed by arithmetic, not by the tables
			parts = norm.NFD.Bytes([]byte(string(r)))
		case len(parts) == 0:
			put(r, 0)
			continue
		}
		for j, part := range string(parts) {
			put(part, min(j, 1))
		}
	}
	sorted()
	return out
}

// class is a character's canonical combining class.
func class(r rune) uint8 {
	var buffer [utf8.UTFMax]byte
	return norm.NFD.Properties(buffer[:utf8.EncodeRune(buffer[:], r)]).CCC()
}

// compose puts the characters of a decomposed text together where Unicode has a character for them.
func compose(in []change) []change {
	out := make([]change, 0, len(in))
	starter, last := -1, -1 // where the last starter is, and the class of what follows it; -1: nothing does
	for _, c := range in {
		here := int(class(c.r))
		if starter >= 0 && last < here {
			if whole, ok := pair(out[starter].r, c.r); ok {
				out[starter] = change{whole, out[starter].delta + c.delta - 1}
				continue
			}
		}
		if here == 0 {
			starter, last = len(out), -1
		} else {
			last = here
		}
		out = append(out, c)
	}
	return out
}

// pair returns the character that two are together.
func pair(a, b rune) (rune, bool) {
	var buffer [2 * utf8.UTFMax]byte
	both := utf8.AppendRune(utf8.AppendRune(buffer[:0], a), b)
	whole := norm.NFC.Bytes(both)
	r, size := utf8.DecodeRune(whole)
	return r, size == len(whole)
}
