//go:build cgo

package onnx_test

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// shared is the runtime of this process.
var shared = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := library.Find(context.Background(), library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(context.Background(), ort.Options{Library: path})
})

// open opens g as it stands: the runtime rewrites nothing.
func open(t *testing.T, g *onnx.Graph) engine.Session {
	t.Helper()
	r, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Open(t.Context(), engine.Network{Bytes: g.Marshal()}, engine.Options{IntraOpThreads: 1, Optimization: engine.OptimizeNone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run returns what g answers.
func run(t *testing.T, g *onnx.Graph, in tensor.Named) tensor.Named {
	t.Helper()
	out, err := open(t, g).Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// typesOf asks the runtime for the types of g's tensors.
func typesOf(t *testing.T, g *onnx.Graph) onnx.Types {
	t.Helper()
	types := onnx.Types{}
	for _, v := range open(t, g.TypeProbe()).Signature().Outputs {
		types[v.Name] = v.DType
	}
	return types
}

// learn probes g with two inputs.
func learn(t *testing.T, g *onnx.Graph, first, second tensor.Named) onnx.Facts {
	t.Helper()
	types := typesOf(t, g)
	probe := open(t, g.ShapeProbe(types))
	var seen [2]onnx.Probed
	for i, in := range []tensor.Named{first, second} {
		out, err := probe.Run(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if seen[i], err = g.ReadProbe(out); err != nil {
			t.Fatal(err)
		}
	}
	facts, err := g.Learn(seen[0], seen[1], types)
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// near compares tensors of numbers; limit is relative to the largest.
func near(t *testing.T, what string, got, want tensor.Named, limit float64) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("%s: outputs (-want +got):\n%s", what, diff)
	}
	for name, w := range want {
		if diff := cmp.Diff(w.Shape(), got[name].Shape()); diff != "" {
			t.Fatalf("%s: shape of %q (-want +got):\n%s", what, name, diff)
		}
		a, err := tensor.Float32s(got[name])
		if err != nil {
			t.Fatal(err)
		}
		b, err := tensor.Float32s(w)
		if err != nil {
			t.Fatal(err)
		}
		worst, largest := 0.0, 0.0
		for i := range b {
			worst = max(worst, math.Abs(float64(a[i])-float64(b[i])))
			largest = max(largest, math.Abs(float64(b[i])))
		}
		if !(worst <= limit*largest) {
			t.Errorf("%s: %q differs by %g of %g, at most %g of it is allowed", what, name, worst, largest, limit)
		}
	}
}

// of returns a tensor.
func of[T tensor.Element](t *testing.T, shape []int64, data ...T) tensor.Tensor {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func noisy(t *testing.T, shape ...int64) tensor.Tensor {
	t.Helper()
	return of(t, shape, noise(shape...)...)
}
