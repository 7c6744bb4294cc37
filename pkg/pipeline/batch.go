package pipeline

import (
	"context"

	"github.com/tsgo/tsgo/pkg/model"
)

// Batch answers several requests together, each in its own mode; results come in the order of reqs. A request that
// cannot be used fails alone.
func (p *Pipeline) Batch(ctx context.Context, reqs []*model.Request) []model.Result {
	results := make([]model.Result, len(reqs))
	var jobs []model.Job
	var at []int
	for i, req := range reqs {
		prepared, err := p.Prepare(ctx, req)
		if err != nil {
			results[i] = model.Result{Err: err}
			continue
		}
		jobs, at = append(jobs, prepared), append(at, i)
	}
	p.Run(ctx, jobs, func(i int, r model.Result) { results[at[i]] = r })
	return results
}
