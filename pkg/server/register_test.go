package server_test

import (
	"archive/zip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/server"
)

// writeArchive writes the model of writeModel as one file.
func writeArchive(t *testing.T, path, version string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	writeModel(t, dir, version)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRegisterFrom registers what a URL may name, over the wire.
func TestRegisterFrom(t *testing.T) {
	t.Parallel()
	web := t.TempDir()
	writeArchive(t, filepath.Join(web, "sums-3.mar"), "3.0")
	host := httptest.NewServer(http.FileServer(http.Dir(web)))
	t.Cleanup(host.Close)
	outside := filepath.Join(t.TempDir(), "outside")
	writeModel(t, outside, "4.0")
	s := start(t, func(o *server.Options) {
		o.AllowedURLs = []*regexp.Regexp{regexp.MustCompile(regexp.QuoteMeta(host.URL) + "/.*")}
	})
	t.Cleanup(func() { stop(t, s) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for _, test := range []struct {
		location string
		code     int
		want     string
	}{
		{"two", 200, `{"status":"Model \"sums\" Version: 2.0 registered with 2 initial workers"}`},
		{"sums/2.0", 409, `{"code":409,"type":"ConflictStatusException","message":"Model version 2.0 is already registered for model sums"}`},
		{host.URL + "/sums-3.mar", 200, `{"status":"Model \"sums\" Version: 3.0 registered with 2 initial workers"}`},
		{"sums-3.mar", 409, `{"code":409,"type":"ConflictStatusException","message":"Model version 3.0 is already registered for model sums"}`},
		{host.URL + "/gone.mar", 400, `{"code":400,"type":"DownloadArchiveException","message":"Failed to download archive from: ` + host.URL + `/gone.mar"}`},
		{"gone", 404, `{"code":404,"type":"ModelNotFoundException","message":"Model not found at: gone"}`},
		{"../outside", 404, `{"code":404,"type":"ModelNotFoundException","message":"Relative path is not allowed in url: ../outside"}`},
		{"https://host/a.mar", 404, `{"code":404,"type":"ModelNotFoundException","message":"Given URL https://host/a.mar does not match any allowed URL(s)"}`},
		{outside, 404, `{"code":404,"type":"ModelNotFoundException","message":"Given URL ` + outside + ` does not match any allowed URL(s)"}`},
	} {
		target := "http://" + s.Addrs().Management + "/models?initial_workers=2&url=" + url.QueryEscape(test.location)
		resp, err := client.Post(target, "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := compact(body); err != nil || resp.StatusCode != test.code || got != test.want {
			t.Errorf("%s: %d %s, want %d %s", test.location, resp.StatusCode, got, test.code, test.want)
		}
	}
}
