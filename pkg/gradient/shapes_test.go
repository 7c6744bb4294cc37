package gradient_test

import (
	"math"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

type (
	attrs     = map[string]onnx.Attr
	constants = map[string]*onnx.Constant
	inputs    = map[string][]int64
)

// vector is a constant of whole numbers.
func vector(v ...int64) *onnx.Constant { return onnx.Of(v, int64(len(v))) }

// at returns the graph at an opset.
func at(opset int64, g *onnx.Graph) *onnx.Graph {
	g.Opset = opset
	return g
}

// one makes a graph of one operator on "x" and constants.
func one(op string, a attrs, x []int64, c constants, more ...string) *onnx.Graph {
	return network(inputs{"x": x}, c, node(op, a, append([]string{"x"}, more...), "y"))
}

func TestMovement(t *testing.T) {
	t.Parallel()
	pick := constants{
		"s": vector(1), "e": vector(-1), "a": vector(-1), "p": vector(2), "m": vector(-1), "big": vector(math.MaxInt64),
		"least": vector(math.MinInt64), "zero": vector(0), "four": vector(4), "batch": vector(0), "two": vector(2, -3), "ends": vector(-1, 9),
		"axes": vector(1, -1), "none": vector(3),
	}
	slice := func(x []int64, more ...string) *onnx.Graph { return one("Slice", nil, x, pick, more...) }
	x4 := []int64{-1, 3, 4, 5}
	tests := []struct {
		name string
		s    subject
	}{
		{"identity", subject{graph: one("Identity", nil, x4, nil)}},
		{"flatten", subject{graph: one("Flatten", attrs{"axis": onnx.Int(2)}, x4, nil)}},
		{"reshape", subject{graph: one("Reshape", nil, x4, constants{"s": vector(0, 15, -1)}, "s")}},
		{"squeeze", subject{graph: one("Squeeze", nil, []int64{-1, 1, 4, 1}, constants{"s": vector(1, -1)}, "s")}},
		{"squeeze all", subject{graph: one("Squeeze", nil, []int64{3, 1, 4, 1}, nil)}},
		{"unsqueeze", subject{graph: one("Unsqueeze", nil, x4, constants{"s": vector(0, -1)}, "s")}},
		{"transpose", subject{graph: one("Transpose", attrs{"perm": onnx.Ints(2, 0, 3, 1)}, x4, nil)}},
		{"transpose reversed", subject{graph: one("Transpose", nil, x4, nil)}},
		{"expand", subject{graph: one("Expand", nil, []int64{-1, 1, 4}, constants{"s": vector(2, 1, 3, 1)}, "s")}},
		{"tile", subject{graph: one("Tile", nil, []int64{-1, 3, 4}, constants{"s": vector(2, 1, 3)}, "s")}},
		{"tile once", subject{graph: one("Tile", nil, []int64{-1, 3}, constants{"s": vector(1, 1)}, "s")}},
		{"tile open axes", subject{graph: one("Tile", nil, []int64{-1, -1}, constants{"s": vector(2, 3)}, "s")}},
		{"slice", subject{graph: slice(x4, "s", "e", "a")}},
		{"slice without axes", subject{graph: slice([]int64{5, 2}, "s", "e")}},
		{"slice two axes", subject{graph: slice(x4, "two", "ends", "axes")}},
		{"slice of an open axis", subject{graph: slice(x4, "s", "big", "batch"), rows: 4}},
		{"slice all of an open axis", subject{graph: slice(x4, "zero", "big", "batch")}},
		{"slice the end of an open axis", subject{graph: slice(x4, "m", "big", "batch")}},
		{"slice steps", subject{graph: slice(x4, "s", "big", "a", "p")}},
		{"slice backwards", subject{graph: slice(x4, "m", "least", "a", "m")}},
		{"slice nothing", subject{graph: slice([]int64{-1, 4}, "none", "s", "a")}},
		{"pad", subject{graph: one("Pad", nil, x4, constants{"p": vector(0, 1, 0, 2, 1, 0, 0, 3), "v": onnx.Of([]float32{7})}, "p", "v")}},
		{"pad negative", subject{graph: one("Pad", nil, x4, constants{"p": vector(0, -1, 2, -2, 0, 1, -3, -1)}, "p")}},
		{"pad reflect", subject{graph: one("Pad", attrs{"mode": onnx.String("reflect")}, x4, constants{"p": vector(0, 0, 2, 3, 0, 0, 1, 2)}, "p")}},
		{"pad edge", subject{graph: one("Pad", attrs{"mode": onnx.String("edge")}, x4, constants{"p": vector(0, 1, 2, 3, 0, 2, 1, 2)}, "p")}},
		{"pad axes", subject{graph: at(18, one("Pad", nil, x4, constants{"p": vector(1, 2, -1, 3), "a": vector(-1, 1)}, "p", "", "a"))}},
		{"pad reflect axes", subject{graph: at(18, one("Pad", attrs{"mode": onnx.String("reflect")}, x4,
			constants{"p": vector(1, 2, 2, 3), "a": vector(3, 2)}, "p", "", "a"))}},
		{"pad wrap", subject{graph: at(19, one("Pad", attrs{"mode": onnx.String("wrap")}, x4, constants{"p": vector(0, 0, 2, 3, 0, 0, 1, 2)}, "p"))}},
		{"depth to space", subject{graph: one("DepthToSpace", attrs{"blocksize": onnx.Int(2)}, []int64{-1, 12, 2, 3}, nil)}},
		{"depth to space CRD", subject{graph: one("DepthToSpace", attrs{"blocksize": onnx.Int(2), "mode": onnx.String("CRD")}, []int64{-1, 12, 2, 3}, nil)}},
		{"space to depth", subject{graph: one("SpaceToDepth", attrs{"blocksize": onnx.Int(2)}, []int64{-1, 3, 4, 6}, nil)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.s.linear = true
			check(t, test.s)
		})
	}
}

func TestConcat(t *testing.T) {
	t.Parallel()
	both := inputs{"x": {-1, 3, 2}, "z": {-1, 4, 2}}
	join := func(in inputs, axis int64, names ...string) *onnx.Graph {
		return network(in, constants{"c": onnx.Of([]float32{1, 2}, 1, 1, 2)}, node("Concat", attrs{"axis": onnx.Int(axis)}, names, "y"))
	}
	tests := []struct {
		name string
		g    *onnx.Graph
		to   []string
	}{
		{"two", join(both, 1, "x", "z"), []string{"x", "z"}},
		{"the first", join(both, 1, "x", "z"), []string{"x"}},
		{"the last", join(both, -2, "x", "z"), []string{"z"}},
		{"twice", join(both, 1, "x", "z", "x"), []string{"x"}},
		{"open axis", join(inputs{"x": {-1, 3, 2}, "z": {-1, 3, 2}}, 0, "x", "z"), []string{"x", "z"}},
		{"one of an open axis", join(inputs{"x": {-1, 3, 2}, "z": {-1, 3, 2}}, 0, "x", "z"), []string{"z"}},
		{"with a constant", join(inputs{"x": {1, 3, 2}}, 1, "c", "x"), []string{"x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, subject{graph: test.g, to: test.to, linear: true})
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	x := []int64{-1, 5, 6}
	ends := func(split *onnx.Node, first, last string) *onnx.Graph {
		return network(inputs{"x": x}, constants{"s": vector(1, 3, 1)}, split, node("Concat", attrs{"axis": onnx.Int(1)}, []string{first, last}, "y"))
	}
	axis1 := attrs{"axis": onnx.Int(1)}
	tests := []struct {
		name string
		g    *onnx.Graph
	}{
		{"uneven", ends(node("Split", axis1, []string{"x", "s"}, "a", "b", "c"), "a", "b")},
		{"by input, a part unused", ends(node("Split", attrs{"axis": onnx.Int(-2)}, []string{"x", "s"}, "a", "b", "c"), "c", "a")},
		{"even", ends(node("Split", attrs{"axis": onnx.Int(2)}, []string{"x"}, "a", "b", "c"), "a", "c")},
		{"by number, the last part smaller", at(18, ends(node("Split", attrs{"axis": onnx.Int(1), "num_outputs": onnx.Int(3)}, []string{"x"}, "a", "b", "c"), "b", "c"))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, subject{graph: test.g, linear: true})
		})
	}
}

// TestDynamicMovement has numbers that only a run tells.
func TestDynamicMovement(t *testing.T) {
	t.Parallel()
	size := node("Shape", nil, []string{"x"}, "shape")
	x := inputs{"x": {-1, 4, 5}}
	c := constants{"0": vector(0), "1": vector(1), "2": vector(2), "0,0": vector(0, 0), "1,1": vector(1, 1), "0,0,0": vector(0, 0, 0), "2,1": vector(2, 1)}
	first := node("Gather", nil, []string{"shape", "0"}, "rows") // 2 in the test
	tests := []struct {
		name string
		g    *onnx.Graph
	}{
		{"slice", network(x, c, size, first, node("Slice", nil, []string{"x", "1", "rows", "0"}, "y"))},
		{"tile", network(x, c, size, first, node("Concat", attrs{"axis": onnx.Int(0)}, []string{"1", "rows", "1"}, "r"),
			node("Tile", nil, []string{"x", "r"}, "y"))},
		{"pad", network(x, c, size, first, node("Concat", attrs{"axis": onnx.Int(0)}, []string{"0,0,0", "1", "rows", "2"}, "p"),
			node("Pad", nil, []string{"x", "p"}, "y"))},
		{"reshape of two open axes", network(inputs{"x": {-1, 3, -1}}, c, node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1)}, []string{"x"}, "t"),
			node("Flatten", nil, []string{"t"}, "y"))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, subject{graph: test.g, linear: true})
		})
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	c := constants{
		"first": onnx.Of([]int64{0}), "last": onnx.Of([]int64{-1}), "one": vector(2), "many": onnx.Of([]int64{3, 0, 3, -1, 3, 1}, 2, 3),
		"short": onnx.Of([]int32{1, 1, 2}, 3), "single": onnx.Of([]int64{1}, 1, 1),
		"along": onnx.Of([]int64{0, 1, 1, 2, 2, 2, 0, 0}, 2, 4), "nd": onnx.Of([]int64{0, 1, 0, 1, 1, 3}, 3, 2),
		"batched": onnx.Of([]int64{1, 3}, 2, 1),
	}
	gather := func(x []int64, axis int64, index string) *onnx.Graph {
		return one("Gather", attrs{"axis": onnx.Int(axis)}, x, c, index)
	}
	counted := network(inputs{"x": {-1, 4, 5}}, constants{"zero": onnx.Of([]int64{0})}, node("Shape", nil, []string{"x"}, "shape"),
		node("Gather", nil, []string{"shape", "zero"}, "rows"), node("Gather", attrs{"axis": onnx.Int(1)}, []string{"x", "rows"}, "y"))
	x := []int64{-1, 4, 5}
	tests := []struct {
		name string
		g    *onnx.Graph
	}{
		{"scalar", gather(x, 1, "first")},
		{"scalar from the end", gather(x, -1, "last")},
		{"one", gather(x, 1, "one")},
		{"of an open axis", gather(x, 0, "first")},
		{"from the end of an open axis", gather(x, 0, "last")},
		{"of two axes", gather(x, 1, "many")},
		{"of two axes, the first", gather([]int64{4, -1, 3}, 0, "many")},
		{"of two axes, the last", gather([]int64{-1, 3, 4}, 2, "many")},
		{"short indices", gather(x, 2, "short")},
		{"single of two axes", gather(x, 1, "single")},
		{"computed", counted},
		{"elements", one("GatherElements", nil, []int64{3, 4}, c, "along")},
		{"elements of another axis", one("GatherElements", attrs{"axis": onnx.Int(-1)}, []int64{-1, 4}, c, "along")},
		{"nd", one("GatherND", nil, x, c, "nd")},
		{"nd of batches", one("GatherND", attrs{"batch_dims": onnx.Int(1)}, []int64{2, 4, 5}, c, "batched")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, subject{graph: test.g, linear: true})
		})
	}
}

