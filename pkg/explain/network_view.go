package explain

import (
	"context"
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// view is a network's function by way of one of its gradients: the plain one, one with another rule for Relu, or that of the
// graph behind a cut.
type view struct {
	f     *netFunction
	aim   aim
	input tensor.Named // the function's, as the gradient takes it
}

// Scores runs the rows. The network itself answers where the scores are its output.
func (v view) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	if v.f.direct && v.aim.cut == "" {
		return function{session: v.f.net.opts.Session, output: v.f.of.Output}.Scores(ctx, rows, targets)
	}
	d, done, err := v.trusted(ctx, targets)
	if err != nil {
		return nil, err
	}
	defer done()
	scores, _, err := d.run(ctx, rows, v.f.goals(targets))
	return scores, err
}

// Gradients runs the rows through the gradient's graph.
func (v view) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	d, done, err := v.trusted(ctx, targets)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	want := make([]string, len(d.to))
	for i, name := range d.to {
		want[i] = d.built.Grads[name]
	}
	scores, out, err := d.run(ctx, rows, v.f.goals(targets), want...)
	if err != nil {
		return nil, nil, err
	}
	grads := make(tensor.Named, len(d.to))
	for _, name := range d.to {
		grads[name] = out[d.built.Grads[name]]
	}
	return scores, grads, nil
}

func (f *netFunction) goals(targets []int) goals { return goals{targets: targets, shape: f.scored} }

// trusted returns the gradient once its graph is known to answer the input as the network does at the targets, and the
// function that says that the caller is done with it.
func (v view) trusted(ctx context.Context, targets []int) (*derived, func(), error) {
	d, done, err := v.f.derived(ctx, v.aim)
	if err != nil {
		return nil, nil, err
	}
	answer, err := v.answer(ctx, d)
	if err == nil {
		err = v.f.compare(answer, targets)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return d, done, nil
}

// answer returns what the gradient's graph says that the network answers to the input.
func (v view) answer(ctx context.Context, d *derived) ([]float64, error) {
	f := v.f
	f.mu.Lock()
	known, ok := f.answers[v.aim]
	f.mu.Unlock()
	if ok {
		return known, nil
	}
	_, out, err := d.run(ctx, v.input, f.goals([]int{0}), f.of.Output)
	if err != nil {
		return nil, err
	}
	if known, err = doubles(out[f.of.Output]); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[v.aim] = known
	for _, op := range d.built.Straight {
		f.straight[op] = true
	}
	return known, nil
}

// tolerance is by how much a derived graph may score the input otherwise than the network: the sum of a part of the score
// and a part of the largest of all. The same operators in another order differ by far less, another network by more.
type tolerance struct{ ofScore, ofLargest float64 }

// compare returns [fault.Unsupported] where a derived graph's answer to the input is not what the network answers to it.
func (f *netFunction) compare(answer []float64, targets []int) error {
	limit := tolerance{ofScore: 1e-2, ofLargest: 1e-4}
	if f.rounding { // a little more or less before it becomes a step
		limit = tolerance{ofScore: 5e-2, ofLargest: 1e-2}
	}
	if len(answer) != len(f.own) {
		return fmt.Errorf("%w: the graph of its gradient has %d scores for this input, the network itself %d, so that it is the gradient of another network",
			fault.Unsupported, len(answer), len(f.own))
	}
	largest := 0.0
	for _, v := range f.own {
		largest = max(largest, math.Abs(v))
	}
	for _, target := range targets {
		if target < 0 || target >= len(answer) {
			continue // who runs them says so
		}
		got, own := answer[target], f.own[target]
		finite := !math.IsNaN(own) && !math.IsInf(largest, 0)
		if off := math.Abs(got - own); finite && !(off <= limit.ofScore*math.Abs(own)+limit.ofLargest*largest) {
			return fmt.Errorf("%w: the graph of its gradient scores this input %.4g at %d, the network itself %.4g, so that it is the gradient of another network",
				fault.Unsupported, got, target, own)
		}
	}
	return nil
}
