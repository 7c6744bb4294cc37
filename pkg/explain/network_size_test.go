//go:build cgo

package explain_test

import (
	"math"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// floatBytes runs a network with every tensor of it as an output, and returns how many bytes the floats take.
func floatBytes(t *testing.T, path string, in tensor.Named) float64 {
	t.Helper()
	g, file, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	if err := g.Normalize(); err != nil {
		t.Fatal(err)
	}
	g.Outputs = nil
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			if name != "" {
				g.Outputs = append(g.Outputs, onnx.Value{Name: name})
			}
		}
	}
	s, err := (&opener{}).open(t.Context(), engine.Network{Bytes: g.Marshal()}, engine.Options{Optimization: engine.OptimizeNone})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // only read
	var want []string
	for _, v := range s.Signature().Outputs {
		if v.DType == tensor.Float32 {
			want = append(want, v.Name)
		}
	}
	out, err := s.Run(t.Context(), in, want...)
	if err != nil {
		t.Fatal(err)
	}
	bytes := 0
	for _, all := range []tensor.Named{in, out} {
		for _, v := range all {
			if v.DType() == tensor.Float32 {
				bytes += 4 * v.Len()
			}
		}
	}
	return float64(bytes)
}

// attending returns a network of texts that puts a token in front, and whose heads attend to each other: its largest tensors
// grow with the square of the length.
func attending() *onnx.Graph {
	m := zoo.New(1, -1)
	m.Graph.Inputs[0].Type = onnx.TypeOf(tensor.Int64)
	m.Graph.Inputs[0].Shape[1].Name = "tokens"
	const heads, size = 5, 2
	x := m.Node("Gather", nil, m.Weights(0, 1, 32, heads*size), "x")
	first := m.Node("Slice", nil, x, m.Ints(0), m.Ints(1), m.Ints(1))
	x = m.Node("Concat", attrs{"axis": onnx.Int(1)}, first, x)
	part := func() string {
		return m.Node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1, 3)}, m.Node("Reshape", nil, m.Linear(x, heads*size, heads*size), m.Ints(0, -1, heads, size)))
	}
	keys := m.Node("Transpose", attrs{"perm": onnx.Ints(0, 1, 3, 2)}, part())
	weights := m.Node("Softmax", nil, m.Node("MatMul", nil, part(), keys))
	mixed := m.Node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1, 3)}, m.Node("MatMul", nil, weights, part()))
	y := m.Node("Reshape", nil, mixed, m.Ints(0, -1, heads*size))
	merged := m.Node("Tanh", nil, m.Node("Reshape", nil, y, m.Ints(-1, heads*size)))            // rows and tokens on one axis
	together := m.Node("Exp", nil, m.Node("Reshape", nil, weights, m.Ints(0, -1)))              // squares on one axis
	sum := m.Node("ReduceMean", attrs{"axes": onnx.Ints(1), "keepdims": onnx.Int(1)}, together) // of each row
	y = m.Node("Add", nil, m.Node("Reshape", nil, merged, m.Node("Shape", nil, y)), m.Node("Unsqueeze", nil, sum, m.Ints(1)))
	return m.Done(m.Linear(m.Node("ReduceMean", attrs{"axes": onnx.Ints(1), "keepdims": onnx.Int(0)}, y), heads*size, 2), 2)
}

// TestRowBytesFollowTheLength compares what a row is said to take with what two rows take more than one, for texts as short
// as those that shapes are learned from and much longer ones.
func TestRowBytesFollowTheLength(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, path string
		inputs     []string
		lengths    []int64
	}{
		{"tiny BERT", "testdata/tiny_bert.onnx", []string{"ids", "mask"}, []int64{3, 12}},
		{"merged axes", file(t, attending()), []string{"x"}, []int64{3, 12, 200}},
	} {
		s := differentiable(t, c.path)
		text := func(rows, n int64) tensor.Named {
			in := tensor.Named{}
			for _, name := range c.inputs {
				in[name] = must(t, []int64{rows, n}, slices.Repeat([]int64{1}, int(rows*n)))
			}
			return in
		}
		for _, n := range c.lengths {
			want := floatBytes(t, c.path, text(2, n)) - floatBytes(t, c.path, text(1, n))
			got := float64(s.at(t, "y", explain.ScoresBest, text(1, n)).RowBytes())
			if math.Abs(got-want) > 0.05*want {
				t.Errorf("%s: a row of %d tokens takes %.0f bytes, want %.0f", c.name, n, got, want)
			}
		}
	}
}

// TestRowBytesOfPictures compares the same for a network of pictures.
func TestRowBytesOfPictures(t *testing.T) {
	t.Parallel()
	for _, f := range families()[:3] {
		path := file(t, f.graph(1))
		want := floatBytes(t, path, noise(t, 1, 2)) - floatBytes(t, path, noise(t, 1, 1))
		got := float64(differentiable(t, path).at(t, "y", explain.ScoresBest, noise(t, 1, 1)).RowBytes())
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("%s: a row takes %.0f bytes, want %.0f", f.name, got, want)
		}
	}
}
