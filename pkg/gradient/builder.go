package gradient

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// builder writes a gradient: the forward nodes, and behind them those that the rules emit.
type builder struct {
	graph    *onnx.Graph // a copy of the network; forward nodes may be asked for more outputs
	facts    onnx.Facts
	opts     Options
	path     path
	node     *onnx.Node // whose rule is at work
	prefix   string     // of every name that is added
	serial   int
	nodes    []*onnx.Node
	adjoints map[string][]string // what has been contributed to each tensor's adjoint
	sums     map[string]string   // the adjoints whose contributions are added up
	known    map[string]string   // constants that were made, by what they hold
	shapes   map[string]string   // tensors that hold shapes, by whose
	straight map[string]bool     // the operators that were taken for the identity
}

func newBuilder(g *onnx.Graph, f onnx.Facts, opts Options, p path) *builder {
	clone := g.Clone()
	at := make(map[*onnx.Node]int, len(g.Nodes))
	for i, n := range g.Nodes {
		at[n] = i
	}
	nodes := make([]*onnx.Node, len(p.nodes))
	for i, n := range p.nodes {
		nodes[i] = clone.Nodes[at[n]]
	}
	b := &builder{
		graph: clone, facts: f, opts: opts, path: path{nodes: nodes, on: p.on}, prefix: freePrefix(g),
		adjoints: map[string][]string{}, sums: map[string]string{}, known: map[string]string{}, shapes: map[string]string{}, straight: map[string]bool{},
	}
	b.adjoints[opts.Of] = []string{b.seed()}
	return b
}

// freePrefix returns a beginning that no name in g has.
func freePrefix(g *onnx.Graph) string {
	used := func(prefix string) bool {
		begins := func(s string) bool { return len(s) >= len(prefix) && s[:len(prefix)] == prefix }
		return slices.ContainsFunc(g.Nodes, func(n *onnx.Node) bool { return slices.ContainsFunc(n.Outputs, begins) }) ||
			slices.ContainsFunc(g.Inputs, func(v onnx.Value) bool { return begins(v.Name) }) ||
			slices.ContainsFunc(slices.Collect(maps.Keys(g.Initializers)), begins)
	}
	prefix := "gradient/"
	for i := 2; used(prefix); i++ {
		prefix = fmt.Sprintf("gradient%d/", i)
	}
	return prefix
}

func (b *builder) seed() string { return b.prefix + "seed" }

// name returns a new name.
func (b *builder) name(op string) string {
	b.serial++
	return fmt.Sprintf("%s%s_%d", b.prefix, op, b.serial)
}

// on tells whether a tensor needs an adjoint. A rule does no work for others.
func (b *builder) on(name string) bool { return name != "" && b.path.on[name] }

// reached tells whether anything was contributed to the adjoint of one of n's outputs.
func (b *builder) reached(n *onnx.Node) bool {
	return slices.ContainsFunc(n.Outputs, func(s string) bool { return len(b.adjoints[s]) > 0 })
}

// adjoint returns the adjoint of a tensor: "" when nothing was contributed to it.
func (b *builder) adjoint(name string) string {
	parts := b.adjoints[name]
	if sum, ok := b.sums[name]; ok || len(parts) == 0 {
		return sum
	}
	sum := parts[0]
	switch len(parts) {
	case 1:
	case 2:
		sum = b.emit("Add", nil, parts...)
	default:
		sum = b.emit("Sum", nil, parts...)
	}
	b.sums[name] = sum
	return sum
}

// g returns the adjoint of the first output of n.
func (b *builder) g(n *onnx.Node) string { return b.adjoint(n.Output(0)) }

// add contributes to a tensor's adjoint; nothing, where the tensor needs none.
func (b *builder) add(name, contribution string) {
	if b.on(name) {
		b.adjoints[name] = append(b.adjoints[name], contribution)
	}
}

// emit appends a node with one output, and returns that.
func (b *builder) emit(op string, attrs map[string]onnx.Attr, inputs ...string) string {
	return b.emits(op, attrs, 1, inputs...)[0]
}

// emits appends a node with n outputs.
func (b *builder) emits(op string, attrs map[string]onnx.Attr, n int, inputs ...string) []string {
	outputs := make([]string, n)
	for i := range outputs {
		outputs[i] = b.name(op)
	}
	b.nodes = append(b.nodes, &onnx.Node{Name: outputs[0], Op: op, Inputs: inputs, Outputs: outputs, Attrs: attrs})
	return outputs
}

