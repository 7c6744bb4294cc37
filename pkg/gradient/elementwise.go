package gradient

import "github.com/tsgo/tsgo/pkg/onnx"

// elementwise are the rules of the operators that compute each element for itself.
func elementwise() ruleSet {
	return ruleSet{
		"Add":  {write: func(b *builder, n *onnx.Node) error { return b.sum(n, nil) }},
		"Mul":  {write: writeMul},
		"Relu": {write: writeRelu},
		"Tanh": unary(func(b *builder, g, _, y string) string { // G⊙(1−Y²)
			return b.mul(g, b.sub(b.scalar(1, y), b.mul(y, y)))
		}),
	}
}

func (b *builder) mul(x, y string) string { return b.emit("Mul", nil, x, y) }
func (b *builder) sub(x, y string) string { return b.emit("Sub", nil, x, y) }

// unary is the rule of an operator with one input; of returns its adjoint, given that of the output, the input and the output.
func unary(of func(b *builder, g, x, y string) string) rule {
	return rule{write: func(b *builder, n *onnx.Node) error {
		b.add(n.Input(0), of(b, b.g(n), n.Input(0), n.Output(0)))
		return nil
	}}
}

// sum contributes the adjoint of n, each time through factor where it is not nil, to all of its inputs.
func (b *builder) sum(n *onnx.Node, factor func(i int, g string) string) error {
	for i, in := range n.Inputs {
		err := b.spread(func() string {
			if factor == nil {
				return b.g(n)
			}
			return factor(i, b.g(n))
		}, n.Output(0), in)
		if err != nil {
			return err
		}
	}
	return nil
}

func writeMul(b *builder, n *onnx.Node) error {
	return b.sum(n, func(i int, g string) string { return b.mul(g, n.Input(1-i)) })
}

// writeRelu looks at the output, not at the input, so that a runtime can still fuse the Relu with what is before it.
func writeRelu(b *builder, n *onnx.Node) error {
	g, y := b.g(n), n.Output(0)
	zero := b.scalar(0, y)
	if b.opts.Relu != ReluDeconvolution {
		g = b.emit("Where", nil, b.emit("Greater", nil, y, zero), g, zero)
	}
	if b.opts.Relu != ReluPlain {
		g = b.emit("Relu", nil, g)
	}
	b.add(n.Input(0), g)
	return nil
}
