package tensor

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Stack joins parts along axis 0, name by name, and tells how many rows each part gave. One part is not copied. It
// returns [fault.Invalid] when the parts are not [Compatible], or one of them holds names with different numbers of rows.
func Stack(parts []Named) (whole Named, rows []int64, err error) { return new(Buffer).Stack(parts) }

// Buffer is memory in which parts are stacked, again and again. The zero value is empty.
type Buffer struct{ whole Named }

// Stack does what the function of that name does, in the buffer's memory: what it returns is over with the next call.
func (b *Buffer) Stack(parts []Named) (whole Named, rows []int64, err error) {
	if len(parts) == 0 {
		return nil, nil, fmt.Errorf("%w: nothing to stack", fault.Invalid)
	}
	rows = make([]int64, len(parts))
	for i, part := range parts {
		if rows[i], err = part.rows(); err != nil {
			return nil, nil, err
		}
		if !Compatible(parts[0], part) {
			return nil, nil, fmt.Errorf("%w: part %d does not stack on part 0", fault.Invalid, i)
		}
	}
	if len(parts) == 1 {
		return parts[0], rows, nil
	}
	if b.whole == nil {
		b.whole = make(Named, len(parts[0]))
	}
	maps.DeleteFunc(b.whole, func(name string, _ Tensor) bool { _, wanted := parts[0][name]; return !wanted })
	for name := range parts[0] {
		b.whole[name] = stackOne(parts, name, b.whole[name])
	}
	return b.whole, rows, nil
}

// stackOne stacks the tensors of a name, in old's memory where that is large enough.
func stackOne(parts []Named, name string, old Tensor) Tensor {
	shape := append(old.shape[:0], parts[0][name].shape...)
	shape[0] = 0
	data, n := make([]any, len(parts)), 0
	for i, part := range parts {
		t := part[name]
		shape[0] += t.shape[0]
		data[i] = t.data
		n += t.Len()
	}
	return Tensor{shape: shape, data: concat(data, n, old.data)}
}

// Compatible tells whether a and b stack: the same names, of the same types, and shapes that differ at most in axis 0.
// Scalars do not stack.
func Compatible(a, b Named) bool {
	if len(a) != len(b) {
		return false
	}
	for name, ta := range a {
		tb, ok := b[name]
		if !ok || len(ta.shape) == 0 || len(ta.shape) != len(tb.shape) || ta.DType() != tb.DType() {
			return false
		}
		if !slices.Equal(ta.shape[1:], tb.shape[1:]) {
			return false
		}
	}
	return true
}

// Split undoes [Stack]: it returns views of the given numbers of rows, in order. It returns [fault.Invalid] when a tensor
// does not hold exactly the sum of rows.
func (n Named) Split(rows []int64) ([]Named, error) {
	total := int64(0)
	for _, r := range rows {
		total += r
	}
	for name, t := range n {
		if len(t.shape) == 0 || t.shape[0] != total {
			return nil, fmt.Errorf("%w: tensor %q is %v, want %d rows", fault.Invalid, name, t, total)
		}
	}
	if len(rows) == 1 {
		return []Named{n}, nil
	}
	parts := make([]Named, len(rows))
	from := int64(0)
	for i, r := range rows {
		part, err := n.Rows(from, from+r)
		if err != nil {
			return nil, err
		}
		parts[i] = part
		from += r
	}
	return parts, nil
}

// Rows returns views of rows from to to-1 of every tensor. It returns [fault.Invalid] when a tensor lacks them.
func (n Named) Rows(from, to int64) (Named, error) {
	part := make(Named, len(n))
	for name, t := range n {
		view, err := t.Rows(from, to)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		part[name] = view
	}
	return part, nil
}

// rows returns the number of rows that all of n's tensors have.
func (n Named) rows() (int64, error) {
	rows, first := int64(-1), ""
	for name, t := range n {
		if len(t.shape) == 0 {
			return 0, fmt.Errorf("%w: tensor %q is a scalar, it has no rows", fault.Invalid, name)
		}
		if rows >= 0 && rows != t.shape[0] {
			return 0, fmt.Errorf("%w: tensor %q has %d rows, %q has %d", fault.Invalid, name, t.shape[0], first, rows)
		}
		rows, first = t.shape[0], name
	}
	if rows < 0 {
		return 0, fmt.Errorf("%w: no tensors", fault.Invalid)
	}
	return rows, nil
}
