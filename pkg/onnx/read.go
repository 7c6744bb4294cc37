package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tsgo/tsgo/pkg/fault"
)

// External opens the bytes of a constant that stands in a file beside the network's: size bytes from offset on, or all that
// follow when size is -1. The location is as the network gives it.
type External func(location string, offset, size int64) ([]byte, error)

// Unmarshal reads a network. The graph's constants are views of data, which must not be changed as long as the graph is
// used. It returns [fault.BadModel] for what is no network, or one whose constants do not hold what they say, and
// [fault.Unsupported] for what this package does not read. Constants in other files are read through external; nil: they
// are [fault.Invalid].
func Unmarshal(data []byte, external External) (*Graph, error) {
	r := reader{external: external}
	g := &Graph{}
	err := r.message(data, func(n int, f field) error {
		switch n {
		case 1:
			g.IR = f.int()
		case 7:
			return r.graph(f.bytes, g)
		case 8:
			return r.opset(f.bytes, &g.Opset, &g.Domains)
		case 14:
			return r.entry(f.bytes, &g.Metadata)
		case 25:
			fn, err := r.function(f.bytes)
			g.Functions = append(g.Functions, fn)
			return err
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case g.Initializers == nil || g.Opset == 0 && len(g.Domains) == 0:
		return nil, fmt.Errorf("%w: no ONNX network: it has no graph, or no version of its operators", fault.BadModel)
	}
	return g, nil
}

// reader reads the messages of the format.
type reader struct {
	external External
	depth    int // of graphs in graphs
	messages int // read so far
}

// maxMessages is how many parts a network may have: a node takes a few, so it has room for hundreds of thousands. It bounds
// the memory that a file of nothing but empty parts takes.
const maxMessages = 1 << 21

// field is one field's value: number for the numeric wire types, bytes for the others.
type field struct {
	kind   protowire.Type
	number uint64
	bytes  []byte
}

func (f field) int() int64     { return int64(f.number) }
func (f field) text() string   { return string(f.bytes) }
func (f field) float() float32 { return math.Float32frombits(uint32(f.number)) }

// message calls each with every field of b.
func (r *reader) message(b []byte, each func(n int, f field) error) error {
	if r.messages++; r.messages > maxMessages {
		return fmt.Errorf("%w: the network has more than %d parts", fault.BadModel, maxMessages)
	}
	for len(b) > 0 {
		n, kind, used := protowire.ConsumeTag(b)
		if used < 0 {
			return damaged(used)
		}
		b = b[used:]
		f := field{kind: kind}
		switch kind {
		case protowire.VarintType:
			f.number, used = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, used = protowire.ConsumeFixed32(b)
			f.number = uint64(v)
		case protowire.Fixed64Type:
			f.number, used = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, used = protowire.ConsumeBytes(b)
		default:
			used = protowire.ConsumeFieldValue(n, kind, b)
		}
		if used < 0 {
			return damaged(used)
		}
		b = b[used:]
		if err := each(int(n), f); err != nil {
			return err
		}
	}
	return nil
}

func damaged(code int) error {
	err := protowire.ParseError(code)
	if err == io.ErrUnexpectedEOF { //nolint:errorlint // ParseError wraps nothing
		return fmt.Errorf("%w: the file ends too early, or it is no ONNX network", fault.BadModel)
	}
	return fmt.Errorf("%w: no ONNX network: %w", fault.BadModel, err)
}

func (r *reader) opset(b []byte, own *int64, domains *map[string]int64) error {
	var domain string
	var version int64
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			domain = f.text()
		case 2:
			version = f.int()
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		*own = version
		return err
	}
	if *domains == nil {
		*domains = map[string]int64{}
	}
	(*domains)[domain] = version
	return err
}

func (r *reader) entry(b []byte, m *map[string]string) error {
	var key, value string
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			key = f.text()
		case 2:
			value = f.text()
		}
		return nil
	})
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
	return err
}

// maxDepth is how deep graphs may stand in graphs.
const maxDepth = 32

func (r *reader) graph(b []byte, g *Graph) error {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("%w: more than %d graphs inside of each other", fault.BadModel, maxDepth)
	}
	defer func() { r.depth-- }()
	g.Initializers = map[string]*Constant{}
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			node, err := r.node(f.bytes)
			g.Nodes = append(g.Nodes, node)
			return err
		case 2:
			g.Name = f.text()
		case 5:
			c, name, err := r.constant(f.bytes)
			g.Initializers[name] = c
			return err
		case 11:
			v, err := r.value(f.bytes)
			g.Inputs = append(g.Inputs, v)
			return err
		case 12:
			v, err := r.value(f.bytes)
			g.Outputs = append(g.Outputs, v)
			return err
		case 15:
			return fmt.Errorf("%w: the network has sparse initializers: save it with dense ones", fault.Unsupported)
		}
		return nil
	})
	inputs := g.Inputs[:0]
	for _, v := range g.Inputs {
		if g.Initializers[v.Name] == nil {
			inputs = append(inputs, v)
		}
	}
	g.Inputs = inputs
	return err
}

