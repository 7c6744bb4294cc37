package metric_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/tsgo/tsgo/pkg/api/metrics"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
)

// page returns the metrics page in the text format.
func page(t *testing.T, s *metric.Set) string {
	t.Helper()
	return pageAs(t, s, "text/plain; version=0.0.4")
}

func pageAs(t *testing.T, s *metric.Set, accept string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	promhttp.HandlerFor(s.Gatherer(), promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("the page is %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// wants checks that each line is on the page.
func wants(t *testing.T, page string, lines ...string) {
	t.Helper()
	all := strings.Split(page, "\n")
	for _, line := range lines {
		if !slices.Contains(all, line) {
			name, _, _ := strings.Cut(line, "{")
			near := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.HasPrefix(s, name) })
			t.Errorf("no line %q; there are %q", line, near)
		}
	}
}

// served is a set on which one version answered a prediction and an explanation, and failed once.
func served(t *testing.T) (*metric.Set, *metric.Model) {
	t.Helper()
	s := metric.New(metric.Options{Hostname: "h", Version: "1.2.3", Disk: t.TempDir()})
	m := s.Model(model.Ref{Name: "mnist", Version: "2.0"})
	m.Watch(func() metric.State {
		return metric.State{
			Workers: []metric.Worker{{ID: "9000", Load: 1500 * time.Millisecond}},
			Memory:  4096, Queued: [2]int{3, 1},
		}
	})
	m.Asked(false)
	m.Batch(model.ModePredict, 3)
	m.Answered(metric.Answer{ID: "id-1", Mode: model.ModePredict, Total: 10 * time.Millisecond, Timing: model.Timing{
		Preprocess: 2 * time.Millisecond, Queue: time.Millisecond, Stack: 100 * time.Microsecond,
		Run: 4 * time.Millisecond, Postprocess: 900 * time.Microsecond,
	}})
	m.Wrote(model.ModePredict, 3*time.Millisecond)
	m.Asked(true)
	m.Batch(model.ModeExplain, 1)
	m.Answered(metric.Answer{Mode: model.ModeExplain, Versioned: true, Total: time.Second, Timing: model.Timing{Queue: 2 * time.Millisecond, Run: time.Second}})
	m.Asked(true)
	m.Answered(metric.Answer{Mode: model.ModePredict, Err: fmt.Errorf("x: %w", fault.Timeout)})
	for _, code := range []int{200, 206, 302, 404, 499, 500, 503, 503} {
		s.Status(code)
	}
	return s, m
}

// TestPage compares the whole page, but for Go's own and the process's part, with a file. Values are masked.
func TestPage(t *testing.T) {
	t.Parallel()
	s, _ := served(t)
	var lines []string
	value := regexp.MustCompile(` [^ ]+$`)
	foreign := regexp.MustCompile(`^(# [A-Z]+ )?(go|process)_`)
	for line := range strings.Lines(page(t, s)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case foreign.MatchString(line):
			continue
		case !strings.HasPrefix(line, "#"):
			line = value.ReplaceAllString(line, " *")
		}
		lines = append(lines, line)
	}
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", "golden", "page.txt")
	if os.Getenv("UPDATE") != "" { //nolint:forbidigo // how golden files are rewritten
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestFilters has the API choose families by their names, as a collector does.
func TestFilters(t *testing.T) {
	t.Parallel()
	s, _ := served(t)
	h := metrics.New(s.Gatherer(), metrics.Options{})
	for query, want := range map[string][]string{
		"name[]=Requests2XX": {"Requests2XX"},
		"name[]=tsgo_request_seconds&name[]=tsgo_queue_depth": {"tsgo_queue_depth", "tsgo_request_seconds"},
		"name[]=WorkerLoadTime&name[]=none":                   {"WorkerLoadTime"},
		"name[]=none":                                         nil,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics?"+query, nil))
		var got []string
		for line := range strings.Lines(w.Body.String()) {
			if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
				got = append(got, strings.Fields(name)[0])
			}
		}
		if w.Code != http.StatusOK || !slices.Equal(got, want) {
			t.Errorf("%s: %d, families %q, want %q", query, w.Code, got, want)
		}
	}
}

// torchServe has the name, kind and unit of each of TorchServe's instruments.
func torchServe() [][3]string {
	return [][3]string{
		{"Requests2XX", "counter", "Count"},
		{"Requests4XX", "counter", "Count"},
		{"Requests5XX", "counter", "Count"},
		{"ts_inference_requests_total", "counter", "Count"},
		{"ts_inference_latency_microseconds", "counter", "Microseconds"},
		{"ts_queue_latency_microseconds", "counter", "Microseconds"},
		{"QueueTime", "gauge", "Milliseconds"},
		{"WorkerThreadTime", "gauge", "Milliseconds"},
		{"WorkerLoadTime", "gauge", "Milliseconds"},
		{"CPUUtilization", "gauge", "Percent"},
		{"MemoryUsed", "gauge", "Megabytes"},
		{"MemoryAvailable", "gauge", "Megabytes"},
		{"MemoryUtilization", "gauge", "Percent"},
		{"DiskUsage", "gauge", "Gigabytes"},
		{"DiskAvailable", "gauge", "Gigabytes"},
		{"DiskUtilization", "gauge", "Percent"},
		{"HandlerTime", "gauge", "ms"},
		{"PredictionTime", "gauge", "ms"},
	}
}

func TestTorchServe(t *testing.T) {
	t.Parallel()
	s, _ := served(t)
	text := page(t, s)
	for _, want := range torchServe() {
		wants(t, text, fmt.Sprintf("# HELP %s Torchserve prometheus %s metric with unit: %s", want[0], want[1], want[2]),
			fmt.Sprintf("# TYPE %s %s", want[0], want[1]))
	}
	wants(t, text,
		`Requests2XX{Hostname="h",Level="Host"} 2`,
		`Requests4XX{Hostname="h",Level="Host"} 2`,
		`Requests5XX{Hostname="h",Level="Host"} 4`,
		`ts_inference_requests_total{hostname="h",model_name="mnist",model_version="default"} 1`,
		`ts_inference_requests_total{hostname="h",model_name="mnist",model_version="2.0"} 2`,
		`ts_inference_latency_microseconds{hostname="h",model_name="mnist",model_version="default"} 10000`,
		`ts_inference_latency_microseconds{hostname="h",model_name="mnist",model_version="2.0"} 1e+06`,
		`ts_queue_latency_microseconds{hostname="h",model_name="mnist",model_version="default"} 1000`,
		`ts_queue_latency_microseconds{hostname="h",model_name="mnist",model_version="2.0"} 2000`,
		`QueueTime{Hostname="h",Level="Host"} 2`,
		`WorkerThreadTime{Hostname="h",Level="Host"} 0`,
		`WorkerLoadTime{Hostname="h",Level="Host",WorkerName="W-9000-mnist_2.0"} 1500`,
		`HandlerTime{Hostname="h",Level="Model",ModelName="mnist"} 1000`,
		`PredictionTime{Hostname="h",Level="Model",ModelName="mnist"} 998`,
	)
}

func TestTimesOfTheLastRequest(t *testing.T) {
	t.Parallel()
	s := metric.New(metric.Options{Hostname: "h"})
	s.Model(model.Ref{Name: "m", Version: "1.0"}).Answered(metric.Answer{Total: 10 * time.Millisecond, Timing: model.Timing{
		Queue: 1900 * time.Microsecond, Preprocess: 2 * time.Millisecond, Stack: time.Millisecond, Run: 3 * time.Millisecond, Postprocess: time.Millisecond,
	}})
	wants(t, page(t, s),
		`QueueTime{Hostname="h",Level="Host"} 1`,
		`WorkerThreadTime{Hostname="h",Level="Host"} 1.1`,
		`HandlerTime{Hostname="h",Level="Model",ModelName="m"} 7`,
		`PredictionTime{Hostname="h",Level="Model",ModelName="m"} 8.1`,
	)
}

func TestOwn(t *testing.T) {
	t.Parallel()
	s, _ := served(t)
	text := page(t, s)
	const predict, explain = `mode="predict",model_name="mnist",model_version="2.0"`, `mode="explain",model_name="mnist",model_version="2.0"`
	wants(t, text,
		`tsgo_request_seconds_bucket{`+predict+`,le="0.005"} 0`,
		`tsgo_request_seconds_bucket{`+predict+`,le="0.01"} 1`,
		`tsgo_request_seconds_count{`+predict+`} 1`,
		`tsgo_request_seconds_sum{`+explain+`} 1`,
		`tsgo_queue_seconds_sum{`+predict+`} 0.001`,
		`tsgo_preprocess_seconds_sum{`+predict+`} 0.002`,
		`tsgo_stack_seconds_sum{`+predict+`} 0.0001`,
		`tsgo_inference_seconds_sum{`+predict+`} 0.004`,
		`tsgo_postprocess_seconds_sum{`+predict+`} 0.0009`,
		`tsgo_write_seconds_sum{`+predict+`} 0.003`,
		`tsgo_write_seconds_count{`+explain+`} 0`,
		`tsgo_batch_size_bucket{`+predict+`,le="2"} 0`,
		`tsgo_batch_size_bucket{`+predict+`,le="4"} 1`,
		`tsgo_batch_size_sum{`+explain+`} 1`,
		`tsgo_failures_total{kind="timed out",`+predict+`} 1`,
		`tsgo_queue_depth{`+predict+`} 3`,
		`tsgo_queue_depth{`+explain+`} 1`,
		`tsgo_workers{model_name="mnist",model_version="2.0"} 1`,
		`tsgo_model_memory_bytes{model_name="mnist",model_version="2.0"} 4096`,
	)
	for _, part := range []string{`tsgo_build_info{version="1.2.3"} 1`, "\ngo_goroutines ", "\nprocess_start_time_seconds "} {
		if !strings.Contains(text, part) {
			t.Errorf("the page has no %q", part)
		}
	}
}

func TestExemplar(t *testing.T) {
	t.Parallel()
	s, m := served(t)
	m.Answered(metric.Answer{ID: strings.Repeat("x", 200), Total: time.Minute})
	m.Answered(metric.Answer{ID: "\xff", Total: time.Minute})
	text := pageAs(t, s, "application/openmetrics-text; version=1.0.0")
	if !strings.HasSuffix(text, "# EOF\n") {
		t.Error("the page is not OpenMetrics")
	}
	exemplar := regexp.MustCompile(`tsgo_request_seconds_bucket\{mode="predict",.*le="0.01"\} 1 # \{request_id="id-1"\} 0.01 `)
	if !exemplar.MatchString(text) {
		t.Error("the prediction's bucket has no exemplar")
	}
	if strings.Contains(text, "xxx") || strings.Contains(text, "\xff") {
		t.Error("an ID that is too long, or no text, became an exemplar")
	}
}

// TestExemplarNowAndThen checks that a bucket's example is a recent one, and not each request is one.
func TestExemplarNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := metric.New(metric.Options{Hostname: "h"})
		m := s.Model(model.Ref{Name: "m", Version: "1.0"})
		want := func(ids ...string) {
			t.Helper()
			var got []string
			for _, found := range regexp.MustCompile(`request_id="(.*?)"`).FindAllStringSubmatch(pageAs(t, s, "application/openmetrics-text; version=1.0.0"), -1) {
				got = append(got, found[1])
			}
			if !slices.Equal(got, ids) {
				t.Errorf("exemplars %q, want %q", got, ids)
			}
		}
		m.Answered(metric.Answer{ID: "a", Total: time.Millisecond})
		m.Answered(metric.Answer{ID: "b", Total: time.Millisecond})
		m.Answered(metric.Answer{ID: "c", Total: time.Hour})
		want("a", "c")
		time.Sleep(time.Second) //nolint:forbidigo // in the bubble's time
		m.Answered(metric.Answer{ID: "d", Total: time.Millisecond})
		want("d", "c")
	})
}

