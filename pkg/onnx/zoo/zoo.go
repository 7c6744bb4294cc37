// Package zoo makes networks of well-known forms with random weights: what is to be measured or differentiated, and need know
// nothing. A [Builder] makes them node by node. The same seed makes the same network.
package zoo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// Attrs are a node's attributes.
type Attrs = map[string]onnx.Attr

// Builder makes a network, node by node. Its methods return the name of the tensor that they make.
type Builder struct {
	Graph *onnx.Graph

	random *rand.Rand
	names  int
}

// New begins a network of one input "x": rows of that shape, any number of them.
func New(seed uint64, shape ...int64) *Builder {
	v := onnx.Value{Name: "x", Type: 1, Shape: []onnx.Axis{{Size: -1, Name: "batch"}}}
	for _, d := range shape {
		v.Shape = append(v.Shape, onnx.Axis{Size: d})
	}
	return &Builder{
		Graph:  &onnx.Graph{IR: 8, Opset: 17, Initializers: map[string]*onnx.Constant{}, Inputs: []onnx.Value{v}},
		random: rand.New(rand.NewPCG(seed, 11)),
	}
}

// Done ends the network: y is its output "y", of that many axes.
func (b *Builder) Done(y string, axes int) *onnx.Graph {
	v := onnx.Value{Name: "y", Type: 1, Shape: []onnx.Axis{{Size: -1, Name: "batch"}}}
	for i := 1; i < axes; i++ {
		v.Shape = append(v.Shape, onnx.Axis{Size: -1, Name: fmt.Sprintf("d%d", i)})
	}
	b.Graph.Outputs = []onnx.Value{v}
	b.Graph.Nodes = append(b.Graph.Nodes, &onnx.Node{Name: "y", Op: "Identity", Inputs: []string{y}, Outputs: []string{"y"}})
	return b.Graph
}

// Name returns a name that nothing in the network has yet.
func (b *Builder) Name(op string) string {
	b.names++
	return fmt.Sprintf("%s_%d", op, b.names)
}

// Node adds a node of one output.
func (b *Builder) Node(op string, a Attrs, inputs ...string) string {
	return b.Nodes(op, a, 1, inputs...)[0]
}

// Nodes adds a node of several outputs.
func (b *Builder) Nodes(op string, a Attrs, outputs int, inputs ...string) []string {
	name := b.Name(op)
	n := &onnx.Node{Name: name, Op: op, Attrs: a, Inputs: inputs}
	for i := range outputs {
		n.Outputs = append(n.Outputs, fmt.Sprintf("%s_%d", name, i))
	}
	b.Graph.Nodes = append(b.Graph.Nodes, n)
	return slices.Clone(n.Outputs)
}

// Ints makes a constant of whole numbers.
func (b *Builder) Ints(v ...int64) string { return b.constant("ints", onnx.Of(v, int64(len(v)))) }

// Whole makes a constant whole number without axes.
func (b *Builder) Whole(v int64) string { return b.constant("whole", onnx.Of([]int64{v})) }

// Scalar makes a constant without axes.
func (b *Builder) Scalar(v float32) string { return b.constant("scalar", onnx.Of([]float32{v})) }

// Weights makes a constant of normally distributed numbers around a mean.
func (b *Builder) Weights(mean, deviation float64, shape ...int64) string {
	size := int64(1)
	for _, d := range shape {
		size *= d
	}
	data := make([]float32, size)
	for i := range data {
		data[i] = float32(mean + deviation*b.random.NormFloat64())
	}
	return b.constant("weights", onnx.Of(data, shape...))
}

func (b *Builder) constant(kind string, c *onnx.Constant) string {
	name := b.Name(kind)
	b.Graph.Initializers[name] = c
	return name
}

// Filter describes a convolution.
type Filter struct {
	From, To      int64 // channels
	Height, Width int64 // of the window; 0: 1, and as the height
	Stride        int64 // 0: 1
	Groups        int64 // 0: 1
	Tight         bool  // nothing is padded; else the picture keeps its size, but for the stride
}

// Conv adds a convolution with a bias.
func (b *Builder) Conv(x string, f Filter) string {
	f.Height = max(1, f.Height)
	if f.Width == 0 {
		f.Width = f.Height
	}
	f.Stride, f.Groups = max(1, f.Stride), max(1, f.Groups)
	py, px := f.Height/2, f.Width/2
	if f.Tight {
		py, px = 0, 0
	}
	fan := float64(f.From / f.Groups * f.Height * f.Width)
	a := Attrs{
		"kernel_shape": onnx.Ints(f.Height, f.Width), "strides": onnx.Ints(f.Stride, f.Stride),
		"pads": onnx.Ints(py, px, py, px), "group": onnx.Int(f.Groups),
	}
	w := b.Weights(0, math.Sqrt(2/fan), f.To, f.From/f.Groups, f.Height, f.Width)
	return b.Node("Conv", a, x, w, b.Weights(0, 0.1, f.To))
}

