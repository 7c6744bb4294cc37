package batch_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// job is a request that is known by its number.
type job struct {
	n   int
	req model.Request
}

func (j *job) Request() *model.Request { return &j.req }

func number(n int) *job { return &job{n: n} }

func numberOf(j model.Job) int { return j.(*job).n }

func reply(j model.Job) model.Result {
	return model.Result{Response: &model.Response{Body: fmt.Append(nil, numberOf(j))}}
}

func echo(_ context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	for i, j := range jobs {
		answer(i, reply(j))
	}
}

// slow is echo after a while, or the context's error when that ends first.
func slow(d time.Duration) batch.RunFunc {
	return func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
		select {
		case <-time.After(d):
			echo(ctx, jobs, answer)
		case <-ctx.Done():
			for i := range jobs {
				answer(i, model.Result{Err: ctx.Err()})
			}
		}
	}
}

// gate is echo, for one batch each time the test lets one through.
type gate struct{ begun, proceed chan struct{} }

func newGate() gate { return gate{make(chan struct{}, 100), make(chan struct{}, 100)} }

func (g gate) run(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	g.begun <- struct{}{}
	select {
	case <-g.proceed:
		echo(ctx, jobs, answer)
	case <-ctx.Done():
	}
}

// log notes the batches that a run gets.
type log struct {
	start time.Time

	mu      sync.Mutex // guards what follows
	batches []string
}

func (l *log) around(run batch.RunFunc) batch.RunFunc {
	l.start = time.Now()
	return func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
		line := fmt.Sprintf("%d:", time.Since(l.start)/ms)
		for _, j := range jobs {
			line += fmt.Sprintf(" %d", numberOf(j))
		}
		l.mu.Lock()
		l.batches = append(l.batches, line)
		l.mu.Unlock()
		run(ctx, jobs, answer)
	}
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.batches)
}

// call is a request under way.
type call struct {
	n      int
	cancel context.CancelFunc
	done   chan struct{}
	resp   *model.Response
	err    error
}

type submitter interface {
	Submit(ctx context.Context, j model.Job) (*model.Response, error)
}

// submit asks in a goroutine of its own.
func submit(s submitter, n int) *call {
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{n: n, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer cancel()
		c.resp, c.err = s.Submit(ctx, number(n))
	}()
	return c
}

// settled submits one request after the other, so that they are queued in their order.
func settled(b *batch.Batcher, numbers ...int) []*call {
	var calls []*call
	for _, n := range numbers {
		calls = append(calls, submit(b, n))
		synctest.Wait()
	}
	return calls
}

func (c *call) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// answered waits for the request's own answer.
func (c *call) answered(t *testing.T) {
	t.Helper()
	<-c.done
	if c.err != nil {
		t.Errorf("request %d: %v", c.n, c.err)
	} else if got, want := string(c.resp.Body), fmt.Sprint(c.n); got != want {
		t.Errorf("request %d got the answer to %s", c.n, got)
	}
}

// failed waits for a failure of a kind with certain words.
func (c *call) failed(t *testing.T, kind fault.Kind, words ...string) {
	t.Helper()
	<-c.done
	if c.err == nil || fault.Of(c.err) != kind {
		t.Fatalf("request %d: %v, want %v", c.n, c.err, kind)
	}
	for _, w := range words {
		if !strings.Contains(c.err.Error(), w) {
			t.Errorf("request %d: %v, want it to say %q", c.n, c.err, w)
		}
	}
}

func closed(t *testing.T, b *batch.Batcher) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Errorf("Close = %v", err)
	}
	if got, want := b.Stats(), (batch.Stats{Remaining: b.Stats().Remaining}); got != want {
		t.Errorf("after Close: %+v", got)
	}
}

