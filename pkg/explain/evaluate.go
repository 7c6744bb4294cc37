package explain

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

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

// spans are the runs of elements of one row that are hidden: where each starts and how long it is.
type spans = iter.Seq2[int, int]

// nothing is no spans.
func nothing(func(int, int) bool) {}

// plan is the variants of one request's input, by number: in each of them some elements are the baseline's.
type plan struct {
	total  int
	hidden func(i int, input string) spans
	got    func(i int, score float64) // takes the scores, in order
}

// evaluate scores the variants, a chunk at a time.
func evaluate(ctx context.Context, f Function, req Request, p plan) error {
	m := newMeter(req)
	m.total = p.total
	return m.chunks(ctx, p.total, func(from, n int) error {
		scores, err := score(ctx, f, req, n, func(i int, input string) spans { return p.hidden(from+i, input) })
		if err != nil {
			return err
		}
		for i, s := range scores {
			p.got(from+i, s)
		}
		m.count(n)
		return nil
	})
}

// score scores one chunk of n variants.
func score(ctx context.Context, f Function, req Request, n int, hidden func(i int, input string) spans) ([]float64, error) {
	rows := make(tensor.Named, len(req.Input))
	for name, t := range req.Input {
		var err error
		b, attributed := req.Baseline[name]
		if !attributed {
			rows[name], err = repeated(name, t, n)
		} else {
			rows[name], err = variants(t, b, n, func(i int) spans { return hidden(i, name) })
		}
		if err != nil {
			return nil, err
		}
	}
	scores, err := f.Scores(ctx, rows, slices.Repeat([]int{req.Target}, n))
	if err != nil {
		return nil, err
	}
	if len(scores) != n {
		return nil, fmt.Errorf("%w: %d scores for %d rows", fault.Internal, len(scores), n)
	}
	return scores, nil
}

// variants returns n copies of row x, where the elements that hidden gives for each are b's.
func variants(x, b tensor.Tensor, n int, hidden func(i int) spans) (tensor.Tensor, error) {
	switch x.DType() {
	case tensor.Float32:
		return painted[float32](x, b, n, hidden)
	case tensor.Float64:
		return painted[float64](x, b, n, hidden)
	case tensor.Half:
		return painted[tensor.Float16](x, b, n, hidden)
	case tensor.Brain:
		return painted[tensor.BFloat16](x, b, n, hidden)
	case tensor.Int8:
		return painted[int8](x, b, n, hidden)
	case tensor.Int16:
		return painted[int16](x, b, n, hidden)
	case tensor.Int32:
		return painted[int32](x, b, n, hidden)
	case tensor.Int64:
		return painted[int64](x, b, n, hidden)
	case tensor.Uint8:
		return painted[uint8](x, b, n, hidden)
	case tensor.Uint16:
		return painted[uint16](x, b, n, hidden)
	case tensor.Uint32:
		return painted[uint32](x, b, n, hidden)
	case tensor.Uint64:
		return painted[uint64](x, b, n, hidden)
	case tensor.Bool:
		return painted[bool](x, b, n, hidden)
	case tensor.String:
		return painted[string](x, b, n, hidden)
	case tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: an input of type %v cannot be hidden", fault.Invalid, x.DType())
}

// painted returns n copies of row x, where the elements that hidden gives for each are b's.
func painted[T tensor.Element](x, b tensor.Tensor, n int, hidden func(i int) spans) (tensor.Tensor, error) {
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
		for start, length := range hidden(i) {
			copy(row[start:start+length], with[start:])
		}
	}
	shape := slices.Clone(x.Shape())
	shape[0] = int64(n)
	return tensor.New(shape, data)
}

// under returns the elements that a window covers, in all channels.
func (g grid) under(w window) spans {
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

// everything is all elements of a row.
func everything(t tensor.Tensor) spans {
	return func(yield func(from, n int) bool) { yield(0, t.Len()) }
}

// repeated returns a row n times, whatever its type.
func repeated(name string, row tensor.Tensor, n int) (tensor.Tensor, error) {
	whole, _, err := tensor.Stack(slices.Repeat([]tensor.Named{{name: row}}, n))
	return whole[name], err
}
