package client

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	naming "github.com/prometheus/common/model"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// The names that [ParseStats] reads.
const (
	requests    = "tsgo_request_seconds"
	failures    = "tsgo_failures_total"
	batchSizes  = "tsgo_batch_size"
	queueDepth  = "tsgo_queue_depth"
	workers     = "tsgo_workers"
	memoryBytes = "tsgo_model_memory_bytes"

	processSeconds = "process_cpu_seconds_total"
	processMemory  = "process_resident_memory_bytes"
	allocated      = "go_memstats_alloc_bytes_total"
)

// Stats is how one version of a model does in one mode, since the server started.
type Stats struct {
	Ref              model.Ref
	Mode             model.Mode
	Requests, Errors uint64        // all requests, and those of them that were not answered
	P50, P95, P99    time.Duration // how long half, 95 and 99 of 100 answers took at most; zero where there was none
	Batch            float64       // how many requests ran together, on average; zero where none ran
	Queue            int           // requests that wait now
	Workers          int           // of the version, for all modes
	Memory           int64         // bytes, of the version, for all modes
}

// ParseStats reads the metrics of a tsgo server, in Prometheus's text format: each version in each mode, in the order of
// their names. Metrics that it does not know are passed over, so that a page of TorchServe's has none. It returns
// [fault.Invalid] for anything but such a page.
func ParseStats(page []byte) ([]Stats, error) {
	families, err := parse(page)
	if err != nil {
		return nil, err
	}
	all := stats{}
	all.read(families[requests], func(s *Stats, m *dto.Metric) {
		h := m.GetHistogram()
		s.Requests += count(float64(h.GetSampleCount()))
		s.P50, s.P95, s.P99 = seconds(quantile(0.5, h)), seconds(quantile(0.95, h)), seconds(quantile(0.99, h))
	})
	all.read(families[failures], func(s *Stats, m *dto.Metric) {
		s.Requests += count(value(m))
		s.Errors += count(value(m))
	})
	all.read(families[batchSizes], func(s *Stats, m *dto.Metric) {
		if h := m.GetHistogram(); h.GetSampleCount() > 0 {
			s.Batch = finite(h.GetSampleSum() / float64(h.GetSampleCount()))
		}
	})
	all.read(families[queueDepth], func(s *Stats, m *dto.Metric) { s.Queue = int(count(value(m))) })
	all.share(families[workers], func(s *Stats, v float64) { s.Workers = int(count(v)) })
	all.share(families[memoryBytes], func(s *Stats, v float64) { s.Memory = int64(count(v)) })
	return all.sorted(), nil
}

func parse(page []byte) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(naming.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("%w: the metrics are not in Prometheus's text format: %w", fault.Invalid, err)
	}
	return families, nil
}

// Usage is what a server has used until now, and how full the batches of one model's predictions were. What the page does not
// tell is zero.
type Usage struct {
	CPU       time.Duration // of all cores
	Memory    int64         // bytes that are resident
	Allocated uint64        // bytes that were allocated on the heap, those that are free again included
	Batches   uint64        // that ran
	Batched   uint64        // requests in them
}

// ParseUsage reads the metrics of a server, as [ParseStats] does. A ref without a version has all versions in it.
func ParseUsage(page []byte, ref model.Ref) (Usage, error) {
	families, err := parse(page)
	if err != nil {
		return Usage{}, err
	}
	first := func(name string) float64 {
		for _, m := range families[name].GetMetric() {
			return finite(value(m))
		}
		return 0
	}
	u := Usage{CPU: seconds(first(processSeconds)), Memory: int64(count(first(processMemory))), Allocated: count(first(allocated))}
	for _, m := range families[batchSizes].GetMetric() {
		this, mode := labels(m)
		if this.Name == ref.Name && (ref.Version == "" || this.Version == ref.Version) && mode == model.ModePredict.String() {
			u.Batches += count(float64(m.GetHistogram().GetSampleCount()))
			u.Batched += count(m.GetHistogram().GetSampleSum())
		}
	}
	return u, nil
}

