package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// inFixedBatches returns s itself when its batch dimension is free, and otherwise a session that takes any number of rows
// and runs them in chunks of the fixed size, the last one padded.
func inFixedBatches(s engine.Session) engine.Session {
	signature := s.Signature()
	size := fixedBatch(signature.Inputs)
	if size <= 0 || fixedBatch(signature.Outputs) != size {
		return s
	}
	return fixed{Session: s, size: size, signature: engine.Signature{
		Inputs: freed(signature.Inputs), Outputs: freed(signature.Outputs), Metadata: signature.Metadata,
	}}
}

// fixedBatch returns the size of axis 0 that all values share, or 0.
func fixedBatch(values []engine.Value) int64 {
	size := int64(0)
	for _, v := range values {
		if len(v.Shape) == 0 || v.Shape[0].Size <= 0 || size > 0 && v.Shape[0].Size != size {
			return 0
		}
		size = v.Shape[0].Size
	}
	return size
}

// freed returns the values with a free axis 0.
func freed(values []engine.Value) []engine.Value {
	free := slices.Clone(values)
	for i := range free {
		free[i].Shape = slices.Clone(free[i].Shape)
		free[i].Shape[0] = engine.Dim{Size: -1, Name: "batch"}
	}
	return free
}

type fixed struct {
	engine.Session
	size      int64
	signature engine.Signature
}

func (f fixed) Signature() engine.Signature { return f.signature }

func (f fixed) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	if err := f.signature.Check(in); err != nil {
		return nil, err
	}
	total, err := rowsOf(in)
	if err != nil {
		return nil, err
	}
	if total == f.size {
		return f.Session.Run(ctx, in, want...)
	}
	var outs []tensor.Named
	for from := int64(0); from < total; from += f.size {
		out, err := f.chunk(ctx, in, from, min(from+f.size, total), want)
		if err != nil {
			return nil, err
		}
		outs = append(outs, out)
	}
	whole, _, err := tensor.Stack(outs)
	return whole, err
}

// chunk runs rows from to to-1, with the last one repeated up to the fixed size.
func (f fixed) chunk(ctx context.Context, in tensor.Named, from, to int64, want []string) (tensor.Named, error) {
	part, err := in.Rows(from, to)
	if err != nil {
		return nil, err
	}
	parts := []tensor.Named{part}
	for range f.size - (to - from) {
		last, err := in.Rows(to-1, to)
		if err != nil {
			return nil, err
		}
		parts = append(parts, last)
	}
	padded, _, err := tensor.Stack(parts)
	if err != nil {
		return nil, err
	}
	out, err := f.Session.Run(ctx, padded, want...)
	if err != nil {
		return nil, err
	}
	return out.Rows(0, to-from)
}

func rowsOf(in tensor.Named) (int64, error) {
	rows := int64(0)
	for name, t := range in {
		n := t.Shape()[0]
		if n == 0 || rows > 0 && n != rows {
			return 0, fmt.Errorf("%w: input %q has %d rows, want as many as the others and at least one", fault.Invalid, name, n)
		}
		rows = n
	}
	return rows, nil
}
