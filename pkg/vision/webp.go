package vision

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/webp"

	"github.com/tsgo/tsgo/pkg/fault"
)

func isWebP(data []byte) bool {
	return len(data) >= 16 && string(data[:4]) == "RIFF" && string(data[8:15]) == "WEBPVP8"
}

func webpHeader(data []byte) (header, error) {
	h := header{orientation: 1}
	for rest := data[12:]; len(rest) >= 8; {
		body := rest[8:]
		size := uint64(binary.LittleEndian.Uint32(rest[4:]))
		size += size & 1 // chunks are padded to even length
		switch string(rest[:4]) {
		case "VP8X":
			if len(body) > 0 && body[0]&2 != 0 {
				return h, fmt.Errorf("%w: an animated WebP; save one of its pictures", fault.Unsupported)
			}
		case "EXIF":
			block := bytes.TrimPrefix(body[:min(size, uint64(len(body)))], []byte("Exif\x00\x00"))
			h.orientation = orientation(block)
		}
		rest = body[min(size, uint64(len(body))):]
	}
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	h.width, h.height = c.Width, c.Height
	return h, err
}

func decodeWebP(data []byte, _ *memory, _ columns) (pixels, error) {
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		return newVP8(img), nil
	case *image.NYCbCrA:
		return newVP8(&img.YCbCr), nil
	}
	return read(img), nil
}

// vp8 is a lossy WebP picture: luma from 16 to 235, and chroma of half the width and height, which is interpolated from
// the four nearest samples with libwebp's rounding.
type vp8 struct {
	*image.YCbCr
	width, height int       // of a chroma plane, without padding
	chroma        [2][]byte // a row at full width
}

func newVP8(img *image.YCbCr) *vp8 {
	p := &vp8{YCbCr: img, width: (img.Rect.Dx() + 1) / 2, height: (img.Rect.Dy() + 1) / 2}
	for i := range p.chroma {
		p.chroma[i] = make([]byte, 2*p.width)
	}
	return p
}

func (p *vp8) size() (int, int) { return p.Rect.Dx(), p.Rect.Dy() }
func (p *vp8) channels() int    { return 3 }

func (p *vp8) row(dst []uint8, y, left, right int) {
	for i, plane := range [2][]uint8{p.Cb, p.Cr} {
		near := y / 2
		far := min(max(near-1+2*(y&1), 0), p.height-1)
		double(p.chroma[i], plane[near*p.CStride:][:p.width], plane[far*p.CStride:][:p.width])
	}
	luma := p.Y[y*p.YStride+left : y*p.YStride+right]
	u, v := p.chroma[0][left:right], p.chroma[1][left:right]
	for i, l := range luma {
		y, u, v := int32(l)*19077>>8, int32(u[i]), int32(v[i])
		pixel := dst[3*i : 3*i+3 : 3*i+3]
		pixel[0] = clip6(y + v*26149>>8 - 14234)
		pixel[1] = clip6(y - u*6419>>8 - v*13320>>8 + 8708)
		pixel[2] = clip6(y + u*33050>>8 - 17685)
	}
}

// double writes a row of chroma at twice its width to dst: 9 parts of the nearest sample, 3 of each of the next two and
// 1 of the farthest, computed along the diagonals as libwebp does.
func double(dst, near, far []uint8) {
	last := len(near) - 1
	edge := func(i int) uint8 { return uint8((3*uint32(near[i]) + uint32(far[i]) + 2) >> 2) }
	dst[0], dst[2*last+1] = edge(0), edge(last)
	a, c := uint32(near[0]), uint32(far[0])
	for i := 1; i <= last; i++ {
		b, d := uint32(near[i]), uint32(far[i])
		sum := a + b + c + d + 8
		rising, falling := (sum+2*(b+c))>>3, (sum+2*(a+d))>>3
		dst[2*i-1] = uint8((rising + a) >> 1)
		dst[2*i] = uint8((falling + b) >> 1)
		a, c = b, d
	}
}

// clip6 returns a value with 6 fractional bits as a pixel.
func clip6(v int32) uint8 {
	v >>= 6
	if uint32(v) > 255 {
		v = ^(v >> 31)
	}
	return uint8(v)
}
