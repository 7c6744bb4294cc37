// Package metric is a server's instruments, on a registry of its own: TorchServe's names and labels, so that dashboards go
// on working, and beside them histograms, which TorchServe has not.
package metric

import (
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Options are what the instruments are labelled with.
type Options struct {
	Hostname string // "": the machine's
	Version  string // of the program
}

// Model is what a model's series are labelled with.
type Model struct{ Name, Version string }

// Set is the instruments of one server. A nil Set counts nothing. It is safe for concurrent use.
type Set struct {
	registry *prometheus.Registry
	hostname string

	responses                  [3]prometheus.Counter // 2XX, 4XX, 5XX
	requests                   *prometheus.CounterVec
	inference, queue           *prometheus.CounterVec
	queueTime, workerTime      prometheus.Gauge
	loadTime, handlerTime      *prometheus.GaugeVec
	predictionTime             *prometheus.GaugeVec
	requestSeconds             *prometheus.HistogramVec
	queueSeconds, runSeconds   *prometheus.HistogramVec
	prepareSeconds, batchSizes *prometheus.HistogramVec
	failures                   *prometheus.CounterVec
	depth, workers, memory     *prometheus.GaugeVec
}

// The labels.
const (
	labelModel   = "model_name"
	labelVersion = "model_version"
	labelMode    = "mode"
)

// New returns a set with everything on it: the server's instruments, the process's, Go's and the machine's.
func New(opts Options) (*Set, error) {
	if opts.Hostname == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "unknown"
		}
		opts.Hostname = name
	}
	s := &Set{registry: prometheus.NewRegistry(), hostname: opts.Hostname}
	s.torchServe()
	s.histograms()
	s.gauges(opts.Version)
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newMachine(opts.Hostname))
	return s, nil
}

// Gatherer returns what a metrics API reads.
func (s *Set) Gatherer() prometheus.Gatherer { return s.registry }

// help is TorchServe's help text.
func help(kind, unit string) string {
	return "Torchserve prometheus " + kind + " metric with unit: " + unit
}

// torchServe registers what TorchServe has, under its names and labels.
func (s *Set) torchServe() {
	host := prometheus.Labels{"Level": "Host", "Hostname": s.hostname}
	for i, name := range []string{"Requests2XX", "Requests4XX", "Requests5XX"} {
		s.responses[i] = prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help("counter", "Count"), ConstLabels: host})
		s.registry.MustRegister(s.responses[i])
	}
	counter := func(name, unit string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help("counter", unit)}, []string{labelModel, labelVersion, "hostname"})
		s.registry.MustRegister(v)
		return v
	}
	s.requests = counter("ts_inference_requests_total", "Count")
	s.inference = counter("ts_inference_latency_microseconds", "Microseconds")
	s.queue = counter("ts_queue_latency_microseconds", "Microseconds")
	gauge := func(name string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help("gauge", "Milliseconds"), ConstLabels: host})
		s.registry.MustRegister(g)
		return g
	}
	s.queueTime, s.workerTime = gauge("QueueTime"), gauge("WorkerThreadTime")
	labelled := func(name, unit string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help("gauge", unit)}, labels)
		s.registry.MustRegister(v)
		return v
	}
	s.loadTime = labelled("WorkerLoadTime", "Milliseconds", "WorkerName", "Level", "Hostname")
	s.handlerTime = labelled("HandlerTime", "ms", "ModelName", "Level", "Hostname")
	s.predictionTime = labelled("PredictionTime", "ms", "ModelName", "Level", "Hostname")
}

// histograms registers how long requests and their stages take, in buckets from a tenth of a millisecond to a minute.
func (s *Set) histograms() {
	seconds := []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	histogram := func(name, text string, buckets []float64) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: text, Buckets: buckets}, []string{labelModel, labelVersion, labelMode})
		s.registry.MustRegister(v)
		return v
	}
	s.requestSeconds = histogram("tsgo_request_seconds", "Time from a request's arrival to its answer.", seconds)
	s.prepareSeconds = histogram("tsgo_preprocess_seconds", "Time that preprocessing a request took.", seconds)
	s.queueSeconds = histogram("tsgo_queue_seconds", "Time that a request waited for its batch.", seconds)
	s.runSeconds = histogram("tsgo_inference_seconds", "Time that the run of a request's batch took.", seconds)
	s.batchSizes = histogram("tsgo_batch_size", "Requests in a batch.", []float64{1, 2, 4, 8, 16, 32, 64, 128})
}

func (s *Set) gauges(version string) {
	labels := []string{labelModel, labelVersion}
	s.failures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tsgo_failures_total", Help: "Requests that failed, by kind of failure."},
		[]string{labelModel, labelVersion, labelMode, "kind"})
	s.depth = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tsgo_queue_depth", Help: "Requests that wait, those being preprocessed included."},
		append(labels, labelMode))
	s.workers = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tsgo_workers", Help: "Workers of a model."}, labels)
	s.memory = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tsgo_model_memory_bytes", Help: "What a model's network takes at least."}, labels)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tsgo_build_info", Help: "The program's version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	s.registry.MustRegister(s.failures, s.depth, s.workers, s.memory, build)
}

