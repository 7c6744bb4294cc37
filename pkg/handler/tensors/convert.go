package tensors

import (
	"fmt"
	"math"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// number is an element of a tensor of numbers.
type number struct {
	float float64
	whole int64
	exact bool // whole is the number
}

// convert returns t as another type. Numbers with a fraction and numbers that are too large do not become integers: it
// returns [fault.Invalid], with the first of them. Among floating-point types they are rounded.
func convert(t tensor.Tensor, to tensor.DType) (tensor.Tensor, error) {
	if t.DType() == to {
		return t, nil
	}
	from, err := numbers(t)
	if err != nil {
		return tensor.Tensor{}, fmt.Errorf("%w: it is %v, the network takes %v", fault.Invalid, t, to)
	}
	shape := t.Shape()
	switch to {
	case tensor.Float32:
		return each(shape, from, func(n number) (float32, bool) { return float32(n.float), true })
	case tensor.Float64:
		return each(shape, from, func(n number) (float64, bool) { return n.float, true })
	case tensor.Half:
		return each(shape, from, func(n number) (tensor.Float16, bool) { return tensor.ToFloat16(float32(n.float)), true })
	case tensor.Brain:
		return each(shape, from, func(n number) (tensor.BFloat16, bool) { return tensor.ToBFloat16(float32(n.float)), true })
	case tensor.Int8:
		return each(shape, from, integer[int8](math.MinInt8, math.MaxInt8))
	case tensor.Int16:
		return each(shape, from, integer[int16](math.MinInt16, math.MaxInt16))
	case tensor.Int32:
		return each(shape, from, integer[int32](math.MinInt32, math.MaxInt32))
	case tensor.Int64:
		return each(shape, from, integer[int64](math.MinInt64, math.MaxInt64))
	case tensor.Uint8:
		return each(shape, from, integer[uint8](0, math.MaxUint8))
	case tensor.Uint16:
		return each(shape, from, integer[uint16](0, math.MaxUint16))
	case tensor.Uint32:
		return each(shape, from, integer[uint32](0, math.MaxUint32))
	case tensor.Uint64:
		return each(shape, from, integer[uint64](0, math.MaxInt64))
	case tensor.Bool, tensor.String, tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: it is %v, the network takes %v", fault.Invalid, t, to)
}

// each converts the elements.
func each[T tensor.Element](shape []int64, from []number, to func(number) (T, bool)) (tensor.Tensor, error) {
	data := make([]T, len(from))
	for i, n := range from {
		v, ok := to(n)
		if !ok {
			t, _ := tensor.New([]int64{0}, []T{})
			return tensor.Tensor{}, fmt.Errorf("%w: element %d is %v, want %v", fault.Invalid, i, n.float, t.DType())
		}
		data[i] = v
	}
	return tensor.New(shape, data)
}

func integer[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](least, most int64) func(number) (T, bool) {
	return func(n number) (T, bool) { return T(n.whole), n.exact && n.whole >= least && n.whole <= most }
}

// numbers returns the elements of t; an error for strings and the zero tensor.
func numbers(t tensor.Tensor) ([]number, error) {
	switch t.DType() {
	case tensor.Float64:
		return mapped(t, fromFloat[float64])
	case tensor.Float32, tensor.Half, tensor.Brain:
		data, err := tensor.Float32s(t)
		all := make([]number, len(data))
		for i, v := range data {
			all[i] = fromFloat(v)
		}
		return all, err
	case tensor.Int8:
		return mapped(t, fromInteger[int8])
	case tensor.Int16:
		return mapped(t, fromInteger[int16])
	case tensor.Int32:
		return mapped(t, fromInteger[int32])
	case tensor.Int64:
		return mapped(t, fromInteger[int64])
	case tensor.Uint8:
		return mapped(t, fromInteger[uint8])
	case tensor.Uint16:
		return mapped(t, fromInteger[uint16])
	case tensor.Uint32:
		return mapped(t, fromInteger[uint32])
	case tensor.Uint64:
		return mapped(t, func(v uint64) number {
			return number{float: float64(v), whole: int64(v), exact: v <= math.MaxInt64} //nolint:gosec // told by exact
		})
	case tensor.Bool:
		return mapped(t, func(v bool) number {
			if v {
				return number{1, 1, true}
			}
			return number{exact: true}
		})
	case tensor.String, tensor.Undefined:
	}
	return nil, fault.Invalid
}

func mapped[T tensor.Element](t tensor.Tensor, to func(T) number) ([]number, error) {
	data, err := tensor.Data[T](t)
	all := make([]number, len(data))
	for i, v := range data {
		all[i] = to(v)
	}
	return all, err
}

func fromInteger[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](v T) number {
	return number{float64(v), int64(v), true}
}

// fromFloat returns a number that is a whole one where it has no fraction and an int64 can hold it.
func fromFloat[T float32 | float64](v T) number {
	const limit = 1 << 63
	f := float64(v)
	if math.Trunc(f) != f || f < -limit || f >= limit {
		return number{float: f}
	}
	return number{f, int64(f), true}
}
