//go:build !turbojpeg || !cgo

package jpeg

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Backend names the decoder that this program was built with.
const Backend = "image/jpeg"

// adobeCMYK is an Adobe segment that says CMYK, not YCCK. It is put before a CMYK picture that has none: others take
// such a picture to be Adobe's, the standard library refuses it.
const adobeCMYK = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"

func decode(data []byte, header Header, _ Options) (rows, error) {
	var src io.Reader = bytes.NewReader(data)
	if header.components == 4 && !header.adobe {
		src = io.MultiReader(bytes.NewReader(data[:2]), bytes.NewReader([]byte(adobeCMYK)), bytes.NewReader(data[2:]))
	}
	img, err := jpeg.Decode(src)
	var unsupported jpeg.UnsupportedError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, endsEarly()
	case errors.As(err, &unsupported):
		return nil, fmt.Errorf("%w: %w", fault.Unsupported, err)
	case err != nil:
		return nil, damaged(err)
	}
	switch img := img.(type) {
	case *image.Gray:
		return packed{pix: img.Pix, stride: img.Stride, bytes: 1, wanted: 1}, nil
	case *image.RGBA:
		return packed{pix: img.Pix, stride: img.Stride, bytes: 4, wanted: 3}, nil
	case *image.CMYK:
		return cmyk{*img}, nil
	case *image.YCbCr:
		return newPlanes(img), nil
	}
	return nil, fmt.Errorf("%w: a JPEG decoded to %T", fault.Internal, img)
}
