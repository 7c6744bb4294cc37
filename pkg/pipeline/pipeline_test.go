package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/model/modeltest"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// features is the width of the test network: y = [Σ x, 2·Σ x], row by row.
const features = 4

func signature(batch int64) engine.Signature {
	return engine.Signature{
		Inputs:  []engine.Value{{Name: "x", DType: tensor.Float32, Shape: []engine.Dim{{Size: batch}, {Size: features}}}},
		Outputs: []engine.Value{{Name: "y", DType: tensor.Float32, Shape: []engine.Dim{{Size: batch}, {Size: 2}}}},
	}
}

func sums(in tensor.Named) (tensor.Named, error) {
	x, err := tensor.Data[float32](in["x"])
	if err != nil {
		return nil, err
	}
	var y []float32
	for row := range slices.Chunk(x, features) {
		sum := float32(0)
		for _, v := range row {
			sum += v
		}
		y = append(y, sum, 2*sum)
	}
	t, err := tensor.New([]int64{int64(len(y) / 2), 2}, y)
	return tensor.Named{"y": t}, err
}

// custom is a handler as a user would write one: it embeds Base and has no line about explanations.
type custom struct{ handler.Base }

func newCustom(env handler.Env) (handler.Handler, error) { return custom{handler.Base{Env: env}}, nil }

func (c custom) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	content, err := handler.ReadInput(req, c.Env.Session.Signature().Inputs[0])
	if err != nil {
		return nil, err
	}
	if content.Tensor == nil {
		return nil, fmt.Errorf("%w: want JSON lists", fault.Invalid)
	}
	if data, _ := tensor.Data[float32](*content.Tensor); len(data) > 0 && data[0] == panics {
		panic("the handler has a defect")
	}
	return tensor.Named{"x": *content.Tensor}, nil
}

func (c custom) Postprocess(_ context.Context, _ *model.Request, out tensor.Named) (handler.Answer, error) {
	return handler.Answer{Value: handler.Object{{Key: "sums", Value: out["y"]}}, Tensors: out}, nil
}

// panics is a first feature at which the custom handler panics.
const panics = 666

func load(t *testing.T, sig engine.Signature, compute enginetest.Func) *pipeline.Pipeline {
	t.Helper()
	return loadLogging(t, sig, compute, nil)
}

func loadLogging(t *testing.T, sig engine.Signature, compute enginetest.Func, log *slog.Logger) *pipeline.Pipeline {
	t.Helper()
	return loadWith(t, pipeline.Options{
		Open:     enginetest.Opener(sig, compute),
		Handlers: map[string]handler.Factory{"custom": newCustom}, Log: log,
	})
}

