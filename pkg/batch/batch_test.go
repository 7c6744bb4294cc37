package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// job is a numbered job.
type job int

func (j job) Request() *model.Request { return &model.Request{ID: fmt.Sprint(int(j))} }

// echo answers each job with its number.
func echo(_ context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	for i, j := range jobs {
		answer(i, model.Result{Response: &model.Response{Body: fmt.Append(nil, int(j.(job)))}})
	}
}

// lasting is echo after a while of the fake clock, and remembers the batches.
type lasting struct {
	mu      sync.Mutex // guards batches
	batches [][]int
	time    time.Duration
}

func (l *lasting) run(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	var numbers []int
	for _, j := range jobs {
		numbers = append(numbers, int(j.(job)))
	}
	l.mu.Lock()
	l.batches = append(l.batches, numbers)
	l.mu.Unlock()
	select {
	case <-time.After(l.time):
		echo(ctx, jobs, answer)
	case <-ctx.Done():
	}
}

// submit sends jobs, in order, and waits for none of them.
func submit(t *testing.T, b *batch.Batcher, group *sync.WaitGroup, jobs ...job) {
	t.Helper()
	for _, j := range jobs {
		group.Go(func() {
			resp, err := b.Submit(context.Background(), j)
			if err != nil || string(resp.Body) != fmt.Sprint(int(j)) {
				t.Errorf("job %d: %v, %v", j, resp, err)
			}
		})
		synctest.Wait()
	}
}

func shut(t *testing.T, b *batch.Batcher) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestAdapts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lasting{time: 10 * time.Millisecond}
		b := batch.New(l.run, batch.Options{Size: 4, Delay: 50 * time.Millisecond})
		defer shut(t, b)
		var group sync.WaitGroup
		start := time.Now()
		submit(t, b, &group, 1)
		group.Wait()
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("a lone request took %v, want 10ms: it has nobody to wait for", took)
		}
		submit(t, b, &group, 2, 3, 4) // 2 alone, 3 and 4 while it runs
		group.Wait()
		start = time.Now()
		submit(t, b, &group, 5) // behind a batch of two: it waits for company
		<-time.After(20 * time.Millisecond)
		submit(t, b, &group, 6)
		group.Wait()
		if took := time.Since(start); took != 60*time.Millisecond {
			t.Errorf("company was waited for until %v, want 60ms: delay and run", took)
		}
		start = time.Now()
		submit(t, b, &group, 7, 8, 9, 10) // a full batch leaves at once
		group.Wait()
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("a full batch took %v, want 10ms", took)
		}
		want := [][]int{{1}, {2}, {3, 4}, {5, 6}, {7, 8, 9, 10}}
		if !slices.EqualFunc(l.batches, want, slices.Equal) {
			t.Errorf("batches %v, want %v", l.batches, want)
		}
	})
}

func TestMoreThanACollectorTakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lasting{time: 10 * time.Millisecond}
		b := batch.New(l.run, batch.Options{Size: 2, Delay: time.Second, Workers: 2})
		defer shut(t, b)
		var group sync.WaitGroup
		submit(t, b, &group, 1, 2, 3, 4) // 1 and 2 alone, 3 and 4 together
		group.Wait()
		start := time.Now()
		submit(t, b, &group, 5, 6, 7, 8)
		group.Wait()
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("two full batches on two workers took %v, want 10ms", took)
		}
	})
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lasting{time: time.Second}
		b := batch.New(l.run, batch.Options{Queue: 2})
		var group sync.WaitGroup
		submit(t, b, &group, 1, 2, 3) // one runs, two wait
		if _, err := b.Submit(context.Background(), job(4)); !errors.Is(err, model.ErrQueueFull) || fault.Of(err) != fault.Unavailable {
			t.Errorf("full queue: %v", err)
		}
		if got, want := b.Stats(), (batch.Stats{Waiting: 2, Running: 1, Workers: 1}); got != want {
			t.Errorf("stats %+v, want %+v", got, want)
		}
		group.Wait()
		place, err := b.Enter()
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Stats().Remaining; got != 1 {
			t.Errorf("%d places remain beside one that is being prepared, want 1", got)
		}
		place.Leave()
		b.Resize(0)
		if _, err := b.Enter(); !errors.Is(err, model.ErrNoWorker) {
			t.Errorf("no worker: %v", err)
		}
		shut(t, b)
		if _, err := b.Enter(); !errors.Is(err, model.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestCallersLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cancelled atomic.Bool
		b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
			select {
			case <-time.After(time.Second):
				echo(ctx, jobs, answer)
			case <-ctx.Done():
				cancelled.Store(true)
			}
		}, batch.Options{Size: 2, Queue: 2})
		defer shut(t, b)
		ctx, cancel := context.WithCancel(context.Background())
		leaving := func(j job) {
			if _, err := b.Submit(ctx, j); !errors.Is(err, context.Canceled) {
				t.Errorf("job %d: %v", j, err)
			}
		}
		go leaving(1)
		synctest.Wait()
		go leaving(2)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got := b.Stats(); !cancelled.Load() || got.Waiting != 0 || got.Running != 0 {
			t.Errorf("after all have left: cancelled %v, %+v", cancelled.Load(), got)
		}
		// One of two leaves: the other one is answered.
		cancelled.Store(false)
		ctx, cancel = context.WithCancel(context.Background())
		var group sync.WaitGroup
		submit(t, b, &group, 3)
		go leaving(4)
		synctest.Wait()
		submit(t, b, &group, 5)
		<-time.After(1500 * time.Millisecond) // 4 and 5 run together
		cancel()
		group.Wait()
		if cancelled.Load() {
			t.Error("a batch was cancelled although one of its callers still waited")
		}
	})
}

func TestRunsThatFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
			switch jobs[0].(job) {
			case 1:
				panic("a defect")
			case 2: // no answer
			case 3:
				<-ctx.Done()
				answer(0, model.Result{Err: ctx.Err()})
			default:
				echo(ctx, jobs, answer)
			}
		}, batch.Options{Timeout: time.Second})
		defer shut(t, b)
		for j, want := range map[job]fault.Kind{1: fault.Internal, 2: fault.Internal, 3: fault.Timeout} {
			if _, err := b.Submit(context.Background(), j); fault.Of(err) != want {
				t.Errorf("job %d: %v, want %v", j, err, want)
			}
		}
		var group sync.WaitGroup
		submit(t, b, &group, 4)
		group.Wait()
	})
}

func TestCloseAnswersWhoHasAPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lasting{time: time.Second}
		b := batch.New(l.run, batch.Options{})
		var group sync.WaitGroup
		submit(t, b, &group, 1, 2)
		place, err := b.Enter() // its caller still prepares
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() { shut(t, b) })
		synctest.Wait()
		group.Go(func() {
			<-time.After(5 * time.Second)
			if _, err := place.Submit(context.Background(), job(3)); err != nil {
				t.Errorf("job with a place: %v", err)
			}
		})
		group.Wait()
	})
}

func TestCloseLosesPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lasting{time: time.Hour}
		b := batch.New(l.run, batch.Options{})
		failed := make(chan error, 2)
		for j := range job(2) {
			go func() {
				_, err := b.Submit(context.Background(), j)
				failed <- err
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close = %v", err)
		}
		for range 2 {
			if err := <-failed; fault.Of(err) != fault.Unavailable && fault.Of(err) != fault.Canceled {
				t.Errorf("a job that was cut off: %v", err)
			}
		}
	})
}

// TestStress sends thousands of jobs while callers leave, workers come and go, and at last the batcher closes: each job is
// answered once, or refused, or left.
func TestStress(t *testing.T) {
	t.Parallel()
	const callers, each = 32, 300
	var largest, ran atomic.Int64
	b := batch.New(func(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
		for n := int64(len(jobs)); ; {
			if was := largest.Load(); n <= was || largest.CompareAndSwap(was, n) {
				break
			}
		}
		ran.Add(int64(len(jobs)))
		echo(ctx, jobs, answer)
	}, batch.Options{Size: 8, Delay: time.Millisecond, Queue: 64, Workers: 2})
	seed := rand.Uint64()
	stop := make(chan struct{})
	var group, chaos sync.WaitGroup
	chaos.Go(func() {
		random := rand.New(rand.NewPCG(seed, 999))
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				b.Resize(1 + random.IntN(4))
			}
		}
	})
	var answered atomic.Int64
	for caller := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(caller)))
			for n := range each {
				j := job(caller*each + n)
				ctx, cancel := context.WithCancel(context.Background())
				if random.IntN(10) == 0 {
					go cancel()
				}
				resp, err := b.Submit(ctx, j)
				cancel()
				switch {
				case err == nil && string(resp.Body) == fmt.Sprint(int(j)):
					answered.Add(1)
				case errors.Is(err, context.Canceled), errors.Is(err, model.ErrQueueFull):
				default:
					t.Errorf("seed %d, job %d: %v, %v", seed, j, resp, err)
				}
			}
		})
	}
	group.Wait()
	close(stop)
	chaos.Wait()
	shut(t, b)
	if largest.Load() > 8 || answered.Load() == 0 || ran.Load() < answered.Load() {
		t.Errorf("largest batch %d, %d ran, %d answered", largest.Load(), ran.Load(), answered.Load())
	}
	if got := b.Stats(); got.Waiting != 0 || got.Running != 0 {
		t.Errorf("stats after all: %+v", got)
	}
}

func BenchmarkSubmit(b *testing.B) {
	batcher := batch.New(echoOne, batch.Options{Size: 8, Workers: 2})
	defer batcher.Close(context.Background()) //nolint:errcheck // nothing is left
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := batcher.Submit(context.Background(), job(1)); err != nil {
				b.Error(err)
			}
		}
	})
}

func echoOne(_ context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	for i := range jobs {
		answer(i, model.Result{Response: &model.Response{}})
	}
}
