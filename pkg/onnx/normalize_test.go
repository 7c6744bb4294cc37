//go:build cgo

package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// TestNormalizeKeepsAnswers asks the runtime before and after.
func TestNormalizeKeepsAnswers(t *testing.T) {
	t.Parallel()
	type constants = map[string]*onnx.Constant
	x4, x2 := floats("x", 2, 3, 4, 5), floats("x", 2, 6)
	positive := constants{
		"scale": onnx.Of([]float32{1, 2, 3}, 3), "bias": onnx.Of([]float32{-1, 0, 4}, 3), "mean": onnx.Of([]float32{0.5, -0.5, 0.1}, 3),
		"var": onnx.Of([]float32{0.3, 2, 1}, 3),
	}
	with := func(name string, c *onnx.Constant) constants {
		all := constants{name: c}
		for name, c := range positive {
			all[name] = c
		}
		return all
	}
	norm := func(in, out string, a attrs) *onnx.Node {
		return node("BatchNormalization", in+" scale bias mean var", out, a)
	}
	tests := []struct {
		name   string
		opsets []int64
		x      onnx.Value
		with   constants
		nodes  func() []*onnx.Node
		want   string
	}{
		{"squeeze", []int64{7, 11, 12}, floats("x", 1, 3, 1, 2), nil, func() []*onnx.Node {
			return []*onnx.Node{node("Squeeze", "x", "s", attrs{"axes": onnx.Ints(0, 2)}), node("Unsqueeze", "s", "y", attrs{"axes": onnx.Ints(1)})}
		}, "Squeeze Unsqueeze"},
		{"squeeze all", []int64{7, 12, 13, 21}, floats("x", 1, 3, 1, 2), nil, func() []*onnx.Node {
			return []*onnx.Node{node("Squeeze", "x", "y", nil)}
		}, "Squeeze"},
		{"sum", []int64{7, 11, 12}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("ReduceSum", "x", "a", attrs{"axes": onnx.Ints(1, 3), "keepdims": onnx.Int(1)}), node("ReduceSum", "x", "b", nil), node("Add", "a b", "y", nil),
			}
		}, "ReduceSum ReduceSum Add"},
		{"mean", []int64{7, 13, 17}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{node("ReduceMean", "x", "y", attrs{"axes": onnx.Ints(1, 3), "keepdims": onnx.Int(0)})}
		}, "ReduceMean"},
		{"split", []int64{7, 11, 12}, x2, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Split", "x", "a b", attrs{"axis": onnx.Int(1), "split": onnx.Ints(2, 4)}), node("Split", "b", "c d", attrs{"axis": onnx.Int(1)}),
				node("Sub", "a d", "e", nil), node("Mul", "e c", "y", nil),
			}
		}, "Split Split Sub Mul"},
		{"clip", []int64{7, 10}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Clip", "x", "a", attrs{"min": onnx.Float(-0.5), "max": onnx.Float(0.25)}), node("Clip", "x", "b", attrs{"max": onnx.Float(0.5)}),
				node("Clip", "b", "c", nil), node("Add", "a c", "y", nil),
			}
		}, "Clip Clip Clip Add"},
		{"pad", []int64{7, 10}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Pad", "x", "a", attrs{"pads": onnx.Ints(0, 0, 1, 2, 0, 0, 1, 0), "value": onnx.Float(3)}),
				node("Pad", "a", "y", attrs{"pads": onnx.Ints(0, 0, 1, 2, 0, 0, 1, 0), "mode": onnx.String("reflect")}),
			}
		}, "Pad Pad"},
		{"slice", []int64{7, 9}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Slice", "x", "a", attrs{"starts": onnx.Ints(1, -3), "ends": onnx.Ints(3, 1000), "axes": onnx.Ints(1, 3)}),
				node("Slice", "a", "y", attrs{"starts": onnx.Ints(0, 1), "ends": onnx.Ints(1, 2)}),
			}
		}, "Slice Slice"},
		{"top", []int64{7, 9}, x2, nil, func() []*onnx.Node {
			return []*onnx.Node{node("TopK", "x", "y i", attrs{"k": onnx.Int(3)})}
		}, "TopK"},
		{"upsample", []int64{7, 8}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{node("Upsample", "x", "y", attrs{"scales": onnx.Floats(1, 1, 2, 3)})}
		}, "Resize"},
		{"upsample by an input", []int64{9}, x4, constants{"s": onnx.Of([]float32{1, 1, 2, 2}, 4)}, func() []*onnx.Node {
			return []*onnx.Node{node("Upsample", "x s", "y", attrs{"mode": onnx.String("linear")})}
		}, "Resize"},
		{"resize", []int64{10}, x4, constants{"s": onnx.Of([]float32{1, 1, 1.5, 3}, 4)}, func() []*onnx.Node {
			return []*onnx.Node{node("Resize", "x s", "y", nil)}
		}, "Resize"},
		{"resize to less", []int64{10}, x4, constants{"s": onnx.Of([]float32{1, 1, 0.5, 0.7}, 4)}, func() []*onnx.Node {
			return []*onnx.Node{node("Resize", "x s", "a", nil), node("Resize", "a s", "y", attrs{"mode": onnx.String("linear")})}
		}, "Resize Resize"},
		{"softmax", []int64{7, 11, 12}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Softmax", "x", "a", nil), node("LogSoftmax", "a", "b", attrs{"axis": onnx.Int(2)}), node("Softmax", "b", "y", attrs{"axis": onnx.Int(0)}),
			}
		}, "Shape Flatten Softmax Reshape Shape Flatten LogSoftmax Reshape Shape Flatten Softmax Reshape"},
		{"softmax of the last axis", []int64{11, 12, 13, 17}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{node("Softmax", "x", "y", attrs{"axis": onnx.Int(-1)})}
		}, "Softmax"},
		{"hardmax", []int64{7, 12}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{node("Hardmax", "x", "y", nil)}
		}, "Shape Flatten Hardmax Reshape"},
		{"scatter", []int64{9, 10}, x2, constants{"i": onnx.Of([]int64{0, 1, 1, 0, 1, 1}, 1, 6), "u": numbers(1, 6)}, func() []*onnx.Node {
			return []*onnx.Node{node("Scatter", "x i u", "y", nil)}
		}, "ScatterElements"},
		{"normalisation alone", []int64{7, 8}, x4, positive, func() []*onnx.Node {
			return []*onnx.Node{norm("x", "y", attrs{"spatial": onnx.Int(1), "epsilon": onnx.Float(0.1)})}
		}, "BatchNormalization"},
		{"normalisation behind a convolution", []int64{7, 9, 13, 14, 15, 21}, x4, with("w", numbers(3, 3, 3, 3)), func() []*onnx.Node {
			return []*onnx.Node{node("Conv", "x w", "a", nil), norm("a", "b", nil), node("Relu", "b", "y", nil)}
		}, "Conv Relu"},
		{"two behind a grouped convolution with a bias", []int64{9, 17}, x4, with("w", numbers(3, 1, 2, 2)), func() []*onnx.Node {
			return []*onnx.Node{node("Conv", "x w bias", "a", attrs{"group": onnx.Int(3)}), norm("a", "b", nil), norm("b", "y", nil)}
		}, "Conv"},
		{"one kernel, two convolutions", []int64{9, 17}, x4, with("w", numbers(3, 3, 1, 1)), func() []*onnx.Node {
			return []*onnx.Node{node("Conv", "x w", "a", nil), norm("a", "b", nil), node("Conv", "b w", "y", nil)}
		}, "Conv Conv"},
		{"a convolution that others read", []int64{9, 17}, x4, with("w", numbers(3, 3, 1, 1)), func() []*onnx.Node {
			return []*onnx.Node{node("Conv", "x w", "a", nil), norm("a", "b", nil), node("Add", "b a", "y", nil)}
		}, "Conv BatchNormalization Add"},
		{"identity and dropout", []int64{7, 10}, x2, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Identity", "x", "a", nil), node("Dropout", "a", "b _", attrs{"ratio": onnx.Float(0.5)}), node("Identity", "b", "c", nil),
				node("Relu", "c", "d", nil), node("Dropout", "d", "y", attrs{"ratio": onnx.Float(0.3)}),
			}
		}, "Relu Dropout"},
		{"dropout that may train", []int64{12, 17}, x2, constants{"r": onnx.Of([]float32{0.5}), "no": onnx.Of([]bool{false})}, func() []*onnx.Node {
			return []*onnx.Node{node("Dropout", "x r no", "a m", nil), node("Dropout", "a r", "b", nil), node("Relu", "b", "y", nil)}
		}, "Relu"},
		{"constants", []int64{13, 17, 21}, x2, nil, func() []*onnx.Node {
			return []*onnx.Node{
				node("Constant", "", "a", attrs{"value_float": onnx.Float(2)}), node("Constant", "", "b", attrs{"value_floats": onnx.Floats(1, 2, 3, 4, 5, 6)}),
				node("Constant", "", "c", attrs{"value": {Kind: onnx.KindTensor, Tensor: numbers(2, 6)}}), node("Constant", "", "d", attrs{"value_int": onnx.Int(1)}),
				node("Constant", "", "e", attrs{"value_ints": onnx.Ints(1)}), node("Mul", "x a", "f", nil), node("Add", "f b", "g", nil),
				node("Sub", "g c", "h", nil), node("Gather", "h d", "i", attrs{"axis": onnx.Int(1)}), node("ReduceSum", "i _", "j", nil),
				node("Unsqueeze", "j e", "y", nil),
			}
		}, "Mul Add Sub Gather ReduceSum Unsqueeze"},
		{"casts of constants", []int64{9, 17}, x2, constants{"a": onnx.Of([]int64{2}, 1), "h": onnx.Of([]tensor.Float16{0x3c00}, 1)}, func() []*onnx.Node {
			return []*onnx.Node{
				node("Cast", "a", "b", attrs{"to": onnx.Int(6)}), node("Cast", "b", "c", attrs{"to": onnx.Int(11)}), node("Cast", "c", "d", attrs{"to": onnx.Int(1)}),
				node("Cast", "h", "i", attrs{"to": onnx.Int(1)}), node("Mul", "x d", "e", nil), node("Add", "e i", "y", nil),
			}
		}, "Mul Add"},
		{"float16 inside", []int64{9, 17}, x4, constants{"w": halves(numbers(3, 3, 2, 2))}, func() []*onnx.Node {
			return []*onnx.Node{
				node("Cast", "w", "k", attrs{"to": onnx.Int(1)}), node("Conv", "x k", "a", nil), node("Relu", "a", "y", nil),
			}
		}, "Conv Relu"},
		{"out of order", []int64{9, 17}, x4, nil, func() []*onnx.Node {
			return []*onnx.Node{node("Relu", "b", "y", nil), node("Neg", "a", "b", nil), node("Abs", "x", "a", nil)}
		}, "Abs Neg Relu"},
		{"what nothing needs", []int64{9, 17}, x4, constants{"k": numbers(3)}, func() []*onnx.Node {
			return []*onnx.Node{node("Relu", "x", "y", nil), node("Neg", "x", "b", nil)}
		}, "Relu"},
	}
	for _, test := range tests {
		for _, opset := range test.opsets {
			t.Run(fmt.Sprintf("%s/%d", test.name, opset), func(t *testing.T) {
				t.Parallel()
				g := made(opset, test.x, test.with, test.nodes()...)
				in := tensor.Named{"x": noisy(t, shapeOf(test.x)...)}
				before := g.Clone()
				want := run(t, before, in)
				if err := g.Normalize(); err != nil {
					t.Fatal(err)
				}
				if got := ops(g); got != test.want {
					t.Errorf("operators %s, want %s", got, test.want)
				}
				if want := max(opset, 17); g.Opset != want || g.IR != 8 {
					t.Errorf("opset %d, IR %d, want %d, 8", g.Opset, g.IR, want)
				}
				near(t, "normalised", run(t, g, in), want, 1e-5)
			})
		}
	}
}

