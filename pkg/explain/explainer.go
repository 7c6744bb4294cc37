package explain

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// defaultMemory is what a chunk's tensors may take when nothing says otherwise.
const defaultMemory = 256 << 20

// Options describe the network that is explained.
type Options struct {
	Session engine.Session // runs any number of rows; stays the caller's
	Labels  []string       // of the output's elements, by index; nil: there are none
	Output  string         // what the output's numbers are: logits, probabilities ...; "": called by the output's name
	Layout  Layout         // of inputs with channels; zero: told by their dimensions
	Pixels  *Pixels        // how pixels become the network's input; nil: not known, or no pixels
	Rows    int            // at most so many rows are run at once; 0: 8
	Memory  int64          // bytes that the inputs and outputs of the rows run at once may take; 0: 256 MiB

	// Probabilities turns one row of the output into probabilities, in place. It is called from many goroutines. Nil: they
	// are probabilities, or cannot become any.
	Probabilities func(row []float64)

	// Differentiate returns one of the network's outputs as a function that has a gradient, for inputs of input's shapes, as
	// [Network.At] does. It may keep any of the interfaces beside [Function], [Outputter], [Sizer] and [Approximator]; the
	// scores that are explained are its own, at the same index as the network's. It is called for each explanation from many goroutines, so
	// that it is for it to remember. It returns [fault.Unsupported], with the reason, for a network that has no gradient.
	// Nil: there is none.
	Differentiate func(ctx context.Context, w Wanted, input tensor.Named) (Function, error)
}

// Explainer explains the answers of one network. It is immutable and safe for concurrent use.
type Explainer struct{ opts Options }

// New returns an explainer. It returns [fault.Invalid] for options that cannot be used. Whether the network can be
// explained shows when it is asked.
func New(opts Options) (*Explainer, error) {
	switch {
	case opts.Session == nil:
		return nil, fmt.Errorf("%w: explainer without a session", fault.Invalid)
	case opts.Rows < 0 || opts.Memory < 0:
		return nil, fmt.Errorf("%w: explainer with %d rows and %d bytes: want neither below zero", fault.Invalid, opts.Rows, opts.Memory)
	case opts.Layout > ChannelsLast:
		return nil, fmt.Errorf("%w: explainer with layout %d", fault.Invalid, opts.Layout)
	}
	if opts.Pixels != nil {
		if err := opts.Pixels.check(); err != nil {
			return nil, err
		}
	}
	if opts.Rows == 0 {
		opts.Rows = chunkRows
	}
	if opts.Memory == 0 {
		opts.Memory = defaultMemory
	}
	return &Explainer{opts: opts}, nil
}

// Network returns the options that the explainer was made of: a handler that knows more about its inputs and outputs adds
// that, and makes its own with [New].
func (e *Explainer) Network() Options { return e.opts }

// Question asks why a network answers one input as it does.
type Question struct {
	Input  tensor.Named // one row, as the network takes it
	Params Params

	// Baseline is what the handler says stands for nothing, as padding in a text: one row of the inputs that are to be
	// attributed, all others stay as they are. Nil: what the parameters say.
	Baseline tensor.Named

	// Progress, where not nil, is told how far the explanation has come, one call at a time.
	Progress func(done, total int)
}

