package bench_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// network is a network of pairs of numbers that counts the rows it is asked about.
type network struct {
	batch int64 // -1: any
	rows  []int64
	last  float32
	open  int
}

func (n *network) opener(_ context.Context, _ engine.Network, _ engine.Options) (engine.Session, error) {
	n.open++
	return n, nil
}

func (n *network) Run(_ context.Context, in tensor.Named, _ ...string) (tensor.Named, error) {
	n.rows = append(n.rows, in["x"].Shape()[0])
	data, err := tensor.Data[float32](in["x"])
	if err == nil {
		n.last = data[0]
	}
	return tensor.Named{}, err
}

func (n *network) Signature() engine.Signature {
	return engine.Signature{Inputs: []engine.Value{{Name: "x", DType: tensor.Float32, Shape: []engine.Dim{{Size: n.batch}, {Size: 2}}}}}
}

func (n *network) Close() error {
	n.open--
	return nil
}

func pair(t *testing.T, v float32) tensor.Named {
	t.Helper()
	x, err := tensor.New([]int64{1, 2}, []float32{v, v})
	if err != nil {
		t.Fatal(err)
	}
	return tensor.Named{"x": x}
}

func TestBare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		batch int64
		want  []string
	}{
		{"any batch", -1, []string{
			"workers 3, threads 1, batch 1", "workers 3, threads 1, batch 2", "workers 3, threads 1, batch 4", "workers 1, threads 2, batch 1",
			"workers 1, threads 2, batch 2", "workers 1, threads 2, batch 4", "workers 1, threads 3, batch 1", "workers 1, threads 3, batch 2",
			"workers 1, threads 3, batch 4",
		}},
		{"one row", 1, []string{"workers 3, threads 1, batch 1", "workers 1, threads 2, batch 1", "workers 1, threads 3, batch 1"}},
		{"three rows", 3, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := &network{batch: tt.batch}
			b, err := bench.OpenBare(t.Context(), engine.Network{}, n.opener, pair(t, 1), bench.Limits{Cores: 3, Batch: 5})
			if tt.want == nil {
				if !errors.Is(err, fault.Unsupported) || n.open != 0 {
					t.Errorf("error %v with %d sessions open, want %v with none", err, n.open, fault.Unsupported)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range b.Loops() {
				got = append(got, l.String())
				if err := l.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if rows := n.rows[len(n.rows)-1]; rows != int64(l.Requests) {
					t.Errorf("%v ran %d rows", l, rows)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("loops (-want +got):\n%s", diff)
			}
			if err := b.Close(); err != nil || n.open != 0 {
				t.Errorf("%d sessions are open, error %v", n.open, err)
			}
		})
	}
}

// TestFastest takes the loop that gets through most, and counts what it does.
func TestFastest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		loop := func(requests int) bench.Loop {
			return bench.Loop{Workers: 2, Threads: 1, Requests: requests, Run: func(ctx context.Context) error {
				return after(time.Millisecond)(ctx, 0)
			}}
		}
		best, err := bench.Fastest(t.Context(), []bench.Loop{loop(1), loop(3), loop(2)}, 10*time.Millisecond)
		if err != nil || best.Requests != 3 {
			t.Errorf("%v, %v; want the one with 3 requests", best, err)
		}
		if rate, err := best.Rate(t.Context(), 10*time.Millisecond); rate != 6000 || err != nil {
			t.Errorf("%g a second, %v; want 6000", rate, err)
		}
		broken := bench.Loop{Workers: 2, Requests: 1, Run: func(context.Context) error { return fault.Internal }}
		if _, err := broken.Rate(t.Context(), time.Hour); !errors.Is(err, fault.Internal) {
			t.Errorf("error %v, want %v", err, fault.Internal)
		}
	})
}

