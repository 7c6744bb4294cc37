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
	in := tensor.Named{}
	for _, v := range p.Signature().Inputs {
		t, err := tensor.Make(v.DType, smallest(v.Shape))
		if err != nil {
			return nil //nolint:nilerr // not every input is a tensor
		}
		in[v.Name] = t
	}
	if _, err := p.handler.Inference(ctx, in); err != nil {
		return ctx.Err() //nolint:wrapcheck // only that the caller gave up counts
	}
	return nil
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
	return model.About{Inputs: valuesOf(s.Inputs), Outputs: valuesOf(s.Outputs), Memory: p.source.Size + p.network.Memory(), Source: p.source.Source}
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
