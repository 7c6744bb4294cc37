package vector_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/tsgo/tsgo/pkg/vision/vector"
)

// pixel is what a weighted sum of pixels comes to.
func pixel(sum int64) uint8 { return uint8(min(max((sum+1<<21)>>22, 0), 255)) }

// randomKernel returns a kernel of so many pixels on a side, some of whose weights are negative. Those of a pixel come to less
// than 2 without their signs, as those of every filter do.
func randomKernel(random *rand.Rand, side, pixels int) vector.Kernel {
	k := vector.Kernel{Taps: 1 + random.IntN(min(side, 13))}
	start := random.IntN(side - k.Taps + 1)
	for i := range pixels {
		if i > 0 {
			start = min(start+random.IntN(3), side-k.Taps)
		}
		k.Starts = append(k.Starts, start)
		for range k.Taps {
			k.Weights = append(k.Weights, (random.Int64N(4<<22)-2<<22)/int64(k.Taps))
		}
	}
	return k
}

// noise returns random bytes, and nothing behind them.
func noise(random *rand.Rand, n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		b[i] = uint8(random.Uint32())
	}
	return b
}

// TestSums compares with plain sums, in memory that is as large as it has to be: what is written behind that is seen here,
// and what is read there with go test -asan.
func TestSums(t *testing.T) {
	t.Parallel()
	if !vector.Available() {
		t.Skip("this processor, or this build, has no vector instructions")
	}
	random := rand.New(rand.NewPCG(1, 2))
	var v vector.Weights
	for range 2000 {
		width, height, rows := 1+random.IntN(70), 1+random.IntN(40), 1+random.IntN(5)
		across, down := randomKernel(random, width, 1+random.IntN(30)), randomKernel(random, height, 1+random.IntN(20))
		v.Set(across, down)
		from := across.Starts[0]
		stride := 3 * (across.Starts[len(across.Starts)-1] + across.Taps - from)
		src := noise(random, rows*stride+vector.Overread)
		dst := make([]uint8, 3*rows*len(across.Starts))
		v.Across(dst, src, stride, rows)
		if want := acrossPlain(src, across, stride, rows); !bytes.Equal(dst, want) {
			t.Fatalf("%d taps, %d rows to %d pixels:\n%d, want\n%d", across.Taps, rows, len(across.Starts), dst, want)
		}
		first, to := random.IntN(len(down.Starts)), 1+random.IntN(len(down.Starts))
		first, to = min(first, to-1), max(first+1, to)
		lines := vector.Rows{Width: 1 + random.IntN(50), First: down.Starts[first]}
		lines.Pixels = noise(random, lines.Width*(down.Starts[to-1]+down.Taps-lines.First))
		dst = make([]uint8, lines.Width*(to-first))
		v.Down(dst, lines, first, to)
		if want := downPlain(lines, down, first, to); !bytes.Equal(dst, want) {
			t.Fatalf("%d taps, rows of %d, %d to %d:\n%d, want\n%d", down.Taps, lines.Width, first, to, dst, want)
		}
	}
}

func acrossPlain(src []uint8, k vector.Kernel, stride, rows int) []uint8 {
	var out []uint8
	for y := range rows {
		for i, start := range k.Starts {
			for channel := range 3 {
				var sum int64
				for tap, w := range k.Weights[i*k.Taps : (i+1)*k.Taps] {
					sum += w * int64(src[y*stride+3*(start-k.Starts[0]+tap)+channel])
				}
				out = append(out, pixel(sum))
			}
		}
	}
	return out
}

func downPlain(rows vector.Rows, k vector.Kernel, from, to int) []uint8 {
	var out []uint8
	for i := from; i < to; i++ {
		for x := range rows.Width {
			var sum int64
			for tap, w := range k.Weights[i*k.Taps : (i+1)*k.Taps] {
				sum += w * int64(rows.Pixels[(k.Starts[i]-rows.First+tap)*rows.Width+x])
			}
			out = append(out, pixel(sum))
		}
	}
	return out
}
