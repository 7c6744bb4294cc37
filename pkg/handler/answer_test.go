package handler_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestExplained(t *testing.T) {
	t.Parallel()
	a, err := tensor.New([]int64{2}, []float32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	x := &explain.Explanation{Method: "saliency", Inputs: []string{"x"}, Attributions: tensor.Named{"x": a}}
	for format, is := range map[string]func(any) bool{
		"":     func(v any) bool { _, ok := v.(tensor.Tensor); return ok },
		"json": func(v any) bool { _, ok := v.(tensor.Tensor); return ok },
		"npy":  func(v any) bool { file, ok := v.([]byte); return ok && strings.HasPrefix(string(file), "\x93NUMPY") },
	} {
		answer, err := handler.Explained(x, explain.Params{Format: format})
		if tensors := len(answer.Tensors) == 1 && answer.Tensors["x"].String() == a.String(); tensors != (format != "npy") {
			t.Errorf("format %q: tensors %v", format, answer.Tensors)
		}
		if err != nil || !is(answer.Value) || answer.Header["X-Explain-Method"] != "saliency" {
			t.Errorf("format %q: %+v, %v", format, answer, err)
		}
	}
	full, err := handler.Explained(x, explain.Params{Detail: "full"})
	if report, ok := full.Value.(explain.Report); err != nil || !ok || report.Method != "saliency" || full.Tensors != nil {
		t.Errorf("detail full: %+v, %v", full, err)
	}
	if _, err := handler.Explained(x, explain.Params{Format: "png"}); !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "json and npy") {
		t.Errorf("a picture of none: %v", err)
	}
	x.Inputs, x.Attributions = []string{"x", "y"}, tensor.Named{"x": a, "y": a}
	if both, err := handler.Explained(x, explain.Params{}); err != nil || len(both.Tensors) != 2 {
		t.Errorf("several inputs: %+v, %v", both, err)
	}
	if _, err := handler.Explained(x, explain.Params{Format: "npy"}); !errors.Is(err, fault.Unsupported) {
		t.Errorf("several inputs in one array: %v", err)
	}
}
