package gradient

import "github.com/tsgo/tsgo/pkg/onnx"

// shapes are the rules of the operators that move elements, and compute nothing.
func shapes() ruleSet {
	return ruleSet{
		"Identity": unary(func(_ *builder, g, _, _ string) string { return g }),
		"Flatten":  {write: writeLike}, "Reshape": {write: writeLike}, "Squeeze": {write: writeLike}, "Unsqueeze": {write: writeLike},
	}
}

// writeLike gives the adjoint the shape of the input.
func writeLike(b *builder, n *onnx.Node) error {
	if !b.on(n.Input(0)) {
		return nil
	}
	g, err := b.like(b.g(n), n.Input(0))
	if err != nil {
		return err
	}
	b.add(n.Input(0), g)
	return nil
}
