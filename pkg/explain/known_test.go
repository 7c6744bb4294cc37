package explain_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestQuadratureIsTheTables(t *testing.T) {
	t.Parallel()
	var table map[string]struct{ Alpha, Weight []float64 }
	golden(t, "gauss_legendre.json", &table)
	if len(table) != 6 {
		t.Fatalf("the table has %d rules, want 6", len(table))
	}
	for name, want := range table {
		alphas, weights, err := explain.Quadrature("gausslegendre", len(want.Alpha))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]float64{alphas, weights}, [][]float64{want.Alpha, want.Weight}, near(1e-14)); diff != "" {
			t.Errorf("%s steps differ (-got +want):\n%s", name, diff)
		}
	}
}

func TestQuadratureIntegratesPolynomials(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 8, 200, 1001} { // exact up to the power 2n - 1
		alphas, weights, err := explain.Quadrature("gausslegendre", n)
		if err != nil || !slices.IsSorted(alphas) {
			t.Fatalf("%d steps: %v, %v", n, alphas, err)
		}
		for _, power := range []int{0, 1, 2*n - 1} {
			sum := 0.0
			for i, a := range alphas {
				sum += weights[i] * math.Pow(a, float64(power))
			}
			if want := 1 / float64(power+1); math.Abs(sum-want) > 1e-13 {
				t.Errorf("%d steps, power %d: %v, want %v", n, power, sum, want)
			}
		}
	}
}

// difference returns w · (x - b), element by element.
func difference(w []float64, x, b []float32) []float32 {
	out := make([]float32, len(w))
	for i := range out {
		out[i] = float32(w[i] * float64(x[i]-b[i]))
	}
	return out
}

func TestALinearFunctionIsExplainedExactly(t *testing.T) {
	t.Parallel()
	weights := [][]float64{{1, -2, 0, 0.5, 3}, {-1, 4, 0, 2, 1}}
	f := linear(weights...)
	x, b := []float32{1, 2, 3, 4, 5}, []float32{0.5, -1, 3, 0, 1}
	zeros := make([]float32, 5)
	for target, w := range weights {
		size := make([]float64, 5)
		for i, v := range w {
			size[i] = math.Abs(v)
		}
		square := make([]float64, 5)
		for i, v := range w {
			square[i] = v * v
		}
		tests := []struct {
			method    string
			params    explain.Params
			want      []float32
			tolerance float64
		}{
			{"integrated_gradients", explain.Params{}, difference(w, x, b), 1e-6},
			{"integrated_gradients", explain.Params{Steps: 1}, difference(w, x, b), 1e-6},
			{"integrated_gradients", explain.Params{Rule: "riemann_left", Steps: 3}, difference(w, x, b), 1e-6},
			{"integrated_gradients", explain.Params{Rule: "riemann_right", Steps: 3}, difference(w, x, b), 1e-6},
			{"integrated_gradients", explain.Params{Rule: "riemann_middle", Steps: 3}, difference(w, x, b), 1e-6},
			{"saliency", explain.Params{}, narrow(size), 0},
			{"saliency", explain.Params{Abs: "true"}, narrow(size), 0},
			{"saliency", explain.Params{Abs: "false"}, narrow(w), 0},
			{"input_x_gradient", explain.Params{}, difference(w, x, zeros), 1e-6},
			{"smoothgrad", explain.Params{}, narrow(w), 0},
			{"smoothgrad", explain.Params{Abs: "true"}, narrow(size), 0},
			{"smoothgrad", explain.Params{Of: "integrated_gradients", Samples: 2000, Sigma: 0.1, Steps: 2}, difference(w, x, b), 0.05},
			{"smoothgrad_sq", explain.Params{}, narrow(square), 1e-12},
			{"vargrad", explain.Params{}, zeros, 0},
			{"gradient_shap", explain.Params{}, difference(w, x, b), 1e-6},
			{"kernel_shap", explain.Params{}, difference(w, x, b), 1e-4},
			{"kernel_shap", explain.Params{Samples: 40}, difference(w, x, b), 1e-4},
			{"lime", explain.Params{Samples: 5000}, difference(w, x, b), 0.05},
			{"occlusion", explain.Params{Window: 1}, difference(w, x, b), 1e-6},
			{"leave_one_out", explain.Params{}, difference(w, x, b), 1e-6},
		}
		for _, test := range tests {
			req := vector(t, x, b)
			req.Target, req.Params = target, test.params
			got, err := every()[test.method](t.Context(), f, req)
			if err != nil {
				t.Errorf("%s %+v: %v", test.method, test.params, err)
				continue
			}
			if diff := cmp.Diff(floats(t, got.Attributions["x"]), test.want, near(test.tolerance)); diff != "" {
				t.Errorf("%s %+v: attributions differ (-got +want):\n%s", test.method, test.params, diff)
			}
			if c := got.Convergence; c != nil && (math.Abs(float64(c.Delta)) > 1e-4 || c.Relative > 1e-4 || len(got.Warnings) > 0) {
				t.Errorf("%s %+v: convergence %+v, warnings %q", test.method, test.params, *c, got.Warnings)
			}
		}
	}
}

