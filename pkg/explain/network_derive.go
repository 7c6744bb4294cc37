package explain

import (
	"context"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// aim says which graph is derived from the network's: the gradient of the scores by the inputs, unless something else is
// said. It is part of the key under which the graph is kept.
type aim struct {
	rule     gradient.ReluRule
	straight bool   // what rounds is taken for the identity
	layer    string // the gradient by this tensor, which is given too
	cut      string // the gradient of the graph behind this tensor, by it
	before   string // no gradient: the graph that makes this tensor
}

// derived is a derived graph, opened.
type derived struct {
	session engine.Session
	built   *gradient.Graph // nil where it is no gradient
	to      []string        // what it is by
	alone   bool            // rows are run one by one
	size    int64
}

// Close closes the session.
func (d *derived) Close() error { return d.session.Close() }

// bytes is about what the session takes: its graph with the weights.
func (d *derived) bytes() int64 { return d.size }

// derive makes a graph and opens it.
func (n *Network) derive(ctx context.Context, l *learned, p aim) (*derived, error) {
	d := &derived{alone: !l.together}
	var g *onnx.Graph
	if p.before != "" {
		g = l.graph.Clone()
		g.Outputs = []onnx.Value{{Name: p.before}}
		g.Prune()
	} else {
		var err error
		if d.built, d.to, err = l.gradient(p, l.weights > n.compactAbove); err != nil {
			return nil, err
		}
		g = d.built.Model
	}
	data := g.Marshal()
	s, err := n.opts.Open(ctx, engine.Network{Bytes: data}, n.opts.Engine)
	if err != nil {
		return nil, fmt.Errorf("open the gradient: %w", err)
	}
	d.session, d.size = n.opts.Guard(s), int64(len(data))
	return d, nil
}

// gradient makes the gradient that is planned; to is what it is by. Its graph gives the network's output too.
func (l *learned) gradient(p aim, compact bool) (built *gradient.Graph, to []string, err error) {
	g := l.graph
	opts := gradient.Options{Of: l.of, Keep: []string{l.output}, Relu: p.rule, StraightThrough: p.straight, Compact: compact}
	switch {
	case p.cut != "":
		g = g.Clone()
		if err := g.Cut(p.cut, l.facts); err != nil {
			return nil, nil, err
		}
		opts.To = []string{p.cut}
	case p.layer != "":
		opts.To, opts.Keep = []string{p.layer}, append(opts.Keep, p.layer)
	default:
		if opts.To = l.inputs(p.straight); len(opts.To) == 0 {
			return nil, nil, l.unmoved(p)
		}
	}
	built, err = gradient.Build(g, l.facts, opts)
	return built, opts.To, err
}

// unmoved is the refusal of a network none of whose inputs can change the scores a little.
func (l *learned) unmoved(p aim) error {
	if !l.floats() {
		return fmt.Errorf("%w: none of the network's inputs holds floats, so none can change a little; %s takes the tensor that they are looked up as",
			fault.Unsupported, layerIntegratedGradients)
	}
	hint := ""
	if !p.straight && len(l.inputs(true)) > 0 {
		hint = "; " + straightThrough + " takes the steps for the identity"
	}
	return fmt.Errorf("%w: no input of floats changes %q a little: whatever leads there moves in steps%s", fault.Unsupported, l.output, hint)
}

// goals are the scores that are differentiated: one a row.
type goals struct {
	targets []int
	shape   []int64 // of a row of scores
}

// adjoint returns the adjoint of the scores: in each row a 1 at its target.
func (a goals) adjoint() (tensor.Tensor, error) {
	size, err := tensor.Size(a.shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	data := make([]float32, int(size)*len(a.targets))
	for i, target := range a.targets {
		if target < 0 || int64(target) >= size {
			return tensor.Tensor{}, fmt.Errorf("%w: target %d, there are %d scores", fault.Invalid, target, size)
		}
		data[i*int(size)+target] = 1
	}
	return tensor.New(append([]int64{int64(len(a.targets))}, a.shape...), data)
}

// pick returns the targets' scores.
func (a goals) pick(out tensor.Tensor) ([]float64, error) {
	all, err := doubles(out)
	if err != nil {
		return nil, err
	}
	size := len(all) / len(a.targets)
	scores := make([]float64, len(a.targets))
	for i, target := range a.targets {
		if target >= size {
			return nil, fmt.Errorf("%w: target %d, the rows of the scores %v have %d", fault.Unsupported, target, out, size)
		}
		scores[i] = all[i*size+target]
	}
	return scores, nil
}

// run returns the scores of the rows, and what else is wanted of the gradient's graph.
func (d *derived) run(ctx context.Context, rows tensor.Named, a goals, want ...string) ([]float64, tensor.Named, error) {
	if d.alone && len(a.targets) > 1 {
		return d.runAlone(ctx, rows, a, want)
	}
	in, err := asFloat32(taken(d.session, rows))
	if err != nil {
		return nil, nil, err
	}
	if in[d.built.Seed], err = a.adjoint(); err != nil {
		return nil, nil, err
	}
	if !slices.Contains(want, d.built.Of) {
		want = append(slices.Clip(want), d.built.Of)
	}
	out, err := d.session.Run(ctx, in, want...)
	if err != nil {
		return nil, nil, err
	}
	scores, err := a.pick(out[d.built.Of])
	return scores, out, err
}

// runAlone runs the rows one by one, where a network does not take several.
func (d *derived) runAlone(ctx context.Context, rows tensor.Named, a goals, want []string) ([]float64, tensor.Named, error) {
	var scores []float64
	var parts []tensor.Named
	for i, target := range a.targets {
		row, err := rows.Rows(int64(i), int64(i)+1)
		if err != nil {
			return nil, nil, err
		}
		score, out, err := d.run(ctx, row, goals{targets: []int{target}, shape: a.shape}, want...)
		if err != nil {
			return nil, nil, err
		}
		scores, parts = append(scores, score...), append(parts, out)
	}
	all, _, err := tensor.Stack(parts)
	return scores, all, err
}
