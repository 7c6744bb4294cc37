package gradient_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// draw returns a source of random attributes. The seed shows in the names of the tests, and so in their failures.
func draw(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// between returns a number from low to high.
func between(r *rand.Rand, low, high int64) int64 { return low + r.Int64N(high-low+1) }

// several returns n numbers from low to high.
func several(r *rand.Rand, n int, low, high int64) []int64 {
	v := make([]int64, n)
	for i := range v {
		v[i] = between(r, low, high)
	}
	return v
}

// weight draws a constant.
func weight(r *rand.Rand, shape ...int64) *onnx.Constant {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return onnx.Of(normal(r, int(n)), shape...)
}

// convolution draws a Conv with some number of axes.
func convolution(r *rand.Rand, axes int) *onnx.Graph {
	kernel, stride, dilation := several(r, axes, 1, 5), several(r, axes, 1, 3), several(r, axes, 1, 3)
	switch r.IntN(3) {
	case 0: // what gets the form for strides alike
		stride = append(stride[:0], several(r, 1, 2, 3)...)
		for len(stride) < axes {
			stride = append(stride, stride[0])
		}
		dilation = nil
	case 1: // what gets the form for stride 1
		stride = nil
	}
	auto := []string{"NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}[r.IntN(6)]
	if strings.HasPrefix(auto, "SAME") {
		dilation = nil // the runtime has no such dilated convolution
	}
	group := between(r, 1, 3)
	per, rows := between(r, 1, 3), between(r, 1, 3)
	if r.IntN(4) == 0 {
		per, rows = 1, 1 // each channel for itself
	}
	a := attrs{"group": onnx.Int(group), "kernel_shape": onnx.Ints(kernel...)}
	if r.IntN(2) == 0 {
		delete(a, "kernel_shape")
	}
	if r.IntN(2) == 0 {
		group = 1
		a["group"] = onnx.Int(1)
	}
	if stride != nil {
		a["strides"] = onnx.Ints(stride...)
	}
	if dilation != nil {
		a["dilations"] = onnx.Ints(dilation...)
	}
	if a["auto_pad"] = onnx.String(auto); auto == "NOTSET" && r.IntN(4) > 0 {
		a["pads"] = onnx.Ints(several(r, 2*axes, 0, 3)...)
	}
	x := []int64{-1, group * per}
	for i := range axes {
		reach := kernel[i] - 1
		if dilation != nil {
			reach *= dilation[i]
		}
		x = append(x, reach+between(r, 1, 7))
	}
	w := weight(r, append([]int64{group * rows, per}, kernel...)...)
	return one("Conv", a, x, constants{"w": w, "b": weight(r, group*rows)}, "w", "b")
}

// TestConv checks both ways to write each gradient: with weights in another order where that is faster, and without.
func TestConv(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(300) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			axes := []int{1, 2, 2, 2, 3}[r.IntN(5)]
			s := subject{graph: convolution(r, axes), linear: true}
			s.opts.Compact = i%4 == 0
			check(t, s)
		})
	}
}

// TestConvForms checks which form each convolution gets.
func TestConvForms(t *testing.T) {
	t.Parallel()
	one2 := func(a attrs, x []int64, w ...int64) *onnx.Graph {
		return one("Conv", a, x, constants{"w": weight(draw(1), w...)}, "w")
	}
	s2 := attrs{"strides": onnx.Ints(2, 2), "pads": onnx.Ints(1, 1, 1, 1)}
	tests := []struct {
		name    string
		g       *onnx.Graph
		compact bool
		want    map[string]int
	}{
		{"stride 1", one2(attrs{"pads": onnx.Ints(1, 1, 1, 1)}, []int64{-1, 4, 6, 6}, 8, 4, 3, 3), false, map[string]int{"Conv": 1}},
		{"stride 1, compact", one2(attrs{"pads": onnx.Ints(1, 1, 1, 1)}, []int64{-1, 4, 6, 6}, 8, 4, 3, 3), true, map[string]int{"ConvTranspose": 1}},
		{"stride 1, much padding", one2(attrs{"pads": onnx.Ints(3, 3, 3, 3)}, []int64{-1, 4, 6, 6}, 8, 4, 3, 3), false, map[string]int{"ConvTranspose": 1}},
		{"stride 1, open sizes", one2(attrs{"auto_pad": onnx.String("SAME_UPPER")}, []int64{-1, 4, -1}, 8, 4, 4), false, map[string]int{"Conv": 1}},
		{"stride 2", one2(s2, []int64{-1, 4, 6, 6}, 8, 4, 3, 3), false, map[string]int{"Conv": 1, "DepthToSpace": 1}},
		{"stride 2, odd sizes", one2(s2, []int64{-1, 4, 7, 6}, 8, 4, 3, 3), false, map[string]int{"Conv": 1, "DepthToSpace": 1, "Slice": 1}},
		{"stride 2, compact", one2(s2, []int64{-1, 4, 6, 6}, 8, 4, 3, 3), true, map[string]int{"ConvTranspose": 1}},
		{"stride 2, kernel 1", one2(attrs{"strides": onnx.Ints(2, 2)}, []int64{-1, 4, 6, 6}, 8, 4, 1, 1), false, map[string]int{"ConvTranspose": 1, "Pad": 1}},
		{"stride 2, groups", one2(attrs{"strides": onnx.Ints(2, 2), "group": onnx.Int(2)}, []int64{-1, 4, 7, 7}, 8, 2, 3, 3), false, map[string]int{"ConvTranspose": 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := subject{graph: test.g, linear: true, rows: 9}
			s.opts.Compact = test.compact
			got := count(build(t, s).Model)
			got["Conv"]-- // forwards
			for _, op := range []string{"Conv", "ConvTranspose", "DepthToSpace", "Slice", "Pad"} {
				if got[op] != test.want[op] {
					t.Errorf("%d %s, want %d: %v", got[op], op, test.want[op], got)
				}
			}
			check(t, s)
		})
	}
}