// TestVarGradIsAVariance looks at a quadratic function, whose gradient varies exactly as the noise does.
func TestVarGradIsAVariance(t *testing.T) {
	t.Parallel()
	square := derived(func(row map[string][]float32, _ int) (float64, map[string][]float64) {
		sum, grad := 0.0, make([]float64, len(row["x"]))
		for i, v := range row["x"] {
			sum += float64(v) * float64(v)
			grad[i] = 2 * float64(v)
		}
		return sum, map[string][]float64{"x": grad}
	})
	x := []float32{1, -2, 3}
	for method, want := range map[string][]float32{
		"smoothgrad": {2, -4, 6}, "vargrad": {1, 1, 1}, "smoothgrad_sq": {5, 17, 37}, // 4 σ² = 1; 4 x² + 1
	} {
		req := vector(t, x, []float32{0, 0, 0})
		req.Params = explain.Params{Samples: 4000, Sigma: 0.5}
		got, err := every()[method](t.Context(), square, req)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(floats(t, got.Attributions["x"]), want, near(0.4)); diff != "" {
			t.Errorf("%s differs (-got +want):\n%s", method, diff)
		}
		if s := got.Parameters.Sigma; s == nil || *s != 0.5 || got.Parameters.Of != "saliency" || got.Parameters.Samples != 4000 {
			t.Errorf("%s: parameters %+v", method, got.Parameters)
		}
	}
	req := vector(t, x, []float32{0, 0, 0}) // the default is 0.15 of what lies between -2 and 3
	got, err := explain.VarGrad(t.Context(), square, req)
	if err != nil || math.Abs(*got.Parameters.Sigma-0.75) > 1e-12 || got.Parameters.Samples != 50 {
		t.Errorf("parameters %+v, %v", got.Parameters, err)
	}
}

// TestRISEConverges compares with the mean over all masks of seven bits along one axis, stretched as RISE does.
func TestRISEConverges(t *testing.T) {
	t.Parallel()
	const cells, side, cell = 7, 14, 2
	r := rand.New(rand.NewPCG(4, 4))
	x, b, w := random(r, side), random(r, side), widen(random(r, side))
	for _, keep := range []float64{0.5, 0.3} {
		want := make([]float64, side)
		for bits := range 1 << cells {
			chance := 1.0
			for i := range cells {
				if bits>>i&1 == 1 {
					chance *= keep
				} else {
					chance *= 1 - keep
				}
			}
			for offset := range cell {
				mask := make([]float64, side)
				score := 2.0
				for i := range mask {
					at := min(max((float64(i+offset)+0.5)*cells/((cells+1)*cell)-0.5, 0), cells-1)
					low := int(at)
					high := min(low+1, cells-1)
					mask[i] = float64(bits>>low&1)*(1-at+float64(low)) + float64(bits>>high&1)*(at-float64(low))
					score += w[i] * (float64(b[i]) + mask[i]*float64(x[i]-b[i]))
				}
				for i, m := range mask {
					want[i] += chance / cell * score * m / keep
				}
			}
		}
		req := vector(t, x, b)
		req.Params = explain.Params{P: keep, Samples: 20000}
		got, err := explain.RISE(t.Context(), linear(w), req)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(floats(t, got.Attributions["x"]), narrow(want), near(0.15)); diff != "" {
			t.Errorf("p %v: attributions differ (-got +want):\n%s", keep, diff)
		}
	}
}

func TestKernelSHAPSharesAmongElements(t *testing.T) {
	t.Parallel()
	req := picture(t, 3, 12) // 144 pixels in at most 20 segments
	req.Params = explain.Params{Segments: 20, Samples: 300}
	got, err := explain.KernelSHAP(t.Context(), newConvolved(3, 12), req)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, v := range floats(t, got.Attributions["x"]) {
		sum += float64(v)
	}
	difference := float64(got.Target.Value - got.Baseline.Value)
	if math.Abs(sum-difference) > 1e-3*math.Abs(difference) || got.Convergence == nil {
		t.Errorf("attributions sum to %v, want %v; convergence %+v", sum, difference, got.Convergence)
	}
	if n := got.Parameters.Segments; n < 9 || n > 20 {
		t.Errorf("%d segments, want nearly 20", n)
	}
}

