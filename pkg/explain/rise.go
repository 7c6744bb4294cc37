package explain

import (
	"context"
	"math/rand/v2"
)

// riseCells is how many cells a mask has along each axis.
const riseCells = 7

// RISE weighs random masks of the input with the score that is left (Petsiuk et al. 2018, arXiv:1806.07421): a cell gets
// the mean score over the masks that keep it. What a mask hides is the baseline's. It needs no gradient.
func RISE(ctx context.Context, f Function, req Request) (Explanation, error) {
	t, err := newTask(f, req)
	if err != nil {
		return Explanation{}, err
	}
	keep := req.Params.P
	if keep <= 0 {
		keep = 0.5
	}
	samples := t.samples(2000)
	t.told.Parameters.P = keep
	t.total = 2 + samples
	if err := t.ends(ctx); err != nil {
		return Explanation{}, err
	}
	random := t.random()
	sum := make([]float64, len(t.x))
	err = t.chunks(ctx, samples, func(_, n int) error {
		masks, points := make([][]float64, n), make([][]float64, n)
		for i := range masks {
			masks[i] = t.mask(random, keep)
			points[i] = masked(t.x, t.b, masks[i])
		}
		scores, err := t.scores(ctx, points)
		for i, s := range scores {
			add(sum, masks[i], s/(float64(samples)*keep))
		}
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	return t.explanation(sum)
}

// mask draws one mask over all inputs.
func (t *task) mask(random *rand.Rand, keep float64) []float64 {
	mask := make([]float64, len(t.x))
	for _, p := range t.parts {
		p.spread(mask, softMask(random, keep, p.grid.dims))
	}
	return mask
}

// softMask draws bits on a coarse grid, stretches them to one cell more than the axes have and cuts out a random part, so
// that their edges may lie anywhere.
func softMask(random *rand.Rand, keep float64, dims []int) []float64 {
	coarse, stretched, offset := make([]int, len(dims)), make([]int, len(dims)), make([]int, len(dims))
	for i, dim := range dims {
		coarse[i] = min(riseCells, dim)
		cell := (dim + coarse[i] - 1) / coarse[i]
		stretched[i] = (coarse[i] + 1) * cell
		offset[i] = random.IntN(cell)
	}
	bits := make([]float64, product(coarse))
	for i := range bits {
		if random.Float64() < keep {
			bits[i] = 1
		}
	}
	wide := resampled(bits, coarse, stretched)
	mask := make([]float64, 0, product(dims))
	part := window{from: offset, to: make([]int, len(dims))}
	for i, dim := range dims {
		part.to[i] = offset[i] + dim
	}
	for cell, n := range part.runs(stretched) {
		mask = append(mask, wide[cell:cell+n]...)
	}
	return mask
}

// masked returns x where mask is one, b where it is zero, and what lies between where it is.
func masked(x, b, mask []float64) []float64 {
	point := make([]float64, len(x))
	for k, m := range mask {
		point[k] = b[k] + m*(x[k]-b[k])
	}
	return point
}
