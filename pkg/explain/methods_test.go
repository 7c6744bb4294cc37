package explain_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestEveryMethodIsNamed(t *testing.T) {
	t.Parallel()
	names := explain.Methods()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(every())), slices.Sorted(slices.Values(names))); diff != "" {
		t.Errorf("methods differ (-tested +named):\n%s", diff)
	}
	if names[0] != "integrated_gradients" {
		t.Errorf("the default method is %s", names[0])
	}
}

// quick are parameters with which no method takes long.
func quick() explain.Params {
	return explain.Params{Samples: 21, Steps: 11, Window: 2, Segments: 9}
}

// result is what may differ between explanations that ought to be the same.
func result(t *testing.T, x explain.Explanation) string {
	t.Helper()
	for name := range x.Attributions {
		if !slices.Contains(x.Inputs, name) {
			x.Inputs = append(x.Inputs, name)
		}
	}
	body, err := json.Marshal(x.Report())
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestEveryMethodIsDeterministic(t *testing.T) {
	t.Parallel()
	f := newConvolved(1, 6)
	for name, method := range every() {
		ask := func(seed uint64, rows int, target int) string {
			req := picture(t, 1, 6)
			req.Params, req.Rows, req.Target = quick(), rows, target
			req.Params.Seed = seed
			x, err := method(t.Context(), f, req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			x.Parameters.Seed = 0
			return result(t, x)
		}
		first := ask(1, 8, 0)
		for _, rows := range []int{1, 3, 8, 100} {
			if ask(1, rows, 0) != first {
				t.Errorf("%s: %d rows at once give another answer", name, rows)
			}
		}
		random := slices.Contains([]string{"smoothgrad", "smoothgrad_sq", "vargrad", "gradient_shap", "rise", "lime", "kernel_shap"}, name)
		if same := ask(2, 8, 0) == first; same == random {
			t.Errorf("%s: another seed gives the same answer: %t", name, same)
		}
		if ask(1, 8, 1) == first {
			t.Errorf("%s: another target gives the same answer", name)
		}
	}
}

func TestEveryMethodCountsItsRows(t *testing.T) {
	t.Parallel()
	for name, method := range every() {
		var steps [][2]int
		req := picture(t, 1, 6)
		req.Params = quick()
		req.Progress = func(done, total int) { steps = append(steps, [2]int{done, total}) }
		x, err := method(t.Context(), newConvolved(1, 6), req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		last := steps[len(steps)-1]
		if n := x.Runtime.ForwardEvaluations + x.Runtime.GradientEvaluations; last != [2]int{n, n} {
			t.Errorf("%s: the last progress is %v, after %d evaluations", name, last, n)
		}
		for i := 1; i < len(steps); i++ {
			if steps[i][0] <= steps[i-1][0] || steps[i][0]-steps[i-1][0] > 8 || steps[i][1] != last[1] {
				t.Errorf("%s: progress %v after %v", name, steps[i], steps[i-1])
			}
		}
		if x.Target.Value == 0 || x.Baseline.Value == 0 || x.Target.Value == x.Baseline.Value {
			t.Errorf("%s: scores %v and %v", name, x.Target.Value, x.Baseline.Value)
		}
		if gradient := x.Runtime.GradientEvaluations > 0; x.Exact != gradient {
			t.Errorf("%s: exact is %t after %d gradients", name, x.Exact, x.Runtime.GradientEvaluations)
		}
	}
}

// interrupted cancels a context during a chunk, and does not look at it.
type interrupted struct {
	convolved

	calls  *int
	last   int
	cancel func()
}

func (f interrupted) count() {
	if *f.calls++; *f.calls == f.last {
		f.cancel()
	}
}

func (f interrupted) Scores(_ context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	f.count()
	return f.convolved.Scores(context.Background(), rows, targets)
}

func (f interrupted) Gradients(_ context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	f.count()
	return f.convolved.Gradients(context.Background(), rows, targets)
}

func (f interrupted) WithRelu(context.Context, explain.ReluRule) (explain.Differentiable, error) {
	return f, nil
}

func (f interrupted) Layer(_ context.Context, layer string, rows tensor.Named, targets []int) (explain.Layer, error) {
	f.count()
	return f.convolved.Layer(context.Background(), layer, rows, targets)
}

func (f interrupted) Cut(ctx context.Context, layer string, input, baseline tensor.Named) (explain.Differentiable, tensor.Named, tensor.Named, string, error) { //nolint:revive // as the interface has it
	_, x, b, name, err := f.convolved.Cut(ctx, layer, input, baseline)
	return tail{f, f.after(name)}, x, b, name, err
}

// tail is what comes after the cut of an interrupted network.
type tail struct {
	interrupted

	rest derived
}

func (f tail) Scores(_ context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	f.count()
	return f.rest.Scores(context.Background(), rows, targets)
}

func (f tail) Gradients(_ context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	f.count()
	return f.rest.Gradients(context.Background(), rows, targets)
}

func TestEveryMethodEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, method := range every() {
		ask := func(after int) (calls int, err error) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req := picture(t, 1, 6)
			req.Params, req.Rows = quick(), 2
			_, err = method(ctx, interrupted{newConvolved(1, 6), &calls, after, cancel}, req)
			return calls, err
		}
		all, err := ask(0)
		if err != nil || all < 2 {
			t.Fatalf("%s: %d calls, %v", name, all, err)
		}
		for after := 1; after < min(all, 6); after++ {
			if calls, err := ask(after); !errors.Is(err, context.Canceled) || calls != after {
				t.Errorf("%s, canceled in call %d of %d: %v after %d", name, after, all, err, calls)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := method(ctx, newConvolved(1, 6), picture(t, 1, 6)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, canceled before: %v", name, err)
		}
	}
}

func TestGradientsGiveNothingToWhatIsIgnored(t *testing.T) {
	t.Parallel()
	f := newConvolved(2, 8)
	for name, method := range every() {
		if strings.Contains(name, "cam") && name != "guided_grad_cam" || slices.Contains([]string{"layer_integrated_gradients", "occlusion", "rise", "lime", "leave_one_out"}, name) {
			continue // these say nothing of single channels of a pixel
		}
		req := picture(t, 2, 8)
		req.Params = quick()
		if name == "kernel_shap" {
			req = greyscale(t)
			req.Params.Samples = 3000
		}
		x, err := method(t.Context(), ignoring{f, name}, req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		others := 0.0
		for i, v := range floats(t, x.Attributions["x"]) {
			ignored := i >= 2*64 && i/8%2 == 1 && i%2 == 1
			if name == "kernel_shap" {
				ignored = i == 0
			}
			if !ignored {
				others += math.Abs(float64(v))
			} else if math.Abs(float64(v)) > 1e-7 || v != 0 && name != "kernel_shap" {
				t.Errorf("%s: element %d, which is ignored, has %v", name, i, v)
			}
		}
		if others == 0 {
			t.Errorf("%s: everything is zero", name)
		}
	}
}

// greyscale is a request for a few numbers.
func greyscale(t *testing.T) explain.Request {
	t.Helper()
	return vector(t, []float32{3, 1, 2, -1}, []float32{0, 0, 0, 0})
}

// ignoring is a network that ignores some of its input; for kernel_shap one of vectors, that ignores the first element.
type ignoring struct {
	convolved

	method string
}

func (f ignoring) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	if f.method != "kernel_shap" {
		return f.convolved.Scores(ctx, rows, targets)
	}
	return linear([]float64{0, 1, -3, 2}).Scores(ctx, rows, targets)
}

func TestCompleteness(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		for _, test := range []struct {
			method   string
			params   explain.Params
			relative float32
		}{
			{"integrated_gradients", explain.Params{Steps: 200}, 1e-3},
			{"integrated_gradients", explain.Params{Steps: 500, Rule: "riemann_middle"}, 1e-3},
			{"layer_integrated_gradients", explain.Params{}, 1e-5}, // a polynomial
			{"gradient_shap", explain.Params{Samples: 3000}, 0.2},
			{"kernel_shap", explain.Params{}, 1e-3},
		} {
			req := picture(t, seed, 6)
			req.Params = test.params
			x, err := every()[test.method](t.Context(), newConvolved(seed, 6), req)
			if err != nil {
				t.Fatal(err)
			}
			if c := x.Convergence; c == nil || c.Relative > test.relative || c.Relative != c.Relative {
				t.Errorf("seed %d, %s: %+v", seed, test.method, c)
			}
		}
	}
}

func TestConvergenceWarns(t *testing.T) {
	t.Parallel()
	req := picture(t, 1, 6)
	req.Params = explain.Params{Steps: 2, Rule: "riemann_left"}
	x, err := explain.IntegratedGradients(t.Context(), newConvolved(1, 6), req)
	if err != nil || x.Convergence.Relative < 0.05 || len(x.Warnings) != 1 || !strings.Contains(x.Warnings[0], "ask for more steps") {
		t.Errorf("convergence %+v, warnings %q, %v", x.Convergence, x.Warnings, err)
	}
	// A function that is the same at both ends, and not between them, has no difference to compare with.
	bump := derived(func(row map[string][]float32, _ int) (float64, map[string][]float64) {
		v := float64(row["x"][0])
		return v * (1 - v), map[string][]float64{"x": {1 - 2*v}}
	})
	for rule, far := range map[string]bool{"gausslegendre": false, "riemann_left": true} {
		req := vector(t, []float32{1}, []float32{0})
		req.Params = explain.Params{Rule: rule, Steps: 10}
		x, err := explain.IntegratedGradients(t.Context(), bump, req)
		if err != nil || math.Abs(float64(x.Convergence.Delta)) > 0.05 == !far || math.IsInf(float64(x.Convergence.Relative), 0) {
			t.Errorf("%s: convergence %+v, %v", rule, x.Convergence, err)
		}
	}
}

func TestLinearityInTheFunction(t *testing.T) {
	t.Parallel()
	f, g := newConvolved(3, 6), newConvolved(4, 6)
	both := derived(func(row map[string][]float32, target int) (float64, map[string][]float64) {
		a, da := f.derived()(row, target)
		b, db := g.derived()(row, target)
		sum := make([]float64, len(da["x"]))
		for i := range sum {
			sum[i] = 2*da["x"][i] - 3*db["x"][i]
		}
		return 2*a - 3*b, map[string][]float64{"x": sum}
	})
	for _, name := range []string{"integrated_gradients", "input_x_gradient", "smoothgrad", "gradient_shap", "kernel_shap", "lime", "rise", "occlusion"} {
		attributions := func(f explain.Function) []float32 {
			req := picture(t, 5, 6)
			req.Params = quick()
			x, err := every()[name](t.Context(), f, req)
			if err != nil {
				t.Fatal(err)
			}
			return floats(t, x.Attributions["x"])
		}
		a, b, sum := attributions(f.derived()), attributions(g.derived()), attributions(both)
		for i := range a {
			a[i] = 2*a[i] - 3*b[i]
		}
		if diff := cmp.Diff(sum, a, near(1e-3)); diff != "" {
			t.Errorf("%s: the sum's attributions are not the attributions' sum (-got +want):\n%s", name, diff)
		}
	}
}

// TestSeveralInputsMoveTogether looks at a product of two inputs: integrated alone each would get all of it, or nothing.
func TestSeveralInputsMoveTogether(t *testing.T) {
	t.Parallel()
	f := derived(func(row map[string][]float32, _ int) (float64, map[string][]float64) {
		a, b, factor := float64(row["a"][0]), float64(row["b"][1]), float64(row["factor"][0])
		return a * b * factor, map[string][]float64{"a": {b * factor}, "b": {0, a * factor}, "factor": {a * b}}
	})
	req := explain.Request{
		Input: tensor.Named{
			"a": must(t, []int64{1}, []float32{3}), "b": must(t, []int64{1, 2}, []float32{7, 4}), "factor": must(t, []int64{1, 1}, []float32{2}),
		},
		Baseline: tensor.Named{"a": must(t, []int64{1}, []float32{0}), "b": must(t, []int64{1, 2}, []float32{0, 0})},
	}
	for name, tolerance := range map[string]float64{"integrated_gradients": 1e-5, "gradient_shap": 0.5, "kernel_shap": 0.5, "input_x_gradient": 0} {
		req.Params.Samples = 10000
		x, err := every()[name](t.Context(), f, req)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]float32{"a": {12}, "b": {0, 12}}
		if name == "input_x_gradient" {
			want = map[string][]float32{"a": {24}, "b": {0, 24}}
		}
		got := map[string][]float32{}
		for input, a := range x.Attributions {
			got[input] = floats(t, a)
		}
		if diff := cmp.Diff(got, want, near(tolerance)); diff != "" {
			t.Errorf("%s: attributions differ (-got +want):\n%s", name, diff)
		}
	}
}

func TestLeaveOneOut(t *testing.T) {
	t.Parallel()
	most := 0
	f := scorer(func(row map[string][]float32, target int) float64 { // the sum of the tokens' squares, and of the first's vector
		most++
		sum := float64(target)
		for _, id := range row["ids"] {
			sum += float64(id * id)
		}
		return sum + float64(row["vectors"][0]-row["vectors"][1])
	})
	req := explain.Request{
		Input: tensor.Named{
			"ids":     must(t, []int64{1, 4}, []int64{9, 0, 3, 2}),
			"vectors": must(t, []int64{1, 2, 2}, []float32{5, 1, 6, 6}),
			"mask":    must(t, []int64{1, 4}, []int64{1, 1, 1, 0}),
		},
		Baseline: tensor.Named{"ids": must(t, []int64{1, 4}, []int64{9, 0, 1, 0}), "vectors": must(t, []int64{1, 2, 2}, make([]float32, 4))},
		Target:   1,
	}
	x, err := explain.LeaveOneOut(t.Context(), f, req)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"ids": {0, 0, 8, 4}, "vectors": {4, 0}} {
		if diff := cmp.Diff(floats(t, x.Attributions[name]), want); diff != "" {
			t.Errorf("%s differ (-got +want):\n%s", name, diff)
		}
	}
	if len(x.Attributions) != 2 || x.Target.Value != 1+94+4 || x.Baseline.Value != 1+82 || x.Exact || x.Convergence != nil {
		t.Errorf("explanation says %+v", x)
	}
	if most != 6 { // the input, the baseline, and the four tokens that are not the baseline's
		t.Errorf("%d evaluations, want 6", most)
	}
	if _, err := explain.LeaveOneOut(t.Context(), short{}, req); fault.Of(err) != fault.Internal {
		t.Errorf("lost score: %v", err)
	}
}

