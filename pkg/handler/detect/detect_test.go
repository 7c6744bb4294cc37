package detect_test

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
	"github.com/tsgo/tsgo/pkg/handler/detect"
	"github.com/tsgo/tsgo/pkg/handler/handlertest"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func value(name string, d tensor.DType, dims ...int64) engine.Value {
	v := engine.Value{Name: name, DType: d}
	for _, size := range dims {
		v.Shape = append(v.Shape, engine.Dim{Size: size})
	}
	return v
}

func floats(name string, dims ...int64) engine.Value { return value(name, tensor.Float32, dims...) }

func made[T tensor.Element](t *testing.T, shape []int64, data ...T) tensor.Tensor {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// usual is the input of a network for pictures of 8x8 pixels.
func usual() engine.Value { return floats("image", -1, 3, 8, 8) }

func build(t *testing.T, signature engine.Signature, compute enginetest.Func, labels []string, config map[string]any) (handler.Handler, error) {
	t.Helper()
	session := enginetest.New(signature, compute)
	explainer, err := explain.New(explain.Options{Session: session, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	return detect.New(handler.Env{Session: session, Explainer: explainer, Labels: labels, Config: config, Log: slog.New(slog.DiscardHandler)})
}

// fixed is a network that answers the same whatever it is asked.
func fixed(out tensor.Named) enginetest.Func {
	return func(tensor.Named) (tensor.Named, error) { return out, nil }
}

func picture(t *testing.T, width int, c color.Color) []byte {
	t.Helper()
	const height = 8
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		img.Set(i%width, i/width, c)
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

// object is one detection as it is answered.
func object(label string, score float32, box ...float32) handler.Object {
	return handler.Object{{Key: label, Value: box}, {Key: "score", Value: score}}
}

func triple(boxes, classes, scores engine.Value) engine.Signature {
	return engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{boxes, classes, scores}}
}

// The forms of outputs, on a picture of 16x8 pixels: fitted, it lies on lines 2 to 6 of 8; stretched, it is halved across.
func TestFormats(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	tests := []struct {
		name      string
		signature engine.Signature
		out       tensor.Named
		labels    []string
		config    map[string]any
		params    map[string]string
		want      []handler.Object
	}{
		{
			name:      "torchvision by names that tell nothing",
			signature: triple(floats("12", -1, 4), value("13", tensor.Int64, -1), floats("14", -1)),
			out:       tensor.Named{"12": made(t, []int64{3, 4}, float32(1), 2, 3, 4, -5, -5, 50, 50, 0, 0, 1, 1), "13": made(t, []int64{3}, int64(1), 2, 1), "14": made(t, []int64{3}, float32(0.9), 0.5, 0.49)},
			labels:    []string{"nothing", "cat", "dog"},
			want:      []handler.Object{object("cat", 0.9, 2, 0, 6, 4), object("dog", 0.5, 0, 0, 16, 8)},
		},
		{
			name:      "nothing found",
			signature: triple(floats("boxes", -1, 4), value("labels", tensor.Int64, -1), floats("scores", -1)),
			out:       tensor.Named{"boxes": made[float32](t, []int64{0, 4}), "labels": made[int64](t, []int64{0}), "scores": made[float32](t, []int64{0})},
			want:      []handler.Object{},
		},
		{
			name:      "ssd in fractions, stretched, with a class that has no label",
			signature: triple(floats("bboxes", -1, -1, 4), value("labels", tensor.Int64, -1, -1), floats("scores", -1, -1)),
			out:       tensor.Named{"bboxes": made(t, []int64{1, 2, 4}, float32(0.25), 0.5, 0.75, 1, 0, 0, 1, 1), "labels": made(t, []int64{1, 2}, int64(7), 0), "scores": made(t, []int64{1, 2}, float32(0.75), nan)},
			labels:    []string{"score"},
			params:    map[string]string{"threshold": "0"},
			want:      []handler.Object{object("7", 0.75, 4, 4, 12, 8)},
		},
		{
			name: "TensorFlow's order and count",
			signature: engine.Signature{Inputs: []engine.Value{value("input_tensor", tensor.Uint8, 1, -1, -1, 3)}, Outputs: []engine.Value{
				floats("detection_boxes", 1, 3, 4), floats("detection_classes", 1, 3), floats("detection_scores", 1, 3), floats("num_detections", 1),
			}},
			out: tensor.Named{
				"detection_boxes":   made(t, []int64{1, 3, 4}, float32(0.5), 0.25, 1, 0.75, 0, 0, 1, 1, 0, 0, 1, 1),
				"detection_classes": made(t, []int64{1, 3}, float32(1), 2, 2), "detection_scores": made(t, []int64{1, 3}, float32(0.75), 0.75, 0.75), "num_detections": made(t, []int64{1}, float32(2)),
			},
			labels: []string{"a", "score"},
			config: map[string]any{"classOffset": -1},
			want:   []handler.Object{object("a", 0.75, 4, 4, 12, 8), object("score (1)", 0.75, 0, 0, 16, 8)},
		},
		{
			name:      "raw ssd: softmax, background, suppression",
			signature: engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("boxes", -1, 4, 4), floats("scores", -1, 4, 2)}},
			out: tensor.Named{
				"boxes":  made(t, []int64{1, 4, 4}, float32(0.5), 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.52, 0.25, 0.25, 0.1, 0.1),
				"scores": made(t, []int64{1, 4, 2}, float32(3), 0, 0, 1, 0, 2, 0, 2),
			},
			config: map[string]any{"activation": "softmax", "background": 0, "boxOrder": "cxcywh"},
			want:   []handler.Object{object("1", 0.880797, 4, 1.92, 12, 6.08), object("1", 0.880797, 3.2, 1.6, 4.8, 2.4)},
		},
		{
			name:      "yolo, a box's numbers apart",
			signature: engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("output0", -1, 6, 10)}},
			out:       tensor.Named{"output0": whole(t, false)},
			want:      []handler.Object{object("1", 0.8, 4, 0, 12, 8), object("0", 0.6, 4, 0, 12, 8)},
		},
		{
			name:      "yolo, a box's numbers together, all classes alike",
			signature: engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("output0", -1, 10, 6)}},
			out:       tensor.Named{"output0": whole(t, true)},
			config:    map[string]any{"classAgnostic": true},
			labels:    []string{"a", "b"},
			want:      []handler.Object{object("b", 0.8, 4, 0, 12, 8)},
		},
		{
			name:      "yolo with objectness",
			signature: engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("output0", -1, 10, 6)}},
			out:       tensor.Named{"output0": whole(t, true)},
			labels:    []string{"a"},
			params:    map[string]string{"threshold": "0.1"},
			want:      []handler.Object{object("a", 0.14, 4, 0, 12, 8)},
		},
		{
			name:      "yolo of numbers that are no probabilities yet",
			signature: engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("output0", -1, 10, 6)}},
			out:       tensor.Named{"output0": whole(t, true)},
			config:    map[string]any{"objectness": true, "activation": "sigmoid"},
			params:    map[string]string{"threshold": "0.3", "iou": "1", "max_detections": "2"},
			want:      []handler.Object{object("0", 0.367392, 4, 0, 12, 8), object("0", 0.362222, 4, 0, 12, 8)},
		},
		{
			name:      "no suppression, at most one",
			signature: engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("output0", -1, 6, 10)}},
			out:       tensor.Named{"output0": whole(t, false)},
			config:    map[string]any{"nms": false},
			params:    map[string]string{"max_detections": "1"},
			want:      []handler.Object{object("1", 0.7, 4, 0, 12, 8)},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h, err := build(t, test.signature, fixed(test.out), test.labels, test.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ask(t, h, picture(t, 16, color.White), test.params)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Value, cmpopts.EquateApprox(0, 1e-5)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := int64(len(test.want)); got.Tensors["boxes"].Shape()[1] != n || got.Tensors["labels"].Len() != len(test.want) {
				t.Errorf("tensors %v, want %d boxes", got.Tensors, n)
			}
		})
	}
}

