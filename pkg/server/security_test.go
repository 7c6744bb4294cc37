package server_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/auth"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// journal is a log in JSON, read by the requests that its lines are about.
type journal struct {
	mu      sync.Mutex // guards what follows
	written bytes.Buffer
	about   map[string][]map[string]any
}

func (j *journal) Write(p []byte) (int, error) {
	var line map[string]any
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.about == nil {
		j.about = map[string][]map[string]any{}
	}
	request := fmt.Sprint(line["request"])
	j.about[request] = append(j.about[request], line)
	return j.written.Write(p)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(j, nil)) }

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written.String()
}

// of returns the lines about a request.
func (j *journal) of(request string) []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.about[request])
}

// with returns the lines that hold all of these texts.
func (j *journal) with(texts ...string) []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []map[string]any
	for _, lines := range j.about {
		for _, line := range lines {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(fmt.Sprint(line["line"]), text) }) {
				found = append(found, line)
			}
		}
	}
	return found
}

// fortress is a server with keys, and what lies around it.
type fortress struct {
	*server.Server

	top         string // store/, outside/ and the key file
	host        string // of a web server whose URLs under /allowed/ models may come from
	client      *http.Client
	log, access journal

	mu  sync.Mutex // guards now
	now time.Time
}

func (f *fortress) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// keys reads the key file.
func (f *fortress) keys(t *testing.T) map[auth.Scope]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.top, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[auth.Scope]struct{ Key string }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[auth.Scope]string{}
	for scope, entry := range file {
		all[scope] = entry.Key
	}
	return all
}