// Explain answers q. It returns [fault.Invalid] for an input or a parameter that does not fit, [fault.Unsupported] when
// this network cannot be explained that way, and promptly, with the context's error, when ctx ends.
func (e *Explainer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	began := time.Now()
	x, err := e.explain(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	x.Runtime.TotalMS = time.Since(began).Milliseconds()
	return x, nil
}

func (e *Explainer) explain(ctx context.Context, q Question) (*Explanation, error) {
	if q.Params.Method != "" {
		if _, err := byName(q.Params.Method); err != nil {
			return nil, err
		}
	}
	inputs, output, err := e.ends(q)
	if err != nil {
		return nil, err
	}
	baseline, kind, err := e.baseline(q, inputs)
	if err != nil {
		return nil, err
	}
	network := e.network(output)
	scores, rowBytes, err := network.row(ctx, q.Input)
	if err != nil {
		return nil, err
	}
	target, err := resolve(q.Params.Target, scores, e.opts.Labels)
	if err != nil {
		return nil, err
	}
	x, err := e.attempts(network, rowBytes).explain(ctx, Request{
		Input: q.Input, Baseline: baseline, Target: target, Params: q.Params, Layout: e.opts.Layout, Progress: q.Progress,
	})
	if err != nil {
		return nil, err
	}
	if x.Inputs == nil {
		x.Inputs = inputs
	}
	x.Layout, x.Baseline.Kind = e.opts.Layout, kind
	x.Runtime.ForwardEvaluations++ // the run that found the target
	e.tell(&x)
	return &x, nil
}

// ends returns the network's inputs that are attributed, in its order, and the output that is explained.
func (e *Explainer) ends(q Question) (inputs []string, output string, err error) {
	signature := e.opts.Session.Signature()
	named := func(which func(engine.Value) bool) []string {
		var found []string
		for _, v := range signature.Inputs {
			if which(v) {
				found = append(found, v.Name)
			}
		}
		return found
	}
	if q.Baseline != nil { // whether it fits, the method finds out
		inputs = named(func(v engine.Value) bool { _, ok := q.Baseline[v.Name]; return ok })
	} else if inputs = named(func(v engine.Value) bool { return attributable(v.DType) }); len(inputs) == 0 {
		inputs = named(func(v engine.Value) bool { return identifies(v.DType) })
	}
	if len(inputs) == 0 && q.Baseline == nil {
		return nil, "", fmt.Errorf("%w: none of the network's inputs can be hidden: %s", fault.Unsupported, list(signature.Inputs))
	}
	output, ok := scoring(signature)
	if !ok {
		return nil, "", fmt.Errorf("%w: none of the network's outputs is a score: %s", fault.Unsupported, list(signature.Outputs))
	}
	return inputs, output, nil
}

// scoring returns a network's first output of scores.
func scoring(s engine.Signature) (string, bool) {
	i := slices.IndexFunc(s.Outputs, func(v engine.Value) bool { return attributable(v.DType) && v.DType != tensor.Uint8 })
	if i < 0 {
		return "", false
	}
	return s.Outputs[i].Name, true
}

func list(values []engine.Value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}

// baseline returns the baseline that q asks for, of every input that is attributed, and its kind.
func (e *Explainer) baseline(q Question, inputs []string) (tensor.Named, string, error) {
	if err := e.opts.Session.Signature().Check(q.Input); err != nil {
		return nil, "", err
	}
	if q.Baseline != nil {
		return q.Baseline, baselineReference, nil
	}
	b, err := newBackground(q.Params, e.opts.Pixels)
	if err != nil {
		return nil, "", err
	}
	baseline := make(tensor.Named, len(inputs))
	for _, name := range inputs {
		row := q.Input[name]
		if shape := row.Shape(); len(shape) == 0 || shape[0] != 1 || row.Len() == 0 {
			return nil, "", fmt.Errorf("%w: input %q is %v, want one row that is not empty", fault.Invalid, name, row)
		}
		if baseline[name], err = b.of(row, newGrid(row.Shape()[1:], e.opts.Layout)); err != nil {
			return nil, "", fmt.Errorf("baseline of input %q: %w", name, err)
		}
	}
	return baseline, b.kind, nil
}

// tell fills in what the explainer knows of the target, and what a reader should be warned of.
func (e *Explainer) tell(x *Explanation) {
	if x.Target.Index < len(e.opts.Labels) {
		x.Target.Label = e.opts.Labels[x.Target.Index]
	}
	if v := float64(x.Target.Value); math.IsNaN(v) || math.IsInf(v, 0) {
		x.Warnings = append(x.Warnings, "the score of the input is not a finite number, so neither are the attributions")
	}
}

// network returns the scores as the network gives them.
func (e *Explainer) network(output string) function {
	f := function{session: e.opts.Session, output: output, scale: e.opts.Output}
	if f.scale == "" {
		f.scale = output
	}
	return f
}

// function is a network's output as scores: the target is an index into one row of it, flattened.
type function struct {
	session engine.Session
	output  string
	scale   string              // what the scores are
	convert func(row []float64) // of the output into the scores; nil: they are the same
}

// Output returns what the scores are.
func (f function) Output() string { return f.scale }

// Scores runs the rows.
func (f function) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	out, err := f.run(ctx, rows, len(targets))
	if err != nil {
		return nil, err
	}
	scores := make([]float64, len(targets))
	for i, target := range targets {
		row, err := f.scores(out, i)
		if err != nil {
			return nil, err
		}
		if target < 0 || target >= len(row) {
			return nil, fmt.Errorf("%w: target %d, the network's output %q has %d elements", fault.Invalid, target, f.output, len(row))
		}
		scores[i] = row[target]
	}
	return scores, nil
}

// row runs one row. It returns all its scores, and the bytes that a row takes at both ends of the network.
func (f function) row(ctx context.Context, row tensor.Named) (scores []float64, bytes int64, err error) {
	out, err := f.run(ctx, row, 1)
	if err != nil {
		return nil, 0, err
	}
	bytes = size(out)
	for _, t := range row {
		bytes += size(t)
	}
	scores, err = f.scores(out, 0)
	return scores, bytes, err
}

func size(t tensor.Tensor) int64 { return int64(t.Len()) * int64(t.DType().Bytes()) }

// run returns the network's output for n rows.
func (f function) run(ctx context.Context, rows tensor.Named, n int) (tensor.Tensor, error) {
	out, err := f.session.Run(ctx, rows, f.output)
	if err != nil {
		return tensor.Tensor{}, err
	}
	t := out[f.output]
	if len(t.Shape()) == 0 || t.Shape()[0] != int64(n) || t.Len() == 0 {
		return tensor.Tensor{}, fmt.Errorf("%w: the network answers %d rows with %q %v, want as many rows that are not empty",
			fault.Unsupported, n, f.output, t)
	}
	return t, nil
}

// scores returns the scores of row i of an output.
func (f function) scores(out tensor.Tensor, i int) ([]float64, error) {
	row, err := out.Rows(int64(i), int64(i)+1)
	if err != nil {
		return nil, err
	}
	scores, err := doubles(row)
	if err == nil && f.convert != nil {
		f.convert(scores)
	}
	return scores, err
}
