package gradient_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// pooling draws a pooling with some number of axes: windows that overlap or leave gaps, padded or not.
func pooling(r *rand.Rand, op string, axes int) *onnx.Graph {
	kernel, stride, dilation := several(r, axes, 1, 4), several(r, axes, 1, 4), several(r, axes, 1, 2)
	switch r.IntN(4) {
	case 0:
		stride = kernel // side by side
	case 1:
		stride = nil
	}
	a := attrs{"kernel_shape": onnx.Ints(kernel...), "ceil_mode": onnx.Int(between(r, 0, 1))}
	if stride != nil {
		a["strides"] = onnx.Ints(stride...)
	}
	opset := int64(17)
	if r.IntN(2) == 0 {
		dilation = several(r, axes, 1, 1)
	} else {
		a["dilations"], opset = onnx.Ints(dilation...), 19
	}
	if op == "AveragePool" {
		a["count_include_pad"] = onnx.Int(between(r, 0, 1))
	}
	auto := []string{"NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}[r.IntN(6)]
	if strings.HasPrefix(auto, "SAME") {
		delete(a, "dilations")
		a["ceil_mode"] = onnx.Int(0)
		dilation = several(r, axes, 1, 1)
		for i := range stride {
			stride[i] = min(stride[i], kernel[i]+1) // else nobody agrees where the windows begin
		}
	}
	if a["auto_pad"] = onnx.String(auto); auto == "NOTSET" && r.IntN(3) > 0 {
		pads := make([]int64, 2*axes)
		for i := range axes {
			pads[i], pads[axes+i] = between(r, 0, kernel[i]-1), between(r, 0, kernel[i]-1)
		}
		a["pads"] = onnx.Ints(pads...)
	}
	x := []int64{-1, between(r, 1, 3)}
	for i := range axes {
		x = append(x, (kernel[i]-1)*dilation[i]+between(r, 1, 7))
	}
	if a["count_include_pad"].Int == 1 {
		a["ceil_mode"] = onnx.Int(0) // else nobody agrees what counts
	}
	return at(opset, one(op, a, x, nil))
}

func TestMaxPool(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(150) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			check(t, subject{graph: pooling(r, "MaxPool", []int{1, 2, 2, 3}[r.IntN(4)]), draw: distinct, step: 1e-3})
		})
	}
}

func TestAveragePool(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(200) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			g := pooling(r, "AveragePool", []int{1, 2, 2, 3}[r.IntN(4)])
			check(t, subject{graph: g, linear: true})
		})
	}
}

func TestGlobalPools(t *testing.T) {
	t.Parallel()
	for _, x := range [][]int64{{-1, 3, 4, 5}, {-1, 2, 6}, {-1, 2, 3, 2, 4}, {-1, 3, -1, 4}} {
		t.Run(fmt.Sprint(x), func(t *testing.T) {
			t.Parallel()
			check(t, subject{graph: one("GlobalAveragePool", nil, x, nil), linear: true})
			check(t, subject{graph: one("GlobalMaxPool", nil, x, nil), draw: distinct, step: 1e-3})
		})
	}
}

// TestMaxPoolTies: of equal elements the first of a window gets everything, as in PyTorch.
func TestMaxPoolTies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a    attrs
		x    []float32
		want []float64
	}{
		{"flat", attrs{"kernel_shape": onnx.Ints(2, 2), "strides": onnx.Ints(1, 1)}, make([]float32, 9), []float64{1, 1, 0, 1, 1, 0, 0, 0, 0}},
		{
			"padded",
			attrs{"kernel_shape": onnx.Ints(3, 3), "strides": onnx.Ints(2, 2), "pads": onnx.Ints(1, 1, 1, 1)},
			[]float32{5, 5, 5, 1, 5, 5, 2, 2, 5},
			[]float64{1, 1, 0, 0, 2, 0, 0, 0, 0},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := subject{graph: one("MaxPool", test.a, []int64{1, 1, 3, 3}, nil)}
			built := build(t, s)
			x, err := tensor.New([]int64{1, 1, 3, 3}, test.x)
			if err != nil {
				t.Fatal(err)
			}
			ones, err := tensor.New([]int64{1, 1, 2, 2}, []float32{1, 1, 1, 1})
			if err != nil {
				t.Fatal(err)
			}
			out := run(t, open(t, built.Model, engine.OptimizeAll), tensor.Named{"x": x, built.Seed: ones})
			if diff := cmp.Diff(test.want, floats(t, out[built.Grads["x"]])); diff != "" {
				t.Errorf("gradient (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoolRefusals(t *testing.T) {
	t.Parallel()
	gaps := attrs{"kernel_shape": onnx.Ints(2), "dilations": onnx.Ints(3), "pads": onnx.Ints(1, 1)}
	refused(t, subject{graph: one("MaxPool", gaps, []int64{-1, 2, 2}, nil)}, "MaxPool", "a window lies in the padding")
	open := attrs{"kernel_shape": onnx.Ints(2), "pads": onnx.Ints(1, 1)}
	refused(t, subject{graph: one("MaxPool", open, []int64{-1, 2, -1}, nil)}, "MaxPool",
		"axis 2 has no fixed size, and a window may lie in the padding")
	refused(t, subject{graph: one("AveragePool", open, []int64{-1, 2, -1}, nil)}, "AveragePool",
		"its windows differ in what they average, and its sizes are not fixed")
	auto := attrs{"kernel_shape": onnx.Ints(1), "strides": onnx.Ints(3), "auto_pad": onnx.String("SAME_UPPER")}
	refused(t, subject{graph: one("AveragePool", auto, []int64{-1, 2, 6}, nil)}, "AveragePool",
		"runtimes differ in where its windows, of 1 elements every 3, begin")
	over := attrs{"kernel_shape": onnx.Ints(2), "strides": onnx.Ints(2), "ceil_mode": onnx.Int(1), "count_include_pad": onnx.Int(1)}
	refused(t, subject{graph: one("AveragePool", over, []int64{-1, 2, 5}, nil)}, "AveragePool",
		"a window reaches beyond the padding, and runtimes differ in whether that counts")
	over["pads"] = onnx.Ints(1, 0)
	check(t, subject{graph: one("AveragePool", over, []int64{-1, 2, 5}, nil), linear: true})
	columns := network(inputs{"x": {-1, 2, 4, 4}}, nil,
		node("MaxPool", attrs{"kernel_shape": onnx.Ints(2, 2), "storage_order": onnx.Int(1)}, []string{"x"}, "y", "where"))
	refused(t, subject{graph: columns}, "MaxPool", "its indices are counted column by column")
	refused(t, subject{graph: one("LpPool", attrs{"kernel_shape": onnx.Ints(2, 2)}, []int64{-1, 2, 4, 4}, nil)}, "LpPool", "it has no rule")
}
