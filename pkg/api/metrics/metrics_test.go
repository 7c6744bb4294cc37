package metrics_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/metrics"
)

const plainText = "text/plain; version=0.0.4; charset=utf-8"

// registry has a counter, a gauge, a histogram and a summary.
func registry(t *testing.T) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."})
	counter.Add(3)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "workers", Help: "Workers."})
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "seconds", Help: "Seconds.", Buckets: []float64{1}})
	histogram.(prometheus.ExemplarObserver).ObserveWithExemplar(0.5, prometheus.Labels{"request": "id"})
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "bytes", Help: "Bytes."})
	for _, c := range []prometheus.Collector{counter, gauge, histogram, summary} {
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func ask(h http.Handler, method, target string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// families returns the names of the families in a text.
func families(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return names
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	h := metrics.New(registry(t), metrics.Options{})
	tests := []struct {
		method, target string
		code           int
		has            string
	}{
		{"GET", "/metrics", 200, "requests_total 3\n"},
		{"POST", "/metrics", 200, "requests_total 3\n"},
		{"PUT", "/metrics/", 200, "requests_total 3\n"},
		{"DELETE", "/metrics/any/thing", 200, "requests_total 3\n"},
		{"OPTIONS", "/metrics", 200, "requests_total 3\n"},
		{"HEAD", "/metrics", 200, ""},
		{"OPTIONS", "/", 200, `"openapi": "3.0.1"`},
		{"GET", "/api-description", 200, `"openapi": "3.0.1"`},
		{"GET", "/", 405, "MethodNotAllowedException"},
		{"GET", "/metric", 404, "ResourceNotFoundException"},
		{"GET", "/api-description/x", 404, "ResourceNotFoundException"},
		{"GET", "/predictions/m", 404, "Requested resource is not found, please refer to API document."},
		{"GET", "/metrics?name[]=%zz", 400, "BadRequestException"},
	}
	for _, tt := range tests {
		w := ask(h, tt.method, tt.target, nil)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.has) || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s %s: %d %s %v", tt.method, tt.target, w.Code, w.Body, w.Header())
		}
		want := "application/json"
		if tt.has == "" || strings.HasPrefix(tt.has, "requests") {
			want = plainText
		}
		if got := w.Header().Get("Content-Type"); got != want {
			t.Errorf("%s %s: content type %q, want %q", tt.method, tt.target, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	h := metrics.New(registry(t), metrics.Options{})
	all := []string{"bytes", "requests_total", "seconds", "workers"}
	for query, want := range map[string][]string{
		"":                                 all,
		"?other=x":                         all,
		"?name[]=workers":                  {"workers"},
		"?name%5B%5D=workers":              {"workers"},
		"?name[]=workers&name[]=seconds":   {"seconds", "workers"},
		"?name[]=workers;name[]=seconds":   {"seconds", "workers"},
		"?name[]=seconds_bucket":           {"seconds"},
		"?name[]=seconds_sum&name[]=bytes": {"bytes", "seconds"},
		"?name[]=seconds_count":            {"seconds"},
		"?name[]=bytes_sum":                {"bytes"},
		"?name[]=requests_total":           {"requests_total"},
		"?name[]=bytes_bucket":             nil,
		"?name[]=workers_total":            nil,
		"?name[]=workers_count":            nil,
		"?name[]=work":                     nil,
		"?name[]=seconds_bucket_sum":       nil,
		"?name[]=":                         nil,
	} {
		w := ask(h, http.MethodGet, "/metrics"+query, nil)
		if diff := cmp.Diff(want, families(w.Body.String())); w.Code != 200 || diff != "" {
			t.Errorf("%s: %d, families (-want +got):\n%s", query, w.Code, diff)
		}
		if got := w.Header().Get("Content-Type"); got != plainText {
			t.Errorf("%s: content type %q", query, got)
		}
		if want == nil && w.Body.Len() != 0 {
			t.Errorf("%s: %s", query, w.Body)
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	t.Parallel()
	h := metrics.New(registry(t), metrics.Options{})
	w := ask(h, http.MethodGet, "/metrics?name[]=seconds", map[string]string{"Accept": "application/openmetrics-text;version=1.0.0"})
	if got := w.Header().Get("Content-Type"); got != "application/openmetrics-text; version=1.0.0; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	text := w.Body.String()
	if !strings.Contains(text, `# {request="id"} 0.5`) || !strings.HasSuffix(text, "# EOF\n") || strings.Contains(text, "workers") {
		t.Errorf("text %s", text)
	}
	w = ask(h, http.MethodGet, "/metrics", map[string]string{"Accept": "text/plain;version=1.0.0;escaping=allow-utf-8"})
	if got := w.Header().Get("Content-Type"); !strings.HasSuffix(got, "escaping=allow-utf-8") {
		t.Errorf("content type %q does not tell of the escaping that was asked for", got)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	w := ask(metrics.New(registry(t), metrics.Options{}), http.MethodGet, "/metrics", map[string]string{"Accept-Encoding": "gzip"})
	if w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Content-Type") != plainText {
		t.Fatalf("headers %v", w.Header())
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(text), "requests_total 3\n") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestBrokenGatherer(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	opts := metrics.Options{API: api.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	broken := func(some []*dto.MetricFamily) prometheus.GathererFunc {
		return func() ([]*dto.MetricFamily, error) { return some, errors.New("a collector is broken") }
	}
	w := ask(metrics.New(broken(nil), opts), http.MethodGet, "/metrics", nil)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "InternalServerException") || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	some, err := registry(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	w = ask(metrics.New(broken(some), opts), http.MethodGet, "/metrics", nil)
	if w.Code != http.StatusOK || !slices.Contains(families(w.Body.String()), "workers") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := log.String(); strings.Count(got, "a collector is broken") != 2 || !strings.Contains(got, "level=WARN") {
		t.Errorf("log %s", got)
	}
	if w := ask(metrics.New(broken(some), metrics.Options{}), http.MethodGet, "/metrics", nil); w.Code != http.StatusOK {
		t.Errorf("without a log: %d", w.Code)
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	h := metrics.New(registry(t), metrics.Options{
		Version: "1.2.3", Addresses: api.Addresses{Inference: "http://127.0.0.1:8080", Metrics: "http://127.0.0.1:8082"},
	})
	w := ask(h, http.MethodOptions, "/", nil)
	golden(t, "api", w.Body.Bytes())
	if again := ask(h, http.MethodGet, "/api-description", nil); again.Body.String() != w.Body.String() {
		t.Error("/api-description differs from OPTIONS /")
	}
}

// golden compares with a file, or writes it where UPDATE is set.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if !json.Valid(got) {
		t.Fatalf("not JSON: %s", got)
	}
	path := filepath.Join("testdata", "golden", name+".json")
	if os.Getenv("UPDATE") != "" { //nolint:forbidigo // how golden files are rewritten
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
