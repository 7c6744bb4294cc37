package server_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// writePlain writes a model whose manifest says what it is called, and more where there is more.
func writePlain(t *testing.T, dir, version, more string) server.Startup {
	t.Helper()
	writeModel(t, dir, version)
	manifest := "model:\n  name: plain\n  version: '" + version + "'\n  serializedFile: net.onnx\n" + more
	if err := os.WriteFile(filepath.Join(dir, "model-config.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.Startup{Location: dir}
}

// TestSettings has what the options say of versions in force where their manifests say nothing.
func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ref := func(version string) model.Ref { return model.Ref{Name: "plain", Version: version} }
	said := model.Settings{
		BatchSize: 4, MaxBatchDelay: 50 * time.Millisecond, ResponseTimeout: 7 * time.Second, StartupTimeout: 9 * time.Second, MinWorkers: 1, MaxWorkers: 3,
	}
	s := start(t, func(o *server.Options) {
		o.Store = store.New(store.Dir{Path: dir})
		o.Models = []server.Startup{
			writePlain(t, filepath.Join(dir, "one"), "1.0", ""),
			writePlain(t, filepath.Join(dir, "two"), "2.0", "minWorkers: 2\nbatchSize: 2\nmaxBatchDelay: 5\nresponseTimeout: 11\nstartupTimeout: 12\n"),
			writePlain(t, filepath.Join(dir, "three"), "3.0", ""),
		}
		writePlain(t, filepath.Join(dir, "four"), "4.0", "")
		o.Handler = "lists"
		o.Settings = map[model.Ref]model.Settings{ref("1.0"): said, ref("2.0"): said, ref("4.0"): said}
		o.Defaults = []model.Ref{ref("2.0"), ref("5.0")} // the latter is not there
	})
	t.Cleanup(func() { stop(t, s) })
	if _, err := s.Models().Register(t.Context(), model.Registration{URL: "four"}); err != nil { // its workers are as those of any
		t.Fatal(err)
	}
	all, err := s.Models().Describe(t.Context(), model.Ref{Name: "plain"}, model.Description{All: true})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Version         string
		Default         bool
		Handler         string
		Min, Max, Batch int
		Delay           time.Duration
		Response, Start time.Duration
	}
	want := []row{
		{"1.0", false, "lists", 1, 3, 4, 50 * time.Millisecond, 7 * time.Second, 9 * time.Second},
		{"2.0", true, "lists", 2, 2, 2, 5 * time.Millisecond, 11 * time.Second, 12 * time.Second},
		{"3.0", false, "lists", 2, 2, 1, 100 * time.Millisecond, time.Minute, time.Minute},
		{"4.0", false, "lists", 2, 2, 4, 50 * time.Millisecond, 7 * time.Second, 9 * time.Second},
	}
	var got []row
	for _, v := range all {
		got = append(got, row{v.Ref.Version, v.Default, v.Handler, v.MinWorkers, v.MaxWorkers, v.BatchSize, v.MaxBatchDelay, v.ResponseTimeout, v.StartupTimeout})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// TestNoSystemMetrics leaves the host's load out of the metrics page where that is asked for.
func TestNoSystemMetrics(t *testing.T) {
	t.Parallel()
	for _, without := range []bool{false, true} {
		s := start(t, func(o *server.Options) { o.Models, o.NoSystemMetrics = nil, without })
		transport := &http.Transport{}
		resp, err := (&http.Client{Transport: transport}).Get("http://" + s.Addrs().Metrics + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if found := bytes.Contains(page, []byte("MemoryUsed{")); err != nil || found == without || !bytes.Contains(page, []byte("tsgo_build_info{")) {
			t.Errorf("without the host's load %v: it is there %v, %v", without, found, err)
		}
		transport.CloseIdleConnections()
		stop(t, s)
	}
}
