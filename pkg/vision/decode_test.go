package vision_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// decoded is what Pillow makes of a picture in testdata.
type decoded struct {
	File          string
	Width, Height int
	Tolerance     int    // 0: RGB and Grey are to be met; else the pixels of File.want.png, so nearly
	RGB, Grey     string // hashes of the pixels
}

func load[T any](tb testing.TB, name string) T {
	tb.Helper()
	var out T
	if err := json.Unmarshal(file(tb, name), &out); err != nil {
		tb.Fatal(err)
	}
	return out
}

func file(tb testing.TB, name ...string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, name...)...))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// raw returns a picture's pixels as they are.
func raw(tb testing.TB, data []byte, colour vision.Colour) []uint8 {
	tb.Helper()
	tr, err := vision.New(vision.Options{
		ResizeRule: vision.ResizeNone, Crop: vision.CropNone, DType: vision.Uint8, Layout: vision.NHWC, Colour: colour,
	})
	if err != nil {
		tb.Fatal(err)
	}
	out, err := tr.Tensor(tb.Context(), data)
	if err != nil {
		tb.Fatal(err)
	}
	pixels, err := tensor.Data[uint8](out)
	if err != nil {
		tb.Fatal(err)
	}
	return pixels
}

func TestDecodeAsPillow(t *testing.T) {
	t.Parallel()
	for _, want := range load[[]decoded](t, "pictures.json") {
		t.Run(want.File, func(t *testing.T) {
			t.Parallel()
			data := file(t, "pictures", want.File)
			info, err := vision.Sniff(data)
			if err != nil {
				t.Fatal(err)
			}
			if info.Width != want.Width || info.Height != want.Height {
				t.Errorf("Sniff = %d x %d, want %d x %d", info.Width, info.Height, want.Width, want.Height)
			}
			got := raw(t, data, vision.RGB)
			if want.Tolerance > 0 {
				compare(t, got, file(t, "pictures", want.File+".want.png"), want.Tolerance)
				return
			}
			if h := hash(got); h != want.RGB {
				t.Errorf("RGB pixels hash to %s, want %s", h, want.RGB)
			}
			if h := hash(raw(t, data, vision.Grey)); h != want.Grey {
				t.Errorf("grey pixels hash to %s, want %s", h, want.Grey)
			}
		})
	}
}

func hash(pixels []uint8) string {
	sum := sha256.Sum256(pixels)
	return hex.EncodeToString(sum[:])
}

// compare makes sure that pixels differ from a PNG's by at most a tolerance, and by far less on average.
func compare(t *testing.T, got, wantPNG []byte, tolerance int) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(wantPNG))
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	worst, sum, i := 0, 0, 0
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := img.At(x, y).RGBA()
			for _, want := range [3]uint32{r >> 8, g >> 8, bl >> 8} {
				d := max(int(got[i])-int(want), int(want)-int(got[i]))
				worst, sum, i = max(worst, d), sum+d, i+1
			}
		}
	}
	mean := float64(sum) / float64(i)
	t.Logf("differs from Pillow by at most %d, %.4f on average", worst, mean)
	if i != len(got) || worst > tolerance || mean > 0.2 {
		t.Errorf("%d samples, want %d; they differ by at most %d, %.3f on average, want at most %d, 0.2",
			len(got), i, worst, mean, tolerance)
	}
}

func TestDecodeReturnsWhatTheTensorHolds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"exif6.jpg", "grey.jpg", "rgba8.png", "offset.gif", "lossy-alpha.webp"} {
		data := file(t, "pictures", name)
		img, err := vision.Decode(data, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint8
		switch img := img.(type) {
		case *image.Gray:
			for _, v := range img.Pix {
				got = append(got, v, v, v)
			}
		case *image.RGBA:
			for p := img.Pix; len(p) > 0; p = p[4:] {
				if p[3] != 255 {
					t.Fatalf("%s: a pixel is transparent", name)
				}
				got = append(got, p[:3]...)
			}
		default:
			t.Fatalf("%s: Decode returned %T", name, img)
		}
		if want := raw(t, data, vision.RGB); !bytes.Equal(got, want) {
			t.Errorf("%s: Decode's pixels are not the tensor's", name)
		}
	}
}

