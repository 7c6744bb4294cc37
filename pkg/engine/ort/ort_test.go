//go:build cgo

package ort_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines are the log lines of the runtime that the tests share.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var (
	logged lines
	// shared is the runtime of this process: started by the first test that asks, over the library that any user gets.
	shared = sync.OnceValues(func() (*ort.Runtime, error) {
		path, err := library.Find(context.Background(), library.Options{})
		if err != nil {
			return nil, err
		}
		logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		return ort.Start(context.Background(), ort.Options{Library: path, Logger: logger})
	})
)

func started(tb testing.TB) *ort.Runtime {
	tb.Helper()
	r, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func network(name string) engine.Network {
	return engine.Network{Path: filepath.Join("testdata", name+".onnx")}
}

func open(tb testing.TB, name string) engine.Session {
	tb.Helper()
	s, err := started(tb).Open(tb.Context(), network(name), engine.Options{IntraOpThreads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func of[T tensor.Element](tb testing.TB, shape []int64, data ...T) tensor.Tensor {
	tb.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func dataOf[T tensor.Element](tb testing.TB, x tensor.Tensor) []T {
	tb.Helper()
	data, err := tensor.Data[T](x)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	r := started(t)
	if got := r.Version(); !strings.HasPrefix(got, "1.") {
		t.Errorf("Version = %q", got)
	}
	if got := r.Providers(); !slices.Contains(got, "CPUExecutionProvider") {
		t.Errorf("Providers = %q", got)
	}
	path, err := library.Find(t.Context(), library.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ort.Start(t.Context(), ort.Options{Library: path}); fault.Of(err) != fault.Conflict {
		t.Errorf("a second Start: %v, want %v", err, fault.Conflict)
	}
	s := open(t, "add")
	if err := r.Close(); fault.Of(err) != fault.Internal {
		t.Errorf("Close over a session: %v, want %v", err, fault.Internal)
	}
	if _, err := s.Run(t.Context(), tensor.Named{"a": of(t, []int64{0, 3}, []float32{}...), "b": of(t, []int64{0, 3}, []float32{}...)}); err != nil {
		t.Errorf("Run after a refused Close: %v", err)
	}
}

func TestStartRefusesWhatIsNoLibrary(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]fault.Kind{
		filepath.Join(t.TempDir(), "no.so"): fault.NotFound, "testdata/make.py": fault.Invalid, "testdata": fault.Invalid,
	} {
		if _, err := ort.Start(t.Context(), ort.Options{Library: path}); fault.Of(err) != want || !strings.Contains(err.Error(), path) {
			t.Errorf("Start(%s): %v, want %v", path, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ort.Start(ctx, ort.Options{}); fault.Of(err) != fault.Canceled {
		t.Errorf("Start of a caller who left: %v", err)
	}
}

func value(name string, dtype tensor.DType, shape ...engine.Dim) engine.Value {
	return engine.Value{Name: name, DType: dtype, Shape: shape}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	metadata := func(graph string) map[string]string {
		return map[string]string{"graph": graph, "producer": "tsgo", "domain": "test.tsgo", "description": "made by make.py", "version": "3"}
	}
	batch, n, three := engine.Dim{Size: -1, Name: "batch"}, engine.Dim{Size: -1, Name: "n"}, engine.Dim{Size: 3}
	add := metadata("add")
	add["author"], add["note"] = "nobody", "two outputs"
	for name, want := range map[string]engine.Signature{
		"add": {
			Inputs:   []engine.Value{value("a", tensor.Float32, batch, three), value("b", tensor.Float32, batch, three)},
			Outputs:  []engine.Value{value("sum", tensor.Float32, batch, three), value("difference", tensor.Float32, batch, three)},
			Metadata: add,
		},
		"scalar": {
			Inputs:   []engine.Value{value("x", tensor.Float32, n), value("s", tensor.Float32)},
			Outputs:  []engine.Value{value("total", tensor.Float32), value("same", tensor.Float32)},
			Metadata: metadata("scalar"),
		},
		"sequence": {
			Inputs:   []engine.Value{value("x", tensor.Float32, n)},
			Outputs:  []engine.Value{value("parts", tensor.Undefined), value("y", tensor.Float32, n)},
			Metadata: metadata("sequence"),
		},
		"external": {
			Inputs:   []engine.Value{value("x", tensor.Float32, n, three)},
			Outputs:  []engine.Value{value("y", tensor.Float32, n, three)},
			Metadata: map[string]string{"graph": "external"},
		},
	} {
		if diff := cmp.Diff(want, open(t, name).Signature()); diff != "" {
			t.Errorf("%s: signature differs (-want +got):\n%s", name, diff)
		}
	}
}

// identity runs x through the network that gives back what it takes.
func identity[T tensor.Element](t *testing.T, values ...T) {
	t.Helper()
	for _, rows := range []int{0, 1, len(values) / 2} {
		x := of(t, []int64{int64(rows), 2}, values[:2*rows]...)
		s := open(t, "identity-"+x.DType().String())
		out, err := s.Run(t.Context(), tensor.Named{"x": x})
		if err != nil {
			t.Errorf("%v: %v", x, err)
			continue
		}
		y := out["y"]
		if !slices.Equal(y.Shape(), x.Shape()) {
			t.Errorf("%v comes back as %v", x, y)
		}
		got, want := dataOf[T](t, y), values[:2*rows]
		if fmt.Sprint(got) != fmt.Sprint(want) { // as text: a number that is none equals nothing
			t.Errorf("%v comes back as %v, was %v", x, got, want)
		}
		if len(got) > 0 && &got[0] == &want[0] {
			t.Errorf("%v comes back in its own memory", x)
		}
	}
}

func TestEveryType(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(-1)
	identity(t, float32(nan), float32(inf), math.MaxFloat32, -0.5)
	identity(t, nan, inf, math.MaxFloat64, -0.5)
	identity(t, tensor.ToFloat16(1.5), tensor.ToFloat16(float32(inf)), tensor.Float16(0x7e01), 1)
	identity(t, tensor.ToBFloat16(1.5), tensor.ToBFloat16(float32(inf)), tensor.BFloat16(0x7fc1), 1)
	identity[int8](t, math.MinInt8, math.MaxInt8, 0, -1)
	identity[int16](t, math.MinInt16, math.MaxInt16, 0, -1)
	identity[int32](t, math.MinInt32, math.MaxInt32, 0, -1)
	identity[int64](t, math.MinInt64, math.MaxInt64, 0, -1)
	identity[uint8](t, 0, math.MaxUint8, 1, 2)
	identity[uint16](t, 0, math.MaxUint16, 1, 2)
	identity[uint32](t, 0, math.MaxUint32, 1, 2)
	identity[uint64](t, 0, math.MaxUint64, 1, 2)
	identity(t, true, false, false, true)
	identity(t, "", "häuser", "a\x00b", strings.Repeat("long", 1000))
	identity(t, "", "", "", "")
}

func TestScalars(t *testing.T) {
	t.Parallel()
	out, err := open(t, "scalar").Run(t.Context(), tensor.Named{"x": of[float32](t, []int64{3}, 1, 2, 3), "s": of[float32](t, nil, 7)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float32{"total": 6, "same": 7} {
		if got := out[name]; len(got.Shape()) != 0 || dataOf[float32](t, got)[0] != want {
			t.Errorf("%s = %v, want the scalar %v", name, got, want)
		}
	}
}

func TestRunGivesWhatIsWanted(t *testing.T) {
	t.Parallel()
	s := open(t, "add")
	a, b := of[float32](t, []int64{1, 3}, 1, 2, 3), of[float32](t, []int64{1, 3}, 10, 20, 30)
	all := map[string][]float32{"sum": {11, 22, 33}, "difference": {-9, -18, -27}}
	for _, want := range [][]string{nil, {"sum"}, {"difference"}, {"difference", "sum"}, {"sum", "sum"}} {
		out, err := s.Run(t.Context(), tensor.Named{"a": a, "b": b}, want...)
		if err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		for name, values := range all {
			got, there := out[name]
			if there != (want == nil || slices.Contains(want, name)) {
				t.Errorf("%q: output %q is there: %v", want, name, there)
			}
			if there && !slices.Equal(dataOf[float32](t, got), values) {
				t.Errorf("%q: output %q = %v", want, name, dataOf[float32](t, got))
			}
		}
	}
	if got := dataOf[float32](t, a); !slices.Equal(got, []float32{1, 2, 3}) {
		t.Errorf("the input has become %v", got)
	}
	_, err := s.Run(t.Context(), tensor.Named{"a": a, "b": b}, "summ")
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), `no output "summ", did you mean "sum"?`) {
		t.Errorf("an output that is not there: %v", err)
	}
}

func TestRunOfNetworksUnlikeOthers(t *testing.T) {
	t.Parallel()
	out, err := open(t, "constant").Run(t.Context(), nil)
	if err != nil || !slices.Equal(dataOf[float32](t, out["y"]), []float32{1, 2}) {
		t.Errorf("no inputs: %v, %v", out, err)
	}
	unranked := open(t, "unranked")
	for _, shape := range [][]int64{nil, {1}, {1, 1, 1}} {
		out, err := unranked.Run(t.Context(), tensor.Named{"x": of[float32](t, shape, 5)})
		if err != nil || !slices.Equal(out["y"].Shape(), shape) || dataOf[float32](t, out["y"])[0] != -5 {
			t.Errorf("any rank: %v of shape %v, %v", out, shape, err)
		}
	}
	if _, err := unranked.Run(t.Context(), tensor.Named{"x": of[int8](t, nil, 5)}); fault.Of(err) != fault.Invalid {
		t.Errorf("any rank, another type: %v", err)
	}
	out, err = open(t, "external").Run(t.Context(), tensor.Named{"x": of[float32](t, []int64{1, 3}, 1, 1, 1)})
	if err != nil || !slices.Equal(dataOf[float32](t, out["y"]), []float32{2, 3, 4}) {
		t.Errorf("weights in a file of their own: %v, %v", out, err)
	}
	sequence, x := open(t, "sequence"), of[float32](t, []int64{2}, 1, 2)
	if _, err := sequence.Run(t.Context(), tensor.Named{"x": x}); fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), `"parts"`) {
		t.Errorf("a sequence: %v, want %v", err, fault.Unsupported)
	}
	if out, err := sequence.Run(t.Context(), tensor.Named{"x": x}, "y"); err != nil || dataOf[float32](t, out["y"])[1] != -2 {
		t.Errorf("beside a sequence: %v, %v", out, err)
	}
	if _, err := open(t, "float8").Run(t.Context(), tensor.Named{"x": x}); fault.Of(err) != fault.Unsupported {
		t.Errorf("float8: %v, want %v", err, fault.Unsupported)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	three, two := of[float32](t, []int64{1, 3}, 1, 2, 3), of[float32](t, []int64{1, 2}, 1, 2)
	for _, test := range []struct {
		name, network string
		in            tensor.Named
		want          fault.Kind
		says          string
	}{
		{"missing", "add", tensor.Named{"a": three}, fault.Invalid, `input "b" is missing`},
		{"unknown", "add", tensor.Named{"a": three, "b": three, "c": three}, fault.Invalid, `no input "c"`},
		{"size", "add", tensor.Named{"a": three, "b": two}, fault.Invalid, "float32[1 2]"},
		{"rank", "add", tensor.Named{"a": three, "b": of[float32](t, []int64{3}, 1, 2, 3)}, fault.Invalid, "float32[3]"},
		{"type", "add", tensor.Named{"a": three, "b": of[float64](t, []int64{1, 3}, 1, 2, 3)}, fault.Invalid, "float64[1 3]"},
		{"no tensor", "add", tensor.Named{"a": three, "b": {}}, fault.Invalid, "undefined"},
		{"what a node cannot do", "add", tensor.Named{"a": of[float32](t, []int64{2, 3}, 1, 2, 3, 4, 5, 6), "b": of[float32](t, []int64{3, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9)}, fault.Invalid, "Attempting to broadcast"},
		{"what a shape cannot be", "reshape", tensor.Named{"x": of[float32](t, []int64{2}, 1, 2)}, fault.Invalid, "cannot be reshaped"},
		{"more than there is", "fill", tensor.Named{"shape": of[int64](t, []int64{2}, 1<<40, 1<<10)}, fault.TooLarge, "Failed to allocate memory"},
		{"more than can be", "fill", tensor.Named{"shape": of[int64](t, []int64{2}, 1<<60, 1<<10)}, fault.Invalid, "overflow"},
		{"less than nothing", "fill", tensor.Named{"shape": of[int64](t, []int64{2}, -5, 1)}, fault.Invalid, "must be >= 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, test.network).Run(t.Context(), test.in)
			if fault.Of(err) != test.want || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Run: %v, want %v and %q", err, test.want, test.says)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "\n") || strings.Contains(text, "onnxruntime_src") {
				t.Errorf("Run: %q, want one line without places in the library's source", text)
			}
		})
	}
}

func TestZeroRows(t *testing.T) {
	t.Parallel()
	empty := of(t, []int64{0, 3}, []float32{}...)
	out, err := open(t, "add").Run(t.Context(), tensor.Named{"a": empty, "b": empty})
	if err != nil || !slices.Equal(out["sum"].Shape(), []int64{0, 3}) || out["sum"].DType() != tensor.Float32 {
		t.Errorf("Run = %v, %v, want no rows", out, err)
	}
	out, err = open(t, "fill").Run(t.Context(), tensor.Named{"shape": of[int64](t, []int64{3}, 2, 0, 1<<50)})
	if err != nil || !slices.Equal(out["y"].Shape(), []int64{2, 0, 1 << 50}) {
		t.Errorf("Run = %v, %v, want nothing of a huge shape", out, err)
	}
}

func slowInput(t *testing.T, times int64) tensor.Named {
	t.Helper()
	x, err := tensor.Make(tensor.Float32, []int64{64, 64})
	if err != nil {
		t.Fatal(err)
	}
	return tensor.Named{"times": of(t, nil, times), "x": x}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t, "slow")
	for range 3 { // the next run is not ended by the one before
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begin := time.Now()
		_, err := s.Run(ctx, slowInput(t, math.MaxInt64))
		cancel()
		if fault.Of(err) != fault.Timeout {
			t.Errorf("Run: %v, want %v", err, fault.Timeout)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("Run ended after %v", took)
		}
		if _, err := s.Run(t.Context(), slowInput(t, 3)); err != nil {
			t.Errorf("the run after: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx, slowInput(t, 1)); fault.Of(err) != fault.Canceled {
		t.Errorf("Run of a caller who left: %v", err)
	}
}

func TestRunFromManyGoroutines(t *testing.T) {
	t.Parallel()
	s := open(t, "add")
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for j := range 50 {
				a := float32(i*1000 + j)
				rows := 1 + (i+j)%3
				data := make([]float32, 3*rows)
				data[3*rows-1] = a
				x := of(t, []int64{int64(rows), 3}, data...)
				ctx, cancel := context.WithCancel(t.Context())
				if j%10 == 9 {
					cancel()
				}
				out, err := s.Run(ctx, tensor.Named{"a": x, "b": x}, "sum")
				cancel()
				if j%10 == 9 {
					if fault.Of(err) != fault.Canceled {
						t.Errorf("cancelled run: %v", err)
					}
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if got := dataOf[float32](t, out["sum"])[3*rows-1]; got != 2*a {
					t.Errorf("%v + %v = %v", a, a, got)
				}
			}
		})
	}
	all.Wait()
}

func TestCloseWhileRunning(t *testing.T) {
	t.Parallel()
	s, err := started(t).Open(t.Context(), network("slow"), engine.Options{IntraOpThreads: 1})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{}, 1)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				_, err := s.Run(t.Context(), slowInput(t, 50))
				if err != nil {
					if fault.Of(err) != fault.Unavailable {
						t.Errorf("Run: %v, want %v", err, fault.Unavailable)
					}
					return
				}
				select {
				case ran <- struct{}{}:
				default:
				}
			}
		})
	}
	<-ran
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if got := s.Signature(); len(got.Inputs) != 2 {
		t.Errorf("the signature of a closed session is %v", got)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile("testdata/heavy.onnx")
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	external, err := os.ReadFile("testdata/external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		network engine.Network
		options engine.Options
		want    fault.Kind
		says    string
	}{
		{"nothing", engine.Network{}, engine.Options{}, fault.Invalid, "either a path or bytes"},
		{"both", engine.Network{Path: "x", Bytes: whole}, engine.Options{}, fault.Invalid, "either a path or bytes"},
		{"threads", network("add"), engine.Options{IntraOpThreads: -1}, fault.Invalid, "negative"},
		{"not there", engine.Network{Path: "testdata/no.onnx"}, engine.Options{}, fault.NotFound, "testdata/no.onnx"},
		{"directory", engine.Network{Path: "testdata"}, engine.Options{}, fault.BadModel, "no file"},
		{"empty", engine.Network{Path: put("empty.onnx", nil)}, engine.Options{}, fault.BadModel, "empty"},
		{"text", engine.Network{Path: "testdata/make.py"}, engine.Options{}, fault.BadModel, "make.py: bad model: Protobuf parsing failed"},
		{"truncated", engine.Network{Path: put("cut.onnx", whole[:len(whole)/2])}, engine.Options{}, fault.BadModel, "cut.onnx"},
		{"truncated bytes", engine.Network{Bytes: whole[:len(whole)/2]}, engine.Options{}, fault.BadModel, fmt.Sprintf("a network of %d bytes", len(whole)/2)},
		{"wrong graph", network("wrong-graph"), engine.Options{}, fault.BadModel, "nowhere"},
		{"unknown operator", network("unknown-operator"), engine.Options{}, fault.BadModel, "tsgo.test:Nothing"},
		{"weights missing", engine.Network{Path: put("alone.onnx", external)}, engine.Options{}, fault.BadModel, "external.bin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := started(t).Open(t.Context(), test.network, test.options)
			if s != nil || fault.Of(err) != test.want || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Open = %v, %v, want %v and %q", s, err, test.want, test.says)
			}
			if strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("Open: %q, want one line", err)
			}
		})
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := started(t).Open(ctx, network("add"), engine.Options{}); fault.Of(err) != fault.Canceled {
		t.Errorf("Open: %v, want %v", err, fault.Canceled)
	}
	for wait := time.Duration(1); wait < 64*time.Millisecond; wait *= 4 { // wherever in the load it falls
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		s, err := started(t).Open(ctx, network("heavy"), engine.Options{})
		cancel()
		if err == nil {
			err = s.Close()
		} else if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		if err != nil {
			t.Errorf("after %v: %v", wait, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile("testdata/add.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []engine.Options{
		{},
		{IntraOpThreads: 2, InterOpThreads: 2},
		{Optimization: engine.OptimizeNone, Deterministic: true},
	} {
		s, err := started(t).Open(t.Context(), engine.Network{Bytes: slices.Clone(whole)}, opts)
		if err != nil {
			t.Fatalf("%+v: %v", opts, err)
		}
		x := of[float32](t, []int64{1, 3}, 1, 2, 3)
		out, err := s.Run(t.Context(), tensor.Named{"a": x, "b": x}, "sum")
		if err != nil || !slices.Equal(dataOf[float32](t, out["sum"]), []float32{2, 4, 6}) {
			t.Errorf("%+v: %v, %v", opts, out, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	open(t, "add")
	text := logged.String()
	for _, want := range []string{"level=DEBUG", "engine=onnxruntime", "place=", "category="} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q: %.500s", want, text)
		}
	}
}

func TestFailedRunsAreNotLogged(t *testing.T) {
	t.Parallel()
	if _, err := open(t, "reshape").Run(t.Context(), tensor.Named{"x": of[float32](t, []int64{5}, 1, 2, 3, 4, 5)}); err == nil {
		t.Error("five elements became six")
	}
	if text := logged.String(); strings.Contains(text, "Reshape") && strings.Contains(text, "level=ERROR") {
		t.Errorf("the log has the failure of a run: %s", text)
	}
}
