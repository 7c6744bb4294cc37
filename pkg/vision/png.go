package vision

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image/png"
	"io"
)

// memory is what decoding a picture needs, and the picture itself where it is small. It may be used again when that picture
// is not needed any more.
type memory struct {
	png  pngReader
	jpeg []byte // the last picture's pixels
}

// decodePNG leaves to the standard library whatever is not plain, small and whole: that one knows every form, and says
// what is wrong.
func decodePNG(data []byte, m *memory, _ columns) (pixels, error) {
	if m.png.read(data) {
		return &m.png, nil
	}
	return decoded(png.Decode(bytes.NewReader(data)))
}

// pngReader reads plain PNGs, and is the picture that it has read: of grey or colours of 8 bits, with opacity or without,
// not interlaced, without a palette. For each one of them the standard library would make a decompressor, of 40 KiB.
type pngReader struct {
	source bytes.Reader
	plain  io.ReadCloser // decompresses source, and is a zlib.Resetter; nil: there is none yet
	joined []byte        // the data of all chunks
	lines  []uint8       // a line of zeros, and those of the picture, each behind its filter

	width, height int
	samples       int // a pixel: 1 or 3, and one more for opacity
}

// pngSmall is up to how many bytes the lines of a picture are kept.
const pngSmall = 4 << 20

const (
	pngSignature = 8
	pngHead      = pngSignature + 12 + 13 // the signature and the header's chunk
)

// read tells whether it has read a PNG. Any doubt is a no.
func (p *pngReader) read(data []byte) bool {
	if !p.head(data) || !p.join(data[pngHead:]) {
		return false
	}
	stride := p.stride()
	p.lines = sized(p.lines, (1+p.height)*stride)
	clear(p.lines[:stride])
	if !p.decompress(p.lines[stride:]) {
		return false
	}
	for rest := p.lines; len(rest) > stride; rest = rest[stride:] {
		if !unfilter(rest[stride], rest[stride+1:2*stride], rest[1:stride], p.samples) {
			return false
		}
	}
	return true
}

// stride is how many bytes a line has, its filter included.
func (p *pngReader) stride() int { return 1 + p.width*p.samples }

// head reads the header, whose sides are known to be within the limits, and tells whether the picture is plain and small.
func (p *pngReader) head(data []byte) bool {
	kind, body, _ := pngChunk(data[pngSignature:])
	if string(kind) != "IHDR" || len(body) != 13 {
		return false
	}
	p.width, p.height = int(binary.BigEndian.Uint32(body)), int(binary.BigEndian.Uint32(body[4:]))
	switch string(body[8:]) { // bits, colours; methods of compression, filters and interlacing, 0 each
	case "\x08\x00\x00\x00\x00":
		p.samples = 1
	case "\x08\x02\x00\x00\x00":
		p.samples = 3
	case "\x08\x04\x00\x00\x00":
		p.samples = 2
	case "\x08\x06\x00\x00\x00":
		p.samples = 4
	default:
		return false
	}
	return int64(1+p.height)*int64(p.stride()) <= pngSmall
}

// pngChunk returns the chunk that data begins with, and what follows it. A chunk that is not whole, or whose checksum is
// wrong, is of no kind.
func pngChunk(data []byte) (kind, body, rest []byte) {
	if len(data) < 12 {
		return nil, nil, nil
	}
	size := uint64(binary.BigEndian.Uint32(data))
	if size > uint64(len(data)-12) || size > pngSmall {
		return nil, nil, nil
	}
	end := 8 + int(size)
	if crc32.ChecksumIEEE(data[4:end]) != binary.BigEndian.Uint32(data[end:]) {
		return nil, nil, nil
	}
	return data[4:8], data[8:end], data[end+4:]
}

// join joins the data of a picture, of chunks in a row, from the chunks behind its header. It tells whether there are
// none beside them but such as may be passed over.
func (p *pngReader) join(rest []byte) bool {
	p.joined = p.joined[:0]
	begun, over := false, false
	for {
		kind, body, next := pngChunk(rest)
		if kind == nil {
			return false
		}
		switch data := string(kind) == "IDAT"; {
		case data && !over && len(p.joined)+len(body) <= pngSmall:
			p.joined, begun = append(p.joined, body...), true
		case string(kind) == "IEND":
			return begun && len(body) == 0
		case data, string(kind) == "tRNS", kind[0]&0x20 == 0: // the last says that it may not be passed over
			return false
		default:
			over = begun
		}
		rest = next
	}
}

// decompress fills lines, and tells whether the joined data holds that and nothing more.
func (p *pngReader) decompress(lines []uint8) bool {
	p.source.Reset(p.joined)
	var err error
	if p.plain == nil {
		p.plain, err = zlib.NewReader(&p.source)
	} else {
		err = p.plain.(zlib.Resetter).Reset(&p.source, nil)
	}
	if err != nil {
		return false
	}
	if _, err := io.ReadFull(p.plain, lines); err != nil {
		return false
	}
	var more [1]byte
	n, err := p.plain.Read(more[:]) // which checks the sum
	return n == 0 && errors.Is(err, io.EOF) && p.source.Len() == 0
}

// unfilter undoes the filter of a line, from what it leaves of the line above, whose pixels have so many bytes. It tells
// whether there is such a filter.
func unfilter(filter uint8, line, above []uint8, step int) bool {
	switch filter {
	case 0:
	case 1:
		for i := step; i < len(line); i++ {
			line[i] += line[i-step]
		}
	case 2:
		for i, up := range above[:len(line)] {
			line[i] += up
		}
	case 3:
		for i := range line {
			left := 0
			if i >= step {
				left = int(line[i-step])
			}
			line[i] += uint8((left + int(above[i])) / 2)
		}
	case 4:
		for first := range step {
			paeth(line[first:], above[first:], step)
		}
	default:
		return false
	}
	return true
}

// paeth undoes the filter of that name for one sample of each pixel: of the samples on the left, above, and above on the
// left, the one that is nearest to what a plane through the three has here.
func paeth(line, above []uint8, step int) {
	left, corner := 0, 0
	for i := 0; i < len(line); i += step {
		up := int(above[i])
		toLeft, toUp := abs(up-corner), abs(left-corner)
		toCorner := abs(left + up - 2*corner)
		nearest := corner
		switch {
		case toLeft <= toUp && toLeft <= toCorner:
			nearest = left
		case toUp <= toCorner:
			nearest = up
		}
		left, corner = int(line[i]+uint8(nearest)), up
		line[i] = uint8(left)
	}
}

func abs(n int) int { return max(n, -n) }

func (p *pngReader) size() (int, int) { return p.width, p.height }

func (p *pngReader) channels() int {
	if p.samples == 1 {
		return 1
	}
	return 3
}

// row passes over opacity. Grey with opacity is read as a colour, as the standard library has it.
func (p *pngReader) row(dst []uint8, y, left, right int) {
	line := p.lines[(1+y)*p.stride()+1:]
	src := line[left*p.samples : right*p.samples]
	switch p.samples {
	case 2:
		for i := range right - left {
			grey := src[2*i]
			dst[3*i], dst[3*i+1], dst[3*i+2] = grey, grey, grey
		}
	case 4:
		samples{pix: src, bytes: 4}.colour(dst, 0, 0, right-left)
	default:
		copy(dst, src)
	}
}
