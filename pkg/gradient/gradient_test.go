package gradient_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// shared is the runtime of this process, over the library that any user gets.
var shared = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := library.Find(context.Background(), library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(context.Background(), ort.Options{Library: path})
})

// open opens a graph for the length of a test.
func open(tb testing.TB, g *onnx.Graph, level engine.Optimization) engine.Session {
	tb.Helper()
	runtime, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := runtime.Open(tb.Context(), engine.Network{Bytes: g.Marshal()}, engine.Options{IntraOpThreads: 1, Optimization: level})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// run runs a session, and fails the test where that fails.
func run(tb testing.TB, s engine.Session, in tensor.Named) tensor.Named {
	tb.Helper()
	out, err := s.Run(tb.Context(), in)
	if err != nil {
		tb.Fatalf("run: %v", err)
	}
	return out
}

// network makes a graph of nodes. Its inputs are "x" and those of more, whose open axes have size -1; its output is "y".
func network(inputs map[string][]int64, constants map[string]*onnx.Constant, nodes ...*onnx.Node) *onnx.Graph {
	g := &onnx.Graph{IR: 8, Opset: 17, Initializers: map[string]*onnx.Constant{}, Nodes: nodes, Outputs: []onnx.Value{{Name: "y"}}}
	maps.Copy(g.Initializers, constants)
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		v := onnx.Value{Name: name, Type: 1, Shape: []onnx.Axis{}}
		for i, d := range inputs[name] {
			v.Shape = append(v.Shape, onnx.Axis{Size: d, Name: fmt.Sprintf("n%d", i)})
		}
		g.Inputs = append(g.Inputs, v)
	}
	return g
}

// node makes a node.
func node(op string, attrs map[string]onnx.Attr, inputs []string, outputs ...string) *onnx.Node {
	return &onnx.Node{Op: op, Attrs: attrs, Inputs: inputs, Outputs: outputs}
}

// learn finds types and shapes by running g with every tensor an output, at one row and at another number of them.
func learn(tb testing.TB, g *onnx.Graph, a, b tensor.Named) onnx.Facts {
	tb.Helper()
	probe := g.Clone()
	probe.Outputs = nil
	for _, n := range g.Nodes {
		for _, out := range n.Outputs {
			if out != "" {
				probe.Outputs = append(probe.Outputs, onnx.Value{Name: out})
			}
		}
	}
	s := open(tb, probe, engine.OptimizeAll)
	first, second := run(tb, s, a), run(tb, s, b)
	maps.Copy(first, a)
	maps.Copy(second, b)
	f := onnx.Facts{Types: onnx.Types{}, Shapes: map[string][]onnx.Dim{}}
	for name, x := range first {
		f.Types[name] = x.DType()
		dims := make([]onnx.Dim, len(x.Shape()))
		for i, d := range x.Shape() {
			dims[i] = onnx.Dim{A: d, B: second[name].Shape()[i]}
		}
		f.Shapes[name] = dims
	}
	return f
}

// subject is a graph and how to test it.
type subject struct {
	graph *onnx.Graph
	to    []string // nil: "x"
	rows  int64    // the size of open axes; 0: 2
	opts  gradient.Options
	// draw returns the elements of an input; nil: normally distributed.
	draw   func(r *rand.Rand, n int) []float32
	linear bool // and so tested exactly
	step   float64
	limit  float64 // of the relative error; 0: 1e-5 for linear, 3e-3 for others
	seed   uint64  // of what is drawn; 0: a random one
}

