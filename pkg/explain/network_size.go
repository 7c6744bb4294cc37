package explain

import (
	"math"

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
	n, grows := 1.0, false
	for _, d := range dims {
		size, byRow := e.size(d, length)
		n *= size
		grows = grows || byRow
	}
	if !grows {
		return 0
	}
	return n
}

// size returns what one row whose sequences are that long has of a dimension, and whether more rows have more of it.
func (e extents) size(d onnx.Dim, length float64) (size float64, byRow bool) {
	if d.Constant() {
		return float64(d.A), false
	}
	a, b := float64(d.A), float64(d.B)
	one, other := a/float64(e.rows[0]), b/float64(e.rows[1])
	if size, ok := e.along(one, other, length, 0, 1, 2); ok {
		return size, true
	}
	if size, ok := e.along(a, b, length, 1, 2); ok {
		return size, false
	}
	if size, ok := e.straight(a, b, length); ok {
		return size, false
	}
	if size, ok := e.straight(one, other, length); ok {
		return size, true
	}
	power := math.Log(other/one) / math.Log(float64(e.length[1])/float64(e.length[0]))
	return one * math.Pow(length/float64(e.length[0]), power), true
}

// along returns the size for a length where the sizes of the two runs are a multiple of one of the powers of theirs.
func (e extents) along(a, b, length float64, powers ...float64) (float64, bool) {
	for _, p := range powers {
		from, to := math.Pow(float64(e.length[0]), p), math.Pow(float64(e.length[1]), p)
		if a*to == b*from {
			return a / from * math.Pow(length, p), true
		}
	}
	return 0, false
}

// straight returns the size for a length where the sizes of the two runs lie on a line that a padding or a window explains:
// as many elements as tokens, and a few more or less.
func (e extents) straight(a, b, length float64) (float64, bool) {
	slope := (b - a) / float64(e.length[1]-e.length[0])
	more := a - slope*float64(e.length[0])
	if slope <= 0 || more < -3*slope {
		return 0, false
	}
	return max(0, slope*length+more), true
}
