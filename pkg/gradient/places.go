package gradient

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// integers returns the elements of a constant of whole numbers. It fails to for any other name.
func (b *builder) integers(name string) ([]int64, bool) {
	c := b.value(name)
	if c == nil {
		return nil, false
	}
	v, err := c.Int64s()
	return v, err == nil
}

// integersOr returns the elements of a constant, and what is given where the name is empty.
func (b *builder) integersOr(name string, def []int64) ([]int64, bool) {
	if name == "" {
		return def, true
	}
	return b.integers(name)
}

// size returns an int64 vector that holds one dimension of a tensor of the network.
func (b *builder) size(name string, ax int64) (string, error) {
	dims, err := b.dims(name)
	if err != nil {
		return "", err
	}
	if dims[ax].Constant() {
		return b.ints(dims[ax].A), nil
	}
	shape, err := b.shape(name)
	if err != nil {
		return "", err
	}
	return b.emitGather(shape, ax), nil
}

// emitGather returns the int64 vector of element i of another one.
func (b *builder) emitGather(vector string, i int64) string {
	if v, ok := b.integers(vector); ok {
		return b.ints(v[i])
	}
	return b.emit("Gather", nil, vector, b.ints(i))
}

// fixed returns the sizes of a tensor of the network from an axis on. It refuses what is different from run to run.
func (b *builder) fixed(name string, from int) ([]int64, error) {
	dims, err := b.dims(name)
	if err != nil {
		return nil, err
	}
	var sizes []int64
	for i := from; i < len(dims); i++ {
		if !dims[i].Constant() {
			return nil, refuse(b.node, "axis %d of %q has no fixed size", i, name)
		}
		sizes = append(sizes, dims[i].A)
	}
	return sizes, nil
}

// zeros returns zeros of like's type and of the shape that an int64 vector holds.
func (b *builder) zeros(shape, like string) string {
	value := b.value(b.floats([]float64{0}, []int64{1}, like))
	return b.emit("ConstantOfShape", map[string]onnx.Attr{"value": {Kind: onnx.KindTensor, Tensor: value}}, shape)
}

// blank returns zeros of the type and shape of a tensor of the network.
func (b *builder) blank(name string) (string, error) {
	shape, err := b.shape(name)
	if err != nil {
		return "", err
	}
	return b.zeros(shape, name), nil
}

// track contributes to the first input of n, which moves its elements, or some of them, and computes nothing. Whatever n
// does to the elements, it does to their numbers too; these then tell where each element of the adjoint belongs.
func (b *builder) track(n *onnx.Node) error {
	x := n.Input(0)
	if !b.on(x) {
		return nil
	}
	shape, err := b.shape(x)
	if err != nil {
		return err
	}
	numbers := b.emit("Range", nil, b.int(0), b.emit("Size", nil, x), b.int(1))
	numbers = b.emit("Reshape", map[string]onnx.Attr{"allowzero": onnx.Int(1)}, numbers, shape)
	return b.scatter(x, b.emit(n.Op, n.Attrs, slices.Concat([]string{numbers}, n.Inputs[1:])...), b.g(n))
}

// scatter contributes to the adjoint of x: each element of g is added where the element of places, of the same shape, says.
// Places are counted through the whole of x.
//
// It is done with ScatterElements: ScatterND with a reduction loses additions where the runtime spreads it over threads.
func (b *builder) scatter(x, places, g string) error {
	all := b.ints(-1)
	flat := b.zeros(b.emit("Reshape", nil, b.emit("Size", nil, x), all), x)
	sum, err := b.like(b.accumulate(flat, b.emit("Reshape", nil, places, all), b.emit("Reshape", nil, g, all), 0), x)
	if err != nil {
		return err
	}
	b.add(x, sum)
	return nil
}

// accumulate adds g to t at the indices along an axis.
func (b *builder) accumulate(t, indices, g string, ax int64) string {
	attrs := map[string]onnx.Attr{"axis": onnx.Int(ax), "reduction": onnx.String("add")}
	return b.emit("ScatterElements", attrs, t, indices, g)
}
