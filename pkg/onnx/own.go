package onnx

import "slices"

// own replaces the graphs inside of g's nodes by copies, all the way down, so that they can be written to.
func (g *Graph) own() {
	for _, n := range g.Nodes {
		n.own(owned)
	}
}

// own replaces the graphs inside of n.
func (n *Node) own(change func(h *Graph) *Graph) {
	for name, a := range n.Attrs {
		if a.Graph != nil || a.Graphs != nil {
			n.Attrs[name] = a.own(change)
		}
	}
}

// own returns the attribute with other graphs.
func (a Attr) own(change func(h *Graph) *Graph) Attr {
	if a.Graph != nil {
		a.Graph = change(a.Graph)
	}
	a.Graphs = slices.Clone(a.Graphs)
	for i, h := range a.Graphs {
		a.Graphs[i] = change(h)
	}
	return a
}

// owned returns a copy of g that can be written to, and so can the graphs inside of it.
func owned(g *Graph) *Graph {
	c := g.Clone()
	c.own()
	return c
}

// rename gives the tensors that g reads, in its nodes and in the graphs inside of them, other names: as those that made
// them have gone. It needs [Graph.own] before.
func (g *Graph) rename(to map[string]string) {
	for _, n := range g.Nodes {
		for i, name := range n.Inputs {
			if other, ok := to[name]; ok {
				n.Inputs[i] = other
			}
		}
		for _, h := range n.graphs() {
			h.rename(to)
			for i, v := range h.Outputs {
				if other, ok := to[v.Name]; ok {
					h.Outputs[i].Name = other
				}
			}
		}
	}
}
