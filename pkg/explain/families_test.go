//go:build cgo

package explain_test

import (
	"math"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// family is a kind of architecture.
type family struct {
	name   string
	kinked bool // something in it is not smooth: a Relu, a Clip, a MaxPool, a HardSwish
	make   func(m *maker, x string) (y string, axes int)
}

// The pictures that the families take, and how many classes they know. The last row and the last column are cut off
// before anything looks at them.
const (
	familySide    = 17
	familyClasses = 5
)

// graph makes a network of the family.
func (f family) graph(seed uint64) *onnx.Graph {
	m := newMaker(seed, 3, familySide, familySide)
	x := m.node("Slice", nil, "x", m.ints(0, 0), m.ints(familySide-1, familySide-1), m.ints(2, 3))
	y, axes := f.make(m, x)
	return m.done(y, axes)
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
func residual(m *maker, x string) (string, int) {
	x = m.relu(m.norm(m.conv(x, filter{from: 3, to: 8, height: 7, stride: 2}), 8))
	x = m.pool("MaxPool", x, 3, 2, 1)
	for _, b := range [][3]int64{{8, 8, 1}, {8, 12, 2}} {
		x = m.block(x, b[0], b[1], b[2])
	}
	return m.head(x, 12, familyClasses), 2
}

// block adds a block of two convolutions.
func (m *maker) block(x string, from, to, stride int64) string {
	around := x
	if stride > 1 || from != to {
		around = m.norm(m.conv(x, filter{from: from, to: to, height: 1, stride: stride}), to)
	}
	x = m.relu(m.norm(m.conv(x, filter{from: from, to: to, height: 3, stride: stride}), to))
	x = m.norm(m.conv(x, filter{from: to, to: to, height: 3}), to)
	return m.relu(m.node("Add", nil, x, around))
}

// depthwise is made of inverted bottlenecks (Sandler 2018, arXiv:1801.04381).
func depthwise(m *maker, x string) (string, int) {
	x = m.relu6(m.norm(m.conv(x, filter{from: 3, to: 6, height: 3, stride: 2}), 6))
	for _, b := range [][3]int64{{6, 8, 2}, {8, 8, 1}} {
		x = m.bottleneck(x, b[0], b[1], b[2])
	}
	x = m.node("ReduceMean", attrs{"axes": onnx.Ints(2, 3), "keepdims": onnx.Int(0)}, x)
	return m.dense(x, 8, familyClasses), 2
}

// bottleneck adds one that is four times as wide within.
func (m *maker) bottleneck(x string, from, to, stride int64) string {
	wide := 4 * from
	y := m.relu6(m.norm(m.conv(x, filter{from: from, to: wide}), wide))
	y = m.relu6(m.norm(m.conv(y, filter{from: wide, to: wide, height: 3, stride: stride, groups: wide}), wide))
	y = m.norm(m.conv(y, filter{from: wide, to: to}), to)
	if stride == 1 && from == to {
		return m.node("Add", nil, x, y)
	}
	return y
}

// denselyConnected gives each layer all that came before (Huang 2017, arXiv:1608.06993).
func denselyConnected(m *maker, x string) (string, int) {
	channels := int64(6)
	x = m.pool("MaxPool", m.conv(x, filter{from: 3, to: channels, height: 3}), 3, 2, 1)
	for range 2 {
		for range 2 {
			y := m.relu(m.norm(x, channels))
			y = m.relu(m.norm(m.conv(y, filter{from: channels, to: 8}), 8))
			x = m.node("Concat", attrs{"axis": onnx.Int(1)}, x, m.conv(y, filter{from: 8, to: 4, height: 3}))
			channels += 4
		}
		x = m.conv(m.relu(m.norm(x, channels)), filter{from: channels, to: channels / 2})
		channels /= 2
		x = m.pool("AveragePool", x, 2, 2, 0)
	}
	return m.head(m.relu(m.norm(x, channels)), channels, familyClasses), 2
}

// inception looks through windows of several sizes side by side (Szegedy 2014, arXiv:1409.4842; 2015, arXiv:1512.00567).
func inception(m *maker, x string) (string, int) {
	x = m.relu(m.conv(x, filter{from: 3, to: 6, height: 3, stride: 2, tight: true}))
	x = m.node("LRN", attrs{"size": onnx.Int(5), "alpha": onnx.Float(1e-2), "beta": onnx.Float(0.75), "bias": onnx.Float(1)}, x)
	branches := []string{
		m.relu(m.conv(x, filter{from: 6, to: 4})),
		m.relu(m.conv(m.relu(m.conv(x, filter{from: 6, to: 3})), filter{from: 3, to: 4, height: 5})),
		m.relu(m.conv(m.relu(m.conv(x, filter{from: 6, to: 4, height: 1, width: 3})), filter{from: 4, to: 4, height: 3, width: 1})),
		m.relu(m.conv(m.pool("MaxPool", x, 3, 1, 1), filter{from: 6, to: 4})),
		m.relu(m.conv(m.pool("AveragePool", x, 3, 1, 1), filter{from: 6, to: 4})),
	}
	x = m.node("Concat", attrs{"axis": onnx.Int(1)}, branches...)
	pool := attrs{"kernel_shape": onnx.Ints(3, 3), "strides": onnx.Ints(2, 2), "ceil_mode": onnx.Int(1)}
	return m.head(m.node("MaxPool", pool, x), 20, familyClasses), 2
}

// squeezeExcite weighs each channel with what the whole picture says (Hu 2018, arXiv:1709.01507).
func squeezeExcite(m *maker, x string) (string, int) {
	swish := func(x string) string { return m.node("Mul", nil, x, m.node("Sigmoid", nil, x)) }
	x = swish(m.norm(m.conv(x, filter{from: 3, to: 8, height: 3, stride: 2}), 8))
	for range 2 {
		y := swish(m.norm(m.conv(x, filter{from: 8, to: 8, height: 3, groups: 8}), 8))
		s := m.node("ReduceMean", attrs{"axes": onnx.Ints(2, 3), "keepdims": onnx.Int(1)}, y)
		s = m.node("Sigmoid", nil, m.conv(swish(m.conv(s, filter{from: 8, to: 2})), filter{from: 2, to: 8}))
		x = m.node("Add", nil, x, m.norm(m.conv(m.node("Mul", nil, y, s), filter{from: 8, to: 8}), 8))
	}
	x = m.node("HardSwish", nil, m.conv(x, filter{from: 8, to: 8}))
	return m.head(x, 8, familyClasses), 2
}

// transformer is an encoder over patches (Dosovitskiy 2020, arXiv:2010.11929), with shapes computed as exporters do.
func transformer(m *maker, x string) (string, int) {
	const size, heads, tokens = 12, 3, 17
	x = m.conv(x, filter{from: 3, to: size, height: 4, stride: 4, tight: true})
	batch := m.node("Unsqueeze", nil, m.node("Gather", attrs{"axis": onnx.Int(0)}, m.node("Shape", nil, x), m.whole(0)), m.ints(0))
	shape := func(rest ...int64) string {
		return m.node("Concat", attrs{"axis": onnx.Int(0)}, batch, m.ints(rest...))
	}
	x = m.node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1)}, m.node("Reshape", nil, x, shape(size, -1)))
	class := m.node("Expand", nil, m.weights(0, 1, 1, 1, size), shape(1, 1))
	x = m.node("Add", nil, m.node("Concat", attrs{"axis": onnx.Int(1)}, class, x), m.weights(0, 0.5, 1, tokens, size))
	for range 2 {
		qkv := m.node("Reshape", nil, m.linear(m.layerNorm(x, size), size, 3*size), shape(tokens, 3, heads, size/heads))
		parts := m.nodes("Split", attrs{"axis": onnx.Int(0)}, 3, m.node("Transpose", attrs{"perm": onnx.Ints(2, 0, 3, 1, 4)}, qkv))
		for i := range parts {
			parts[i] = m.node("Squeeze", nil, parts[i], m.ints(0))
		}
		scores := m.node("MatMul", nil, parts[0], m.node("Transpose", attrs{"perm": onnx.Ints(0, 1, 3, 2)}, parts[1]))
		weights := m.node("Softmax", attrs{"axis": onnx.Int(-1)}, m.node("Mul", nil, scores, m.scalar(float32(math.Sqrt(heads/float64(size))))))
		mixed := m.node("Transpose", attrs{"perm": onnx.Ints(0, 2, 1, 3)}, m.node("MatMul", nil, weights, parts[2]))
		x = m.node("Add", nil, x, m.linear(m.node("Reshape", nil, mixed, shape(tokens, size)), size, size))
		x = m.node("Add", nil, x, m.linear(m.gelu(m.linear(m.layerNorm(x, size), size, 2*size)), 2*size, size))
	}
	x = m.node("Gather", attrs{"axis": onnx.Int(1)}, m.layerNorm(x, size), m.whole(0))
	return m.dense(x, size, familyClasses), 2
}

