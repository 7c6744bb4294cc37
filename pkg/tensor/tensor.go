// Package tensor holds dense tensors in Go memory, in row-major order: their types and shapes, views of their rows, and
// the stacking and splitting along axis 0 that batches are made of. It computes nothing.
package tensor

import (
	"fmt"
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Element is a Go type that a tensor can hold.
type Element interface {
	float32 | float64 | Float16 | BFloat16 |
		int8 | int16 | int32 | int64 |
		uint8 | uint16 | uint32 | uint64 |
		bool | string
}

// Tensor is a dense tensor. The zero value is empty, of no type; it is copied like a slice: copies share the data. A
// tensor that others may hold is not to be written to.
type Tensor struct {
	shape []int64
	data  any // a []T, T an Element, of product(shape) elements
}

// Named is a network's inputs or outputs by name.
type Named map[string]Tensor

// New returns a tensor over data, which it keeps. An empty shape is a scalar. It returns [fault.Invalid] when the shape
// is negative or does not hold len(data) elements.
func New[T Element](shape []int64, data []T) (Tensor, error) {
	n, err := Size(shape)
	if err != nil {
		return Tensor{}, err
	}
	if n != int64(len(data)) {
		return Tensor{}, fmt.Errorf("%w: shape %v holds %d elements, got %d", fault.Invalid, shape, n, len(data))
	}
	return Tensor{shape: slices.Clone(shape), data: data}, nil
}

// Data returns t's elements, not copied. It returns [fault.Invalid] when t holds another type.
func Data[T Element](t Tensor) ([]T, error) {
	data, ok := t.data.([]T)
	if !ok {
		return nil, fmt.Errorf("%w: tensor holds %v, not %v", fault.Invalid, t.DType(), dtypeOf(data))
	}
	return data, nil
}

// Size returns the number of elements of a shape. It returns [fault.Invalid] for a negative dimension or a product that
// overflows.
func Size(shape []int64) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("%w: shape %v has a negative dimension", fault.Invalid, shape)
		}
		if d > 0 && n > math.MaxInt64/d {
			return 0, fmt.Errorf("%w: shape %v overflows", fault.Invalid, shape)
		}
		n *= d
	}
	return n, nil
}

// Shape returns t's dimensions. The caller must not change them.
func (t Tensor) Shape() []int64 { return t.shape }

// Clone returns a tensor like t with memory of its own.
func (t Tensor) Clone() Tensor {
	if t.data == nil {
		return t
	}
	return Tensor{shape: slices.Clone(t.shape), data: concat([]any{t.data}, t.Len(), nil)}
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	if t.data == nil {
		return 0
	}
	n := 1
	for _, d := range t.shape {
		n *= int(d)
	}
	return n
}

// DType returns the type of t's elements; [Undefined] for the zero tensor.
func (t Tensor) DType() DType {
	if t.data == nil {
		return Undefined
	}
	return dtypeOf(t.data)
}

// String returns the type and the shape, as in "float32[1 3 224 224]".
func (t Tensor) String() string { return fmt.Sprintf("%v%v", t.DType(), t.shape) }

// Reshape returns a view of t's data under another shape. It returns [fault.Invalid] when the sizes differ.
func (t Tensor) Reshape(shape ...int64) (Tensor, error) {
	n, err := Size(shape)
	if err != nil {
		return Tensor{}, err
	}
	if n != int64(t.Len()) {
		return Tensor{}, fmt.Errorf("%w: %v does not fit shape %v", fault.Invalid, t, shape)
	}
	return Tensor{shape: slices.Clone(shape), data: t.data}, nil
}

// Rows returns a view of rows from to to-1 along axis 0. It returns [fault.Invalid] for a scalar or rows that are not
// there.
func (t Tensor) Rows(from, to int64) (Tensor, error) {
	if len(t.shape) == 0 || from < 0 || to < from || to > t.shape[0] {
		return Tensor{}, fmt.Errorf("%w: %v has no rows %d to %d", fault.Invalid, t, from, to)
	}
	row := 1
	for _, d := range t.shape[1:] {
		row *= int(d)
	}
	shape := slices.Clone(t.shape)
	shape[0] = to - from
	return Tensor{shape: shape, data: sliceOf(t.data, int(from)*row, int(to)*row)}, nil
}
