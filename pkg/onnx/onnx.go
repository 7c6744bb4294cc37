// Package onnx reads, asks about, rewrites and writes networks in the ONNX file format (https://onnx.ai/onnx/repo-docs/IR.html).
//
// It knows the format and the operators' forms, and no runtime: it computes nothing but constants. What a runtime alone can
// tell, the types and shapes of the tensors inside, it asks for with probes: graphs that somebody else runs.
package onnx

import (
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// Graph is a network: the nodes that compute its outputs from its inputs and its initializers. A graph inside of a node, as
// the branches of an If, is one too; it has no opset of its own.
//
// Nobody but its maker changes a graph. The bytes of its constants may be a view of the file that it was read from.
type Graph struct {
	Name         string
	IR           int64                // version of the format
	Opset        int64                // version of the operators of the default domain
	Domains      map[string]int64     // versions of the operators of the other domains
	Inputs       []Value              // without the initializers
	Outputs      []Value              //
	Nodes        []*Node              // each after those that it reads from
	Initializers map[string]*Constant //
	Functions    []*Function          // operators that the file defines itself
	Metadata     map[string]string    // of the file, as its exporter wrote it
}

// Value is an input or an output of a graph.
type Value struct {
	Name   string
	Type   DataType // of the elements; Undefined when the file does not tell
	Shape  []Axis   // nil when the rank is not told; not nil and empty for a scalar
	Exotic string   // what it is when it is no tensor: sequence, map, optional, sparse tensor
	exotic []byte   // its type then, as it stands in the file
}

// Axis is one dimension of a Value.
type Axis struct {
	Size int64  // at least 0; -1 when the file leaves it open
	Name string // of an open dimension; may be empty
}

// Node applies an operator.
type Node struct {
	Name            string
	Op              string // as in "Conv"
	Domain          string // "" is ONNX's own
	Overload        string
	Inputs, Outputs []string // "" for an optional one that is left out
	Attrs           map[string]Attr
}

// Function is an operator made of others.
type Function struct {
	Name, Domain, Overload string
	Inputs, Outputs        []string
	Attrs                  []string        // that a node may give
	Defaults               map[string]Attr // of attributes that a node may leave out
	Opset                  int64
	Domains                map[string]int64
	Nodes                  []*Node
}

// AttrKind is what an attribute holds, numbered as in the format.
type AttrKind uint8

// The kinds.
const (
	KindUndefined AttrKind = 0
	KindFloat     AttrKind = 1
	KindInt       AttrKind = 2
	KindString    AttrKind = 3
	KindTensor    AttrKind = 4
	KindGraph     AttrKind = 5
	KindFloats    AttrKind = 6
	KindInts      AttrKind = 7
	KindStrings   AttrKind = 8
	KindTensors   AttrKind = 9
	KindGraphs    AttrKind = 10
)

// Attr is an attribute of a node: the field that Kind names is set.
type Attr struct {
	Kind     AttrKind
	Float    float32
	Int      int64
	String   string
	Tensor   *Constant
	Graph    *Graph
	Floats   []float32
	Ints     []int64
	Strings  []string
	Tensors  []*Constant
	Graphs   []*Graph
	Ref      string // in a function: the attribute of the calling node whose value it takes
	verbatim []byte // of kinds that this package does not read, as they stand in the file
}

// Float returns an attribute.
func Float(v float32) Attr { return Attr{Kind: KindFloat, Float: v} }

// Int returns an attribute.
func Int(v int64) Attr { return Attr{Kind: KindInt, Int: v} }

// Ints returns an attribute. It keeps v.
func Ints(v ...int64) Attr { return Attr{Kind: KindInts, Ints: v} }

// Floats returns an attribute. It keeps v.
func Floats(v ...float32) Attr { return Attr{Kind: KindFloats, Floats: v} }

// String returns an attribute.
func String(v string) Attr { return Attr{Kind: KindString, String: v} }

// Int returns the attribute, or def when the node lacks it.
func (n *Node) Int(name string, def int64) int64 {
	if a, ok := n.Attrs[name]; ok && a.Kind == KindInt {
		return a.Int
	}
	return def
}

// Ints returns the attribute; nil when the node lacks it. The caller must not change it.
func (n *Node) Ints(name string) []int64 { return n.Attrs[name].Ints }

// Float returns the attribute, or def when the node lacks it.
func (n *Node) Float(name string, def float32) float32 {
	if a, ok := n.Attrs[name]; ok && a.Kind == KindFloat {
		return a.Float
	}
	return def
}

// String returns the attribute, or def when the node lacks it.
func (n *Node) String(name, def string) string {
	if a, ok := n.Attrs[name]; ok && a.Kind == KindString {
		return a.String
	}
	return def
}

// Input returns the name of input i, "" when it is left out.
func (n *Node) Input(i int) string {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return ""
}

// Output returns the name of output i, "" when it is left out.
func (n *Node) Output(i int) string {
	if i < len(n.Outputs) {
		return n.Outputs[i]
	}
	return ""
}

// Clone returns a copy that can be changed without changing g. Constants, and the graphs inside of nodes, are shared: they
// are replaced, never written to.
func (g *Graph) Clone() *Graph {
	c := *g
	c.Domains = maps.Clone(g.Domains)
	c.Inputs = slices.Clone(g.Inputs)
	c.Outputs = slices.Clone(g.Outputs)
	c.Initializers = maps.Clone(g.Initializers)
	c.Metadata = maps.Clone(g.Metadata)
	c.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		c.Nodes[i] = n.Clone()
	}
	return &c
}

// Clone returns a copy that can be changed without changing n. Constants and graphs in its attributes are shared.
func (n *Node) Clone() *Node {
	c := *n
	c.Inputs = slices.Clone(n.Inputs)
	c.Outputs = slices.Clone(n.Outputs)
	c.Attrs = maps.Clone(n.Attrs)
	return &c
}

// Dim is a dimension that was seen in two runs of different sizes. It is constant when the two are equal.
type Dim struct{ A, B int64 }

// Constant tells whether d is the same in both runs.
func (d Dim) Constant() bool { return d.A == d.B }

// Types are the types of the tensors of a graph, by name.
type Types map[string]tensor.DType

// Facts are what is known of the tensors of a graph, inputs and initializers included.
type Facts struct {
	Types  Types
	Shapes map[string][]Dim
}
