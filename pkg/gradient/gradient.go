// Package gradient derives from an ONNX graph the ONNX graph of its gradient: reverse-mode differentiation (Baydin et al.
// 2018, arXiv:1502.05767).
//
// It is pure: graph and facts in, graph out. Whatever runs ONNX runs the gradient. What the package cannot differentiate it
// refuses by operator, node and reason; a gradient is never silently zero.
package gradient

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
)

// ReluRule says how the adjoint passes a Relu.
type ReluRule uint8

// The rules.
const (
	ReluPlain         ReluRule = iota // where the output is positive: the gradient
	ReluGuided                        // where the output and the adjoint are positive (Springenberg 2014, arXiv:1412.6806)
	ReluDeconvolution                 // where the adjoint is positive (Zeiler 2013, arXiv:1311.2901)
)

// Options say what to differentiate.
type Options struct {
	Of   string   // the tensor that is differentiated
	To   []string // the tensors, inputs or within, that it is differentiated by
	Keep []string // tensors that the gradient's graph gives too
	Relu ReluRule
	// StraightThrough takes what rounds for the identity (Bengio et al. 2013, arXiv:1308.3432): Round, Floor and Ceil, and a
	// QuantizeLinear with its DequantizeLinear inside of their range. Without it the former are flat, and the latter refused.
	StraightThrough bool
	Compact         bool // no second copy of a convolution's weights, even where it makes the gradient faster
}

// Graph is a gradient. Its inputs are the network's and Seed; its outputs are Of, Grads and what was to be kept.
type Graph struct {
	Model *onnx.Graph
	// Seed is the adjoint of Of, and of its shape. A row with one 1 gives that row the gradient of the score at its place;
	// any other row of numbers gives the vector-Jacobian product.
	Seed  string
	Of    string
	Grads map[string]string // the gradients' names by those of the tensors in Options.To
	// Straight are the operators that the gradient passed as if they were the identity, by name, each once and in order of
	// the alphabet. None: the gradient is the network's own.
	Straight []string
}

// UnsupportedError is an operator on the way from To to Of that has no gradient here. It is a [fault.Unsupported].
type UnsupportedError struct{ Op, Node, Why string }

// Error names all three.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("no gradient of operator %s at node %q: %s", e.Op, e.Node, e.Why)
}

// Unwrap returns [fault.Unsupported].
func (e *UnsupportedError) Unwrap() error { return fault.Unsupported }

// refuse returns the error for node n.
func refuse(n *onnx.Node, format string, args ...any) error {
	op := n.Op
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	return &UnsupportedError{Op: op, Node: title(n), Why: fmt.Sprintf(format, args...)}
}

// located returns err, that n's rule failed with, with n's name: as a refusal, where it is one.
func located(n *onnx.Node, err error) error {
	var known *UnsupportedError
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, fault.Unsupported):
		return refuse(n, "%v", err)
	}
	return fmt.Errorf("gradient of %s at node %q: %w", n.Op, title(n), err)
}

// title names a node: by its first output where it has no name.
func title(n *onnx.Node) string {
	if n.Name != "" {
		return n.Name
	}
	return n.Output(0)
}

// Supported tells whether Build can differentiate g, which is normalized, as far as that shows without facts: it returns
// [fault.Unsupported], an [UnsupportedError], for an operator or a form of it without a rule, and [fault.Invalid] for
// options that do not fit g.
func Supported(g *onnx.Graph, opts Options) error {
	p, err := findPath(g, nil, opts)
	if err != nil {
		return err
	}
	known := rules()
	for _, n := range slices.Backward(p.nodes) {
		if _, err := known.of(g, n, opts); err != nil {
			return err
		}
	}
	return nil
}

// Build returns the gradient of g, which is normalized; f are the facts learned of it. It changes neither. Besides what
// [Supported] returns, it returns [fault.Unsupported] for a form of an operator that the facts rule out.
//
// The gradient belongs to the shapes in f: whatever of them is constant is written into it.
func Build(g *onnx.Graph, f onnx.Facts, opts Options) (*Graph, error) {
	p, err := findPath(g, f.Types, opts)
	if err != nil {
		return nil, err
	}
	b := newBuilder(g, f, opts, p)
	known := rules()
	for _, n := range slices.Backward(b.path.nodes) {
		r, err := known.of(g, n, opts)
		if err != nil {
			return nil, err
		}
		if !b.reached(n) {
			continue
		}
		b.node = n
		if opts.StraightThrough && rounds(n) {
			b.straight[n.Op] = true
		}
		if err := r.write(b, n); err != nil {
			return nil, located(n, err)
		}
	}
	return b.finish()
}

