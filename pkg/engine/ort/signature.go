//go:build cgo

package ort

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// The sides of a network, as the shim counts them.
const (
	inputs  = 0
	outputs = 1
)

// describe reads the signature from the session.
func (s *session) describe() error {
	for side, values := range map[int]*[]engine.Value{inputs: &s.signature.Inputs, outputs: &s.signature.Outputs} {
		names := unsafe.Slice(s.c.names[side], int(s.c.counts[side]))
		for i, name := range names {
			value, ranked, err := s.value(side, i, C.GoString(name))
			if err != nil {
				return err
			}
			*values = append(*values, value)
			if side == inputs && !ranked {
				s.unranked = append(s.unranked, i)
			}
		}
	}
	return s.readMetadata()
}

// value reads one input or output, and whether the network says how many dimensions it has.
func (s *session) value(side, index int, name string) (value engine.Value, ranked bool, err error) {
	var info C.tsgo_value_info
	if err := s.runtime.failure(C.tsgo_describe(s.runtime.api, s.c, C.int(side), C.size_t(index), &info)); err != nil {
		return value, false, err.as(stageOpen)
	}
	defer C.tsgo_release_info(s.runtime.api, &info)
	if info.rank > C.tsgo_max_rank {
		return value, false, fmt.Errorf("%w: %q has %d dimensions, at most %d can be used", fault.Unsupported, name, info.rank, int(C.tsgo_max_rank))
	}
	value = engine.Value{Name: name, DType: dtypeOf(info._type)}
	for i := range int(info.rank) {
		dim := engine.Dim{Size: int64(info.dims[i])}
		if dim.Size < 0 {
			dim.Name = C.GoString(info.symbols[i])
		}
		value.Shape = append(value.Shape, dim)
	}
	return value, info._type == 0 || bool(info.has_shape), nil
}

func (s *session) readMetadata() error {
	var m *C.OrtModelMetadata
	if err := s.runtime.failure(C.tsgo_open_metadata(s.runtime.api, s.c, &m)); err != nil {
		return err.as(stageOpen)
	}
	defer C.tsgo_release_metadata(s.runtime.api, m)
	s.signature.Metadata = make(map[string]string)
	for key, which := range map[string]C.int{
		"producer": C.tsgo_producer, "graph": C.tsgo_graph, "domain": C.tsgo_domain, "description": C.tsgo_description,
	} {
		if err := s.readText(m, key, which, nil); err != nil {
			return err
		}
	}
	var version C.int64_t
	if err := s.runtime.failure(C.tsgo_metadata_version(s.runtime.api, m, &version)); err != nil {
		return err.as(stageOpen)
	}
	if version > 0 && version < math.MaxInt64 { // the latter where there is none
		s.signature.Metadata["version"] = strconv.FormatInt(int64(version), 10)
	}
	return s.readCustom(m)
}

// readCustom reads what the file's author wrote under names of his own. They win over the names above.
func (s *session) readCustom(m *C.OrtModelMetadata) error {
	var keys **C.char
	var count C.int64_t
	if err := s.runtime.failure(C.tsgo_metadata_keys(s.runtime.api, m, &keys, &count)); err != nil {
		return err.as(stageOpen)
	}
	defer C.tsgo_free(s.runtime.api, unsafe.Pointer(keys))
	var first error
	for _, key := range unsafe.Slice(keys, int(count)) {
		if err := s.readText(m, C.GoString(key), C.tsgo_custom, key); err != nil && first == nil {
			first = err
		}
		C.tsgo_free(s.runtime.api, unsafe.Pointer(key))
	}
	return first
}

func (s *session) readText(m *C.OrtModelMetadata, name string, which C.int, key *C.char) error {
	var text *C.char
	if err := s.runtime.failure(C.tsgo_metadata(s.runtime.api, m, which, key, &text)); err != nil {
		return err.as(stageOpen)
	}
	defer C.tsgo_free(s.runtime.api, unsafe.Pointer(text))
	if value := C.GoString(text); value != "" {
		s.signature.Metadata[name] = value
	}
	return nil
}

// checkInputs returns [fault.Invalid] for inputs that do not fit. An input whose number of dimensions the network leaves
// open takes any.
func (s *session) checkInputs(in tensor.Named) error {
	if len(s.unranked) == 0 {
		return s.signature.Check(in)
	}
	signature := engine.Signature{Inputs: append([]engine.Value{}, s.signature.Inputs...)}
	for _, i := range s.unranked {
		v := &signature.Inputs[i]
		v.Shape = nil
		for _, size := range in[v.Name].Shape() {
			v.Shape = append(v.Shape, engine.Dim{Size: size})
		}
	}
	return signature.Check(in)
}
