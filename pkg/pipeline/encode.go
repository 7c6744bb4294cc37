package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// encode writes v in the layout of a TorchServe worker, which is Python's json.dumps(v, indent=2): two spaces a level,
// ASCII only, 1.0 and 1e-05. It differs in one thing: a number that is not finite is null, because bare NaN is not JSON.
//
// A tensor is nested lists, a [handler.Object] keeps its order, a struct follows its json tags, a Go map is sorted by key.
func encode(v any) ([]byte, error) {
	e := encoder{}
	if err := e.value(reflect.ValueOf(v), 0); err != nil {
		return nil, err
	}
	return e.buf, nil
}

type encoder struct{ buf []byte }

func (e *encoder) value(v reflect.Value, depth int) error {
	if !v.IsValid() {
		e.raw("null")
		return nil
	}
	switch known := v.Interface().(type) {
	case tensor.Tensor:
		return e.tensor(known, depth)
	case handler.Object:
		return e.object(known, depth)
	case json.Marshaler:
		return e.foreign(known, depth)
	case []float32:
		e.list(len(known), depth, func(i int) { e.float(float64(known[i]), 32) })
		return nil
	}
	switch v.Kind() {
	case reflect.Bool:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	case reflect.Float32:
		e.float(v.Float(), 32)
	case reflect.Float64:
		e.float(v.Float(), 64)
	case reflect.String:
		e.string(v.String())
	case reflect.Pointer, reflect.Interface:
		return e.value(v.Elem(), depth)
	default:
		return e.composite(v, depth)
	}
	return nil
}

func (e *encoder) composite(v reflect.Value, depth int) error {
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		var failed error
		e.list(v.Len(), depth, func(i int) {
			if err := e.value(v.Index(i), depth+1); err != nil {
				failed = err
			}
		})
		return failed
	case reflect.Map:
		return e.object(sorted(v), depth)
	case reflect.Struct:
		return e.object(fields(v), depth)
	default:
		return fmt.Errorf("encode a %v as JSON: %w", v.Type(), fault.Unsupported)
	}
}

// foreign writes what knows its own JSON, in this layout.
func (e *encoder) foreign(m json.Marshaler, depth int) error {
	text, err := m.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encode %T: %w", m, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, strings.Repeat("  ", depth), "  "); err != nil {
		return fmt.Errorf("encode %T: %w", m, err)
	}
	e.buf = append(e.buf, out.Bytes()...)
	return nil
}

func (e *encoder) object(members handler.Object, depth int) error {
	if len(members) == 0 {
		e.raw("{}")
		return nil
	}
	e.raw("{")
	for i, m := range members {
		if i > 0 {
			e.raw(",")
		}
		e.line(depth + 1)
		e.string(m.Key)
		e.raw(": ")
		if err := e.value(reflect.ValueOf(m.Value), depth+1); err != nil {
			return err
		}
	}
	e.line(depth)
	e.raw("}")
	return nil
}

// list writes n elements, each by a call of element, one a line.
func (e *encoder) list(n, depth int, element func(i int)) {
	if n == 0 {
		e.raw("[]")
		return
	}
	e.raw("[")
	for i := range n {
		if i > 0 {
			e.raw(",")
		}
		e.line(depth + 1)
		element(i)
	}
	e.line(depth)
	e.raw("]")
}

// tensor writes t as nested lists, a scalar as a bare number.
func (e *encoder) tensor(t tensor.Tensor, depth int) error {
	element, err := e.elements(t)
	if err != nil {
		return err
	}
	e.axes(t.Shape(), 0, depth, element)
	return nil
}

func (e *encoder) axes(shape []int64, offset, depth int, element func(i int)) {
	if len(shape) == 0 {
		element(offset)
		return
	}
	step := 1
	for _, d := range shape[1:] {
		step *= int(d)
	}
	e.list(int(shape[0]), depth, func(i int) { e.axes(shape[1:], offset+i*step, depth+1, element) })
}