func TestMethodsRefuse(t *testing.T) {
	t.Parallel()
	network := newConvolved(1, 6)
	with := func(p explain.Params) explain.Request {
		req := picture(t, 1, 6)
		req.Params = p
		return req
	}
	ids := explain.Request{
		Input: tensor.Named{"ids": must(t, []int64{1, 2}, []int64{1, 2})}, Baseline: tensor.Named{"ids": must(t, []int64{1, 2}, []int64{0, 0})},
	}
	row := vector(t, []float32{1, 2}, []float32{0, 0})
	tests := []struct {
		name   string
		method string
		f      explain.Function
		req    explain.Request
		kind   fault.Kind
		want   string
	}{
		{"no gradient", "integrated_gradients", deaf{}, row, fault.Unsupported, "needs the gradient of the function"},
		{"no gradient", "gradient_shap", deaf{}, row, fault.Unsupported, "ask for one of occlusion, rise, lime"},
		{"no gradient", "smoothgrad", deaf{}, row, fault.Unsupported, "needs the gradient"},
		{"no layers", "grad_cam", linear([]float64{1, 1}), row, fault.Unsupported, "needs the function's inner tensors"},
		{"no rules", "guided_backprop", linear([]float64{1, 1}), row, fault.Unsupported, "another rule for Relu"},
		{"no cut", "layer_integrated_gradients", linear([]float64{1, 1}), row, fault.Unsupported, "after one of its inner tensors"},
		{"rules alone", "guided_grad_cam", dense{}, row, fault.Unsupported, "needs the function's inner tensors"},
		{"identifiers", "integrated_gradients", network, ids, fault.Unsupported, `input "ids" is int64[1 2]`},
		{"identifiers", "kernel_shap", network, ids, fault.Unsupported, "leave_one_out"},
		{"no picture", "grad_cam", network, row, fault.Unsupported, "want a picture"},
		{"unknown layer", "grad_cam", network, with(explain.Params{Layer: "rely"}), fault.Invalid, `no layer "rely", did you mean "relu"?`},
		{"unknown cut", "layer_integrated_gradients", network, with(explain.Params{Layer: "rely"}), fault.Invalid, `did you mean "relu"?`},
		{"layer without axes", "grad_cam", flattened{network}, with(explain.Params{}), fault.Invalid, `layer "relu" is float32[1 36], want channels of two axes`},
		{"layer of other rows", "layer_cam", doubled{network}, with(explain.Params{}), fault.Internal, `layer "relu" of 1 rows`},
		{"one step of two ends", "integrated_gradients", network, with(explain.Params{Steps: 1, Rule: "riemann_trapezoid"}), fault.Invalid, "want at least 2"},
		{"unknown rule", "integrated_gradients", network, with(explain.Params{Rule: "simpson"}), fault.Invalid, `rule "simpson" is not known`},
		{"unknown method within", "smoothgrad", network, with(explain.Params{Of: "salience"}), fault.Invalid, `of "salience" is not known, did you mean "saliency"?`},
		{"no baseline", "rise", network, explain.Request{Input: row.Input}, fault.Invalid, "nothing to attribute"},
		{"no baseline", "layer_integrated_gradients", network, explain.Request{Input: row.Input}, fault.Invalid, "nothing to attribute"},
		{"no baseline", "leave_one_out", network, explain.Request{Input: row.Input}, fault.Invalid, "nothing to attribute"},
		{"lost score", "rise", short{}, row, fault.Internal, "scores for"},
	}
	for _, test := range tests {
		_, err := every()[test.method](t.Context(), test.f, test.req)
		if fault.Of(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s of %s: %v, want %v with %q", test.method, test.name, err, test.kind, test.want)
		}
	}
}

