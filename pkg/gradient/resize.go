package gradient

import (
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// resizes are the rules of the operators that resample.
func resizes() ruleSet { return ruleSet{"Resize": {write: writeResize, check: checkResize}} }

func checkResize(g *onnx.Graph, n *onnx.Node) error {
	for _, check := range []func(*onnx.Graph, *onnx.Node) error{
		oneOf("mode", "nearest", "linear", "cubic"),
		oneOf("coordinate_transformation_mode", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
			"asymmetric", "tf_half_pixel_for_nn"),
		oneOf("nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
	} {
		if err := check(g, n); err != nil {
			return err
		}
	}
	return nil
}

// sampling is how one axis is resampled.
type sampling struct {
	in, out int64
	scale   float32
}

// writeResize takes each axis by itself: resampling it is a product with a matrix.
func writeResize(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	if !b.on(x) {
		return nil
	}
	axes, err := b.samplings(n)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(axes, func(a sampling) bool { return a.out == 0 }) { // a product over nothing is not always zero
		blank, err := b.blank(x)
		if err != nil {
			return err
		}
		b.add(x, blank)
		return nil
	}
	matrices, blocks := map[int][]float64{}, true
	for i, a := range axes {
		if a.in == a.out && a.scale == 1 {
			continue
		}
		matrices[i] = a.matrix(n)
		blocks = blocks && a.copies(matrices[i])
	}
	g := b.g(n)
	if blocks {
		if g, err = b.sumBlocks(g, x, axes); err != nil {
			return err
		}
	} else {
		for i, a := range axes {
			if matrices[i] != nil {
				g = b.transform(g, b.floats(matrices[i], []int64{a.out, a.in}, x), i, len(axes))
			}
		}
	}
	b.add(x, g)
	return nil
}

// transform multiplies t along an axis with the transpose of a matrix.
func (b *builder) transform(t, matrix string, ax, rank int) string {
	swapped := upTo(rank)
	swapped[ax], swapped[rank-1] = swapped[rank-1], swapped[ax]
	perm := map[string]onnx.Attr{"perm": onnx.Ints(swapped...)}
	switch ax {
	case rank - 1:
		return b.emit("MatMul", nil, t, matrix)
	case rank - 2:
		return b.emit("MatMul", nil, b.emit("Transpose", nil, matrix), t)
	}
	return b.emit("Transpose", perm, b.emit("MatMul", nil, b.emit("Transpose", perm, t), matrix))
}

// sumBlocks is the adjoint of repeating each element.
func (b *builder) sumBlocks(g, x string, axes []sampling) (string, error) {
	var sizes []string
	var sums []int64
	for i, a := range axes {
		size, err := b.size(x, int64(i))
		if err != nil {
			return "", err
		}
		if sizes = append(sizes, size); a.in != a.out {
			sizes = append(sizes, b.ints(a.out/a.in))
			sums = append(sums, int64(len(sizes)-1))
		}
	}
	if len(sums) == 0 {
		return g, nil
	}
	g = b.emit("Reshape", nil, g, b.concat(sizes))
	return b.emit("ReduceSum", map[string]onnx.Attr{"keepdims": onnx.Int(0)}, g, b.ints(sums...)), nil
}

// samplings returns the sizes and scales of all axes.
func (b *builder) samplings(n *onnx.Node) ([]sampling, error) {
	in, err := b.dims(n.Input(0))
	if err != nil {
		return nil, err
	}
	out, err := b.dims(n.Output(0))
	if err != nil {
		return nil, err
	}
	given, err := b.scales(n, in)
	if err != nil {
		return nil, err
	}
	axes := make([]sampling, len(in))
	for i := range in {
		a := sampling{in: in[i].A, out: out[i].A, scale: given[i]}
		if !in[i].Constant() || !out[i].Constant() {
			if in[i] != out[i] || given[i] != 1 {
				return nil, refuse(n, "axis %d of %q has no fixed size", i, n.Input(0))
			}
			a = sampling{in: 1, out: 1, scale: 1}
		}
		axes[i] = a
	}
	if !slices.ContainsFunc(axes, func(a sampling) bool { return a.in != a.out }) {
		for i := range axes {
			axes[i].scale = 1 // nothing happens, whatever the scales
		}
	}
	return axes, nil
}

// scales returns the scales as the runtime has them: those given, or those that the sizes make.
func (b *builder) scales(n *onnx.Node, in []onnx.Dim) ([]float32, error) {
	out, err := b.dims(n.Output(0))
	if err != nil {
		return nil, err
	}
	scales := slices.Repeat([]float32{1}, len(in))
	axes := n.Ints("axes")
	if len(axes) == 0 {
		axes = upTo(len(in))
	}
	c := b.value(n.Input(2))
	if n.Input(2) != "" && (c == nil || c.Len() > 0) {
		if c == nil {
			return nil, refuse(n, "its scales %q are not constant", n.Input(2))
		}
		given, err := c.Float64s()
		if err != nil {
			return nil, err
		}
		for i, a := range axes {
			scales[axis(a, len(in))] = float32(given[i])
		}
		return scales, nil
	}
	for _, a := range axes {
		a = axis(a, len(in))
		if in[a] != out[a] {
			scales[a] = float32(out[a].A) / float32(in[a].A)
		}
	}
	return b.keepAspect(n, in, axes, scales)
}

// keepAspect gives all axes the scale of one of them, where n says so.
func (b *builder) keepAspect(n *onnx.Node, in []onnx.Dim, axes []int64, scales []float32) ([]float32, error) {
	policy := n.String("keep_aspect_ratio_policy", "stretch")
	if policy == "stretch" {
		return scales, nil
	}
	sizes, ok := b.integers(n.Input(3))
	if !ok {
		return nil, refuse(n, "its sizes %q are not constant", n.Input(3))
	}
	var all []float32
	for i, a := range axes {
		all = append(all, float32(sizes[i])/float32(in[axis(a, len(in))].A))
	}
	scale := slices.Min(all)
	if policy == "not_smaller" {
		scale = slices.Max(all)
	}
	for _, a := range axes {
		scales[axis(a, len(in))] = scale
	}
	return scales, nil
}

// source returns where element o of the result comes from. It rounds as the runtime does, to 32 bits, on which the nearest
// element may depend.
func (a sampling) source(mode string, o int64) float32 {
	x, half := float32(o), float32(0.5)
	switch mode {
	case "asymmetric":
		return x / a.scale
	case "align_corners":
		if a.out == 1 {
			return 0
		}
		return x * float32(a.in-1) / float32(a.out-1)
	case "tf_half_pixel_for_nn":
		return (x + half) / a.scale
	case "pytorch_half_pixel":
		if a.out == 1 {
			return 0
		}
	case "half_pixel_symmetric":
		adjustment := float32(a.out) / (a.scale * float32(a.in))
		offset := float32(a.in) / 2 * (1 - adjustment)
		return float32(float64(offset) + (float64(x)+0.5)/float64(a.scale) - 0.5)
	}
	return (x+half)/a.scale - half
}

// matrix returns the matrix [out, in] of the axis.
func (a sampling) matrix(n *onnx.Node) []float64 {
	m := make([]float64, a.out*a.in)
	mode := n.String("coordinate_transformation_mode", "half_pixel")
	for o := range a.out {
		row, x := m[o*a.in:][:a.in], a.source(mode, o)
		if a.scale == 1 {
			x = float32(o)
		}
		switch mode := n.String("mode", "nearest"); {
		case mode != "nearest" && n.Int("antialias", 0) != 0:
			a.smooth(n, row, x)
		case mode == "nearest":
			row[min(max(nearest(n.String("nearest_mode", "round_prefer_floor"), x), 0), a.in-1)] = 1
		case mode == "linear":
			x = min(max(x, 0), float32(a.in-1))
			first := int64(x)
			part := float64(x - float32(first))
			row[first] += 1 - part
			row[min(first+1, a.in-1)] += part
		default:
			a.cubic(n, row, x)
		}
	}
	return m
}

// nearest rounds to a whole number.
func nearest(mode string, x float32) int64 {
	v := float64(x)
	switch mode {
	case "floor":
		return int64(math.Floor(v))
	case "ceil":
		return int64(math.Ceil(v))
	case "round_prefer_ceil":
		return int64(math.Round(v))
	}
	if v == math.Floor(v)+0.5 {
		return int64(math.Floor(v))
	}
	return int64(math.Round(v))
}

// smooth fills a row with the weights of as many elements as the window takes that is as wide as the result is coarse.
func (a sampling) smooth(n *onnx.Node, row []float64, x float32) {
	sharp, outside := float64(n.Float("cubic_coeff_a", -0.75)), n.Int("exclude_outside", 0) != 0
	reach, weigh := 1.0, func(d float64) float64 { return max(0, 1-math.Abs(d)) }
	if n.String("mode", "") == "cubic" {
		reach, weigh = 2, func(d float64) float64 { return keys(sharp, d) }
	}
	coarse := max(1, 1/float64(a.scale))
	center := float64(x)
	sum := 0.0
	for i := int64(math.Floor(center - reach*coarse + 1)); i < int64(math.Floor(center+reach*coarse+1)); i++ {
		weight := weigh((float64(i) - center) / coarse)
		if outside && (i < 0 || i >= a.in) {
			continue
		}
		row[min(max(i, 0), a.in-1)] += weight
		sum += weight
	}
	if sum != 0 {
		for i := range row {
			row[i] /= sum
		}
	}
}

// keys is the weight of an element at a distance (Keys 1981, doi:10.1109/TASSP.1981.1163711).
func keys(sharp, distance float64) float64 {
	switch d := math.Abs(distance); {
	case d <= 1:
		return ((sharp+2)*d-(sharp+3))*d*d + 1
	case d < 2:
		return ((sharp*d-5*sharp)*d+8*sharp)*d - 4*sharp
	}
	return 0
}

// cubic fills a row with the weights of four elements.
func (a sampling) cubic(n *onnx.Node, row []float64, x float32) {
	sharp, outside := float64(n.Float("cubic_coeff_a", -0.75)), n.Int("exclude_outside", 0) != 0
	first := int64(math.Floor(float64(x)))
	sum := 0.0
	for i := first - 1; i <= first+2; i++ {
		weight := keys(sharp, float64(x)-float64(i))
		if outside && (i < 0 || i >= a.in) {
			continue
		}
		row[min(max(i, 0), a.in-1)] += weight
		sum += weight
	}
	if outside && sum != 0 {
		for i := range row {
			row[i] /= sum
		}
	}
}

// copies tells whether a matrix repeats each element equally often.
func (a sampling) copies(m []float64) bool {
	if a.in == 0 || a.out%a.in != 0 {
		return false
	}
	for o := range a.out {
		if m[o*a.in+o/(a.out/a.in)] != 1 {
			return false
		}
	}
	return true
}
