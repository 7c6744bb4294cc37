package tensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// npyMagic is what an npy file begins with (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
const npyMagic = "\x93NUMPY"

// maxHeader bounds the text that describes an array: a few dozen bytes, where it is no record.
const maxHeader = 1 << 16

// maxAxes bounds how many axes an array has: NumPy's own limit.
const maxAxes = 64

// readNPY returns the array of an npy file of version 1, 2 or 3. It returns [fault.Invalid] for a file that is damaged, and for
// arrays of Python's objects, which would be a program, of records and of texts.
func readNPY(file []byte) (tensor.Tensor, error) {
	h, data, err := npyParts(file)
	if err != nil {
		return tensor.Tensor{}, err
	}
	n, err := tensor.Size(h.shape)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if size := int64(h.kind.Bytes()); n > int64(len(data)) || n*size != int64(len(data)) {
		return tensor.Tensor{}, fmt.Errorf("%w: it holds %d bytes of elements, its shape %v of %v wants %d elements of %d bytes",
			fault.Invalid, len(data), h.shape, h.kind, n, size)
	}
	if h.fortran && len(h.shape) > 1 && n > 0 {
		data = rowMajor(data, h.shape, h.kind.Bytes())
	}
	return elements(h, data)
}

// npyParts returns a file's header and the bytes of its elements.
func npyParts(file []byte) (header, []byte, error) {
	text, data, err := cut(file)
	if err != nil {
		return header{}, nil, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	h, err := parseHeader(text)
	if err != nil {
		return header{}, nil, fmt.Errorf("%w: the header %.100q: %w", fault.Invalid, text, err)
	}
	return h, data, nil
}

// cut cuts a file into the text of its header and the bytes of its elements.
func cut(file []byte) (text string, data []byte, err error) {
	rest, ok := strings.CutPrefix(string(file[:min(len(file), 8)]), npyMagic)
	if !ok || len(rest) != 2 {
		return "", nil, errors.New("it does not begin as such a file")
	}
	data = file[8:]
	var length int
	switch major := rest[0]; {
	case major == 1 && len(data) >= 2:
		length, data = int(binary.LittleEndian.Uint16(data)), data[2:]
	case (major == 2 || major == 3) && len(data) >= 4:
		length, data = int(min(binary.LittleEndian.Uint32(data), maxHeader+1)), data[4:]
	case major < 1 || major > 3:
		return "", nil, fmt.Errorf("version %d of the format is not known", major)
	default:
		return "", nil, errors.New("it is cut short")
	}
	if length > maxHeader {
		return "", nil, fmt.Errorf("its header is longer than %d bytes", maxHeader)
	}
	if length > len(data) {
		return "", nil, errors.New("it is cut short")
	}
	return string(data[:length]), data[length:], nil
}

// header describes an array.
type header struct {
	kind    tensor.DType
	order   binary.ByteOrder
	fortran bool // the first axis is the one whose neighbours stand beside each other
	shape   []int64
}

// parseHeader reads a Python dictionary of three items: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
func parseHeader(text string) (h header, err error) {
	p := parser{rest: text}
	p.want("{")
	seen := map[string]bool{}
	for p.err == nil && !p.next("}") {
		key := p.quoted()
		p.want(":")
		switch key {
		case "descr":
			descr := p.quoted()
			if p.err == nil {
				h.kind, h.order, p.err = kindOf(descr)
			}
		case "fortran_order":
			h.fortran = p.boolean()
		case "shape":
			h.shape = p.tuple()
		default:
			p.fail(fmt.Errorf("unknown item %.20q", key))
		}
		if seen[key] {
			p.fail(fmt.Errorf("%q is there twice", key))
		}
		seen[key] = true
		if !p.next(",") && !strings.HasPrefix(p.rest, "}") {
			p.fail(errors.New("want a comma or the end of the items"))
		}
	}
	if p.err == nil && strings.TrimSpace(p.rest) != "" {
		p.fail(errors.New("more follows the items"))
	}
	if p.err == nil && len(seen) != 3 {
		p.fail(errors.New("want descr, fortran_order and shape"))
	}
	return h, p.err
}

// kindOf returns the element type that NumPy writes so.
func kindOf(descr string) (tensor.DType, binary.ByteOrder, error) {
	var order binary.ByteOrder = binary.LittleEndian
	name := descr
	if descr != "" && strings.ContainsRune("<>=|", rune(descr[0])) {
		name = descr[1:]
		if descr[0] == '>' {
			order = binary.BigEndian
		}
	}
	for kind := tensor.Float32; kind < tensor.String; kind++ {
		if name != "" && npyName(kind) == name {
			return kind, order, nil
		}
	}
	return 0, nil, fmt.Errorf("elements of type %.20q are not read: want numbers or booleans", descr)
}

// npyName returns NumPy's name of an element type; empty for one that it does not have.
func npyName(kind tensor.DType) string {
	switch kind {
	case tensor.Float32, tensor.Float64, tensor.Half:
		return "f" + strconv.Itoa(kind.Bytes())
	case tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64:
		return "i" + strconv.Itoa(kind.Bytes())
	case tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64:
		return "u" + strconv.Itoa(kind.Bytes())
	case tensor.Bool:
		return "b1"
	case tensor.Brain, tensor.String, tensor.Undefined:
	}
	return ""
}

// parser reads the few forms of Python's literals that a header is made of. After its first error it reads nothing.
type parser struct {
	rest string
	err  error
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// next passes over a word, if it is there.
func (p *parser) next(word string) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	rest, ok := strings.CutPrefix(p.rest, word)
	if ok {
		p.rest = rest
		p.rest = strings.TrimLeft(p.rest, " \t\n")
	}
	return ok
}

func (p *parser) want(word string) {
	if !p.next(word) {
		p.fail(fmt.Errorf("want %q before %.20q", word, p.rest))
	}
}

// quoted reads a text in quotes of either kind.
func (p *parser) quoted() string {
	for _, quote := range []string{"'", `"`} {
		if !p.next(quote) {
			continue
		}
		text, rest, ok := strings.Cut(p.rest, quote)
		if !ok {
			break
		}
		p.rest = rest
		return text
	}
	p.fail(fmt.Errorf("want a text in quotes before %.20q", p.rest))
	return ""
}

func (p *parser) boolean() bool {
	if p.next("True") {
		return true
	}
	p.want("False")
	return false
}

// tuple reads numbers in parentheses.
func (p *parser) tuple() []int64 {
	p.want("(")
	shape := []int64{}
	for p.err == nil && !p.next(")") {
		digits := p.rest[:len(p.rest)-len(strings.TrimLeft(p.rest, "0123456789"))]
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			p.fail(fmt.Errorf("want a length before %.20q", p.rest))
			return nil
		}
		p.rest = p.rest[len(digits):]
		p.next("L") // as Python 2 wrote them
		if shape = append(shape, n); len(shape) > maxAxes {
			p.fail(fmt.Errorf("it has more than %d axes", maxAxes))
		}
		if !p.next(",") && !strings.HasPrefix(p.rest, ")") {
			p.fail(errors.New("want a comma between lengths"))
		}
	}
	return shape
}

