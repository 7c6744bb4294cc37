package onnx

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// Embedding is where a network looks up a vector for each of its input's numbers.
type Embedding struct {
	IDs    string // the input
	Table  string // the initializer with a vector in each row
	Output string // the vectors
}

// Embedding returns where g looks up its tokens: the Gather of float rows by an input, with the most rows when there are
// several, as positions and segments have few. Casts of the input do not matter. It needs [Graph.Normalize] before.
func (g *Graph) Embedding() (Embedding, bool) {
	made := g.Producers()
	var best Embedding
	most := int64(-1)
	for _, n := range g.Nodes {
		table := g.Initializers[n.Input(0)]
		if !n.is("Gather") || n.Int("axis", 0) != 0 || table == nil || len(table.Shape) != 2 || !float(table.Type.DType()) {
			continue
		}
		ids := n.Input(1)
		for from := made[ids]; from != nil && from.is("Cast", "Identity"); from = made[ids] {
			ids = from.Input(0)
		}
		v, ok := g.Input(ids)
		if ok && !float(v.Type.DType()) && table.Shape[0] > most {
			best, most = Embedding{IDs: ids, Table: n.Input(0), Output: n.Output(0)}, table.Shape[0]
		}
	}
	return best, most >= 0
}

func float(d tensor.DType) bool { return d == tensor.Float32 || d == tensor.Float64 }

// Logits returns what stands before an output's final Softmax, and true; the output itself, and false, when it has none. A
// Softmax of an older opset, that takes several axes as one, counts as well: what stands before it has the output's shape.
func (g *Graph) Logits(output string) (name string, stepped bool) {
	made := g.Producers()
	name = output
	n := made[name]
	for n != nil && n.is("Identity", "Dropout") {
		n = made[n.Input(0)]
	}
	if n == nil {
		return output, false
	}
	if n.is("Softmax") {
		return n.Input(0), true
	}
	softmax, shape := made[n.Input(0)], made[n.Input(1)]
	if !n.is("Reshape") || softmax == nil || !softmax.is("Softmax") || shape == nil || !shape.is("Shape") {
		return output, false
	}
	flat := made[softmax.Input(0)]
	if flat == nil || !flat.is("Flatten") || flat.Input(0) != shape.Input(0) {
		return output, false
	}
	return flat.Input(0), true
}

// DefaultLayer returns the tensor that a class activation map is made of unless another is named: the last of float maps,
// of more than one pixel, that a convolution began and that is not the output. It needs the facts of [Graph.Learn].
func (g *Graph) DefaultLayer(f Facts) (string, bool) {
	maps := map[string]bool{} // the tensors that are maps
	last := ""
	for _, n := range g.Nodes {
		name := n.Output(0)
		dims := f.Shapes[name]
		if len(dims) != 4 || !float(f.Types[name]) || dims[2].A*dims[3].A <= 1 || !n.maps(maps, f) {
			continue
		}
		maps[name] = true
		if _, output := g.Output(name); !output {
			last = name
		}
	}
	return last, last != ""
}

// maps tells whether what n makes is a map, as what it reads is.
func (n *Node) maps(known map[string]bool, f Facts) bool {
	switch {
	case n.is("Conv", "ConvTranspose"):
		return true
	case n.is("MaxPool", "AveragePool", "LpPool", "Resize", "Pad", "Concat", "DepthToSpace", "SpaceToDepth", "Slice", "Split"):
		return slices.ContainsFunc(n.Inputs, func(name string) bool { return known[name] })
	case n.is("Transpose", "Reshape", "MatMul", "Gemm", "Softmax", "Expand"):
		return false
	}
	of := f.Shapes[n.Output(0)]
	return slices.ContainsFunc(n.Inputs, func(name string) bool { return known[name] && slices.Equal(f.Shapes[name], of) })
}
