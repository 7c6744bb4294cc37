package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// predictable asks something that is always answered.
func predictable(t *testing.T, s *server.Server) {
	t.Helper()
	r := post(t, s, "/predictions/sums/1.0", "[1, 1, 1, 1]")
	if r.code != http.StatusOK || compact(r.body) != `{"sums":[[4.0,8.0]]}` {
		t.Errorf("others do not go on: %d %s", r.code, r.body)
	}
}

// reply is an answer, read.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

func post(t *testing.T, s *server.Server, path, text string) reply {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Post("http://"+s.Addrs().Inference+path, "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

// receive reads one answer off a connection.
func receive(conn net.Conn) (reply, error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body}, err
}

// dial opens a connection and writes text.
func dial(t *testing.T, s *server.Server, text string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addrs().Inference)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestHalfABody(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) { o.BodyTimeout = 100 * time.Millisecond })
	conn := dial(t, s, "POST /predictions/sums HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[1, 1")
	predictable(t, s)
	r, err := receive(conn)
	if err != nil {
		t.Fatalf("the server does not say why it gives up: %v", err)
	}
	if r.code != http.StatusRequestTimeout || !bytes.Contains(r.body, []byte("did not come in time")) {
		t.Errorf("half a body: %d %s", r.code, r.body)
	}
	predictable(t, s)
	stop(t, s)
}

func TestIdleConnections(t *testing.T) {
	s := start(t, nil)
	defer stop(t, s)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 1000 {
		dial(t, s, "")
	}
	predictable(t, s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("1000 idle connections take %d bytes", grown)
	}
}

func TestTooMuch(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) { o.MaxBody = 1000 })
	r := post(t, s, "/predictions/sums", "["+strings.Repeat("1, ", 1000)+"1]")
	if r.code != http.StatusRequestEntityTooLarge || !bytes.Contains(r.body, []byte("RequestTooLargeException")) {
		t.Errorf("body over the limit: %d %s", r.code, r.body)
	}
	predictable(t, s)
	conn := dial(t, s, "GET /ping HTTP/1.1\r\nHost: x\r\n")
	go func() { // the server hangs up somewhere in the middle
		for range 1000 {
			if _, err := fmt.Fprintf(conn, "X-Bomb: %s\r\n", strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}()
	r, err := receive(conn)
	if err != nil {
		t.Fatalf("header bomb: %v", err)
	}
	if r.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("header bomb: %d, want %d", r.code, http.StatusRequestHeaderFieldsTooLarge)
	}
	predictable(t, s)
	_ = conn.Close()
	stop(t, s)
}

func TestHandlerPanics(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	r := post(t, s, "/predictions/sums", fmt.Sprintf("[%d, 1, 1, 1]", panics))
	if r.code != http.StatusInternalServerError || !bytes.Contains(r.body, []byte(r.header.Get("X-Request-Id"))) {
		t.Errorf("panic: %d %s", r.code, r.body)
	}
	predictable(t, s)
	stop(t, s)
}

func TestModelDeletedWhileServed(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	writeModel(t, filepath.Join(dir, "one"), "1.0")
	s := start(t, func(o *server.Options) {
		o.Store = store.New(store.Dir{Path: dir, Origin: "the test"})
		o.Models = []server.Startup{{Location: "sums"}}
	})
	if err := os.RemoveAll(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	predictable(t, s)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if err := manage(client, "POST", "http://"+s.Addrs().Management+"/models?url=one"); err == nil || !strings.Contains(err.Error(), "Model not found at: one") {
		t.Errorf("registering what is gone: %v", err)
	}
	stop(t, s)
}

func TestPortTaken(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	_, err = server.New(t.Context(), server.Options{
		Inference: "127.0.0.1:0", Management: l.Addr().String(), Metrics: "127.0.0.1:0",
		Store: store.New(store.Dir{Path: t.TempDir()}), Open: openSums,
	})
	if !errors.Is(err, fault.Unavailable) {
		t.Fatalf("New = %v, want %v", err, fault.Unavailable)
	}
	for _, want := range []string{l.Addr().String(), "--management-address", "--port-offset"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprintf("held by process %d", os.Getpid())) {
		t.Errorf("%q does not name the process", err)
	}
}

// TestStopDrains stops a server while a request is under way: it is answered, and the server is not ready meanwhile.
func TestStopDrains(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	conn := dial(t, s, "POST /predictions/sums HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n[1, 1")
	predictable(t, s) // by now the request is read
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- s.Stop(ctx)
	}()
	for s.Ready() == nil {
		runtime.Gosched()
	}
	if _, err := io.WriteString(conn, ", 1, 1]"); err != nil {
		t.Fatal(err)
	}
	r, err := receive(conn)
	if err != nil {
		t.Fatalf("the request under way is lost: %v", err)
	}
	if r.code != http.StatusOK {
		t.Errorf("the request under way: %d %s", r.code, r.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}
