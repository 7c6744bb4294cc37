// Package batch runs requests that arrive close together as one. A [Batcher] serves one model version in one mode: a batch
// that mixes questions cannot be written down. The package knows neither models nor HTTP; what runs a batch is handed to it.
//
// Batching adapts to the load. A free worker takes what is queued, up to the batch's size, at once. Only when the batch
// before held several, and the last of them was answered no longer ago than the delay, does it wait for more, at most the
// delay since the oldest request came. A lone request never waits for nothing, and neither do a few callers that ask again
// and again: where a wait ran out, the next one ends as soon as as many are there as had come then.
package batch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/model"
)

// RunFunc answers jobs: each once, by its index, from any goroutine, before RunFunc returns. A response is the batcher's
// once handed over. A second answer to a job is dropped; a job without one gets [fault.Internal], and so do those that a
// panic left unanswered. The slice of jobs is the batcher's again when RunFunc returns.
//
// The context is the batch's own. It ends when the batch has run for longer than Options.Timeout, when all callers that
// still wanted an answer have gone, so that a batch of one ends with its caller, or when Close runs out of patience.
type RunFunc func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result))

// Options say how requests are batched. The zero value runs them one by one, on one worker, without limits.
type Options struct {
	Size    int           // the most requests in a batch; 0: 1
	Delay   time.Duration // the longest a request waits for company; 0: it does not
	Timeout time.Duration // the longest a batch may run before its callers get fault.Timeout; 0: no limit
	Queue   int           // the most requests that wait, those being prepared included; 0: no limit
	Wait    time.Duration // the longest a request may wait: who is expected to wait for longer is refused, and who does gets fault.Timeout; 0: no limit
	Workers int           // how many batches run at once; 0: 1; negative: none until Resize

	Observe func(Batch) // told of every batch before it runs, by its worker; nil: nobody looks
}

// Batch is what is known of a batch when it starts.
type Batch struct {
	Size int           // requests in it
	Wait time.Duration // how long the oldest of them was queued
}

// Batcher queues jobs and runs them in batches, first come, first served. It is safe for concurrent use.
type Batcher struct {
	run  RunFunc
	opts Options
	done sync.WaitGroup // the workers
	free *sync.Pool     // of *entry; apart, as Go knows a pool, and all around it, for two collections more
	over chan struct{}  // closed when Close has nothing left to wait for but the workers' end

	mu       sync.Mutex // guards what follows, entries and batches included; never held while waiting
	queue    queue
	admitted int // requests that have a place: the queued ones, and those being prepared
	running  int // batches
	workers  map[*worker]struct{}
	idle     []*worker
	wanted   int  // how many workers there should be
	pace     pace // how fast requests are answered
	closed   bool // nobody enters any more
	stopped  bool // nothing more is queued either
	ended    bool // over is closed

	company time.Time   // when one of the batch before was last answered, or it started; zero when it held only one
	expect  int         // how many a wait for company is for, at most
	held    bool        // the queue waits for company: timer runs
	timer   *time.Timer // ends a wait for company

	watched bool        // somebody waits: late runs
	late    *time.Timer // tells who has waited for too long
}

// New returns a batcher that runs batches with run. Close ends it.
func New(run RunFunc, opts Options) *Batcher {
	opts.Size = max(1, opts.Size)
	if opts.Workers == 0 {
		opts.Workers = 1
	}
	b := &Batcher{run: run, opts: opts, over: make(chan struct{}), workers: map[*worker]struct{}{}, expect: opts.Size}
	b.free = &sync.Pool{New: func() any { return &entry{result: make(chan model.Result, 1)} }}
	if opts.Wait > 0 { // a wait for company leaves as much time to wait for a worker
		b.opts.Delay = min(opts.Delay, opts.Wait/2)
	}
	b.timer, b.late = newTimer(b.tick), newTimer(b.overdue)
	b.Resize(opts.Workers)
	return b
}

// newTimer returns a timer that calls f when it is reset and has run out.
func newTimer(f func()) *time.Timer {
	timer := time.AfterFunc(time.Hour, f)
	timer.Stop()
	return timer
}

// Resize sets how many batches may run at once. A worker that is one too many ends after its batch: no request is lost.
// Where none is left, Enter refuses, and what has a place already waits for the next Resize or for Close. Resize does
// nothing once Close was called.
func (b *Batcher) Resize(workers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.wanted = max(0, workers)
	b.staff()
	b.dispatch()
}

// Close lets nobody in any more, answers all who have a place, those who still prepare included, and ends the workers.
// Where there is no worker, it starts one for that. When ctx ends first, what is queued or queued later gets
// [fault.Unavailable], the batches under way are cancelled and their callers told the same, and Close returns the context's
// error once they are over. It may be called several times.
func (b *Batcher) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		if b.admitted > 0 {
			b.wanted = max(1, b.wanted)
		}
		b.staff()
		b.dispatch()
		b.settle()
	}
	b.mu.Unlock()
	var err error
	select {
	case <-b.over:
	case <-ctx.Done():
		err = b.stop(ctx.Err())
	}
	b.done.Wait()
	return err
}

// stop answers what nobody has time for any more. It returns nil when there is nothing of that kind.
func (b *Batcher) stop(reason error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil
	}
	left := b.admitted
	refusal := model.ErrClosed
	b.stopped = true
	for b.queue.len > 0 {
		b.admitted--
		b.queue.pop().tell(model.Result{Err: refusal})
	}
	for w := range b.workers {
		if w.batch != nil {
			left += w.batch.waiting
			w.batch.end(refusal)
		}
	}
	b.settle()
	return fmt.Errorf("close a queue with %d requests unanswered: %w", left, reason)
}

// settle tells Close when nothing is left, and lets the workers go. The caller holds the lock.
func (b *Batcher) settle() {
	if !b.closed || b.ended || b.running > 0 || b.admitted > 0 && !b.stopped {
		return
	}
	b.ended = true
	b.wanted = 0
	b.staff()
	b.timer.Stop()
	b.late.Stop()
	close(b.over)
}

// Stats are what a batcher holds at one moment.
type Stats struct {
	Waiting   int // requests that have a place and are in no batch yet, those being prepared included
	Remaining int // places left; negative where there is no limit
	Running   int // batches
	Workers   int // those that are one too many and still run a batch included
	Wanted    int // workers as Resize set them
}

// Stats tells what the batcher holds.
func (b *Batcher) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	remaining := -1
	if b.opts.Queue > 0 {
		remaining = max(0, b.opts.Queue-b.admitted)
	}
	return Stats{Waiting: b.admitted, Remaining: remaining, Running: b.running, Workers: len(b.workers), Wanted: b.wanted}
}
