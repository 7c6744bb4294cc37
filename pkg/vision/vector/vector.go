// Package vector adds up weighted pixels with the processor's vector instructions: the inner loops of package vision, which
// has them in Go too, bit for bit the same. It has instructions for amd64 with AVX2, on Linux and macOS, and needs a C
// compiler; where they are missing, at build time or on the processor, [Available] says so, and nothing else may be called.
package vector

// Rows are rows of pixels without gaps.
type Rows struct {
	Pixels []uint8
	Width  int // bytes a row
	First  int // the source row that they begin with
}

// Kernel says what pixels along one axis are made of: each of Taps source pixels, from its own start on.
type Kernel struct {
	Taps    int
	Starts  []int   // of each pixel
	Weights []int64 // Taps a pixel, with 22 fractional bits; without their signs they come to less than 2
}
