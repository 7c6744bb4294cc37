package gradient

import (
	"math"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// activation are the rules of the operators that networks have between their layers.
//
// Where the output tells the slope, they look at that and not at the input, so that a runtime can still fuse the operator
// with what is before it.
func activation() ruleSet {
	return ruleSet{
		"Relu":            {write: writeRelu},
		"LeakyRelu":       {write: writeLeakyRelu},
		"PRelu":           {write: writePRelu},
		"Elu":             {write: writeElu},
		"Selu":            {write: writeSelu},
		"Celu":            {write: writeCelu},
		"ThresholdedRelu": {write: writeThresholdedRelu},
		"HardSigmoid":     {write: writeHardSigmoid},
		"Swish":           {write: writeSwish},
		"Gelu":            {check: checkGelu, write: writeGelu},
		"HardSwish":       unary((*builder).hardSwish),
		"Mish":            unary((*builder).mish),
		"Erf": unary(func(b *builder, g, x, y string) string { // G⊙(2/√π)·exp(−X²)
			return b.mul(g, b.scaled(b.emit("Exp", nil, b.neg(b.mul(x, x))), 2/math.Sqrt(math.Pi), y))
		}),
		"Sigmoid": unary(func(b *builder, g, _, y string) string { // G⊙Y⊙(1−Y)
			return b.mul(g, b.mul(y, b.sub(b.scalar(1, y), y)))
		}),
		"Tanh": unary(func(b *builder, g, _, y string) string { // G⊙(1−Y²)
			return b.mul(g, b.sub(b.scalar(1, y), b.mul(y, y)))
		}),
		"Softplus": unary(func(b *builder, g, x, _ string) string { return b.mul(g, b.emit("Sigmoid", nil, x)) }),
		"Softsign": unary(func(b *builder, g, x, y string) string { // G/(1+|X|)²
			d := b.shifted(b.emit("Abs", nil, x), 1, y)
			return b.div(g, b.mul(d, d))
		}),
	}
}

func writeRelu(b *builder, n *onnx.Node) error {
	g, y := b.g(n), n.Output(0)
	zero := b.scalar(0, y)
	if b.opts.Relu != ReluDeconvolution {
		g = b.where(b.greater(y, zero), g, zero)
	}
	if b.opts.Relu != ReluPlain {
		g = b.emit("Relu", nil, g)
	}
	b.add(n.Input(0), g)
	return nil
}

// above tells where the input of an operator is above 0: from its output, when that has the input's sign.
func (b *builder) above(n *onnx.Node, signed bool) string {
	t := n.Input(0)
	if signed {
		t = n.Output(0)
	}
	return b.greater(t, b.scalar(0, t))
}

func writeLeakyRelu(b *builder, n *onnx.Node) error {
	g, alpha := b.g(n), float64(n.Float("alpha", 0.01))
	b.add(n.Input(0), b.where(b.above(n, alpha >= 0), g, b.scaled(g, alpha, n.Output(0))))
	return nil
}

func writePRelu(b *builder, n *onnx.Node) error {
	g, x, slope, y := b.g(n), n.Input(0), n.Input(1), n.Output(0)
	above := b.above(n, false)
	if b.on(x) {
		b.add(x, b.where(above, g, b.mul(g, slope)))
	}
	return b.spread(func() string { return b.where(above, b.scalar(0, y), b.mul(g, x)) }, y, slope)
}

// writeElu is the rule of Y = X where that is above 0, else α(exp(X)−1), whose slope is Y+α.
func writeElu(b *builder, n *onnx.Node) error {
	g, y, alpha := b.g(n), n.Output(0), float64(n.Float("alpha", 1))
	b.add(n.Input(0), b.where(b.above(n, alpha >= 0), g, b.mul(g, b.shifted(y, alpha, y))))
	return nil
}

// writeSelu is that of γ times the same.
func writeSelu(b *builder, n *onnx.Node) error {
	g, y := b.g(n), n.Output(0)
	alpha, gamma := float64(n.Float("alpha", 1.67326319217681884765625)), float64(n.Float("gamma", 1.05070102214813232421875))
	steep := b.scaled(g, gamma, y)
	b.add(n.Input(0), b.where(b.above(n, alpha >= 0 && gamma > 0), steep, b.mul(g, b.shifted(y, gamma*alpha, y))))
	return nil
}

// writeCelu is the rule of Y = X where that is above 0, else α(exp(X/α)−1), whose slope is Y/α+1.
func writeCelu(b *builder, n *onnx.Node) error {
	g, y, alpha := b.g(n), n.Output(0), float64(n.Float("alpha", 1))
	b.add(n.Input(0), b.where(b.above(n, true), g, b.mul(g, b.shifted(b.scaled(y, 1/alpha, y), 1, y))))
	return nil
}

func writeThresholdedRelu(b *builder, n *onnx.Node) error {
	x, y := n.Input(0), n.Output(0)
	b.add(x, b.where(b.greater(x, b.scalar(float64(n.Float("alpha", 1)), x)), b.g(n), b.scalar(0, y)))
	return nil
}

// writeHardSigmoid is the rule of αX+β, held between 0 and 1.
func writeHardSigmoid(b *builder, n *onnx.Node) error {
	y := n.Output(0)
	inside := b.emit("And", nil, b.greater(y, b.scalar(0, y)), b.greater(b.scalar(1, y), y))
	b.add(n.Input(0), b.where(inside, b.scaled(b.g(n), float64(n.Float("alpha", 0.2)), y), b.scalar(0, y)))
	return nil
}

// hardSwish is 0 below −3, X/3+½ up to 3, and 1 above.
func (b *builder) hardSwish(g, x, y string) string {
	middle := b.mul(g, b.shifted(b.scaled(x, 1.0/3, y), 0.5, y))
	up := b.where(b.greater(x, b.scalar(3, y)), g, middle)
	return b.where(b.greater(b.scalar(-3, y), x), b.scalar(0, y), up)
}

// mish is that of X·t, t = tanh(softplus(X)): t + X(1−t²)·sigmoid(X).
func (b *builder) mish(g, x, y string) string {
	t := b.emit("Tanh", nil, b.emit("Softplus", nil, x))
	slope := b.mul(b.mul(x, b.emit("Sigmoid", nil, x)), b.sub(b.scalar(1, y), b.mul(t, t)))
	return b.mul(g, b.plus(t, slope))
}

// writeSwish is the rule of X·s, s = sigmoid(αX): s + αX·s(1−s).
func writeSwish(b *builder, n *onnx.Node) error {
	x, y := n.Input(0), n.Output(0)
	ax := b.scaled(x, float64(n.Float("alpha", 1)), y)
	s := b.emit("Sigmoid", nil, ax)
	slope := b.mul(s, b.shifted(b.mul(ax, b.sub(b.scalar(1, y), s)), 1, y))
	b.add(x, b.mul(b.g(n), slope))
	return nil
}

// checkGelu refuses an approximation that is not known.
func checkGelu(_ *onnx.Graph, n *onnx.Node) error {
	switch how := n.String("approximate", "none"); how {
	case "none", "tanh":
		return nil
	default:
		return refuse(n, "its approximation %q is not known", how)
	}
}

func writeGelu(b *builder, n *onnx.Node) error {
	slope := b.gelu
	if n.String("approximate", "none") == "tanh" {
		slope = b.geluTanh
	}
	b.add(n.Input(0), b.mul(b.g(n), slope(n.Input(0))))
	return nil
}

// gelu returns the slope of XΦ: Φ + Xφ, where Φ = ½(1+erf(X/√2)) and φ = exp(−X²/2)/√(2π).
func (b *builder) gelu(x string) string {
	below := b.scaled(b.shifted(b.emit("Erf", nil, b.scaled(x, math.Sqrt(0.5), x)), 1, x), 0.5, x)
	density := b.scaled(b.emit("Exp", nil, b.scaled(b.mul(x, x), -0.5, x)), 1/math.Sqrt(2*math.Pi), x)
	return b.plus(below, b.mul(x, density))
}

// geluTanh returns that of ½X(1+t), where t = tanh(√(2/π)(X + 0.044715·X³)): ½(1+t) + ½X(1−t²)·√(2/π)(1 + 3·0.044715·X²).
func (b *builder) geluTanh(x string) string {
	const cubic = 0.044715
	square := b.mul(x, x)
	root := math.Sqrt(2 / math.Pi)
	inner := b.mul(x, b.shifted(b.scaled(square, root*cubic, x), root, x))
	t := b.emit("Tanh", nil, inner)
	bend := b.mul(b.sub(b.scalar(1, x), b.mul(t, t)), b.shifted(b.scaled(square, root*3*cubic, x), root, x))
	return b.scaled(b.plus(b.shifted(t, 1, x), b.mul(x, bend)), 0.5, x)
}
