package onnx

import (
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// widen makes float32 of float16: of constants, inputs, outputs and the types that nodes name. The graphs inside of nodes
// are not g's affair, other attributes are.
func (g *Graph) widen() error {
	for _, values := range [][]Value{g.Inputs, g.Outputs} {
		for i, v := range values {
			values[i].Type = v.Type.widened()
		}
	}
	for name, c := range g.Initializers {
		wide, err := c.widened()
		if err != nil {
			return err
		}
		g.Initializers[name] = wide
	}
	for _, n := range g.Nodes {
		for name, a := range n.Attrs {
			wide, err := a.widened(name)
			if err != nil {
				return n.refuse(fault.Of(err), "its attribute %q: %v", name, err)
			}
			n.Attrs[name] = wide
		}
	}
	return nil
}

func (t DataType) widened() DataType {
	if t.DType() == tensor.Half {
		return TypeOf(tensor.Float32)
	}
	return t
}

func (a Attr) widened(name string) (Attr, error) {
	switch {
	case a.Kind == KindInt && (name == "to" || name == "dtype" || name == "output_datatype") && a.Int == int64(int32(a.Int)):
		a.Int = int64(DataType(a.Int).widened())
	case a.Kind == KindTensor && a.Tensor != nil:
		c, err := a.Tensor.widened()
		a.Tensor = c
		return a, err
	}
	return a, nil
}

func (c *Constant) widened() (*Constant, error) {
	if c.Type.DType() != tensor.Half {
		return c, nil
	}
	return c.cast(tensor.Float32)
}

// cast returns c's elements as another type: float32 or float64, or whole numbers of whole numbers. nil when they do not
// all fit.
func (c *Constant) cast(to tensor.DType) (*Constant, error) {
	if c.Type.DType() == to {
		return c, nil
	}
	switch to {
	case tensor.Float32:
		t, err := c.Tensor()
		if err != nil {
			return nil, err
		}
		data, err := tensor.Float32s(t)
		if err != nil {
			return nil, err
		}
		return Of(data, c.Shape...), nil
	case tensor.Float64:
		data, err := c.Float64s()
		if err != nil {
			return nil, err
		}
		return Of(data, c.Shape...), nil
	case tensor.Int64, tensor.Int32:
		return c.whole(to)
	default:
		return nil, nil
	}
}

func (c *Constant) whole(to tensor.DType) (*Constant, error) {
	if d := c.Type.DType(); d != tensor.Int64 && d != tensor.Int32 {
		return nil, nil
	}
	data, err := c.Int64s()
	if err != nil || to == tensor.Int64 {
		return Of(data, c.Shape...), err
	}
	short := make([]int32, len(data))
	for i, v := range data {
		if v < math.MinInt32 || v > math.MaxInt32 {
			return nil, nil
		}
		short[i] = int32(v)
	}
	return Of(short, c.Shape...), nil
}

// foldCasts makes initializers of the casts of initializers.
func (g *Graph) foldCasts() error {
	var kept []*Node
	for _, n := range g.Nodes {
		c := g.Initializers[n.Input(0)]
		if c == nil || !n.is("Cast") || len(n.Outputs) != 1 || !c.numbers() {
			kept = append(kept, n)
			continue
		}
		made, err := c.cast(DataType(n.Int("to", 0)).DType())
		if err != nil {
			return n.refuse(fault.Of(err), "%v", err)
		}
		if made == nil {
			kept = append(kept, n)
			continue
		}
		g.Initializers[n.Outputs[0]] = made
	}
	g.Nodes = kept
	return nil
}

// numbers tells whether c holds what can be cast.
func (c *Constant) numbers() bool {
	d := c.Type.DType()
	return d != tensor.Undefined && d != tensor.String
}
