package vision_test

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// TestVectors resizes random pictures, of extreme pixels among others, from and to random sizes with every filter, by
// vector instructions and without, and compares bit for bit. Where this machine has no such instructions it compares
// equal code.
func TestVectors(t *testing.T) {
	t.Parallel()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	filters := []vision.Interpolation{vision.Bilinear, vision.Bicubic, vision.Lanczos, vision.Box, vision.Nearest}
	for n := range 300 {
		img := randomPicture(random)
		opts := vision.Options{
			Size: vision.Size{Width: 1 + random.IntN(60), Height: 1 + random.IntN(60)}, DType: vision.Uint8,
			ResizeRule: vision.ResizeStretch, Crop: vision.CropNone, Interpolation: filters[n%len(filters)],
		}
		wide, err := vision.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		want, got := pixelsOf(t, vision.WithoutVectors(wide), img), pixelsOf(t, wide, img)
		if !bytes.Equal(want, got) {
			t.Fatalf("seed %d, picture %d: %v of %v to %v differ", seed, n, opts.Interpolation, img.Bounds().Size(), opts.Size)
		}
	}
}

// randomPicture returns a picture of up to 90 pixels a side, grey or in colour, as noise or in black and white.
func randomPicture(random *rand.Rand) image.Image {
	bounds := image.Rect(0, 0, 1+random.IntN(90), 1+random.IntN(90))
	fill := func(pix []uint8) {
		extreme := random.IntN(2) == 0
		for i := range pix {
			pix[i] = uint8(random.Uint32())
			if extreme {
				pix[i] = -(pix[i] & 1)
			}
		}
	}
	if random.IntN(4) == 0 {
		img := image.NewGray(bounds)
		fill(img.Pix)
		return img
	}
	img := image.NewNRGBA(bounds)
	fill(img.Pix)
	return img
}

func pixelsOf(t *testing.T, tr *vision.Transform, img image.Image) []uint8 {
	t.Helper()
	out, err := tr.Apply(img)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tensor.Data[uint8](out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
