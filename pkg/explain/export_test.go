package explain

// Quadrature returns where a rule looks and with which weights.
func Quadrature(rule string, steps int) (alphas, weights []float64, err error) {
	return quadrature(rule, steps)
}

// Segments cuts one row of that shape into segments: each cell's, and how many there are.
func Segments(x []float64, shape []int64, most int) (labels []int, n int) {
	return segments(x, newGrid(shape, ChannelsFirst), most)
}
