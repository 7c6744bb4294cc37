package explain

import (
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// extents are the sizes of the two runs that a network's shapes are learned from.
type extents struct {
	rows   [2]int64
	length [2]int64 // of sequences
}

// rowBytes returns how many bytes the floats of one row take when its sequences are as long as those of input. It is 0 for
// a network whose rows are run one by one: more of them take no more.
func (l *learned) rowBytes(input tensor.Named) int64 {
	if !l.together {
		return 0
	}
	length, sum := l.length(input), 0.0
	for name, dims := range l.facts.Shapes {
		if d := l.facts.Types[name]; d == tensor.Float32 || d == tensor.Float64 {
			sum += l.runs.elements(dims, length) * float64(d.Bytes())
		}
	}
	return int64(min(sum, math.MaxInt64/2))
}

// length returns how long the longest sequence of an input is.
func (l *learned) length(input tensor.Named) float64 {
	longest := int64(0)
	for _, v := range l.graph.Inputs {
		shape := input[v.Name].Shape()
		for i, a := range v.Shape {
			if i > 0 && i < len(shape) && a.Size < 0 && l.sequence(v, a) {
				longest = max(longest, shape[i])
			}
		}
	}
	return float64(longest)
}

// elements returns how many elements of a tensor belong to one row whose sequences are that long: none, where the tensor
// does not grow with the rows.
func (e extents) elements(dims []onnx.Dim, length float64) float64 {
	rows := slices.IndexFunc(dims, func(d onnx.Dim) bool { return d.A != d.B && d.A*e.rows[1] == d.B*e.rows[0] })
	if rows < 0 { // rows and tokens may share an axis
		rows = slices.IndexFunc(dims, e.shared)
	}
	if rows < 0 {
		return 0
	}
	n := 1.0
	for i, d := range dims {
		a, b := float64(d.A), float64(d.B)
		if i == rows {
			a, b = a/float64(e.rows[0]), b/float64(e.rows[1])
		}
		n *= e.size(a, b, length)
	}
	return n
}

// shared tells whether a dimension is that of rows and tokens together, as far as that shows.
func (e extents) shared(d onnx.Dim) bool {
	if d.A%e.rows[0] != 0 || d.B%e.rows[1] != 0 || d.Constant() {
		return false
	}
	_, _, linear := e.line(float64(d.A), float64(d.B))
	return !linear
}

// size returns a dimension for a length, where it was a and b in the two runs: it grows with the length, or with its square.
func (e extents) size(a, b, length float64) float64 {
	if a >= b {
		return a
	}
	if slope, more, ok := e.line(a, b); ok {
		return max(0, slope*length+more)
	}
	slope, more, _ := e.line(math.Sqrt(a), math.Sqrt(b))
	root := max(0, slope*length+more)
	return root * root
}

// line returns the line through the sizes of the two runs, and whether it is likely that of a size which grows with the
// length: some elements a token, less those that a window takes, or more. A square's line is far lower at no tokens.
func (e extents) line(a, b float64) (slope, more float64, likely bool) {
	slope = (b - a) / float64(e.length[1]-e.length[0])
	more = a - slope*float64(e.length[0])
	return slope, more, slope <= 2 || more >= -2*slope
}
