package vision

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/vision/jpeg"
)

// header is what has to be known before a picture is decoded.
type header struct {
	width, height int // as stored
	orientation   int // EXIF's
}

// format is a kind of image file.
type format struct {
	name   string
	is     func(data []byte) bool
	header func(data []byte) (header, error)
	decode func(data []byte, m *memory, need columns) (pixels, error) // called when the header's size is within the limit
}

// columns are those of a picture that are needed, the last one not. A decoder may give more.
type columns struct{ from, to int }

// formats returns the kinds of image that can be read.
func formats() [6]format {
	return [...]format{
		{"JPEG", isJPEG, jpegHeader, decodeJPEG},
		{"PNG", isPNG, pngHeader, decodePNG},
		{"GIF", isGIF, gifHeader, decodeGIF},
		{"WebP", isWebP, webpHeader, decodeWebP},
		{"BMP", isBMP, bmpHeader, decodeBMP},
		{"TIFF", isTIFF, tiffHeader, decodeTIFF},
	}
}

func isJPEG(data []byte) bool { return starts(data, "\xff\xd8") }
func isPNG(data []byte) bool  { return starts(data, "\x89PNG\r\n\x1a\n") }
func isGIF(data []byte) bool  { return starts(data, "GIF87a") || starts(data, "GIF89a") }
func isTIFF(data []byte) bool { return starts(data, "II*\x00") || starts(data, "MM\x00*") }

func isBMP(data []byte) bool { // four bytes behind the size are reserved; text would not have them zero
	return len(data) >= 10 && starts(data, "BM") && binary.LittleEndian.Uint32(data[6:]) == 0
}

func starts(data []byte, signature string) bool {
	return len(data) >= len(signature) && string(data[:len(signature)]) == signature
}

// formatOf returns the kind of image that data is.
func formatOf(data []byte) (format, error) {
	known := formats()
	for _, f := range known {
		if f.is(data) {
			return f, nil
		}
	}
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	return format{}, fmt.Errorf("%w: the data is %s, not an image that can be read; known are %s",
		fault.Invalid, describe(data), strings.Join(names, ", "))
}

// describe says what data that is no known image looks like.
func describe(data []byte) string {
	if len(data) == 0 {
		return "empty"
	}
	signatures := []struct{ signature, name string }{
		{"%PDF-", "a PDF document"},
		{"PK\x03\x04", "a zip archive"},
		{"\x1f\x8b", "gzip-compressed"},
		{"8BPS", "a Photoshop picture"},
		{"\x00\x00\x01\x00", "an icon"},
		{"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"},
		{"\xff\x4f\xff\x51", "a JPEG 2000 picture"},
		{"\xff\x0a", "a JPEG XL picture"},
		{"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"},
		{"\x7fELF", "a program"},
		{"\x93NUMPY", "a NumPy array"},
	}
	for _, s := range signatures {
		if bytes.HasPrefix(data, []byte(s.signature)) {
			return s.name
		}
	}
	if len(data) >= 12 && string(data[4:8]) == "ftyp" {
		return describeBoxes(string(data[8:12]))
	}
	if isText(data) {
		return describeText(data)
	}
	return fmt.Sprintf("of no known kind (it begins with % x)", data[:min(len(data), 8)])
}

// describeBoxes names the kind of an ISO media file by its brand.
func describeBoxes(brand string) string {
	switch brand {
	case "avif", "avis":
		return "an AVIF picture"
	case "heic", "heix", "hevc", "mif1", "msf1":
		return "a HEIC picture"
	}
	return "a film"
}

// isText tells whether the beginning of data is text: UTF-8 without control characters.
func isText(data []byte) bool {
	head := data[:min(len(data), 512)]
	for len(head) > 0 {
		r, size := utf8.DecodeRune(head)
		cut := r == utf8.RuneError && size == 1
		if cut && len(data) > 512 && len(head) < utf8.UTFMax {
			return true // the last character goes on behind the head
		}
		if cut || r < ' ' && !strings.ContainsRune("\t\n\f\r", r) {
			return false
		}
		head = head[size:]
	}
	return true
}

