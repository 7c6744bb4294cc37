package jpeg_test

import (
	"bytes"
	"errors"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/vision/jpeg"
)

const pictures = "../testdata/pictures"

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(pictures, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Both builds pass this test; libjpeg-turbo's meets Pillow's pixels, which it makes too, exactly.
func TestDecodeAsPillow(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"ycc444.jpg", "ycc422.jpg", "ycc420.jpg", "440.jpg", "411.jpg", "progressive.jpg", "grey.jpg", "rgb.jpg",
		"restart.jpg", "cmyk.jpg", "cmyk-plain.jpg", "ycck.jpg", "narrow.jpg", "dot.jpg",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img, err := jpeg.Decode(read(t, name), jpeg.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := png.Decode(bytes.NewReader(read(t, name+".want.png")))
			if err != nil {
				t.Fatal(err)
			}
			width, height := img.Size()
			if size := want.Bounds().Size(); width != size.X || height != size.Y {
				t.Fatalf("%d x %d pixels, want %v", width, height, size)
			}
			worst, sum := 0, 0
			line := make([]uint8, width*img.Channels())
			for y := range height {
				img.Row(line, y, 0, width)
				for x := range width {
					r, g, b, _ := want.At(x, y).RGBA()
					for c, w := range []uint32{r >> 8, g >> 8, b >> 8}[:img.Channels()] {
						d := int(line[x*img.Channels()+c]) - int(w)
						worst, sum = max(worst, d, -d), sum+max(d, -d)
					}
				}
			}
			mean := float64(sum) / float64(width*height*img.Channels())
			limit, average := 3, 0.1
			if jpeg.Backend == "libjpeg-turbo" {
				limit, average = 0, 0
			}
			if worst > limit || mean > average {
				t.Errorf("%s differs by at most %d, %v on average, want %d, %v", jpeg.Backend, worst, mean, limit, average)
			}
		})
	}
}

func TestRowReadsAnyPart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ycc444.jpg", "ycc422.jpg", "ycc420.jpg", "440.jpg", "411.jpg", "grey.jpg", "cmyk.jpg", "rgb.jpg"} {
		img, err := jpeg.Decode(read(t, name), jpeg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		width, height := img.Size()
		n := img.Channels()
		whole, part := make([]uint8, width*n), make([]uint8, width*n)
		for y := range height {
			img.Row(whole, y, 0, width)
			for left := range width {
				for _, right := range []int{left, left + 1, (left + width + 1) / 2, width} {
					img.Row(part, y, left, right)
					if !bytes.Equal(part[:(right-left)*n], whole[left*n:right*n]) {
						t.Fatalf("%s: row %d from %d to %d is not what the whole row has there", name, y, left, right)
					}
				}
			}
		}
	}
}

func TestReadHeader(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                    string
		width, height, channels int
		exif                    bool
	}{
		{"ycc420.jpg", 43, 33, 3, false},
		{"grey.jpg", 43, 33, 1, false},
		{"cmyk.jpg", 43, 33, 3, false},
		{"exif6.jpg", 23, 14, 3, true},
	}
	for _, test := range tests {
		h, err := jpeg.ReadHeader(read(t, test.name))
		if err != nil {
			t.Fatal(err)
		}
		if h.Width != test.width || h.Height != test.height || h.Channels != test.channels || (h.Exif != nil) != test.exif {
			t.Errorf("%s: %+v, want %+v", test.name, h, test)
		}
		if test.exif && !bytes.HasPrefix(h.Exif, []byte("II*\x00")) && !bytes.HasPrefix(h.Exif, []byte("MM\x00*")) {
			t.Errorf("%s: the EXIF block begins with % x", test.name, h.Exif[:4])
		}
	}
}

