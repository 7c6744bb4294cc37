package pipeline

import (
	"context"
	"errors"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/handler"
)

// Explaining is how a model is explained when a request does not say how.
type Explaining struct {
	Differentiable bool   `json:"differentiable"`
	Operator       string `json:"operator,omitempty"` // that has no gradient
	Node           string `json:"node,omitempty"`     // of that operator
	Why            string `json:"why,omitempty"`      // the network is not differentiable
	Method         string `json:"defaultMethod"`
	Layer          string `json:"defaultLayer,omitempty"` // that class activation maps are made of; "": there is none
}

// Explaining tells how the model is explained. It reads the network's file, and nothing is run: the layer is left out.
func (p *Pipeline) Explaining() (Explaining, error) { return p.explaining() }

func (p *Pipeline) findExplaining() (Explaining, error) {
	method, err := p.network.Default()
	x := Explaining{Differentiable: err == nil, Method: method}
	if err == nil {
		return x, nil
	}
	if kind := fault.Of(err); kind != fault.Unsupported && kind != fault.BadModel { // the engine could read it: it may be in a form of its own
		return Explaining{}, err
	}
	x.Why = err.Error()
	var refused *gradient.UnsupportedError
	if errors.As(err, &refused) {
		x.Operator, x.Node, x.Why = refused.Op, refused.Node, refused.Why
	}
	return x, nil
}

// DefaultLayer returns the tensor within the network that class activation maps are made of unless a request names another;
// "" when there is none. It runs the network on its handler's example.
func (p *Pipeline) DefaultLayer(ctx context.Context) (string, error) {
	known, ok := p.handler.(handler.Exampler)
	if !ok {
		return "", nil
	}
	in, err := known.Example()
	if err != nil {
		return "", err
	}
	layer, err := p.network.DefaultLayer(ctx, in)
	if fault.Of(err) == fault.Unsupported {
		return "", nil
	}
	return layer, err
}