func shapeOf(v onnx.Value) []int64 {
	var shape []int64
	for _, a := range v.Shape {
		shape = append(shape, a.Size)
	}
	return shape
}

// halves returns a constant as float16.
func halves(c *onnx.Constant) *onnx.Constant {
	data, err := c.Float64s()
	if err != nil {
		panic(err)
	}
	short := make([]tensor.Float16, len(data))
	for i, v := range data {
		short[i] = tensor.ToFloat16(float32(v))
	}
	return onnx.Of(short, c.Shape...)
}

// TestNormalizeWidens: a network of float16 takes and gives float32, and answers what it did but for the rounding.
func TestNormalizeWidens(t *testing.T) {
	t.Parallel()
	g := made(13, value("x", tensor.Half, 2, 3), map[string]*onnx.Constant{"w": halves(numbers(3, 4))},
		node("MatMul", "x w", "a", nil), node("Constant", "", "two", attrs{"value": {Kind: onnx.KindTensor, Tensor: onnx.Of([]tensor.Float16{0x4000})}}),
		node("Shape", "a", "s", nil),
		node("ConstantOfShape", "s", "c", attrs{"value": {Kind: onnx.KindTensor, Tensor: onnx.Of([]tensor.Float16{0x3c00}, 1)}}),
		node("Mul", "a two", "b", nil), node("Cast", "b", "d", attrs{"to": onnx.Int(11)}), node("Cast", "d", "e", attrs{"to": onnx.Int(10)}),
		node("Add", "e c", "y", nil))
	g.Outputs[0] = value("y", tensor.Half, 2, 4)
	wide := noise(2, 3)
	short := make([]tensor.Float16, len(wide))
	for i, v := range wide {
		short[i] = tensor.ToFloat16(v)
		wide[i] = short[i].Float32()
	}
	want := run(t, g, tensor.Named{"x": of(t, []int64{2, 3}, short...)})
	if err := g.Normalize(); err != nil {
		t.Fatal(err)
	}
	got := run(t, g, tensor.Named{"x": of(t, []int64{2, 3}, wide...)})
	if d := got["y"].DType(); d != tensor.Float32 || want["y"].DType() != tensor.Half {
		t.Errorf("%v became %v", want["y"], got["y"])
	}
	near(t, "float32", got, want, 2e-3)
}

