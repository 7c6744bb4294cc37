package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

const page = `# HELP Requests2XX Torchserve prometheus counter metric with unit: Count
# TYPE Requests2XX counter
Requests2XX{Level="Host",Hostname="h",} 3.0
# TYPE tsgo_request_seconds histogram
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="0.01"} 50
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="0.02"} 90
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="0.1"} 98
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="predict",le="+Inf"} 100
tsgo_request_seconds_sum{model_name="m",model_version="1.0",mode="predict"} 1.5
tsgo_request_seconds_count{model_name="m",model_version="1.0",mode="predict"} 100
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="explain",le="0.01"} 0
tsgo_request_seconds_bucket{model_name="m",model_version="1.0",mode="explain",le="+Inf"} 0
tsgo_request_seconds_sum{model_name="m",model_version="1.0",mode="explain"} 0
tsgo_request_seconds_count{model_name="m",model_version="1.0",mode="explain"} 0
# TYPE tsgo_batch_size histogram
tsgo_batch_size_bucket{model_name="m",model_version="1.0",mode="predict",le="+Inf"} 40
tsgo_batch_size_sum{model_name="m",model_version="1.0",mode="predict"} 100
tsgo_batch_size_count{model_name="m",model_version="1.0",mode="predict"} 40
# TYPE tsgo_failures_total counter
tsgo_failures_total{model_name="m",model_version="1.0",mode="predict",kind="invalid"} 3
tsgo_failures_total{model_name="m",model_version="1.0",mode="predict",kind="unavailable"} 2
tsgo_failures_total{model_name="m",model_version="1.0",mode="explain",kind="invalid"} 1
# TYPE tsgo_queue_depth gauge
tsgo_queue_depth{model_name="m",model_version="1.0",mode="predict"} 7
# TYPE tsgo_workers gauge
tsgo_workers{model_name="m",model_version="1.0"} 2
tsgo_workers{model_name="a",model_version="2.0"} 1
tsgo_workers 9
# TYPE tsgo_model_memory_bytes gauge
tsgo_model_memory_bytes{model_name="m",model_version="1.0"} 4.8e+06
`

func TestParseStats(t *testing.T) {
	t.Parallel()
	got, err := client.ParseStats([]byte(page))
	if err != nil {
		t.Fatal(err)
	}
	// Half of 100 answers fills the first bucket; the 95th is 5/8 of the way through the third; the 99th lies beyond.
	want := []client.Stats{
		{Ref: model.Ref{Name: "a", Version: "2.0"}, Workers: 1},
		{
			Ref: model.Ref{Name: "m", Version: "1.0"}, Requests: 105, Errors: 5, P50: 10 * time.Millisecond, P95: 70 * time.Millisecond,
			P99: 100 * time.Millisecond, Batch: 2.5, Queue: 7, Workers: 2, Memory: 4_800_000,
		},
		{Ref: model.Ref{Name: "m", Version: "1.0"}, Mode: model.ModeExplain, Requests: 1, Errors: 1, Workers: 2, Memory: 4_800_000},
	}
	near := cmpopts.EquateApprox(1e-9, 10)
	durations := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Microsecond })
	if diff := cmp.Diff(want, got, near, durations); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// TestQuantiles compares with what histogram_quantile of Prometheus gives.
func TestQuantiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		buckets string // bound and cumulative count, in pairs
		want    [3]time.Duration
	}{
		{"one bucket", "1 10 +Inf 10", [3]time.Duration{500 * time.Millisecond, 950 * time.Millisecond, 990 * time.Millisecond}},
		{"out of order", "+Inf 10 1 10", [3]time.Duration{500 * time.Millisecond, 950 * time.Millisecond, 990 * time.Millisecond}},
		{"empty buckets before and between", "1 0 2 5 4 5 8 10 +Inf 10", [3]time.Duration{2 * time.Second, 7600 * time.Millisecond, 7920 * time.Millisecond}},
		{"all beyond", "1 0 2 0 +Inf 4", [3]time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}},
		{"below zero", "-1 4 +Inf 4", [3]time.Duration{}},
		{"no infinite bucket", "1 5 2 5", [3]time.Duration{}},
		{"nothing but infinity", "+Inf 5", [3]time.Duration{}},
		{"none", "1 0 +Inf 0", [3]time.Duration{}},
		{"counts that fall", "1 9 2 3 +Inf 9", [3]time.Duration{500 * time.Millisecond, 950 * time.Millisecond, 990 * time.Millisecond}},
		{"no number", "NaN 3 +Inf 5", [3]time.Duration{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			b.WriteString("# TYPE tsgo_request_seconds histogram\n")
			fields := strings.Fields(tt.buckets)
			labels := `model_name="m",model_version="1",mode="predict"`
			for i := 0; i < len(fields); i += 2 {
				b.WriteString("tsgo_request_seconds_bucket{" + labels + `,le="` + fields[i] + `"} ` + fields[i+1] + "\n")
			}
			b.WriteString("tsgo_request_seconds_count{" + labels + "} 10\n")
			got, err := client.ParseStats([]byte(b.String()))
			if err != nil || len(got) != 1 {
				t.Fatalf("ParseStats = %v, %v", got, err)
			}
			for i, d := range [3]time.Duration{got[0].P50, got[0].P95, got[0].P99} {
				if (d - tt.want[i]).Abs() > time.Microsecond {
					t.Errorf("quantile %d = %v, want %v", i, d, tt.want[i])
				}
			}
		})
	}
}

func TestParseStatsRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"<html></html>\n", "a{b=\n", "a 1 2 3\n"} {
		if _, err := client.ParseStats([]byte(bad)); !errors.Is(err, fault.Invalid) {
			t.Errorf("ParseStats(%q) = %v, want %v", bad, err, fault.Invalid)
		}
	}
}

func FuzzParseStats(f *testing.F) {
	f.Add([]byte(page))
	f.Add([]byte("tsgo_workers{model_name=\"m\"} NaN\ntsgo_failures_total{model_name=\"m\",mode=\"explain\"} -1e999\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := client.ParseStats(text)
		if err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("ParseStats = %v, want %v", err, fault.Invalid)
		}
		for _, s := range all {
			if s.Ref.Name == "" || s.Errors > s.Requests || s.P50 < 0 || s.P99 < 0 || s.Queue < 0 || s.Workers < 0 || s.Memory < 0 {
				t.Errorf("stats make no sense: %+v", s)
			}
		}
	})
}

func BenchmarkParseStats(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.ParseStats([]byte(page)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestParseUsage reads the process and the batches of one model's predictions, of one version or all.
func TestParseUsage(t *testing.T) {
	t.Parallel()
	const page = `# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1e+06
# TYPE go_memstats_alloc_bytes_total counter
go_memstats_alloc_bytes_total 12345
# TYPE tsgo_batch_size histogram
tsgo_batch_size_bucket{model_name="m",model_version="1.0",mode="predict",le="+Inf"} 40
tsgo_batch_size_sum{model_name="m",model_version="1.0",mode="predict"} 100
tsgo_batch_size_count{model_name="m",model_version="1.0",mode="predict"} 40
tsgo_batch_size_bucket{model_name="m",model_version="2.0",mode="predict",le="+Inf"} 1
tsgo_batch_size_sum{model_name="m",model_version="2.0",mode="predict"} 2
tsgo_batch_size_count{model_name="m",model_version="2.0",mode="predict"} 1
tsgo_batch_size_bucket{model_name="m",model_version="1.0",mode="explain",le="+Inf"} 7
tsgo_batch_size_sum{model_name="m",model_version="1.0",mode="explain"} 7
tsgo_batch_size_count{model_name="m",model_version="1.0",mode="explain"} 7
`
	whole := client.Usage{CPU: 1500 * time.Millisecond, Memory: 1e6, Allocated: 12345, Batches: 41, Batched: 102}
	one := whole
	one.Batches, one.Batched = 40, 100
	for name, tt := range map[string]struct {
		page string
		ref  model.Ref
		want client.Usage
	}{
		"all versions": {page, model.Ref{Name: "m"}, whole},
		"one":          {page, model.Ref{Name: "m", Version: "1.0"}, one},
		"nothing told": {"", model.Ref{Name: "m"}, client.Usage{}},
	} {
		got, err := client.ParseUsage([]byte(tt.page), tt.ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := client.ParseUsage([]byte("<html>"), model.Ref{Name: "m"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("error %v, want %v", err, fault.Invalid)
	}
}
