package onnx

import (
	"fmt"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Sort puts every node after those that it reads from, and changes nothing when they are in order. It returns
// [fault.BadModel] when a tensor is read that nothing makes, is made twice, or depends on itself.
func (g *Graph) Sort() error {
	s := sorter{nodes: g.Nodes, made: make(map[string]bool, len(g.Nodes)), waiting: map[string][]int{}, missing: make([]int, len(g.Nodes))}
	known, err := s.define(g)
	if err != nil {
		return err
	}
	for i, n := range g.Nodes {
		if err := s.await(i, n, known); err != nil {
			return err
		}
	}
	for _, v := range g.Outputs {
		if !known[v.Name] && !s.made[v.Name] {
			return fmt.Errorf("%w: nothing makes the output %q", fault.BadModel, v.Name)
		}
	}
	for i := range g.Nodes {
		s.release(i)
	}
	if len(s.order) < len(g.Nodes) {
		for i, n := range g.Nodes {
			if s.missing[i] > 0 {
				return n.refuse(fault.BadModel, "it depends on itself, or on a node that does")
			}
		}
	}
	g.Nodes = s.order
	return nil
}

// sorter puts nodes in order.
type sorter struct {
	nodes   []*Node
	made    map[string]bool  // by nodes
	waiting map[string][]int // the nodes that read a tensor
	missing []int            // how many tensors a node waits for
	order   []*Node
}

// define notes the tensors that nodes make, and returns those that are there from the start.
func (s *sorter) define(g *Graph) (map[string]bool, error) {
	known := map[string]bool{"": true}
	for _, v := range g.Inputs {
		if known[v.Name] {
			return nil, fmt.Errorf("%w: there are two inputs %q, or one without a name", fault.BadModel, v.Name)
		}
		known[v.Name] = true
	}
	for name := range g.Initializers {
		known[name] = true
	}
	for _, n := range g.Nodes {
		for _, name := range n.Outputs {
			if name == "" {
				continue
			}
			if known[name] || s.made[name] {
				return nil, n.refuse(fault.BadModel, "tensor %q is made twice", name)
			}
			s.made[name] = true
		}
	}
	return known, nil
}

// await notes which tensors node i waits for.
func (s *sorter) await(i int, n *Node, known map[string]bool) error {
	for _, name := range n.reads() {
		if known[name] {
			continue
		}
		if !s.made[name] {
			return n.refuse(fault.BadModel, "it reads %q, which nothing makes", name)
		}
		s.waiting[name] = append(s.waiting[name], i)
		s.missing[i]++
	}
	return nil
}

// release puts node i in its place if it waits for nothing, and those before it that waited for it alone.
func (s *sorter) release(i int) {
	if s.missing[i] > 0 {
		return
	}
	for ready := []int{i}; len(ready) > 0; {
		n := s.nodes[ready[len(ready)-1]]
		ready = ready[:len(ready)-1]
		s.order = append(s.order, n)
		for _, name := range n.Outputs {
			for _, reader := range s.waiting[name] {
				if s.missing[reader]--; s.missing[reader] == 0 && reader < i {
					ready = append(ready, reader)
				}
			}
		}
	}
}
