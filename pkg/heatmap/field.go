package heatmap

import (
	"image"
	"math"
)

// resized returns the map at another size: a weighted mean of the cells where it shrinks, straight lines between their centres
// where it grows.
func (m Map) resized(width, height int) Map {
	return m.part(width, height, image.Rect(0, 0, width, height))
}

// part returns a part of the map resized to width and height, without making the rest of it.
func (m Map) part(width, height int, visible image.Rectangle) Map {
	columns, lines := visible.Dx(), visible.Dy()
	wide := Map{columns, m.height, make([]float64, columns*m.height)}
	for x := range columns {
		t := tapsOf(visible.Min.X+x, m.width, width)
		for y := range m.height {
			wide.values[y*columns+x] = t.sum(m.values[y*m.width:], 1)
		}
	}
	out := Map{columns, lines, make([]float64, columns*lines)}
	for y := range lines {
		t := tapsOf(visible.Min.Y+y, m.height, height)
		for x := range columns {
			out.values[y*columns+x] = t.sum(wide.values[x:], columns)
		}
	}
	return out
}

// taps are the cells from first on that make one cell of another size, and what each weighs.
type taps struct {
	first   int
	weights []float64
}

func (t taps) sum(values []float64, stride int) float64 {
	sum := 0.0
	for i, w := range t.weights {
		sum += w * values[(t.first+i)*stride]
	}
	return sum
}

// tapsOf returns what cell i of to cells is made of among from cells: a triangle around its centre, as wide as the coarser
// of the two sizes.
func tapsOf(i, from, to int) taps {
	scale := float64(from) / float64(to)
	reach := max(scale, 1)
	centre := (float64(i)+0.5)*scale - 0.5
	t, sum := taps{first: max(0, int(math.Ceil(centre-reach)))}, 0.0
	for k := t.first; k < from && float64(k) <= centre+reach; k++ {
		w := max(0, 1-math.Abs(float64(k)-centre)/reach)
		t.weights = append(t.weights, w)
		sum += w
	}
	for k := range t.weights {
		t.weights[k] /= sum
	}
	return t
}

// smoothness is what the longer side of a map is divided by for the deviation of its smoothing.
const smoothness = 32

// smoothed returns the map blurred by a Gaussian, so that windows show no edges and single cells no noise; the border
// counts as going on.
func (m Map) smoothed() Map {
	sigma := float64(max(m.width, m.height)) / smoothness
	kernel := bell(sigma)
	radius := len(kernel) / 2
	wide := make([]float64, len(m.values))
	for y := range m.height {
		for x := range m.width {
			for k, w := range kernel {
				wide[y*m.width+x] += w * m.values[y*m.width+min(max(x+k-radius, 0), m.width-1)]
			}
		}
	}
	out := Map{m.width, m.height, make([]float64, len(m.values))}
	for y := range m.height {
		for k, w := range kernel {
			line := wide[min(max(y+k-radius, 0), m.height-1)*m.width:]
			for x := range m.width {
				out.values[y*m.width+x] += w * line[x]
			}
		}
	}
	return out
}

// bell returns the weights of a Gaussian, three deviations to each side, that sum to one.
func bell(sigma float64) []float64 {
	radius := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		d := float64(i-radius) / sigma
		kernel[i] = math.Exp(-d * d / 2)
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	return kernel
}