// TestNormalizeInlines: functions in functions, in a branch, with names that clash, attributes by reference and by default,
// an input left out, an output that is handed through, and operators of an older version.
func TestNormalizeInlines(t *testing.T) {
	t.Parallel()
	inner := &onnx.Function{
		Name: "Scaled", Domain: "own", Inputs: []string{"x", "bias"}, Outputs: []string{"y", "x"}, Attrs: []string{"by"},
		Defaults: attrs{"to": onnx.Ints(1)}, Opset: 12,
		Nodes: []*onnx.Node{
			node("Constant", "", "k", attrs{"value_float": {Kind: onnx.KindFloat, Ref: "by"}}),
			node("Mul", "x k", "a", nil),
			node("ReduceSum", "a", "s", attrs{"axes": {Kind: onnx.KindInts, Ref: "to"}, "keepdims": onnx.Int(1)}),
			node("Clip", "a bias _", "c", nil),
			node("Add", "c s", "y", nil),
		},
	}
	branch := func(by float32, out string) onnx.Attr {
		n := node("Scaled", "a _", out, attrs{"by": onnx.Float(by)})
		n.Domain = "own"
		return onnx.Attr{Kind: onnx.KindGraph, Graph: &onnx.Graph{
			Name: out, Nodes: []*onnx.Node{n}, Outputs: []onnx.Value{floats(out, 2, 3)}, Initializers: map[string]*onnx.Constant{},
		}}
	}
	first, second := node("Scaled", "x _", "s a", attrs{"by": onnx.Float(2)}), node("Scaled", "s", "k", attrs{"by": onnx.Float(-1), "to": onnx.Ints(0)})
	first.Domain, second.Domain = "own", "own"
	outer := &onnx.Function{
		Name: "Twice", Domain: "own", Inputs: []string{"x"}, Outputs: []string{"k"}, Opset: 13, Domains: map[string]int64{"own": 1},
		Nodes: []*onnx.Node{
			first, second,
		},
	}
	call := node("Twice", "x", "a", nil)
	call.Domain, call.Name = "own", "call"
	g := made(13, floats("x", 2, 3), map[string]*onnx.Constant{"k": onnx.Of([]bool{true})}, call,
		node("If", "k", "y", attrs{"then_branch": branch(3, "t"), "else_branch": branch(4, "e")}))
	g.Functions, g.Domains, g.IR = []*onnx.Function{inner, outer}, map[string]int64{"own": 1}, 8

	x := noise(2, 3)
	scaled := func(x []float32, by float32, axis int) []float32 {
		y := make([]float32, len(x))
		for i := range y {
			y[i] = x[i] * by
			for j := range x {
				if axis == 1 && i/3 == j/3 || axis == 0 && i%3 == j%3 {
					y[i] += x[j] * by
				}
			}
		}
		return y
	}
	want := scaled(scaled(scaled(x, 2, 1), -1, 0), 3, 1)
	if err := g.Normalize(); err != nil {
		t.Fatal(err)
	}
	if len(g.Functions) != 0 || len(g.Domains) != 0 {
		t.Errorf("%d functions, domains %v are left", len(g.Functions), g.Domains)
	}
	in := tensor.Named{"x": of(t, []int64{2, 3}, x...)}
	near(t, "inlined", run(t, g, in), tensor.Named{"y": of(t, []int64{2, 3}, want...)}, 1e-6)
}

