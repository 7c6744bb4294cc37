package gradient_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// TestRandomGraphs differentiates graphs that nobody thought of. The name of a case is its seed.
func TestRandomGraphs(t *testing.T) {
	t.Parallel()
	cases := uint64(150)
	if testing.Short() {
		cases = 30
	}
	for seed := range cases {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := subject{to: []string{"x", "z"}, step: 1e-2, seed: seed + 1}
			single := []string{"Tanh", "Sigmoid", "Sin", "Neg", "Identity", "Softplus", "Softsign", "Erf"}
			s.graph = grow(rand.New(rand.NewPCG(seed, 7)), single, []string{"Add", "Sub", "Sum", "Mean"})
			explained(t, s)
			// With steps as small as double precision allows, kinks are hardly ever met.
			wide := []string{"Tanh", "Sigmoid", "Sin", "Neg", "Abs", "Relu"}
			s.graph = double(t, grow(rand.New(rand.NewPCG(seed, 8)), wide, []string{"Add", "Sub", "Sum", "Max", "Min"}))
			s.step, s.limit = 1e-5, 1e-6
			explained(t, s)
		})
	}
}

// explained checks s, and says what the graph was where that fails.
func explained(t *testing.T, s subject) {
	t.Helper()
	defer func() {
		if t.Failed() {
			for _, n := range s.graph.Nodes {
				t.Logf("%v = %s(%v)", n.Outputs, n.Op, n.Inputs)
			}
		}
	}()
	check(t, s)
}

// garden is a graph that grows. All of its tensors depend on an input; their shapes are [batch, rows, columns].
type garden struct {
	r         *rand.Rand
	unary     []string // the operators that there are
	binary    []string
	nodes     []*onnx.Node
	constants map[string]*onnx.Constant
	tensors   []plant
}

type plant struct {
	name          string
	rows, columns int64
	uses          int
}

// grow makes a random graph of "x" and "z".
func grow(r *rand.Rand, unary, binary []string) *onnx.Graph {
	rows, columns := 1+r.Int64N(4), 1+r.Int64N(4)
	g := &garden{r: r, unary: unary, binary: binary, constants: map[string]*onnx.Constant{}}
	g.tensors = []plant{{"x", rows, columns, 0}, {"z", 1, columns, 0}}
	for range 3 + r.IntN(12) {
		g.step()
	}
	// Whatever nobody used is added to the output, as its sum.
	y := g.add("ReduceSum", g.axis(1), 1, 1, g.tensors[0].name, g.ints(1, 2))
	for i := range g.tensors {
		if p := g.tensors[i]; p.uses == 0 && p.name != y {
			m := g.add("ReduceMean", attrs{"axes": onnx.Ints(1, 2)}, 1, 1, p.name)
			y = g.add("Add", nil, 1, 1, y, m)
		}
	}
	g.nodes[len(g.nodes)-1].Outputs[0] = "y"
	inputs := map[string][]int64{"x": {-1, rows, columns}, "z": {1, 1, columns}}
	return network(inputs, g.constants, g.nodes...)
}

// axis is no attribute but for those that keep axes.
func (g *garden) axis(keep int64) attrs { return attrs{"keepdims": onnx.Int(keep)} }

func (g *garden) ints(v ...int64) string {
	name := fmt.Sprint("ints", v)
	g.constants[name] = onnx.Of(v, int64(len(v)))
	return name
}

// weights makes a constant matrix.
func (g *garden) weights(rows, columns int64) string {
	name := fmt.Sprintf("w%d", len(g.constants))
	data := normal(g.r, int(rows*columns))
	for i := range data {
		data[i] /= float32(math.Sqrt(float64(rows)))
	}
	g.constants[name] = onnx.Of(data, rows, columns)
	return name
}

// add appends a node, and returns its output.
func (g *garden) add(op string, a attrs, rows, columns int64, inputs ...string) string {
	for i := range g.tensors {
		if slices.Contains(inputs, g.tensors[i].name) {
			g.tensors[i].uses++
		}
	}
	name := fmt.Sprintf("t%d", len(g.nodes))
	g.nodes = append(g.nodes, node(op, a, inputs, name))
	g.tensors = append(g.tensors, plant{name, rows, columns, 0})
	return name
}

// pick returns a tensor, a late one rather.
func (g *garden) pick() plant {
	n := len(g.tensors)
	return g.tensors[max(g.r.IntN(n), g.r.IntN(n))]
}

// mate returns a tensor that broadcasts with p.
func (g *garden) mate(p plant) plant {
	fits := func(a, b int64) bool { return a == b || a == 1 || b == 1 }
	for {
		if q := g.pick(); fits(p.rows, q.rows) && fits(p.columns, q.columns) {
			return q
		}
	}
}

