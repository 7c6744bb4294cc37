package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// network is a transport without a wire: it answers for every host, and remembers what was asked.
type network struct {
	description string // of /api-description
	code        int

	mu     sync.Mutex // guards what follows
	asked  []string   // scheme and host of each call but for the description's, and "with token"
	looked int
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := httptest.NewRecorder()
	if strings.HasSuffix(r.URL.Path, "/api-description") {
		n.looked++
		w.WriteHeader(n.code)
		_, _ = fmt.Fprint(w, n.description)
		return w.Result(), nil
	}
	line := strings.TrimSuffix(r.URL.String(), "?")
	if r.Header.Get("Authorization") != "" {
		line += " with token"
	}
	n.asked = append(n.asked, line)
	if strings.HasSuffix(r.URL.Path, "/models") {
		_, _ = fmt.Fprint(w, `{"models": []}`)
	}
	return w.Result(), nil
}

// askEach asks each API once.
func askEach(ctx context.Context, c *client.Client) error {
	_, listed := c.List(ctx, model.Page{})
	_, measured := c.Metrics(ctx)
	return errors.Join(c.Ping(ctx), listed, measured)
}

// paths of an API's description, as TorchServe writes them.
const (
	inferencePaths  = `"paths": {"/ping": {}, "/predictions/{model_name}": {}, "/metrics": {}}`
	managementPaths = `"paths": {"/models": {}, "/models/{model_name}": {}, "/metrics": {}}`
	metricsPaths    = `"paths": {"/metrics": {}}`
	allPaths        = `"paths": {"/predictions/{model_name}": {}, "/models": {}, "/metrics": {}}`
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	listing := func(inference, management, metrics string) string {
		return fmt.Sprintf(`{"servers": [{"url": %q, "description": "inference"}, {"url": %q, "description": "management"},
			{"url": %q, "description": "metrics"}, {"url": "http://far.example:1", "description": "other"}], %s}`, inference, management, metrics, inferencePaths)
	}
	// want lists what is asked for ping, models and metrics.
	tests := []struct {
		name, server, description string
		code                      int
		want                      []string
	}{
		{
			name: "listed", server: "http://127.0.0.1:5001", description: listing("http://127.0.0.1:5000", "http://127.0.0.1:5001", "http://127.0.0.1:5007"),
			want: []string{"http://127.0.0.1:5000/ping with token", "http://127.0.0.1:5001/models with token", "http://127.0.0.1:5007/metrics with token"},
		},
		{
			name: "listed as everywhere", server: "http://gpu7:8080", description: listing("http://0.0.0.0:8080", "http://127.0.0.1:8081", "http://[::]:9000"),
			want: []string{"http://gpu7:8080/ping with token", "http://gpu7:8081/models with token", "http://gpu7:9000/metrics with token"},
		},
		{
			name: "listed on another host, which gets no token", server: "http://gpu7:8080", description: listing("http://gpu7:8080", "http://gpu8:8081", "http://gpu7:8082"),
			want: []string{"http://gpu7:8080/ping with token", "http://gpu8:8081/models", "http://gpu7:8082/metrics with token"},
		},
		{
			name: "listed in clear, which gets no token", server: "https://gpu7:8443", description: listing("https://gpu7:8443", "http://gpu7:8081", "https://gpu7:8445"),
			want: []string{"https://gpu7:8443/ping with token", "http://gpu7:8081/models", "https://gpu7:8445/metrics with token"},
		},
		{
			name: "ports moved on the way", server: "http://localhost:18080", description: listing("http://0.0.0.0:8080", "http://0.0.0.0:8081", "http://0.0.0.0:8082"),
			want: []string{"http://localhost:18080/ping with token", "http://localhost:18081/models with token", "http://localhost:18082/metrics with token"},
		},
		{
			name: "behind one address", server: "https://models.example/tsgo", description: listing("http://0.0.0.0:8080", "http://0.0.0.0:8081", "http://0.0.0.0:8082"),
			want: []string{"https://models.example/tsgo/ping with token", "https://models.example/tsgo/models with token", "https://models.example/tsgo/metrics with token"},
		},
		{
			name: "listed as nonsense", server: "http://h:8080", description: listing("unix:/tmp/a", "http://h:x", ""),
			want: []string{"http://h:8080/ping with token", "http://h:8081/models with token", "http://h:8082/metrics with token"},
		},
		{
			name: "inference by its paths", server: "http://[::1]:9001", description: "{" + inferencePaths + "}",
			want: []string{"http://[::1]:9001/ping with token", "http://[::1]:9002/models with token", "http://[::1]:9003/metrics with token"},
		},
		{
			name: "management by its paths", server: "http://h:9001", description: "{" + managementPaths + "}",
			want: []string{"http://h:9000/ping with token", "http://h:9001/models with token", "http://h:9002/metrics with token"},
		},
		{
			name: "metrics by its paths", server: "http://h:9002", description: "{" + metricsPaths + "}",
			want: []string{"http://h:9000/ping with token", "http://h:9001/models with token", "http://h:9002/metrics with token"},
		},
		{
			name: "all on one port", server: "http://h:9000", description: "{" + allPaths + "}",
			want: []string{"http://h:9000/ping with token", "http://h:9000/models with token", "http://h:9000/metrics with token"},
		},
		{
			name: "without a scheme", server: "h:9000", description: "{" + inferencePaths + "}",
			want: []string{"http://h:9000/ping with token", "http://h:9001/models with token", "http://h:9002/metrics with token"},
		},
		{
			name: "the address that Prometheus reads", server: "http://h:9002/metrics/", description: "{" + metricsPaths + "}",
			want: []string{"http://h:9000/ping with token", "http://h:9001/models with token", "http://h:9002/metrics with token"},
		},
		{
			name: "no description, by the port", server: "http://h:8082", description: "404", code: http.StatusNotFound,
			want: []string{"http://h:8080/ping with token", "http://h:8081/models with token", "http://h:8082/metrics with token"},
		},
		{
			name: "no description, an unusual port", server: "http://h:7000", description: "<html>",
			want: []string{"http://h:7000/ping with token", "http://h:7001/models with token", "http://h:7002/metrics with token"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := &network{description: tt.description, code: max(tt.code, http.StatusOK)}
			c := connect(t, "", client.Options{Server: tt.server, Token: "key", HTTP: &http.Client{Transport: n}})
			for range 2 {
				n.asked = nil
				if err := askEach(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, ordered(n.asked)); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
			}
			if n.looked != 1 {
				t.Errorf("looked %d times for the addresses, want once", n.looked)
			}
		})
	}
}

