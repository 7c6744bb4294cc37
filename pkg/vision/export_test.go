package vision

import "sync"

// WithoutVectors returns a transform like t that computes without the processor's vector instructions, as it does where
// there are none.
func WithoutVectors(t *Transform) *Transform {
	scalar := *t
	scalar.scratch = &sync.Pool{New: func() any { return &scratch{scalar: true} }}
	return &scalar
}