// step appends a random operator, or a few that belong together.
func (g *garden) step() {
	p := g.pick()
	switch g.r.IntN(9) {
	case 0, 1:
		g.add(g.unary[g.r.IntN(len(g.unary))], nil, p.rows, p.columns, p.name)
	case 2, 3:
		q := g.mate(p)
		g.add(g.binary[g.r.IntN(len(g.binary))], nil, max(p.rows, q.rows), max(p.columns, q.columns), p.name, q.name)
	case 4:
		q := g.mate(p)
		bounded := g.add("Tanh", nil, q.rows, q.columns, q.name)
		g.add("Mul", nil, max(p.rows, q.rows), max(p.columns, q.columns), p.name, bounded)
	case 5:
		q := g.mate(p)
		above := g.add("Exp", nil, q.rows, q.columns, g.add("Sigmoid", nil, q.rows, q.columns, q.name))
		g.add("Div", nil, max(p.rows, q.rows), max(p.columns, q.columns), p.name, above)
	case 6:
		g.product(p)
	case 7:
		g.along(p)
	case 8:
		g.reduction(p)
	}
}

// product multiplies matrices.
func (g *garden) product(p plant) {
	switch columns := 1 + g.r.Int64N(4); g.r.IntN(4) {
	case 0:
		g.add("MatMul", nil, p.rows, columns, p.name, g.weights(p.columns, columns))
	case 1:
		g.add("MatMul", nil, columns, p.columns, g.weights(columns, p.rows), p.name)
	case 2: // attention
		s := g.add("Einsum", attrs{"equation": onnx.String("ij,kj->ik")}, 1, 1, g.flat(p), g.flat(p))
		g.tensors = slices.DeleteFunc(g.tensors, func(q plant) bool { return q.name == s }) // of another shape
		weights := g.add("Softmax", nil, 1, 1, s)
		g.tensors = slices.DeleteFunc(g.tensors, func(q plant) bool { return q.name == weights })
		mixed := g.add("MatMul", nil, 1, 1, weights, g.flat(p))
		g.tensors = slices.DeleteFunc(g.tensors, func(q plant) bool { return q.name == mixed })
		g.add("Reshape", nil, p.rows, p.columns, mixed, g.ints(-1, p.rows, p.columns))
	case 3:
		g.add("MatMul", nil, p.rows, p.columns, p.name, g.weights(p.columns, p.columns))
		g.along(g.tensors[len(g.tensors)-1])
	}
}

// flat makes a matrix of a tensor.
func (g *garden) flat(p plant) string {
	name := g.add("Reshape", nil, 1, 1, p.name, g.ints(-1, p.rows*p.columns))
	g.tensors = slices.DeleteFunc(g.tensors, func(q plant) bool { return q.name == name })
	return name
}

// along appends what works along an axis and keeps the shape.
func (g *garden) along(p plant) {
	how := attrs{"axis": onnx.Int(-1 - g.r.Int64N(2))}
	switch g.r.IntN(4) {
	case 0:
		g.add("Softmax", how, p.rows, p.columns, p.name)
	case 1:
		g.add("LogSoftmax", how, p.rows, p.columns, p.name)
	case 2:
		c := fmt.Sprintf("axis%d", len(g.constants))
		g.constants[c] = onnx.Of([]int64{1 + g.r.Int64N(2)})
		g.add("CumSum", attrs{"reverse": onnx.Int(g.r.Int64N(2))}, p.rows, p.columns, p.name, c)
	case 3:
		how["epsilon"] = onnx.Float(0.1)
		how["axis"] = onnx.Int(-1)
		g.add("LayerNormalization", how, p.rows, p.columns, p.name, g.scale(p.columns))
	}
}

// scale makes a constant vector.
func (g *garden) scale(n int64) string {
	name := fmt.Sprintf("scale%d", len(g.constants))
	g.constants[name] = onnx.Of(positive(g.r, int(n)), n)
	return name
}

// reduction reduces one axis or two.
func (g *garden) reduction(p plant) {
	ops := []string{"ReduceMean", "ReduceLogSumExp", "ReduceSumSquare"}
	op := ops[g.r.IntN(len(ops))]
	name := p.name
	if op == "ReduceSumSquare" {
		name = g.add("Tanh", nil, p.rows, p.columns, name)
	}
	switch g.r.IntN(3) {
	case 0:
		g.add(op, attrs{"axes": onnx.Ints(1)}, 1, p.columns, name)
	case 1:
		g.add(op, attrs{"axes": onnx.Ints(-1)}, p.rows, 1, name)
	case 2:
		g.add(op, attrs{"axes": onnx.Ints(2, 1)}, 1, 1, name)
	}
}
