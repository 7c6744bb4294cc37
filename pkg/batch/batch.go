// Package batch runs requests that arrive close together as one. A [Batcher] serves one version of a model in one mode, so
// a batch that mixes questions cannot be written down.
//
// Batching adapts to the load. A free worker takes what is queued, up to the batch size, at once. Only when the batch
// before held several requests does it wait for more, and then at most the delay since the oldest one came: a lone request
// never waits for nothing.
package batch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// RunFunc answers jobs, each once, by calls of answer that do not overlap. It runs under the batch's context, not under
// that of a caller.
type RunFunc func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result))

// Options say how requests are batched. The zero value runs them one by one, on one worker, without a limit to the queue.
type Options struct {
	Size    int           // the most requests in a batch; 0: 1
	Delay   time.Duration // the longest a request waits for company; 0: it does not
	Timeout time.Duration // the longest a batch may run; 0: no limit
	Queue   int           // the most requests that wait, those being prepared included; 0: no limit
	Workers int           // how many batches run at once; 0: 1; negative: none until Resize

	Observe func(Batch) // told of every batch before it runs, from any goroutine; nil: nobody looks
}

// Batch is what is known of a batch when it starts.
type Batch struct {
	Size int           // requests in it
	Wait time.Duration // how long the oldest of them waited
}

// Stats are what a batcher holds at one moment.
type Stats struct {
	Waiting   int // requests that have a place and are in no batch yet
	Running   int // batches under way
	Workers   int
	Remaining int // places left; negative where there is no limit
}

// Batcher queues jobs and runs them in batches. It is safe for concurrent use.
type Batcher struct {
	run    RunFunc
	opts   Options
	base   context.Context //nolint:containedctx // what every batch runs under; it ends when Close loses patience
	cancel context.CancelFunc
	done   sync.WaitGroup // the workers

	mu        sync.Mutex // guards what follows
	queue     []*entry   // the oldest first
	admitted  int        // places taken: the queue's, and those of callers who still prepare
	idle      []*worker  // waiting for a job; the last one is woken first
	collector *worker    // waiting for company; nil for none
	several   bool       // the batch before held more than one
	workers   int        // how many there are
	wanted    int        // how many there should be
	running   int        // batches under way
	closed    bool       // no one gets a place any more
	drained   chan struct{}
}

// forever is the timeout of a batch that has none.
const forever = 100 * 365 * 24 * time.Hour

// worker runs one batch at a time.
type worker struct{ wake chan struct{} } // of capacity 1

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// entry is a job in the queue or in a batch.
type entry struct {
	job    model.Job
	came   time.Time
	result chan model.Result // of capacity 1: an answer never waits for its caller
	batch  *running          // nil while it is queued
}

// running is a batch under way. Its callers are counted under the batcher's lock.
type running struct {
	callers int
	cancel  context.CancelFunc
}

// New returns a batcher that runs batches with run. Close ends it.
func New(run RunFunc, opts Options) *Batcher {
	opts.Size = max(1, opts.Size)
	if opts.Workers == 0 {
		opts.Workers = 1
	}
	b := &Batcher{run: run, opts: opts, drained: make(chan struct{})}
	b.base, b.cancel = context.WithCancel(context.Background())
	b.Resize(opts.Workers)
	return b
}

// Resize sets how many batches may run at once. A worker that is one too many ends after its batch, so no job is lost. With
// none left, what is queued waits for the next Resize or for Close, and no one gets a place.
func (b *Batcher) Resize(workers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.wanted = max(0, workers)
	for b.workers < b.wanted {
		b.workers++
		b.done.Add(1)
		go b.work(&worker{wake: make(chan struct{}, 1)})
	}
	b.wakeAll() // those that are too many end
}

// Stats tells what the batcher holds.
func (b *Batcher) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	remaining := -1
	if b.opts.Queue > 0 {
		remaining = max(0, b.opts.Queue-b.admitted)
	}
	return Stats{Waiting: b.admitted, Running: b.running, Workers: b.wanted, Remaining: remaining}
}

// Place is a place in the queue. It is taken before a request is prepared, so that a server with a full queue decodes no
// pictures for nothing. One call, of Submit or of Leave, uses it up.
type Place struct{ b *Batcher }

