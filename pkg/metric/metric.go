// Package metric counts what a server does. A [Set] holds the instruments on a registry of the server's own: TorchServe's,
// under TorchServe's names and labels, so that dashboards go on working, and beside them tsgo's, whose names begin with
// "tsgo_", as histograms in seconds. There are none for GPUs: networks run on the CPU.
//
// A nil *Set and a nil *[Model] count nothing, so that nobody has to ask whether there is something to count on.
package metric

import (
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tsgo/tsgo/pkg/model"
)

// Options say what the instruments tell of the server itself.
type Options struct {
	Hostname string // the host's label; empty: the system's name for it
	Version  string // of tsgo, for tsgo_build_info; empty: "unknown"
	Disk     string // a path on the file system to watch; empty: "/"
	NoSystem bool   // leave out the host's load
}

// Set is the instruments of one server. It is safe for concurrent use.
type Set struct {
	registry *prometheus.Registry
	hostname string
	statuses [3]prometheus.Counter // 2XX, 4XX, and 5XX with all others
	torch    torchServe
	own      own

	mu     sync.Mutex // guards what follows
	models map[model.Ref]*series
	names  map[string]int // how many models have a name
}

// series is what a version's instruments have in common when it is served twice: once going, once coming.
type series struct {
	users int
	state func() State // the newest one's; nil until it is told
}

// New returns a set whose counters stand at zero.
func New(opts Options) *Set {
	if opts.Hostname == "" {
		opts.Hostname, _ = os.Hostname() // without a name the label is empty
	}
	if opts.Version == "" {
		opts.Version = "unknown"
	}
	if opts.Disk == "" {
		opts.Disk = "/"
	}
	s := &Set{
		registry: prometheus.NewRegistry(),
		hostname: opts.Hostname,
		torch:    newTorchServe(),
		own:      newOwn(),
		models:   map[model.Ref]*series{},
		names:    map[string]int{},
	}
	for i, name := range []string{"Requests2XX", "Requests4XX", "Requests5XX"} {
		vector := torchCounter(name, "Count", hostLabels()...)
		s.statuses[i] = vector.WithLabelValues(hostLevel, s.hostname)
		s.registry.MustRegister(vector)
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tsgo_build_info", Help: "The program's version.",
	}, []string{"version"})
	build.WithLabelValues(opts.Version).Set(1)
	if !opts.NoSystem {
		s.registry.MustRegister(newSystem(opts.Hostname, opts.Disk))
	}
	s.registry.MustRegister(build, newStates(s),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.registry.MustRegister(s.torch.collectors()...)
	s.registry.MustRegister(s.own.collectors()...)
	return s
}

// Gatherer returns what the metrics page is made of. A part of the system that cannot be read is missing there, and no
// error. A nil set has an empty one.
func (s *Set) Gatherer() prometheus.Gatherer {
	if s == nil {
		return prometheus.NewRegistry()
	}
	return s.registry
}

// Status counts an HTTP answer, as TorchServe does: by hundreds, and everything that is neither 2XX nor 4XX as 5XX.
func (s *Set) Status(code int) {
	if s == nil {
		return
	}
	switch code / 100 {
	case 2:
		s.statuses[0].Inc()
	case 4:
		s.statuses[1].Inc()
	default:
		s.statuses[2].Inc()
	}
}