// TestBatches tells when which requests run together. Times are milliseconds.
func TestBatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts batch.Options
		run  time.Duration
		come []int // when request 0, 1, 2 ... comes
		want []string
	}{
		{"a lone request runs at once", batch.Options{Size: 8, Delay: 50 * ms}, 10, []int{0}, []string{"0: 0"}},
		{
			"lone requests never wait",
			batch.Options{Size: 8, Delay: 50 * ms},
			10,
			[]int{0, 10, 20, 45},
			[]string{"0: 0", "10: 1", "20: 2", "45: 3"},
		},
		{
			"what came meanwhile runs together, at once",
			batch.Options{Size: 8, Delay: 50 * ms},
			10,
			[]int{0, 1, 2, 9},
			[]string{"0: 0", "10: 1 2 3"},
		},
		{
			"no more than fit, oldest first",
			batch.Options{Size: 2},
			10,
			[]int{0, 1, 2, 3, 4, 5},
			[]string{"0: 0", "10: 1 2", "20: 3 4", "30: 5"},
		},
		{"the zero value runs one by one", batch.Options{}, 10, []int{0, 1, 2}, []string{"0: 0", "10: 1", "20: 2"}},
		{
			"after several it waits, from when the oldest came",
			batch.Options{Size: 8, Delay: 5 * ms},
			10,
			[]int{0, 1, 2, 22, 24},
			[]string{"0: 0", "10: 1 2", "27: 3 4"},
		},
		{
			"a wait for nothing is the last one",
			batch.Options{Size: 8, Delay: 5 * ms},
			10,
			[]int{0, 1, 2, 22, 38},
			[]string{"0: 0", "10: 1 2", "27: 3", "38: 4"},
		},
		{
			"a full batch leaves at once",
			batch.Options{Size: 2, Delay: 5 * ms},
			10,
			[]int{0, 1, 2, 22, 24},
			[]string{"0: 0", "10: 1 2", "24: 3 4"},
		},
		{
			"without a delay nothing waits",
			batch.Options{Size: 8},
			10,
			[]int{0, 1, 2, 20, 21},
			[]string{"0: 0", "10: 1 2", "20: 3", "30: 4"},
		},
		{
			"what waited long enough while a batch ran does not wait again",
			batch.Options{Size: 8, Delay: 5 * ms},
			10,
			[]int{0, 1, 2, 12},
			[]string{"0: 0", "10: 1 2", "20: 3"},
		},
		{
			"the time while a batch ran counts",
			batch.Options{Size: 8, Delay: 15 * ms},
			10,
			[]int{0, 1, 2, 12, 25},
			[]string{"0: 0", "10: 1 2", "27: 3 4"},
		},
		{
			"company of long ago is none",
			batch.Options{Size: 8, Delay: 5 * ms},
			10,
			[]int{0, 1, 2, 26},
			[]string{"0: 0", "10: 1 2", "26: 3"},
		},
		{
			"an idle worker takes what is too much for one that waits",
			batch.Options{Size: 2, Delay: 50 * ms, Workers: 3},
			100,
			[]int{0, 1, 2, 3, 4, 101, 102, 103, 104, 105},
			// from 102 on two workers are idle; when one has enough, the other waits for more
			[]string{"0: 0", "1: 1", "2: 2", "100: 3 4", "102: 5 6", "104: 7 8", "200: 9"},
		},
		{
			"after a wait that ran out, as many as had come are enough",
			batch.Options{Size: 8, Delay: 30 * ms},
			10,
			[]int{0, 1, 2, 20, 21, 60, 61, 62},
			// 3 and 4 wait in vain for more; 5 and 6 are as many as they were; 7 waits again
			[]string{"0: 0", "10: 1 2", "50: 3 4", "61: 5 6", "92: 7"},
		},
		{
			"that is forgotten with the next lone request",
			batch.Options{Size: 8, Delay: 30 * ms},
			10,
			[]int{0, 1, 2, 20, 21, 100, 101, 102, 120, 121, 122},
			// 3 and 4 wait in vain; 5 is alone, so 8, 9 and 10 wait for a full batch again
			[]string{"0: 0", "10: 1 2", "50: 3 4", "100: 5", "110: 6 7", "150: 8 9 10"},
		},
		{
			"and more are welcome",
			batch.Options{Size: 8, Delay: 30 * ms},
			10,
			[]int{0, 1, 2, 20, 21, 51, 52, 53, 71, 72, 73},
			[]string{"0: 0", "10: 1 2", "50: 3 4", "60: 5 6 7", "73: 8 9 10"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var l log
				b := batch.New(l.around(slow(test.run*ms)), test.opts)
				var calls []*call
				for n, at := range test.come {
					<-time.After(time.Until(l.start.Add(time.Duration(at) * ms)))
					synctest.Wait() // what is due now has happened
					calls = append(calls, submit(b, n))
					synctest.Wait()
				}
				for _, c := range calls {
					c.answered(t)
				}
				if diff := cmp.Diff(test.want, l.all()); diff != "" {
					t.Errorf("batches (-want +got):\n%s", diff)
				}
				closed(t, b)
			})
		})
	}
}

