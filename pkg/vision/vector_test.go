package vision_test

import (
	"bytes"
	"image"
	"math/rand/v2"
	"os"
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

// TestPartsOfPictures compares what comes of a file, of which no more is decoded than is needed, with what comes of the
// whole picture.
func TestPartsOfPictures(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kitten.jpg", "coffee.jpg", "rocket.jpg"} {
		data, err := os.ReadFile("../../samples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := vision.Decode(data, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, filter := range []vision.Interpolation{vision.Bilinear, vision.Lanczos, vision.Nearest} {
			for _, size := range []int{8, 64, 224, 500} {
				tr, err := vision.New(vision.Options{
					Resize: size + size/3, ResizeRule: vision.ResizeShorter, Size: vision.Size{Width: size, Height: size},
					Crop: vision.CropCenter, Interpolation: filter, DType: vision.Uint8,
				})
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // the second time in memory that was used
					out, err := tr.Tensor(t.Context(), data)
					if err != nil {
						t.Fatal(err)
					}
					got, err := tensor.Data[uint8](out)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(pixelsOf(t, tr, whole), got) {
						t.Errorf("%s to %d by %v is not what comes of all of it", name, size, filter)
					}
				}
			}
		}
	}
}
