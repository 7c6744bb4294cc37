package gradient

import (
	"maps"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// rule is how an adjoint passes an operator.
type rule struct {
	// write emits what the inputs of n get, given the adjoints of its outputs, at least one of which there is.
	write func(b *builder, n *onnx.Node) error
	// check refuses the forms of the operator that write has no answer for, as far as the graph alone tells. Nil: none.
	check func(g *onnx.Graph, n *onnx.Node) error
}

// ruleSet are the rules by operator.
type ruleSet map[string]rule

// rules returns all rules.
func rules() ruleSet {
	all := ruleSet{}
	for _, group := range []ruleSet{
		elementwise(), activation(), quantize(), reduce(), linear(), norm(), shapes(), gathers(), convolutions(), pools(), resizes(),
	} {
		maps.Copy(all, group)
	}
	return all
}

// of returns the rule for a node.
func (s ruleSet) of(g *onnx.Graph, n *onnx.Node, opts Options) (rule, error) {
	if n.Domain != "" {
		return rule{}, refuse(n, "%s", foreign(n))
	}
	if !opts.StraightThrough && quantizes(n) {
		return rule{}, refuse(n, "it is a staircase, flat nearly everywhere; straight_through takes it for the identity")
	}
	r, ok := s[n.Op]
	if !ok {
		return rule{}, refuse(n, "it has no rule")
	}
	if r.check != nil {
		if err := r.check(g, n); err != nil {
			return rule{}, err
		}
	}
	return r, nil
}

// foreign says why an operator of another domain has no rule.
func foreign(n *onnx.Node) string {
	if n.Domain == "com.microsoft" {
		return "it is one of ONNX Runtime's own, which have no rules; where an optimizer put it there, take the file from before that"
	}
	return "operators of other domains than ONNX's own have no rules"
}

// flat tells whether the gradient of n is exactly zero: of steps, unless they are taken for the identity, comparisons, and
// whatever gives no floats.
func (o Options) flat(n *onnx.Node) bool {
	if n.Domain != "" || o.StraightThrough && rounds(n) {
		return false
	}
	switch n.Op {
	case "Sign", "Floor", "Ceil", "Round", "ArgMax", "ArgMin", "Shape", "Size", "OneHot", "NonZero", "Equal", "Greater", "GreaterOrEqual",
		"Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf", "ConstantOfShape", "EyeLike":
		return true
	case "Cast":
		return !isFloat(onnx.DataType(n.Int("to", 0)).DType())
	}
	return false
}

// isFloat tells whether tensors of a type have gradients.
func isFloat(d tensor.DType) bool {
	switch d {
	case tensor.Float32, tensor.Float64, tensor.Half, tensor.Brain:
		return true
	default:
		return false
	}
}
