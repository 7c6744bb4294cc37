//go:build cgo

package explain_test

import (
	"math"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// How near the reference answers must be, relative to their largest value.
const (
	gradientLimit   = 1e-5
	integratedLimit = 1e-5
)

// picturesGolden are the reference answers about a network of pictures, rows after each other.
type picturesGolden struct {
	X, Y      []float64
	Target    []int
	Gradient  []float64
	IG15      []float64 `json:"integrated_gradients_15"`
	IG50      []float64 `json:"integrated_gradients_50"`
	IGHalf    []float64 `json:"integrated_gradients_15_baseline_0.5"`
	IGTrap    []float64 `json:"integrated_gradients_trapezoid_20"`
	Delta15   []float64 `json:"delta_15"`
	Delta50   []float64 `json:"delta_50"`
	DeltaHalf []float64 `json:"delta_15_baseline_0.5"`
	Guided    []float64 `json:"guided_backprop"`
	Deconv    []float64 `json:"deconvolution"`
	CAM       []float64 `json:"grad_cam"`
	CAMUp     []float64 `json:"grad_cam_upsampled_bilinear"`
	Layer     []float64 `json:"layer_gradient_x_activation"`
	LayerName string    `json:"grad_cam_tensor"`
	Occlusion []float64 `json:"occlusion_window_5_stride_3"`
	Ablation  []float64 `json:"feature_ablation_3x3_blocks"`
}

// half returns the row's half of values.
func half(values []float64, i int) []float64 { return values[i*len(values)/2 : (i+1)*len(values)/2] }

func TestTinyPicturesAreAsTheReference(t *testing.T) {
	t.Parallel()
	var want picturesGolden
	golden(t, "tiny_cnn.json", &want)
	s := differentiable(t, "testdata/tiny_cnn.onnx")
	x := tensor.Named{"x": must(t, []int64{2, 3, 10, 10}, narrow(want.X))}
	f := s.at(t, "y", explain.ScoresBest, row(t, x, 0))
	agree(t, "y", floats(t, s.run(t, x)["y"]), want.Y, 1e-6)

	scores, grads, err := f.Gradients(t.Context(), x, want.Target)
	if err != nil {
		t.Fatal(err)
	}
	agree(t, "gradient", floats(t, grads["x"]), want.Gradient, gradientLimit)
	for i, target := range want.Target {
		if y := half(want.Y, i)[target]; math.Abs(scores[i]-y) > 1e-6 {
			t.Errorf("score of row %d is %v, want %v", i, scores[i], y)
		}
	}
	layer, err := f.Layer(t.Context(), want.LayerName, x, want.Target)
	if err != nil {
		t.Fatal(err)
	}
	product := floats(t, layer.Activations)
	product = slices.Clone(product)
	for i, g := range floats(t, layer.Gradients) {
		product[i] *= g
	}
	agree(t, "gradient x activation", product, want.Layer, gradientLimit)
	maps, err := explain.GradCAMOf(layer)
	if err != nil {
		t.Fatal(err)
	}
	agree(t, "grad_cam", narrow(slices.Concat(maps...)), want.CAM, gradientLimit)
	if last, err := f.Layer(t.Context(), "", x, want.Target); err != nil || last.Name != "/Concat_output_0" {
		t.Errorf("the layer that is looked at by default is %q, %v, want what the last mean reads", last.Name, err)
	}
	for i := range want.Target {
		methodsAsTheReference(t, f, want, row(t, x, i), i)
	}
}

// methodsAsTheReference compares what the methods say of one row.
func methodsAsTheReference(t *testing.T, f explain.Function, want picturesGolden, x tensor.Named, i int) {
	t.Helper()
	for _, c := range []struct {
		method   string
		params   explain.Params
		baseline float32
		want     []float64
		delta    []float64
		limit    float64
	}{
		{"saliency", explain.Params{Abs: "false"}, 0, want.Gradient, nil, gradientLimit},
		{"integrated_gradients", explain.Params{}, 0, want.IG15, want.Delta15, integratedLimit},
		{"integrated_gradients", explain.Params{Steps: 50}, 0, want.IG50, want.Delta50, integratedLimit},
		{"integrated_gradients", explain.Params{Steps: 15}, 0.5, want.IGHalf, want.DeltaHalf, integratedLimit},
		{"integrated_gradients", explain.Params{Steps: 20, Rule: "riemann_trapezoid"}, 0, want.IGTrap, nil, integratedLimit},
		{"guided_backprop", explain.Params{}, 0, want.Guided, nil, gradientLimit},
		{"deconvolution", explain.Params{}, 0, want.Deconv, nil, gradientLimit},
		{"grad_cam", explain.Params{Relu: "false", Layer: want.LayerName}, 0, want.CAMUp, nil, gradientLimit},
		{"occlusion", explain.Params{Window: 5, Stride: 3}, 0, want.Occlusion, nil, gradientLimit},
		{"occlusion", explain.Params{Window: 3, Stride: 3}, 0, want.Ablation, nil, gradientLimit}, // blocks side by side
	} {
		got, err := every()[c.method](t.Context(), f, explain.Request{
			Input: x, Baseline: filled(t, x, c.baseline), Target: want.Target[i], Params: c.params,
		})
		if err != nil {
			t.Errorf("%s %+v: %v", c.method, c.params, err)
			continue
		}
		values := floats(t, got.Attributions["x"])
		one := half(c.want, i)
		agree(t, c.method, values, slices.Repeat(one, len(values)/len(one)), c.limit) // a map is the same for each channel
		if c.delta != nil && math.Abs(float64(got.Convergence.Delta)-c.delta[i]) > 1e-3*math.Abs(c.delta[i])+1e-5 {
			t.Errorf("%s %+v: delta is %v, want %v", c.method, c.params, got.Convergence.Delta, c.delta[i])
		}
	}
}

// textsGolden are the reference answers about a network of texts, rows after each other.
type textsGolden struct {
	IDs         [][]int64
	Mask        [][]int64
	Reference   [][]int64 `json:"reference_ids"`
	Target      []int
	Y           []float64
	IG15        []float64   `json:"layer_integrated_gradients_15"`
	IG50        []float64   `json:"layer_integrated_gradients_50"`
	Delta15     []float64   `json:"delta_15"`
	Delta50     []float64   `json:"delta_50"`
	Importances [][]float64 `json:"importances_50"`
	Shape       []int64
}

func TestTinyTextsAreAsTheReference(t *testing.T) {
	t.Parallel()
	var want textsGolden
	golden(t, "tiny_bert.json", &want)
	s := differentiable(t, "testdata/tiny_bert.onnx")
	shape := []int64{1, want.Shape[1]}
	for i, target := range want.Target {
		x := tensor.Named{"ids": must(t, shape, want.IDs[i]), "mask": must(t, shape, want.Mask[i])}
		f := s.at(t, "y", explain.ScoresBest, x)
		agree(t, "y", floats(t, s.run(t, x)["y"]), half(want.Y, i), 1e-6)
		for steps, values := range map[int][2][]float64{15: {want.IG15, want.Delta15}, 50: {want.IG50, want.Delta50}} {
			got, err := explain.LayerIntegratedGradients(t.Context(), f, explain.Request{
				Input: x, Baseline: tensor.Named{"ids": must(t, shape, want.Reference[i])}, Target: target, Params: explain.Params{Steps: steps},
			})
			if err != nil {
				t.Fatal(err)
			}
			a := got.Attributions[got.Inputs[0]]
			if !slices.Equal(a.Shape(), want.Shape[1:]) {
				t.Fatalf("attributions are %v, want rows of %v", a, want.Shape[1:])
			}
			agree(t, "layer_integrated_gradients", floats(t, a), half(values[0], i), integratedLimit)
			if delta := values[1][i]; math.Abs(float64(got.Convergence.Delta)-delta) > 1e-3*math.Abs(delta)+1e-5 {
				t.Errorf("%d steps: delta is %v, want %v", steps, got.Convergence.Delta, delta)
			}
			if steps == 50 {
				agree(t, "importances", importances(floats(t, a), len(want.IDs[i])), want.Importances[i], integratedLimit)
			}
		}
	}
}

// importances sums up what the elements of each token got, over the length of all of the sums.
func importances(values []float32, tokens int) []float32 {
	sums, length := make([]float64, tokens), 0.0
	for i, v := range values {
		sums[i*tokens/len(values)] += float64(v)
	}
	for _, s := range sums {
		length += s * s
	}
	for i := range sums {
		sums[i] /= math.Sqrt(length)
	}
	return narrow(sums)
}
