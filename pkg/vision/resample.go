package vision

import "github.com/tsgo/tsgo/pkg/vision/vector"

// pixels is a picture that can be read by rows. It must not be used by two goroutines at once.
type pixels interface {
	size() (width, height int)
	channels() int // 1 for grey, 3 for RGB
	// row writes pixels left to right-1 of row y to dst, channels bytes each.
	row(dst []uint8, y, left, right int)
}

// scratch is the memory that making a tensor of a picture needs besides the tensor. It may be used again.
type scratch struct {
	memory
	across, down kernel
	source       []uint8 // a strip of source rows, as far as they are needed
	rows         []uint8 // the rows that are resized down next
	lines        []uint8 // a strip of the result, after the first pass where that goes down
	last         []uint8 // a strip of the result, where the first pass goes down
	lanes        []lanes // a source row as acrossRGB wants it
	sums         []int32 // a row being added up
	vectors      vector.Weights
	scalar       bool // the processor's vector instructions are not used
}

// strip is how many rows are read at once, at most, and how many are resized in one call.
const strip = 32

// resampler resizes a picture strip by strip and computes only the part that is asked for. Either each source row is
// resized across as soon as it is needed, and then the rows down; or the source rows are resized down, and then each row
// across.
type resampler struct {
	*scratch
	src       pixels
	channels  int // bytes a pixel
	downFirst bool
	wide      bool // vector instructions are used
	width     int  // bytes of each of the rows
	first     int  // the source row that the rows begin with
	loaded    int  // the source row behind their last one
}

// resample resizes src as g says and hands each row of the part of the tensor that src covers to emit, in order.
func (s *scratch) resample(src pixels, g geometry, f filter, emit func(y int, line []uint8)) {
	width, height := src.size()
	part := g.inside()
	s.across.set(f, width, g.width, part.Min.X, part.Max.X)
	s.down.set(f, height, g.height, part.Min.Y, part.Max.Y)
	r := resampler{scratch: s, src: src, channels: src.channels(), downFirst: downFirst(width, height, g), wide: !s.scalar && vector.Available()}
	out := part.Dx() * r.channels
	r.prepare(out)
	for from := 0; from < part.Dy(); {
		to := r.reach(from)
		r.load(to)
		lines := r.resizeDown(from, to)
		if r.downFirst {
			r.resizeAcross(r.last, lines, to-from)
			lines = r.last
		}
		for i := range to - from {
			emit(from+i, lines[i*out:(i+1)*out])
		}
		from = to
	}
}

// prepare makes room for rows of the result of so many bytes.
func (r *resampler) prepare(out int) {
	from, to := r.across.bounds()
	source := (to - from) * r.channels
	r.width = out
	if r.downFirst {
		r.width = source
		r.last = sized(r.last, strip*out)
	}
	r.source = sized(r.source, strip*source+vector.Overread)
	r.rows = sized(r.rows, (r.down.taps+strip)*r.width+vector.Overread)
	r.lines = sized(r.lines, strip*r.width+vector.Overread)
	r.sums = sized(r.sums, r.width)
	r.first = r.down.starts[0]
	r.loaded = r.first
	if r.wide {
		r.vectors.Set(r.across.vector(), r.down.vector())
	}
}

// reach returns the row of the result up to which the rows have room for what the rows from row from on are made of.
func (r *resampler) reach(from int) int {
	to := from + 1
	for to < len(r.down.starts) && to-from < strip && r.down.starts[to]-r.down.starts[from] <= strip {
		to++
	}
	return to
}

// downFirst tells whether the first of the two passes goes down. The order shows: pixels are rounded in between. Since
// version 13 Pillow goes down first when the height loses more than twice as many pixels as the width.
func downFirst(width, height int, g geometry) bool {
	return height-g.height > 2*max(width-g.width, 0)
}

// sized returns a slice of n elements, buf when it is large enough. What it holds is undefined.
func sized[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n)
	}
	return buf[:n]
}

// load reads the source rows that the rows of the result before row to are made of, resized across unless that comes
// later. Of those that are there it keeps what is still needed.
func (r *resampler) load(to int) {
	end := r.down.starts[to-1] + r.down.taps
	if first := end - r.down.taps - strip; first > r.first {
		if first < r.loaded {
			copy(r.rows, r.rows[(first-r.first)*r.width:(r.loaded-r.first)*r.width])
		}
		r.first, r.loaded = first, max(first, r.loaded)
	}
	from, right := r.across.bounds()
	width := (right - from) * r.channels
	direct := r.downFirst || r.across.same
	for r.loaded < end {
		n := min(strip, end-r.loaded)
		dst := r.rows[(r.loaded-r.first)*r.width:]
		strip := r.source
		if direct {
			strip = dst
		}
		for i := range n {
			r.src.row(strip[i*width:(i+1)*width], r.loaded+i, from, right)
		}
		if !direct {
			r.resizeAcross(dst, strip, n)
		}
		r.loaded += n
	}
}

