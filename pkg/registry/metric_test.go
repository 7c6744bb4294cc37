package registry_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

// series returns the lines of the metrics page that have text in them.
func series(t *testing.T, set *metric.Set, text string) []string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(set.Gatherer(), promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).
		ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the page is %d: %s", w.Code, w.Body)
	}
	return slices.DeleteFunc(strings.Split(w.Body.String(), "\n"), func(line string) bool { return !strings.Contains(line, text) })
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	set := metric.New(metric.Options{Hostname: "h"})
	m := start(t, registry.Options{Metrics: set})
	ref := register(t, m, model.Registration{URL: "model"})
	for _, row := range []struct {
		ref  model.Ref
		mode model.Mode
		text string
	}{
		{model.Ref{Name: "model"}, model.ModePredict, "x"},
		{model.Ref{Name: "model"}, model.ModePredict, "bad"},
		{ref, model.ModeExplain, "x"},
		{ref, model.ModePredict, "y"},
		{model.Ref{Name: "other"}, model.ModePredict, "x"},
	} {
		_, _ = m.Predict(t.Context(), row.ref, ask(row.mode, row.text)) // how it ends is on the page
	}
	lines := series(t, set, "model")
	for _, want := range []string{
		`ts_inference_requests_total{hostname="h",model_name="model",model_version="default"} 2`,
		`ts_inference_requests_total{hostname="h",model_name="model",model_version="1.0"} 2`,
		`tsgo_request_seconds_count{mode="predict",model_name="model",model_version="1.0"} 2`,
		`tsgo_request_seconds_count{mode="explain",model_name="model",model_version="1.0"} 1`,
		`tsgo_failures_total{kind="invalid",mode="predict",model_name="model",model_version="1.0"} 1`,
		`tsgo_batch_size_sum{mode="predict",model_name="model",model_version="1.0"} 2`,
		`tsgo_batch_size_sum{mode="explain",model_name="model",model_version="1.0"} 1`,
		`tsgo_queue_depth{mode="predict",model_name="model",model_version="1.0"} 0`,
		`tsgo_workers{model_name="model",model_version="1.0"} 1`,
		`tsgo_model_memory_bytes{model_name="model",model_version="1.0"} 1234`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s among\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if lines := series(t, set, "W-9000-model_1.0"); len(lines) != 1 {
		t.Errorf("the worker's series are %q, want one", lines)
	}
	if lines := series(t, set, `="other"`); len(lines) > 0 {
		t.Errorf("a model that is not served has series: %q", lines)
	}
	if _, err := m.Scale(t.Context(), ref, model.Scale{}); err != nil {
		t.Fatal(err)
	}
	if lines := series(t, set, `tsgo_workers{`); len(lines) != 1 || !strings.HasSuffix(lines[0], " 0") {
		t.Errorf("without workers: %q", lines)
	}
	if err := m.Unregister(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if lines := series(t, set, `="model"`); len(lines) > 0 {
		t.Errorf("a model that is gone has series: %q", lines)
	}
}
