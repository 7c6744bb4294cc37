package vision_test

import (
	stdcontext "context"
	"errors"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

func context() stdcontext.Context { return stdcontext.Background() }

// noise returns the picture that noise of testdata/make.py makes too.
func noise(width, height, channels int) image.Image {
	pix := make([]uint8, width*height*channels)
	state := uint32(1)
	for i := range pix {
		state = state*1664525 + 1013904223
		pix[i] = uint8(state >> 24)
	}
	bounds := image.Rect(0, 0, width, height)
	if channels == 1 {
		return &image.Gray{Pix: pix, Stride: width, Rect: bounds}
	}
	img := image.NewNRGBA(bounds)
	for i := range width * height {
		copy(img.Pix[4*i:4*i+3], pix[3*i:])
		img.Pix[4*i+3] = uint8(i) // opacity is dropped
	}
	return img
}

func apply[T tensor.Element](tb testing.TB, opts vision.Options, img image.Image) (shape []int64, data []T) {
	tb.Helper()
	tr, err := vision.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := tr.Apply(img)
	if err != nil {
		tb.Fatal(err)
	}
	if data, err = tensor.Data[T](out); err != nil {
		tb.Fatal(err)
	}
	return out.Shape(), data
}

func TestResizeAsPillow(t *testing.T) {
	t.Parallel()
	type resized struct {
		Colour        vision.Colour
		From, To      [2]int
		Interpolation vision.Interpolation
		SHA256        string
	}
	pictures := map[[3]int]image.Image{}
	for _, want := range load[[]resized](t, "resize.json") {
		channels := 3
		if want.Colour == vision.Grey {
			channels = 1
		}
		key := [3]int{want.From[0], want.From[1], channels}
		if pictures[key] == nil {
			pictures[key] = noise(want.From[0], want.From[1], channels)
		}
		_, got := apply[uint8](t, vision.Options{
			Size: vision.Size{Width: want.To[0], Height: want.To[1]}, ResizeRule: vision.ResizeStretch, Colour: want.Colour,
			Interpolation: want.Interpolation, DType: vision.Uint8, Layout: vision.NHWC,
		}, pictures[key])
		if h := hash(got); h != want.SHA256 {
			t.Errorf("%s %s from %v to %v: the pixels hash to %s, want %s",
				want.Interpolation, want.Colour, want.From, want.To, h, want.SHA256)
		}
	}
}

// Only what a crop needs is computed; it has to be the same as what the whole picture has there.
func TestCropComputesWhatTheWholeHas(t *testing.T) {
	t.Parallel()
	img := noise(200, 120, 3)
	for _, filter := range []vision.Interpolation{vision.Nearest, vision.Box, vision.Bilinear, vision.Bicubic, vision.Lanczos} {
		shape, whole := apply[uint8](t, vision.Options{
			Resize: 77, Crop: vision.CropNone, Interpolation: filter, DType: vision.Uint8, Layout: vision.NHWC,
		}, img)
		_, part := apply[uint8](t, vision.Options{
			Size: vision.Size{Width: 30, Height: 51}, Resize: 77, Interpolation: filter, DType: vision.Uint8, Layout: vision.NHWC,
		}, img)
		if want := []int64{1, 77, 128, 3}; !cmp.Equal(shape, want) {
			t.Fatalf("shape %v, want %v", shape, want)
		}
		const left, top = 49, 13
		for y := range 51 {
			want := whole[((top+y)*128+left)*3:][:30*3]
			if diff := cmp.Diff(part[y*30*3:(y+1)*30*3], want); diff != "" {
				t.Fatalf("%s, row %d: %s", filter, y, diff)
			}
		}
	}
}

func TestTransformAsTorchvision(t *testing.T) {
	t.Parallel()
	type composed struct {
		Name    string
		From    [2]int
		Options map[string]any
		Shape   []int64
		Step    int
		Values  []float32
	}
	for _, want := range load[[]composed](t, "transform.json") {
		written, err := yaml.Marshal(want.Options)
		if err != nil {
			t.Fatal(err)
		}
		var opts vision.Options
		if err := yaml.UnmarshalWithOptions(written, &opts, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", want.Name, err)
		}
		tr, err := vision.New(opts)
		if err != nil {
			t.Fatalf("%s: %v", want.Name, err)
		}
		out, err := tr.Apply(noise(want.From[0], want.From[1], 3))
		if err != nil {
			t.Fatalf("%s: %v", want.Name, err)
		}
		if wantShape := append([]int64{1}, want.Shape[1:]...); !cmp.Equal(out.Shape(), wantShape) {
			t.Errorf("%s: shape %v, want %v", want.Name, out.Shape(), wantShape)
			continue
		}
		got, err := tensor.Float32s(out)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range want.Values {
			if diff := math.Abs(float64(got[i*want.Step] - v)); !(diff <= 1e-6) {
				t.Errorf("%s from %v: value %d is %v, want %v", want.Name, want.From, i*want.Step, got[i*want.Step], v)
				break
			}
		}
	}
}

func TestOptionsNamesTheSetting(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	tests := []struct {
		name string
		opts vision.Options
		says string
	}{
		{"unknown name", vision.Options{Interpolation: "bilinar"}, `interpolation: "bilinar" is unknown, did you mean "bilinear"?`},
		{"unknown rule", vision.Options{ResizeRule: "xyz"}, `resizeRule: "xyz" is unknown; it is one of shorter, stretch, fit, none`},
		{"unknown crop", vision.Options{Crop: "left"}, "crop: "},
		{"unknown colour", vision.Options{Colour: "cmyk"}, "colour: "},
		{"unknown layout", vision.Options{Layout: "chw"}, "layout: "},
		{"unknown type", vision.Options{DType: "int8"}, "dtype: "},
		{"unknown order", vision.Options{ChannelOrder: "grb"}, "channelOrder: "},
		{"grey bgr", vision.Options{Colour: vision.Grey, ChannelOrder: vision.OrderBGR}, "channelOrder: "},
		{"negative size", vision.Options{Size: vision.Size{Width: -1, Height: 1}}, "size: "},
		{"half a size", vision.Options{Size: vision.Size{Width: 224}}, "size: 224x0"},
		{"huge size", vision.Options{Size: vision.Square(60000)}, "size: 60000x60000 is more than maxPixels"},
		{"size over maxPixels", vision.Options{Size: vision.Square(100), MaxPixels: 9999}, "size: "},
		{"negative maxPixels", vision.Options{MaxPixels: -1}, "maxPixels: "},
		{"negative resize", vision.Options{Resize: -1}, "resize: "},
		{"resize without use", vision.Options{Resize: 256, ResizeRule: vision.ResizeStretch}, "resize: it has no meaning"},
		{"no crop and no resize", vision.Options{Crop: vision.CropNone}, "resize: it has to be set"},
		{"size without use", vision.Options{Crop: vision.CropNone, ResizeRule: vision.ResizeNone, Size: vision.Square(9)}, "size: it has no meaning"},
		{"two means", vision.Options{Mean: []float32{1, 2}}, "mean: it has 2 values"},
		{"three means for grey", vision.Options{Colour: vision.Grey, Mean: []float32{1, 2, 3}}, "mean: "},
		{"zero std", vision.Options{Std: []float32{1, 0, 1}}, "std: "},
		{"mean not a number", vision.Options{Mean: []float32{nan}}, "mean: "},
		{"scale not a number", vision.Options{Scale: nan}, "scale: "},
		{"normalised bytes", vision.Options{DType: vision.Uint8, Mean: []float32{1}}, "dtype: uint8"},
		{"fill out of range", vision.Options{Fill: []int{256}}, "fill: 256"},
		{"fill of two", vision.Options{Fill: []int{1, 2}}, "fill: it has 2 values"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := vision.New(test.opts)
			if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), test.says) {
				t.Errorf("New: %v (%v), want %q", err, fault.Of(err), test.says)
			}
		})
	}
}

func TestOptionsDefaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		opts   vision.Options
		size   vision.Size
		resize int
	}{
		{"zero", vision.Options{}, vision.Square(224), 256},
		{"larger", vision.Options{Size: vision.Square(299)}, vision.Square(299), 342},
		{"not square", vision.Options{Size: vision.Size{Width: 112, Height: 224}}, vision.Size{Width: 112, Height: 224}, 256},
		{"stretch", vision.Options{ResizeRule: vision.ResizeStretch}, vision.Square(224), 0},
		{"aliases", vision.Options{Colour: "gray", Crop: "centre"}, vision.Square(224), 256},
	}
	for _, test := range tests {
		tr, err := vision.New(test.opts)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := tr.Options(); got.Size != test.size || got.Resize != test.resize {
			t.Errorf("%s: size %v, resize %d, want %v, %d", test.name, got.Size, got.Resize, test.size, test.resize)
		}
	}
}

func TestSizeYAML(t *testing.T) {
	t.Parallel()
	var opts vision.Options
	if err := yaml.Unmarshal([]byte("size: [10, 20]"), &opts); err != nil || opts.Size != (vision.Size{Width: 20, Height: 10}) {
		t.Errorf("[10, 20] is %v, %v", opts.Size, err)
	}
	for _, text := range []string{"size: [1, 2, 3]", "size: big", "size: [a, b]"} {
		if err := yaml.Unmarshal([]byte(text), &opts); err == nil || !strings.Contains(err.Error(), "[height, width]") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCrop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		opts          vision.Options
		width, height int
		want          image.Rectangle
	}{
		{"classifier", vision.Options{}, 512, 256, image.Rect(144, 16, 368, 240)},
		{"scaled", vision.Options{}, 1024, 512, image.Rect(288, 32, 736, 480)},
		{"all of it", vision.Options{Size: vision.Square(64), Resize: 64}, 100, 100, image.Rect(0, 0, 100, 100)},
		{"stretch", vision.Options{ResizeRule: vision.ResizeStretch}, 300, 100, image.Rect(0, 0, 300, 100)},
		{"fit", vision.Options{Size: vision.Square(100), ResizeRule: vision.ResizeFit}, 400, 200, image.Rect(0, -100, 400, 300)},
		{"filled", vision.Options{Size: vision.Square(100), ResizeRule: vision.ResizeNone}, 60, 200, image.Rect(-20, 50, 80, 150)},
		{"nothing", vision.Options{}, 0, 10, image.Rectangle{}},
	}
	for _, test := range tests {
		tr, err := vision.New(test.opts)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := tr.Crop(test.width, test.height); got != test.want {
			t.Errorf("%s: Crop(%d, %d) = %v, want %v", test.name, test.width, test.height, got, test.want)
		}
	}
}

