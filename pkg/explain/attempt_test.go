package explain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// logits is a function that says what its scores are.
type logits struct{ convolved }

func (logits) Output() string { return "logits" }

// session is the network of f as a session that answers probabilities of a sort: half of each score.
func session(f convolved) *enginetest.Fake {
	side := int64(f.side)
	signature := engine.Signature{
		Inputs: []engine.Value{value("x", tensor.Float32, 3, side, side)}, Outputs: []engine.Value{value("y", tensor.Float32, 2)},
	}
	return enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		n := int(in["x"].Shape()[0])
		y := make([]float32, 2*n)
		for target := range 2 {
			scores, err := f.Scores(context.Background(), in, slices.Repeat([]int{target}, n))
			if err != nil {
				return nil, err
			}
			for i, s := range scores {
				y[2*i+target] = float32(s / 2)
			}
		}
		out, err := tensor.New([]int64{int64(n), 2}, y)
		return tensor.Named{"y": out}, err
	})
}

// differentiate returns a network as a function with a gradient.
type differentiate = func(ctx context.Context, w explain.Wanted, input tensor.Named) (explain.Function, error)

// refusing has a gradient until it is asked for.
type refusing struct{ convolved }

func (refusing) Gradients(context.Context, tensor.Named, []int) ([]float64, tensor.Named, error) {
	return nil, nil, fmt.Errorf("%w: operator Einsum (node e1) has three operands", fault.Unsupported)
}

