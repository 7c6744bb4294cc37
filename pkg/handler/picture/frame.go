package picture

import (
	"image"

	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/vision"
)

// Frame is where the network's picture lies on the one that a request carries: in that picture's pixels, and beyond it where
// the network's picture was filled.
type Frame struct {
	X, Y, Width, Height float64     // of the network's picture
	Picture             vision.Size // of the request's
}

// Frame returns where a picture of the network, of a given size, lies on the picture of the request that it was made of. Where the
// request carries the network's input itself, the two are one.
func (r *Reader) Frame(req *model.Request, size vision.Size) (Frame, error) {
	content, err := handler.ReadInput(req, r.input)
	if err != nil {
		return Frame{}, err
	}
	if content.Tensor != nil {
		return Frame{Width: float64(size.Width), Height: float64(size.Height), Picture: size}, nil
	}
	info, err := vision.Sniff(content.Data)
	if err != nil {
		return Frame{}, err
	}
	// The transform tells the rectangle in whole pixels. Where a picture is resized the rectangle depends on its proportions
	// alone, so that one of a picture as many times as large is finer than a pixel.
	fine := 1024
	if r.Options().ResizeRule == vision.ResizeNone {
		fine = 1
	}
	rect := r.transform.Crop(info.Width*fine, info.Height*fine)
	f := float64(fine)
	return Frame{
		X: float64(rect.Min.X) / f, Y: float64(rect.Min.Y) / f, Width: float64(rect.Dx()) / f, Height: float64(rect.Dy()) / f,
		Picture: vision.Size{Width: info.Width, Height: info.Height},
	}, nil
}

// Point returns the point of the request's picture, within it, at a fraction of the width and of the height of the network's.
func (f Frame) Point(x, y float64) (px, py float32) {
	px = float32(min(max(f.X+x*f.Width, 0), float64(f.Picture.Width)))
	py = float32(min(max(f.Y+y*f.Height, 0), float64(f.Picture.Height)))
	return px, py
}

// crop returns the rectangle that the network saw of the request's picture, in whole pixels.
func (r *Reader) crop(picture image.Image) image.Rectangle {
	size := picture.Bounds().Size()
	return r.transform.Crop(size.X, size.Y)
}
