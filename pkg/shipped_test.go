package pkg_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/model/modeltest"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// start starts ONNX Runtime, which a process has once. Its library is provided as for any user.
var start = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := library.Find(context.Background(), library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(context.Background(), ort.Options{Library: path})
})

func open(tb testing.TB) engine.Opener {
	tb.Helper()
	runtime, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	return runtime.Open
}

// load loads a shipped model.
func load(tb testing.TB, name string) *pipeline.Pipeline {
	tb.Helper()
	opener := open(tb)
	m, err := archive.Open(tb.Context(), filepath.Join("..", "models", name), archive.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	p, err := pipeline.Load(tb.Context(), m, pipeline.Options{
		Open: opener, Gate: engine.NewGate(1), Handlers: builtin.Handlers(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("..", "samples", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestDigits asks the shipped mnist 200 times at once, predictions and explanations mixed: the contract of every
// predictor, kept by a real network.
func TestDigits(t *testing.T) {
	t.Parallel()
	p := load(t, "mnist")
	var digits [10][]byte
	for i := range digits {
		digits[i] = sample(t, fmt.Sprintf("digits/%d.png", i))
	}
	modeltest.TestPredictor(t, modeltest.Subject{
		Predictor: p, Ref: p.Ref(),
		Input:  func(i int) []model.Input { return []model.Input{{Name: "body", Data: digits[i%10]}} },
		Bad:    []model.Input{{Name: "body", Data: digits[8][:100]}},
		Params: map[string]string{"method": "occlusion", "window": "14", "stride": "14", "detail": "full"},
		Check:  checkDigit,
	})
}

func checkDigit(i int, mode model.Mode, resp *model.Response) error {
	if mode == model.ModePredict {
		if want := fmt.Sprint(i % 10); string(resp.Body) != want {
			return fmt.Errorf("answer %s, want %s", resp.Body, want)
		}
		return nil
	}
	var r explain.Report
	if err := json.Unmarshal(resp.Body, &r); err != nil {
		return fmt.Errorf("%.80s is no explanation: %w", resp.Body, err)
	}
	if want := fmt.Sprint(i % 10); r.Target.Label != want || len(r.Attributions) != 1 || len(r.Attributions[0].Data) != 28*28 {
		return fmt.Errorf("target %+v, %d attributions, want label %s", r.Target, len(r.Attributions), want)
	}
	return nil
}

// TestPictures checks what stays true of the classifiers however they are trained: classes that exist, probabilities that
// sum to one, and a cat among the first five.
func TestPictures(t *testing.T) {
	t.Parallel()
	kitten := model.Input{Name: "body", Data: sample(t, "kitten.jpg")}
	for _, name := range []string{"resnet-18", "efficientnet-lite0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := load(t, name)
			resp, err := p.Predict(t.Context(), p.Ref(), &model.Request{Inputs: []model.Input{kitten}, Params: map[string]string{"top_k": "5"}})
			if err != nil {
				t.Fatal(err)
			}
			var top map[string]float64
			if err := json.Unmarshal(resp.Body, &top); err != nil || len(top) != 5 {
				t.Fatalf("answer %s: %v", resp.Body, err)
			}
			cats := top["tabby"] + top["tiger cat"] + top["Egyptian cat"] + top["Persian cat"]
			if cats < 0.3 {
				t.Errorf("no cat among %v", top)
			}
			resp, err = p.Predict(t.Context(), p.Ref(), &model.Request{Inputs: []model.Input{kitten}, Params: map[string]string{"top_k": "1000"}})
			if err != nil {
				t.Fatal(err)
			}
			var all map[string]float64
			if err := json.Unmarshal(resp.Body, &all); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, probability := range all {
				sum += probability
			}
			if sum < 0.9999 || sum > 1.0001 {
				t.Errorf("%d probabilities sum to %v", len(all), sum)
			}
		})
	}
}

// TestServedAnswersAreTheSameBytes asks every shipped model about every sample, in this process and over HTTP, for
// predictions and explanations.
func TestServedAnswersAreTheSameBytes(t *testing.T) {
	t.Parallel()
	opener := open(t)
	s, err := server.New(t.Context(), server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0", MetricsAPI: true, Params: []string{"steps"},
		Store: store.New(store.Dir{Path: filepath.Join("..", "models")}), All: true, Open: opener, Handlers: builtin.Handlers(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c, err := client.New(client.Options{Server: s.Addrs().Inference})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the answers are there
	samples, err := filepath.Glob(filepath.Join("..", "samples", "*.jpg"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("samples: %v, %v", samples, err)
	}
	digits, err := filepath.Glob(filepath.Join("..", "samples", "digits", "*.png"))
	if err != nil || len(digits) == 0 {
		t.Fatalf("samples: %v, %v", digits, err)
	}
	for _, name := range []string{"mnist", "resnet-18", "efficientnet-lite0"} {
		p := load(t, name)
		for _, file := range append(digits, samples...) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, req := range []*model.Request{
				{Mode: model.ModePredict, Inputs: []model.Input{{Name: "body", Data: data}}},
				{Mode: model.ModeExplain, Inputs: []model.Input{{Name: "body", Data: data}}, Params: map[string]string{"steps": "2"}},
			} {
				local, err := p.Predict(t.Context(), p.Ref(), req)
				if err != nil {
					t.Fatal(err)
				}
				remote, err := c.Predict(t.Context(), p.Ref(), req)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(local.Body, remote.Body) || local.ContentType != remote.ContentType {
					t.Errorf("%s, %s, %v: %d bytes of %s here, %d of %s from the server, and they differ",
						name, file, req.Mode, len(local.Body), local.ContentType, len(remote.Body), remote.ContentType)
				}
			}
		}
	}
}

// BenchmarkEndToEnd compares efficientnet-lite0 over samples/kitten.jpg, from the file's bytes to the answer's, with a bare
// loop of the same preprocessing and the same session, turn by turn. of-bare is the bare loop's time over the pipeline's.
func BenchmarkEndToEnd(b *testing.B) {
	p := load(b, "efficientnet-lite0")
	bare := bareLoop(b)
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: sample(b, "kitten.jpg")}}}
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := p.Predict(b.Context(), p.Ref(), req); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		bare(req.Inputs[0].Data)
		ours, theirs = ours+between.Sub(start), theirs+time.Since(between)
	}
	b.ReportMetric(float64(theirs)/float64(ours), "of-bare")
	b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "pipeline-µs/op")
}

// bareLoop returns what somebody would write by hand: transform and run.
func bareLoop(b *testing.B) func(data []byte) {
	b.Helper()
	session, err := open(b)(b.Context(), engine.Network{Path: "../models/efficientnet-lite0/efficientnet-lite0.onnx"}, engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = session.Close() })
	transform, err := vision.New(vision.Options{
		Size: vision.Square(224), Resize: 256, Interpolation: vision.Bicubic, Scale: 1,
		Mean: []float32{127, 127, 127}, Std: []float32{128, 128, 128},
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(data []byte) {
		input, err := transform.Tensor(b.Context(), data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := session.Run(b.Context(), tensor.Named{"input": input}); err != nil {
			b.Fatal(err)
		}
	}
}
