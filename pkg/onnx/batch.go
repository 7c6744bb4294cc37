package onnx

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// batchName is the name of a batch dimension that was fixed.
const batchName = "batch"

// FreeBatch lets a network that is saved for one row at a time take any number of them, as far as its form tells: the first
// dimension of inputs and outputs, where it is 1, becomes open, and so does that of the constant shapes that tensors are
// brought into. It tells whether it changed anything; it changes nothing when an input's first dimension is another number.
//
// Whether the rows are then apart from each other, only a run tells: of two rows, each has to answer what it answers alone.
// It needs [Graph.Normalize] before.
func (g *Graph) FreeBatch() bool {
	found := false
	for _, v := range g.Inputs {
		if len(v.Shape) > 0 && v.Shape[0].Size >= 0 && v.Shape[0].Size != 1 {
			return false
		}
		found = found || len(v.Shape) > 0 && v.Shape[0].Size == 1
	}
	if !found {
		return false
	}
	open(g.Inputs)
	open(g.Outputs)
	names := namer{prefix: g.Fresh("batch")}
	follows := g.followers()
	for _, n := range g.Nodes {
		if !n.is("Reshape") || n.Int("allowzero", 0) != 0 || !follows[n.Input(0)] {
			continue
		}
		if shape := g.openShape(n.Input(1)); shape != nil {
			name := names.name("shape")
			g.Initializers[name] = shape
			n.Inputs[1] = name
		}
	}
	g.Prune()
	return true
}

// open opens the first dimensions that are 1.
func open(values []Value) {
	for i, v := range values {
		if len(v.Shape) > 0 && v.Shape[0].Size == 1 {
			values[i].Shape = slices.Clone(v.Shape)
			values[i].Shape[0] = Axis{Size: -1, Name: batchName}
		}
	}
}

// followers returns the tensors that depend on an input.
func (g *Graph) followers() map[string]bool {
	follows := map[string]bool{}
	for _, v := range g.Inputs {
		follows[v.Name] = true
	}
	for _, n := range g.Nodes {
		if slices.ContainsFunc(n.reads(), func(name string) bool { return follows[name] }) {
			for _, name := range n.Outputs {
				follows[name] = true
			}
		}
	}
	delete(follows, "")
	return follows
}

// openShape returns a constant shape of one row as one of as many rows as there are; nil for any other.
func (g *Graph) openShape(name string) *Constant {
	c := g.Initializers[name]
	if c == nil || c.Type.DType() != tensor.Int64 || len(c.Shape) != 1 {
		return nil
	}
	shape, err := c.Int64s()
	if err != nil || len(shape) == 0 || shape[0] != 1 {
		return nil
	}
	shape[0] = 0
	return Of(shape, c.Shape...)
}
