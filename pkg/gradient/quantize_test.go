package gradient_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// quantized makes a graph of a QuantizeLinear and a DequantizeLinear, each with constants of its own, and a product behind.
func quantized(zero func() *onnx.Constant) *onnx.Graph {
	c := map[string]*onnx.Constant{
		"s1": onnx.Of([]float32{0.5}), "s2": onnx.Of([]float32{0.5}), "z1": zero(), "z2": zero(), "c": onnx.Of([]float32{1, 2, 3, 4}, 4),
	}
	return opset(21, network(map[string][]int64{"x": {4}}, c,
		node("QuantizeLinear", nil, []string{"x", "s1", "z1"}, "q"),
		node("DequantizeLinear", nil, []string{"q", "s2", "z2"}, "d"),
		node("Mul", nil, []string{"d", "c"}, "y")))
}

func zero[T tensor.Element]() *onnx.Constant { return onnx.Of(make([]T, 1)) }

func TestStraightThrough(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		zero func() *onnx.Constant
		in   []float32
		want []float64
	}{
		{"int8", zero[int8], []float32{-64, -63.3, 63.1, 70}, []float64{0, 2, 3, 0}},
		{"uint8", zero[uint8], []float32{-1, 0.6, 127.1, 128}, []float64{0, 2, 3, 0}},
		{"int16", zero[int16], []float32{-20000, -2, 16383.1, 17000}, []float64{0, 2, 3, 0}},
		{"uint16", zero[uint16], []float32{-1, 2, 32767.1, 33000}, []float64{0, 2, 3, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := solve(t, quantized(test.zero), gradient.Options{StraightThrough: true}, map[string][]float32{"x": test.in})
			if diff := cmp.Diff(test.want, got["x"]); diff != "" {
				t.Errorf("gradient (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStraightThroughRounding takes what rounds to whole numbers for the identity, and says which operators those were.
func TestStraightThroughRounding(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"Round", "Floor", "Ceil"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			c := map[string]*onnx.Constant{"c": onnx.Of([]float32{1, 2, 3, 4}, 4)}
			g := opset(17, network(map[string][]int64{"x": {4}}, c,
				node("Mul", nil, []string{"x", "x"}, "s"), node(op, nil, []string{"s"}, "r"), node("Mul", nil, []string{"r", "c"}, "y")))
			in := []float32{0.6, -1.2, 2.1, 3}
			got := solve(t, g, gradient.Options{StraightThrough: true}, map[string][]float32{"x": in})["x"]
			for i, x := range in {
				if want := 2 * float64(x) * float64(i+1); math.Abs(got[i]-want) > 1e-6 {
					t.Errorf("gradient %v, want %v at %d", got, want, i)
				}
			}
			x := dense(t, tensor.Float32, []int64{4}, in)
			opts := gradient.Options{Of: "y", To: []string{"x"}, StraightThrough: true}
			built, err := gradient.Build(g, learn(t, g, tensor.Named{"x": x}, tensor.Named{"x": x}), opts)
			if err != nil || !slices.Equal(built.Straight, []string{op}) {
				t.Errorf("passed straight through: %v, %v, want %s", built, err, op)
			}
			opts.StraightThrough = false
			if err := gradient.Supported(g, opts); !errors.Is(err, fault.Invalid) {
				t.Errorf("without leave: %v, want no way from x to y", err)
			}
		})
	}
}

// TestQuantizedRefusals is about what does not pass straight through.
func TestQuantizedRefusals(t *testing.T) {
	t.Parallel()
	changed := func(change func(g *onnx.Graph)) *onnx.Graph {
		g := quantized(zero[int8])
		change(g)
		return g
	}
	straight := gradient.Options{StraightThrough: true}
	tests := []struct {
		name  string
		graph *onnx.Graph
		opts  gradient.Options
		op    string
		why   string
	}{
		{"without leave", quantized(zero[int8]), gradient.Options{}, "DequantizeLinear", "straight_through takes it"},
		{"another scale", changed(func(g *onnx.Graph) { g.Initializers["s2"] = onnx.Of([]float32{0.25}) }), straight, "QuantizeLinear", "scale"},
		{"another reader", changed(func(g *onnx.Graph) {
			g.Nodes = append(g.Nodes, node("Cast", attrs{"to": onnx.Int(1)}, []string{"q"}, "f"))
		}), straight, "QuantizeLinear", "Cast"},
		{"another axis", changed(func(g *onnx.Graph) { g.Nodes[1].Attrs = attrs{"axis": onnx.Int(0)} }), straight, "QuantizeLinear", "scale"},
		{"a reader that takes it for a zero point", changed(func(g *onnx.Graph) {
			g.Initializers["w"], g.Initializers["s4"] = onnx.Of(make([]int8, 4), 4), onnx.Of([]float32{0.5, 0.5, 0.5, 0.5}, 4)
			g.Nodes = append(g.Nodes, node("DequantizeLinear", attrs{"axis": onnx.Int(0)}, []string{"w", "s4", "q"}, "f"))
		}), straight, "QuantizeLinear", "its output goes to"},
		{"a scale that depends on the input", changed(func(g *onnx.Graph) {
			g.Nodes = append([]*onnx.Node{node("ReduceMax", attrs{"keepdims": onnx.Int(0)}, []string{"x"}, "s1")}, g.Nodes...)
			delete(g.Initializers, "s1")
			g.Nodes[2].Inputs[1] = "s1"
		}), straight, "QuantizeLinear", "depends"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := dense(t, tensor.Float32, []int64{4}, []float32{1, 2, 3, 4})
			test.opts.Of, test.opts.To = "y", []string{"x"}
			_, err := gradient.Build(test.graph, learn(t, test.graph, tensor.Named{"x": x}, tensor.Named{"x": x}), test.opts)
			var refusal *gradient.UnsupportedError
			if !errors.As(err, &refusal) || !errors.Is(err, fault.Unsupported) || refusal.Op != test.op || !strings.Contains(refusal.Why, test.why) {
				t.Errorf("Build: %v; want a refusal of %s that speaks of %q", err, test.op, test.why)
			}
		})
	}
}

// TestQuantizedNetwork compares a network with weights that are quantized in the file, and activations in between, with the
// same network in floats: inside of the range, and with steps so fine, the two are nearly the same.
func TestQuantizedNetwork(t *testing.T) {
	t.Parallel()
	c := map[string]*onnx.Constant{
		"s": onnx.Of([]float32{1e-3}), "z": zero[int16](), "w": onnx.Of([]int8{3, -2, 1, 5, 4, -6, 2, 7, -1, 1, 2, 3}, 4, 3),
		"ws": onnx.Of([]float32{0.1}), "wz": zero[int8](),
	}
	floats32 := []float32{0.3, -0.2, 0.1, 0.5, 0.4, -0.6, 0.2, 0.7, -0.1, 0.1, 0.2, 0.3}
	tail := []*onnx.Node{node("MatMul", nil, []string{"d", "wd"}, "m"), node("Tanh", nil, []string{"m"}, "y")}
	g := opset(21, network(map[string][]int64{"x": {-1, 4}}, c, append([]*onnx.Node{
		node("QuantizeLinear", nil, []string{"x", "s", "z"}, "q"), node("DequantizeLinear", nil, []string{"q", "s", "z"}, "d"),
		node("DequantizeLinear", nil, []string{"w", "ws", "wz"}, "wd"),
	}, tail...)...))
	plain := opset(21, network(map[string][]int64{"x": {-1, 4}}, map[string]*onnx.Constant{"wd": onnx.Of(floats32, 4, 3)},
		append([]*onnx.Node{node("Identity", nil, []string{"x"}, "d")}, tail...)...))
	x := dense(t, tensor.Float32, []int64{2, 4}, []float32{0.5, -0.4, 0.3, 1, -1, 0.2, 0.7, 0.1})
	seed := dense(t, tensor.Float32, []int64{2, 3}, []float32{1, -1, 2, 0.5, 1, -2})
	gradientOf := func(g *onnx.Graph) []float64 {
		opts := gradient.Options{Of: "y", To: []string{"x"}, StraightThrough: true}
		built, err := gradient.Build(g, learn(t, g, tensor.Named{"x": x}, tensor.Named{"x": x}), opts)
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, open(t, built.Model, engine.OptimizeAll), tensor.Named{"x": x, built.Seed: seed})
		return floats(t, out[built.Grads["x"]])
	}
	want, got := gradientOf(plain), gradientOf(g)
	for i := range want {
		if d := want[i] - got[i]; d > 2e-3 || d < -2e-3 {
			t.Errorf("gradient %v, want nearly %v", got, want)
			break
		}
	}
}
