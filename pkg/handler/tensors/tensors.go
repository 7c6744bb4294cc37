// Package tensors is the handler of networks that need no handling, base_handler: tensors in, tensors out, as JSON lists or
// as NumPy's npy files, of any number of inputs and outputs.
package tensors

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// settings are the handler section of a manifest.
type settings struct {
	Outputs []string `yaml:"outputs"` // those that are answered, in this order; empty: all
}

type passer struct {
	handler.Base

	inputs  []engine.Value
	outputs []string // that are answered
}

// New builds the handler for a network of tensors. It is a handler.Factory.
func New(env handler.Env) (handler.Handler, error) {
	var s settings
	if err := handler.Configure(env.Config, &s); err != nil {
		return nil, err
	}
	signature := env.Session.Signature()
	for _, v := range slices.Concat(signature.Inputs, signature.Outputs) {
		if v.DType == tensor.Undefined {
			return nil, fmt.Errorf("%w: %q is no tensor, or one of a type that cannot be sent", fault.BadModel, v.Name)
		}
	}
	p := passer{Base: handler.Base{Env: env}, inputs: signature.Inputs}
	for _, v := range signature.Outputs {
		p.outputs = append(p.outputs, v.Name)
	}
	if len(s.Outputs) > 0 {
		if err := p.have(s.Outputs); err != nil {
			return nil, fmt.Errorf("%w: handler setting outputs: %w", fault.BadModel, err)
		}
		p.outputs = s.Outputs
	}
	return p, nil
}

// have says which of the names is no output that is answered, or is there twice.
func (p passer) have(names []string) error {
	for i, name := range names {
		if !slices.Contains(p.outputs, name) {
			return fmt.Errorf("there is no output %q%s (there are %s)", name, nearest.Hint(name, p.outputs), strings.Join(p.outputs, ", "))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("output %q is named twice", name)
		}
	}
	return nil
}

// Preprocess reads the network's inputs from the parts of the request, or from the members of one JSON object.
func (p passer) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	if err := handler.CheckParams(req, Params()...); err != nil {
		return nil, err
	}
	if req.Mode == model.ModePredict {
		if _, err := p.form(req); err != nil {
			return nil, err
		}
	}
	return p.read(req)
}

// Inference runs the network, for the outputs that are answered.
func (p passer) Inference(ctx context.Context, in tensor.Named) (tensor.Named, error) {
	return p.Env.Session.Run(ctx, in, p.outputs...)
}

// Describe tells what the network takes and gives.
func (p passer) Describe(context.Context) (map[string]any, error) {
	signature := p.Env.Session.Signature()
	return map[string]any{
		"kind":    "base_handler",
		"inputs":  listed(signature.Inputs),
		"outputs": listed(signature.Outputs),
		"formats": []string{formatJSON, formatNPY},
	}, nil
}

func listed(values []engine.Value) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return all
}