// patched returns a picture with some bytes of it replaced, from an offset behind the first occurrence of a marker.
func patched(tb testing.TB, picture []byte, marker string, offset int, with ...byte) []byte {
	tb.Helper()
	data := bytes.Clone(picture)
	at := bytes.Index(data, []byte(marker))
	if at < 0 {
		tb.Fatalf("the picture has no marker % x", marker)
	}
	copy(data[at+offset:], with)
	return data
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const frame, scan = "\xff\xc0", "\xff\xda"
	whole := read(t, "ycc420.jpg")
	at := bytes.Index(whole, []byte(scan))
	tests := []struct {
		name string
		data []byte
		kind fault.Kind
		says string
	}{
		{"nothing", nil, fault.Invalid, "not a JPEG"},
		{"marker alone", whole[:2], fault.Invalid, "ends early"},
		{"end at once", []byte("\xff\xd8\xff\xd9"), fault.Invalid, "holds no picture"},
		{"scan before frame", append([]byte("\xff\xd8"), whole[at:]...), fault.Invalid, "no frame header"},
		{"two frames", twice(t, whole, frame), fault.Invalid, "two frame headers"},
		{"lossless", patched(t, whole, frame, 1, 0xc3), fault.Unsupported, "a lossless JPEG"},
		{"hierarchical", patched(t, whole, frame, 1, 0xc5), fault.Unsupported, "a hierarchical JPEG"},
		{"arithmetic", read(t, "arithmetic.jpg"), fault.Unsupported, "arithmetic coding"},
		{"12 bits", patched(t, whole, frame, 4, 12), fault.Unsupported, "12 bits a sample"},
		{"no width", patched(t, whole, frame, 7, 0, 0), fault.Invalid, "0 x 33 pixels"},
		{"two components", patched(t, whole, frame, 9, 2), fault.Unsupported, "2 components"},
		{"short segment", patched(t, whole, "\xff\xdb", 2, 0, 1), fault.Invalid, "a segment of 1 bytes"},
		{"cut in the header", whole[:at-3], fault.Invalid, "ends early"},
		{"cut in the scan", whole[:at+100], fault.Invalid, "ends early"},
		{"cut and ended", append(bytes.Clone(whole[:at+100]), 0xff, 0xd9), fault.Invalid, "damaged or incomplete"},
		{"cut progressive", cutScan(t, "progressive.jpg"), fault.Invalid, "damaged or incomplete"},
		{"taller than its data", patched(t, whole, frame, 5, 0, 200), fault.Invalid, "damaged or incomplete"},
		{"no end", whole[:len(whole)-2], fault.Invalid, "ends early"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := jpeg.Decode(test.data, jpeg.Options{})
			if err == nil || fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Decode: %v (%v), want %q (%v)", err, fault.Of(err), test.says, test.kind)
			}
		})
	}
}

// twice returns data with the segment that a marker starts doubled.
func twice(tb testing.TB, data []byte, marker string) []byte {
	tb.Helper()
	at := bytes.Index(data, []byte(marker))
	size := 2 + int(data[at+2])<<8 + int(data[at+3])
	return append(append(bytes.Clone(data[:at+size]), data[at:at+size]...), data[at+size:]...)
}

// cutScan returns a picture whose last scan ends after a few bytes.
func cutScan(tb testing.TB, name string) []byte {
	tb.Helper()
	data := read(tb, name)
	at := bytes.LastIndex(data, []byte("\xff\xda"))
	return append(bytes.Clone(data[:at+16]), 0xff, 0xd9)
}

func TestDecodeReadsWhatFollowsTheEnd(t *testing.T) {
	t.Parallel()
	if _, err := jpeg.Decode(append(bytes.Clone(read(t, "ycc420.jpg")), "a film, say"...), jpeg.Options{}); err != nil {
		t.Error(err)
	}
}

// TestColumns decodes parts of each picture, one after the other into the same memory, and compares them with the whole.
func TestColumns(t *testing.T) {
	t.Parallel()
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	names, err := filepath.Glob(pictures + "/*.jpg")
	if err != nil || len(names) < 5 {
		t.Fatalf("%d pictures, %v", len(names), err)
	}
	var buffer []byte
	for _, name := range names {
		data := read(t, filepath.Base(name))
		whole, err := jpeg.Decode(data, jpeg.Options{})
		if err != nil {
			continue // another test has it refused
		}
		width, height := whole.Size()
		for range 20 {
			from := random.IntN(width)
			to := from + 1 + random.IntN(width-from)
			part, err := jpeg.Decode(data, jpeg.Options{From: from, To: to, Buffer: buffer})
			if err != nil {
				t.Fatalf("%s, columns %d to %d: %v", name, from, to, err)
			}
			want, got := make([]uint8, (to-from)*whole.Channels()), make([]uint8, (to-from)*whole.Channels())
			for y := range height {
				whole.Row(want, y, from, to)
				part.Row(got, y, from, to)
				if !bytes.Equal(want, got) {
					t.Fatalf("seed %d: %s, row %d, columns %d to %d differ", seed, name, y, from, to)
				}
			}
			buffer = part.Buffer()
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob(pictures + "/*.jpg")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		f.Add(read(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		header, err := jpeg.ReadHeader(data)
		if err == nil && header.Width*header.Height > 1<<16 {
			return
		}
		img, errDecode := jpeg.Decode(data, jpeg.Options{})
		if err = errors.Join(err, errDecode); err != nil {
			if kind := fault.Of(err); kind == fault.Internal {
				t.Fatalf("%v: of kind %v", err, kind)
			}
			return
		}
		width, height := img.Size()
		line := make([]uint8, width*img.Channels())
		for y := range height {
			img.Row(line, y, 0, width)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data, err := os.ReadFile("../../../samples/kitten.jpg")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		img, err := jpeg.Decode(data, jpeg.Options{})
		if err != nil {
			b.Fatal(err)
		}
		width, height := img.Size()
		line := make([]uint8, width*img.Channels())
		for y := range height {
			img.Row(line, y, 0, width)
		}
	}
}
