package heatmap_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/heatmap"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func newMap(t *testing.T, shape []int64, data []float32) heatmap.Map {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	m, err := heatmap.New(x)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Some colours on white.
var (
	against = color.RGBA{18, 79, 148, 255}
	weaker  = color.RGBA{67, 147, 195, 255}
	nothing = color.RGBA{250, 250, 250, 255}
	strong  = color.RGBA{165, 15, 32, 255}
)

func colours(img *image.RGBA) []color.RGBA {
	var all []color.RGBA
	for y := img.Rect.Min.Y; y < img.Rect.Max.Y; y++ {
		for x := img.Rect.Min.X; x < img.Rect.Max.X; x++ {
			all = append(all, img.RGBAAt(x, y))
		}
	}
	return all
}

func TestImageOfTinyMaps(t *testing.T) {
	t.Parallel()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := []struct {
		name  string
		shape []int64
		data  []float32
		want  []color.RGBA
	}{
		{"both signs", []int64{1, 4}, []float32{-3, 0, 3, -2}, []color.RGBA{against, nothing, strong, weaker}},
		{"a list", []int64{3}, []float32{-1, 0, 1}, []color.RGBA{against, nothing, strong}},
		{"a column", []int64{2, 1}, []float32{5, -5}, []color.RGBA{strong, against}},
		{"channels are added", []int64{3, 1, 2}, []float32{1, 2, 1, -1, 1, -4}, []color.RGBA{strong, against}},
		{"channels cancel out", []int64{2, 1, 2}, []float32{1, 9, -1, 0}, []color.RGBA{nothing, strong}},
		{"nothing", []int64{1, 2, 1}, []float32{0, 0}, []color.RGBA{nothing, nothing}},
		{"not finite", []int64{2, 2}, []float32{nan, inf, -inf, 0.25}, []color.RGBA{nothing, nothing, nothing, strong}},
		{"tiny numbers", []int64{2}, []float32{1e-40, -1e-40}, []color.RGBA{strong, against}},
		{"one cell", []int64{1, 1, 1}, []float32{0.1}, []color.RGBA{strong}},
	}
	for _, test := range tests {
		m := newMap(t, test.shape, test.data)
		if diff := cmp.Diff(colours(m.Image(m.Size())), test.want); diff != "" {
			t.Errorf("%s: colours differ (-got +want):\n%s", test.name, diff)
		}
	}
}

