package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/model/modeltest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves an API in which errors become bodies, as a server's do.
func serve(t *testing.T, handler api.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(api.Wrap(handler, api.Options{}))
	t.Cleanup(s.Close)
	return s
}

// connect returns a client whose APIs are all at one address, unless the options name others.
func connect(t *testing.T, url string, opts client.Options) *client.Client {
	t.Helper()
	if opts.Server == "" {
		opts.Inference, opts.Management, opts.Metrics = url, url, url
	}
	c, err := client.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// predictions serves one model, m in the version 1.0: it doubles a number, and explains that.
func predictions(w http.ResponseWriter, r *http.Request) error {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(path) < 2 || path[0] != "predictions" && path[0] != "explanations" {
		return fmt.Errorf("%w: %s", fault.NotFound, r.URL.Path)
	}
	ref := model.Ref{Name: path[1], Version: strings.Join(path[2:], "/")}
	switch {
	case ref.Name != "m":
		return api.About(fault.NoModel, ref)
	case ref.Version != "" && ref.Version != "1.0":
		return api.About(fault.NoVersion, ref)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(data))
	if err != nil {
		return fmt.Errorf("%w: %q is no number", fault.Invalid, data)
	}
	w.Header().Set("Content-Type", "application/json")
	if path[0] == "explanations" {
		w.Header().Set("X-Explain-Method", "doubling")
		_, err = fmt.Fprintf(w, `{"why":%q,"of":%d}`, r.URL.Query().Get("method"), n)
		return err
	}
	_, err = fmt.Fprintf(w, "%d", 2*n)
	return err
}

func number(i int) []model.Input {
	return []model.Input{{Name: "body", Data: []byte(strconv.Itoa(i))}}
}

func TestPredictor(t *testing.T) {
	t.Parallel()
	s := serve(t, predictions)
	modeltest.TestPredictor(t, modeltest.Subject{
		Predictor: connect(t, s.URL, client.Options{}),
		Ref:       model.Ref{Name: "m", Version: "1.0"},
		Input:     number,
		Bad:       []model.Input{{Name: "body", Data: []byte("none")}},
		Params:    map[string]string{"method": "a&b=c/d é"},
		Check: func(i int, mode model.Mode, resp *model.Response) error {
			want := strconv.Itoa(2 * i)
			if mode == model.ModeExplain {
				want = fmt.Sprintf(`{"why":"a&b=c/d é","of":%d}`, i)
			}
			if string(resp.Body) != want || resp.ContentType != "application/json" {
				return fmt.Errorf("answer = %s (%s), want %s", resp.Body, resp.ContentType, want)
			}
			if got := resp.Header["X-Explain-Method"]; (got == "doubling") != (mode == model.ModeExplain) {
				return fmt.Errorf("X-Explain-Method = %q", got)
			}
			return nil
		},
	})
}

// seen is a request as a server sees it.
type seen struct {
	line, contentType, token string
	header                   http.Header
	parts                    map[string]string // content type and data by name; of a body that is no form, by ""
}

func look(r *http.Request) seen {
	s := seen{line: r.Method + " " + r.RequestURI, contentType: r.Header.Get("Content-Type"), token: r.Header.Get("Authorization"), header: r.Header, parts: map[string]string{}}
	reader, err := r.MultipartReader()
	if err != nil {
		data, _ := io.ReadAll(r.Body)
		s.parts[""] = string(data)
		return s
	}
	for {
		part, err := reader.NextPart()
		if err != nil {
			return s
		}
		data, _ := io.ReadAll(part)
		kind := ""
		if part.FileName() != "" {
			kind = part.Header.Get("Content-Type")
		}
		s.parts[part.FormName()] = kind + "|" + string(data)
	}
}

func TestPredictSends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ref  model.Ref
		req  model.Request
		line string
		kind string
		part map[string]string
	}{
		{
			name: "one body", ref: model.Ref{Name: "m"}, req: model.Request{Inputs: []model.Input{{Name: "body", Data: []byte{0, 255, '\n'}}}},
			line: "POST /predictions/m", part: map[string]string{"": "\x00\xff\n"},
		},
		{
			name: "with a content type", ref: model.Ref{Name: "m", Version: "2+b"},
			req:  model.Request{Inputs: []model.Input{{Name: "data", ContentType: "application/json", Data: []byte("[1]")}}},
			line: "POST /predictions/m/2+b", kind: "application/json", part: map[string]string{"": "[1]"},
		},
		{
			name: "explained, with parameters", ref: model.Ref{Name: "m", Version: "1.0"},
			req:  model.Request{Mode: model.ModeExplain, Params: map[string]string{"target": "Egyptian cat", "method": "occlusion"}, Inputs: number(1)},
			line: "POST /explanations/m/1.0?method=occlusion&target=Egyptian+cat", part: map[string]string{"": "1"},
		},
		{
			name: "several", ref: model.Ref{Name: "m"},
			req: model.Request{Inputs: []model.Input{
				{Name: "left", Data: []byte("a")}, {Name: `ri"ght`, ContentType: "image/png", Data: []byte("b\r\n")},
			}},
			line: "POST /predictions/m", kind: "multipart/form-data", part: map[string]string{"left": "|a", `ri"ght`: "image/png|b\r\n"},
		},
		{
			name: "another name", ref: model.Ref{Name: "m"}, req: model.Request{Inputs: []model.Input{{Name: "target", Data: []byte("7")}}},
			line: "POST /predictions/m", kind: "multipart/form-data", part: map[string]string{"target": "|7"},
		},
		{
			name: "a form as data", ref: model.Ref{Name: "m"},
			req:  model.Request{Inputs: []model.Input{{Name: "body", ContentType: "application/x-www-form-urlencoded", Data: []byte("a=b")}}},
			line: "POST /predictions/m", kind: "multipart/form-data", part: map[string]string{"body": "application/x-www-form-urlencoded|a=b"},
		},
		{name: "nothing", ref: model.Ref{Name: "m"}, line: "POST /predictions/m", part: map[string]string{"": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan seen, 1)
			s := serve(t, func(_ http.ResponseWriter, r *http.Request) error {
				got <- look(r)
				return nil
			})
			if _, err := connect(t, s.URL, client.Options{}).Predict(t.Context(), tt.ref, &tt.req); err != nil {
				t.Fatal(err)
			}
			request := <-got
			kind, _, _ := strings.Cut(request.contentType, ";")
			if diff := cmp.Diff([]any{tt.line, tt.kind, tt.part}, []any{request.line, kind, request.parts}); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPredictHeaders sends what a handler may see, and no more; and takes what a handler adds, and no more.
func TestPredictHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan seen, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) error {
		got <- look(r)
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("X-Mine", "yes")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Server-Timing", "run;dur=1")
		_, err := w.Write([]byte("\x89PNG"))
		return err
	})
	resp, err := connect(t, s.URL, client.Options{Token: "mine"}).Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{
		Inputs: number(1),
		Header: map[string][]string{"X-Tenant": {"a", "b"}, "authorization": {"Bearer theirs"}, "Content-Length": {"99"}, "Connection": {"close"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &model.Response{ContentType: "image/png", Body: []byte("\x89PNG"), Header: map[string]string{"X-Mine": "yes"}}
	if diff := cmp.Diff(want, resp); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
	request := <-got
	names := slices.Sorted(maps.Keys(request.header))
	if diff := cmp.Diff([]string{"Authorization", "Content-Length", "User-Agent", "X-Tenant"}, names); diff != "" {
		t.Errorf("headers sent (-want +got):\n%s", diff)
	}
	if request.token != "Bearer mine" || !slices.Equal(request.header["X-Tenant"], []string{"a", "b"}) {
		t.Errorf("headers sent: %v", request.header)
	}
}

func TestPredictRefuses(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) error {
		t.Error("the server was asked")
		return nil
	})
	c := connect(t, s.URL, client.Options{})
	for _, name := range []string{"", "..", "a/b", "a?b"} {
		if _, err := c.Predict(t.Context(), model.Ref{Name: name}, &model.Request{Inputs: number(1)}); !errors.Is(err, fault.Invalid) {
			t.Errorf("model %q: %v, want %v", name, err, fault.Invalid)
		}
	}
	_, err := c.Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{Inputs: []model.Input{{Name: "x", Tensor: &tensor.Tensor{}}}})
	if !errors.Is(err, fault.Unsupported) {
		t.Errorf("a tensor: %v, want %v", err, fault.Unsupported)
	}
}

