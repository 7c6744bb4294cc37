//go:build cgo

package ort

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// dtypeOf returns the type of a tensor's elements, [tensor.Undefined] for one that this program has no words for.
func dtypeOf(element C.unsigned) tensor.DType {
	switch element {
	case binding.TensorElementDataTypeFloat:
		return tensor.Float32
	case binding.TensorElementDataTypeDouble:
		return tensor.Float64
	case binding.TensorElementDataTypeFloat16:
		return tensor.Half
	case binding.TensorElementDataTypeBFloat16:
		return tensor.Brain
	case binding.TensorElementDataTypeInt8:
		return tensor.Int8
	case binding.TensorElementDataTypeInt16:
		return tensor.Int16
	case binding.TensorElementDataTypeInt32:
		return tensor.Int32
	case binding.TensorElementDataTypeInt64:
		return tensor.Int64
	case binding.TensorElementDataTypeUint8:
		return tensor.Uint8
	case binding.TensorElementDataTypeUint16:
		return tensor.Uint16
	case binding.TensorElementDataTypeUint32:
		return tensor.Uint32
	case binding.TensorElementDataTypeUint64:
		return tensor.Uint64
	case binding.TensorElementDataTypeBool:
		return tensor.Bool
	case binding.TensorElementDataTypeString:
		return tensor.String
	}
	return tensor.Undefined
}

// pin points in at t's own memory, which stays where it is until the run is over.
func (c *call) pin(in *C.tsgo_in, t tensor.Tensor) error {
	shape := t.Shape()
	if len(shape) > 0 {
		c.pins.Pin(unsafe.SliceData(shape))
		in.dims = (*C.int64_t)(unsafe.SliceData(shape))
	}
	in.rank = C.size_t(len(shape))
	switch t.DType() {
	case tensor.Float32:
		return pinData[float32](c, in, t, binding.TensorElementDataTypeFloat)
	case tensor.Float64:
		return pinData[float64](c, in, t, binding.TensorElementDataTypeDouble)
	case tensor.Half:
		return pinData[tensor.Float16](c, in, t, binding.TensorElementDataTypeFloat16)
	case tensor.Brain:
		return pinData[tensor.BFloat16](c, in, t, binding.TensorElementDataTypeBFloat16)
	case tensor.Int8:
		return pinData[int8](c, in, t, binding.TensorElementDataTypeInt8)
	case tensor.Int16:
		return pinData[int16](c, in, t, binding.TensorElementDataTypeInt16)
	case tensor.Int32:
		return pinData[int32](c, in, t, binding.TensorElementDataTypeInt32)
	case tensor.Int64:
		return pinData[int64](c, in, t, binding.TensorElementDataTypeInt64)
	case tensor.Uint8:
		return pinData[uint8](c, in, t, binding.TensorElementDataTypeUint8)
	case tensor.Uint16:
		return pinData[uint16](c, in, t, binding.TensorElementDataTypeUint16)
	case tensor.Uint32:
		return pinData[uint32](c, in, t, binding.TensorElementDataTypeUint32)
	case tensor.Uint64:
		return pinData[uint64](c, in, t, binding.TensorElementDataTypeUint64)
	case tensor.Bool:
		return pinData[bool](c, in, t, binding.TensorElementDataTypeBool)
	case tensor.String:
		return c.pinStrings(in, t)
	case tensor.Undefined:
	}
	return fmt.Errorf("%w: the network takes no tensor there", fault.Unsupported)
}

func pinData[T tensor.Element](c *call, in *C.tsgo_in, t tensor.Tensor, element C.unsigned) error {
	data, err := tensor.Data[T](t)
	if err != nil {
		return err
	}
	in._type = element
	if len(data) > 0 {
		c.pins.Pin(unsafe.SliceData(data))
		in.data = unsafe.Pointer(unsafe.SliceData(data))
		in.size = C.size_t(len(data)) * C.size_t(unsafe.Sizeof(data[0]))
	}
	return nil
}

// pinStrings lays t's strings end to end.
func (c *call) pinStrings(in *C.tsgo_in, t tensor.Tensor) error {
	data, err := tensor.Data[string](t)
	if err != nil {
		return err
	}
	offsets := make([]C.size_t, 1, len(data)+1)
	var bytes []byte
	for _, text := range data {
		bytes = append(bytes, text...)
		offsets = append(offsets, C.size_t(len(bytes)))
	}
	in._type, in.count = binding.TensorElementDataTypeString, C.size_t(len(data))
	c.pins.Pin(unsafe.SliceData(offsets))
	in.offsets = unsafe.SliceData(offsets)
	if len(bytes) > 0 {
		c.pins.Pin(unsafe.SliceData(bytes))
		in.data = unsafe.Pointer(unsafe.SliceData(bytes))
	}
	return nil
}

// fromC copies a value into Go's memory.
func (s *session) fromC(out *C.tsgo_out) (tensor.Tensor, error) {
	if out.rank > C.tsgo_max_rank {
		return tensor.Tensor{}, fmt.Errorf("%w: it has %d dimensions, at most %d can be used", fault.Unsupported, out.rank, int(C.tsgo_max_rank))
	}
	switch dtypeOf(out._type) {
	case tensor.Float32:
		return copied[float32](out)
	case tensor.Float64:
		return copied[float64](out)
	case tensor.Half:
		return copied[tensor.Float16](out)
	case tensor.Brain:
		return copied[tensor.BFloat16](out)
	case tensor.Int8:
		return copied[int8](out)
	case tensor.Int16:
		return copied[int16](out)
	case tensor.Int32:
		return copied[int32](out)
	case tensor.Int64:
		return copied[int64](out)
	case tensor.Uint8:
		return copied[uint8](out)
	case tensor.Uint16:
		return copied[uint16](out)
	case tensor.Uint32:
		return copied[uint32](out)
	case tensor.Uint64:
		return copied[uint64](out)
	case tensor.Bool:
		return copied[bool](out)
	case tensor.String:
		return s.strings(out)
	case tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: it is no tensor of a type that this program knows: name the outputs that are wanted", fault.Unsupported)
}

func shapeOf(out *C.tsgo_out) []int64 {
	return unsafe.Slice((*int64)(&out.dims[0]), int(out.rank))
}

func copied[T tensor.Element](out *C.tsgo_out) (tensor.Tensor, error) {
	data := []T{}
	if out.data != nil {
		data = slices.Clone(unsafe.Slice((*T)(out.data), int(out.count)))
	}
	return tensor.New(shapeOf(out), data)
}

// strings copies a tensor of strings.
func (s *session) strings(out *C.tsgo_out) (tensor.Tensor, error) {
	data := make([]string, int(out.count))
	if len(data) == 0 {
		return tensor.New(shapeOf(out), data)
	}
	var size C.size_t
	if err := s.runtime.failure(C.tsgo_string_bytes(s.runtime.api, out.value, &size)); err != nil {
		return tensor.Tensor{}, err.as(stageRun)
	}
	bytes, offsets := make([]byte, int(size)+1), make([]C.size_t, len(data), len(data)+1)
	status := C.tsgo_strings(s.runtime.api, out.value, unsafe.Pointer(&bytes[0]), size, &offsets[0], C.size_t(len(data)))
	if err := s.runtime.failure(status); err != nil {
		return tensor.Tensor{}, err.as(stageRun)
	}
	offsets = append(offsets, size)
	for i := range data {
		data[i] = string(bytes[offsets[i]:offsets[i+1]])
	}
	return tensor.New(shapeOf(out), data)
}
