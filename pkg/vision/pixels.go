package vision

import (
	"image"
	"image/color"
)

// luma returns a colour's brightness by ITU-R 601-2, rounded as Pillow does.
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

// greyed is a colour picture read as grey.
type greyed struct {
	pixels
	line []uint8
}

func (g *greyed) channels() int { return 1 }

func (g *greyed) row(dst []uint8, y, left, right int) {
	g.line = sized(g.line, 3*(right-left))
	g.pixels.row(g.line, y, left, right)
	for i := range right - left {
		pixel := g.line[3*i : 3*i+3 : 3*i+3]
		dst[i] = luma(pixel[0], pixel[1], pixel[2])
	}
}

// raster is a picture in memory, row after row without gaps.
type raster struct {
	pix           []uint8
	width, height int
	depth         int // bytes a pixel
}

func (r *raster) size() (int, int) { return r.width, r.height }
func (r *raster) channels() int    { return r.depth }
func (r *raster) row(dst []uint8, y, left, right int) {
	copy(dst, r.pix[(y*r.width+left)*r.depth:(y*r.width+right)*r.depth])
}

// read returns the pixels of an image, which is not copied.
func read(img image.Image) pixels {
	b := img.Bounds()
	s := &sampled{width: b.Dx(), height: b.Dy(), depth: 3}
	switch img := img.(type) {
	case *image.Gray:
		s.depth, s.read = 1, samples{img.Pix, img.Stride, 1}.grey
	case *image.Gray16:
		s.depth, s.read = 1, samples{img.Pix, img.Stride, 2}.grey
	case *image.NRGBA:
		s.read = samples{img.Pix, img.Stride, 4}.colour
	case *image.NRGBA64:
		s.read = samples{img.Pix, img.Stride, 8}.colour
	case *image.RGBA:
		s.read = samples{img.Pix, img.Stride, 4}.multiplied
	case *image.RGBA64:
		s.read = samples{img.Pix, img.Stride, 8}.multiplied
	case *image.Paletted:
		s.read = indexed(img)
	default:
		s.read = general(img)
	}
	return s
}

// sampled is a picture whose rows are read by a function.
type sampled struct {
	width, height, depth int
	read                 func(dst []uint8, y, left, right int)
}

func (s *sampled) size() (int, int)                    { return s.width, s.height }
func (s *sampled) channels() int                       { return s.depth }
func (s *sampled) row(dst []uint8, y, left, right int) { s.read(dst, y, left, right) }

// samples are the pixels of an image of package image: one or four samples of one or two bytes, the higher byte first.
type samples struct {
	pix    []uint8
	stride int
	bytes  int // a pixel
}

func (s samples) line(y, left, right int) []uint8 {
	return s.pix[y*s.stride+left*s.bytes : y*s.stride+right*s.bytes]
}

func (s samples) grey(dst []uint8, y, left, right int) {
	src := s.line(y, left, right)
	for i := range right - left {
		dst[i] = src[i*s.bytes]
	}
}

// colour reads red, green and blue, and passes over opacity.
func (s samples) colour(dst []uint8, y, left, right int) {
	src, step := s.line(y, left, right), s.bytes/4
	for range right - left {
		dst[0], dst[1], dst[2] = src[0], src[step], src[2*step]
		dst, src = dst[3:], src[4*step:]
	}
}

// multiplied reads red, green and blue that have been multiplied by opacity.
func (s samples) multiplied(dst []uint8, y, left, right int) {
	src, step := s.line(y, left, right), s.bytes/4
	for range right - left {
		dst[0], dst[1], dst[2] = src[0], src[step], src[2*step]
		if alpha := src[3*step]; alpha != 255 {
			dst[0], dst[1], dst[2] = divide(dst[0], alpha), divide(dst[1], alpha), divide(dst[2], alpha)
		}
		dst, src = dst[3:], src[4*step:]
	}
}

func indexed(img *image.Paletted) func(dst []uint8, y, left, right int) {
	colours := paletteOf(img.Palette)
	return func(dst []uint8, y, left, right int) {
		for _, index := range img.Pix[y*img.Stride+left : y*img.Stride+right] {
			copy(dst[:3], colours[index][:])
			dst = dst[3:]
		}
	}
}

func general(img image.Image) func(dst []uint8, y, left, right int) {
	origin := img.Bounds().Min
	return func(dst []uint8, y, left, right int) {
		for x := left; x < right; x++ {
			c := color.NRGBAModel.Convert(img.At(origin.X+x, origin.Y+y)).(color.NRGBA)
			dst[0], dst[1], dst[2] = c.R, c.G, c.B
			dst = dst[3:]
		}
	}
}

// divide undoes the multiplication of a colour by its opacity.
func divide(c, alpha uint8) uint8 {
	if alpha == 0 || alpha == 255 {
		return c
	}
	return uint8(min(uint32(c)*255/uint32(alpha), 255))
}

// paletteOf returns a palette's colours, black where there are fewer than 256, with transparency dropped.
func paletteOf(p color.Palette) *[256][3]uint8 {
	var colours [256][3]uint8
	for i, c := range p[:min(len(p), 256)] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		if c, ok := c.(color.NRGBA); ok {
			n = c // a fully transparent colour is a colour still
		}
		colours[i] = [3]uint8{n.R, n.G, n.B}
	}
	return &colours
}

// upright returns the picture turned as an EXIF orientation from 1 to 8 says.
func upright(src pixels, orientation int) pixels {
	if orientation < 2 || orientation > 8 {
		return src
	}
	width, height := src.size()
	depth := src.channels()
	turned := &raster{pix: make([]uint8, width*height*depth), width: width, height: height, depth: depth}
	if orientation >= 5 {
		turned.width, turned.height = height, width
	}
	first, across, down := strides(orientation, width, height)
	const strip = 16 // rows at once, so that a turned picture is not written a pixel a cache line
	rows := make([]uint8, strip*width*depth)
	for top := 0; top < height; top += strip {
		n := min(strip, height-top)
		for y := range n {
			src.row(rows[y*width*depth:(y+1)*width*depth], top+y, 0, width)
		}
		for x := range width {
			to := first + x*across + top*down
			for y := range n {
				copy(turned.pix[to*depth:(to+1)*depth], rows[(y*width+x)*depth:])
				to += down
			}
		}
	}
	return turned
}

// strides returns where in the turned picture the first pixel of a picture goes, and how far from one pixel to the next
// one across and down.
func strides(orientation, width, height int) (first, across, down int) {
	switch orientation {
	case 2: // mirrored
		return width - 1, -1, width
	case 3: // upside down
		return width*height - 1, -1, -width
	case 4: // mirrored, upside down
		return (height - 1) * width, 1, -width
	case 5: // transposed
		return 0, height, 1
	case 6: // lying on its left side
		return height - 1, height, -1
	case 7: // transposed, upside down
		return width*height - 1, -height, -1
	default: // 8, lying on its right side
		return (width - 1) * height, -height, 1
	}
}
