//go:build cgo

package explain_test

import (
	"math"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
)

// attrs are a node's attributes.
type attrs = zoo.Attrs

// family is a kind of architecture.
type family struct {
	name   string
	kinked bool // something in it is not smooth: a Relu, a Clip, a MaxPool, a HardSwish
	make   func(m *zoo.Builder, x string) (y string, axes int)
}

// The pictures that the families take, and how many classes they know. The last row and the last column are cut off
// before anything looks at them.
const (
	familySide    = 17
	familyClasses = 5
)

// graph makes a network of the family.
func (f family) graph(seed uint64) *onnx.Graph {
	m := zoo.New(seed, 3, familySide, familySide)
	x := m.Node("Slice", nil, "x", m.Ints(0, 0), m.Ints(familySide-1, familySide-1), m.Ints(2, 3))
	y, axes := f.make(m, x)
	return m.Done(y, axes)
}

func families() []family {
	return []family{
		{"residual", true, residual},
		{"depthwise", true, depthwise},
		{"dense", true, denselyConnected},
		{"inception", true, inception},
		{"squeeze-excite", true, squeezeExcite},
		{"transformer", false, transformer},
		{"convnext", false, convNeXt},
		{"unet", true, uNet},
	}
}

// residual is made of blocks with a way around them (He 2016, arXiv:1512.03385).
func residual(m *zoo.Builder, x string) (string, int) {
	x = m.Relu(m.Norm(m.Conv(x, zoo.Filter{From: 3, To: 8, Height: 7, Stride: 2}), 8))
	x = m.Pool("MaxPool", x, 3, 2, 1)
	for _, b := range [][3]int64{{8, 8, 1}, {8, 12, 2}} {
		x = m.Block(x, b[0], b[1], b[2])
	}
	return m.Head(x, 12, familyClasses), 2
}

// depthwise is made of inverted bottlenecks (Sandler 2018, arXiv:1801.04381).
func depthwise(m *zoo.Builder, x string) (string, int) {
	x = m.Relu6(m.Norm(m.Conv(x, zoo.Filter{From: 3, To: 6, Height: 3, Stride: 2}), 6))
	for _, b := range [][3]int64{{6, 8, 2}, {8, 8, 1}} {
		x = m.Bottleneck(x, b[0], b[1], b[2])
	}
	x = m.Node("ReduceMean", attrs{"axes": onnx.Ints(2, 3), "keepdims": onnx.Int(0)}, x)
	return m.Dense(x, 8, familyClasses), 2
}

// denselyConnected gives each layer all that came before (Huang 2017, arXiv:1608.06993).
func denselyConnected(m *zoo.Builder, x string) (string, int) {
	channels := int64(6)
	x = m.Pool("MaxPool", m.Conv(x, zoo.Filter{From: 3, To: channels, Height: 3}), 3, 2, 1)
	for range 2 {
		for range 2 {
			y := m.Relu(m.Norm(x, channels))
			y = m.Relu(m.Norm(m.Conv(y, zoo.Filter{From: channels, To: 8}), 8))
			x = m.Node("Concat", attrs{"axis": onnx.Int(1)}, x, m.Conv(y, zoo.Filter{From: 8, To: 4, Height: 3}))
			channels += 4
		}
		x = m.Conv(m.Relu(m.Norm(x, channels)), zoo.Filter{From: channels, To: channels / 2})
		channels /= 2
		x = m.Pool("AveragePool", x, 2, 2, 0)
	}
	return m.Head(m.Relu(m.Norm(x, channels)), channels, familyClasses), 2
}