// Norm adds a batch normalization.
func (b *Builder) Norm(x string, channels int64) string {
	data := make([]float32, channels)
	for i := range data {
		data[i] = 0.5 + b.random.Float32()
	}
	variance := b.constant("variance", onnx.Of(data, channels))
	return b.Node("BatchNormalization", Attrs{"epsilon": onnx.Float(1e-5)}, x,
		b.Weights(1, 0.1, channels), b.Weights(0, 0.1, channels), b.Weights(0, 0.1, channels), variance)
}

// Relu adds a Relu.
func (b *Builder) Relu(x string) string { return b.Node("Relu", nil, x) }

// Relu6 adds a Relu that is bounded.
func (b *Builder) Relu6(x string) string { return b.Node("Clip", nil, x, b.Scalar(0), b.Scalar(6)) }

// Pool adds a pooling of a square window.
func (b *Builder) Pool(op, x string, window, stride, pad int64) string {
	return b.Node(op, Attrs{"kernel_shape": onnx.Ints(window, window), "strides": onnx.Ints(stride, stride), "pads": onnx.Ints(pad, pad, pad, pad)}, x)
}

// Head adds the mean over a picture's pixels, and a linear layer.
func (b *Builder) Head(x string, channels, classes int64) string {
	return b.Dense(b.Node("Flatten", nil, b.Node("GlobalAveragePool", nil, x)), channels, classes)
}

// Dense adds a linear layer over the rows of a matrix.
func (b *Builder) Dense(x string, from, to int64) string {
	w := b.Weights(0, math.Sqrt(1/float64(from)), to, from)
	return b.Node("Gemm", Attrs{"transB": onnx.Int(1)}, x, w, b.Weights(0, 0.1, to))
}

// Linear adds a linear layer over the last axis.
func (b *Builder) Linear(x string, from, to int64) string {
	return b.Node("Add", nil, b.Node("MatMul", nil, x, b.Weights(0, math.Sqrt(1/float64(from)), from, to)), b.Weights(0, 0.1, to))
}

// LayerNorm adds a normalization over the last axis.
func (b *Builder) LayerNorm(x string, size int64) string {
	return b.Node("LayerNormalization", Attrs{"epsilon": onnx.Float(1e-5)}, x, b.Weights(1, 0.1, size), b.Weights(0, 0.1, size))
}

// Gelu adds the Gaussian error linear unit as it is exported for older operators.
func (b *Builder) Gelu(x string) string {
	e := b.Node("Erf", nil, b.Node("Div", nil, x, b.Scalar(math.Sqrt2)))
	return b.Node("Mul", nil, b.Node("Mul", nil, x, b.Node("Add", nil, e, b.Scalar(1))), b.Scalar(0.5))
}

// Block adds a block of two convolutions with a way around them (He 2016, arXiv:1512.03385).
func (b *Builder) Block(x string, from, to, stride int64) string {
	around := x
	if stride > 1 || from != to {
		around = b.Norm(b.Conv(x, Filter{From: from, To: to, Height: 1, Stride: stride}), to)
	}
	x = b.Relu(b.Norm(b.Conv(x, Filter{From: from, To: to, Height: 3, Stride: stride}), to))
	x = b.Norm(b.Conv(x, Filter{From: to, To: to, Height: 3}), to)
	return b.Relu(b.Node("Add", nil, x, around))
}

// Bottleneck adds an inverted bottleneck (Sandler 2018, arXiv:1801.04381) that is four times as wide within.
func (b *Builder) Bottleneck(x string, from, to, stride int64) string {
	wide := 4 * from
	y := b.Relu6(b.Norm(b.Conv(x, Filter{From: from, To: wide}), wide))
	y = b.Relu6(b.Norm(b.Conv(y, Filter{From: wide, To: wide, Height: 3, Stride: stride, Groups: wide}), wide))
	y = b.Norm(b.Conv(y, Filter{From: wide, To: to}), to)
	if stride == 1 && from == to {
		return b.Node("Add", nil, x, y)
	}
	return y
}

// ResNet18 makes a network of that form and size (He 2016, arXiv:1512.03385), from pictures of 224 by 224 to 1000 scores.
func ResNet18(seed uint64) *onnx.Graph {
	b := New(seed, 3, 224, 224)
	x := b.Relu(b.Norm(b.Conv("x", Filter{From: 3, To: 64, Height: 7, Stride: 2}), 64))
	x = b.Pool("MaxPool", x, 3, 2, 1)
	from := int64(64)
	for _, to := range []int64{64, 128, 256, 512} {
		x = b.Block(x, from, to, to/from)
		x = b.Block(x, to, to, 1)
		from = to
	}
	return b.Done(b.Head(x, 512, 1000), 2)
}