func TestScaleIsThe99thPercentile(t *testing.T) {
	t.Parallel()
	data := slices.Repeat([]float32{1}, 200)
	data[7], data[50] = 1000, 0 // one cell in two hundred does not darken the rest
	got := colours(newMap(t, []int64{10, 20}, data).Image(20, 10))
	if got[0] != strong || got[7] != strong || got[50] != nothing {
		t.Errorf("an ordinary cell is %v, the outlier %v, an empty cell %v", got[0], got[7], got[50])
	}
	few := make([]float32, 1000) // the percentile itself is 0
	few[3], few[4] = 2, 1
	got = colours(newMap(t, []int64{1000}, few).Image(1000, 1))
	if got[3] != strong || got[4] == strong || got[4] == nothing || got[5] != nothing {
		t.Errorf("cells among zeros are %v", got[2:6])
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, x := range []tensor.Tensor{
		{},
		make1(t, []int64{1, 1, 1, 2}, []float32{1, 2}),
		make1(t, nil, []float32{1}),
		make1(t, []int64{3, 0, 2}, []float32{}),
		make1(t, []int64{1}, []string{"a"}),
	} {
		if _, err := heatmap.New(x); !errors.Is(err, fault.Invalid) {
			t.Errorf("New(%v) = %v, want %v", x, err, fault.Invalid)
		}
	}
}

func make1[T tensor.Element](t *testing.T, shape []int64, data []T) tensor.Tensor {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestSigned(t *testing.T) {
	t.Parallel()
	if newMap(t, []int64{3}, []float32{0, 1, 2}).Signed() {
		t.Error("a map without a negative number is signed")
	}
	if !newMap(t, []int64{3}, []float32{0, 1, -2}).Signed() {
		t.Error("a map with a negative number is not signed")
	}
}

func TestImageGrowsSmoothly(t *testing.T) {
	t.Parallel()
	m := newMap(t, []int64{1, 2}, []float32{-1, 1})
	got := colours(m.Image(9, 3))
	if len(got) != 27 || got[4].R != 250 || got[0] != got[9] || got[9] != got[18] {
		t.Errorf("9x3 of two cells is %v", got)
	}
	for x := 4; x < 8; x++ { // from nothing in the middle to the right: ever less green
		if got[x].G < got[x+1].G {
			t.Errorf("column %d is %v, then %v", x, got[x], got[x+1])
		}
	}
}

func TestImageShrinksByMeans(t *testing.T) {
	t.Parallel()
	data := make([]float32, 64*64)
	for i := range data {
		data[i] = float32(1 - 2*((i+i/64)%2)) // a chessboard of 1 and -1
	}
	for i, c := range colours(newMap(t, []int64{64, 64}, data).Image(4, 4)) {
		if diff := int(c.G) - int(nothing.G); diff < -2 || diff > 0 {
			t.Errorf("cell %d of a fine chessboard is %v", i, c)
		}
	}
}

func TestMirroredMapsAreMirroredPictures(t *testing.T) {
	t.Parallel()
	data := []float32{1, -2, 3, 0, 5, -6, 7, 8, 0, 1, -1, 4}
	mirrored := make([]float32, len(data))
	for i, v := range data {
		mirrored[i/4*4+3-i%4] = v
	}
	a := newMap(t, []int64{3, 4}, data).Image(13, 7)
	b := newMap(t, []int64{3, 4}, mirrored).Image(13, 7)
	for y := range 7 {
		for x := range 13 {
			if a.RGBAAt(x, y) != b.RGBAAt(12-x, y) {
				t.Errorf("pixel %d,%d is %v, its mirror %v", x, y, a.RGBAAt(x, y), b.RGBAAt(12-x, y))
			}
		}
	}
}

// plain is a picture of one colour that does not begin at 0,0.
func plain(c color.RGBA, bounds image.Rectangle) *image.RGBA {
	picture := image.NewRGBA(bounds)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			picture.SetRGBA(x, y, c)
		}
	}
	return picture
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	grey := color.RGBA{100, 100, 100, 255}
	picture := plain(grey, image.Rect(10, 20, 18, 24))
	m := newMap(t, []int64{1, 2}, []float32{1, -1})
	got := m.Overlay(picture, heatmap.OverlayOptions{Crop: image.Rect(12, 21, 16, 23), Least: 1})
	if got.Bounds() != picture.Bounds() {
		t.Fatalf("overlay has bounds %v, the picture %v", got.Bounds(), picture.Bounds())
	}
	want := map[image.Point]color.RGBA{
		{10, 20}: {40, 40, 40, 255},  // outside: darker
		{11, 22}: {40, 40, 40, 255},  // just outside
		{16, 21}: {40, 40, 40, 255},  //
		{12, 20}: {40, 40, 40, 255},  //
		{15, 23}: {40, 40, 40, 255},  //
		{12, 21}: {181, 52, 58, 255}, // 60 % red on 40 % of the picture
		{15, 22}: {52, 94, 178, 255}, // and blue
		{13, 21}: {147, 72, 76, 255}, // on the way to the middle, still red
		{14, 22}: {72, 97, 145, 255}, // and already blue
		{18, 24}: {},                 // outside of the picture
	}
	for at, c := range want {
		if got.RGBAAt(at.X, at.Y) != c {
			t.Errorf("pixel %v is %v, want %v", at, got.RGBAAt(at.X, at.Y), c)
		}
	}
	if c := picture.RGBAAt(12, 21); c != grey {
		t.Errorf("the picture was painted on: %v", c)
	}
}

func TestOverlayOfNothingKeepsThePicture(t *testing.T) {
	t.Parallel()
	picture := plain(color.RGBA{90, 90, 90, 255}, image.Rect(0, 0, 5, 4))
	got := newMap(t, []int64{2, 2}, make([]float32, 4)).Overlay(picture, heatmap.OverlayOptions{Least: 1})
	if !bytes.Equal(got.Pix, picture.Pix) {
		t.Error("a map of zeros changed a grey picture")
	}
}

func TestOverlayCutsTheCropOff(t *testing.T) {
	t.Parallel()
	picture := plain(color.RGBA{100, 100, 100, 255}, image.Rect(0, 0, 4, 2))
	m := newMap(t, []int64{1, 2}, []float32{1, -1})
	got := m.Overlay(picture, heatmap.OverlayOptions{Crop: image.Rect(-4, 0, 4, 2), Least: 1}) // only the right half, which is blue, is on the picture
	if c := got.RGBAAt(3, 1); c != (color.RGBA{52, 94, 178, 255}) {
		t.Errorf("the right end is %v", c)
	}
	if c := got.RGBAAt(1, 0); c.B <= c.R {
		t.Errorf("the middle is %v", c)
	}
	got = m.Overlay(picture, heatmap.OverlayOptions{Crop: image.Rect(-1<<40, -1<<40, 1<<40, 1<<40), Least: 1}) // a rectangle that no memory holds
	if c := got.RGBAAt(1, 1); c != (color.RGBA{100, 100, 100, 255}) {
		t.Errorf("the middle of an endless map is %v", c)
	}
	got = m.Overlay(picture, heatmap.OverlayOptions{Crop: image.Rect(50, 50, 60, 60), Least: 1})
	if c := got.RGBAAt(2, 1); c != (color.RGBA{40, 40, 40, 255}) {
		t.Errorf("beside the crop the picture is %v", c)
	}
}

