package tensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// read returns the network's inputs.
func (p passer) read(req *model.Request) (tensor.Named, error) {
	parts, err := p.parts(req.Inputs)
	if err != nil {
		return nil, err
	}
	in := make(tensor.Named, len(p.inputs))
	for _, v := range p.inputs {
		t, err := tensorOf(parts[v.Name], v)
		if err != nil {
			return nil, err
		}
		if in[v.Name], err = handler.Batched(t, v); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// bare tells whether the inputs of a request came as one row each, without the axis of a batch.
func (p passer) bare(req *model.Request) (bool, error) {
	parts, err := p.parts(req.Inputs)
	if err != nil {
		return false, err
	}
	found := false
	for _, v := range p.inputs {
		if len(v.Shape) == 0 {
			continue
		}
		rank, err := rankOf(parts[v.Name])
		if err != nil || rank == len(v.Shape) {
			return false, err
		}
		found = true
	}
	return found, nil
}

// parts returns the part of the request that each input is read from.
func (p passer) parts(inputs []model.Input) (map[string]model.Input, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("%w: the request has no input", fault.Invalid)
	}
	parts := map[string]model.Input{}
	for _, in := range inputs { // of several of a name the last, as TorchServe takes it
		parts[in.Name] = in
	}
	one, ok := sole(inputs)
	if !ok {
		return parts, p.complete(parts)
	}
	object, err := members(one)
	if err != nil {
		return nil, err
	}
	if object != nil {
		return object, p.complete(object)
	}
	if len(p.inputs) != 1 {
		return parts, p.complete(parts)
	}
	name := p.inputs[0].Name
	if _, ok := parts[name]; !ok {
		parts[name] = one
	}
	return parts, nil
}

// complete returns [fault.Invalid] when there is a part too few, or one too many.
func (p passer) complete(parts map[string]model.Input) error {
	known := make([]string, len(p.inputs))
	for i, v := range p.inputs {
		known[i] = v.Name
		if _, ok := parts[v.Name]; !ok {
			return fmt.Errorf("%w: input %q is missing: send a part of that name for each of %s, or one JSON object of them",
				fault.Invalid, v.Name, strings.Join(listed(p.inputs), ", "))
		}
	}
	for name := range parts {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w: the network has no input %q%s (it has %s)", fault.Invalid, name, nearest.Hint(name, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// sole returns the part that has no name of an input's: "data", else "body", else the only one.
func sole(inputs []model.Input) (model.Input, bool) {
	for _, name := range []string{"data", "body"} {
		for _, in := range slices.Backward(inputs) {
			if in.Name == name {
				return in, true
			}
		}
	}
	return inputs[0], len(inputs) == 1
}

// members returns the members of a JSON object as parts; nil for what is none.
func members(in model.Input) (map[string]model.Input, error) {
	text := bytes.TrimSpace(in.Data)
	if in.Tensor != nil || !bytes.HasPrefix(text, []byte("{")) {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	var object map[string]json.RawMessage
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("%w: JSON object of inputs: %w", fault.Invalid, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: JSON object of inputs: more follows it", fault.Invalid)
	}
	parts := make(map[string]model.Input, len(object))
	for name, value := range object {
		parts[name] = model.Input{Name: name, ContentType: "application/json", Data: value}
	}
	return parts, nil
}

// tensorOf reads one input: a tensor, an npy file, or JSON lists. It has the type of the network's, but maybe not its batch axis.
func tensorOf(in model.Input, want engine.Value) (tensor.Tensor, error) {
	t, err := anyTensor(in, want)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if t, err = convert(t, want.DType); err != nil {
		return tensor.Tensor{}, fmt.Errorf("input %q: %w", want.Name, err)
	}
	return t, nil
}

func anyTensor(in model.Input, want engine.Value) (tensor.Tensor, error) {
	switch {
	case in.Tensor != nil:
		return *in.Tensor, nil
	case len(in.Data) == 0:
		return tensor.Tensor{}, fmt.Errorf("%w: input %q is empty: it has no bytes", fault.Invalid, want.Name)
	case isFile(in):
		t, err := readNPY(in.Data)
		if err != nil {
			return tensor.Tensor{}, fmt.Errorf("input %q as an npy file: %w", want.Name, err)
		}
		return t, nil
	}
	// Whether the lists have the axis of a batch, their own rank tells.
	open := want
	open.Shape = make([]engine.Dim, depth(in.Data))
	for i := range open.Shape {
		open.Shape[i].Size = -1
	}
	return handler.TensorFromJSON(in.Data, open)
}

// rankOf returns how many axes an input has that can be read.
func rankOf(in model.Input) (int, error) {
	switch {
	case in.Tensor != nil:
		return len(in.Tensor.Shape()), nil
	case isFile(in):
		h, _, err := npyParts(in.Data)
		return len(h.shape), err
	}
	return depth(in.Data), nil
}

// isFile tells whether an input is an npy file.
func isFile(in model.Input) bool {
	return bytes.HasPrefix(in.Data, []byte(npyMagic)) || isNPY(in.ContentType)
}

// depth returns how deep JSON lists are nested where they begin, up to more than is read.
func depth(text []byte) int {
	n := 0
	for _, c := range text {
		switch c {
		case '[':
			if n++; n > maxAxes {
				return n
			}
		case ' ', '\t', '\r', '\n':
		default:
			return n
		}
	}
	return n
}
