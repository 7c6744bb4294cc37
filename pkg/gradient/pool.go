package gradient

import (
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// pools are the rules of the operators that make one number of each window.
func pools() ruleSet {
	return ruleSet{
		"MaxPool": {write: writeMaxPool, check: checkMaxPool}, "AveragePool": {write: writeAveragePool},
		"GlobalAveragePool": {write: writeGlobalAveragePool}, "GlobalMaxPool": {write: writeGlobalMaxPool},
	}
}

func checkMaxPool(_ *onnx.Graph, n *onnx.Node) error {
	if n.Output(1) != "" && n.Int("storage_order", 0) != 0 {
		return refuse(n, "its indices are counted column by column")
	}
	return nil
}

// writeMaxPool asks the forward node where the maxima were: the first one of each window, which gets everything.
func writeMaxPool(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	if !b.on(x) {
		return nil
	}
	w, err := b.window(n, n.Ints("kernel_shape"), x, n.Output(0))
	if err != nil {
		return err
	}
	for i := range w.kernel {
		switch {
		case only([]int64{w.before[i], w.after[i], n.Int("ceil_mode", 0)}, 0):
			// Every window lies within.
		case w.in[i] < 0 || w.out[i] < 0:
			return refuse(n, "axis %d has no fixed size, and a window may lie in the padding", i+2)
		case slices.Contains(w.within(i, false), 0):
			return refuse(n, "a window lies in the padding")
		}
	}
	n.Attrs = maps.Clone(n.Attrs)
	delete(n.Attrs, "storage_order") // nobody else reads the indices
	return b.scatter(x, b.output(n, 1), b.g(n))
}

// writeAveragePool divides the adjoint by what the pooling divided by, and spreads it over the windows.
func writeAveragePool(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	if !b.on(x) {
		return nil
	}
	w, err := b.window(n, n.Ints("kernel_shape"), x, n.Output(0))
	if err != nil {
		return err
	}
	share, err := b.share(n, w)
	if err != nil {
		return err
	}
	g := b.mul(b.g(n), share)
	if w.tiles() {
		g, err = b.repeat(w, g, x)
	} else {
		g, err = b.sweep(w, g, x)
	}
	if err != nil {
		return err
	}
	b.add(x, g)
	return nil
}

// share returns the weight of one element in the mean of its window, for every window where they differ.
func (b *builder) share(n *onnx.Node, w window) (string, error) {
	whole, padded, y := product(w.kernel), !only(w.before, 0) || !only(w.after, 0), n.Output(0)
	counted, ceil := n.Int("count_include_pad", 0) != 0, n.Int("ceil_mode", 0) != 0
	if !ceil && (counted || !padded) {
		return b.scalar(1/float64(whole), y), nil
	}
	if !w.fixed() {
		return "", refuse(n, "its windows differ in what they average, and its sizes are not fixed")
	}
	shares := []float64{1}
	for i, k := range w.kernel {
		counts := w.within(i, counted)
		if counted && !only(counts, k) {
			return "", refuse(n, "a window reaches beyond the padding, and runtimes differ in whether that counts")
		}
		shares = outer(shares, counts)
	}
	return b.floats(shares, slices.Concat([]int64{1, 1}, w.out), y), nil
}

// outer returns every share divided by every count. Of what has no elements nothing is shared.
func outer(shares []float64, counts []int64) []float64 {
	all := make([]float64, 0, len(shares)*len(counts))
	for _, s := range shares {
		for _, count := range counts {
			all = append(all, min(float64(count), 1)*s/float64(max(count, 1)))
		}
	}
	return all
}

func product(numbers []int64) int64 {
	p := int64(1)
	for _, n := range numbers {
		p *= n
	}
	return p
}

// tiles tells whether the windows lie side by side, and nothing is padded.
func (w *window) tiles() bool {
	if !w.fixed() {
		return false
	}
	for i, k := range w.kernel {
		if k != w.stride[i] || w.dilation[i] != 1 || w.before[i] != 0 || w.out[i]*k > w.in[i] {
			return false
		}
	}
	return true
}

// repeat gives every element of windows side by side the adjoint of its window.
func (b *builder) repeat(w window, g, x string) (string, error) {
	split, times, rest := []int64{0, 0}, []int64{1, 1}, make([]int64, len(w.kernel))
	joined := []int64{0, 0}
	for i, k := range w.kernel {
		split, times, joined = append(split, w.out[i], 1), append(times, 1, k), append(joined, w.out[i]*k)
		rest[i] = w.in[i] - w.out[i]*k
	}
	g = b.emit("Expand", nil, b.emit("Reshape", nil, g, b.ints(split...)), b.ints(times...))
	if only(rest, 0) {
		return b.like(g, x)
	}
	joined[0] = -1
	channels, err := b.size(x, 1)
	if err != nil {
		return "", err
	}
	shape := b.concat([]string{b.ints(-1), channels, b.ints(joined[2:]...)})
	return b.padAfter(b.emit("Reshape", nil, g, shape), rest), nil
}

// sweep is the adjoint of adding up the elements of each window, of every channel: of a convolution with ones.
func (b *builder) sweep(w window, g, x string) (string, error) {
	dims, err := b.dims(x)
	if err != nil {
		return "", err
	}
	if !dims[1].Constant() {
		return "", refuse(b.node, "the number of channels is not fixed")
	}
	w.group = dims[1].A
	count := w.group * product(w.kernel)
	ones := b.floats(slices.Repeat([]float64{1}, int(count)), slices.Concat([]int64{w.group, 1}, w.kernel), x)
	return b.deconvolve(w, g, ones)
}

// windowAxes returns the axes after the first two.
func (b *builder) windowAxes(x string) ([]int64, error) {
	rank, err := b.rank(x)
	if err != nil {
		return nil, err
	}
	return upTo(rank)[2:], nil
}

func writeGlobalAveragePool(b *builder, n *onnx.Node) error {
	x := n.Input(0)
	dims, err := b.dims(x)
	if err != nil {
		return err
	}
	shape := slices.Repeat([]int64{1}, len(dims))
	open := false
	for i, d := range dims[2:] {
		shape[i+2], open = d.A, open || !d.Constant()
	}
	if !open {
		count := product(shape)
		share := b.floats(slices.Repeat([]float64{1 / float64(count)}, int(count)), shape, x)
		b.add(x, b.mul(b.g(n), share))
		return nil
	}
	share, err := b.globalShare(x)
	if err != nil {
		return err
	}
	b.add(x, b.mul(b.g(n), share))
	return nil
}

// globalShare returns the inverse of the number of elements of each channel, for each of them.
func (b *builder) globalShare(x string) (string, error) {
	axes, err := b.windowAxes(x)
	if err != nil {
		return "", err
	}
	parts := []string{b.ints(1, 1)}
	for _, a := range axes {
		size, err := b.size(x, a)
		if err != nil {
			return "", err
		}
		parts = append(parts, size)
	}
	sizes := b.concat(parts)
	count := b.emit("ReduceProd", map[string]onnx.Attr{"keepdims": onnx.Int(0)}, sizes)
	count = b.emit("Cast", map[string]onnx.Attr{"to": onnx.Int(int64(onnx.TypeOf(b.dtype(x))))}, count)
	return b.emit("Expand", nil, b.emit("Reciprocal", nil, count), sizes), nil
}

// writeGlobalMaxPool shares the adjoint among the maxima.
func writeGlobalMaxPool(b *builder, n *onnx.Node) error {
	x, y := n.Input(0), n.Output(0)
	axes, err := b.windowAxes(x)
	if err != nil {
		return err
	}
	to := map[string]onnx.Attr{"to": onnx.Int(int64(onnx.TypeOf(b.dtype(x))))}
	mask := b.emit("Cast", to, b.emit("Equal", nil, x, y))
	count := b.emit("ReduceSum", map[string]onnx.Attr{"keepdims": onnx.Int(1)}, mask, b.ints(axes...))
	b.add(x, b.mul(b.emit("Div", nil, b.g(n), count), mask))
	return nil
}
