package builtin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// start starts ONNX Runtime, which a process has once.
var start = sync.OnceValues(func() (*ort.Runtime, error) {
	path, err := library.Find(context.Background(), library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(context.Background(), ort.Options{Library: path})
})

// load writes a model's directory as TorchServe has it, with a manifest of its own, and loads it.
func load(t *testing.T, handler string, g *onnx.Graph, labels, config string) *pipeline.Pipeline {
	t.Helper()
	runtime, err := start()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	manifest := fmt.Sprintf(`{"createdOn": "01/02/2026 03:04:05", "runtime": "python", "archiverVersion": "0.12.0", "model": {
		"modelName": "tiny", "serializedFile": "net.onnx", "handler": %q, "modelVersion": "1.0", "configFile": "model-config.yaml"}}`, handler)
	files := map[string]string{"net.onnx": string(g.Marshal()), "MAR-INF/MANIFEST.json": manifest, "model-config.yaml": "batchSize: 8\n" + config}
	if labels != "" {
		files["index_to_name.json"] = labels
	}
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := archive.Open(t.Context(), dir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Load(t.Context(), m, pipeline.Options{Open: runtime.Open, Engine: engine.Options{IntraOpThreads: 1}, Handlers: builtin.Handlers()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.Warm(t.Context()); err != nil {
		t.Errorf("warm up: %v", err)
	}
	return p
}

func value(name string, d tensor.DType, shape ...int64) onnx.Value {
	v := onnx.Value{Name: name, Type: onnx.TypeOf(d), Shape: []onnx.Axis{}}
	for _, size := range shape {
		axis := onnx.Axis{Size: size}
		if size < 0 {
			axis.Name = fmt.Sprint("d", -size)
		}
		v.Shape = append(v.Shape, axis)
	}
	return v
}

func node(op, in, out string, attrs map[string]onnx.Attr) *onnx.Node {
	return &onnx.Node{Op: op, Inputs: strings.Fields(in), Outputs: strings.Fields(out), Attrs: attrs}
}

// picture is black, with a rectangle of a colour.
func picture(t *testing.T, width, height int, at image.Rectangle, c color.RGBA) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, color.Black)
			if image.Pt(x, y).In(at) {
				img.Set(x, y, c)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var (
	red  = color.RGBA{R: 255, A: 255}
	blue = color.RGBA{B: 255, A: 255}
)

func ask(mode model.Mode, data []byte, params map[string]string) *model.Request {
	return &model.Request{Mode: mode, Params: params, Inputs: []model.Input{{Name: "body", Data: data}}}
}

func answer(t *testing.T, p *pipeline.Pipeline, req *model.Request) *model.Response {
	t.Helper()
	resp, err := p.Predict(t.Context(), p.Ref(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// detector is a network of one picture a run, as torchvision's: the box around what is bright in red, and around what is
// bright in blue, where there is any. Its input has no batch axis.
func detector(side int64) *onnx.Graph {
	ramp := make([]float32, side)
	for i := range ramp {
		ramp[i] = float32(i)
	}
	g := &onnx.Graph{
		Name: "detector", IR: 8, Opset: 13,
		Inputs:  []onnx.Value{value("image", tensor.Float32, 3, side, side)},
		Outputs: []onnx.Value{value("boxes", tensor.Float32, -1, 4), value("labels", tensor.Int64, -1), value("scores", tensor.Float32, -1)},
		Initializers: map[string]*onnx.Constant{
			"half": onnx.Of([]float32{0.5}), "one": onnx.Of([]float32{1}), "far": onnx.Of([]float32{1000}), "zero": onnx.Of([]float32{0}),
			"ramp": onnx.Of(ramp, 1, side), "channels": onnx.Of([]int64{0, 2}, 2), "classes": onnx.Of([]int64{1, 2}, 2),
			"last": onnx.Of([]int64{1}, 1), "x1.w": onnx.Of([]int64{1}, 1),
		},
	}
	axes := func(axes ...int64) map[string]onnx.Attr {
		return map[string]onnx.Attr{"axes": onnx.Ints(axes...), "keepdims": onnx.Int(0)}
	}
	g.Nodes = []*onnx.Node{
		node("Gather", "image channels", "two", map[string]onnx.Attr{"axis": onnx.Int(0)}),
		node("Greater", "two half", "bright", nil),
		node("Cast", "bright", "mask", map[string]onnx.Attr{"to": onnx.Int(1)}),
		node("Add", "ramp one", "ramp1", nil),
	}
	for _, axis := range []struct {
		name string
		over int64
	}{{"x", 1}, {"y", 2}} {
		n := axis.name
		g.Nodes = append(
			g.Nodes,
			node("ReduceMax", "mask", n+".line", axes(axis.over)),
			node("Sub", "one "+n+".line", n+".dark", nil),
			node("Mul", n+".dark far", n+".away", nil),
			node("Add", n+".away ramp", n+".from", nil),
			node("ReduceMin", n+".from", n+"1", axes(1)),
			node("Mul", n+".line ramp1", n+".to", nil),
			node("ReduceMax", n+".to", n+"2", axes(1)),
		)
	}
	for _, n := range []string{"x1", "y1", "x2", "y2"} {
		g.Nodes = append(g.Nodes, node("Unsqueeze", n+" last", n+".column", nil))
	}
	g.Nodes = append(
		g.Nodes,
		node("Concat", "x1.column y1.column x2.column y2.column", "both", map[string]onnx.Attr{"axis": onnx.Int(1)}),
		node("ReduceMax", "two", "best", axes(1, 2)),
		node("Greater", "best zero", "there", nil),
		node("Compress", "both there", "boxes", map[string]onnx.Attr{"axis": onnx.Int(0)}),
		node("Compress", "classes there", "labels", map[string]onnx.Attr{"axis": onnx.Int(0)}),
		node("Compress", "best there", "scores", map[string]onnx.Attr{"axis": onnx.Int(0)}),
	)
	return g
}

const twoLabels = `{"0": "__background__", "1": "red thing", "2": "blue thing"}`

func TestObjectDetector(t *testing.T) {
	t.Parallel()
	p := load(t, "object_detector", detector(64), twoLabels, "")
	// A picture twice as wide as high: fitted into 64x64, it is 64x32 with 16 lines above.
	files := [][]byte{
		picture(t, 128, 64, image.Rect(20, 10, 60, 40), red),
		picture(t, 128, 64, image.Rectangle{}, red),
		picture(t, 64, 64, image.Rect(8, 4, 16, 60), blue),
	}
	want := []string{`[{"red thing":[20.0,10.0,60.0,40.0],"score":1.0}]`, `[]`, `[{"blue thing":[8.0,4.0,16.0,60.0],"score":1.0}]`}
	var reqs []*model.Request
	for _, file := range files {
		reqs = append(reqs, ask(model.ModePredict, file, nil))
	}
	for i, result := range p.Batch(t.Context(), reqs) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		if got := compact(t, result.Response.Body); got != want[i] || result.Response.Timing.Batch != len(files) {
			t.Errorf("picture %d: %s in a batch of %d, want %s", i, got, result.Response.Timing.Batch, want[i])
		}
		if got := compact(t, answer(t, p, reqs[i]).Body); got != want[i] {
			t.Errorf("picture %d alone: %s, want %s", i, got, want[i])
		}
	}
	pair := answer(t, p, ask(model.ModePredict, files[0], nil)).Body
	if !bytes.HasPrefix(pair, []byte("[\n  {\n    \"red thing\": [\n      20.0,")) {
		t.Errorf("the layout is not TorchServe's: %s", pair)
	}
}

func TestObjectDetectorExplains(t *testing.T) {
	t.Parallel()
	p := load(t, "object_detector", detector(64), twoLabels, "")
	file := picture(t, 64, 64, image.Rect(16, 16, 32, 32), blue)
	var report struct {
		Method string
		Target struct {
			Label, Output string
			Index         int
			Value         float64
		}
		Summary struct{ Max struct{ Y, X int } }
		Crop    struct{ Width, Height int }
	}
	body := answer(t, p, ask(model.ModeExplain, file, map[string]string{"detail": "full", "window": "16", "stride": "8"})).Body
	if err := json.Unmarshal(body, &report); err != nil {
		t.Fatal(err)
	}
	if at := image.Pt(report.Summary.Max.X, report.Summary.Max.Y); !at.In(image.Rect(8, 8, 40, 40)) {
		t.Errorf("the detection rests on %v, the thing is at (16,16)-(32,32)", at)
	}
	if report.Target.Label != "blue thing" || report.Target.Value != 1 || report.Method != "occlusion" || report.Crop.Width != 64 {
		t.Errorf("report: %+v", report)
	}
	if _, err := p.Predict(t.Context(), p.Ref(), ask(model.ModeExplain, file, map[string]string{"method": "integrated_gradients"})); err == nil {
		t.Error("a detection has no gradient, and was explained by one")
	}
	overlay := answer(t, p, ask(model.ModeExplain, file, map[string]string{"format": "overlay", "target": "red thing"}))
	if _, err := png.Decode(bytes.NewReader(overlay.Body)); err != nil || overlay.ContentType != "image/png" {
		t.Errorf("overlay: %v %s", err, overlay.ContentType)
	}
}

// cells is a network as YOLO's: boxes of 16x16 pixels at fixed places, and their average colours as the scores of three classes.
// It takes one picture at a time, as such exports often do.
func cells() *onnx.Graph {
	const side, cell = 64, 16
	var boxes [4][]float32
	for y := 0; y < side; y += cell {
		for x := 0; x < side; x += cell {
			for i, v := range []int{x + cell/2, y + cell/2, cell, cell} {
				boxes[i] = append(boxes[i], float32(v))
			}
		}
	}
	flat := append(append(append(boxes[0], boxes[1]...), boxes[2]...), boxes[3]...)
	return &onnx.Graph{
		Name: "cells", IR: 8, Opset: 13,
		Inputs:       []onnx.Value{value("images", tensor.Float32, 1, 3, side, side)},
		Outputs:      []onnx.Value{value("output0", tensor.Float32, 1, 7, 16)},
		Initializers: map[string]*onnx.Constant{"boxes": onnx.Of(flat, 1, 4, 16), "flat": onnx.Of([]int64{1, 3, 16}, 3)},
		Nodes: []*onnx.Node{
			node("AveragePool", "images", "pooled", map[string]onnx.Attr{"kernel_shape": onnx.Ints(cell, cell), "strides": onnx.Ints(cell, cell)}),
			node("Reshape", "pooled flat", "scores", nil),
			node("Concat", "boxes scores", "output0", map[string]onnx.Attr{"axis": onnx.Int(1)}),
		},
	}
}

func TestObjectDetectorYOLO(t *testing.T) {
	t.Parallel()
	p := load(t, "object_detector", cells(), `{"0": "red", "1": "green", "2": "blue"}`, "")
	// Half as high as the network's picture: there are 16 lines above it.
	files := [][]byte{picture(t, 64, 32, image.Rect(16, 16, 32, 32), red), picture(t, 64, 64, image.Rect(0, 0, 16, 16), blue)}
	want := []string{`[{"red":[16.0,16.0,32.0,32.0],"score":1.0}]`, `[{"blue":[0.0,0.0,16.0,16.0],"score":1.0}]`}
	results := p.Batch(t.Context(), []*model.Request{ask(model.ModePredict, files[0], nil), ask(model.ModePredict, files[1], nil)})
	for i, result := range results {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		if got := compact(t, result.Response.Body); got != want[i] {
			t.Errorf("picture %d: %s, want %s", i, got, want[i])
		}
	}
	if got := answer(t, p, ask(model.ModeExplain, files[0], nil)); !bytes.HasPrefix(got.Body, []byte("[")) {
		t.Errorf("explanation: %.100s", got.Body)
	}
}

// painter is a network of four classes a pixel: nothing, red, green and blue.
func painter() *onnx.Graph {
	return &onnx.Graph{
		Name: "painter", IR: 8, Opset: 13,
		Inputs:  []onnx.Value{value("input", tensor.Float32, -1, 3, -2, -3)},
		Outputs: []onnx.Value{value("out", tensor.Float32, -1, 4, -2, -3)},
		Initializers: map[string]*onnx.Constant{
			"w": onnx.Of([]float32{0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4}, 4, 3, 1, 1), "b": onnx.Of([]float32{2, 0, 0, 0}, 4),
		},
		Nodes: []*onnx.Node{node("Conv", "input w b", "out", nil)},
	}
}

func TestImageSegmenter(t *testing.T) {
	t.Parallel()
	p := load(t, "image_segmenter", painter(), `{"0": "nothing", "1": "red", "2": "green", "3": "blue"}`,
		"handler:\n  size: [8, 16]\n  resizeRule: stretch\n  mean: [0]\n")
	file := picture(t, 32, 16, image.Rect(16, 0, 32, 16), blue)
	var got [][][2]float64
	body := answer(t, p, ask(model.ModePredict, file, nil)).Body
	if err := json.Unmarshal(body, &got); err != nil || len(got) != 8 || len(got[0]) != 16 {
		t.Fatalf("%v: %.100s", err, body)
	}
	left, right := got[3][2], got[3][13]
	e := math.Exp
	if left[0] != 0 || math.Abs(left[1]-e(2)/(e(2)+3)) > 1e-6 || right[0] != 3 || math.Abs(right[1]-e(4)/(e(4)+e(2)+2)) > 1e-6 {
		t.Errorf("left %v, right %v", left, right)
	}
	mask := answer(t, p, ask(model.ModePredict, file, map[string]string{"format": "png"}))
	img, err := png.Decode(bytes.NewReader(mask.Body))
	if err != nil {
		t.Fatal(err)
	}
	m := img.(*image.Paletted)
	if m.ColorIndexAt(2, 3) != 0 || m.ColorIndexAt(13, 3) != 3 || mask.ContentType != "image/png" || mask.Header["X-Mask-Crop"] != "0,0,32,16" {
		t.Errorf("mask %v: %s %v", m.Bounds(), mask.ContentType, mask.Header)
	}
	var report struct {
		Target  struct{ Label string }
		Summary struct{ Max struct{ Y, X int } }
	}
	body = answer(t, p, ask(model.ModeExplain, file, map[string]string{"target": "blue", "detail": "full", "window": "2", "stride": "2"})).Body
	if err := json.Unmarshal(body, &report); err != nil || report.Target.Label != "blue" || report.Summary.Max.X < 8 {
		t.Errorf("blue rests on %+v: %v", report, err)
	}
}

// sums is a network of two inputs and two outputs.
func sums() *onnx.Graph {
	return &onnx.Graph{
		Name: "sums", IR: 8, Opset: 13,
		Inputs:       []onnx.Value{value("a", tensor.Float32, -1, 3), value("b", tensor.Int64, -1, 3)},
		Outputs:      []onnx.Value{value("sum", tensor.Float32, -1, 3), value("twice", tensor.Int64, -1, 3)},
		Initializers: map[string]*onnx.Constant{},
		Nodes: []*onnx.Node{
			node("Cast", "b", "b.float", map[string]onnx.Attr{"to": onnx.Int(1)}),
			node("Add", "a b.float", "sum", nil),
			node("Add", "b b", "twice", nil),
		},
	}
}

func TestBaseHandler(t *testing.T) {
	t.Parallel()
	p := load(t, "base_handler", sums(), "", "")
	body := func(text string) *model.Request {
		return &model.Request{Inputs: []model.Input{{Name: "body", ContentType: "application/json", Data: []byte(text)}}}
	}
	results := p.Batch(t.Context(), []*model.Request{
		body(`{"a": [0.5, 1, 2], "b": [1, 2, 3]}`), body(`{"a": [[1, 1, 1], [2, 2, 2]], "b": [[1, 2, 3], [4, 5, 6]]}`), body(`{"a": [1, 2, 3]}`),
	})
	want := []string{`{"sum":[1.5,3.0,5.0],"twice":[2,4,6]}`, `{"sum":[[2.0,3.0,4.0],[6.0,7.0,8.0]],"twice":[[2,4,6],[8,10,12]]}`}
	for i, w := range want {
		if results[i].Err != nil {
			t.Fatal(results[i].Err)
		}
		if diff := cmp.Diff(w, compact(t, results[i].Response.Body)); diff != "" || results[i].Response.Timing.Batch != 2 {
			t.Errorf("request %d (-want +got): %s", i, diff)
		}
	}
	if err := results[2].Err; err == nil || !strings.Contains(err.Error(), `input "b" is missing`) {
		t.Errorf("an input too few: %v", err)
	}
	req := body(`{"a": [0.5, 1, 2], "b": [1, 2, 3]}`)
	req.Mode, req.Params = model.ModeExplain, map[string]string{"target": "1", "method": "occlusion", "window": "1"}
	if got := compact(t, answer(t, p, req).Body); got != `[0.0,1.0,0.0]` {
		t.Errorf("the sum's second number rests on %s of a", got)
	}
}

func compact(t *testing.T, body []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return out.String()
}

func TestParams(t *testing.T) {
	t.Parallel()
	want := []string{"top_k", "threshold", "iou", "max_detections", "outputs"}
	if diff := cmp.Diff(want, builtin.Params()); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
}
