//go:build linux || darwin

package server_test

import (
	"archive/zip"
	"bytes"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// fullDisk tells the test binary that it is the child of TestFullDisk: a process that can write no large file.
var fullDisk = flag.Bool("full-disk", false, "be the child of TestFullDisk")

// room is how many bytes a file may have where the disk is full.
const room = 64 << 10

// TestFullDisk registers models that have to be written somewhere, where nothing can be: they are refused with the file and
// the cause, nothing half written stays, and another model goes on answering. It is done in a process of its own, whose
// files may have no more than so many bytes.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if *fullDisk {
		registerOnFullDisk(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestFullDisk$", "-full-disk")
	child.Env = append(child.Environ(), "TMPDIR="+t.TempDir())
	if out, err := child.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func registerOnFullDisk(t *testing.T) {
	t.Helper()
	dir, temp := t.TempDir(), os.TempDir()
	writeModel(t, filepath.Join(dir, "one"), "1.0")
	large := largeArchive(t)
	if err := os.WriteFile(filepath.Join(dir, "packed.mar"), large, 0o600); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"1"`) // with it, a download that breaks is gone on with later
		_, _ = w.Write(large)
	}))
	defer host.Close()
	s := start(t, func(o *server.Options) {
		o.Store = store.New(store.Dir{Path: dir, Origin: "the test"})
		o.Models = []server.Startup{{Location: "one"}}
		o.AllowedURLs = []*regexp.Regexp{regexp.MustCompile(regexp.QuoteMeta(host.URL) + "/.*")}
	})
	defer stop(t, s)
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for location, file := range map[string]string{
		"packed.mar":              filepath.Join(dir, "packed.mar"),
		host.URL + "/fetched.mar": filepath.Join(dir, ".fetched.mar.part"),
	} {
		resp, err := client.Post("http://"+s.Addrs().Management+"/models?initial_workers=1&url="+url.QueryEscape(location), "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("register %s: %v, status %d, want %d", location, err, resp.StatusCode, http.StatusServiceUnavailable)
		}
		for _, want := range []string{file, syscall.EFBIG.Error(), "room"} {
			if !strings.Contains(string(body), want) {
				t.Errorf("register %s: %s, want it to say %q", location, compact(body), want)
			}
		}
		predictable(t, s)
		if diff := cmp.Diff(before, names(t, dir)); diff != "" {
			t.Errorf("the store after %s (-want +got):\n%s", location, diff)
		}
		if left, err := filepath.Glob(filepath.Join(temp, "tsgo-*")); err != nil || len(left) > 0 {
			t.Errorf("left behind by %s: %q, %v", location, left, err)
		}
	}
}

// largeArchive returns a model of which neither the archive nor the network fits into the room.
func largeArchive(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	writeModel(t, dir, "5.0")
	noise, random := make([]byte, 4*room), rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	if err := os.WriteFile(filepath.Join(dir, "net.onnx"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