// TestFewCallersDoNotStall has fewer callers than fit into a batch ask again and again: they must not wait for the delay
// each time.
func TestFewCallersDoNotStall(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			const callers, each = 4, 100
			b := batch.New(slow(ms), batch.Options{Size: 8, Delay: 100 * ms, Workers: workers})
			start := time.Now()
			var wg sync.WaitGroup
			for n := range callers {
				wg.Go(func() {
					for range each {
						if _, err := b.Submit(t.Context(), number(n)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if took := time.Since(start); took > 600*ms {
				t.Errorf("%d workers: %d requests of %d callers took %v", workers, callers*each, callers, took)
			}
			closed(t, b)
		})
	}
}

func TestTimingAndObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []batch.Batch
		run := slow(10 * ms)
		b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
			run(ctx, jobs, func(i int, r model.Result) {
				if numberOf(jobs[i]) == 2 {
					r.Response.Timing.Batch = 1 // this one ran apart
				}
				r.Response.Timing.Run = 10 * ms
				answer(i, r)
			})
		}, batch.Options{Size: 8, Observe: func(b batch.Batch) { seen = append(seen, b) }})
		calls := settled(b, 0)
		<-time.After(ms)
		calls = append(calls, settled(b, 1)...)
		<-time.After(2 * ms)
		calls = append(calls, settled(b, 2, 3)...)
		var got []model.Timing
		for _, c := range calls {
			c.answered(t)
			got = append(got, c.resp.Timing)
		}
		want := []model.Timing{{Run: 10 * ms, Batch: 1}, {Run: 10 * ms, Queue: 9 * ms, Batch: 3}, {Run: 10 * ms, Queue: 7 * ms, Batch: 1}, {Run: 10 * ms, Queue: 7 * ms, Batch: 3}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("timings (-want +got):\n%s", diff)
		}
		closed(t, b)
		if diff := cmp.Diff([]batch.Batch{{Size: 1}, {Size: 3, Wait: 9 * ms}}, seen); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
	})
}

