//go:build cgo && amd64 && (linux || darwin)

package vector

/*
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static int supported(void) { return __builtin_cpu_supports("avx2"); }

// A weight is split: its upper bits and its lower 11. The products of either with a pixel are added up apart, two taps at
// once, and put together at the end, which gives the bits that one multiplication of 32 would.
#define LOW 11
#define PRECISION 22
#define HALF (1 << (PRECISION - 1))

__attribute__((target("avx2"))) static inline __m256i whole(__m256i high, __m256i low) {
	return _mm256_add_epi32(_mm256_slli_epi32(high, LOW), low);
}

// across resizes rows of colour to n pixels each. Four taps of a pixel make a group: for each there are the upper parts of
// the weights, 16 numbers, and then the lower ones. Up to 16 bytes behind the source are read and weigh nothing.
__attribute__((target("avx2"))) static void across(uint8_t *dst, const uint8_t *src, int stride, int rows,
                                                   const int32_t *starts, const int16_t *weights, int n, int groups) {
	const __m128i pairs = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1);
	for (int y = 0; y < rows; y++, src += stride, dst += 3 * n) {
		const int16_t *w = weights;
		for (int i = 0; i < n; i++) {
			const uint8_t *run = src + 3 * starts[i];
			__m256i high = _mm256_setzero_si256(), low = high;
			for (int g = 0; g < groups; g++, run += 12, w += 32) {
				__m128i four = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)run), pairs);
				__m256i pixels = _mm256_cvtepu8_epi16(four);
				high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, _mm256_loadu_si256((const __m256i *)w)));
				low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, _mm256_loadu_si256((const __m256i *)(w + 16))));
			}
			__m256i both = whole(high, low);
			__m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
			sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(HALF)), PRECISION);
			sum = _mm_packs_epi32(sum, sum);
			int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
			memcpy(dst + 3 * i, &pixel, i + 1 < n ? 4 : 3); // the fourth byte is the next pixel's to write
		}
	}
}

// column adds up pairs of rows of n bytes, one behind the other. The weights are pairs too: upper parts, then lower ones.
// The second row of the last pair is not there where odd is set.
__attribute__((target("avx2"))) static void column(uint8_t *dst, const uint8_t *rows, int n, const int32_t *weights,
                                                   int pairs, int odd) {
	const __m256i half = _mm256_set1_epi32(HALF);
	int i = 0;
	for (; i + 16 <= n; i += 16) {
		__m256i high[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}, low[2] = {high[0], high[0]};
		const uint8_t *row = rows + i;
		for (int p = 0; p < pairs; p++, row += 2 * n) {
			__m128i a = _mm_loadu_si128((const __m128i *)row);
			__m128i b = odd && p + 1 == pairs ? a : _mm_loadu_si128((const __m128i *)(row + n));
			__m256i upper = _mm256_set1_epi32(weights[2 * p]), lower = _mm256_set1_epi32(weights[2 * p + 1]);
			__m256i first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
			__m256i second = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
			high[0] = _mm256_add_epi32(high[0], _mm256_madd_epi16(first, upper));
			high[1] = _mm256_add_epi32(high[1], _mm256_madd_epi16(second, upper));
			low[0] = _mm256_add_epi32(low[0], _mm256_madd_epi16(first, lower));
			low[1] = _mm256_add_epi32(low[1], _mm256_madd_epi16(second, lower));
		}
		__m256i first = _mm256_srai_epi32(_mm256_add_epi32(whole(high[0], low[0]), half), PRECISION);
		__m256i second = _mm256_srai_epi32(_mm256_add_epi32(whole(high[1], low[1]), half), PRECISION);
		__m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
		__m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
		_mm_storeu_si128((__m128i *)(dst + i), bytes);
	}
	for (; i < n; i++) {
		uint32_t sum = HALF;
		const uint8_t *row = rows + i;
		for (int p = 0; p < pairs; p++, row += 2 * n) {
			int32_t a = row[0], b = odd && p + 1 == pairs ? 0 : row[n];
			int32_t upper = a * (int16_t)weights[2 * p] + b * (weights[2 * p] >> 16);
			int32_t lower = a * (int16_t)weights[2 * p + 1] + b * (weights[2 * p + 1] >> 16);
			sum += ((uint32_t)upper << LOW) + (uint32_t)lower;
		}
		int32_t v = (int32_t)sum >> PRECISION;
		dst[i] = v < 0 ? 0 : v > 255 ? 255 : v;
	}
}

// down makes rows of n bytes, each of its taps rows from its start on, counted from first.
static void down(uint8_t *dst, const uint8_t *rows, int n, const int32_t *starts, int first, const int32_t *weights,
                 int taps, int out) {
	int pairs = (taps + 1) / 2;
	for (int i = 0; i < out; i++)
		column(dst + (size_t)i * n, rows + (size_t)(starts[i] - first) * n, n, weights + (size_t)i * 2 * pairs, pairs, taps % 2);
}
*/
import "C"

