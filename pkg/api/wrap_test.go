package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// lines is a log in JSON, read line by line.
type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *lines) read(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for d := json.NewDecoder(bytes.NewReader(l.out.Bytes())); ; {
		var line map[string]any
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) error {
	return api.WriteStatus(w, http.StatusOK, "fine")
}

func uuid() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	cors := map[string]string{"access-control-allow-origin": "*", "Access-Control-Allow-Methods": "", "X-Set": "option"}
	w := answer(t, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("X-Set", "handler")
		w.Header().Add("Pragma", "more")
		w.Header().Set("X-Seen", api.RequestID(r.Context()))
		return ok(w, r)
	}, api.Options{Header: cors})
	id := w.Header().Get("X-Request-Id")
	if !uuid().MatchString(id) {
		t.Errorf("request ID %q", id)
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "Content-Length": {"23"}, "X-Request-Id": {id}, "X-Seen": {id},
		"Pragma": {"no-cache", "more"}, "Cache-Control": {"no-cache; no-store, must-revalidate, private"},
		"Expires": {"Thu, 01 Jan 1970 00:00:00 UTC"}, "Access-Control-Allow-Origin": {"*"}, "X-Set": {"handler"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if got := w.Body.String(); got != "{\n  \"status\": \"fine\"\n}\n" {
		t.Errorf("body %q", got)
	}
	next := answer(t, ok, api.Options{Header: cors})
	if diff := cmp.Diff([]string{"no-cache"}, next.Header()["Pragma"]); diff != "" {
		t.Errorf("what one answer added is in the next one:\n%s", diff)
	}
}

func TestRequestIDIsFresh(t *testing.T) {
	t.Parallel()
	h := api.Wrap(ok, api.Options{})
	seen := map[string]bool{}
	for range 100 {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("X-Request-Id", "mine")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		id := w.Header().Get("X-Request-Id")
		if !uuid().MatchString(id) || seen[id] {
			t.Fatalf("request ID %q", id)
		}
		seen[id] = true
	}
	if got := api.RequestID(context.Background()); got != "" {
		t.Errorf("outside of a request the ID is %q", got)
	}
}

func TestPanicFailsItsRequestAlone(t *testing.T) {
	t.Parallel()
	var log lines
	server := httptest.NewServer(api.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/bad" {
			panic("the cause")
		}
		return ok(w, r)
	}, api.Options{Log: log.logger()}))
	t.Cleanup(server.Close)
	var all sync.WaitGroup
	for i := range 20 {
		path, want := "/good", http.StatusOK
		if i%2 == 0 {
			path, want = "/bad", http.StatusInternalServerError
		}
		all.Go(func() {
			resp := get(t, server, path)
			if body := text(t, resp); resp.StatusCode != want || strings.Contains(body, "the cause") {
				t.Errorf("%s: %d %s", path, resp.StatusCode, body)
			}
		})
	}
	all.Wait()
	entries := log.read(t)
	if len(entries) != 10 {
		t.Fatalf("%d lines in the log, want one a panic", len(entries))
	}
	if line := fmt.Sprint(entries[0]["err"]); !strings.Contains(line, "the cause") || !strings.Contains(line, "wrap_test.go") {
		t.Errorf("the log tells %s", line)
	}
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Error(err)
	}
	return string(data)
}

func get(t *testing.T, server *httptest.Server, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Error(err)
		return nil
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	return resp
}

func TestOnlyDefectsAreLogged(t *testing.T) {
	t.Parallel()
	var log lines
	for _, row := range table() {
		answer(t, failing(row.kind), api.Options{Log: log.logger()})
	}
	entries := log.read(t)
	if len(entries) != 1 || entries[0]["level"] != "ERROR" || entries[0]["err"] != "internal error" || entries[0]["uri"] != "/x" {
		t.Errorf("the log has %v", entries)
	}
}

// TestPartOfAnAnswer checks that an answer which fails half way is neither continued nor ended as if it were whole.
func TestPartOfAnAnswer(t *testing.T) {
	t.Parallel()
	parts := map[string]func(w http.ResponseWriter){
		"written": func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("x", 10_000)) },
		"flushed": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	}
	for name, part := range parts {
		for _, end := range []func() error{func() error { return fault.Invalid }, func() error { panic("late") }} {
			var access lines
			server := httptest.NewServer(api.Wrap(func(w http.ResponseWriter, _ *http.Request) error {
				part(w)
				return end()
			}, api.Options{Access: access.logger()}))
			resp := get(t, server, "/")
			body, err := io.ReadAll(resp.Body)
			if err == nil {
				t.Errorf("%s: an answer that failed passes for whole: %q", name, body)
			}
			if resp.StatusCode != http.StatusOK || bytes.Contains(body, []byte("code")) {
				t.Errorf("%s: %d %q", name, resp.StatusCode, body)
			}
			_ = resp.Body.Close()
			server.Close()
			if n := len(access.read(t)); n != 1 {
				t.Errorf("%s: %d access lines", name, n)
			}
		}
	}
}

func TestAbortPasses(t *testing.T) {
	t.Parallel()
	var log, access lines
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			t.Errorf("recovered %v", cause)
		}
		if len(log.read(t)) != 0 || len(access.read(t)) != 1 {
			t.Errorf("logged %v, %v", log.read(t), access.read(t))
		}
	}()
	answer(t, func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) },
		api.Options{Log: log.logger(), Access: access.logger()})
}

