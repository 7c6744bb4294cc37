package pkg_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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

// TestIntegralsAreComplete integrates the gradient from black to the picture: what the parts got sums to what the score has
// over the baseline's.
func TestIntegralsAreComplete(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		model   string
		pattern string
		limit   float64
	}{
		{"resnet-18", "*.jpg", 0.01},
		{"mnist", "digits/*.png", 0.01}, // of all of them together: the network has sharp kinks where it sees next to nothing
	} {
		t.Run(test.model, func(t *testing.T) {
			t.Parallel()
			p := load(t, test.model)
			files, err := filepath.Glob(filepath.Join("..", "samples", filepath.FromSlash(test.pattern)))
			if err != nil || len(files) == 0 {
				t.Fatalf("samples: %v, %v", files, err)
			}
			missed, all := 0.0, 0.0
			for _, file := range files {
				r := explained(t, p, file, map[string]string{"steps": "50", "baseline": "black"})
				if !r.Exact || r.Method != "integrated_gradients" || r.Parameters.Steps != 50 {
					t.Errorf("%s: %s of %d steps, exact %v", file, r.Method, r.Parameters.Steps, r.Exact)
				}
				missed += math.Abs(float64(r.Convergence.Delta))
				all += math.Abs(float64(r.Target.Value - r.Baseline.Value))
				t.Logf("%s: off by %.4f of the difference", file, r.Convergence.Relative)
			}
			if !(missed <= test.limit*all) {
				t.Errorf("the attributions miss the differences, %.4g in all, by %.4g: more than %g of them", all, missed, test.limit)
			}
		})
	}
}

// TestMoreStepsComeNearer integrates from the baseline that is taken when none is named. On digits it converges slowly.
func TestMoreStepsComeNearer(t *testing.T) {
	t.Parallel()
	p := load(t, "mnist")
	for _, name := range []string{"3", "8"} {
		file := filepath.Join("..", "samples", "digits", name+".png")
		few := explained(t, p, file, nil)
		many := explained(t, p, file, map[string]string{"steps": "1000"})
		if few.Parameters.Steps != 15 || few.Baseline.Kind != "zeros" {
			t.Errorf("%d steps from %s are taken by default, want 15 from zeros", few.Parameters.Steps, few.Baseline.Kind)
		}
		if !(many.Convergence.Relative <= 0.01) {
			t.Errorf("%s: 1000 steps are off by %.4f of the difference, 15 by %.4f", name, many.Convergence.Relative, few.Convergence.Relative)
		}
		if few.Convergence.Relative > 0.05 && len(few.Warnings) == 0 {
			t.Errorf("%s: 15 steps are off by %.4f, and nobody is warned", name, few.Convergence.Relative)
		}
	}
}

// explained explains a file.
func explained(tb testing.TB, p *pipeline.Pipeline, file string, params map[string]string) explain.Report {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	full := map[string]string{"detail": "full"}
	maps.Copy(full, params)
	resp, err := p.Predict(tb.Context(), p.Ref(), &model.Request{
		Mode: model.ModeExplain, Inputs: []model.Input{{Name: "body", Data: data}}, Params: full,
	})
	if err != nil {
		tb.Fatal(err)
	}
	var r explain.Report
	if err := json.Unmarshal(resp.Body, &r); err != nil || r.Convergence == nil {
		tb.Fatalf("%.80s is no explanation with a convergence: %v", resp.Body, err)
	}
	return r
}

// BenchmarkPredictionsBesideExplanations asks a server for predictions, as many at once as a batch holds, first alone and
// then beside somebody who has one explanation made after the other. Half of the machine is the predictions' fair share
// then: of-fair-share is how much of that they get.
func BenchmarkPredictionsBesideExplanations(b *testing.B) {
	s, err := server.New(b.Context(), server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0", Params: []string{"steps"},
		Store: store.New(store.Dir{Path: filepath.Join("..", "models")}), Models: []server.Startup{{Location: "resnet-18"}}, Open: open(b), Handlers: builtin.Handlers(),
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	b.Cleanup(func() { _ = s.Stop(context.Background()) })
	c, err := client.New(client.Options{Server: s.Addrs().Inference})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	ref := model.Ref{Name: "resnet-18"}
	body := []model.Input{{Name: "body", Data: sample(b, "kitten.jpg")}}
	ask := func(ctx context.Context, mode model.Mode) error {
		_, err := c.Predict(ctx, ref, &model.Request{Mode: mode, Inputs: body, Params: map[string]string{}})
		return err
	}
	if err := ask(b.Context(), model.ModeExplain); err != nil { // the first one builds the gradient
		b.Fatal(err)
	}
	var alone, beside float64
	var explained int
	for b.Loop() {
		n, _ := during(b, ask, 0)
		alone += n
		n, m := during(b, ask, 1)
		beside, explained = beside+n, explained+m
	}
	b.ReportMetric(2*beside/alone, "of-fair-share")
	b.ReportMetric(float64(explained)/float64(b.N), "explanations/op")
}

// during counts the predictions that are answered while the machine is asked for both, and the explanations.
func during(b *testing.B, ask func(context.Context, model.Mode) error, explaining int) (predictions float64, explanations int) {
	b.Helper()
	const clients, lasting = 16, 3 * time.Second
	ctx, cancel := context.WithTimeout(b.Context(), lasting)
	defer cancel()
	var counts [2]atomic.Int64
	var all sync.WaitGroup
	for i := range clients + explaining {
		mode := model.ModePredict
		if i >= clients {
			mode = model.ModeExplain
		}
		all.Go(func() {
			for ctx.Err() == nil {
				if err := ask(ctx, mode); err == nil {
					counts[mode].Add(1)
				} else if ctx.Err() == nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(counts[model.ModePredict].Load()), int(counts[model.ModeExplain].Load())
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
