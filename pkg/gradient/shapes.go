package gradient

import (
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// shapes are the rules of the operators that move elements, and compute nothing.
func shapes() ruleSet {
	return ruleSet{
		"Identity": unary(func(_ *builder, g, _, _ string) string { return g }),
		"Flatten":  {write: writeLike}, "Reshape": {write: writeLike}, "Squeeze": {write: writeLike}, "Unsqueeze": {write: writeLike},
		"Transpose": {write: writeTranspose},
		"Concat":    {write: writeConcat},
		"Split":     {write: writeSplit},
		"Slice":     {write: writeSlice},
		"Expand": {write: func(b *builder, n *onnx.Node) error {
			return b.spread(func() string { return b.g(n) }, n.Output(0), n.Input(0))
		}},
		"Tile":         {write: writeTile},
		"Pad":          {write: writePad, check: oneOf("mode", "constant", "reflect", "edge", "wrap")},
		"DepthToSpace": {write: writeDepthToSpace, check: oneOf("mode", "DCR", "CRD")},
		"SpaceToDepth": unary(func(b *builder, g, _, _ string) string {
			return b.emit("DepthToSpace", map[string]onnx.Attr{"blocksize": onnx.Int(b.node.Int("blocksize", 1))}, g)
		}),
	}
}

// oneOf refuses values of an attribute other than those given, of which the first is the default.
func oneOf(attr string, values ...string) func(*onnx.Graph, *onnx.Node) error {
	return func(_ *onnx.Graph, n *onnx.Node) error {
		if v := n.String(attr, values[0]); !slices.Contains(values, v) {
			return refuse(n, "it has no rule for %s %q", attr, v)
		}
		return nil
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

func writeTranspose(b *builder, n *onnx.Node) error {
	perm := n.Ints("perm")
	if len(perm) == 0 { // the axes in reverse, both ways
		b.add(n.Input(0), b.emit("Transpose", nil, b.g(n)))
		return nil
	}
	inverse := make([]int64, len(perm))
	for i, p := range perm {
		inverse[p] = int64(i)
	}
	b.add(n.Input(0), b.emit("Transpose", map[string]onnx.Attr{"perm": onnx.Ints(inverse...)}, b.g(n)))
	return nil
}

func writeConcat(b *builder, n *onnx.Node) error {
	rank, err := b.rank(n.Output(0))
	if err != nil {
		return err
	}
	ax := axis(n.Int("axis", 0), rank)
	var sizes []string
	var needed []int
	for i, in := range n.Inputs {
		size, err := b.size(in, ax)
		if err != nil {
			return err
		}
		if sizes = append(sizes, size); b.on(in) {
			needed = append(needed, i)
		}
	}
	if start, end, ok := b.span(sizes, needed); ok {
		b.add(n.Input(needed[0]), b.emit("Slice", nil, b.g(n), b.ints(start), b.ints(end), b.ints(ax)))
		return nil
	}
	parts := b.emits("Split", map[string]onnx.Attr{"axis": onnx.Int(ax)}, len(sizes), b.g(n), b.concat(sizes))
	for i, in := range n.Inputs {
		b.add(in, parts[i])
	}
	return nil
}

// span returns where the only needed one of some parts lies, whose sizes are given.
func (b *builder) span(sizes []string, needed []int) (start, end int64, ok bool) {
	if len(needed) != 1 {
		return 0, 0, false
	}
	for i, name := range sizes[:needed[0]+1] {
		size, ok := b.integers(name)
		if !ok {
			return 0, 0, false
		}
		if end += size[0]; i < needed[0] {
			start = end
		}
	}
	return start, end, true
}

// concat joins int64 vectors: into a constant, when they are constants.
func (b *builder) concat(parts []string) string {
	var all []int64
	for _, p := range parts {
		v, ok := b.integers(p)
		if !ok {
			return b.emit("Concat", map[string]onnx.Attr{"axis": onnx.Int(0)}, parts...)
		}
		all = append(all, v...)
	}
	return b.ints(all...)
}

func writeSplit(b *builder, n *onnx.Node) error {
	parts := make([]string, len(n.Outputs))
	for i, out := range n.Outputs {
		if parts[i] = b.adjoint(out); parts[i] == "" {
			parts[i] = b.zeros(b.emit("Shape", nil, b.output(n, i)), n.Input(0))
		}
	}
	b.add(n.Input(0), b.emit("Concat", map[string]onnx.Attr{"axis": onnx.Int(n.Int("axis", 0))}, parts...))
	return nil
}

func writeSlice(b *builder, n *onnx.Node) error {
	if !b.on(n.Input(0)) {
		return nil
	}
	pads, ok, err := b.cut(n)
	if err != nil {
		return err
	}
	if !ok {
		return b.track(n)
	}
	b.add(n.Input(0), b.emit("Pad", nil, b.g(n), b.ints(pads...)))
	return nil
}

// cut returns how much the node n, a Slice, takes away before and after each axis. It fails to where n skips elements, and
// where the sizes are not fixed.
func (b *builder) cut(n *onnx.Node) (pads []int64, ok bool, err error) {
	dims, err := b.dims(n.Input(0))
	if err != nil {
		return nil, false, err
	}
	starts, ok := b.integers(n.Input(1))
	ends, ok2 := b.integers(n.Input(2))
	axes, ok3 := b.integersOr(n.Input(3), upTo(len(starts)))
	steps, ok4 := b.integersOr(n.Input(4), slices.Repeat([]int64{1}, len(starts)))
	if !ok || !ok2 || !ok3 || !ok4 || slices.ContainsFunc(steps, func(s int64) bool { return s != 1 }) {
		return nil, false, nil
	}
	pads = make([]int64, 2*len(dims))
	for i, a := range axes {
		a = axis(a, len(dims))
		if !dims[a].Constant() {
			if starts[i] != 0 || ends[i] < math.MaxInt32 {
				return nil, false, nil
			}
			continue // all of it
		}
		size := dims[a].A
		at := func(v int64) int64 {
			if v < 0 {
				v += size
			}
			return min(max(v, 0), size)
		}
		pads[a] = at(starts[i])
		pads[int64(len(dims))+a] = size - max(at(ends[i]), pads[a])
	}
	return pads, true, nil
}

// upTo returns the numbers from 0 to n-1.
func upTo(n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = int64(i)
	}
	return all
}

// writeTile adds up the copies.
func writeTile(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	if !b.on(x) {
		return nil
	}
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	var sizes, copies []string
	var axes []int64
	for i := range int64(rank) {
		size, err := b.size(x, i)
		if err != nil {
			return err
		}
		times := b.emitGather(n.Input(1), i)
		sizes, copies, axes = append(sizes, times, size), append(copies, times), append(axes, 2*i)
	}
	if rank == 0 {
		b.add(x, b.g(n))
		return nil
	}
	// An axis that is repeated just once needs no sum; with constant repeats that shows here.
	axes = slices.DeleteFunc(axes, func(a int64) bool {
		v, ok := b.integers(copies[a/2])
		return ok && v[0] == 1
	})
	g := b.emit("Reshape", map[string]onnx.Attr{"allowzero": onnx.Int(1)}, b.g(n), b.concat(sizes))
	if len(axes) > 0 {
		g = b.emit("ReduceSum", map[string]onnx.Attr{"keepdims": onnx.Int(0)}, g, b.ints(axes...))
	}
	if g, err = b.like(g, x); err != nil {
		return err
	}
	b.add(x, g)
	return nil
}

func writePad(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	if b.on(n.Input(2)) {
		return refuse(n, "the value %q that it pads with depends on what the gradient is by", n.Input(2))
	}
	if !b.on(x) {
		return nil
	}
	if n.String("mode", "constant") != "constant" {
		return b.track(n)
	}
	rank, err := b.rank(x)
	if err != nil {
		return err
	}
	given, ok := b.integers(n.Input(1))
	axes, ok2 := b.integersOr(n.Input(3), upTo(rank))
	switch {
	case ok && ok2:
		pads := make([]int64, 2*rank)
		for i, a := range axes {
			a = axis(a, rank)
			pads[a], pads[int64(rank)+a] = -given[i], -given[len(axes)+i]
		}
		b.add(x, b.emit("Pad", nil, b.g(n), b.ints(pads...)))
	case n.Input(3) == "":
		b.add(x, b.emit("Pad", nil, b.g(n), b.emit("Neg", nil, n.Input(1))))
	default:
		return refuse(n, "its pads or axes are not constant")
	}
	return nil
}

func writeDepthToSpace(b *builder, n *onnx.Node) error {
	x, block := n.Input(0), n.Int("blocksize", 1)
	if !b.on(x) {
		return nil
	}
	if n.String("mode", "DCR") == "DCR" {
		b.add(x, b.emit("SpaceToDepth", map[string]onnx.Attr{"blocksize": onnx.Int(block)}, b.g(n)))
		return nil
	}
	height, err := b.size(x, 2)
	if err != nil {
		return err
	}
	width, err := b.size(x, 3)
	if err != nil {
		return err
	}
	g := b.emit("Reshape", nil, b.g(n), b.concat([]string{b.ints(0, 0), height, b.ints(block), width, b.ints(block)}))
	g = b.emit("Transpose", map[string]onnx.Attr{"perm": onnx.Ints(0, 1, 3, 5, 2, 4)}, g)
	if g, err = b.like(g, x); err != nil {
		return err
	}
	b.add(x, g)
	return nil
}