func loadWith(t *testing.T, opts pipeline.Options) *pipeline.Pipeline {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "net.onnx"), "not read by the fake engine")
	write(t, filepath.Join(dir, "model-config.yaml"), "model:\n  name: sums\n  version: '2.0'\n  serializedFile: net.onnx\n  handler: custom\nbatchSize: 4\n")
	m, err := archive.Open(t.Context(), dir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Load(t.Context(), m, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// recycling is a handler that spoils inputs as soon as it gets them back.
type recycling struct {
	custom

	back *atomic.Int32
}

func (r recycling) Recycle(_ *model.Request, in tensor.Named) {
	r.back.Add(1)
	data, _ := tensor.Data[float32](in["x"])
	for i := range data {
		data[i] = -1e6
	}
}

// A handler gets back the inputs of predictions alone, each once, and no sooner than nobody needs them: also where a run of
// several fails, and they run again one by one.
func TestRecycle(t *testing.T) {
	t.Parallel()
	const requests = 7
	for name, compute := range map[string]enginetest.Func{
		"together": sums,
		"one by one": func(in tensor.Named) (tensor.Named, error) {
			if in["x"].Shape()[0] == 3 {
				return nil, fault.Invalid
			}
			return sums(in)
		},
		"without their rows": func(in tensor.Named) (tensor.Named, error) {
			out, err := sums(in)
			if err == nil && in["x"].Shape()[0] == 3 {
				return out.Rows(0, 1)
			}
			return out, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var back atomic.Int32
			p := loadWith(t, pipeline.Options{
				Open: enginetest.Opener(signature(-1), compute),
				Handlers: map[string]handler.Factory{"custom": func(env handler.Env) (handler.Handler, error) {
					return recycling{custom{handler.Base{Env: env}}, &back}, nil
				}},
			})
			for first := range requests { // in the memory of the batch before
				reqs := []*model.Request{
					request(first, model.ModePredict), request(first+1, model.ModeExplain),
					request(first+2, model.ModePredict), request(first+3, model.ModePredict),
				}
				for i, r := range p.Batch(t.Context(), reqs) {
					if r.Err != nil {
						t.Fatal(r.Err)
					}
					if err := check(first+i, reqs[i].Mode, r.Response); err != nil {
						t.Error(err)
					}
				}
			}
			if got := back.Load(); got != 3*requests {
				t.Errorf("the handler got %d inputs back, want %d", got, 3*requests)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func input(i int) []model.Input {
	return []model.Input{{Name: "body", ContentType: "application/json", Data: fmt.Appendf(nil, "[%d, 1, 1, 1]", i)}}
}

func request(i int, mode model.Mode) *model.Request {
	return &model.Request{ID: fmt.Sprint(i), Mode: mode, Inputs: input(i)}
}

// check tells a prediction ({"sums": [[s, 2s]]}) from an explanation (four attributions), and i from any other.
func check(i int, mode model.Mode, resp *model.Response) error {
	if mode == model.ModePredict {
		want := fmt.Sprintf(`{"sums":[[%d.0,%d.0]]}`, i+3, 2*(i+3))
		if got := compact(resp.Body); got != want {
			return fmt.Errorf("got %s, want %s", got, want)
		}
		return nil
	}
	var got []float64
	if err := json.Unmarshal(resp.Body, &got); err != nil || len(got) != features {
		return fmt.Errorf("got %s, want %d attributions: %w", compact(resp.Body), features, err)
	}
	// Each window of occlusion holds one feature, and the target is the greater output, so attributions are 2·x.
	if i > 0 && got[0] != float64(2*i) {
		return fmt.Errorf("attribution of the first feature is %v, want %d", got[0], 2*i)
	}
	return nil
}

func compact(body []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, body); err != nil {
		return string(body)
	}
	return out.String()
}

func TestPredictor(t *testing.T) {
	t.Parallel()
	p := load(t, signature(-1), sums)
	modeltest.TestPredictor(t, modeltest.Subject{
		Predictor: p, Ref: p.Ref(), Input: input, Check: check,
		Bad:    []model.Input{{Name: "body", ContentType: "application/json", Data: []byte("[1, 2]")}},
		Params: map[string]string{"method": "occlusion", "window": "1", "stride": "1"},
	})
}

func TestRunMixed(t *testing.T) {
	t.Parallel()
	p := load(t, signature(-1), sums)
	var reqs []*model.Request
	for i := range 200 {
		req := request(i, model.Mode(i%2))
		if req.Mode == model.ModeExplain {
			req.Params = map[string]string{"window": "1", "stride": "1"}
		}
		if i%10 == 9 {
			req.Inputs = []model.Input{{Name: "body", Data: []byte("junk")}}
		}
		reqs = append(reqs, req)
	}
	for i, result := range p.Batch(t.Context(), reqs) {
		switch {
		case i%10 == 9:
			if !errors.Is(result.Err, fault.Invalid) {
				t.Errorf("request %d: %v, want %v", i, result.Err, fault.Invalid)
			}
		case result.Err != nil:
			t.Errorf("request %d: %v", i, result.Err)
		default:
			if err := check(i, reqs[i].Mode, result.Response); err != nil {
				t.Errorf("request %d (%v): %v", i, reqs[i].Mode, err)
			}
		}
	}
}

func TestPredictionsStack(t *testing.T) {
	t.Parallel()
	var runs, rows atomic.Int64
	p := load(t, signature(-1), func(in tensor.Named) (tensor.Named, error) {
		runs.Add(1)
		rows.Add(in["x"].Shape()[0])
		return sums(in)
	})
	results := p.Batch(t.Context(), []*model.Request{request(1, 0), request(2, 0), request(3, 0)})
	if runs.Load() != 1 || rows.Load() != 3 {
		t.Errorf("%d runs of %d rows, want 1 of 3", runs.Load(), rows.Load())
	}
	for i, result := range results {
		if result.Err != nil || result.Response.Timing.Batch != 3 {
			t.Errorf("result %d: %+v", i, result)
		}
	}
}

func TestOneBadRowFailsAlone(t *testing.T) {
	t.Parallel()
	p := load(t, signature(-1), func(in tensor.Named) (tensor.Named, error) {
		if x, _ := tensor.Data[float32](in["x"]); slices.Contains(x, 13) {
			return nil, fmt.Errorf("%w: the network refuses 13", fault.Invalid)
		}
		return sums(in)
	})
	for i, result := range p.Batch(t.Context(), []*model.Request{request(1, 0), request(13, 0), request(3, 0)}) {
		if bad := i == 1; (result.Err != nil) != bad || bad && !errors.Is(result.Err, fault.Invalid) {
			t.Errorf("result %d: %v", i, result.Err)
		}
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := loadLogging(t, signature(-1), func(in tensor.Named) (tensor.Named, error) {
		if x, _ := tensor.Data[float32](in["x"]); slices.Contains(x, 13) {
			panic("the network is possessed")
		}
		return sums(in)
	}, slog.New(slog.NewTextHandler(&log, nil)))
	results := p.Batch(t.Context(), []*model.Request{request(panics, 0), request(2, 0), request(13, 0), request(13, model.ModeExplain)})
	for i, want := range []bool{true, false, true, true} {
		err := results[i].Err
		if (err != nil) != want || want && (fault.Of(err) != fault.Internal || !strings.Contains(err.Error(), "panicked")) {
			t.Errorf("result %d: %v", i, err)
		}
	}
	if !strings.Contains(log.String(), "pipeline_test.go") {
		t.Errorf("the log does not say where the panic was: %s", &log)
	}
}

func TestFixedBatchRunsInPaddedChunks(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	p := load(t, signature(2), func(in tensor.Named) (tensor.Named, error) {
		runs.Add(1)
		if n := in["x"].Shape()[0]; n != 2 {
			return nil, fmt.Errorf("%w: %d rows", fault.Internal, n)
		}
		return sums(in)
	})
	results := p.Batch(t.Context(), []*model.Request{request(1, 0), request(2, 0), request(3, 0)})
	for i, result := range results {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		if err := check(i+1, model.ModePredict, result.Response); err != nil {
			t.Error(err)
		}
	}
	if runs.Load() != 2 {
		t.Errorf("%d runs, want 2", runs.Load())
	}
}

func TestWarm(t *testing.T) {
	t.Parallel()
	var shapes []string
	p := load(t, signature(-1), func(in tensor.Named) (tensor.Named, error) {
		shapes = append(shapes, in["x"].String())
		return nil, fmt.Errorf("%w: zeros do not fit", fault.Invalid)
	})
	if cost, err := p.Warm(t.Context()); err != nil || cost != (pipeline.Cost{}) {
		t.Errorf("Warm = %v, %v: that zeros do not fit says nothing", cost, err)
	}
	if got := strings.Join(shapes, " "); got != "float32[1 4]" {
		t.Errorf("ran on %s, want float32[1 4] once", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Warm(ctx); fault.Of(err) != fault.Canceled {
		t.Errorf("Warm = %v, want %v", err, fault.Canceled)
	}
}

func TestCancelledRun(t *testing.T) {
	t.Parallel()
	p := load(t, signature(-1), sums)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Predict(ctx, p.Ref(), request(1, 0)); fault.Of(err) != fault.Canceled {
		t.Errorf("Predict = %v, want %v", err, fault.Canceled)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "net.onnx")
	write(t, path, "x")
	open := func() *archive.Model {
		m, err := archive.Open(t.Context(), path, archive.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	closed := false
	opener := func(context.Context, engine.Network, engine.Options) (engine.Session, error) {
		return closing{enginetest.New(signature(-1), sums), &closed}, nil
	}
	_, err := pipeline.Load(t.Context(), open(), pipeline.Options{Open: opener, Handlers: map[string]handler.Factory{"image_clasifier": newCustom}})
	if !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), `did you mean "image_clasifier"?`) {
		t.Errorf("unknown handler: %v", err)
	}
	broken := func(handler.Env) (handler.Handler, error) { return nil, fmt.Errorf("%w: no", fault.BadModel) }
	_, err = pipeline.Load(t.Context(), open(), pipeline.Options{Open: opener, Handlers: map[string]handler.Factory{"image_classifier": broken}})
	if !errors.Is(err, fault.BadModel) || !closed {
		t.Errorf("broken handler: %v, session closed: %v", err, closed)
	}
}

type closing struct {
	engine.Session
	closed *bool
}

func (c closing) Close() error {
	*c.closed = true
	return c.Session.Close()
}

func BenchmarkPredict(b *testing.B) {
	dir := b.TempDir()
	path := filepath.Join(dir, "net.onnx")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		b.Fatal(err)
	}
	m, err := archive.Open(b.Context(), path, archive.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := pipeline.Load(b.Context(), m, pipeline.Options{
		Open: enginetest.Opener(signature(-1), sums), Handlers: map[string]handler.Factory{"image_classifier": newCustom},
	})
	if err != nil {
		b.Fatal(err)
	}
	req := request(1, model.ModePredict)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Predict(b.Context(), p.Ref(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAbout(t *testing.T) {
	t.Parallel()
	sig := signature(-1)
	sig.Inputs = append(sig.Inputs, engine.Value{Name: "sequence"})
	about := load(t, sig, sums).About()
	want := model.About{
		Inputs:  []model.Value{{Name: "x", DType: tensor.Float32, Shape: []int64{-1, features}}, {Name: "sequence", Shape: []int64{}}},
		Outputs: []model.Value{{Name: "y", DType: tensor.Float32, Shape: []int64{-1, 2}}}, Memory: about.Memory, Source: about.Source,
	}
	if diff := cmp.Diff(want, about); diff != "" || about.Memory <= 0 {
		t.Errorf("about, with %d bytes (-want +got):\n%s", about.Memory, diff)
	}
}

// TestWarmMeasures checks what a run is said to cost, against a network that takes a time of its own for a row and for a
// batch, and one that takes no batch.
func TestWarmMeasures(t *testing.T) {
	t.Parallel()
	const row, batch = 2 * time.Millisecond, 8 * time.Millisecond
	for _, together := range []bool{true, false} {
		p := load(t, signature(-1), func(in tensor.Named) (tensor.Named, error) {
			took, rows := row, in["x"].Shape()[0]
			if rows > 1 {
				took = batch
			}
			for start := time.Now(); time.Since(start) < took; { //nolint:revive // it is to keep the core busy
			}
			if rows > 1 && !together {
				return nil, fmt.Errorf("%w: one row at a time", fault.Invalid)
			}
			return in, nil
		})
		cost, err := p.Warm(t.Context())
		if err != nil || cost.Row < row {
			t.Errorf("Warm = %+v, %v, want a row to take %v", cost, err, row)
		}
		if want := 8; together && (cost.Batch != want || cost.InBatch < batch/8) || !together && (cost.Batch != 0 || cost.InBatch != 0) {
			t.Errorf("Warm = %+v, want what a row takes in a batch: %t", cost, together)
		}
	}
}
