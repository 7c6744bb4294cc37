package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/fault"
)

// timers is a clock of a bubble of synctest, where timers are exact. It is late by a while.
type timers struct{ late time.Duration }

func (timers) Now() time.Time { return time.Now() }

func (c timers) WaitUntil(ctx context.Context, t time.Time) error {
	if !t.After(time.Now()) {
		return ctx.Err()
	}
	select {
	case <-time.After(time.Until(t) + c.late):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after is a target that answers after a while.
func after(d time.Duration) bench.Ask {
	return func(ctx context.Context, _ int) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func run(t *testing.T, ask bench.Ask, opts bench.Options) *bench.Result {
	t.Helper()
	if opts.Clock == nil {
		opts.Clock = timers{}
	}
	r, err := bench.Run(t.Context(), ask, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near checks a time to the three digits that a histogram has.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if diff := got - want; diff < -want/500 || diff > want/500 {
		t.Errorf("%s %v, want %v", what, got, want)
	}
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, after(10*time.Millisecond), bench.Options{Concurrency: 4, Duration: time.Second, WarmUp: 100 * time.Millisecond})
		if r.Answered < 396 || r.Answered > 404 || r.Elapsed != time.Second {
			t.Errorf("%d answers in %v, want 400 in 1s", r.Answered, r.Elapsed)
		}
		near(t, "median", r.Quantile(0.5), 10*time.Millisecond)
		near(t, "slowest", r.Max(), 10*time.Millisecond)
		near(t, "mean", r.Mean(), 10*time.Millisecond)
	})
}

// TestRequests measures exactly as many as it is told to.
func TestRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := 0
		r := run(t, func(ctx context.Context, n int) error {
			mu.Lock()
			asked++
			mu.Unlock()
			return after(time.Millisecond)(ctx, n)
		}, bench.Options{Concurrency: 3, Requests: 10})
		if r.Answered != 10 || asked != 11 { // one to see that there are answers
			t.Errorf("%d answers to %d requests, want 10 to 11", r.Answered, asked)
		}
		if r.Elapsed != 4*time.Millisecond {
			t.Errorf("took %v, want 4ms", r.Elapsed)
		}
	})
}

// TestSchedule asks at a constant rate, also when the answers take longer than that.
func TestSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		var begun time.Time
		r := run(t, func(ctx context.Context, n int) error {
			mu.Lock()
			if n == 1 {
				begun = time.Now()
			}
			if n > 0 {
				at = append(at, time.Since(begun))
			}
			mu.Unlock()
			return after(35*time.Millisecond)(ctx, n)
		}, bench.Options{Rate: 100, Duration: 50 * time.Millisecond})
		want := []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 40 * time.Millisecond}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("arrivals (-want +got):\n%s", diff)
		}
		if r.Answered != 5 || r.AtOnce != 4 || r.Elapsed != 75*time.Millisecond {
			t.Errorf("%d answers by %d callers in %v, want 5 by 4 in 75ms", r.Answered, r.AtOnce, r.Elapsed)
		}
	})
}

// TestOmission stops the target for a second of four. Whoever would have asked then waits, half a second on average: a
// quarter of all requests. A load generator that waits with its target would have seen one slow answer.
func TestOmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		r := run(t, func(ctx context.Context, n int) error {
			if since := time.Since(begun); since >= time.Second && since < 2*time.Second {
				return after(2*time.Second-since)(ctx, n)
			}
			return nil
		}, bench.Options{Rate: 100, Duration: 4 * time.Second})
		if r.Answered != 400 {
			t.Errorf("%d answers, want 400", r.Answered)
		}
		near(t, "slowest", r.Max(), time.Second)
		if p75 := r.Quantile(0.75); p75 > 2*time.Microsecond {
			t.Errorf("p75 %v, want nothing", p75)
		}
		near(t, "p87.5", r.Quantile(0.875), 500*time.Millisecond)
		near(t, "p99", r.Quantile(0.99), 960*time.Millisecond)
	})
}

