package tensor

import (
	"fmt"
	"math"
	"reflect"

	"github.com/tsgo/tsgo/pkg/fault"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types.
const (
	Undefined DType = iota
	Float32
	Float64
	Half  // float16, IEEE 754 binary16
	Brain // bfloat16
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Bool
	String
)

// String returns the type's name as ONNX and NumPy spell it.
func (d DType) String() string {
	names := [...]string{
		"undefined", "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
		"uint8", "uint16", "uint32", "uint64", "bool", "string",
	}
	if int(d) < len(names) {
		return names[d]
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Bytes returns the size of one element in bytes; 0 for [String] and [Undefined].
func (d DType) Bytes() int {
	switch d {
	case Int8, Uint8, Bool:
		return 1
	case Half, Brain, Int16, Uint16:
		return 2
	case Float32, Int32, Uint32:
		return 4
	case Float64, Int64, Uint64:
		return 8
	case String, Undefined:
	}
	return 0
}

// Make returns a tensor of zeros. It returns [fault.Invalid] for a shape that [Size] refuses or a type that is not one.
func Make(d DType, shape []int64) (Tensor, error) {
	n, err := Size(shape)
	if err != nil {
		return Tensor{}, err
	}
	switch d {
	case Float32:
		return New(shape, make([]float32, n))
	case Float64:
		return New(shape, make([]float64, n))
	case Half:
		return New(shape, make([]Float16, n))
	case Brain:
		return New(shape, make([]BFloat16, n))
	case Int8:
		return New(shape, make([]int8, n))
	case Int16:
		return New(shape, make([]int16, n))
	case Int32:
		return New(shape, make([]int32, n))
	case Int64:
		return New(shape, make([]int64, n))
	case Uint8:
		return New(shape, make([]uint8, n))
	case Uint16:
		return New(shape, make([]uint16, n))
	case Uint32:
		return New(shape, make([]uint32, n))
	case Uint64:
		return New(shape, make([]uint64, n))
	case Bool:
		return New(shape, make([]bool, n))
	case String:
		return New(shape, make([]string, n))
	case Undefined:
	}
	return Tensor{}, fmt.Errorf("%w: no tensor of type %v", fault.Invalid, d)
}

// Float16 is an IEEE 754 binary16 number, as its bits.
type Float16 uint16

// BFloat16 is the upper half of a float32, as its bits.
type BFloat16 uint16

// Float32 returns h's value, exactly.
func (h Float16) Float32() float32 {
	sign := uint32(h&0x8000) << 16
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h & 0x3ff)
	switch exponent {
	case 0: // zero or subnormal: fraction · 2⁻²⁴
		value := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(value) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// ToFloat16 returns the number nearest to f, ties to even; infinity when f is too large.
func ToFloat16(f float32) Float16 {
	bits := math.Float32bits(f)
	sign := Float16(bits >> 16 & 0x8000)
	exponent := int(bits>>23&0xff) - 112
	fraction := bits & 0x7fffff
	switch {
	case bits&0x7fffffff > 0x7f800000: // not a number
		return sign | 0x7e00
	case exponent >= 0x1f:
		return sign | 0x7c00
	case exponent <= 0: // subnormal, or zero
		if exponent < -10 {
			return sign
		}
		shift := uint(14 - exponent)
		return sign + Float16(roundShift(fraction|0x800000, shift))
	}
	return sign + Float16(roundShift(uint32(exponent)<<23|fraction, 13)) // a carry moves into the exponent, as it should
}

// Float32 returns b's value, exactly.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// ToBFloat16 returns the number nearest to f, ties to even.
func ToBFloat16(f float32) BFloat16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return BFloat16(bits>>16 | 0x40)
	}
	return BFloat16(roundShift(bits, 16))
}

// roundShift returns v >> shift rounded to nearest, ties to even, without overflow for any v.
func roundShift(v uint32, shift uint) uint32 {
	whole, rest, half := v>>shift, v&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > half || rest == half && whole&1 == 1 {
		whole++
	}
	return whole
}

// Float32s returns t's numbers as float32: t's own data when it holds float32, converted otherwise. It returns
// [fault.Invalid] for strings and the zero tensor.
func Float32s(t Tensor) ([]float32, error) {
	switch data := t.data.(type) {
	case []float32:
		return data, nil
	case []float64:
		return convert(data, func(v float64) float32 { return float32(v) }), nil
	case []Float16:
		return convert(data, Float16.Float32), nil
	case []BFloat16:
		return convert(data, BFloat16.Float32), nil
	case []int8:
		return convert(data, func(v int8) float32 { return float32(v) }), nil
	case []int16:
		return convert(data, func(v int16) float32 { return float32(v) }), nil
	case []int32:
		return convert(data, func(v int32) float32 { return float32(v) }), nil
	case []int64:
		return convert(data, func(v int64) float32 { return float32(v) }), nil
	case []uint8:
		return convert(data, func(v uint8) float32 { return float32(v) }), nil
	case []uint16:
		return convert(data, func(v uint16) float32 { return float32(v) }), nil
	case []uint32:
		return convert(data, func(v uint32) float32 { return float32(v) }), nil
	case []uint64:
		return convert(data, func(v uint64) float32 { return float32(v) }), nil
	case []bool:
		return convert(data, func(v bool) float32 {
			if v {
				return 1
			}
			return 0
		}), nil
	}
	return nil, fmt.Errorf("%w: %v holds no numbers", fault.Invalid, t)
}

func convert[T any](in []T, f func(T) float32) []float32 {
	out := make([]float32, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

func dtypeOf(data any) DType {
	switch data.(type) {
	case []float32:
		return Float32
	case []float64:
		return Float64
	case []Float16:
		return Half
	case []BFloat16:
		return Brain
	case []int8:
		return Int8
	case []int16:
		return Int16
	case []int32:
		return Int32
	case []int64:
		return Int64
	case []uint8:
		return Uint8
	case []uint16:
		return Uint16
	case []uint32:
		return Uint32
	case []uint64:
		return Uint64
	case []bool:
		return Bool
	case []string:
		return String
	}
	return Undefined
}

// sliceOf returns data[from:to], capped so that an append cannot reach a neighbour's rows.
func sliceOf(data any, from, to int) any {
	if floats, ok := data.([]float32); ok {
		return floats[from:to:to]
	}
	return reflect.ValueOf(data).Slice3(from, to, to).Interface()
}

// concat returns the elements of parts, which are slices of one type, in a slice of n elements: old's memory where that is
// of the same type and large enough.
func concat(parts []any, n int, old any) any {
	if _, ok := parts[0].([]float32); ok {
		whole, _ := old.([]float32)
		if cap(whole) < n {
			whole = make([]float32, 0, n)
		}
		whole = whole[:0]
		for _, part := range parts {
			whole = append(whole, part.([]float32)...)
		}
		return whole
	}
	whole := reflect.ValueOf(old)
	if old == nil || whole.Type() != reflect.TypeOf(parts[0]) || whole.Cap() < n {
		whole = reflect.MakeSlice(reflect.TypeOf(parts[0]), 0, n)
	}
	whole = whole.Slice(0, 0)
	for _, part := range parts {
		whole = reflect.AppendSlice(whole, reflect.ValueOf(part))
	}
	return whole.Interface()
}
