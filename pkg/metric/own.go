package metric

import (
	"github.com/prometheus/client_golang/prometheus"
)

// own is tsgo's instruments, by model, version and mode.
type own struct {
	request                                                 *prometheus.HistogramVec
	preprocess, queue, stack, inference, postprocess, write *prometheus.HistogramVec
	batch                                                   *prometheus.HistogramVec

	failures *prometheus.CounterVec // by kind too
}

// What tells tsgo's series apart.
func versionLabels() []string { return []string{"model_name", "model_version"} }
func modeLabels() []string    { return append(versionLabels(), "mode") }

func newOwn() own {
	return own{
		request:     histogram("tsgo_request_seconds", "Time from a request's arrival to its answer.", seconds()),
		preprocess:  histogram("tsgo_preprocess_seconds", "Time that preprocessing a request took, its decoding included.", seconds()),
		queue:       histogram("tsgo_queue_seconds", "Time that a request waited for its batch.", seconds()),
		stack:       histogram("tsgo_stack_seconds", "Time that it took to make one input of a request's batch.", seconds()),
		inference:   histogram("tsgo_inference_seconds", "Time that the run of a request's batch took.", seconds()),
		postprocess: histogram("tsgo_postprocess_seconds", "Time that postprocessing a request took, its encoding included.", seconds()),
		write:       histogram("tsgo_write_seconds", "Time that it took to write an answer over HTTP.", seconds()),
		batch:       histogram("tsgo_batch_size", "Requests in a batch.", []float64{1, 2, 4, 8, 16, 32, 64, 128}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tsgo_failures_total", Help: "Requests that failed, by kind of failure.",
		}, append(modeLabels(), "kind")),
	}
}

func (o own) collectors() []prometheus.Collector {
	return []prometheus.Collector{o.request, o.preprocess, o.queue, o.stack, o.inference, o.postprocess, o.write, o.batch, o.failures}
}

// seconds are buckets for anything from a tiny network's run to an explanation of a large one.
func seconds() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

func histogram(name, help string, buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, modeLabels())
}
