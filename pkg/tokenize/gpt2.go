package tokenize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// asGPT2 cuts a text as GPT-2's regular expression does, which is
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ and in so many files that it is written
// out here, which is several times as fast.
func asGPT2(text string) ([]match, error) {
	all := make([]match, 0, len(text)/4+1)
	for at := 0; at < len(text); {
		n := wordOfGPT2(text[at:])
		all = append(all, match{at, at + n, true})
		at += n
	}
	return all, nil
}

// wordOfGPT2 returns how long the first word of a text is.
func wordOfGPT2(text string) int {
	for _, ending := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(text, ending) {
			return len(ending)
		}
	}
	rest := strings.TrimPrefix(text, " ")
	for _, is := range [...]func(rune) bool{unicode.IsLetter, unicode.IsNumber, isSign} {
		if n := run(rest, is); n > 0 {
			return len(text) - len(rest) + n
		}
	}
	// Spaces: the last one of several belongs to the word that follows.
	n := run(text, unicode.IsSpace)
	if n == len(text) {
		return n
	}
	if _, last := utf8.DecodeLastRuneInString(text[:n]); last < n {
		return n - last
	}
	return n
}

// run returns how many bytes in front are characters of a kind.
func run(text string, is func(rune) bool) int {
	if n := strings.IndexFunc(text, func(r rune) bool { return !is(r) }); n >= 0 {
		return n
	}
	return len(text)
}

func isSign(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r) }
