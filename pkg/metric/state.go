package metric

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tsgo/tsgo/pkg/model"
)

// states asks the models what they hold when the page is made.
type states struct {
	set                            *Set
	queue, workers, memory, loaded *prometheus.Desc
}

func newStates(s *Set) *states {
	return &states{
		set:     s,
		queue:   prometheus.NewDesc("tsgo_queue_depth", "Requests that wait, those being preprocessed included.", modeLabels(), nil),
		workers: prometheus.NewDesc("tsgo_workers", "Workers of a model.", versionLabels(), nil),
		memory:  prometheus.NewDesc("tsgo_model_memory_bytes", "What a model's network takes at least.", versionLabels(), nil),
		loaded:  torchDesc("WorkerLoadTime", "Milliseconds", "WorkerName", "Level", "Hostname"),
	}
}

// Describe implements prometheus.Collector.
func (c *states) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.queue, c.workers, c.memory, c.loaded} {
		out <- desc
	}
}

// Collect implements prometheus.Collector. The models are asked without the set's lock.
func (c *states) Collect(out chan<- prometheus.Metric) {
	all := map[model.Ref]func() State{}
	c.set.mu.Lock()
	for ref, shared := range c.set.models {
		if shared.state != nil {
			all[ref] = shared.state
		}
	}
	c.set.mu.Unlock()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for ref, state := range all {
		now := state()
		for _, mode := range []model.Mode{model.ModePredict, model.ModeExplain} {
			gauge(c.queue, float64(now.Queued[mode]), ref.Name, ref.Version, mode.String())
		}
		gauge(c.workers, float64(len(now.Workers)), ref.Name, ref.Version)
		gauge(c.memory, float64(now.Memory), ref.Name, ref.Version)
		for _, w := range now.Workers {
			name := "W-" + w.ID + "-" + ref.Name + "_" + ref.Version
			gauge(c.loaded, milli(w.Load), name, hostLevel, c.set.hostname)
		}
	}
}