func TestCallersLeave(t *testing.T) {
	t.Parallel()
	t.Run("the queue", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var l log
			g := newGate()
			b := batch.New(l.around(g.run), batch.Options{Size: 8, Queue: 3})
			calls := settled(b, 0, 1, 2, 3)
			if _, err := b.Enter(); !errors.Is(err, model.ErrQueueFull) {
				t.Errorf("Enter = %v, want %v", err, model.ErrQueueFull)
			}
			for _, n := range []int{2, 1, 3} { // from the middle, the front and the end
				calls[n].cancel()
				calls[n].failed(t, fault.Canceled, "gave up in the queue")
			}
			calls = append(calls[:1], settled(b, 4, 5, 6)...)
			g.proceed <- struct{}{}
			g.proceed <- struct{}{}
			for _, c := range calls {
				c.answered(t)
			}
			if diff := cmp.Diff([]string{"0: 0", "0: 4 5 6"}, l.all()); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
			closed(t, b)
		})
	})
	t.Run("a wait for company", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var l log
			b := batch.New(l.around(slow(10*ms)), batch.Options{Size: 8, Delay: 20 * ms})
			calls := settled(b, 0, 1, 2)
			calls[2].answered(t)
			oldest := settled(b, 3)[0] // at 20, until 40
			<-time.After(5 * ms)
			next := settled(b, 4)[0] // at 25, until 45
			<-time.After(5 * ms)
			oldest.cancel()
			oldest.failed(t, fault.Canceled)
			next.answered(t)
			settled(b, 5, 6, 7)[2].answered(t)
			last := settled(b, 8)[0] // waits, and leaves nothing behind
			if got := b.Stats(); got.Waiting != 1 || got.Running != 0 {
				t.Errorf("it does not wait: %+v", got)
			}
			last.cancel()
			last.failed(t, fault.Canceled)
			if diff := cmp.Diff([]string{"0: 0", "10: 1 2", "45: 4", "55: 5", "65: 6 7"}, l.all()); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
			closed(t, b)
		})
	})
	t.Run("a batch, some of them", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			b := batch.New(g.run, batch.Options{Size: 8})
			calls := settled(b, 0, 1, 2, 3)
			g.proceed <- struct{}{}
			calls[0].answered(t)
			synctest.Wait()
			calls[2].cancel()
			calls[2].failed(t, fault.Canceled, "gave up while the batch ran")
			g.proceed <- struct{}{}
			calls[1].answered(t)
			calls[3].answered(t)
			closed(t, b)
		})
	})
	t.Run("a batch, all of them", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			b := batch.New(g.run, batch.Options{Size: 8})
			calls := settled(b, 0, 1, 2)
			g.proceed <- struct{}{}
			synctest.Wait()
			calls[2].cancel()
			calls[1].cancel()
			calls[1].failed(t, fault.Canceled)
			calls[2].failed(t, fault.Canceled)
			synctest.Wait() // the gate lets a batch go whose context ends
			if got := b.Stats(); got.Running != 0 || got.Workers != 1 {
				t.Errorf("the batch goes on: %+v", got)
			}
			closed(t, b)
		})
	})
	t.Run("a batch, all that still want an answer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var ended []error
			hold := newGate()
			run := func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
				if len(jobs) == 1 {
					hold.run(ctx, jobs, answer)
					ended = append(ended, ctx.Err())
					return
				}
				<-hold.proceed
				answer(1, reply(jobs[1]))
				<-ctx.Done()
				ended = append(ended, ctx.Err())
			}
			b := batch.New(run, batch.Options{Size: 8})
			calls := settled(b, 0, 1, 2)
			hold.proceed <- struct{}{}
			synctest.Wait()
			calls[1].cancel()
			calls[1].failed(t, fault.Canceled)
			hold.proceed <- struct{}{}
			calls[2].answered(t)
			synctest.Wait()
			if diff := cmp.Diff([]error{nil, context.Canceled}, ended, cmp.Comparer(errors.Is)); diff != "" {
				t.Errorf("contexts at the end (-want +got):\n%s", diff)
			}
			closed(t, b)
		})
	})
	t.Run("a batch, and one of them is answered all the same", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
				g.begun <- struct{}{}
				<-g.proceed
				for i, j := range jobs {
					if err := context.Cause(ctx); err != nil {
						t.Errorf("cancelled while request %d is waited for: %v", numberOf(j), err)
					}
					answer(i, reply(j))
				}
				if err := context.Cause(ctx); err != nil {
					t.Errorf("cancelled once all are answered: %v", err)
				}
			}, batch.Options{Size: 8})
			calls := settled(b, 0, 1, 2, 3)
			g.proceed <- struct{}{}
			synctest.Wait()
			calls[1].cancel()
			calls[1].failed(t, fault.Canceled)
			g.proceed <- struct{}{}
			calls[2].answered(t)
			calls[3].answered(t)
			closed(t, b)
		})
	})
	t.Run("as the answer comes", func(t *testing.T) {
		t.Parallel()
		var leave context.CancelFunc
		b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
			leave()
			echo(ctx, jobs, answer)
		}, batch.Options{})
		answers := 0
		for n := range 1000 {
			ctx, cancel := context.WithCancel(t.Context())
			leave = cancel
			resp, err := b.Submit(ctx, number(n))
			cancel()
			switch {
			case err == nil && string(resp.Body) == fmt.Sprint(n):
				answers++
			case !errors.Is(err, context.Canceled):
				t.Fatalf("Submit = %v, %v", resp, err)
			}
			for b.Stats().Running > 0 { // the next one sets leave
				runtime.Gosched()
			}
		}
		if answers == 0 {
			t.Error("no answer counted that came as its caller left")
		}
		closed(t, b)
	})
	t.Run("before they are queued", func(t *testing.T) {
		t.Parallel()
		b := batch.New(echo, batch.Options{Queue: 1})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 {
			if _, err := b.Submit(ctx, number(0)); !errors.Is(err, context.Canceled) {
				t.Errorf("Submit = %v, want %v", err, context.Canceled)
			}
		}
		closed(t, b)
	})
	t.Run("at their deadline", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			b := batch.New(func(context.Context, []model.Job, func(int, model.Result)) { <-stuck }, batch.Options{})
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := b.Submit(ctx, number(0))
			if fault.Of(err) != fault.Timeout || time.Since(start) != time.Second {
				t.Errorf("Submit = %v after %v", err, time.Since(start))
			}
			close(stuck)
			closed(t, b)
		})
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		stuck := make(chan struct{})
		b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
			switch numberOf(jobs[0]) {
			case 0: // at the end of its time
				<-time.After(2 * time.Second)
			case 1: // answers one of them, and heeds the context too late
				answer(0, reply(jobs[0]))
				<-ctx.Done()
				causes <- context.Cause(ctx)
				<-stuck
				answer(1, reply(jobs[1]))
				return
			}
			echo(ctx, jobs, answer)
		}, batch.Options{Size: 8, Timeout: 2*time.Second + ms})
		start := time.Now()
		calls := settled(b, 0, 1, 2)
		calls[0].answered(t)
		calls[1].answered(t)
		calls[2].failed(t, fault.Timeout, "2.001s")
		if took := time.Since(start); took != 4*time.Second+ms {
			t.Errorf("the limit was told after %v", took)
		}
		if cause := <-causes; fault.Of(cause) != fault.Timeout {
			t.Errorf("the batch was cancelled because of %v", cause)
		}
		next := settled(b, 3)[0]
		close(stuck)
		next.answered(t)
		<-time.After(time.Hour) // no limit of before ends anything
		settled(b, 4)[0].answered(t)
		closed(t, b)
	})
}

