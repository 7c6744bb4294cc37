package gradient_test

import (
	"fmt"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// attrs are those of a node.

func TestUnary(t *testing.T) {
	t.Parallel()
	kinked := subject{draw: grid(0.37), step: 1e-3}
	alpha := func(a float32) attrs { return attrs{"alpha": onnx.Float(a)} }
	tests := []struct {
		op     string
		attrs  attrs
		s      subject
		opset  int64 // 0: 17
		double bool  // the runtime has it in double precision too
	}{
		{op: "Neg", s: subject{linear: true}, double: true},
		{op: "Abs", s: kinked, double: true},
		{op: "Reciprocal", s: subject{draw: positive}, double: true},
		{op: "Sqrt", s: subject{draw: positive}, double: true},
		{op: "Exp", double: true},
		{op: "Log", s: subject{draw: positive}, double: true},
		{op: "Sin", double: true},
		{op: "Cos"},
		{op: "Erf"},
		{op: "Relu", s: kinked, double: true},
		{op: "Tanh", double: true},
		{op: "Sigmoid", double: true},
		{op: "LeakyRelu", s: kinked},
		{op: "LeakyRelu", attrs: alpha(0.3), s: kinked},
		{op: "LeakyRelu", attrs: alpha(-0.3), s: kinked},
		{op: "Elu", s: kinked},
		{op: "Elu", attrs: alpha(0.4), s: kinked},
		{op: "Elu", attrs: alpha(-0.4), s: kinked},
		{op: "Selu", s: kinked},
		{op: "Selu", attrs: attrs{"alpha": onnx.Float(1.2), "gamma": onnx.Float(0.7)}, s: kinked},
		{op: "Celu", s: kinked},
		{op: "Celu", attrs: alpha(0.6), s: kinked},
		{op: "ThresholdedRelu", s: kinked},
		{op: "ThresholdedRelu", attrs: alpha(0.5), s: kinked},
		{op: "HardSigmoid", s: kinked},
		{op: "HardSigmoid", attrs: attrs{"alpha": onnx.Float(0.4), "beta": onnx.Float(0.3)}, s: kinked},
		{op: "HardSwish", s: kinked},
		{op: "Mish", opset: 18},
		{op: "Softplus"},
		{op: "Softsign", s: kinked},
		{op: "Gelu", opset: 20},
		{op: "Gelu", attrs: attrs{"approximate": onnx.String("tanh")}, opset: 20},
		{op: "Swish", opset: 24},
		{op: "Swish", attrs: alpha(1.7), opset: 24},
		{op: "Dropout", s: subject{linear: true}},
	}
	for i, test := range tests {
		t.Run(fmt.Sprint(i, test.op), func(t *testing.T) {
			t.Parallel()
			g := network(map[string][]int64{"x": {-1, 3, 4}}, nil, node(test.op, test.attrs, []string{"x"}, "y"))
			versions := []int64{17, 21}
			if test.opset != 0 {
				versions = []int64{test.opset}
			}
			for _, v := range versions {
				s := test.s
				s.graph = opset(v, g.Clone())
				check(t, s)
			}
			if test.double {
				s := test.s
				s.graph = double(t, g)
				check(t, s)
			}
		})
	}
}

func TestBinary(t *testing.T) {
	t.Parallel()
	shapes := []struct{ x, z []int64 }{
		{[]int64{-1, 3, 4}, []int64{-1, 3, 4}},
		{[]int64{-1, 3, 4}, []int64{3, 1}},
		{[]int64{3, 1}, []int64{-1, 3, 4}},
		{[]int64{-1, 1, 4}, []int64{1, 3, 1}},
		{[]int64{-1, 3}, []int64{1}},
	}
	kinked := subject{draw: grid(0.2), step: 1e-3}
	tests := []struct {
		op string
		s  subject
	}{
		{"Add", subject{linear: true}},
		{"Sub", subject{linear: true}},
		{"Mul", subject{}},
		{"Div", subject{draw: positive}},
		{"Sum", subject{linear: true}},
		{"Mean", subject{linear: true}},
		{"Pow", subject{draw: positive}},
		{"Max", kinked},
		{"Min", kinked},
	}
	for _, test := range tests {
		for _, shape := range shapes {
			t.Run(fmt.Sprint(test.op, shape.x, shape.z), func(t *testing.T) {
				t.Parallel()
				s := test.s
				s.to = []string{"x", "z"}
				s.graph = network(map[string][]int64{"x": shape.x, "z": shape.z}, nil, node(test.op, nil, s.to, "y"))
				if test.op == "Max" || test.op == "Min" { // no ties, across the inputs either
					s.graph.Nodes = []*onnx.Node{
						node("Add", nil, []string{"z", "c"}, "zc"), node(test.op, nil, []string{"x", "zc"}, "y"),
					}
					s.graph.Initializers["c"] = onnx.Of([]float32{0.1})
				}
				check(t, s)
				if test.op != "Mean" { // which the runtime has in single precision only
					s.graph = double(t, s.graph)
				}
				s.to = []string{"z"}
				check(t, s)
			})
		}
	}
}

func TestElementwiseForms(t *testing.T) {
	t.Parallel()
	xzw := map[string][]int64{"x": {-1, 3, 4}, "z": {3, 1}, "w": {4}}
	all := []string{"x", "z", "w"}
	scalar := func(v float32) map[string]*onnx.Constant {
		return map[string]*onnx.Constant{"c": onnx.Of([]float32{v})}
	}
	power := func(c *onnx.Constant) *onnx.Graph {
		return network(map[string][]int64{"x": {-1, 3, 4}}, map[string]*onnx.Constant{"c": c}, node("Pow", nil, []string{"x", "c"}, "y"))
	}
	clip := func(inputs ...string) *onnx.Graph {
		c := map[string]*onnx.Constant{"lo": onnx.Of([]float32{-0.3}), "hi": onnx.Of([]float32{0.35})}
		return network(map[string][]int64{"x": {-1, 3, 4}}, c, node("Clip", nil, append([]string{"x"}, inputs...), "y"))
	}
	mask := map[string]*onnx.Constant{"c": onnx.Of([]bool{true, false, true}, 3, 1)}
	prelu := func(slope []int64) *onnx.Graph {
		return network(map[string][]int64{"x": {-1, 3, 4}, "z": slope}, nil, node("PRelu", nil, []string{"x", "z"}, "y"))
	}
	kinked := func(g *onnx.Graph, to ...string) subject {
		return subject{graph: g, to: to, draw: distinct, step: 1e-3}
	}
	tests := []struct {
		name string
		s    subject
	}{
		{"square", subject{graph: network(xzw, nil, node("Mul", nil, []string{"x", "x"}, "y"))}},
		{"sum of three", subject{graph: network(xzw, nil, node("Sum", nil, all, "y")), to: all, linear: true}},
		{"sum of one", subject{graph: network(xzw, nil, node("Sum", nil, []string{"x"}, "y")), linear: true}},
		{"mean of three", subject{graph: network(xzw, nil, node("Mean", nil, all, "y")), to: all, linear: true}},
		{"max of three", subject{graph: network(xzw, scalar(0.0667), node("Add", nil, []string{"z", "c"}, "zc"), node("Add", nil, []string{"zc", "c"}, "zcc"),
			node("Add", nil, []string{"w", "c"}, "wc"), node("Max", nil, []string{"x", "zcc", "wc"}, "y")), to: all, draw: grid(0.2), step: 1e-3}},
		{"max of one", subject{graph: network(xzw, nil, node("Max", nil, []string{"x"}, "y")), linear: true}},
		{"max with a constant", kinked(network(xzw, scalar(0.1), node("Max", nil, []string{"c", "x"}, "y")), "x")},
		{"power 0", subject{graph: power(onnx.Of([]float32{0}))}},
		{"power 1", subject{graph: power(onnx.Of([]float32{1})), linear: true}},
		{"power 2", subject{graph: power(onnx.Of([]float32{2}))}},
		{"power 3", subject{graph: power(onnx.Of([]float32{3}, 1))}},
		{"power 0.5", subject{graph: power(onnx.Of([]float32{0.5})), draw: positive}},
		{"integer power", subject{graph: power(onnx.Of([]int64{3}))}},
		{"integer powers", subject{graph: power(onnx.Of([]int64{0, 1, 2, 3}, 4))}},
		{"clip", kinked(clip("lo", "hi"))},
		{"clip below", kinked(clip("lo"))},
		{"clip above", kinked(clip("", "hi"))},
		{"clip nothing", subject{graph: clip(), linear: true}},
		{"prelu", kinked(prelu([]int64{3, 1}), "x", "z")},
		{"prelu, one slope", kinked(prelu([]int64{1}), "z")},
		{"prelu, each", kinked(prelu([]int64{-1, 3, 4}), "x", "z")},
		{"where", subject{graph: network(xzw, mask, node("Where", nil, []string{"c", "x", "w"}, "y")), to: []string{"x", "w"}, linear: true}},
		{"where, spread", subject{graph: network(xzw, mask, node("Where", nil, []string{"c", "w", "z"}, "y")), to: []string{"z", "w"}, linear: true}},
		{"where, second", subject{graph: network(xzw, mask, node("Where", nil, []string{"c", "z", "x"}, "y")), linear: true}},
		{"cast there and back", subject{graph: network(xzw, nil,
			node("Cast", attrs{"to": onnx.Int(11)}, []string{"x"}, "d"), node("Tanh", nil, []string{"d"}, "td"),
			node("Cast", attrs{"to": onnx.Int(1)}, []string{"td"}, "y"))}},
		{"cast to itself", subject{graph: network(xzw, nil, node("Cast", attrs{"to": onnx.Int(1)}, []string{"x"}, "y")), linear: true}},
		{"dropout", subject{graph: network(xzw, map[string]*onnx.Constant{"ratio": onnx.Of([]float32{0.5}), "training": onnx.Of([]bool{false})},
			node("Dropout", nil, []string{"x", "ratio", "training"}, "y")), linear: true}},
		{"tensor used three times", subject{graph: network(xzw, nil, node("Sin", nil, []string{"x"}, "a"), node("Mul", nil, []string{"a", "x"}, "b"),
			node("Sum", nil, []string{"a", "b", "x"}, "y"))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if len(test.s.to) == 0 {
				test.s.to = nil
			}
			check(t, test.s)
		})
	}
}

// TestFlat multiplies what only moves in steps with the input: the gradient is as if the steps were constant.
func TestFlat(t *testing.T) {
	t.Parallel()
	float := func(name string) *onnx.Node { return node("Cast", attrs{"to": onnx.Int(1)}, []string{name}, "r") }
	compare := func(op string) []*onnx.Node { return []*onnx.Node{node(op, nil, []string{"x", "c"}, "b"), float("b")} }
	tests := []struct {
		name  string
		nodes []*onnx.Node // from x, or c, to r
	}{
		{"Sign", []*onnx.Node{node("Sign", nil, []string{"x"}, "r")}},
		{"Floor", []*onnx.Node{node("Floor", nil, []string{"x"}, "r")}},
		{"Ceil", []*onnx.Node{node("Ceil", nil, []string{"x"}, "r")}},
		{"Round", []*onnx.Node{node("Round", nil, []string{"x"}, "r")}},
		{"Greater", compare("Greater")},
		{"GreaterOrEqual", compare("GreaterOrEqual")},
		{"Less", compare("Less")},
		{"LessOrEqual", compare("LessOrEqual")},
		{"Equal", compare("Equal")},
		{"Not", []*onnx.Node{node("Less", nil, []string{"x", "c"}, "l"), node("Not", nil, []string{"l"}, "b"), float("b")}},
		{"And", []*onnx.Node{
			node("Less", nil, []string{"x", "c"}, "l"), node("Greater", nil, []string{"x", "c"}, "g"), node("And", nil, []string{"l", "g"}, "b"), float("b"),
		}},
		{"Cast to whole numbers", []*onnx.Node{node("Cast", attrs{"to": onnx.Int(7)}, []string{"x"}, "i"), float("i")}},
		{"Cast to truths", []*onnx.Node{node("Cast", attrs{"to": onnx.Int(9)}, []string{"x"}, "i"), float("i")}},
		{"ArgMax", []*onnx.Node{node("ArgMax", attrs{"axis": onnx.Int(1)}, []string{"x"}, "i"), float("i")}},
		{"ArgMin", []*onnx.Node{node("ArgMin", attrs{"axis": onnx.Int(1)}, []string{"x"}, "i"), float("i")}},
		{"Shape", []*onnx.Node{
			node("Shape", nil, []string{"x"}, "s"), node("Cast", attrs{"to": onnx.Int(1)}, []string{"s"}, "f"), node("ReduceSum", attrs{"keepdims": onnx.Int(0)}, []string{"f"}, "r"),
		}},
		{"OneHot", []*onnx.Node{
			node("ArgMax", attrs{"axis": onnx.Int(1), "keepdims": onnx.Int(0)}, []string{"x"}, "i"), node("OneHot", nil, []string{"i", "five", "onoff"}, "r"),
		}},
		{"NonZero", []*onnx.Node{
			node("NonZero", nil, []string{"x"}, "i"), node("Cast", attrs{"to": onnx.Int(1)}, []string{"i"}, "f"), node("ReduceSum", attrs{"keepdims": onnx.Int(0)}, []string{"f"}, "r"),
		}},
		{"TopK indices", []*onnx.Node{node("TopK", nil, []string{"x", "five"}, "v", "i"), float("i")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := map[string]*onnx.Constant{"c": onnx.Of([]float32{0.001}), "five": onnx.Of([]int64{5}, 1), "onoff": onnx.Of([]float32{-1, 2}, 2)}
			nodes := append(test.nodes, node("Mul", nil, []string{"x", "r"}, "y"))
			check(t, subject{graph: network(map[string][]int64{"x": {-1, 5}}, c, nodes...), draw: grid(0.37), step: 1e-3})
		})
	}
}
