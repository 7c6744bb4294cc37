package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/auth"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
)

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of a test
	return l.Addr().String()
}

// visit asks for a path, and returns the status and the body.
func visit(t *testing.T, c *http.Client, method, url string) (code int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // of a test
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestOneAddress has the three APIs at one address, and asks each for what is its own.
func TestOneAddress(t *testing.T) {
	defer goleak.VerifyNone(t)
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	s := start(t, func(o *server.Options) {
		o.Inference, o.Management, o.Metrics = address, "localhost:"+port, address
	})
	defer stop(t, s)
	if a := s.Addrs(); a.Inference != address || a.Management != address || a.Metrics != address {
		t.Errorf("addresses %+v, want %s alone", a, address)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, tt := range []struct {
		request string
		code    int
		says    string
	}{
		{"GET /ping", 200, "Healthy"},
		{"GET /models", 200, `"modelName": "sums"`},
		{"GET /models/sums", 200, `"modelVersion": "1.0"`},
		{"GET /models/sums/1.0", 200, `"modelVersion": "1.0"`}, // a 404 in TorchServe
		{"GET /models/sums/all", 200, `"modelVersion": "1.0"`},
		{"PUT /models/sums/1.0/set-default", 200, "Default version"},
		{"POST /models/sums/invoke", 400, "BadRequestException"},
		{"POST /models?url=two", 200, "registered"},
		{"DELETE /models/sums/2.0", 200, "unregistered"},
		{"GET /metrics", 200, "Requests2XX"},
		{"GET /v1/models/sums", 200, `"ready": true`},
		{"GET /v2/models/sums", 200, `"platform"`},
		{"POST /metrics/predict", 404, "Model not found: metrics"},
		{"OPTIONS /predictions/sums", 200, "RESTful API for: sums"},
		{"OPTIONS /models/sums", 200, "RESTful Management API for: sums"},
		{"GET /token", 404, "ResourceNotFoundException"}, // there are no keys
		{"GET /nothing", 404, "ResourceNotFoundException"},
		{"GET /", 405, "MethodNotAllowedException"},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		if code, body := visit(t, c, method, "http://"+address+path); code != tt.code || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %.200s, want %d %s", tt.request, code, body, tt.code, tt.says)
		}
	}
	_, text := visit(t, c, http.MethodOptions, "http://"+address+"/")
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	for path, method := range map[string]string{"/predictions/{model_name}": "post", "/models/{model_name}": "delete", "/metrics": "get", "/ping": "get", "/": "options"} {
		if document.Paths[path][method] == nil {
			t.Errorf("the description lacks %s %s", method, path)
		}
	}
}

// TestTwoAtOneAddress has management and metrics share an address, and nothing of the inference API answer there.
func TestTwoAtOneAddress(t *testing.T) {
	defer goleak.VerifyNone(t)
	address := freeAddress(t)
	s := start(t, func(o *server.Options) { o.Management, o.Metrics = address, address })
	defer stop(t, s)
	predictable(t, s)
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/models": 200, "/metrics": 200, "/metrics/predict": 200, "/ping": 404, "/predictions/sums": 404, "/models/sums/invoke": 404} {
		if code, body := visit(t, c, http.MethodGet, "http://"+address+path); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}

// TestOneAddressKeys asks each API at one address for its own key, which TorchServe cannot.
func TestOneAddressKeys(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	f := build(t, func(o *server.Options) { o.Inference, o.Management, o.Metrics = address, address, address })
	keys := f.keys(t)
	for _, tt := range []struct {
		request string
		opens   auth.Scope
	}{
		{"GET /models", auth.Management}, {"GET /models/sums/1.0", auth.Management}, {"GET /v2", auth.Inference}, {"GET /token?type=inference", auth.API},
	} {
		for scope := range keys {
			want := http.StatusUnauthorized
			if scope == tt.opens {
				want = http.StatusOK
			}
			got := f.send(t, attack{port: auth.Inference, request: tt.request, authorization: "Bearer {" + string(scope) + "}"}, f.keys(t))
			if got.code != want {
				t.Errorf("%s with the %s key: %d, want %d", tt.request, scope, got.code, want)
			}
		}
	}
	f.silent(t, keys)
	f.intact(t)
}

func TestOneAddressFails(t *testing.T) {
	t.Parallel()
	opts := options(t)
	opts.Inference = freeAddress(t)
	opts.Management = "https://" + opts.Inference
	if _, err := server.New(t.Context(), opts); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "one speaks TLS, and the other does not") {
		t.Errorf("New = %v, want %v", err, fault.Invalid)
	}
}

// socketDir is a directory whose sockets have paths that are short enough.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts") //nolint:usetesting // the test's own directory has a path that is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestSockets has the APIs on Unix sockets, one of its own and one that two share, where a server before it left a file; and
// asks them through the client, by any of the addresses.
func TestSockets(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := socketDir(t)
	inference, other := filepath.Join(dir, "inference"), filepath.Join(dir, "other one")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: inference, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	var log journal
	s := start(t, func(o *server.Options) {
		o.Inference, o.Management, o.Metrics = "unix:"+inference, "unix:"+other, "unix:"+other
		o.Access = log.logger()
	})
	if a := s.Addrs(); a.Inference != "unix:"+inference || a.Management != "unix:"+other || a.Metrics != "unix:"+other {
		t.Errorf("addresses %+v", a)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, address := range []string{"unix:" + inference, "unix://" + other} {
		c, err := client.New(client.Options{Server: address, Token: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Predict(ctx, model.Ref{Name: "sums"}, &model.Request{Inputs: []model.Input{{ContentType: "application/json", Data: []byte("[1, 2, 3, 4]")}}})
		if err != nil || compact(resp.Body) != `{"sums":[[10.0,20.0]]}` {
			t.Errorf("%s: %v, %v", address, resp, err)
		}
		if list, err := c.List(ctx, model.Page{}); err != nil || len(list.Models) != 1 {
			t.Errorf("%s: %v, %v", address, list, err)
		}
		if _, err := c.Metrics(ctx); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		_ = c.Close()
	}
	opts := options(t)
	opts.Inference = "unix:" + inference
	if _, err := server.New(t.Context(), opts); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "another process answers on the socket "+inference) {
		t.Errorf("a second server: %v, want %v", err, fault.Unavailable)
	}
	stop(t, s)
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
	if !strings.Contains(log.String(), `"line":"/127.0.0.1 \"POST /predictions/sums HTTP/1.1\" 200 `) {
		t.Errorf("access log %s", log.String())
	}
	c, err := client.New(client.Options{Server: "unix:" + inference})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(ctx); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no server answers at unix:"+inference) {
		t.Errorf("after the server: %v", err)
	}
}

func TestSocketFails(t *testing.T) {
	t.Parallel()
	dir := socketDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path, says string
		kind             fault.Kind
	}{
		{"a file", file, "is there and is no socket", fault.Invalid},
		{"no directory", filepath.Join(dir, "none", "socket"), "no such file or directory", fault.Unavailable},
		{"too long", filepath.Join(dir, strings.Repeat("x", 200)), "at most 103", fault.Invalid},
	} {
		opts := options(t)
		opts.Management = "unix:" + tt.path
		if _, err := server.New(t.Context(), opts); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "--management-address") {
			t.Errorf("%s: %v, want %v %s", tt.name, err, tt.kind, tt.says)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// names are the entries of a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, len(entries))
	for i, entry := range entries {
		all[i] = entry.Name()
	}
	return all
}