// stats are those of each series.
type stats map[key]*Stats

type key struct {
	ref  model.Ref
	mode model.Mode
}

// of returns the stats of a series, which are made where there are none.
func (all stats) of(k key) *Stats {
	if all[k] == nil {
		all[k] = &Stats{Ref: k.ref, Mode: k.mode}
	}
	return all[k]
}

// read hands over a family's series of models, by version and mode.
func (all stats) read(family *dto.MetricFamily, add func(s *Stats, m *dto.Metric)) {
	for _, m := range family.GetMetric() {
		ref, mode := labels(m)
		switch {
		case ref.Name == "":
		case mode == model.ModePredict.String():
			add(all.of(key{ref, model.ModePredict}), m)
		case mode == model.ModeExplain.String():
			add(all.of(key{ref, model.ModeExplain}), m)
		}
	}
}

// share hands over a family's series that are not told apart by mode, for each mode there is; for predictions at least.
func (all stats) share(family *dto.MetricFamily, set func(s *Stats, v float64)) {
	for _, m := range family.GetMetric() {
		ref, _ := labels(m)
		if ref.Name == "" {
			continue
		}
		set(all.of(key{ref, model.ModePredict}), value(m))
		if s := all[key{ref, model.ModeExplain}]; s != nil {
			set(s, value(m))
		}
	}
}

func (all stats) sorted() []Stats {
	list := make([]Stats, 0, len(all))
	for _, s := range all {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Ref.Name, b.Ref.Name), cmp.Compare(a.Ref.Version, b.Ref.Version), cmp.Compare(a.Mode, b.Mode))
	})
	return list
}

func labels(m *dto.Metric) (ref model.Ref, mode string) {
	for _, l := range m.GetLabel() {
		switch l.GetName() {
		case "model_name":
			ref.Name = l.GetValue()
		case "model_version":
			ref.Version = l.GetValue()
		case "mode":
			mode = l.GetValue()
		}
	}
	return ref, mode
}

// value returns a series' value, whatever its type.
func value(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return m.GetUntyped().GetValue()
}

// count returns a number as a count: what is none is zero.
func count(v float64) uint64 {
	const most = 1 << 53 // beyond it, not every whole number is one
	if !(v > 0) {
		return 0
	}
	return uint64(min(v, most))
}

func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// seconds returns a number of seconds as a duration; zero for none, and for what no duration can be.
func seconds(v float64) time.Duration {
	if !(v > 0 && v < math.MaxInt64/float64(time.Second)) {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// quantile estimates a quantile as Prometheus's histogram_quantile does: by linear interpolation in the bucket that it
// falls into, from zero in the first one; the largest finite bound where it lies beyond. NaN where that makes no sense.
func quantile(q float64, h *dto.Histogram) float64 {
	buckets := slices.Clone(h.GetBucket())
	slices.SortFunc(buckets, func(a, b *dto.Bucket) int { return cmp.Compare(a.GetUpperBound(), b.GetUpperBound()) })
	last := len(buckets) - 1
	if last < 1 || !math.IsInf(buckets[last].GetUpperBound(), 1) || buckets[last].GetCumulativeCount() == 0 {
		return math.NaN()
	}
	rank := q * float64(buckets[last].GetCumulativeCount())
	at := slices.IndexFunc(buckets, func(b *dto.Bucket) bool { return float64(b.GetCumulativeCount()) >= rank })
	if at == last {
		return buckets[last-1].GetUpperBound()
	}
	end, within := buckets[at].GetUpperBound(), float64(buckets[at].GetCumulativeCount())
	if at == 0 {
		if end <= 0 {
			return end
		}
		return end * rank / within
	}
	start, before := buckets[at-1].GetUpperBound(), float64(buckets[at-1].GetCumulativeCount())
	return start + (end-start)*(rank-before)/(within-before)
}