// ordered puts calls into the order of the APIs.
func ordered(asked []string) []string {
	var all []string
	for _, path := range []string{"/ping", "/models", "/metrics"} {
		for _, line := range asked {
			if strings.Contains(line, path) && (path != "/models" || !strings.Contains(line, "/metrics") && !strings.Contains(line, "/ping")) {
				all = append(all, line)
			}
		}
	}
	return all
}

// TestGivenAddresses asks no description where the options tell enough.
func TestGivenAddresses(t *testing.T) {
	t.Parallel()
	n := &network{code: http.StatusInternalServerError}
	c := connect(t, "", client.Options{
		Server: "http://a:1", Inference: "http://b:2/x/", Management: "https://c", Metrics: "http://d:4", HTTP: &http.Client{Transport: n},
	})
	if err := askEach(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	want := []string{"http://b:2/x/ping", "https://c/models", "http://d:4/metrics"}
	if diff := cmp.Diff(want, ordered(n.asked)); diff != "" || n.looked > 0 {
		t.Errorf("looked %d times, asked (-want +got):\n%s", n.looked, diff)
	}
}

func TestDefaultAddress(t *testing.T) {
	t.Parallel()
	n := &network{code: http.StatusNotFound}
	c, err := client.New(client.Options{HTTP: &http.Client{Transport: n}})
	if err != nil {
		t.Fatal(err)
	}
	if err := askEach(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"http://127.0.0.1:8080/ping", "http://127.0.0.1:8081/models", "http://127.0.0.1:8082/metrics"}, ordered(n.asked)); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// TestAddressesAreFoundAgain lets the first search fail, and expects the second one to be made.
func TestAddressesAreFoundAgain(t *testing.T) {
	t.Parallel()
	n := &network{code: http.StatusServiceUnavailable, description: `{"code": 503, "type": "ServiceUnavailableException", "message": "starting"}`}
	c := connect(t, "", client.Options{Server: "http://h:8080", HTTP: &http.Client{Transport: n}})
	if err := c.Ping(t.Context()); !errors.Is(err, fault.Unavailable) || err.Error() != "starting" {
		t.Errorf("Ping = %v, want the server's words", err)
	}
	n.code, n.description = http.StatusOK, "{"+inferencePaths+"}"
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("Ping, later: %v", err)
	}
}

// TestDialing tells an address where nothing can be reached from one that breaks.
func TestDialing(t *testing.T) {
	t.Parallel()
	tests := map[string]error{
		"no such host": &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nowhere"}},
		"reset":        io.ErrUnexpectedEOF,
	}
	for name, cause := range tests {
		c := connect(t, "http://nowhere", client.Options{HTTP: &http.Client{Transport: failing{cause}}})
		err := c.Ping(t.Context())
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "http://nowhere") {
			t.Errorf("%s: %v, want %v with the address", name, err, fault.Unavailable)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
