package explain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Scores says which scores of a network are differentiated.
type Scores uint8

// The scores.
const (
	ScoresBest    Scores = iota // what is best explained: the output, or what a Softmax at the network's end reads
	ScoresOutput                // the output as it is
	ScoresSoftmax               // the Softmax of the output, over its last axis
)

// At returns one of the network's outputs as a function of inputs of row's types and shapes, differentiable by those of them
// that hold floats. The function keeps [Layered], [Ruled], [Cutter], [Outputter] and [Sizer] too. The gradient is made here
// where it was not before. At returns [fault.Unsupported], a [gradient.UnsupportedError] where an operator is the reason,
// when there is none; the function can then still be cut.
func (n *Network) At(ctx context.Context, output string, scores Scores, row tensor.Named) (Function, error) {
	f := n.function(output, scores, row)
	l, done, err := f.learned(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	f.perRow, f.stepped, f.scored = l.perRow, l.of != output && scores == ScoresBest, l.row
	if !l.steady() {
		if f.scored, err = n.answer(ctx, output, row); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(l.graph.Inputs, func(v onnx.Value) bool { return v.Type.DType() == tensor.Float32 }) {
		return f, nil // whoever wants a gradient cuts it at an embedding first
	}
	_, done, err = f.gradient(ctx, aim{})
	if err != nil {
		return nil, err
	}
	done()
	return f, nil
}

// function returns what is known of one output for inputs of row's shapes before anything was learned.
func (n *Network) function(output string, scores Scores, row tensor.Named) *netFunction {
	return &netFunction{net: n, output: output, scores: scores, row: row, shape: fmt.Sprint(output, scores, shapesOf(row))}
}

// shapesOf describes the inputs that a gradient is made for. Sequences may have any length.
func shapesOf(row tensor.Named) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(row)) {
		t := row[name]
		shape := t.Shape()[1:]
		if t.DType() == tensor.Int64 || t.DType() == tensor.Int32 {
			shape = nil
		}
		parts = append(parts, fmt.Sprint(name, t.DType(), shape))
	}
	return strings.Join(parts, " ")
}

// netFunction is a network's output for one shape of its inputs.
type netFunction struct {
	net     *Network
	output  string
	scores  Scores
	row     tensor.Named // one row, to learn from
	shape   string       // the key of all that is made for it
	perRow  int64
	stepped bool
	scored  []int64 // the shape of its scores; nil: the one that was learned
}

// Output says what the scores are.
func (f *netFunction) Output() string {
	switch {
	case f.scores == ScoresSoftmax:
		return OutputProbabilities
	case f.stepped:
		return OutputLogits
	}
	return ""
}

// RowBytes returns how many bytes the floats of one row take.
func (f *netFunction) RowBytes() int64 { return f.perRow }

// learned returns what is known of the network for this shape.
func (f *netFunction) learned(ctx context.Context) (*learned, func(), error) {
	r, done, err := f.net.share(ctx, f.shape, func(ctx context.Context) (resource, error) {
		return f.net.learn(ctx, f.output, f.scores, f.row)
	})
	if err != nil {
		return nil, nil, err
	}
	return r.(*learned), done, nil
}

// aim is what is wanted of a gradient beyond the scores' by the inputs.
type aim struct {
	rule  gradient.ReluRule
	layer string // by this tensor, which is given too, instead of by the inputs
	cut   string // of the graph behind this tensor, by it
}

// gradient is an opened gradient.
type opened struct {
	session engine.Session
	built   *gradient.Graph
	to      []string // what it is by
	row     []int64  // the shape of one row of the scores
	alone   bool     // rows are run one by one
	size    int64
}

func (o *opened) Close() error { return o.session.Close() }
func (o *opened) bytes() int64 { return o.size }

// gradient returns the gradient that p asks for.
func (f *netFunction) gradient(ctx context.Context, p aim) (*opened, func(), error) {
	r, done, err := f.net.share(ctx, fmt.Sprintf("%s %+v", f.shape, p), func(ctx context.Context) (resource, error) {
		l, done, err := f.learned(ctx) // held as long as the build takes, however soon its caller gives up
		if err != nil {
			return nil, err
		}
		defer done()
		return f.net.derive(ctx, l, p)
	})
	if err != nil {
		return nil, nil, err
	}
	o := *r.(*opened)
	if f.scored != nil {
		o.row = f.scored // another text's scores may be of another length
	}
	return &o, done, nil
}