// whole is a yolo network's output of two classes: the first box is the middle of the picture in its class 1, with 0.7; the second
// is the same with 0.8, the third in class 0 with 0.6, the others are nothing.
func whole(t *testing.T, transposed bool) tensor.Tensor {
	t.Helper()
	const n = 10
	rows := make([][6]float32, n)
	rows[0] = [6]float32{4, 4, 4, 4, 0.2, 0.7}
	rows[1] = [6]float32{4, 4, 4, 4, 0.1, 0.8}
	rows[2] = [6]float32{4, 4, 4, 4, 0.6, 0.2}
	data := make([]float32, 0, 6*n)
	if transposed {
		for _, r := range rows {
			data = append(data, r[:]...)
		}
		return made(t, []int64{1, n, 6}, data...)
	}
	for k := range 6 {
		for _, r := range rows {
			data = append(data, r[k])
		}
	}
	return made(t, []int64{1, 6, n}, data...)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	three := triple(floats("boxes", -1, 4), value("labels", tensor.Int64, -1), floats("scores", -1))
	one := func(dims ...int64) engine.Signature {
		return engine.Signature{Inputs: []engine.Value{usual()}, Outputs: []engine.Value{floats("output0", dims...)}}
	}
	tests := []struct {
		name      string
		signature engine.Signature
		labels    []string
		config    map[string]any
		want      string
	}{
		{"unknown setting", three, nil, map[string]any{"tresholt": 1}, `did you mean "threshold"?`},
		{"unknown format", three, nil, map[string]any{"format": "yolov8"}, `did you mean "yolo"?`},
		{"unknown order", three, nil, map[string]any{"boxOrder": "xywx"}, `known: xyxy`},
		{"unknown output", three, nil, map[string]any{"boxes": "boxs"}, `did you mean "boxes"?`},
		{"threshold", three, nil, map[string]any{"threshold": 50}, "from 0 to 1"},
		{"maxDetections", three, nil, map[string]any{"maxDetections": -1}, "at least 1"},
		{"vision", three, nil, map[string]any{"interpolation": "linear"}, "interpolation"},
		{"no detector", one(-1, 1000), nil, nil, "cannot be told by its outputs output0 float32[?,1000]: set the handler's format to torchvision, ssd or yolo"},
		{"no triple", one(-1, 6, 10), nil, map[string]any{"format": "ssd"}, "name them by the handler settings"},
		{"no yolo", three, nil, map[string]any{"format": "yolo"}, "name it by the handler setting output"},
		{"labels", one(-1, 6, 100), []string{"a", "b", "c"}, nil, "4 or 5 and a score for each of the 3 labels"},
		{"yolo of two axes", one(6, 100), nil, map[string]any{"format": "yolo"}, "format yolo has [batch,4+classes,boxes]"},
		{"two inputs", engine.Signature{Inputs: []engine.Value{usual(), floats("size", 2)}, Outputs: three.Outputs}, nil, nil, "this network has 2"},
		{"no picture", engine.Signature{Inputs: []engine.Value{floats("x", -1, 3)}, Outputs: three.Outputs}, nil, nil, "is no picture"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := build(t, test.signature, fixed(nil), test.labels, test.config)
			if !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want %q", err, test.want)
			}
		})
	}
}

