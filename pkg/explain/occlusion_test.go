package explain_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// scorer is a function of one row: the elements of each input, and the target.
type scorer func(row map[string][]float32, target int) float64

// Scores asks the scorer for each row, and fails on rows that do not come with a target each.
func (s scorer) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	scores := make([]float64, len(targets))
	for i, target := range targets {
		row := map[string][]float32{}
		for name, t := range rows {
			if t.Shape()[0] != int64(len(targets)) {
				return nil, fmt.Errorf("input %q has %d rows for %d targets", name, t.Shape()[0], len(targets))
			}
			one, err := t.Rows(int64(i), int64(i)+1)
			if err != nil {
				return nil, err
			}
			if row[name], err = tensor.Float32s(one); err != nil {
				return nil, err
			}
		}
		scores[i] = s(row, target)
	}
	return scores, ctx.Err()
}

func must[T tensor.Element](tb testing.TB, shape []int64, data []T) tensor.Tensor {
	tb.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func floats(tb testing.TB, x tensor.Tensor) []float32 {
	tb.Helper()
	data, err := tensor.Data[float32](x)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func random(r *rand.Rand, n int) []float32 {
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return data
}

func near(tolerance float64) cmp.Option { return cmpopts.EquateApprox(0, tolerance) }

func TestOcclusionOfALinearFunction(t *testing.T) {
	t.Parallel()
	weights := [][]float64{{1, -2, 0, 0.5, 3}, {-1, 4, 0, 2, 1}}
	f := scorer(func(row map[string][]float32, target int) float64 {
		sum := 7.0
		for i, w := range weights[target] {
			sum += w * float64(row["x"][i])
		}
		return sum
	})
	x, b := []float32{1, 2, 3, 4, 5}, []float32{0.5, -1, 3, 0, 1}
	for target, w := range weights {
		got, err := explain.Occlusion(t.Context(), f, explain.Request{
			Input:    tensor.Named{"x": must(t, []int64{1, 5}, x)},
			Baseline: tensor.Named{"x": must(t, []int64{1, 5}, b)},
			Target:   target,
			Params:   explain.Params{Window: 1, Stride: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		want, sum, atBaseline := make([]float32, 5), 7.0, 7.0
		for i := range want {
			want[i] = float32(w[i] * float64(x[i]-b[i]))
			sum += w[i] * float64(x[i])
			atBaseline += w[i] * float64(b[i])
		}
		if diff := cmp.Diff(floats(t, got.Attributions["x"]), want, near(1e-6)); diff != "" {
			t.Errorf("target %d: attributions differ (-got +want):\n%s", target, diff)
		}
		if got.Attributions["x"].String() != "float32[5]" {
			t.Errorf("attributions are %v", got.Attributions["x"])
		}
		if got.Target.Index != target || got.Target.Value != float32(sum) || got.Baseline.Value != float32(atBaseline) {
			t.Errorf("target %+v, baseline %+v, want values %v and %v", got.Target, got.Baseline, sum, atBaseline)
		}
		if got.Exact || got.Convergence != nil || got.Runtime.ForwardEvaluations != 7 || got.Runtime.GradientEvaluations != 0 {
			t.Errorf("explanation says %+v", got)
		}
	}
}

// reference is occlusion cell by cell: for every element, all windows along every axis are tried, and those that cover it
// count.
func reference(x, b []float32, spec shapes, f func([]float32) float64) []float32 {
	starts := make([][]int, len(spec.cells))
	for i, dim := range spec.cells {
		n := int(math.Ceil(float64(dim-spec.window[i])/float64(spec.stride[i]))) + 1
		for k := range n {
			starts[i] = append(starts[i], k*spec.stride[i])
		}
	}
	boxes := [][]int{{}}
	for _, axis := range starts {
		var longer [][]int
		for _, box := range boxes {
			for _, start := range axis {
				longer = append(longer, append(slices.Clone(box), start))
			}
		}
		boxes = longer
	}
	inside := func(cell, box []int) bool {
		for i := range box {
			if cell[i] < box[i] || cell[i] >= box[i]+spec.window[i] {
				return false
			}
		}
		return true
	}
	sums, counts := make([]float64, len(x)), make([]float64, len(x))
	whole := f(x)
	for _, box := range boxes {
		hidden := slices.Clone(x)
		for i := range x {
			if inside(spec.cell(i), box) {
				hidden[i] = b[i]
			}
		}
		difference := whole - f(hidden)
		for i := range x {
			if inside(spec.cell(i), box) {
				sums[i] += difference
				counts[i]++
			}
		}
	}
	out := make([]float32, len(x))
	for i := range out {
		out[i] = float32(sums[i] / counts[i])
	}
	return out
}

// shapes is one random case.
type shapes struct {
	row            []int64
	channel        int // the axis of channels, -1 for none
	cells          []int
	window, stride []int
}

// cell returns where element i lies, channels aside.
func (s shapes) cell(i int) []int {
	at := make([]int, len(s.row))
	for axis := len(s.row) - 1; axis >= 0; axis-- {
		at[axis] = i % int(s.row[axis])
		i /= int(s.row[axis])
	}
	if s.channel >= 0 {
		at = slices.Delete(at, s.channel, s.channel+1)
	}
	return at
}

func TestOcclusionMatchesItsDefinition(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 1))
		spec, params, layout := shapes{channel: -1}, explain.Params{Window: 1 + r.IntN(4)}, explain.ChannelsFirst
		params.Stride = 1 + r.IntN(params.Window)
		for range 1 + r.IntN(3) {
			dim := 1 + r.IntN(9)
			spec.cells = append(spec.cells, dim)
			spec.row = append(spec.row, int64(dim))
			spec.window = append(spec.window, min(dim, params.Window))
			spec.stride = append(spec.stride, params.Stride)
		}
		if n := len(spec.cells); n >= 2 && (n == 3 || r.IntN(2) == 0) { // three axes are always read as channels and two more
			channels := int64(1 + r.IntN(3))
			spec.channel = 0
			if r.IntN(2) == 0 {
				spec.channel, layout = n, explain.ChannelsLast
			}
			spec.row = slices.Insert(spec.row, spec.channel, channels)
		}
		size, err := tensor.Size(spec.row)
		if err != nil {
			t.Fatal(err)
		}
		x, b, w := random(r, int(size)), random(r, int(size)), random(r, int(size))
		f := func(row []float32) float64 { // every element acts on every other one
			sum := 0.0
			for i, v := range row {
				sum += float64(v*w[i]) + 0.1*float64(v*row[(i*7+3)%len(row)])
			}
			return math.Tanh(sum / 5)
		}
		shape := append([]int64{1}, spec.row...)
		got, err := explain.Occlusion(t.Context(), scorer(func(row map[string][]float32, _ int) float64 { return f(row["x"]) }), explain.Request{
			Input: tensor.Named{"x": must(t, shape, x)}, Baseline: tensor.Named{"x": must(t, shape, b)},
			Params: params, Layout: layout, Rows: 1 + r.IntN(9),
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(got.Attributions["x"].Shape(), spec.row); diff != "" {
			t.Errorf("seed %d: shape differs (-got +want):\n%s", seed, diff)
		}
		if diff := cmp.Diff(floats(t, got.Attributions["x"]), reference(x, b, spec, f), near(1e-6)); diff != "" {
			t.Errorf("seed %d, row %v, window %v, stride %v: attributions differ (-got +want):\n%s", seed, spec.row, spec.window, spec.stride, diff)
		}
		if diff := cmp.Diff([][]int{got.Parameters.Window, got.Parameters.Stride}, [][]int{spec.window, spec.stride}); diff != "" {
			t.Errorf("seed %d: parameters differ (-got +want):\n%s", seed, diff)
		}
	}
}

func TestOcclusionGivesNothingToWhatIsIgnored(t *testing.T) {
	t.Parallel()
	shape := []int64{1, 3, 28, 28}
	x := random(rand.New(rand.NewPCG(1, 2)), 3*28*28)
	f := scorer(func(row map[string][]float32, _ int) float64 { // looks at rows of pixels 20 and below only
		sum := 0.0
		for i, v := range row["x"] {
			if i/28%28 >= 20 {
				sum += float64(v * v)
			}
		}
		return sum
	})
	got, err := explain.Occlusion(t.Context(), f, explain.Request{
		Input: tensor.Named{"x": must(t, shape, x)}, Baseline: tensor.Named{"x": must(t, shape, make([]float32, len(x)))},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.Parameters, explain.Parameters{Window: []int{4, 4}, Stride: []int{2, 2}}); diff != "" {
		t.Errorf("defaults differ (-got +want):\n%s", diff)
	}
	if want := 2 + 13*13; got.Runtime.ForwardEvaluations != want {
		t.Errorf("%d evaluations, want %d", got.Runtime.ForwardEvaluations, want)
	}
	for i, v := range floats(t, got.Attributions["x"]) {
		if y := i / 28 % 28; y < 18 && v != 0 || y >= 20 && v <= 0 {
			t.Fatalf("element %d, in line %d, has %v", i, y, v)
		}
	}
}

func TestOcclusionOfSeveralInputs(t *testing.T) {
	t.Parallel()
	var seen []float32
	f := scorer(func(row map[string][]float32, _ int) float64 {
		seen = append(seen, row["mask"]...)
		return float64(row["a"][0]*row["mask"][0] + 2*row["a"][1]*row["mask"][1] + 5*row["b"][0])
	})
	got, err := explain.Occlusion(t.Context(), f, explain.Request{
		Input: tensor.Named{
			"a": must(t, []int64{1, 2}, []float32{3, 4}), "b": must(t, []int64{1}, []float32{2}), "mask": must(t, []int64{1, 2}, []int64{1, 1}),
		},
		Baseline: tensor.Named{"a": must(t, []int64{1, 2}, []float32{0, 0}), "b": must(t, []int64{1}, []float32{1})},
		Params:   explain.Params{Window: 1}, Rows: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(floats(t, got.Attributions["a"]), []float32{3, 8}); diff != "" {
		t.Errorf("a differs (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(floats(t, got.Attributions["b"]), []float32{5}); diff != "" {
		t.Errorf("b differs (-got +want):\n%s", diff)
	}
	if len(got.Attributions) != 2 || got.Attributions["b"].String() != "float32[]" {
		t.Errorf("attributions are %v", got.Attributions)
	}
	if slices.ContainsFunc(seen, func(v float32) bool { return v != 1 }) {
		t.Errorf("an input without a baseline was changed: %v", seen)
	}
	if got.Baseline.Value != 5 {
		t.Errorf("the baseline scores %v, want 5", got.Baseline.Value)
	}
}

func TestOcclusionOfEveryType(t *testing.T) {
	t.Parallel()
	f := scorer(func(row map[string][]float32, _ int) float64 { return float64(row["x"][0] + 10*row["x"][1]) })
	pairs := map[string][2]tensor.Tensor{
		"float32":  {must(t, []int64{1, 2}, []float32{3, 4}), must(t, []int64{1, 2}, []float32{1, 1})},
		"float64":  {must(t, []int64{1, 2}, []float64{3, 4}), must(t, []int64{1, 2}, []float64{1, 1})},
		"uint8":    {must(t, []int64{1, 2}, []uint8{3, 4}), must(t, []int64{1, 2}, []uint8{1, 1})},
		"float16":  {must(t, []int64{1, 2}, []tensor.Float16{0x4200, 0x4400}), must(t, []int64{1, 2}, []tensor.Float16{0x3c00, 0x3c00})},
		"bfloat16": {must(t, []int64{1, 2}, []tensor.BFloat16{0x4040, 0x4080}), must(t, []int64{1, 2}, []tensor.BFloat16{0x3f80, 0x3f80})},
	}
	for name, pair := range pairs {
		got, err := explain.Occlusion(t.Context(), f, explain.Request{
			Input: tensor.Named{"x": pair[0]}, Baseline: tensor.Named{"x": pair[1]}, Params: explain.Params{Window: 1},
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(floats(t, got.Attributions["x"]), []float32{2, 30}); diff != "" {
			t.Errorf("%s: attributions differ (-got +want):\n%s", name, diff)
		}
	}
}

func TestOcclusionKeepsItsInput(t *testing.T) {
	t.Parallel()
	x := []float32{1, 2, 3}
	f := scorer(func(row map[string][]float32, _ int) float64 { return float64(row["x"][1]) })
	for _, rows := range []int{1, 2, 8} {
		_, err := explain.Occlusion(t.Context(), f, explain.Request{
			Input: tensor.Named{"x": must(t, []int64{1, 3}, x)}, Baseline: tensor.Named{"x": must(t, []int64{1, 3}, []float32{9, 9, 9})}, Rows: rows,
		})
		if err != nil || !slices.Equal(x, []float32{1, 2, 3}) {
			t.Errorf("%d rows at once: the input is now %v, %v", rows, x, err)
		}
	}
}

func TestOcclusionRunsInChunks(t *testing.T) {
	t.Parallel()
	f := &counted{f: scorer(func(row map[string][]float32, _ int) float64 { return float64(row["x"][0]) })}
	var progress [][2]int
	_, err := explain.Occlusion(t.Context(), f, explain.Request{
		Input: tensor.Named{"x": must(t, []int64{1, 5}, make([]float32, 5))}, Baseline: tensor.Named{"x": must(t, []int64{1, 5}, make([]float32, 5))},
		Params: explain.Params{Window: 1}, Rows: 3,
		Progress: func(done, total int) { progress = append(progress, [2]int{done, total}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(progress, [][2]int{{3, 7}, {6, 7}, {7, 7}}); diff != "" {
		t.Errorf("progress differs (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(f.rows, []int{3, 3, 1}); diff != "" {
		t.Errorf("chunks differ (-got +want):\n%s", diff)
	}
}

// counted counts the rows of each chunk, and does something before each.
type counted struct {
	f      explain.Function
	before func(chunk int)
	rows   []int
}

func (c *counted) Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error) {
	if c.before != nil {
		c.before(len(c.rows))
	}
	c.rows = append(c.rows, len(targets))
	return c.f.Scores(ctx, rows, targets)
}

func TestOcclusionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	// The function itself does not look at the context: the method has to.
	f := &counted{
		f: deaf{},
		before: func(chunk int) {
			if chunk == 2 {
				cancel()
			}
		},
	}
	x := must(t, []int64{1, 1000}, make([]float32, 1000))
	_, err := explain.Occlusion(ctx, f, explain.Request{
		Input: tensor.Named{"x": x}, Baseline: tensor.Named{"x": x}, Params: explain.Params{Window: 1},
	})
	if !errors.Is(err, context.Canceled) || len(f.rows) != 3 {
		t.Errorf("after %d chunks: %v, want %v after 3", len(f.rows), err, context.Canceled)
	}
}

// deaf scores everything 0, whatever the context says.
type deaf struct{}

func (deaf) Scores(_ context.Context, _ tensor.Named, targets []int) ([]float64, error) {
	return make([]float64, len(targets)), nil
}

// short forgets a score.
type short struct{}

func (short) Scores(_ context.Context, _ tensor.Named, targets []int) ([]float64, error) {
	return make([]float64, len(targets)-1), nil
}

func TestOcclusionRefuses(t *testing.T) {
	t.Parallel()
	row := must(t, []int64{1, 8}, make([]float32, 8))
	two := must(t, []int64{2, 8}, make([]float32, 16))
	ids := must(t, []int64{1, 8}, make([]int64, 8))
	empty := must(t, []int64{1, 0}, []float32{})
	named := func(t tensor.Tensor) tensor.Named { return tensor.Named{"x": t} }
	tests := []struct {
		name string
		req  explain.Request
		f    explain.Function
		kind fault.Kind
		want string
	}{
		{"no baseline", explain.Request{Input: named(row)}, deaf{}, fault.Invalid, "nothing to attribute"},
		{"two rows", explain.Request{Input: named(two), Baseline: named(two)}, deaf{}, fault.Invalid, "want one row"},
		{"no elements", explain.Request{Input: named(empty), Baseline: named(empty)}, deaf{}, fault.Invalid, "not empty"},
		{"other shape", explain.Request{Input: named(row), Baseline: named(two)}, deaf{}, fault.Invalid, "float32[2 8]"},
		{"other input", explain.Request{Input: named(row), Baseline: tensor.Named{"y": row}}, deaf{}, fault.Invalid, `input "y"`},
		{"identifiers", explain.Request{Input: named(ids), Baseline: named(ids)}, deaf{}, fault.Unsupported, "cannot be hidden gradually; ask for leave_one_out"},
		{"gaps", explain.Request{Input: named(row), Baseline: named(row), Params: explain.Params{Window: 2, Stride: 3}}, deaf{}, fault.Invalid, "stride 3 leaves gaps between windows of 2"},
		{"gaps by default", explain.Request{Input: named(row), Baseline: named(row), Params: explain.Params{Stride: 3}}, deaf{}, fault.Invalid, "windows of 1"},
		{"lost score", explain.Request{Input: named(row), Baseline: named(row)}, short{}, fault.Internal, "scores for"},
	}
	for _, test := range tests {
		_, err := explain.Occlusion(t.Context(), test.f, test.req)
		if fault.Of(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %v with %q", test.name, err, test.kind, test.want)
		}
	}
}

func BenchmarkOcclusion(b *testing.B) {
	x, err := tensor.Make(tensor.Float32, []int64{1, 3, 224, 224})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() { // what the method itself costs: its function does nothing
		if _, err := explain.Occlusion(b.Context(), deaf{}, explain.Request{Input: tensor.Named{"x": x}, Baseline: tensor.Named{"x": x}}); err != nil {
			b.Fatal(err)
		}
	}
}
