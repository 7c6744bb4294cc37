package vision

import (
	"fmt"
	"image"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
)

// geometry is where the tensor lies on a resized picture.
type geometry struct {
	width, height int             // of the picture, once resized
	out           image.Rectangle // of the tensor, in the resized picture's pixels; it may reach beyond them
}

// inside returns the part of the tensor that the picture covers.
func (g geometry) inside() image.Rectangle {
	return g.out.Intersect(image.Rect(0, 0, g.width, g.height))
}

// geometry returns where the tensor lies on a picture of a given size.
func (o *Options) geometry(width, height int) geometry {
	g := geometry{width: width, height: height}
	switch o.ResizeRule {
	case ResizeShorter:
		g.width, g.height = shorterTo(width, height, o.Resize)
	case ResizeStretch:
		g.width, g.height = o.Size.Width, o.Size.Height
	case ResizeFit:
		g.width, g.height = fitInto(width, height, o.Size)
	case ResizeNone:
	}
	switch {
	case o.ResizeRule == ResizeFit:
		left := -roundHalfEven(float64(o.Size.Width-g.width) / 2)
		top := -roundHalfEven(float64(o.Size.Height-g.height) / 2)
		g.out = image.Rect(left, top, left+o.Size.Width, top+o.Size.Height)
	case o.Crop == CropCenter:
		left, top := centre(g.width, o.Size.Width), centre(g.height, o.Size.Height)
		g.out = image.Rect(left, top, left+o.Size.Width, top+o.Size.Height)
	default:
		g.out = image.Rect(0, 0, g.width, g.height)
	}
	return g
}

// check makes sure that the tensor's size, when it depends on the picture's, is within the limit.
func (o *Options) check(g geometry) error {
	pixels := int64(g.out.Dx()) * int64(g.out.Dy())
	if pixels <= o.MaxPixels {
		return nil
	}
	return fmt.Errorf("%w: the picture would become %d x %d pixels, and a picture may have at most %d; "+
		"it is too long for its width", fault.TooLarge, g.out.Dx(), g.out.Dy(), o.MaxPixels)
}

// shorterTo returns the size whose shorter side is side, as torchvision rounds it.
func shorterTo(width, height, side int) (int, int) {
	if width <= height {
		return side, int(float64(side*height) / float64(width))
	}
	return int(float64(side*width) / float64(height)), side
}

// fitInto returns the largest size of the same aspect within size, as Pillow rounds it, but no side less than 1.
func fitInto(width, height int, size Size) (int, int) {
	w, h := float64(width), float64(height)
	aspect, wanted := w/h, float64(size.Width)/float64(size.Height)
	switch {
	case aspect > wanted:
		return size.Width, max(1, roundHalfEven(h/w*float64(size.Width)))
	case aspect < wanted:
		return max(1, roundHalfEven(w/h*float64(size.Height))), size.Height
	}
	return size.Width, size.Height
}

// centre returns where a crop of a length begins on a side of a length, as torchvision rounds it.
func centre(side, crop int) int {
	if crop > side {
		return -((crop - side) / 2)
	}
	return roundHalfEven(float64(side-crop) / 2)
}

func roundHalfEven(v float64) int { return int(math.RoundToEven(v)) }

// original returns the rectangle that out covers on a picture of a given size, before it was resized.
func (g geometry) original(width, height int) image.Rectangle {
	x := func(v int) int { return int(math.Round(float64(v) * float64(width) / float64(g.width))) }
	y := func(v int) int { return int(math.Round(float64(v) * float64(height) / float64(g.height))) }
	return image.Rect(x(g.out.Min.X), y(g.out.Min.Y), x(g.out.Max.X), y(g.out.Max.Y))
}
