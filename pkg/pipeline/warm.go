package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Cost is how long the network runs, measured on the warm-up's input once the network is warm: a lower bound where rows
// may be larger than that.
type Cost struct {
	Row     time.Duration // of one row alone; 0: not known
	Batch   int           // rows of the batch that InBatch was measured on; 0: none was
	InBatch time.Duration // of one row in that batch
}

// Warm runs the network on the smallest input that is known to fit: the handler's example, or else zeros of the sizes
// that the signature fixes. What the first request would have paid for is then done, and what a run costs is known. It
// returns [fault.BadModel] when the network cannot run on the handler's example; that zeros do not fit a network says
// nothing.
func (p *Pipeline) Warm(ctx context.Context) (cost Cost, err error) {
	defer func() { p.recovered(recover(), &err) }()
	in, known, err := p.example()
	if err != nil || in == nil {
		return Cost{}, err
	}
	if _, err := p.handler.Inference(ctx, in); err != nil {
		if known && ctx.Err() == nil {
			return Cost{}, fmt.Errorf("warm up model %s: %w: %w", p.ref, fault.BadModel, err)
		}
		return Cost{}, ctx.Err() //nolint:wrapcheck // only that the caller gave up counts
	}
	return p.measure(ctx, in)
}

// example returns an input of one row, and whether the handler knows that it fits; nil: there is none.
func (p *Pipeline) example() (in tensor.Named, known bool, err error) {
	if one, ok := p.handler.(handler.Exampler); ok {
		in, err = one.Example()
		return in, true, err
	}
	if in, err = p.zeros(); err != nil {
		return nil, false, nil //nolint:nilerr // not every input is a tensor
	}
	return in, false, nil
}

// What measuring may take: a model is not to start noticeably later for it.
const (
	measured      = 3 // runs of one kind, the fastest of which counts
	measuredBatch = 8
	measureLimit  = 50 * time.Millisecond
)

// measure runs a network that is warm on one row, and, where that is quick, on a batch.
func (p *Pipeline) measure(ctx context.Context, in tensor.Named) (cost Cost, err error) {
	if cost.Row, err = p.fastest(ctx, in); err != nil || cost.Row*measuredBatch > measureLimit {
		return cost, err
	}
	rows := make([]tensor.Named, measuredBatch)
	for i := range rows {
		rows[i] = in
	}
	batch, _, err := tensor.Stack(rows)
	if err != nil {
		return cost, nil //nolint:nilerr // not every input has rows
	}
	took, err := p.fastest(ctx, batch)
	if err == nil && took > 0 {
		cost.Batch, cost.InBatch = measuredBatch, took/measuredBatch
	}
	return cost, err
}

// fastest returns how long the fastest of a few runs took; zero where one failed, which is no reason not to serve.
func (p *Pipeline) fastest(ctx context.Context, in tensor.Named) (least time.Duration, err error) {
	for start, n := time.Now(), 0; n < measured && time.Since(start) < measureLimit; n++ {
		began := time.Now()
		if _, err := p.handler.Inference(ctx, in); err != nil {
			return 0, ctx.Err() //nolint:wrapcheck // only that the caller gave up counts
		}
		if took := time.Since(began); n == 0 || took < least {
			least = took
		}
	}
	return least, nil
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
