package explain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
)

func TestParseParams(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		raw  map[string]string
		want explain.Params
	}{
		{"nothing", nil, explain.Params{}},
		{"empty values", map[string]string{"target": "", "window": "", "seed": ""}, explain.Params{}},
		{"names of others", map[string]string{"top_k": "many", "Method": "none"}, explain.Params{}},
		{"a number as baseline", map[string]string{"baseline": "-0.5"}, explain.Params{Baseline: "-0.5"}},
		{
			"everything",
			map[string]string{
				"target": "tiger cat", "method": "occlusion", "baseline": "blur", "window": "5", "stride": "3",
				"seed": "18446744073709551615", "output": "probabilities", "format": "overlay", "detail": "full",
				"steps": "20", "rule": "riemann_left", "layer": "relu_4", "relu": "false", "abs": "false", "of": "grad_cam",
				"samples": "10", "straight_through": "true", "sigma": "0.2", "p": "0.25", "width": "1e-1", "segments": "12",
			},
			explain.Params{
				Target: "tiger cat", Method: "occlusion", Baseline: "blur", Window: 5, Stride: 3,
				Seed: 1<<64 - 1, Output: explain.OutputProbabilities, Format: explain.FormatOverlay, Detail: explain.DetailFull,
				Steps: 20, Rule: "riemann_left", Layer: "relu_4", Relu: "false", StraightThrough: "true", Abs: "false", Of: "grad_cam",
				Samples: 10, Sigma: 0.2, P: 0.25, Width: 0.1, Segments: 12,
			},
		},
	}
	for _, test := range tests {
		got, err := explain.ParseParams(test.raw)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(got, test.want); diff != "" {
			t.Errorf("%s: parameters differ (-got +want):\n%s", test.name, diff)
		}
	}
}

func TestParseParamsRefuses(t *testing.T) {
	t.Parallel()
	tests := map[[2]string]string{
		{"method", "oclusion"}:                `invalid: method "oclusion" is not known, did you mean "occlusion"? (known: ` + strings.Join(explain.Methods(), ", ") + `)`,
		{"method", "magic"}:                   `invalid: method "magic" is not known (known: ` + strings.Join(explain.Methods(), ", ") + `)`,
		{"format", "overly"}:                  `invalid: format "overly" is not known, did you mean "overlay"? (known: json, png, overlay, npy)`,
		{"detail", "FULL"}:                    `invalid: detail "FULL" is not known, did you mean "full"? (known: plain, full)`,
		{"baseline", "grey"}:                  `invalid: baseline "grey" is neither a finite number nor a known kind (known: zeros, black, white, mean, blur, noise)`,
		{"baseline", "zero"}:                  `invalid: baseline "zero" is neither a finite number nor a known kind, did you mean "zeros"? (known: zeros, black, white, mean, blur, noise)`,
		{"baseline", "NaN"}:                   "neither a finite number",
		{"baseline", "-Inf"}:                  "neither a finite number",
		{"baseline", "1e39"}:                  "neither a finite number",
		{"window", "0"}:                       `invalid: window "0": want a whole number from 1 to 2147483647`,
		{"window", "-3"}:                      `window "-3"`,
		{"window", "2.5"}:                     `window "2.5"`,
		{"stride", "9999999999"}:              `stride "9999999999"`,
		{"stride", " 3"}:                      `stride " 3"`,
		{"seed", "-1"}:                        `invalid: seed "-1": want a whole number from 0 to 18446744073709551615`,
		{"seed", "18446744073709551616"}:      "seed",
		{"steps", "5001"}:                     `invalid: steps "5001": want a whole number from 1 to 5000`,
		{"samples", "1000001"}:                "from 1 to 1000000",
		{"segments", "1001"}:                  "from 1 to 1000",
		{"sigma", "0"}:                        `invalid: sigma "0": want a number above 0, at most 3.4e+38`,
		{"sigma", "NaN"}:                      "want a number above 0",
		{"sigma", "Inf"}:                      "want a number above 0",
		{"p", "1.5"}:                          `invalid: p "1.5": want a number above 0, at most 1`,
		{"width", "-1"}:                       "want a number above 0",
		{"rule", "gauslegendre"}:              `invalid: rule "gauslegendre" is not known, did you mean "gausslegendre"? (known: gausslegendre, riemann_left, riemann_right, riemann_middle, riemann_trapezoid)`,
		{"abs", "yes"}:                        `invalid: abs "yes" is not known (known: true, false)`,
		{"relu", "no"}:                        `invalid: relu "no" is not known (known: true, false)`,
		{"of", "occlusion"}:                   `invalid: of "occlusion" is not known (known: saliency, integrated_gradients, `,
		{"format", strings.Repeat("x", 9999)}: `format "` + strings.Repeat("x", 64) + `..." is not known (known: json, png, overlay, npy)`,
	}
	for pair, want := range tests {
		_, err := explain.ParseParams(map[string]string{pair[0]: pair[1]})
		if fault.Of(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s=%s: got %v, want %s", pair[0], pair[1], err, want)
		}
	}
}

