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
func openThreads(tb testing.TB, g *onnx.Graph, threads int) engine.Session {
	tb.Helper()
	runtime, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	s, err := runtime.Open(tb.Context(), engine.Network{Bytes: g.Marshal()}, engine.Options{IntraOpThreads: threads})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// build builds a gradient.
func build(tb testing.TB, s subject) *gradient.Graph {
	tb.Helper()
	built, err := s.build(tb)
	if err != nil {
		tb.Fatal(err)
	}
	return built
}

// build learns the facts of s and builds its gradient.
func (s *subject) build(tb testing.TB) (*gradient.Graph, error) {
	tb.Helper()
	s.fill()
	r := rand.New(rand.NewPCG(1, 2))
	facts := learn(tb, s.graph, s.inputs(tb, r, s.rows), s.inputs(tb, r, s.rows+1))
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
