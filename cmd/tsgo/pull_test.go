package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/catalogue"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/store"
)

// pulling returns the options of models pull, with a catalogue of one model whose network is content at an address.
func pulling(t *testing.T, content []byte, address string, client *http.Client) (*modelsPullOptions, *bytes.Buffer) {
	t.Helper()
	e, ok := catalogue.Find("efficientnet-lite4")
	if !ok {
		t.Fatal("the catalogue has no efficientnet-lite4")
	}
	sum := sha256.Sum256(content)
	e.URLs, e.SHA256, e.Size = []string{address + "/net.onnx"}, hex.EncodeToString(sum[:]), int64(len(content))
	out := &bytes.Buffer{}
	return &modelsPullOptions{
		globals: &globals{output: outputTable}, streams: streams{out: out, err: io.Discard, env: func(string) string { return "" }},
		local: local{modelStore: t.TempDir()}, entries: []catalogue.Entry{e}, client: client, what: e.Name,
	}, out
}

func TestPullOfTheCatalogue(t *testing.T) {
	t.Parallel()
	content := []byte("a network")
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(s.Close)
	o, out := pulling(t, content, s.URL, s.Client())
	if err := o.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.modelStore, "efficientnet-lite4")
	if want := fmt.Sprintf("efficientnet-lite4/1.0 is at %s (9 B, licence MIT)\n", path); out.String() != want {
		t.Errorf("told %q, want %q", out, want)
	}
	m, err := archive.Open(t.Context(), path, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() //nolint:errcheck // nothing was unpacked
	if labels, err := m.Labels(); err != nil || len(labels) != 1000 || m.Manifest.HandlerConfig["layout"] != "nhwc" {
		t.Errorf("%d labels, %v, handler %v", len(labels), err, m.Manifest.HandlerConfig)
	}
	notice, err := os.ReadFile(filepath.Join(path, "NOTICE"))
	if err != nil || !bytes.Contains(notice, []byte("Licence: MIT")) {
		t.Errorf("notice %q, %v", notice, err)
	}
	out.Reset()
	if err := o.show(); err != nil || !strings.Contains(out.String(), "in the store") {
		t.Errorf("the catalogue says %q, %v", out, err)
	}
}

// offline is a machine without a network.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "host.invalid", IsNotFound: true}}
}

func TestPullOffline(t *testing.T) {
	t.Parallel()
	o, _ := pulling(t, []byte("x"), "https://host.invalid", &http.Client{Transport: offline{}})
	err := o.run(t.Context())
	want := "no such host; offline? copy the file here and run: tsgo models pull efficientnet-lite4 --file net.onnx"
	if fault.Of(err) != fault.Download || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line that ends in %q", err, want)
	}
	if left, err := os.ReadDir(o.modelStore); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestPullInterrupted(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("network "), 1000)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:5000])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	o, _ := pulling(t, content, s.URL, s.Client())
	dir := o.modelStore
	order, err := o.order()
	if err != nil {
		t.Fatal(err)
	}
	order.Progress = func(done, _ int64) {
		if done == 5000 {
			interrupt()
		}
	}
	_, _, err = store.Pull(ctx, dir, order)
	err = o.wayOut(ctx, dir, order, err)
	if got, want := afterwards(err), "; 5.0 kB are kept, and the same command goes on from there"; got != want || fault.Of(err) != fault.Canceled {
		t.Errorf("interrupted%s (%v), want %q", got, err, want)
	}
}

func TestPullWays(t *testing.T) {
	t.Parallel()
	o, _ := pulling(t, nil, "https://host", nil)
	order, err := o.order()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "free some space in DIR"},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, "--model-store"},
		{&net.OpError{Op: "dial", Err: syscall.EACCES}, "offline?"},
		{fetch.SumError{}, "nothing of it was kept"},
		{fetch.LimitError{Limit: 1}, "not the one that was meant"},
		{fetch.StatusError{Code: 401}, "where only you may have the file"},
		{fetch.StatusError{Code: 410}, "check the address"},
		{fault.Timeout, "offline?"},
		{errors.New("something else"), ""},
	} {
		got := o.way("DIR", order, fmt.Errorf("pull: %w", test.err))
		if !strings.Contains(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}

func TestPictureSettings(t *testing.T) {
	t.Parallel()
	input := func(sizes ...int64) []onnx.Value {
		v := onnx.Value{Name: "x"}
		for _, n := range sizes {
			v.Shape = append(v.Shape, onnx.Axis{Size: n})
		}
		return []onnx.Value{v}
	}
	for _, test := range []struct {
		name, handler string
		inputs        []onnx.Value
		want          string
	}{
		{"channels first", "image_classifier", input(-1, 3, 224, 192), "layout: nchw size: [224, 192]"},
		{"channels last", "image_classifier", input(1, 224, 192, 3), "layout: nhwc size: [224, 192]"},
		{"grey", "image_classifier", input(1, 1, 28, 28), "layout: nchw colour: grey size: [28, 28]"},
		{"open", "image_classifier", input(-1, 3, -1, -1), "layout: nchw"},
		{"no picture", "image_classifier", input(1, 10), ""},
		{"another handler", "base_handler", input(-1, 3, 224, 224), ""},
		{"guessed", "", input(-1, 3, 224, 224), ""},
	} {
		_, got, _ := strings.Cut(pictureSettings(test.inputs, test.handler), "\n")
		if got = strings.Join(strings.Fields(got), " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A network with its weights elsewhere is not all there, and a page is no network.
func TestPullOfNoNetwork(t *testing.T) {
	t.Parallel()
	external, err := os.ReadFile("../../pkg/engine/ort/testdata/external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for says, content := range map[string][]byte{"files of their own": external, "no ONNX network": []byte("<!DOCTYPE html>")} {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
		t.Cleanup(s.Close)
		o, _ := pulling(t, content, s.URL, s.Client())
		o.what, o.maxSize = s.URL+"/net.onnx", "1MB"
		if err := o.run(t.Context()); fault.Of(err) != fault.BadModel || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want %v and %q", err, fault.BadModel, says)
		}
		if left, err := os.ReadDir(o.modelStore); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1500": 1500, "500MB": 500_000_000, "1.5 kB": 1500, "2GiB": 2 << 30, "3kib": 3072, "7B": 7,
		"": 0, "MB": 0, "0": 0, "-1": 0, "1TB": 0, "1e3": 0, "1.2.3": 0, "99999999999GiB": 0,
	} {
		got, err := parseSize(text)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}