// What a network answers may differ from what its signature says.
func TestRefusesOutputs(t *testing.T) {
	t.Parallel()
	signature := triple(floats("boxes", -1, -1, 4), value("labels", tensor.Int64, -1, -1), floats("scores", -1, -1))
	for name, test := range map[string]struct {
		out  tensor.Named
		want string
	}{
		"rank":    {tensor.Named{"boxes": made(t, []int64{1, 4}, float32(1), 2, 3, 4), "labels": made(t, []int64{1, 1}, int64(1)), "scores": made(t, []int64{1, 1}, float32(1))}, "is the handler's format right?"},
		"scores":  {tensor.Named{"boxes": made(t, []int64{1, 1, 4}, float32(1), 2, 3, 4), "labels": made(t, []int64{1, 1}, int64(1)), "scores": made(t, []int64{1, 2}, float32(1), 2)}, "1 boxes in output"},
		"classes": {tensor.Named{"boxes": made(t, []int64{1, 1, 4}, float32(1), 2, 3, 4), "labels": made(t, []int64{1, 2}, int64(1), 2), "scores": made(t, []int64{1, 1}, float32(1))}, "2 classes in"},
		"five":    {tensor.Named{"boxes": made(t, []int64{1, 1, 5}, float32(1), 2, 3, 4, 5), "labels": made(t, []int64{1, 1}, int64(1)), "scores": made(t, []int64{1, 1}, float32(1))}, "boxes of 5 numbers"},
	} {
		h, err := build(t, signature, fixed(test.out), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t, h, picture(t, 8, color.White), nil); !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	h := averages(t)
	for raw, want := range map[string]string{"threshold=2": "from 0 to 1", "iou=x": "from 0 to 1", "max_detections=0": "from 1", "treshold=0.1": `did you mean "threshold"?`} {
		name, v, _ := strings.Cut(raw, "=")
		if _, err := ask(t, h, picture(t, 8, color.White), map[string]string{name: v}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

// TestMostDetections asks for more detections than anybody gets: each candidate is compared with all of them.
func TestMostDetections(t *testing.T) {
	t.Parallel()
	const n = 1200
	out := tensor.Named{"boxes": made(t, []int64{n, 4}, make([]float32, 4*n)...), "scores": made(t, []int64{n}, make([]float32, n)...)}
	out["labels"], _ = tensor.New([]int64{n}, make([]int64, n))
	for set, want := range map[int]int{0: 1000, 1100: 1100, 5: 1000} {
		config := map[string]any{"nms": true, "maxDetections": set}
		h, err := build(t, triple(floats("boxes", -1, 4), value("labels", tensor.Int64, -1), floats("scores", -1)), fixed(out), nil, config)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(t, h, picture(t, 16, color.White), map[string]string{"threshold": "0", "iou": "1", "max_detections": "100000"})
		if err != nil {
			t.Fatal(err)
		}
		if found := got.Tensors["labels"].Len(); found != want {
			t.Errorf("maxDetections %d: %d detections, want %d", set, found, want)
		}
	}
}

// averages is a detector as torchvision's that finds the whole picture in class 1, with its average as the score; and nothing in a dark one.
func averages(t *testing.T) handler.Handler {
	t.Helper()
	h, err := build(t, triple(floats("boxes", -1, 4), value("labels", tensor.Int64, -1), floats("scores", -1)), func(in tensor.Named) (tensor.Named, error) {
		x, err := tensor.Data[float32](in["image"])
		if err != nil {
			return nil, err
		}
		sum := float32(0)
		for _, v := range x {
			sum += v / float32(len(x))
		}
		n := int64(1)
		if sum < 0.1 {
			n = 0
		}
		boxes, _ := tensor.New([]int64{n, 4}, []float32{0, 0, 8, 8}[:4*n])
		labels, _ := tensor.New([]int64{n}, []int64{1}[:n])
		scores, err := tensor.New([]int64{n}, []float32{sum}[:n])
		return tensor.Named{"boxes": boxes, "labels": labels, "scores": scores}, err
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHandler(t *testing.T) {
	t.Parallel()
	white, dark := picture(t, 8, color.White), picture(t, 8, color.Black)
	body := func(data []byte) model.Input { return model.Input{Name: "body", Data: data} }
	lists, err := json.Marshal([3][8][8]float32{{{1, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	handlertest.TestHandler(t, handlertest.Case{
		Handler: averages(t),
		Good:    []model.Input{body(white), body(dark), {Name: "data", ContentType: "application/json", Data: lists}},
		Bad:     []model.Input{body(nil), body([]byte("text")), {Name: "body", ContentType: "application/json", Data: []byte("[1,2,3]")}},
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	about, err := averages(t).Describe(t.Context())
	if err != nil || about["format"] != "torchvision" || !strings.Contains(about["explanation"].(string), "target") {
		t.Errorf("Describe = %v, %v", about, err)
	}
}