// pngOf returns the beginning of a PNG that says it is of a size.
func pngOf(width, height uint32) []byte {
	body := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	body = binary.BigEndian.AppendUint32(body, height)
	body = append(body, 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
}

// enlarged returns a picture whose header says another size, of a number of bytes at an offset.
func enlarged(tb testing.TB, name string, at int, size ...byte) []byte {
	tb.Helper()
	data := bytes.Clone(file(tb, "pictures", name))
	copy(data[at:], size)
	return data
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	jpeg, tiff := file(t, "pictures", "ycc420.jpg"), file(t, "pictures", "raw.tiff")
	width := bytes.Index(tiff, []byte{0x00, 0x01, 0x04, 0x00, 1, 0, 0, 0}) + 8 // the entry ImageWidth, ImageLength behind it
	frame := bytes.Index(jpeg, []byte{0xff, 0xc0}) + 5
	scan := bytes.Index(jpeg, []byte{0xff, 0xda})
	twelve := bytes.Clone(jpeg)
	twelve[frame-1] = 12
	cut := bytes.Clone(jpeg[:len(jpeg)*2/3])
	tests := []struct {
		name string
		data []byte
		kind fault.Kind
		says string
	}{
		{"nothing", nil, fault.Invalid, "the data is empty"},
		{"text", []byte("I am no picture.\n"), fault.Invalid, "the data is text"},
		{"long text", []byte(strings.Repeat("Käse ", 300)), fault.Invalid, "the data is text"},
		{"JSON", []byte(`{"data": 1}`), fault.Invalid, "JSON text"},
		{"page", []byte("<!DOCTYPE html><html>"), fault.Invalid, "a web page"},
		{"SVG", []byte(`<?xml version="1.0"?><svg>`), fault.Invalid, "an SVG drawing"},
		{"PDF", []byte("%PDF-1.7\n"), fault.Invalid, "a PDF document"},
		{"HEIC", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), fault.Invalid, "a HEIC picture"},
		{"AVIF", []byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00"), fault.Invalid, "known are JPEG, PNG, GIF, WebP, BMP, TIFF"},
		{"unknown", []byte{1, 2, 3, 4}, fault.Invalid, "it begins with 01 02 03 04"},
		{"truncated JPEG", cut, fault.Invalid, "the JPEG ends early"},
		{"truncated JPEG with an end", append(cut, 0xff, 0xd9), fault.Invalid, "damaged or incomplete"},
		{"JPEG without its end", jpeg[:len(jpeg)-2], fault.Invalid, "the JPEG ends early"},
		{"JPEG without scans", append(bytes.Clone(jpeg[:scan]), 0xff, 0xd9), fault.Invalid, "no picture"},
		{"half a JPEG header", jpeg[:30], fault.Invalid, "the JPEG ends early"},
		{"arithmetic JPEG", file(t, "pictures", "arithmetic.jpg"), fault.Unsupported, "arithmetic coding"},
		{"12-bit JPEG", twelve, fault.Unsupported, "12 bits a sample"},
		{"animated WebP", file(t, "pictures", "animated.webp"), fault.Unsupported, "animated WebP"},
		{"truncated PNG", file(t, "pictures", "rgb8.png")[:400], fault.Invalid, "the PNG is damaged"},
		{"truncated GIF", file(t, "pictures", "plain.gif")[:900], fault.Invalid, "the GIF is damaged"},
		{"truncated WebP", file(t, "pictures", "lossy.webp")[:60], fault.Invalid, "the WebP"},
		{"truncated BMP", file(t, "pictures", "rgb.bmp")[:900], fault.Invalid, "the BMP ends early"},
		{"truncated TIFF", tiff[:len(tiff)-400], fault.Invalid, "the TIFF"},
		{"PNG bomb", pngOf(60000, 60000), fault.TooLarge, "the PNG is 60000 x 60000 pixels, and a picture may have at most 89478485"},
		{"long PNG", pngOf(1, 1<<31), fault.TooLarge, "a side may have at most 65535"},
		{"empty PNG", pngOf(0, 10), fault.Invalid, "no pixels"},
		{"JPEG bomb", enlarged(t, "ycc420.jpg", frame, 0xff, 0xff, 0xff, 0xff), fault.TooLarge, "the JPEG is 65535 x 65535 pixels"},
		{"GIF bomb", enlarged(t, "plain.gif", 6, 0xff, 0xff, 0xff, 0xff), fault.TooLarge, "the GIF is 65535 x 65535 pixels"},
		{"BMP bomb", enlarged(t, "rgb.bmp", 18, 0, 0xf0, 0, 0, 0, 0xf0, 0, 0), fault.TooLarge, "the BMP is 61440 x 61440 pixels"},
		{"WebP bomb", enlarged(t, "lossy.webp", 26, 0xff, 0x3f, 0xff, 0x3f), fault.TooLarge, "the WebP is 16383 x 16383 pixels"},
		{"lossless WebP bomb", enlarged(t, "lossless.webp", 21, 0xff, 0xff, 0xff, 0x0f), fault.TooLarge, "the WebP is 16384 x 16384 pixels"},
		{"TIFF bomb", enlarged(t, "raw.tiff", width, 0, 0xf0), fault.Invalid, ""},
		{"JPEG of many scans", manyScans(jpeg[:scan], jpeg[scan:scan+14]), fault.TooLarge, "more than 500 scans"},
	}
	tr, err := vision.New(vision.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := tr.Tensor(t.Context(), test.data)
			if err == nil || fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Tensor: %v (%v), want %q (%v)", err, fault.Of(err), test.says, test.kind)
			}
		})
	}
}

