package tensors

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// The parameters of a prediction.
const (
	paramFormat  = "format"  // json or npy
	paramOutputs = "outputs" // the names of the outputs that are answered, with commas between them
)

// Params are the names of the parameters that a request may carry.
func Params() []string { return []string{paramOutputs} }

// The formats.
const (
	formatJSON = "json"
	formatNPY  = "npy"
)

// npyType is the media type of an npy file.
const npyType = "application/x-npy"

// form is how a request is answered.
type form struct {
	format  string
	outputs []string
}

// form returns how a request wants its answer.
func (p passer) form(req *model.Request) (form, error) {
	f := form{format: req.Params[paramFormat], outputs: p.outputs}
	known := []string{formatJSON, formatNPY}
	switch {
	case f.format == "" && accepts(req.Header):
		f.format = formatNPY
	case f.format == "":
		f.format = formatJSON
	case !slices.Contains(known, f.format):
		return f, fmt.Errorf("%w: parameter %s is %q%s (a prediction's are %s)",
			fault.Invalid, paramFormat, f.format, nearest.Hint(f.format, known), strings.Join(known, ", "))
	}
	if raw := req.Params[paramOutputs]; raw != "" {
		f.outputs = strings.Split(raw, ",")
		if err := p.have(f.outputs); err != nil {
			return f, fmt.Errorf("%w: parameter %s: %w", fault.Invalid, paramOutputs, err)
		}
	}
	if f.format == formatNPY && len(f.outputs) != 1 {
		return f, fmt.Errorf("%w: an npy file holds one tensor, the answer has %s: name one by the parameter %s",
			fault.Invalid, strings.Join(f.outputs, ", "), paramOutputs)
	}
	return f, nil
}

// accepts tells whether a request's Accept header names npy files before JSON.
func accepts(header map[string][]string) bool {
	for name, values := range header {
		if !strings.EqualFold(name, "Accept") {
			continue
		}
		for kind := range strings.SplitSeq(strings.Join(values, ","), ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if kind = strings.TrimSpace(kind); isNPY(kind) {
				return true
			} else if strings.EqualFold(kind, "application/json") || kind == "*/*" {
				return false
			}
		}
	}
	return false
}

// isNPY tells whether a media type is one that npy files go by.
func isNPY(contentType string) bool {
	return strings.EqualFold(contentType, npyType) || strings.EqualFold(contentType, "application/npy") || strings.EqualFold(contentType, "application/x-numpy")
}

// Postprocess answers the one output as lists, or an object of the outputs, or a file. An input without the axis of a batch
// is answered without one.
func (p passer) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	f, err := p.form(req)
	if err != nil {
		return handler.Answer{}, err
	}
	bare, err := p.bare(req)
	if err != nil {
		return handler.Answer{}, err
	}
	answer := handler.Answer{Tensors: tensor.Named{}}
	object := make(handler.Object, len(f.outputs))
	var t tensor.Tensor
	for i, name := range f.outputs {
		answer.Tensors[name] = out[name]
		t = out[name]
		if shape := t.Shape(); bare && len(shape) > 0 && shape[0] == 1 {
			if t, err = t.Reshape(shape[1:]...); err != nil {
				return handler.Answer{}, err
			}
		}
		object[i] = handler.Member{Key: name, Value: t}
	}
	switch {
	case f.format == formatNPY:
		answer.ContentType = npyType
		answer.Value, err = writeNPY(t)
	case len(object) == 1:
		answer.Value = t
	default:
		answer.Value = object
	}
	return answer, err
}