// TestLate counts a time from when the request was to be sent, and not from when it was.
func TestLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := run(t, after(10*time.Millisecond), bench.Options{Rate: 10, Duration: time.Second, Clock: timers{late: 30 * time.Millisecond}})
		near(t, "p99", r.Quantile(0.99), 40*time.Millisecond)
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := fmt.Errorf("%w: out of order", fault.Internal)
		r := run(t, func(ctx context.Context, n int) error {
			switch {
			case n == 0:
				return bench.ErrRefused // which is an answer
			case n%4 == 0:
				return fmt.Errorf("%w: %w", bench.ErrRefused, fault.Unavailable)
			case n%4 == 1:
				return broken
			case n == 3:
				<-ctx.Done()
				return fmt.Errorf("gave up: %w", ctx.Err())
			}
			return nil
		}, bench.Options{Rate: 10, Duration: 2 * time.Second, Drain: 3 * time.Second})
		want := map[string]bench.Failure{"internal error": {5, broken.Error()}}
		if diff := cmp.Diff(want, r.Failures); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
		if r.Answered != 9 || r.Refused != 5 || r.Unanswered != 1 || r.Failed() != 5 {
			t.Errorf("%d answered, %d refused, %d unanswered, %d failed; want 9, 5, 1, 5", r.Answered, r.Refused, r.Unanswered, r.Failed())
		}
		near(t, "slowest", r.Max(), 4800*time.Millisecond) // the third was to come at 0.2 s, and is given up at 5 s
	})
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, opts := range []bench.Options{{Concurrency: 2, Duration: time.Hour}, {Rate: 200, Duration: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 105*time.Millisecond)
			defer cancel()
			opts.Clock = timers{}
			r, err := bench.Run(ctx, after(10*time.Millisecond), opts)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Interrupted || r.Answered < 16 || r.Answered > 20 || r.Unanswered != 0 || r.Failed() != 0 {
				t.Errorf("interrupted %t, %d answers, %d unanswered, %d failed", r.Interrupted, r.Answered, r.Unanswered, r.Failed())
			}
			if r.Throughput() < 180 || r.Throughput() > 230 {
				t.Errorf("%g answers a second, want about 200", r.Throughput())
			}
		})
	}
}

// TestNoAnswer ends before the load when there is no answer at all.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	_, err := bench.Run(t.Context(), func(context.Context, int) error { return fault.NoModel }, bench.Options{Concurrency: 1, Duration: time.Hour})
	if !errors.Is(err, fault.NoModel) {
		t.Errorf("error %v, want %v", err, fault.NoModel)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]bench.Options{
		"nothing":           {Duration: time.Second},
		"both":              {Concurrency: 1, Rate: 1, Duration: time.Second},
		"negative callers":  {Concurrency: -1, Duration: time.Second},
		"too many callers":  {Concurrency: bench.MaxConcurrency + 1, Duration: time.Second},
		"negative rate":     {Rate: -1, Duration: time.Second},
		"too high a rate":   {Rate: 2 * bench.MaxRate, Duration: time.Second},
		"endless":           {Concurrency: 1},
		"negative duration": {Concurrency: 1, Duration: -1},
		"warm-up":           {Concurrency: 1, Requests: 1, WarmUp: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bench.Run(t.Context(), func(context.Context, int) error {
				t.Error("it asked")
				return nil
			}, opts)
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("error %v, want %v", err, fault.Invalid)
			}
		})
	}
}

func TestPlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		none := run(t, func(_ context.Context, n int) error {
			if n > 0 {
				return fault.Internal
			}
			return nil
		}, bench.Options{Concurrency: 1, Requests: 3})
		some := run(t, func(ctx context.Context, n int) error { return after(time.Duration(n)*time.Millisecond)(ctx, n) }, bench.Options{Concurrency: 1, Requests: 100})
		last := bench.Point{}
		for _, p := range some.Distribution() {
			if p.Quantile < last.Quantile || p.Latency < last.Latency {
				t.Errorf("%v follows %v", p, last)
			}
			last = p
		}
		near(t, "last point", last.Latency, 100*time.Millisecond)
		for name, r := range map[string]*bench.Result{"none": none, "some": some} {
			var out bytes.Buffer
			if err := r.Plot(&out, name); err != nil {
				t.Fatal(err)
			}
			if img, err := png.Decode(&out); err != nil || img.Bounds().Dx() < 300 {
				t.Errorf("%s: %v, %v", name, img.Bounds(), err)
			}
		}
	})
}
