package vision_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"testing"

	"github.com/tsgo/tsgo/pkg/vision"
)

// photograph returns a photograph of 500x375 pixels, and as a JPEG.
func photograph(b *testing.B) (image.Image, []byte) {
	b.Helper()
	data, err := os.ReadFile("../../samples/coffee.jpg")
	if err != nil {
		b.Fatal(err)
	}
	img, err := vision.Decode(data, 0)
	if err != nil {
		b.Fatal(err)
	}
	img = img.(*image.RGBA).SubImage(image.Rect(50, 20, 550, 395))
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	return img, out.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	_, data := photograph(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := vision.Decode(data, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	img, _ := photograph(b)
	for _, filter := range []vision.Interpolation{vision.Bilinear, vision.Bicubic} {
		opts := vision.ImageNet()
		opts.Interpolation = filter
		tr, err := vision.New(opts)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(filter), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tr.Apply(img); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTensor(b *testing.B) {
	_, data := photograph(b)
	for _, filter := range []vision.Interpolation{vision.Bilinear, vision.Bicubic} {
		opts := vision.ImageNet()
		opts.Interpolation = filter
		tr, err := vision.New(opts)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(filter), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tr.Tensor(b.Context(), data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
