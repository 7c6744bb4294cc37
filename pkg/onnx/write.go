package onnx

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// Marshal returns g as a file. The same graph gives the same bytes.
func (g *Graph) Marshal() []byte {
	var w writer
	w.grow(g.size())
	w.int(1, g.IR)
	w.text(2, "tsgo")
	w.message(7, func() { w.graph(g) })
	w.opsets(8, g.Opset, g.Domains)
	w.strings(14, g.Metadata)
	for _, f := range g.Functions {
		w.message(25, func() { w.function(f) })
	}
	return w.buf
}

// size is about what the file takes: nearly all of it are the constants.
func (g *Graph) size() int {
	n := 1 << 12
	for _, c := range g.Initializers {
		n += len(c.Raw) + 128
	}
	return n + len(g.Nodes)*256
}

// writer appends messages of the protocol buffers' wire format (https://protobuf.dev/programming-guides/encoding).
type writer struct{ buf []byte }

func (w *writer) grow(n int) { w.buf = slices.Grow(w.buf, n) }

func (w *writer) tag(n protowire.Number, t protowire.Type) { w.buf = protowire.AppendTag(w.buf, n, t) }

// int writes a field unless it is zero.
func (w *writer) int(n protowire.Number, v int64) {
	if v != 0 {
		w.mustInt(n, v)
	}
}

func (w *writer) mustInt(n protowire.Number, v int64) {
	w.tag(n, protowire.VarintType)
	w.buf = protowire.AppendVarint(w.buf, uint64(v))
}

func (w *writer) float(n protowire.Number, v float32) {
	w.tag(n, protowire.Fixed32Type)
	w.buf = protowire.AppendFixed32(w.buf, math.Float32bits(v))
}

// text writes a field unless it is empty.
func (w *writer) text(n protowire.Number, s string) {
	if s != "" {
		w.mustText(n, s)
	}
}

func (w *writer) mustText(n protowire.Number, s string) {
	w.tag(n, protowire.BytesType)
	w.buf = protowire.AppendString(w.buf, s)
}

func (w *writer) bytes(n protowire.Number, b []byte) {
	w.tag(n, protowire.BytesType)
	w.buf = protowire.AppendBytes(w.buf, b)
}

// message writes the message that body writes. The length in front of it is not known before, so room for the longest is
// left and closed again: nothing is copied twice but the small messages.
func (w *writer) message(n protowire.Number, body func()) {
	const room = 5
	w.tag(n, protowire.BytesType)
	start := len(w.buf)
	w.buf = append(w.buf, make([]byte, room)...)
	body()
	length := len(w.buf) - start - room
	head := protowire.AppendVarint(nil, uint64(length))
	if len(head) < room && length > 1<<20 { // not worth moving: a varint may be longer than it has to be
		for len(head) < room {
			head[len(head)-1] |= 0x80
			head = append(head, 0)
		}
	}
	copy(w.buf[start:], head)
	if len(head) < room {
		copy(w.buf[start+len(head):], w.buf[start+room:])
		w.buf = w.buf[:len(w.buf)-room+len(head)]
	}
}

// sorted returns a map's entries in the order of their keys.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (w *writer) opsets(n protowire.Number, own int64, domains map[string]int64) {
	w.opset(n, "", own)
	for _, domain := range sorted(domains) {
		w.opset(n, domain, domains[domain])
	}
}

func (w *writer) opset(n protowire.Number, domain string, version int64) {
	if version == 0 {
		return
	}
	w.message(n, func() {
		w.text(1, domain)
		w.int(2, version)
	})
}

func (w *writer) strings(n protowire.Number, m map[string]string) {
	for _, key := range sorted(m) {
		w.message(n, func() {
			w.text(1, key)
			w.text(2, m[key])
		})
	}
}

