//go:build !turbojpeg || !cgo

package jpeg

import "image"

// planes holds a luma plane and two chroma planes, which may be smaller. Samples lie centred: a chroma sample that
// stands for two columns lies between them, so a pixel's chroma is 3/4 of the nearer and 1/4 of the farther sample.
type planes struct {
	*image.YCbCr
	width, height int       // of a chroma plane, without padding
	across, down  int       // pixels that a chroma sample stands for
	scratch       [2][]byte // a row of chroma at full width
}

func newPlanes(img *image.YCbCr) *planes {
	p := &planes{YCbCr: img, across: 1, down: 1}
	switch img.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
	case image.YCbCrSubsampleRatio440:
		p.down = 2
	case image.YCbCrSubsampleRatio422:
		p.across = 2
	case image.YCbCrSubsampleRatio420:
		p.across, p.down = 2, 2
	case image.YCbCrSubsampleRatio411:
		p.across = 4
	case image.YCbCrSubsampleRatio410:
		p.across, p.down = 4, 2
	}
	p.width = (img.Rect.Dx() + p.across - 1) / p.across
	p.height = (img.Rect.Dy() + p.down - 1) / p.down
	for i := range p.scratch {
		p.scratch[i] = make([]byte, p.width*p.across)
	}
	return p
}

func (p *planes) row(dst []uint8, y, left, right int) {
	luma := p.Y[y*p.YStride+left : y*p.YStride+right]
	if p.across == 1 && p.down == 1 {
		at := y * p.CStride
		convert(dst, luma, p.Cb[at+left:at+right], p.Cr[at+left:at+right])
		return
	}
	from, to := left/p.across, (right+p.across-1)/p.across
	p.upsample(p.scratch[0], p.Cb, y, from, to)
	p.upsample(p.scratch[1], p.Cr, y, from, to)
	skip := left - from*p.across
	convert(dst, luma, p.scratch[0][skip:], p.scratch[1][skip:])
}

// upsample writes the chroma of row y, from the plane's columns from to to-1, at full width to dst.
//
// It interpolates and rounds as libjpeg does: halved columns and halved rows are interpolated, columns only when there
// are more than two of them; everything else is repeated. Rounding alternates between down and up so that it does not
// brighten a picture.
func (p *planes) upsample(dst, plane []uint8, y, from, to int) {
	row := y / p.down
	near := plane[row*p.CStride:][:p.width]
	far := near
	if p.down == 2 {
		other := row - 1
		if y&1 == 1 {
			other = row + 1
		}
		other = min(max(other, 0), p.height-1)
		far = plane[other*p.CStride:][:p.width]
	}
	switch {
	case p.across == 2 && p.width > 2 && p.down == 2:
		widen(dst, near, far, columns{from, to, 3, 1, 8, 7, 4})
	case p.across == 2 && p.width > 2:
		widen(dst, near, far, columns{from, to, 1, 0, 1, 2, 2})
	case p.across == 1:
		bias := uint32(1 + y&1)
		for i := range to - from {
			dst[i] = uint8((3*uint32(near[from+i]) + uint32(far[from+i]) + bias) >> 2)
		}
	default:
		for i := range (to - from) * p.across {
			dst[i] = near[from+i/p.across]
		}
	}
}

// columns says what widen does: which columns, how the two rows weigh, what is added before the sum of the even and of
// the odd column is shifted.
type columns struct {
	from, to  int
	near, far uint32
	even, odd uint32
	shift     uint32
}

// widen doubles a row of chroma: each sample becomes two, drawn towards its left and its right neighbour by a quarter.
func widen(dst, near, far []uint8, c columns) {
	at := func(i int) uint32 { return c.near*uint32(near[i]) + c.far*uint32(far[i]) }
	this := at(c.from)
	last := this
	if c.from > 0 {
		last = at(c.from - 1)
	}
	far = far[:len(near)]
	for i := c.from; i < c.to; i++ {
		next := this
		if i+1 < len(near) {
			next = c.near*uint32(near[i+1]) + c.far*uint32(far[i+1])
		}
		pair := dst[:2:2]
		pair[0] = uint8((3*this + last + c.even) >> (c.shift & 31))
		pair[1] = uint8((3*this + next + c.odd) >> (c.shift & 31))
		dst = dst[2:]
		last, this = this, next
	}
}

// convert turns luma and chroma into RGB, in fixed point of 16 bits, with libjpeg's rounding.
func convert(dst, luma, cb, cr []uint8) {
	const half = 1 << 15
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for i, l := range luma {
		y, u, v := int32(l)<<16, int32(cb[i])-128, int32(cr[i])-128
		pixel := dst[3*i : 3*i+3 : 3*i+3]
		pixel[0] = clamp((y + 91881*v + half) >> 16)
		pixel[1] = clamp((y - 22554*u - 46802*v + half) >> 16)
		pixel[2] = clamp((y + 116130*u + half) >> 16)
	}
}

func clamp(v int32) uint8 {
	if uint32(v) > 255 {
		v = ^(v >> 31) // all ones above, zero below
	}
	return uint8(v)
}
