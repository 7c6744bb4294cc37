package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/model/modeltest"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// features is the width of the network that the server has: it answers their sum.
const features = 4

func openSum(ctx context.Context, _ engine.Network, _ engine.Options) (engine.Session, error) {
	dims := func(n int64) []engine.Dim { return []engine.Dim{{Size: -1, Name: "batch"}, {Size: n}} }
	signature := engine.Signature{
		Inputs:  []engine.Value{{Name: "x", DType: tensor.Float32, Shape: dims(features)}},
		Outputs: []engine.Value{{Name: "y", DType: tensor.Float32, Shape: dims(1)}},
	}
	return enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		x, err := tensor.Data[float32](in["x"])
		if err != nil {
			return nil, err
		}
		var y []float32
		for row := range slices.Chunk(x, features) {
			y = append(y, row[0]+row[1]+row[2]+row[3])
		}
		t, err := tensor.New([]int64{int64(len(y)), 1}, y)
		return tensor.Named{"y": t}, err
	}), ctx.Err()
}

// sum is a handler of one JSON list.
type sum struct{ handler.Base }

func newSum(env handler.Env) (handler.Handler, error) { return sum{handler.Base{Env: env}}, nil }

func (s sum) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	content, err := handler.ReadInput(req, s.Env.Session.Signature().Inputs[0])
	if err != nil {
		return nil, err
	}
	if content.Tensor == nil {
		return nil, fmt.Errorf("%w: want a JSON list", fault.Invalid)
	}
	return tensor.Named{"x": *content.Tensor}, nil
}

func (s sum) Postprocess(_ context.Context, _ *model.Request, out tensor.Named) (handler.Answer, error) {
	y, err := tensor.Data[float32](out["y"])
	return handler.Answer{Value: y[0], Header: map[string]string{"X-Handler": "sum"}}, err
}

func (s sum) Describe(context.Context) (map[string]any, error) {
	return map[string]any{"adds": "four numbers"}, nil
}

// live starts a server that serves the model sum in the version 1.0, and has it in its store as "sum".
func live(t *testing.T) *server.Server {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sum")
	manifest := "model:\n  name: sum\n  version: '1.0'\n  serializedFile: net.onnx\n  handler: sum\nbatchSize: 8\nmaxBatchDelay: 2\n"
	for _, err := range []error{
		os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "net.onnx"), []byte("not read by the fake engine"), 0o600),
		os.WriteFile(filepath.Join(dir, "model-config.yaml"), []byte(manifest), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := server.New(t.Context(), server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0", ModelAPI: true, MetricsAPI: true,
		Store: store.New(store.Dir{Path: filepath.Dir(dir), Origin: "the test"}), Models: []server.Startup{{Location: "sum"}},
		Open: openSum, Handlers: map[string]handler.Factory{"sum": newSum}, Params: []string{"method", "window", "stride", "target"},
		Workers: 1, Queue: 1000, ResponseTimeout: time.Minute, StartupTimeout: time.Minute, UnregisterTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

func list(i int) []model.Input {
	return []model.Input{{Name: "body", ContentType: "application/json", Data: fmt.Appendf(nil, "[%d, 1, 2, 3]", i)}}
}

// TestLivePredictor asks a real server, found through each of its APIs.
func TestLivePredictor(t *testing.T) {
	t.Parallel()
	s := live(t)
	for name, address := range map[string]string{
		"inference": s.Addrs().Inference, "management": "http://" + s.Addrs().Management, "metrics": "http://" + s.Addrs().Metrics + "/metrics",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modeltest.TestPredictor(t, modeltest.Subject{
				Predictor: connect(t, "", client.Options{Server: address}),
				Ref:       model.Ref{Name: "sum", Version: "1.0"},
				Input:     list,
				Bad:       []model.Input{{Name: "body", ContentType: "application/json", Data: []byte("[1, 2")}},
				Params:    map[string]string{"method": "occlusion", "window": "1", "stride": "1"},
				Check:     checkSum,
			})
		})
	}
}

func checkSum(i int, mode model.Mode, resp *model.Response) error {
	var got, want any
	if err := json.Unmarshal(resp.Body, &got); err != nil {
		return fmt.Errorf("%s: %w", resp.Body, err)
	}
	want = float64(i) + 6
	if mode == model.ModeExplain {
		want = []any{float64(i), 1.0, 2.0, 3.0}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("answer to %d (-want +got):\n%s", i, diff)
	}
	if resp.ContentType != "application/json" || mode == model.ModePredict && resp.Header["X-Handler"] != "sum" {
		return fmt.Errorf("content type %q, headers %v", resp.ContentType, resp.Header)
	}
	return nil
}

func TestLiveManager(t *testing.T) {
	t.Parallel()
	s := live(t)
	modeltest.TestManager(t, modeltest.ManagerSubject{
		Manager: connect(t, "", client.Options{Server: s.Addrs().Management}),
		Registration: func(name, version string) model.Registration {
			return model.Registration{URL: "sum", Name: name, Version: version}
		},
		Missing:    model.Registration{URL: "nothing", Name: "modeltest-missing", Version: "1.0"},
		Customized: map[string]any{"adds": "four numbers"},
	})
}

// TestLive pings a real server, and reads its metrics.
func TestLive(t *testing.T) {
	t.Parallel()
	s := live(t)
	c := connect(t, "", client.Options{Server: s.Addrs().Inference})
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	ref := model.Ref{Name: "sum", Version: "1.0"}
	for i := range 10 {
		if _, err := c.Predict(t.Context(), ref, &model.Request{Inputs: list(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Predict(t.Context(), ref, &model.Request{Inputs: []model.Input{{Name: "body", Data: []byte("?")}}}); !errors.Is(err, fault.Invalid) {
		t.Errorf("Predict = %v, want %v", err, fault.Invalid)
	}
	all, err := c.Stats(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("Stats = %v, %v", all, err)
	}
	got := all[0]
	if got.Ref != ref || got.Mode != model.ModePredict || got.Requests != 11 || got.Errors != 1 || got.Workers != 1 || got.P50 <= 0 || got.Batch < 1 || got.Memory <= 0 {
		t.Errorf("stats: %+v, want 11 requests of which one failed", got)
	}
	page, err := c.Metrics(t.Context(), "tsgo_workers")
	if err != nil || !strings.Contains(string(page), "tsgo_workers{") || strings.Contains(string(page), "ts_inference_requests_total") {
		t.Errorf("Metrics: %v, %.300s; want tsgo_workers alone", err, page)
	}
}