// TestTap remembers what was asked last, in memory of its own, of the first network, until it is closed.
func TestTap(t *testing.T) {
	t.Parallel()
	n, tap := &network{batch: -1}, &bench.Tap{}
	open := tap.Opener(n.opener)
	session, err := open(t.Context(), engine.Network{Path: "first"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := open(t.Context(), engine.Network{Path: "gradient"}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(s engine.Session, in tensor.Named) {
		if _, err := s.Run(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	in := pair(t, 7)
	ask(session, pair(t, 5))
	ask(session, in)
	ask(other, pair(t, 6))
	data, err := tensor.Data[float32](in["x"])
	if err != nil {
		t.Fatal(err)
	}
	data[0] = 8
	net, last := tap.Close()
	ask(session, pair(t, 9))
	got, err := tensor.Data[float32](last["x"])
	if err != nil || net.Path != "first" || !slices.Equal(got, []float32{7, 7}) {
		t.Errorf("network %q asked %v, %v; want first asked [7 7]", net.Path, got, err)
	}
}

// TestSweep tries larger batches as long as they gain, and fewer callers where answers take too long.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tried []string
		opts := bench.SweepOptions{
			Cores: 2, Batch: 64, Limit: 50 * time.Millisecond,
			Measure: func(ctx context.Context, a bench.Arrangement, callers int) (*bench.Result, error) {
				// A batch takes 8 ms and a row 4 ms, of which two threads save a quarter; who does not run waits.
				took := time.Duration(2+a.Batch) * 4 * time.Millisecond
				if a.Threads == 2 {
					took = took * 3 / 4
				}
				took = took * time.Duration(callers) / time.Duration(min(a.Workers, 2/a.Threads)*a.Batch)
				return bench.Run(ctx, after(took), bench.Options{Concurrency: callers, Duration: 10 * time.Second, Clock: timers{}})
			},
			Tried: func(tr bench.Trial) {
				tried = append(tried, fmt.Sprintf("%dx%d batch %d callers %d %t", tr.Workers, tr.Threads, tr.Batch, tr.Concurrency, tr.Within))
			},
		}
		best, err := bench.Sweep(t.Context(), opts)
		if err != nil || best == nil {
			t.Fatal(best, err)
		}
		want := []string{
			"2x1 batch 1 callers 4 true", "2x1 batch 2 callers 8 true", "2x1 batch 4 callers 16 true", "2x1 batch 8 callers 32 false", "2x1 batch 8 callers 16 true",
			"2x1 batch 16 callers 64 false", "2x1 batch 16 callers 32 false",
			"4x1 batch 1 callers 8 true", "4x1 batch 2 callers 16 false", "4x1 batch 2 callers 8 true", "4x1 batch 4 callers 32 false", "4x1 batch 4 callers 16 true",
			"4x1 batch 8 callers 64 false", "4x1 batch 8 callers 32 false",
			"1x2 batch 1 callers 2 true", "1x2 batch 2 callers 4 true", "1x2 batch 4 callers 8 true", "1x2 batch 8 callers 16 false", "1x2 batch 8 callers 8 true",
			"1x2 batch 16 callers 32 false", "1x2 batch 16 callers 16 false",
			"2x2 batch 1 callers 4 true", "2x2 batch 2 callers 8 true", "2x2 batch 4 callers 16 false", "2x2 batch 4 callers 8 true",
			"2x2 batch 8 callers 32 false", "2x2 batch 8 callers 16 false",
		}
		if diff := cmp.Diff(want, tried); diff != "" {
			t.Errorf("tried (-want +got):\n%s", diff)
		}
		if (best.Arrangement != bench.Arrangement{Workers: 2, Threads: 1, Batch: 8}) {
			t.Errorf("best is %v, want 2 workers of 1 thread with batches of 8", best.Arrangement)
		}
		opts.Limit = time.Nanosecond
		if best, err := bench.Sweep(t.Context(), opts); best != nil || err != nil {
			t.Errorf("%v, %v: want none within a nanosecond", best, err)
		}
	})
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	image := func(shape ...int64) []model.Value {
		return []model.Value{{Name: "x", DType: tensor.Float32, Shape: shape}}
	}
	tests := []struct {
		handler string
		inputs  []model.Value
		what    string
		kind    fault.Kind
	}{
		{"image_classifier", image(-1, 1, 28, 20), "a generated picture of 20 by 28", 0},
		{"object_detector", image(1, 60, 40, 3), "a generated picture of 40 by 60", 0},
		{"image_segmenter", image(-1, 3, -1, -1), "a generated picture of 224 by 224", 0},
		{"image_classifier", image(-1, 784), "a generated picture of 224 by 224", 0},
		{"text_classifier", make([]model.Value, 3), "a generated sentence", 0},
		{"base_handler", image(-1, 2, 3), "zeros, as JSON", 0},
		{"base_handler", image(4096, 4096), "", fault.Unsupported},
		{"base_handler", make([]model.Value, 2), "", fault.Unsupported},
		{"mine", image(1), "", fault.Unsupported},
	}
	for _, tt := range tests {
		in, what, err := bench.Generate(tt.handler, tt.inputs)
		if tt.what == "" {
			if !errors.Is(err, tt.kind) {
				t.Errorf("%s of %v: error %v, want %v", tt.handler, tt.inputs, err, tt.kind)
			}
			continue
		}
		if err != nil || what != tt.what || len(in.Data) == 0 {
			t.Errorf("%s of %v: %q of %d bytes, %v; want %q", tt.handler, tt.inputs, what, len(in.Data), err, tt.what)
		}
		if tt.handler == "base_handler" && string(in.Data) != "[[[0,0,0],[0,0,0]]]" {
			t.Errorf("zeros %s", in.Data)
		}
	}
}