// TestNormalizeInsideBranches: graphs in nodes are raised too, and read what stands for what is gone.
func TestNormalizeInsideBranches(t *testing.T) {
	t.Parallel()
	branch := func(out string, nodes ...*onnx.Node) onnx.Attr {
		return onnx.Attr{Kind: onnx.KindGraph, Graph: &onnx.Graph{
			Name: out, Nodes: nodes, Outputs: []onnx.Value{{Name: out}}, Initializers: map[string]*onnx.Constant{},
		}}
	}
	then := branch("t", node("Constant", "", "c", attrs{"value": {Kind: onnx.KindTensor, Tensor: onnx.Of([]float32{1})}}),
		node("Add", "a c", "b", nil), node("Identity", "b", "d", nil), node("ReduceSum", "d", "t", attrs{"axes": onnx.Ints(1)}))
	other := branch("e", node("Constant", "", "e", attrs{"value": {Kind: onnx.KindTensor, Tensor: onnx.Of([]float32{5, 6}, 2, 1)}}))
	g := made(11, floats("x", 2, 3), map[string]*onnx.Constant{"zero": onnx.Of([]float32{0})},
		node("Identity", "x", "a", nil), node("ReduceSum", "x", "s", attrs{"keepdims": onnx.Int(0)}), node("Less", "s zero", "c0", nil),
		node("If", "c0", "y", attrs{"then_branch": then, "else_branch": other}))
	before := g.Clone()
	if err := g.Normalize(); err != nil {
		t.Fatal(err)
	}
	for _, sign := range []float32{1, -1} {
		in := tensor.Named{"x": of(t, []int64{2, 3}, sign, sign, 2*sign, 0, sign, 3*sign)}
		near(t, "branches", run(t, g, in), run(t, before, in), 1e-6)
	}
}

