package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// TestStress has callers come, leave and give up, while workers come and go and the batcher is closed in the end: each
// request is answered once, by its own answer or by a reason that it has.
func TestStress(t *testing.T) {
	t.Parallel()
	for _, opts := range []batch.Options{
		{Size: 8, Delay: ms, Timeout: 2 * ms, Queue: 24, Workers: 2},
		{Size: 3, Delay: 100 * time.Microsecond, Workers: 4},
		{Size: 1, Timeout: ms, Queue: 40},
		{Size: 2, Delay: ms, Wait: 2 * ms, Workers: 2},
	} {
		for _, patient := range []bool{true, false} {
			t.Run(fmt.Sprintf("size %d, patient %v", opts.Size, patient), func(t *testing.T) {
				t.Parallel()
				stress(t, opts, patient)
			})
		}
	}
}

func stress(t *testing.T, opts batch.Options, patient bool) {
	t.Helper()
	const callers, each = 32, 150
	s := &stressed{t: t, size: opts.Size, times: make([]atomic.Int32, callers*each)}
	b := batch.New(s.run, opts)
	half := make(chan struct{}) // closed when half of the requests were made
	var made atomic.Int64
	var outcomes [5]atomic.Int64
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				if made.Add(1) == callers*each/2 {
					close(half)
				}
				outcomes[s.ask(b, c*each+i)].Add(1)
			}
		})
	}
	resized := make(chan struct{})
	go func() {
		defer close(resized)
		for {
			select {
			case <-half:
				b.Resize(2)
				return
			default:
				b.Resize(rand.IntN(5))
				runtime.Gosched()
			}
		}
	}()
	<-half
	<-resized
	for made.Load() < callers*each*3/4 {
		b.Resize(1 + rand.IntN(4))
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if !patient {
		cancel()
	}
	go b.Resize(0) // at the same time
	if err := b.Close(ctx); err != nil && (patient || !errors.Is(err, context.Canceled)) {
		t.Errorf("Close = %v", err)
	}
	all.Wait()
	if got := b.Stats(); got.Waiting != 0 || got.Running != 0 || got.Workers != 0 {
		t.Errorf("something is left: %+v", got)
	}
	t.Logf("answered %d, gone %d, too late %d, timed out %d, failed %d; batches %d; refused %d times", outcomes[0].Load(), outcomes[1].Load(),
		outcomes[2].Load(), outcomes[3].Load(), outcomes[4].Load(), s.batches.Load(), s.refused.Load())
	if outcomes[0].Load() == 0 || outcomes[1].Load() == 0 || outcomes[2].Load() == 0 {
		t.Error("some outcome never happened")
	}
}

type stressed struct {
	t       *testing.T
	size    int
	times   []atomic.Int32 // how often each request was run
	batches atomic.Int64
	refused atomic.Int64 // for the time being
}

// run answers in any order, and sometimes late, not at all, twice, or with a panic.
func (s *stressed) run(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	s.batches.Add(1)
	if len(jobs) == 0 || len(jobs) > s.size {
		s.t.Errorf("a batch of %d, at most %d are allowed", len(jobs), s.size)
	}
	for _, j := range jobs {
		if n := s.times[numberOf(j)].Add(1); n != 1 {
			s.t.Errorf("request %d ran %d times", numberOf(j), n)
		}
	}
	switch rand.IntN(16) {
	case 0:
		panic("in a batch")
	case 1:
		jobs = jobs[:len(jobs)-1]
	case 2: // until the time is over or everybody has gone
		select {
		case <-ctx.Done():
		case <-time.After(3 * ms):
		}
	case 3:
		runtime.Goexit()
	}
	for _, i := range rand.Perm(len(jobs)) {
		answer(i, reply(jobs[i]))
		if rand.IntN(4) == 0 {
			answer(i, model.Result{Err: errors.New("a second answer")})
		}
	}
}

