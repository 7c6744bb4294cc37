package handler_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestTopK(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		params map[string]string
		want   int
	}{
		{nil, 5},
		{map[string]string{"top_k": "2"}, 2},
		{map[string]string{"top_k": "99"}, 7},
	} {
		if got, err := handler.TopK(&model.Request{Params: test.params}, 5, 7); err != nil || got != test.want {
			t.Errorf("TopK of %v = %d, %v, want %d", test.params, got, err, test.want)
		}
	}
	for _, raw := range []string{"0", "-1", "two", ""} {
		if got, err := handler.TopK(&model.Request{Params: map[string]string{"top_k": raw}}, 5, 7); !errors.Is(err, fault.Invalid) {
			t.Errorf("TopK of %q = %d, %v", raw, got, err)
		}
	}
}

func TestTop(t *testing.T) {
	t.Parallel()
	values := []float64{1, math.NaN(), 3, 1, math.Inf(1)}
	if diff := cmp.Diff([]int{4, 2, 0, 3, 1}, handler.Top(values, 5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := handler.Top(values, 0); len(got) != 0 {
		t.Errorf("the best none are %v", got)
	}
}

// TestTopOfMany checks that the best are the same ones in the same order, however many are asked for.
func TestTopOfMany(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(random.IntN(100)) // many are equal
		if i%7 == 0 {
			values[i] = math.NaN()
		}
	}
	want := make([]int, len(values))
	for i := range want {
		want[i] = i
	}
	rank := func(i int) int {
		if math.IsNaN(values[i]) {
			return -1
		}
		return int(values[i])
	}
	slices.SortStableFunc(want, func(a, b int) int { return rank(b) - rank(a) })
	for _, k := range []int{1, 2, 5, 64, 65, 1000} {
		if diff := cmp.Diff(want[:k], handler.Top(values, k)); diff != "" {
			t.Errorf("the best %d (-want +got):\n%s", k, diff)
		}
	}
}

func BenchmarkTop(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 1000)
	for i := range values {
		values[i] = random.Float64()
	}
	b.ReportAllocs()
	for b.Loop() {
		handler.Top(values, 5)
	}
}

func TestDistinct(t *testing.T) {
	t.Parallel()
	labels := []string{"crane", "cat", "crane", "crane (2)", "crane"}
	want := []string{"crane", "cat", "crane (2)", "crane (2) (3)", "crane (4)"}
	if diff := cmp.Diff(want, handler.Distinct(labels)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if labels[2] != "crane" {
		t.Error("the labels themselves were changed")
	}
}

func TestLabel(t *testing.T) {
	t.Parallel()
	for class, want := range []string{"a", "b", "2"} {
		if got := handler.Label([]string{"a", "b"}, class); got != want {
			t.Errorf("label of class %d is %q, want %q", class, got, want)
		}
	}
}

func TestOneOf(t *testing.T) {
	t.Parallel()
	if err := errors.Join(handler.OneOf("answer", "", "one"), handler.OneOf("answer", "one", "one", "two")); err != nil {
		t.Error(err)
	}
	if err := handler.OneOf("answer", "thre", "two", "three"); !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), `answer is "thre", did you mean "three"?`) {
		t.Errorf("an unknown value: %v", err)
	}
}

func TestActivations(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		in    []float64
		want  []float64
		scale string
	}{
		{"", []float64{1000, 1000}, []float64{0.5, 0.5}, "logits"},
		{handler.Softmax, []float64{0, math.Log(3)}, []float64{0.25, 0.75}, "logits"},
		{handler.LogSoftmax, []float64{math.Log(0.25), math.Log(0.75)}, []float64{0.25, 0.75}, "log_probabilities"},
		{handler.Sigmoid, []float64{0, math.Log(3)}, []float64{0.5, 0.75}, "logits"},
		{handler.None, []float64{0.25, 0.75}, []float64{0.25, 0.75}, "probabilities"},
	}
	for _, test := range tests {
		if change := handler.Activation(test.name); change != nil {
			change(test.in)
		} else if test.name != handler.None {
			t.Errorf("%q changes nothing", test.name)
		}
		for i, v := range test.in {
			if math.Abs(v-test.want[i]) > 1e-12 {
				t.Errorf("%q makes %v, want %v", test.name, test.in, test.want)
			}
		}
		var opts explain.Options
		handler.Activated(&opts, test.name)
		if opts.Output != test.scale || (opts.Probabilities == nil) != (test.name == handler.None) {
			t.Errorf("%q is told as %q", test.name, opts.Output)
		}
	}
	var opts explain.Options
	if handler.Activated(&opts, "detect"); opts.Output != "" || opts.Probabilities != nil {
		t.Errorf("what is not known yet is told as %q", opts.Output)
	}
}