// TestBigBodies sends and takes more than any buffer holds, and refuses an answer over the limit, told or not.
func TestBigBodies(t *testing.T) {
	t.Parallel()
	const large = 20 << 20
	s := serve(t, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/predictions/told" {
			w.Header().Set("Content-Length", strconv.Itoa(large))
		}
		_, err := io.Copy(w, r.Body)
		return err
	})
	data := bytes.Repeat([]byte("0123456789abcdef"), large/16)
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: data}}}
	resp, err := connect(t, s.URL, client.Options{}).Predict(t.Context(), model.Ref{Name: "m"}, req)
	if err != nil || !bytes.Equal(resp.Body, data) {
		t.Errorf("Predict: %v; the same bytes came back: %v", err, err == nil)
	}
	for _, name := range []string{"told", "untold"} {
		_, err = connect(t, s.URL, client.Options{MaxAnswer: large - 1}).Predict(t.Context(), model.Ref{Name: name}, req)
		if !errors.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v, want %v", name, err, fault.TooLarge)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = fmt.Fprint(w, "half")
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    fault.Kind
		text    string
	}{
		{"half an answer", broken, fault.Unavailable, "broke"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fault.Unavailable, "broke"},
		{
			"an error that is no JSON", func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "<html>Bad Gateway", http.StatusBadGateway)
			},
			fault.Unavailable, "Bad Gateway",
		},
		{
			"an empty error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			fault.Unavailable, "503",
		},
		{
			"a wrong key", refusal(401, "InvalidKeyException", "no").answer, fault.Unauthorized, "no; the server's keys are in the key_file.json",
		},
		{
			"no registering", refusal(405, "MethodNotAllowedException", "no").answer, fault.NotAllowed, "no; a server lets models be registered",
		},
		{
			"the default version", refusal(403, "InvalidModelVersionException", "no").answer, fault.DefaultVersion, "tsgo models default",
		},
		{
			"a download", refusal(400, "DownloadArchiveException", "no").answer, fault.Download, "no; the server's log says why",
		},
		{
			"no such model", refusal(404, "ModelNotFoundException", "no").answer, fault.NoModel, "no; 'tsgo models list --server http://",
		},
		{
			"not modified", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, fault.Unavailable, "304",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.handler)
			t.Cleanup(s.Close)
			_, err := connect(t, s.URL, client.Options{}).Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{Inputs: number(1)})
			if err == nil || fault.Of(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Predict = %v (%v), want %q (%v)", err, fault.Of(err), tt.text, tt.kind)
			}
		})
	}
}