import "unsafe"

// Weights are the weights of a resampling as the instructions take them. The zero value is ready for Set.
type Weights struct {
	starts  []int32 // the first source pixel of each pixel, from the first that is read
	across  []int16 // groups of 32 a pixel
	groups  int     // of four taps
	tops    []int32 // the first source row of each row
	down    []int32 // two a pair of source rows
	columns int     // source rows a row
}

// Overread is how many bytes behind the rows that it is given this package may read.
const Overread = 16

// Available tells whether this processor has the instructions.
func Available() bool { return C.supported() != 0 }

const lowBits = 11

// split returns a weight's upper and lower part.
func split(w int64) (high, low int16) { return int16(w >> lowBits), int16(w & (1<<lowBits - 1)) }

func pair(a, b int16) int32 { return int32(uint32(uint16(a)) | uint32(uint16(b))<<16) }

// Set prepares to resize rows of three bytes a pixel across, which begin with the first pixel that one is made of, and
// any rows down. The kernels have at least one pixel each.
func (v *Weights) Set(across, down Kernel) {
	v.setAcross(across)
	v.setDown(down)
}

func (v *Weights) setAcross(k Kernel) {
	v.groups = (k.Taps + 3) / 4
	v.starts = v.starts[:0]
	v.across = append(v.across[:0], make([]int16, len(k.Starts)*v.groups*32)...)
	for i, start := range k.Starts {
		v.starts = append(v.starts, int32(start-k.Starts[0]))
		for tap, w := range k.Weights[i*k.Taps : (i+1)*k.Taps] {
			high, low := split(w)
			group := v.across[(i*v.groups+tap/4)*32:]
			at := tap%4/2*8 + tap%2 // the first two taps are in the lower half, and neighbours are a pair
			for channel := range 3 {
				group[at+2*channel], group[16+at+2*channel] = high, low
			}
		}
	}
}

func (v *Weights) setDown(k Kernel) {
	v.tops, v.down, v.columns = v.tops[:0], v.down[:0], k.Taps
	for i, start := range k.Starts {
		v.tops = append(v.tops, int32(start))
		weights := k.Weights[i*k.Taps : (i+1)*k.Taps]
		for tap := 0; tap < len(weights); tap += 2 {
			var next int64 // where the number of taps is odd, there is none
			if tap+1 < len(weights) {
				next = weights[tap+1]
			}
			high, low := split(weights[tap])
			nextHigh, nextLow := split(next)
			v.down = append(v.down, pair(high, nextHigh), pair(low, nextLow))
		}
	}
}

// Across resizes n rows of stride bytes each and writes them to dst, without gaps.
func (v *Weights) Across(dst, src []uint8, stride, n int) {
	C.across(bytesAt(dst), bytesAt(src), C.int(stride), C.int(n), (*C.int32_t)(unsafe.SliceData(v.starts)),
		(*C.int16_t)(unsafe.SliceData(v.across)), C.int(len(v.starts)), C.int(v.groups))
}

// Down writes rows from to to-1 of the result, without gaps, to dst.
func (v *Weights) Down(dst []uint8, rows Rows, from, to int) {
	pairs := (v.columns + 1) / 2
	C.down(bytesAt(dst), bytesAt(rows.Pixels), C.int(rows.Width), (*C.int32_t)(unsafe.SliceData(v.tops[from:])), C.int(rows.First),
		(*C.int32_t)(unsafe.SliceData(v.down[from*2*pairs:])), C.int(v.columns), C.int(to-from))
}

func bytesAt(b []uint8) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(b)) }