// derive makes a gradient and opens it.
func (n *Network) derive(ctx context.Context, l *learned, p aim) (*opened, error) {
	g := l.graph
	opts := gradient.Options{Of: l.of, Relu: p.rule, Compact: l.weights > n.compactAbove}
	switch {
	case p.cut != "":
		g = g.Clone()
		if err := g.Cut(p.cut, l.facts); err != nil {
			return nil, err
		}
		opts.To = []string{p.cut}
	case p.layer != "":
		opts.To, opts.Keep = []string{p.layer}, []string{p.layer}
	default:
		if opts.To = l.inputs(); len(opts.To) == 0 {
			return nil, l.unmoved()
		}
	}
	built, err := gradient.Build(g, l.facts, opts)
	if err != nil {
		return nil, err
	}
	data := built.Model.Marshal()
	s, err := n.opts.Open(ctx, engine.Network{Bytes: data}, n.opts.Engine)
	if err != nil {
		return nil, fmt.Errorf("open the gradient: %w", err)
	}
	return &opened{
		session: n.opts.Guard(s), built: built, to: opts.To, row: l.row, alone: !l.together, size: int64(len(data)),
	}, nil
}

// unmoved is the refusal of a network none of whose inputs can change the scores a little.
func (l *learned) unmoved() error {
	if slices.ContainsFunc(l.graph.Inputs, func(v onnx.Value) bool { return v.Type.DType() == tensor.Float32 }) {
		return fmt.Errorf("%w: no input of floats changes %q a little: whatever leads there moves in steps", fault.Unsupported, l.output)
	}
	return fmt.Errorf("%w: none of the network's inputs holds floats, so none can change a little; %s takes the tensor that they are looked up as",
		fault.Unsupported, layerIntegratedGradients)
}

// run returns the scores of the rows, and what else is wanted of the gradient's graph.
func (o *opened) run(ctx context.Context, rows tensor.Named, targets []int, want ...string) ([]float64, tensor.Named, error) {
	if o.alone && len(targets) > 1 {
		return o.runAlone(ctx, rows, targets, want)
	}
	in, err := asFloat32(taken(o.session, rows))
	if err != nil {
		return nil, nil, err
	}
	if in[o.built.Seed], err = o.seed(targets); err != nil {
		return nil, nil, err
	}
	out, err := o.session.Run(ctx, in, append(want, o.built.Of)...)
	if err != nil {
		return nil, nil, err
	}
	scores, err := pick(out[o.built.Of], targets)
	return scores, out, err
}

// runAlone runs the rows one by one, where a network does not take several.
func (o *opened) runAlone(ctx context.Context, rows tensor.Named, targets []int, want []string) ([]float64, tensor.Named, error) {
	var scores []float64
	var parts []tensor.Named
	for i, target := range targets {
		row, err := rows.Rows(int64(i), int64(i)+1)
		if err != nil {
			return nil, nil, err
		}
		score, out, err := o.run(ctx, row, []int{target}, want...)
		if err != nil {
			return nil, nil, err
		}
		scores, parts = append(scores, score...), append(parts, out)
	}
	all, _, err := tensor.Stack(parts)
	return scores, all, err
}

// seed returns the adjoint of the scores: in each row a 1 at its target.
func (o *opened) seed(targets []int) (tensor.Tensor, error) {
	size, err := tensor.Size(o.row)
	if err != nil {
		return tensor.Tensor{}, err
	}
	data := make([]float32, int(size)*len(targets))
	for i, target := range targets {
		if target < 0 || int64(target) >= size {
			return tensor.Tensor{}, fmt.Errorf("%w: target %d, there are %d scores", fault.Invalid, target, size)
		}
		data[i*int(size)+target] = 1
	}
	return tensor.New(append([]int64{int64(len(targets))}, o.row...), data)
}

// pick returns the targets' scores.
func pick(out tensor.Tensor, targets []int) ([]float64, error) {
	all, err := doubles(out)
	if err != nil {
		return nil, err
	}
	size := len(all) / len(targets)
	scores := make([]float64, len(targets))
	for i, target := range targets {
		scores[i] = all[i*size+target]
	}
	return scores, nil
}

// Scores runs the rows. The network itself answers where its output is what is differentiated.
func (f *netFunction) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	o, done, err := f.gradient(ctx, aim{})
	if err != nil {
		return nil, err
	}
	defer done()
	if o.built.Of == f.output {
		return function{session: f.net.opts.Session, output: f.output}.Scores(ctx, rows, targets)
	}
	scores, _, err := o.run(ctx, rows, targets)
	return scores, err
}

// Gradients runs the rows through the gradient's graph.
func (f *netFunction) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	return f.gradients(ctx, aim{}, rows, targets)
}

