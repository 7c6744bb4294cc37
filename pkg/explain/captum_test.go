package explain_test

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// captum is what scripts/reference/explain.py wrote of one network.
type captum map[string]json.RawMessage

func (c captum) floats(t *testing.T, key string) []float64 {
	t.Helper()
	var values []float64
	if err := json.Unmarshal(c[key], &values); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return values
}

func (c captum) request(t *testing.T, shape ...int64) explain.Request {
	t.Helper()
	var target int
	if err := json.Unmarshal(c["target"], &target); err != nil {
		t.Fatal(err)
	}
	return explain.Request{
		Input:    tensor.Named{"x": must(t, shape, narrow(c.floats(t, "x")))},
		Baseline: tensor.Named{"x": must(t, shape, narrow(c.floats(t, "baseline")))},
		Target:   target,
	}
}

func networks(t *testing.T) (picture, vector captum) {
	t.Helper()
	var all struct{ Picture, Vector captum }
	golden(t, "captum.json", &all)
	return all.Picture, all.Vector
}

func matrix(values []float64, rows int) [][]float64 {
	return slices.Collect(slices.Chunk(values, len(values)/rows))
}

// comparison is one method with its parameters, and what it is called in the golden file.
type comparison struct {
	method string
	params explain.Params
	key    string
}

func compare(t *testing.T, f explain.Function, req explain.Request, all captum, comparisons []comparison) {
	t.Helper()
	methods := every()
	for _, c := range comparisons {
		req.Params = c.params
		got, err := methods[c.method](t.Context(), f, req)
		if err != nil {
			t.Errorf("%s: %v", c.key, err)
			continue
		}
		want := all.floats(t, c.key)
		highest := 0.0
		for _, v := range want {
			highest = max(highest, math.Abs(v))
		}
		for _, name := range slices.Sorted(maps.Keys(got.Attributions)) {
			values := floats(t, got.Attributions[name])
			every := slices.Repeat(narrow(want), len(values)/len(want)) // a map is the same for each channel of the picture
			if diff := cmp.Diff(values, every, near(2e-6*highest)); diff != "" {
				t.Errorf("%s: attributions differ (-got +want):\n%s", c.key, diff)
			}
		}
		if y := all.floats(t, "y")[req.Target]; math.Abs(float64(got.Target.Value)-y) > 1e-6 {
			t.Errorf("%s: the score is %v, want %v", c.key, got.Target.Value, y)
		}
		if rule, ok := strings.CutPrefix(c.key, "integrated_gradients "); ok {
			if want := all.floats(t, "delta "+rule)[0]; math.Abs(float64(got.Convergence.Delta)-want) > 1e-6 {
				t.Errorf("%s: delta is %v, want %v", c.key, got.Convergence.Delta, want)
			}
		}
	}
}

// anywhere are the comparisons that any network allows.
func anywhere() []comparison {
	all := []comparison{
		{"saliency", explain.Params{}, "saliency"},
		{"saliency", explain.Params{Abs: "false"}, "saliency signed"},
		{"input_x_gradient", explain.Params{}, "input_x_gradient"},
		{"guided_backprop", explain.Params{}, "guided_backprop"},
		{"deconvolution", explain.Params{}, "deconvolution"},
	}
	for _, rule := range []string{"gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"} {
		all = append(all, comparison{"integrated_gradients", explain.Params{Rule: rule, Steps: 15}, "integrated_gradients " + rule})
	}
	return all
}

func TestPicturesMatchCaptum(t *testing.T) {
	t.Parallel()
	all, _ := networks(t)
	f := convolved{side: 6, conv: all.floats(t, "conv.weight"), bias: all.floats(t, "conv.bias"), last: all.floats(t, "last.weight")}
	compare(t, f, all.request(t, 1, 3, 6, 6), all, append(anywhere(), []comparison{
		{"integrated_gradients", explain.Params{}, "integrated_gradients gausslegendre"}, // 15 steps are the default of pictures
		{"grad_cam", explain.Params{}, "grad_cam"},
		{"grad_cam", explain.Params{Relu: "false"}, "grad_cam signed"},
		{"grad_cam_pp", explain.Params{}, "grad_cam_pp"},
		{"layer_cam", explain.Params{Layer: "relu"}, "layer_cam"},
		{"guided_grad_cam", explain.Params{}, "guided_grad_cam"},
		{"layer_integrated_gradients", explain.Params{}, "layer_integrated_gradients"},
		{"occlusion", explain.Params{Window: 3, Stride: 2}, "occlusion"},
	}...))
}

func TestVectorsMatchCaptum(t *testing.T) {
	t.Parallel()
	_, all := networks(t)
	f := dense{
		first: matrix(all.floats(t, "first.weight"), 8), firstBias: all.floats(t, "first.bias"),
		last: matrix(all.floats(t, "last.weight"), 3), lastBias: all.floats(t, "last.bias"),
	}
	req := all.request(t, 1, 6)
	compare(t, f, req, all, anywhere())

	req.Params = explain.Params{Samples: 20000}
	got, err := explain.KernelSHAP(t.Context(), f, req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(floats(t, got.Attributions["x"]), narrow(all.floats(t, "shapley")), near(5e-3)); diff != "" {
		t.Errorf("Shapley values differ (-got +want):\n%s", diff)
	}
}
