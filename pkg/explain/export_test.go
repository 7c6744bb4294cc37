package explain

// Quadrature returns where a rule looks and with which weights.
func Quadrature(rule string, steps int) (alphas, weights []float64, err error) {
	return quadrature(rule, steps)
}

// Segments cuts one row of that shape into segments: each cell's, and how many there are.
func Segments(x []float64, shape []int64, most int) (labels []int, n int) {
	return segments(x, newGrid(shape, ChannelsFirst), most)
}

// GradCAMOf returns the map of each row of a layer, as small as the layer and with what is below zero.
func GradCAMOf(l Layer) ([][]float64, error) {
	shape := l.Activations.Shape()
	activations, gradients, err := l.check(int(shape[0]))
	if err != nil {
		return nil, err
	}
	maps, size := make([][]float64, shape[0]), len(activations)/int(shape[0])
	for i := range maps {
		maps[i] = gradCAM(split(activations[i*size:][:size], int(shape[1])), split(gradients[i*size:][:size], int(shape[1])))
	}
	return maps, nil
}

// KeptFacts keeps what was learned of so many shapes, and refusals, at most where nobody uses them.
func KeptFacts(n *Network, most int) { n.keptFacts = most }

// Kept returns how many things a network keeps.
func Kept(n *Network) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.kept)
}

// CompactAbove makes the gradients of a network that has more than so many bytes of weights the compact ones.
func CompactAbove(n *Network, bytes int64) { n.compactAbove = bytes }
