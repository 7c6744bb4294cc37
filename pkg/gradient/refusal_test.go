package gradient_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// refuses fails the test unless err refuses an operator, at the node named "n", for a reason that holds why.
func refuses(t *testing.T, err error, op, why string) {
	t.Helper()
	var refusal *gradient.UnsupportedError
	if !errors.As(err, &refusal) || !errors.Is(err, fault.Unsupported) {
		t.Fatalf("%v; want a refusal of %s", err, op)
	}
	if refusal.Op != op || refusal.Node != "n" || !strings.Contains(refusal.Why, why) {
		t.Errorf("refusal of %s at %q: %q; want one of %s at \"n\" that speaks of %q", refusal.Op, refusal.Node, refusal.Why, op, why)
	}
}

// TestRefusedOperators is about what the graph alone tells: [gradient.Supported] refuses it, and Build too.
func TestRefusedOperators(t *testing.T) {
	t.Parallel()
	einsum := func(text string) attrs { return attrs{"equation": onnx.String(text)} }
	tests := []struct {
		op, domain string
		attrs      attrs
		inputs     []string
		why        string
	}{
		{op: "FusedConv", domain: "com.microsoft", why: "optimizer"},
		{op: "FusedGemm", domain: "com.microsoft", why: "optimizer"},
		{op: "FusedMatMul", domain: "com.microsoft", why: "optimizer"},
		{op: "Gelu", domain: "com.microsoft", why: "optimizer"},
		{op: "FastGelu", domain: "com.microsoft", why: "optimizer"},
		{op: "QuickGelu", domain: "com.microsoft", why: "optimizer"},
		{op: "BiasGelu", domain: "com.microsoft", why: "optimizer"},
		{op: "SkipLayerNormalization", domain: "com.microsoft", why: "optimizer"},
		{op: "TreeEnsembleRegressor", domain: "ai.onnx.ml", why: "other domains"},
		{op: "LSTM", why: "no rule"},
		{op: "Loop", why: "no rule"},
		{op: "DynamicQuantizeLinear", why: "no rule"},
		{op: "QuantizeLinear", why: "straight_through takes it"},
		{op: "DequantizeLinear", why: "straight_through takes it"},
		{op: "Softmax", why: "opset 13"},
		{op: "LogSoftmax", why: "opset 13"},
		{op: "Einsum", attrs: einsum("ij,jk,kl->il"), inputs: []string{"x", "x", "x"}, why: "3 operands"},
		{op: "Einsum", attrs: einsum("ij->ji"), why: "1 operands"},
		{op: "Einsum", attrs: einsum("...i,...i->..."), inputs: []string{"x", "x"}, why: "ellipsis"},
		{op: "Einsum", attrs: einsum("ii,ij->j"), inputs: []string{"x", "x"}, why: "twice"},
		{op: "Dropout", inputs: []string{"x", "", "yes"}, why: "training"},
		{op: "Dropout", inputs: []string{"x", "", "open"}, why: "training"},
		{op: "BatchNormalization", attrs: attrs{"training_mode": onnx.Int(1)}, why: "training"},
		{op: "Gelu", attrs: attrs{"approximate": onnx.String("sigmoid")}, why: "sigmoid"},
		{op: "LpNormalization", attrs: attrs{"p": onnx.Int(3)}, why: "3"},
	}
	for _, test := range tests {
		t.Run(test.domain+" "+test.op+" "+test.why, func(t *testing.T) {
			t.Parallel()
			inputs := test.inputs
			if inputs == nil {
				inputs = []string{"x"}
			}
			n := node(test.op, test.attrs, inputs, "a")
			n.Name, n.Domain = "n", test.domain
			g := network(map[string][]int64{"x": {-1, 3}}, map[string]*onnx.Constant{"yes": onnx.Of([]bool{true})},
				n, node("Tanh", nil, []string{"a"}, "y"))
			if strings.HasSuffix(test.op, "oftmax") {
				g.Opset = 12
			}
			opts := gradient.Options{Of: "y", To: []string{"x"}}
			op := test.op
			if test.domain != "" {
				op = test.domain + "." + op
			}
			refuses(t, gradient.Supported(g, opts), op, test.why)
			_, err := gradient.Build(g, facts("x", "a", "y"), opts)
			refuses(t, err, op, test.why)
			beside := gradient.Options{Of: "y", To: []string{"a"}} // where it is not on the way it does not matter
			if err := gradient.Supported(g, beside); err != nil {
				t.Errorf("Supported by what is behind it: %v", err)
			}
		})
	}
}

