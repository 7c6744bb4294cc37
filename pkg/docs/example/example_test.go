package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// TestServe serves a network that computes 10*rooms + 3*area, and asks for a price and for why.
func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "flats"))
	ctx, cancel := context.WithCancel(t.Context())
	got := map[string]string{}
	err := serve(ctx, server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Store: store.New(store.Dir{Path: dir}), All: true, Drain: 10 * time.Second,
		Started: func(r server.Report) {
			defer cancel()
			for _, path := range []string{"/predictions/flats", "/explanations/flats", "/explanations/flats?method=leave_one_out"} {
				got[path] = post(t, "http://"+r.Addrs.Inference+path, `{"rooms": 3, "area": 80}`)
			}
			got["bad"] = post(t, "http://"+r.Addrs.Inference+"/predictions/flats", "many")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/predictions/flats":                       `{"price":270.0}`,
		"/explanations/flats":                      `[30.0,240.0]`,
		"/explanations/flats?method=leave_one_out": `[30.0,240.0]`,
		"bad": `{"code":400,"type":"BadRequestException","message":"invalid:want{\"rooms\":3,\"area\":80}:invalidcharacter'm'lookingforbeginningofvalue"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// writeModel writes a model's directory as handlers.md shows it.
func writeModel(t *testing.T, dir string) {
	t.Helper()
	row := func(name string, size int64) onnx.Value {
		return onnx.Value{Name: name, Type: onnx.TypeOf(tensor.Float32), Shape: []onnx.Axis{{Name: "N", Size: -1}, {Size: size}}}
	}
	g := &onnx.Graph{
		Name: "flats", IR: 8, Opset: 13, Inputs: []onnx.Value{row("flat", 2)}, Outputs: []onnx.Value{row("price", 1)},
		Initializers: map[string]*onnx.Constant{"weights": onnx.Of([]float32{10, 3}, 2, 1)},
		Nodes:        []*onnx.Node{{Op: "MatMul", Inputs: []string{"flat", "weights"}, Outputs: []string{"price"}}},
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"flats.onnx": string(g.Marshal()), "model-config.yaml": "model:\n  handler: prices\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// post returns an answer without its white space.
func post(t *testing.T, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), "")
}
