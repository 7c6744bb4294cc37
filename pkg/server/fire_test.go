package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// features is the width of the test network. Version 1.0 answers [Σ x, 2·Σ x], version 2.0 ten times that.
const features = 4

func openSums(ctx context.Context, net engine.Network, _ engine.Options) (engine.Session, error) {
	factor := float32(1)
	if strings.Contains(net.Path, "two") {
		factor = 10
	}
	dims := func(n int64) []engine.Dim { return []engine.Dim{{Size: -1, Name: "batch"}, {Size: n}} }
	signature := engine.Signature{
		Inputs:  []engine.Value{{Name: "x", DType: tensor.Float32, Shape: dims(features)}},
		Outputs: []engine.Value{{Name: "y", DType: tensor.Float32, Shape: dims(2)}},
	}
	return enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
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
			y = append(y, factor*sum, 2*factor*sum)
		}
		t, err := tensor.New([]int64{int64(len(y) / 2), 2}, y)
		return tensor.Named{"y": t}, err
	}), ctx.Err()
}

// lists is a handler of JSON lists, as a user would write one: explanations come with handler.Base.
type lists struct{ handler.Base }

func newLists(env handler.Env) (handler.Handler, error) { return lists{handler.Base{Env: env}}, nil }

func (l lists) Preprocess(_ context.Context, req *model.Request) (tensor.Named, error) {
	content, err := handler.ReadInput(req, l.Env.Session.Signature().Inputs[0])
	if err != nil {
		return nil, err
	}
	if content.Tensor == nil {
		return nil, fmt.Errorf("%w: want JSON lists", fault.Invalid)
	}
	if x, _ := tensor.Data[float32](*content.Tensor); x[0] == panics {
		panic("the handler has a defect")
	}
	return tensor.Named{"x": *content.Tensor}, nil
}

func (l lists) Inference(ctx context.Context, in tensor.Named) (tensor.Named, error) {
	if x, _ := tensor.Data[float32](in["x"]); x[0] == panicsInference {
		panic("the network's code has a defect")
	}
	return l.Base.Inference(ctx, in)
}

func (l lists) Postprocess(_ context.Context, _ *model.Request, out tensor.Named) (handler.Answer, error) {
	switch y, _ := tensor.Data[float32](out["y"]); y[0] {
	case panicsPostprocess + features - 1:
		panic("the answer's code has a defect")
	case floods + features - 1:
		return handler.Answer{Value: make([]byte, flood), ContentType: "application/octet-stream"}, nil
	}
	return handler.Answer{Value: handler.Object{{Key: "sums", Value: out["y"]}}}, nil
}

// First features at which the handler panics: in Preprocess, which is among those that are fired, and later.
const (
	panics            = 666
	panicsInference   = 70_666
	panicsPostprocess = 80_666
)

// floods is a first feature that is answered with so many bytes: more than a system keeps for a caller who reads nothing.
const (
	floods = 90_000
	flood  = 64 << 20
)

func writeModel(t *testing.T, dir, version string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := "model:\n  name: sums\n  version: '" + version + "'\n  serializedFile: net.onnx\n  handler: lists\nbatchSize: 8\nmaxBatchDelay: 5\n"
	for name, text := range map[string]string{"net.onnx": "not read by the fake engine", "model-config.yaml": manifest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func start(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := options(t)
	if change != nil {
		change(&opts)
	}
	s, err := server.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s
}

// options are those of a server of the test network, on free ports.
func options(t *testing.T) server.Options {
	t.Helper()
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "one"), "1.0")
	writeModel(t, filepath.Join(dir, "two"), "2.0")
	return server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0",
		Store: store.New(store.Dir{Path: dir, Origin: "the test"}), Models: []server.Startup{{Location: filepath.Join(dir, "one")}},
		Open: openSums, Handlers: map[string]handler.Factory{"lists": newLists}, Params: []string{"method", "target", "window", "stride", "detail"},
		Queue: 1000, Workers: 2, Cores: 2, ModelAPI: true, MetricsAPI: true, MaxBody: 1 << 20,
		ResponseTimeout: time.Minute, StartupTimeout: time.Minute, UnregisterTimeout: time.Minute,
	}
}

