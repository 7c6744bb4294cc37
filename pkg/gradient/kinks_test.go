package gradient_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
)

// TestKinks is about the places where functions have no slope, or where a formula would divide by 0: the answers are
// PyTorch's.
func TestKinks(t *testing.T) {
	t.Parallel()
	bounds := map[string]*onnx.Constant{"lo": onnx.Of([]float32{0}), "hi": onnx.Of([]float32{6})}
	xs := map[string][]float32{"x": {-1, 0, 2}}
	tests := []struct {
		name      string
		op        string
		attrs     attrs
		constants map[string]*onnx.Constant
		inputs    []string
		in        map[string][]float32
		want      map[string][]float64
	}{
		{"relu at 0", "Relu", nil, nil, []string{"x"}, xs, map[string][]float64{"x": {0, 0, 1}}},
		{"abs at 0", "Abs", nil, nil, []string{"x"}, xs, map[string][]float64{"x": {-1, 0, 1}}},
		{
			"clip at its bounds", "Clip", nil, bounds,
			[]string{"x", "lo", "hi"},
			map[string][]float32{"x": {-1, 0, 0.5, 6, 7}},
			map[string][]float64{"x": {0, 0, 1, 0, 0}},
		},
		{"leaky relu at 0", "LeakyRelu", attrs{"alpha": onnx.Float(0.25)}, nil, []string{"x"}, xs, map[string][]float64{"x": {0.25, 0.25, 1}}},
		{"leaky relu as it comes", "LeakyRelu", nil, nil, []string{"x"}, xs, map[string][]float64{"x": {0.01, 0.01, 1}}},
		{
			"max shares", "Max", nil, nil,
			[]string{"x", "z"},
			map[string][]float32{"x": {1, 2, 3}, "z": {1, 3, 2}},
			map[string][]float64{"x": {0.5, 0, 1}, "z": {0.5, 1, 0}},
		},
		{
			"min of three shares", "Min", nil, nil,
			[]string{"w", "x", "z"},
			map[string][]float32{"w": {1, 2}, "x": {1, 2}, "z": {1, 3}},
			map[string][]float64{"w": {1. / 3, 0.5}, "x": {1. / 3, 0.5}, "z": {1. / 3, 0}},
		},
		{
			"reduce max shares", "ReduceMax",
			attrs{"axes": onnx.Ints(0)},
			nil,
			[]string{"x"},
			map[string][]float32{"x": {3, 1, 3, 2}},
			map[string][]float64{"x": {0.5, 0, 0.5, 0}},
		},
		{
			"product with a zero", "ReduceProd",
			attrs{"axes": onnx.Ints(0)},
			nil,
			[]string{"x"},
			map[string][]float32{"x": {3, 0, 2}},
			map[string][]float64{"x": {0, 6, 0}},
		},
		{
			"product with two", "ReduceProd",
			attrs{"axes": onnx.Ints(0)},
			nil,
			[]string{"x"},
			map[string][]float32{"x": {3, 0, 0}},
			map[string][]float64{"x": {0, 0, 0}},
		},
		{
			"norm of nothing", "ReduceL2",
			attrs{"axes": onnx.Ints(0)},
			nil,
			[]string{"x"},
			map[string][]float32{"x": {0, 0}},
			map[string][]float64{"x": {0, 0}},
		},
		{
			"nothing normalized", "LpNormalization", nil, nil,
			[]string{"x"},
			map[string][]float32{"x": {0, 0}},
			map[string][]float64{"x": {0, 0}},
		},
		{
			"powers of 0", "Pow", nil, nil,
			[]string{"x", "z"},
			map[string][]float32{"x": {0, 0, 0, 2}, "z": {0, 1, 2, 0}},
			map[string][]float64{"x": {0, 1, 0, 0}, "z": {0, 0, 0, math.Ln2}},
		},
		{"softplus far out", "Softplus", nil, nil, []string{"x"}, map[string][]float32{"x": {-200, 200}}, map[string][]float64{"x": {0, 1}}},
		{
			"hard swish at its corners", "HardSwish", nil, nil,
			[]string{"x"},
			map[string][]float32{"x": {-4, -3, 3, 4}},
			map[string][]float64{"x": {0, -0.5, 1.5, 1}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			shapes := map[string][]int64{}
			for name, data := range test.in {
				shapes[name] = []int64{int64(len(data))}
			}
			g := network(shapes, test.constants, node(test.op, test.attrs, test.inputs, "y"))
			got := solve(t, g, gradient.Options{}, test.in)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateApprox(1e-6, 1e-7)); diff != "" {
				t.Errorf("gradient (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReluRules is about the two rules that are no gradient.
func TestReluRules(t *testing.T) {
	t.Parallel()
	g := network(map[string][]int64{"x": {4}}, map[string]*onnx.Constant{"c": onnx.Of([]float32{1, -1, 1, -1}, 4)},
		node("Relu", nil, []string{"x"}, "a"), node("Mul", nil, []string{"a", "c"}, "y"))
	in := map[string][]float32{"x": {2, 2, -2, -2}}
	for rule, want := range map[gradient.ReluRule][]float64{
		gradient.ReluPlain:         {1, -1, 0, 0},
		gradient.ReluGuided:        {1, 0, 0, 0},
		gradient.ReluDeconvolution: {1, 0, 1, 0},
	} {
		if diff := cmp.Diff(want, solve(t, g, gradient.Options{Relu: rule}, in)["x"]); diff != "" {
			t.Errorf("rule %d (-want +got):\n%s", rule, diff)
		}
	}
}
