//go:build !(cgo && amd64 && (linux || darwin))

package vector

// Weights are the weights of a resampling as a processor's vector instructions take them, which this build has not.
type Weights struct{}

// Overread is how many bytes behind the rows that it is given this package may read.
const Overread = 0

// Available tells that there are no instructions.
func Available() bool { return false }

// Set does nothing.
func (*Weights) Set(_, _ Kernel) {}

// Across does nothing.
func (*Weights) Across(_, _ []uint8, _, _ int) {}

// Down does nothing.
func (*Weights) Down(_ []uint8, _ Rows, _, _ int) {}