func stop(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// shot is one request, and what may be answered to it.
type shot struct {
	path, body string
	want       []any // any of these documents; nil: an error
	codes      []int // of an error
}

func newShot(i int, random *rand.Rand) shot {
	version := ""
	factors := []float64{1, 10} // the default version may change meanwhile
	if random.IntN(2) == 0 {
		version, factors = "/1.0", []float64{1}
	}
	x := float64(i)
	s := shot{path: "/predictions/sums" + version, body: fmt.Sprintf("[%d, 1, 1, 1]", i), codes: []int{http.StatusOK}}
	switch {
	case i == panics:
		s.codes = []int{http.StatusInternalServerError}
	case i%50 == 7:
		s.body, s.codes = "[1, 2", []int{http.StatusBadRequest}
	case i%50 == 9:
		s.path, s.codes = "/predictions/nobody", []int{http.StatusNotFound}
	case i%10 == 3:
		target := random.IntN(2)
		s.path = fmt.Sprintf("/explanations/sums%s?method=occlusion&window=1&stride=1&target=%d", version, target)
		for _, f := range factors {
			f *= float64(target + 1)
			s.want = append(s.want, []any{f * x, f, f, f})
		}
	default:
		for _, f := range factors {
			s.want = append(s.want, map[string]any{"sums": []any{[]any{f * (x + 3), 2 * f * (x + 3)}}})
		}
	}
	return s
}

func (s shot) fire(client *http.Client, address string) error {
	resp, err := client.Post("http://"+address+s.path, "application/json", strings.NewReader(s.body))
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if !slices.Contains(s.codes, resp.StatusCode) {
		return fmt.Errorf("%s %s: status %d, want %v: %.200s", s.path, s.body, resp.StatusCode, s.codes, body)
	}
	if resp.StatusCode != http.StatusOK {
		return nil
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("%s: %.200s: %w", s.path, body, err)
	}
	if !slices.ContainsFunc(s.want, func(want any) bool { return near(got, want) }) {
		return fmt.Errorf("%s %s: answer %s, want one of %v", s.path, s.body, compact(body), s.want)
	}
	return nil
}

// near compares documents, numbers with a relative tolerance of 1e-5.
func near(got, want any) bool {
	switch want := want.(type) {
	case float64:
		g, ok := got.(float64)
		return ok && math.Abs(g-want) <= 1e-5*max(1, math.Abs(want))
	case []any:
		g, ok := got.([]any)
		return ok && len(g) == len(want) && !slices.ContainsFunc(indices(want), func(i int) bool { return !near(g[i], want[i]) })
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for key := range want {
			if !near(g[key], want[key]) {
				return false
			}
		}
		return true
	}
	return got == want
}

func indices(list []any) []int {
	all := make([]int, len(list))
	for i := range all {
		all[i] = i
	}
	return all
}

func compact(body []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, body) != nil {
		return string(body)
	}
	return out.String()
}

// volley fires so many shots from 32 connections and reports every wrong answer.
func volley(t *testing.T, address string, shots int) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	defer transport.CloseIdleConnections()
	var next, wrong atomic.Int64
	var group sync.WaitGroup
	seed := rand.Uint64()
	for worker := range 32 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for i := next.Add(1); i <= int64(shots); i = next.Add(1) {
				if err := newShot(int(i), random).fire(client, address); err != nil && wrong.Add(1) < 10 {
					t.Errorf("seed %d, shot %d: %v", seed, i, err)
				}
			}
		})
	}
	group.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d answers were wrong", n, shots)
	}
}

// TestFire sends 10 000 mixed requests, and 10 000 more while the model is scaled, its default version changes, and a
// second version comes and goes: none may be answered wrongly, lost, or left hanging, and nothing may be left behind.
func TestFire(t *testing.T) {
	defer goleak.VerifyNone(t)
	files := openFiles(t)
	s := start(t, nil)
	volley(t, s.Addrs().Inference, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	var chaos sync.WaitGroup
	chaos.Go(func() { unrest(ctx, t, s.Addrs().Management) })
	volley(t, s.Addrs().Inference, 10_000)
	cancel()
	chaos.Wait()
	stop(t, s)
	if now := openFiles(t); now > files {
		t.Errorf("%d files are open, %d were before", now, files)
	}
}

// unrest changes what is served until ctx ends.
func unrest(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	steps := []struct{ method, path string }{
		{"PUT", "/models/sums?min_worker=4&max_worker=4&synchronous=true"},
		{"POST", "/models?url=two&initial_workers=2"},
		{"PUT", "/models/sums/2.0/set-default"},
		{"PUT", "/models/sums/1.0?min_worker=1&max_worker=1&synchronous=true"},
		{"PUT", "/models/sums/1.0/set-default"},
		{"DELETE", "/models/sums/2.0"},
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for rounds := 0; ; rounds++ {
		for _, step := range steps {
			if err := manage(client, step.method, "http://"+address+step.path); err != nil {
				t.Errorf("%s %s: %v", step.method, step.path, err)
				return
			}
		}
		if ctx.Err() != nil {
			t.Logf("%d rounds of changes", rounds+1)
			return
		}
	}
}

func manage(client *http.Client, method, url string) error {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// openFiles returns how many descriptors this process holds; 0 where the system does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
