package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
)

// served is one version that is served.
type served struct {
	ref      model.Ref
	asked    model.Registration
	settings model.Settings // as they are in force; the workers are below
	runner   Runner
	about    model.About
	inputs   []string // the names of the network's
	load     time.Duration
	metrics  *metric.Model

	lanes atomic.Pointer[lanes] // nil while there is no worker; changed under mu
	users sync.WaitGroup        // who keeps the runner open besides the lanes; added to under mu

	mu       sync.Mutex // guards what follows; never held while waiting
	gone     bool
	min, max int // workers, as asked for
	workers  []model.Worker
}

// lanes are the queues of a version that has workers. An explanation has a lane of its own, with one worker, so that
// neither waits behind the other.
type lanes struct{ predict, explain *batch.Batcher }

func (l *lanes) of(mode model.Mode) *batch.Batcher {
	if mode == model.ModeExplain {
		return l.explain
	}
	return l.predict
}

// close lets nobody in any more and returns when all are answered, or ctx has ended and they are given up.
func (l *lanes) close(ctx context.Context) error {
	var explain error
	var group sync.WaitGroup
	group.Go(func() { explain = l.explain.Close(ctx) })
	predict := l.predict.Close(ctx)
	group.Wait()
	return errors.Join(predict, explain)
}

// open makes lanes with so many workers for predictions.
func (v *served) open(workers int) *lanes {
	observe := func(mode model.Mode) func(batch.Batch) {
		return func(b batch.Batch) { v.metrics.Batch(mode, b.Size) }
	}
	s := v.settings
	return &lanes{
		predict: batch.New(v.runner.Run, batch.Options{
			Size: s.BatchSize, Delay: s.MaxBatchDelay, Timeout: s.ResponseTimeout, Queue: s.QueueSize, Workers: workers,
			Wait: s.MaxQueueDelay, Observe: observe(model.ModePredict),
		}),
		explain: batch.New(v.runner.Run, batch.Options{
			Size: 1, Timeout: s.ResponseTimeout, Queue: s.QueueSize, Workers: 1,
			Wait: s.MaxQueueDelay, Observe: observe(model.ModeExplain),
		}),
	}
}

// enter takes a place in the queue of a mode. It returns [model.ErrClosed] when the version is not served any more, or
// its lanes were just replaced.
func (v *served) enter(mode model.Mode) (batch.Place, error) {
	switch l := v.lanes.Load(); {
	case l == nil:
		return batch.Place{}, model.ErrNoWorker
	case l.of(mode) == nil:
		return batch.Place{}, model.ErrClosed
	default:
		return l.of(mode).Enter()
	}
}

// scale gives the version at least lo and at most hi workers, and keeps as many as it has where that is in between. Where
// none is left, it returns the lanes, which nobody can enter any more: they are to be closed, and then done with.
func (v *served) scale(lo, hi int, hire func() model.Worker) (workers int, left *lanes, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return 0, nil, noVersion(v.ref)
	}
	workers = max(lo, min(len(v.workers), hi))
	v.min, v.max = lo, hi
	v.workers = v.workers[:min(len(v.workers), workers)]
	for len(v.workers) < workers {
		v.workers = append(v.workers, hire())
	}
	switch now := v.lanes.Load(); {
	case workers == 0 && now != nil:
		v.lanes.Store(nil)
		v.users.Add(1)
		return 0, now, nil
	case workers == 0:
	case now == nil:
		v.lanes.Store(v.open(workers))
	default:
		now.predict.Resize(workers)
	}
	return workers, nil, nil
}

// leave ends the version: it cannot be entered or used any more. It returns the lanes that are to be closed; nil: none.
func (v *served) leave() *lanes {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = true
	v.workers = nil
	return v.lanes.Swap(&lanes{})
}

// describe asks the model what it tells of itself.
func (v *served) describe(ctx context.Context) (map[string]any, error) {
	v.mu.Lock()
	switch {
	case v.gone:
		v.mu.Unlock()
		return nil, noVersion(v.ref)
	case len(v.workers) == 0:
		v.mu.Unlock()
		return nil, fmt.Errorf("describe model %s: %w", v.ref, model.ErrNoWorker)
	}
	v.users.Add(1)
	v.mu.Unlock()
	defer v.users.Done()
	about, err := v.runner.Describe(ctx)
	if err != nil {
		return nil, fmt.Errorf("describe model %s: %w", v.ref, err)
	}
	if about == nil {
		about = map[string]any{}
	}
	return about, nil
}

// unlimited is what is told of the places left in a queue without a limit: what TorchServe tells.
const unlimited = math.MaxInt32

// status tells of the version. The remaining places are those for predictions.
func (v *served) status() model.Status {
	predict, explain := v.stats()
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.settings
	status := model.Status{
		Ref: v.ref, URL: v.asked.URL, Runtime: s.Runtime, Handler: s.Handler,
		MinWorkers: v.min, MaxWorkers: v.max, BatchSize: s.BatchSize,
		MaxBatchDelay: s.MaxBatchDelay, ResponseTimeout: s.ResponseTimeout, StartupTimeout: s.StartupTimeout,
		MaxQueueDelay: s.MaxQueueDelay, AtStartup: v.asked.AtStartup, Workers: slices.Clone(v.workers),
		QueueRemaining: predict.Remaining, QueuePending: predict.Waiting + explain.Waiting,
		Memory: v.about.Memory,
	}
	if s.QueueSize == 0 {
		status.QueueRemaining = unlimited
	}
	for i := range status.Workers { // they share the network
		status.Workers[i].Memory = v.about.Memory / int64(len(status.Workers))
	}
	return status
}

// stats tells what the lanes hold.
func (v *served) stats() (predict, explain batch.Stats) {
	l := v.lanes.Load()
	if l == nil || l.predict == nil {
		return batch.Stats{Remaining: v.settings.QueueSize}, batch.Stats{}
	}
	return l.predict.Stats(), l.explain.Stats()
}

// state is what the metrics page tells of the version.
func (v *served) state() metric.State {
	predict, explain := v.stats()
	state := metric.State{
		Memory: v.about.Memory,
		Queued: [2]int{model.ModePredict: predict.Waiting, model.ModeExplain: explain.Waiting},
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range v.workers {
		state.Workers = append(state.Workers, metric.Worker{ID: w.ID, Load: v.load})
	}
	return state
}
