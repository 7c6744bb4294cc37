package gradient

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// convolutions are the rules of Conv and ConvTranspose.
func convolutions() ruleSet {
	paddings := oneOf("auto_pad", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "")
	return ruleSet{"Conv": {write: writeConv, check: paddings}, "ConvTranspose": {write: writeConvTranspose, check: paddings}}
}

// convolution does what the two have in common: it refuses to give the gradient by the weights, gives that by the bias, and
// returns the window.
func (b *builder) convolution(n *onnx.Node, x, y string) (window, error) {
	weights, bias := n.Input(1), n.Input(2)
	if b.on(weights) {
		return window{}, refuse(n, "its weights %q depend on what the gradient is by", weights)
	}
	shape, err := b.fixed(weights, 0)
	if err != nil {
		return window{}, err
	}
	if b.on(bias) {
		axes := append([]int64{0}, upTo(len(shape))[2:]...)
		b.add(bias, b.emit("ReduceSum", map[string]onnx.Attr{"keepdims": onnx.Int(0)}, b.g(n), b.ints(axes...)))
	}
	return b.window(n, shape[2:], x, y)
}

func writeConv(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	w, err := b.convolution(n, x, n.Output(0))
	if err != nil || !b.on(x) {
		return err
	}
	g, err := b.deconvolve(w, b.g(n), n.Input(1))
	if err != nil {
		return err
	}
	b.add(x, g)
	return nil
}

// deconvolve returns the adjoint of the input of a convolution, given the adjoint of its output: Σ_{m,o,k : o·s + k·d = p + pb}
// G[m,o]·W[m,c,k] for channel c and place p. Where it can have the weights in another order, it uses the convolution, of which
// runtimes have faster ones than of the transposed one.
func (b *builder) deconvolve(w window, g, weights string) (string, error) {
	c := b.value(weights)
	if b.opts.Compact {
		c = nil
	}
	switch {
	case c != nil && w.flips():
		pads := make([]int64, 0, 2*len(w.kernel))
		for i := range w.kernel {
			pads = append(pads, w.reach(i)-w.before[i])
		}
		for i := range w.kernel {
			pads = append(pads, w.reach(i)-w.after[i])
		}
		return b.emit("Conv", w.attrs(pads), g, b.constant(flip(c, w.group))), nil
	case c != nil && w.interleaves():
		return b.interleave(w, g, c), nil
	}
	return b.transposed(w, g, weights)
}

// flips tells whether the adjoint is a convolution with the kernel turned around.
func (w *window) flips() bool {
	for i := range w.kernel {
		if w.stride[i] != 1 || w.reach(i) < max(w.before[i], w.after[i]) {
			return false
		}
	}
	return true
}

// flip turns kernels around and exchanges the channels, within each group, that they read and write: from [M, C/g, k…] to
// [C, M/g, k…].
func flip(c *onnx.Constant, group int64) *onnx.Constant {
	size, area := c.Type.DType().Bytes(), int64(1)
	for _, k := range c.Shape[2:] {
		area *= k
	}
	per, rows := c.Shape[1], c.Shape[0]/group
	raw := make([]byte, len(c.Raw))
	kernel := int(area) * size
	for m := range c.Shape[0] {
		for i := range per {
			from := c.Raw[int(m*per+i)*kernel:][:kernel]
			to := raw[int((m/rows*per+i)*rows+m%rows)*kernel:][:kernel]
			for at := 0; at < kernel; at += size {
				copy(to[kernel-size-at:][:size], from[at:])
			}
		}
	}
	return &onnx.Constant{Type: c.Type, Shape: slices.Concat([]int64{per * group, rows}, c.Shape[2:]), Raw: raw}
}

// interleaves tells whether the adjoint is a convolution that computes a block of s×s places at once. That is so for strides
// s alike in two axes, no wider than the kernel.
func (w *window) interleaves() bool {
	if len(w.kernel) != 2 || w.group != 1 || !w.fixed() || !only(w.dilation, 1) || w.stride[0] != w.stride[1] || w.stride[0] == 1 {
		return false
	}
	for i := range w.kernel {
		if f := w.phases(i); w.kernel[i] < w.stride[i] || f.before < 0 || f.after < 0 {
			return false
		}
	}
	return true
}

// phases is one axis of a convolution that computes s places at once: how many elements its kernel has, and its padding.
type phases struct{ taps, before, after int64 }

func (w *window) phases(i int) phases {
	s := w.stride[i]
	least, most := -floorDiv(s-1+w.before[i], s), floorDiv(w.kernel[i]-1-w.before[i], s)
	taps := most - least + 1
	return phases{taps: taps, before: most, after: ceilDiv(w.in[i], s) - w.out[i] + taps - 1 - most}
}

