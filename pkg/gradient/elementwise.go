package gradient

import (
	"math"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// elementwise are the rules of the operators of arithmetic, which compute each element for itself.
func elementwise() ruleSet {
	return ruleSet{
		"Add":   {write: func(b *builder, n *onnx.Node) error { return b.sum(n, nil) }},
		"Sub":   {write: writeSub},
		"Mul":   {write: writeMul},
		"Div":   {write: writeDiv},
		"Sum":   {write: func(b *builder, n *onnx.Node) error { return b.sum(n, nil) }},
		"Mean":  {write: writeMean},
		"Pow":   {write: writePow},
		"Max":   {write: writeExtreme},
		"Min":   {write: writeExtreme},
		"Where": {write: writeWhere},
		"Clip":  {write: writeClip},
		"Cast":  {write: writeCast},
		"Dropout": {check: checkDropout, write: func(b *builder, n *onnx.Node) error {
			b.add(n.Input(0), b.g(n))
			return nil
		}},
		"Neg":        unary(func(b *builder, g, _, _ string) string { return b.neg(g) }),
		"Abs":        unary(func(b *builder, g, x, _ string) string { return b.mul(g, b.emit("Sign", nil, x)) }),
		"Reciprocal": unary(func(b *builder, g, _, y string) string { return b.neg(b.mul(g, b.mul(y, y))) }),
		"Sqrt":       unary(func(b *builder, g, _, y string) string { return b.div(b.scaled(g, 0.5, y), y) }),
		"Exp":        unary(func(b *builder, g, _, y string) string { return b.mul(g, y) }),
		"Log":        unary(func(b *builder, g, x, _ string) string { return b.div(g, x) }),
		"Sin":        unary(func(b *builder, g, x, _ string) string { return b.mul(g, b.cosine(x)) }),
		"Cos":        unary(func(b *builder, g, x, _ string) string { return b.neg(b.mul(g, b.emit("Sin", nil, x))) }),
	}
}

func (b *builder) mul(x, y string) string       { return b.emit("Mul", nil, x, y) }
func (b *builder) sub(x, y string) string       { return b.emit("Sub", nil, x, y) }
func (b *builder) plus(x, y string) string      { return b.emit("Add", nil, x, y) }
func (b *builder) div(x, y string) string       { return b.emit("Div", nil, x, y) }
func (b *builder) neg(x string) string          { return b.emit("Neg", nil, x) }
func (b *builder) greater(x, y string) string   { return b.emit("Greater", nil, x, y) }
func (b *builder) equal(x, y string) string     { return b.emit("Equal", nil, x, y) }
func (b *builder) where(c, x, y string) string  { return b.emit("Where", nil, c, x, y) }
func (b *builder) isZero(x, like string) string { return b.equal(x, b.scalar(0, like)) }

// cosine returns that of x. Runtimes lack Cos in double precision, but not Sin.
func (b *builder) cosine(x string) string {
	if b.dtype(x) == tensor.Float64 {
		return b.emit("Sin", nil, b.shifted(x, math.Pi/2, x))
	}
	return b.emit("Cos", nil, x)
}

// scaled returns factor·x, in like's type.
func (b *builder) scaled(x string, factor float64, like string) string {
	if factor == 1 {
		return x
	}
	return b.mul(x, b.scalar(factor, like))
}

// shifted returns x + term, in like's type.
func (b *builder) shifted(x string, term float64, like string) string {
	return b.plus(x, b.scalar(term, like))
}

// cast returns x in like's type.
func (b *builder) cast(x, like string) string {
	return b.emit("Cast", map[string]onnx.Attr{"to": onnx.Int(int64(onnx.TypeOf(b.dtype(like))))}, x)
}

// finite returns x/y, and 0 where y is 0.
func (b *builder) finite(x, y, like string) string {
	return b.where(b.isZero(y, like), b.scalar(0, like), b.div(x, y))
}

// unary is the rule of an operator with one input; of returns its adjoint, given that of the output, the input and the output.
func unary(of func(b *builder, g, x, y string) string) rule {
	return rule{write: func(b *builder, n *onnx.Node) error {
		if b.on(n.Input(0)) {
			b.add(n.Input(0), of(b, b.g(n), n.Input(0), n.Output(0)))
		}
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

func writeSub(b *builder, n *onnx.Node) error {
	return b.sum(n, func(i int, g string) string {
		if i == 0 {
			return g
		}
		return b.neg(g)
	})
}

func writeMul(b *builder, n *onnx.Node) error {
	return b.sum(n, func(i int, g string) string { return b.mul(g, n.Input(1-i)) })
}

func writeDiv(b *builder, n *onnx.Node) error {
	q := b.div(b.g(n), n.Input(1))
	return b.sum(n, func(i int, _ string) string {
		if i == 0 {
			return q
		}
		return b.neg(b.mul(q, n.Output(0)))
	})
}

func writeMean(b *builder, n *onnx.Node) error {
	return b.sum(n, func(_ int, g string) string { return b.scaled(g, 1/float64(len(n.Inputs)), n.Output(0)) })
}

func writePow(b *builder, n *onnx.Node) error {
	return b.sum(n, func(i int, g string) string {
		if i == 0 {
			return b.powBase(n, g)
		}
		return b.powExponent(n, g)
	})
}

// powBase is the adjoint of X in Y = X^e: G⊙e⊙X^(e−1), and 0 where e is 0.
func (b *builder) powBase(n *onnx.Node, g string) string {
	x, e := n.Input(0), n.Input(1)
	if c := b.value(e); c != nil && c.Len() == 1 {
		if v, err := c.Float64s(); err == nil {
			switch v[0] {
			case 0:
				return b.scaled(g, 0, x)
			case 1:
				return g
			case 2:
				return b.mul(b.scaled(g, 2, x), x)
			}
			return b.mul(b.scaled(g, v[0], x), b.emit("Pow", nil, x, b.scalar(v[0]-1, x)))
		}
	}
	if b.facts.Types[e] != b.facts.Types[x] || b.value(e) != nil { // an exponent may be of another type
		e = b.cast(e, x)
	}
	slope := b.mul(b.mul(g, e), b.emit("Pow", nil, x, b.shifted(e, -1, x)))
	return b.where(b.isZero(e, x), b.scalar(0, x), slope)
}

// powExponent is the adjoint of e in Y = X^e: G⊙Y⊙log X, and 0 where X is 0 and e is not below.
func (b *builder) powExponent(n *onnx.Node, g string) string {
	x, e, y := n.Input(0), n.Input(1), n.Output(0)
	still := b.emit("And", nil, b.isZero(x, x), b.emit("Not", nil, b.emit("Less", nil, e, b.scalar(0, e))))
	slope := b.mul(b.mul(g, y), b.emit("Log", nil, x))
	if b.dtype(e) != b.dtype(x) {
		return b.cast(b.where(still, b.scalar(0, x), slope), e)
	}
	return b.where(still, b.scalar(0, x), slope)
}

// writeExtreme is the rule of Max and Min: those of the inputs that are the extreme share its adjoint.
func writeExtreme(b *builder, n *onnx.Node) error {
	if len(n.Inputs) == 1 {
		b.add(n.Input(0), b.g(n))
		return nil
	}
	y := n.Output(0)
	is, ones := make([]string, len(n.Inputs)), make([]string, len(n.Inputs))
	for i, in := range n.Inputs {
		is[i] = b.equal(in, y)
		ones[i] = b.cast(is[i], y)
	}
	share := b.div(b.g(n), b.emit("Sum", nil, ones...))
	return b.sum(n, func(i int, _ string) string { return b.where(is[i], share, b.scalar(0, y)) })
}

func writeWhere(b *builder, n *onnx.Node) error {
	c, g, y := n.Input(0), b.g(n), n.Output(0)
	err := b.spread(func() string { return b.where(c, g, b.scalar(0, y)) }, y, n.Input(1))
	if err != nil {
		return err
	}
	return b.spread(func() string { return b.where(c, b.scalar(0, y), g) }, y, n.Input(2))
}

// writeClip looks at the output, as writeRelu does. The bounds themselves have no gradient, as in PyTorch's Relu6.
func writeClip(b *builder, n *onnx.Node) error {
	y := n.Output(0)
	var inside string
	for i, op := range []string{"Greater", "Less"} {
		bound := n.Input(i + 1)
		if bound == "" {
			continue
		}
		if b.on(bound) {
			return refuse(n, "its bound %q depends on what the gradient is taken by", bound)
		}
		within := b.emit(op, nil, y, bound)
		if inside == "" {
			inside = within
		} else {
			inside = b.emit("And", nil, inside, within)
		}
	}
	g := b.g(n)
	if inside != "" {
		g = b.where(inside, g, b.scalar(0, y))
	}
	b.add(n.Input(0), g)
	return nil
}

// writeCast is the rule of a Cast between floats; others are flat.
func writeCast(b *builder, n *onnx.Node) error {
	g, x := b.g(n), n.Input(0)
	if b.dtype(x) != b.dtype(n.Output(0)) {
		g = b.cast(g, x)
	}
	b.add(x, g)
	return nil
}

// checkDropout refuses a Dropout that drops.
func checkDropout(g *onnx.Graph, n *onnx.Node) error {
	training := n.Input(2)
	if training == "" {
		return nil
	}
	c := g.Initializers[training]
	if c == nil || len(c.Raw) != 1 || c.Raw[0] != 0 {
		return refuse(n, "it may be in training mode, and drop at random")
	}
	return nil
}
