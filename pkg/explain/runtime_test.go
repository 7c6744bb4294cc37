//go:build cgo

package explain_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// shared is the runtime of this process, over the library that any user gets.
var shared = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := library.Find(context.Background(), library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(context.Background(), ort.Options{Library: path})
})

// opener opens networks, and counts those that were made here: gradients and probes.
type opener struct {
	made  atomic.Int32
	full  atomic.Int32                        // of them, those that the runtime may optimize
	about func(made *onnx.Graph) error        // told of each before it is opened; nil: nobody is
	wrap  func(engine.Session) engine.Session // nil: nothing does
}

func (o *opener) open(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
	runtime, err := shared()
	if err != nil {
		return nil, err
	}
	if net.Bytes == nil {
		return runtime.Open(ctx, net, opts)
	}
	if err := o.count(net.Bytes, opts); err != nil {
		return nil, err
	}
	s, err := runtime.Open(ctx, net, opts)
	if err == nil && o.wrap != nil {
		s = o.wrap(s)
	}
	return s, err
}

// count counts a network that was made here.
func (o *opener) count(data []byte, opts engine.Options) error {
	o.made.Add(1)
	if opts.Optimization == engine.OptimizeAll {
		o.full.Add(1)
	}
	if o.about == nil {
		return nil
	}
	g, err := onnx.Unmarshal(data, nil)
	if err != nil {
		return err
	}
	return o.about(g)
}

// subject is a network under test.
type subject struct {
	*explain.Network

	path    string
	session engine.Session
	opener  *opener
	options engine.Options
}

// differentiable returns the network of a file, for the length of the test.
func differentiable(tb testing.TB, path string, change ...func(*explain.NetworkOptions)) *subject {
	tb.Helper()
	s := &subject{path: path, opener: &opener{}, options: engine.Options{IntraOpThreads: 1}}
	opts := explain.NetworkOptions{Path: path, Open: s.opener.open, Engine: s.options}
	for _, c := range change {
		c(&opts)
	}
	s.options = opts.Engine
	var err error
	if s.session, err = s.opener.open(tb.Context(), engine.Network{Path: path}, opts.Engine); err != nil {
		tb.Fatal(err)
	}
	opts.Session = s.session
	if s.Network, err = explain.NewNetwork(opts); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
		if err := s.session.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// everything is what a network's function keeps.
type everything interface {
	explain.Differentiable
	explain.Layered
	explain.Ruled
	explain.Cutter
	explain.Outputter
	explain.Sizer
	explain.Approximator
}

// at returns an output of the network as a function.
func (s *subject) at(tb testing.TB, output string, scores explain.Scores, row tensor.Named) everything {
	tb.Helper()
	f, err := s.At(tb.Context(), explain.Wanted{Output: output, Scores: scores}, row)
	if err != nil {
		tb.Fatal(err)
	}
	return f.(everything)
}

// run runs the network itself.
func (s *subject) run(tb testing.TB, in tensor.Named) tensor.Named {
	tb.Helper()
	out, err := s.session.Run(tb.Context(), in)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// file writes a graph where it is found for the length of the test.
func file(tb testing.TB, g *onnx.Graph) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "network.onnx")
	if err := os.WriteFile(path, g.Marshal(), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// row returns row i alone.
func row(tb testing.TB, rows tensor.Named, i int) tensor.Named {
	tb.Helper()
	one, err := rows.Rows(int64(i), int64(i)+1)
	if err != nil {
		tb.Fatal(err)
	}
	return one
}

// zeros returns a baseline of zeros for each of the inputs that hold floats.
func zeros(tb testing.TB, in tensor.Named) tensor.Named {
	tb.Helper()
	return filled(tb, in, 0)
}

// filled returns a baseline of one number.
func filled(tb testing.TB, in tensor.Named, with float32) tensor.Named {
	tb.Helper()
	b := tensor.Named{}
	for name, t := range in {
		if t.DType() == tensor.Float32 {
			b[name] = must(tb, t.Shape(), slices.Repeat([]float32{with}, t.Len()))
		}
	}
	return b
}

// apart returns by how much a vector is off, at most, as a part of the largest value wanted.
func apart(got []float32, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	largest, off := 1e-12, 0.0
	for i, w := range want {
		largest = max(largest, math.Abs(w))
		off = max(off, math.Abs(float64(got[i])-w))
	}
	return off / largest
}

// agree fails the test where a vector is off by more than limit allows.
func agree(tb testing.TB, what string, got []float32, want []float64, limit float64) {
	tb.Helper()
	if off := apart(got, want); !(off <= limit) {
		tb.Errorf("%s: %d values are off by %.2g of the largest of %d, at most %.2g is allowed", what, len(got), off, len(want), limit)
	} else {
		tb.Logf("%s: off by %.2g of the largest", what, off)
	}
}