// build starts a fortress.
func build(t *testing.T, change func(*server.Options)) *fortress {
	t.Helper()
	top := t.TempDir()
	f := &fortress{top: top, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	writeModel(t, filepath.Join(top, "store", "one"), "1.0")
	writeModel(t, filepath.Join(top, "store", "two"), "2.0")
	writeModel(t, filepath.Join(top, "outside"), "6.0")
	writeArchive(t, filepath.Join(top, "outside.mar"), "7.0")
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/allowed/astray.mar" {
			http.Redirect(w, r, "/forbidden/m.mar", http.StatusFound)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/forbidden") {
			t.Errorf("%s was asked for", r.URL.Path)
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(host.Close)
	f.host = host.URL
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	f.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	f.Server = start(t, func(o *server.Options) {
		o.Store = store.New(store.Dir{Path: filepath.Join(top, "store"), Origin: "the test"})
		o.Models = []server.Startup{{Location: "one"}}
		o.Keys = server.Keys{Need: server.NeedAlways, File: filepath.Join(top, "keys.json"), Life: time.Hour, Now: f.Now}
		o.AllowedURLs = []*regexp.Regexp{regexp.MustCompile(regexp.QuoteMeta(host.URL) + "/allowed/.*")}
		o.Log, o.Access, o.BodyTimeout = f.log.logger(), f.access.logger(), 2*time.Second
		if change != nil {
			change(o)
		}
	})
	t.Cleanup(func() { stop(t, f.Server) })
	return f
}

// writeBad writes an archive with a file of zeros under a name.
func writeBad(t *testing.T, path, name string, size int64) {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	inner, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(inner, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	inner, err = w.Create("model-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(inner, "model:\n  name: bad\n  version: '1'\n  serializedFile: net.onnx\n  handler: lists\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// attack is one request, and how it is refused.
type attack struct {
	name          string
	port          auth.Scope
	request       string        // "METHOD target", or "Service/Method" of gRPC
	message       proto.Message // of a call over gRPC; nil: it is one over HTTP
	authorization string        // with {inference}, {management} and {API} for the keys
	body          io.Reader
	declares      int64 // the length of a body that never comes
	header        map[string]string
	code          int
	says          string
	logged        int // lines of the log, beside the one of the access log
}

const noKey = "Token Authorization failed. Token either incorrect, expired, or not provided correctly"

// outcome is what came back.
type outcome struct {
	code   int    // of a call over gRPC, what it would be over HTTP
	logged string // the status in the access log
	header http.Header
	text   string
}

// send sends an attack, its path as it is written.
func (f *fortress) send(t *testing.T, a attack, keys map[auth.Scope]string) outcome {
	t.Helper()
	if a.message != nil {
		return f.call(t, a, keys)
	}
	method, target, _ := strings.Cut(a.request, " ")
	target = strings.NewReplacer("{top}", url.QueryEscape(f.top), "{host}", url.QueryEscape(f.host)).Replace(target)
	address := f.Addrs().Inference
	if a.port == auth.Management {
		address = f.Addrs().Management
	}
	path, query, _ := strings.Cut(target, "?")
	r := &http.Request{
		Method: method, Host: address, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: address, Opaque: path, RawQuery: query},
	}
	if a.body != nil {
		r.Body, r.ContentLength = io.NopCloser(a.body), -1
		r.Header.Set("Content-Type", "application/json")
		if sized, ok := a.body.(*strings.Reader); ok {
			r.ContentLength = sized.Size()
		}
	}
	if a.declares > 0 {
		body, end := io.Pipe()
		defer end.Close() //nolint:errcheck // of a test
		r.Body, r.ContentLength = body, a.declares
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	if a.authorization != "" {
		r.Header.Set("Authorization", a.shows(keys))
	}
	resp, err := f.client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	defer resp.Body.Close() //nolint:errcheck // of a test
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	return outcome{resp.StatusCode, fmt.Sprintf("HTTP/1.1\" %d ", resp.StatusCode), resp.Header, string(text)}
}

// shows returns what an attack says to have the key.
func (a attack) shows(keys map[auth.Scope]string) string {
	var with []string
	for scope, key := range keys {
		with = append(with, "{"+string(scope)+"}", key)
	}
	return strings.NewReplacer(with...).Replace(a.authorization)
}

// call makes an attack over gRPC.
func (f *fortress) call(t *testing.T, a attack, keys map[auth.Scope]string) outcome {
	t.Helper()
	address := f.Addrs().GRPCInference
	if a.port == auth.Management {
		address = f.Addrs().GRPCManagement
	}
	conn := connect(t, address)
	defer conn.Close() //nolint:errcheck // of a test
	ctx := t.Context()
	if a.authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a.shows(keys))
	}
	var told metadata.MD
	err := conn.Invoke(ctx, "/"+a.request, a.message, &emptypb.Empty{}, grpc.Header(&told))
	header := http.Header{}
	for _, id := range told.Get("x-request-id") {
		header.Set("X-Request-Id", id)
	}
	code := status.Code(err)
	return outcome{api.HTTPStatus(code), fmt.Sprintf("HTTP/2.0\" %d ", code), header, status.Convert(err).Message()}
}

// repel sends an attack and wants it refused: with its status, told once, and nothing of a key anywhere.
func (f *fortress) repel(t *testing.T, a attack, keys map[auth.Scope]string) {
	t.Helper()
	got := f.send(t, a, keys)
	if got.code != a.code || !strings.Contains(got.text, a.says) {
		t.Errorf("%s: %d %s, want %d %s", a.name, got.code, got.text, a.code, a.says)
	}
	if got := got.header.Get("WWW-Authenticate"); a.message == nil && (got == "Bearer") != (a.code == http.StatusUnauthorized) {
		t.Errorf("%s: WWW-Authenticate %q", a.name, got)
	}
	id := got.header.Get("X-Request-Id")
	look := func() []map[string]any {
		if id == "" { // gRPC refused it before anything of ours could say who it is
			return f.access.with(a.request, got.logged)
		}
		return f.access.of(id)
	}
	access := look()
	for limit := time.Now().Add(10 * time.Second); len(access) == 0 && time.Now().Before(limit); access = look() {
		runtime.Gosched() // it is written after the answer
	}
	if len(access) != 1 || !strings.Contains(fmt.Sprint(access[0]["line"]), got.logged) {
		t.Errorf("%s: access log %v, want one line with %d", a.name, access, a.code)
	}
	if log := f.log.of(id); len(log) != a.logged {
		t.Errorf("%s: log %v, want %d lines", a.name, log, a.logged)
	}
	for scope, key := range keys {
		if strings.Contains(got.text, key) {
			t.Errorf("%s: the %s key is told", a.name, scope)
		}
	}
}

// silent looks that neither log holds a key, those that were among them.
func (f *fortress) silent(t *testing.T, keys ...map[auth.Scope]string) {
	t.Helper()
	logs := f.log.String() + f.access.String()
	for _, some := range append(keys, f.keys(t), map[auth.Scope]string{"guessed": "GUESSED", "a URL's": "s3cret"}) {
		for scope, key := range some {
			if strings.Contains(logs, key) {
				t.Errorf("the %s key is logged", scope)
			}
		}
	}
}

// intact looks that the attacks have changed nothing, and that who has the keys is let in.
func (f *fortress) intact(t *testing.T) {
	t.Helper()
	keys := f.keys(t)
	for _, good := range []attack{
		{port: auth.Inference, request: "POST /predictions/sums", authorization: "Bearer {inference}", body: strings.NewReader("[1, 1, 1, 1]")},
		{port: auth.Management, request: "GET /models", authorization: "Bearer {management}"},
		{port: auth.Inference, request: "GET /ping"},
		{port: auth.Inference, request: "OPTIONS /"},
		{port: auth.Management, request: "GET /api-description"},
	} {
		got := f.send(t, good, keys)
		if got.code != http.StatusOK {
			t.Errorf("%s: %d %s, want 200", good.request, got.code, got.text)
		}
		if good.request == "GET /models" && !strings.Contains(compact([]byte(got.text)), `{"models":[{"modelName":"sums","modelUrl":"one"}]}`) {
			t.Errorf("the models are %s, want those of the start alone", got.text)
		}
	}
	if resp, err := f.client.Get("http://" + f.Addrs().Metrics + "/metrics"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("metrics: %v", err)
	} else {
		_ = resp.Body.Close()
	}
	var names []string
	entries, err := os.ReadDir(f.top)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"keys.json", "outside", "outside.mar", "store"}, names); diff != "" {
		t.Errorf("around the store (-want +got):\n%s", diff)
	}
}