// resizeAcross resizes n rows, the part of each that is needed.
func (r *resampler) resizeAcross(dst, src []uint8, n int) {
	from, to := r.across.bounds()
	in, out := (to-from)*r.channels, len(r.across.starts)*r.channels
	if r.wide && r.channels == 3 {
		r.vectors.Across(dst, src, in, n)
		return
	}
	for i := range n {
		dst, src := dst[i*out:(i+1)*out], src[i*in:(i+1)*in]
		if r.channels == 1 {
			acrossGrey(dst, src, &r.across, from)
			continue
		}
		r.lanes = sized(r.lanes, len(src)/3)
		pack(r.lanes, src)
		acrossRGB(dst, r.lanes, &r.across, from)
	}
}

// acrossGrey resizes a row of grey pixels, the first of which is number from.
func acrossGrey(dst, src []uint8, k *kernel, from int) {
	for i, start := range k.starts {
		weights := k.at(i)
		run := src[start-from:][:len(weights)]
		sum := int32(half)
		for j, w := range weights {
			sum += int32(w) * int32(run[j])
		}
		dst[i] = clip(sum)
	}
}

// lanes is an RGB pixel to multiply: red and blue at once, 32 bits apart, and green. The upper lane of a sum of products
// is one less than it should be when the lower one is negative.
type lanes struct{ redBlue, green int64 }

func pack(dst []lanes, src []uint8) {
	for i := range dst {
		pixel := src[3*i : 3*i+3 : 3*i+3]
		dst[i] = lanes{int64(pixel[0]) | int64(pixel[2])<<32, int64(pixel[1])}
	}
}

// acrossRGB resizes a row of RGB pixels, the first of which is number from.
func acrossRGB(dst []uint8, src []lanes, k *kernel, from int) {
	for i, start := range k.starts {
		weights := k.at(i)
		run := src[start-from:][:len(weights)]
		redBlue, green := int64(half|half<<32), int64(half)
		for j, w := range weights {
			redBlue += w * run[j].redBlue
			green += w * run[j].green
		}
		red := int32(redBlue)
		blue := int32((redBlue - int64(red)) >> 32)
		pixel := dst[3*i : 3*i+3 : 3*i+3]
		pixel[0], pixel[1], pixel[2] = clip(red), clip(int32(green)), clip(blue)
	}
}

// resizeDown returns rows from to to-1 of the result of going down, in memory that the next call uses again.
func (r *resampler) resizeDown(from, to int) []uint8 {
	if r.down.taps == 1 && to-from == r.down.starts[to-1]-r.down.starts[from]+1 { // nothing is resized
		return r.rows[(r.down.starts[from]-r.first)*r.width:]
	}
	if r.wide {
		r.vectors.Down(r.lines, vector.Rows{Pixels: r.rows, Width: r.width, First: r.first}, from, to)
		return r.lines
	}
	for i := from; i < to; i++ {
		r.column(r.lines[(i-from)*r.width:][:r.width], r.down.starts[i], r.down.at(i))
	}
	return r.lines
}

// at returns source row y, as it is among the rows.
func (r *resampler) at(y int) []uint8 { return r.rows[(y-r.first)*r.width:][:r.width] }

// column writes the weighted sum of the rows from start on to dst.
func (r *resampler) column(dst []uint8, start int, weights []int64) {
	sums := r.sums
	for i := range sums {
		sums[i] = half
	}
	for len(weights) > 4 {
		four := [4]int32{int32(weights[0]), int32(weights[1]), int32(weights[2]), int32(weights[3])}
		add(sums, r.four(start), four)
		start, weights = start+4, weights[4:]
	}
	var last [4]int32
	rows := [4][]uint8{r.at(start), r.at(start), r.at(start), r.at(start)} // where there are fewer, they weigh nothing
	for i, w := range weights {
		last[i], rows[i] = int32(w), r.at(start+i)
	}
	finish(dst, sums, rows, last)
}

func (r *resampler) four(y int) [4][]uint8 {
	return [4][]uint8{r.at(y), r.at(y + 1), r.at(y + 2), r.at(y + 3)}
}

// add adds four weighted rows to sums.
func add(sums []int32, rows [4][]uint8, weights [4]int32) {
	n := len(sums)
	a, b, c, d := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	for i := range sums {
		sums[i] += weights[0]*int32(a[i]) + weights[1]*int32(b[i]) + weights[2]*int32(c[i]) + weights[3]*int32(d[i])
	}
}

// finish adds four weighted rows to sums and writes the result, as pixels, to dst.
func finish(dst []uint8, sums []int32, rows [4][]uint8, weights [4]int32) {
	n := len(dst)
	a, b, c, d := rows[0][:n], rows[1][:n], rows[2][:n], rows[3][:n]
	sums = sums[:n]
	for i := range dst {
		dst[i] = clip(sums[i] + weights[0]*int32(a[i]) + weights[1]*int32(b[i]) + weights[2]*int32(c[i]) + weights[3]*int32(d[i]))
	}
}

// clip returns a sum of weighted pixels as a pixel.
func clip(sum int32) uint8 {
	v := sum >> precision
	if uint32(v) > 255 {
		v = ^(v >> 31) // all ones above, zero below
	}
	return uint8(v)
}