// flattened has a layer of one axis.
type flattened struct{ convolved }

func (f flattened) Layer(ctx context.Context, layer string, rows tensor.Named, targets []int) (explain.Layer, error) {
	l, err := f.convolved.Layer(ctx, layer, rows, targets)
	if err == nil {
		l.Activations, err = l.Activations.Reshape(l.Activations.Shape()[0], 36)
	}
	return l, err
}

// doubled answers a layer with twice as many rows.
type doubled struct{ convolved }

func (f doubled) Layer(ctx context.Context, layer string, rows tensor.Named, targets []int) (explain.Layer, error) {
	twice, _, err := tensor.Stack([]tensor.Named{rows, rows})
	if err != nil {
		return explain.Layer{}, err
	}
	return f.convolved.Layer(ctx, layer, twice, append(targets, targets...))
}

func TestParametersTellWhatWasUsed(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"integrated_gradients":       `{"steps":15,"rule":"gausslegendre","seed":7}`,
		"layer_integrated_gradients": `{"steps":50,"rule":"gausslegendre","layer":"relu","seed":7}`,
		"saliency":                   `{"abs":true,"seed":7}`,
		"input_x_gradient":           `{"seed":7}`,
		"grad_cam":                   `{"layer":"relu","relu":true,"seed":7}`,
		"layer_cam":                  `{"layer":"relu","seed":7}`,
		"gradient_shap":              `{"samples":50,"sigma":0,"seed":7}`,
		"rise":                       `{"samples":2000,"p":0.5,"seed":7}`,
		"lime":                       `{"samples":500,"width":0.25,"segments":36,"seed":7}`,
		"kernel_shap":                `{"samples":500,"segments":36,"seed":7}`,
		"occlusion":                  `{"window":[1,1],"stride":[1,1],"seed":7}`,
	}
	for name, want := range tests {
		req := picture(t, 1, 6)
		req.Params.Seed = 7
		x, err := every()[name](t.Context(), newConvolved(1, 6), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(x.Parameters)
		if err != nil || string(got) != want {
			t.Errorf("%s: parameters %s, %v, want %s", name, got, err, want)
		}
	}
	req := vector(t, []float32{1, 2}, []float32{0, 0})
	if x, err := explain.IntegratedGradients(t.Context(), linear([]float64{1, 2}), req); err != nil || x.Parameters.Steps != 50 {
		t.Errorf("steps of a vector: %+v, %v", x.Parameters, err)
	}
}