// facts are those of tensors of shape [batch, 3].
func facts(names ...string) onnx.Facts {
	f := onnx.Facts{Types: onnx.Types{}, Shapes: map[string][]onnx.Dim{}}
	for _, name := range names {
		f.Types[name] = tensor.Float32
		f.Shapes[name] = []onnx.Dim{{A: 2, B: 3}, {A: 3, B: 3}}
	}
	return f
}

// TestRefusedForms is about what Build refuses when it comes to write.
func TestRefusedForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		op     string
		attrs  attrs
		inputs []string
		why    string
	}{
		{"Clip", nil, []string{"x", "x"}, "bound"},
		{"ReduceSum", nil, []string{"x", "open"}, "axes are not constant"},
		{"ReduceL2", attrs{"noop_with_empty_axes": onnx.Int(1)}, []string{"x"}, "reduces no axes"},
		{"BatchNormalization", nil, []string{"x", "scale", "scale", "x", "scale"}, "statistics"},
	}
	for _, test := range tests {
		t.Run(test.op, func(t *testing.T) {
			t.Parallel()
			n := node(test.op, test.attrs, test.inputs, "y")
			n.Name = "n"
			g := network(map[string][]int64{"x": {-1, 3}}, drawn(map[string][]int64{"scale": {3}}), n)
			g.Inputs = append(g.Inputs, onnx.Value{Name: "open", Type: 7, Shape: []onnx.Axis{{Size: 1}}})
			_, err := gradient.Build(g, facts("x", "y"), gradient.Options{Of: "y", To: []string{"x"}})
			refuses(t, err, test.op, test.why)
		})
	}
}

// TestInvalidOptions is about options that do not fit the network.
func TestInvalidOptions(t *testing.T) {
	t.Parallel()
	g := network(map[string][]int64{"x": {-1, 3}, "z": {-1, 3}}, nil,
		node("Tanh", nil, []string{"x"}, "a"), node("Floor", nil, []string{"a"}, "f"), node("Tanh", nil, []string{"z"}, "b"),
		node("Add", nil, []string{"f", "b"}, "y"), node("Tanh", nil, []string{"a"}, "aside"))
	g.Inputs = append(g.Inputs, onnx.Value{Name: "ids", Type: 7, Shape: []onnx.Axis{{Size: 3}}})
	known := facts("x", "z", "a", "f", "b", "y", "aside")
	maps.Copy(known.Types, onnx.Types{"ids": tensor.Int64})
	tests := []struct {
		name string
		opts gradient.Options
		why  string
	}{
		{"by nothing", gradient.Options{Of: "y"}, "by nothing"},
		{"by integers", gradient.Options{Of: "y", To: []string{"ids"}}, `"ids"`},
		{"by an unknown tensor", gradient.Options{Of: "y", To: []string{"layer9"}}, `"layer9"`},
		{"of an unknown tensor", gradient.Options{Of: "logits", To: []string{"z"}}, `"logits"`},
		{"keeping an unknown tensor", gradient.Options{Of: "y", To: []string{"z"}, Keep: []string{"k"}}, `"k"`},
		{"through steps", gradient.Options{Of: "y", To: []string{"x"}}, "leads from one to the other"},
		{"by what comes later", gradient.Options{Of: "b", To: []string{"y"}}, "leads from one to the other"},
		{"by what is aside", gradient.Options{Of: "y", To: []string{"z", "aside"}}, `"aside"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := gradient.Build(g, known, test.opts)
			for _, err := range []error{err, gradient.Supported(g, test.opts)} {
				if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.why) {
					t.Errorf("%v; want one that is invalid and speaks of %s", err, test.why)
				}
			}
		})
	}
}
