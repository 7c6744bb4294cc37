package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Probed is what a run of [Graph.ShapeProbe] tells.
type Probed struct {
	Shapes map[string][]int64 // of every tensor
	Values map[string][]int64 // of the whole numbers and truths that follow from shapes, flat
}

// filler stands in front of what a probe hands out: no output is then empty or without a dimension.
const filler = 7

// TypeProbe returns a graph that gives every tensor that a node makes, by its name and without a type: a runtime that has
// opened it tells the types in its signature. It cannot be run as g is: weights are inputs of it, as no type depends on them
// and opening it is then a matter of milliseconds. It shares g's other constants.
func (g *Graph) TypeProbe() *Graph {
	const small = 1 << 12 // bytes; of numbers that a runtime may want to know beforehand
	p := g.Clone()
	p.Outputs = nil
	p.Inputs = slices.Clip(p.Inputs)
	for _, name := range sorted(p.Initializers) {
		if c := p.Initializers[name]; c.Type.DType() == tensor.Float32 && len(c.Raw) > small {
			p.Inputs = append(p.Inputs, c.value(name))
			delete(p.Initializers, name)
		}
	}
	for _, n := range p.Nodes {
		for _, name := range n.Outputs {
			if name != "" {
				p.Outputs = append(p.Outputs, Value{Name: name})
			}
		}
	}
	return p
}

// ShapeProbe returns a graph that gives the shape of every tensor whose type is known, and the values of the whole numbers
// that follow from shapes and constants alone: [Graph.ReadProbe] reads them. The types are those that a runtime told of
// [Graph.TypeProbe]; those of inputs and initializers are known. It shares g's constants.
func (g *Graph) ShapeProbe(types Types) *Graph {
	b := prober{g: g.Clone(), prefix: g.probing()}
	b.g.Outputs = nil
	b.seven, b.flat = b.prefix+"seven", b.prefix+"flat"
	b.g.Initializers[b.seven] = Of([]int64{filler}, 1)
	types = g.known(types)
	for _, v := range g.Inputs {
		b.shape(v.Name)
	}
	fixed := g.fixed()
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			if name == "" || types[name] == tensor.Undefined {
				continue
			}
			b.shape(name)
			if fixed[name] && counts(types[name]) {
				b.value(name, types[name])
			}
		}
	}
	return b.g
}

// probing is the prefix of the names that a probe of g adds.
func (g *Graph) probing() string { return g.Fresh("probe") }

// prober adds to a graph what tells of its tensors.
type prober struct {
	g           *Graph
	prefix      string
	seven, flat string // constants
}

func (b *prober) node(op string, in []string, out string, attrs map[string]Attr) {
	b.g.Nodes = append(b.g.Nodes, &Node{Op: op, Inputs: in, Outputs: []string{out}, Attrs: attrs})
}

func (b *prober) shape(name string) {
	shape := b.prefix + "plain/" + name
	b.node("Shape", []string{name}, shape, nil)
	b.output(shape, b.prefix+"shape/"+name)
}

func (b *prober) value(name string, d tensor.DType) {
	b.g.Initializers[b.flat] = Of([]int64{-1}, 1)
	flat := b.prefix + "numbers/" + name
	if d != tensor.Int64 {
		long := b.prefix + "long/" + name
		b.node("Cast", []string{name}, long, map[string]Attr{"to": Int(int64(TypeOf(tensor.Int64)))})
		name, flat = long, b.prefix+"numbers/"+name
		b.node("Reshape", []string{long, b.flat}, flat, nil)
		b.output(flat, b.prefix+"value/"+strings.TrimPrefix(name, b.prefix+"long/"))
		return
	}
	b.node("Reshape", []string{name, b.flat}, flat, nil)
	b.output(flat, b.prefix+"value/"+name)
}

func (b *prober) output(in, out string) {
	b.node("Concat", []string{b.seven, in}, out, map[string]Attr{"axis": Int(0)})
	b.g.Outputs = append(b.g.Outputs, Value{Name: out, Type: TypeOf(tensor.Int64)})
}

// counts tells whether a probe can hand out the elements of a type, and whether they are written back from it.
func counts(d tensor.DType) bool {
	switch d {
	case tensor.Int64, tensor.Int32, tensor.Bool:
		return true
	default:
		return false
	}
}

// known adds the types of inputs and initializers.
func (g *Graph) known(types Types) Types {
	all := make(Types, len(types))
	maps.Copy(all, types)
	for _, v := range g.Inputs {
		all[v.Name] = v.Type.DType()
	}
	for name, c := range g.Initializers {
		all[name] = c.Type.DType()
	}
	return all
}

