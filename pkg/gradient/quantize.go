package gradient

import (
	"bytes"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// quantize are the rules of the operators that round: to whole numbers, or to small integers and back. They pass straight
// through: what rounds counts as the identity, a QuantizeLinear and the DequantizeLinear behind it inside of their range.
func quantize() ruleSet {
	straight := unary(func(_ *builder, g, _, _ string) string { return g })
	return ruleSet{
		"Round": straight, "Floor": straight, "Ceil": straight,
		"QuantizeLinear":   {check: checkQuantize, write: writeQuantize},
		"DequantizeLinear": straight,
	}
}

// rounds tells whether n is of the operators that only a straight-through gradient passes.
func rounds(n *onnx.Node) bool {
	switch n.Op {
	case "Round", "Floor", "Ceil":
		return n.Domain == ""
	}
	return quantizes(n)
}

// quantizes tells whether n rounds to small integers, or makes floats of those.
func quantizes(n *onnx.Node) bool {
	return n.Domain == "" && (n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear")
}

// checkQuantize refuses a QuantizeLinear whose output goes anywhere but to a DequantizeLinear of the same scale: what is
// between is no identity.
func checkQuantize(g *onnx.Graph, n *onnx.Node) error {
	for _, reader := range g.Nodes {
		if !slices.Contains(reads(reader), n.Output(0)) {
			continue
		}
		if reader.Op != "DequantizeLinear" || reader.Input(0) != n.Output(0) {
			return refuse(n, "its output goes to %s %q; the gradient passes only when all of it goes straight to DequantizeLinear",
				reader.Op, title(reader))
		}
		if !alike(g, n.Input(1), reader.Input(1)) || n.Int("axis", 1) != reader.Int("axis", 1) {
			return refuse(n, "its scale is not that of DequantizeLinear %q", title(reader))
		}
	}
	return nil
}

// alike tells whether two tensors are the same, or constants that hold the same.
func alike(g *onnx.Graph, x, y string) bool {
	a, b := g.Initializers[x], g.Initializers[y]
	return x == y || a != nil && b != nil && a.Type == b.Type && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Raw, b.Raw)
}

// writeQuantize passes the adjoint where the output is not at an end of its range.
func writeQuantize(b *builder, n *onnx.Node) error {
	for _, in := range n.Inputs[1:] {
		if b.on(in) {
			return refuse(n, "its scale depends on what the gradient is taken by")
		}
	}
	lo, hi, ok := b.quantized(n)
	if !ok {
		return refuse(n, "it gives neither 8 nor 16 bits")
	}
	// No comparison takes types as small as these.
	q := b.emit("Cast", map[string]onnx.Attr{"to": onnx.Int(int64(onnx.TypeOf(tensor.Int32)))}, n.Output(0))
	bound := func(v int32) string { return b.constant(onnx.Of([]int32{v})) }
	inside := b.emit("And", nil, b.emit("Greater", nil, q, bound(lo)), b.emit("Less", nil, q, bound(hi)))
	b.add(n.Input(0), b.where(inside, b.g(n), b.scalar(0, n.Input(0))))
	return nil
}

// quantized returns the range of what a QuantizeLinear gives.
func (b *builder) quantized(n *onnx.Node) (lo, hi int32, ok bool) {
	d := b.facts.Types[n.Output(0)]
	if zero := b.value(n.Input(2)); zero != nil && d == tensor.Undefined {
		d = zero.Type.DType()
	}
	switch d {
	case tensor.Int8:
		return -1 << 7, 1<<7 - 1, true
	case tensor.Uint8:
		return 0, 1<<8 - 1, true
	case tensor.Int16:
		return -1 << 15, 1<<15 - 1, true
	case tensor.Uint16:
		return 0, 1<<16 - 1, true
	default:
		return 0, 0, false
	}
}