// output returns the name of output i of a forward node, which it asks for it when nobody did before.
func (b *builder) output(n *onnx.Node, i int) string {
	for len(n.Outputs) <= i {
		n.Outputs = append(n.Outputs, "")
	}
	if n.Outputs[i] == "" {
		n.Outputs[i] = b.name(n.Op)
	}
	return n.Outputs[i]
}

// dtype returns the type of a tensor of the network: float32 when nothing tells.
func (b *builder) dtype(name string) tensor.DType {
	if d := b.facts.Types[name]; d != tensor.Undefined {
		return d
	}
	if c := b.value(name); c != nil {
		return c.Type.DType()
	}
	return tensor.Float32
}

// scalar returns a constant of like's type.
func (b *builder) scalar(v float64, like string) string { return b.floats([]float64{v}, nil, like) }

// floats returns a constant of a shape, nil for a scalar, and of like's type.
func (b *builder) floats(v []float64, shape []int64, like string) string {
	if b.dtype(like) == tensor.Float64 {
		return b.constant(onnx.Of(v, shape...))
	}
	short := make([]float32, len(v))
	for i, x := range v {
		short[i] = float32(x)
	}
	return b.constant(onnx.Of(short, shape...))
}

// ints returns a constant vector of int64.
func (b *builder) ints(v ...int64) string { return b.constant(onnx.Of(v, int64(len(v)))) }

// int returns a constant scalar of int64.
func (b *builder) int(v int64) string { return b.constant(onnx.Of([]int64{v})) }

// constant adds an initializer. Small ones that hold the same are added once.
func (b *builder) constant(c *onnx.Constant) string {
	key := ""
	if len(c.Raw) <= 256 {
		key = fmt.Sprint(c.Type, c.Shape) + string(c.Raw)
		if name, ok := b.known[key]; ok {
			return name
		}
	}
	name := b.name("constant")
	b.graph.Initializers[name] = c
	if key != "" {
		b.known[key] = name
	}
	return name
}

// value returns the constant behind a name, nil when it is none.
func (b *builder) value(name string) *onnx.Constant { return b.graph.Initializers[name] }

// dims returns the shape of a tensor of the network.
func (b *builder) dims(name string) ([]onnx.Dim, error) {
	if shape, ok := b.facts.Shapes[name]; ok {
		return shape, nil
	}
	c := b.value(name)
	if c == nil {
		return nil, fmt.Errorf("%w: the shape of %q is not known", fault.Unsupported, name)
	}
	shape := make([]onnx.Dim, len(c.Shape))
	for i, d := range c.Shape {
		shape[i] = onnx.Dim{A: d, B: d}
	}
	return shape, nil
}

// rank returns the number of axes of a tensor of the network.
func (b *builder) rank(name string) (int, error) {
	shape, err := b.dims(name)
	return len(shape), err
}

// axis returns an axis that may be counted from the end, as one from 0 on.
func axis(i int64, rank int) int64 {
	if i < 0 {
		return i + int64(rank)
	}
	return i
}

// shape returns an int64 vector that holds the shape of a tensor of the network.
func (b *builder) shape(name string) (string, error) {
	dims, err := b.dims(name)
	if err != nil {
		return "", err
	}
	sizes := make([]int64, len(dims))
	for i, d := range dims {
		sizes[i] = d.A
	}
	if !slices.ContainsFunc(dims, func(d onnx.Dim) bool { return !d.Constant() }) {
		return b.ints(sizes...), nil
	}
	if b.shapes[name] == "" {
		b.shapes[name] = b.emit("Shape", nil, name)
	}
	return b.shapes[name], nil
}

// like reshapes t, of the gradient, to the shape of a tensor of the network.
func (b *builder) like(t, name string) (string, error) {
	dims, err := b.dims(name)
	if err != nil {
		return "", err
	}
	open, sizes := 0, make([]int64, len(dims))
	for i, d := range dims {
		if sizes[i] = d.A; !d.Constant() {
			sizes[i], open = -1, open+1
		}
	}
	if open <= 1 && !slices.Contains(sizes, 0) {
		return b.emit("Reshape", nil, t, b.ints(sizes...)), nil
	}
	shape, err := b.shape(name)
	if err != nil {
		return "", err
	}
	return b.emit("Reshape", map[string]onnx.Attr{"allowzero": onnx.Int(1)}, t, shape), nil
}