// Enter takes a place. It returns [fault.Unavailable], at once, with [model.ErrNoWorker], [model.ErrQueueFull] or
// [model.ErrClosed] in the chain.
func (b *Batcher) Enter() (Place, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return Place{}, fmt.Errorf("%w: %w", fault.Unavailable, model.ErrClosed)
	case b.wanted == 0:
		return Place{}, fmt.Errorf("%w: %w", fault.Unavailable, model.ErrNoWorker)
	case b.opts.Queue > 0 && b.admitted >= b.opts.Queue:
		return Place{}, fmt.Errorf("%w: %w: %d requests wait", fault.Unavailable, model.ErrQueueFull, b.admitted)
	}
	b.admitted++
	return Place{b}, nil
}

// Leave gives the place back.
func (p Place) Leave() {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	p.b.admitted--
	p.b.settle()
}

// Submit queues a job and waits for its answer, or for ctx to end: then the place is free again, and a batch that the job
// is in ends early once all its callers have gone.
func (p Place) Submit(ctx context.Context, job model.Job) (*model.Response, error) {
	e := &entry{job: job, came: time.Now(), result: make(chan model.Result, 1)}
	p.b.push(e)
	select {
	case r := <-e.result:
		return r.Response, r.Err
	case <-ctx.Done():
		p.b.abandon(e)
		return nil, ctx.Err()
	}
}

// Submit is Enter and, with its place, Submit.
func (b *Batcher) Submit(ctx context.Context, job model.Job) (*model.Response, error) {
	place, err := b.Enter()
	if err != nil {
		return nil, err
	}
	return place.Submit(ctx, job)
}

// Close lets no one in any more, answers those who have a place, and ends the workers. When ctx ends first, who still waits
// gets [fault.Unavailable], the batches under way are cancelled, and Close returns ctx's error once they are over. Where
// there are no workers, who waits is refused at once. Closing again waits as well.
func (b *Batcher) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.settle()
	workers := b.wanted
	b.wakeAll() // a collector need not wait for company that will not come
	b.mu.Unlock()
	var err error
	if workers > 0 {
		select {
		case <-b.drained:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	b.mu.Lock()
	for _, e := range b.queue {
		e.result <- model.Result{Err: fmt.Errorf("%w: %w", fault.Unavailable, model.ErrClosed)}
	}
	b.admitted -= len(b.queue)
	b.queue, b.wanted = nil, 0
	b.wakeAll()
	b.mu.Unlock()
	b.cancel()
	b.done.Wait()
	return err
}

// push queues e and wakes who waits for it: a collector once its batch is full, an idle worker where none collects.
func (b *Batcher) push(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed && b.wanted == 0 { // Close has lost patience with who still prepared
		b.admitted--
		e.result <- model.Result{Err: fmt.Errorf("%w: %w", fault.Unavailable, model.ErrClosed)}
		return
	}
	b.queue = append(b.queue, e)
	switch {
	case b.collector == nil:
		b.wakeOne()
	case len(b.queue) == b.opts.Size:
		b.collector.signal()
	case len(b.queue) > b.opts.Size: // more than the collector takes
		b.wakeOne()
	}
}

// abandon takes e out of the queue, or counts its caller out of its batch.
func (b *Batcher) abandon(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.batch != nil {
		e.batch.callers--
		if e.batch.callers == 0 {
			e.batch.cancel()
		}
		return
	}
	if i := slices.Index(b.queue, e); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		b.admitted--
		b.settle()
	}
}

// settle tells Close when no one has a place and no batch runs. The caller holds the lock, as for all that follow.
func (b *Batcher) settle() {
	if !b.closed || b.admitted > 0 || b.running > 0 {
		return
	}
	select {
	case <-b.drained:
	default:
		close(b.drained)
	}
}

func (b *Batcher) wakeOne() {
	if n := len(b.idle); n > 0 {
		b.idle[n-1].signal()
		b.idle = b.idle[:n-1]
	}
}

func (b *Batcher) wakeAll() {
	for _, w := range b.idle {
		w.signal()
	}
	b.idle = b.idle[:0]
	if b.collector != nil {
		b.collector.signal()
	}
}

