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
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/engine"
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
	last   bool // the connection ends with it
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
	return reply{resp.StatusCode, resp.Header, body, resp.Close}
}

// receive reads one answer off a connection.
func receive(conn net.Conn) (reply, error) {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, body, resp.Close}, err
}

// dial opens a connection to the inference API and writes text.
func dial(t *testing.T, s *server.Server, text string) net.Conn {
	t.Helper()
	return dialTo(t, s.Addrs().Inference, text)
}

func dialTo(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// pipes is a listener of connections within the process.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.conns) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestHalfABody sends a part of a body and then nothing, to routes that read it and to such that do not: each is answered
// once the server's patience is at its end, and no connection is kept.
func TestHalfABody(t *testing.T) {
	for name, test := range map[string]struct {
		of           api.API
		path, header string
		code         int
		want         string
	}{
		"body":         {api.Inference, "/predictions/sums", "", http.StatusRequestTimeout, "did not come in time"},
		"form":         {api.Inference, "/predictions/sums", "Content-Type: multipart/form-data; boundary=b\r\n", http.StatusRequestTimeout, "did not come in time"},
		"no route":     {api.Inference, "/nothing", "", http.StatusNotFound, "not found"},
		"not read":     {api.Inference, "/ping", "", http.StatusOK, "Healthy"},
		"not asked":    {api.Inference, "/nothing", "Expect: 100-continue\r\n", http.StatusNotFound, "not found"},
		"registration": {api.Management, "/models", "Content-Type: application/json\r\n", http.StatusRequestTimeout, "did not come in time"},
		"no parameter": {api.Management, "/models", "", http.StatusBadRequest, "url is required"},
		"metrics":      {api.Metrics, "/metrics", "", http.StatusOK, "Requests2XX"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t)
			synctest.Test(t, func(t *testing.T) {
				s, err := server.New(t.Context(), opts)
				if err != nil {
					t.Fatal(err)
				}
				defer stop(t, s)
				conns := &pipes{conns: make(chan net.Conn)}
				var served sync.WaitGroup
				served.Go(func() { _ = s.Serve(test.of, conns) })
				defer served.Wait()
				defer conns.Close() //nolint:errcheck // it has nothing to fail with
				conn, there := net.Pipe()
				defer conn.Close() //nolint:errcheck // the test is over
				conns.conns <- there
				start := time.Now()
				if _, err := io.WriteString(conn, "POST "+test.path+" HTTP/1.1\r\nHost: x\r\n"+test.header+"Content-Length: 100\r\n\r\n[1, 1"); err != nil {
					t.Fatal(err)
				}
				r, err := receive(conn)
				if err != nil {
					t.Fatalf("the server does not answer: %v", err)
				}
				if r.code != test.code || !bytes.Contains(r.body, []byte(test.want)) {
					t.Errorf("%d %.200s, want %d and %q", r.code, r.body, test.code, test.want)
				}
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("it was answered after %v", took)
				}
				if _, err := io.Copy(io.Discard, conn); err != nil || time.Since(start) > time.Minute {
					t.Errorf("the connection is kept for %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

// TestPortBreaks breaks a port, however early: whoever runs the server is told.
func TestPortBreaks(t *testing.T) {
	defer goleak.VerifyNone(t)
	for range 10 {
		opts := options(t)
		opts.Models = nil
		s, err := server.New(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := s.Broken(ctx); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "inference API on 127.0.0.1:") {
			t.Errorf("%v", err)
		}
		cancel()
		stop(t, s)
	}
}

// TestAnswerThatNobodyReads asks for a large answer and reads none of it: the server gives up, and stops without waiting
// for that caller.
func TestAnswerThatNobodyReads(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) { o.BodyTimeout = 100 * time.Millisecond })
	question := fmt.Sprintf("[%d, 1, 1, 1]", floods)
	conn := dial(t, s, fmt.Sprintf("POST /predictions/sums HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(question), question))
	if _, err := bufio.NewReaderSize(conn, 16).ReadByte(); err != nil { // by now it answers
		t.Fatal(err)
	}
	predictable(t, s)
	stop(t, s)
	if got, _ := io.Copy(io.Discard, conn); got >= flood {
		t.Errorf("all %d bytes were kept for a caller who reads none", got)
	}
}

// TestIdleConnections opens connections that say nothing: they cost little, and a server that stops does not wait for them.
func TestIdleConnections(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 1000 {
		dial(t, s, []string{"", "GET /ping HTTP/1.1\r\nHo"}[i%2])
	}
	predictable(t, s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("1000 idle connections take %d bytes", grown)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second) // net/http waits for 5 s by itself
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
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

// TestAnswerTooLarge asks for an answer over the limit by every way in, and for one below it.
func TestAnswerTooLarge(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) {
		withGRPC(o)
		o.MaxAnswer = 500
	})
	const says = "at most 500 are sent; raise max_response_size"
	list := "[" + strings.Repeat("1, ", features-1) + "1]"
	instances := `{"instances": [` + strings.Repeat(list+", ", 40) + list + "]}"
	tensors := fmt.Sprintf(`{"inputs": [{"name": "x", "datatype": "FP32", "shape": [200, %d], "data": [%s1]}]}`, features, strings.Repeat("1, ", 200*features-1))
	for path, body := range map[string]string{
		"/predictions/sums": instances, "/v1/models/sums:predict": instances, "/v2/models/sums/infer": tensors,
	} {
		r := post(t, s, path, body)
		if r.code != http.StatusRequestEntityTooLarge || !bytes.Contains(r.body, []byte(says)) {
			t.Errorf("%s: %d %.200s", path, r.code, r.body)
		}
	}
	conn := connect(t, s.Addrs().GRPCInference)
	whole := &inferencepb.PredictionsRequest{ModelName: "sums", Input: map[string][]byte{"body": []byte(instances)}}
	if _, err := inferencepb.NewInferenceAPIsServiceClient(conn).Predictions(t.Context(), whole); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), says) {
		t.Errorf("gRPC: %v", err)
	}
	q := question()
	q.Inputs[0].Shape[0], q.Inputs[0].Contents = 200, &openinferencepb.InferTensorContents{Fp32Contents: make([]float32, 200*features)}
	if _, err := openinferencepb.NewGRPCInferenceServiceClient(conn).ModelInfer(t.Context(), q); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), says) {
		t.Errorf("ModelInfer: %v", err)
	}
	predictable(t, s)
	_ = conn.Close()
	stop(t, s)
}

// TestHandlerPanics has a handler panic in the caller's goroutine and in the worker's.
func TestHandlerPanics(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	for _, first := range []int{panics, panicsInference, panicsPostprocess} {
		for range 4 { // more than there are workers
			r := post(t, s, "/predictions/sums", fmt.Sprintf("[%d, 1, 1, 1]", first))
			if r.code != http.StatusInternalServerError || !bytes.Contains(r.body, []byte(r.header.Get("X-Request-Id"))) {
				t.Errorf("panic %d: %d %s", first, r.code, r.body)
			}
		}
		predictable(t, s)
	}
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

// TestAllOfIPv4 checks that a server which is to be open to all of IPv4 is, to no more than that, and says so.
func TestAllOfIPv4(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) { o.Inference = "0.0.0.0:0" })
	defer stop(t, s)
	host, port, err := net.SplitHostPort(s.Addrs().Inference)
	if err != nil || host != "0.0.0.0" {
		t.Errorf("it answers on %q, %v; want 0.0.0.0", s.Addrs().Inference, err)
	}
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp6", net.JoinHostPort("::1", port)); err == nil {
		_ = conn.Close()
		t.Error("it answers on ::1 too")
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

// TestStopHangsUpEverywhere stops a server with a call to its management API under way: the other ports do not wait for it.
func TestStopHangsUpEverywhere(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	conn := dialTo(t, s.Addrs().Management, "POST /models HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
	predictable(t, s)
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- s.Stop(ctx)
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, address := range []string{s.Addrs().Inference, s.Addrs().Metrics} {
		for {
			open, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				break
			}
			_ = open.Close()
			select {
			case <-tick.C:
			case err := <-stopped:
				t.Fatalf("stopped with a call under way: %v", err)
			}
		}
	}
	if _, err := io.WriteString(conn, "}"); err != nil {
		t.Fatal(err)
	}
	if r, err := receive(conn); err != nil || r.code != http.StatusBadRequest {
		t.Errorf("the call under way: %v, %d %s", err, r.code, r.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestStopWhileLoading stops a server that loads a model: loading is given up and who waits for it is told.
func TestStopWhileLoading(t *testing.T) {
	defer goleak.VerifyNone(t)
	opening := make(chan struct{})
	s := start(t, func(o *server.Options) {
		o.Open = func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
			if strings.Contains(net.Path, "two") {
				close(opening)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return openSums(ctx, net, opts)
		}
	})
	conn := dialTo(t, s.Addrs().Management, "POST /models?url=two&initial_workers=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	<-opening
	stop(t, s)
	r, err := receive(conn)
	if err != nil || r.code != http.StatusServiceUnavailable || !r.last {
		t.Errorf("who waits for a model: %v, %d, the last: %t, %s", err, r.code, r.last, r.body)
	}
}

// TestLull asks on a kept connection of a server that stops: it answers that it is not ready, and takes leave.
func TestLull(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	conn := dial(t, s, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
	if r, err := receive(conn); err != nil || r.code != http.StatusOK || r.last {
		t.Fatalf("ping: %v, %d, the last: %t", err, r.code, r.last)
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- s.Stop(ctx)
	}()
	for s.Ready() == nil {
		runtime.Gosched()
	}
	if _, err := io.WriteString(conn, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if r, err := receive(conn); err != nil || r.code != http.StatusInternalServerError || !r.last {
		t.Errorf("ping while it stops: %v, %d, the last: %t", err, r.code, r.last)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}