func TestNormalizeRefuses(t *testing.T) {
	t.Parallel()
	call := node("F", "x", "y", nil)
	call.Domain = "own"
	endless := made(17, floats("x", 1), nil, call)
	endless.Functions = []*onnx.Function{{Name: "F", Domain: "own", Inputs: []string{"x"}, Outputs: []string{"y"}, Nodes: []*onnx.Node{call}}}
	mixed := made(18, floats("x", 1), nil, call.Clone())
	mixed.Functions = []*onnx.Function{{
		Name: "F", Domain: "own", Inputs: []string{"x"}, Outputs: []string{"y"}, Opset: 13, Nodes: []*onnx.Node{node("Relu", "x", "y", nil)},
	}}
	sequence := made(17, floats("x", 1), nil, node("Relu", "x", "y", nil))
	sequence.Inputs[0].Exotic = "sequence"
	x := floats("x", 2, 3)
	tests := []struct {
		name string
		g    *onnx.Graph
		kind fault.Kind
		want string
	}{
		{"too old", made(6, x, nil, node("Relu", "x", "y", nil)), fault.Unsupported, "opset 6"},
		{"a sequence", sequence, fault.Unsupported, `input "x" is a sequence`},
		{"no type", made(17, onnx.Value{Name: "x"}, nil, node("Relu", "x", "y", nil)), fault.BadModel, `input "x" has no type`},
		{"an endless call", endless, fault.BadModel, `own.F that makes "y"`},
		{"two versions", mixed, fault.Unsupported, "written for opset 13, the network for 18"},
		{"nothing makes it", made(17, x, nil, node("Relu", "z", "y", nil)), fault.BadModel, `reads "z"`},
		{"nothing makes the output", made(17, x, nil), fault.BadModel, `the output "y"`},
		{"a circle", made(17, x, nil, node("Add", "x z", "y", nil), node("Relu", "y", "z", nil)), fault.BadModel, "depends on itself"},
		{"made twice", made(17, x, nil, node("Relu", "x", "y", nil), node("Neg", "x", "y", nil)), fault.BadModel, `"y" is made twice`},
		{"an empty constant", made(17, x, nil, node("Constant", "", "y", nil)), fault.BadModel, `Constant that makes "y": it has no value`},
		{"a sparse constant", made(17, x, nil, node("Constant", "", "y", attrs{"sparse_value": {}})), fault.Unsupported, "sparse"},
		{"pixels of their own", made(7, x, nil, node("BatchNormalization", "x x x x x", "y", attrs{"spatial": onnx.Int(0)})), fault.Unsupported, "spatial=0"},
		{"a scan", made(8, x, nil, node("Scan", "x", "y", nil)), fault.Unsupported, "Scan"},
		{"up and down", made(10, x, map[string]*onnx.Constant{"s": onnx.Of([]float32{2, 0.5}, 2)}, node("Resize", "x s", "y", nil)), fault.Unsupported, "widens and narrows"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.g.Normalize()
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Normalize: %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}

// TestNormalizeShipped asks the networks that are shipped before and after.
func TestNormalizeShipped(t *testing.T) {
	t.Parallel()
	for _, file := range shipped(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			before, g := read(t, file), read(t, file)
			in := rows(t, g, 2)
			if err := g.Normalize(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(ops(g), "BatchNormalization") || strings.Contains(ops(g), "Identity") {
				t.Errorf("operators %s", ops(g))
			}
			near(t, "normalised", run(t, g, in), run(t, before, in), 1e-4)
		})
	}
}

// rows returns inputs of g: that many rows where the batch is open, and 64 of every other dimension that is.
func rows(t *testing.T, g *onnx.Graph, batch int64) tensor.Named {
	t.Helper()
	in := tensor.Named{}
	for _, v := range g.Inputs {
		shape := shapeOf(v)
		for i, d := range shape {
			switch {
			case d >= 0:
			case i == 0:
				shape[i] = batch
			default:
				shape[i] = 64
			}
		}
		in[v.Name] = noisy(t, shape...)
	}
	return in
}

func shipped(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../models/*/*.onnx")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

func read(t *testing.T, file string) *onnx.Graph {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := onnx.Unmarshal(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
