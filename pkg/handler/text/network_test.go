package text_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
)

// start starts ONNX Runtime, which a process has once.
var start = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := library.Find(context.Background(), library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(context.Background(), ort.Options{Library: path})
})

const manifest = `model:
  name: tiny
  version: "1.0"
  serializedFile: tiny_bert.onnx
  handler: text_classifier
  labels: labels.txt
handler:
  maxLength: 12
`

// tiny loads a model of a network with 30 tokens, w0 to w29, between the two that its reference has around them.
func tiny(t *testing.T) *pipeline.Pipeline {
	t.Helper()
	runtime, err := start()
	if err != nil {
		t.Fatal(err)
	}
	network, err := os.ReadFile("testdata/opinion/opinion.onnx")
	if err != nil {
		t.Fatal(err)
	}
	var vocab []string
	for i := range 30 {
		vocab = append(vocab, fmt.Sprintf(`"w%d":%d`, i, i))
	}
	tokenizer := `{"pre_tokenizer":{"type":"WhitespaceSplit"},
		"padding":{"strategy":"BatchLongest","pad_id":0,"pad_token":"w0"},
		"post_processor":{"type":"BertProcessing","cls":["w7",7],"sep":["w4",4]},
		"model":{"type":"WordLevel","unk_token":"w0","vocab":{` + strings.Join(vocab, ",") + `}}}`
	dir := t.TempDir()
	for name, data := range map[string]string{
		"tiny_bert.onnx": string(network), "tokenizer.json": tokenizer, "labels.txt": "a\nb\nc\nd\n", "model-config.yaml": manifest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := archive.Open(t.Context(), dir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Load(t.Context(), m, pipeline.Options{Open: runtime.Open, Engine: engine.Options{IntraOpThreads: 1}, Handlers: builtin.Handlers()})
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

// TestNetwork runs a real network, alone and in a batch. PyTorch's logits are the reference.
func TestNetwork(t *testing.T) {
	t.Parallel()
	p := tiny(t)
	if _, err := p.Warm(t.Context()); err != nil {
		t.Errorf("warm up: %v", err)
	}
	request := func(text string) *model.Request { return &model.Request{Inputs: []model.Input{body(text)}} }
	results := p.Batch(t.Context(), []*model.Request{request("w19 w26 w10 w2 w3"), request("w5"), request(strings.Repeat("w8 ", 50)), request("")})
	want := map[string]float64{"a": 0.024746111731513615, "b": 0.031299469700166845, "c": 0.916212912522028, "d": 0.02774150604629168}
	for i, result := range results[:3] {
		if result.Err != nil {
			t.Fatalf("request %d: %v", i, result.Err)
		}
		if n := result.Response.Timing.Batch; n != 3 {
			t.Errorf("request %d ran in a batch of %d, want 3", i, n)
		}
	}
	if results[3].Err == nil {
		t.Error("an empty text was answered")
	}
	var got map[string]float64
	if err := json.Unmarshal(results[0].Response.Body, &got); err != nil {
		t.Fatal(err)
	}
	for label, probability := range want {
		if math.Abs(got[label]-probability) > 1e-5 {
			t.Errorf("%s is %v, want %v", label, got[label], probability)
		}
	}
	if !strings.HasPrefix(string(results[0].Response.Body), "{\n  \"a\": ") {
		t.Errorf("the classes are not in their order: %s", results[0].Response.Body)
	}
}

// Explanations come with tokens, whatever the method attributes: the vectors that they were looked up as, or themselves.
// Captum's importances are the reference.
func TestNetworkExplains(t *testing.T) {
	t.Parallel()
	p := tiny(t)
	explained := func(method string) (*model.Response, words) {
		resp, err := p.Predict(t.Context(), p.Ref(), &model.Request{
			Mode: model.ModeExplain, Inputs: []model.Input{body("w19 w26 w10 w2 w3")}, Params: map[string]string{"target": "a", "method": method},
		})
		if err != nil {
			t.Fatal(err)
		}
		var w words
		if err := json.Unmarshal(resp.Body, &w); err != nil {
			t.Fatal(err)
		}
		return resp, w
	}
	resp, got := explained("")
	want := map[string]string{"X-Explain-Method": "layer_integrated_gradients", "X-Explain-Exact": "true", "X-Explain-Reason": "the default method"}
	if diff := cmp.Diff(want, resp.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	captum := words{
		Words:       []string{"w7", "w19", "w26", "w10", "w2", "w3", "w4"},
		Importances: []float64{0, -0.11150053143501282, 0.8469938635826111, 0.3949538767337799, 0.047512296587228775, -0.33454909920692444, 0},
		Delta:       new(float64),
	}
	if diff := cmp.Diff(captum, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-5 })); diff != "" {
		t.Errorf("layer_integrated_gradients (-want +got):\n%s", diff)
	}
	resp, got = explained("leave_one_out")
	if resp.Header["X-Explain-Method"] != "leave_one_out" || resp.Header["X-Explain-Exact"] != "false" || got.Delta != nil || len(got.Importances) != 7 {
		t.Errorf("leave_one_out: %v, %+v", resp.Header, got)
	}
	if got.Importances[0] != 0 || got.Importances[2] <= 0 {
		t.Errorf("without the word that counts most, the score is not lower: %v", got.Importances)
	}
}