// TestConvFormsAgree compares the two ways to write the gradient.
func TestConvFormsAgree(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(40) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			s := subject{graph: convolution(r, 2)}
			s.fill()
			at := s.inputs(t, r, 2)
			shape := run(t, open(t, s.graph, engine.OptimizeAll), at)["y"].Shape()
			seed, err := weight(r, shape...).Tensor()
			if err != nil {
				t.Fatal(err)
			}
			var grads [2][]float64
			for j, compact := range []bool{false, true} {
				s.opts.Compact = compact
				built := build(t, s)
				in := tensor.Named{built.Seed: seed, "x": at["x"]}
				grads[j] = floats(t, run(t, open(t, built.Model, engine.OptimizeAll), in)[built.Grads["x"]])
			}
			if diff := cmp.Diff(grads[0], grads[1], cmpopts.EquateApprox(1e-5, 1e-4)); diff != "" {
				t.Errorf("gradients (-convolution +transposed):\n%s", diff)
			}
		})
	}
}

// TestConvOpenWeights has weights that are no constant, and a bias that the gradient is by.
func TestConvOpenWeights(t *testing.T) {
	t.Parallel()
	g := network(inputs{"x": {-1, 4, 6, 7}, "w": {6, 4, 3, 2}, "b": {6}}, nil,
		node("Conv", attrs{"strides": onnx.Ints(2, 1)}, []string{"x", "w", "b"}, "y"))
	check(t, subject{graph: g, to: []string{"x", "b"}, linear: true})
	refused(t, subject{graph: g, to: []string{"w"}}, "Conv", `its weights "w" depend on what the gradient is by`)
	moving := network(inputs{"x": {-1, 2, -1}}, constants{"w": weight(draw(1), 2, 2, 3)},
		node("Conv", attrs{"strides": onnx.Ints(2)}, []string{"x", "w"}, "y"))
	refused(t, subject{graph: moving, rows: 7}, "Conv", "axis 2 has no fixed size, and its stride is 2")
}

// deconvolution draws a ConvTranspose with some number of axes.
func deconvolution(r *rand.Rand, axes int) *onnx.Graph {
	kernel, stride, dilation, group := several(r, axes, 1, 4), several(r, axes, 1, 3), several(r, axes, 1, 2), between(r, 1, 2)
	per, rows := between(r, 1, 3), between(r, 1, 3)
	a := attrs{"group": onnx.Int(group), "strides": onnx.Ints(stride...), "dilations": onnx.Ints(dilation...)}
	x, shape, more := []int64{-1, group * rows}, []int64{}, []int64{}
	for i := range axes {
		x = append(x, between(r, 5, 7))
		more = append(more, between(r, 0, stride[i]-1))
		shape = append(shape, stride[i]*(x[i+2]-1)+(kernel[i]-1)*dilation[i]+1-between(r, 0, 2))
	}
	switch r.IntN(5) {
	case 0:
		a["auto_pad"] = onnx.String([]string{"VALID", "SAME_UPPER", "SAME_LOWER"}[r.IntN(3)])
	case 1:
		a["output_shape"] = onnx.Ints(shape...)
	case 2:
		a["output_padding"] = onnx.Ints(more...)
		fallthrough
	default:
		a["pads"] = onnx.Ints(several(r, 2*axes, 0, 2)...)
	}
	w := weight(r, append([]int64{group * rows, per}, kernel...)...)
	return one("ConvTranspose", a, x, constants{"w": w, "b": weight(r, group*per)}, "w", "b")
}

func TestConvTranspose(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(150) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			check(t, subject{graph: deconvolution(r, []int{1, 2, 2, 3}[r.IntN(4)]), linear: true})
		})
	}
}
