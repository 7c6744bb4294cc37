package handler

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Content is what a request asks about: exactly one field is set.
type Content struct {
	Data   []byte         // the bytes of a picture or of a text
	Tensor *tensor.Tensor // the network's input itself, its batch axis included
}

// ReadInput returns the one input of a request to a network of one input: the part named as the network's input, else
// "data", else "body", else the first, as TorchServe's handlers choose; of several of that name the last. A tensor, or JSON lists, are the network's input
// itself; text is base64, and so is {"b64": "..."} in JSON; everything else is bytes. It returns [fault.Invalid] when
// there is no input, when it is empty, or when it does not fit.
func ReadInput(req *model.Request, want engine.Value) (Content, error) {
	in, err := choose(req.Inputs, want.Name, "data", "body")
	if err != nil {
		return Content{}, err
	}
	switch {
	case in.Tensor != nil:
		t, err := Batched(*in.Tensor, want)
		return Content{Tensor: &t}, err
	case len(in.Data) == 0:
		return Content{}, fmt.Errorf("%w: the input is empty: it has no bytes", fault.Invalid)
	case strings.EqualFold(in.ContentType, "application/json"):
		return fromJSON(in.Data, want)
	case strings.HasPrefix(in.ContentType, "text/"):
		data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(in.Data)))
		if err != nil {
			return Content{}, fmt.Errorf("%w: input %q is %s, which is read as base64: %w", fault.Invalid, in.Name, in.ContentType, err)
		}
		return Content{Data: data}, nil
	}
	return Content{Data: in.Data}, nil
}

func choose(inputs []model.Input, names ...string) (model.Input, error) {
	if len(inputs) == 0 {
		return model.Input{}, fmt.Errorf("%w: the request has no input", fault.Invalid)
	}
	for _, name := range names {
		if in, ok := last(inputs, name); ok {
			return in, nil
		}
	}
	in, _ := last(inputs, inputs[0].Name)
	return in, nil
}

// last returns the last input of a name, and whether there is one.
func last(inputs []model.Input, name string) (model.Input, bool) {
	for _, in := range slices.Backward(inputs) {
		if in.Name == name {
			return in, true
		}
	}
	return model.Input{}, false
}

func fromJSON(text []byte, want engine.Value) (Content, error) {
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("{")) {
		t, err := TensorFromJSON(text, want)
		return Content{Tensor: &t}, err
	}
	var encoded struct {
		B64 []byte `json:"b64"`
	}
	err := json.Unmarshal(text, &encoded)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return Content{}, fmt.Errorf("%w: JSON input: byte %d: %w", fault.Invalid, syntax.Offset, syntax)
	}
	if err != nil || len(encoded.B64) == 0 {
		return Content{}, fmt.Errorf(`%w: JSON input: want lists of numbers, or {"b64": "..."} with a file in base64`, fault.Invalid)
	}
	return Content{Data: encoded.B64}, nil
}
