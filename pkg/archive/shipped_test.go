package archive_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
)

// TestShippedManifests reads the manifests of the models that come with the program, with or without their weights.
func TestShippedManifests(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("../../models/*/model-config.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	for _, path := range found {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(path))
		dir := write(t, t.TempDir(), file{"model-config.yaml", string(data)}, file{name + ".onnx", "network"}, file{"labels.txt", "cat"})
		info, err := archive.Inspect(dir)
		m := info.Manifest
		if err != nil || m.Name != name || m.Version != "1.0" || m.Handler == "" || len(m.HandlerConfig) == 0 || len(m.Ignored) > 0 {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
