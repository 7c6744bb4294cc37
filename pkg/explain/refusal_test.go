//go:build cgo

package explain_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// wholeNumbers returns a network of whole numbers, each as it is.
func wholeNumbers() *onnx.Graph {
	m := zoo.New(1, 4)
	m.Graph.Inputs[0].Type = onnx.TypeOf(tensor.Int64)
	return m.Done(m.Dense(m.Node("Cast", attrs{"to": onnx.Int(1)}, "x"), 4, 2), 2)
}

// stepped returns a network whose answer its input changes in steps alone.
func stepped() *onnx.Graph {
	m := zoo.New(1, 4)
	return m.Done(m.Dense(m.Node("Round", nil, "x"), 4, 2), 2)
}

// quantized returns a network that rounds within.
func quantized() *onnx.Graph {
	m := zoo.New(1, 4)
	zero := m.Name("zero")
	m.Graph.Initializers[zero] = onnx.Of([]uint8{128})
	scale := m.Scalar(0.05)
	q := m.Node("QuantizeLinear", nil, "x", scale, zero)
	return m.Done(m.Dense(m.Node("DequantizeLinear", nil, q, scale, zero), 4, 2), 2)
}

// determinant returns a network with an operator that has no rule.
func determinant() *onnx.Graph {
	m := zoo.New(1, 4)
	return m.Done(m.Dense(m.Node("Det", nil, m.Node("Reshape", nil, "x", m.Ints(-1, 1, 2, 2))), 1, 2), 2)
}

// old returns a network of operators that are too old.
func old() *onnx.Graph {
	m := zoo.New(1, 4)
	g := m.Done(m.Node("Relu", nil, m.Node("MatMul", nil, "x", m.Weights(0, 1, 4, 2))), 2)
	g.Opset, g.IR = 6, 3
	for name, c := range g.Initializers { // they were inputs too
		v := onnx.Value{Name: name, Type: c.Type}
		for _, d := range c.Shape {
			v.Shape = append(v.Shape, onnx.Axis{Size: d})
		}
		g.Inputs = append(g.Inputs, v)
	}
	return g
}

// TestRefusals asks networks without a gradient for one: by name, which is refused, and without, which is answered some
// other way that says why.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		graph    *onnx.Graph
		op, node string // of an operator that is the reason
		want     string
		fallback string
	}{
		{"an operator without a rule", determinant(), "Det", "Det_3", "no gradient of operator Det at node", "occlusion"},
		{"a quantized network", quantized(), "DequantizeLinear", "DequantizeLinear_", "flat nearly everywhere; straight_through takes it", "occlusion"},
		{"steps", stepped(), "", "", `moves in steps; straight_through takes the steps for the identity`, "occlusion"},
		{"an old network", old(), "", "", "its operators are of opset 6, at least 7 is needed", "occlusion"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := differentiable(t, file(t, c.graph))
			x := tensor.Named{"x": must(t, []int64{1, 4}, []float32{1, 2, 3, 5})}
			e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
			_, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: "saliency"}})
			if fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), c.want) {
				t.Errorf("saliency: %v, want a refusal with %q", err, c.want)
			}
			var refusal *gradient.UnsupportedError
			if errors.As(err, &refusal) != (c.op != "") || refusal != nil && (refusal.Op != c.op || !strings.HasPrefix(refusal.Node, c.node)) {
				t.Errorf("saliency: %#v, want operator %q at %q", refusal, c.op, c.node)
			}
			if err := s.Differentiable(); fault.Of(err) != fault.Unsupported {
				t.Errorf("Differentiable: %v, want a refusal", err)
			}
			got, err := e.Explain(t.Context(), explain.Question{Input: x})
			if err != nil {
				t.Fatal(err)
			}
			if got.Method != c.fallback || got.Exact || !strings.Contains(got.Why, c.want) {
				t.Errorf("%s, exact %v, because %q; want %s because of %q", got.Method, got.Exact, got.Why, c.fallback, c.want)
			}
		})
	}
}