// fixed returns the tensors that depend on inputs through their shapes alone, and on no chance.
func (g *Graph) fixed() map[string]bool {
	fixed := map[string]bool{"": true}
	for name := range g.Initializers {
		fixed[name] = true
	}
	for _, n := range g.Nodes {
		follows := n.Domain == "" && !strings.HasPrefix(n.Op, "Random") && !n.is("Multinomial", "Bernoulli")
		if !n.is("Shape", "Size") {
			follows = follows && !slices.ContainsFunc(n.reads(), func(name string) bool { return !fixed[name] })
		}
		for _, name := range n.Outputs {
			if follows && name != "" {
				fixed[name] = true
			}
		}
	}
	return fixed
}

// ReadProbe reads the outputs of the [Graph.ShapeProbe] of g, which must not have changed since. It returns [fault.Internal] for other outputs.
func (g *Graph) ReadProbe(out tensor.Named) (Probed, error) {
	prefix := g.probing()
	p := Probed{Shapes: map[string][]int64{}, Values: map[string][]int64{}}
	for name, t := range out {
		data, err := tensor.Data[int64](t)
		if err != nil || len(data) == 0 || data[0] != filler {
			return Probed{}, fmt.Errorf("%w: output %q of a probe is %v", fault.Internal, name, t)
		}
		if of, ok := strings.CutPrefix(name, prefix+"shape/"); ok {
			p.Shapes[of] = data[1:]
		} else if of, ok := strings.CutPrefix(name, prefix+"value/"); ok {
			p.Values[of] = data[1:]
		} else {
			return Probed{}, fmt.Errorf("%w: output %q is of no probe of this network", fault.Internal, name)
		}
	}
	return p, nil
}

// Learn returns what two runs of g's [Graph.ShapeProbe], with inputs of two sizes, tell of its tensors, and makes
// initializers of the whole numbers that had the same values in both. The nodes that only made these go. It returns
// [fault.Unsupported] when a tensor had more dimensions in one of the runs: its name and shapes are in the message.
func (g *Graph) Learn(a, b Probed, types Types) (Facts, error) {
	facts := Facts{Types: g.known(types), Shapes: make(map[string][]Dim, len(a.Shapes))}
	for _, name := range sorted(a.Shapes) {
		first, second := a.Shapes[name], b.Shapes[name]
		if len(first) != len(second) {
			return Facts{}, fmt.Errorf("%w: tensor %q has the shape %v for one input and %v for another", fault.Unsupported, name, first, second)
		}
		dims := make([]Dim, len(first))
		for i := range first {
			dims[i] = Dim{first[i], second[i]}
		}
		facts.Shapes[name] = dims
	}
	for name, c := range g.Initializers {
		dims := make([]Dim, len(c.Shape))
		for i, d := range c.Shape {
			dims[i] = Dim{d, d}
		}
		facts.Shapes[name] = dims
	}
	if err := g.freeze(a, b, facts); err != nil {
		return Facts{}, err
	}
	return facts, nil
}

// freeze makes initializers of the values that are equal in both runs.
func (g *Graph) freeze(a, b Probed, facts Facts) error {
	constant := map[string]*Constant{}
	for name, values := range a.Values {
		if !slices.Equal(a.Shapes[name], b.Shapes[name]) || !slices.Equal(values, b.Values[name]) {
			continue
		}
		c, err := frozen(values, facts.Types[name], a.Shapes[name])
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		constant[name] = c
	}
	fresh := namer{prefix: g.Fresh("unused")}
	var kept []*Node
	for _, n := range g.Nodes {
		used := false
		for _, name := range n.Outputs {
			used = used || name != "" && constant[name] == nil
		}
		if !used {
			continue
		}
		for i, name := range n.Outputs {
			if constant[name] != nil {
				n.Outputs[i] = fresh.name(name) // a node with other outputs stays; this one is nobody's any more
			}
		}
		kept = append(kept, n)
	}
	g.Nodes = kept
	maps.Copy(g.Initializers, constant)
	g.Prune()
	return nil
}

// frozen returns a constant of numbers that a probe gave.
func frozen(values []int64, d tensor.DType, shape []int64) (*Constant, error) {
	if n, err := tensor.Size(shape); err != nil || n != int64(len(values)) {
		return nil, fmt.Errorf("%w: %d values, shape %v", fault.Internal, len(values), shape)
	}
	switch d {
	case tensor.Int64:
		return Of(values, shape...), nil
	case tensor.Int32:
		return Of(convert(values, func(v int64) int32 { return int32(v) }), shape...), nil
	case tensor.Bool:
		return Of(convert(values, func(v int64) bool { return v != 0 }), shape...), nil
	default:
		return nil, fmt.Errorf("%w: values of %v", fault.Internal, d)
	}
}

func convert[T any](in []int64, f func(int64) T) []T {
	out := make([]T, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
