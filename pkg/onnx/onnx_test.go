package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// TestRoundTrip reads the networks that are shipped, writes them and reads them again.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../models/*/*.onnx")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			g, err := onnx.Unmarshal(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(g.Nodes) == 0 || len(g.Inputs) != 1 || len(g.Outputs) != 1 {
				t.Fatalf("%d nodes, inputs %v, outputs %v", len(g.Nodes), g.Inputs, g.Outputs)
			}
			again, err := onnx.Unmarshal(g.Marshal(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(g, again, cmpopts.IgnoreUnexported(onnx.Value{}, onnx.Attr{}), cmp.Comparer(bytes.Equal)); diff != "" {
				t.Errorf("read again (-want +got):\n%s", diff)
			}
		})
	}
}
