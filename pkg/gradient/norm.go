package gradient

import (
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// norm are the rules of the normalizations.
func norm() ruleSet {
	return ruleSet{
		"BatchNormalization":    {check: checkBatch, write: writeBatch},
		"LayerNormalization":    {write: writeLayer},
		"InstanceNormalization": {write: writeInstance},
		"GroupNormalization":    {write: writeGroup},
		"RMSNormalization":      {write: writeRMS},
		"LpNormalization":       {check: checkLp, write: writeLp},
		"LRN":                   {write: writeLRN},
	}
}

// normalized are the parts of a normalization x̂ = (x−μ)·s.
type normalized struct {
	hat, inv string                // x̂ and s
	mean     func(t string) string // over the axes that are normalized together
	centered bool                  // μ is not 0
}

// back takes an adjoint g from x̂ to x: s⊙(g − mean(g) − x̂⊙mean(g⊙x̂)).
func (b *builder) back(v normalized, g string) string {
	along := b.mul(v.hat, v.mean(b.mul(g, v.hat)))
	if v.centered {
		g = b.sub(g, v.mean(g))
	}
	return b.mul(v.inv, b.sub(g, along))
}

// normalize computes x̂ and s from x, which has the type of the network's tensor like.
func (b *builder) normalize(x, like string, epsilon float32, v normalized) normalized {
	if v.centered {
		x = b.sub(x, v.mean(x))
	}
	variance := v.mean(b.mul(x, x))
	v.inv = b.emit("Reciprocal", nil, b.emit("Sqrt", nil, b.shifted(variance, float64(epsilon), like)))
	v.hat = b.mul(x, v.inv)
	return v
}

// meanOver returns the mean over axes of what has the shape of the network's tensor x.
func (b *builder) meanOver(x string, axes []int64) (func(t string) string, error) {
	if len(axes) == 0 {
		return func(t string) string { return t }, nil
	}
	count, err := b.count(x, axes)
	if err != nil {
		return nil, err
	}
	return func(t string) string { return b.div(b.over(t, axes...), count) }, nil
}

// from returns the axes from first on.
func from(first int64, rank int) []int64 {
	var axes []int64
	for i := first; i < int64(rank); i++ {
		axes = append(axes, i)
	}
	return axes
}

// channels gives a vector, one number a channel, the shape that it is broadcast from over rank axes.
func (b *builder) channels(t string, rank int) string {
	return b.emit("Reshape", nil, t, b.ints(append([]int64{-1}, slices.Repeat([]int64{1}, rank-2)...)...))
}

// perChannel contributes t, of rank axes, to a vector of the network that was spread so.
func (b *builder) perChannel(t func() string, rank int, to string) error {
	if !b.on(to) {
		return nil
	}
	part, err := b.like(b.over(t(), append([]int64{0}, from(2, rank)...)...), to)
	if err != nil {
		return err
	}
	b.add(to, part)
	return nil
}

// checkBatch refuses a BatchNormalization that learns.
func checkBatch(_ *onnx.Graph, n *onnx.Node) error {
	if n.Int("training_mode", 0) != 0 {
		return refuse(n, "it is in training mode: rows depend on each other")
	}
	return nil
}

// writeBatch is the rule of (X−mean)/√(var+ε)·scale + B, with all four given a channel.
func writeBatch(b *builder, n *onnx.Node) error {
	x, scale, mean := n.Input(0), n.Input(1), n.Input(3)
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	if rank < 2 || b.on(mean) || b.on(n.Input(4)) {
		return refuse(n, "its statistics depend on what the gradient is taken by, or there are no channels")
	}
	g := b.g(n)
	if b.on(x) {
		factor, err := b.batchFactor(n, rank)
		if err != nil {
			return err
		}
		b.add(x, b.mul(g, factor))
	}
	err = b.perChannel(func() string {
		deviation := b.emit("Sqrt", nil, b.shifted(n.Input(4), float64(n.Float("epsilon", 1e-5)), scale))
		hat := b.div(b.sub(x, b.channels(mean, rank)), b.channels(deviation, rank))
		return b.mul(g, hat)
	}, rank, scale)
	if err != nil {
		return err
	}
	return b.perChannel(func() string { return g }, rank, n.Input(2))
}

// batchFactor returns scale/√(var+ε): a constant, where both are.
func (b *builder) batchFactor(n *onnx.Node, rank int) (string, error) {
	x, scale, variance := n.Input(0), n.Input(1), n.Input(4)
	epsilon := float64(n.Float("epsilon", 1e-5))
	cs, cv := b.value(scale), b.value(variance)
	if cs == nil || cv == nil {
		deviation := b.emit("Sqrt", nil, b.shifted(variance, epsilon, variance))
		return b.channels(b.div(scale, deviation), rank), nil
	}
	factor, err := cs.Float64s()
	if err != nil {
		return "", err
	}
	v, err := cv.Float64s()
	if err != nil {
		return "", err
	}
	for i := range factor {
		factor[i] /= math.Sqrt(v[i] + epsilon)
	}
	return b.floats(factor, append([]int64{int64(len(factor))}, slices.Repeat([]int64{1}, rank-2)...), x), nil
}

// writeLayer asks the forward node for its mean and deviation. In double precision it does not: the runtime gives both in
// single.
func writeLayer(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	v := normalized{centered: true}
	if v.mean, err = b.meanOver(x, from(axis(n.Int("axis", -1), rank), rank)); err != nil {
		return err
	}
	if b.dtype(x) == tensor.Float32 {
		v.inv = b.output(n, 2)
		v.hat = b.mul(b.sub(x, b.output(n, 1)), v.inv)
	} else {
		v = b.normalize(x, x, n.Float("epsilon", 1e-5), v)
	}
	return b.scaleAndShift(n, v)
}

// writeRMS is the rule of a LayerNormalization that takes the mean for 0.
func writeRMS(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	var v normalized
	if v.mean, err = b.meanOver(x, from(axis(n.Int("axis", -1), rank), rank)); err != nil {
		return err
	}
	return b.scaleAndShift(n, b.normalize(x, x, n.Float("epsilon", 1e-5), v))
}

// scaleAndShift is the rule of x̂⊙scale + B, both of which are broadcast.
func (b *builder) scaleAndShift(n *onnx.Node, v normalized) error {
	g, x, scale := b.g(n), n.Input(0), n.Input(1)
	if b.on(x) {
		b.add(x, b.back(v, b.mul(g, scale)))
	}
	if err := b.spread(func() string { return b.mul(g, v.hat) }, x, scale); err != nil {
		return err
	}
	return b.spread(func() string { return g }, x, n.Input(2))
}

// writeInstance normalizes each channel of each row.
func writeInstance(b *builder, n *onnx.Node) error {
	x, scale := n.Input(0), n.Input(1)
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	v := normalized{centered: true}
	if v.mean, err = b.meanOver(x, from(2, rank)); err != nil {
		return err
	}
	v = b.normalize(x, x, n.Float("epsilon", 1e-5), v)
	g := b.g(n)
	if b.on(x) {
		b.add(x, b.back(v, b.mul(g, b.channels(scale, rank))))
	}
	if err := b.perChannel(func() string { return b.mul(g, v.hat) }, rank, scale); err != nil {
		return err
	}
	return b.perChannel(func() string { return g }, rank, n.Input(2))
}

// writeGroup normalizes groups of channels: rows of [N, groups, rest]. Before opset 21 scale and bias are a group's, from
// then on a channel's.
func writeGroup(b *builder, n *onnx.Node) error {
	x, scale, g := n.Input(0), n.Input(1), b.g(n)
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	groups := func(t string) string { return b.emit("Reshape", nil, t, b.ints(0, n.Int("num_groups", 1), -1)) }
	grouped := groups(x)
	size := b.cast(b.emit("Gather", nil, b.emit("Shape", nil, grouped), b.int(2)), x)
	v := normalized{centered: true, mean: func(t string) string { return b.div(b.over(t, 2), size) }}
	v = b.normalize(grouped, x, n.Float("epsilon", 1e-5), v)
	hat, wide := v.hat, 3
	var scaled string // the adjoint of x̂, in groups
	if b.graph.Opset < 21 {
		g = groups(g)
		scaled = b.mul(g, b.channels(scale, 3))
	} else {
		scaled = groups(b.mul(g, b.channels(scale, rank)))
		if hat, err = b.like(hat, x); err != nil {
			return err
		}
		wide = rank
	}
	if b.on(x) {
		part, err := b.like(b.back(v, scaled), x)
		if err != nil {
			return err
		}
		b.add(x, part)
	}
	if err := b.perChannel(func() string { return b.mul(g, hat) }, wide, scale); err != nil {
		return err
	}
	return b.perChannel(func() string { return g }, wide, n.Input(2))
}

// checkLp refuses norms that ONNX does not know.
func checkLp(_ *onnx.Graph, n *onnx.Node) error {
	if p := n.Int("p", 2); p != 1 && p != 2 {
		return refuse(n, "its p is %d, not 1 or 2", p)
	}
	return nil
}

// writeLp is the rule of Y = X/‖X‖: (G − S⊙Σ(G⊙Y))/‖X‖, where S, the norm's slope, is Y, and for p=1 the sign of X.
func writeLp(b *builder, n *onnx.Node) error {
	g, x, y := b.g(n), n.Input(0), n.Output(0)
	along := n.Int("axis", -1)
	var slope, length string
	if n.Int("p", 2) == 1 {
		slope = b.emit("Sign", nil, x)
		length = b.over(b.mul(slope, x), along)
	} else {
		slope = y
		length = b.emit("Sqrt", nil, b.over(b.mul(x, x), along))
	}
	part := b.sub(g, b.mul(slope, b.over(b.mul(g, y), along)))
	b.add(x, b.finite(part, length, x))
	return nil
}

// writeLRN is the rule of Y = X/S^β, S = bias + α/size·(sum of X² over a window of channels):
// G⊙S^−β − (2αβ/size)·X⊙(sum of G⊙X⊙S^(−β−1) over the windows that a channel is in).
func writeLRN(b *builder, n *onnx.Node) error {
	g, x := b.g(n), n.Input(0)
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	size := n.Int("size", 1)
	alpha, beta := float64(n.Float("alpha", 1e-4)), float64(n.Float("beta", 0.75))
	before, after := (size-1)/2, size/2
	sum := b.windowSum(b.mul(x, x), before, after, rank, x)
	s := b.shifted(b.scaled(sum, alpha/float64(size), x), float64(n.Float("bias", 1)), x)
	kept := b.mul(g, b.emit("Pow", nil, s, b.scalar(-beta, x)))
	sum = b.windowSum(b.mul(b.div(kept, s), x), after, before, rank, x)
	b.add(x, b.sub(kept, b.mul(x, b.scaled(sum, 2*alpha*beta/float64(size), x))))
	return nil
}

// windowSum sums t over so many channels before and after each.
func (b *builder) windowSum(t string, before, after int64, rank int, like string) string {
	pads := make([]int64, 2*rank)
	pads[1], pads[rank+1] = before, after
	padded := b.emit("Pad", nil, t, b.ints(pads...), b.scalar(0, like))
	size := before + after
	parts := make([]string, size+1)
	for i := range size + 1 {
		end := i - size
		if end == 0 {
			end = math.MaxInt64
		}
		parts[i] = b.emit("Slice", nil, padded, b.ints(i), b.ints(end), b.ints(1))
	}
	return b.emit("Sum", nil, parts...)
}