// whole makes a constant whole number without axes.
func (m *maker) whole(v int64) string {
	name := m.name("whole")
	m.g.Initializers[name] = onnx.Of([]int64{v})
	return name
}

// convNeXt is a convolutional network in the manner of a transformer (Liu 2022, arXiv:2201.03545).
func convNeXt(m *maker, x string) (string, int) {
	const size = 10
	last, first := attrs{"perm": onnx.Ints(0, 2, 3, 1)}, attrs{"perm": onnx.Ints(0, 3, 1, 2)}
	x = m.conv(x, filter{from: 3, to: size, height: 4, stride: 4, tight: true})
	x = m.node("Transpose", first, m.layerNorm(m.node("Transpose", last, x), size))
	for range 2 {
		y := m.node("Transpose", last, m.conv(x, filter{from: size, to: size, height: 7, groups: size}))
		y = m.linear(m.gelu(m.linear(m.layerNorm(y, size), size, 3*size)), 3*size, size)
		y = m.node("Mul", nil, m.weights(0.5, 0.1, size, 1, 1), m.node("Transpose", first, y))
		x = m.node("Add", nil, x, y)
	}
	x = m.node("Flatten", nil, m.layerNorm(m.node("Transpose", last, m.node("GlobalAveragePool", nil, x)), size))
	return m.dense(x, size, familyClasses), 2
}