// work runs batches until the worker is one too many.
func (b *Batcher) work(w *worker) {
	defer b.done.Done()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		entries, this, ctx := b.take(w, timer)
		if entries == nil {
			return
		}
		b.serve(ctx, entries)
		this.cancel()
		b.mu.Lock()
		b.running--
		b.settle()
		b.mu.Unlock()
	}
}

// take waits for a job, and for company where that is due, and returns the batch. It returns nothing when the worker has to
// end.
func (b *Batcher) take(w *worker, timer *time.Timer) ([]*entry, *running, context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.workers > b.wanted:
			b.workers--
			b.wakeOne() // the signal may have been meant for a job
			return nil, nil, nil
		case len(b.queue) == 0, b.collector != nil && len(b.queue) <= b.opts.Size:
			b.idle = append(b.idle, w)
			b.unlocked(func() { <-w.wake })
			continue
		}
		if wait := b.due(); wait > 0 {
			b.collect(w, timer, wait)
			if len(b.queue) == 0 || b.workers > b.wanted { // all have left meanwhile, or the worker has to
				continue
			}
		}
		return b.cut()
	}
}

// due returns how long the next batch may wait for company.
func (b *Batcher) due() time.Duration {
	if !b.several || b.opts.Delay <= 0 || b.collector != nil || b.closed || len(b.queue) >= b.opts.Size {
		return 0
	}
	return time.Until(b.queue[0].came.Add(b.opts.Delay))
}

// collect waits until the batch is full, or wait is over.
func (b *Batcher) collect(w *worker, timer *time.Timer, wait time.Duration) {
	b.collector = w
	timer.Reset(wait)
	b.unlocked(func() {
		select {
		case <-w.wake:
		case <-timer.C:
		}
	})
	timer.Stop()
	b.collector = nil
}

// unlocked calls wait without the lock.
func (b *Batcher) unlocked(wait func()) {
	b.mu.Unlock()
	defer b.mu.Lock()
	wait()
}

// cut takes a batch off the queue.
func (b *Batcher) cut() ([]*entry, *running, context.Context) {
	n := min(len(b.queue), b.opts.Size)
	entries := slices.Clone(b.queue[:n])
	b.queue = slices.Delete(b.queue, 0, n)
	timeout := b.opts.Timeout
	if timeout <= 0 {
		timeout = forever
	}
	ctx, cancel := context.WithTimeout(b.base, timeout)
	this := &running{callers: n, cancel: cancel}
	for _, e := range entries {
		e.batch = this
	}
	b.admitted -= n
	b.running++
	b.several = n > 1
	if len(b.queue) > 0 {
		b.wakeOne()
	}
	return entries, this, ctx
}

// serve runs a batch and sees to it that every job in it is answered, whatever run does.
func (b *Batcher) serve(ctx context.Context, entries []*entry) {
	taken := time.Now()
	if b.opts.Observe != nil {
		b.opts.Observe(Batch{Size: len(entries), Wait: taken.Sub(entries[0].came)})
	}
	jobs := make([]model.Job, len(entries))
	for i, e := range entries {
		jobs[i] = e.job
	}
	answered := make([]bool, len(entries))
	answer := func(i int, r model.Result) {
		if answered[i] {
			return
		}
		answered[i] = true
		if r.Response != nil {
			r.Response.Timing.Queue = taken.Sub(entries[i].came)
		}
		if fault.Of(r.Err) == fault.Timeout && ctx.Err() == context.DeadlineExceeded {
			r.Err = fmt.Errorf("the model did not answer within %v: %w", b.opts.Timeout, fault.Timeout)
		}
		entries[i].result <- r
	}
	err := b.guarded(ctx, jobs, answer)
	for i := range entries {
		answer(i, model.Result{Err: err})
	}
}

// guarded calls run. The error is for the jobs that run has left without an answer.
func (b *Batcher) guarded(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("batch panicked: %w: %v", fault.Internal, cause)
		}
	}()
	b.run(ctx, jobs, answer)
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("the batch ended without an answer: %w", fault.Internal)
}
