package onnx

import (
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Cut makes an input of a tensor. What only made it goes, and so do inputs that nothing reads. Its type and shape are the
// first that is told by: the facts, its initializer, the output of that name, the table that a Gather takes it from. One
// that nothing tells is float32, of any shape. Cutting an input changes nothing.
//
// It returns [fault.Invalid] for a tensor that g lacks, or that no output needs. g is then as it was.
func (g *Graph) Cut(name string, facts ...Facts) error {
	if _, ok := g.Input(name); ok {
		return nil
	}
	n := g.Producer(name)
	if n == nil && g.Initializers[name] == nil {
		return fmt.Errorf("%w: the network has no tensor %q%s", fault.Invalid, name, g.meant(name))
	}
	if !g.needs(name) {
		return fmt.Errorf("%w: no output of the network depends on tensor %q", fault.Invalid, name)
	}
	g.Inputs = append(slices.Clip(g.Inputs), g.describe(name, n, facts))
	delete(g.Initializers, name)
	if n != nil {
		n.Outputs[slices.Index(n.Outputs, name)] = g.Fresh("cut") + name
	}
	g.Prune()
	read := g.Readers()
	g.Inputs = slices.DeleteFunc(g.Inputs, func(v Value) bool {
		_, output := g.Output(v.Name)
		return len(read[v.Name]) == 0 && !output
	})
	return nil
}

// meant asks back after a tensor whose name is nearly the one given.
func (g *Graph) meant(name string) string {
	var names []string
	g.defines(func(name string) { names = append(names, name) })
	slices.Sort(names)
	return nearest.Hint(name, names)
}

// needs tells whether an output depends on a tensor.
func (g *Graph) needs(name string) bool {
	pruned := &Graph{Outputs: g.Outputs, Nodes: slices.Clone(g.Nodes)}
	pruned.Prune()
	_, output := g.Output(name)
	return output || len(pruned.Consumers(name)) > 0
}

// describe returns what is known of a tensor that n makes.
func (g *Graph) describe(name string, n *Node, facts []Facts) Value {
	for _, f := range facts {
		if d := f.Types[name]; d != tensor.Undefined {
			return Value{Name: name, Type: TypeOf(d), Shape: f.axes(name)}
		}
	}
	v, _ := g.Output(name)
	switch c := g.Initializers[name]; {
	case c != nil:
		v = c.value(name)
	case v.Type == 0 && n != nil && n.is("Gather") && g.Initializers[n.Input(0)] != nil:
		v.Type = g.Initializers[n.Input(0)].Type
	case v.Type == 0:
		v.Type = TypeOf(tensor.Float32)
	}
	v.Name = name
	return v
}

// value returns an input that takes what c is.
func (c *Constant) value(name string) Value {
	v := Value{Name: name, Type: c.Type, Shape: make([]Axis, len(c.Shape))}
	for i, size := range c.Shape {
		v.Shape[i].Size = size
	}
	return v
}

// axes returns the shape of a tensor: what is not constant is open.
func (f Facts) axes(name string) []Axis {
	dims, ok := f.Shapes[name]
	if !ok {
		return nil
	}
	axes := make([]Axis, len(dims))
	for i, d := range dims {
		axes[i] = Axis{Size: -1}
		if d.Constant() {
			axes[i].Size = d.A
		}
	}
	return axes
}