func TestRunMisbehaves(t *testing.T) {
	t.Parallel()
	var late func(i int, r model.Result)
	tests := []struct {
		name string
		run  batch.RunFunc
		want []string // what requests 1 and 2, which run together, get: a part of an answer or of an error
	}{
		{"panic", func(context.Context, []model.Job, func(int, model.Result)) { panic("no such label") }, []string{"panicked: no such label", "panicked: no such label"}},
		{"panic half-way", func(_ context.Context, jobs []model.Job, answer func(int, model.Result)) {
			answer(1, reply(jobs[1]))
			panic("oh")
		}, []string{"panicked: oh", "2"}},
		{"no answer", func(context.Context, []model.Job, func(int, model.Result)) {}, []string{"batch of 2 ended with 2 requests unanswered", "2 requests unanswered"}},
		{"one answer", func(_ context.Context, jobs []model.Job, answer func(int, model.Result)) { answer(0, reply(jobs[0])) }, []string{"1", "1 requests unanswered"}},
		{"two answers to one", func(ctx context.Context, jobs []model.Job, answer func(int, model.Result)) {
			echo(ctx, jobs, answer)
			answer(0, reply(jobs[1]))
			answer(1, model.Result{Err: errors.New("too late")})
		}, []string{"1", "2"}},
		{"answers to nobody", func(ctx context.Context, jobs []model.Job, answer func(int, model.Result)) {
			answer(-1, reply(jobs[0]))
			answer(2, reply(jobs[1]))
			echo(ctx, jobs, answer)
		}, []string{"1", "2"}},
		{"empty result", func(ctx context.Context, jobs []model.Job, answer func(int, model.Result)) {
			answer(0, model.Result{})
			echo(ctx, jobs, answer)
		}, []string{"answered with nothing", "2"}},
		{"both response and error", func(ctx context.Context, jobs []model.Job, answer func(int, model.Result)) {
			answer(1, model.Result{Response: &model.Response{}, Err: fmt.Errorf("%w: bad label", fault.Internal)})
			echo(ctx, jobs, answer)
		}, []string{"1", "bad label"}},
		{"the goroutine ends", func(context.Context, []model.Job, func(int, model.Result)) { runtime.Goexit() }, []string{"2 requests unanswered", "2 requests unanswered"}},
		{"answers from other goroutines", func(_ context.Context, jobs []model.Job, answer func(int, model.Result)) {
			var wg sync.WaitGroup
			for i, j := range jobs {
				for range 4 {
					wg.Go(func() { answer(i, reply(j)) })
				}
			}
			wg.Wait()
		}, []string{"1", "2"}},
		{"answers after the end", func(_ context.Context, _ []model.Job, answer func(int, model.Result)) { late = answer }, []string{"unanswered", "unanswered"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
					if len(jobs) == 2 {
						test.run(ctx, jobs, answer)
						return
					}
					g.run(ctx, jobs, answer)
				}, batch.Options{Size: 2})
				calls := settled(b, 0, 1, 2, 3)
				g.proceed <- struct{}{}
				calls[0].answered(t)
				synctest.Wait() // the worker goes on: 3 runs
				for i, c := range calls[1:3] {
					<-c.done
					if strings.Trim(test.want[i], "12") != "" {
						c.failed(t, fault.Internal, test.want[i])
						if c.resp != nil {
							t.Errorf("request %d got an answer with its error", c.n)
						}
						continue
					}
					c.answered(t)
				}
				if test.name == "answers after the end" && late != nil {
					late(0, reply(number(17))) // while request 3 is the worker's first
				}
				g.proceed <- struct{}{}
				calls[3].answered(t)
				closed(t, b)
			})
		})
	}
}

func TestEnterRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		opts  batch.Options
		enter int
		after func(t *testing.T, b *batch.Batcher)
		want  error
		words string
	}{
		{name: "no worker yet", opts: batch.Options{Workers: -1}, want: model.ErrNoWorker, words: "no worker"},
		{name: "no worker any more", after: func(_ *testing.T, b *batch.Batcher) { b.Resize(0) }, want: model.ErrNoWorker, words: "no worker"},
		{name: "full of those who prepare", opts: batch.Options{Queue: 3}, enter: 3, want: model.ErrQueueFull, words: "3 requests wait"},
		{name: "closed", after: closed, want: model.ErrClosed, words: "shutting down"},
		{name: "room", opts: batch.Options{Queue: 3}, enter: 2},
		{name: "no limit", enter: 1000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := batch.New(echo, test.opts)
			places := make([]batch.Place, test.enter)
			for i := range places {
				var err error
				if places[i], err = b.Enter(); err != nil {
					t.Fatal(err)
				}
			}
			if test.after != nil {
				test.after(t, b)
			}
			place, err := b.Enter()
			if !errors.Is(err, test.want) || err != nil && (fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), test.words)) {
				t.Errorf("Enter = %v, want %v", err, test.want)
			}
			place.Leave()
			for i := range places {
				places[i].Leave()
			}
			closed(t, b)
		})
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	b := batch.New(echo, batch.Options{Queue: 2})
	place, err := b.Enter()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Stats(), (batch.Stats{Waiting: 1, Remaining: 1, Workers: 1, Wanted: 1}); got != want {
		t.Errorf("while preparing: %+v, want %+v", got, want)
	}
	resp, err := place.Submit(t.Context(), number(5))
	if err != nil || string(resp.Body) != "5" {
		t.Errorf("Submit = %v, %v", resp, err)
	}
	place.Leave() // as a deferred one
	if _, err := place.Submit(t.Context(), number(6)); fault.Of(err) != fault.Internal || !strings.Contains(err.Error(), "twice") {
		t.Errorf("Submit in a used place = %v", err)
	}
	if got := b.Stats(); got.Waiting != 0 || got.Remaining != 2 {
		t.Errorf("after the answer: %+v", got)
	}
	var none batch.Place
	none.Leave()
	closed(t, b)
}

