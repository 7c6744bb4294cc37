package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// photograph is the side of a picture for a network that takes any.
const photograph = 224

// Generate returns an input for a model of one of the built-in handlers whose network takes these, and what it is in words. It
// returns [fault.Unsupported] for any other handler, and for a network that it knows no input for.
func Generate(handler string, inputs []model.Value) (in model.Input, what string, err error) {
	in.Name = "body"
	if len(inputs) != 1 && handler != "text_classifier" {
		return in, "", fmt.Errorf("%w: no input can be made up for a network of %d inputs", fault.Unsupported, len(inputs))
	}
	switch handler {
	case "image_classifier", "object_detector", "image_segmenter":
		width, height := pictureSize(inputs[0].Shape)
		in.Data, err = Picture(width, height)
		what = fmt.Sprintf("a generated picture of %d by %d", width, height)
	case "text_classifier":
		in.Data, what = []byte("The quick brown fox jumps over the lazy dog."), "a generated sentence"
	case "base_handler":
		in.ContentType, what = "application/json", "zeros, as JSON"
		in.Data, err = Zeros(inputs[0])
	default:
		err = fmt.Errorf("%w: no input can be made up for handler %q", fault.Unsupported, handler)
	}
	return in, what, err
}

// pictureSize reads a picture's size from the shape of a batch of them, with the channels first or last.
func pictureSize(shape []int64) (width, height int) {
	if len(shape) != 4 {
		return photograph, photograph
	}
	h, w := shape[2], shape[3]
	if channels := shape[3]; (channels == 1 || channels == 3) && shape[1] != 1 && shape[1] != 3 {
		h, w = shape[1], shape[2]
	}
	side := func(d int64) int {
		if d < 1 || d > 4096 {
			return photograph
		}
		return int(d)
	}
	return side(w), side(h)
}

// Picture returns a JPEG of that size with something to see in it: it takes as long to decode as a photograph.
func Picture(width, height int) ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			wave := func(fx, fy float64) uint8 { return uint8(127.5 + 127.5*math.Sin(float64(x)*fx+float64(y)*fy)) }
			img.SetRGBA(x, y, color.RGBA{wave(0.11, 0.07), wave(0.05, 0.13), wave(0.9, 1.1), 0xff})
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("%w: a picture of %d by %d: %w", fault.Unsupported, width, height, err)
	}
	return out.Bytes(), nil
}

// mostElements is the largest tensor that [Zeros] writes.
const mostElements = 1 << 22

// Zeros returns zeros of a network's input as JSON lists, with 1 for every dimension that is not fixed. It returns
// [fault.Unsupported] for what is no tensor of a size that can be sent.
func Zeros(v model.Value) ([]byte, error) {
	size := int64(1)
	for _, d := range v.Shape {
		if size *= max(1, d); size > mostElements {
			return nil, fmt.Errorf("%w: input %q has more than %d numbers", fault.Unsupported, v.Name, mostElements)
		}
	}
	list := any(0)
	for i := len(v.Shape) - 1; i >= 0; i-- {
		lists := make([]any, max(1, v.Shape[i]))
		for k := range lists {
			lists[k] = list
		}
		list = lists
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("%w: input %q: %w", fault.Internal, v.Name, err)
	}
	return text, nil
}