func TestGradientsOfEveryType(t *testing.T) {
	t.Parallel()
	pairs := map[string][2]tensor.Tensor{
		"float64":  {must(t, []int64{1, 2}, []float64{3, 4}), must(t, []int64{1, 2}, []float64{1, 1})},
		"float16":  {must(t, []int64{1, 2}, []tensor.Float16{0x4200, 0x4400}), must(t, []int64{1, 2}, []tensor.Float16{0x3c00, 0x3c00})},
		"bfloat16": {must(t, []int64{1, 2}, []tensor.BFloat16{0x4040, 0x4080}), must(t, []int64{1, 2}, []tensor.BFloat16{0x3f80, 0x3f80})},
	}
	for name, pair := range pairs {
		x, err := explain.IntegratedGradients(t.Context(), linear([]float64{1, 10}), explain.Request{
			Input: tensor.Named{"x": pair[0]}, Baseline: tensor.Named{"x": pair[1]},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(floats(t, x.Attributions["x"]), []float32{2, 30}, near(1e-5)); diff != "" {
			t.Errorf("%s: attributions differ (-got +want):\n%s", name, diff)
		}
	}
}

func BenchmarkMethods(b *testing.B) {
	x, err := tensor.New([]int64{1, 3, 224, 224}, random(rand.New(rand.NewPCG(1, 1)), 3*224*224))
	if err != nil {
		b.Fatal(err)
	}
	zeros, err := tensor.Make(tensor.Float32, x.Shape())
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"integrated_gradients", "smoothgrad", "rise", "lime", "kernel_shap"} {
		b.Run(name, func(b *testing.B) { // what the method itself costs: its function does next to nothing
			b.ReportAllocs()
			for b.Loop() {
				req := explain.Request{Input: tensor.Named{"x": x}, Baseline: tensor.Named{"x": zeros}, Params: explain.Params{Samples: 100}}
				if _, err := every()[name](b.Context(), idle{}, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// idle scores everything 0, with the input itself as gradient.
type idle struct{ deaf }

func (idle) Gradients(_ context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	return make([]float64, len(targets)), rows, nil
}