// Status counts an HTTP answer, as TorchServe does: by hundreds, and everything that is neither 2XX nor 4XX as 5XX.
func (s *Set) Status(code int) {
	if s == nil {
		return
	}
	switch code / 100 {
	case 2:
		s.responses[0].Inc()
	case 4:
		s.responses[1].Inc()
	default:
		s.responses[2].Inc()
	}
}

// Request counts a request to a model that is there. version is the one that was asked for; "" is the default one.
func (s *Set) Request(name, version string) {
	if s == nil {
		return
	}
	if version == "" {
		version = "default"
	}
	s.requests.WithLabelValues(name, version, s.hostname).Inc()
}

// Answer is what is known of a request once it is answered.
type Answer struct {
	Mode, Asked, ID                  string // Asked: the version that was asked for
	Total, Prepare, Queue, Inference time.Duration
	Err                              error
}

// Answered counts an answer. The request's ID is the exemplar of its time.
func (s *Set) Answered(m Model, a Answer) {
	if s == nil {
		return
	}
	if a.Err != nil {
		s.failures.WithLabelValues(m.Name, m.Version, a.Mode, fault.Of(a.Err).Error()).Inc()
		return
	}
	observe(s.requestSeconds.WithLabelValues(m.Name, m.Version, a.Mode), a.Total, a.ID)
	s.prepareSeconds.WithLabelValues(m.Name, m.Version, a.Mode).Observe(a.Prepare.Seconds())
	s.queueSeconds.WithLabelValues(m.Name, m.Version, a.Mode).Observe(a.Queue.Seconds())
	s.runSeconds.WithLabelValues(m.Name, m.Version, a.Mode).Observe(a.Inference.Seconds())
	asked := a.Asked
	if asked == "" {
		asked = "default"
	}
	s.inference.WithLabelValues(m.Name, asked, s.hostname).Add(float64(a.Total.Microseconds()))
	s.queue.WithLabelValues(m.Name, asked, s.hostname).Add(float64(a.Queue.Microseconds()))
	s.queueTime.Set(float64(a.Queue.Milliseconds()))
	s.workerTime.Set(milliseconds(a.Total - a.Queue - a.Inference - a.Prepare))
	s.handlerTime.WithLabelValues(m.Name, "Model", s.hostname).Set(milliseconds(a.Prepare + a.Inference))
	s.predictionTime.WithLabelValues(m.Name, "Model", s.hostname).Set(milliseconds(a.Inference))
}

func observe(o prometheus.Observer, d time.Duration, id string) {
	if with, ok := o.(prometheus.ExemplarObserver); ok && id != "" {
		with.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"request_id": id})
		return
	}
	o.Observe(d.Seconds())
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Batch counts a batch that starts.
func (s *Set) Batch(m Model, mode string, size int) {
	if s != nil {
		s.batchSizes.WithLabelValues(m.Name, m.Version, mode).Observe(float64(size))
	}
}

// Depth sets how many requests wait.
func (s *Set) Depth(m Model, mode string, waiting int) {
	if s != nil {
		s.depth.WithLabelValues(m.Name, m.Version, mode).Set(float64(waiting))
	}
}

// Workers sets how many workers a model has.
func (s *Set) Workers(m Model, n int) {
	if s != nil {
		s.workers.WithLabelValues(m.Name, m.Version).Set(float64(n))
	}
}

// Loaded tells that a model has been loaded, how long that took, and what it takes.
func (s *Set) Loaded(m Model, took time.Duration, memory int64, workers int) {
	if s == nil {
		return
	}
	for i := range workers {
		s.loadTime.WithLabelValues("W-"+strconv.Itoa(firstWorker+i)+"-"+m.Name+"_"+m.Version, "Host", s.hostname).Set(milliseconds(took))
	}
	s.memory.WithLabelValues(m.Name, m.Version).Set(float64(memory))
}

// firstWorker is the number of a model's first worker: TorchServe counts from here.
const firstWorker = 9000

// Forget takes the series of a version away that are no totals.
func (s *Set) Forget(m Model, workers int) {
	if s == nil {
		return
	}
	labels := prometheus.Labels{labelModel: m.Name, labelVersion: m.Version}
	for _, v := range []*prometheus.HistogramVec{s.requestSeconds, s.prepareSeconds, s.queueSeconds, s.runSeconds, s.batchSizes} {
		v.DeletePartialMatch(labels)
	}
	for _, v := range []*prometheus.GaugeVec{s.depth, s.workers, s.memory} {
		v.DeletePartialMatch(labels)
	}
	s.failures.DeletePartialMatch(labels)
	for i := range workers {
		s.loadTime.DeletePartialMatch(prometheus.Labels{"WorkerName": "W-" + strconv.Itoa(firstWorker+i) + "-" + m.Name + "_" + m.Version})
	}
}