// other hides an image's type.
type other struct{ image.Image }

func TestApplyTakesEveryKindOfImage(t *testing.T) {
	t.Parallel()
	opts := vision.Options{ResizeRule: vision.ResizeNone, Crop: vision.CropNone, DType: vision.Uint8, Layout: vision.NHWC}
	source := noise(9, 7, 3).(*image.NRGBA)
	for i := range source.Pix {
		if i%4 == 3 {
			source.Pix[i] = 255
		}
	}
	bounds := image.Rect(-3, -2, 9, 7) // a part is read, so that offsets count
	images := map[string]interface {
		image.Image
		Set(x, y int, c color.Color)
		SubImage(r image.Rectangle) image.Image
	}{
		"NRGBA": image.NewNRGBA(bounds), "NRGBA64": image.NewNRGBA64(bounds), "RGBA": image.NewRGBA(bounds),
		"RGBA64": image.NewRGBA64(bounds),
	}
	_, want := apply[uint8](t, opts, source)
	for name, img := range images {
		for y := range 7 {
			for x := range 9 {
				img.Set(x, y, source.At(x, y))
			}
		}
		part := img.SubImage(image.Rect(0, 0, 9, 7))
		for _, view := range []image.Image{part, other{part}} {
			if _, got := apply[uint8](t, opts, view); !cmp.Equal(got, want) {
				t.Errorf("%s as %T: the pixels differ", name, view)
			}
		}
	}
}

func TestApplyUndoesMultipliedOpacity(t *testing.T) {
	t.Parallel()
	opts := vision.Options{ResizeRule: vision.ResizeNone, Crop: vision.CropNone, DType: vision.Uint8}
	img := image.NewRGBA(image.Rect(0, 0, 1, 1))
	img.Pix = []uint8{50, 100, 0, 100}
	if _, got := apply[uint8](t, opts, img); !cmp.Equal(got, []uint8{127, 255, 0}) {
		t.Errorf("got %v, want [127 255 0]", got)
	}
}

func TestApplyRefusesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts vision.Options
		img  image.Image
		kind fault.Kind
	}{
		{"picture", vision.Options{Size: vision.Square(4), MaxPixels: 20}, noise(7, 3, 1), fault.TooLarge},
		{"result", vision.Options{Resize: 300, Crop: vision.CropNone, MaxPixels: 90_000}, noise(30, 31, 1), fault.TooLarge},
		{"nothing", vision.Options{}, image.NewGray(image.Rect(0, 0, 0, 5)), fault.Invalid},
	}
	for _, test := range tests {
		tr, err := vision.New(test.opts)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if _, err := tr.Apply(test.img); fault.Of(err) != test.kind {
			t.Errorf("%s: %v, want %v", test.name, err, test.kind)
		}
	}
}

func TestTensorStopsWhenCanceled(t *testing.T) {
	t.Parallel()
	tr, err := vision.New(vision.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := stdcontext.WithCancel(t.Context())
	cancel()
	if _, err := tr.Tensor(ctx, file(t, "pictures", "rgb8.png")); !errors.Is(err, stdcontext.Canceled) {
		t.Errorf("Tensor: %v, want canceled", err)
	}
}

func TestTensorFromManyGoroutines(t *testing.T) {
	t.Parallel()
	tr, err := vision.New(vision.ImageNet())
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"ycc420.jpg", "grey8.png", "lossy.webp", "offset.gif", "exif6.tiff"}
	want := make([]tensor.Tensor, len(names))
	for i, name := range names {
		if want[i], err = tr.Tensor(t.Context(), file(t, "pictures", name)); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			i %= len(names)
			got, err := tr.Tensor(t.Context(), file(t, "pictures", names[i]))
			if err != nil {
				t.Error(err)
				return
			}
			a, errA := tensor.Float32s(got)
			b, errB := tensor.Float32s(want[i])
			if err := errors.Join(errA, errB); err != nil || !slices.Equal(a, b) {
				t.Errorf("%s: another tensor than when it was alone (%v)", names[i], err)
			}
		})
	}
	group.Wait()
}
