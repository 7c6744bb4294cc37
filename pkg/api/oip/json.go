package oip

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// FromJSON reads a tensor whose elements are JSON, which data must be: a list of them in row-major order, or lists of lists
// as the shape has them, or a single one. An element of bytes is a string. One length of the shape may be -1: the elements
// tell it. It returns [fault.Invalid] for a datatype that is none, for elements that are not of it, and for as many of
// them as do not fill the shape.
func FromJSON(datatype string, shape []int64, data []byte) (tensor.Tensor, error) {
	d, err := DType(datatype)
	if err != nil {
		return tensor.Tensor{}, err
	}
	switch d {
	case tensor.Float32:
		return collect(datatype, shape, data, func(s string) (float32, error) { return float[float32](s, 32) })
	case tensor.Float64:
		return collect(datatype, shape, data, func(s string) (float64, error) { return float[float64](s, 64) })
	case tensor.Half:
		return collect(datatype, shape, data, half)
	case tensor.Brain:
		return collect(datatype, shape, data, brain)
	case tensor.Int8:
		return collect(datatype, shape, data, func(s string) (int8, error) { return signed[int8](s, 8) })
	case tensor.Int16:
		return collect(datatype, shape, data, func(s string) (int16, error) { return signed[int16](s, 16) })
	case tensor.Int32:
		return collect(datatype, shape, data, func(s string) (int32, error) { return signed[int32](s, 32) })
	case tensor.Int64:
		return collect(datatype, shape, data, func(s string) (int64, error) { return signed[int64](s, 64) })
	case tensor.Uint8:
		return collect(datatype, shape, data, func(s string) (uint8, error) { return unsigned[uint8](s, 8) })
	case tensor.Uint16:
		return collect(datatype, shape, data, func(s string) (uint16, error) { return unsigned[uint16](s, 16) })
	case tensor.Uint32:
		return collect(datatype, shape, data, func(s string) (uint32, error) { return unsigned[uint32](s, 32) })
	case tensor.Uint64:
		return collect(datatype, shape, data, func(s string) (uint64, error) { return unsigned[uint64](s, 64) })
	case tensor.Bool:
		return collect(datatype, shape, data, truth)
	case tensor.String:
		return collect(datatype, shape, data, text)
	case tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("read a tensor of type %v: %w", d, fault.Internal)
}

func float[T float32 | float64](s string, bits int) (T, error) {
	v, err := strconv.ParseFloat(s, bits)
	return T(v), err
}

func half(s string) (tensor.Float16, error) {
	v, err := strconv.ParseFloat(s, 32)
	h := tensor.ToFloat16(float32(v))
	if err == nil && math.IsInf(float64(h.Float32()), 0) {
		err = strconv.ErrRange
	}
	return h, err
}

func brain(s string) (tensor.BFloat16, error) {
	v, err := strconv.ParseFloat(s, 32)
	b := tensor.ToBFloat16(float32(v))
	if err == nil && math.IsInf(float64(b.Float32()), 0) {
		err = strconv.ErrRange
	}
	return b, err
}

func signed[T int8 | int16 | int32 | int64](s string, bits int) (T, error) {
	v, err := strconv.ParseInt(s, 10, bits)
	return T(v), err
}

func unsigned[T uint8 | uint16 | uint32 | uint64](s string, bits int) (T, error) {
	v, err := strconv.ParseUint(s, 10, bits)
	return T(v), err
}

func truth(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, strconv.ErrSyntax
	}
	return s == "true", nil
}

func text(s string) (string, error) {
	var v string
	if len(s) == 0 || s[0] != '"' {
		return "", strconv.ErrSyntax
	}
	err := json.Unmarshal([]byte(s), &v)
	return v, err
}

// collect reads all elements, each with one.
func collect[T tensor.Element](datatype string, shape []int64, data []byte, one func(string) (T, error)) (tensor.Tensor, error) {
	all := make([]T, 0, 1+bytes.Count(data, []byte(",")))
	lists, err := walk(string(data), max(1, len(shape)), func(token string) error {
		v, err := one(token)
		if err != nil {
			return fmt.Errorf("%w: element %d is %.40s, which is no %s", fault.Invalid, len(all), token, datatype)
		}
		all = append(all, v)
		return nil
	})
	if err != nil {
		return tensor.Tensor{}, err
	}
	whole, err := known(shape, int64(len(all)))
	if err != nil {
		return tensor.Tensor{}, err
	}
	if len(lists) > 1 && !slices.Equal(lists, whole) {
		return tensor.Tensor{}, fmt.Errorf("%w: the data is lists of the lengths %v, the shape is %v", fault.Invalid, lists, shape)
	}
	return tensor.New(whole, all)
}

// known returns a shape with its one length of -1 as n elements make it.
func known(shape []int64, n int64) ([]int64, error) {
	at := slices.Index(shape, -1)
	if at < 0 {
		return shape, nil
	}
	whole := slices.Clone(shape)
	whole[at] = 1
	rest, err := tensor.Size(whole) // a second -1 is refused here
	if err != nil {
		return nil, err
	}
	if rest == 0 || n%rest != 0 {
		return nil, fmt.Errorf("%w: %d elements do not fill the shape %v", fault.Invalid, n, shape)
	}
	whole[at] = n / rest
	return whole, nil
}

// lists are JSON lists on their way through a text.
type lists struct {
	lengths []int64 // of the lists at each depth that one has ended at; -1: none has
	open    []int64 // how many values the lists that are open have had
	leaves  int     // at which depth the elements are; -1: there was none
}

