package explain

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// chunkRows is how many rows are scored at once when nothing says otherwise.
const chunkRows = 8

// check returns [fault.Invalid] for a request that no method can answer.
func (r Request) check() error {
	if len(r.Baseline) == 0 {
		return fmt.Errorf("%w: no input has a baseline, so there is nothing to attribute", fault.Invalid)
	}
	for name, t := range r.Input {
		if shape := t.Shape(); len(shape) == 0 || shape[0] != 1 || t.Len() == 0 {
			return fmt.Errorf("%w: input %q is %v, want one row that is not empty", fault.Invalid, name, t)
		}
	}
	for name, b := range r.Baseline {
		t, ok := r.Input[name]
		if !ok || b.DType() != t.DType() || !slices.Equal(b.Shape(), t.Shape()) {
			return fmt.Errorf("%w: the baseline of input %q is %v, the input %v", fault.Invalid, name, b, t)
		}
	}
	return nil
}

// variant is the input with some of it replaced by the baseline: nothing in the zero variant.
type variant struct {
	all    bool   // everything
	input  string // or a window of this input
	window window
}

// plan is the variants of one request, by number.
type plan struct {
	total int
	at    func(i int) variant
	got   func(i int, score float64) // takes the scores, in order
}

// evaluate scores the variants of the request's input, a chunk at a time.
func evaluate(ctx context.Context, f Function, req Request, p plan) error {
	rows := req.Rows
	if rows <= 0 {
		rows = chunkRows
	}
	for done := 0; done < p.total; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := make([]variant, min(rows, p.total-done))
		for i := range chunk {
			chunk[i] = p.at(done + i)
		}
		scores, err := score(ctx, f, req, chunk)
		if err != nil {
			return err
		}
		for i, s := range scores {
			p.got(done+i, s)
		}
		done += len(chunk)
		if req.Progress != nil {
			req.Progress(done, p.total)
		}
	}
	return nil
}

// score scores one chunk.
func score(ctx context.Context, f Function, req Request, chunk []variant) ([]float64, error) {
	rows := make(tensor.Named, len(req.Input))
	for name, t := range req.Input {
		var err error
		if rows[name], err = rowsOf(name, t, req, chunk); err != nil {
			return nil, err
		}
	}
	scores, err := f.Scores(ctx, rows, slices.Repeat([]int{req.Target}, len(chunk)))
	if err != nil {
		return nil, err
	}
	if len(scores) != len(chunk) {
		return nil, fmt.Errorf("%w: %d scores for %d rows", fault.Internal, len(scores), len(chunk))
	}
	return scores, nil
}

// rowsOf returns one input of a chunk, a row for each variant.
func rowsOf(name string, t tensor.Tensor, req Request, chunk []variant) (tensor.Tensor, error) {
	b, attributed := req.Baseline[name]
	if !attributed {
		return repeated(name, t, len(chunk))
	}
	g := newGrid(t.Shape()[1:], req.Layout)
	paint := func(i int) iter.Seq2[int, int] {
		switch v := chunk[i]; {
		case v.all:
			return g.under(g.whole())
		case v.input == name:
			return g.under(v.window)
		}
		return func(func(int, int) bool) {}
	}
	switch t.DType() {
	case tensor.Float64:
		return painted[float64](t, b, len(chunk), paint)
	case tensor.Half:
		return painted[tensor.Float16](t, b, len(chunk), paint)
	case tensor.Brain:
		return painted[tensor.BFloat16](t, b, len(chunk), paint)
	case tensor.Uint8:
		return painted[uint8](t, b, len(chunk), paint)
	case tensor.Float32:
		return painted[float32](t, b, len(chunk), paint)
	case tensor.Undefined, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64, tensor.Uint16, tensor.Uint32,
		tensor.Uint64, tensor.Bool, tensor.String:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: input %q is %v, which cannot be hidden", fault.Invalid, name, t)
}

// under returns the runs of elements that a window covers, in all channels.
func (g grid) under(w window) iter.Seq2[int, int] {
	return func(yield func(from, n int) bool) {
		for cell, n := range w.runs(g.dims) {
			for from, length := range g.elements(cell, n) {
				if !yield(from, length) {
					return
				}
			}
		}
	}
}

// painted returns n copies of row x, where the runs of elements that paint gives for each are b's.
func painted[T tensor.Element](x, b tensor.Tensor, n int, paint func(i int) iter.Seq2[int, int]) (tensor.Tensor, error) {
	from, err := tensor.Data[T](x)
	if err != nil {
		return tensor.Tensor{}, err
	}
	with, err := tensor.Data[T](b)
	if err != nil {
		return tensor.Tensor{}, err
	}
	data := slices.Repeat(from, n)
	for i := range n {
		row := data[i*len(from) : (i+1)*len(from)]
		for start, length := range paint(i) {
			copy(row[start:start+length], with[start:])
		}
	}
	shape := slices.Clone(x.Shape())
	shape[0] = int64(n)
	return tensor.New(shape, data)
}

// repeated returns a row n times, whatever its type.
func repeated(name string, row tensor.Tensor, n int) (tensor.Tensor, error) {
	whole, _, err := tensor.Stack(slices.Repeat([]tensor.Named{{name: row}}, n))
	return whole[name], err
}
