package explain

import (
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
)

// regression fits scores as a constant and a coefficient for each feature that is on, by weighted least squares. It keeps
// sums alone, however many observations there are.
type regression struct {
	whole, scores float64     // the weights; the weighted scores
	features      []float64   // by feature: the weights where it is on
	both          [][]float64 // by feature, then by one before it or itself: the weights where both are on
	with          []float64   // by feature: the weighted scores where it is on
}

func newRegression(features int) *regression {
	r := &regression{features: make([]float64, features), with: make([]float64, features), both: make([][]float64, features)}
	for i := range r.both {
		r.both[i] = make([]float64, i+1)
	}
	return r
}

// observe adds an observation: the score with some features on.
func (r *regression) observe(on []bool, score, weight float64) {
	r.whole += weight
	r.scores += weight * score
	for i, here := range on {
		if !here {
			continue
		}
		r.features[i] += weight
		r.with[i] += weight * score
		for j, there := range on[:i+1] {
			if there {
				r.both[i][j] += weight
			}
		}
	}
}

// coefficients returns each feature's coefficient, when ridge times the coefficients' squares is added to what is made
// small. Where the observations do not tell features apart, small coefficients are taken. It returns [fault.Invalid] when
// no observation has any weight.
func (r *regression) coefficients(ridge float64) ([]float64, error) {
	if r.whole <= 0 {
		return nil, fmt.Errorf("%w: width is so small that no sample counts: want a larger one", fault.Invalid)
	}
	a, b := make([][]float64, len(r.both)), make([]float64, len(r.both))
	for i, row := range r.both { // about the means, so that the constant drops out
		a[i] = make([]float64, len(row))
		for j, v := range row {
			a[i][j] = v - r.features[i]*r.features[j]/r.whole
		}
		b[i] = r.with[i] - r.features[i]*r.scores/r.whole
	}
	return ridged(a, b, ridge)
}

// ridged solves (a + ridge) x = b for a symmetric a of which the lower half is given, with as much more ridge as it takes.
func ridged(a [][]float64, b []float64, ridge float64) ([]float64, error) {
	for _, extra := range []float64{0, 1e-9, 1e-6, 1e-3, 1} {
		l := make([][]float64, len(a))
		for i := range a {
			l[i] = append([]float64{}, a[i]...)
			l[i][i] += ridge + extra
		}
		if cholesky(l) {
			return substituted(l, b), nil
		}
	}
	return nil, fmt.Errorf("%w: no linear function fits %d segments", fault.Internal, len(a))
}

// cholesky makes of a symmetric matrix, of which the lower half is given, the lower triangle whose square it is. It tells
// whether the matrix is clearly positive.
func cholesky(a [][]float64) bool {
	for i := range a {
		size := a[i][i]
		for j := range i + 1 {
			sum := a[i][j]
			for k := range j {
				sum -= a[i][k] * a[j][k]
			}
			if j < i {
				a[i][j] = sum / a[j][j]
				continue
			}
			if !(sum > 1e-13*size) || math.IsInf(sum, 0) { // false for what is not a number
				return false
			}
			a[i][i] = math.Sqrt(sum)
		}
	}
	return true
}

// substituted solves l lᵀ x = b.
func substituted(l [][]float64, b []float64) []float64 {
	x := append([]float64{}, b...)
	for i := range x {
		for k := range i {
			x[i] -= l[i][k] * x[k]
		}
		x[i] /= l[i][i]
	}
	for i := len(x) - 1; i >= 0; i-- {
		for k := i + 1; k < len(x); k++ {
			x[i] -= l[k][i] * x[k]
		}
		x[i] /= l[i][i]
	}
	return x
}