// manyScans returns a JPEG of a header and a thousand scans without data.
func manyScans(header, scan []byte) []byte {
	out := append(bytes.Clone(header), bytes.Repeat(scan, 1000)...)
	return append(out, 0xff, 0xd9)
}

// A small file must not make a decoder take much memory before it is refused.
func TestBombsTakeNoMemory(t *testing.T) { // not parallel: it measures the memory of the whole process
	bombs := map[string][]byte{
		"PNG":  pngOf(60000, 60000),
		"GIF":  enlarged(t, "plain.gif", 6, 0xff, 0xff, 0xff, 0xff),
		"BMP":  enlarged(t, "rgb.bmp", 18, 0, 0xf0, 0, 0, 0, 0xf0, 0, 0),
		"WebP": enlarged(t, "lossy.webp", 26, 0xff, 0x3f, 0xff, 0x3f),
	}
	for name, data := range bombs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := vision.Decode(data, 0)
		runtime.ReadMemStats(&after)
		if fault.Of(err) != fault.TooLarge {
			t.Errorf("%s bomb: %v", name, err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 1<<20 {
			t.Errorf("%s bomb: %d bytes allocated, want next to none", name, taken)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/pictures/*")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, data []byte) {
		info, sniffed := vision.Sniff(data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		img, err := vision.Decode(data, limit)
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 64<<20 {
			t.Fatalf("%d bytes allocated for at most %d pixels", taken, limit)
		}
		if err != nil {
			if kind := fault.Of(err); kind != fault.Invalid && kind != fault.TooLarge && kind != fault.Unsupported {
				t.Fatalf("%v: of kind %v", err, kind)
			}
			return
		}
		size := img.Bounds().Size()
		if sniffed != nil || size != (image.Point{info.Width, info.Height}) || size.X*size.Y > limit {
			t.Fatalf("decoded %v pixels, sniffed %+v, %v", size, info, sniffed)
		}
	})
}

func ExampleTransform_Tensor() {
	classifier, err := vision.New(vision.ImageNet())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = classifier.Tensor(context(), []byte("not a picture"))
	fmt.Println(err)
	// Output: invalid: the data is text, not an image that can be read; known are JPEG, PNG, GIF, WebP, BMP, TIFF
}
