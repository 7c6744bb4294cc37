package explain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// batch is a dimension that is not fixed.
func batch() engine.Dim { return engine.Dim{Size: -1, Name: "batch"} }

// value describes an input or output with a free batch dimension.
func value(name string, d tensor.DType, dims ...int64) engine.Value {
	v := engine.Value{Name: name, DType: d, Shape: []engine.Dim{batch()}}
	for _, dim := range dims {
		v.Shape = append(v.Shape, engine.Dim{Size: dim})
	}
	return v
}

// classes is how many outputs the network below has.
const classes = 3

// network is three linear scores of a picture of 2x2 pixels in two channels: score k is the sum of elements 0 to 2k, so
// that the last one sees the most of it. most, where not nil, learns the highest number of rows that ran at once.
func network(most *int) *enginetest.Fake {
	var mu sync.Mutex
	signature := engine.Signature{
		Inputs:  []engine.Value{value("x", tensor.Float32, 2, 2, 2)},
		Outputs: []engine.Value{value("rank", tensor.Int64, 1), value("y", tensor.Float32, classes)},
	}
	return enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		x, err := tensor.Data[float32](in["x"])
		if err != nil {
			return nil, err
		}
		rows := len(x) / 8
		if most != nil {
			mu.Lock()
			*most = max(*most, rows)
			mu.Unlock()
		}
		y := make([]float32, 0, rows*classes)
		for row := range slices.Chunk(x, 8) {
			for k := range classes {
				sum := float32(0)
				for _, v := range row[:2*k+1] {
					sum += v
				}
				y = append(y, sum)
			}
		}
		out, err := tensor.New([]int64{int64(rows), classes}, y)
		return tensor.Named{"y": out}, err
	})
}

