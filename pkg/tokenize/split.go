package tokenize

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// splitter cuts a normalised text into the words that the model sees one by one. Empty ones do not count.
type splitter func(a aligned) ([]aligned, error)

func buildSplitter(raw json.RawMessage, depth int) (splitter, error) {
	return build("pre_tokenizer", map[string]maker[splitter]{
		"Sequence":           splitterSequence,
		"BertPreTokenizer":   fixedSplitter(inTurn(split(each(unicode.IsSpace), removed), split(each(isPunctuation), isolated))),
		"ByteLevel":          byteLevelSplitter,
		"Whitespace":         fixedSplitter(split(runs(wordClass).invert(), removed)),
		"WhitespaceSplit":    fixedSplitter(split(each(unicode.IsSpace), removed)),
		"Punctuation":        punctuationSplitter,
		"Digits":             digitsSplitter,
		"Metaspace":          metaspaceSplitter,
		"Split":              patternSplitter,
		"CharDelimiterSplit": delimiterSplitter,
		"UnicodeScripts":     fixedSplitter(byScript),
		"FixedLength":        fixedLengthSplitter,
	}, raw, depth)
}

func fixedSplitter(s splitter) maker[splitter] {
	return func(json.RawMessage, int) (splitter, error) { return s, nil }
}

func splitterSequence(raw json.RawMessage, depth int) (splitter, error) {
	var file struct {
		PreTokenizers []json.RawMessage `json:"pretokenizers"`
	}
	if err := read("pretokenizers", raw, &file); err != nil {
		return nil, err
	}
	all, err := buildAll(buildSplitter, file.PreTokenizers, depth)
	if err != nil {
		return nil, err
	}
	return inTurn(all...), nil
}

// inTurn cuts by the first splitter, each part by the second, and so on.
func inTurn(all ...splitter) splitter {
	return func(a aligned) ([]aligned, error) {
		parts := []aligned{a}
		for _, cut := range all {
			var next []aligned
			for _, part := range parts {
				smaller, err := cut(part)
				if err != nil {
					return nil, err
				}
				next = append(next, smaller...)
			}
			parts = next
		}
		return parts, nil
	}
}

// behaviour is what becomes of the matches that a text is split at. It returns the parts to keep.
type behaviour func(matches []match) []match

// behaviourOf returns the behaviour of a name in the file.
func behaviourOf(name string) (behaviour, error) {
	switch name {
	case "Removed":
		return removed, nil
	case "Isolated", "":
		return isolated, nil
	case "Contiguous":
		return contiguous, nil
	case "MergedWithPrevious":
		return withPrevious, nil
	case "MergedWithNext":
		return withNext, nil
	}
	return nil, fmt.Errorf("%w: split behavior %q", fault.Unsupported, name)
}

func removed(matches []match) []match {
	return slices.DeleteFunc(matches, func(m match) bool { return m.found })
}

func isolated(matches []match) []match { return matches }

// contiguous makes one part of neighbours that are both matches, or both not.
func contiguous(matches []match) []match {
	return merged(matches, func(before, m match) bool { return before.found == m.found })
}

// withPrevious appends each match to what is in front of it, if that is not a match too.
func withPrevious(matches []match) []match {
	return merged(matches, func(before, m match) bool { return m.found && !before.found })
}

// withNext puts each match in front of what is behind it, if that is not a match too.
func withNext(matches []match) []match {
	return merged(matches, func(before, m match) bool { return before.found && !m.found })
}

// merged makes one part of each match and the one in front of it where they belong together.
func merged(matches []match, together func(before, m match) bool) []match {
	var parts []match
	for i, m := range matches {
		if i > 0 && together(matches[i-1], m) {
			parts[len(parts)-1].to = m.to
		} else {
			parts = append(parts, m)
		}
	}
	return parts
}

// split cuts a text at the matches of a pattern.
func split(find pattern, treat behaviour) splitter {
	return func(a aligned) ([]aligned, error) {
		matches, err := find(a.text)
		if err != nil {
			return nil, err
		}
		parts := treat(matches)
		words := make([]aligned, 0, len(parts))
		for _, p := range parts {
			if p.from < p.to {
				words = append(words, a.slice(p.from, p.to))
			}
		}
		return words, nil
	}
}

// wordClass is 0 for what a word consists of and for what stands between two: what is left is spaces.
func wordClass(r rune) int {
	switch {
	case isWord(r):
		return word
	case unicode.IsSpace(r):
		return space
	}
	return sign
}

// The classes of characters that the splitter Whitespace knows.
const (
	space = iota
	word
	sign
)

func byteLevelSplitter(raw json.RawMessage, _ int) (splitter, error) {
	file := struct {
		AddPrefixSpace bool  `json:"add_prefix_space"`
		UseRegex       *bool `json:"use_regex"`
	}{}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	cut := split(asGPT2, isolated)
	whole := file.UseRegex != nil && !*file.UseRegex
	return func(a aligned) ([]aligned, error) {
		if file.AddPrefixSpace && !strings.HasPrefix(a.text, " ") {
			a = a.prepend(" ")
		}
		words := []aligned{a}
		if !whole {
			var err error
			if words, err = cut(a); err != nil {
				return nil, err
			}
		}
		for i := range words {
			words[i] = byteLevel(words[i])
		}
		return words, nil
	}, nil
}

