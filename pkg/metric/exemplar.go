package metric

import (
	"sort"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// What an exemplar may be: OpenMetrics limits its length, and IDs may be foreign; and as making one costs more than all
// else that is counted of a request, a bucket gets one a second, which is as often as anyone reads the page.
const (
	maxExemplar   = 64
	exemplarEvery = time.Second
)

// exemplars is a histogram of durations whose buckets have a request each as an example.
type exemplars struct {
	histogram prometheus.ExemplarObserver
	buckets   []float64
	last      []atomic.Int64 // when each bucket had its last one, in nanoseconds since 1970
}

func newExemplars(histogram prometheus.Observer, buckets []float64) *exemplars {
	return &exemplars{
		histogram: histogram.(prometheus.ExemplarObserver), // as every histogram is
		buckets:   buckets,
		last:      make([]atomic.Int64, len(buckets)+1),
	}
}

// observe counts a request that took d.
func (e *exemplars) observe(d time.Duration, id string) {
	var exemplar prometheus.Labels
	if id != "" && len(id) <= maxExemplar && utf8.ValidString(id) && e.due(d.Seconds()) {
		exemplar = prometheus.Labels{"request_id": id}
	}
	e.histogram.ObserveWithExemplar(d.Seconds(), exemplar)
}

// due tells, once, that the bucket of value is to have another example.
func (e *exemplars) due(value float64) bool {
	last := &e.last[sort.SearchFloat64s(e.buckets, value)]
	before, now := last.Load(), time.Now().UnixNano()
	return now-before >= int64(exemplarEvery) && last.CompareAndSwap(before, now)
}