func TestResize(t *testing.T) {
	t.Parallel()
	t.Run("up", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			b := batch.New(g.run, batch.Options{})
			calls := settled(b, 0, 1, 2)
			b.Resize(3)
			synctest.Wait()
			if got := b.Stats(); got != (batch.Stats{Remaining: -1, Running: 3, Workers: 3, Wanted: 3}) {
				t.Errorf("three workers and three requests: %+v", got)
			}
			for range 3 {
				g.proceed <- struct{}{}
			}
			for _, c := range calls {
				c.answered(t)
			}
			closed(t, b)
		})
	})
	t.Run("down, while all of them work", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			b := batch.New(g.run, batch.Options{Workers: 3})
			calls := settled(b, 0, 1, 2, 3, 4)
			b.Resize(1)
			for n, want := range []batch.Stats{
				{Waiting: 2, Remaining: -1, Running: 3, Workers: 3, Wanted: 1},
				{Waiting: 2, Remaining: -1, Running: 2, Workers: 2, Wanted: 1},
				{Waiting: 2, Remaining: -1, Running: 1, Workers: 1, Wanted: 1},
				{Waiting: 1, Remaining: -1, Running: 1, Workers: 1, Wanted: 1},
				{Waiting: 0, Remaining: -1, Running: 1, Workers: 1, Wanted: 1},
				{Waiting: 0, Remaining: -1, Running: 0, Workers: 1, Wanted: 1},
			} {
				synctest.Wait()
				if got := b.Stats(); got != want {
					t.Errorf("after %d batches: %+v, want %+v", n, got, want)
				}
				g.proceed <- struct{}{}
			}
			<-g.proceed
			for _, c := range calls {
				c.answered(t)
			}
			closed(t, b)
		})
	})
	t.Run("to none and up again", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			b := batch.New(g.run, batch.Options{Size: 8})
			preparing, err := b.Enter()
			if err != nil {
				t.Fatal(err)
			}
			calls := settled(b, 0, 1)
			b.Resize(-1)
			g.proceed <- struct{}{}
			calls[0].answered(t)
			calls = append(calls, submit(&preparing, 2))
			synctest.Wait()
			if got, want := b.Stats(), (batch.Stats{Waiting: 2, Remaining: -1}); got != want || calls[1].over() {
				t.Errorf("without workers: %+v, want %+v", got, want)
			}
			b.Resize(1)
			g.proceed <- struct{}{}
			calls[1].answered(t)
			calls[2].answered(t)
			closed(t, b)
		})
	})
	t.Run("to none while the queue waits for company", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var l log
			b := batch.New(l.around(slow(10*ms)), batch.Options{Size: 8, Delay: 20 * ms})
			settled(b, 0, 1, 2)[2].answered(t)
			c := settled(b, 3)[0]
			b.Resize(0)
			<-time.After(80 * ms)
			b.Resize(1)
			c.answered(t)
			if diff := cmp.Diff([]string{"0: 0", "10: 1 2", "100: 3"}, l.all()); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
			closed(t, b)
		})
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("answers all", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(slow(10*ms), batch.Options{Size: 2, Delay: time.Hour})
			preparing, _ := b.Enter()
			gone, _ := b.Enter()
			calls := settled(b, 0, 1, 2, 3)
			over := make(chan error, 2)
			for range 2 {
				go func() { over <- b.Close(t.Context()) }()
			}
			synctest.Wait()
			b.Resize(0) // too late for that
			if _, err := b.Enter(); !errors.Is(err, model.ErrClosed) {
				t.Errorf("Enter = %v", err)
			}
			<-time.After(50 * ms)
			select {
			case err := <-over:
				t.Fatalf("Close = %v while a request is being prepared", err)
			default:
			}
			calls = append(calls, submit(&preparing, 4))
			for _, c := range calls { // the last one at once: nobody else will come
				c.answered(t)
			}
			synctest.Wait()
			gone.Leave()
			for range 2 {
				if err := <-over; err != nil {
					t.Errorf("Close = %v", err)
				}
			}
			closed(t, b)
		})
	})
	t.Run("without a worker", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(slow(10*ms), batch.Options{Size: 8})
			calls := settled(b, 0, 1, 2)
			b.Resize(0)
			calls[0].answered(t)
			closed(t, b)
			calls[1].answered(t)
			calls[2].answered(t)
		})
	})
	t.Run("with nothing to do", func(t *testing.T) {
		t.Parallel()
		closed(t, batch.New(echo, batch.Options{Workers: 3, Timeout: time.Hour}))
		closed(t, batch.New(echo, batch.Options{Workers: -1}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			if err := batch.New(echo, batch.Options{}).Close(ctx); err != nil {
				t.Errorf("Close = %v where nothing had to wait", err)
			}
		}
	})
	t.Run("does not wait for company", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(slow(10*ms), batch.Options{Size: 8, Delay: time.Hour})
			settled(b, 0, 1, 2)[2].answered(t)
			c := settled(b, 3)[0]
			start := time.Now()
			closed(t, b)
			c.answered(t)
			if took := time.Since(start); took != 10*ms {
				t.Errorf("Close took %v", took)
			}
		})
	})
	t.Run("out of patience with a batch alone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(slow(time.Hour), batch.Options{})
			c := settled(b, 0)[0]
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close = %v", err)
			}
			c.failed(t, fault.Unavailable, "shutting down")
			if took := time.Since(start); took != time.Second {
				t.Errorf("Close took %v", took)
			}
		})
	})
	t.Run("out of patience", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var cause error
			b := batch.New(func(ctx context.Context, _ []model.Job, answer func(i int, r model.Result)) {
				<-ctx.Done()
				<-time.After(5 * time.Second) // takes a while to notice
				cause = context.Cause(ctx)
				answer(0, model.Result{Err: ctx.Err()})
			}, batch.Options{Size: 2})
			preparing, _ := b.Enter()
			gone, _ := b.Enter()
			calls := settled(b, 0, 1, 2)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			over := make(chan error, 2)
			go func() { over <- b.Close(ctx) }()
			go func() { over <- b.Close(context.Background()) }()
			for _, c := range calls {
				c.failed(t, fault.Unavailable, "shutting down")
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("the callers were told after %v", took)
			}
			submit(&preparing, 3).failed(t, fault.Unavailable, "shutting down")
			errs := []error{<-over, <-over}
			if took := time.Since(start); took != 6*time.Second {
				t.Errorf("Close returned after %v, want it when the batch is over", took)
			}
			if !slices.ContainsFunc(errs, func(err error) bool {
				return errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "5 requests")
			}) {
				t.Errorf("Close = %v", errs)
			}
			if fault.Of(cause) != fault.Unavailable {
				t.Errorf("the batch was cancelled because of %v", cause)
			}
			gone.Leave()
			closed(t, b)
		})
	})
	t.Run("a batch that nobody waits for", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := batch.New(slow(time.Hour), batch.Options{})
			c := settled(b, 0)[0]
			c.cancel()
			start := time.Now()
			closed(t, b)
			if took := time.Since(start); took != 0 {
				t.Errorf("Close took %v", took)
			}
		})
	})
}