func TestSamplingWarnsOfTooFewSamples(t *testing.T) {
	t.Parallel()
	for _, method := range []explain.Method{explain.LIME, explain.KernelSHAP} {
		x := random(rand.New(rand.NewPCG(1, 1)), 30)
		req := vector(t, x, make([]float32, 30))
		req.Params.Samples = 10
		got, err := method(t.Context(), linear(widen(x)), req)
		if err != nil || len(got.Warnings) != 1 {
			t.Errorf("warnings %q, %v", got.Warnings, err)
		}
		if slices.ContainsFunc(floats(t, got.Attributions["x"]), func(v float32) bool { return v != v }) {
			t.Errorf("attributions are %v", got.Attributions)
		}
	}
}

func TestLIMERefusesAKernelTooNarrow(t *testing.T) {
	t.Parallel()
	req := vector(t, random(rand.New(rand.NewPCG(1, 1)), 30), make([]float32, 30))
	req.Params.Width = 1e-6
	if _, err := explain.LIME(t.Context(), deaf{}, req); fault.Of(err) != fault.Invalid || err == nil {
		t.Errorf("got %v, want %v", err, fault.Invalid)
	}
}

func TestScoresThatAreNoNumbers(t *testing.T) {
	t.Parallel()
	f := scorer(func(map[string][]float32, int) float64 { return math.NaN() })
	for _, method := range []explain.Method{explain.LIME, explain.KernelSHAP, explain.RISE, explain.LeaveOneOut} {
		got, err := method(t.Context(), f, vector(t, []float32{1, 2}, []float32{0, 0}))
		if err != nil {
			t.Errorf("what is not a number: %v", err)
			continue
		}
		if v := floats(t, got.Attributions["x"])[0]; v == v {
			t.Errorf("the attribution of what is not a number is %v", v)
		}
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	const side = 28
	x := make([]float64, 3*side*side) // dark to the left of a slanting edge, bright to the right, and a little noise
	r := rand.New(rand.NewPCG(2, 2))
	left := func(i int) bool { return i%side < 10+i/side%side/4 }
	for i := range x {
		x[i] = r.Float64() / 10
		if !left(i) {
			x[i] += 2
		}
	}
	labels, n := explain.Segments(x, []int64{3, side, side}, 49)
	if n < 30 || n > 49 || slices.Max(labels) != n-1 {
		t.Errorf("%d segments, the highest is %d, want nearly 49", n, slices.Max(labels))
	}
	sides := map[int][2]int{}
	for i, label := range labels {
		count := sides[label]
		if left(i) {
			count[0]++
		} else {
			count[1]++
		}
		sides[label] = count
	}
	for label, count := range sides {
		if count[0] > 0 && count[1] > 0 {
			t.Errorf("segment %d lies on both sides of the edge: %v", label, count)
		}
	}
	if len(sides) != n {
		t.Errorf("%d of %d segments have cells", len(sides), n)
	}
}

func TestSegmentsOfEveryShape(t *testing.T) {
	t.Parallel()
	tests := []struct {
		shape []int64
		most  int
		want  int // 0: between a third of most and most
	}{
		{nil, 49, 1},
		{[]int64{5}, 49, 5},
		{[]int64{100}, 10, 10},
		{[]int64{7, 7}, 49, 49},
		{[]int64{3, 7, 7}, 49, 49},
		{[]int64{1, 28, 28}, 49, 0},
		{[]int64{1, 28, 28}, 1, 1},
		{[]int64{3, 2, 500}, 49, 0},
		{[]int64{1, 10, 12, 14}, 50, 0},
		{[]int64{60, 30}, 1000, 0},
	}
	for _, test := range tests {
		size, err := tensor.Size(test.shape)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range [][]float64{make([]float64, size), widen(random(rand.New(rand.NewPCG(6, 6)), int(size)))} {
			labels, n := explain.Segments(x, test.shape, test.most)
			used := map[int]bool{}
			for _, label := range labels {
				used[label] = true
			}
			if len(used) != n || n > test.most || test.want > 0 && n != test.want || 3*n < test.most && test.want == 0 {
				t.Errorf("%v in %d: %d segments, of which %d are used", test.shape, test.most, n, len(used))
			}
		}
	}
}

func TestGradientsOfAFunctionThatForgetsSome(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]explain.Function{
		"another input": derived(func(map[string][]float32, int) (float64, map[string][]float64) { return 0, map[string][]float64{} }),
		"a row":         forgetful{},
	} {
		if _, err := explain.Saliency(t.Context(), f, vector(t, []float32{1, 2}, []float32{0, 0})); err == nil {
			t.Errorf("a gradient without %s was taken", name)
		}
	}
}

// forgetful answers the gradient of one row, however many it is asked for.
type forgetful struct{ deaf }

func (forgetful) Gradients(_ context.Context, _ tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	g, err := tensor.New([]int64{1, 1}, []float32{1})
	return make([]float64, len(targets)), tensor.Named{"x": g}, err
}
