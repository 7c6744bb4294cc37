package tokenize

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// span is a run of bytes of the original text.
type span struct{ from, to int32 }

// aligned is a text on its way to becoming tokens. It knows for each of its bytes which bytes of the original that one
// stands for: those of a whole character, always.
type aligned struct {
	text string
	at   []span
	from int32 // where it begins in the original
}

// newAligned returns a text as it is. A byte that is not UTF-8 becomes U+FFFD.
func newAligned(text string) aligned {
	var out builder
	out.grow(len(text))
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		out.add(r, span{int32(i), int32(i + size)})
	}
	return out.done(0)
}

// slice returns the bytes from i to j, which are not none.
func (a aligned) slice(i, j int) aligned {
	return aligned{text: a.text[i:j], at: a.at[i:j], from: a.at[i].from}
}

// original returns what the bytes from i to j stand for.
func (a aligned) original(i, j int) span {
	if i >= j {
		return span{a.from, a.from}
	}
	return span{a.at[i].from, a.at[j-1].to}
}

// before returns what a character inserted behind the first i bytes stands for: what the one in front of it does.
func (a aligned) before(i int) span {
	if i == 0 {
		return span{a.from, a.from}
	}
	return a.at[i-1]
}

// rewrite passes each character through edit, which says what takes its place.
func (a aligned) rewrite(edit func(r rune, put func(rune))) aligned {
	var out builder
	out.grow(len(a.text))
	var here span
	put := func(r rune) { out.add(r, here) }
	for i, r := range a.text {
		here = a.at[i]
		edit(r, put)
	}
	return out.done(a.from)
}

// filter returns the characters that are to be kept.
func (a aligned) filter(keep func(rune) bool) aligned {
	if strings.IndexFunc(a.text, func(r rune) bool { return !keep(r) }) < 0 {
		return a
	}
	return a.rewrite(func(r rune, put func(rune)) {
		if keep(r) {
			put(r)
		}
	})
}

// prepend puts prefix in front of a text that is not empty. It stands for what the first character does.
func (a aligned) prepend(prefix string) aligned {
	if a.text == "" {
		return a
	}
	return aligned{text: prefix + a.text, at: append(slices.Repeat(a.at[:1], len(prefix)), a.at...), from: a.from}
}

// replace puts content in the place of each match.
func (a aligned) replace(matches []match, content string) aligned {
	if !slices.ContainsFunc(matches, func(m match) bool { return m.found }) {
		return a
	}
	var text strings.Builder
	text.Grow(len(a.text))
	at := make([]span, 0, len(a.at))
	for _, m := range matches {
		if !m.found {
			text.WriteString(a.text[m.from:m.to])
			at = append(at, a.at[m.from:m.to]...)
			continue
		}
		text.WriteString(content)
		here := a.before(m.to)
		for range len(content) {
			at = append(at, here)
		}
	}
	return aligned{text: text.String(), at: at, from: a.from}
}

// change is a character of a text that replaces another one, and how it came to be: 0, it takes the place of one
// character; 1, it is one more; -n, it takes the place of one and of the n behind that.
type change struct {
	r     rune
	delta int
}

// transform replaces the whole text.
func (a aligned) transform(changes []change) aligned {
	var out builder
	out.grow(len(a.text))
	at := 0
	for _, c := range changes {
		if c.delta > 0 || at >= len(a.text) {
			out.add(c.r, a.before(at))
			continue
		}
		out.add(c.r, a.at[at])
		for range 1 - c.delta {
			_, size := utf8.DecodeRuneInString(a.text[at:])
			at += size
		}
	}
	return out.done(a.from)
}

// builder makes an aligned text.
type builder struct {
	text []byte
	at   []span
}

func (b *builder) grow(n int) {
	b.text, b.at = make([]byte, 0, n), make([]span, 0, n)
}

func (b *builder) add(r rune, here span) {
	n := len(b.text)
	b.text = utf8.AppendRune(b.text, r)
	for range len(b.text) - n {
		b.at = append(b.at, here)
	}
}

func (b *builder) done(from int32) aligned {
	return aligned{text: string(b.text), at: b.at, from: from}
}
