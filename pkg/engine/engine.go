// Package engine says what tsgo asks of a network runtime: to open a network and to run it. It knows no runtime;
// engine/ort keeps this contract with ONNX Runtime, enginetest with a Go function.
package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Session is a network made ready to run. It is safe for concurrent use.
type Session interface {
	// Run computes the wanted outputs, all of them when none is named. The inputs are pinned while it runs and never
	// kept; the outputs are the caller's, and share no memory with them. It returns [fault.Invalid] for inputs or names
	// that do not fit the signature, and the context's error, promptly, when ctx ends.
	Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error)
	// Signature returns the network's inputs and outputs. The caller must not change it.
	Signature() Signature
	// Close waits for the runs under way and gives the memory back. Runs begun later return [fault.Unavailable]. Closing
	// again does nothing.
	Close() error
}

// Signature is what a network takes and gives, in the network's order.
type Signature struct {
	Inputs, Outputs []Value
	Metadata        map[string]string // what the file's author wrote: custom metadata, "producer", "graph" ...
}

// Value is one input or output of a network.
type Value struct {
	Name  string
	DType tensor.DType // Undefined for what is not a tensor
	Shape []Dim
}

// Dim is one dimension of a value.
type Dim struct {
	Size int64  // negative when it is not fixed
	Name string // of a dimension that is not fixed; may be empty
}

// String returns the size, the name, or "?".
func (d Dim) String() string {
	switch {
	case d.Size >= 0:
		return fmt.Sprint(d.Size)
	case d.Name != "":
		return d.Name
	}
	return "?"
}

// String returns name, type and shape, as in "input float32[batch,3,224,224]".
func (v Value) String() string {
	dims := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		dims[i] = d.String()
	}
	return fmt.Sprintf("%s %v[%s]", v.Name, v.DType, strings.Join(dims, ","))
}

// Accepts returns [fault.Invalid] when t cannot be v: another type, another rank, or another size of a fixed dimension.
func (v Value) Accepts(t tensor.Tensor) error {
	fits := t.DType() == v.DType && len(t.Shape()) == len(v.Shape)
	for i := 0; fits && i < len(v.Shape); i++ {
		fits = v.Shape[i].Size < 0 || v.Shape[i].Size == t.Shape()[i]
	}
	if !fits {
		return fmt.Errorf("%w: input %q is %v, the network takes %v", fault.Invalid, v.Name, t, v)
	}
	return nil
}

// Check returns [fault.Invalid] when in is not exactly what the network takes.
func (s Signature) Check(in tensor.Named) error {
	for _, v := range s.Inputs {
		t, ok := in[v.Name]
		if !ok {
			return fmt.Errorf("%w: input %q is missing, the network takes %v", fault.Invalid, v.Name, v)
		}
		if err := v.Accepts(t); err != nil {
			return err
		}
	}
	if len(in) == len(s.Inputs) {
		return nil
	}
	for name := range in {
		if !slices.ContainsFunc(s.Inputs, func(v Value) bool { return v.Name == name }) {
			return fmt.Errorf("%w: the network has no input %q", fault.Invalid, name)
		}
	}
	return nil
}

// Network is what a session is made of: one of the two.
type Network struct {
	Path  string // an ONNX file; external data is looked for beside it
	Bytes []byte // a graph made in memory; not kept once the session is open
}

// Options say how a network is run.
type Options struct {
	IntraOpThreads int          // for one operator; 0: as many as there are cores
	InterOpThreads int          // for operators side by side; 0: one
	Optimization   Optimization // 0: all that the engine has
	Deterministic  bool         // the same bytes for the same input, where the engine has a faster way that does not promise it
}

// Optimization is how much the engine may rewrite the graph.
type Optimization uint8

// The levels of optimization.
const (
	OptimizeAll Optimization = iota
	OptimizeNone
)

// Opener opens a network. It returns [fault.BadModel] when the engine cannot read it, [fault.NotFound] when the file is
// not there, and [fault.Unsupported] when this build has no engine.
type Opener func(ctx context.Context, net Network, opts Options) (Session, error)
