// Package jpeg decodes JPEG pictures into rows of grey or RGB bytes, as libjpeg-turbo and Pillow do: chroma that was
// stored at half resolution is interpolated (libjpeg's "fancy upsampling"), not repeated, and CMYK is taken to be
// inverted, as Adobe writes it.
//
// There are two builds. The default one is pure Go: the standard library decodes the planes, this package upsamples and
// converts them. Built with the tag turbojpeg (and cgo), libjpeg-turbo does all of it, about three times as fast. Both
// refuse the same files with the same words, and their pictures differ by the rounding of the inverse DCT only: a few
// units of 255 in a few samples.
//
// The tag needs libjpeg-turbo's development files (Debian: libjpeg62-turbo-dev, Fedora: libjpeg-turbo-devel and
// libjpeg-turbo-static, Homebrew: jpeg-turbo). The static library is linked, so that the program runs where there is none;
// with the tag jpegshared, or on macOS, whatever -ljpeg finds. CGO_CFLAGS and CGO_LDFLAGS say where the files are when
// they are in no standard place.
//
// The package knows nothing of limits on size: a caller looks at [ReadHeader] before it lets [Decode] take memory.
package jpeg

import (
	"fmt"
	"image"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Image is a decoded JPEG. Rows are converted when they are read. It must not be used by two goroutines at once.
type Image struct {
	header Header
	rows   rows
}

// rows reads samples [left, right) of row y into dst: one byte a pixel for grey, three for colour.
type rows interface {
	row(dst []uint8, y, left, right int)
}

// Options say what is needed of a picture, and what it may be kept in. The zero value is all of it, in memory of its own.
type Options struct {
	From, To int    // only these columns of stored pixels, To itself not; To 0: all
	Buffer   []byte // is used where it is large enough; [Image.Buffer] has it, or a larger one, in the end
}

// Decode decodes a JPEG. It returns [fault.Invalid] when data is damaged, incomplete or not a JPEG (never part of a
// picture), [fault.TooLarge] when it is coded in absurdly many scans, and [fault.Unsupported] for what [ReadHeader] says
// and for odd ratios of chroma subsampling.
func Decode(data []byte, opts Options) (*Image, error) {
	header, err := ReadHeader(data)
	if err != nil {
		return nil, err
	}
	if err := checkScans(data, header.scans); err != nil {
		return nil, err
	}
	if opts.To == 0 || opts.To > header.Width || opts.From < 0 || opts.From >= opts.To {
		opts.From, opts.To = 0, header.Width
	}
	rows, err := decode(data, header, opts)
	if err != nil {
		return nil, err
	}
	return &Image{header: header, rows: rows}, nil
}

// Size returns the width and the height in pixels, as stored: EXIF orientation is the caller's to apply.
func (m *Image) Size() (width, height int) { return m.header.Width, m.header.Height }

// Channels returns the bytes a pixel: 1 for grey, 3 for RGB.
func (m *Image) Channels() int { return m.header.Channels }

// Buffer returns the memory that the picture is kept in, for another one, once this one is not used any more; nil: none
// that can be used again.
func (m *Image) Buffer() []byte {
	if p, ok := m.rows.(packed); ok {
		return p.pix
	}
	return nil
}

// Row writes pixels left to right-1 of row y, which must be among the columns that were asked for, to dst, which has room
// for Channels bytes each.
func (m *Image) Row(dst []uint8, y, left, right int) { m.rows.row(dst, y, left, right) }

// packed holds pixels of one to four bytes, the first of which are read: all of grey and RGB, three of RGBA.
type packed struct {
	pix           []uint8
	stride        int
	bytes, wanted int
	left          int // the column that the rows begin with
}

func (p packed) row(dst []uint8, y, left, right int) {
	src := p.pix[y*p.stride+(left-p.left)*p.bytes : y*p.stride+(right-p.left)*p.bytes]
	if p.bytes == p.wanted {
		copy(dst, src)
		return
	}
	for i := 0; len(src) >= 4; i += 3 {
		dst[i], dst[i+1], dst[i+2] = src[0], src[1], src[2]
		src = src[4:]
	}
}

// cmyk holds CMYK pixels, not inverted: 255 is full ink.
type cmyk struct{ image.CMYK }

func (c cmyk) row(dst []uint8, y, left, right int) {
	src := c.Pix[y*c.Stride+4*left : y*c.Stride+4*right]
	for i := 0; len(src) >= 4; i += 3 {
		paper := 255 - uint32(src[3])
		for j, ink := range src[:3] {
			absorbed := uint32(ink)*paper + 128
			absorbed = (absorbed>>8 + absorbed) >> 8 // exactly ink*paper/255, rounded
			dst[i+j] = uint8(paper - absorbed)
		}
		src = src[4:]
	}
}

func damaged(err error) error {
	return fmt.Errorf("%w: the JPEG is damaged or incomplete: %w", fault.Invalid, err)
}
