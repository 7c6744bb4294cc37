package bench

import (
	"context"
	"time"
)

// Arrangement is a way to serve a model.
type Arrangement struct {
	Workers int // batches that run at once
	Threads int // of a run
	Batch   int // requests in a batch at most
}

// Trial is what an arrangement came to under as much load as it takes.
type Trial struct {
	Arrangement

	Concurrency int // callers that asked
	Result      *Result
	Within      bool // 99 of 100 answers came within the limit, and nothing failed
}

// SweepOptions say what is tried.
type SweepOptions struct {
	Cores int           // threads of all workers together
	Batch int           // the largest batch
	Limit time.Duration // how long 99 of 100 answers may take; 0: any time
	// Measure serves the model in a way and has so many callers ask.
	Measure func(ctx context.Context, a Arrangement, concurrency int) (*Result, error)
	// Tried is told of each trial; nil: nobody listens.
	Tried func(Trial)
}

// Sweep tries the ways to use the cores, and batches that double as long as that helps, and returns the trial of the highest
// throughput within the limit; nil: there is none. Each way is asked by twice as many callers as it answers at once, so that
// there is always a next batch, and by half of that where the limit is too short for it.
func Sweep(ctx context.Context, opts SweepOptions) (*Trial, error) {
	var best *Trial
	for _, a := range arrangements(opts.Cores) {
		top := 0.0
		for a.Batch = 1; a.Batch <= max(1, opts.Batch); a.Batch *= 2 {
			t, err := opts.try(ctx, a)
			if err != nil {
				return best, err
			}
			if t.Within && (best == nil || t.Result.Throughput() > best.Result.Throughput()) {
				best = &t
			}
			if !t.Within || t.Result.Throughput() < worthwhile*top {
				break // a larger batch takes longer still, or gains nothing
			}
			top = max(top, t.Result.Throughput())
		}
	}
	return best, nil
}

// worthwhile is the share of the best throughput below which larger batches are not tried: less is chance.
const worthwhile = 0.97

// arrangements returns the ways to use the cores: with as many workers as fill them, and with one more for each of these, so
// that one batch is made ready while another runs.
func arrangements(cores int) []Arrangement {
	workers, threads := Arrangements(cores)
	var all []Arrangement
	for i := range workers {
		all = append(all, Arrangement{Workers: workers[i], Threads: threads[i]}, Arrangement{Workers: 2 * workers[i], Threads: threads[i]})
	}
	return all
}

// try measures an arrangement.
func (o SweepOptions) try(ctx context.Context, a Arrangement) (t Trial, err error) {
	for _, callers := range []int{2 * a.Workers * a.Batch, a.Workers * a.Batch} {
		t = Trial{Arrangement: a, Concurrency: callers}
		if t.Result, err = o.Measure(ctx, a, callers); err != nil {
			return t, err
		}
		t.Within = t.Result.Answered > 0 && t.Result.Failed() == 0 && (o.Limit == 0 || t.Result.Quantile(0.99) <= o.Limit)
		if o.Tried != nil {
			o.Tried(t)
		}
		if err = ctx.Err(); err != nil || t.Within {
			return t, err
		}
	}
	return t, nil
}
