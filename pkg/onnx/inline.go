package onnx

import (
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

const (
	maxCalls = 32      // of functions inside of each other
	maxNodes = 1 << 18 // that functions may become
)

// key is what a node names a function by.
type key struct{ domain, name, overload string }

func keyOf(domain, name, overload string) key {
	if domain == "ai.onnx" {
		domain = ""
	}
	return key{domain, name, overload}
}

// inliner puts the nodes of functions in the place of their calls.
type inliner struct {
	functions map[key]*Function
	names     namer
	made      int              // nodes so far, long names counted as more
	version   map[*Node]int64  // of the operators, for the nodes of functions
	domains   map[string]int64 // that the functions use
}

// inline replaces the calls of g's functions by what they are made of, and tells which version of the operators each of
// these nodes is written for.
func (g *Graph) inline() (map[*Node]int64, error) {
	if len(g.Functions) == 0 {
		return nil, nil
	}
	in := inliner{
		functions: map[key]*Function{}, names: namer{prefix: g.Fresh("call")}, version: map[*Node]int64{}, domains: map[string]int64{},
	}
	for _, f := range g.Functions {
		in.functions[keyOf(f.Domain, f.Name, f.Overload)] = f
	}
	nodes, err := in.nodes(g.Nodes, 0)
	if err != nil {
		return nil, err
	}
	g.Nodes, g.Functions = nodes, nil
	if g.Domains == nil {
		g.Domains = map[string]int64{}
	}
	for domain, version := range in.domains {
		if _, ok := g.Domains[domain]; !ok {
			g.Domains[domain] = version
		}
	}
	return in.version, nil
}

func (in *inliner) nodes(nodes []*Node, depth int) ([]*Node, error) {
	out := make([]*Node, 0, len(nodes))
	for _, n := range nodes {
		for _, h := range n.graphs() {
			inside, err := in.nodes(h.Nodes, depth)
			if err != nil {
				return nil, err
			}
			h.Nodes = inside
		}
		f := in.functions[keyOf(n.Domain, n.Op, n.Overload)]
		if f == nil {
			out = append(out, n)
			continue
		}
		if depth >= maxCalls || in.made > maxNodes {
			return nil, n.refuse(fault.BadModel, "it calls itself, or too many functions inside of each other")
		}
		body, err := in.nodes(in.body(f, n), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
	}
	return out, nil
}

// body returns the nodes of a function with the names and attributes that a call gives them.
func (in *inliner) body(f *Function, call *Node) []*Node {
	c := caller{f: f, call: call, names: map[string]string{"": ""}, prefix: in.names.name("")}
	var nodes []*Node
	for i, name := range f.Inputs {
		c.names[name] = call.Input(i)
	}
	for i, name := range f.Outputs {
		out := call.Output(i)
		if slices.Contains(f.Inputs, name) { // handed through
			if out != "" {
				nodes = append(nodes, &Node{Op: "Identity", Inputs: []string{c.names[name]}, Outputs: []string{out}})
			}
			continue
		}
		if out == "" {
			out = c.prefix + name
		}
		c.names[name] = out
	}
	maps.Copy(in.domains, f.Domains)
	inside := make([]*Node, len(f.Nodes))
	for i, n := range f.Nodes {
		inside[i] = in.node(&c, n)
	}
	return append(inside, nodes...)
}

// caller is one call of a function.
type caller struct {
	f      *Function
	call   *Node
	names  map[string]string // of the function's inputs and outputs
	prefix string            // of its other tensors and its nodes
}

func (c *caller) tensor(name string) string {
	if outer, ok := c.names[name]; ok {
		return outer
	}
	return c.prefix + name
}

func (c *caller) tensors(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = c.tensor(name)
	}
	return out
}

func (in *inliner) node(c *caller, n *Node) *Node {
	in.made++
	for _, name := range slices.Concat(n.Inputs, n.Outputs) {
		in.made += len(name) >> 8
	}
	made := &Node{
		Op: n.Op, Domain: n.Domain, Overload: n.Overload,
		Inputs: c.tensors(n.Inputs), Outputs: c.tensors(n.Outputs), Attrs: make(map[string]Attr, len(n.Attrs)),
	}
	if n.Name != "" {
		made.Name = c.prefix + n.Name // two nodes may not have one name
	}
	if c.f.Opset != 0 {
		in.version[made] = c.f.Opset
	}
	for name, a := range n.Attrs {
		if a.Ref != "" {
			given, ok := c.call.Attrs[a.Ref]
			if !ok {
				given, ok = c.f.Defaults[a.Ref]
			}
			if !ok {
				continue
			}
			made.Attrs[name] = given.own(owned) // its names are the caller's
			continue
		}
		made.Attrs[name] = a.own(func(h *Graph) *Graph { return in.graph(c, h) })
	}
	return made
}

// graph returns a copy of a graph inside of a function, as the call makes it.
func (in *inliner) graph(c *caller, h *Graph) *Graph {
	made := &Graph{Name: h.Name, Inputs: slices.Clone(h.Inputs), Outputs: slices.Clone(h.Outputs), Initializers: map[string]*Constant{}}
	for i, v := range made.Inputs {
		made.Inputs[i].Name = c.tensor(v.Name)
	}
	for i, v := range made.Outputs {
		made.Outputs[i].Name = c.tensor(v.Name)
	}
	for name, constant := range h.Initializers {
		made.Initializers[c.tensor(name)] = constant
	}
	for _, n := range h.Nodes {
		made.Nodes = append(made.Nodes, in.node(c, n))
	}
	return made
}

// versions checks that the nodes of functions can stand beside those of g, and returns the version that each is written
// for: g's own when the map lacks it.
func (g *Graph) versions(of map[*Node]int64) error {
	return g.each(func(h *Graph) error {
		for _, n := range h.Nodes {
			v, ok := of[n]
			switch {
			case !ok || v == g.Opset || n.Domain != "":
			case v < oldest:
				return n.refuse(fault.Unsupported, "its function is written for opset %d, at least %d is needed", v, oldest)
			case v > newest || g.Opset > newest:
				return n.refuse(fault.Unsupported, "its function is written for opset %d, the network for %d: save it with one", v, g.Opset)
			}
		}
		return nil
	})
}
