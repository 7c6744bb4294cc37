package gradient

import (
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// reduce are the rules of the operators that gather up axes.
func reduce() ruleSet {
	return ruleSet{
		"Softmax": alongAxis(func(b *builder, g, y string, sum func(string) string) string { // T = G⊙Y: T − Y⊙ΣT
			t := b.mul(g, y)
			return b.sub(t, b.mul(y, sum(t)))
		}),
		"LogSoftmax": alongAxis(func(b *builder, g, y string, sum func(string) string) string { // G − exp(Y)⊙ΣG
			return b.sub(g, b.mul(b.emit("Exp", nil, y), sum(g)))
		}),
		"CumSum":          {write: writeCumSum},
		"ReduceSum":       reduction((*reduced).total),
		"ReduceMean":      reduction((*reduced).mean),
		"ReduceMax":       reduction((*reduced).extreme),
		"ReduceMin":       reduction((*reduced).extreme),
		"ReduceProd":      reduction((*reduced).product),
		"ReduceL1":        reduction(func(r *reduced) (string, error) { return r.b.mul(r.g, r.b.emit("Sign", nil, r.x)), nil }),
		"ReduceL2":        reduction(func(r *reduced) (string, error) { return r.b.mul(r.x, r.b.finite(r.g, r.y, r.x)), nil }),
		"ReduceSumSquare": reduction(func(r *reduced) (string, error) { return r.b.mul(r.x, r.b.scaled(r.g, 2, r.x)), nil }),
		"ReduceLogSum": reduction(func(r *reduced) (string, error) { // G/exp(Y)
			r.g = r.b.div(r.g, r.b.emit("Exp", nil, r.y))
			return r.total()
		}),
		"ReduceLogSumExp": reduction(func(r *reduced) (string, error) { // G⊙exp(X−Y)
			return r.b.mul(r.g, r.b.emit("Exp", nil, r.b.sub(r.x, r.y))), nil
		}),
	}
}

// over sums t over axes, which stay as axes of length 1.
func (b *builder) over(t string, axes ...int64) string {
	return b.emit("ReduceSum", map[string]onnx.Attr{"keepdims": onnx.Int(1)}, t, b.ints(axes...))
}

// alongAxis is the rule of an operator that keeps the shape and works along one axis, over which sum adds up.
func alongAxis(of func(b *builder, g, y string, sum func(string) string) string) rule {
	return rule{
		check: func(g *onnx.Graph, n *onnx.Node) error {
			if g.Opset < 13 {
				return refuse(n, "below opset 13 it works along several axes")
			}
			return nil
		},
		write: func(b *builder, n *onnx.Node) error {
			sum := func(t string) string { return b.over(t, n.Int("axis", -1)) }
			b.add(n.Input(0), of(b, b.g(n), n.Output(0), sum))
			return nil
		},
	}
}

// writeCumSum sums from the other end.
func writeCumSum(b *builder, n *onnx.Node) error {
	attrs := map[string]onnx.Attr{"exclusive": onnx.Int(n.Int("exclusive", 0)), "reverse": onnx.Int(1 - n.Int("reverse", 0))}
	b.add(n.Input(0), b.emit("CumSum", attrs, b.g(n), n.Input(1)))
	return nil
}

// reduced is a reduction at work. Its axes are at least 0; g and y have all axes that x has, those with length 1.
type reduced struct {
	b       *builder
	n       *onnx.Node
	axes    []int64
	g, x, y string
}

// reduction is the rule of an operator that reduces axes; of returns the adjoint of x, in x's shape.
func reduction(of func(r *reduced) (string, error)) rule {
	return rule{write: func(b *builder, n *onnx.Node) error {
		if !b.on(n.Input(0)) {
			return nil
		}
		axes, err := b.axes(n)
		if err != nil {
			return err
		}
		r := &reduced{b: b, n: n, axes: axes, g: b.g(n), x: n.Input(0), y: n.Output(0)}
		if len(axes) == 0 {
			return r.nothing()
		}
		if n.Int("keepdims", 1) == 0 {
			r.g = b.emit("Unsqueeze", nil, r.g, b.ints(axes...))
			r.y = b.emit("Unsqueeze", nil, r.y, b.ints(axes...))
		}
		grad, err := of(r)
		if err != nil {
			return err
		}
		b.add(r.x, grad)
		return nil
	}}
}

// axes returns the axes that n, a reduction, reduces: they are an attribute or, in later versions, an input.
func (b *builder) axes(n *onnx.Node) ([]int64, error) {
	rank, err := b.rank(n.Input(0))
	if err != nil {
		return nil, err
	}
	axes := slices.Clone(n.Ints("axes"))
	if in := n.Input(1); in != "" {
		c := b.value(in)
		if c == nil {
			return nil, refuse(n, "its axes are not constant")
		}
		if axes, err = c.Int64s(); err != nil {
			return nil, err
		}
	}
	if len(axes) == 0 && n.Int("noop_with_empty_axes", 0) == 0 {
		for i := range rank {
			axes = append(axes, int64(i))
		}
	}
	for i := range axes {
		axes[i] = axis(axes[i], rank)
	}
	slices.Sort(axes)
	return axes, nil
}

// nothing is the rule of a reduction over no axes, where that is the identity.
func (r *reduced) nothing() error {
	switch r.n.Op {
	case "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd":
		r.b.add(r.x, r.g)
		return nil
	default:
		return refuse(r.n, "it reduces no axes, and runtimes do not agree on what it does then")
	}
}

func (r *reduced) total() (string, error) {
	shape, err := r.b.shape(r.x)
	if err != nil {
		return "", err
	}
	return r.b.emit("Expand", nil, r.g, shape), nil
}

func (r *reduced) mean() (string, error) {
	count, err := r.b.count(r.x, r.axes)
	if err != nil {
		return "", err
	}
	r.g = r.b.div(r.g, count)
	return r.total()
}

// count returns the number of elements that x, a tensor of the network, has along axes, in x's type.
func (b *builder) count(x string, axes []int64) (string, error) {
	dims, err := b.dims(x)
	if err != nil {
		return "", err
	}
	count, open := int64(1), false
	for _, a := range axes {
		count *= dims[a].A
		open = open || !dims[a].Constant()
	}
	if !open {
		return b.scalar(float64(count), x), nil
	}
	shape, err := b.shape(x)
	if err != nil {
		return "", err
	}
	sizes := b.emit("Gather", nil, shape, b.ints(axes...))
	return b.cast(b.emit("ReduceProd", map[string]onnx.Attr{"keepdims": onnx.Int(0)}, sizes), x), nil
}

// extreme shares the adjoint among all that are the largest or the smallest.
func (r *reduced) extreme() (string, error) {
	b := r.b
	is := b.equal(r.x, r.y)
	share := b.div(r.g, b.over(b.cast(is, r.x), r.axes...))
	return b.where(is, share, b.scalar(0, r.x)), nil
}

// product is the product of all others for each: Y/X where none is 0; where one is, only that has a gradient.
func (r *reduced) product() (string, error) {
	b := r.b
	zero := b.isZero(r.x, r.x)
	zeros := b.over(b.cast(zero, r.x), r.axes...)
	rest := b.where(zero, b.scalar(1, r.x), r.x)
	attrs := maps.Clone(r.n.Attrs)
	if attrs == nil {
		attrs = map[string]onnx.Attr{}
	}
	attrs["keepdims"] = onnx.Int(1)
	inputs := append([]string{rest}, r.n.Inputs[1:]...)
	g := b.mul(r.g, b.emit("ReduceProd", attrs, inputs...))
	none := b.scalar(0, r.x)
	alone := b.where(b.equal(zeros, b.scalar(1, r.x)), g, none)
	others := b.div(b.where(b.isZero(zeros, r.x), g, none), rest)
	return b.where(zero, alone, others), nil
}
