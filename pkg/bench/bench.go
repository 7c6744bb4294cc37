// Package bench measures how fast something answers: a model in this process, or a server. It makes load in two ways. A
// closed loop has so many callers who each ask again as soon as they have their answer: it finds out how much gets through. An
// open loop asks at a constant rate, whatever becomes of the answers: it finds out how long callers wait who do not know of
// each other. There, a time counts from when the request was to be sent, and not from when the load generator came to it, so
// that a server that stands still for a second owes that second to everyone who would have asked meanwhile.
//
// The package knows neither pipelines nor servers. What is asked is an [Ask]; [Local] and [Wire] make one. [Bare] is the limit
// that an answer's speed is compared with: the network alone, run over and over.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Ask asks once, as request n of the run, and returns when the answer is there. It is called by many goroutines at once. An
// error that has [ErrRefused] in its chain counts as a refusal, any other as a failure of its [fault.Kind].
type Ask func(ctx context.Context, n int) error

// ErrRefused is what is in the chain of the error for a request that was turned away because there were too many: no worker
// free, a full queue, the statuses 429 and 503.
var ErrRefused = errors.New("refused")

// The limits of [Options]: beyond them, the load generator would measure itself.
const (
	MaxConcurrency = 4096
	MaxRate        = 1e6
)

// Options say what load there is to be. Either Concurrency or Rate is set.
type Options struct {
	Concurrency int           // a closed loop of so many callers, at most MaxConcurrency
	Rate        float64       // an open loop of so many requests a second, at most MaxRate
	Duration    time.Duration // how long is measured; 0: until Requests are answered
	Requests    int           // how many requests are measured at most; 0: as many as Duration allows
	WarmUp      time.Duration // how long there is load before anything is measured; only with a Duration and without Requests
	Drain       time.Duration // how long those are waited for that are unanswered at the end; 0: 5 s
	Clock       Clock         // nil: the system's
}

func (o Options) check() error {
	switch {
	case (o.Concurrency != 0) == (o.Rate != 0):
		return fmt.Errorf("%w: want either a concurrency or a rate", fault.Invalid)
	case o.Concurrency < 0 || o.Concurrency > MaxConcurrency:
		return fmt.Errorf("%w: concurrency %d, want 1 to %d", fault.Invalid, o.Concurrency, MaxConcurrency)
	case o.Rate < 0 || o.Rate > MaxRate || math.IsNaN(o.Rate):
		return fmt.Errorf("%w: rate %g, want more than 0 requests a second and at most %g", fault.Invalid, o.Rate, MaxRate)
	case o.Duration < 0 || o.Requests < 0 || o.WarmUp < 0 || o.Drain < 0:
		return fmt.Errorf("%w: a duration, a warm-up and a number of requests are not negative", fault.Invalid)
	case o.Duration == 0 && o.Requests == 0:
		return fmt.Errorf("%w: want a duration or a number of requests", fault.Invalid)
	case o.WarmUp > 0 && o.Requests > 0:
		return fmt.Errorf("%w: a number of requests has no warm-up: leave one out", fault.Invalid)
	}
	return nil
}

// run is a measurement under way.
type run struct {
	opts  Options
	ask   Ask
	clock Clock
	ctx   context.Context //nolint:containedctx // of the run: it ends when those that are unanswered are given up
	from  time.Time       // what is measured begins here
	until time.Time       // and ends here; zero: with the last request

	issued atomic.Int64 // requests that were begun

	mu     sync.Mutex // guards what follows
	result *Result
	last   time.Time // when the last one was answered
}

// Run asks once, to see that there are answers, and returns the error when there are none; a refusal is an answer. Then it
// makes the load and returns what was measured. When ctx ends, it ends early and returns what was measured until then. It
// returns [fault.Invalid] for options that make no sense.
func Run(ctx context.Context, ask Ask, opts Options) (*Result, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.Clock == nil {
		opts.Clock = systemClock{}
	}
	if opts.Drain == 0 {
		opts.Drain = 5 * time.Second
	}
	if err := ask(ctx, 0); err != nil && !errors.Is(err, ErrRefused) {
		return nil, err
	}
	asking, giveUp := context.WithCancel(ctx)
	defer giveUp()
	r := &run{opts: opts, ask: ask, clock: opts.Clock, ctx: asking, result: newResult(opts)}
	begun := r.clock.Now()
	r.from, r.last = begun.Add(opts.WarmUp), begun.Add(opts.WarmUp)
	if opts.Duration > 0 {
		r.until = r.from.Add(opts.Duration)
	}
	loop := r.closed
	if opts.Rate > 0 {
		loop = func(ctx context.Context) { r.open(ctx, begun) }
	}
	r.drained(ctx, loop, giveUp)
	return r.finish(ctx), nil
}