// TestWithoutKey tries what a stranger may try.
func TestWithoutKey(t *testing.T) {
	t.Parallel()
	f := build(t, nil)
	keys := f.keys(t)
	routes := map[auth.Scope][]string{
		auth.Inference: {
			"POST /predictions/sums", "GET /predictions/sums/1.0", "POST /explanations/sums", "POST /invocations", "POST /models/sums/invoke",
			"OPTIONS /predictions/sums", "GET /", "GET /nothing", "GET /pings", "GET /api-description/x", "GET /predictions/sums/../../ping",
			"GET /token?type=inference", "POST /v1/models/sums:predict", "GET /v1/models", "POST /v2/models/sums/infer", "POST /v2/models/sums/explain",
			"GET /v2/models/sums", "GET /v2/models/sums/ready", "GET /v2",
		},
		auth.Management: {
			"GET /models", "GET /models/sums", "POST /models?url=two", "DELETE /models/sums", "PUT /models/sums?min_worker=0",
			"PUT /models/sums/1.0/set-default", "OPTIONS /models/sums", "GET /ping", "GET /nothing", "GET /models?x=/token&type=management",
		},
	}
	wrong := map[auth.Scope]map[string]string{
		auth.Inference: {
			"none": "", "wrong": "Bearer GUESSED", "no scheme": "{inference}", "Basic": "Basic {inference}", "of management": "Bearer {management}",
			"of the API": "Bearer {API}", "two": "Bearer {inference} {inference}", "a part more": "Bearer {inference}x", "empty": "Bearer ",
		},
		auth.Management: {
			"none": "", "wrong": "Bearer GUESSED", "no scheme": "{management}", "Basic": "Basic {management}", "of inference": "Bearer {inference}",
			"of the API": "Bearer {API}", "in a list": "Bearer {management},{inference}",
		},
	}
	for port, requests := range routes {
		for _, request := range requests {
			for name, given := range wrong[port] {
				f.repel(t, attack{
					name: request + ", key: " + name, port: port, request: request, authorization: given, code: http.StatusUnauthorized, says: noKey, logged: 1,
				}, keys)
			}
		}
	}
	for _, a := range []attack{
		{name: "in a cookie", port: auth.Inference, request: "GET /predictions/sums", header: map[string]string{"Cookie": "token=GUESSED", "X-Api-Key": "GUESSED"}, code: 401, says: noKey, logged: 1},
		{name: "an origin that goes on ahead", port: auth.Inference, request: "OPTIONS /predictions/sums", header: map[string]string{"Access-Control-Request-Method": "POST", "Origin": "http://page"}, code: 401, says: noKey, logged: 1},
		{name: "refresh without", port: auth.Management, request: "GET /token?type=management", code: 401, says: "Token Authentication failed", logged: 1},
		{name: "refresh with the management key", port: auth.Management, request: "GET /token?type=management", authorization: "Bearer {management}", code: 401, says: "Token Authentication failed", logged: 1},
		{name: "refresh with the inference key", port: auth.Management, request: "POST /token?type=inference", authorization: "Bearer {inference}", code: 401, says: "Token Authentication failed", logged: 1},
		{name: "refresh of the API key", port: auth.Management, request: "POST /token?type=API", authorization: "Bearer {API}", code: 400, says: "want management or inference"},
		{name: "too large, and without", port: auth.Inference, request: "POST /predictions/sums", declares: 2 << 20, code: 401, says: noKey, logged: 1},
	} {
		f.repel(t, a, keys)
	}
	f.silent(t, keys)
	f.intact(t)
	if diff := cmp.Diff(keys, f.keys(t)); diff != "" {
		t.Error("the keys have changed")
	}
}

