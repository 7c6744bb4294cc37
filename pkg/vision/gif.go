package vision

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/gif"
	"io"

	"github.com/tsgo/tsgo/pkg/fault"
)

func gifHeader(data []byte) (header, error) {
	if len(data) < 10 {
		return header{}, io.ErrUnexpectedEOF
	}
	return header{
		width:  int(binary.LittleEndian.Uint16(data[6:])),
		height: int(binary.LittleEndian.Uint16(data[8:])), orientation: 1,
	}, nil
}

// gifFrame is the first frame of a GIF on its canvas.
type gifFrame struct {
	*image.Paletted
	width, height int
	colours       *[256][3]uint8
	behind        uint8 // the colour index where the frame does not reach
}

// decodeGIF decodes the first frame, and no other.
func decodeGIF(data []byte, _ *memory, _ columns) (pixels, error) {
	img, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	frame, ok := img.(*image.Paletted)
	if !ok {
		return nil, fmt.Errorf("%w: a GIF decoded to %T", fault.Internal, img)
	}
	h, err := gifHeader(data)
	if err != nil {
		return nil, err
	}
	g := &gifFrame{Paletted: frame, width: h.width, height: h.height}
	g.colours, g.behind = gifColours(data)
	return g, nil
}

func (g *gifFrame) size() (int, int) { return g.width, g.height }
func (g *gifFrame) channels() int    { return 3 }

func (g *gifFrame) row(dst []uint8, y, left, right int) {
	for x := left; x < right; x++ {
		index := g.behind
		if (image.Point{x, y}).In(g.Rect) {
			index = g.Pix[g.PixOffset(x, y)]
		}
		copy(dst[:3], g.colours[index][:])
		dst = dst[3:]
	}
}

// gifColours returns the first frame's colours and its transparent index, 0 when it has none. The standard library
// forgets the transparent colour, which counts here. The data has been decoded, so that its structure is known to be
// right as far as the first frame.
func gifColours(data []byte) (colours *[256][3]uint8, transparent uint8) {
	colours = new([256][3]uint8)
	at := 13 + gifTable(colours, data[10], data[13:])
	for at < len(data) && data[at] == 0x21 { // an extension: its label, then blocks with their sizes
		if label := data[at+1]; label == 0xf9 && data[at+2] >= 4 && data[at+3]&1 == 1 {
			transparent = data[at+6]
		}
		at += 2
		for data[at] != 0 {
			at += 1 + int(data[at])
		}
		at++
	}
	if at+10 <= len(data) && data[at] == 0x2c {
		gifTable(colours, data[at+9], data[at+10:])
	}
	return colours, transparent
}

// gifTable reads a colour table, when the flags say that there is one, and returns its length in bytes.
func gifTable(colours *[256][3]uint8, flags uint8, data []byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	n := 1 << (flags&7 + 1)
	for i := range n {
		copy(colours[i][:], data[3*i:3*i+3])
	}
	return 3 * n
}
