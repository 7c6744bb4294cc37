package text_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/text"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

type explainFunc func(context.Context, explain.Question) (*explain.Explanation, error)

func explained(t *testing.T, h handler.Handler, params map[string]string, input model.Input) (handler.Answer, error) {
	t.Helper()
	req := &model.Request{Mode: model.ModeExplain, Inputs: []model.Input{input}, Params: params}
	in, err := h.Preprocess(t.Context(), req)
	if err != nil {
		return handler.Answer{}, err
	}
	return h.Explain(t.Context(), req, in)
}

// words is an explanation as whoever asks reads it.
type words struct {
	Words       []string  `json:"words"`
	Importances []float64 `json:"importances"`
	Delta       *float64  `json:"delta"`
}

func read(t *testing.T, answer handler.Answer) words {
	t.Helper()
	data, err := json.Marshal(answer.Value)
	if err != nil {
		t.Fatal(err)
	}
	var w words
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestExplain(t *testing.T) {
	t.Parallel()
	delta := 0.5
	norm := math.Sqrt(5*5 + 3*3)
	want := words{Words: []string{"[CLS]", "good", "bad", "[SEP]"}, Importances: []float64{0, 5 / norm, 3 / norm, 0}, Delta: &delta}
	roughly := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6 })
	for name, s := range map[string]engine.Signature{
		"any length": bert(),
		"one length": signature(value("input_ids", tensor.Int64, 9), value("attention_mask", tensor.Int64, 9)),
	} {
		answer, err := explained(t, text.WithExplain(build(t, s, nil), half), nil, body("good bad"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read(t, answer), roughly); diff != "" || answer.Header["X-Explain-Method"] != "fake" {
			t.Errorf("%s: %v (-want +got):\n%s", name, answer.Header, diff)
		}
	}
}

// What stands for nothing keeps the special tokens, and concerns the numbers alone.
func TestBaseline(t *testing.T) {
	t.Parallel()
	var got explain.Question
	h := text.WithExplain(build(t, bert(), nil), func(ctx context.Context, q explain.Question) (*explain.Explanation, error) {
		got = q
		return half(ctx, q)
	})
	if _, err := explained(t, h, map[string]string{"target": "bad"}, inJSON(`{"text": "good bad", "text_pair": "fair"}`)); err != nil {
		t.Fatal(err)
	}
	ids, err := tensor.Data[int64](got.Baseline["input_ids"])
	if diff := cmp.Diff([]int64{2, 0, 0, 3, 0, 3}, ids); err != nil || diff != "" || len(got.Baseline) != 1 || got.Params.Target != "bad" {
		t.Errorf("%v, of %d inputs, target %q (-want +got):\n%s", err, len(got.Baseline), got.Params.Target, diff)
	}
}

func TestExplainInFull(t *testing.T) {
	t.Parallel()
	h := text.WithExplain(build(t, bert(), map[string]any{"maxLength": 4}), half)
	answer, err := explained(t, h, map[string]string{"detail": "full"}, body("good bad good"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(answer.Value)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{}
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"method", "exact", "target", "baseline", "parameters", "convergence", "attributions", "warnings", "runtime", "words", "importances", "offsets"} {
		if _, ok := keys[key]; !ok {
			t.Errorf("no %q in %v", key, keys)
		}
	}
	if _, ok := keys["crop"]; ok {
		t.Error("a text has a crop")
	}
	want := []any{"the text has 5 tokens, the model takes 4: the rest was not seen"}
	if diff := cmp.Diff(want, keys["warnings"]); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{[]any{0.0, 0.0}, []any{0.0, 4.0}, []any{5.0, 8.0}, []any{0.0, 0.0}}, keys["offsets"]); diff != "" {
		t.Errorf("offsets (-want +got):\n%s", diff)
	}
}

// A method that claims no completeness has no delta, and attributions may be one number a token.
func TestExplainWithoutDelta(t *testing.T) {
	t.Parallel()
	flat := func(attributions ...float32) explainFunc {
		return func(context.Context, explain.Question) (*explain.Explanation, error) {
			a, err := tensor.New([]int64{int64(len(attributions))}, attributions)
			return &explain.Explanation{Inputs: []string{"input_ids"}, Attributions: tensor.Named{"input_ids": a}}, err
		}
	}
	answer, err := explained(t, text.WithExplain(build(t, bert(), nil), flat(0, 0, 0)), nil, body("good"))
	if err != nil {
		t.Fatal(err)
	}
	want := words{Words: []string{"[CLS]", "good", "[SEP]"}, Importances: []float64{0, 0, 0}}
	if diff := cmp.Diff(want, read(t, answer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := explained(t, text.WithExplain(build(t, bert(), nil), flat(1)), nil, body("good")); !errors.Is(err, fault.Internal) {
		t.Errorf("one attribution for three tokens: %v", err)
	}
}

func TestExplainRefuses(t *testing.T) {
	t.Parallel()
	ids, err := tensor.New([]int64{1, 2}, []int64{6, 5})
	if err != nil {
		t.Fatal(err)
	}
	failing := func(context.Context, explain.Question) (*explain.Explanation, error) { return nil, fault.Timeout }
	alone := signature(value("input_ids", tensor.Int64, -1))
	tests := []struct {
		name   string
		params map[string]string
		input  model.Input
		f      explainFunc
		kind   fault.Kind
		want   string
	}{
		{"a picture", map[string]string{"format": "png"}, body("good"), half, fault.Unsupported, `format "png" needs a model of images`},
		{"an unknown detail", map[string]string{"detail": "half"}, body("good"), half, fault.Invalid, `detail "half"`},
		{"numbers", nil, model.Input{Name: "input_ids", Tensor: &ids}, half, fault.Unsupported, "an explanation is of a text"},
		{"what the explainer refuses", nil, body("good"), failing, fault.Timeout, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := explained(t, text.WithExplain(build(t, alone, nil), test.f), test.params, test.input)
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Explain = %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}