// rowMajor returns elements in row-major order that stand with their first axis first.
func rowMajor(data []byte, shape []int64, size int) []byte {
	sorted := make([]byte, 0, len(data))
	steps := make([]int, len(shape)) // from an index to the next along each axis, in elements
	step := 1
	for axis, n := range shape {
		steps[axis] = step
		step *= int(n)
	}
	index := make([]int64, len(shape))
	from := 0
	for len(sorted) < len(data) {
		sorted = append(sorted, data[from*size:(from+1)*size]...)
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			from += steps[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= int(index[axis]) * steps[axis]
			index[axis] = 0
		}
	}
	return sorted
}

// elements returns the tensor of the bytes that a header describes.
func elements(h header, data []byte) (tensor.Tensor, error) {
	switch h.kind {
	case tensor.Float32:
		return decoded[float32](h, data)
	case tensor.Float64:
		return decoded[float64](h, data)
	case tensor.Half:
		return decoded[tensor.Float16](h, data)
	case tensor.Int8:
		return decoded[int8](h, data)
	case tensor.Int16:
		return decoded[int16](h, data)
	case tensor.Int32:
		return decoded[int32](h, data)
	case tensor.Int64:
		return decoded[int64](h, data)
	case tensor.Uint8:
		return decoded[uint8](h, data)
	case tensor.Uint16:
		return decoded[uint16](h, data)
	case tensor.Uint32:
		return decoded[uint32](h, data)
	case tensor.Uint64:
		return decoded[uint64](h, data)
	case tensor.Bool:
		return decoded[bool](h, data)
	case tensor.Brain, tensor.String, tensor.Undefined:
	}
	return tensor.Tensor{}, fmt.Errorf("%w: elements of type %v", fault.Unsupported, h.kind)
}

