package gradient_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
)

// openThreads opens a graph that computes each operator on several threads.
func openThreads(t testing.TB, g *onnx.Graph, threads int) engine.Session {
	t.Helper()
	runtime, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Open(t.Context(), engine.Network{Bytes: g.Marshal()}, engine.Options{IntraOpThreads: threads})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// build builds a gradient.
func build(t testing.TB, s subject) *gradient.Graph {
	t.Helper()
	built, err := s.build(t)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// build learns the facts of s and builds its gradient.
func (s *subject) build(t testing.TB) (*gradient.Graph, error) {
	t.Helper()
	s.fill()
	r := rand.New(rand.NewPCG(1, 2))
	facts := learn(t, s.graph, s.inputs(t, r, s.rows), s.inputs(t, r, s.rows+1))
	return gradient.Build(s.graph, facts, s.opts)
}

// count returns how often each operator is in a graph.
func count(g *onnx.Graph) map[string]int {
	ops := map[string]int{}
	for _, n := range g.Nodes {
		ops[n.Op]++
	}
	return ops
}

// refused checks that s is refused, for a reason.
func refused(t *testing.T, s subject, op, why string) {
	t.Helper()
	_, err := s.build(t)
	var known *gradient.UnsupportedError
	if !errors.As(err, &known) || !errors.Is(err, fault.Unsupported) {
		t.Fatalf("Build = %v, want an UnsupportedError", err)
	}
	if known.Op != op || known.Node != "y" || known.Why != why {
		t.Errorf("refused %s at %q: %q\nwant    %s at %q: %q", known.Op, known.Node, known.Why, op, "y", why)
	}
}
