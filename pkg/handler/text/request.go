package text

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// maxText is how many bytes a text may have.
const maxText = 1 << 20

// text is what a request asks about: a text, or two to be compared.
type text struct {
	a, b string
	pair bool
}

// readText returns the text of a request: the part named text, else data, else body, else the first. JSON is a string, or
// an object that has one as text, data or body, and as text_pair perhaps a second one; anything else is the text itself.
// It returns [fault.Invalid] when there is none, and [fault.TooLarge] for too long a one.
func readText(req *model.Request) (text, error) {
	in, err := choose(req.Inputs)
	if err != nil {
		return text{}, err
	}
	t, err := parseText(in)
	if err != nil {
		return text{}, err
	}
	if i := slices.IndexFunc(req.Inputs, func(in model.Input) bool { return in.Name == keyPair }); i >= 0 && !t.pair {
		second, err := parseText(req.Inputs[i])
		if err != nil {
			return text{}, err
		}
		t.b, t.pair = second.a, true
	}
	for _, s := range []string{t.a, t.b} {
		if len(s) > maxText {
			return text{}, fmt.Errorf("%w: the text has %d bytes, at most %d are taken", fault.TooLarge, len(s), maxText)
		}
		if !utf8.ValidString(s) {
			return text{}, fmt.Errorf("%w: the text is not UTF-8", fault.Invalid)
		}
	}
	if t.a == "" {
		return text{}, fmt.Errorf("%w: the text is empty", fault.Invalid)
	}
	return t, nil
}

const keyPair = "text_pair"

// keys returns the names under which a text is looked for.
func keys() []string { return []string{"text", "data", "body"} }

func choose(inputs []model.Input) (model.Input, error) {
	for _, name := range keys() {
		if i := slices.IndexFunc(inputs, func(in model.Input) bool { return in.Name == name }); i >= 0 {
			return inputs[i], nil
		}
	}
	if i := slices.IndexFunc(inputs, func(in model.Input) bool { return in.Name != keyPair }); i >= 0 {
		return inputs[i], nil
	}
	return model.Input{}, fmt.Errorf("%w: the request has no text", fault.Invalid)
}

func parseText(in model.Input) (text, error) {
	switch {
	case in.Tensor != nil:
		words, err := tensor.Data[string](*in.Tensor)
		if err != nil || len(words) != 1 {
			return text{}, fmt.Errorf("%w: input %q is %v, want one text in a request", fault.Invalid, in.Name, *in.Tensor)
		}
		return text{a: words[0]}, nil
	case strings.EqualFold(in.ContentType, "application/json"):
		return fromJSON(in.Data)
	}
	return text{a: string(in.Data)}, nil
}

// fromJSON reads a text, or an object that has one.
func fromJSON(data []byte) (text, error) {
	refused := func(why string) (text, error) {
		return text{}, fmt.Errorf(`%w: JSON input: %s; want "a text", or {"text": "a text"}`, fault.Invalid, why)
	}
	if len(data) > maxJSON {
		return text{}, fmt.Errorf("%w: the JSON input has %d bytes, at most %d are taken", fault.TooLarge, len(data), maxJSON)
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return refused(err.Error())
	}
	object, ok := value.(map[string]any)
	if !ok {
		s, ok := value.(string)
		if !ok {
			return refused("it is neither a text nor an object")
		}
		return text{a: s}, nil
	}
	for _, key := range keys() {
		if found, ok := object[key]; ok {
			a, ok := found.(string)
			if !ok {
				return refused(fmt.Sprintf("its %q is not a text", key))
			}
			return withPair(text{a: a}, object[keyPair], refused)
		}
	}
	return refused("the object has no " + strings.Join(keys(), ", no "))
}

// maxJSON is how many bytes two texts may have as JSON, six for each of theirs.
const maxJSON = 2 * 6 * maxText

// withPair adds the second text, if there is one.
func withPair(t text, second any, refused func(string) (text, error)) (text, error) {
	if second == nil {
		return t, nil
	}
	b, ok := second.(string)
	if !ok {
		return refused(fmt.Sprintf("its %q is not a text", keyPair))
	}
	t.b, t.pair = b, true
	return t, nil
}