func TestAccessLine(t *testing.T) {
	t.Parallel()
	var access lines
	var observed []int
	opts := api.Options{Access: access.logger(), Observe: func(status int) { observed = append(observed, status) }}
	ids := make([]string, 0, 3)
	for _, next := range []api.HandlerFunc{ok, failing(fault.NoModel), func(http.ResponseWriter, *http.Request) error { return nil }} {
		r := httptest.NewRequest(http.MethodPost, "/models?url=a%20b&x=%22", http.NoBody)
		r.RemoteAddr = "127.0.0.1:55546"
		w := httptest.NewRecorder()
		api.Wrap(next, opts).ServeHTTP(w, r)
		ids = append(ids, w.Header().Get("X-Request-Id"))
	}
	entries := access.read(t)
	for i, status := range []string{"200", "404", "200"} {
		want := regexp.MustCompile(`^/127\.0\.0\.1:55546 "POST /models\?url=a%20b&x=%22 HTTP/1\.1" ` + status + ` \d+$`)
		if line, _ := entries[i]["line"].(string); !want.MatchString(line) || entries[i]["request"] != ids[i] || entries[i]["msg"] != "access" {
			t.Errorf("access line %v", entries[i])
		}
	}
	if diff := cmp.Diff([]int{200, 404, 200}, observed); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}

func TestAccessLineHasOneLine(t *testing.T) {
	t.Parallel()
	var access lines
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.RequestURI = "/a\nb\"c"
	api.Wrap(ok, api.Options{Access: access.logger()}).ServeHTTP(httptest.NewRecorder(), r)
	if line, _ := access.read(t)[0]["line"].(string); !strings.Contains(line, `"GET /a\nb\"c HTTP/1.1"`) {
		t.Errorf("access line %q", line)
	}
}

func TestMaxBody(t *testing.T) {
	t.Parallel()
	read := 0
	h := api.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		data, err := api.ReadBody(r)
		read += len(data)
		if err != nil {
			return err
		}
		return ok(w, r)
	}, api.Options{MaxBody: 10})
	for _, chunked := range []bool{false, true} {
		for size, want := range map[int]int{0: 200, 10: 200, 11: 413, 5000: 413} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", size))
			if chunked {
				body = io.MultiReader(body)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", body))
			if w.Code != want {
				t.Errorf("%d bytes, chunked %v: status %d, want %d", size, chunked, w.Code, want)
			}
			if kind := fault.Of(readError(w)); want == 413 && kind != fault.TooLarge {
				t.Errorf("%d bytes, chunked %v: %v", size, chunked, kind)
			}
		}
	}
	if read != 20 {
		t.Errorf("%d bytes were handed on, want those of the bodies that fit", read)
	}
}

// TestExpectContinue checks that a body is asked for where it is wanted, and refused before it is sent where it is not.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(api.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		if _, err := api.ReadBody(r); err != nil {
			return err
		}
		return ok(w, r)
	}, api.Options{MaxBody: 10}))
	t.Cleanup(server.Close)
	for size, want := range map[int]string{5: "HTTP/1.1 100 Continue", 11: "HTTP/1.1 413 Request Entity Too Large"} {
		conn := dial(t, server)
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", size)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Errorf("%d bytes: %q, %v, want %q", size, line, err, want)
		}
	}
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestResponseController checks what http.ResponseController does through the recorder, on a real connection.
func TestResponseController(t *testing.T) {
	t.Parallel()
	observed := make(chan int, 2)
	server := httptest.NewServer(api.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		c := http.NewResponseController(w)
		errs := errors.Join(c.SetReadDeadline(time.Now().Add(time.Minute)), c.SetWriteDeadline(time.Now().Add(time.Minute)), c.EnableFullDuplex())
		if r.URL.Path == "/flush" {
			_, _ = io.WriteString(w, "one")
			return errors.Join(errs, c.Flush())
		}
		conn, buffered, err := c.Hijack()
		if err := errors.Join(errs, err); err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // the test is over
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nhijacked")
		return buffered.Flush()
	}, api.Options{Observe: func(status int) { observed <- status }}))
	t.Cleanup(server.Close)
	resp := get(t, server, "/flush")
	if body := text(t, resp); body != "one" || resp.StatusCode != http.StatusOK {
		t.Errorf("flushed: %d %q", resp.StatusCode, body)
	}
	conn := dial(t, server)
	_, _ = io.WriteString(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	if got, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(got), "hijacked") {
		t.Errorf("hijacked: %q, %v", got, err)
	}
	if first, second := <-observed, <-observed; first != 200 || second != 101 {
		t.Errorf("observed %d and %d", first, second)
	}
}

// TestInformational checks that a 1xx is no answer.
func TestInformational(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(api.Wrap(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusEarlyHints)
		return fault.NoModel
	}, api.Options{}))
	t.Cleanup(server.Close)
	if resp := get(t, server, "/"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d %s", resp.StatusCode, text(t, resp))
	}
}

// nothing is an answer that nobody reads.
type nothing struct{ header http.Header }

func (n nothing) Header() http.Header         { return n.header }
func (n nothing) Write(p []byte) (int, error) { return len(p), nil }
func (n nothing) WriteHeader(int)             {}

func BenchmarkWrap(b *testing.B) {
	h := api.Wrap(func(http.ResponseWriter, *http.Request) error { return nil },
		api.Options{MaxBody: 1 << 20, Observe: func(int) {}, Access: slog.New(slog.NewTextHandler(nothing{}, nil))})
	r := httptest.NewRequest(http.MethodPost, "/predictions/m", http.NoBody)
	w := nothing{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
