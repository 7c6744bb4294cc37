package explain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// derived is a function of one row, with its gradient by each input.
type derived func(row map[string][]float32, target int) (float64, map[string][]float64)

// Scores returns the scores alone.
func (d derived) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	return scorer(func(row map[string][]float32, target int) float64 {
		score, _ := d(row, target)
		return score
	}).Scores(ctx, rows, targets)
}

// Gradients returns the gradients as float32, as a network does.
func (d derived) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	all := map[string][]float32{}
	scores, err := scorer(func(row map[string][]float32, target int) float64 {
		score, grads := d(row, target)
		for name, g := range grads {
			all[name] = append(all[name], narrow(g)...)
		}
		return score
	}).Scores(ctx, rows, targets)
	if err != nil {
		return nil, nil, err
	}
	grads := tensor.Named{}
	for name, data := range all {
		if grads[name], err = tensor.New(rows[name].Shape(), data); err != nil {
			return nil, nil, err
		}
	}
	return scores, grads, nil
}

func narrow(values []float64) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}

func widen(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// linear is w · x and a constant, w by target.
func linear(w ...[]float64) derived {
	return func(row map[string][]float32, target int) (float64, map[string][]float64) {
		sum := 2.0
		for i, v := range row["x"] {
			sum += w[target][i] * float64(v)
		}
		return sum, map[string][]float64{"x": w[target]}
	}
}

// dense is two linear layers with a Relu between them.
type dense struct {
	first, last         [][]float64 // by output, then input
	firstBias, lastBias []float64
	rule                explain.ReluRule
}

func (d dense) derived() derived {
	return func(row map[string][]float32, target int) (float64, map[string][]float64) {
		score, grad := d.lastBias[target], make([]float64, len(row["x"]))
		for i, weights := range d.first {
			h := d.firstBias[i]
			for k, w := range weights {
				h += w * float64(row["x"][k])
			}
			score += d.last[target][i] * max(h, 0)
			back := relu(d.rule, h, d.last[target][i])
			for k, w := range weights {
				grad[k] += back * w
			}
		}
		return score, map[string][]float64{"x": grad}
	}
}

func (d dense) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	return d.derived().Scores(ctx, rows, targets)
}

func (d dense) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	return d.derived().Gradients(ctx, rows, targets)
}

func (d dense) WithRelu(_ context.Context, rule explain.ReluRule) (explain.Differentiable, error) {
	d.rule = rule
	return d, nil
}

// relu passes a gradient back through a Relu of h.
func relu(rule explain.ReluRule, h, g float64) float64 {
	if rule != explain.ReluDeconvolution && h <= 0 || rule != explain.ReluPlain && g < 0 {
		return 0
	}
	return g
}

// convolved is a network of pictures [3,side,side]: patches of 2x2 to four channels, Relu, the mean square of each channel,
// a linear layer to two scores. It keeps every interface that a method may ask for.
type convolved struct {
	side int
	conv []float64 // [4,3,2,2]
	bias []float64
	last []float64 // [2,4]
	rule explain.ReluRule
}

const channels = 4

func (c convolved) half() int { return c.side / 2 }

// index returns where a row has the pixel of a patch.
func (c convolved) index(channel, y, x, dy, dx int) int {
	return (channel*c.side+2*y+dy)*c.side + 2*x + dx
}

// hidden returns what the convolution makes of a picture.
func (c convolved) hidden(x []float32) []float64 {
	n := c.half()
	h := make([]float64, channels*n*n)
	for i := range h {
		out, cell := i/(n*n), i%(n*n)
		h[i] = c.bias[out]
		for k := range 12 {
			h[i] += c.conv[out*12+k] * float64(x[c.index(k/4, cell/n, cell%n, k/2%2, k%2)])
		}
	}
	return h
}

// after is the network after its Relu.
func (c convolved) after(name string) derived {
	cells := c.half() * c.half()
	return func(row map[string][]float32, target int) (float64, map[string][]float64) {
		score, grad := 0.0, make([]float64, channels*cells)
		for i, v := range row[name] {
			w := c.last[target*channels+i/cells] / float64(cells)
			score += w * float64(v) * float64(v)
			grad[i] = 2 * w * float64(v)
		}
		return score, map[string][]float64{name: grad}
	}
}

func (c convolved) derived() derived {
	n := c.half()
	return func(row map[string][]float32, target int) (float64, map[string][]float64) {
		h := c.hidden(row["x"])
		a := make([]float32, len(h))
		for i, v := range h {
			a[i] = float32(max(v, 0))
		}
		score, grads := c.after("a")(map[string][]float32{"a": a}, target)
		grad := make([]float64, len(row["x"]))
		for i, g := range grads["a"] {
			out, cell := i/(n*n), i%(n*n)
			back := relu(c.rule, h[i], g)
			for k := range 12 {
				grad[c.index(k/4, cell/n, cell%n, k/2%2, k%2)] += back * c.conv[out*12+k]
			}
		}
		return score, map[string][]float64{"x": grad}
	}
}

