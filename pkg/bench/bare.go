package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Loop is work that is done over and over: Run is called by so many workers at once, and does as much as so many requests.
type Loop struct {
	Workers, Threads, Requests int // Threads of a run, for who reads it
	Run                        func(ctx context.Context) error
}

// String says how the loop uses the cores.
func (l Loop) String() string {
	return fmt.Sprintf("workers %d, threads %d, batch %d", l.Workers, l.Threads, l.Requests)
}

// Rate returns as how many requests a second the loop gets through, in about d. Work that is under way at the end is
// finished, and counts.
func (l Loop) Rate(ctx context.Context, d time.Duration) (float64, error) {
	var done atomic.Int64
	var workers sync.WaitGroup
	failed := make(chan error, l.Workers)
	start := time.Now()
	for range l.Workers {
		workers.Go(func() {
			for time.Since(start) < d {
				if err := l.Run(ctx); err != nil {
					failed <- err
					return
				}
				done.Add(int64(l.Requests))
			}
		})
	}
	workers.Wait()
	took := time.Since(start)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(done.Load()) / took.Seconds(), nil
	}
}

// Fastest runs each loop for about d, after once without a clock, and returns the one with the highest rate.
func Fastest(ctx context.Context, loops []Loop, d time.Duration) (Loop, error) {
	var fastest Loop
	best := -1.0
	for _, l := range loops {
		if err := l.Run(ctx); err != nil {
			return Loop{}, err
		}
		rate, err := l.Rate(ctx, d)
		if err != nil {
			return Loop{}, err
		}
		if rate > best {
			fastest, best = l, rate
		}
	}
	return fastest, nil
}

// Bare is a network alone, on all cores, in each way to use them: one run on all of them, or one on each, and what is in
// between.
type Bare struct {
	sessions []engine.Session
	loops    []Loop
}

// Arrangements returns the ways in which runs share the cores: how many of them there are at once, and how many threads each
// has.
func Arrangements(cores int) (workers, threads []int) {
	for t := 1; ; t = min(2*t, cores) {
		threads = append(threads, t)
		workers = append(workers, max(1, cores/t))
		if t >= cores {
			return workers, threads
		}
	}
}

// OpenBare opens the network, and makes of what one request is to it batches of up to the size given. Close is to be called.
// It returns [fault.Unsupported] for a network that does not take such a batch, however small.
func OpenBare(ctx context.Context, net engine.Network, open engine.Opener, request tensor.Named, limits Limits) (*Bare, error) {
	b := &Bare{}
	workers, threads := Arrangements(limits.Cores)
	for i := range workers {
		s, err := open(ctx, net, engine.Options{IntraOpThreads: threads[i]})
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		b.sessions = append(b.sessions, s)
		for n := 1; n <= max(1, limits.Batch); n *= 2 {
			whole, err := batchOf(request, n)
			if err != nil || s.Signature().Check(whole) != nil { // a network of a fixed batch
				break
			}
			b.loops = append(b.loops, Loop{workers[i], threads[i], n, func(ctx context.Context) error {
				_, err := s.Run(ctx, whole)
				return err
			}})
		}
	}
	if len(b.loops) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: the network runs in batches of another size", fault.Unsupported), b.Close())
	}
	return b, nil
}

// Limits are how far [OpenBare] goes.
type Limits struct {
	Cores int // threads of all runs together
	Batch int // requests in a batch
}

// batchOf stacks so many of the same.
func batchOf(request tensor.Named, n int) (tensor.Named, error) {
	parts := make([]tensor.Named, n)
	for i := range parts {
		parts[i] = request
	}
	whole, _, err := tensor.Stack(parts)
	return whole, err
}

// Loops returns the loops, for [Fastest].
func (b *Bare) Loops() []Loop { return b.loops }

// Close gives the network's memory back.
func (b *Bare) Close() error {
	var all []error
	for _, s := range b.sessions {
		all = append(all, s.Close())
	}
	b.sessions, b.loops = nil, nil
	return errors.Join(all...)
}

// Tap looks at what a model asks its network, so that a bare loop can ask the same. The zero value is ready.
type Tap struct {
	mu      sync.Mutex // guards what follows
	network engine.Network
	last    tensor.Named
	closed  atomic.Bool // nobody looks any more
}

// Opener returns an opener whose first network is looked at: others are the gradients of explanations.
func (t *Tap) Opener(open engine.Opener) engine.Opener {
	first := sync.Once{}
	return func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
		s, err := open(ctx, net, opts)
		if err != nil {
			return nil, err
		}
		first.Do(func() {
			t.network = net
			s = tapped{s, t}
		})
		return s, nil
	}
}

// Close ends looking, and returns the network and what it was asked last; nil where that was nothing that stacks. It is called
// when a request was answered that was alone: what several of them ask together cannot be told from what one asks.
func (t *Tap) Close() (engine.Network, tensor.Named) {
	t.closed.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.network, t.last
}

type tapped struct {
	engine.Session

	tap *Tap
}

func (s tapped) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	if !s.tap.closed.Load() {
		s.tap.look(in)
	}
	return s.Session.Run(ctx, in, want...)
}

// look keeps a copy of in: the memory is its owner's.
func (t *Tap) look(in tensor.Named) {
	twice, rows, err := tensor.Stack([]tensor.Named{in, in})
	if err != nil {
		return // inputs that do not stack make no batch either
	}
	copies, err := twice.Split(rows)
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = copies[0]
}
