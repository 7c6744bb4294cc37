package explain

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Explanation is which parts of an input an answer rests on, and how that was found out. Nobody writes to one that is
// shared.
type Explanation struct {
	Method        string
	Exact         bool   // from the network's own gradients; false for what only evaluates, and for an approximation of the gradient
	Approximation string // of the gradient: straight_through; "": none
	Why           string // the method was taken, and what is approximated
	Target        Target
	Baseline      Baseline
	Parameters    Parameters   // as they were used, defaults filled in
	Convergence   *Convergence // nil for methods that do not claim completeness
	Attributions  tensor.Named // float32, each in the shape of its input without the batch axis
	Inputs        []string     // the names of Attributions, in the network's order; of a layer, its name
	Layout        Layout       // of the attributions with channels
	Crop          *Crop        // of the picture, where the input was one; the handler knows it
	Warnings      []string
	Runtime       Runtime
}

// Target is the score that is explained.
type Target struct {
	Index  int     `json:"index"`           // into one row of the output, flattened
	Label  string  `json:"label,omitempty"` // where the model has labels
	Output string  `json:"output"`          // what the score is one of: logits, probabilities, or the output's name
	Value  float32 `json:"value"`           // the score of the input
}

// Baseline is what the input was compared with.
type Baseline struct {
	Kind  string  `json:"kind"`
	Value float32 `json:"value"` // the score of the baseline
}

// Parameters are what a method used; what it does not use is left out.
type Parameters struct {
	Steps           int      `json:"steps,omitempty"` // of the integral
	Rule            string   `json:"rule,omitempty"`
	Layer           string   `json:"layer,omitempty"` // the tensor that was looked at
	Of              string   `json:"of,omitempty"`    // the method that was smoothed
	Samples         int      `json:"samples,omitempty"`
	Sigma           *float64 `json:"sigma,omitempty"`            // of the noise, on the first input
	StraightThrough bool     `json:"straight_through,omitempty"` // whether the gradient could take what rounds for the identity
	Abs             *bool    `json:"abs,omitempty"`              // whether the gradient lost its sign
	Relu            *bool    `json:"relu,omitempty"`             // whether the map lost what is below zero
	P               float64  `json:"p,omitempty"`                // of rise: how much of the input a mask keeps
	Width           float64  `json:"width,omitempty"`            // of lime: of the kernel
	Segments        int      `json:"segments,omitempty"`         // how many there are, of all inputs
	Window          []int    `json:"window,omitempty"`           // of occlusion: one length an axis, of the first input
	Stride          []int    `json:"stride,omitempty"`
	Seed            uint64   `json:"seed"`
}

// Convergence is how far the attributions are from complete.
type Convergence struct {
	Delta    float32 `json:"delta"`    // their sum, less what the score of the input has over that of the baseline
	Relative float32 `json:"relative"` // |delta| over that difference
}

// Crop is the part of a picture that the network saw, in pixels of the picture.
type Crop struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Runtime is what it took. Evaluations are counted by rows.
type Runtime struct {
	TotalMS             int64 `json:"total_ms"`
	BuildMS             int64 `json:"build_ms"`
	GradientEvaluations int   `json:"gradient_evaluations"`
	ForwardEvaluations  int   `json:"forward_evaluations"`
}

// Report is the full answer as it is on the wire. The attributions of pictures are [C,H,W] in it, whatever the network's
// layout. encoding/json reads it back.
type Report struct {
	Method        string        `json:"method"`
	Exact         bool          `json:"exact"`
	Approximation string        `json:"approximation,omitempty"`
	Why           string        `json:"why,omitempty"`
	Target        Target        `json:"target"`
	Baseline      Baseline      `json:"baseline"`
	Parameters    Parameters    `json:"parameters"`
	Convergence   *Convergence  `json:"convergence,omitempty"`
	Attributions  []Attribution `json:"attributions"`
	Summary       *Summary      `json:"summary,omitempty"`
	Crop          *Crop         `json:"crop,omitempty"`
	Warnings      []string      `json:"warnings"`
	Runtime       Runtime       `json:"runtime"`
}

// Attribution is one input's attributions, in row-major order.
type Attribution struct {
	Input string    `json:"input"`
	Shape []int64   `json:"shape"`
	Data  []float32 `json:"data"`
}

// Summary is the first input's attributions as a map, where it has at most two axes beside the channels.
type Summary struct {
	Shape  []int64 `json:"shape"`  // of the map
	Reduce string  `json:"reduce"` // how attributions became one number a cell
	Max    Peak    `json:"max"`
}

// Peak is the highest value of a map and where it is.
type Peak struct {
	Y     int     `json:"y"`
	X     int     `json:"x"`
	Value float32 `json:"value"`
}