func punctuationSplitter(raw json.RawMessage, _ int) (splitter, error) {
	var file struct {
		Behaviour string `json:"behavior"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	treat, err := behaviourOf(file.Behaviour)
	return split(each(isPunctuation), treat), err
}

func digitsSplitter(raw json.RawMessage, _ int) (splitter, error) {
	var file struct {
		Individual bool `json:"individual_digits"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	if file.Individual {
		return split(each(unicode.IsNumber), isolated), nil
	}
	return split(each(unicode.IsNumber), contiguous), nil
}

// metaspaceSplitter is sentencepiece's: a space is written as a character, and words begin with one.
func metaspaceSplitter(raw json.RawMessage, _ int) (splitter, error) {
	file := struct {
		Replacement    string `json:"replacement"`
		AddPrefixSpace *bool  `json:"add_prefix_space"`
		PrependScheme  string `json:"prepend_scheme"`
		Split          *bool  `json:"split"`
	}{PrependScheme: "always"}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(file.Replacement) != 1 {
		return nil, fmt.Errorf("%w: replacement is %q, want one character", fault.Invalid, file.Replacement)
	}
	if file.AddPrefixSpace != nil && !*file.AddPrefixSpace {
		file.PrependScheme = "never"
	}
	if !slices.Contains([]string{"always", "first", "never"}, file.PrependScheme) {
		return nil, fmt.Errorf("%w: prepend_scheme %q", fault.Unsupported, file.PrependScheme)
	}
	spaces, marks := literal(" "), split(literal(file.Replacement), withNext)
	return func(a aligned) ([]aligned, error) {
		matches, err := spaces(a.text)
		if err != nil {
			return nil, err
		}
		a = a.replace(matches, file.Replacement)
		if !strings.HasPrefix(a.text, file.Replacement) && (file.PrependScheme == "always" || file.PrependScheme == "first" && a.from == 0) {
			a = a.prepend(file.Replacement)
		}
		if file.Split != nil && !*file.Split {
			return []aligned{a}, nil
		}
		return marks(a)
	}, nil
}

func patternSplitter(raw json.RawMessage, _ int) (splitter, error) {
	var file struct {
		Pattern   rawPattern `json:"pattern"`
		Behaviour string     `json:"behavior"`
		Invert    bool       `json:"invert"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	find, err := file.Pattern.compile()
	if err != nil {
		return nil, err
	}
	if file.Invert {
		find = find.invert()
	}
	treat, err := behaviourOf(file.Behaviour)
	return split(find, treat), err
}

func delimiterSplitter(raw json.RawMessage, _ int) (splitter, error) {
	var file struct {
		Delimiter string `json:"delimiter"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(file.Delimiter) != 1 {
		return nil, fmt.Errorf("%w: delimiter is %q, want one character", fault.Invalid, file.Delimiter)
	}
	return split(literal(file.Delimiter), removed), nil
}

func fixedLengthSplitter(raw json.RawMessage, _ int) (splitter, error) {
	file := struct {
		Length int `json:"length"`
	}{Length: 5}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	if file.Length < 1 {
		return nil, fmt.Errorf("%w: length is %d, want at least 1", fault.Invalid, file.Length)
	}
	return split(func(text string) ([]match, error) {
		var all []match
		n := 0
		for i, r := range text {
			if n%file.Length == 0 {
				all = append(all, match{from: i})
			}
			n++
			all[len(all)-1].to = i + utf8.RuneLen(r)
		}
		return all, nil
	}, isolated), nil
}

// byScript cuts where the script changes. Japanese is one script here; a space belongs to any, but for those in front.
func byScript(a aligned) ([]aligned, error) {
	var cuts []int
	last := ""
	for i, r := range a.text {
		if script := scriptOf(r); script != "" && script != last {
			cuts = append(cuts, i)
			last = script
		}
	}
	return a.cut(cuts), nil
}

// cut returns the parts that begin at the given places.
func (a aligned) cut(at []int) []aligned {
	parts := make([]aligned, len(at))
	for i, from := range at {
		to := len(a.text)
		if i+1 < len(at) {
			to = at[i+1]
		}
		parts[i] = a.slice(from, to)
	}
	return parts
}

// scriptOf returns the name of a character's script, "" for what belongs to any.
func scriptOf(r rune) string {
	const prolongedSound = 'ー'
	switch {
	case r == ' ':
		return ""
	case r == prolongedSound || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
		return "Han"
	case unicode.Is(unicode.Latin, r):
		return "Latin"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

func trimLeft(s string) string  { return strings.TrimLeftFunc(s, unicode.IsSpace) }
func trimRight(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }
