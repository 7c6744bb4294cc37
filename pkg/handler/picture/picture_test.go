package picture_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/picture"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

func signature(d tensor.DType, dims ...int64) engine.Signature {
	v := engine.Value{Name: "x", DType: d}
	for _, size := range dims {
		v.Shape = append(v.Shape, engine.Dim{Size: size})
	}
	return engine.Signature{Inputs: []engine.Value{v}, Outputs: []engine.Value{{Name: "y", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 2}}}}}
}

func request(t *testing.T, width, height int) *model.Request {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return &model.Request{Inputs: []model.Input{{Name: "body", Data: out.Bytes()}}}
}

// What the settings leave open, the signature tells.
func TestOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		signature engine.Signature
		opts      vision.Options
		width     int
		want      string
	}{
		{"nchw", signature(tensor.Float32, -1, 3, 6, 4), vision.Options{}, 9, "float32[1 3 6 4]"},
		{"nhwc of bytes", signature(tensor.Uint8, 1, 6, 4, 3), vision.Options{}, 9, "uint8[1 6 4 3]"},
		{"grey of half precision", signature(tensor.Half, 1, 1, 6, 4), vision.Options{}, 9, "float16[1 1 6 4]"},
		{"no batch axis", signature(tensor.Float32, 3, 6, 4), vision.Options{}, 9, "float32[1 3 6 4]"},
		{"any size", signature(tensor.Float32, 3, -1, -1), vision.Options{ResizeRule: vision.ResizeNone, Crop: vision.CropNone}, 9, "float32[1 3 7 9]"},
		{"said otherwise", signature(tensor.Float32, -1, 3, -1, -1), vision.Options{Size: vision.Square(5)}, 9, "float32[1 3 5 5]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := picture.New(test.signature, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			in, err := r.Read(t.Context(), request(t, test.width, 7))
			if err != nil || in["x"].String() != test.want {
				t.Fatalf("%v, %v, want %s", in["x"], err, test.want)
			}
			row, err := r.Row(in, 0)
			if err != nil || len(row["x"].Shape()) != len(test.signature.Inputs[0].Shape) {
				t.Errorf("a row is %v, %v", row["x"], err)
			}
			if _, err := r.Example(); err != nil {
				t.Errorf("example: %v", err)
			}
		})
	}
}

// Where the network's picture of 8x8 lies on pictures of other sizes.
func TestFrame(t *testing.T) {
	t.Parallel()
	size := func(width, height int) vision.Size { return vision.Size{Width: width, Height: height} }
	tests := []struct {
		name          string
		opts          vision.Options
		width, height int
		want          picture.Frame
	}{
		{"stretched", vision.Options{ResizeRule: vision.ResizeStretch}, 20, 5, picture.Frame{Width: 20, Height: 5, Picture: size(20, 5)}},
		{"fitted", vision.Options{ResizeRule: vision.ResizeFit}, 5, 10, picture.Frame{X: -2.5, Width: 10, Height: 10, Picture: size(5, 10)}},
		{"fitted, of a small one", vision.Options{ResizeRule: vision.ResizeFit}, 2, 1, picture.Frame{Y: -0.5, Width: 2, Height: 2, Picture: size(2, 1)}},
		{"cropped", vision.Options{Resize: 10}, 10, 20, picture.Frame{X: 1, Y: 6, Width: 8, Height: 8, Picture: size(10, 20)}},
		{"cropped, not resized", vision.Options{ResizeRule: vision.ResizeNone}, 12, 6, picture.Frame{X: 2, Y: -1, Width: 8, Height: 8, Picture: size(12, 6)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, err := picture.New(signature(tensor.Float32, -1, 3, 8, 8), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Frame(request(t, test.width, test.height), size(8, 8))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			x, y := got.Point(0.5, 2)
			if want := float32(test.want.X + test.want.Width/2); math.Abs(float64(x-want)) > 1e-6 || y != float32(test.height) {
				t.Errorf("the middle of the last line is (%v,%v), want (%v,%d)", x, y, want, test.height)
			}
		})
	}
}

// The scores of an explanation are made of the network's answer, row by row.
func TestExplainer(t *testing.T) {
	t.Parallel()
	r, err := picture.New(signature(tensor.Float32, -1, 3, 8, 8), vision.Options{})
	if err != nil {
		t.Fatal(err)
	}
	session := enginetest.New(signature(tensor.Float32, -1, 3, 8, 8), func(tensor.Named) (tensor.Named, error) {
		y, err := tensor.New([]int64{1, 2}, []float32{1, 2})
		return tensor.Named{"y": y}, err
	})
	base, err := explain.New(explain.Options{Session: session})
	if err != nil {
		t.Fatal(err)
	}
	e, err := r.Explainer(base, []string{"a", "b", "c"}, 3, func(ctx context.Context, s engine.Session, row tensor.Named) ([]float32, error) {
		out, err := s.Run(ctx, row)
		if err != nil {
			return nil, err
		}
		y, err := tensor.Data[float32](out["y"])
		return append([]float32{0}, y...), err
	})
	if err != nil {
		t.Fatal(err)
	}
	scored := e.Network().Session
	in, err := tensor.Make(tensor.Float32, []int64{2, 3, 8, 8})
	if err != nil {
		t.Fatal(err)
	}
	out, err := scored.Run(t.Context(), tensor.Named{"x": in})
	if err != nil {
		t.Fatal(err)
	}
	got, err := tensor.Data[float32](out["scores"])
	if diff := cmp.Diff([]float32{0, 1, 2, 0, 1, 2}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := scored.Run(t.Context(), tensor.Named{"x": in}, "y"); !errors.Is(err, fault.Invalid) {
		t.Errorf("the network's own output: %v", err)
	}
	if _, err := scored.Run(t.Context(), tensor.Named{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("no input: %v", err)
	}
}