func describeText(data []byte) string {
	head := strings.ToLower(strings.TrimSpace(string(data[:min(len(data), 512)])))
	switch {
	case strings.Contains(head, "<svg"):
		return "an SVG drawing"
	case strings.HasPrefix(head, "<!doctype html"), strings.HasPrefix(head, "<html"):
		return "a web page"
	case strings.HasPrefix(head, "{"), strings.HasPrefix(head, "["):
		return "JSON text"
	case strings.HasPrefix(head, "data:image/"):
		return "a data: address; decode its base64 first"
	case strings.HasPrefix(head, "version https://git-lfs"):
		return "a Git LFS pointer; fetch the file it stands for"
	}
	return "text"
}

// configured returns the header that a function of the shape that package image has read.
func configured(c image.Config, err error) (header, error) {
	return header{width: c.Width, height: c.Height, orientation: 1}, err
}

func bmpHeader(data []byte) (header, error) {
	return configured(bmp.DecodeConfig(bytes.NewReader(data)))
}

func decodeBMP(data []byte, _ *memory, _ columns) (pixels, error) {
	return decoded(bmp.Decode(bytes.NewReader(data)))
}

// decoded returns the picture that a function of the shape that package image has decoded.
func decoded(img image.Image, err error) (pixels, error) {
	if err != nil {
		return nil, err
	}
	return read(img), nil
}

func jpegHeader(data []byte) (header, error) {
	h, err := jpeg.ReadHeader(data)
	return header{width: h.Width, height: h.Height, orientation: orientation(h.Exif)}, err
}

func decodeJPEG(data []byte, m *memory, need columns) (pixels, error) {
	img, err := jpeg.Decode(data, jpeg.Options{From: need.from, To: need.to, Buffer: m.jpeg})
	if err != nil {
		return nil, err
	}
	m.jpeg = img.Buffer()
	width, height := img.Size()
	return &sampled{width: width, height: height, depth: img.Channels(), read: img.Row}, nil
}

func tiffHeader(data []byte) (header, error) {
	h, err := configured(tiff.DecodeConfig(bytes.NewReader(data)))
	h.orientation = orientation(data)
	return h, err
}

// decodeTIFF undoes a mistake of the library: it takes a fax's white to be white even where black is zero, as it is in
// libtiff's files.
func decodeTIFF(data []byte, _ *memory, _ columns) (pixels, error) {
	const group3, group4, blackIsZero = 3, 4, 1
	img, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	compression := tiffTag(data, tagCompression)
	fax := compression == group3 || compression == group4
	if grey, ok := img.(*image.Gray); ok && fax && tiffTag(data, tagPhotometric) == blackIsZero {
		for i, v := range grey.Pix {
			grey.Pix[i] = 255 - v
		}
	}
	return read(img), nil
}

// pngHeader reads the header chunk and looks for an EXIF chunk, which may stand behind the picture.
func pngHeader(data []byte) (header, error) {
	const signature = 8
	if len(data) < signature+16 {
		return header{}, io.ErrUnexpectedEOF
	}
	if string(data[signature+4:signature+8]) != "IHDR" {
		return header{}, fmt.Errorf("%w: the PNG has no header chunk", fault.Invalid)
	}
	h := header{orientation: 1}
	width, height := binary.BigEndian.Uint32(data[signature+8:]), binary.BigEndian.Uint32(data[signature+12:])
	h.width, h.height = int(min(width, 1<<31-1)), int(min(height, 1<<31-1))
	for rest := data[signature:]; len(rest) >= 12; {
		size := uint64(binary.BigEndian.Uint32(rest)) + 12
		if size > uint64(len(rest)) {
			break // the decoder says so better
		}
		if string(rest[4:8]) == "eXIf" {
			h.orientation = orientation(rest[8 : size-4])
		}
		rest = rest[size:]
	}
	return h, nil
}