// check compares the gradient with the function itself: for linear functions ⟨J·v, r⟩ = ⟨v, Jᵀ·r⟩, for others by central
// differences of fourth order along a random direction.
func check(t *testing.T, s subject) {
	t.Helper()
	seed := s.seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	r := rand.New(rand.NewPCG(seed, 1))
	s.fill()
	at, more := s.inputs(t, r, s.rows), s.inputs(t, r, s.rows+1)
	facts := learn(t, s.graph, more, at) // a size that is taken for constant is then the wrong one
	built, err := gradient.Build(s.graph, facts, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := gradient.Supported(s.graph, s.opts); err != nil {
		t.Errorf("Supported: %v", err)
	}
	forward, backward := open(t, s.graph, engine.OptimizeAll), open(t, built.Model, engine.OptimizeAll)
	y := run(t, forward, at)[s.opts.Of]
	seeds := dense(t, y.DType(), y.Shape(), normal(r, y.Len()))
	in := tensor.Named{built.Seed: seeds}
	for _, v := range built.Model.Inputs {
		if v.Name != built.Seed {
			in[v.Name] = at[v.Name]
		}
	}
	out := run(t, backward, in)
	plain := run(t, open(t, built.Model, engine.OptimizeNone), in)
	direction := tensor.Named{}
	got := 0.0
	for _, name := range s.opts.To {
		grad := out[built.Grads[name]]
		if !slices.Equal(grad.Shape(), at[name].Shape()) {
			t.Fatalf("gradient by %s is %v, the tensor %v", name, grad, at[name])
		}
		same(t, grad, plain[built.Grads[name]])
		direction[name] = dense(t, at[name].DType(), at[name].Shape(), normal(r, at[name].Len()))
		got += dot(t, grad, direction[name])
	}
	along := func(h float64) float64 {
		moved := maps.Clone(at)
		for name, v := range direction {
			moved[name] = move(t, at[name], v, h)
		}
		return dot(t, run(t, forward, moved)[s.opts.Of], seeds)
	}
	want := along(1) - along(0)
	if !s.linear {
		h := s.step
		want = (8*(along(h)-along(-h)) - (along(2*h) - along(-2*h))) / (12 * h)
	}
	scale := math.Sqrt(dot(t, y, y)*dot(t, seeds, seeds)/float64(max(1, y.Len()))) + math.Abs(want) + 1e-3
	if diff := math.Abs(got - want); !(diff <= s.limit*scale) {
		t.Errorf("gradient along a direction = %g, want %g (off by %.2g of %.3g, seed %d)", got, want, diff/scale, scale, seed)
	}
}

// fill sets what was left out.
func (s *subject) fill() {
	if s.to == nil {
		s.to = []string{"x"}
	}
	if s.rows == 0 {
		s.rows = 2
	}
	if s.step == 0 {
		s.step = 1e-2
	}
	if s.draw == nil {
		s.draw = normal
	}
	if s.limit == 0 {
		s.limit = 3e-3
		if s.linear {
			s.limit = 1e-5
		}
	}
	s.opts.Of, s.opts.To = "y", s.to
}

// inputs draws the inputs of the graph.
func (s *subject) inputs(tb testing.TB, r *rand.Rand, rows int64) tensor.Named {
	tb.Helper()
	in := tensor.Named{}
	for _, v := range s.graph.Inputs {
		shape, n := []int64{}, int64(1)
		for _, a := range v.Shape {
			d := a.Size
			if d < 0 {
				d = rows
			}
			shape, n = append(shape, d), n*d
		}
		in[v.Name] = dense(tb, v.Type.DType(), shape, s.draw(r, int(n)))
	}
	return in
}

// normal draws from the standard normal distribution.
func normal(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64())
	}
	return out
}

// distinct draws different numbers, in steps of 0.05, none of which is near 0: for functions with kinks.
func distinct(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i, p := range r.Perm(n) {
		out[i] = 0.05*float32(p-n/2) + 0.0251
	}
	return out
}

// positive draws from 0.5 to 2.
func positive(r *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 0.5 + 1.5*r.Float32()
	}
	return out
}

