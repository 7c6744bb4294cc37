package gradient_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// resizing draws a Resize of the last axes.
func resizing(r *rand.Rand, mode string, axes int) *onnx.Graph {
	a := attrs{"mode": onnx.String(mode)}
	a["coordinate_transformation_mode"] = onnx.String([]string{
		"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
		"half_pixel_symmetric",
	}[r.IntN(5)])
	opset := int64(17)
	if a["coordinate_transformation_mode"].String == "half_pixel_symmetric" || r.IntN(2) == 0 {
		opset = 19
	}
	if mode == "nearest" {
		a["nearest_mode"] = onnx.String([]string{"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}[r.IntN(4)])
	}
	if mode == "cubic" {
		a["cubic_coeff_a"], a["exclude_outside"] = onnx.Float(-0.5), onnx.Int(between(r, 0, 1))
	}
	x, scales := []int64{-1, between(r, 1, 3)}, []float32{1, 1}
	for range axes {
		x = append(x, between(r, 2, 6))
		scales = append(scales, []float32{0.5, 0.7, 1, 1.3, 1.5, 2, 2, 3}[r.IntN(8)])
	}
	if r.IntN(3) > 0 {
		return at(opset, one("Resize", a, x, constants{"s": onnx.Of(scales, int64(len(scales)))}, "", "s"))
	}
	var last, sizes []int64
	for i := range axes {
		last, sizes = append(last, int64(2+i)), append(sizes, between(r, 1, 9))
	}
	if opset == 19 { // sizes of some axes
		a["axes"] = onnx.Ints(last...)
		if mode == "linear" {
			a["keep_aspect_ratio_policy"] = onnx.String([]string{"stretch", "not_larger", "not_smaller"}[r.IntN(3)])
		}
		return at(opset, one("Resize", a, x, constants{"s": vector(sizes...)}, "", "", "s"))
	}
	return network(inputs{"x": x}, constants{"s": vector(sizes...), "0": vector(0), "2": vector(2)},
		node("Shape", nil, []string{"x"}, "shape"), node("Slice", nil, []string{"shape", "0", "2"}, "first"),
		node("Concat", attrs{"axis": onnx.Int(0)}, []string{"first", "s"}, "sizes"),
		node("Resize", a, []string{"x", "", "", "sizes"}, "y"))
}

func TestResize(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(200) {
		mode := []string{"nearest", "linear", "cubic"}[i%3]
		t.Run(fmt.Sprint(mode, first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			axes := 2
			if mode == "nearest" {
				axes = 1 + r.IntN(3)
			}
			check(t, subject{graph: resizing(r, mode, axes), linear: true})
		})
	}
}

// TestResizeAntialias makes pictures smaller, and larger, without aliasing.
func TestResizeAntialias(t *testing.T) {
	t.Parallel()
	first := rand.Uint64() >> 1
	for i := range uint64(100) {
		mode := []string{"linear", "cubic"}[i%2]
		t.Run(fmt.Sprint(mode, first+i), func(t *testing.T) {
			t.Parallel()
			r := draw(first + i)
			a := attrs{"mode": onnx.String(mode), "antialias": onnx.Int(1)}
			a["coordinate_transformation_mode"] = onnx.String([]string{"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"}[r.IntN(4)])
			if mode == "cubic" {
				a["cubic_coeff_a"] = onnx.Float(-0.5)
			}
			a["exclude_outside"] = onnx.Int(between(r, 0, 1))
			x := []int64{-1, between(r, 1, 3), between(r, 4, 12), between(r, 4, 12)}
			scales := []float32{1, 1, []float32{0.25, 0.4, 0.5, 1, 1.5, 2}[r.IntN(6)], []float32{0.3, 0.5, 0.7, 1, 1.3, 2}[r.IntN(6)]}
			check(t, subject{graph: at(18, one("Resize", a, x, constants{"s": onnx.Of(scales, 4)}, "", "s")), linear: true})
		})
	}
}

// TestResizeBlocks repeats elements, of which the gradient is a sum and no product.
func TestResizeBlocks(t *testing.T) {
	t.Parallel()
	a := attrs{"coordinate_transformation_mode": onnx.String("asymmetric"), "nearest_mode": onnx.String("floor")}
	s := subject{linear: true, graph: one("Resize", a, []int64{-1, 3, 4, 5}, constants{"s": onnx.Of([]float32{1, 1, 2, 3}, 4)}, "", "s")}
	if got := count(build(t, s).Model); got["MatMul"] != 0 || got["ReduceSum"] != 1 {
		t.Errorf("operators %v, want one ReduceSum", got)
	}
	check(t, s)
}

// TestResizeToNothing shrinks an axis away: the gradient is zero, and no product over nothing.
func TestResizeToNothing(t *testing.T) {
	t.Parallel()
	a := attrs{"mode": onnx.String("linear"), "axes": onnx.Ints(2, 3), "keep_aspect_ratio_policy": onnx.String("not_larger")}
	s := subject{linear: true, graph: at(19, one("Resize", a, []int64{-1, 1, 2, 6}, constants{"s": vector(1, 1)}, "", "", "s"))}
	if got := count(build(t, s).Model); got["MatMul"] != 0 || got["ConstantOfShape"] != 1 {
		t.Errorf("operators %v, want zeros", got)
	}
	check(t, s)
}

func TestResizeRefusals(t *testing.T) {
	t.Parallel()
	scales := constants{"s": onnx.Of([]float32{1, 1, 2, 2}, 4), "roi": onnx.Of([]float32{0, 0, 0, 0, 1, 1, 1, 1}, 8)}
	x := []int64{-1, 2, 4, 4}
	crop := attrs{"mode": onnx.String("linear"), "coordinate_transformation_mode": onnx.String("tf_crop_and_resize")}
	refused(t, subject{graph: one("Resize", crop, x, scales, "roi", "s")}, "Resize",
		`it has no rule for coordinate_transformation_mode "tf_crop_and_resize"`)
	open := network(inputs{"x": {-1, 2, 4, 4}, "s": {4}}, nil, node("Resize", nil, []string{"x", "", "s"}, "y"))
	refused(t, subject{graph: open, draw: func(_ *rand.Rand, n int) []float32 {
		ones := make([]float32, n)
		for i := range ones {
			ones[i] = 1
		}
		return ones
	}}, "Resize", `its scales "s" are not constant`)
	moving := constants{"s": onnx.Of([]float32{1, 1, 2}, 3)}
	refused(t, subject{graph: one("Resize", nil, []int64{-1, 2, -1}, moving, "", "s")}, "Resize", `axis 2 of "x" has no fixed size`)
}
