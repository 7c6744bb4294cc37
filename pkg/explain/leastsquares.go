package explain

import (
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
)

// leastSquares fits scores as a constant and a coefficient for each feature that is on, by weighted least squares, with
// ridge times the coefficients' squares added. It returns the coefficients. Where the observations do not tell features
// apart, the smallest coefficients are taken.
func leastSquares(rows []observation, ridge float64) ([]float64, error) {
	n := len(rows[0].on)
	means, mean, whole := make([]float64, n), 0.0, 0.0
	for _, r := range rows {
		whole += r.weight
		mean += r.weight * r.score
		for i, on := range r.on {
			if on {
				means[i] += r.weight
			}
		}
	}
	if whole <= 0 {
		return nil, fmt.Errorf("%w: width is so small that no sample counts: want a larger one", fault.Invalid)
	}
	mean /= whole
	for i := range means {
		means[i] /= whole
	}
	a, b := make([][]float64, n), make([]float64, n)
	for i := range a {
		a[i] = make([]float64, n)
	}
	for _, r := range rows { // about the means, so that the constant drops out
		z := make([]float64, n)
		for i, on := range r.on {
			z[i] = -means[i]
			if on {
				z[i]++
			}
		}
		for i, v := range z {
			b[i] += r.weight * v * (r.score - mean)
			add(a[i][:i+1], z[:i+1], r.weight*v)
		}
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
