// Package oip is what the Open Inference Protocol, version 2, has over HTTP and gRPC alike: its names for the types of
// elements, its binary form of tensors, and how its tensors become what models are asked and what they answer. It knows
// neither of the two protocols.
package oip

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Metadata is what is known of a tensor before there is one. A length of -1 stands for any.
type Metadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

// Signature is what a model takes and gives, in its order.
type Signature struct{ Inputs, Outputs []Metadata }

// SignatureOf returns what a model takes and gives, but for what is no tensor.
func SignatureOf(about model.About) Signature {
	return Signature{Inputs: metadataOf(about.Inputs), Outputs: metadataOf(about.Outputs)}
}

func metadataOf(values []model.Value) []Metadata {
	all := make([]Metadata, 0, len(values))
	for _, v := range values {
		if v.DType != tensor.Undefined {
			all = append(all, Metadata{Name: v.Name, Datatype: Datatype(v.DType), Shape: v.Shape})
		}
	}
	return all
}

// Ready tells whether a version has the workers that it is to have, and one at least.
func Ready(s model.Status) bool {
	running := 0
	for _, w := range s.Workers {
		if w.Ready {
			running++
		}
	}
	return running >= max(1, s.MinWorkers)
}

// Platform is what models run on and what they are stored as, as the protocol's metadata tells it.
const Platform = "onnxruntime_onnx"

// datatypes are the protocol's names of the types of elements, in the order of the types.
func datatypes() [tensor.String + 1]string {
	return [tensor.String + 1]string{
		tensor.Float32: "FP32", tensor.Float64: "FP64", tensor.Half: "FP16", tensor.Brain: "BF16",
		tensor.Int8: "INT8", tensor.Int16: "INT16", tensor.Int32: "INT32", tensor.Int64: "INT64",
		tensor.Uint8: "UINT8", tensor.Uint16: "UINT16", tensor.Uint32: "UINT32", tensor.Uint64: "UINT64",
		tensor.Bool: "BOOL", tensor.String: "BYTES",
	}
}

// Datatype returns the protocol's name of a type; "" for [tensor.Undefined].
func Datatype(d tensor.DType) string {
	if all := datatypes(); int(d) < len(all) {
		return all[d]
	}
	return ""
}

// DType returns the type that a name of the protocol stands for. It returns [fault.Invalid] for another name.
func DType(name string) (tensor.DType, error) {
	all := datatypes()
	if at := slices.Index(all[:], name); at > 0 {
		return tensor.DType(at), nil
	}
	return tensor.Undefined, fmt.Errorf("%w: datatype %q: want one of %s", fault.Invalid, name, strings.Join(all[1:], ", "))
}

// Given is a tensor that a request gives.
type Given struct {
	Name        string
	ContentType string // what its parameter content_type says, which counts where it is a media type
	Tensor      tensor.Tensor
}

// Output is a tensor of an answer.
type Output struct {
	Name        string
	ContentType string // of the elements of [Body]
	Tensor      tensor.Tensor
}

// Body is the name of the output that is the answer as the other APIs give it: an element of bytes for each row. It is there where a
// request names it, or where the handler has no tensors, as an explanation has none.
const Body = "body"

// names returns the names of all outputs, in their order.
func (s Signature) names(all tensor.Named) []string {
	if len(all) == 0 {
		return []string{Body}
	}
	names := make([]string, 0, len(all))
	for _, m := range s.Outputs {
		if _, ok := all[m.Name]; ok {
			names = append(names, m.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