// drained runs a loop, which ends when everything is answered, and gives up what is unanswered long after the end.
func (r *run) drained(ctx context.Context, loop func(ctx context.Context), giveUp func()) {
	over := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		if r.until.IsZero() {
			return // every request of a number of them is waited for
		}
		waiting, cancel := context.WithCancel(ctx)
		defer cancel()
		context.AfterFunc(waiting, giveUp) // also when ctx ends
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if r.clock.WaitUntil(waiting, r.until.Add(r.opts.Drain)) == nil {
				giveUp()
			}
		}()
		<-over
		cancel()
		<-ended
	})
	loop(ctx)
	close(over)
	group.Wait()
}

// closed is a closed loop.
func (r *run) closed(ctx context.Context) {
	var callers sync.WaitGroup
	for range r.opts.Concurrency {
		callers.Go(func() {
			for ctx.Err() == nil {
				n, begun := int(r.issued.Add(1)), r.clock.Now()
				if r.over(n, begun) {
					return
				}
				err := r.ask(r.ctx, n)
				r.record(begun, r.clock.Now(), err)
			}
		})
	}
	callers.Wait()
}

// over tells whether request n, which is to begin at a time, is one too many.
func (r *run) over(n int, begin time.Time) bool {
	return r.opts.Requests > 0 && n > r.opts.Requests || !r.until.IsZero() && !begin.Before(r.until)
}

// arrival is a request of an open loop.
type arrival struct {
	n  int
	at time.Time // when it was to be sent
}

// open is an open loop. Whoever is free takes the next arrival; where nobody is, there is one more caller. Once there are
// MaxConcurrency of them, arrivals wait, and their time runs.
func (r *run) open(ctx context.Context, begun time.Time) {
	var callers sync.WaitGroup
	next := make(chan arrival)
	atOnce := 0
	send := func(a arrival) {
		select {
		case next <- a:
			return
		default:
		}
		if atOnce == MaxConcurrency {
			select {
			case next <- a:
			case <-r.ctx.Done():
				r.record(a.at, r.clock.Now(), r.ctx.Err())
			}
			return
		}
		atOnce++
		callers.Go(func() {
			for ok := true; ok; a, ok = <-next {
				err := r.ask(r.ctx, a.n)
				r.record(a.at, r.clock.Now(), err)
			}
		})
	}
	for n := 0; ; n++ {
		at := begun.Add(time.Duration(float64(n) / r.opts.Rate * float64(time.Second)))
		if r.over(n+1, at) || r.clock.WaitUntil(ctx, at) != nil {
			break
		}
		send(arrival{n + 1, at})
	}
	close(next)
	callers.Wait()
	r.result.AtOnce = atOnce
}

// record notes how a request ended that began, or was to begin, at a time. Of a closed loop those count that end while it is
// measured, as many as are under way when it begins; of an open loop those that were to begin then, however late they are
// answered.
func (r *run) record(begun, ended time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := !begun.Before(r.from)
	if r.opts.Rate == 0 {
		counts = !ended.Before(r.from) && (r.until.IsZero() || !ended.After(r.until))
		counts = counts || r.ctx.Err() != nil // given up: it counts as unanswered
	}
	if !counts {
		return
	}
	if r.result.add(ended.Sub(begun), err, r.ctx.Err() != nil) && ended.After(r.last) {
		r.last = ended
	}
}

// finish completes the result.
func (r *run) finish(ctx context.Context) *Result {
	res := r.result
	res.Interrupted = ctx.Err() != nil
	if res.Interrupted {
		res.Unanswered = 0 // nobody waited for them
	}
	end := r.until
	if r.opts.Requests > 0 || res.Interrupted || r.opts.Rate > 0 && r.last.After(end) {
		end = r.last
	}
	res.Elapsed = end.Sub(r.from)
	return res
}