// dense makes a tensor of float32 or float64.
func dense(tb testing.TB, d tensor.DType, shape []int64, data []float32) tensor.Tensor {
	tb.Helper()
	x, err := tensor.New(shape, data)
	if d == tensor.Float64 {
		x, err = tensor.New(shape, widen(data))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func widen(data []float32) []float64 {
	out := make([]float64, len(data))
	for i, v := range data {
		out[i] = float64(v)
	}
	return out
}

// floats returns the elements of a tensor of float32 or float64.
func floats(tb testing.TB, x tensor.Tensor) []float64 {
	tb.Helper()
	if x.DType() == tensor.Float64 {
		data, err := tensor.Data[float64](x)
		if err != nil {
			tb.Fatal(err)
		}
		return data
	}
	data, err := tensor.Float32s(x)
	if err != nil {
		tb.Fatal(err)
	}
	return widen(data)
}

func dot(tb testing.TB, x, y tensor.Tensor) float64 {
	tb.Helper()
	a, b := floats(tb, x), floats(tb, y)
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// same fails the test where the gradients at two levels of optimization are not the same but for rounding.
func same(tb testing.TB, x, y tensor.Tensor) {
	tb.Helper()
	a, b := floats(tb, x), floats(tb, y)
	largest, apart := 1e-6, 0.0
	for i := range a {
		largest, apart = max(largest, math.Abs(a[i])), max(apart, math.Abs(a[i]-b[i]))
	}
	if !(apart <= 1e-5*largest) {
		tb.Errorf("gradients with and without optimization differ by %g of %g", apart, largest)
	}
}

// move returns x + h·v.
func move(tb testing.TB, x, v tensor.Tensor, h float64) tensor.Tensor {
	tb.Helper()
	a, b := floats(tb, x), floats(tb, v)
	moved := make([]float64, len(a))
	for i := range a {
		moved[i] = a[i] + h*b[i]
	}
	out, err := tensor.New(x.Shape(), moved)
	if x.DType() == tensor.Float32 {
		short := make([]float32, len(a))
		for i, m := range moved {
			short[i] = float32(m)
		}
		out, err = tensor.New(x.Shape(), short)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// grid draws different numbers in steps of any size, none of which is near 0, and half of them negative.
func grid(step float32) func(r *rand.Rand, n int) []float32 {
	return func(r *rand.Rand, n int) []float32 {
		out := make([]float32, n)
		for i, p := range r.Perm(n) {
			out[i] = step * (float32(p-n/2) + 0.5)
		}
		return out
	}
}

// opset returns g with another version of the operators.
func opset(version int64, g *onnx.Graph) *onnx.Graph {
	g.Opset = version
	if version > 21 {
		g.IR = 10
	}
	return g
}

// double returns g in double precision.
func double(tb testing.TB, g *onnx.Graph) *onnx.Graph {
	tb.Helper()
	g = g.Clone()
	for i := range g.Inputs {
		g.Inputs[i].Type = onnx.TypeOf(tensor.Float64)
	}
	for name, c := range g.Initializers {
		if c.Type != onnx.TypeOf(tensor.Float32) {
			continue
		}
		data, err := c.Float64s()
		if err != nil {
			tb.Fatal(err)
		}
		wide := onnx.Of(data, c.Shape...)
		g.Initializers[name] = wide
	}
	return g
}

// drawn makes constants of normally distributed numbers, of the shapes given.
func drawn(shapes map[string][]int64) map[string]*onnx.Constant {
	r := rand.New(rand.NewPCG(3, 4))
	out := map[string]*onnx.Constant{}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		n := int64(1)
		for _, d := range shapes[name] {
			n *= d
		}
		out[name] = onnx.Of(normal(r, int(n)), shapes[name]...)
	}
	return out
}

func TestGemm(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		ta, tb := int64(i&1), int64(i>>1)
		x, w := []int64{-1, 3}, []int64{3, 5}
		if ta == 1 {
			x = []int64{3, -1}
		}
		if tb == 1 {
			w = []int64{5, 3}
		}
		attrs := map[string]onnx.Attr{"transA": onnx.Int(ta), "transB": onnx.Int(tb), "alpha": onnx.Float(0.5), "beta": onnx.Float(2)}
		g := network(map[string][]int64{"x": x, "w": w, "c": {5}}, nil, node("Gemm", attrs, []string{"x", "w", "c"}, "y"))
		for _, to := range [][]string{{"x"}, {"w"}, {"c"}} {
			t.Run(fmt.Sprint(ta, tb, to), func(t *testing.T) {
				t.Parallel()
				check(t, subject{graph: g, to: to, linear: true})
			})
		}
	}
}

// build differentiates "y" by "x".
func derive(tb testing.TB, g *onnx.Graph) *gradient.Graph {
	tb.Helper()
	s := subject{graph: g}
	s.fill()
	r := rand.New(rand.NewPCG(1, 2))
	built, err := gradient.Build(g, learn(tb, g, s.inputs(tb, r, 2), s.inputs(tb, r, 3)), s.opts)
	if err != nil {
		tb.Fatal(err)
	}
	return built
}

// solve returns the gradients of the sum of "y" by inputs that hold the numbers given, as vectors.
func solve(tb testing.TB, g *onnx.Graph, opts gradient.Options, in map[string][]float32) map[string][]float64 {
	tb.Helper()
	at := tensor.Named{}
	for name, data := range in {
		at[name] = dense(tb, tensor.Float32, []int64{int64(len(data))}, data)
	}
	opts.Of, opts.To = "y", slices.Sorted(maps.Keys(in))
	facts := learn(tb, g, at, at)
	built, err := gradient.Build(g, facts, opts)
	if err != nil {
		tb.Fatal(err)
	}
	ones := make([]float32, max(1, facts.Shapes["y"][0].A))
	for i := range ones {
		ones[i] = 1
	}
	given := maps.Clone(at)
	given[built.Seed] = dense(tb, tensor.Float32, []int64{int64(len(ones))}, ones)
	for _, name := range opts.To {
		if !slices.ContainsFunc(built.Model.Inputs, func(v onnx.Value) bool { return v.Name == name }) {
			delete(given, name)
		}
	}
	out := run(tb, open(tb, built.Model, engine.OptimizeAll), given)
	grads := map[string][]float64{}
	for name, grad := range built.Grads {
		grads[name] = floats(tb, out[grad])
	}
	return grads
}