// TestLint has Prometheus's linter look at the names. TorchServe's are as they are.
func TestLint(t *testing.T) {
	t.Parallel()
	s, _ := served(t)
	families, err := s.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if !slices.ContainsFunc(torchServe(), func(known [3]string) bool { return known[0] == p.Metric }) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// families returns the names of the families that have a series with text in it.
func families(t *testing.T, s *metric.Set, text string) []string {
	t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(page(t, s)) {
		if name, labels, ok := strings.Cut(line, "{"); ok && strings.Contains(labels, text) {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func TestForget(t *testing.T) {
	t.Parallel()
	s, m := served(t)
	other := s.Model(model.Ref{Name: "mnist", Version: "3.0"})
	m.Forget()
	if got := families(t, s, `"2.0"`); len(got) > 0 {
		t.Errorf("series of the version that is gone: %q", got)
	}
	want := []string{"ts_inference_latency_microseconds", "ts_inference_requests_total", "ts_queue_latency_microseconds"}
	if got := families(t, s, `"default"`); !cmp.Equal(got, want) {
		t.Errorf("series of the name's other requests: %q", got)
	}
	other.Forget()
	if got := families(t, s, "mnist"); len(got) > 0 {
		t.Errorf("series of the name that is gone: %q", got)
	}

	m.Asked(true)
	m.Batch(model.ModePredict, 1)
	m.Answered(metric.Answer{Total: time.Second})
	m.Answered(metric.Answer{Err: fault.Internal})
	m.Watch(func() metric.State { return metric.State{} })
	m.Forget()
	if got := families(t, s, "mnist"); len(got) > 0 {
		t.Errorf("series came back: %q", got)
	}
}

// TestServedTwice has a version come back before it has gone.
func TestServedTwice(t *testing.T) {
	t.Parallel()
	s := metric.New(metric.Options{Hostname: "h"})
	ref := model.Ref{Name: "m", Version: "1.0"}
	old := s.Model(ref)
	old.Watch(func() metric.State { return metric.State{Memory: 1} })
	old.Asked(true)
	fresh := s.Model(ref)
	fresh.Watch(func() metric.State { return metric.State{Memory: 2} })
	old.Forget()
	fresh.Asked(true)
	wants(t, page(t, s),
		`ts_inference_requests_total{hostname="h",model_name="m",model_version="1.0"} 2`,
		`tsgo_model_memory_bytes{model_name="m",model_version="1.0"} 2`,
	)
	fresh.Forget()
	if got := families(t, s, `"m"`); len(got) > 0 {
		t.Errorf("series of the name that is gone: %q", got)
	}
}

// TestNil checks that who counts need not ask whether there is something to count on.
func TestNil(t *testing.T) {
	t.Parallel()
	var s *metric.Set
	m := s.Model(model.Ref{Name: "m", Version: "1.0"})
	if m != nil {
		t.Errorf("a nil set made %v", m)
	}
	s.Status(200)
	m.Asked(true)
	m.Answered(metric.Answer{})
	m.Batch(model.ModePredict, 1)
	m.Wrote(model.ModePredict, 1)
	m.Watch(nil)
	m.Forget()
	if all, err := s.Gatherer().Gather(); err != nil || len(all) > 0 {
		t.Errorf("a nil set gathers %v, %v", all, err)
	}
}

// TestSystem checks what the host is said to do against what cannot be otherwise.
func TestSystem(t *testing.T) {
	t.Parallel()
	s := metric.New(metric.Options{Hostname: "h"})
	for range 2 {
		values := map[string]float64{}
		families, err := s.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if len(f.GetMetric()) == 1 {
				values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		for name, limits := range map[string][2]float64{
			"CPUUtilization": {0, 100}, "MemoryUtilization": {0.001, 100}, "DiskUtilization": {0, 100},
			"MemoryUsed": {1, 1e9}, "MemoryAvailable": {1, 1e9}, "DiskUsage": {0.0001, 1e9}, "DiskAvailable": {0, 1e9},
		} {
			got, ok := values[name]
			if !ok || got < limits[0] || got > limits[1] {
				t.Errorf("%s = %v, %t, want %v to %v", name, got, ok, limits[0], limits[1])
			}
		}
	}
}

// TestSystemUnreadable checks that a part that cannot be read is missing, and breaks nothing.
func TestSystemUnreadable(t *testing.T) {
	t.Parallel()
	text := page(t, metric.New(metric.Options{Disk: "/no/such/place"}))
	if strings.Contains(text, "DiskUsage{") || !strings.Contains(text, "MemoryUsed{") {
		t.Error("want no disk, and the memory all the same")
	}
	hostname, err := os.Hostname()
	if err != nil {
		t.Skip("the system has no name")
	}
	if !strings.Contains(text, `Hostname="`+hostname+`"`) {
		t.Errorf("the host is not called %s", hostname)
	}
}

// TestNoSystem leaves the host's load out, and nothing else.
func TestNoSystem(t *testing.T) {
	t.Parallel()
	names := func(opts metric.Options) []string {
		families, err := metric.New(opts).Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "go_gc_") { // some of them come with time
				names = append(names, f.GetName())
			}
		}
		return names
	}
	load := []string{"CPUUtilization", "MemoryUsed", "MemoryAvailable", "MemoryUtilization", "DiskUsage", "DiskAvailable", "DiskUtilization"}
	want := slices.DeleteFunc(names(metric.Options{}), func(name string) bool { return slices.Contains(load, name) })
	if diff := cmp.Diff(want, names(metric.Options{NoSystem: true})); diff != "" {
		t.Errorf("families (-want +got):\n%s", diff)
	}
}

// TestConcurrent counts while models come and go and the page is read; the race detector and the gatherer's own checks
// are what can fail.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := metric.New(metric.Options{Hostname: "h"})
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Gatherer().Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 20 {
				m := s.Model(model.Ref{Name: fmt.Sprint("m", i%2), Version: fmt.Sprint(i % 4)})
				m.Watch(func() metric.State { return metric.State{Workers: []metric.Worker{{ID: fmt.Sprint(i)}}} })
				for range 20 {
					m.Asked(i%2 == 0)
					m.Answered(metric.Answer{ID: "x", Total: 1})
					m.Answered(metric.Answer{Err: fault.Invalid})
				}
				m.Forget()
			}
		})
	}
	group.Wait()
	cancel()
	readers.Wait()
	if got := families(t, s, `"m`); len(got) > 0 {
		t.Errorf("series of models that are gone: %q", got)
	}
}

