package vision

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Info is what an image's header says.
type Info struct {
	Format        string // JPEG, PNG, GIF, WebP, BMP or TIFF
	Width, Height int    // of the upright picture
}

// Sniff reads an image's header, without decoding the picture. It returns [fault.Invalid] when data is no image, with
// what it looks like instead, or has a damaged header, and [fault.Unsupported] for a kind of image that cannot be read.
func Sniff(data []byte) (Info, error) {
	f, err := formatOf(data)
	if err != nil {
		return Info{}, err
	}
	h, err := f.header(data)
	if err != nil {
		return Info{}, f.explain(err)
	}
	info := Info{Format: f.name, Width: h.width, Height: h.height}
	if h.orientation >= 5 {
		info.Width, info.Height = h.height, h.width
	}
	return info, nil
}

// Decode returns the picture that a [Transform] sees: upright, without transparency, *image.Gray or *image.RGBA. A
// picture of more than maxPixels is [fault.TooLarge]; zero is [DefaultMaxPixels]. Other failures are [Transform.Tensor]'s.
func Decode(data []byte, maxPixels int64) (image.Image, error) {
	if maxPixels == 0 {
		maxPixels = DefaultMaxPixels
	}
	src, err := open(data, maxPixels, new(memory), nil)
	if err != nil {
		return nil, err
	}
	return pictureOf(src), nil
}

// pictureOf copies a picture.
func pictureOf(src pixels) image.Image {
	width, height := src.size()
	bounds := image.Rect(0, 0, width, height)
	if src.channels() == 1 {
		img := image.NewGray(bounds)
		for y := range height {
			src.row(img.Pix[y*img.Stride:(y+1)*img.Stride], y, 0, width)
		}
		return img
	}
	img := image.NewRGBA(bounds)
	line := make([]uint8, 3*width)
	for y := range height {
		src.row(line, y, 0, width)
		row := img.Pix[y*img.Stride:]
		for x := range width {
			copy(row[4*x:4*x+3], line[3*x:])
			row[4*x+3] = 255
		}
	}
	return img
}

// open decodes an image and turns it upright. It may lie in m. Where needs is not nil, it is told the size of a picture that
// is stored upright, and says what is needed of it.
func open(data []byte, maxPixels int64, m *memory, needs func(width, height int) columns) (pixels, error) {
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	h, err := f.header(data)
	if err != nil {
		return nil, f.explain(err)
	}
	if err := checkSize(f.name, h.width, h.height, maxPixels); err != nil {
		return nil, err
	}
	all := columns{0, h.width}
	if needs != nil && h.orientation <= 1 {
		all = needs(h.width, h.height)
	}
	src, err := f.decode(data, m, all)
	if err != nil {
		return nil, f.explain(err)
	}
	if width, height := src.size(); width != h.width || height != h.height {
		return nil, fmt.Errorf("%w: the %s holds %d x %d pixels, and its header says %d x %d",
			fault.Invalid, f.name, width, height, h.width, h.height)
	}
	return upright(src, h.orientation), nil
}

// checkSize refuses a picture without pixels or with too many.
func checkSize(what string, width, height int, maxPixels int64) error {
	switch {
	case width < 1 || height < 1:
		return fmt.Errorf("%w: the %s has no pixels: it is %d x %d", fault.Invalid, what, width, height)
	case width > MaxSide || height > MaxSide:
		return fmt.Errorf("%w: the %s is %d x %d pixels, and a side may have at most %d; send a smaller one",
			fault.TooLarge, what, width, height, MaxSide)
	case int64(width)*int64(height) > maxPixels:
		return fmt.Errorf("%w: the %s is %d x %d pixels, and a picture may have at most %d; send a smaller one",
			fault.TooLarge, what, width, height, maxPixels)
	}
	return nil
}

// explain gives a decoder's error its kind, when it has none.
func (f format) explain(err error) error {
	var kind fault.Kind
	var pngUnsupported png.UnsupportedError
	var tiffUnsupported tiff.UnsupportedError
	switch {
	case errors.As(err, &kind):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the %s ends early, its picture is incomplete; was it fully copied?", fault.Invalid, f.name)
	case errors.Is(err, bmp.ErrUnsupported), errors.As(err, &pngUnsupported), errors.As(err, &tiffUnsupported):
		return fmt.Errorf("%w: a %s of this kind (%w); save it as PNG or JPEG", fault.Unsupported, f.name, err)
	}
	return fmt.Errorf("%w: the %s is damaged: %w", fault.Invalid, f.name, err)
}
