package explain

import (
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
)

// The rules of integration.
const (
	ruleGaussLegendre = "gausslegendre"
	ruleLeft          = "riemann_left"
	ruleRight         = "riemann_right"
	ruleMiddle        = "riemann_middle"
	ruleTrapezoid     = "riemann_trapezoid"
)

// rules returns the rules of integration, the default one first.
func rules() []string {
	return []string{ruleGaussLegendre, ruleLeft, ruleRight, ruleMiddle, ruleTrapezoid}
}

// quadrature returns where between 0 and 1 a rule looks, and with which weights, to integrate in that many steps.
func quadrature(rule string, steps int) (alphas, weights []float64, err error) {
	alphas, weights = make([]float64, steps), make([]float64, steps)
	n := float64(steps)
	for i := range weights {
		weights[i] = 1 / n
	}
	switch rule {
	case ruleGaussLegendre:
		legendre(alphas, weights)
	case ruleLeft:
		spread(alphas, 0, n)
	case ruleRight:
		spread(alphas, 1, n)
	case ruleMiddle:
		spread(alphas, 0.5, n)
	case ruleTrapezoid:
		if steps < 2 {
			return nil, nil, fmt.Errorf("%w: steps %d: %s has a step at each end, want at least 2", fault.Invalid, steps, rule)
		}
		spread(alphas, 0, n-1)
		weights[0] /= 2
		weights[steps-1] /= 2
	default:
		return nil, nil, unknown("rule", rule, rules())
	}
	return alphas, weights, nil
}

// spread makes value i (i + offset) / n.
func spread(values []float64, offset, n float64) {
	for i := range values {
		values[i] = (float64(i) + offset) / n
	}
}

// legendre fills in the Gauss-Legendre rule on [0,1]: the zeros of the Legendre polynomial of that degree, found by
// Newton's method from good guesses.
func legendre(alphas, weights []float64) {
	n := len(alphas)
	for i := range n {
		x := math.Cos(math.Pi * (float64(n-i) - 0.25) / (float64(n) + 0.5))
		if 2*i+1 == n {
			x = 0 // the middle one of an odd number, exactly
		}
		slope := 0.0
		for range 20 { // it takes five; each step doubles the digits
			value, derivative := polynomial(n, x)
			slope = derivative
			step := value / derivative
			x -= step
			if math.Abs(step) < 1e-16 {
				break
			}
		}
		alphas[i] = (1 + x) / 2
		weights[i] = 1 / ((1 - x*x) * slope * slope)
	}
}

// polynomial returns the Legendre polynomial of degree n at x, and its derivative; x is neither 1 nor -1.
func polynomial(n int, x float64) (value, derivative float64) {
	before, value := 1.0, x
	for k := 2; k <= n; k++ {
		f := float64(k)
		before, value = value, ((2*f-1)*x*value-(f-1)*before)/f
	}
	return value, float64(n) * (x*value - before) / (x*x - 1)
}