// TestOverload fills a queue that is limited in time: who would wait for too long is told so at once, how long it would
// be, and when to come again; who was let in is answered.
func TestOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(slow(10*ms), batch.Options{Wait: 40 * ms})
		var calls []*call
		for n := range 3 { // nothing is known of the pace yet: all of them come in
			calls = append(calls, submit(b, n))
			synctest.Wait()
		}
		for _, c := range calls {
			c.answered(t)
		}
		calls = settled(b, 3, 4, 5, 6, 7, 8) // one runs, and the last of the four that wait waits for 40 ms
		refused := calls[5]
		for _, c := range calls[:5] {
			c.answered(t)
		}
		refused.failed(t, fault.Unavailable, "4 requests wait", "about 50ms", "40ms")
		overload, ok := errors.AsType[*model.OverloadError](refused.err)
		if !ok || overload.RetryAfter() != 10*ms {
			t.Errorf("refused with %v, want to be told to come again in 10ms", refused.err)
		}
		settled(b, 10)[0].answered(t)
		closed(t, b)
	})
}

// TestPaceFollows has a model become slow and fast again: a pace of long ago keeps nobody out.
func TestPaceFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var took atomic.Int64 // workers read it while the test goes on
		took.Store(int64(time.Second))
		b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
			slow(time.Duration(took.Load()))(ctx, jobs, answer)
		}, batch.Options{Wait: 2500 * ms})
		for _, c := range settled(b, 0, 1, 2) {
			c.answered(t)
		}
		calls := settled(b, 3, 4, 5, 6, 7)
		calls[4].failed(t, fault.Unavailable)
		calls[3].failed(t, fault.Unavailable)
		took.Store(int64(ms))
		for _, c := range calls[:3] {
			c.answered(t)
		}
		for range 20 { // rounds of what is let in
			for _, c := range settled(b, 8, 9) {
				c.answered(t)
			}
		}
		for _, c := range settled(b, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19) {
			c.answered(t)
		}
		closed(t, b)
	})
}

// TestOverdue has a model become slow while requests wait that were expected to wait for less: they are told as soon as
// their time has passed, and those behind them are answered.
func TestOverdue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(slow(50*ms), batch.Options{Wait: 30 * ms})
		start := time.Now()
		calls := settled(b, 0, 1)
		<-time.After(25 * ms)
		calls = append(calls, settled(b, 2)...)
		calls[1].failed(t, fault.Timeout, "waited for 30ms", "30ms")
		if took := time.Since(start); took > 31*ms {
			t.Errorf("it was told after %v", took)
		}
		calls[0].answered(t)
		calls[2].answered(t)
		calls = settled(b, 3, 4) // nothing is left of those before
		calls[0].answered(t)
		calls[1].failed(t, fault.Timeout)
		closed(t, b)
	})
}

// TestCompanyBeforeOverdue has requests wait for company for longer than anybody may wait: they run in time.
func TestCompanyBeforeOverdue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(slow(ms), batch.Options{Size: 8, Delay: time.Second, Wait: 20 * ms})
		for _, c := range settled(b, 0, 1, 2) { // the two that come together have the next one wait
			c.answered(t)
		}
		start := time.Now()
		settled(b, 3)[0].answered(t)
		if took := time.Since(start); took != 11*ms {
			t.Errorf("it was answered after %v", took)
		}
		closed(t, b)
	})
}

// TestPaceOfNobody has a request give up its place, and nobody come for a long time, which says nothing of the pace.
func TestPaceOfNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(slow(10*ms), batch.Options{Wait: time.Minute})
		first := settled(b, 0)[0]
		place, err := b.Enter()
		if err != nil {
			t.Fatal(err)
		}
		first.answered(t)
		place.Leave()
		<-time.After(time.Hour)
		settled(b, 1)[0].answered(t)
		for _, c := range settled(b, 2, 3, 4) {
			c.answered(t)
		}
		closed(t, b)
	})
}