func decoded[T tensor.Element](h header, data []byte) (tensor.Tensor, error) {
	all := make([]T, len(data)/h.kind.Bytes())
	if _, err := binary.Decode(data, h.order, all); err != nil {
		return tensor.Tensor{}, fmt.Errorf("%w: %w", fault.Internal, err)
	}
	return tensor.New(h.shape, all)
}

// writeNPY returns a tensor as an npy file. bfloat16, which NumPy does not have, becomes float32. It returns
// [fault.Unsupported] for texts.
func writeNPY(t tensor.Tensor) ([]byte, error) {
	switch t.DType() {
	case tensor.Float32:
		return encoded[float32](t)
	case tensor.Float64:
		return encoded[float64](t)
	case tensor.Half:
		return encoded[tensor.Float16](t)
	case tensor.Brain:
		single, err := convert(t, tensor.Float32)
		if err != nil {
			return nil, err
		}
		return encoded[float32](single)
	case tensor.Int8:
		return encoded[int8](t)
	case tensor.Int16:
		return encoded[int16](t)
	case tensor.Int32:
		return encoded[int32](t)
	case tensor.Int64:
		return encoded[int64](t)
	case tensor.Uint8:
		return encoded[uint8](t)
	case tensor.Uint16:
		return encoded[uint16](t)
	case tensor.Uint32:
		return encoded[uint32](t)
	case tensor.Uint64:
		return encoded[uint64](t)
	case tensor.Bool:
		return encoded[bool](t)
	case tensor.String, tensor.Undefined:
	}
	return nil, fmt.Errorf("%w: %v cannot be an npy file: ask for format=json", fault.Unsupported, t)
}

func encoded[T tensor.Element](t tensor.Tensor) ([]byte, error) {
	data, err := tensor.Data[T](t)
	if err != nil {
		return nil, err
	}
	file := npyHeader(t)
	file, err = binary.Append(slices.Grow(file, t.Len()*t.DType().Bytes()), binary.LittleEndian, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.Internal, err)
	}
	return file, nil
}

// npyHeader returns what stands before the elements: its length is a multiple of 64, so that they are aligned.
func npyHeader(t tensor.Tensor) []byte {
	const before, align = 10, 64 // magic, version and length
	order := "<"
	if t.DType().Bytes() == 1 {
		order = "|"
	}
	dims := strings.Builder{}
	for i, d := range t.Shape() {
		if i > 0 {
			dims.WriteString(" ")
		}
		fmt.Fprintf(&dims, "%d,", d)
	}
	shape := dims.String()
	if len(t.Shape()) > 1 {
		shape = strings.TrimSuffix(shape, ",")
	}
	text := fmt.Sprintf("{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", order, npyName(t.DType()), shape)
	padding := align - (before+len(text)+1)%align
	text += strings.Repeat(" ", padding%align) + "\n"
	file := binary.LittleEndian.AppendUint16([]byte(npyMagic+"\x01\x00"), uint16(len(text))) //nolint:gosec // a few dozen bytes
	return append(file, text...)
}
