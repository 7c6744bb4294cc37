package jpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Header is what a JPEG says of itself before its first scan.
type Header struct {
	Width, Height int
	Channels      int    // of what Decode returns: 1 for grey, 3 for everything else
	Exif          []byte // the EXIF block from its byte order mark on, nil when there is none; a part of the data read

	components int  // as stored: 1 grey, 3 colour, 4 CMYK or YCCK
	adobe      bool // an Adobe segment says how the colours are coded
	scans      int  // where the first scan's marker is
}

// Markers that this package tells apart.
const (
	markerTEM   = 0x01
	markerSOF0  = 0xc0
	markerSOF2  = 0xc2
	markerDHT   = 0xc4
	markerJPG   = 0xc8
	markerDAC   = 0xcc
	markerSOF15 = 0xcf
	markerRST0  = 0xd0
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerAPP1  = 0xe1
	markerAPP14 = 0xee
)

// ReadHeader reads the header alone, without taking memory for the picture. It returns [fault.Invalid] when data is not
// a JPEG or ends within its header, and [fault.Unsupported] for a kind of JPEG that [Decode] cannot read: arithmetic
// coding, lossless, hierarchical, more than 8 bits a sample, two or more than four components.
func ReadHeader(data []byte) (Header, error) {
	if len(data) < 2 || data[0] != 0xff || data[1] != markerSOI {
		return Header{}, fmt.Errorf("%w: not a JPEG: it has no start-of-image marker", fault.Invalid)
	}
	var h Header
	for at := 2; ; {
		s, err := readSegment(data, at)
		if err != nil {
			return Header{}, err
		}
		switch {
		case s.marker == markerEOI:
			return Header{}, fmt.Errorf("%w: the JPEG holds no picture", fault.Invalid)
		case s.marker == markerSOS && h.components == 0:
			return Header{}, fmt.Errorf("%w: the JPEG has no frame header before its first scan", fault.Invalid)
		case s.marker == markerSOS:
			h.scans = at
			return h, nil
		}
		if err := h.readSegment(s); err != nil {
			return Header{}, err
		}
		at = s.next
	}
}

// readSegment takes from a segment before the first scan what the header holds.
func (h *Header) readSegment(s segment) error {
	switch {
	case isFrame(s.marker) && h.components != 0:
		return fmt.Errorf("%w: the JPEG has two frame headers", fault.Invalid)
	case isFrame(s.marker):
		return h.readFrame(s.marker, s.body)
	case s.marker == markerAPP1 && h.Exif == nil && bytes.HasPrefix(s.body, []byte("Exif\x00\x00")):
		h.Exif = s.body[6:]
	case s.marker == markerAPP14 && len(s.body) >= 12 && bytes.HasPrefix(s.body, []byte("Adobe")):
		h.adobe = true
	}
	return nil
}

// isFrame tells whether the marker starts a frame of any kind.
func isFrame(marker byte) bool {
	return marker >= markerSOF0 && marker <= markerSOF15 &&
		marker != markerDHT && marker != markerJPG && marker != markerDAC
}

// readFrame reads a frame header's body.
func (h *Header) readFrame(marker byte, body []byte) error {
	if len(body) < 6 {
		return fmt.Errorf("%w: the JPEG's frame header is too short", fault.Invalid)
	}
	if marker > markerSOF2 {
		return fmt.Errorf("%w: %s; save it as a baseline or progressive JPEG", fault.Unsupported, frameName(marker))
	}
	if body[0] != 8 {
		return fmt.Errorf("%w: a JPEG with %d bits a sample; save it with 8", fault.Unsupported, body[0])
	}
	h.Height, h.Width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if h.Width == 0 || h.Height == 0 {
		return fmt.Errorf("%w: the JPEG says it is %d x %d pixels", fault.Invalid, h.Width, h.Height)
	}
	h.components, h.Channels = int(body[5]), 3
	switch h.components {
	case 1:
		h.Channels = 1
	case 3, 4:
	default:
		return fmt.Errorf("%w: a JPEG with %d components a pixel; it has 1 (grey), 3 (colour) or 4 (CMYK)",
			fault.Unsupported, h.components)
	}
	return nil
}

// frameName says in words which kind of JPEG a frame marker past SOF2 starts.
func frameName(marker byte) string {
	switch marker & 0xf {
	case 3:
		return "a lossless JPEG"
	case 5, 6, 7, 13, 14, 15:
		return "a hierarchical JPEG"
	}
	return "a JPEG with arithmetic coding"
}

// segment is a marker, its body, and where the next one is to be looked for.
type segment struct {
	marker byte
	body   []byte
	next   int
}

// readSegment reads the segment at or after data[at]. Like other readers it passes over bytes that belong to nothing.
func readSegment(data []byte, at int) (segment, error) {
	for at+1 < len(data) && (data[at] != 0xff || data[at+1] == 0 || data[at+1] == 0xff) {
		at++
	}
	if at+1 >= len(data) {
		return segment{}, endsEarly()
	}
	marker := data[at+1]
	at += 2
	if marker == markerTEM || marker >= markerRST0 && marker <= markerEOI {
		return segment{marker: marker, next: at}, nil
	}
	if at+2 > len(data) {
		return segment{}, endsEarly()
	}
	size := int(binary.BigEndian.Uint16(data[at:]))
	if size < 2 {
		return segment{}, fmt.Errorf("%w: the JPEG is damaged: a segment of %d bytes", fault.Invalid, size)
	}
	if at+size > len(data) {
		return segment{}, endsEarly()
	}
	return segment{marker, data[at+2 : at+size], at + size}, nil
}

// maxScans is the most scans that a picture may be coded in. A progressive JPEG has about ten; thousands of scans of a
// few bytes each would keep a processor busy for minutes.
const maxScans = 500

// checkScans passes over the scans from data[at] on, without decoding, and makes sure that the picture has its end and
// is not coded in absurdly many scans.
func checkScans(data []byte, at int) error {
	for count := 0; ; {
		s, err := readSegment(data, at)
		if err != nil {
			return err
		}
		switch s.marker {
		case markerEOI:
			return nil
		case markerSOS:
			if count++; count > maxScans {
				return fmt.Errorf("%w: the JPEG is coded in more than %d scans; save it anew", fault.TooLarge, maxScans)
			}
		}
		for at = s.next; at < len(data); at += 2 { // the next 0xff that neither is stuffed nor starts a restart marker
			skip := bytes.IndexByte(data[at:], 0xff)
			if skip < 0 || at+skip+1 >= len(data) {
				return endsEarly()
			}
			at += skip
			if m := data[at+1]; m != 0 && (m < markerRST0 || m > markerSOI-1) {
				break
			}
		}
	}
}

func endsEarly() error {
	return fmt.Errorf("%w: the JPEG ends early, its picture is incomplete; was it fully copied?", fault.Invalid)
}