func (c convolved) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	return c.derived().Scores(ctx, rows, targets)
}

func (c convolved) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	return c.derived().Gradients(ctx, rows, targets)
}

func (c convolved) WithRelu(_ context.Context, rule explain.ReluRule) (explain.Differentiable, error) {
	c.rule = rule
	return c, nil
}

// activations returns what the Relu answers to rows of pictures.
func (c convolved) activations(rows tensor.Tensor) (tensor.Tensor, error) {
	x, err := tensor.Data[float32](rows)
	if err != nil {
		return tensor.Tensor{}, err
	}
	var a []float32
	size := 3 * c.side * c.side
	for i := 0; i < len(x); i += size {
		for _, v := range c.hidden(x[i : i+size]) {
			a = append(a, float32(max(v, 0)))
		}
	}
	n := int64(c.half())
	return tensor.New([]int64{rows.Shape()[0], channels, n, n}, a)
}

func (c convolved) known(layer string) error {
	if layer != "" && layer != "relu" {
		return fmt.Errorf("%w: no layer %q, did you mean %q?", fault.Invalid, layer, "relu")
	}
	return nil
}

func (c convolved) Layer(ctx context.Context, layer string, rows tensor.Named, targets []int) (explain.Layer, error) {
	if err := c.known(layer); err != nil {
		return explain.Layer{}, err
	}
	a, err := c.activations(rows["x"])
	if err != nil {
		return explain.Layer{}, err
	}
	_, grads, err := c.after("relu").Gradients(ctx, tensor.Named{"relu": a}, targets)
	return explain.Layer{Name: "relu", Activations: a, Gradients: grads["relu"]}, err
}

func (c convolved) Cut(_ context.Context, layer string, input, baseline tensor.Named) (explain.Differentiable, tensor.Named, tensor.Named, string, error) { //nolint:revive // as the interface has it
	if err := c.known(layer); err != nil {
		return nil, nil, nil, "", err
	}
	x, err := c.activations(input["x"])
	if err != nil {
		return nil, nil, nil, "", err
	}
	b, err := c.activations(baseline["x"])
	return c.after("relu"), tensor.Named{"relu": x}, tensor.Named{"relu": b}, "relu", err
}

// newConvolved returns such a network with random weights, to which the last pixel of a patch means nothing in the last
// channel.
func newConvolved(seed uint64, side int) convolved {
	r := rand.New(rand.NewPCG(seed, 7))
	c := convolved{side: side, conv: widen(random(r, channels*12)), bias: widen(random(r, channels)), last: widen(random(r, 2*channels))}
	for out := range channels {
		c.conv[out*12+11] = 0
	}
	return c
}

// every is each method by its name.
func every() map[string]explain.Method {
	return map[string]explain.Method{
		"integrated_gradients": explain.IntegratedGradients, "saliency": explain.Saliency, "input_x_gradient": explain.InputXGradient,
		"smoothgrad": explain.SmoothGrad, "smoothgrad_sq": explain.SmoothGradSquared, "vargrad": explain.VarGrad,
		"gradient_shap": explain.GradientSHAP, "grad_cam": explain.GradCAM, "grad_cam_pp": explain.GradCAMPP, "layer_cam": explain.LayerCAM,
		"guided_backprop": explain.GuidedBackprop, "deconvolution": explain.Deconvolution, "guided_grad_cam": explain.GuidedGradCAM,
		"layer_integrated_gradients": explain.LayerIntegratedGradients, "occlusion": explain.Occlusion, "rise": explain.RISE,
		"lime": explain.LIME, "kernel_shap": explain.KernelSHAP, "leave_one_out": explain.LeaveOneOut,
	}
}

// picture is a request for a random picture, against a baseline that is not zero.
func picture(t *testing.T, seed uint64, side int) explain.Request {
	t.Helper()
	n := 3 * side * side
	b := make([]float32, n)
	for i := range b {
		b[i] = 0.25
	}
	shape := []int64{1, 3, int64(side), int64(side)}
	return explain.Request{
		Input:    tensor.Named{"x": must(t, shape, random(rand.New(rand.NewPCG(seed, 3)), n))},
		Baseline: tensor.Named{"x": must(t, shape, b)},
	}
}

// vector is a request for a vector.
func vector(t *testing.T, x, b []float32) explain.Request {
	t.Helper()
	shape := []int64{1, int64(len(x))}
	return explain.Request{Input: tensor.Named{"x": must(t, shape, x)}, Baseline: tensor.Named{"x": must(t, shape, b)}}
}

// golden reads a file of testdata.
func golden(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
