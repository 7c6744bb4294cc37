package tokenize

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/dlclark/regexp2/v2"

	"github.com/tsgo/tsgo/pkg/fault"
)

// match is a part of a text that a pattern matches, or a part between two such. Together they are the whole text.
type match struct {
	from, to int
	found    bool
}

// pattern finds its matches in a text.
type pattern func(text string) ([]match, error)

// rawPattern is a pattern as it is in the file: exactly one of the two.
type rawPattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

func (p rawPattern) compile() (pattern, error) {
	switch {
	case p.String != nil && p.Regex == nil:
		return literal(*p.String), nil
	case p.Regex != nil && p.String == nil:
		return expression(*p.Regex)
	}
	return nil, fmt.Errorf("%w: pattern: want either a String or a Regex", fault.Invalid)
}

// literal matches the text itself.
func literal(what string) pattern {
	return func(text string) ([]match, error) {
		if what == "" {
			return between(text, nil), nil
		}
		var found [][]int
		for at := 0; ; {
			i := strings.Index(text[at:], what)
			if i < 0 {
				return between(text, found), nil
			}
			found = append(found, []int{at + i, at + i + len(what)})
			at += i + len(what)
		}
	}
}

// expression matches a regular expression: what these files use needs lookahead. Two things that Oniguruma, in whose
// syntax they are written, understands and this one would take for something else are refused.
func expression(text string) (pattern, error) {
	for _, foreign := range []string{"[:", "&&"} {
		if strings.Contains(text, foreign) {
			return nil, fmt.Errorf("%w: regular expression %q: %q is not known here", fault.Unsupported, text, foreign)
		}
	}
	compiled, err := regexp2.Compile(withWords(text), regexp2.Multiline)
	if err != nil {
		return nil, fmt.Errorf("%w: regular expression %q: %w", fault.Unsupported, text, err)
	}
	original := text
	return func(text string) ([]match, error) {
		found, err := compiled.FindAllStringIndex(text, -1)
		if err != nil {
			return nil, fmt.Errorf("%w: regular expression %q: %w", fault.Invalid, original, err)
		}
		return between(text, found), nil
	}, nil
}

// withWords writes \w out: it matches less where the regular expression is compiled than in Oniguruma.
func withWords(text string) string {
	const letters = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}`
	var out strings.Builder
	set := false
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\w`) && set:
			out.WriteString(letters)
		case strings.HasPrefix(text[i:], `\w`):
			out.WriteString("[" + letters + "]")
		case strings.HasPrefix(text[i:], `\W`) && !set:
			out.WriteString("[^" + letters + "]")
		case text[i] == '\\' && i+1 < len(text):
			out.WriteString(text[i : i+2])
		default:
			set = text[i] == '[' || set && text[i] != ']'
			out.WriteByte(text[i])
			continue
		}
		i++
	}
	return out.String()
}

// between returns the matches with what is between them.
func between(text string, found [][]int) []match {
	all := make([]match, 0, 2*len(found)+1)
	at := 0
	for _, f := range found {
		if at < f[0] {
			all = append(all, match{at, f[0], false})
		}
		all = append(all, match{f[0], f[1], true})
		at = f[1]
	}
	if at < len(text) {
		all = append(all, match{at, len(text), false})
	}
	return all
}

// each matches every character of a kind by itself.
func each(is func(rune) bool) pattern {
	return func(text string) ([]match, error) {
		all := make([]match, 0, 16)
		at := 0
		for i, r := range text {
			if !is(r) {
				continue
			}
			if at < i {
				all = append(all, match{at, i, false})
			}
			at = i + len(string(r))
			all = append(all, match{i, at, true})
		}
		if at < len(text) {
			all = append(all, match{at, len(text), false})
		}
		return all, nil
	}
}

// runs matches the longest runs of characters of one class, where class gives 0 for those of none.
func runs(class func(rune) int) pattern {
	return func(text string) ([]match, error) {
		var all []match
		last, at := 0, 0
		for i, r := range text {
			c := class(r)
			if i > 0 && c != last {
				all = append(all, match{at, i, last != 0})
				at = i
			}
			last = c
		}
		if at < len(text) {
			all = append(all, match{at, len(text), last != 0})
		}
		return all, nil
	}
}

// invert swaps what is matched and what is not.
func (p pattern) invert() pattern {
	return func(text string) ([]match, error) {
		all, err := p(text)
		for i := range all {
			all[i].found = !all[i].found
		}
		return all, err
	}
}

// isWord tells what \w matches: letters, marks, decimal digits, connectors and joiners.
func isWord(r rune) bool {
	if r < unicode.MaxASCII {
		return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}

// isPunctuation tells what is punctuation to a tokenizer: all of ASCII that is neither letter, digit nor space, too.
func isPunctuation(r rune) bool {
	if r <= unicode.MaxASCII {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.IsPunct(r)
}