// uNet goes down and up again, with ways across (Ronneberger 2015, arXiv:1505.04597). It answers each pixel.
func uNet(m *maker, x string) (string, int) {
	leaky := func(x string) string { return m.node("LeakyRelu", attrs{"alpha": onnx.Float(0.1)}, x) }
	concat := attrs{"axis": onnx.Int(1)}
	wide := leaky(m.conv(x, filter{from: 3, to: 4, height: 3}))
	half := leaky(m.conv(m.pool("MaxPool", wide, 2, 2, 0), filter{from: 4, to: 6, height: 3}))
	deep := leaky(m.conv(m.pool("AveragePool", half, 2, 2, 0), filter{from: 6, to: 8, height: 3}))
	up := m.node("ConvTranspose", attrs{"kernel_shape": onnx.Ints(2, 2), "strides": onnx.Ints(2, 2)}, deep, m.weights(0, 0.3, 8, 6, 2, 2), m.weights(0, 0.1, 6))
	half = leaky(m.conv(m.node("Concat", concat, up, half), filter{from: 12, to: 5, height: 3}))
	factors := m.name("factors")
	m.g.Initializers[factors] = onnx.Of([]float32{1, 1, 2, 2}, 4)
	resize := attrs{"mode": onnx.String("linear"), "coordinate_transformation_mode": onnx.String("half_pixel")}
	up = m.node("Resize", resize, half, "", factors)
	all := m.conv(leaky(m.conv(m.node("Concat", concat, up, wide), filter{from: 9, to: 4, height: 3})), filter{from: 4, to: 2})
	return m.node("InstanceNormalization", nil, all, m.weights(1, 0.1, 2), m.weights(0, 0.1, 2)), 4
}
