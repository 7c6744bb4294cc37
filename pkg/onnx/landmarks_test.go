//go:build cgo

package onnx_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// TestDefaultLayer names the last map of networks of several kinds.
func TestDefaultLayer(t *testing.T) {
	t.Parallel()
	x := floats("x", -1, 3, 8, 8)
	constants := map[string]*onnx.Constant{
		"w": numbers(4, 3, 3, 3), "v": numbers(4, 4, 1, 1), "flat": whole(0, -1), "tokens": whole(0, 4, -1), "heads": whole(0, 2, 2, -1),
	}
	tests := []struct {
		name, want string
		nodes      []*onnx.Node
	}{
		{"pooled", "r", []*onnx.Node{node("Conv", "x w", "c", nil), node("Relu", "c", "r", nil), node("GlobalAveragePool", "r", "y", nil)}},
		{"a convolution behind the pool", "r", []*onnx.Node{
			node("Conv", "x w", "c", nil), node("Relu", "c", "r", nil), node("GlobalAveragePool", "r", "p", nil), node("Conv", "p v", "y", nil),
		}},
		{"gated", "m", []*onnx.Node{
			node("Conv", "x w", "c", nil), node("GlobalAveragePool", "c", "p", nil), node("Sigmoid", "p", "s", nil), node("Mul", "s c", "m", nil),
			node("ReduceMean", "m", "y", attrs{"axes": onnx.Ints(2, 3)}),
		}},
		{"flattened", "p", []*onnx.Node{
			node("Conv", "x w", "c", nil), node("MaxPool", "c", "p", attrs{"kernel_shape": onnx.Ints(2, 2)}), node("Reshape", "p flat", "f", nil), node("Neg", "f", "y", nil),
		}},
		{"attention", "c", []*onnx.Node{
			node("Conv", "x w", "c", nil), node("Reshape", "c tokens", "t", nil), node("Reshape", "t heads", "h", nil), node("Softmax", "h", "s", nil),
			node("ReduceMean", "s", "y", nil),
		}},
		{"none", "", []*onnx.Node{node("Flatten", "x", "f", nil), node("Neg", "f", "y", nil)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := made(17, x, constants, test.nodes...)
			facts := learn(t, g, tensor.Named{"x": noisy(t, 2, 3, 8, 8)}, tensor.Named{"x": noisy(t, 3, 3, 8, 8)})
			if got, ok := g.DefaultLayer(facts); got != test.want || ok != (test.want != "") {
				t.Errorf("DefaultLayer = %q, %v, want %q", got, ok, test.want)
			}
		})
	}
}

// TestFreeBatch opens a batch that was fixed, and two rows answer what each answers alone.
func TestFreeBatch(t *testing.T) {
	t.Parallel()
	build := func() *onnx.Graph {
		g := made(17, floats("x", 1, 2, 3), map[string]*onnx.Constant{"to": whole(1, -1), "k": numbers(6), "row": whole(1, 6)},
			node("Reshape", "x to", "f", nil), node("Reshape", "k row", "r", nil), node("Reshape", "k to", "q", nil), node("Sum", "f r q", "y", nil))
		g.Outputs[0] = floats("y", 1, 6)
		return g
	}
	g := build()
	if !g.FreeBatch() || g.FreeBatch() {
		t.Error("FreeBatch = false for a batch of one, or true for an open one")
	}
	open := onnx.Axis{Size: -1, Name: "batch"}
	if g.Inputs[0].Shape[0] != open || g.Outputs[0].Shape[0] != open {
		t.Errorf("inputs %v, outputs %v", g.Inputs, g.Outputs)
	}
	both, want := noisy(t, 2, 2, 3), build()
	got := run(t, g, tensor.Named{"x": both})
	for i := range int64(2) {
		row, err := tensor.Named{"x": both}.Rows(i, i+1)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := got.Rows(i, i+1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "row", answer, run(t, want, row), 1e-6)
	}
	fixed := made(17, floats("x", 4, 2), map[string]*onnx.Constant{"to": whole(1, -1)}, node("Reshape", "x to", "y", nil))
	before := fixed.Clone()
	if fixed.FreeBatch() {
		t.Error("FreeBatch of four rows = true")
	}
	if diff := cmp.Diff(before, fixed, cmp.AllowUnexported(onnx.Value{}, onnx.Attr{})); diff != "" {
		t.Errorf("a refused FreeBatch changed (-want +got):\n%s", diff)
	}
}

// TestCutShipped: behind the cut, a network answers what it answered, from what stood before it.
func TestCutShipped(t *testing.T) {
	t.Parallel()
	for _, file := range shipped(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			g := read(t, file)
			if err := g.Normalize(); err != nil {
				t.Fatal(err)
			}
			first, second := rows(t, g, 2), rows(t, g, 3)
			facts := learn(t, g, first, second)
			layer, ok := g.DefaultLayer(facts)
			if !ok {
				t.Fatal("no default layer")
			}
			t.Log(layer)
			whole := g.Clone()
			whole.Outputs = append(whole.Outputs, onnx.Value{Name: layer})
			want := run(t, whole, first)
			if err := g.Cut(layer, facts); err != nil {
				t.Fatal(err)
			}
			if len(g.Inputs) != 1 || g.Inputs[0].Name != layer {
				t.Fatalf("inputs %v", g.Inputs)
			}
			got := run(t, g, tensor.Named{layer: want[layer]})
			delete(want, layer)
			near(t, "behind the cut", got, want, 1e-6)
		})
	}
}
