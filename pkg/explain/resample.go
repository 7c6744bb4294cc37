package explain

import "slices"

// resampled stretches values from a box of from to one of to, linearly along each axis. Cells are areas: the outer edges
// of both boxes meet, and beyond the outermost centres the outermost values go on.
func resampled(values []float64, from, to []int) []float64 {
	dims := slices.Clone(from)
	for axis := range dims {
		if from[axis] == to[axis] {
			continue
		}
		inner, outer := product(dims[axis+1:]), product(dims[:axis])
		out := make([]float64, outer*to[axis]*inner)
		for i := range to[axis] {
			low, high, part := neighbours(i, from[axis], to[axis])
			for o := range outer {
				into := out[(o*to[axis]+i)*inner:][:inner]
				a, b := values[(o*from[axis]+low)*inner:], values[(o*from[axis]+high)*inner:]
				for k := range into {
					into[k] = a[k] + part*(b[k]-a[k])
				}
			}
		}
		values, dims[axis] = out, to[axis]
	}
	return values
}

// neighbours returns the cells of from between which cell i of to lies, and how near it is to the second.
func neighbours(i, from, to int) (low, high int, part float64) {
	at := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
	at = min(max(at, 0), float64(from-1))
	low = int(at)
	return low, min(low+1, from-1), at - float64(low)
}