func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range explain.Table() {
		names = append(names, p.Name)
		if p.Help == "" || p.Default == "" {
			t.Errorf("%s has help %q and default %q", p.Name, p.Help, p.Default)
		}
		if p.Kind == explain.Choice && (len(p.Choices) == 0 || p.Name != "output" && !slices.Contains(p.Choices, p.Default)) {
			t.Errorf("%s: default %q of %q", p.Name, p.Default, p.Choices)
		}
		for _, choice := range p.Choices {
			if got, err := explain.ParseParams(map[string]string{p.Name: choice}); err != nil || got == (explain.Params{}) {
				t.Errorf("%s=%s: %+v, %v", p.Name, choice, got, err)
			}
		}
		if _, err := explain.ParseParams(map[string]string{p.Name: "no such value"}); p.Kind != explain.Text && err == nil {
			t.Errorf("%s took a value that means nothing", p.Name)
		}
	}
	if diff := cmp.Diff(names, []string{
		"target", "method", "baseline", "steps", "rule", "straight_through", "layer", "relu", "abs", "of", "samples", "sigma", "p", "width", "segments",
		"window", "stride", "seed", "output", "format", "detail",
	}); diff != "" {
		t.Errorf("names differ (-got +want):\n%s", diff)
	}
}

func TestTableTellsTheMethodsOfEachParameter(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, p := range explain.Table() {
		for _, method := range p.Methods {
			used[method] = true
			if !slices.Contains(explain.Methods(), method) {
				t.Errorf("%s belongs to %s, which is no method", p.Name, method)
			}
		}
		if p.Methods != nil && !strings.HasPrefix(p.Help, strings.Join(p.Methods, ", ")+": ") {
			t.Errorf("the help of %s does not say its methods: %q", p.Name, p.Help)
		}
	}
	for _, method := range explain.Methods() {
		plain := slices.Contains([]string{"leave_one_out"}, method)
		if used[method] == plain {
			t.Errorf("%s has parameters of its own: %t", method, used[method])
		}
	}
}

func FuzzParseParams(f *testing.F) {
	for _, p := range explain.Table() {
		f.Add(p.Name, p.Default)
		for _, choice := range p.Choices {
			f.Add(p.Name, choice)
		}
	}
	f.Add("baseline", "0x1p-2")
	f.Add("seed", "+1")
	f.Fuzz(func(t *testing.T, name, value string) {
		raw := map[string]string{name: value}
		p, err := explain.ParseParams(raw)
		if err != nil {
			if fault.Of(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "invalid: "+name) || p != (explain.Params{}) {
				t.Fatalf("%s=%q: %+v, %v", name, value, p, err)
			}
			return
		}
		if p.Window < 0 || p.Stride < 0 {
			t.Fatalf("%s=%q: %+v", name, value, p)
		}
		known := slices.ContainsFunc(explain.Table(), func(p explain.Parameter) bool { return p.Name == name })
		if p != (explain.Params{}) && (!known || value == "") {
			t.Fatalf("%s=%q, which is no parameter, gave %+v", name, value, p)
		}
	})
}