func TestExplainChoosesItsMethod(t *testing.T) {
	t.Parallel()
	network := newConvolved(1, 6)
	given := func(f explain.Function, err error) differentiate {
		return func(context.Context, explain.Wanted, tensor.Named) (explain.Function, error) { return f, err }
	}
	noRule := fmt.Errorf("%w: operator GridSample (node g1) has no rule", fault.Unsupported)
	type outcome struct {
		Method, Why, Output string
		Exact               bool
	}
	const unknown = "the default method without a gradient: no gradient is known for this network"
	tests := []struct {
		name          string
		method        string
		differentiate differentiate
		want          outcome
	}{
		{"default", "", given(logits{network}, nil), outcome{"integrated_gradients", "the default method", "logits", true}},
		{"named", "saliency", given(logits{network}, nil), outcome{"saliency", "named in the request", "logits", true}},
		{"without Outputter", "grad_cam", given(network, nil), outcome{"grad_cam", "named in the request", "probabilities", true}},
		{"no gradient known", "", nil, outcome{"occlusion", unknown, "probabilities", false}},
		{"no rule", "", given(nil, noRule), outcome{"occlusion", "the default method without a gradient: operator GridSample (node g1) has no rule", "probabilities", false}},
		{"no rule found later", "", given(refusing{network}, nil), outcome{"occlusion", "the default method without a gradient: operator Einsum (node e1) has three operands", "probabilities", false}},
		{"scores alone named", "rise", given(nil, noRule), outcome{"rise", "named in the request", "probabilities", false}},
		{"scores alone, although there is a gradient", "lime", given(logits{network}, nil), outcome{"lime", "named in the request", "probabilities", false}},
	}
	for _, test := range tests {
		e := newExplainer(t, explain.Options{Session: session(network), Output: "probabilities", Differentiate: test.differentiate})
		x, err := e.Explain(t.Context(), explain.Question{Input: picture(t, 1, 6).Input, Params: explain.Params{Method: test.method}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(outcome{x.Method, x.Why, x.Target.Output, x.Exact}, test.want); diff != "" {
			t.Errorf("%s: outcome differs (-got +want):\n%s", test.name, diff)
		}
		factor := float32(1)
		if x.Target.Output == "logits" || test.method == "grad_cam" { // the function's own scores, not the session's
			factor = 2
		}
		scores, err := network.Scores(t.Context(), picture(t, 1, 6).Input, []int{x.Target.Index})
		if err != nil || !near32(x.Target.Value, factor*float32(scores[0])/2) {
			t.Errorf("%s: score %v, want %v times %v", test.name, x.Target.Value, factor, scores[0]/2)
		}
	}
}

func near32(a, b float32) bool { return a-b < 1e-5 && b-a < 1e-5 }

func TestExplainKeepsToTheNamedMethod(t *testing.T) {
	t.Parallel()
	network := newConvolved(1, 6)
	broken := fmt.Errorf("%w: node n1 reads what nobody makes", fault.BadModel)
	noRule := fmt.Errorf("%w: operator GridSample (node g1) has no rule", fault.Unsupported)
	tests := []struct {
		name   string
		method string
		f      explain.Function
		err    error
		kind   fault.Kind
		want   string
	}{
		{"no rule", "saliency", nil, noRule, fault.Unsupported, "explain: saliency: not supported: operator GridSample (node g1) has no rule"},
		{"no rule found later", "saliency", refusing{network}, nil, fault.Unsupported, "explain: saliency: not supported: operator Einsum"},
		{"no layers", "grad_cam", network.derived(), nil, fault.Unsupported, "grad_cam: not supported: needs the function's inner tensors"},
		{"a failure is no reason for another method", "", nil, broken, fault.BadModel, "explain: integrated_gradients: bad model: node n1"},
		{"nor is the end of a context", "", nil, context.Canceled, fault.Canceled, "integrated_gradients"},
		{"unknown", "gradcam", nil, nil, fault.Invalid, `did you mean "grad_cam"?`},
	}
	for _, test := range tests {
		e := newExplainer(t, explain.Options{
			Session: session(network),
			Differentiate: func(context.Context, explain.Wanted, tensor.Named) (explain.Function, error) {
				return test.f, test.err
			},
		})
		_, err := e.Explain(t.Context(), explain.Question{Input: picture(t, 1, 6).Input, Params: explain.Params{Method: test.method}})
		if fault.Of(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %v with %q", test.name, err, test.kind, test.want)
		}
	}
	e := newExplainer(t, explain.Options{Session: session(network)})
	_, err := e.Explain(t.Context(), explain.Question{Input: picture(t, 1, 6).Input, Params: explain.Params{Method: "vargrad"}})
	if !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "no gradient is known") {
		t.Errorf("without a gradient: %v", err)
	}
}

func TestExplainAsksForTheOutput(t *testing.T) {
	t.Parallel()
	network := newConvolved(1, 6)
	var asked []explain.Scores
	e := newExplainer(t, explain.Options{
		Session: session(network), Output: "probabilities",
		Differentiate: func(_ context.Context, w explain.Wanted, _ tensor.Named) (explain.Function, error) {
			asked = append(asked, w.Scores)
			return logits{network}, nil
		},
	})
	for _, output := range []string{"", "logits", "probabilities"} { // logits: the session has none, the function does
		q := explain.Question{Input: picture(t, 1, 6).Input, Params: explain.Params{Method: "saliency", Output: output}}
		if _, err := e.Explain(t.Context(), q); err != nil {
			t.Errorf("output %q: %v", output, err)
		}
	}
	if diff := cmp.Diff(asked, []explain.Scores{explain.ScoresBest, explain.ScoresBest, explain.ScoresOutput}); diff != "" {
		t.Errorf("asked for (-got +want):\n%s", diff)
	}
	q := explain.Question{Input: picture(t, 1, 6).Input, Params: explain.Params{Method: "rise", Output: "logits"}}
	if _, err := e.Explain(t.Context(), q); !errors.Is(err, fault.Unsupported) {
		t.Errorf("scores that the session does not have: %v", err)
	}
	if len(asked) != 3 {
		t.Errorf("a method that needs no gradient asked for one")
	}
}

// sized is a function whose gradient needs much memory, and that learns the highest number of rows.
type sized struct {
	convolved

	most *int
}

func (sized) RowBytes() int64 { return 1 << 20 }

func (f sized) Gradients(ctx context.Context, rows tensor.Named, targets []int) ([]float64, tensor.Named, error) {
	*f.most = max(*f.most, len(targets))
	return f.convolved.Gradients(ctx, rows, targets)
}

func TestExplainKeepsToTheMemoryOfGradients(t *testing.T) {
	t.Parallel()
	network := newConvolved(1, 6)
	for memory, want := range map[int64]int{1: 1, 3 << 20: 3, 1 << 30: 8} {
		most := 0
		e := newExplainer(t, explain.Options{
			Session: session(network), Memory: memory,
			Differentiate: func(context.Context, explain.Wanted, tensor.Named) (explain.Function, error) {
				return sized{network, &most}, nil
			},
		})
		if _, err := e.Explain(t.Context(), explain.Question{Input: picture(t, 1, 6).Input}); err != nil || most != want {
			t.Errorf("memory %d: %d rows at once, want %d; %v", memory, most, want, err)
		}
	}
}

func TestExplainWarnsOfIdleParameters(t *testing.T) {
	t.Parallel()
	network := newConvolved(1, 6)
	e := newExplainer(t, explain.Options{
		Session: session(network),
		Differentiate: func(context.Context, explain.Wanted, tensor.Named) (explain.Function, error) {
			return network, nil
		},
	})
	tests := []struct {
		params explain.Params
		want   []string
	}{
		{explain.Params{Method: "integrated_gradients", Steps: 100, Rule: "riemann_middle"}, nil},
		{explain.Params{Method: "occlusion", Steps: 100, Window: 2}, []string{"steps means nothing to occlusion: it belongs to integrated_gradients, layer_integrated_gradients"}},
		{explain.Params{Method: "smoothgrad", Of: "integrated_gradients", Steps: 15, Samples: 3}, nil},
		{explain.Params{Method: "smoothgrad", Steps: 100, Samples: 3}, []string{"steps means nothing to smoothgrad: it belongs to integrated_gradients, layer_integrated_gradients"}},
		{explain.Params{Method: "saliency", Abs: "false", Width: 2, P: 0.1}, []string{"p means nothing to saliency: it belongs to rise", "width means nothing to saliency: it belongs to lime"}},
	}
	for _, test := range tests {
		x, err := e.Explain(t.Context(), explain.Question{Input: picture(t, 1, 6).Input, Params: test.params})
		if err != nil {
			t.Errorf("%+v: %v", test.params, err)
			continue
		}
		if diff := cmp.Diff(x.Warnings, test.want); diff != "" {
			t.Errorf("%+v: warnings differ (-got +want):\n%s", test.params, diff)
		}
	}
}

// text is a network of four identifiers and a mask: the score is the sum of what the identifiers stand for, where the mask
// is one.
func text() *enginetest.Fake {
	signature := engine.Signature{
		Inputs:  []engine.Value{value("ids", tensor.Int64, 4), value("mask", tensor.Int32, 4)},
		Outputs: []engine.Value{value("y", tensor.Float32, 1)},
	}
	return enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		ids, err := tensor.Data[int64](in["ids"])
		if err != nil {
			return nil, err
		}
		mask, err := tensor.Data[int32](in["mask"])
		if err != nil {
			return nil, err
		}
		y := make([]float32, len(ids)/4)
		for i, id := range ids {
			y[i/4] += float32(int32(id) * mask[i])
		}
		out, err := tensor.New([]int64{int64(len(y)), 1}, y)
		return tensor.Named{"y": out}, err
	})
}

