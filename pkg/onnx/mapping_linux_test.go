package onnx_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// mapped tells whether any file of a directory is mapped into this process.
func mapped(t *testing.T, dir string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(maps, []byte(dir))
}

// TestNoFileStaysMapped opens networks whose files are cut short, before and while they are read.
func TestNoFileStaysMapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, beside := filepath.Join(dir, "network.onnx"), filepath.Join(dir, "weights")
	write := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := &onnx.Graph{
		IR: 8, Opset: 17, Initializers: map[string]*onnx.Constant{"w": onnx.Of(make([]float32, 4096), 4096)},
		Inputs: []onnx.Value{{Name: "x", Type: onnx.TypeOf(tensor.Float32)}}, Outputs: []onnx.Value{{Name: "y", Type: onnx.TypeOf(tensor.Float32)}},
		Nodes: []*onnx.Node{{Op: "Add", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}},
	}
	whole := g.Marshal()
	write(path, whole)
	write(beside, make([]byte, 64))
	_, file, err := onnx.Open(path)
	if err != nil || !mapped(t, path) {
		t.Fatalf("opened: %v; it is mapped: %v, want so", err, mapped(t, path))
	}
	if err := file.Close(); err != nil || mapped(t, dir) {
		t.Errorf("closed: %v; it is mapped: %v", err, mapped(t, dir))
	}
	write(path, whole[:len(whole)/2])
	if _, _, err := onnx.Open(path); fault.Of(err) != fault.BadModel || mapped(t, dir) {
		t.Errorf("a half: %v; it is mapped: %v", err, mapped(t, dir))
	}
	write(path, whole)
	err = onnx.Guard(func() error {
		_, _, err := onnx.OpenWith(path, func(data []byte, external onnx.External) (*onnx.Graph, error) {
			other, err := external("weights", 0, 64)
			if err := errors.Join(err, os.Truncate(path, 0), os.Truncate(beside, 0)); err != nil {
				return nil, err
			}
			return nil, errors.New(string(data[:8]) + string(other))
		})
		return err
	})
	if fault.Of(err) != fault.BadModel || mapped(t, dir) {
		t.Errorf("cut short while it was read: %v; it is mapped: %v", err, mapped(t, dir))
	}
}
