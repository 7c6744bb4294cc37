package registry

import (
	"cmp"
	"fmt"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// What no model may have more of. It is far above what helps, and keeps a slip of the hand from taking all memory.
const (
	maxWorkers = 1024
	maxBatch   = 1 << 16
	maxQueue   = 1 << 20
)

// defaultDelay is how long a request waits for company where nothing says it: TorchServe's value.
const defaultDelay = 100 * time.Millisecond

// settle returns what is in force for a model: what the registration says, or else the manifest, or else the options.
func (o Options) settle(r model.Registration, s model.Settings) (model.Settings, error) {
	o.settleWorkers(r, &s)
	s.BatchSize = cmp.Or(r.BatchSize, s.BatchSize, 1)
	s.MaxBatchDelay = cmp.Or(r.MaxBatchDelay, s.MaxBatchDelay, defaultDelay)
	s.ResponseTimeout = cmp.Or(r.ResponseTimeout, s.ResponseTimeout, o.Response)
	s.StartupTimeout = cmp.Or(r.StartupTimeout, s.StartupTimeout, o.Startup)
	s.QueueSize = cmp.Or(s.QueueSize, o.Queue)
	s.MaxQueueDelay = cmp.Or(s.MaxQueueDelay, o.QueueDelay, s.ResponseTimeout)
	s.Runtime = cmp.Or(r.Runtime, s.Runtime)
	s.Handler = cmp.Or(r.Handler, s.Handler)
	return s, checkSettings(s)
}

// settleWorkers sets how many workers there are to be. A manifest whose most is less than its least is taken at its least.
func (o Options) settleWorkers(r model.Registration, s *model.Settings) {
	workers := o.Workers
	if r.AtStartup {
		workers = o.StartupWorkers
	}
	switch {
	case r.Workers != nil:
		s.MinWorkers, s.MaxWorkers = *r.Workers, *r.Workers
	case s.MinWorkers != 0:
		s.MaxWorkers = max(s.MinWorkers, s.MaxWorkers)
	case s.MaxWorkers > 0:
		s.MinWorkers = min(workers, s.MaxWorkers)
	default:
		s.MinWorkers, s.MaxWorkers = workers, workers
	}
}

func checkSettings(s model.Settings) error {
	if s.BatchSize < 1 || s.BatchSize > maxBatch {
		return fmt.Errorf("%w: batch size %d: want 1 to %d", fault.Invalid, s.BatchSize, maxBatch)
	}
	if s.QueueSize < 0 || s.QueueSize > maxQueue {
		return fmt.Errorf("%w: queue size %d: want 0 to %d", fault.Invalid, s.QueueSize, maxQueue)
	}
	switch {
	case s.MaxBatchDelay < 0:
		return fmt.Errorf("%w: batch delay %v: want 0 or more", fault.Invalid, s.MaxBatchDelay)
	case s.MaxQueueDelay < 0:
		return fmt.Errorf("%w: queue delay %v: want 0 or more", fault.Invalid, s.MaxQueueDelay)
	case s.ResponseTimeout < 0:
		return fmt.Errorf("%w: response timeout %v: want 0 or more", fault.Invalid, s.ResponseTimeout)
	case s.StartupTimeout < 0:
		return fmt.Errorf("%w: startup timeout %v: want 0 or more", fault.Invalid, s.StartupTimeout)
	}
	return checkWorkers(s.MinWorkers, s.MaxWorkers)
}

// checkWorkers returns [fault.Invalid] for numbers of workers that make no sense.
func checkWorkers(lo, hi int) error {
	switch {
	case lo < 0:
		return fmt.Errorf("%w: at least %d workers: want 0 or more", fault.Invalid, lo)
	case hi < lo:
		return fmt.Errorf("%w: at least %d workers and at most %d: want at most as many or more", fault.Invalid, lo, hi)
	case hi > maxWorkers:
		return fmt.Errorf("%w: %d workers: want at most %d", fault.Invalid, hi, maxWorkers)
	}
	return nil
}
