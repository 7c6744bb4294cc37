// Package enginetest is an [engine.Session] computed by a Go function, for tests that need a network but no runtime.
package enginetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Func computes all of a network's outputs. It is called from many goroutines.
type Func func(in tensor.Named) (tensor.Named, error)

// Fake is a session over a function. It checks its inputs against its signature and its names as a real one does, and is
// safe for concurrent use.
type Fake struct {
	signature engine.Signature
	compute   Func

	mu     sync.RWMutex // held for reading by runs, for writing by Close
	closed bool
}

// New returns a session that answers with compute.
func New(signature engine.Signature, compute Func) *Fake {
	return &Fake{signature: signature, compute: compute}
}

// Opener returns an opener that opens New(signature, compute) whatever the network.
func Opener(signature engine.Signature, compute Func) engine.Opener {
	return func(ctx context.Context, _ engine.Network, _ engine.Options) (engine.Session, error) {
		return New(signature, compute), ctx.Err()
	}
}

// Run computes the wanted outputs.
func (f *Fake) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return nil, fmt.Errorf("run: session is closed: %w", fault.Unavailable)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := f.signature.Check(in); err != nil {
		return nil, err
	}
	for _, name := range want {
		if !slices.ContainsFunc(f.signature.Outputs, func(v engine.Value) bool { return v.Name == name }) {
			return nil, fmt.Errorf("%w: the network has no output %q", fault.Invalid, name)
		}
	}
	all, err := f.compute(in)
	if err != nil {
		return nil, err
	}
	out := make(tensor.Named, len(all))
	for name, t := range all {
		if len(want) == 0 || slices.Contains(want, name) {
			out[name] = t.Clone() // the function may return what it was given
		}
	}
	return out, nil
}

// Signature returns the signature that New was given.
func (f *Fake) Signature() engine.Signature { return f.signature }

// Close ends the session.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}
