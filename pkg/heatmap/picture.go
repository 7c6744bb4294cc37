package heatmap

import (
	"image"
	"image/draw"
	"math"
)

// Image returns the map on white at the given size in pixels.
func (m Map) Image(width, height int) *image.RGBA {
	m = m.scaled().resized(max(width, 1), max(height, 1))
	out := image.NewRGBA(image.Rect(0, 0, m.width, m.height))
	for i, v := range m.values {
		out.SetRGBA(i%m.width, i/m.width, paper(v).opaque())
	}
	return out
}

// How an overlay is mixed.
const (
	opacity    = 0.6  // of the strongest colour
	colourless = 0.75 // of the picture under the map, so that its own reds and blues are not taken for the map's
	dimmed     = 0.4  // the brightness of what the network did not see
)

// Overlay returns the picture with the map, smoothed, over crop: the part of it that the network saw. The stronger the
// map, the less of the picture shows through it, and at least 40 %. What lies outside of crop is darker. An empty crop is
// the whole picture; one that reaches out of the picture is cut off. Transparent parts become white.
func (m Map) Overlay(picture image.Image, crop image.Rectangle) *image.RGBA {
	bounds := picture.Bounds()
	if crop.Empty() {
		crop = bounds
	}
	out := image.NewRGBA(bounds)
	draw.Draw(out, bounds, image.White, image.Point{}, draw.Src)
	draw.Draw(out, bounds, picture, bounds.Min, draw.Over)
	seen := crop.Intersect(bounds)
	heat := m.smoothed().scaled().part(crop.Dx(), crop.Dy(), seen.Sub(crop.Min))
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := out.RGBAAt(x, y)
			pixel := shade{float64(c.R), float64(c.G), float64(c.B)}
			pixel = mix(pixel, pixel.grey(), colourless)
			if (image.Point{X: x, Y: y}).In(seen) {
				pixel = over(pixel, heat.values[(y-seen.Min.Y)*heat.width+x-seen.Min.X])
			} else {
				pixel = mix(shade{}, pixel, dimmed)
			}
			out.SetRGBA(x, y, pixel.opaque())
		}
	}
	return out
}

// over paints a value from -1 to 1 on a pixel.
func over(pixel shade, v float64) shade {
	hue := shade{235, 20, 30}
	if v < 0 {
		hue = shade{20, 90, 230}
	}
	return mix(pixel, hue, opacity*math.Pow(math.Abs(v), 0.8))
}