func TestOverlayMakesTransparentPartsWhite(t *testing.T) {
	t.Parallel()
	got := newMap(t, []int64{1}, []float32{0}).Overlay(image.NewNRGBA(image.Rect(0, 0, 1, 1)), heatmap.OverlayOptions{})
	if c := got.RGBAAt(0, 0); c != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("a transparent pixel became %v", c)
	}
}

func TestOverlayEnlargesSmallPictures(t *testing.T) {
	t.Parallel()
	picture := image.NewGray(image.Rect(-1, 0, 3, 3)) // a black picture with one white pixel
	picture.SetGray(0, 1, color.Gray{255})
	m := newMap(t, []int64{1, 1}, []float32{1})
	got := m.Overlay(picture, heatmap.OverlayOptions{Crop: image.Rect(0, 0, 2, 3), Least: 10}) // three times as large
	if got.Bounds() != image.Rect(-3, 0, 9, 9) {
		t.Fatalf("bounds are %v", got.Bounds())
	}
	black, red, bright := color.RGBA{0, 0, 0, 255}, color.RGBA{141, 12, 18, 255}, color.RGBA{243, 114, 120, 255}
	for at, want := range map[image.Point]color.RGBA{
		{-3, 0}: black, {-1, 8}: black, {0, 2}: red, {0, 3}: bright, {2, 5}: bright, {3, 5}: red, {2, 6}: red, {5, 8}: red, {6, 8}: black,
	} {
		if c := got.RGBAAt(at.X, at.Y); c != want {
			t.Errorf("pixel %v is %v, want %v", at, c, want)
		}
	}
	if got := m.Overlay(picture, heatmap.OverlayOptions{}).Bounds(); got != image.Rect(-80, 0, 240, 240) {
		t.Errorf("by default the bounds are %v", got)
	}
	if got := m.Overlay(image.NewGray(image.Rectangle{}), heatmap.OverlayOptions{}).Bounds(); !got.Empty() {
		t.Errorf("an empty picture became %v", got)
	}
}

