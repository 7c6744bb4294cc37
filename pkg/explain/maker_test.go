//go:build cgo

package explain_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// maker makes a network with random weights, node by node. Its methods return the name of the tensor that they make.
type maker struct {
	g *onnx.Graph
	r *rand.Rand
	n int
}

// attrs are a node's attributes.
type attrs = map[string]onnx.Attr

// newMaker begins a network of one input "x": rows of that shape.
func newMaker(seed uint64, shape ...int64) *maker {
	v := onnx.Value{Name: "x", Type: 1, Shape: []onnx.Axis{{Size: -1, Name: "batch"}}}
	for _, d := range shape {
		v.Shape = append(v.Shape, onnx.Axis{Size: d})
	}
	return &maker{
		g: &onnx.Graph{IR: 8, Opset: 17, Initializers: map[string]*onnx.Constant{}, Inputs: []onnx.Value{v}},
		r: rand.New(rand.NewPCG(seed, 11)),
	}
}

// done ends the network: y is its output "y", of that many axes.
func (m *maker) done(y string, axes int) *onnx.Graph {
	v := onnx.Value{Name: "y", Type: 1, Shape: []onnx.Axis{{Size: -1, Name: "batch"}}}
	for i := 1; i < axes; i++ {
		v.Shape = append(v.Shape, onnx.Axis{Size: -1, Name: fmt.Sprintf("d%d", i)})
	}
	m.g.Outputs = []onnx.Value{v}
	m.g.Nodes = append(m.g.Nodes, &onnx.Node{Name: "y", Op: "Identity", Inputs: []string{y}, Outputs: []string{"y"}})
	return m.g
}

func (m *maker) name(op string) string {
	m.n++
	return fmt.Sprintf("%s_%d", op, m.n)
}

// node adds a node of one output.
func (m *maker) node(op string, a attrs, inputs ...string) string {
	return m.nodes(op, a, 1, inputs...)[0]
}

// nodes adds a node of several outputs.
func (m *maker) nodes(op string, a attrs, outputs int, inputs ...string) []string {
	name := m.name(op)
	n := &onnx.Node{Name: name, Op: op, Attrs: a, Inputs: inputs}
	for i := range outputs {
		n.Outputs = append(n.Outputs, fmt.Sprintf("%s_%d", name, i))
	}
	m.g.Nodes = append(m.g.Nodes, n)
	return slices.Clone(n.Outputs)
}

// ints makes a constant of whole numbers.
func (m *maker) ints(v ...int64) string {
	name := m.name("ints")
	m.g.Initializers[name] = onnx.Of(v, int64(len(v)))
	return name
}

// scalar makes a constant without axes.
func (m *maker) scalar(v float32) string {
	name := m.name("scalar")
	m.g.Initializers[name] = onnx.Of([]float32{v})
	return name
}

// weights makes a constant of normally distributed numbers around a mean.
func (m *maker) weights(mean, deviation float64, shape ...int64) string {
	size := int64(1)
	for _, d := range shape {
		size *= d
	}
	data := make([]float32, size)
	for i := range data {
		data[i] = float32(mean + deviation*m.r.NormFloat64())
	}
	name := m.name("weights")
	m.g.Initializers[name] = onnx.Of(data, shape...)
	return name
}

// filter describes a convolution.
type filter struct {
	from, to      int64 // channels
	height, width int64 // of the window; 0: 1, and as the height
	stride        int64 // 0: 1
	groups        int64 // 0: 1
	tight         bool  // nothing is padded; else the picture keeps its size, but for the stride
}

// conv adds a convolution with a bias.
func (m *maker) conv(x string, f filter) string {
	f.height = max(1, f.height)
	if f.width == 0 {
		f.width = f.height
	}
	f.stride, f.groups = max(1, f.stride), max(1, f.groups)
	py, px := f.height/2, f.width/2
	if f.tight {
		py, px = 0, 0
	}
	fan := float64(f.from / f.groups * f.height * f.width)
	a := attrs{
		"kernel_shape": onnx.Ints(f.height, f.width), "strides": onnx.Ints(f.stride, f.stride),
		"pads": onnx.Ints(py, px, py, px), "group": onnx.Int(f.groups),
	}
	w := m.weights(0, math.Sqrt(2/fan), f.to, f.from/f.groups, f.height, f.width)
	return m.node("Conv", a, x, w, m.weights(0, 0.1, f.to))
}

// norm adds a batch normalization.
func (m *maker) norm(x string, channels int64) string {
	variance := m.name("variance")
	data := make([]float32, channels)
	for i := range data {
		data[i] = 0.5 + m.r.Float32()
	}
	m.g.Initializers[variance] = onnx.Of(data, channels)
	return m.node("BatchNormalization", attrs{"epsilon": onnx.Float(1e-5)}, x,
		m.weights(1, 0.1, channels), m.weights(0, 0.1, channels), m.weights(0, 0.1, channels), variance)
}

func (m *maker) relu(x string) string { return m.node("Relu", nil, x) }

// relu6 adds a Relu that is bounded.
func (m *maker) relu6(x string) string { return m.node("Clip", nil, x, m.scalar(0), m.scalar(6)) }

// pool adds a pooling of a square window.
func (m *maker) pool(op, x string, window, stride, pad int64) string {
	return m.node(op, attrs{"kernel_shape": onnx.Ints(window, window), "strides": onnx.Ints(stride, stride), "pads": onnx.Ints(pad, pad, pad, pad)}, x)
}

// head adds the mean over a picture's pixels, and a linear layer.
func (m *maker) head(x string, channels, classes int64) string {
	return m.dense(m.node("Flatten", nil, m.node("GlobalAveragePool", nil, x)), channels, classes)
}

// dense adds a linear layer over the rows of a matrix.
func (m *maker) dense(x string, from, to int64) string {
	w := m.weights(0, math.Sqrt(1/float64(from)), to, from)
	return m.node("Gemm", attrs{"transB": onnx.Int(1)}, x, w, m.weights(0, 0.1, to))
}

// linear adds a linear layer over the last axis.
func (m *maker) linear(x string, from, to int64) string {
	return m.node("Add", nil, m.node("MatMul", nil, x, m.weights(0, math.Sqrt(1/float64(from)), from, to)), m.weights(0, 0.1, to))
}

// layerNorm adds a normalization over the last axis.
func (m *maker) layerNorm(x string, size int64) string {
	return m.node("LayerNormalization", attrs{"epsilon": onnx.Float(1e-5)}, x, m.weights(1, 0.1, size), m.weights(0, 0.1, size))
}

// gelu adds the Gaussian error linear unit as it is exported for older operators.
func (m *maker) gelu(x string) string {
	e := m.node("Erf", nil, m.node("Div", nil, x, m.scalar(math.Sqrt2)))
	return m.node("Mul", nil, m.node("Mul", nil, x, m.node("Add", nil, e, m.scalar(1))), m.scalar(0.5))
}
