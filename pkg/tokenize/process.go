package tokenize

import (
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
)

// sequence is the tokens of one text on their way into an encoding.
type sequence struct {
	Encoding
	original string
}

// processor puts the special tokens around one text or two.
type processor struct {
	added   func(pair bool) int // how many tokens it puts in
	process func(seqs []sequence) []sequence
}

func buildProcessor(raw json.RawMessage, depth int) (processor, error) {
	return build("post_processor", map[string]maker[processor]{
		"Sequence":           processorSequence,
		"TemplateProcessing": templateProcessor,
		"BertProcessing":     bertProcessor,
		"RobertaProcessing":  robertaProcessor,
		"ByteLevel":          byteLevelProcessor,
	}, raw, depth)
}

func processorSequence(raw json.RawMessage, depth int) (processor, error) {
	var file struct {
		Processors []json.RawMessage `json:"processors"`
	}
	if err := read("processors", raw, &file); err != nil {
		return processor{}, err
	}
	all, err := buildAll(buildProcessor, file.Processors, depth)
	if err != nil {
		return processor{}, err
	}
	return processor{
		added: func(pair bool) int {
			n := 0
			for _, p := range all {
				n += p.added(pair)
			}
			return n
		},
		process: func(seqs []sequence) []sequence {
			for _, p := range all {
				seqs = p.process(seqs)
			}
			return seqs
		},
	}, nil
}

// templatePiece is a text or a special token.
type templatePiece struct {
	text   int // 0 or 1; negative: a special token
	ids    []int64
	tokens []string
	typeID int64
}