// TestStraightThrough explains networks that round, with leave to take that for the identity: the answer says so. Where
// nothing rounds, the leave changes nothing; and one with the leave does not stand in for one without.
func TestStraightThrough(t *testing.T) {
	t.Parallel()
	plain := func() *onnx.Graph { // what the others are without the rounding
		m := zoo.New(1, 4)
		return m.Done(m.Dense(m.Node("Identity", nil, "x"), 4, 2), 2)
	}
	for _, c := range []struct {
		name   string
		graph  *onnx.Graph
		reason string // the answer is an approximation; "": it is not
	}{
		{"a quantized network", quantized(), "; its gradient takes DequantizeLinear, QuantizeLinear for the identity"},
		{"steps", stepped(), "; its gradient takes Round for the identity"},
		{"nothing that rounds", plain(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := differentiable(t, file(t, c.graph))
			x := tensor.Named{"x": must(t, []int64{1, 4}, []float32{1, -2, 3, 5})}
			e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
			for _, method := range []string{"", "saliency", "smoothgrad", "guided_backprop"} {
				got, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: method, StraightThrough: "true", Target: "1"}})
				if err != nil {
					t.Fatal(err)
				}
				approximation := ""
				if c.reason != "" {
					approximation = "straight_through"
				}
				report := got.Report()
				if report.Exact != (c.reason == "") || report.Approximation != approximation || !strings.HasSuffix(report.Why, c.reason) || !report.Parameters.StraightThrough {
					t.Errorf("%s: exact %v, by %q, because %q, with %+v", method, report.Exact, report.Approximation, report.Why, report.Parameters)
				}
				if strings.Contains(strings.Join(got.Warnings, " "), "straight_through") {
					t.Errorf("%s: %q", method, got.Warnings)
				}
				if method != "saliency" {
					continue
				}
				_, want := gradients(t, differentiable(t, file(t, plain())).at(t, "y", explain.ScoresBest, x), x, []int{1})
				for i, g := range floats(t, got.Attributions["x"]) {
					if math.Abs(float64(g)-math.Abs(float64(want[i]))) > 1e-6 {
						t.Errorf("gradient %v, want that of the network without steps, %v", got.Attributions, want)
						break
					}
				}
			}
			_, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: "saliency"}})
			if (fault.Of(err) == fault.Unsupported) != (c.reason != "") {
				t.Errorf("without leave, after one with: %v", err)
			}
		})
	}
}

// TestStraightThroughMeansNothingToScoresAlone warns of it.
func TestStraightThroughMeansNothingToScoresAlone(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, quantized()))
	x := tensor.Named{"x": must(t, []int64{1, 4}, []float32{1, -2, 3, 5})}
	e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
	got, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: "occlusion", StraightThrough: "true"}})
	if err != nil || got.Approximation != "" || got.Parameters.StraightThrough || !strings.Contains(strings.Join(got.Warnings, " "), "straight_through means nothing to occlusion") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWholeNumbersHaveNoGradient asks for a gradient by an input of whole numbers that nothing looks up.
func TestWholeNumbersHaveNoGradient(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, wholeNumbers()))
	x := tensor.Named{"x": must(t, []int64{1, 4}, []int64{1, 2, 3, 5})}
	if err := s.Differentiable(); fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), "none of the network's inputs holds floats") {
		t.Errorf("Differentiable: %v", err)
	}
	e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
	for method, want := range map[string]string{
		"saliency":                   "is int64[1 4], which cannot be hidden gradually",
		"layer_integrated_gradients": "name one with layer",
	} {
		_, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: method}})
		if fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a refusal with %q", method, err, want)
		}
	}
	got, err := e.Explain(t.Context(), explain.Question{Input: x})
	if err != nil || got.Method != "leave_one_out" || got.Exact || !strings.Contains(got.Why, "name one with layer") {
		t.Errorf("%+v, %v", got, err)
	}
	f := s.at(t, "y", explain.ScoresBest, x)
	if _, _, err := f.Gradients(t.Context(), x, []int{0}); fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), "none of the network's inputs holds floats") {
		t.Errorf("Gradients: %v", err)
	}
}

// TestUnknownLayers names tensors that are not there, or that are no layers.
func TestUnknownLayers(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(1)))
	x := noise(t, 1, 1)
	e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
	for _, c := range []struct{ method, layer, want string }{
		{"grad_cam", "relu", `layer "relu": the network has no such tensor`},
		{"grad_cam", "MaxPool_14_1", `did you mean "MaxPool_14_0"?`},
		{"layer_integrated_gradients", "nothing like it", "it has "},
		{"layer_cam", "y", "want channels of two axes"},
		{"grad_cam", "x", `layer "x": the network has no such tensor`},
	} {
		_, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: c.method, Layer: c.layer}})
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: %v, want one that is invalid and says %q", c.method, c.layer, err, c.want)
		}
	}
}

// TestTargetsThatAreNotThere asks the gradient itself.
func TestTargetsThatAreNotThere(t *testing.T) {
	t.Parallel()
	x := noise(t, 1, 1)
	f := differentiable(t, file(t, families()[0].graph(1))).at(t, "y", explain.ScoresBest, x)
	for _, target := range []int{-1, familyClasses} {
		if _, _, err := f.Gradients(t.Context(), x, []int{target}); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "there are 5 scores") {
			t.Errorf("target %d: %v", target, err)
		}
	}
}
