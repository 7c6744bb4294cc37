package classify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/classify"
	"github.com/tsgo/tsgo/pkg/handler/handlertest"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

const side = 8

// signature is that of a network of three classes: how red, green and blue a picture is on average.
func signature(dims ...int64) engine.Signature {
	if dims == nil {
		dims = []int64{-1, 3, side, side}
	}
	shape := make([]engine.Dim, len(dims))
	for i, d := range dims {
		shape[i].Size = d
	}
	return engine.Signature{
		Inputs:  []engine.Value{{Name: "input", DType: tensor.Float32, Shape: shape}},
		Outputs: []engine.Value{{Name: "output", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 3}}}},
	}
}

func colours(in tensor.Named) (tensor.Named, error) {
	x, err := tensor.Data[float32](in["input"])
	if err != nil {
		return nil, err
	}
	rows := in["input"].Shape()[0]
	out := make([]float32, 3*rows)
	per := len(x) / len(out)
	for i := range out {
		for _, v := range x[i*per : (i+1)*per] {
			out[i] += v / float32(per)
		}
	}
	t, err := tensor.New([]int64{rows, 3}, out)
	return tensor.Named{"output": t}, err
}

func env(t *testing.T, session engine.Session, labels []string, config map[string]any) handler.Env {
	t.Helper()
	explainer, err := explain.New(explain.Options{Session: session, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	return handler.Env{Session: session, Explainer: explainer, Labels: labels, Config: config, Log: slog.New(slog.DiscardHandler)}
}

func build(t *testing.T, labels []string, config map[string]any) handler.Handler {
	t.Helper()
	all := map[string]any{"size": side, "resizeRule": "stretch", "mean": []any{0}}
	for key, value := range config {
		all[key] = value
	}
	h, err := classify.New(env(t, enginetest.New(signature(), colours), labels, all))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func picture(t *testing.T, c color.Color, width, height int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func body(data []byte) model.Input { return model.Input{Name: "body", Data: data} }

func ask(t *testing.T, h handler.Handler, input model.Input, params map[string]string) (handler.Answer, error) {
	t.Helper()
	req := &model.Request{Inputs: []model.Input{input}, Params: params}
	in, err := h.Preprocess(t.Context(), req)
	if err != nil {
		return handler.Answer{}, err
	}
	out, err := h.Inference(t.Context(), in)
	if err != nil {
		return handler.Answer{}, err
	}
	return h.Postprocess(t.Context(), req, out)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	red, blue := picture(t, color.RGBA{R: 255, A: 255}, 16, 12), picture(t, color.RGBA{B: 255, A: 255}, 5, 9)
	lists, err := json.Marshal([3][side][side]float32{})
	if err != nil {
		t.Fatal(err)
	}
	two := fmt.Appendf(nil, "[%s,%s]", lists, lists)
	handlertest.TestHandler(t, handlertest.Case{
		Handler: build(t, []string{"red", "green", "blue"}, nil),
		Good:    []model.Input{body(red), body(blue), {Name: "data", ContentType: "application/json", Data: lists}},
		Bad: []model.Input{
			body(nil), body([]byte("text")), body(red[:len(red)/2]),
			{Name: "body", ContentType: "application/json", Data: []byte("[1,2,3]")},
			{Name: "body", ContentType: "application/json", Data: two},
		},
	})
}

// A tensor that came with a request stays its caller's.
func TestRecycle(t *testing.T) {
	t.Parallel()
	h := build(t, nil, nil)
	ones := slices.Repeat([]float32{1}, 3*side*side)
	given, err := tensor.New([]int64{1, 3, side, side}, ones)
	if err != nil {
		t.Fatal(err)
	}
	own := &model.Request{Inputs: []model.Input{{Name: "input", Tensor: &given}}}
	red := &model.Request{Inputs: []model.Input{body(picture(t, color.RGBA{R: 255, A: 255}, 16, 16))}}
	for range 100 { // a pool may forget what it was given
		in, err := h.Preprocess(t.Context(), own)
		if err != nil {
			t.Fatal(err)
		}
		h.(handler.Recycler).Recycle(own, in)
		if _, err := h.Preprocess(t.Context(), red); err != nil {
			t.Fatal(err)
		}
	}
	if slices.ContainsFunc(ones, func(v float32) bool { return v != 1 }) {
		t.Error("a picture was written over the tensor of a request")
	}
}

// object makes an object of keys and values in turn.
func object(pairs ...any) handler.Object {
	var o handler.Object
	for i := 0; i < len(pairs); i += 2 {
		o = append(o, handler.Member{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return o
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	red := body(picture(t, color.RGBA{R: 255, A: 255}, 16, 16))
	e := math.E
	tests := []struct {
		name   string
		labels []string
		config map[string]any
		params map[string]string
		want   any
	}{
		{
			"softmax in falling order",
			[]string{"red", "green", "blue"},
			nil, nil,
			object("red", float32(e/(e+2)), "green", float32(1/(e+2)), "blue", float32(1/(e+2))),
		},
		{"no labels", nil, map[string]any{"topK": 1}, nil, object("0", float32(e/(e+2)))},
		{"top_k of the request wins", nil, map[string]any{"topK": 3}, map[string]string{"top_k": "1"}, object("0", float32(e/(e+2)))},
		{"more than there are", nil, nil, map[string]string{"top_k": "99"}, object("0", float32(e/(e+2)), "1", float32(1/(e+2)), "2", float32(1/(e+2)))},
		{"none", nil, map[string]any{"activation": "none", "topK": 1}, nil, object("0", float32(1))},
		{"sigmoid", nil, map[string]any{"activation": "sigmoid", "topK": 2}, nil, object("0", float32(e/(e+1)), "1", float32(0.5))},
		{"log_softmax", nil, map[string]any{"activation": "log_softmax", "topK": 2}, nil, object("0", float32(e), "1", float32(1))},
		{"labels that occur twice", []string{"a", "b", "a"}, nil, nil, object("a", float32(e/(e+2)), "b", float32(1/(e+2)), "a (2)", float32(1/(e+2)))},
		{"class as a number", []string{"7", "8", "9"}, map[string]any{"answer": "class"}, nil, 7},
		{"class as text", []string{"07", "8", "9"}, map[string]any{"answer": "class"}, nil, "07"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t, build(t, test.labels, test.config), red, test.params)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Value); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadParams(t *testing.T) {
	t.Parallel()
	red := body(picture(t, color.RGBA{R: 255, A: 255}, 16, 16))
	for text, params := range map[string]map[string]string{
		`top_k is "0"`:             {"top_k": "0"},
		`top_k is "many"`:          {"top_k": "many"},
		`no parameter "topk", did`: {"topk": "1"},
	} {
		if _, err := ask(t, build(t, nil, nil), red, params); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v, want %q", params, err, text)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	two := signature()
	two.Inputs = append(two.Inputs, two.Inputs[0])
	tests := []struct {
		name      string
		signature engine.Signature
		labels    []string
		config    map[string]any
		want      string
	}{
		{"two inputs", two, nil, nil, "has one input, this network has 2"},
		{"labels", signature(), []string{"a", "b"}, nil, "3 classes, the model has 2 labels"},
		{"unknown setting", signature(), nil, map[string]any{"topk": 1}, `did you mean "topK"?`},
		{"unknown activation", signature(), nil, map[string]any{"activation": "soft_max"}, `did you mean "softmax"?`},
		{"unknown answer", signature(), nil, map[string]any{"answer": "klass"}, `did you mean "class"?`},
		{"unknown output", signature(), nil, map[string]any{"output": "outptu"}, `did you mean "output"?`},
		{"negative topK", signature(), nil, map[string]any{"topK": -1}, "topK is -1"},
		{"unknown interpolation", signature(), nil, map[string]any{"interpolation": "bilinar"}, `bilinear`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := classify.New(env(t, enginetest.New(test.signature, colours), test.labels, test.config))
			if !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want %q", err, test.want)
			}
		})
	}
}

// A network without a manifest: sizes come from the signature, and the log says so.
func TestGuessed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dims []int64
		want string
	}{
		"nchw":       {[]int64{-1, 3, 6, 4}, "size=4x6 colour=rgb layout=nchw"},
		"grey":       {[]int64{1, 1, 28, 28}, "size=28x28 colour=grey layout=nchw"},
		"nhwc":       {[]int64{-1, 6, 4, 3}, "size=4x6 colour=rgb layout=nhwc"},
		"open sizes": {[]int64{-1, 3, -1, -1}, "size=224x224 colour=rgb layout=nchw"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			session := enginetest.New(signature(test.dims...), func(tensor.Named) (tensor.Named, error) {
				y, err := tensor.New([]int64{1, 3}, []float32{0.25, 0.7, 0.05})
				return tensor.Named{"output": y}, err
			})
			e := env(t, session, nil, nil)
			e.Guessed, e.Log = true, slog.New(slog.NewTextHandler(&log, nil))
			h, err := classify.New(e)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), test.want) {
				t.Errorf("log %q, want %q", log.String(), test.want)
			}
			got, err := ask(t, h, body(picture(t, color.White, 40, 30)), map[string]string{"top_k": "1"})
			if diff := cmp.Diff(handler.Object{{Key: "1", Value: float32(0.7)}}, got.Value); err != nil || diff != "" {
				t.Errorf("probabilities were not taken as they are: %v\n%s", err, diff)
			}
		})
	}
}

func TestNothingToGuess(t *testing.T) {
	t.Parallel()
	e := env(t, enginetest.New(signature(-1, 4), nil), nil, nil)
	e.Guessed = true
	_, err := classify.New(e)
	if fault.Of(err) != fault.BadModel || !strings.Contains(err.Error(), "name one, as base_handler for tensors") {
		t.Errorf("rows of four numbers: %v", err)
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	h := build(t, nil, nil)
	in, err := h.(handler.Exampler).Example()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Inference(t.Context(), in); err != nil {
		t.Errorf("the network does not run on the example: %v", err)
	}
}

func TestExplainFormats(t *testing.T) {
	t.Parallel()
	h := build(t, []string{"red", "green", "blue"}, nil)
	input := body(picture(t, color.RGBA{R: 200, G: 10, A: 255}, 40, 30))
	explained := func(params map[string]string) (handler.Answer, error) {
		req := &model.Request{Mode: model.ModeExplain, Inputs: []model.Input{input}, Params: params}
		in, err := h.Preprocess(t.Context(), req)
		if err != nil {
			return handler.Answer{}, err
		}
		return h.Explain(t.Context(), req, in)
	}
	plain, err := explained(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(plain.Value); got != "float32[3 8 8]" {
		t.Errorf("plain answer is %s", got)
	}
	full, err := explained(map[string]string{"detail": "full", "target": "green"})
	if err != nil {
		t.Fatal(err)
	}
	report := full.Value.(explain.Report)
	if diff := cmp.Diff(&explain.Crop{Width: 40, Height: 30}, report.Crop); diff != "" || report.Target.Label != "green" || report.Target.Output != "logits" {
		t.Errorf("report of %+v, crop (-want +got):\n%s", report.Target, diff)
	}
	for format, width := range map[string]int{"png": 40, "overlay": 320} {
		answer, err := explained(map[string]string{"format": format})
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(answer.Value.([]byte)))
		if err != nil {
			t.Fatal(err)
		}
		if got := img.Bounds().Dx(); got != width || answer.ContentType != "image/png" || answer.Header["X-Explain-Method"] == "" {
			t.Errorf("%s: %d wide, want %d; %q %v", format, got, width, answer.ContentType, answer.Header)
		}
	}
	numbers, err := explained(map[string]string{"format": "npy"})
	if err != nil {
		t.Fatal(err)
	}
	file, ok := numbers.Value.([]byte)
	if !ok || !bytes.HasPrefix(file, []byte("\x93NUMPY")) || !bytes.Contains(file, []byte("(3,8,8,)")) || len(file) != 128+4*3*8*8 {
		t.Errorf("npy: %d bytes %.80q", len(file), file)
	}
	if _, err := explained(map[string]string{"target": "gren"}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "green") {
		t.Errorf("unknown target: %v", err)
	}
}

// A model that says nothing of its pixels' values is normalised as TorchServe's image_classifier does it.
func TestImageNetByDefault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config map[string]any
		want   float32 // a white pixel's red at the network's input
	}{
		"nothing said": {map[string]any{"size": side, "resizeRule": "stretch"}, (1 - 0.485) / 0.229},
		"mean 0":       {map[string]any{"size": side, "resizeRule": "stretch", "mean": []any{0}}, 1},
		"scale 1":      {map[string]any{"size": side, "resizeRule": "stretch", "scale": 1}, 255},
	} {
		h, err := classify.New(env(t, enginetest.New(signature(), colours), nil, test.config))
		if err != nil {
			t.Fatal(err)
		}
		in, err := h.Preprocess(t.Context(), &model.Request{Inputs: []model.Input{body(picture(t, color.White, 16, 16))}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := tensor.Data[float32](in["input"])
		if err != nil || math.Abs(float64(got[0]-test.want)) > 1e-5 {
			t.Errorf("%s: red is %v, want %v (%v)", name, got[0], test.want, err)
		}
	}
}
