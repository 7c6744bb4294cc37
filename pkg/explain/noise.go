package explain

import (
	"context"
	"math/rand/v2"
	"slices"
)

// SmoothGrad is the mean of a gradient method over noisy copies of the input (Smilkov et al. 2017, arXiv:1706.03825). It
// needs what that method needs.
func SmoothGrad(ctx context.Context, f Function, req Request) (Explanation, error) {
	return smooth(ctx, f, req, func(s *spreads) []float64 { return s.mean })
}

// SmoothGradSquared is the mean of a gradient method's squares over noisy copies of the input. It needs what that method
// needs.
func SmoothGradSquared(ctx context.Context, f Function, req Request) (Explanation, error) {
	return smooth(ctx, f, req, func(s *spreads) []float64 {
		out := s.variance()
		for k, m := range s.mean {
			out[k] += m * m
		}
		return out
	})
}

// VarGrad is the variance of a gradient method over noisy copies of the input (Adebayo et al. 2018, arXiv:1810.03292). It
// needs what that method needs.
func VarGrad(ctx context.Context, f Function, req Request) (Explanation, error) {
	return smooth(ctx, f, req, (*spreads).variance)
}

// spreads are means and sums of squared deviations from them, kept in a way that loses no digits.
type spreads struct {
	n                int
	mean, deviations []float64
}

func (s *spreads) add(values []float64) {
	if s.n == 0 {
		s.mean, s.deviations = make([]float64, len(values)), make([]float64, len(values))
	}
	s.n++
	for k, v := range values {
		d := v - s.mean[k]
		s.mean[k] += d / float64(s.n)
		s.deviations[k] += d * (v - s.mean[k])
	}
}

// variance returns the mean squared deviation from the mean.
func (s *spreads) variance() []float64 {
	out := slices.Clone(s.deviations)
	for k := range out {
		out[k] /= float64(s.n)
	}
	return out
}

const noiseSamples = 50 // of the methods that add noise

// smooth attributes noisy copies of the input and makes of all their attributions what result does.
func smooth(ctx context.Context, f Function, req Request, result func(*spreads) []float64) (Explanation, error) {
	of := req.Params.Of
	if of == "" {
		of = saliency
	}
	r, known := recipes()[of]
	if !known {
		return Explanation{}, unknown("of", of, smoothed())
	}
	t, err := newTask(f, req)
	if err != nil {
		return Explanation{}, err
	}
	p, err := r(ctx, t)
	if err != nil {
		return Explanation{}, err
	}
	samples := t.samples(noiseSamples)
	t.told.Parameters.Of = of
	t.total = 2 + samples*p.rows
	if err := t.ends(ctx); err != nil {
		return Explanation{}, err
	}
	noise := t.noise(0.15)
	var s spreads
	err = t.chunks(ctx, samples, func(_, n int) error {
		points := make([][]float64, n)
		for i := range points {
			points[i] = noise.around(t.x)
		}
		all, err := p.at(ctx, points)
		for _, a := range all {
			s.add(a)
		}
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	t.told.Exact = true
	return t.explanation(result(&s))
}

// smoothed returns the names of the methods that can be smoothed, the default one first.
func smoothed() []string {
	all := recipes()
	found := names(func(m namedMethod) bool { _, ok := all[m.name]; return ok && m.name != saliency })
	return append([]string{saliency}, found...)
}

// samples returns how many samples are drawn, and writes it down.
func (t *task) samples(otherwise int) int {
	n := t.req.Params.Samples
	if n <= 0 {
		n = otherwise
	}
	t.told.Parameters.Samples = n
	return n
}

// noise draws normal noise, for each input with its own deviation.
type noise struct {
	parts  []part
	sigmas []float64
	random *rand.Rand
}

// noise returns the noise that is asked for: of the given part of each input's range when nothing is said.
func (t *task) noise(part float64) *noise {
	n := &noise{parts: t.parts, random: t.random()}
	for _, p := range t.parts {
		sigma := t.req.Params.Sigma
		if sigma <= 0 {
			x := t.x[p.from:p.to]
			sigma = part * (slices.Max(x) - slices.Min(x))
		}
		n.sigmas = append(n.sigmas, sigma)
	}
	t.told.Parameters.Sigma = &n.sigmas[0]
	return n
}

// random returns the request's source of what is random.
func (t *task) random() *rand.Rand { return rand.New(rand.NewPCG(t.req.Params.Seed, 1)) }

// around returns a noisy copy of a point.
func (n *noise) around(point []float64) []float64 {
	noisy := slices.Clone(point)
	for i, p := range n.parts {
		if n.sigmas[i] == 0 {
			continue
		}
		for k := p.from; k < p.to; k++ {
			noisy[k] += n.sigmas[i] * n.random.NormFloat64()
		}
	}
	return noisy
}

// GradientSHAP is the mean, over random points between the baseline and the input, of the input less the baseline times
// the gradient there (Lundberg and Lee 2017, arXiv:1705.07874; Erion et al. 2019, arXiv:1906.10670). The input may get
// noise. It needs a [Differentiable] function.
func GradientSHAP(ctx context.Context, f Function, req Request) (Explanation, error) {
	t, err := newTask(f, req)
	if err != nil {
		return Explanation{}, err
	}
	d, err := differentiable(f)
	if err != nil {
		return Explanation{}, err
	}
	samples := t.samples(noiseSamples)
	t.total = 2 + samples
	if err := t.ends(ctx); err != nil {
		return Explanation{}, err
	}
	noise := t.noise(0)
	mean := make([]float64, len(t.x))
	err = t.chunks(ctx, samples, func(_, n int) error {
		ends, points := make([][]float64, n), make([][]float64, n)
		for i := range points {
			ends[i] = noise.around(t.x)
			points[i] = between(t.b, ends[i], noise.random.Float64())
		}
		grads, err := t.gradients(ctx, d, points)
		for i, g := range grads {
			for k, v := range g {
				mean[k] += (ends[i][k] - t.b[k]) * v / float64(samples)
			}
		}
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	t.converge(mean, "samples")
	t.told.Exact = true
	return t.explanation(mean)
}