// inception looks through windows of several sizes side by side (Szegedy 2014, arXiv:1409.4842; 2015, arXiv:1512.00567).
func inception(m *zoo.Builder, x string) (string, int) {
	x = m.Relu(m.Conv(x, zoo.Filter{From: 3, To: 6, Height: 3, Stride: 2, Tight: true}))
	x = m.Node("LRN", attrs{"size": onnx.Int(5), "alpha": onnx.Float(1e-2), "beta": onnx.Float(0.75), "bias": onnx.Float(1)}, x)
	branches := []string{
		m.Relu(m.Conv(x, zoo.Filter{From: 6, To: 4})),
		m.Relu(m.Conv(m.Relu(m.Conv(x, zoo.Filter{From: 6, To: 3})), zoo.Filter{From: 3, To: 4, Height: 5})),
		m.Relu(m.Conv(m.Relu(m.Conv(x, zoo.Filter{From: 6, To: 4, Height: 1, Width: 3})), zoo.Filter{From: 4, To: 4, Height: 3, Width: 1})),
		m.Relu(m.Conv(m.Pool("MaxPool", x, 3, 1, 1), zoo.Filter{From: 6, To: 4})),
		m.Relu(m.Conv(m.Pool("AveragePool", x, 3, 1, 1), zoo.Filter{From: 6, To: 4})),
	}
	x = m.Node("Concat", attrs{"axis": onnx.Int(1)}, branches...)
	pool := attrs{"kernel_shape": onnx.Ints(3, 3), "strides": onnx.Ints(2, 2), "ceil_mode": onnx.Int(1)}
	return m.Head(m.Node("MaxPool", pool, x), 20, familyClasses), 2
}

// squeezeExcite weighs each channel with what the whole picture says (Hu 2018, arXiv:1709.01507).
func squeezeExcite(m *zoo.Builder, x string) (string, int) {
	swish := func(x string) string { return m.Node("Mul", nil, x, m.Node("Sigmoid", nil, x)) }
	x = swish(m.Norm(m.Conv(x, zoo.Filter{From: 3, To: 8, Height: 3, Stride: 2}), 8))
	for range 2 {
		y := swish(m.Norm(m.Conv(x, zoo.Filter{From: 8, To: 8, Height: 3, Groups: 8}), 8))
		s := m.Node("ReduceMean", attrs{"axes": onnx.Ints(2, 3), "keepdims": onnx.Int(1)}, y)
		s = m.Node("Sigmoid", nil, m.Conv(swish(m.Conv(s, zoo.Filter{From: 8, To: 2})), zoo.Filter{From: 2, To: 8}))
		x = m.Node("Add", nil, x, m.Norm(m.Conv(m.Node("Mul", nil, y, s), zoo.Filter{From: 8, To: 8}), 8))
	}
	x = m.Node("HardSwish", nil, m.Conv(x, zoo.Filter{From: 8, To: 8}))
	return m.Head(x, 8, familyClasses), 2
}

// transformer is an encoder over patches (Dosovitskiy 2020, arXiv:2010.11929), with shapes computed as exporters do.
func transformer(m *zoo.Builder, x string) (string, int) {
	const size, heads, tokens = 12, 3, 17
	x = m.Conv(x, zoo.Filter{From: 3, To: size, Height: 4, Stride: 4, Tight: true})
	batch := m.Node("Unsqueeze", nil, m.Node("Gather", attrs{"axis": onnx.Int(0)}, m.Node("Shape", nil, x), m.Whole(0)), m.Ints(0))
	shape := func(rest ...int64) string {
		return m.Node("Concat", attrs{"axis": onnx.Int(0)}, batch, m.Ints(rest...))
	}
	x = m.Node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1)}, m.Node("Reshape", nil, x, shape(size, -1)))
	class := m.Node("Expand", nil, m.Weights(0, 1, 1, 1, size), shape(1, 1))
	x = m.Node("Add", nil, m.Node("Concat", attrs{"axis": onnx.Int(1)}, class, x), m.Weights(0, 0.5, 1, tokens, size))
	for range 2 {
		qkv := m.Node("Reshape", nil, m.Linear(m.LayerNorm(x, size), size, 3*size), shape(tokens, 3, heads, size/heads))
		parts := m.Nodes("Split", attrs{"axis": onnx.Int(0)}, 3, m.Node("Transpose", attrs{"perm": onnx.Ints(2, 0, 3, 1, 4)}, qkv))
		for i := range parts {
			parts[i] = m.Node("Squeeze", nil, parts[i], m.Ints(0))
		}
		scores := m.Node("MatMul", nil, parts[0], m.Node("Transpose", attrs{"perm": onnx.Ints(0, 1, 3, 2)}, parts[1]))
		weights := m.Node("Softmax", attrs{"axis": onnx.Int(-1)}, m.Node("Mul", nil, scores, m.Scalar(float32(math.Sqrt(heads/float64(size))))))
		mixed := m.Node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1, 3)}, m.Node("MatMul", nil, weights, parts[2]))
		x = m.Node("Add", nil, x, m.Linear(m.Node("Reshape", nil, mixed, shape(tokens, size)), size, size))
		x = m.Node("Add", nil, x, m.Linear(m.Gelu(m.Linear(m.LayerNorm(x, size), size, 2*size)), 2*size, size))
	}
	x = m.Node("Gather", attrs{"axis": onnx.Int(1)}, m.LayerNorm(x, size), m.Whole(0))
	return m.Dense(x, size, familyClasses), 2
}

