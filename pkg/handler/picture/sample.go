package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/tsgo/tsgo/pkg/model"
)

// sampleSide is the side of the sample in pixels.
const sampleSide = 64

// Sample returns a request's picture that handlers of pictures take, whatever their network's size: a shade of grey, darker
// to the left.
func Sample() []model.Input {
	picture := image.NewGray(image.Rect(0, 0, sampleSide, sampleSide))
	for y := range sampleSide {
		for x := range sampleSide {
			picture.SetGray(x, y, color.Gray{Y: uint8(x * 255 / (sampleSide - 1))})
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		panic(fmt.Sprintf("encode a picture in memory: %v", err))
	}
	return []model.Input{{ContentType: "image/png", Data: data.Bytes()}}
}
