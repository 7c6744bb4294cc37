package gradient_test

import (
	"fmt"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// reduction makes the graph of a reduction over axes, nil for none given, in the form that the version has.
func reduction(version int64, op string, more attrs, axes []int64) *onnx.Graph {
	attributes, inputs := attrs{}, []string{"x"}
	for k, v := range more {
		attributes[k] = v
	}
	constants := map[string]*onnx.Constant{}
	if axes != nil {
		if version >= 18 || op == "ReduceSum" {
			constants["axes"] = onnx.Of(axes, int64(len(axes)))
			inputs = append(inputs, "axes")
		} else {
			attributes["axes"] = onnx.Ints(axes...)
		}
	}
	return opset(version, network(map[string][]int64{"x": {-1, 3, 2, 4}}, constants, node(op, attributes, inputs, "y")))
}

func TestReductions(t *testing.T) {
	t.Parallel()
	kinked := subject{draw: distinct, step: 1e-3}
	tests := []struct {
		op string
		s  subject
	}{
		{"ReduceSum", subject{linear: true}},
		{"ReduceMean", subject{linear: true}},
		{"ReduceMax", kinked},
		{"ReduceMin", kinked},
		{"ReduceL1", kinked},
		{"ReduceL2", kinked}, // where all are zero
		{"ReduceSumSquare", subject{}},
		{"ReduceLogSumExp", subject{}},
		{"ReduceLogSum", subject{draw: positive}},
		{"ReduceProd", subject{draw: positive}},
	}
	for _, test := range tests {
		for _, version := range []int64{13, 18, 20} {
			for _, axes := range [][]int64{nil, {1}, {-1}, {-2, 1}, {0, 3}, {0}} {
				t.Run(fmt.Sprint(test.op, version, axes), func(t *testing.T) {
					t.Parallel()
					for keep := range int64(2) {
						if keep == 0 && axes == nil {
							continue // a scalar, which the binding does not give back
						}
						s := test.s
						s.graph = reduction(version, test.op, attrs{"keepdims": onnx.Int(keep)}, axes)
						check(t, s)
					}
				})
			}
		}
		t.Run(test.op+" in double precision", func(t *testing.T) {
			t.Parallel()
			s := test.s
			s.graph = double(t, reduction(18, test.op, nil, []int64{-2, 1}))
			check(t, s)
		})
	}
	for _, op := range []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"} {
		t.Run(op+" of no axes", func(t *testing.T) {
			t.Parallel()
			noop := attrs{"noop_with_empty_axes": onnx.Int(1)}
			check(t, subject{graph: reduction(18, op, noop, nil), linear: true})
			check(t, subject{graph: reduction(18, op, noop, []int64{}), linear: true})
		})
	}
	t.Run("to a scalar", func(t *testing.T) {
		t.Parallel()
		for _, op := range []string{"ReduceSum", "ReduceMean", "ReduceMax", "ReduceLogSumExp"} {
			g := reduction(18, op, attrs{"keepdims": onnx.Int(0)}, nil)
			g.Nodes[0].Outputs[0] = "s"
			g.Nodes = append(g.Nodes, node("Mul", nil, []string{"x", "s"}, "y"))
			check(t, subject{graph: g, draw: distinct, step: 1e-3})
		}
	})
}

func TestSoftmax(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"Softmax", "LogSoftmax"} {
		for _, axis := range []int64{-1, 0, 1, -2} {
			t.Run(fmt.Sprint(op, axis), func(t *testing.T) {
				t.Parallel()
				g := network(map[string][]int64{"x": {-1, 3, 4}}, nil, node(op, attrs{"axis": onnx.Int(axis)}, []string{"x"}, "y"))
				check(t, subject{graph: g})
				check(t, subject{graph: opset(13, g.Clone())})
				check(t, subject{graph: double(t, g)})
			})
		}
		t.Run(op+" of the last axis", func(t *testing.T) {
			t.Parallel()
			check(t, subject{graph: network(map[string][]int64{"x": {-1, 3, 4}}, nil, node(op, nil, []string{"x"}, "y"))})
		})
	}
}

func TestCumSum(t *testing.T) {
	t.Parallel()
	for i := range int64(12) {
		axis, reverse, exclusive := i/4-1, i&1, i>>1&1
		t.Run(fmt.Sprint(axis, reverse, exclusive), func(t *testing.T) {
			t.Parallel()
			how := attrs{"reverse": onnx.Int(reverse), "exclusive": onnx.Int(exclusive)}
			g := network(map[string][]int64{"x": {-1, 3, 4}}, map[string]*onnx.Constant{"axis": onnx.Of([]int64{axis})},
				node("CumSum", how, []string{"x", "axis"}, "y"))
			check(t, subject{graph: g, linear: true})
			check(t, subject{graph: double(t, g), linear: true})
		})
	}
}
