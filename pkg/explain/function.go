package explain

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Function scores rows: tensors that share their length along axis 0. Each row has its own target, and there are as many
// scores as targets. It is safe for concurrent use and keeps none of the rows. A function that can do more keeps one of
// the interfaces below too; a method that needs one and does not find it returns [fault.Unsupported].
type Function interface {
	Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error)
}

// Differentiable is a function that has a gradient.
type Differentiable interface {
	Function
	// Gradients returns each row's score and the gradient of that score by every attributed input, shaped as the rows.
	Gradients(ctx context.Context, rows tensor.Named, targets []int) (scores []float64, grads tensor.Named, err error)
}

// Layered is a function inside of which tensors can be looked at.
type Layered interface {
	Function
	// Layer returns what the tensor of that name is for the rows, and the gradients of their scores by it. "" is the last
	// tensor of four axes before the pooling or flattening. It returns [fault.Invalid], naming near ones, for a tensor that
	// is not there.
	Layer(ctx context.Context, layer string, rows tensor.Named, targets []int) (Layer, error)
}

// Layer is a tensor inside of a function.
type Layer struct {
	Name                   string
	Activations, Gradients tensor.Tensor // [rows, ...] float32
}

// ReluRule says how a gradient passes backwards through a Relu.
type ReluRule uint8

// The rules.
const (
	ReluPlain         ReluRule = iota // where the Relu's output is above zero: the gradient
	ReluGuided                        // there, and only where it is above zero itself
	ReluDeconvolution                 // only where it is above zero itself, whatever the Relu's output
)

// Ruled is a function whose gradient can be taken with another rule for Relu.
type Ruled interface {
	Function
	// WithRelu returns the same function with the gradient that the rule makes.
	WithRelu(ctx context.Context, rule ReluRule) (Differentiable, error)
}

// Cutter is a function that can be cut at a tensor within: what comes after the cut is a function of that tensor.
type Cutter interface {
	Function
	// Cut returns the function after the cut at the tensor of that name, what that tensor is for the input and for the
	// baseline, one row each, and its name. "" is the output of the embedding, or else the last tensor of four axes. Inputs
	// that are still read after the cut stay in x and b. It returns [fault.Invalid], naming near ones, for a tensor that is
	// not there.
	Cut(ctx context.Context, tensor string, input, baseline tensor.Named) (after Differentiable, x, b tensor.Named, name string, err error)
}

// Outputter is a function that says what its scores are, as "logits".
type Outputter interface{ Output() string }

// Sizer is a function that says how many bytes it needs for each row that it is asked for a gradient.
type Sizer interface{ RowBytes() int64 }

// Approximator is a function whose gradients may be approximations.
type Approximator interface {
	// Approximated returns the operators that the gradients which were asked for so far took for the identity; none where
	// they are the function's own.
	Approximated() []string
}

// differentiable returns f as a function with a gradient.
func differentiable(f Function) (Differentiable, error) {
	if d, ok := f.(Differentiable); ok {
		return d, nil
	}
	return nil, lacking("the gradient of the function")
}

// layered returns f as a function with layers.
func layered(f Function) (Layered, error) {
	if l, ok := f.(Layered); ok {
		return l, nil
	}
	return nil, lacking("the function's inner tensors")
}

// ruled returns f's gradient with another rule for Relu.
func ruled(ctx context.Context, f Function, rule ReluRule) (Differentiable, error) {
	if r, ok := f.(Ruled); ok {
		return r.WithRelu(ctx, rule)
	}
	return nil, lacking("the gradient of the function with another rule for Relu")
}

// lacking is the refusal of a function that cannot do what a method needs.
func lacking(what string) error {
	return fmt.Errorf("%w: needs %s, which this one does not have; ask for one of %s", fault.Unsupported, what, joined(evaluating()))
}