func (r *reader) value(b []byte) (Value, error) {
	var v Value
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			v.Name = f.text()
		case 2:
			return r.valueType(f.bytes, &v)
		}
		return nil
	})
	return v, err
}

func (r *reader) valueType(b []byte, v *Value) error {
	return r.message(b, func(n int, f field) error {
		names := map[int]string{4: "sequence", 5: "map", 7: "opaque value", 8: "sparse tensor", 9: "optional"}
		if name := names[n]; name != "" {
			v.Exotic, v.exotic = name, b
		}
		if n != 1 {
			return nil
		}
		return r.message(f.bytes, func(n int, f field) error {
			switch n {
			case 1:
				v.Type = DataType(f.int())
			case 2:
				v.Shape = []Axis{}
				return r.message(f.bytes, func(n int, f field) error {
					if n != 1 {
						return nil
					}
					axis, err := r.axis(f.bytes)
					v.Shape = append(v.Shape, axis)
					return err
				})
			}
			return nil
		})
	})
}

func (r *reader) axis(b []byte) (Axis, error) {
	axis := Axis{Size: -1}
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			axis.Size = max(-1, f.int())
		case 2:
			axis.Name = f.text()
		}
		return nil
	})
	return axis, err
}

func (r *reader) node(b []byte) (*Node, error) {
	node := &Node{}
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			node.Inputs = append(node.Inputs, f.text())
		case 2:
			node.Outputs = append(node.Outputs, f.text())
		case 3:
			node.Name = f.text()
		case 4:
			node.Op = f.text()
		case 5:
			return r.attribute(f.bytes, &node.Attrs)
		case 7:
			if node.Domain = f.text(); node.Domain == "ai.onnx" {
				node.Domain = ""
			}
		case 8:
			node.Overload = f.text()
		}
		return nil
	})
	if err == nil && node.Op == "" {
		err = fmt.Errorf("%w: node %q applies no operator", fault.BadModel, node.Name)
	}
	return node, err
}

func (r *reader) function(b []byte) (*Function, error) {
	fn := &Function{}
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			fn.Name = f.text()
		case 4:
			fn.Inputs = append(fn.Inputs, f.text())
		case 5:
			fn.Outputs = append(fn.Outputs, f.text())
		case 6:
			fn.Attrs = append(fn.Attrs, f.text())
		case 7:
			node, err := r.node(f.bytes)
			fn.Nodes = append(fn.Nodes, node)
			return err
		case 9:
			return r.opset(f.bytes, &fn.Opset, &fn.Domains)
		case 10:
			fn.Domain = f.text()
		case 11:
			return r.attribute(f.bytes, &fn.Defaults)
		case 13:
			fn.Overload = f.text()
		}
		return nil
	})
	return fn, err
}

func (r *reader) attribute(b []byte, to *map[string]Attr) error {
	var a Attr
	var name string
	err := r.message(b, func(n int, f field) (err error) {
		switch n {
		case 1:
			name = f.text()
		case 2:
			a.Float = f.float()
		case 3:
			a.Int = f.int()
		case 4:
			a.String = f.text()
		case 5:
			a.Tensor, _, err = r.constant(f.bytes)
		case 6:
			a.Graph = &Graph{}
			err = r.graph(f.bytes, a.Graph)
		case 20:
			a.Kind = AttrKind(min(f.number, math.MaxUint8))
		case 21:
			a.Ref = f.text()
		default:
			err = r.elements(n, f, &a)
		}
		return err
	})
	if a.Kind == KindUndefined && a.Ref == "" {
		a.Kind = a.kind()
	}
	if err == nil && a.Ref == "" && (a.Kind == KindTensor && a.Tensor == nil || a.Kind == KindGraph && a.Graph == nil) {
		err = fmt.Errorf("%w: attribute %q is empty", fault.BadModel, name)
	}
	if *to == nil {
		*to = map[string]Attr{}
	}
	(*to)[name] = a
	return err
}

// kind tells what an attribute holds whose kind the file, of an old version of the format, does not tell.
func (a Attr) kind() AttrKind {
	switch {
	case a.Ints != nil:
		return KindInts
	case a.Floats != nil:
		return KindFloats
	case a.Strings != nil:
		return KindStrings
	case a.Tensor != nil:
		return KindTensor
	case a.Graph != nil:
		return KindGraph
	case a.String != "":
		return KindString
	case a.Float != 0:
		return KindFloat
	}
	return KindInt
}

