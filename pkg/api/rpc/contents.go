package rpc

import (
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// typeParameter is the parameter of a tensor of bytes that tells its media type.
const typeParameter = "content_type"

// inputs reads the tensors of a question, all raw or none.
func inputs(req *openinferencepb.ModelInferRequest) ([]oip.Given, error) {
	given, raw := req.GetInputs(), req.GetRawInputContents()
	switch {
	case len(given) > api.MaxFields:
		return nil, fmt.Errorf("%w: the request has %d inputs, at most %d are taken", fault.TooLarge, len(given), api.MaxFields)
	case len(raw) > 0 && len(raw) != len(given):
		return nil, fmt.Errorf("%w: raw_input_contents has %d elements, want one for each of the %d inputs", fault.Invalid, len(raw), len(given))
	}
	all := make([]oip.Given, len(given))
	for i, in := range given {
		var t tensor.Tensor
		var err error
		switch {
		case len(raw) == 0:
			t, err = fromContents(in.GetDatatype(), in.GetShape(), in.GetContents())
		case in.GetContents() != nil:
			err = fmt.Errorf("%w: it has contents although there are raw_input_contents; want one of the two", fault.Invalid)
		default:
			t, err = oip.Decode(in.GetDatatype(), in.GetShape(), raw[i])
		}
		if err != nil {
			return nil, fmt.Errorf("input %d, %.100q: %w", i, in.GetName(), err)
		}
		media, _ := valueOf(in.GetParameters()[typeParameter])
		all[i] = oip.Given{Name: in.GetName(), ContentType: media, Tensor: t}
	}
	return all, nil
}

// fromContents reads a tensor whose elements stand in the field for their type.
func fromContents(datatype string, shape []int64, c *openinferencepb.InferTensorContents) (tensor.Tensor, error) {
	d, err := oip.DType(datatype)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if err := alone(datatype, d, c); err != nil {
		return tensor.Tensor{}, err
	}
	switch d {
	case tensor.Float32:
		return tensor.New(shape, c.GetFp32Contents())
	case tensor.Float64:
		return tensor.New(shape, c.GetFp64Contents())
	case tensor.Int8:
		return narrow[int8](shape, c.GetIntContents())
	case tensor.Int16:
		return narrow[int16](shape, c.GetIntContents())
	case tensor.Int32:
		return tensor.New(shape, c.GetIntContents())
	case tensor.Int64:
		return tensor.New(shape, c.GetInt64Contents())
	case tensor.Uint8:
		return narrow[uint8](shape, c.GetUintContents())
	case tensor.Uint16:
		return narrow[uint16](shape, c.GetUintContents())
	case tensor.Uint32:
		return tensor.New(shape, c.GetUintContents())
	case tensor.Uint64:
		return tensor.New(shape, c.GetUint64Contents())
	case tensor.Bool:
		return tensor.New(shape, c.GetBoolContents())
	case tensor.String:
		return tensor.New(shape, mapped(c.GetBytesContents(), func(b []byte) string { return string(b) }))
	case tensor.Half, tensor.Brain, tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: %s has no field in contents; want it in raw_input_contents", fault.Invalid, datatype)
}

// alone refuses contents with elements in a field that is not for the type: whoever sent them meant something else.
func alone(datatype string, d tensor.DType, c *openinferencepb.InferTensorContents) error {
	for _, field := range []struct {
		name string
		n    int
		from []tensor.DType
	}{
		{"bool_contents", len(c.GetBoolContents()), []tensor.DType{tensor.Bool}},
		{"int_contents", len(c.GetIntContents()), []tensor.DType{tensor.Int8, tensor.Int16, tensor.Int32}},
		{"int64_contents", len(c.GetInt64Contents()), []tensor.DType{tensor.Int64}},
		{"uint_contents", len(c.GetUintContents()), []tensor.DType{tensor.Uint8, tensor.Uint16, tensor.Uint32}},
		{"uint64_contents", len(c.GetUint64Contents()), []tensor.DType{tensor.Uint64}},
		{"fp32_contents", len(c.GetFp32Contents()), []tensor.DType{tensor.Float32}},
		{"fp64_contents", len(c.GetFp64Contents()), []tensor.DType{tensor.Float64}},
		{"bytes_contents", len(c.GetBytesContents()), []tensor.DType{tensor.String}},
	} {
		if field.n > 0 && !slices.Contains(field.from, d) {
			return fmt.Errorf("%w: there are elements in %s, which is not the field for %s", fault.Invalid, field.name, datatype)
		}
	}
	return nil
}

// narrow makes a tensor of numbers that stand there in a wider type.
func narrow[T int8 | int16 | uint8 | uint16, W int32 | uint32](shape []int64, wide []W) (tensor.Tensor, error) {
	data := make([]T, len(wide))
	for i, v := range wide {
		if data[i] = T(v); W(data[i]) != v {
			return tensor.Tensor{}, fmt.Errorf("%w: element %d is %d, which its datatype does not hold", fault.Invalid, i, v)
		}
	}
	return tensor.New(shape, data)
}

func mapped[A, B any](all []A, f func(A) B) []B {
	out := make([]B, len(all))
	for i, v := range all {
		out[i] = f(v)
	}
	return out
}

// fill puts the outputs into an answer, all raw where that is wanted, or where a type has no field in contents.
func fill(resp *openinferencepb.ModelInferResponse, outputs []oip.Output, raw bool) error {
	for _, o := range outputs {
		d := o.Tensor.DType()
		raw = raw || d == tensor.Half || d == tensor.Brain
	}
	for _, o := range outputs {
		out := &openinferencepb.ModelInferResponse_InferOutputTensor{
			Name: o.Name, Datatype: oip.Datatype(o.Tensor.DType()), Shape: o.Tensor.Shape(),
		}
		if o.ContentType != "" {
			choice := &openinferencepb.InferParameter_StringParam{StringParam: o.ContentType}
			out.Parameters = map[string]*openinferencepb.InferParameter{typeParameter: {ParameterChoice: choice}}
		}
		var err error
		if raw {
			var data []byte
			data, err = oip.Encode(o.Tensor)
			resp.RawOutputContents = append(resp.RawOutputContents, data)
		} else {
			out.Contents, err = toContents(o.Tensor)
		}
		if err != nil {
			return fmt.Errorf("output %q: %w", o.Name, err)
		}
		resp.Outputs = append(resp.Outputs, out)
	}
	return nil
}

// toContents puts the elements of a tensor into the field for their type.
func toContents(t tensor.Tensor) (*openinferencepb.InferTensorContents, error) {
	c := &openinferencepb.InferTensorContents{}
	var err error
	switch t.DType() {
	case tensor.Float32:
		c.Fp32Contents, err = tensor.Data[float32](t)
	case tensor.Float64:
		c.Fp64Contents, err = tensor.Data[float64](t)
	case tensor.Int8:
		c.IntContents, err = widen[int8, int32](t)
	case tensor.Int16:
		c.IntContents, err = widen[int16, int32](t)
	case tensor.Int32:
		c.IntContents, err = tensor.Data[int32](t)
	case tensor.Int64:
		c.Int64Contents, err = tensor.Data[int64](t)
	case tensor.Uint8:
		c.UintContents, err = widen[uint8, uint32](t)
	case tensor.Uint16:
		c.UintContents, err = widen[uint16, uint32](t)
	case tensor.Uint32:
		c.UintContents, err = tensor.Data[uint32](t)
	case tensor.Uint64:
		c.Uint64Contents, err = tensor.Data[uint64](t)
	case tensor.Bool:
		c.BoolContents, err = tensor.Data[bool](t)
	case tensor.String:
		var texts []string
		texts, err = tensor.Data[string](t)
		c.BytesContents = mapped(texts, func(s string) []byte { return []byte(s) })
	case tensor.Half, tensor.Brain, tensor.Undefined:
		return nil, fmt.Errorf("%v has no field in contents: %w", t.DType(), fault.Internal)
	}
	return c, err
}

func widen[T int8 | int16 | uint8 | uint16, W int32 | uint32](t tensor.Tensor) ([]W, error) {
	data, err := tensor.Data[T](t)
	return mapped(data, func(v T) W { return W(v) }), err
}
