package explain

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	surrogateSamples = 500
	surrogateCells   = 49 // segments of an input
)

// LIME switches segments of the input on and off at random and fits a linear function to the scores, in which inputs near
// the whole one count more (Ribeiro et al. 2016, arXiv:1602.04938). Each element gets its segment's coefficient. It needs
// no gradient.
func LIME(ctx context.Context, f Function, req Request) (Explanation, error) {
	width := req.Params.Width
	if width <= 0 {
		width = 0.25
	}
	s, err := newSurrogate(f, req)
	if err != nil {
		return Explanation{}, err
	}
	s.told.Parameters.Width = width
	s.draw = func(random *rand.Rand) []bool {
		bits := make([]bool, s.features())
		for i := range bits {
			bits[i] = random.Uint64()&1 == 1
		}
		return bits
	}
	s.weigh = func(bits []bool) float64 {
		d := 1 - math.Sqrt(float64(ones(bits))/float64(len(bits))) // the cosine distance from all of them on
		return math.Exp(-d * d / (2 * width * width))
	}
	if err := s.run(ctx); err != nil {
		return Explanation{}, err
	}
	fit, err := s.fit.coefficients(1)
	if err != nil {
		return Explanation{}, err
	}
	attributions := make([]float64, len(s.x))
	for k, segment := range s.of {
		attributions[k] = fit[segment]
	}
	return s.explanation(attributions)
}

// KernelSHAP switches segments of the input on and off, as many as the Shapley kernel says, and fits a linear function to
// the scores that is right where all are on and where all are off (Lundberg and Lee 2017, arXiv:1705.07874). A segment's
// share is divided among its elements, so that all of them sum to what the score has over the baseline's. It needs no
// gradient.
func KernelSHAP(ctx context.Context, f Function, req Request) (Explanation, error) {
	s, err := newSurrogate(f, req)
	if err != nil {
		return Explanation{}, err
	}
	sizes := kernelSizes(s.features())
	s.draw = func(random *rand.Rand) []bool { return coalition(random, sizes) }
	s.weigh = func([]bool) float64 { return 1 }
	if err := s.run(ctx); err != nil {
		return Explanation{}, err
	}
	const certain = 1e6 // the weight of what has to be right
	s.fit.observe(make([]bool, s.features()), 0, certain)
	s.fit.observe(slices.Repeat([]bool{true}, s.features()), s.score-s.origin, certain)
	fit, err := s.fit.coefficients(0)
	if err != nil {
		return Explanation{}, err
	}
	attributions := make([]float64, len(s.x))
	for k, segment := range s.of {
		attributions[k] = fit[segment] / float64(s.sizes[segment])
	}
	s.converge(attributions, "samples")
	return s.explanation(attributions)
}

// surrogate is a linear function of segments that are on or off, being fitted.
type surrogate struct {
	*task
	segmentation

	draw  func(random *rand.Rand) []bool
	weigh func(bits []bool) float64
	fit   *regression // of what the score has over the baseline's
}

func newSurrogate(f Function, req Request) (*surrogate, error) {
	t, err := newTask(f, req)
	if err != nil {
		return nil, err
	}
	most := req.Params.Segments
	if most <= 0 {
		most = surrogateCells
	}
	s := &surrogate{task: t, segmentation: t.segmented(most)}
	s.fit = newRegression(s.features())
	t.told.Parameters.Segments = s.features()
	return s, nil
}

func (s *surrogate) features() int { return len(s.sizes) }

// run scores the samples.
func (s *surrogate) run(ctx context.Context) error {
	n := s.samples(surrogateSamples)
	if n < s.features() {
		s.warn("%d samples of %d segments do not tell them apart: ask for more samples, or for fewer segments", n, s.features())
	}
	s.total = 2 + n
	if err := s.ends(ctx); err != nil {
		return err
	}
	random := s.random()
	return s.chunks(ctx, n, func(_, n int) error {
		bits, points := make([][]bool, n), make([][]float64, n)
		for i := range points {
			bits[i] = s.draw(random)
			points[i] = s.point(s.x, s.b, bits[i])
		}
		scores, err := s.scores(ctx, points)
		for i, score := range scores {
			s.fit.observe(bits[i], score-s.origin, s.weigh(bits[i]))
		}
		return err
	})
}

// kernelSizes returns, for each number of features that are on, how probable that number or a smaller one is: the Shapley
// kernel, summed up.
func kernelSizes(features int) []float64 {
	sums := make([]float64, features)
	for k := 1; k < features; k++ {
		sums[k] = sums[k-1] + float64(features-1)/float64(k*(features-k))
	}
	for k := range sums {
		sums[k] /= max(sums[features-1], math.SmallestNonzeroFloat64)
	}
	return sums
}

// coalition draws which features are on: how many as the sums say, and of that many any with equal probability.
func coalition(random *rand.Rand, sums []float64) []bool {
	on := make([]bool, len(sums))
	u, size := random.Float64(), 0
	for size < len(sums)-1 && sums[size] <= u {
		size++
	}
	for _, i := range random.Perm(len(on))[:size] {
		on[i] = true
	}
	return on
}

func ones(bits []bool) int {
	n := 0
	for _, on := range bits {
		if on {
			n++
		}
	}
	return n
}
