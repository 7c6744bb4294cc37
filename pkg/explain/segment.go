package explain

import "math"

// segmentation is the inputs cut into segments that are on, the input's, or off, the baseline's.
type segmentation struct {
	of    []int // by element of the vector: its segment
	sizes []int // by segment: its elements
}

// segmented cuts every input into segments, at most so many each.
func (t *task) segmented(most int) segmentation {
	s := segmentation{of: make([]int, len(t.x))}
	for _, p := range t.parts {
		labels, n := segments(t.x[p.from:p.to], p.grid, most)
		first := len(s.sizes)
		s.sizes = append(s.sizes, make([]int, n)...)
		for c := range p.grid.channels {
			for cell, label := range labels {
				s.of[p.from+p.grid.index(c, cell)] = first + label
				s.sizes[first+label]++
			}
		}
	}
	return s
}

// point returns the input with the segments that are off replaced by the baseline's.
func (s segmentation) point(x, b []float64, on []bool) []float64 {
	point := make([]float64, len(x))
	for k, segment := range s.of {
		if on[segment] {
			point[k] = x[k]
		} else {
			point[k] = b[k]
		}
	}
	return point
}

// segments cuts the cells of one input into at most so many segments: each cell alone where they suffice, runs of equal
// length along one axis, and otherwise patches of like values. It returns each cell's segment, and how many there are.
func segments(x []float64, g grid, most int) (labels []int, n int) {
	labels = make([]int, g.cells())
	switch {
	case len(labels) <= most:
		for i := range labels {
			labels[i] = i
		}
		return labels, len(labels)
	case len(g.dims) == 1:
		for i := range labels {
			labels[i] = i * most / len(labels)
		}
		return labels, most
	}
	return slic(x, g, most)
}

const (
	slicRounds = 10
	slicSpace  = 0.2 // how much lying a whole step apart counts, beside values from 0 to 1
)

// slic cuts a picture, or a volume, into patches of about equal size that follow its edges: k-means over values and
// places, each centre looking no further than a step around it (Achanta et al. 2012, doi:10.1109/TPAMI.2012.120).
func slic(x []float64, g grid, most int) (labels []int, n int) {
	s := newSlic(x, g, most)
	for range slicRounds {
		s.assign()
		s.move()
	}
	s.assign()
	return numbered(s.labels)
}

// slicer is the state of slic.
type slicer struct {
	grid    grid
	step    float64
	values  []float64   // by cell and channel, from 0 to 1
	centres [][]float64 // the values by channel, then the place by axis
	labels  []int       // by cell: its centre
	nearest []float64   // by cell: how far that is
}

// newSlic puts the centres on a regular grid of at most so many.
func newSlic(x []float64, g grid, most int) *slicer {
	cells := g.cells()
	s := &slicer{
		grid: g, step: math.Pow(float64(cells)/float64(most), 1/float64(len(g.dims))),
		values: make([]float64, 0, len(x)), labels: make([]int, cells), nearest: make([]float64, cells),
	}
	low, high := x[0], x[0]
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	for cell := range cells {
		for c := range g.channels {
			s.values = append(s.values, (x[g.index(c, cell)]-low)/max(high-low, math.SmallestNonzeroFloat64))
		}
	}
	counts := s.counts()
	for product(counts) > most { // an axis shorter than a step has one centre all the same
		s.step *= 1.05
		counts = s.counts()
	}
	for i := range product(counts) {
		s.centres = append(s.centres, s.at(place(i, counts, g.dims)))
	}
	return s
}

// counts returns how many centres fit along each axis.
func (s *slicer) counts() []int {
	counts := make([]int, len(s.grid.dims))
	for i, dim := range s.grid.dims {
		counts[i] = max(1, int(float64(dim)/s.step+1e-9))
	}
	return counts
}

// place returns where centre i of a regular grid lies.
func place(i int, counts, dims []int) []float64 {
	at := make([]float64, len(dims))
	for axis := len(dims) - 1; axis >= 0; axis-- {
		at[axis] = (float64(i%counts[axis])+0.5)*float64(dims[axis])/float64(counts[axis]) - 0.5
		i /= counts[axis]
	}
	return at
}

// at returns a centre at a place, with the values there.
func (s *slicer) at(where []float64) []float64 {
	cell := 0
	for axis, dim := range s.grid.dims {
		cell = cell*dim + int(where[axis]+0.5)
	}
	channels := s.grid.channels
	return append(append([]float64{}, s.values[cell*channels:(cell+1)*channels]...), where...)
}

// assign gives each cell to the nearest centre. The first time round all centres that there are reach every cell.
func (s *slicer) assign() {
	for i := range s.nearest {
		s.nearest[i] = math.Inf(1)
	}
	channels, dims := s.grid.channels, s.grid.dims
	last := len(dims) - 1
	for label, centre := range s.centres {
		w := s.around(centre[channels:])
		for start, n := range w.runs(dims) {
			far := s.apart(start, centre[channels:], last)
			for cell := start; cell < start+n; cell++ {
				along := (float64(w.from[last]+cell-start) - centre[channels+last]) / s.step
				d := slicSpace * slicSpace * (far + along*along)
				for c, v := range s.values[cell*channels : (cell+1)*channels] {
					d += (v - centre[c]) * (v - centre[c])
				}
				if d < s.nearest[cell] {
					s.nearest[cell], s.labels[cell] = d, label
				}
			}
		}
	}
}

// apart returns the squared distance, in steps, of a cell from a place along the first axes.
func (s *slicer) apart(cell int, where []float64, axes int) float64 {
	sum := 0.0
	cell /= s.grid.dims[axes]
	for axis := axes - 1; axis >= 0; axis-- {
		d := (float64(cell%s.grid.dims[axis]) - where[axis]) / s.step
		sum += d * d
		cell /= s.grid.dims[axis]
	}
	return sum
}

// around returns the cells that a centre looks at: two steps to each side, so that the windows of all cover everything.
func (s *slicer) around(where []float64) window {
	w := window{make([]int, len(where)), make([]int, len(where))}
	for axis, dim := range s.grid.dims {
		w.from[axis] = max(0, int(where[axis]-2*s.step))
		w.to[axis] = min(dim, int(where[axis]+2*s.step)+2)
	}
	return w
}

// move puts each centre in the middle of its cells; one without cells stays.
func (s *slicer) move() {
	channels, dims := s.grid.channels, s.grid.dims
	counts := make([]float64, len(s.centres))
	sums := make([][]float64, len(s.centres))
	for i, centre := range s.centres {
		sums[i] = make([]float64, len(centre))
	}
	for cell, label := range s.labels {
		counts[label]++
		sum := sums[label]
		for c, v := range s.values[cell*channels : (cell+1)*channels] {
			sum[c] += v
		}
		rest := cell
		for axis := len(dims) - 1; axis >= 0; axis-- {
			sum[channels+axis] += float64(rest % dims[axis])
			rest /= dims[axis]
		}
	}
	for i, sum := range sums {
		for k := range sum {
			if counts[i] > 0 {
				s.centres[i][k] = sum[k] / counts[i]
			}
		}
	}
}

// numbered numbers labels from zero on, in the order in which they come.
func numbered(labels []int) ([]int, int) {
	numbers := map[int]int{}
	for i, label := range labels {
		number, ok := numbers[label]
		if !ok {
			number = len(numbers)
			numbers[label] = number
		}
		labels[i] = number
	}
	return labels, len(numbers)
}
