//go:build cgo

package onnx_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func dims(pairs ...int64) []onnx.Dim {
	out := []onnx.Dim{}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, onnx.Dim{A: pairs[i], B: pairs[i+1]})
	}
	return out
}

// TestLearn probes a network whose shapes are computed, at batches of two and three.
func TestLearn(t *testing.T) {
	t.Parallel()
	g := made(17, floats("x", -1, 4, 6), map[string]*onnx.Constant{"one": whole(1), "two": whole(2), "zero": onnx.Of([]int64{0}), "minus": whole(-1)},
		node("Shape", "x", "s", nil),                            // differs
		node("Gather", "s two", "last", nil),                    // equal: 6
		node("Gather", "s zero", "batch", nil),                  // a scalar that differs
		node("Cast", "last", "short", attrs{"to": onnx.Int(6)}), // int32
		node("Less", "last one", "less", nil),                   // bool
		node("Concat", "minus last", "to", attrs{"axis": onnx.Int(0)}),
		node("Reshape", "x to", "flat", nil),
		node("ReduceSum", "flat", "sum", attrs{"keepdims": onnx.Int(0)}), // a scalar of floats
		node("Cast", "sum", "number", attrs{"to": onnx.Int(7)}),          // follows from values
		node("Split", "last", "part", attrs{"axis": onnx.Int(0)}),
		node("Cast", "short", "back", attrs{"to": onnx.Int(1)}),
		node("Cast", "less", "truth", attrs{"to": onnx.Int(1)}),
		node("Cast", "batch", "rows", attrs{"to": onnx.Int(1)}),
		node("Cast", "number", "total", attrs{"to": onnx.Int(1)}),
		node("Cast", "part", "parts", attrs{"to": onnx.Int(1)}),
		node("Sum", "flat back truth rows total parts", "y", nil))
	facts := learn(t, g, tensor.Named{"x": noisy(t, 2, 4, 6)}, tensor.Named{"x": noisy(t, 3, 4, 6)})
	want := onnx.Facts{
		Types: onnx.Types{
			"x": tensor.Float32, "s": tensor.Int64, "last": tensor.Int64, "batch": tensor.Int64, "short": tensor.Int32, "less": tensor.Bool,
			"to": tensor.Int64, "flat": tensor.Float32, "sum": tensor.Float32, "number": tensor.Int64, "part": tensor.Int64, "back": tensor.Float32,
			"truth": tensor.Float32, "rows": tensor.Float32, "total": tensor.Float32, "parts": tensor.Float32, "y": tensor.Float32,
			"one": tensor.Int64, "two": tensor.Int64, "zero": tensor.Int64, "minus": tensor.Int64,
		},
		Shapes: map[string][]onnx.Dim{
			"x": dims(2, 3, 4, 4, 6, 6), "s": dims(3, 3), "last": dims(1, 1), "batch": dims(), "short": dims(1, 1), "less": dims(1, 1),
			"to": dims(2, 2), "flat": dims(8, 12, 6, 6), "sum": dims(), "number": dims(), "part": dims(1, 1), "back": dims(1, 1),
			"truth": dims(1, 1), "rows": dims(), "total": dims(), "parts": dims(1, 1), "y": dims(8, 12, 6, 6),
			"one": dims(1, 1), "two": dims(1, 1), "zero": dims(), "minus": dims(1, 1),
		},
	}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if got, want := ops(g), "Shape Gather Reshape ReduceSum Cast Cast Cast Cast Cast Cast Sum"; got != want {
		t.Errorf("operators %s, want %s", got, want)
	}
	constants := map[string]*onnx.Constant{
		"to": whole(-1, 6), "short": onnx.Of([]int32{6}, 1), "less": onnx.Of([]bool{false}, 1), "part": whole(6), "zero": onnx.Of([]int64{0}),
	}
	if diff := cmp.Diff(constants, g.Initializers); diff != "" {
		t.Errorf("initializers (-want +got):\n%s", diff)
	}
}

// TestLearnKeepsOtherOutputs: a node one of whose outputs is frozen stays for the other.
func TestLearnKeepsOtherOutputs(t *testing.T) {
	t.Parallel()
	build := func() *onnx.Graph {
		return made(17, floats("x", -1, 4), nil, node("Shape", "x", "s", nil), node("Split", "s", "batch width", nil),
			node("Cast", "batch", "b", attrs{"to": onnx.Int(1)}), node("Cast", "width", "w", attrs{"to": onnx.Int(1)}), node("Sum", "x b w", "y", nil))
	}
	g := build()
	learn(t, g, tensor.Named{"x": noisy(t, 2, 4)}, tensor.Named{"x": noisy(t, 3, 4)})
	if diff := cmp.Diff(map[string]*onnx.Constant{"width": whole(4)}, g.Initializers); diff != "" {
		t.Errorf("initializers (-want +got):\n%s", diff)
	}
	in := tensor.Named{"x": noisy(t, 5, 4)}
	near(t, "learned", run(t, g, in), run(t, build(), in), 0)
}

// TestLearnChance: random numbers follow from no shape.
func TestLearnChance(t *testing.T) {
	t.Parallel()
	g := made(17, floats("x", -1, 2), nil, node("RandomUniform", "", "r", attrs{"shape": onnx.Ints(2)}),
		node("Cast", "r", "i", attrs{"to": onnx.Int(7)}), node("Cast", "i", "f", attrs{"to": onnx.Int(1)}), node("Add", "x f", "y", nil))
	learn(t, g, tensor.Named{"x": noisy(t, 2, 2)}, tensor.Named{"x": noisy(t, 3, 2)})
	if got, want := ops(g), "RandomUniform Cast Cast Add"; got != want {
		t.Errorf("operators %s, want %s", got, want)
	}
}

func TestLearnRefuses(t *testing.T) {
	t.Parallel()
	g := made(17, floats("x", -1, 2), nil, node("Relu", "x", "y", nil))
	a := onnx.Probed{Shapes: map[string][]int64{"y": {2, 2}}}
	b := onnx.Probed{Shapes: map[string][]int64{"y": {2}}}
	if _, err := g.Learn(a, b, nil); fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("Learn of two ranks: %v", err)
	}
	for name, out := range map[string]tensor.Named{
		"floats": {"y": of(t, []int64{1}, float32(7))}, "no filler": {"y": of(t, []int64{1}, int64(6))}, "another name": {"y": of(t, []int64{1}, int64(7))},
	} {
		if _, err := g.ReadProbe(out); fault.Of(err) != fault.Internal {
			t.Errorf("ReadProbe of %s: %v", name, err)
		}
	}
}

// TestLearnShipped: every tensor of the networks that are shipped gets a type and a shape.
func TestLearnShipped(t *testing.T) {
	t.Parallel()
	for _, file := range shipped(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			g := read(t, file)
			if err := g.Normalize(); err != nil {
				t.Fatal(err)
			}
			in := [2]tensor.Named{rows(t, g, 2), rows(t, g, 3)}
			if size := len(g.TypeProbe().Marshal()); size > 1<<20 {
				t.Errorf("the probe of types has %d bytes: weights are in it", size)
			}
			facts := learn(t, g, in[0], in[1])
			if err := g.Sort(); err != nil {
				t.Fatal(err)
			}
			for name := range maps.Keys(g.Producers()) {
				if facts.Types[name] == tensor.Undefined || facts.Shapes[name] == nil {
					t.Errorf("tensor %q: %v, %v", name, facts.Types[name], facts.Shapes[name])
				}
			}
			near(t, "learned", run(t, g, in[0]), run(t, read(t, file), in[0]), 1e-4)
		})
	}
}
