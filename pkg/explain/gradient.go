package explain

import (
	"context"
	"fmt"
	"maps"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// pointwise attributes the score of a point, whatever the point: what smoothing can be laid over.
type pointwise struct {
	rows int // evaluated for each point
	at   func(ctx context.Context, points [][]float64) ([][]float64, error)

	// complete is set when the attributions of the input claim to sum to what its score has over the baseline's, and says
	// which parameter brings them nearer.
	complete string
}

// recipe makes what attributes the points of a task. It writes down the parameters that it uses.
type recipe func(ctx context.Context, t *task) (pointwise, error)

// recipes returns the gradient methods that smoothing can be laid over, the default one first.
func recipes() map[string]recipe {
	return map[string]recipe{
		saliency:            signedSaliency,
		"input_x_gradient":  inputXGradient,
		integratedGradients: integrate,
		"guided_backprop":   ruledGradient(ReluGuided),
		"deconvolution":     ruledGradient(ReluDeconvolution),
		"grad_cam":          reluGradCAM,
		"grad_cam_pp":       classActivation(gradCAMPP),
		"layer_cam":         classActivation(layerCAM),
		"guided_grad_cam":   guidedGradCAM,
	}
}

// attribute attributes the input of a request as r says.
func attribute(ctx context.Context, f Function, req Request, r recipe) (Explanation, error) {
	t, err := newTask(f, req)
	if err != nil {
		return Explanation{}, err
	}
	p, err := r(ctx, t)
	if err != nil {
		return Explanation{}, err
	}
	t.total = 2 + p.rows
	if err := t.ends(ctx); err != nil {
		return Explanation{}, err
	}
	all, err := p.at(ctx, [][]float64{t.x})
	if err != nil {
		return Explanation{}, err
	}
	if p.complete != "" {
		t.converge(all[0], p.complete)
	}
	t.told.Exact = true
	return t.explanation(all[0])
}

// converge tells how far attributions are from complete, and warns when that is far.
func (t *task) converge(attributions []float64, more string) {
	sum, size := 0.0, 0.0
	for _, v := range attributions {
		sum += v
		size += math.Abs(v)
	}
	difference := t.score - t.origin
	delta := sum - difference
	c := &Convergence{Delta: float32(delta)}
	switch {
	case difference != 0:
		c.Relative = float32(math.Abs(delta / difference))
	case size != 0:
		c.Relative = float32(math.Abs(delta) / size)
	}
	t.told.Convergence = c
	if c.Relative > tolerated {
		t.warn("the attributions miss the difference of the scores, %.3g, by %s %%: ask for more %s", difference, percent(c.Relative), more)
	}
}

// percent writes a share of 1 in two digits, or as many as stand before the point.
func percent(share float32) string {
	if share < 0.1 {
		return fmt.Sprintf("%.1f", 100*share)
	}
	return fmt.Sprintf("%.0f", 100*share)
}

// tolerated is how far from complete attributions may be, relatively, without a warning.
const tolerated = 0.05

// Saliency is the gradient's absolute value at the input (Simonyan et al. 2013, arXiv:1312.6034): how much the score
// moves with each element. It needs a [Differentiable] function.
func Saliency(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, func(_ context.Context, t *task) (pointwise, error) {
		return plainGradient(t, req.Params.Abs != "false")
	})
}

const saliency = "saliency"

// signedSaliency is saliency as smoothing averages it: with its sign unless told otherwise.
func signedSaliency(_ context.Context, t *task) (pointwise, error) {
	return plainGradient(t, t.req.Params.Abs == "true")
}

func plainGradient(t *task, abs bool) (pointwise, error) {
	d, err := differentiable(t.f)
	if err != nil {
		return pointwise{}, err
	}
	t.told.Parameters.Abs = &abs
	return t.mapped(d, func(_, g float64) float64 {
		if abs {
			return math.Abs(g)
		}
		return g
	}), nil
}

// mapped attributes to each element of a point what of makes of the element and of d's gradient by it.
func (t *task) mapped(d Differentiable, of func(x, g float64) float64) pointwise {
	return pointwise{rows: 1, at: func(ctx context.Context, points [][]float64) ([][]float64, error) {
		grads, err := t.gradients(ctx, d, points)
		for i, g := range grads {
			for k := range g {
				g[k] = of(points[i][k], g[k])
			}
		}
		return grads, err
	}}
}

// InputXGradient is the input times the gradient there (Shrikumar et al. 2016, arXiv:1605.01713). It needs a
// [Differentiable] function.
func InputXGradient(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, inputXGradient)
}

func inputXGradient(_ context.Context, t *task) (pointwise, error) {
	d, err := differentiable(t.f)
	if err != nil {
		return pointwise{}, err
	}
	return t.mapped(d, func(x, g float64) float64 { return x * g }), nil
}

