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

// Question asks why a network answers one input as it does.
type Question struct {
	Input  tensor.Named // one row, as the network takes it
	Params Params

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
	method, why, err := choose(q.Params.Method)
	if err != nil {
		return nil, err
	}
	inputs, output, err := e.ends()
	if err != nil {
		return nil, err
	}
	baseline, kind, err := e.baseline(q, inputs)
	if err != nil {
		return nil, err
	}
	f := function{e.opts.Session, output}
	scores, rowBytes, err := f.row(ctx, q.Input)
	if err != nil {
		return nil, err
	}
	target, err := resolve(q.Params.Target, scores, e.opts.Labels)
	if err != nil {
		return nil, err
	}
	x, err := method.run(ctx, f, Request{
		Input: q.Input, Baseline: baseline, Target: target, Params: q.Params, Layout: e.opts.Layout,
		Rows: e.rows(rowBytes), Progress: q.Progress,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method.name, err)
	}
	x.Method, x.Why, x.Inputs, x.Layout = method.name, why, inputs, e.opts.Layout
	x.Baseline.Kind = kind
	x.Runtime.ForwardEvaluations++ // the run that found the target
	e.tell(&x, output)
	return &x, nil
}

// ends returns the network's inputs that can be attributed, in its order, and the output that is explained.
func (e *Explainer) ends() (inputs []string, output string, err error) {
	signature := e.opts.Session.Signature()
	for _, v := range signature.Inputs {
		if attributable(v.DType) {
			inputs = append(inputs, v.Name)
		}
	}
	if len(inputs) == 0 {
		return nil, "", fmt.Errorf("%w: none of the network's inputs can be hidden gradually: %s", fault.Unsupported, list(signature.Inputs))
	}
	i := slices.IndexFunc(signature.Outputs, func(v engine.Value) bool { return attributable(v.DType) && v.DType != tensor.Uint8 })
	if i < 0 {
		return nil, "", fmt.Errorf("%w: none of the network's outputs is a score: %s", fault.Unsupported, list(signature.Outputs))
	}
	return inputs, signature.Outputs[i].Name, nil
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

// rows returns how many rows of that many bytes may run at once.
func (e *Explainer) rows(rowBytes int64) int {
	return int(max(1, min(int64(e.opts.Rows), e.opts.Memory/max(1, rowBytes))))
}

// tell fills in what the explainer knows of the target, and what a reader should be warned of.
func (e *Explainer) tell(x *Explanation, output string) {
	x.Target.Output = e.opts.Output
	if x.Target.Output == "" {
		x.Target.Output = output
	}
	if x.Target.Index < len(e.opts.Labels) {
		x.Target.Label = e.opts.Labels[x.Target.Index]
	}
	if v := float64(x.Target.Value); math.IsNaN(v) || math.IsInf(v, 0) {
		x.Warnings = append(x.Warnings, "the score of the input is not a finite number, so neither are the attributions")
	}
}

// function is a network's output as scores: the target is an index into one row of it, flattened.
type function struct {
	session engine.Session
	output  string
}

// Scores runs the rows.
func (f function) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	all, err := f.run(ctx, rows, len(targets))
	if err != nil {
		return nil, err
	}
	width := len(all) / len(targets)
	scores := make([]float64, len(targets))
	for i, target := range targets {
		if target < 0 || target >= width {
			return nil, fmt.Errorf("%w: target %d, the network's output %q has %d elements", fault.Invalid, target, f.output, width)
		}
		scores[i] = all[i*width+target]
	}
	return scores, nil
}

// row runs one row. It returns all its scores, and the bytes that a row takes at both ends of the network.
func (f function) row(ctx context.Context, row tensor.Named) (scores []float64, bytes int64, err error) {
	if scores, err = f.run(ctx, row, 1); err != nil {
		return nil, 0, err
	}
	for _, t := range row {
		bytes += int64(t.Len() * t.DType().Bytes())
	}
	return scores, bytes + int64(len(scores)*tensor.Float32.Bytes()), nil
}

// run returns the output of n rows.
func (f function) run(ctx context.Context, rows tensor.Named, n int) ([]float64, error) {
	out, err := f.session.Run(ctx, rows, f.output)
	if err != nil {
		return nil, err
	}
	t := out[f.output]
	if len(t.Shape()) == 0 || t.Shape()[0] != int64(n) || t.Len() == 0 {
		return nil, fmt.Errorf("%w: the network answers %d rows with %q %v, want as many rows that are not empty",
			fault.Unsupported, n, f.output, t)
	}
	if data, err := tensor.Data[float64](t); err == nil {
		return data, nil
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return nil, err
	}
	return converted(data, func(v float32) float64 { return float64(v) }), nil
}