// convNeXt is a convolutional network in the manner of a transformer (Liu 2022, arXiv:2201.03545).
func convNeXt(m *zoo.Builder, x string) (string, int) {
	const size = 10
	last, first := attrs{"perm": onnx.Ints(0, 2, 3, 1)}, attrs{"perm": onnx.Ints(0, 3, 1, 2)}
	x = m.Conv(x, zoo.Filter{From: 3, To: size, Height: 4, Stride: 4, Tight: true})
	x = m.Node("Transpose", first, m.LayerNorm(m.Node("Transpose", last, x), size))
	for range 2 {
		y := m.Node("Transpose", last, m.Conv(x, zoo.Filter{From: size, To: size, Height: 7, Groups: size}))
		y = m.Linear(m.Gelu(m.Linear(m.LayerNorm(y, size), size, 3*size)), 3*size, size)
		y = m.Node("Mul", nil, m.Weights(0.5, 0.1, size, 1, 1), m.Node("Transpose", first, y))
		x = m.Node("Add", nil, x, y)
	}
	x = m.Node("Flatten", nil, m.LayerNorm(m.Node("Transpose", last, m.Node("GlobalAveragePool", nil, x)), size))
	return m.Dense(x, size, familyClasses), 2
}

// uNet goes down and up again, with ways across (Ronneberger 2015, arXiv:1505.04597). It answers each pixel.
func uNet(m *zoo.Builder, x string) (string, int) {
	leaky := func(x string) string { return m.Node("LeakyRelu", attrs{"alpha": onnx.Float(0.1)}, x) }
	concat := attrs{"axis": onnx.Int(1)}
	wide := leaky(m.Conv(x, zoo.Filter{From: 3, To: 4, Height: 3}))
	half := leaky(m.Conv(m.Pool("MaxPool", wide, 2, 2, 0), zoo.Filter{From: 4, To: 6, Height: 3}))
	deep := leaky(m.Conv(m.Pool("AveragePool", half, 2, 2, 0), zoo.Filter{From: 6, To: 8, Height: 3}))
	up := m.Node("ConvTranspose", attrs{"kernel_shape": onnx.Ints(2, 2), "strides": onnx.Ints(2, 2)}, deep, m.Weights(0, 0.3, 8, 6, 2, 2), m.Weights(0, 0.1, 6))
	half = leaky(m.Conv(m.Node("Concat", concat, up, half), zoo.Filter{From: 12, To: 5, Height: 3}))
	factors := m.Name("factors")
	m.Graph.Initializers[factors] = onnx.Of([]float32{1, 1, 2, 2}, 4)
	resize := attrs{"mode": onnx.String("linear"), "coordinate_transformation_mode": onnx.String("half_pixel")}
	up = m.Node("Resize", resize, half, "", factors)
	all := m.Conv(leaky(m.Conv(m.Node("Concat", concat, up, wide), zoo.Filter{From: 9, To: 4, Height: 3})), zoo.Filter{From: 4, To: 2})
	return m.Node("InstanceNormalization", nil, all, m.Weights(1, 0.1, 2), m.Weights(0, 0.1, 2)), 4
}