// elements returns the function that writes t's i-th element.
func (e *encoder) elements(t tensor.Tensor) (func(i int), error) {
	switch t.DType() {
	case tensor.Float32, tensor.Half, tensor.Brain:
		data, err := tensor.Float32s(t)
		return func(i int) { e.float(float64(data[i]), 32) }, err
	case tensor.Float64:
		data, err := tensor.Data[float64](t)
		return func(i int) { e.float(data[i], 64) }, err
	case tensor.Int64:
		data, err := tensor.Data[int64](t)
		return func(i int) { e.buf = strconv.AppendInt(e.buf, data[i], 10) }, err
	case tensor.Uint64:
		data, err := tensor.Data[uint64](t)
		return func(i int) { e.buf = strconv.AppendUint(e.buf, data[i], 10) }, err
	case tensor.Bool:
		data, err := tensor.Data[bool](t)
		return func(i int) { e.buf = strconv.AppendBool(e.buf, data[i]) }, err
	case tensor.String:
		data, err := tensor.Data[string](t)
		return func(i int) { e.string(data[i]) }, err
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Uint8, tensor.Uint16, tensor.Uint32:
		// every such integer up to 2^24 is exact as float32, larger ones are not: go through int64
		data, err := integers(t)
		return func(i int) { e.buf = strconv.AppendInt(e.buf, data[i], 10) }, err
	case tensor.Undefined:
	}
	return nil, fmt.Errorf("encode an empty tensor as JSON: %w", fault.Internal)
}

func integers(t tensor.Tensor) ([]int64, error) {
	switch t.DType() {
	case tensor.Int8:
		return widen[int8](t)
	case tensor.Int16:
		return widen[int16](t)
	case tensor.Int32:
		return widen[int32](t)
	case tensor.Uint8:
		return widen[uint8](t)
	case tensor.Uint16:
		return widen[uint16](t)
	default:
		return widen[uint32](t)
	}
}

func widen[T int8 | int16 | int32 | uint8 | uint16 | uint32](t tensor.Tensor) ([]int64, error) {
	data, err := tensor.Data[T](t)
	wide := make([]int64, len(data))
	for i, v := range data {
		wide[i] = int64(v)
	}
	return wide, err
}

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) line(depth int) {
	e.buf = append(e.buf, '\n')
	for range depth {
		e.buf = append(e.buf, ' ', ' ')
	}
}

// float writes f as Python's repr does: the shortest digits that give f back, with an exponent below 1e-4 and from 1e16.
func (e *encoder) float(f float64, bits int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		e.raw("null")
		return
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		e.buf = strconv.AppendFloat(e.buf, f, 'e', -1, bits)
		return
	}
	start := len(e.buf)
	e.buf = strconv.AppendFloat(e.buf, f, 'f', -1, bits)
	if !bytes.ContainsRune(e.buf[start:], '.') {
		e.raw(".0")
	}
}

// string writes s in ASCII, other characters as \uXXXX, bytes that are not UTF-8 as the replacement character.
func (e *encoder) string(s string) {
	e.buf = append(e.buf, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			e.buf = append(e.buf, '\\', byte(r))
		case r == '\n':
			e.raw(`\n`)
		case r == '\r':
			e.raw(`\r`)
		case r == '\t':
			e.raw(`\t`)
		case r == '\b':
			e.raw(`\b`)
		case r == '\f':
			e.raw(`\f`)
		case r >= ' ' && r <= '~':
			e.buf = utf8.AppendRune(e.buf, r)
		case r > 0xffff:
			r -= 0x10000
			e.buf = fmt.Appendf(e.buf, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			e.buf = fmt.Appendf(e.buf, `\u%04x`, r)
		}
	}
	e.buf = append(e.buf, '"')
}

// sorted returns a map's members in the order of their keys.
func sorted(v reflect.Value) handler.Object {
	members := make(handler.Object, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		members = append(members, handler.Member{Key: fmt.Sprint(it.Key().Interface()), Value: it.Value().Interface()})
	}
	slices.SortFunc(members, func(a, b handler.Member) int { return strings.Compare(a.Key, b.Key) })
	return members
}

// fields returns a struct's exported fields under their json names, those of embedded structs among them, without those
// that its tags leave out.
func fields(v reflect.Value) handler.Object {
	var members handler.Object
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
		if nested := v.Field(i); field.Anonymous && name == "" && nested.Kind() == reflect.Struct {
			members = append(members, fields(nested)...)
			continue
		}
		if !field.IsExported() || name == "-" || strings.Contains(rest, "omitempty") && empty(v.Field(i)) {
			continue
		}
		if name == "" {
			name = field.Name
		}
		members = append(members, handler.Member{Key: name, Value: v.Field(i).Interface()})
	}
	return members
}

// empty tells what encoding/json's omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}