func (f *netFunction) gradients(ctx context.Context, p aim, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	o, done, err := f.gradient(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	want := make([]string, len(o.to))
	for i, name := range o.to {
		want[i] = o.built.Grads[name]
	}
	scores, out, err := o.run(ctx, rows, targets, want...)
	if err != nil {
		return nil, nil, err
	}
	grads := make(tensor.Named, len(o.to))
	for _, name := range o.to {
		grads[name] = out[o.built.Grads[name]]
	}
	return scores, grads, nil
}

// WithRelu returns the function with the gradient that a rule for Relu makes.
func (f *netFunction) WithRelu(_ context.Context, rule ReluRule) (Differentiable, error) {
	return &planned{netFunction: f, aim: aim{rule: gradient.ReluRule(rule)}}, nil
}

// planned is the network's function with another gradient.
type planned struct {
	*netFunction
	aim aim
}

// Gradients runs the rows through the gradient's graph.
func (p *planned) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	return p.gradients(ctx, p.aim, rows, targets)
}

// Layer looks at a tensor within.
func (f *netFunction) Layer(ctx context.Context, layer string, rows tensor.Named, targets []int) (Layer, error) {
	name, err := f.inner(ctx, layer, false)
	if err != nil {
		return Layer{}, err
	}
	o, done, err := f.gradient(ctx, aim{layer: name})
	if err != nil {
		return Layer{}, err
	}
	defer done()
	grad := o.built.Grads[name]
	_, out, err := o.run(ctx, rows, targets, name, grad)
	return Layer{Name: name, Activations: out[name], Gradients: out[grad]}, err
}

// inner returns the name of a tensor within: the default one of its kind for "". It returns [fault.Invalid] for others.
func (f *netFunction) inner(ctx context.Context, name string, cut bool) (string, error) {
	l, done, err := f.learned(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	if name == "" {
		if e, ok := l.graph.Embedding(); ok && cut {
			return e.Output, nil
		}
		if name, ok := l.graph.DefaultLayer(l.facts); ok {
			return name, nil
		}
		return "", fmt.Errorf("%w: the network has no layer of four axes before a pooling: name one with layer", fault.Unsupported)
	}
	if d := l.facts.Types[name]; d == tensor.Float32 && l.graph.Producer(name) != nil {
		return name, nil
	}
	var known []string
	for _, n := range l.graph.Nodes {
		for _, out := range n.Outputs {
			if l.facts.Types[out] == tensor.Float32 {
				known = append(known, out)
			}
		}
	}
	return "", fmt.Errorf("%w: layer %q: the network has no such tensor%s (it has %s)", fault.Invalid, short(name), nearest.Hint(name, known), lastOf(known))
}

// lastOf names the last of many.
func lastOf(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%d, the last ones %s", len(names), strings.Join(names[len(names)-most:], ", "))
	}
	return strings.Join(names, ", ")
}

// Cut cuts the network at a tensor.
func (f *netFunction) Cut(ctx context.Context, name string, input, baseline tensor.Named) (after Differentiable, x, b tensor.Named, cut string, err error) { //nolint:revive // Cutter's results
	if cut, err = f.inner(ctx, name, true); err != nil {
		return nil, nil, nil, "", err
	}
	if x, err = f.before(ctx, cut, input); err != nil {
		return nil, nil, nil, "", err
	}
	whole := maps.Clone(input)
	maps.Copy(whole, baseline)
	if b, err = f.before(ctx, cut, whole); err != nil {
		return nil, nil, nil, "", err
	}
	behind := &cutFunction{planned{netFunction: f, aim: aim{cut: cut}}}
	o, done, err := f.gradient(ctx, behind.aim)
	if err != nil {
		return nil, nil, nil, "", err
	}
	defer done()
	return behind, taken(o.session, x), taken(o.session, b), cut, nil
}

// before returns a row with the tensor at which the network is cut.
func (f *netFunction) before(ctx context.Context, name string, row tensor.Named) (tensor.Named, error) {
	r, done, err := f.net.share(ctx, f.shape+" before "+name, func(ctx context.Context) (resource, error) {
		l, done, err := f.learned(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		g := l.graph.Clone()
		g.Outputs = []onnx.Value{{Name: name}}
		g.Prune()
		data := g.Marshal()
		s, err := f.net.opts.Open(ctx, engine.Network{Bytes: data}, f.net.opts.Engine)
		if err != nil {
			return nil, err
		}
		return &opened{session: f.net.opts.Guard(s), size: int64(len(data))}, nil
	})
	if err != nil {
		return nil, err
	}
	defer done()
	row, err = asFloat32(row)
	if err != nil {
		return nil, err
	}
	s := r.(*opened).session
	out, err := s.Run(ctx, taken(s, row), name)
	if err != nil {
		return nil, err
	}
	whole := maps.Clone(row)
	whole[name] = out[name]
	return whole, nil
}

// cutFunction is the network behind a tensor.
type cutFunction struct{ planned }

// Scores runs the rows.
func (c *cutFunction) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	o, done, err := c.gradient(ctx, c.aim)
	if err != nil {
		return nil, err
	}
	defer done()
	scores, _, err := o.run(ctx, rows, targets)
	return scores, err
}