// interleave returns the adjoint of a strided convolution: the kernels, each spread over s×s of them, give as many channels,
// which are then laid out as blocks of s×s places.
func (b *builder) interleave(w window, g string, c *onnx.Constant) string {
	s, rows, cols := w.stride[0], w.phases(0), w.phases(1)
	spread := &onnx.Constant{Type: c.Type, Shape: []int64{c.Shape[1] * s * s, c.Shape[0], rows.taps, cols.taps}}
	size := int64(c.Type.DType().Bytes())
	spread.Raw = make([]byte, spread.Len()*size)
	// Element k of a kernel belongs to place r of the block and to tap t when k = r + pb + s·(before − t).
	split := func(k int64, i int, f phases) (r, t int64) {
		r = k - w.before[i] - s*floorDiv(k-w.before[i], s)
		return r, f.before - floorDiv(k-w.before[i], s)
	}
	for m := range c.Shape[0] {
		for in := range c.Shape[1] {
			for k := range w.kernel[0] * w.kernel[1] {
				rh, th := split(k/w.kernel[1], 0, rows)
				rw, tw := split(k%w.kernel[1], 1, cols)
				from := (m*c.Shape[1]+in)*w.kernel[0]*w.kernel[1] + k
				to := ((((in*s+rh)*s+rw)*c.Shape[0]+m)*rows.taps+th)*cols.taps + tw
				copy(spread.Raw[to*size:][:size], c.Raw[from*size:])
			}
		}
	}
	attrs := map[string]onnx.Attr{
		"kernel_shape": onnx.Ints(rows.taps, cols.taps), "pads": onnx.Ints(rows.before, cols.before, rows.after, cols.after),
	}
	g = b.emit("Conv", attrs, g, b.constant(spread))
	g = b.emit("DepthToSpace", map[string]onnx.Attr{"blocksize": onnx.Int(s), "mode": onnx.String("CRD")}, g)
	if w.in[0]%s == 0 && w.in[1]%s == 0 {
		return g
	}
	return b.emit("Slice", nil, g, b.ints(0, 0), b.ints(w.in...), b.ints(2, 3))
}

// transposed returns the adjoint of a convolution by the transposed one, with the weights as they are.
func (b *builder) transposed(w window, g, weights string) (string, error) {
	axes := len(w.kernel)
	pads, missing := slices.Concat(w.before, w.after), make([]int64, axes)
	for i := range axes {
		if w.stride[i] == 1 {
			continue
		}
		if w.in[i] < 0 || w.out[i] < 0 {
			return "", refuse(b.node, "axis %d has no fixed size, and its stride is %d", i+2, w.stride[i])
		}
		end := w.stride[i]*(w.out[i]-1) + w.reach(i) + 1 - w.before[i] - w.in[i]
		if w.in[i]+end <= 0 { // all windows lie in the padding before the input
			return b.blank(b.node.Input(0))
		}
		pads[axes+i], missing[i] = max(end, 0), max(-end, 0)
	}
	return b.padAfter(b.emit("ConvTranspose", w.attrs(pads), g, weights), missing), nil
}

func writeConvTranspose(b *builder, n *onnx.Node) error {
	x, y := n.Input(0), n.Output(0)
	w, err := b.convolution(n, y, x) // it is the adjoint of a convolution from y to x
	if err != nil || !b.on(x) {
		return err
	}
	surplus, err := w.unpad(n)
	if err != nil {
		return err
	}
	b.add(x, b.emit("Conv", w.attrs(slices.Concat(w.before, w.after)), b.padAfter(b.g(n), surplus), n.Input(1)))
	return nil
}

// unpad settles the padding of the convolution that n, a ConvTranspose, is the adjoint of. Where n's output has more than what
// the convolution reads, it returns how much, below zero.
func (w *window) unpad(n *onnx.Node) ([]int64, error) {
	axes, auto, shape := len(w.kernel), n.String("auto_pad", "NOTSET"), n.Ints("output_shape")
	surplus, more := make([]int64, axes), n.Ints("output_padding")
	for i := range axes {
		if w.in[i] < 0 || w.out[i] < 0 {
			if len(shape) > 0 || len(more) > 0 || auto == "SAME_UPPER" || auto == "SAME_LOWER" {
				return nil, refuse(n, "axis %d has no fixed size, and its padding depends on it", i+2)
			}
			continue
		}
		full := w.stride[i]*(w.out[i]-1) + w.reach(i) + 1
		if len(shape) > 0 || auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			total := full - w.in[i]
			if len(more) > 0 {
				total += more[i]
			}
			total = max(total, 0)
			if w.before[i] = total - total/2; auto == "SAME_UPPER" {
				w.before[i] = total / 2
			}
		}
		end := full - w.in[i] - w.before[i]
		w.after[i] = max(end, 0)
		surplus[i] = min(end, 0)
	}
	return surplus, nil
}