type rawTemplatePiece struct {
	SpecialToken *struct {
		ID     string `json:"id"`
		TypeID int64  `json:"type_id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID     string `json:"id"`
		TypeID int64  `json:"type_id"`
	} `json:"Sequence"`
}

type specialTokens map[string]struct {
	IDs    []int64  `json:"ids"`
	Tokens []string `json:"tokens"`
}

func templateProcessor(raw json.RawMessage, _ int) (processor, error) {
	var file struct {
		Single  []rawTemplatePiece `json:"single"`
		Pair    []rawTemplatePiece `json:"pair"`
		Special specialTokens      `json:"special_tokens"`
	}
	if err := read("settings", raw, &file); err != nil {
		return processor{}, err
	}
	single, err := template(file.Single, file.Special, 1)
	if err != nil {
		return processor{}, fmt.Errorf("single: %w", err)
	}
	pair, err := template(file.Pair, file.Special, 2)
	if err != nil {
		return processor{}, fmt.Errorf("pair: %w", err)
	}
	return fromTemplates(single, pair), nil
}

// template reads the pieces for so many texts.
func template(pieces []rawTemplatePiece, special specialTokens, texts int) ([]templatePiece, error) {
	all := make([]templatePiece, len(pieces))
	for i, p := range pieces {
		switch {
		case p.Sequence != nil && p.Sequence.ID == "A":
			all[i] = templatePiece{text: 0, typeID: p.Sequence.TypeID}
		case p.Sequence != nil && p.Sequence.ID == "B" && texts == 2:
			all[i] = templatePiece{text: 1, typeID: p.Sequence.TypeID}
		case p.SpecialToken != nil:
			token, ok := special[p.SpecialToken.ID]
			if !ok || len(token.IDs) != len(token.Tokens) {
				return nil, fmt.Errorf("%w: special token %q is not said to be any", fault.Invalid, p.SpecialToken.ID)
			}
			all[i] = templatePiece{text: -1, ids: token.IDs, tokens: token.Tokens, typeID: p.SpecialToken.TypeID}
		default:
			return nil, fmt.Errorf("%w: piece %d is neither a sequence nor a special token", fault.Invalid, i)
		}
	}
	return all, nil
}

func fromTemplates(single, pair []templatePiece) processor {
	choose := func(both bool) []templatePiece {
		if both {
			return pair
		}
		return single
	}
	return processor{
		added: func(both bool) int {
			n := 0
			for _, p := range choose(both) {
				n += len(p.ids)
			}
			return n
		},
		process: func(seqs []sequence) []sequence {
			var all []sequence
			for _, p := range choose(len(seqs) > 1) {
				all = append(all, p.fill(seqs))
			}
			return all
		},
	}
}

// fill returns what the piece stands for.
func (p templatePiece) fill(seqs []sequence) sequence {
	if p.text >= 0 {
		s := seqs[p.text]
		s.ofType(p.typeID)
		return s
	}
	var s sequence
	for i, id := range p.ids {
		s.put(id, p.typeID, 1, p.tokens[i])
	}
	return s
}

// mark is a special token as BertProcessing and RobertaProcessing have it: a list of its text and its number.
type mark struct {
	token string
	id    int64
}

func (m *mark) UnmarshalJSON(data []byte) error {
	var both []json.RawMessage
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if len(both) != 2 {
		return fmt.Errorf("a special token is %s, want a list of its text and its id", short(string(data)))
	}
	if err := json.Unmarshal(both[0], &m.token); err != nil {
		return err
	}
	return json.Unmarshal(both[1], &m.id)
}

// piece returns the template's piece that is the token.
func (m mark) piece(typeID int64) templatePiece {
	return templatePiece{text: -1, ids: []int64{m.id}, tokens: []string{m.token}, typeID: typeID}
}

type marks struct {
	Sep            mark  `json:"sep"`
	Cls            mark  `json:"cls"`
	TrimOffsets    *bool `json:"trim_offsets"`
	AddPrefixSpace *bool `json:"add_prefix_space"`
}

func bertProcessor(raw json.RawMessage, _ int) (processor, error) {
	var file marks
	if err := read("settings", raw, &file); err != nil {
		return processor{}, err
	}
	single := []templatePiece{file.Cls.piece(0), {text: 0}, file.Sep.piece(0)}
	return fromTemplates(single, append(single[:3:3], templatePiece{text: 1, typeID: 1}, file.Sep.piece(1))), nil
}

func robertaProcessor(raw json.RawMessage, _ int) (processor, error) {
	var file marks
	if err := read("settings", raw, &file); err != nil {
		return processor{}, err
	}
	single := []templatePiece{file.Cls.piece(0), {text: 0}, file.Sep.piece(0)}
	p := fromTemplates(single, append(single[:3:3], file.Sep.piece(0), templatePiece{text: 1}, file.Sep.piece(0)))
	if file.TrimOffsets == nil || *file.TrimOffsets {
		surround := p.process
		p.process = func(seqs []sequence) []sequence {
			return surround(trimmed(seqs, file.AddPrefixSpace == nil || *file.AddPrefixSpace))
		}
	}
	return p, nil
}

func byteLevelProcessor(raw json.RawMessage, _ int) (processor, error) {
	var file struct {
		TrimOffsets    bool `json:"trim_offsets"`
		AddPrefixSpace bool `json:"add_prefix_space"`
	}
	if err := read("settings", raw, &file); err != nil {
		return processor{}, err
	}
	return processor{
		added: func(bool) int { return 0 },
		process: func(seqs []sequence) []sequence {
			if !file.TrimOffsets {
				return seqs
			}
			return trimmed(seqs, file.AddPrefixSpace)
		},
	}, nil
}

// trimmed takes the spaces of a token out of its offsets. One in front of a text may have been put there by
// add_prefix_space.
func trimmed(seqs []sequence, prefixed bool) []sequence {
	for _, s := range seqs {
		for i, token := range s.Tokens {
			from, to := &s.Offsets[i][0], &s.Offsets[i][1]
			front := spaces(token, utf8.DecodeRuneInString)
			if front == 1 && prefixed && (i == 0 || *from == 0) {
				front = 0
			}
			for ; front > 0 && *from < *to; front-- {
				_, size := utf8.DecodeRuneInString(s.original[*from:*to])
				*from += size
			}
			for behind := spaces(token, utf8.DecodeLastRuneInString); behind > 0 && *from < *to; behind-- {
				_, size := utf8.DecodeLastRuneInString(s.original[*from:*to])
				*to -= size
			}
		}
	}
	return seqs
}

// spaces counts the spaces at one end of a token.
func spaces(token string, decode func(string) (rune, int)) int {
	n := 0
	for token != "" {
		r, size := decode(token)
		if r != byteRune(' ') && !unicode.IsSpace(r) {
			break
		}
		n++
		if first, _ := utf8.DecodeRuneInString(token); first == r {
			token = token[size:]
		} else {
			token = token[:len(token)-size]
		}
	}
	return n
}
