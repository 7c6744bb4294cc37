package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// worker runs one batch after the other. What belongs to a batch and can be used again is the worker's.
type worker struct {
	batches chan *batch // of capacity 1: the one it gets when it is idle; closed when it has to end
	batch   *batch      // nil while it is idle
	limit   *time.Timer // ends the batch; nil for no limit
	entries []*entry
	jobs    []model.Job
}

// batch is a batch under way.
type batch struct {
	ctx     context.Context //nolint:containedctx // on its way to the worker, which passes it to the run
	cancel  context.CancelCauseFunc
	start   time.Time
	wait    time.Duration // of the oldest request, in the queue
	size    int
	entries []*entry // nil once answered
	open    int      // not answered yet
	waiting int      // not answered yet, and the caller has not left
}

// Why the context of a batch ends, where no failure is to blame.
var (
	errUnwanted = errors.New("nobody waits for the answers that are left")
	errOver     = errors.New("the batch is over")
)

// staff starts the workers that are missing, and ends those that are too many as far as they are idle. The caller holds
// the lock.
func (b *Batcher) staff() {
	for len(b.workers) < b.wanted {
		w := &worker{batches: make(chan *batch, 1)}
		if b.opts.Timeout > 0 {
			w.limit = newTimer(func() { b.expire(w) })
		}
		b.workers[w] = struct{}{}
		b.idle = append(b.idle, w)
		b.done.Go(func() { b.work(w) })
	}
	for len(b.workers) > b.wanted && len(b.idle) > 0 {
		w := b.takeIdle()
		delete(b.workers, w)
		close(w.batches)
	}
}

func (b *Batcher) takeIdle() *worker {
	last := len(b.idle) - 1
	w := b.idle[last]
	b.idle[last] = nil
	b.idle = b.idle[:last]
	return w
}

// dispatch gives what is queued to idle workers, or has it wait for company. The caller holds the lock.
func (b *Batcher) dispatch() {
	for len(b.idle) > 0 && b.queue.len > 0 {
		if wait := b.patience(); wait > 0 {
			if !b.held {
				b.held = true
				b.timer.Reset(wait)
			}
			return
		}
		b.begin(b.takeIdle())
	}
}

// patience tells how long the queue should wait for company.
func (b *Batcher) patience() time.Duration {
	oldest := b.queue.first.came
	if b.closed || b.queue.len >= b.expect || b.company.IsZero() || oldest.Sub(b.company) > b.opts.Delay {
		return 0
	}
	return time.Until(oldest.Add(b.opts.Delay))
}

// tick ends a wait for company, or goes on with it where the oldest request has left. When it ran out, the next one will
// not wait for more than came.
func (b *Batcher) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first := b.queue.first; first != nil && b.held && time.Since(first.came) >= b.opts.Delay {
		b.expect = b.queue.len
	}
	b.held = false
	b.dispatch()
}

// begin makes a batch of the oldest requests and hands it to w. The caller holds the lock.
func (b *Batcher) begin(w *worker) {
	n, now := min(b.queue.len, b.opts.Size), time.Now()
	current := &batch{start: now, wait: now.Sub(b.queue.first.came), size: n, open: n, waiting: n}
	current.ctx, current.cancel = context.WithCancelCause(context.Background())
	w.entries, w.jobs = w.entries[:0], w.jobs[:0]
	for range n {
		e := b.queue.pop()
		e.batch = current
		w.entries, w.jobs = append(w.entries, e), append(w.jobs, e.job)
	}
	current.entries = w.entries
	b.admitted -= n
	b.running++
	b.learn(n, now)
	w.batch = current
	if w.limit != nil {
		w.limit.Reset(b.opts.Timeout)
	}
	w.batches <- current
}

// learn draws from a batch of n whether, and for how many, the next one should wait. The caller holds the lock.
func (b *Batcher) learn(n int, now time.Time) {
	if n > 1 {
		b.company, b.expect = now, max(b.expect, n)
	} else {
		b.company, b.expect = time.Time{}, b.opts.Size
	}
	if b.held {
		b.held = false
		b.timer.Stop()
	}
}

// work runs the batches that w is given. A run that ends its goroutine does not end the worker.
func (b *Batcher) work(w *worker) {
	ended := false
	defer func() {
		if !ended {
			b.done.Go(func() { b.work(w) })
		}
	}()
	for current := range w.batches {
		b.serve(w, current)
	}
	ended = true
}

func (b *Batcher) serve(w *worker, current *batch) {
	defer b.finish(w, current)
	if current.ctx.Err() != nil {
		return // all its callers left before it began
	}
	if b.opts.Observe != nil {
		b.opts.Observe(Batch{Size: current.size, Wait: current.wait})
	}
	b.run(current.ctx, w.jobs, func(i int, r model.Result) { b.answer(current, i, r) })
}

// answer hands a result to the caller of job i, the first time.
func (b *Batcher) answer(current *batch, i int, r model.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if current.size > 1 && !b.company.IsZero() {
		b.company = time.Now()
	}
	current.answer(i, r)
}

// answer is Batcher.answer under the lock.
func (c *batch) answer(i int, r model.Result) {
	if i < 0 || i >= len(c.entries) || c.entries[i] == nil {
		return
	}
	e := c.entries[i]
	c.entries[i] = nil
	c.open--
	if !e.gone {
		c.leave(errUnwanted)
	}
	switch {
	case r.Err != nil:
		r.Response = nil
	case r.Response == nil:
		r.Err = fmt.Errorf("%w: the model answered with nothing", fault.Internal)
	default:
		r.Response.Timing.Queue = c.start.Sub(e.came)
		if r.Response.Timing.Batch == 0 {
			r.Response.Timing.Batch = c.size
		}
	}
	e.tell(r)
}

// leave counts a caller out, and ends the batch early when nobody waits for what is still open.
func (c *batch) leave(reason error) {
	c.waiting--
	if c.waiting == 0 && c.open > 0 {
		c.cancel(reason)
	}
}

// end answers with err what is still open, and cancels the batch.
func (c *batch) end(err error) {
	c.cancel(err)
	for i := range c.entries {
		c.answer(i, model.Result{Err: err})
	}
}

// expire ends w's batch when it has run for too long. Its callers do not wait until it notices.
func (b *Batcher) expire(w *worker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.batch == nil || time.Since(w.batch.start) < b.opts.Timeout {
		return // the timer ran out as its batch ended
	}
	w.batch.end(fmt.Errorf("%w: the batch ran longer than its limit of %v: give the model a longer response timeout",
		fault.Timeout, b.opts.Timeout))
}

// finish cleans up after a batch, however it ended, and makes the worker look for the next one.
func (b *Batcher) finish(w *worker, current *batch) {
	cause, err := recover(), errOver
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case cause != nil:
		err = fmt.Errorf("%w: the batch panicked: %v\n%s", fault.Internal, cause, debug.Stack())
	case current.open > 0:
		err = fmt.Errorf("%w: the batch of %d ended with %d requests unanswered", fault.Internal, current.size, current.open)
	}
	current.end(err)
	current.entries, w.batch = nil, nil
	clear(w.jobs)
	if w.limit != nil {
		w.limit.Stop()
	}
	b.running--
	b.pace.learn(time.Now(), current.size, b.admitted > 0)
	b.idle = append(b.idle, w)
	b.staff()
	b.dispatch()
	b.settle()
}