// walk calls element for every element of data, and returns how long the lists at each depth are.
func walk(data string, deepest int, element func(token string) error) ([]int64, error) {
	l := lists{leaves: -1}
	for at := 0; at < len(data); {
		switch c := data[at]; c {
		case ' ', '\t', '\n', '\r', ',':
			at++
		case '[':
			if len(l.open) == deepest {
				return nil, fmt.Errorf("%w: the data's lists are more than %d deep, as the shape is", fault.Invalid, deepest)
			}
			if err := l.enter(); err != nil {
				return nil, err
			}
			at++
		case ']':
			if err := l.leave(); err != nil {
				return nil, err
			}
			at++
		default:
			end := at + tokenLength(data[at:])
			if err := l.leaf(); err != nil {
				return nil, err
			}
			if err := element(data[at:end]); err != nil {
				return nil, err
			}
			at = end
		}
	}
	return l.lengths, nil
}

// tokenLength returns how long the element is that a text begins with.
func tokenLength(text string) int {
	quoted := text[0] == '"'
	for at := 1; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			if quoted {
				return at + 1
			}
		case ',', ']', ' ', '\t', '\r', '\n':
			if !quoted {
				return at
			}
		}
	}
	return len(text)
}

func (l *lists) count() {
	if n := len(l.open); n > 0 {
		l.open[n-1]++
	}
}

func (l *lists) enter() error {
	if l.leaves >= 0 && len(l.open) >= l.leaves {
		return ragged()
	}
	l.count()
	l.open = append(l.open, 0)
	if len(l.lengths) < len(l.open) {
		l.lengths = append(l.lengths, -1)
	}
	return nil
}

func (l *lists) leave() error {
	last := len(l.open) - 1
	if last < 0 {
		return ragged()
	}
	n := l.open[last]
	l.open = l.open[:last]
	if l.lengths[last] >= 0 && l.lengths[last] != n {
		return ragged()
	}
	l.lengths[last] = n
	return nil
}

func (l *lists) leaf() error {
	if l.leaves < 0 {
		l.leaves = len(l.open)
	}
	if l.leaves != len(l.open) || len(l.lengths) > len(l.open) {
		return ragged()
	}
	l.count()
	return nil
}

func ragged() error {
	return fmt.Errorf("%w: the data's lists are not all of one length and depth", fault.Invalid)
}

// AppendJSON writes a tensor's elements as one JSON list, which [FromJSON] reads, in row-major order. A number that is not
// finite is null. It returns [fault.Invalid] for an element of bytes that is no text, and [fault.Internal] for the zero
// tensor.
func AppendJSON(out []byte, t tensor.Tensor) ([]byte, error) {
	switch t.DType() {
	case tensor.Float32:
		return list(out, t, func(out []byte, v float32) []byte { return appendFloat(out, float64(v), 32) })
	case tensor.Float64:
		return list(out, t, func(out []byte, v float64) []byte { return appendFloat(out, v, 64) })
	case tensor.Half:
		return list(out, t, func(out []byte, v tensor.Float16) []byte { return appendFloat(out, float64(v.Float32()), 32) })
	case tensor.Brain:
		return list(out, t, func(out []byte, v tensor.BFloat16) []byte { return appendFloat(out, float64(v.Float32()), 32) })
	case tensor.Int8:
		return list(out, t, appendSigned[int8])
	case tensor.Int16:
		return list(out, t, appendSigned[int16])
	case tensor.Int32:
		return list(out, t, appendSigned[int32])
	case tensor.Int64:
		return list(out, t, appendSigned[int64])
	case tensor.Uint8:
		return list(out, t, appendUnsigned[uint8])
	case tensor.Uint16:
		return list(out, t, appendUnsigned[uint16])
	case tensor.Uint32:
		return list(out, t, appendUnsigned[uint32])
	case tensor.Uint64:
		return list(out, t, appendUnsigned[uint64])
	case tensor.Bool:
		return list(out, t, strconv.AppendBool)
	case tensor.String:
		return quoted(out, t)
	case tensor.Undefined:
	}
	return nil, fmt.Errorf("write an empty tensor: %w", fault.Internal)
}

func list[T tensor.Element](out []byte, t tensor.Tensor, add func([]byte, T) []byte) ([]byte, error) {
	data, err := tensor.Data[T](t)
	if err != nil {
		return nil, err
	}
	out = append(out, '[')
	for i, v := range data {
		if i > 0 {
			out = append(out, ',')
		}
		out = add(out, v)
	}
	return append(out, ']'), nil
}

func appendFloat(out []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(out, "null"...)
	}
	return strconv.AppendFloat(out, v, 'g', -1, bits)
}

func appendSigned[T int8 | int16 | int32 | int64](out []byte, v T) []byte {
	return strconv.AppendInt(out, int64(v), 10)
}

func appendUnsigned[T uint8 | uint16 | uint32 | uint64](out []byte, v T) []byte {
	return strconv.AppendUint(out, uint64(v), 10)
}

func quoted(out []byte, t tensor.Tensor) ([]byte, error) {
	texts, err := tensor.Data[string](t)
	if err != nil {
		return nil, err
	}
	for i, s := range texts {
		if !utf8.ValidString(s) {
			return nil, fmt.Errorf("%w: element %d is bytes that are no text; ask for it in binary form", fault.Invalid, i)
		}
	}
	text, err := json.Marshal(append([]string{}, texts...))
	if err != nil {
		return nil, fmt.Errorf("write a tensor: %w", err)
	}
	return append(out, text...), nil
}