func newExplainer(t *testing.T, opts explain.Options) *explain.Explainer {
	t.Helper()
	e, err := explain.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func pixels(t *testing.T) tensor.Named {
	t.Helper()
	return tensor.Named{"x": must(t, []int64{1, 2, 2, 2}, []float32{1, 2, 3, 4, 5, 6, 7, 8})}
}

func TestExplainTellsEverything(t *testing.T) {
	t.Parallel()
	e := newExplainer(t, explain.Options{Session: network(nil), Labels: []string{"cat", "dog", "fish"}, Output: "logits"})
	x, err := e.Explain(t.Context(), explain.Question{Input: pixels(t), Params: explain.Params{Baseline: "0.5", Seed: 3}})
	if err != nil {
		t.Fatal(err)
	}
	x.Crop = &explain.Crop{X: 10, Y: 0, Width: 300, Height: 300}
	x.Runtime.TotalMS = 42
	full := x.Report()
	body, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	// Both channels of a pixel are hidden together: the first is covered by elements 0 and 4 of the row.
	want := `{"method":"occlusion","exact":false,"why":"the default method without a gradient: no gradient is known for this network",` +
		`"target":{"index":2,"label":"fish","output":"logits","value":15},"baseline":{"kind":"0.5","value":2.5},` +
		`"parameters":{"window":[1,1],"stride":[1,1],"seed":3},` +
		`"attributions":[{"input":"x","shape":[2,2,2],"data":[5,1.5,2.5,3.5,5,1.5,2.5,3.5]}],` +
		`"summary":{"shape":[2,2],"reduce":"sum_abs_channels","max":{"y":0,"x":0,"value":10}},` +
		`"crop":{"x":10,"y":0,"width":300,"height":300},"warnings":[],` +
		`"runtime":{"total_ms":42,"build_ms":0,"gradient_evaluations":0,"forward_evaluations":7}}`
	if diff := cmp.Diff(string(body), want); diff != "" {
		t.Errorf("full answer differs (-got +want):\n%s", diff)
	}
	var back explain.Report
	if err := json.Unmarshal(body, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(back, full); diff != "" {
		t.Errorf("the answer read back differs (-got +want):\n%s", diff)
	}
	if got, err := back.Picture(); err != nil || got.String() != "float32[2 2 2]" {
		t.Errorf("picture of the answer read back: %v, %v", got, err)
	}
	wantHeader := map[string]string{
		"X-Explain-Method": "occlusion", "X-Explain-Exact": "false",
		"X-Explain-Reason": "the default method without a gradient: no gradient is known for this network",
	}
	if diff := cmp.Diff(x.Header(), wantHeader); diff != "" {
		t.Errorf("header differs (-got +want):\n%s", diff)
	}
}

func TestReportReadsNullAsZero(t *testing.T) {
	t.Parallel()
	var r explain.Report
	body := `{"target":{"value":null},"attributions":[{"input":"x","shape":[2],"data":[null,1]}],"later":{}}`
	if err := json.Unmarshal([]byte(body), &r); err != nil || !slices.Equal(r.Attributions[0].Data, []float32{0, 1}) {
		t.Errorf("read %+v, %v", r, err)
	}
}

func TestHeaderIsPrintable(t *testing.T) {
	t.Parallel()
	x := explain.Explanation{Why: "no gradient\r\nfor Größe"}
	if got := x.Header()["X-Explain-Reason"]; got != "no gradient??for Gr??e" {
		t.Errorf("reason = %q", got)
	}
}

func TestExplainResolvesTargets(t *testing.T) {
	t.Parallel()
	labels := []string{"Tabby", "tabby", "tiger cat"}
	tests := []struct {
		target string
		labels []string
		want   int
		err    string
	}{
		{"", labels, 2, ""},
		{"predicted", nil, 2, ""},
		{"0", nil, 0, ""},
		{"1", labels, 1, ""},
		{"tabby", labels, 1, ""},
		{"Tabby", labels, 0, ""},
		{"TIGER CAT", labels, 2, ""},
		{"2", []string{"2", "1", "0"}, 2, ""}, // an index comes before a label
		{"7", []string{"5", "6", "7"}, 2, ""},
		{"TABBY", labels, 0, `target "TABBY" is the label of several indices, 0 and 1 among them: give an index`},
		{"tiger", labels, 0, `target "tiger" is neither a label nor an index from 0 to 2, did you mean "tiger cat"?`},
		{"tiger kat", labels, 0, `did you mean "tiger cat"?`},
		{"spoon", labels, 0, `target "spoon" is neither a label nor an index from 0 to 2`},
		{"3", labels, 0, `index from 0 to 2`},
		{"-1", nil, 0, `target "-1": this model has no labels, want "predicted" or an index from 0 to 2`},
		{"fourth", []string{"a", "b", "c", "fourth"}, 0, "neither a label nor an index"}, // no such output
	}
	for _, test := range tests {
		e := newExplainer(t, explain.Options{Session: network(nil), Labels: test.labels})
		x, err := e.Explain(t.Context(), explain.Question{Input: pixels(t), Params: explain.Params{Target: test.target}})
		if test.err != "" {
			if fault.Of(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("target %q of %q: %v, want %q", test.target, test.labels, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("target %q of %q: %v", test.target, test.labels, err)
			continue
		}
		want := explain.Target{Index: test.want, Output: "y", Value: []float32{1, 6, 15}[test.want]}
		if test.labels != nil {
			want.Label = test.labels[test.want]
		}
		if diff := cmp.Diff(x.Target, want); diff != "" {
			t.Errorf("target %q differs (-got +want):\n%s", test.target, diff)
		}
	}
}

// parts is a network whose scores are the elements of its input, so that an attribution of single cells is input less
// baseline.
func parts(d tensor.DType, dims ...int64) *enginetest.Fake {
	signature := engine.Signature{
		Inputs: []engine.Value{value("x", d, dims...)}, Outputs: []engine.Value{{Name: "y", DType: tensor.Float32, Shape: []engine.Dim{batch()}}},
	}
	return enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		x, err := tensor.Float32s(in["x"])
		if err != nil {
			return nil, err
		}
		y, err := tensor.New(in["x"].Shape(), slices.Clone(x))
		return tensor.Named{"y": y}, err
	})
}

// baselines returns the baseline that an explainer of parts used, element by element.
func baselines(t *testing.T, opts explain.Options, input tensor.Tensor, p explain.Params) ([]float64, error) {
	t.Helper()
	e := newExplainer(t, opts)
	var values []float64
	for i := range input.Len() {
		p.Target = fmt.Sprint(i)
		x, err := e.Explain(t.Context(), explain.Question{Input: tensor.Named{"x": input}, Params: p})
		if err != nil {
			return nil, err
		}
		values = append(values, float64(x.Baseline.Value))
	}
	return values, nil
}

func TestBaselines(t *testing.T) {
	t.Parallel()
	colour := must(t, []int64{1, 3, 1, 2}, []float32{1, 3, -1, 5, 0, 0}) // three channels of two pixels
	imagenet := &explain.Pixels{Scale: 1.0 / 255, Mean: []float64{0.5, 0.4, 0.3}, Std: []float64{0.25, 0.2, 0.1}}
	raw := must(t, []int64{1, 2, 1, 3}, []uint8{10, 20, 30, 40, 50, 60}) // last: two pixels of three channels
	tests := []struct {
		name     string
		input    tensor.Tensor
		pixels   *explain.Pixels
		baseline string
		want     []float64
	}{
		{"zeros", colour, nil, "zeros", []float64{0, 0, 0, 0, 0, 0}},
		{"default", colour, imagenet, "", []float64{0, 0, 0, 0, 0, 0}},
		{"number", colour, nil, "-1.5", []float64{-1.5, -1.5, -1.5, -1.5, -1.5, -1.5}},
		{"mean", colour, nil, "mean", []float64{2, 2, 2, 2, 0, 0}},
		{"black", colour, imagenet, "black", []float64{-2, -2, -2, -2, -3, -3}},
		{"white", colour, imagenet, "white", []float64{2, 2, 3, 3, 7, 7}},
		{"one for all channels", colour, &explain.Pixels{Mean: []float64{127}, Std: []float64{128}}, "white", []float64{1, 1, 1, 1, 1, 1}},
		{"pixels as they are", colour, &explain.Pixels{}, "white", []float64{255, 255, 255, 255, 255, 255}},
		{"bytes", raw, &explain.Pixels{}, "white", []float64{255, 255, 255, 255, 255, 255}},
		{"bytes by channel", raw, nil, "mean", []float64{25, 35, 45, 25, 35, 45}},
		{"bytes hold whole numbers from 0 to 255", raw, nil, "12.6", []float64{13, 13, 13, 13, 13, 13}},
		{"float64", must(t, []int64{1, 2}, []float64{3, 4}), nil, "0.5", []float64{0.5, 0.5}},
		{"float16", must(t, []int64{1, 2}, []tensor.Float16{0x4200, 0x4400}), nil, "mean", []float64{3.5, 3.5}},
		{"bfloat16", must(t, []int64{1, 2}, []tensor.BFloat16{0x4040, 0x4080}), nil, "mean", []float64{3.5, 3.5}},
		{"and no less", raw, nil, "-4", []float64{0, 0, 0, 0, 0, 0}},
	}
	for _, test := range tests {
		opts := explain.Options{Session: parts(test.input.DType(), test.input.Shape()[1:]...), Pixels: test.pixels}
		got, err := baselines(t, opts, test.input, explain.Params{Baseline: test.baseline})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(got, test.want, cmpopts.EquateApprox(1e-6, 1e-6)); diff != "" {
			t.Errorf("%s: baseline differs (-got +want):\n%s", test.name, diff)
		}
	}
}

func TestBlurKeepsWhatIsFlat(t *testing.T) {
	t.Parallel()
	flat := must(t, []int64{1, 6, 5}, slices.Repeat([]float32{3}, 30))
	got, err := baselines(t, explain.Options{Session: parts(tensor.Float32, 6, 5)}, flat, explain.Params{Baseline: "blur"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, slices.Repeat([]float64{3}, 30), cmpopts.EquateApprox(0, 1e-5)); diff != "" {
		t.Errorf("a flat picture changed (-got +want):\n%s", diff)
	}
	point := make([]float32, 20)
	point[10] = 1
	got, err = baselines(t, explain.Options{Session: parts(tensor.Float32, 20)}, must(t, []int64{1, 20}, point), explain.Params{Baseline: "blur"})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, v := range got { // deviation 2, so that a point becomes the bell curve around it
		sum += v
		d := float64(i - 10)
		if want := math.Exp(-d*d/8) / math.Sqrt(8*math.Pi); math.Abs(v-want) > 2e-3 {
			t.Errorf("cell %d is %v, want %v", i, v, want)
		}
	}
	if math.Abs(sum-1) > 1e-3 {
		t.Errorf("the blurred point sums to %v", sum)
	}
}

func TestNoiseFollowsItsSeed(t *testing.T) {
	t.Parallel()
	input := must(t, []int64{1, 1, 8, 8}, make([]float32, 64))
	opts := explain.Options{Session: parts(tensor.Float32, 1, 8, 8), Pixels: &explain.Pixels{Scale: 1.0 / 255}}
	noise := func(seed uint64) []float64 {
		got, err := baselines(t, opts, input, explain.Params{Baseline: "noise", Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a, b, other := noise(1), noise(1), noise(2)
	if !slices.Equal(a, b) || slices.Equal(a, other) {
		t.Errorf("seed 1 gave %v, then %v; seed 2 gave %v", a, b, other)
	}
	if slices.Min(a) < 0 || slices.Max(a) > 1 || slices.Max(a)-slices.Min(a) < 0.5 {
		t.Errorf("noise runs from %v to %v, want most of 0 to 1", slices.Min(a), slices.Max(a))
	}
}

func TestExplainRefuses(t *testing.T) {
	t.Parallel()
	two := tensor.Named{"x": must(t, []int64{2, 2, 2, 2}, make([]float32, 16))}
	wide := tensor.Named{"x": must(t, []int64{1, 2, 2, 3}, make([]float32, 12))}
	text := enginetest.New(engine.Signature{
		Inputs: []engine.Value{value("text", tensor.String, 4)}, Outputs: []engine.Value{value("y", tensor.Float32, 2)},
	}, nil)
	counts := enginetest.New(engine.Signature{
		Inputs: []engine.Value{value("x", tensor.Float32, 4)}, Outputs: []engine.Value{value("class", tensor.Int64, 1)},
	}, nil)
	closed := network(nil)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	mono := &explain.Pixels{Mean: []float64{1, 2, 3}}
	tests := []struct {
		name string
		opts explain.Options
		q    explain.Question
		kind fault.Kind
		want string
	}{
		{"two rows", explain.Options{Session: network(nil)}, explain.Question{Input: two}, fault.Invalid, "want one row"},
		{"wrong shape", explain.Options{Session: network(nil)}, explain.Question{Input: wide}, fault.Invalid, "the network takes"},
		{"no input", explain.Options{Session: network(nil)}, explain.Question{}, fault.Invalid, "missing"},
		{"unknown method", explain.Options{Session: network(nil)}, explain.Question{Input: pixels(t), Params: explain.Params{Method: "shap"}}, fault.Invalid, `method "shap" is not known (known: integrated_gradients, `},
		{"unknown baseline", explain.Options{Session: network(nil)}, explain.Question{Input: pixels(t), Params: explain.Params{Baseline: "grey"}}, fault.Invalid, `baseline "grey"`},
		{"black of unknown pixels", explain.Options{Session: network(nil)}, explain.Question{Input: pixels(t), Params: explain.Params{Baseline: "black"}}, fault.Unsupported, `baseline "black": how pixels become this network's input is not known; ask for zeros, mean, blur or a number`},
		{"pixels of other channels", explain.Options{Session: network(nil), Pixels: mono}, explain.Question{Input: pixels(t), Params: explain.Params{Baseline: "white"}}, fault.Invalid, "2 channels"},
		{"logits of probabilities", explain.Options{Session: network(nil), Output: "probabilities"}, explain.Question{Input: pixels(t), Params: explain.Params{Output: "logits"}}, fault.Unsupported, `output "logits": the network gives probabilities; leave output out`},
		{"probabilities of anything", explain.Options{Session: network(nil)}, explain.Question{Input: pixels(t), Params: explain.Params{Output: "probabilities"}}, fault.Unsupported, `the network gives y`},
		{"gaps", explain.Options{Session: network(nil)}, explain.Question{Input: pixels(t), Params: explain.Params{Stride: 2}}, fault.Invalid, "explain: occlusion: invalid: stride 2"},
		{"only texts", explain.Options{Session: text}, explain.Question{Input: pixels(t)}, fault.Unsupported, "text string[batch,4]"},
		{"only classes", explain.Options{Session: counts}, explain.Question{Input: pixels(t)}, fault.Unsupported, "class int64[batch,1]"},
		{"closed", explain.Options{Session: closed}, explain.Question{Input: pixels(t)}, fault.Unavailable, "closed"},
	}
	for _, test := range tests {
		_, err := newExplainer(t, test.opts).Explain(t.Context(), test.q)
		if fault.Of(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %v with %q", test.name, err, test.kind, test.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	s := network(nil)
	for name, opts := range map[string]explain.Options{
		"no session":      {},
		"negative rows":   {Session: s, Rows: -1},
		"negative memory": {Session: s, Memory: -1},
		"no such layout":  {Session: s, Layout: 3},
		"std of zero":     {Session: s, Pixels: &explain.Pixels{Std: []float64{1, 0}}},
		"mean not finite": {Session: s, Pixels: &explain.Pixels{Mean: []float64{math.NaN()}}},
	} {
		if _, err := explain.New(opts); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want %v", name, err, fault.Invalid)
		}
	}
}

func TestExplainRefusesANetworkThatMixesRows(t *testing.T) {
	t.Parallel()
	signature := engine.Signature{Inputs: []engine.Value{value("x", tensor.Float32, 4)}, Outputs: []engine.Value{value("y", tensor.Float32)}}
	mixes := enginetest.New(signature, func(tensor.Named) (tensor.Named, error) {
		y, err := tensor.New([]int64{1}, []float32{1})
		return tensor.Named{"y": y}, err
	})
	e := newExplainer(t, explain.Options{Session: mixes})
	_, err := e.Explain(t.Context(), explain.Question{Input: tensor.Named{"x": must(t, []int64{1, 4}, make([]float32, 4))}})
	if !errors.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "answers 6 rows") {
		t.Errorf("got %v, want %v", err, fault.Unsupported)
	}
}

func TestExplainKeepsToItsMemory(t *testing.T) {
	t.Parallel()
	const row = 4 * (8 + classes) // bytes at both ends
	for _, test := range []struct {
		memory     int64
		rows, want int
	}{{0, 0, 6}, {0, 4, 4}, {3 * row, 0, 3}, {3*row - 1, 0, 2}, {1, 0, 1}, {100 * row, 5, 5}} {
		most := 0
		e := newExplainer(t, explain.Options{Session: network(&most), Memory: test.memory, Rows: test.rows})
		if _, err := e.Explain(t.Context(), explain.Question{Input: pixels(t)}); err != nil {
			t.Fatal(err)
		}
		if most != test.want {
			t.Errorf("memory %d, rows %d: %d rows at once, want %d", test.memory, test.rows, most, test.want)
		}
	}
}

func TestExplainWarnsOfScoresThatAreNotFinite(t *testing.T) {
	t.Parallel()
	e := newExplainer(t, explain.Options{Session: parts(tensor.Float32, 2)})
	x, err := e.Explain(t.Context(), explain.Question{
		Input:  tensor.Named{"x": must(t, []int64{1, 2}, []float32{float32(math.NaN()), 1})},
		Params: explain.Params{Target: "0"},
	})
	if err != nil || len(x.Warnings) != 1 || !strings.Contains(x.Warnings[0], "not a finite number") {
		t.Fatalf("got %+v, %v", x, err)
	}
	x, err = e.Explain(t.Context(), explain.Question{
		Input: tensor.Named{"x": must(t, []int64{1, 2}, []float32{float32(math.NaN()), 1})},
	})
	if err != nil || x.Target.Index != 1 || len(x.Warnings) != 0 {
		t.Errorf("the highest number is %+v with warnings %v, %v", x.Target, x.Warnings, err)
	}
}

func TestPicturesHaveTheirChannelsInFront(t *testing.T) {
	t.Parallel()
	input := tensor.Named{"x": must(t, []int64{1, 2, 5, 3}, make([]float32, 30))} // two lines of five pixels of three channels
	e := newExplainer(t, explain.Options{Session: parts(tensor.Float32, 2, 5, 3)})
	input["x"] = must(t, []int64{1, 2, 5, 3}, slices.Repeat([]float32{2}, 30))
	x, err := e.Explain(t.Context(), explain.Question{Input: input, Params: explain.Params{Target: "7"}}) // line 0, pixel 2
	if err != nil {
		t.Fatal(err)
	}
	if got := x.Attributions["x"].String(); got != "float32[2 5 3]" {
		t.Errorf("attributions are %v, want the input's shape", got)
	}
	want := make([]float32, 30)
	want[2], want[12], want[22] = 2, 2, 2
	plain, ok := x.Plain().(tensor.Tensor)
	if !ok || plain.String() != "float32[3 2 5]" || !slices.Equal(floats(t, plain), want) {
		t.Errorf("plain is %v %v", plain, floats(t, plain))
	}
	report := x.Report()
	if diff := cmp.Diff(report.Attributions, []explain.Attribution{{Input: "x", Shape: []int64{3, 2, 5}, Data: want}}); diff != "" {
		t.Errorf("report differs (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(report.Summary, &explain.Summary{Shape: []int64{2, 5}, Reduce: "sum_abs_channels", Max: explain.Peak{X: 2, Value: 6}}); diff != "" {
		t.Errorf("summary differs (-got +want):\n%s", diff)
	}
	if got, err := x.Picture(); err != nil || got.String() != "float32[3 2 5]" {
		t.Errorf("picture is %v, %v", got, err)
	}
}

func TestExplainProbabilities(t *testing.T) {
	t.Parallel()
	double := func(row []float64) { // stands for a softmax
		for i := range row {
			row[i] *= 2
		}
	}
	tests := []struct {
		name   string
		opts   explain.Options
		output string
		want   explain.Target
	}{
		{"as they are", explain.Options{Output: "logits", Probabilities: double}, "", explain.Target{Index: 2, Output: "logits", Value: 15}},
		{"logits", explain.Options{Output: "logits", Probabilities: double}, "logits", explain.Target{Index: 2, Output: "logits", Value: 15}},
		{"converted", explain.Options{Output: "logits", Probabilities: double}, "probabilities", explain.Target{Index: 2, Output: "probabilities", Value: 30}},
		{"given", explain.Options{Output: "probabilities"}, "probabilities", explain.Target{Index: 2, Output: "probabilities", Value: 15}},
	}
	for _, test := range tests {
		test.opts.Session = network(nil)
		x, err := newExplainer(t, test.opts).Explain(t.Context(), explain.Question{Input: pixels(t), Params: explain.Params{Output: test.output}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(x.Target, test.want); diff != "" {
			t.Errorf("%s: target differs (-got +want):\n%s", test.name, diff)
		}
		if got := floats(t, x.Attributions["x"])[0]; got != 6*test.want.Value/15 {
			t.Errorf("%s: the first cell has %v, want %v", test.name, got, 6*test.want.Value/15)
		}
	}
}

func TestExplainOfDoubles(t *testing.T) {
	t.Parallel()
	signature := engine.Signature{
		Inputs: []engine.Value{value("x", tensor.Float64, 2)}, Outputs: []engine.Value{value("y", tensor.Float64, 2)},
	}
	e := newExplainer(t, explain.Options{Session: enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		return tensor.Named{"y": in["x"]}, nil
	})})
	x, err := e.Explain(t.Context(), explain.Question{
		Input:  tensor.Named{"x": must(t, []int64{1, 2}, []float64{1e9, 1e9 + 1})}, // equal as float32
		Params: explain.Params{Method: "occlusion", Baseline: "999999999"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if x.Target.Index != 1 || x.Why != "named in the request" {
		t.Errorf("target %d, why %q, want target 1, named", x.Target.Index, x.Why)
	}
	if diff := cmp.Diff(floats(t, x.Attributions["x"]), []float32{0, 1}); diff != "" {
		t.Errorf("attributions differ (-got +want):\n%s", diff)
	}
}

func TestSeveralInputsKeepTheNetworksOrder(t *testing.T) {
	t.Parallel()
	signature := engine.Signature{
		Inputs: []engine.Value{value("right", tensor.Float32, 2), value("mode", tensor.Int32, 1), value("left", tensor.Float32, 3)}, Outputs: []engine.Value{value("y", tensor.Float32)},
	}
	e := newExplainer(t, explain.Options{Session: enginetest.New(signature, func(in tensor.Named) (tensor.Named, error) {
		left, right := floats(t, in["left"]), floats(t, in["right"])
		y := make([]float32, len(left)/3)
		for i := range y {
			y[i] = left[3*i] + 10*right[2*i+1]
		}
		out, err := tensor.New([]int64{int64(len(y))}, y)
		return tensor.Named{"y": out}, err
	})})
	x, err := e.Explain(t.Context(), explain.Question{Input: tensor.Named{
		"left": must(t, []int64{1, 3}, []float32{1, 1, 1}), "right": must(t, []int64{1, 2}, []float32{2, 2}), "mode": must(t, []int64{1, 1}, []int32{5}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []explain.Attribution{
		{Input: "right", Shape: []int64{2}, Data: []float32{0, 20}},
		{Input: "left", Shape: []int64{3}, Data: []float32{1, 0, 0}},
	}
	if diff := cmp.Diff(x.Report().Attributions, want); diff != "" {
		t.Errorf("attributions differ (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(x.Report().Summary, &explain.Summary{Shape: []int64{2}, Reduce: "abs", Max: explain.Peak{X: 1, Value: 20}}); diff != "" {
		t.Errorf("summary differs (-got +want):\n%s", diff)
	}
	plain, ok := x.Plain().([]tensor.Tensor)
	if !ok || len(plain) != 2 || plain[0].String() != "float32[2]" || plain[1].String() != "float32[3]" {
		t.Errorf("plain is %v", x.Plain())
	}
	if _, err := x.Picture(); !errors.Is(err, fault.Unsupported) {
		t.Errorf("picture of what is none: %v", err)
	}
}

func TestPictureOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := (&explain.Explanation{}).Picture(); !errors.Is(err, fault.Unsupported) {
		t.Errorf("explanation: %v", err)
	}
	if _, err := (&explain.Report{}).Picture(); !errors.Is(err, fault.Unsupported) {
		t.Errorf("report: %v", err)
	}
	lie := explain.Report{Attributions: []explain.Attribution{{Input: "x", Shape: []int64{2, 2}, Data: []float32{1}}}}
	if _, err := lie.Picture(); !errors.Is(err, fault.Invalid) {
		t.Errorf("report that contradicts itself: %v", err)
	}
}

func TestExplainFromManyGoroutines(t *testing.T) {
	t.Parallel()
	e := newExplainer(t, explain.Options{Session: network(nil), Pixels: &explain.Pixels{Scale: 1.0 / 255}})
	ask := func(i int) (*explain.Explanation, error) {
		return e.Explain(t.Context(), explain.Question{Input: pixels(t), Params: explain.Params{
			Target: fmt.Sprint(i % classes), Baseline: []string{"zeros", "noise", "mean"}[i%3], Seed: uint64(i % 5),
		}})
	}
	want := make([]*explain.Explanation, 15)
	for i := range want {
		var err error
		if want[i], err = ask(i); err != nil {
			t.Fatal(err)
		}
		want[i].Runtime.TotalMS = 0
	}
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			got, err := ask(i)
			if err != nil {
				t.Error(err)
				return
			}
			got.Runtime.TotalMS = 0
			if diff := cmp.Diff(got.Report(), want[i%15].Report()); diff != "" {
				t.Errorf("explanation %d differs (-got +want):\n%s", i, diff)
			}
		})
	}
	group.Wait()
}

func TestExplainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	session := parts(tensor.Float32, 500)
	e := newExplainer(t, explain.Options{Session: session})
	chunks := 0
	q := explain.Question{
		Input:  tensor.Named{"x": must(t, []int64{1, 500}, make([]float32, 500))},
		Params: explain.Params{Window: 1},
		Progress: func(int, int) {
			if chunks++; chunks == 2 {
				cancel()
			}
		},
	}
	if _, err := e.Explain(ctx, q); fault.Of(err) != fault.Canceled || chunks != 2 {
		t.Errorf("after %d chunks: %v, want %v after 2", chunks, err, fault.Canceled)
	}
	if _, err := session.Run(t.Context(), q.Input); err != nil {
		t.Errorf("the session is no longer usable: %v", err)
	}
}