// unbroadcast adds up what broadcasting spread: t, of the gradient, has the shape of the network's tensor from; the result
// that of the tensor to, which was broadcast to it.
func (b *builder) unbroadcast(t, from, to string) (string, error) {
	wide, err := b.dims(from)
	if err != nil {
		return "", err
	}
	return b.narrow(t, wide, to)
}

// narrow is unbroadcast for a t of the shape wide, which need not be that of a tensor of the network.
func (b *builder) narrow(t string, wide []onnx.Dim, to string) (string, error) {
	narrow, err := b.dims(to)
	if err != nil {
		return "", err
	}
	lead := len(wide) - len(narrow)
	if lead < 0 {
		return "", fmt.Errorf("%w: %q of %d axes is broadcast to %d", fault.Unsupported, to, len(narrow), len(wide))
	}
	var axes []int64
	for i, d := range wide {
		one := onnx.Dim{A: 1, B: 1}
		if i < lead && d != one || i >= lead && narrow[i-lead] == one && d != one {
			axes = append(axes, int64(i))
		}
	}
	if len(axes) > 0 {
		t = b.emit("ReduceSum", map[string]onnx.Attr{"keepdims": onnx.Int(1)}, t, b.ints(axes...))
	}
	if lead == 0 {
		return t, nil
	}
	return b.like(t, to)
}

// spread contributes t, which has the shape of the network's tensor from, to the adjoint of the tensor to, which was
// broadcast to it. It calls t only when the adjoint is needed.
func (b *builder) spread(t func() string, from, to string) error {
	if !b.on(to) {
		return nil
	}
	part, err := b.unbroadcast(t(), from, to)
	if err != nil {
		return err
	}
	b.add(to, part)
	return nil
}

// finish puts the parts together.
func (b *builder) finish() (*Graph, error) {
	out := &Graph{Model: b.graph, Seed: b.seed(), Of: b.opts.Of, Grads: map[string]string{}, Straight: slices.Sorted(maps.Keys(b.straight))}
	outputs := append([]string{b.opts.Of}, b.opts.Keep...)
	for _, name := range b.opts.To {
		adjoint := b.adjoint(name)
		if adjoint == "" {
			return nil, fmt.Errorf("%w: nothing of %q reaches %q", fault.Invalid, b.opts.Of, name)
		}
		grad := b.emit("Identity", nil, adjoint) // an output of its own, whatever else it is
		out.Grads[name] = grad
		outputs = append(outputs, grad)
	}
	of, err := b.typed(b.opts.Of)
	if err != nil {
		return nil, err
	}
	of.Name = out.Seed
	b.graph.Inputs = append(b.graph.Inputs, of)
	b.graph.Nodes = append(b.graph.Nodes, b.nodes...)
	b.graph.Outputs = nil
	slices.Sort(outputs)
	for _, name := range slices.Compact(outputs) {
		b.graph.Outputs = append(b.graph.Outputs, onnx.Value{Name: name})
	}
	prune(b.graph, out.Seed)
	return out, nil
}

// typed describes a tensor of the network as an input.
func (b *builder) typed(name string) (onnx.Value, error) {
	dims, err := b.dims(name)
	if err != nil {
		return onnx.Value{}, err
	}
	v := onnx.Value{Name: name, Type: onnx.TypeOf(b.dtype(name)), Shape: make([]onnx.Axis, len(dims))}
	for i, d := range dims {
		if v.Shape[i] = (onnx.Axis{Size: d.A}); !d.Constant() {
			v.Shape[i] = onnx.Axis{Size: -1, Name: fmt.Sprintf("%sdim_%d", b.prefix, i)}
		}
	}
	return v, nil
}

// prune takes away what no output needs, but for the seed.
func prune(g *onnx.Graph, seed string) {
	needed := map[string]bool{seed: true}
	for _, v := range g.Outputs {
		needed[v.Name] = true
	}
	var kept []*onnx.Node
	for _, n := range slices.Backward(g.Nodes) {
		if !slices.ContainsFunc(n.Outputs, func(s string) bool { return needed[s] }) {
			continue
		}
		kept = append(kept, n)
		for _, in := range reads(n) {
			needed[in] = true
		}
	}
	slices.Reverse(kept)
	g.Nodes = kept
	maps.DeleteFunc(g.Initializers, func(name string, _ *onnx.Constant) bool { return !needed[name] })
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v onnx.Value) bool { return !needed[v.Name] })
}
