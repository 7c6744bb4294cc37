package heatmap

import (
	"image"
	"image/color"
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

// OverlayOptions say how a map lies over a picture.
type OverlayOptions struct {
	Crop  image.Rectangle // the part of the picture that the network saw; empty: all of it
	Least int             // a picture with fewer pixels along its longer side is enlarged by a whole factor; 0: 320
}

const defaultLeast = 320

// Overlay returns the picture with the map, smoothed, over its crop. The stronger the map, the less of the picture shows
// through it, and at least 40 %. What lies outside of the crop is darker. A crop that reaches out of the picture is cut
// off. Transparent parts become white.
func (m Map) Overlay(picture image.Image, opts OverlayOptions) *image.RGBA {
	crop := opts.Crop
	if crop.Empty() {
		crop = picture.Bounds()
	}
	least := opts.Least
	if least <= 0 {
		least = defaultLeast
	}
	if side := max(picture.Bounds().Dx(), picture.Bounds().Dy()); side > 0 && side < least {
		factor := (least + side - 1) / side
		picture = enlarged{picture, factor}
		crop = times(crop, factor)
	}
	bounds := picture.Bounds()
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

// enlarged is a picture whose pixels are squares of factor by factor pixels.
type enlarged struct {
	image.Image
	factor int
}

// Bounds returns the picture's bounds, enlarged.
func (e enlarged) Bounds() image.Rectangle { return times(e.Image.Bounds(), e.factor) }

// At returns the colour of the pixel that x and y lie in.
func (e enlarged) At(x, y int) color.Color { return e.Image.At(below(x, e.factor), below(y, e.factor)) }

func times(r image.Rectangle, factor int) image.Rectangle {
	return image.Rectangle{Min: r.Min.Mul(factor), Max: r.Max.Mul(factor)}
}

// below returns a divided by b, rounded down.
func below(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }
