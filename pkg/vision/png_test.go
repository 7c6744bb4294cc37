package vision_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/vision"
)

// chunk is one of a PNG's, with its checksum.
func chunk(kind string, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// drawing is a PNG taken apart.
type drawing struct {
	width, height        uint32
	depth, colour, woven uint8  // as in the header; woven: interlaced
	lines                []byte // with their filters
	before, after        []byte // other chunks
	cut                  int    // in how many chunks the data is
}

func (d drawing) file(tb testing.TB) []byte {
	tb.Helper()
	head := binary.BigEndian.AppendUint32(nil, d.width)
	head = binary.BigEndian.AppendUint32(head, d.height)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, d.depth, d.colour, 0, 0, d.woven))...)
	out = append(out, d.before...)
	var data bytes.Buffer
	w := zlib.NewWriter(&data)
	if _, err := w.Write(d.lines); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	for rest, size := data.Bytes(), data.Len()/max(1, d.cut)+1; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		out = append(out, chunk("IDAT", rest[:min(size, len(rest))])...)
	}
	return append(append(out, d.after...), chunk("IEND", nil)...)
}

// randomLines returns so many lines of random filters and samples.
func randomLines(height, width int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var lines []byte
	for range height {
		lines = append(lines, uint8(r.IntN(5)))
		for range width {
			lines = append(lines, uint8(r.IntN(256)))
		}
	}
	return lines
}

// same compares what a reader makes of a PNG with what the standard library does, and returns whether the reader took it.
func same(tb testing.TB, p *vision.PNGReader, data []byte) bool {
	tb.Helper()
	got, plain := p.Read(data)
	if !plain {
		return false
	}
	want, err := vision.StandardPNG(data)
	if err != nil {
		tb.Fatalf("the standard library refuses what was read: %v", err)
	}
	if got.Bounds() != want.Bounds() || !slices.Equal(pix(tb, got), pix(tb, want)) {
		tb.Fatalf("%T of %v differs from %T of %v", got, got.Bounds(), want, want.Bounds())
	}
	return true
}

func pix(tb testing.TB, img image.Image) []uint8 {
	tb.Helper()
	switch img := img.(type) {
	case *image.Gray:
		return img.Pix
	case *image.RGBA:
		return img.Pix
	default:
		tb.Fatalf("a picture is %T", img)
		return nil
	}
}

func TestPlainPNG(t *testing.T) {
	t.Parallel()
	comment := chunk("tEXt", []byte("Comment\x00none"))
	grey := drawing{width: 9, height: 40, depth: 8, lines: randomLines(40, 9)}
	with := func(change func(d *drawing)) []byte {
		d := grey
		change(&d)
		return d.file(t)
	}
	damaged := func(at int) []byte {
		file := grey.file(t)
		file[(at+len(file))%len(file)] ^= 1
		return file
	}
	var reader vision.PNGReader // the same one for all: nothing of one picture may be left for the next
	for _, test := range []struct {
		name  string
		data  []byte
		plain bool
	}{
		{"grey", with(func(*drawing) {}), true},
		{"grey and opacity", with(func(d *drawing) { d.colour, d.lines = 4, randomLines(40, 18) }), true},
		{"colour", with(func(d *drawing) { d.colour, d.lines = 2, randomLines(40, 27) }), true},
		{"colour and opacity", with(func(d *drawing) { d.colour, d.lines = 6, randomLines(40, 36) }), true},
		{"one pixel", with(func(d *drawing) { d.width, d.height, d.lines = 1, 1, []byte{4, 7} }), true},
		{"many chunks", with(func(d *drawing) { d.cut = 50 }), true},
		{"other chunks", with(func(d *drawing) { d.before, d.after = comment, comment }), true},
		{"more behind the end", append(grey.file(t), "more"...), true},
		{"a transparent grey", with(func(d *drawing) { d.before = chunk("tRNS", []byte{0, 7}) }), false},
		{"a suggested palette", with(func(d *drawing) { d.colour, d.lines, d.before = 2, randomLines(40, 27), chunk("PLTE", []byte{1, 2, 3}) }), false},
		{"16 bits", with(func(d *drawing) { d.depth, d.lines = 16, randomLines(40, 18) }), false},
		{"interlaced", with(func(d *drawing) { d.woven, d.width, d.height, d.lines = 1, 1, 1, []byte{0, 7} }), false},
		{"no such filter", with(func(d *drawing) { d.lines = append([]byte{5}, d.lines[1:]...) }), false},
		{"too few lines", with(func(d *drawing) { d.lines = d.lines[:399] }), false},
		{"too many lines", with(func(d *drawing) { d.lines = append(randomLines(40, 9), 0) }), false},
		{"data in two places", with(func(d *drawing) { d.after = slices.Concat(comment, chunk("IDAT", nil)) }), false},
		{"no data", slices.Concat(grey.file(t)[:33], chunk("IEND", nil)), false},
		{"no end", grey.file(t)[:len(grey.file(t))-12], false},
		{"damaged header", damaged(20), false},
		{"damaged data", damaged(60), false},
		{"damaged end", damaged(-1), false},
		{"large", with(func(d *drawing) { d.width, d.height, d.lines = 4096, 1024, randomLines(1024, 4096) }), false},
	} {
		if plain := same(t, &reader, test.data); plain != test.plain {
			t.Errorf("%s: read as plain %v, want %v", test.name, plain, test.plain)
		}
	}
}

// The pictures that people send are plain.
func TestPlainSamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../samples/digits/*.png")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var reader vision.PNGReader
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !same(t, &reader, data) {
			t.Errorf("%s is not plain", file)
		}
	}
}

// FuzzPlainPNG looks for PNGs that the reader of plain ones takes, and the standard library does not or reads otherwise.
// Checksums are made right, as chance would never find them.
func FuzzPlainPNG(f *testing.F) {
	comment := chunk("tEXt", []byte("Comment\x00none"))
	f.Add(uint8(9), uint8(4), uint8(8), uint8(0), uint8(0), randomLines(4, 9), []byte(nil), comment, uint8(1))
	f.Add(uint8(3), uint8(5), uint8(8), uint8(2), uint8(0), randomLines(5, 9), comment, []byte(nil), uint8(3))
	f.Add(uint8(3), uint8(5), uint8(8), uint8(4), uint8(0), randomLines(5, 6), chunk("tRNS", []byte{0, 7}), []byte(nil), uint8(1))
	f.Add(uint8(3), uint8(5), uint8(8), uint8(6), uint8(1), randomLines(5, 12), []byte(nil), chunk("IDAT", []byte{0}), uint8(9))
	f.Fuzz(func(t *testing.T, width, height, depth, colour, woven uint8, lines, before, after []byte, cut uint8) {
		d := drawing{
			width: 1 + uint32(width), height: 1 + uint32(height), depth: depth, colour: colour, woven: woven,
			lines: lines, before: before, after: after, cut: int(cut),
		}
		var reader vision.PNGReader
		same(t, &reader, d.file(t))
	})
}

// BenchmarkPNG is the way of a digit and of a photograph from a PNG to a tensor.
func BenchmarkPNG(b *testing.B) {
	img, _ := photograph(b)
	digit, err := os.ReadFile("../../samples/digits/3.png")
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"digit": digit, "photograph": encoded(b, img)} {
		tr, err := vision.New(vision.Options{Size: vision.Square(28), Colour: vision.Grey})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tr.Tensor(b.Context(), data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func encoded(tb testing.TB, img image.Image) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}