// ask makes one request and tells what became of it: 0 answered, 1 gone, 2 too late, 3 timed out, 4 failed.
func (s *stressed) ask(b *batch.Batcher, n int) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch rand.IntN(8) {
	case 0:
		cancel()
	case 1, 2:
		timer := time.AfterFunc(rand.N(3*ms), cancel)
		defer timer.Stop()
	}
	place, err := b.Enter()
	for errors.Is(err, model.ErrQueueFull) || errors.Is(err, model.ErrNoWorker) {
		s.refused.Add(1)
		runtime.Gosched()
		place, err = b.Enter()
	}
	defer place.Leave()
	if err == nil && rand.IntN(16) == 0 {
		return 1
	}
	var resp *model.Response
	if err == nil {
		resp, err = place.Submit(ctx, number(n))
	}
	switch kind := fault.Of(err); {
	case err == nil:
		if got := string(resp.Body); got != fmt.Sprint(n) {
			s.t.Errorf("request %d got the answer to %s", n, got)
		}
		return 0
	case kind == fault.Canceled && ctx.Err() != nil:
		return 1
	case kind == fault.Unavailable:
		return 2
	case kind == fault.Timeout:
		return 3
	case kind == fault.Internal:
		return 4
	}
	s.t.Errorf("request %d: %v", n, err)
	return 4
}

// TestOrderAndSize checks, for random arrivals, that no batch holds more than fit, that requests start in the order in
// which they came, and that none waits for longer than it may.
func TestOrderAndSize(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			opts := batch.Options{Size: 1 + random.IntN(6), Delay: time.Duration(random.IntN(20)) * ms}
			run := time.Duration(1+random.IntN(10)) * ms
			var started []int
			b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
				if len(jobs) > opts.Size {
					t.Errorf("seed %d: a batch of %d, at most %d are allowed", seed, len(jobs), opts.Size)
				}
				for _, j := range jobs {
					started = append(started, numberOf(j))
				}
				slow(run)(ctx, jobs, answer)
			}, opts)
			var calls []*call
			for n := range 100 {
				if random.IntN(3) > 0 {
					<-time.After(time.Duration(random.IntN(8)) * ms)
				}
				calls = append(calls, settled(b, n)...)
			}
			for _, c := range calls {
				c.answered(t)
			}
			closed(t, b)
			for i, c := range calls {
				if started[i] != i {
					t.Fatalf("seed %d: started in the order %v", seed, started)
				}
				// the batches before it, its own, and one delay for each batch that was not full
				if ahead := time.Duration(i + 1); c.resp.Timing.Queue > ahead*(run+opts.Delay) {
					t.Errorf("seed %d: request %d waited %v", seed, i, c.resp.Timing.Queue)
				}
			}
		})
	}
}

func BenchmarkSubmit(b *testing.B) {
	q := batch.New(echo1, batch.Options{Size: 8, Delay: ms, Timeout: time.Minute, Queue: 100})
	j := number(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Submit(b.Context(), j); err != nil {
			b.Fatal(err)
		}
	}
	if err := q.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkSubmitParallel(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers %d", workers), func(b *testing.B) {
			var batches atomic.Int64
			q := batch.New(echo1, batch.Options{
				Size: 8, Delay: ms, Timeout: time.Minute, Workers: workers,
				Observe: func(batch.Batch) { batches.Add(1) },
			})
			j := number(1)
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := q.Submit(b.Context(), j); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(batches.Load()), "requests/batch")
			if err := q.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRefuse is what an overloaded server does most.
func BenchmarkRefuse(b *testing.B) {
	q := batch.New(echo1, batch.Options{Queue: 1})
	place, err := q.Enter()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Submit(b.Context(), nil); err == nil {
			b.Fatal("was let in")
		}
	}
	place.Leave()
	if err := q.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// echo1 answers with what costs nothing to make but the response.
func echo1(_ context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	for i := range jobs {
		answer(i, model.Result{Response: &model.Response{}})
	}
}