// path is what lies between To and Of.
type path struct {
	nodes []*onnx.Node    // in the graph's order
	on    map[string]bool // the tensors that depend on To and that Of depends on
}

// findPath walks from To forwards and from Of backwards. Without types, every tensor counts as one of floats that is not the
// result of an operator that gives no floats.
func findPath(g *onnx.Graph, types onnx.Types, opts Options) (path, error) {
	if err := checkOptions(g, types, opts); err != nil {
		return path{}, err
	}
	depends := dependents(g, types, opts)
	p := path{on: map[string]bool{}}
	wanted := map[string]bool{opts.Of: true}
	for _, n := range slices.Backward(g.Nodes) {
		if opts.flat(n) || !slices.ContainsFunc(n.Outputs, func(s string) bool { return wanted[s] && depends[s] }) {
			continue
		}
		through := false
		for _, in := range reads(n) {
			if depends[in] {
				wanted[in], through = true, true
			}
		}
		if through {
			p.nodes = append(p.nodes, n)
		}
	}
	slices.Reverse(p.nodes)
	for name := range wanted {
		p.on[name] = depends[name]
	}
	for _, name := range opts.To {
		if !p.on[name] {
			return path{}, fmt.Errorf("%w: %q has no gradient by %q: no operator that can be differentiated leads from one to the other",
				fault.Invalid, opts.Of, name)
		}
	}
	return p, nil
}

// dependents returns the tensors of floats, quantized ones included, that change a little where those of opts.To do.
func dependents(g *onnx.Graph, types onnx.Types, opts Options) map[string]bool {
	depends := map[string]bool{}
	for _, name := range opts.To {
		depends[name] = true
	}
	for _, n := range g.Nodes {
		if opts.flat(n) || !slices.ContainsFunc(reads(n), func(s string) bool { return depends[s] }) {
			continue
		}
		for _, out := range n.Outputs {
			if d, ok := types[out]; out != "" && (!ok || isFloat(d) || quantizes(n)) {
				depends[out] = true
			}
		}
	}
	return depends
}

// checkOptions compares the options with the graph.
func checkOptions(g *onnx.Graph, types onnx.Types, opts Options) error {
	if len(opts.To) == 0 {
		return fmt.Errorf("%w: gradient of %q by nothing", fault.Invalid, opts.Of)
	}
	known := map[string]bool{}
	for _, v := range g.Inputs {
		known[v.Name] = true
		if slices.Contains(opts.To, v.Name) && v.Type != 0 && !isFloat(v.Type.DType()) {
			return fmt.Errorf("%w: gradient by input %q: it holds %v, which cannot change a little", fault.Invalid, v.Name, v.Type)
		}
	}
	for name := range g.Initializers {
		known[name] = true
	}
	for _, n := range g.Nodes {
		for _, out := range n.Outputs {
			known[out] = out != ""
		}
	}
	for _, name := range slices.Concat([]string{opts.Of}, opts.To, opts.Keep) {
		if !known[name] {
			return fmt.Errorf("%w: the network has no tensor %q", fault.Invalid, name)
		}
	}
	for _, name := range slices.Concat([]string{opts.Of}, opts.To) {
		if d, ok := types[name]; ok && !isFloat(d) {
			return fmt.Errorf("%w: tensor %q holds %v, which has no gradient", fault.Invalid, name, d)
		}
	}
	return nil
}

// reads returns the tensors that a node reads, those of the graphs inside of it included.
func reads(n *onnx.Node) []string {
	names := slices.Clone(n.Inputs)
	for _, a := range n.Attrs {
		for _, inner := range slices.Concat(a.Graphs, []*onnx.Graph{a.Graph}) {
			if inner == nil {
				continue
			}
			for _, v := range inner.Outputs {
				names = append(names, v.Name)
			}
			for _, m := range inner.Nodes {
				names = append(names, reads(m)...)
			}
		}
	}
	return names
}
