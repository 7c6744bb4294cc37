package pipeline

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Warm runs the network once, on the smallest input that is known to fit: the handler's example, or else zeros of the
// sizes that the signature fixes. What the first request would have paid for is then done. It returns [fault.BadModel]
// when the network cannot run on the handler's example; that zeros do not fit a network says nothing.
func (p *Pipeline) Warm(ctx context.Context) (err error) {
	defer func() { p.recovered(recover(), &err) }()
	known, ok := p.handler.(handler.Exampler)
	if !ok {
		return p.warmOnZeros(ctx)
	}
	in, err := known.Example()
	if err != nil {
		return err
	}
	if _, err := p.handler.Inference(ctx, in); err != nil {
		return fmt.Errorf("warm up model %s: %w: %w", p.ref, fault.BadModel, err)
	}
	return nil
}

func (p *Pipeline) warmOnZeros(ctx context.Context) error {
	in, err := p.zeros()
	if err != nil {
		return nil //nolint:nilerr // not every input is a tensor
	}
	if _, err := p.handler.Inference(ctx, in); err != nil {
		return ctx.Err() //nolint:wrapcheck // only that the caller gave up counts
	}
	return nil
}

func (p *Pipeline) zeros() (tensor.Named, error) {
	in := tensor.Named{}
	for _, v := range p.Signature().Inputs {
		t, err := tensor.Make(v.DType, smallest(v.Shape))
		if err != nil {
			return nil, fmt.Errorf("input %v: %w", v, err)
		}
		in[v.Name] = t
	}
	return in, nil
}

// Try answers one prediction, from the input to the encoded answer: of the handler's sample, or else of zeros. Only of its
// own sample does a handler know that it has to be answered: that the network refuses zeros says nothing, and sample is
// false then.
func (p *Pipeline) Try(ctx context.Context) (resp *model.Response, sample bool, err error) {
	defer func() { p.recovered(recover(), &err) }()
	if known, ok := p.handler.(handler.Sampler); ok {
		resp, err := p.Predict(ctx, p.ref, &model.Request{Inputs: known.Sample()})
		return resp, true, err
	}
	in, err := p.zeros()
	if err != nil {
		return nil, false, err
	}
	req := &model.Request{}
	for _, v := range p.Signature().Inputs {
		t := in[v.Name]
		req.Inputs = append(req.Inputs, model.Input{Name: v.Name, Tensor: &t})
	}
	resp, err = p.Predict(ctx, p.ref, req)
	return resp, false, err
}

// smallest returns a shape with 1 for every dimension that is not fixed.
func smallest(dims []engine.Dim) []int64 {
	shape := make([]int64, len(dims))
	for i, d := range dims {
		shape[i] = max(1, d.Size)
	}
	return shape
}

// About returns what is known of the model. Its session takes at least the bytes that it has on disk; the gradients that
// explanations have asked for come on top.
func (p *Pipeline) About() model.About {
	s := p.Signature()
	return model.About{Inputs: valuesOf(s.Inputs), Outputs: valuesOf(s.Outputs), Memory: p.source.Size + p.network.Memory()}
}

func valuesOf(all []engine.Value) []model.Value {
	values := make([]model.Value, len(all))
	for i, v := range all {
		values[i] = model.Value{Name: v.Name, DType: v.DType, Shape: make([]int64, len(v.Shape))}
		for axis, d := range v.Shape {
			values[i].Shape[axis] = max(-1, d.Size)
		}
	}
	return values
}