// Plain returns the attributions alone: a [tensor.Tensor], [C,H,W] for a picture, or a slice of them in the network's
// order when several inputs were attributed.
func (x *Explanation) Plain() any {
	tensors := make([]tensor.Tensor, len(x.Inputs))
	for i, name := range x.Inputs {
		tensors[i] = channelsFirst(x.Attributions[name], x.Layout)
	}
	if len(tensors) == 1 {
		return tensors[0]
	}
	return tensors
}

// Report returns everything known of the explanation.
func (x *Explanation) Report() Report {
	r := Report{
		Method: x.Method, Exact: x.Exact, Approximation: x.Approximation, Why: x.Why, Target: x.Target, Baseline: x.Baseline, Parameters: x.Parameters,
		Convergence: x.Convergence, Crop: x.Crop, Warnings: append([]string{}, x.Warnings...), Runtime: x.Runtime,
		Attributions: make([]Attribution, len(x.Inputs)),
	}
	for i, name := range x.Inputs {
		t := channelsFirst(x.Attributions[name], x.Layout)
		data, err := tensor.Data[float32](t)
		if err != nil {
			panic(fmt.Sprintf("explain: attributions of %q are %v", name, t)) // a method's defect
		}
		r.Attributions[i] = Attribution{Input: name, Shape: t.Shape(), Data: data}
	}
	if len(r.Attributions) > 0 {
		r.Summary = r.Attributions[0].summary()
	}
	return r
}

// Header returns what a bare list cannot say, as headers of the answer.
func (x *Explanation) Header() map[string]string {
	return map[string]string{
		"X-Explain-Method": x.Method,
		"X-Explain-Exact":  strconv.FormatBool(x.Exact),
		"X-Explain-Reason": strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, x.Why),
	}
}

// Picture returns the first input's attributions as [C,H,W] or [H,W], for a heat map. It returns [fault.Unsupported] when
// they are neither.
func (x *Explanation) Picture() (tensor.Tensor, error) {
	if len(x.Inputs) == 0 {
		return tensor.Tensor{}, fmt.Errorf("%w: no input was attributed, so there is nothing to paint", fault.Unsupported)
	}
	name := x.Inputs[0]
	return picture(name, channelsFirst(x.Attributions[name], x.Layout))
}

// Picture returns the first input's attributions as [C,H,W] or [H,W], for a heat map. It returns [fault.Unsupported] when
// they are neither, and [fault.Invalid] for a report that contradicts itself.
func (r *Report) Picture() (tensor.Tensor, error) {
	if len(r.Attributions) == 0 {
		return tensor.Tensor{}, fmt.Errorf("%w: no input was attributed, so there is nothing to paint", fault.Unsupported)
	}
	a := r.Attributions[0]
	t, err := tensor.New(a.Shape, a.Data)
	if err != nil {
		return tensor.Tensor{}, fmt.Errorf("attributions of %q: %w", a.Input, err)
	}
	return picture(a.Input, t)
}

func picture(name string, t tensor.Tensor) (tensor.Tensor, error) {
	if n := len(t.Shape()); n != 2 && n != 3 {
		return tensor.Tensor{}, fmt.Errorf("%w: input %q is not a picture: its attributions have shape %v", fault.Unsupported, name, t.Shape())
	}
	return t, nil
}

// channelsFirst returns attributions of a row with their channels, if any, in front.
func channelsFirst(t tensor.Tensor, layout Layout) tensor.Tensor {
	g := newGrid(t.Shape(), layout)
	if !g.last {
		return t
	}
	from, err := tensor.Data[float32](t)
	if err != nil {
		panic(fmt.Sprintf("explain: attributions are %v", t)) // a method's defect
	}
	data := make([]float32, 0, len(from))
	for c := range g.channels {
		for cell := range g.cells() {
			data = append(data, from[g.index(c, cell)])
		}
	}
	n := len(g.dims)
	shape := append([]int64{t.Shape()[n]}, t.Shape()[:n]...)
	first, err := tensor.New(shape, data)
	if err != nil {
		panic(fmt.Sprintf("explain: channels of %v: %v", t, err)) // the same elements, in another order
	}
	return first
}

// summary returns the summary of attributions with their channels in front, nil where there is none.
func (a Attribution) summary() *Summary {
	dims, channels, reduce := a.Shape, 1, "abs"
	if len(dims) == 3 {
		channels, dims, reduce = int(dims[0]), dims[1:], "sum_abs_channels"
	}
	if len(dims) != 1 && len(dims) != 2 {
		return nil
	}
	width := int(dims[len(dims)-1])
	cells := len(a.Data) / channels
	s := &Summary{Shape: dims, Reduce: reduce}
	for cell := range cells {
		sum := 0.0
		for c := range channels {
			sum += math.Abs(float64(a.Data[c*cells+cell]))
		}
		if cell == 0 || float32(sum) > s.Max.Value {
			s.Max = Peak{Y: cell / width, X: cell % width, Value: float32(sum)}
		}
	}
	return s
}
