package gradient

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// window is how a convolution or a pooling moves over the axes of its input after the first two.
type window struct {
	kernel, stride, dilation []int64
	before, after            []int64 // what is padded
	in, out                  []int64 // sizes; -1 where they are not fixed
	group                    int64
}

// window reads the attributes of n, from x to y, with a kernel of the given size, and settles its padding.
func (b *builder) window(n *onnx.Node, kernel []int64, x, y string) (window, error) {
	axes := len(kernel)
	w := window{
		kernel: kernel, stride: orOnes(n.Ints("strides"), axes), dilation: orOnes(n.Ints("dilations"), axes),
		before: make([]int64, axes), after: make([]int64, axes), group: n.Int("group", 1),
	}
	var err error
	if w.in, err = b.sizes(x, axes); err != nil {
		return w, err
	}
	if w.out, err = b.sizes(y, axes); err != nil {
		return w, err
	}
	switch auto := n.String("auto_pad", "NOTSET"); auto {
	case "SAME_UPPER", "SAME_LOWER":
		for i := range axes {
			total, err := w.same(n, i)
			if err != nil {
				return w, err
			}
			if w.before[i] = total / 2; auto == "SAME_LOWER" {
				w.before[i] = total - total/2
			}
			w.after[i] = total - w.before[i]
		}
	case "NOTSET", "":
		if pads := n.Ints("pads"); len(pads) == 2*axes {
			copy(w.before, pads[:axes])
			copy(w.after, pads[axes:])
		}
	}
	return w, nil
}

// same returns how much n pads an axis so that a window begins at every stride of its input.
func (w *window) same(n *onnx.Node, i int) (int64, error) {
	total := w.reach(i)
	if w.stride[i] != 1 && w.in[i] < 0 {
		return 0, refuse(n, "axis %d of its input has no fixed size, and its padding depends on it", i+2)
	}
	if w.in[i] >= 0 {
		total = (ceilDiv(w.in[i], w.stride[i])-1)*w.stride[i] + w.reach(i) + 1 - w.in[i]
	}
	if total < -1 && n.Op == "AveragePool" {
		return 0, refuse(n, "runtimes differ in where its windows, of %d elements every %d, begin", w.kernel[i], w.stride[i])
	}
	return max(total, 0), nil
}

// sizes returns the sizes of a tensor's axes after the first two: -1 for those that are not fixed.
func (b *builder) sizes(name string, axes int) ([]int64, error) {
	dims, err := b.dims(name)
	if err != nil {
		return nil, err
	}
	if len(dims) != axes+2 {
		return nil, refuse(b.node, "%q has %d axes, and its window moves over %d", name, len(dims), axes)
	}
	sizes := make([]int64, axes)
	for i, d := range dims[2:] {
		if sizes[i] = d.A; !d.Constant() {
			sizes[i] = -1
		}
	}
	return sizes, nil
}

// orOnes returns v, and ones when it is empty.
func orOnes(v []int64, n int) []int64 {
	if len(v) > 0 {
		return v
	}
	return slices.Repeat([]int64{1}, n)
}

// ceilDiv and floorDiv divide by a positive number, and round up and down.
func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// reach returns how far the last element of the kernel is from its first.
func (w *window) reach(i int) int64 { return (w.kernel[i] - 1) * w.dilation[i] }

// fixed tells whether all sizes are.
func (w *window) fixed() bool { return !slices.Contains(slices.Concat(w.in, w.out), -1) }

// only tells whether every number is v.
func only(numbers []int64, v int64) bool {
	return !slices.ContainsFunc(numbers, func(n int64) bool { return n != v })
}

// within returns how many elements of the kernel lie within the input, or the padded input, for each place of the window along
// an axis.
func (w *window) within(i int, padded bool) []int64 {
	low, high, counts := int64(0), w.in[i], make([]int64, w.out[i])
	if padded {
		low, high = -w.before[i], high+w.after[i]
	}
	for o := range counts {
		for k := range w.kernel[i] {
			if at := int64(o)*w.stride[i] + k*w.dilation[i] - w.before[i]; at >= low && at < high {
				counts[o]++
			}
		}
	}
	return counts
}

// attrs returns the attributes of a convolution with this window, but for its padding.
func (w *window) attrs(pads []int64) map[string]onnx.Attr {
	return map[string]onnx.Attr{
		"kernel_shape": onnx.Ints(w.kernel...), "strides": onnx.Ints(w.stride...), "dilations": onnx.Ints(w.dilation...),
		"group": onnx.Int(w.group), "pads": onnx.Ints(pads...),
	}
}

// padAfter pads t, with zeros, after its last axes; by less than nothing, it takes away.
func (b *builder) padAfter(t string, after []int64) string {
	if only(after, 0) {
		return t
	}
	pads := slices.Concat(make([]int64, 4+len(after)), after)
	return b.emit("Pad", nil, t, b.ints(pads...))
}
