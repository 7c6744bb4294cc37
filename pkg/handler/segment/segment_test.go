package segment_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/handlertest"
	"github.com/tsgo/tsgo/pkg/handler/segment"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func floats(name string, dims ...int64) engine.Value {
	v := engine.Value{Name: name, DType: tensor.Float32}
	for _, size := range dims {
		v.Shape = append(v.Shape, engine.Dim{Size: size})
	}
	return v
}

func signature(in engine.Value, out ...engine.Value) engine.Signature {
	return engine.Signature{Inputs: []engine.Value{in}, Outputs: out}
}

func build(t *testing.T, s engine.Signature, compute enginetest.Func, labels []string, config map[string]any) (handler.Handler, error) {
	t.Helper()
	session := enginetest.New(s, compute)
	explainer, err := explain.New(explain.Options{Session: session, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	return segment.New(handler.Env{Session: session, Explainer: explainer, Labels: labels, Config: config, Log: slog.New(slog.DiscardHandler)})
}

func picture(t *testing.T, c color.Color) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 4, 2))
	for i := range 8 {
		img.Set(i%4, i/4, c)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func ask(t *testing.T, h handler.Handler, data []byte, params map[string]string) (handler.Answer, error) {
	t.Helper()
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: data}}, Params: params}
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

// The scores of two pixels, and what is made of them.
func TestAnswers(t *testing.T) {
	t.Parallel()
	in := floats("input", -1, 3, 2, 4)
	nan := float32(math.NaN())
	tests := []struct {
		name   string
		shape  []int64
		scores []float32
		config map[string]any
		want   []float32
		mask   []uint8
	}{
		{"softmax", []int64{1, 3, 1, 2}, []float32{1, 0, 2, 0, 3, 0}, nil, []float32{2, 0.665241, 0, 1.0 / 3}, []uint8{2, 0}},
		{"large logits", []int64{1, 2, 1, 2}, []float32{1000, -1000, 0, 0}, nil, []float32{0, 1, 1, 1}, []uint8{0, 1}},
		{"one class", []int64{1, 1, 1, 2}, []float32{2, -2}, nil, []float32{1, 0.880797, 0, 0.880797}, []uint8{1, 0}},
		{"sigmoid", []int64{1, 2, 1, 2}, []float32{0, 2, -1, 2}, map[string]any{"activation": "sigmoid"}, []float32{0, 0.5, 0, 0.880797}, []uint8{0, 0}},
		{"probabilities", []int64{1, 2, 1, 2}, []float32{0.25, 0.5, 0.75, 0.5}, map[string]any{"activation": "none"}, []float32{1, 0.75, 0, 0.5}, []uint8{1, 0}},
		{"classes last", []int64{1, 1, 2, 3}, []float32{0, 0.5, 0.25, 0.75, 0, 0}, map[string]any{"activation": "none", "outputLayout": "nhwc"}, []float32{1, 0.5, 0, 0.75}, []uint8{1, 0}},
		{"no number", []int64{1, 2, 1, 2}, []float32{nan, 1, 0.5, nan}, map[string]any{"activation": "none"}, []float32{1, 0.5, 0, 1}, []uint8{1, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, err := tensor.New(test.shape, test.scores)
			if err != nil {
				t.Fatal(err)
			}
			h, err := build(t, signature(in, floats("aux", -1, 1), floats("y", -1, -1, -1, -1)), func(tensor.Named) (tensor.Named, error) { return tensor.Named{"y": out}, nil }, nil, test.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ask(t, h, picture(t, color.White), nil)
			if err != nil {
				t.Fatal(err)
			}
			pairs := got.Value.(tensor.Tensor)
			data, _ := tensor.Data[float32](pairs)
			if diff := cmp.Diff(test.want, data, cmpopts.EquateApprox(0, 1e-6)); diff != "" || pairs.String() != "float32[1 2 2]" {
				t.Errorf("%v (-want +got):\n%s", pairs, diff)
			}
			got, err = ask(t, h, picture(t, color.White), map[string]string{"format": "png"})
			if err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(bytes.NewReader(got.Value.([]byte)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.mask, img.(*image.Paletted).Pix); diff != "" {
				t.Errorf("mask (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPalette(t *testing.T) {
	t.Parallel()
	h, err := build(t, signature(floats("input", -1, 3, 2, 4), floats("y", -1, 21, -1, -1)), func(tensor.Named) (tensor.Named, error) {
		y, err := tensor.Make(tensor.Float32, []int64{1, 21, 2, 4})
		return tensor.Named{"y": y}, err
	}, nil, map[string]any{"answer": "mask"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ask(t, h, picture(t, color.White), nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(got.Value.([]byte)))
	if err != nil {
		t.Fatal(err)
	}
	palette := img.(*image.Paletted).Palette
	for class, want := range map[int]color.Color{0: color.RGBA{A: 255}, 1: color.RGBA{R: 128, A: 255}, 15: color.RGBA{R: 192, G: 128, B: 128, A: 255}} {
		if palette[class] != want {
			t.Errorf("class %d is %v, want %v", class, palette[class], want)
		}
	}
	if got, err := ask(t, h, picture(t, color.White), map[string]string{"format": "json"}); err != nil || got.ContentType != "" {
		t.Errorf("format=json: %v, %v", got.ContentType, err)
	}
	if _, err := ask(t, h, picture(t, color.White), map[string]string{"format": "pngs"}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `did you mean "png"?`) {
		t.Errorf("format=pngs: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	in, out := floats("input", -1, 3, 2, 4), floats("out", -1, 3, 2, 4)
	tests := []struct {
		name      string
		signature engine.Signature
		labels    []string
		config    map[string]any
		want      string
	}{
		{"unknown setting", signature(in, out), nil, map[string]any{"activaton": "none"}, `did you mean "activation"?`},
		{"activation", signature(in, out), nil, map[string]any{"activation": "softmx"}, `did you mean "softmax"?`},
		{"answer", signature(in, out), nil, map[string]any{"answer": "msk"}, `did you mean "mask"?`},
		{"layout", signature(in, out), nil, map[string]any{"outputLayout": "hwc"}, "outputLayout"},
		{"output", signature(in, out), nil, map[string]any{"output": "outs"}, `did you mean "out"?`},
		{"labels", signature(in, out), []string{"a", "b"}, nil, "3 classes, the model has 2 labels"},
		{"classes alone", signature(in, floats("y", -1, 2, 4)), nil, nil, "[batch,classes,height,width], this network has y float32[?,2,4]"},
		{"named classes alone", signature(in, floats("out", -1, 2, 4)), nil, nil, "wants four axes"},
		{"no batch", signature(floats("input", 3, 2, 4), out), nil, nil, "has no batch axis"},
		{"no picture", signature(floats("input", -1, 3), out), nil, nil, "is no picture"},
		{"two inputs", engine.Signature{Inputs: []engine.Value{in, in}, Outputs: []engine.Value{out}}, nil, nil, "this network has 2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := build(t, test.signature, nil, test.labels, test.config); !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want %q", err, test.want)
			}
		})
	}
}

// identity is a network whose classes are the colours.
func identity(in tensor.Named) (tensor.Named, error) { return tensor.Named{"out": in["input"]}, nil }

func TestHandler(t *testing.T) {
	t.Parallel()
	h, err := build(t, signature(floats("input", -1, 3, 2, 4), floats("out", -1, 3, 2, 4)), identity, []string{"red", "green", "blue"}, map[string]any{"answer": "mask"})
	if err != nil {
		t.Fatal(err)
	}
	body := func(data []byte) model.Input { return model.Input{Name: "body", Data: data} }
	lists, err := json.Marshal([3][2][4]float32{{{1, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	red := picture(t, color.RGBA{R: 255, A: 255})
	handlertest.TestHandler(t, handlertest.Case{
		Handler: h,
		Good:    []model.Input{body(red), body(picture(t, color.RGBA{B: 255, A: 255})), {Name: "data", ContentType: "application/json", Data: lists}},
		Bad:     []model.Input{body(nil), body([]byte("text")), body(red[:len(red)/2]), {Name: "body", ContentType: "application/json", Data: []byte("[1,2,3]")}},
	})
}

// A model that says nothing of its pixels' values is normalised as TorchServe's image_segmenter does it; one of grey pictures
// or of bytes is not.
func TestImageNetByDefault(t *testing.T) {
	t.Parallel()
	white := picture(t, color.White)
	for name, test := range map[string]struct {
		in     engine.Value
		config map[string]any
		want   float32
	}{
		"colour":       {floats("input", -1, 3, 2, 4), nil, (1 - 0.485) / 0.229},
		"mean 0":       {floats("input", -1, 3, 2, 4), map[string]any{"mean": []any{0}}, 1},
		"grey":         {floats("input", -1, 1, 2, 4), nil, 1},
		"channel last": {floats("input", -1, 2, 4, 3), nil, (1 - 0.485) / 0.229},
		"bytes":        {engine.Value{Name: "input", DType: tensor.Uint8, Shape: floats("", -1, 3, 2, 4).Shape}, nil, 255},
	} {
		h, err := build(t, signature(test.in, floats("out", -1, -1, -1, -1)), identity, nil, test.config)
		if err != nil {
			t.Fatal(err)
		}
		in, err := h.Preprocess(t.Context(), &model.Request{Inputs: []model.Input{{Name: "body", Data: white}}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := tensor.Float32s(in["input"])
		if err != nil || math.Abs(float64(got[0]-test.want)) > 1e-5 {
			t.Errorf("%s: %v, want %v (%v)", name, got[0], test.want, err)
		}
	}
}