func (w *writer) graph(g *Graph) {
	for _, node := range g.Nodes {
		w.message(1, func() { w.node(node) })
	}
	w.mustText(2, cmp.Or(g.Name, "graph"))
	for _, name := range sorted(g.Initializers) {
		w.message(5, func() { w.constant(g.Initializers[name], name) })
	}
	for _, v := range g.Inputs {
		w.message(11, func() { w.value(v) })
	}
	for _, v := range g.Outputs {
		w.message(12, func() { w.value(v) })
	}
}

func (w *writer) value(v Value) {
	w.mustText(1, v.Name)
	switch {
	case v.Exotic != "":
		w.bytes(2, v.exotic)
	case v.Type != 0:
		w.message(2, func() {
			w.message(1, func() {
				w.int(1, int64(v.Type))
				if v.Shape != nil {
					w.message(2, func() { w.axes(v.Shape) })
				}
			})
		})
	}
}

func (w *writer) axes(shape []Axis) {
	for _, a := range shape {
		w.message(1, func() {
			if a.Size >= 0 {
				w.mustInt(1, a.Size)
			} else {
				w.text(2, a.Name)
			}
		})
	}
}

func (w *writer) node(n *Node) {
	for _, name := range n.Inputs {
		w.mustText(1, name)
	}
	for _, name := range n.Outputs {
		w.mustText(2, name)
	}
	w.text(3, n.Name)
	w.mustText(4, n.Op)
	for _, name := range sorted(n.Attrs) {
		w.message(5, func() { w.attr(name, n.Attrs[name]) })
	}
	w.text(7, n.Domain)
	w.text(8, n.Overload)
}

func (w *writer) function(f *Function) {
	w.mustText(1, f.Name)
	for _, name := range f.Inputs {
		w.mustText(4, name)
	}
	for _, name := range f.Outputs {
		w.mustText(5, name)
	}
	for _, name := range f.Attrs {
		w.mustText(6, name)
	}
	for _, n := range f.Nodes {
		w.message(7, func() { w.node(n) })
	}
	w.opsets(9, f.Opset, f.Domains)
	w.text(10, f.Domain)
	for _, name := range sorted(f.Defaults) {
		w.message(11, func() { w.attr(name, f.Defaults[name]) })
	}
	w.text(13, f.Overload)
}

// attr writes an attribute; its fields are numbered as in the format.
func (w *writer) attr(name string, a Attr) {
	w.mustText(1, name)
	switch a.Kind {
	case KindFloat:
		w.float(2, a.Float)
	case KindInt:
		w.mustInt(3, a.Int)
	case KindString:
		w.mustText(4, a.String)
	case KindTensor:
		if a.Tensor != nil { // an attribute that stands for another has none
			w.message(5, func() { w.constant(a.Tensor, "") })
		}
	case KindGraph:
		if a.Graph != nil {
			w.message(6, func() { w.graph(a.Graph) })
		}
	case KindFloats, KindInts, KindStrings, KindTensors, KindGraphs:
		w.attrs(a)
	case KindUndefined:
	default:
		w.buf = append(w.buf, a.verbatim...)
	}
	w.int(20, int64(a.Kind))
	w.text(21, a.Ref)
}

// attrs writes the elements of an attribute that has several.
func (w *writer) attrs(a Attr) {
	for _, v := range a.Floats {
		w.float(7, v)
	}
	for _, v := range a.Ints {
		w.mustInt(8, v)
	}
	for _, v := range a.Strings {
		w.mustText(9, v)
	}
	for _, v := range a.Tensors {
		w.message(10, func() { w.constant(v, "") })
	}
	for _, v := range a.Graphs {
		w.message(11, func() { w.graph(v) })
	}
}

func (w *writer) constant(c *Constant, name string) {
	for _, d := range c.Shape {
		w.mustInt(1, d)
	}
	w.int(2, int64(c.Type))
	for _, s := range c.Strings {
		w.mustText(6, s)
	}
	w.text(8, name)
	if c.Type.DType() != tensor.String {
		w.bytes(9, c.Raw)
	}
}