func TestScatter(t *testing.T) {
	t.Parallel()
	c := constants{"along": onnx.Of([]int64{0, 3, 1, 2, 1, 0}, 2, 3), "nd": onnx.Of([]int64{0, 1, 1, 3, 0, 2}, 3, 2)}
	for _, reduction := range []string{"none", "add"} {
		a := attrs{"reduction": onnx.String(reduction), "axis": onnx.Int(1)}
		along := network(inputs{"x": {2, 4}, "u": {2, 3}}, c, node("ScatterElements", a, []string{"x", "along", "u"}, "y"))
		nd := network(inputs{"x": {-1, 4, 2}, "u": {3, 2}}, c,
			node("ScatterND", attrs{"reduction": onnx.String(reduction)}, []string{"x", "nd", "u"}, "y"))
		for name, g := range map[string]*onnx.Graph{"elements": along, "nd": nd} {
			for _, to := range [][]string{{"x"}, {"u"}, {"x", "u"}} {
				t.Run(reduction+" "+name, func(t *testing.T) {
					t.Parallel()
					check(t, subject{graph: g, to: to, linear: true})
				})
			}
		}
	}
}

func TestTopK(t *testing.T) {
	t.Parallel()
	k := constants{"k": vector(2)}
	g := network(inputs{"x": {-1, 3, 5}}, k, node("TopK", nil, []string{"x", "k"}, "y", "where"))
	check(t, subject{graph: g, draw: distinct, step: 1e-3})
	g = network(inputs{"x": {-1, 6, 3}}, k, node("TopK", attrs{"axis": onnx.Int(1), "largest": onnx.Int(0)}, []string{"x", "k"}, "y", "where"))
	check(t, subject{graph: g, draw: distinct, step: 1e-3})
}

// TestGatherAddsAll gathers one row often enough for several threads to add to it at once.
func TestGatherAddsAll(t *testing.T) {
	t.Parallel()
	const times, width = 30000, 32
	g := one("Gather", nil, []int64{4, width}, constants{"i": onnx.Of(make([]int64, times), times)}, "i")
	built := build(t, subject{graph: g})
	seed := make([]float32, times*width)
	for i := range seed {
		seed[i] = 1
	}
	ones, err := tensor.New([]int64{times, width}, seed)
	if err != nil {
		t.Fatal(err)
	}
	in := tensor.Named{built.Seed: ones}
	for _, v := range built.Model.Inputs {
		if v.Name == "x" {
			in["x"], _ = tensor.New([]int64{4, width}, make([]float32, 4*width))
		}
	}
	s := openThreads(t, built.Model, 2)
	for i, v := range floats(t, run(t, s, in)[built.Grads["x"]]) {
		want := 0.0
		if i < width {
			want = times
		}
		if v != want {
			t.Fatalf("gradient by element %d = %g, want %g", i, v, want)
		}
	}
}
