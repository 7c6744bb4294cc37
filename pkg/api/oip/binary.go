package oip

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// prefix is how many bytes the length of an element of bytes takes.
const prefix = 4

// Decode reads a tensor in binary form: its elements in row-major order, little-endian; a truth value is one byte, 0 or 1;
// an element of bytes has its length before it, in four bytes. It returns [fault.Invalid] for a datatype that is none, a
// shape that makes no sense, and data that does not fill it.
func Decode(datatype string, shape []int64, raw []byte) (tensor.Tensor, error) {
	d, err := DType(datatype)
	if err != nil {
		return tensor.Tensor{}, err
	}
	n, err := tensor.Size(shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	size := int64(max(d.Bytes(), 1))
	if d == tensor.String {
		size = prefix // at least
	}
	if have := int64(len(raw)) / size; have < n || d != tensor.String && n*size != int64(len(raw)) {
		return tensor.Tensor{}, fmt.Errorf("%w: %s%v holds %d elements, %d bytes do not", fault.Invalid, datatype, shape, n, len(raw))
	}
	return decode(d, shape, raw)
}

// decode reads data of the right size.
func decode(d tensor.DType, shape []int64, raw []byte) (tensor.Tensor, error) {
	order := binary.LittleEndian
	switch d {
	case tensor.Float32:
		return numbers(shape, raw, 4, func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) })
	case tensor.Float64:
		return numbers(shape, raw, 8, func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) })
	case tensor.Half:
		return numbers(shape, raw, 2, func(b []byte) tensor.Float16 { return tensor.Float16(order.Uint16(b)) })
	case tensor.Brain:
		return numbers(shape, raw, 2, func(b []byte) tensor.BFloat16 { return tensor.BFloat16(order.Uint16(b)) })
	case tensor.Int8:
		return numbers(shape, raw, 1, func(b []byte) int8 { return int8(b[0]) })
	case tensor.Int16:
		return numbers(shape, raw, 2, func(b []byte) int16 { return int16(order.Uint16(b)) })
	case tensor.Int32:
		return numbers(shape, raw, 4, func(b []byte) int32 { return int32(order.Uint32(b)) })
	case tensor.Int64:
		return numbers(shape, raw, 8, func(b []byte) int64 { return int64(order.Uint64(b)) })
	case tensor.Uint8:
		return tensor.New(shape, slices.Clone(raw))
	case tensor.Uint16:
		return numbers(shape, raw, 2, order.Uint16)
	case tensor.Uint32:
		return numbers(shape, raw, 4, order.Uint32)
	case tensor.Uint64:
		return numbers(shape, raw, 8, order.Uint64)
	case tensor.Bool:
		return truths(shape, raw)
	case tensor.String:
		return texts(shape, raw)
	case tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("decode a tensor of type %v: %w", d, fault.Internal)
}

func numbers[T tensor.Element](shape []int64, raw []byte, size int, number func([]byte) T) (tensor.Tensor, error) {
	data := make([]T, len(raw)/size)
	for i := range data {
		data[i] = number(raw[i*size : (i+1)*size])
	}
	return tensor.New(shape, data)
}

func truths(shape []int64, raw []byte) (tensor.Tensor, error) {
	data := make([]bool, len(raw))
	for i, b := range raw {
		if b > 1 {
			return tensor.Tensor{}, fmt.Errorf("%w: a BOOL is the byte %d, want 0 or 1", fault.Invalid, b)
		}
		data[i] = b == 1
	}
	return tensor.New(shape, data)
}

func texts(shape []int64, raw []byte) (tensor.Tensor, error) {
	n, err := tensor.Size(shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	data := make([]string, n)
	for i := range data {
		if len(raw) < prefix {
			return tensor.Tensor{}, fmt.Errorf("%w: the data ends before element %d of %d BYTES", fault.Invalid, i, n)
		}
		length := uint64(binary.LittleEndian.Uint32(raw))
		raw = raw[prefix:]
		if length > uint64(len(raw)) {
			return tensor.Tensor{}, fmt.Errorf("%w: element %d of %d BYTES has %d bytes, and %d are left", fault.Invalid, i, n, length, len(raw))
		}
		data[i], raw = string(raw[:length]), raw[length:]
	}
	if len(raw) > 0 {
		return tensor.Tensor{}, fmt.Errorf("%w: %d bytes follow the last of %d BYTES", fault.Invalid, len(raw), n)
	}
	return tensor.New(shape, data)
}

// Encode writes a tensor in binary form: what [Decode] reads. It returns [fault.TooLarge] for an element of bytes whose
// length does not fit, and [fault.Internal] for the zero tensor.
func Encode(t tensor.Tensor) ([]byte, error) {
	order := binary.LittleEndian
	switch t.DType() {
	case tensor.Float32:
		return bytesOf(t, func(out []byte, v float32) []byte { return order.AppendUint32(out, math.Float32bits(v)) })
	case tensor.Float64:
		return bytesOf(t, func(out []byte, v float64) []byte { return order.AppendUint64(out, math.Float64bits(v)) })
	case tensor.Half:
		return bytesOf(t, func(out []byte, v tensor.Float16) []byte { return order.AppendUint16(out, uint16(v)) })
	case tensor.Brain:
		return bytesOf(t, func(out []byte, v tensor.BFloat16) []byte { return order.AppendUint16(out, uint16(v)) })
	case tensor.Int8:
		return bytesOf(t, func(out []byte, v int8) []byte { return append(out, byte(v)) })
	case tensor.Int16:
		return bytesOf(t, func(out []byte, v int16) []byte { return order.AppendUint16(out, uint16(v)) })
	case tensor.Int32:
		return bytesOf(t, func(out []byte, v int32) []byte { return order.AppendUint32(out, uint32(v)) })
	case tensor.Int64:
		return bytesOf(t, func(out []byte, v int64) []byte { return order.AppendUint64(out, uint64(v)) })
	case tensor.Uint8:
		return bytesOf(t, func(out []byte, v uint8) []byte { return append(out, v) })
	case tensor.Uint16:
		return bytesOf(t, order.AppendUint16)
	case tensor.Uint32:
		return bytesOf(t, order.AppendUint32)
	case tensor.Uint64:
		return bytesOf(t, order.AppendUint64)
	case tensor.Bool:
		return bytesOf(t, func(out []byte, v bool) []byte {
			if v {
				return append(out, 1)
			}
			return append(out, 0)
		})
	case tensor.String:
		return prefixed(t)
	case tensor.Undefined:
	}
	return nil, fmt.Errorf("encode an empty tensor: %w", fault.Internal)
}

func bytesOf[T tensor.Element](t tensor.Tensor, add func([]byte, T) []byte) ([]byte, error) {
	data, err := tensor.Data[T](t)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(data)*t.DType().Bytes())
	for _, v := range data {
		out = add(out, v)
	}
	return out, nil
}

func prefixed(t tensor.Tensor) ([]byte, error) {
	data, err := tensor.Data[string](t)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, text := range data {
		if uint64(len(text)) > math.MaxUint32 {
			return nil, fmt.Errorf("%w: an element of %d bytes, at most %d fit", fault.TooLarge, len(text), uint32(math.MaxUint32))
		}
		size += prefix + len(text)
	}
	out := make([]byte, 0, size)
	for _, text := range data {
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(text))), text...)
	}
	return out, nil
}
