package onnx

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// DataType is the type of a tensor's elements, numbered as in the format.
type DataType int32

// TypeOf returns the format's number of a type.
func TypeOf(d tensor.DType) DataType {
	for code, known := range dtypes() {
		if known == d {
			return DataType(code)
		}
	}
	return 0
}

// DType returns the type as this module knows it: [tensor.Undefined] for those of fewer than eight bits, and the like.
func (t DataType) DType() tensor.DType {
	if known := dtypes(); t > 0 && int(t) < len(known) {
		return known[t]
	}
	return tensor.Undefined
}

// String returns the type's name.
func (t DataType) String() string {
	if d := t.DType(); d != tensor.Undefined {
		return d.String()
	}
	return fmt.Sprintf("ONNX type %d", int32(t))
}

// dtypes are the types by the format's numbers.
func dtypes() [17]tensor.DType {
	return [17]tensor.DType{
		1: tensor.Float32, 2: tensor.Uint8, 3: tensor.Int8, 4: tensor.Uint16, 5: tensor.Int16, 6: tensor.Int32, 7: tensor.Int64,
		8: tensor.String, 9: tensor.Bool, 10: tensor.Half, 11: tensor.Float64, 12: tensor.Uint32, 13: tensor.Uint64, 16: tensor.Brain,
	}
}

// Constant is a tensor whose elements are known: an initializer, or an attribute.
type Constant struct {
	Type    DataType
	Shape   []int64
	Raw     []byte   // the elements, little-endian, in row-major order; may be a view of a file, and is never written to
	Strings []string // the elements of a tensor of strings
}

// NewConstant returns a constant of t's type, shape and elements.
func NewConstant(t tensor.Tensor) (*Constant, error) {
	c := &Constant{Type: TypeOf(t.DType()), Shape: slices.Clone(t.Shape())}
	var err error
	switch t.DType() {
	case tensor.Float32:
		c.Raw, err = raw[float32](t)
	case tensor.Float64:
		c.Raw, err = raw[float64](t)
	case tensor.Half:
		c.Raw, err = raw[tensor.Float16](t)
	case tensor.Brain:
		c.Raw, err = raw[tensor.BFloat16](t)
	case tensor.Int8:
		c.Raw, err = raw[int8](t)
	case tensor.Int16:
		c.Raw, err = raw[int16](t)
	case tensor.Int32:
		c.Raw, err = raw[int32](t)
	case tensor.Int64:
		c.Raw, err = raw[int64](t)
	case tensor.Uint8:
		c.Raw, err = raw[uint8](t)
	case tensor.Uint16:
		c.Raw, err = raw[uint16](t)
	case tensor.Uint32:
		c.Raw, err = raw[uint32](t)
	case tensor.Uint64:
		c.Raw, err = raw[uint64](t)
	case tensor.Bool:
		c.Raw, err = raw[bool](t)
	case tensor.String:
		c.Strings, err = tensor.Data[string](t)
	case tensor.Undefined:
		err = fmt.Errorf("%w: constant of no type", fault.Invalid)
	}
	return c, err
}

// raw returns the bytes of t's elements.
func raw[T tensor.Element](t tensor.Tensor) ([]byte, error) {
	data, err := tensor.Data[T](t)
	if err != nil {
		return nil, err
	}
	return binary.Append(make([]byte, 0, len(data)*t.DType().Bytes()), binary.LittleEndian, data)
}

// Of returns a constant of the given elements; without a shape, a scalar. It panics when the shape does not hold them: it is
// for constants that the program itself makes.
func Of[T tensor.Element](data []T, shape ...int64) *Constant {
	t, err := tensor.New(shape, data)
	if err != nil {
		panic(err)
	}
	c, err := NewConstant(t)
	if err != nil {
		panic(err)
	}
	return c
}

// Len returns the number of elements.
func (c *Constant) Len() int64 {
	n := int64(1)
	for _, d := range c.Shape {
		n *= d
	}
	return n
}

// Tensor returns a copy of c. It returns [fault.Unsupported] for a type that tensors cannot hold, and [fault.Invalid] when
// the elements do not fill the shape.
func (c *Constant) Tensor() (tensor.Tensor, error) {
	switch c.Type.DType() {
	case tensor.Float32:
		return elements[float32](c)
	case tensor.Float64:
		return elements[float64](c)
	case tensor.Half:
		return elements[tensor.Float16](c)
	case tensor.Brain:
		return elements[tensor.BFloat16](c)
	case tensor.Int8:
		return elements[int8](c)
	case tensor.Int16:
		return elements[int16](c)
	case tensor.Int32:
		return elements[int32](c)
	case tensor.Int64:
		return elements[int64](c)
	case tensor.Uint8:
		return elements[uint8](c)
	case tensor.Uint16:
		return elements[uint16](c)
	case tensor.Uint32:
		return elements[uint32](c)
	case tensor.Uint64:
		return elements[uint64](c)
	case tensor.Bool:
		return elements[bool](c)
	case tensor.String:
		return tensor.New(slices.Clone(c.Shape), slices.Clone(c.Strings))
	case tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: constant of %v", fault.Unsupported, c.Type)
}

// elements returns a copy of c.
func elements[T tensor.Element](c *Constant) (tensor.Tensor, error) {
	size := c.Type.DType().Bytes()
	if len(c.Raw)%size != 0 {
		return tensor.Tensor{}, fmt.Errorf("%w: constant of %d bytes of %v", fault.Invalid, len(c.Raw), c.Type)
	}
	data := make([]T, len(c.Raw)/size)
	if _, err := binary.Decode(c.Raw, binary.LittleEndian, data); err != nil {
		return tensor.Tensor{}, fmt.Errorf("%w: constant of %v: %w", fault.Invalid, c.Type, err)
	}
	return tensor.New(slices.Clone(c.Shape), data)
}

// Float64s returns a copy of the elements of a constant of numbers. It returns [fault.Unsupported] for others.
func (c *Constant) Float64s() ([]float64, error) {
	switch c.Type.DType() {
	case tensor.Int64, tensor.Int32:
		whole, err := c.Int64s()
		out := make([]float64, len(whole))
		for i, v := range whole {
			out[i] = float64(v)
		}
		return out, err
	default:
	}
	t, err := c.Tensor()
	if err != nil {
		return nil, err
	}
	if data, err := tensor.Data[float64](t); err == nil {
		return data, nil
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(data))
	for i, v := range data {
		out[i] = float64(v)
	}
	return out, nil
}

// Int64s returns a copy of the elements of a constant of int64 or int32. It returns [fault.Unsupported] for others.
func (c *Constant) Int64s() ([]int64, error) {
	t, err := c.Tensor()
	if err != nil {
		return nil, err
	}
	if data, err := tensor.Data[int64](t); err == nil {
		return data, nil
	}
	data, err := tensor.Data[int32](t)
	if err != nil {
		return nil, fmt.Errorf("%w: constant of %v where whole numbers are wanted", fault.Unsupported, c.Type)
	}
	out := make([]int64, len(data))
	for i, v := range data {
		out[i] = int64(v)
	}
	return out, nil
}
