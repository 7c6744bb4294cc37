package onnx_test

import (
	"maps"
	"math/rand/v2"
	"strings"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

type attrs = map[string]onnx.Attr

// node returns a node; inputs and outputs are separated by spaces, "_" is one that is left out.
func node(op, in, out string, a attrs) *onnx.Node {
	return &onnx.Node{Op: op, Inputs: words(in), Outputs: words(out), Attrs: a}
}

func words(text string) []string {
	names := strings.Fields(text)
	for i, name := range names {
		if name == "_" {
			names[i] = ""
		}
	}
	return names
}

// value returns a value of a type and a shape; -1 is an open dimension.
func value(name string, d tensor.DType, shape ...int64) onnx.Value {
	v := onnx.Value{Name: name, Type: onnx.TypeOf(d), Shape: []onnx.Axis{}}
	for _, size := range shape {
		v.Shape = append(v.Shape, onnx.Axis{Size: size})
	}
	return v
}

func floats(name string, shape ...int64) onnx.Value { return value(name, tensor.Float32, shape...) }

// made returns a graph with one input x and an output y.
func made(opset int64, x onnx.Value, constants map[string]*onnx.Constant, nodes ...*onnx.Node) *onnx.Graph {
	g := &onnx.Graph{
		IR: 7, Opset: opset, Inputs: []onnx.Value{x}, Outputs: []onnx.Value{{Name: "y"}}, Nodes: nodes, Initializers: map[string]*onnx.Constant{},
	}
	maps.Copy(g.Initializers, constants)
	return g
}

// ops returns the operators of g in order.
func ops(g *onnx.Graph) string {
	var names []string
	for _, n := range g.Nodes {
		names = append(names, n.Op)
	}
	return strings.Join(names, " ")
}

// whole returns a constant of int64.
func whole(v ...int64) *onnx.Constant { return onnx.Of(v, int64(len(v))) }

// numbers returns a constant of noise.
func numbers(shape ...int64) *onnx.Constant { return onnx.Of(noise(shape...), shape...) }

// noise returns the same normal numbers for the same shape.
func noise(shape ...int64) []float32 {
	size, seed := int64(1), uint64(1)
	for _, d := range shape {
		size *= d
		seed = seed*31 + uint64(d)
	}
	random := rand.New(rand.NewPCG(seed, 7))
	data := make([]float32, size)
	for i := range data {
		data[i] = float32(random.NormFloat64())
	}
	return data
}
