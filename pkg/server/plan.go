package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
)

// PlanKey is the key under which a model that is described tells its [Plan].
const PlanKey = "plan"

// Plan is how the runs of a model share the cores, and what a run costs, as measured when the model was loaded. All models
// share the cores that there are: a run waits until as many are free as it has threads.
type Plan struct {
	Cores    int     `json:"cores"`
	Threads  int     `json:"threads"`              // of one run
	Runs     int     `json:"runs"`                 // that have the cores at once
	Row      float64 `json:"rowMs,omitempty"`      // milliseconds of a run of one row; 0: not known
	Batch    int     `json:"batch,omitempty"`      // rows of the batch that BatchRow was measured on; 0: none was
	BatchRow float64 `json:"batchRowMs,omitempty"` // milliseconds of one row in it
	Why      string  `json:"why"`
}

// quick is how long a run takes at most that has nothing to gain from a second thread: waking one costs about as much.
const quick = 100 * time.Microsecond

// threads returns how many threads one run of a model has, and why: its workers together have the cores, and no more.
func (s *Server) threads(r model.Registration, m archive.Manifest) (n int, why string) {
	cores := s.opts.Cores
	if s.opts.Threads > cores {
		return cores, fmt.Sprintf("threads is set to %d, and there are %s", s.opts.Threads, count(cores, "core"))
	}
	if s.opts.Threads > 0 {
		return s.opts.Threads, fmt.Sprintf("threads is set to %d", s.opts.Threads)
	}
	workers := cmp.Or(m.MinWorkers, s.opts.Workers, cores)
	if r.Workers != nil && *r.Workers > 0 {
		workers = *r.Workers
	}
	return max(1, cores/workers), fmt.Sprintf("%s for %s", count(workers, "worker"), count(cores, "core"))
}

func (s *Server) plan(threads int, why string, cost pipeline.Cost) Plan {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 } //nolint:mnd // to milliseconds
	return Plan{
		Cores: s.opts.Cores, Threads: threads, Runs: s.opts.Cores / threads,
		Row: ms(cost.Row), Batch: cost.Batch, BatchRow: ms(cost.InBatch), Why: why,
	}
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// planned is a pipeline that tells how it is run.
type planned struct {
	*pipeline.Pipeline

	plan Plan
}

// Describe is the pipeline's, with the plan.
func (p planned) Describe(ctx context.Context) (map[string]any, error) {
	told, err := p.Pipeline.Describe(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is the pipeline's answer
	}
	about := map[string]any{PlanKey: p.plan}
	maps.Copy(about, told) // what a handler tells goes first
	return about, nil
}
