package catalogue_test

import (
	"encoding/hex"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/catalogue"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestEntries(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range catalogue.All() {
		if err := (model.Ref{Name: e.Name, Version: e.Version}).Check(); err != nil {
			t.Error(err)
		}
		if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != 32 || strings.ToLower(e.SHA256) != e.SHA256 {
			t.Errorf("%s: sha256 %q, want 64 small hexadecimal digits", e.Name, e.SHA256)
		}
		if e.Size < 1<<20 || !slices.Contains([]string{"Apache-2.0", "MIT"}, e.Licence) || e.About == "" || e.Input == "" || e.Output == "" {
			t.Errorf("%s lacks something: %+v", e.Name, e)
		}
		if len(e.URLs) < 2 {
			t.Errorf("%s: %d addresses, want a second one for when the first is gone", e.Name, len(e.URLs))
		}
		for _, address := range append(slices.Clone(e.URLs), e.Page) {
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
				t.Errorf("%s: address %q, want a plain one of https", e.Name, address)
			}
			if seen[address] && address != e.Page {
				t.Errorf("%s: address %s is another's too", e.Name, address)
			}
			seen[address] = true
		}
		for _, address := range e.URLs {
			if path.Base(address) != e.Network() || path.Ext(address) != ".onnx" {
				t.Errorf("%s: %s does not end in %s", e.Name, address, e.Network())
			}
		}
		if found, ok := catalogue.Find(e.Name); !ok || found.SHA256 != e.SHA256 {
			t.Errorf("Find(%q) = %v, %v", e.Name, found, ok)
		}
	}
	if names := catalogue.Names(); len(names) < 5 || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names %q, want at least five, sorted, each once", names)
	}
	if _, ok := catalogue.Find("no-such-model"); ok {
		t.Error("found a model that is not there")
	}
}

// The shipped model's labels are those of the catalogue, and no shipped model is hidden by one of the catalogue.
func TestLabelsAreTheShippedOnes(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../models/efficientnet-lite0/labels.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range catalogue.All() {
		if got := e.Beside()["labels.txt"]; got != string(shipped) {
			t.Errorf("%s has other labels than models/efficientnet-lite0", e.Name)
		}
		if _, err := os.Stat(filepath.Join("../../models", e.Name)); err == nil {
			t.Errorf("%s is the name of a model that is shipped", e.Name)
		}
	}
}

// Each entry makes a model that is read, and that its handler takes together with a network of the entry's signature.
func TestModels(t *testing.T) {
	t.Parallel()
	for _, e := range catalogue.All() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "staged")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			files := e.Beside()
			files[e.Network()] = "network"
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m, err := archive.Open(t.Context(), dir, archive.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close() //nolint:errcheck // nothing was unpacked
			got := []string{m.Manifest.Name, m.Manifest.Version, m.Manifest.SerializedFile, m.Manifest.Handler, m.Manifest.Labels}
			if diff := cmp.Diff([]string{e.Name, e.Version, e.Network(), "image_classifier", "labels.txt"}, got); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			if len(m.Manifest.Ignored) > 0 {
				t.Errorf("settings without a meaning: %q", m.Manifest.Ignored)
			}
			runs(t, e, m)
		})
	}
}

// runs shows the handler a black picture, and the network what the handler makes of it.
func runs(t *testing.T, e catalogue.Entry, m *archive.Model) {
	t.Helper()
	dims, want := []int64{1, 3, 224, 224}, float32((0-0.485)/0.229)
	if strings.Contains(e.Input, "images") {
		dims, want = []int64{1, 224, 224, 3}, -127.0/128
	}
	in := engine.Value{Name: e.Input, DType: tensor.Float32}
	for _, d := range dims {
		in.Shape = append(in.Shape, engine.Dim{Size: d})
	}
	out := engine.Value{Name: e.Output, DType: tensor.Float32, Shape: []engine.Dim{{Size: 1}, {Size: 1000}}}
	session := enginetest.New(engine.Signature{Inputs: []engine.Value{in}, Outputs: []engine.Value{out}}, func(rows tensor.Named) (tensor.Named, error) {
		if pixels, err := tensor.Data[float32](rows[e.Input]); err != nil || pixels[0] != want {
			t.Errorf("the network sees black as %v, want %v (%v)", pixels[0], want, err)
		}
		scores, err := tensor.New([]int64{1, 1000}, make([]float32, 1000))
		return tensor.Named{e.Output: scores}, err
	})
	labels, err := m.Labels()
	if err != nil {
		t.Fatal(err)
	}
	explainer, err := explain.New(explain.Options{Session: session, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	h, err := builtin.Handlers()[m.Manifest.Handler](handler.Env{
		Session: session, Explainer: explainer, Files: m.Files(), Labels: labels, Config: m.Manifest.HandlerConfig,
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := h.(handler.Exampler).Example()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := h.Inference(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Postprocess(t.Context(), &model.Request{}, answer); err != nil {
		t.Error(err)
	}
}