// TestExpired uses keys that held once, and the ones that were made anew since.
func TestExpired(t *testing.T) {
	t.Parallel()
	f := build(t, nil)
	keys := f.keys(t)
	f.mu.Lock()
	f.now = f.now.Add(time.Hour)
	f.mu.Unlock()
	held := []attack{
		{name: "inference", port: auth.Inference, request: "POST /predictions/sums", authorization: "Bearer {inference}", code: 401, says: noKey, logged: 1},
		{name: "management", port: auth.Management, request: "GET /models", authorization: "Bearer {management}", code: 401, says: noKey, logged: 1},
	}
	for _, a := range held {
		f.repel(t, a, keys)
	}
	if got := f.log.String(); strings.Count(got, "expired at 2026-03-04T06:06:07Z") != 2 {
		t.Errorf("log %s, want two keys that expired", got)
	}
	for _, which := range []string{"inference", "management"} {
		got := f.send(t, attack{
			port: auth.Management, request: "GET /token?type=" + which, authorization: "Bearer {API}", header: map[string]string{"Referer": "http://host/token"},
		}, keys)
		if got.code != http.StatusOK || got.text != "\n" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("refresh: %d %q", got.code, got.text)
		}
	}
	for _, a := range held {
		f.repel(t, a, keys)
	}
	f.silent(t, keys)
	f.intact(t)
}

// TestOversized sends what net/http refuses before anything of ours sees it.
func TestOversized(t *testing.T) {
	t.Parallel()
	f := build(t, nil)
	for name, request := range map[string]string{
		"target": "GET /predictions/" + strings.Repeat("x", 1<<20) + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"header": "GET /predictions/sums HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"key":    "GET /predictions/sums HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	} {
		conn, err := net.DialTimeout("tcp", f.Addrs().Inference, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() { _, _ = io.WriteString(conn, request) }() // the server hangs up before it has read it all
		answer := make([]byte, 16)
		if _, err := io.ReadFull(conn, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 431") {
			t.Errorf("%s: %q, %v, want 431", name, answer, err)
		}
		_ = conn.Close()
	}
	f.intact(t)
}

// TestModelAPI looks who may register models: everybody on this machine, or with the operator's word.
func TestModelAPI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		management     string
		always, local  bool
		register, told int
	}{
		{"local", "127.0.0.1:0", false, true, 200, 200},
		{"open", "0.0.0.0:0", false, true, 405, 405},
		{"open, and asked for", "0.0.0.0:0", true, false, 200, 200},
		{"local, and off", "127.0.0.1:0", false, false, 405, 405},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := build(t, func(o *server.Options) {
				o.Management, o.ModelAPI, o.LocalModelAPI, o.Keys.Need = test.management, test.always, test.local, server.NeedNever
			})
			_, port, err := net.SplitHostPort(f.Addrs().Management)
			if err != nil {
				t.Fatal(err)
			}
			for _, request := range []string{"POST /models?url=two&initial_workers=1", "DELETE /models/sums/2.0"} {
				method, target, _ := strings.Cut(request, " ")
				r, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+port+target, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := f.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != test.register {
					t.Errorf("%s: %d %s, %v, want %d", request, resp.StatusCode, text, err, test.register)
				}
				if test.register == 405 && !strings.Contains(string(text), `"message": "Requested method is not allowed, please refer to API document."`) {
					t.Errorf("%s: %s, want TorchServe's words", request, text)
				}
			}
		})
	}
}

