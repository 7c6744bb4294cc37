package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
)

// version is one version of a model, served: a queue for each mode over one runner, so that a batch never mixes them.
type version struct {
	ref       model.Ref
	url       string
	runner    Runner
	settings  model.Settings // as they are used
	atStartup bool
	started   time.Time
	metrics   *metric.Set
	queues    [2]*batch.Batcher // by mode

	mu       sync.Mutex // guards what follows
	min, max int        // as they were asked for
	has      int
	mostEver int
}

// newVersion makes the queues of a runner. Explanations go one by one, on a worker of their own.
func newVersion(runner Runner, url string, settings model.Settings, metrics *metric.Set) *version {
	v := &version{ref: runner.Ref(), url: url, runner: runner, settings: settings, started: time.Now(), metrics: metrics}
	v.queues[model.ModePredict] = batch.New(runner.Run, batch.Options{
		Size: settings.BatchSize, Delay: settings.MaxBatchDelay, Timeout: settings.ResponseTimeout, Queue: settings.QueueSize,
		Workers: -1, Observe: v.observer(model.ModePredict),
	})
	v.queues[model.ModeExplain] = batch.New(runner.Run, batch.Options{
		Timeout: settings.ResponseTimeout, Queue: settings.QueueSize, Workers: -1, Observe: v.observer(model.ModeExplain),
	})
	return v
}

func (v *version) observer(mode model.Mode) func(batch.Batch) {
	return func(b batch.Batch) {
		v.metrics.Batch(v.label(), mode.String(), b.Size)
		v.metrics.Depth(v.label(), mode.String(), v.queue(mode).Stats().Waiting)
	}
}

func (v *version) queue(mode model.Mode) *batch.Batcher { return v.queues[mode] }

func (v *version) label() metric.Model { return metric.Model{Name: v.ref.Name, Version: v.ref.Version} }

// workers returns how many workers there are, and how many there are to be at least.
func (v *version) workers() (has, least int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.has, v.min
}

// most returns how many workers there ever were.
func (v *version) most() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mostEver
}

// scale sets how many workers there are: least of them, or as many as there are where those are at most most. It returns
// how many.
func (v *version) scale(least, most int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.min, v.max = least, most
	v.has = min(max(v.has, least), most)
	v.mostEver = max(v.mostEver, v.has)
	v.queues[model.ModePredict].Resize(v.has)
	v.queues[model.ModeExplain].Resize(min(v.has, 1))
	v.metrics.Workers(v.label(), v.has)
	return v.has
}

// close lets the requests that have a place end, until ctx does, and gives the model back.
func (v *version) close(ctx context.Context) error {
	var group sync.WaitGroup
	var failed [2]error
	for i, q := range v.queues {
		group.Go(func() { failed[i] = q.Close(ctx) })
	}
	group.Wait()
	if err := errors.Join(append(failed[:], v.runner.Close())...); err != nil {
		return fmt.Errorf("close model %s: %w", v.ref, err)
	}
	return nil
}

// status returns what is known of the version.
func (v *version) status(def bool) model.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	predictions, explanations := v.queues[model.ModePredict].Stats(), v.queues[model.ModeExplain].Stats()
	s := model.Status{
		Ref: v.ref, Default: def, URL: v.url, MinWorkers: v.min, MaxWorkers: v.max, BatchSize: v.settings.BatchSize,
		MaxBatchDelay: v.settings.MaxBatchDelay, ResponseTimeout: v.settings.ResponseTimeout, StartupTimeout: v.settings.StartupTimeout,
		AtStartup: v.atStartup, QueueRemaining: max(0, predictions.Remaining), QueuePending: predictions.Waiting + explanations.Waiting,
		Memory: v.runner.About().Memory,
	}
	for i := range v.has {
		s.Workers = append(s.Workers, model.Worker{
			ID: strconv.Itoa(firstWorker + i), Started: v.started, Ready: true, Memory: v.runner.About().Memory / int64(v.has), PID: os.Getpid(),
		})
	}
	return s
}

// firstWorker is the number of a version's first worker: TorchServe counts from here.
const firstWorker = 9000

// The settings where nothing says more: TorchServe's.
const (
	defaultBatchDelay = 100 * time.Millisecond
	most              = 1 << 20 // of what a number may be: beyond it, it is a mistake
)

// effective returns the settings of a registration: what it says itself, else the model's manifest, else the defaults.
func (m *Models) effective(r model.Registration, manifest model.Settings) (model.Settings, error) {
	s := model.Settings{
		BatchSize:       first(r.BatchSize, manifest.BatchSize, 1),
		MaxBatchDelay:   first(r.MaxBatchDelay, manifest.MaxBatchDelay, defaultBatchDelay),
		ResponseTimeout: first(r.ResponseTimeout, manifest.ResponseTimeout, m.opts.Response),
		StartupTimeout:  first(r.StartupTimeout, manifest.StartupTimeout, m.opts.Startup),
		QueueSize:       first(manifest.QueueSize, m.opts.Queue),
	}
	workers := m.opts.Workers
	if r.AtStartup {
		workers = m.opts.StartupWorkers
	}
	s.MinWorkers, s.MaxWorkers = workers, workers
	if manifest.MinWorkers > 0 && manifest.MaxWorkers >= manifest.MinWorkers {
		s.MinWorkers, s.MaxWorkers = manifest.MinWorkers, manifest.MaxWorkers
	} else if manifest.MinWorkers > 0 {
		s.MinWorkers, s.MaxWorkers = manifest.MinWorkers, manifest.MinWorkers
	}
	if r.Workers != nil {
		s.MinWorkers, s.MaxWorkers = *r.Workers, *r.Workers
	}
	for name, n := range map[string]int{"batch size": s.BatchSize, "workers": s.MaxWorkers} {
		if n < 0 || n > most {
			return s, fmt.Errorf("%w: %s %d: want at most %d, and not less than 0", fault.Invalid, name, n, most)
		}
	}
	for name, d := range map[string]time.Duration{"batch delay": s.MaxBatchDelay, "response timeout": s.ResponseTimeout, "startup timeout": s.StartupTimeout} {
		if d < 0 {
			return s, fmt.Errorf("%w: %s %v: want not less than 0", fault.Invalid, name, d)
		}
	}
	return s, nil
}

// first returns the first value that is not zero.
func first[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
