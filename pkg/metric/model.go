package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Model is the instruments of one version. What is counted on them after Forget is seen by nobody. It is safe for
// concurrent use.
type Model struct {
	set   *Set
	ref   model.Ref
	modes [2]modeSeries // by model.Mode

	asked                       [2]asked // for the default version, and for this one
	queueTime, threadTime       prometheus.Gauge
	handlerTime, predictionTime prometheus.Gauge
}

// asked is what TorchServe counts by the version that a request names.
type asked struct{ requests, latency, queueLatency prometheus.Counter }

// modeSeries is what is counted for predictions and explanations apart.
type modeSeries struct {
	request                                                   *exemplars
	queue, preprocess, stack, inference, postprocess, written prometheus.Observer
	batch                                                     prometheus.Observer
}

// Model makes the series of a version, which has a name and a version. They are there until Forget is called as often
// as Model was.
func (s *Set) Model(ref model.Ref) *Model {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.models[ref] == nil {
		s.models[ref] = &series{}
		s.names[ref.Name]++
	}
	s.models[ref].users++
	t, o := s.torch, s.own
	m := &Model{
		set: s, ref: ref,
		queueTime:      t.queueTime.WithLabelValues(hostLevel, s.hostname),
		threadTime:     t.threadTime.WithLabelValues(hostLevel, s.hostname),
		handlerTime:    t.handlerTime.WithLabelValues(ref.Name, modelLevel, s.hostname),
		predictionTime: t.predictionTime.WithLabelValues(ref.Name, modelLevel, s.hostname),
	}
	for i, version := range []string{unversioned, ref.Version} {
		labels := []string{ref.Name, version, s.hostname}
		m.asked[i] = asked{
			requests:     t.requests.WithLabelValues(labels...),
			latency:      t.latency.WithLabelValues(labels...),
			queueLatency: t.queueLatency.WithLabelValues(labels...),
		}
	}
	for _, mode := range []model.Mode{model.ModePredict, model.ModeExplain} {
		labels := []string{ref.Name, ref.Version, mode.String()}
		m.modes[mode] = modeSeries{
			request:     newExemplars(o.request.WithLabelValues(labels...), seconds()),
			preprocess:  o.preprocess.WithLabelValues(labels...),
			queue:       o.queue.WithLabelValues(labels...),
			stack:       o.stack.WithLabelValues(labels...),
			inference:   o.inference.WithLabelValues(labels...),
			postprocess: o.postprocess.WithLabelValues(labels...),
			written:     o.write.WithLabelValues(labels...),
			batch:       o.batch.WithLabelValues(labels...),
		}
	}
	return m
}

// Forget takes the series of the version off the page, and those of its name with the name's last version.
func (m *Model) Forget() {
	if m == nil {
		return
	}
	s := m.set
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.models[m.ref]
	if shared == nil {
		return
	}
	if shared.users--; shared.users > 0 {
		return
	}
	delete(s.models, m.ref)
	version := prometheus.Labels{"model_name": m.ref.Name, "model_version": m.ref.Version}
	forget(s.own.collectors(), version)
	if m.ref.Version != unversioned { // those of a version that is called so are also those of requests that name none
		forget(s.torch.collectors(), version)
	}
	if s.names[m.ref.Name]--; s.names[m.ref.Name] == 0 {
		delete(s.names, m.ref.Name)
		forget(s.own.collectors(), prometheus.Labels{"model_name": m.ref.Name})
		forget(s.torch.collectors(), prometheus.Labels{"model_name": m.ref.Name})
		forget(s.torch.collectors(), prometheus.Labels{"ModelName": m.ref.Name})
	}
}

// forget deletes the series that have these labels.
func forget(all []prometheus.Collector, labels prometheus.Labels) {
	for _, c := range all {
		if vector, ok := c.(interface {
			DeletePartialMatch(labels prometheus.Labels) int
		}); ok {
			vector.DeletePartialMatch(labels)
		}
	}
}

// Asked counts a request to the version, before anything is done for it. Where its caller did not name the version, it
// counts for the version "default", as in TorchServe, also where there is a version that is really called so.
func (m *Model) Asked(versioned bool) {
	if m != nil {
		m.by(versioned).requests.Inc()
	}
}

func (m *Model) by(versioned bool) asked {
	if versioned {
		return m.asked[1]
	}
	return m.asked[0]
}

// Answer is how a request ended.
type Answer struct {
	ID        string // the request's: the exemplar of its time
	Mode      model.Mode
	Versioned bool          // as Asked was told
	Total     time.Duration // since Asked
	Timing    model.Timing  // where it was answered
	Err       error         // why it was not
}

// Answered counts a request that Asked counted. One that failed is a failure of its kind, and has no times.
func (m *Model) Answered(a Answer) {
	if m == nil {
		return
	}
	if a.Err != nil {
		m.set.fail(m.ref, a.Mode, fault.Of(a.Err).Error())
		return
	}
	t := a.Timing
	handling := t.Preprocess + t.Stack + t.Run + t.Postprocess
	counters := m.by(a.Versioned)
	counters.latency.Add(micro(a.Total))
	counters.queueLatency.Add(micro(t.Queue))
	m.queueTime.Set(float64(t.Queue.Milliseconds())) // whole ones, as TorchServe has them
	m.threadTime.Set(milli(max(0, a.Total-t.Queue-handling)))
	m.handlerTime.Set(milli(handling))
	m.predictionTime.Set(milli(max(0, a.Total-t.Queue)))

	series := &m.modes[a.Mode]
	series.request.observe(a.Total, a.ID)
	series.preprocess.Observe(t.Preprocess.Seconds())
	series.queue.Observe(t.Queue.Seconds())
	series.stack.Observe(t.Stack.Seconds())
	series.inference.Observe(t.Run.Seconds())
	series.postprocess.Observe(t.Postprocess.Seconds())
}

// Wrote counts the time that it took to write an answer to its caller.
func (m *Model) Wrote(mode model.Mode, took time.Duration) {
	if m != nil {
		m.modes[mode].written.Observe(took.Seconds())
	}
}

// fail counts a failure, unless the version is forgotten: its series may not come back.
func (s *Set) fail(ref model.Ref, mode model.Mode, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.models[ref] != nil {
		s.own.failures.WithLabelValues(ref.Name, ref.Version, mode.String(), kind).Inc()
	}
}

func micro(d time.Duration) float64 { return float64(max(0, d)) / float64(time.Microsecond) }
func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Batch counts a batch of so many requests.
func (m *Model) Batch(mode model.Mode, size int) {
	if m != nil {
		m.modes[mode].batch.Observe(float64(size))
	}
}

// State is what a version holds at one moment.
type State struct {
	Workers []Worker
	Memory  int64  // bytes
	Queued  [2]int // requests that wait, by model.Mode
}

// Worker is one of a version's workers.
type Worker struct {
	ID   string
	Load time.Duration // how long it took to become ready
}

// Watch has state asked whenever the page is made, until Forget. It is called from any goroutine and must not wait long.
func (m *Model) Watch(state func() State) {
	if m == nil {
		return
	}
	m.set.mu.Lock()
	defer m.set.mu.Unlock()
	if shared := m.set.models[m.ref]; shared != nil {
		shared.state = state
	}
}
