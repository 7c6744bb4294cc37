package vision

import (
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/vision/vector"
)

// kernel says, for each pixel of a resized row or column, which source pixels it is made of and with what weights.
type kernel struct {
	same    bool    // nothing is resized: each pixel is one source pixel, and its neighbour the next
	taps    int     // source pixels a pixel
	starts  []int   // the first source pixel of each pixel
	weights []int64 // taps of them a pixel; an int32 each, widened for who multiplies two pixels at once

	counts []int     // while it is set: the source pixels of each pixel that have a weight
	exact  []float64 // while it is set: the weights of a pixel
}

// precision is the number of fractional bits of a weight. 8 bits of a pixel and two for the sum of weights, which may
// pass 1 for a while, fill up 32.
const (
	precision = 32 - 8 - 2
	one       = 1 << precision
	half      = 1 << (precision - 1)
)

// at returns the weights of pixel i.
func (k *kernel) at(i int) []int64 { return k.weights[i*k.taps:][:k.taps] }

// vector returns the kernel as package vector takes it.
func (k *kernel) vector() vector.Kernel {
	return vector.Kernel{Taps: k.taps, Starts: k.starts, Weights: k.weights}
}

// bounds returns the source pixels that are read at all.
func (k *kernel) bounds() (from, to int) { return k.starts[0], k.starts[len(k.starts)-1] + k.taps }

// set computes the pixels from to to-1 of a side that is resized from in to out pixels.
func (k *kernel) set(f filter, in, out, from, to int) {
	k.starts, k.weights, k.same = k.starts[:0], k.weights[:0], in == out
	switch {
	case k.same:
		k.taps = 1
		for i := from; i < to; i++ {
			k.single(i)
		}
	case f.weigh == nil:
		k.taps = 1
		step := float64(in) / float64(out)
		at := step * 0.5
		for i := range to { // added up, not multiplied: the rounding is Pillow's
			if i >= from {
				k.single(min(int(at), in-1))
			}
			at += step
		}
	default:
		k.convolve(f, in, out, from, to)
	}
}

func (k *kernel) single(start int) {
	k.starts = append(k.starts, start)
	k.weights = append(k.weights, one)
}

// convolve computes the weights of a filter that widens as the side shrinks.
func (k *kernel) convolve(f filter, in, out, from, to int) {
	scale := float64(in) / float64(out)
	widen := max(scale, 1)
	support := f.support * widen
	k.taps = int(math.Ceil(support))*2 + 1
	k.exact = sized(k.exact, k.taps)
	k.counts = k.counts[:0]
	for i := from; i < to; i++ {
		center := (float64(i) + 0.5) * scale
		first := max(int(center-support+0.5), 0)
		count := min(int(center+support+0.5), in) - first
		exact := k.exact[:count]
		sum := 0.0
		for x := range exact {
			exact[x] = f.weigh((float64(x+first) - center + 0.5) * (1 / widen))
			sum += exact[x]
		}
		at := len(k.weights)
		k.weights = append(k.weights, make([]int64, k.taps)...)
		for x, w := range exact {
			if sum != 0 {
				w /= sum
			}
			k.weights[at+x] = fixed(w)
		}
		for count > 1 && k.weights[at+count-1] == 0 {
			count--
		}
		k.starts, k.counts = append(k.starts, first), append(k.counts, count)
	}
	k.even(in)
}

// even gives every pixel the same number of source pixels, none beyond the side, by weights of zero: loops over them are
// then as long each time, which processors foresee.
func (k *kernel) even(in int) {
	taps := slices.Max(k.counts)
	for i, start := range k.starts {
		old, even := k.weights[i*k.taps:][:k.counts[i]], k.weights[i*taps:][:taps]
		k.starts[i] = min(start, in-taps)
		shift := start - k.starts[i]
		copy(even[shift:], old) // towards the front, so that nothing still needed is overwritten
		clear(even[:shift])
		clear(even[shift+len(old):])
	}
	k.taps, k.weights = taps, k.weights[:len(k.starts)*taps]
}

// fixed returns w with precision fractional bits, rounded half away from zero.
func fixed(w float64) int64 {
	if w < 0 {
		return int64(float64(w*one) - 0.5)
	}
	return int64(float64(w*one) + 0.5)
}

// filter is a filter's weight by distance, and the distance from which it is zero. A filter without weights takes the
// nearest pixel.
type filter struct {
	support float64
	weigh   func(x float64) float64
}

func filterOf(i Interpolation) filter {
	switch i {
	case Bicubic:
		return filter{2, bicubic}
	case Box:
		return filter{0.5, box}
	case Lanczos:
		return filter{3, lanczos}
	case Nearest:
		return filter{}
	case Bilinear:
	}
	return filter{1, bilinear}
}

func bilinear(x float64) float64 { return max(1-math.Abs(x), 0) }

func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

// bicubic is Keys' cubic convolution with a = -0.5. The conversions keep each step rounded on processors that would
// fuse a product and a sum.
func bicubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(float64(x-5)*x)+8)*x)-4) * a
	}
	return 0
}

func lanczos(x float64) float64 {
	if x >= -3 && x < 3 {
		return sinc(x) * sinc(x/3)
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}
