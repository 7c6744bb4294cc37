package explain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/nearest"
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

// Wanted says which function of a network is wanted.
type Wanted struct {
	Output          string // of the network
	Scores          Scores // that are made of it
	StraightThrough bool   // what rounds is taken for the identity, where a gradient is to pass it
}

// At returns one of the network's outputs as a function of inputs of input's types and shapes, differentiable by those of
// them that hold floats. The function keeps [Layered], [Ruled], [Cutter], [Outputter], [Sizer] and [Approximator] too. The
// gradient is made here where it was not before. At returns [fault.Unsupported], a [gradient.UnsupportedError] where an
// operator is the reason, when there is none; the function can then still be cut.
//
// What is computed comes from graphs that were derived from the network's file. Each of them is run on input before it is
// used: where it scores that otherwise than the network itself does, by more than rounding explains, the function returns
// [fault.Unsupported] rather than the gradient of another network.
func (n *Network) At(ctx context.Context, w Wanted, input tensor.Named) (Function, error) {
	f := n.function(w, input)
	l, done, err := f.learned(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	f.rowBytes, f.direct, f.rounding = l.rowBytes(input), l.of == w.Output, l.rounding || w.StraightThrough
	if err := f.ask(ctx); err != nil {
		return nil, err
	}
	if !l.floats() {
		return f, nil // whoever wants a gradient cuts it at an embedding first
	}
	_, done, err = f.derived(ctx, f.whole().aim)
	if err != nil {
		return nil, err
	}
	done()
	return f, nil
}

// function returns what is known of one output for inputs of input's shapes before anything was learned.
func (n *Network) function(w Wanted, input tensor.Named) *netFunction {
	return &netFunction{
		net: n, of: w, input: input, shape: fmt.Sprint(w.Output, w.Scores, shapesOf(input)),
		answers: map[aim][]float64{}, straight: map[string]bool{},
	}
}

// shapesOf describes the inputs that a gradient is made for. Sequences may have any length.
func shapesOf(input tensor.Named) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(input)) {
		t := input[name]
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
	net      *Network
	of       Wanted
	input    tensor.Named // one row, that is learned from and that derived graphs are tried on
	shape    string       // the key of all that is made for it
	rowBytes int64
	direct   bool      // the scores are the network's output itself
	rounding bool      // the network rounds, so that a derived graph answers nearly as it does only
	own      []float64 // what the network answers to input, flattened
	scored   []int64   // the shape of that without the batch axis, and of a row of scores

	mu       sync.Mutex        // guards what follows
	answers  map[aim][]float64 // what derived graphs answer to input
	straight map[string]bool   // the operators that gradients took for the identity
}

// ask asks the network itself for its answer to the input.
func (f *netFunction) ask(ctx context.Context) error {
	out, err := f.net.opts.Session.Run(ctx, f.input, f.of.Output)
	if err != nil {
		return err
	}
	t := out[f.of.Output]
	if shape := t.Shape(); len(shape) == 0 || shape[0] != 1 {
		return fmt.Errorf("%w: the network answers one row with %q %v", fault.Unsupported, f.of.Output, t)
	}
	f.scored = slices.Clone(t.Shape()[1:])
	f.own, err = doubles(t)
	return err
}

// Output says what the scores are.
func (f *netFunction) Output() string {
	switch {
	case f.of.Scores == ScoresSoftmax:
		return OutputProbabilities
	case f.of.Scores == ScoresBest && !f.direct:
		return OutputLogits
	}
	return ""
}

// RowBytes returns how many bytes the floats of one row take.
func (f *netFunction) RowBytes() int64 { return f.rowBytes }

// Approximated returns the operators that the gradients so far took for the identity.
func (f *netFunction) Approximated() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.straight))
}

// learned returns what is known of the network for this shape.
func (f *netFunction) learned(ctx context.Context) (*learned, func(), error) {
	r, done, err := f.net.share(ctx, f.shape, func(ctx context.Context) (resource, error) {
		return f.net.learn(ctx, f.of, f.input)
	})
	if err != nil {
		return nil, nil, err
	}
	return r.(*learned), done, nil
}

// derived returns the graph that is planned, opened, and the function that says that the caller is done with it.
func (f *netFunction) derived(ctx context.Context, p aim) (*derived, func(), error) {
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
	return r.(*derived), done, nil
}

// whole is the function by the network's inputs.
func (f *netFunction) whole() view { return f.seen(aim{}, f.input) }

// seen returns the function by way of the gradient that is planned; input is the function's, as that gradient takes it.
func (f *netFunction) seen(p aim, input tensor.Named) view {
	p.straight = f.of.StraightThrough
	return view{f: f, aim: p, input: input}
}

// Scores runs the rows.
func (f *netFunction) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	return f.whole().Scores(ctx, rows, targets)
}

// Gradients runs the rows through the gradient's graph.
func (f *netFunction) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	return f.whole().Gradients(ctx, rows, targets)
}

// WithRelu returns the function with the gradient that a rule for Relu makes.
func (f *netFunction) WithRelu(_ context.Context, rule ReluRule) (Differentiable, error) {
	return f.seen(aim{rule: gradient.ReluRule(rule)}, f.input), nil
}

// Layer looks at a tensor within.
func (f *netFunction) Layer(ctx context.Context, layer string, rows tensor.Named, targets []int) (Layer, error) {
	name, err := f.inner(ctx, layer, false)
	if err != nil {
		return Layer{}, err
	}
	d, done, err := f.seen(aim{layer: name}, f.input).trusted(ctx, targets)
	if err != nil {
		return Layer{}, err
	}
	defer done()
	grad := d.built.Grads[name]
	_, out, err := d.run(ctx, rows, f.goals(targets), name, grad)
	return Layer{Name: name, Activations: out[name], Gradients: out[grad]}, err
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
	own, err := f.before(ctx, cut, f.input)
	if err != nil {
		return nil, nil, nil, "", err
	}
	behind := f.seen(aim{cut: cut}, own)
	d, done, err := f.derived(ctx, behind.aim)
	if err != nil {
		return nil, nil, nil, "", err
	}
	defer done()
	return behind, taken(d.session, x), taken(d.session, b), cut, nil
}

// before returns a row with the tensor at which the network is cut.
func (f *netFunction) before(ctx context.Context, name string, row tensor.Named) (tensor.Named, error) {
	d, done, err := f.derived(ctx, aim{before: name})
	if err != nil {
		return nil, err
	}
	defer done()
	row, err = asFloat32(row)
	if err != nil {
		return nil, err
	}
	out, err := d.session.Run(ctx, taken(d.session, row), name)
	if err != nil {
		return nil, err
	}
	whole := maps.Clone(row)
	whole[name] = out[name]
	return whole, nil
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