func BenchmarkAnswered(b *testing.B) {
	m := metric.New(metric.Options{}).Model(model.Ref{Name: "m", Version: "1.0"})
	b.ReportAllocs()
	for b.Loop() {
		m.Asked(true)
		m.Answered(metric.Answer{ID: "01234567-0123-4567-89ab-0123456789ab", Total: time.Millisecond, Timing: model.Timing{Run: 1000}})
	}
}

func BenchmarkPage(b *testing.B) {
	s := metric.New(metric.Options{})
	for i := range 10 {
		m := s.Model(model.Ref{Name: fmt.Sprint("m", i), Version: "1.0"})
		m.Watch(func() metric.State { return metric.State{} })
		m.Answered(metric.Answer{})
	}
	handler := promhttp.HandlerFor(s.Gatherer(), promhttp.HandlerOpts{})
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		w.Body = new(bytes.Buffer)
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	}
}

// TestVersionCalledDefault has a version that is called as the requests are that name none: it goes, and those go on.
func TestVersionCalledDefault(t *testing.T) {
	t.Parallel()
	s := metric.New(metric.Options{Hostname: "h"})
	other, odd := s.Model(model.Ref{Name: "m", Version: "1.0"}), s.Model(model.Ref{Name: "m", Version: "default"})
	other.Asked(false)
	odd.Asked(true)
	odd.Forget()
	other.Asked(false)
	wants(t, page(t, s), `ts_inference_requests_total{hostname="h",model_name="m",model_version="default"} 3`)
	other.Forget()
	if got := families(t, s, `"m"`); len(got) > 0 {
		t.Errorf("series of the name that is gone: %q", got)
	}
}
