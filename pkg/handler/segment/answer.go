package segment

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// cropHeader is the header of where a mask lies on the picture that was sent: x, y, width and height in its pixels.
const cropHeader = "X-Mask-Crop"

// maxPalette is how many classes a palette has room for.
const maxPalette = 256

// Postprocess answers [class, probability] of each pixel, as nested lists [height][width][2], or a mask.
func (s segmenter) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	p, err := s.pixels(out)
	if err != nil {
		return handler.Answer{}, err
	}
	wantsMask, err := s.wantsMask(req)
	if err != nil {
		return handler.Answer{}, err
	}
	answer := handler.Answer{Tensors: tensor.Named{s.output: out[s.output]}}
	if wantsMask {
		return s.mask(req, p, answer)
	}
	pairs := make([]float32, 2*p.len())
	p.best(func(pixel, class int, probability float64) {
		pairs[2*pixel], pairs[2*pixel+1] = float32(class), float32(probability)
	})
	answer.Value, err = tensor.New([]int64{int64(p.height), int64(p.width), 2}, pairs)
	return answer, err
}

// mask answers a PNG as large as the network's output: each pixel's index into the palette is its class.
func (s segmenter) mask(req *model.Request, p pixels, answer handler.Answer) (handler.Answer, error) {
	if p.classes > maxPalette {
		return answer, fmt.Errorf("%w: a mask has at most %d classes, the network has %d: ask for format=json", fault.Unsupported, maxPalette, p.classes)
	}
	m := image.NewPaletted(image.Rect(0, 0, p.width, p.height), palette(max(2, p.classes)))
	p.best(func(pixel, class int, _ float64) { m.Pix[pixel] = uint8(class) }) //nolint:gosec // less than maxPalette
	var file bytes.Buffer
	if err := png.Encode(&file, m); err != nil {
		return answer, fmt.Errorf("encode the mask: %w", err)
	}
	frame, err := s.reader.Frame(req, vision.Size{Width: p.width, Height: p.height})
	if err != nil {
		return answer, err
	}
	answer.Value, answer.ContentType = file.Bytes(), "image/png"
	answer.Header = map[string]string{cropHeader: fmt.Sprintf("%.0f,%.0f,%.0f,%.0f", frame.X, frame.Y, frame.Width, frame.Height)}
	return answer, nil
}

// palette returns a colour a class: the first is black, and neighbours differ much, because the low bits of a class become
// the high ones of its colours in turn, as the masks of PASCAL VOC have it.
func palette(classes int) color.Palette {
	colours := make(color.Palette, classes)
	for class := range colours {
		var rgb [3]uint8
		for bit := range 8 {
			rgb[bit%3] |= uint8(class>>bit&1) << (7 - bit/3) //nolint:gosec // one bit
		}
		colours[class] = color.RGBA{R: rgb[0], G: rgb[1], B: rgb[2], A: 255}
	}
	return colours
}
