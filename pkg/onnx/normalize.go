package onnx

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

const (
	oldest = 7  // version of the operators that is read: it is the first whose arithmetic broadcasts as all later ones do
	newest = 17 // version that older ones are raised to
)

// Normalize writes g in fewer forms, without changing what it computes:
//   - nodes in order, functions of the file replaced by what they are made of;
//   - constants as initializers, no Identity and no Dropout of inference but those that make an output, nothing that no
//     output needs;
//   - operators of opset 17 or later: what older ones had as attributes are inputs;
//   - float32 where the file has float16, its inputs and outputs included: their numbers are not rounded any more;
//   - inference's BatchNormalization inside of the Conv before it.
//
// It returns [fault.Unsupported] for operators older than opset 7, for inputs that are no tensors, and for forms that
// cannot be raised, and [fault.BadModel] for nodes that contradict themselves or each other. g is then of no use any more.
func (g *Graph) Normalize() error {
	if err := g.refuse(); err != nil {
		return fmt.Errorf("read the network: %w", err)
	}
	if err := g.normalize(); err != nil {
		return fmt.Errorf("read the network: %w", err)
	}
	return nil
}

// refuse returns why g cannot be normalised, as far as its head tells.
func (g *Graph) refuse() error {
	if g.Opset < oldest {
		return fmt.Errorf("%w: its operators are of opset %d, at least %d is needed: convert it to a newer one",
			fault.Unsupported, g.Opset, oldest)
	}
	for _, v := range g.Inputs {
		switch {
		case v.Exotic != "":
			return fmt.Errorf("%w: input %q is a %s, not a tensor", fault.Unsupported, v.Name, v.Exotic)
		case v.Type == 0:
			return fmt.Errorf("%w: input %q has no type", fault.BadModel, v.Name)
		}
	}
	return nil
}

func (g *Graph) normalize() error {
	g.own()
	versions, err := g.inline()
	if err != nil {
		return err
	}
	if err := g.Sort(); err != nil {
		return err
	}
	if err := g.versions(versions); err != nil {
		return err
	}
	if err := g.each(func(h *Graph) error { return h.constants(h != g) }); err != nil {
		return err
	}
	r := raiser{versions: versions, own: g.Opset, names: namer{prefix: g.Fresh("raised")}}
	if err := g.each(r.graph); err != nil {
		return err
	}
	steps := []func(h *Graph) error{(*Graph).shortcuts, (*Graph).widen, (*Graph).foldCasts}
	for _, step := range steps {
		if err := g.each(step); err != nil {
			return err
		}
	}
	f := folder{names: namer{prefix: g.Fresh("folded")}}
	if err := g.each(f.graph); err != nil {
		return err
	}
	g.Opset, g.IR = max(g.Opset, newest), max(g.IR, 8)
	g.Prune()
	g.forgetDomains()
	return nil
}

// constants makes initializers of the Constant nodes. A graph inside of another may not hand out an initializer.
func (g *Graph) constants(inside bool) error {
	var kept []*Node
	for _, n := range g.Nodes {
		if _, output := g.Output(n.Output(0)); !n.is("Constant") || inside && output {
			kept = append(kept, n)
			continue
		}
		c, err := n.constant()
		if err != nil {
			return err
		}
		g.Initializers[n.Output(0)] = c
	}
	g.Nodes = kept
	return nil
}

// constant returns what a Constant node makes.
func (n *Node) constant() (*Constant, error) {
	if len(n.Outputs) != 1 || n.Outputs[0] == "" {
		return nil, n.refuse(fault.BadModel, "it has %d outputs, want one", len(n.Outputs))
	}
	for name, a := range n.Attrs {
		switch name {
		case "value":
			if a.Tensor != nil {
				return a.Tensor, nil
			}
		case "value_float":
			return Of([]float32{a.Float}), nil
		case "value_floats":
			return Of(slices.Clone(a.Floats), int64(len(a.Floats))), nil
		case "value_int":
			return Of([]int64{a.Int}), nil
		case "value_ints":
			return Of(slices.Clone(a.Ints), int64(len(a.Ints))), nil
		case "value_string":
			return Of([]string{a.String}), nil
		case "value_strings":
			return Of(slices.Clone(a.Strings), int64(len(a.Strings))), nil
		case "sparse_value":
			return nil, n.refuse(fault.Unsupported, "its value is sparse: save the network with dense ones")
		}
	}
	return nil, n.refuse(fault.BadModel, "it has no value")
}

// shortcuts removes the nodes that hand their input through.
func (g *Graph) shortcuts() error {
	read := g.Readers()
	to := map[string]string{}
	var kept []*Node
	for _, n := range g.Nodes {
		in, out := n.Input(0), n.Output(0)
		_, output := g.Output(out)
		if output || in == "" || out == "" || !n.is("Identity") && !g.idle(n, read) {
			kept = append(kept, n)
			continue
		}
		if other, ok := to[in]; ok {
			in = other
		}
		to[out] = in
	}
	g.Nodes = kept
	g.rename(to)
	return nil
}

// idle tells whether n is a Dropout that is not training, and whose mask nobody wants.
func (g *Graph) idle(n *Node, read map[string][]*Node) bool {
	if !n.is("Dropout") {
		return false
	}
	mask := n.Output(1)
	if _, output := g.Output(mask); mask != "" && (output || len(read[mask]) > 0) {
		return false
	}
	return !g.training(n, 2)
}

// training tells whether input i of n, a constant truth, may be set.
func (g *Graph) training(n *Node, i int) bool {
	name := n.Input(i)
	if name == "" {
		return false
	}
	c := g.Initializers[name]
	return c == nil || c.Type.DType() != tensor.Bool || !slices.Equal(c.Raw, []byte{0})
}

// forgetDomains drops the versions of operators that no node applies: of functions that are no more.
func (g *Graph) forgetDomains() {
	used := map[string]bool{}
	_ = g.each(func(h *Graph) error {
		for _, n := range h.Nodes {
			used[n.Domain] = true
		}
		return nil
	})
	maps.DeleteFunc(g.Domains, func(domain string, _ int64) bool { return !used[domain] })
}