// TestRetryAfter tells when to ask again, and does not ask again by itself.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"":                              "the queue is full",
		"1":                             "the queue is full",
		"30":                            "the queue is full; it says to try again in 30s",
		"-5":                            "the queue is full",
		"99999999999":                   "the queue is full",
		"Fri, 31 Dec 2999 23:59:59 GMT": "the queue is full",
	} {
		asked := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"code": 503, "type": "ServiceUnavailableException", "message": "the queue is full"}`)
		}))
		t.Cleanup(s.Close)
		_, err := connect(t, s.URL, client.Options{}).Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{Inputs: number(1)})
		if !errors.Is(err, fault.Unavailable) || err.Error() != want || asked != 1 {
			t.Errorf("Retry-After %q: %v after %d requests, want %q after one", header, err, asked, want)
		}
	}
}

// TestProgress expects no news of a run on a server: there is none on the wire, and a caller must not be told of some.
func TestProgress(t *testing.T) {
	t.Parallel()
	s := serve(t, predictions)
	_, err := connect(t, s.URL, client.Options{}).Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{
		Mode: model.ModeExplain, Inputs: number(1), Progress: func(done, total int) { t.Errorf("told of %d of %d", done, total) },
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	for name, c := range map[string]*client.Client{
		"address":   connect(t, s.URL, client.Options{}),
		"discovery": connect(t, s.URL, client.Options{Server: s.URL}),
	} {
		err := c.Ping(t.Context())
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), s.URL) || !strings.Contains(err.Error(), "is tsgo serve running") {
			t.Errorf("%s: %v, want %v with the address and a way out", name, err, fault.Unavailable)
		}
	}
}

// hang serves a server that is asked, and never answers.
func hang(t *testing.T) (s *httptest.Server, asked chan struct{}) {
	t.Helper()
	asked = make(chan struct{}, 8)
	s = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return s, asked
}

func TestSlowServer(t *testing.T) {
	t.Parallel()
	s, _ := hang(t)
	for name, opts := range map[string]client.Options{"call": {}, "discovery": {Server: s.URL}} {
		opts.Timeout = 20 * time.Millisecond
		err := connect(t, s.URL, opts).Ping(t.Context())
		if fault.Of(err) != fault.Timeout || !strings.Contains(err.Error(), "20ms") || !strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v, want %v with the limit and the address", name, err, fault.Timeout)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := connect(t, s.URL, client.Options{Server: opts.Server}).Ping(ctx); fault.Of(err) != fault.Timeout {
			t.Errorf("%s, the caller's deadline: %v, want %v", name, err, fault.Timeout)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s, asked := hang(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := connect(t, s.URL, client.Options{Server: s.URL, Timeout: time.Minute})
	done := make(chan error, 3)
	for range cap(done) { // one of them looks for the addresses, the others wait for it
		go func() { done <- c.Ping(ctx) }()
	}
	<-asked
	cancel()
	for range cap(done) {
		if err := <-done; fault.Of(err) != fault.Canceled {
			t.Errorf("Ping = %v, want %v", err, fault.Canceled)
		}
	}
}

// TestConnectionsAreKept asks often, and expects one connection.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	s := httptest.NewUnstartedServer(api.Wrap(predictions, api.Options{}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := connect(t, s.URL, client.Options{})
	for i := range 20 {
		input := number(i)
		if i%2 == 0 {
			input = []model.Input{{Name: "body", Data: []byte("none")}}
		}
		_, _ = c.Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{Inputs: input})
	}
	if got := opened.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(api.Wrap(predictions, api.Options{}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the refused handshake
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	req := &model.Request{Inputs: number(21)}
	resp, err := connect(t, s.URL, client.Options{CA: ca}).Predict(t.Context(), model.Ref{Name: "m"}, req)
	if err != nil || string(resp.Body) != "42" {
		t.Errorf("Predict = %v, %v, want 42", resp, err)
	}
	_, err = connect(t, s.URL, client.Options{}).Predict(t.Context(), model.Ref{Name: "m"}, req)
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "--cacert") {
		t.Errorf("an unknown authority: %v, want %v with a way out", err, fault.Unavailable)
	}
	_, err = connect(t, strings.Replace(s.URL, "https:", "http:", 1), client.Options{}).Predict(t.Context(), model.Ref{Name: "m"}, req)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "speaks TLS: ask https://") {
		t.Errorf("without TLS: %v, want %v with a way out", err, fault.Invalid)
	}
}

// TestAskedForCertificate has a server that wants to know who calls. In TLS 1.2 it says so before anything else is sent.
func TestAskedForCertificate(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(api.Wrap(predictions, api.Options{}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the refused handshake
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	err := connect(t, s.URL, client.Options{CA: ca}).Ping(t.Context())
	if !errors.Is(err, fault.Unauthorized) || !strings.Contains(err.Error(), "--cert, --key") {
		t.Errorf("Ping = %v, want %v and the way out", err, fault.Unauthorized)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) error {
		t.Errorf("something was sent elsewhere: %s %s", r.Method, r.URL)
		return nil
	})
	moved := func(to string, code int) *httptest.Server {
		return serve(t, func(w http.ResponseWriter, r *http.Request) error {
			if r.URL.Path == "/predictions/n" {
				data, err := io.ReadAll(r.Body)
				_, _ = w.Write(append(data, r.Header.Get("Authorization")...))
				return err
			}
			http.Redirect(w, r, to, code)
			return nil
		})
	}
	tests := []struct {
		name string
		to   string
		code int
		want string // "": it is refused
	}{
		{name: "elsewhere", to: elsewhere.URL + "/predictions/n", code: http.StatusTemporaryRedirect},
		{name: "as GET", to: "/predictions/n", code: http.StatusFound},
		{name: "in circles", to: "/predictions/m", code: http.StatusTemporaryRedirect},
		{name: "another path", to: "/predictions/n", code: http.StatusPermanentRedirect, want: "7Bearer key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := moved(tt.to, tt.code)
			resp, err := connect(t, s.URL, client.Options{Token: "key"}).Predict(t.Context(), model.Ref{Name: "m"}, &model.Request{Inputs: number(7)})
			switch {
			case tt.want == "" && !errors.Is(err, fault.Unavailable):
				t.Errorf("Predict = %v, want %v", err, fault.Unavailable)
			case tt.want != "" && (err != nil || string(resp.Body) != tt.want):
				t.Errorf("Predict = %v, %v, want %s", resp, err, tt.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]client.Options{
		"nothing but a port": {Server: ":8080"},
		"another scheme":     {Server: "ftp://h:1"},
		"a socket's name":    {Server: "unix:socket"},
		"a socket, and HTTP": {Server: "unix:/tmp/socket", HTTP: &http.Client{}},
		"no host":            {Inference: "http://:8080"},
		"a password":         {Management: "http://me:secret@host"},
		"a query":            {Metrics: "http://host/?a=b"},
		"no port":            {Server: "http://host:99999"},
		"no URL":             {Server: "http://ho st"},
		"no certificate":     {CA: []byte("none")},
		"two ways to call":   {CA: []byte("none"), HTTP: &http.Client{}},
	}
	for name, opts := range tests {
		_, err := client.New(opts)
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want %v", name, err, fault.Invalid)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}
