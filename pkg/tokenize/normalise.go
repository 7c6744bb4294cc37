package tokenize

import (
	"encoding/json"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normaliser rewrites a text before it is cut.
type normaliser func(a aligned) (aligned, error)

func buildNormaliser(raw json.RawMessage, depth int) (normaliser, error) {
	return build("normalizer", map[string]maker[normaliser]{
		"Sequence":       normaliserSequence,
		"BertNormalizer": bertNormaliser,
		"NFC":            fixedNormaliser(composed(norm.NFC)),
		"NFD":            fixedNormaliser(decomposed(norm.NFD)),
		"NFKC":           fixedNormaliser(composed(norm.NFKC)),
		"NFKD":           fixedNormaliser(decomposed(norm.NFKD)),
		"Lowercase":      fixedNormaliser(lowercase),
		"StripAccents":   fixedNormaliser(stripMarks(unicode.M)),
		"Strip":          stripNormaliser,
		"Replace":        replaceNormaliser,
		"Prepend":        prependNormaliser,
		"Nmt":            fixedNormaliser(nmt),
		"Precompiled":    charsmapNormaliser,
		"ByteLevel":      fixedNormaliser(byteLevel),
	}, raw, depth)
}

// fixedNormaliser makes a normaliser without settings.
func fixedNormaliser(rewrite func(aligned) aligned) maker[normaliser] {
	return func(json.RawMessage, int) (normaliser, error) {
		return func(a aligned) (aligned, error) { return rewrite(a), nil }, nil
	}
}

func normaliserSequence(raw json.RawMessage, depth int) (normaliser, error) {
	var file struct {
		Normalizers []json.RawMessage `json:"normalizers"`
	}
	if err := read("normalizers", raw, &file); err != nil {
		return nil, err
	}
	all, err := buildAll(buildNormaliser, file.Normalizers, depth)
	if err != nil {
		return nil, err
	}
	return func(a aligned) (aligned, error) {
		for _, normalise := range all {
			var err error
			if a, err = normalise(a); err != nil {
				return a, err
			}
		}
		return a, nil
	}, nil
}

// bertNormaliser is BERT's: control characters go, any space is a space, Chinese characters stand alone, and of letters
// the accents and the case may go.
func bertNormaliser(raw json.RawMessage, _ int) (normaliser, error) {
	var file struct {
		CleanText    bool  `json:"clean_text"`
		Chinese      bool  `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"`
		Lowercase    bool  `json:"lowercase"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	var steps []func(aligned) aligned
	if file.CleanText {
		steps = append(steps, clean)
	}
	if file.Chinese {
		steps = append(steps, isolateChinese)
	}
	if file.StripAccents == nil && file.Lowercase || file.StripAccents != nil && *file.StripAccents {
		steps = append(steps, decomposed(norm.NFD), stripMarks(unicode.Mn))
	}
	if file.Lowercase {
		steps = append(steps, lowercase)
	}
	return func(a aligned) (aligned, error) {
		for _, step := range steps {
			a = step(a)
		}
		return a, nil
	}, nil
}

func clean(a aligned) aligned {
	return a.rewrite(func(r rune, put func(rune)) {
		switch {
		case unicode.IsSpace(r) && r != '\v' && r != '\f' && r != '\u0085':
			put(' ')
		case r == 0 || r == '\uFFFD' || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		default:
			put(r)
		}
	})
}

func isolateChinese(a aligned) aligned {
	return a.rewrite(func(r rune, put func(rune)) {
		if !isChinese(r) {
			put(r)
			return
		}
		put(' ')
		put(r)
		put(' ')
	})
}

// isChinese tells whether r is in one of the blocks of Chinese characters that BERT knows.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, 0x4E00 <= r && r <= 0x9FFF, 0xF900 <= r && r <= 0xFAFF, 0x20000 <= r && r <= 0x2A6DF,
		0x2A700 <= r && r <= 0x2B81F, 0x2B920 <= r && r <= 0x2CEAF, 0x2F800 <= r && r <= 0x2FA1F:
		return true
	}
	return false
}

// lowercase takes each character by itself, as Unicode's full mapping has it: one of them becomes two.
func lowercase(a aligned) aligned {
	return a.rewrite(func(r rune, put func(rune)) {
		if r == 'İ' {
			put('i')
			put('\u0307')
			return
		}
		put(unicode.ToLower(r))
	})
}

func stripMarks(marks *unicode.RangeTable) func(aligned) aligned {
	return func(a aligned) aligned {
		return a.filter(func(r rune) bool { return r < 0x300 || !unicode.Is(marks, r) })
	}
}

func stripNormaliser(raw json.RawMessage, _ int) (normaliser, error) {
	var file struct {
		Left  bool `json:"strip_left"`
		Right bool `json:"strip_right"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	return func(a aligned) (aligned, error) {
		from, to := 0, len(a.text)
		if file.Left {
			from = to - len(trimLeft(a.text))
		}
		if file.Right {
			to = max(from, len(trimRight(a.text)))
		}
		return aligned{text: a.text[from:to], at: a.at[from:to], from: a.from}, nil
	}, nil
}

func replaceNormaliser(raw json.RawMessage, _ int) (normaliser, error) {
	var file struct {
		Pattern rawPattern `json:"pattern"`
		Content string     `json:"content"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	find, err := file.Pattern.compile()
	if err != nil {
		return nil, err
	}
	return func(a aligned) (aligned, error) {
		matches, err := find(a.text)
		if err != nil {
			return a, err
		}
		return a.replace(matches, file.Content), nil
	}, nil
}

func prependNormaliser(raw json.RawMessage, _ int) (normaliser, error) {
	var file struct {
		Prepend string `json:"prepend"`
	}
	if err := read("settings", raw, &file); err != nil {
		return nil, err
	}
	return func(a aligned) (aligned, error) { return a.prepend(file.Prepend), nil }, nil
}

// nmt is what sentencepiece does first: some control characters go, and what has no width is a space.
func nmt(a aligned) aligned {
	return a.rewrite(func(r rune, put func(rune)) {
		switch {
		case 1 <= r && r <= 8, r == 0x0B, 0x0E <= r && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200B <= r && r <= 0x200F, r == 0x2028, r == 0x2029,
			r == 0x2581, r == 0xFEFF, r == 0xFFFD:
			put(' ')
		default:
			put(r)
		}
	})
}

// byteLevel writes each byte as a character of its own that can be seen.
func byteLevel(a aligned) aligned {
	var out builder
	out.grow(2 * len(a.text))
	for i, b := range []byte(a.text) {
		out.add(byteRune(b), a.at[i])
	}
	return out.done(a.from)
}

// byteRune is the character that stands for a byte: itself where it can be seen, else the next free one from U+0100.
func byteRune(b byte) rune {
	const (
		beforeDelete = '!'    // bytes below this and none above it up to '~' are hidden
		hiddenHigh   = 0x7F   // the next hidden ones begin here
		shownHigh    = 0xA1   // and end before this
		softHyphen   = 0xAD   // the last hidden one
		free         = 0x0100 // the first character that none of the bytes is
	)
	switch r := rune(b); {
	case r < beforeDelete:
		return free + r
	case r >= hiddenHigh && r < shownHigh:
		return free + beforeDelete + r - hiddenHigh
	case r == softHyphen:
		return free + beforeDelete + shownHigh - hiddenHigh
	default:
		return r
	}
}
