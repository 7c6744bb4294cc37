package vision

import (
	"bytes"
	"image"
	"image/png"
	"sync"
)

// WithoutVectors returns a transform like t that computes without the processor's vector instructions, as it does where
// there are none.
func WithoutVectors(t *Transform) *Transform {
	scalar := *t
	scalar.scratch = &sync.Pool{New: func() any { return &scratch{scalar: true} }}
	return &scalar
}

// PNGReader reads one plain PNG after the other.
type PNGReader struct{ reader pngReader }

// Read returns the picture of a PNG, when it is plain.
func (p *PNGReader) Read(data []byte) (img image.Image, ok bool) {
	if !p.reader.read(data) {
		return nil, false
	}
	return pictureOf(&p.reader), true
}

// StandardPNG is what [Decode] makes of a PNG that is not plain.
func StandardPNG(data []byte) (image.Image, error) {
	src, err := decoded(png.Decode(bytes.NewReader(data)))
	if err != nil {
		return nil, err
	}
	return pictureOf(src), nil
}
