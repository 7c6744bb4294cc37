package vision

// pixels is a picture that can be read by rows. It must not be used by two goroutines at once.
type pixels interface {
	size() (width, height int)
	channels() int // 1 for grey, 3 for RGB
	// row writes pixels left to right-1 of row y to dst, channels bytes each.
	row(dst []uint8, y, left, right int)
}

// scratch is the memory that resampling needs besides its result. It may be used again.
type scratch struct {
	across, down kernel
	source       []uint8 // a source row, as far as it is needed
	lanes        []lanes // the same, as acrossRGB wants it
	ring         []uint8 // the last few rows before they are resized down
	line, last   []uint8 // a row after that, and a row of the result
	sums         []int32 // a row being added up
}

// resampler resizes a picture row by row and computes only the part that is asked for. Either each source row is resized
// across as soon as it is needed, and then the rows down; or the source rows are resized down, and then each row across.
type resampler struct {
	*scratch
	src       pixels
	channels  int // bytes a pixel
	downFirst bool
	width     int // bytes a row in the ring
	rows      int // rows in the ring
}

// resample resizes src as g says and hands each row of the part of the tensor that src covers to emit, in order.
func (s *scratch) resample(src pixels, g geometry, f filter, emit func(y int, line []uint8)) {
	width, height := src.size()
	part := g.inside()
	s.across.set(f, width, g.width, part.Min.X, part.Max.X)
	s.down.set(f, height, g.height, part.Min.Y, part.Max.Y)
	r := resampler{scratch: s, src: src, channels: src.channels(), rows: s.down.taps}
	r.downFirst = downFirst(width, height, g)
	from, to := s.across.bounds()
	s.source = sized(s.source, (to-from)*r.channels)
	s.last = sized(s.last, part.Dx()*r.channels)
	r.width = len(s.last)
	if r.downFirst {
		r.width = len(s.source)
	}
	s.ring = sized(s.ring, r.rows*r.width)
	s.line = sized(s.line, r.width)
	s.sums = sized(s.sums, r.width)
	next := 0
	for i := range part.Dy() {
		start := s.down.starts[i]
		for next = max(next, start); next < start+r.rows; next++ {
			r.load(next)
		}
		line := r.column(start, s.down.at(i))
		if r.downFirst {
			r.resizeAcross(s.last, line)
			line = s.last
		}
		emit(i, line)
	}
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

// at returns the place of source row y in the ring.
func (r *resampler) at(y int) []uint8 {
	i := y % r.rows * r.width
	return r.ring[i : i+r.width]
}

// load puts source row y into the ring, resized across unless that comes later.
func (r *resampler) load(y int) {
	from, to := r.across.bounds()
	if r.downFirst || r.across.same {
		r.src.row(r.at(y), y, from, to)
		return
	}
	r.src.row(r.source, y, from, to)
	r.resizeAcross(r.at(y), r.source)
}

// resizeAcross resizes the part of a row that is needed.
func (r *resampler) resizeAcross(dst, src []uint8) {
	from, _ := r.across.bounds()
	if r.channels == 1 {
		acrossGrey(dst, src, &r.across, from)
		return
	}
	r.lanes = sized(r.lanes, len(src)/3)
	pack(r.lanes, src)
	acrossRGB(dst, r.lanes, &r.across, from)
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

// column returns the sum of the rows in the ring from start on, weighted.
func (r *resampler) column(start int, weights []int64) []uint8 {
	if len(weights) == 1 { // of one: nothing is resized, or to the nearest
		return r.at(start)
	}
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
	finish(r.line, sums, rows, last)
	return r.line
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
