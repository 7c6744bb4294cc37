package onnx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Producer returns the node that makes a tensor; nil for inputs, initializers and what g does not know. Each call looks
// through all the nodes: see [Graph.Producers] for many questions.
func (g *Graph) Producer(tensor string) *Node {
	if tensor == "" {
		return nil
	}
	for _, n := range g.Nodes {
		if slices.Contains(n.Outputs, tensor) {
			return n
		}
	}
	return nil
}

// Consumers returns the nodes that read a tensor, in order, also those that have a graph inside which does. Each call looks
// through all the nodes: see [Graph.Readers] for many questions.
func (g *Graph) Consumers(tensor string) []*Node {
	if tensor == "" {
		return nil
	}
	var found []*Node
	for _, n := range g.Nodes {
		if slices.Contains(n.reads(), tensor) {
			found = append(found, n)
		}
	}
	return found
}

// Producers returns the node that makes each tensor. It does not follow later changes of g.
func (g *Graph) Producers() map[string]*Node {
	made := make(map[string]*Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			if name != "" {
				made[name] = n
			}
		}
	}
	return made
}

// Readers returns the nodes that read each tensor, in order and each once, with those that have a graph inside which does.
// It does not follow later changes of g.
func (g *Graph) Readers() map[string][]*Node {
	read := make(map[string][]*Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, name := range n.reads() {
			if of := read[name]; len(of) == 0 || of[len(of)-1] != n {
				read[name] = append(of, n)
			}
		}
	}
	return read
}

// Input returns the input of that name.
func (g *Graph) Input(name string) (Value, bool) { return find(g.Inputs, name) }

// Output returns the output of that name.
func (g *Graph) Output(name string) (Value, bool) { return find(g.Outputs, name) }

func find(values []Value, name string) (Value, bool) {
	i := slices.IndexFunc(values, func(v Value) bool { return v.Name == name })
	if i < 0 {
		return Value{}, false
	}
	return values[i], true
}

// label says in a message which node is meant.
func (n *Node) label() string {
	op := n.Op
	if n.Domain != "" {
		op = n.Domain + "." + op
	}
	switch {
	case n.Name != "":
		return fmt.Sprintf("%s %q", op, n.Name)
	case n.Output(0) != "":
		return fmt.Sprintf("%s that makes %q", op, n.Output(0))
	}
	return op
}

// refuse returns an error that names the node.
func (n *Node) refuse(kind fault.Kind, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", kind, n.label(), fmt.Sprintf(format, args...))
}

// is tells whether n applies an operator of ONNX's own domain.
func (n *Node) is(ops ...string) bool { return n.Domain == "" && slices.Contains(ops, n.Op) }

// graphs returns the graphs inside of n, in the order of the attributes' names.
func (n *Node) graphs() []*Graph {
	var names []string
	for name, a := range n.Attrs {
		if a.Graph != nil || a.Graphs != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var inside []*Graph
	for _, name := range names {
		if a := n.Attrs[name]; a.Graph != nil {
			inside = append(inside, a.Graph)
		}
		inside = append(inside, n.Attrs[name].Graphs...)
	}
	return inside
}

// reads returns the tensors that n needs: its inputs, and what the graphs inside of it take from outside.
func (n *Node) reads() []string {
	inside := n.graphs()
	if len(inside) == 0 {
		return n.Inputs
	}
	names := slices.Clone(n.Inputs)
	for _, h := range inside {
		names = append(names, h.free()...)
	}
	return names
}

// free returns the tensors that g reads and does not make: those of the graph around it.
func (g *Graph) free() []string {
	own := map[string]bool{"": true}
	g.defines(func(name string) { own[name] = true })
	var names []string
	read := func(name string) {
		if !own[name] {
			own[name] = true
			names = append(names, name)
		}
	}
	for _, n := range g.Nodes {
		for _, name := range n.reads() {
			read(name)
		}
	}
	for _, v := range g.Outputs {
		read(v.Name)
	}
	return names
}

// defines calls do with each tensor of g, but not of the graphs inside.
func (g *Graph) defines(do func(name string)) {
	for _, v := range g.Inputs {
		do(v.Name)
	}
	for name := range g.Initializers {
		do(name)
	}
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			if name != "" {
				do(name)
			}
		}
	}
}

// each calls do with g and every graph inside of its nodes, the outer ones first.
func (g *Graph) each(do func(h *Graph) error) error {
	if err := do(g); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		for _, h := range n.graphs() {
			if err := h.each(do); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fresh returns a prefix that no name in g begins with, made of the one given: names that begin with it are free.
func (g *Graph) Fresh(prefix string) string {
	names := map[string]bool{}
	taken := func(name string) {
		if strings.HasPrefix(name, prefix) {
			names[name] = true
		}
	}
	_ = g.each(func(h *Graph) error {
		h.defines(taken)
		for _, n := range h.Nodes {
			taken(n.Name)
		}
		for _, name := range h.free() {
			taken(name)
		}
		return nil
	})
	for i := 1; ; i++ {
		fresh := prefix + "/"
		if i > 1 {
			fresh = prefix + strconv.Itoa(i) + "/"
		}
		used := false
		for name := range names {
			used = used || strings.HasPrefix(name, fresh)
		}
		if !used {
			return fresh
		}
	}
}

// namer makes names that a graph does not use.
type namer struct {
	prefix string
	made   int
}

func (n *namer) name(hint string) string {
	n.made++
	return n.prefix + strconv.Itoa(n.made) + "/" + hint
}

// Prune drops the nodes and initializers that no output needs. Inputs stay.
func (g *Graph) Prune() {
	needed := map[string]bool{}
	for _, v := range g.Outputs {
		needed[v.Name] = true
	}
	made := g.Producers()
	keep := make(map[*Node]bool, len(g.Nodes))
	var todo []*Node
	want := func(name string) {
		needed[name] = true
		if n := made[name]; n != nil && !keep[n] {
			keep[n] = true
			todo = append(todo, n)
		}
	}
	for _, v := range g.Outputs {
		want(v.Name)
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, name := range n.reads() {
			want(name)
		}
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *Node) bool { return !keep[n] })
	for name := range g.Initializers {
		if !needed[name] {
			delete(g.Initializers, name)
		}
	}
}
