package handler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// TensorFromJSON reads nested lists of numbers, booleans or strings into a tensor of the type that want has. A list
// without want's batch axis gets one. It returns [fault.Invalid] when the lists are ragged, an element does not fit the
// type, or the shape does not fit want.
func TensorFromJSON(text []byte, want engine.Value) (tensor.Tensor, error) {
	list := listReader{decoder: json.NewDecoder(bytes.NewReader(text))}
	list.decoder.UseNumber()
	if err := list.read(0); err != nil {
		return tensor.Tensor{}, fmt.Errorf("%w: input %q as JSON lists: %w", fault.Invalid, want.Name, err)
	}
	if _, err := list.decoder.Token(); !errors.Is(err, io.EOF) {
		return tensor.Tensor{}, fmt.Errorf("%w: input %q as JSON lists: more follows the list", fault.Invalid, want.Name)
	}
	t, err := build(want.DType, list.shape, list.elements)
	if err != nil {
		return tensor.Tensor{}, fmt.Errorf("input %q: %w", want.Name, err)
	}
	return Batched(t, want)
}

// Batched returns t with want's batch axis, adding one of length 1 where only that is missing. It returns
// [fault.Invalid] when t cannot be want.
func Batched(t tensor.Tensor, want engine.Value) (tensor.Tensor, error) {
	if len(t.Shape()) == len(want.Shape)-1 {
		var err error
		if t, err = t.Reshape(append([]int64{1}, t.Shape()...)...); err != nil {
			return t, err
		}
	}
	return t, want.Accepts(t)
}

// maxDepth bounds the nesting of lists, far above the rank of any tensor.
const maxDepth = 32

// listReader collects the elements of nested lists, and the shape that they all share.
type listReader struct {
	decoder  *json.Decoder
	shape    []int64
	elements []any
}

func (l *listReader) read(depth int) error {
	token, err := l.decoder.Token()
	if err != nil {
		return err
	}
	if delim, ok := token.(json.Delim); !ok {
		if depth != len(l.shape) {
			return errors.New("lists of uneven depth")
		}
		l.elements = append(l.elements, token)
		return nil
	} else if delim != '[' {
		return fmt.Errorf("unexpected %q, want lists of numbers", delim)
	}
	return l.list(depth)
}

func (l *listReader) list(depth int) error {
	if depth == maxDepth {
		return fmt.Errorf("lists nested deeper than %d", maxDepth)
	}
	first := depth == len(l.shape)
	if first {
		if len(l.elements) > 0 {
			return errors.New("lists of uneven depth")
		}
		l.shape = append(l.shape, -1)
	}
	n := int64(0)
	for ; l.decoder.More(); n++ {
		if err := l.read(depth + 1); err != nil {
			return err
		}
	}
	if _, err := l.decoder.Token(); err != nil {
		return err
	}
	if l.shape[depth] < 0 {
		l.shape[depth] = n
	}
	if l.shape[depth] != n {
		return fmt.Errorf("ragged lists: %d elements beside %d", n, l.shape[depth])
	}
	return nil
}

func build(d tensor.DType, shape []int64, elements []any) (tensor.Tensor, error) {
	switch d {
	case tensor.Float32:
		return collect(shape, elements, float[float32](32))
	case tensor.Float64:
		return collect(shape, elements, float[float64](64))
	case tensor.Half:
		return collect(shape, elements, func(v any) (tensor.Float16, bool) {
			f, ok := float[float32](32)(v)
			return tensor.ToFloat16(f), ok
		})
	case tensor.Brain:
		return collect(shape, elements, func(v any) (tensor.BFloat16, bool) {
			f, ok := float[float32](32)(v)
			return tensor.ToBFloat16(f), ok
		})
	case tensor.Int8:
		return collect(shape, elements, signed[int8](8))
	case tensor.Int16:
		return collect(shape, elements, signed[int16](16))
	case tensor.Int32:
		return collect(shape, elements, signed[int32](32))
	case tensor.Int64:
		return collect(shape, elements, signed[int64](64))
	case tensor.Uint8:
		return collect(shape, elements, unsigned[uint8](8))
	case tensor.Uint16:
		return collect(shape, elements, unsigned[uint16](16))
	case tensor.Uint32:
		return collect(shape, elements, unsigned[uint32](32))
	case tensor.Uint64:
		return collect(shape, elements, unsigned[uint64](64))
	case tensor.Bool:
		return collect(shape, elements, func(v any) (bool, bool) { b, ok := v.(bool); return b, ok })
	case tensor.String:
		return collect(shape, elements, func(v any) (string, bool) { s, ok := v.(string); return s, ok })
	case tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: the network's type cannot be written as JSON", fault.Unsupported)
}

func collect[T tensor.Element](shape []int64, elements []any, read func(any) (T, bool)) (tensor.Tensor, error) {
	data := make([]T, len(elements))
	for i, v := range elements {
		value, ok := read(v)
		if !ok {
			t, _ := tensor.New([]int64{0}, []T{})
			return tensor.Tensor{}, fmt.Errorf("%w: element %d is %v, want %v", fault.Invalid, i, v, t.DType())
		}
		data[i] = value
	}
	return tensor.New(shape, data)
}

func float[T float32 | float64](bits int) func(any) (T, bool) {
	return func(v any) (T, bool) {
		n, ok := v.(json.Number)
		if !ok {
			return 0, false
		}
		f, err := strconv.ParseFloat(n.String(), bits)
		return T(f), err == nil && !math.IsInf(f, 0)
	}
}

func signed[T int8 | int16 | int32 | int64](bits int) func(any) (T, bool) {
	return func(v any) (T, bool) {
		n, ok := v.(json.Number)
		if !ok {
			return 0, false
		}
		i, err := strconv.ParseInt(n.String(), 10, bits)
		return T(i), err == nil
	}
}

func unsigned[T uint8 | uint16 | uint32 | uint64](bits int) func(any) (T, bool) {
	return func(v any) (T, bool) {
		n, ok := v.(json.Number)
		if !ok {
			return 0, false
		}
		i, err := strconv.ParseUint(n.String(), 10, bits)
		return T(i), err == nil
	}
}