func TestPNG(t *testing.T) {
	t.Parallel()
	want := newMap(t, []int64{2, 2}, []float32{1, 2, -3, 4}).Image(6, 6)
	data, err := heatmap.PNG(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for y := range 6 {
		for x := range 6 {
			if color.RGBAModel.Convert(got.At(x, y)) != want.At(x, y) {
				t.Errorf("pixel %d,%d is %v, want %v", x, y, got.At(x, y), want.At(x, y))
			}
		}
	}
	if _, err := heatmap.PNG(image.NewRGBA(image.Rectangle{})); !errors.Is(err, fault.Invalid) {
		t.Errorf("PNG of an empty picture: %v", err)
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	const legend = "weak to strong, for: .:-=+*#%@"
	diagonal := make([]float32, 36)
	for i := range 6 {
		diagonal[i*7], diagonal[i*5+5] = 1, -1
	}
	tests := []struct {
		name  string
		shape []int64
		data  []float32
		opts  heatmap.TerminalOptions
		want  string
	}{
		{"signs", []int64{1, 5}, []float32{1, -0.5, 0, 0.2, -1}, heatmap.TerminalOptions{Width: 5}, "@n :W\n" + legend + "  against: icvonmwMW\n"},
		{"no signs", []int64{4}, []float32{0.1, 0, 1, 0.5}, heatmap.TerminalOptions{Width: 4}, ". @+\n" + legend + "\n"},
		{"nothing", []int64{4, 4}, make([]float32, 16), heatmap.TerminalOptions{Width: 4}, "\n\n" + legend + "\n"},
		{"a column fits the height", []int64{4, 1}, []float32{1, 1, -1, -1}, heatmap.TerminalOptions{Height: 2}, "@\nW\n" + legend + "  against: icvonmwMW\n"},
		{
			"two diagonals",
			[]int64{6, 6},
			diagonal,
			heatmap.TerminalOptions{Width: 12},
			"@#:      cwW\n :##:  cwwc\n   :#=owc\n   cwo=#:\n cwwc  :##:\nWwc      :#@\n" + legend + "  against: icvonmwMW\n",
		},
		{
			"colour",
			[]int64{2, 2},
			[]float32{1, -1, 0, 0.5},
			heatmap.TerminalOptions{Width: 2, TrueColour: true},
			"\x1b[38;2;255;176;124;48;2;22;24;30m▀\x1b[38;2;150;205;255;48;2;174;43;41m▀\x1b[0m\n" +
				"against \x1b[38;2;150;205;255;48;2;150;205;255m▀\x1b[38;2;99;167;235;48;2;99;167;235m▀" +
				"\x1b[38;2;48;128;214;48;2;48;128;214m▀\x1b[38;2;36;97;170;48;2;36;97;170m▀" +
				"\x1b[38;2;24;66;125;48;2;24;66;125m▀\x1b[38;2;23;45;78;48;2;23;45;78m▀" +
				"\x1b[38;2;22;24;30;48;2;22;24;30m▀\x1b[38;2;72;24;31;48;2;72;24;31m▀" +
				"\x1b[38;2;122;24;32;48;2;122;24;32m▀\x1b[38;2;174;43;41;48;2;174;43;41m▀" +
				"\x1b[38;2;226;62;50;48;2;226;62;50m▀\x1b[38;2;241;119;87;48;2;241;119;87m▀" +
				"\x1b[38;2;255;176;124;48;2;255;176;124m▀\x1b[0m for\n",
		},
	}
	for _, test := range tests {
		var out strings.Builder
		if err := newMap(t, test.shape, test.data).Terminal(&out, test.opts); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(out.String(), test.want); diff != "" {
			t.Errorf("%s: output differs (-got +want):\n%s", test.name, diff)
		}
	}
}

func TestTerminalFits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		height, width  int64
		opts           heatmap.TerminalOptions
		lines, columns int
	}{
		{"square", 28, 28, heatmap.TerminalOptions{}, 20, 40},
		{"wide", 10, 100, heatmap.TerminalOptions{Width: 60}, 3, 60},
		{"tall", 100, 10, heatmap.TerminalOptions{Width: 60, Height: 20}, 20, 4},
		{"a list", 1, 7, heatmap.TerminalOptions{Width: 30}, 2, 30},
		{"a long list", 1, 5000, heatmap.TerminalOptions{Width: 30, Height: 1}, 1, 30},
		{"a column", 5000, 1, heatmap.TerminalOptions{Width: 30, Height: 10}, 10, 1},
		{"one line", 224, 224, heatmap.TerminalOptions{Height: 1}, 1, 2},
	}
	for _, test := range tests {
		m := newMap(t, []int64{test.height, test.width}, slices.Repeat([]float32{1}, int(test.height*test.width)))
		for _, colour := range []bool{false, true} {
			test.opts.TrueColour = colour
			var out strings.Builder
			if err := m.Terminal(&out, test.opts); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			lines = lines[:len(lines)-1] // the legend
			columns := strings.Count(lines[0], "@")
			if colour {
				columns = strings.Count(lines[0], "▀")
			}
			if len(lines) != test.lines || columns != test.columns {
				t.Errorf("%s, colour %v: %d lines of %d columns, want %d of %d", test.name, colour, len(lines), columns, test.lines, test.columns)
			}
		}
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	picture := image.NewNRGBA(image.Rect(5, 5, 7, 7))
	picture.Set(5, 5, color.NRGBA{255, 0, 0, 255})
	picture.Set(6, 6, color.NRGBA{0, 40, 200, 255})
	var out strings.Builder
	if err := heatmap.Blocks(&out, picture, heatmap.TerminalOptions{Width: 2}); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[38;2;255;0;0;48;2;0;0;0m▀\x1b[38;2;0;0;0;48;2;0;40;200m▀\x1b[0m\n"
	if diff := cmp.Diff(out.String(), want); diff != "" {
		t.Errorf("output differs (-got +want):\n%s", diff)
	}
	out.Reset()
	if err := heatmap.Blocks(&out, image.NewRGBA(image.Rectangle{}), heatmap.TerminalOptions{}); err != nil || out.Len() != 0 {
		t.Errorf("an empty picture wrote %q, %v", out.String(), err)
	}
}

// full is a writer with no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWritersThatFail(t *testing.T) {
	t.Parallel()
	m := newMap(t, []int64{1}, []float32{1})
	if err := m.Terminal(full{}, heatmap.TerminalOptions{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Terminal = %v", err)
	}
	if err := heatmap.Blocks(full{}, m.Image(2, 2), heatmap.TerminalOptions{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Blocks = %v", err)
	}
}

func BenchmarkOverlay(b *testing.B) {
	data := make([]float32, 3*224*224)
	for i := range data {
		data[i] = float32(i%17) - 8
	}
	x, err := tensor.New([]int64{3, 224, 224}, data)
	if err != nil {
		b.Fatal(err)
	}
	picture := image.NewRGBA(image.Rect(0, 0, 640, 480))
	b.ReportAllocs()
	for b.Loop() {
		m, err := heatmap.New(x)
		if err != nil {
			b.Fatal(err)
		}
		m.Overlay(picture, heatmap.OverlayOptions{Crop: image.Rect(80, 0, 560, 480)})
	}
}
