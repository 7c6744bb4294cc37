package heatmap_test

import (
	"errors"
	"image"
	"image/color"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/heatmap"
)

// panels are n maps with two lines of caption.
func panels(t *testing.T, n int) []heatmap.Panel {
	t.Helper()
	all := make([]heatmap.Panel, n)
	for i := range all {
		all[i] = heatmap.Panel{
			Map:     newMap(t, []int64{2, 2}, []float32{1, 0, 0, 1}),
			Picture: image.NewUniform(color.RGBA{R: 200, A: 255}),
			Caption: []string{"title", "a line"},
		}
	}
	return all
}

// square is a red picture.
func square(side int) image.Image {
	img := image.NewRGBA(image.Rect(3, 4, 3+side, 4+side))
	for i := range img.Pix {
		if i%4 == 0 || i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

func TestSideBySide(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]image.Point{
		1: {100 + 24, 100 + 38 + 24},
		3: {3*112 + 12, 162},
		5: {3*112 + 12, 2 * 162}, // in two rows of about the same length
		8: {4*112 + 12, 2 * 162},
	} {
		all := panels(t, n)
		for i := range all {
			all[i].Picture = square(50)
		}
		got, err := heatmap.SideBySide(all, 100)
		if err != nil {
			t.Fatal(err)
		}
		if got.Bounds().Size() != want {
			t.Errorf("%d panels are %v, want %v", n, got.Bounds().Size(), want)
		}
		for i := range n {
			columns := (want.X - 12) / 112
			x, y := 12+i%columns*112, 12+i/columns*162
			if c := color.RGBAModel.Convert(got.At(x+50, y+50)); c != (color.RGBA{R: 255, A: 255}) {
				t.Errorf("the middle of panel %d of %d is %v", i, n, c)
			}
			if dark(got, image.Rect(x, y+100, x+100, y+100+19)) == 0 || dark(got, image.Rect(x, y+124, x+100, y+143)) == 0 {
				t.Errorf("panel %d of %d has no caption", i, n)
			}
		}
	}
	if _, err := heatmap.SideBySide(nil, 0); !errors.Is(err, fault.Invalid) {
		t.Errorf("no panels: %v", err)
	}
}

// dark counts the pixels of a part that are far from white.
func dark(img image.Image, part image.Rectangle) int {
	n := 0
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if r, _, _, _ := img.At(x, y).RGBA(); r < 0xc000 {
				n++
			}
		}
	}
	return n
}

// A caption stays below its own panel.
func TestSideBySideCutsCaptions(t *testing.T) {
	t.Parallel()
	all := []heatmap.Panel{{Map: newMap(t, []int64{1, 2}, []float32{1, 1}), Caption: []string{strings.Repeat("wide ", 40)}}}
	got, err := heatmap.SideBySide(all, 60)
	if err != nil {
		t.Fatal(err)
	}
	size := got.Bounds().Size()
	if in, beyond := dark(got, image.Rect(12, 42, 72, size.Y)), dark(got, image.Rect(73, 42, size.X, size.Y)); in == 0 || beyond > 0 {
		t.Errorf("%d dark pixels below the panel, %d beside it", in, beyond)
	}
}

func TestTerminalSideBySide(t *testing.T) {
	t.Parallel()
	all := []heatmap.Panel{
		{Map: newMap(t, []int64{1, 3}, []float32{1, 0, 1}), Caption: []string{"first"}},
		{Map: newMap(t, []int64{1, 3}, []float32{0, -1, 0}), Caption: []string{"second of a long name", "more"}},
	}
	var out strings.Builder
	if err := heatmap.TerminalSideBySide(&out, all, heatmap.TerminalOptions{Width: 34}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if lines[len(lines)-2] != "weak to strong, for: .:-=+*#%@  against: icvonmwMW" || strings.Count(out.String(), "weak to strong") != 1 {
		t.Errorf("the legend is not the last line, once:\n%s", out.String())
	}
	var captions []string
	for _, line := range lines {
		if strings.Contains(line, "first") || strings.Contains(line, "more") {
			captions = append(captions, line)
		}
		if n := utf8.RuneCountInString(line); n > 34 && !strings.HasPrefix(line, "weak") {
			t.Errorf("%q is %d wide", line, n)
		}
	}
	if diff := cmp.Diff([]string{"first             second of a lon…", strings.Repeat(" ", 18) + "more"}, captions); diff != "" {
		t.Errorf("captions (-want +got):\n%s", diff)
	}
}

// Where not all fit, there are rows; in colours a panel is its picture, and needs no legend.
func TestTerminalSideBySideInRows(t *testing.T) {
	t.Parallel()
	all := panels(t, 3)
	for i := range all {
		all[i].Picture = square(8)
	}
	var out strings.Builder
	if err := heatmap.TerminalSideBySide(&out, all, heatmap.TerminalOptions{Width: 40, TrueColour: true}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "title") != 3 || strings.Count(got, "\n\n") != 1 || strings.Contains(got, "against") || !strings.Contains(got, "38;2;255;0;0") {
		t.Errorf("%d titles in %d bytes: %.200q", strings.Count(got, "title"), len(got), got)
	}
	out.Reset()
	all[0].Picture = nil
	if err := heatmap.TerminalSideBySide(&out, all[:1], heatmap.TerminalOptions{TrueColour: true}); err != nil || !strings.Contains(out.String(), "nothing ") {
		t.Errorf("a map without a picture has no legend: %v %q", err, out.String())
	}
	out.Reset()
	if err := heatmap.TerminalSideBySide(&out, nil, heatmap.TerminalOptions{}); err != nil || out.Len() > 0 {
		t.Errorf("no panels: %v %q", err, out.String())
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	words := []string{"[CLS]", "gut\x1b[2J", "schön"}
	nan := float32(math.NaN())
	tests := []struct {
		name    string
		weights []heatmap.Weights
		opts    heatmap.TerminalOptions
		want    string
	}{
		{
			"one",
			[]heatmap.Weights{{Values: []float32{0, 0.5, -0.25}}},
			heatmap.TerminalOptions{Width: 24},
			"[CLS]   +0.000\ngut[2J  +0.500  ████████\nschön   -0.250  ░░░░\n",
		},
		{
			"two",
			[]heatmap.Weights{{Title: "one_method", Values: []float32{1, 2, 3}}, {Title: "another_method", Values: []float32{nan, -1}}},
			heatmap.TerminalOptions{Width: 34},
			"        one_method    another_met…\n[CLS]   +1.000  █     +0.000\ngut[2J  +2.000  ███   -1.000  ░░░░\nschön   +3.000  ████  +0.000\n",
		},
		{"nothing counts", []heatmap.Weights{{}}, heatmap.TerminalOptions{}, "[CLS]   +0.000\ngut[2J  +0.000\nschön   +0.000\n"},
		{
			"colour",
			[]heatmap.Weights{{Values: []float32{-1}}},
			heatmap.TerminalOptions{Width: 20, TrueColour: true},
			"[CLS]   -1.000  \x1b[38;2;49;129;214m████\x1b[0m\ngut[2J  +0.000\nschön   +0.000\n",
		},
	}
	for _, test := range tests {
		var out strings.Builder
		if err := heatmap.Words(&out, words, test.weights, test.opts); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