// elements reads one of an attribute's several elements.
func (r *reader) elements(n int, f field, a *Attr) error {
	switch n {
	case 7:
		return f.each(protowire.Fixed32Type, func(v uint64) { a.Floats = append(a.Floats, math.Float32frombits(uint32(v))) })
	case 8:
		return f.each(protowire.VarintType, func(v uint64) { a.Ints = append(a.Ints, int64(v)) })
	case 9:
		a.Strings = append(a.Strings, f.text())
	case 10:
		c, _, err := r.constant(f.bytes)
		a.Tensors = append(a.Tensors, c)
		return err
	case 11:
		g := &Graph{}
		a.Graphs = append(a.Graphs, g)
		return r.graph(f.bytes, g)
	case 14, 15, 22, 23:
		a.verbatim = protowire.AppendTag(a.verbatim, protowire.Number(n), protowire.BytesType)
		a.verbatim = protowire.AppendBytes(a.verbatim, f.bytes)
	}
	return nil
}

// each calls do with a number, or with each of several that are packed.
func (f field) each(kind protowire.Type, do func(v uint64)) error {
	if f.kind != protowire.BytesType {
		do(f.number)
		return nil
	}
	for b := f.bytes; len(b) > 0; {
		var v uint64
		var used int
		switch kind {
		case protowire.Fixed32Type:
			var short uint32
			short, used = protowire.ConsumeFixed32(b)
			v = uint64(short)
		case protowire.Fixed64Type:
			v, used = protowire.ConsumeFixed64(b)
		default:
			v, used = protowire.ConsumeVarint(b)
		}
		if used < 0 {
			return damaged(used)
		}
		do(v)
		b = b[used:]
	}
	return nil
}

// payload is where a constant's elements stand in the file.
type payload struct {
	c        *Constant
	name     string
	outside  bool // in another file
	location map[string]string
	raw      bool
}

func (r *reader) constant(b []byte) (*Constant, string, error) {
	p := payload{c: &Constant{Shape: []int64{}}}
	var later []field // elements, which may stand before their type
	var numbers []int
	err := r.message(b, func(n int, f field) error {
		switch n {
		case 1:
			return f.each(protowire.VarintType, func(v uint64) { p.c.Shape = append(p.c.Shape, int64(v)) })
		case 2:
			p.c.Type = DataType(f.int())
		case 3:
			return fmt.Errorf("%w: the network has a tensor in segments", fault.Unsupported)
		case 4, 5, 7, 10, 11:
			later, numbers = append(later, f), append(numbers, n)
		case 6:
			p.c.Strings = append(p.c.Strings, f.text())
		case 8:
			p.name = f.text()
		case 9:
			p.c.Raw, p.raw = f.bytes, true
		case 13:
			return r.entry(f.bytes, &p.location)
		case 14:
			p.outside = f.int() == 1
		}
		return nil
	})
	for i, f := range later {
		if err == nil && !p.raw {
			err = p.c.typed(numbers[i], f)
		}
	}
	if err == nil && p.outside {
		p.c.Raw, err = r.outside(p.c, p.location)
	}
	if err == nil {
		err = p.c.check()
	}
	if err != nil {
		return nil, "", fmt.Errorf("tensor %q: %w", p.name, err)
	}
	return p.c, p.name, nil
}

// typed appends elements that stand in the file as numbers.
func (c *Constant) typed(n int, f field) error {
	wire := protowire.VarintType
	switch n {
	case 4:
		wire = protowire.Fixed32Type
	case 10:
		wire = protowire.Fixed64Type
	}
	size := c.Type.DType().Bytes()
	if size == 0 {
		return fmt.Errorf("%w: elements of %v that are not raw", fault.Unsupported, c.Type)
	}
	var word [8]byte
	return f.each(wire, func(v uint64) {
		binary.LittleEndian.PutUint64(word[:], v)
		c.Raw = append(c.Raw, word[:size]...)
	})
}

// check compares the elements with the type and shape.
func (c *Constant) check() error {
	count, err := c.count()
	if err != nil {
		return err
	}
	size := int64(c.Type.DType().Bytes())
	switch {
	case c.Type.DType().String() == "string" && count != int64(len(c.Strings)):
		return fmt.Errorf("%w: %d strings, shape %v", fault.BadModel, len(c.Strings), c.Shape)
	case size > 0 && count*size != int64(len(c.Raw)):
		return fmt.Errorf("%w: %d bytes of %v, shape %v takes %d", fault.BadModel, len(c.Raw), c.Type, c.Shape, count*size)
	}
	return nil
}

// count returns the number of elements that the shape holds.
func (c *Constant) count() (int64, error) {
	const most = math.MaxInt32 * 4096
	count := int64(1)
	for _, d := range c.Shape {
		if d < 0 || d > 0 && count > most/d {
			return 0, fmt.Errorf("%w: shape %v", fault.BadModel, c.Shape)
		}
		count *= d
	}
	return count, nil
}
