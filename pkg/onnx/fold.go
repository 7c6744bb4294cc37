package onnx

import (
	"encoding/binary"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// folder moves the normalisations of inference into the convolutions before them.
type folder struct{ names namer }

// graph folds what it can in g, but not in the graphs inside.
func (f *folder) graph(g *Graph) error {
	read, made := g.Readers(), g.Producers()
	gone := map[*Node]bool{}
	for _, n := range g.Nodes {
		conv := made[n.Input(0)]
		if !n.is("BatchNormalization") || !g.foldable(conv, n, read) {
			continue
		}
		if err := f.fold(g, conv, n); err != nil {
			return n.refuse(fault.Of(err), "%v", err)
		}
		made[conv.Outputs[0]] = conv // another normalisation may follow
		gone[n] = true
	}
	var kept []*Node
	for _, n := range g.Nodes {
		if !gone[n] {
			kept = append(kept, n)
		}
	}
	g.Nodes = kept
	return nil
}

// foldable tells whether norm is of inference and alone behind a convolution, and whether all of their numbers are known.
func (g *Graph) foldable(conv, norm *Node, read map[string][]*Node) bool {
	if conv == nil || !conv.is("Conv") || len(conv.Outputs) != 1 || len(norm.Outputs) != 1 || norm.Int("training_mode", 0) != 0 {
		return false
	}
	if _, output := g.Output(conv.Outputs[0]); output || len(read[conv.Outputs[0]]) != 1 {
		return false
	}
	w := g.Initializers[conv.Input(1)]
	if w == nil || len(w.Shape) == 0 || len(norm.Inputs) != 5 || conv.Input(2) != "" && g.Initializers[conv.Input(2)] == nil {
		return false
	}
	for _, name := range append([]string{conv.Input(1), conv.Input(2)}, norm.Inputs[1:]...) {
		c := g.Initializers[name]
		if name != "" && (c == nil || c.Type.DType() != tensor.Float32 || name != conv.Input(1) && c.Len() != w.Shape[0]) {
			return false
		}
	}
	return true
}

// fold writes y = scale·(Wx + b - mean)/√(var + ε) + bias as one convolution.
func (f *folder) fold(g *Graph, conv, norm *Node) error {
	var numbers [5][]float64 // scale, bias, mean, var, b
	for i, name := range append(norm.Inputs[1:5:5], conv.Input(2)) {
		if name == "" {
			continue
		}
		var err error
		if numbers[i], err = g.Initializers[name].Float64s(); err != nil {
			return err
		}
	}
	scale, bias, mean, variance, b := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
	if b == nil {
		b = make([]float64, len(scale))
	}
	factor, shift := make([]float64, len(b)), make([]float32, len(b))
	for m := range factor {
		factor[m] = scale[m] / math.Sqrt(variance[m]+float64(norm.Float("epsilon", 1e-5)))
		shift[m] = float32((b[m]-mean[m])*factor[m] + bias[m])
	}
	kernel, offset := f.names.name("W"), f.names.name("b")
	g.Initializers[kernel] = g.Initializers[conv.Input(1)].scaled(factor)
	g.Initializers[offset] = Of(shift, int64(len(shift)))
	conv.set(1, kernel)
	conv.set(2, offset)
	conv.Outputs = []string{norm.Outputs[0]}
	return nil
}

// scaled returns a constant of float32 whose rows are multiplied by a factor each. The products are rounded once.
func (c *Constant) scaled(factor []float64) *Constant {
	made := &Constant{Type: c.Type, Shape: c.Shape, Raw: make([]byte, len(c.Raw))}
	row := len(c.Raw) / max(1, len(factor))
	for m, k := range factor {
		from, to := c.Raw[m*row:(m+1)*row], made.Raw[m*row:(m+1)*row]
		for i := 0; i+4 <= len(from); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(from[i:]))
			binary.LittleEndian.PutUint32(to[i:], math.Float32bits(float32(k*float64(v))))
		}
	}
	return made
}