// TestNeed looks when there are keys, and what is told of it at the start.
func TestNeed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                           string
		inference, management, metrics string
		need                           server.Need
		want                           bool
	}{
		{"all local", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", server.NeedRemote, false},
		{"inference open", "0.0.0.0:0", "127.0.0.1:0", "127.0.0.1:0", server.NeedRemote, true},
		{"management open", "127.0.0.1:0", ":0", "127.0.0.1:0", server.NeedRemote, true},
		{"metrics open", "127.0.0.1:0", "127.0.0.1:0", "0.0.0.0:0", server.NeedRemote, true},
		{"open, and turned off", "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0:0", server.NeedNever, false},
		{"local, and turned on", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", server.NeedAlways, true},
		{"local by its name", "localhost:0", "localhost:0", "localhost:0", server.NeedRemote, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var report server.Report
			f := build(t, func(o *server.Options) {
				o.Inference, o.Management, o.Metrics, o.Keys.Need = test.inference, test.management, test.metrics, test.need
				o.Started = func(r server.Report) { report = r }
			})
			file := filepath.Join(f.top, "keys.json")
			_, err := os.Stat(file)
			if there := err == nil; there != test.want || (report.KeyFile == file) != test.want {
				t.Errorf("a key file: %t, reported %q, want %t", there, report.KeyFile, test.want)
			}
			for i, e := range report.Endpoints {
				address := []string{test.inference, test.management, test.metrics}[i]
				local := strings.HasPrefix(address, "127.") || strings.HasPrefix(address, "localhost")
				if e.Local != local || e.Key != (test.want && e.API != "metrics") || !strings.HasPrefix(e.URL, "http://") || e.Mutual {
					t.Errorf("%+v for %s", e, address)
				}
			}
			if got := len(report.Endpoints); got != 3 {
				t.Errorf("%d addresses, want 3", got)
			}
			stop(t, f.Server)
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after the stop: %v, want no key file", err)
			}
		})
	}
}

// TestTorchServeStatus has TorchServe's status for who asked for it.
func TestTorchServeStatus(t *testing.T) {
	t.Parallel()
	f := build(t, func(o *server.Options) { o.Keys.TorchServe = true })
	keys := f.keys(t)
	for _, a := range []attack{
		{name: "none", port: auth.Inference, request: "GET /predictions/sums", code: 400, says: noKey, logged: 1},
		{name: "refresh of what is no key", port: auth.Management, request: "GET /token?type=x", authorization: "Bearer {API}", code: 400, says: "Token Authentication failed"},
	} {
		f.repel(t, a, keys)
		if got := f.send(t, a, keys); !strings.Contains(got.text, `"type": "InvalidKeyException"`) {
			t.Errorf("%s: %s", a.name, got.text)
		}
	}
}

// TestKeyFileFails starts where the key file cannot be written: nothing is left, and the way out is told.
func TestKeyFileFails(t *testing.T) {
	t.Parallel()
	opts := server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Store: store.New(store.Dir{Path: t.TempDir()}), Open: openSums,
		Keys: server.Keys{Need: server.NeedAlways, File: filepath.Join(t.TempDir(), "none", "keys.json")},
	}
	_, err := server.New(t.Context(), opts)
	for _, want := range []string{"keys.json", "--key-file", "--disable-token-auth"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to say %s", err, want)
		}
	}
}
