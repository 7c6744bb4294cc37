package batch

import (
	"context"
	"fmt"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Place is a place in the queue. It is taken before a request is prepared, so that a server with a full queue does not
// decode pictures for nothing. The first call of Submit or Leave uses it up: Leave may be deferred. It is not to be copied,
// and one goroutine at a time uses it.
type Place struct{ b *Batcher }

// Enter takes a place. It returns [fault.Unavailable] at once, with [model.ErrNoWorker], [model.ErrQueueFull],
// [model.ErrClosed] or a [model.OverloadError] in the chain, when there is none.
func (b *Batcher) Enter() (Place, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return Place{}, model.ErrClosed
	case b.wanted == 0:
		return Place{}, model.ErrNoWorker
	case b.opts.Queue > 0 && b.admitted >= b.opts.Queue:
		return Place{}, fmt.Errorf("%w (%d requests wait)", model.ErrQueueFull, b.admitted)
	}
	if wait := b.pace.wait(b.admitted); b.opts.Wait > 0 && wait > b.opts.Wait {
		return Place{}, &model.OverloadError{Waiting: b.admitted, Wait: wait, Limit: b.opts.Wait}
	}
	b.admitted++
	return Place{b}, nil
}

// Leave gives the place back.
func (p *Place) Leave() {
	b := p.b
	if b == nil {
		return
	}
	p.b = nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vacate()
}

// vacate frees the place of a request that gets into no batch. The caller holds the lock.
func (b *Batcher) vacate() {
	if b.admitted--; b.admitted == 0 {
		b.pace.last = time.Time{} // nobody waits: what comes next says nothing of the pace
	}
	b.settle()
}

// Submit queues a job in the place and returns its answer, whose Timing has Queue, and Batch where the run did not say it.
// When ctx ends first, it returns the context's error at once and the place, or the wait for the batch, is given up. Its
// other errors are the run's own, [fault.Timeout] when it waited or the batch ran for too long, [fault.Unavailable] when the batcher
// was closed and could not wait, and [fault.Internal] when the run did not answer or the place was used before.
func (p *Place) Submit(ctx context.Context, job model.Job) (*model.Response, error) {
	b := p.b
	if b == nil {
		return nil, fmt.Errorf("%w: a place in the queue was used twice", fault.Internal)
	}
	if err := ctx.Err(); err != nil {
		p.Leave()
		return nil, fmt.Errorf("not queued, the caller has gone: %w", err)
	}
	p.b = nil
	e := b.free.Get().(*entry)
	e.job = job
	b.push(e)
	select {
	case r := <-e.result:
		b.recycle(e)
		return r.Response, r.Err
	case <-ctx.Done():
		return b.abandon(e, ctx.Err())
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

// entry is a request from when it is queued until it is answered.
type entry struct {
	job        model.Job
	came       time.Time
	batch      *batch // nil while it is queued
	gone       bool   // its caller has left
	answered   bool
	result     chan model.Result // of capacity 1: telling never waits
	prev, next *entry            // in the queue
}

// tell hands the caller its result. It is the last that a worker does with an entry. The caller holds the lock.
func (e *entry) tell(r model.Result) {
	e.answered = true
	e.result <- r
}

// push queues e, unless it is too late for that.
func (b *Batcher) push(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		b.vacate()
		e.tell(model.Result{Err: model.ErrClosed})
		return
	}
	e.came = time.Now()
	b.queue.push(e)
	b.dispatch()
	b.watch()
}

// watch has whoever waits for longer than anybody may told so, also while no worker is free. The caller holds the lock.
func (b *Batcher) watch() {
	if b.opts.Wait > 0 && !b.watched && b.queue.len > 0 {
		b.watched = true
		b.late.Reset(time.Until(b.queue.first.came.Add(b.opts.Wait)) + 1)
	}
}

// overdue refuses the requests that have waited for longer than anybody may: they were expected to wait for less.
func (b *Batcher) overdue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = false
	for b.queue.len > 0 {
		waited := time.Since(b.queue.first.came)
		if waited <= b.opts.Wait {
			break
		}
		b.queue.pop().tell(model.Result{Err: fmt.Errorf("%w: the request waited for %v, longer than the limit of %v",
			fault.Timeout, waited.Round(time.Millisecond), b.opts.Wait)})
		b.vacate()
	}
	b.watch()
}

// abandon takes e out of the queue, or tells its batch that the caller has gone. An answer that came meanwhile counts.
func (b *Batcher) abandon(e *entry, reason error) (*model.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.answered:
		r := <-e.result
		b.recycle(e)
		return r.Response, r.Err
	case e.batch == nil:
		b.queue.remove(e)
		b.vacate()
		b.recycle(e)
		return nil, fmt.Errorf("gave up in the queue: %w", reason)
	default:
		e.gone = true
		e.batch.leave(reason)
		return nil, fmt.Errorf("gave up while the batch ran: %w", reason)
	}
}

// recycle keeps an entry that nobody else knows any more for another request.
func (b *Batcher) recycle(e *entry) {
	*e = entry{result: e.result}
	b.free.Put(e)
}

// queue is a list of entries, oldest first, from which each can be taken.
type queue struct {
	first, last *entry
	len         int
}

func (q *queue) push(e *entry) {
	e.prev = q.last
	if q.last == nil {
		q.first = e
	} else {
		q.last.next = e
	}
	q.last = e
	q.len++
}

func (q *queue) pop() *entry {
	e := q.first
	q.remove(e)
	return e
}

func (q *queue) remove(e *entry) {
	if e.prev == nil {
		q.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	q.len--
}
