package bench_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// wire returns a wire to a server that answers with a handler.
func wire(t *testing.T, s *httptest.Server, inputs ...model.Input) *bench.Wire {
	t.Helper()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/predictions/m")
	if err != nil {
		t.Fatal(err)
	}
	opts := bench.WireOptions{URL: u, Inputs: inputs, Header: http.Header{"Authorization": {"Bearer key"}}}
	if s.TLS != nil {
		opts.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}
	}
	w, err := bench.NewWire(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestWire posts each input in turn on one connection, however the answers end.
func TestWire(t *testing.T) {
	t.Parallel()
	inputs := []model.Input{{Data: []byte("first")}, {Data: []byte("[2]"), ContentType: "application/json"}, {Data: []byte("third")}}
	for name, start := range map[string]func(h http.Handler) *httptest.Server{"plain": httptest.NewServer, "TLS": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addresses := map[string]bool{}
			var got []string
			w := wire(t, start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				addresses[r.RemoteAddr] = true
				got = append(got, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(body)}, " "))
				switch len(got) {
				case 1:
					_, _ = w.Write([]byte("whole"))
				case 2: // in chunks
					_, _ = w.Write([]byte("one"))
					_ = http.NewResponseController(w).Flush()
					_, _ = w.Write([]byte(strings.Repeat("two", 1000)))
				default:
					w.WriteHeader(http.StatusNoContent)
				}
			})), inputs...)
			for n := range 4 {
				if err := w.Ask(t.Context(), n); err != nil {
					t.Fatal(err)
				}
			}
			want := "POST /predictions/m  Bearer key first|POST /predictions/m application/json Bearer key [2]|" +
				"POST /predictions/m  Bearer key third|POST /predictions/m  Bearer key first"
			if text := strings.Join(got, "|"); text != want {
				t.Errorf("got %s, want %s", text, want)
			}
			if len(addresses) != 1 {
				t.Errorf("%d connections, want 1", len(addresses))
			}
		})
	}
}

// TestWireFailures checks what each way to fail counts as.
func TestWireFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		refused bool
		kind    fault.Kind
		text    string
	}{
		{"full", status(503, `{"code":503,"type":"ServiceUnavailableException","message":"Model m has no worker"}`), true, fault.Unavailable, "has no worker"},
		{"limited", status(429, "slowly"), true, fault.Unavailable, "429"},
		{"no model", status(404, `{"code":404,"type":"ModelNotFoundException","message":"Model not found: m"}`), false, fault.NoModel, "Model not found: m"},
		{"defect", status(500, "oops"), false, fault.Internal, "500"},
		{"elsewhere", status(302, ""), false, fault.Unavailable, "302"},
		{"half", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, false, fault.Unavailable, "EOF"},
		{"nothing", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, fault.Unavailable, "EOF"},
		{"no HTTP", raw("SSH-2.0-server\r\n\r\n"), false, fault.Unavailable, "does not speak HTTP"},
		{"length", raw("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n"), false, fault.Unavailable, "Content-Length"},
		{"until the end", raw("HTTP/1.0 200 OK\r\n\r\nsome text"), false, 0, ""},
		{"twice", raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"), false, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := wire(t, httptest.NewServer(tt.answer), model.Input{Data: []byte("x")})
			for range 2 { // the second time on what the first one left
				err := w.Ask(t.Context(), 0)
				if tt.text == "" {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), tt.text) || errors.Is(err, bench.ErrRefused) != tt.refused || fault.Of(err) != tt.kind {
					t.Errorf("error %v of kind %v, want %q of kind %v", err, fault.Of(err), tt.text, tt.kind)
				}
			}
		})
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// raw answers with bytes, and closes.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
		}
	}
}

// TestWireStale asks again when the server has closed a connection that was kept: that is no failure.
func TestWireStale(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	w := wire(t, s, model.Input{Data: []byte("x")})
	for range 3 {
		if err := w.Ask(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
	}
	if asked.Load() != 3 {
		t.Errorf("%d requests came, want 3", asked.Load())
	}
	s.Close()
	if err := w.Ask(t.Context(), 0); fault.Of(err) != fault.Unavailable || errors.Is(err, bench.ErrRefused) {
		t.Errorf("error %v, want %v", err, fault.Unavailable)
	}
}

// TestWireCanceled returns when the context ends, also where no answer comes.
func TestWireCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w := wire(t, httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})), model.Input{Data: []byte("x")})
	if err := w.Ask(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