func sentence(t *testing.T) tensor.Named {
	t.Helper()
	return tensor.Named{"ids": must(t, []int64{1, 4}, []int64{101, 7, 3, 102}), "mask": must(t, []int64{1, 4}, []int32{1, 1, 1, 0})}
}

func TestTextWithoutAGradientLeavesTokensOut(t *testing.T) {
	t.Parallel()
	e := newExplainer(t, explain.Options{Session: text()})
	x, err := e.Explain(t.Context(), explain.Question{
		Input: sentence(t), Baseline: tensor.Named{"ids": must(t, []int64{1, 4}, []int64{101, 1, 1, 102})},
	})
	if err != nil {
		t.Fatal(err)
	}
	report := x.Report()
	if diff := cmp.Diff(report.Attributions, []explain.Attribution{{Input: "ids", Shape: []int64{4}, Data: []float32{0, 6, 2, 0}}}); diff != "" {
		t.Errorf("attributions differ (-got +want):\n%s", diff)
	}
	if x.Method != "leave_one_out" || x.Exact || x.Baseline.Kind != "reference" || x.Baseline.Value != 103 || x.Target.Value != 111 {
		t.Errorf("explanation says %+v", x)
	}

	x, err = e.Explain(t.Context(), explain.Question{Input: sentence(t), Params: explain.Params{Baseline: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []explain.Attribution{ // nothing is said of which input is text: each is looked at
		{Input: "ids", Shape: []int64{4}, Data: []float32{99, 5, 1, 0}}, {Input: "mask", Shape: []int64{4}, Data: []float32{-101, -7, -3, -204}},
	}
	if diff := cmp.Diff(x.Report().Attributions, want); diff != "" {
		t.Errorf("attributions differ (-got +want):\n%s", diff)
	}
}

// embedded is the network of text, cut after its embedding of two numbers an identifier.
type embedded struct{ explain.Function }

func (embedded) Cut(_ context.Context, layer string, input, baseline tensor.Named) (explain.Differentiable, tensor.Named, tensor.Named, string, error) { //nolint:revive // as the interface has it
	embed := func(in tensor.Named) (tensor.Named, error) {
		ids, err := tensor.Data[int64](in["ids"])
		if err != nil {
			return nil, err
		}
		var e []float32
		for _, id := range ids {
			e = append(e, float32(id), 1)
		}
		t, err := tensor.New([]int64{1, 4, 2}, e)
		return tensor.Named{"embedding": t, "mask": in["mask"]}, err
	}
	after := derived(func(row map[string][]float32, _ int) (float64, map[string][]float64) {
		sum, grad := 0.0, make([]float64, 8)
		for i, m := range row["mask"] {
			sum += float64(m * row["embedding"][2*i])
			grad[2*i] = float64(m)
		}
		return sum, map[string][]float64{"embedding": grad}
	})
	x, err := embed(input)
	if err != nil {
		return nil, nil, nil, "", err
	}
	b, err := embed(baseline)
	return after, x, b, "embedding", err
}

func TestTextIsIntegratedAtItsEmbedding(t *testing.T) {
	t.Parallel()
	e := newExplainer(t, explain.Options{
		Session: text(),
		Differentiate: func(context.Context, explain.Wanted, tensor.Named) (explain.Function, error) {
			return embedded{deaf{}}, nil
		},
	})
	q := explain.Question{Input: sentence(t), Baseline: tensor.Named{"ids": must(t, []int64{1, 4}, []int64{101, 1, 1, 102})}}
	x, err := e.Explain(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want := []explain.Attribution{{Input: "embedding", Shape: []int64{4, 2}, Data: []float32{0, 0, 6, 0, 2, 0, 0, 0}}}
	if diff := cmp.Diff(x.Report().Attributions, want, near(1e-5)); diff != "" {
		t.Errorf("attributions differ (-got +want):\n%s", diff)
	}
	if x.Method != "layer_integrated_gradients" || !x.Exact || x.Why != "the default method" || x.Parameters.Layer != "embedding" {
		t.Errorf("explanation says %+v", x)
	}
	q.Params.Method = "integrated_gradients"
	if _, err := e.Explain(t.Context(), q); !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "layer_integrated_gradients") {
		t.Errorf("gradient by identifiers: %v", err)
	}
}

func TestExplainRefusesBaselinesThatDoNotFit(t *testing.T) {
	t.Parallel()
	e := newExplainer(t, explain.Options{Session: text()})
	tests := []struct {
		name string
		q    explain.Question
		kind fault.Kind
		want string
	}{
		{"another shape", explain.Question{Input: sentence(t), Baseline: tensor.Named{"ids": must(t, []int64{1, 3}, []int64{1, 1, 1})}}, fault.Invalid, `the baseline of input "ids"`},
		{"another input", explain.Question{Input: sentence(t), Baseline: tensor.Named{"text": must(t, []int64{1, 4}, []int64{1, 1, 1, 1})}}, fault.Invalid, `"text"`},
		{"nothing", explain.Question{Input: sentence(t), Baseline: tensor.Named{}}, fault.Invalid, "nothing to attribute"},
		{"a kind of picture", explain.Question{Input: sentence(t), Params: explain.Params{Baseline: "blur"}}, fault.Unsupported, `baseline "blur" of identifiers`},
		{"half an identifier", explain.Question{Input: sentence(t), Params: explain.Params{Baseline: "1.5"}}, fault.Unsupported, "want zeros or a whole number"},
	}
	for _, test := range tests {
		_, err := e.Explain(t.Context(), test.q)
		if fault.Of(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %v with %q", test.name, err, test.kind, test.want)
		}
	}
}

func TestNPY(t *testing.T) {
	t.Parallel()
	x := explain.Explanation{Inputs: []string{"x"}, Layout: explain.ChannelsLast, Attributions: tensor.Named{
		"x": must(t, []int64{1, 2, 3}, []float32{1, 2, 3, 4, 5, 6}), // a line of two pixels of three channels
	}}
	file, err := x.NPY()
	if err != nil {
		t.Fatal(err)
	}
	head := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,1,2,), }"
	want := head + strings.Repeat(" ", 127-len(head)) + "\n" +
		"\x00\x00\x80\x3f\x00\x00\x80\x40\x00\x00\x00\x40\x00\x00\xa0\x40\x00\x00\x40\x40\x00\x00\xc0\x40" // 1 4 2 5 3 6
	if diff := cmp.Diff(string(file), want); diff != "" {
		t.Errorf("file differs (-got +want):\n%s", diff)
	}
	x.Inputs = append(x.Inputs, "y")
	if _, err := x.NPY(); !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "2 inputs: ask for json") {
		t.Errorf("two arrays: %v", err)
	}
}