// GuidedBackprop is the gradient at the input when what passes back through a Relu has to be positive, and the Relu's
// input too (Springenberg et al. 2014, arXiv:1412.6806). It needs a [Ruled] function.
func GuidedBackprop(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, ruledGradient(ReluGuided))
}

// Deconvolution is the gradient at the input when what passes back through a Relu has to be positive, whatever the Relu's
// input (Zeiler and Fergus 2013, arXiv:1311.2901). It needs a [Ruled] function.
func Deconvolution(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, ruledGradient(ReluDeconvolution))
}

func ruledGradient(rule ReluRule) recipe {
	return func(ctx context.Context, t *task) (pointwise, error) {
		d, err := ruled(ctx, t.f, rule)
		if err != nil {
			return pointwise{}, err
		}
		return t.mapped(d, func(_, g float64) float64 { return g }), nil
	}
}

// IntegratedGradients is the input less the baseline, times the mean gradient on the way from one to the other
// (Sundararajan et al. 2017, arXiv:1703.01365). The attributions sum to what the score has over the baseline's, as nearly
// as the steps allow. It needs a [Differentiable] function.
func IntegratedGradients(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, integrate)
}

func integrate(_ context.Context, t *task) (pointwise, error) {
	d, err := differentiable(t.f)
	if err != nil {
		return pointwise{}, err
	}
	steps, rule := t.req.Params.Steps, t.req.Params.Rule
	if steps <= 0 {
		steps = t.steps()
	}
	if rule == "" {
		rule = ruleGaussLegendre
	}
	alphas, weights, err := quadrature(rule, steps)
	if err != nil {
		return pointwise{}, err
	}
	t.told.Parameters.Steps, t.told.Parameters.Rule = steps, rule
	way := path{t, d, alphas, weights}
	return pointwise{rows: steps, complete: "steps", at: func(ctx context.Context, points [][]float64) ([][]float64, error) {
		all := make([][]float64, len(points))
		for i, x := range points {
			if all[i], err = way.to(ctx, x); err != nil {
				return nil, err
			}
		}
		return all, nil
	}}, nil
}

// steps returns the default number of steps: fewer for pictures, whose gradients take long.
func (t *task) steps() int {
	for _, p := range t.parts {
		if len(p.shape) == 3 {
			return 15
		}
	}
	return 50
}

// path is the straight way from the baseline to some point.
type path struct {
	t               *task
	d               Differentiable
	alphas, weights []float64
}

// to integrates the gradient on the way to x.
func (p path) to(ctx context.Context, x []float64) ([]float64, error) {
	b := p.t.b
	sum := make([]float64, len(x))
	err := p.t.chunks(ctx, len(p.alphas), func(from, n int) error {
		points := make([][]float64, n)
		for i := range points {
			points[i] = between(b, x, p.alphas[from+i])
		}
		grads, err := p.t.gradients(ctx, p.d, points)
		for i, g := range grads {
			for k, v := range g {
				sum[k] += p.weights[from+i] * v
			}
		}
		return err
	})
	for k := range sum {
		sum[k] *= x[k] - b[k]
	}
	return sum, err
}

// between returns the point that is that part of the way from b to x.
func between(b, x []float64, part float64) []float64 {
	point := make([]float64, len(x))
	for k := range point {
		point[k] = b[k] + part*(x[k]-b[k])
	}
	return point
}

// LayerIntegratedGradients is [IntegratedGradients] at a tensor within the function, as the output of a text's embedding:
// what comes after is integrated from what the baseline makes of it to what the input does. It needs a [Cutter].
func LayerIntegratedGradients(ctx context.Context, f Function, req Request) (Explanation, error) {
	if err := req.check(); err != nil {
		return Explanation{}, err
	}
	c, ok := f.(Cutter)
	if !ok {
		return Explanation{}, lacking("the function after one of its inner tensors")
	}
	whole := maps.Clone(req.Input)
	maps.Copy(whole, req.Baseline)
	after, x, b, name, err := c.Cut(ctx, req.Params.Layer, req.Input, whole)
	if err != nil {
		return Explanation{}, err
	}
	if _, ok := b[name]; !ok {
		return Explanation{}, fmt.Errorf("%w: the cut at %q gives no baseline of it", fault.Internal, name)
	}
	req.Input, req.Baseline = x, tensor.Named{name: b[name]}
	if req.Params.Steps <= 0 {
		req.Params.Steps = 50
	}
	told, err := IntegratedGradients(ctx, after, req)
	if err != nil {
		return Explanation{}, fmt.Errorf("at %q: %w", name, err)
	}
	told.Parameters.Layer, told.Inputs = name, []string{name}
	return told, nil
}
