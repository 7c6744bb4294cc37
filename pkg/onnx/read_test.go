package onnx_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// part is a field that holds bytes.
func part(number protowire.Number, data ...[]byte) []byte {
	var whole []byte
	for _, d := range data {
		whole = append(whole, d...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), whole)
}

func text(number protowire.Number, s string) []byte { return part(number, []byte(s)) }

func number(n protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), uint64(v))
}

// file is a network of opset 17 with that in its graph.
func file(graph ...[]byte) []byte {
	return append(part(8, number(2, 17)), part(7, graph...)...)
}

// initializer is a tensor in a graph.
func initializer(fields ...[]byte) []byte { return part(5, append(fields, text(8, "w"))...) }

// beside is a tensor of float32 in another file.
func beside(location string, shape int64, more ...[]byte) []byte {
	fields := [][]byte{number(1, shape), number(2, 1), number(14, 1), part(13, text(1, "location"), text(2, location))}
	return initializer(append(fields, more...)...)
}

// TestUnmarshalElements reads elements in each of the forms that they stand in a file.
func TestUnmarshalElements(t *testing.T) {
	t.Parallel()
	fixed := protowire.AppendFixed32
	tests := []struct {
		name   string
		fields [][]byte
		want   *onnx.Constant
	}{
		{"packed floats before the type", [][]byte{part(4, fixed(fixed(nil, 0x3f800000), 0x40000000)), number(1, 2), number(2, 1)}, onnx.Of([]float32{1, 2}, 2)},
		{"floats that are not packed", [][]byte{number(1, 1), number(2, 1), fixed(protowire.AppendTag(nil, 4, protowire.Fixed32Type), 0x3f800000)}, onnx.Of([]float32{1}, 1)},
		{"raw", [][]byte{number(2, 1), part(9, fixed(nil, 0x3f800000))}, onnx.Of([]float32{1})},
		{"packed shape", [][]byte{part(1, []byte{1, 2}), number(2, 3), part(5, []byte{3, 4})}, onnx.Of([]int8{3, 4}, 1, 2)},
		{"negative int32", [][]byte{number(1, 1), number(2, 6), number(5, -3)}, onnx.Of([]int32{-3}, 1)},
		{"truths", [][]byte{number(1, 2), number(2, 9), part(5, []byte{1, 0})}, onnx.Of([]bool{true, false}, 2)},
		{"float16 as numbers", [][]byte{number(1, 1), number(2, 10), number(5, 0x3c00)}, onnx.Of([]tensor.Float16{0x3c00}, 1)},
		{"int64", [][]byte{number(1, 2), number(2, 7), part(7, protowire.AppendVarint([]byte{5}, ^uint64(0)))}, onnx.Of([]int64{5, -1}, 2)},
		{"doubles", [][]byte{number(1, 1), number(2, 11), part(10, protowire.AppendFixed64(nil, 0x3ff0000000000000))}, onnx.Of([]float64{1}, 1)},
		{"uint64", [][]byte{number(1, 1), number(2, 13), number(11, 9)}, onnx.Of([]uint64{9}, 1)},
		{"strings", [][]byte{number(1, 2), number(2, 8), text(6, "a"), text(6, "")}, onnx.Of([]string{"a", ""}, 2)},
		{"none", [][]byte{number(1, 0), number(2, 7)}, onnx.Of([]int64{}, 0)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, err := onnx.Unmarshal(file(initializer(test.fields...)), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, read := range []*onnx.Graph{g, again(t, g)} {
				got, err := read.Initializers["w"].Tensor()
				if err != nil {
					t.Fatal(err)
				}
				want, err := test.want.Tensor()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(tensor.Tensor{}), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("elements (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// again writes g and reads it.
func again(t *testing.T, g *onnx.Graph) *onnx.Graph {
	t.Helper()
	read, err := onnx.Unmarshal(g.Marshal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	deep := part(1, text(4, "If"))
	for range 40 {
		deep = part(1, text(4, "If"), part(5, text(1, "b"), number(20, 5), part(6, deep)))
	}
	tests := []struct {
		name string
		data []byte
		kind fault.Kind
		want string
	}{
		{"nothing", nil, fault.BadModel, "no ONNX network"},
		{"a picture", []byte("\x89PNG\r\n\x1a\n"), fault.BadModel, "no ONNX network"},
		{"half of one", file(initializer(number(2, 1)))[:9], fault.BadModel, "ends too early"},
		{"no operators' version", part(7, text(2, "g")), fault.BadModel, "version"},
		{"a huge shape", file(initializer(number(1, 1<<40), number(1, 1<<40), number(2, 1))), fault.BadModel, `tensor "w"`},
		{"a large shape", file(initializer(number(1, 1<<40), number(2, 1))), fault.BadModel, "takes"},
		{"a negative shape", file(initializer(number(1, -1), number(2, 1))), fault.BadModel, "shape [-1]"},
		{"too few strings", file(initializer(number(1, 2), number(2, 8), text(6, "a"))), fault.BadModel, "1 strings"},
		{"a broken varint", file(initializer(number(1, 1), number(2, 7), part(7, []byte{0x80}))), fault.BadModel, `tensor "w"`},
		{"segments", file(initializer(part(3, nil))), fault.Unsupported, "segments"},
		{"sparse", file(part(15, nil)), fault.Unsupported, "sparse"},
		{"no operator", file(part(1, text(3, "n"))), fault.BadModel, `node "n"`},
		{"an empty attribute", file(part(1, text(4, "If"), part(5, text(1, "a"), number(20, 5)))), fault.BadModel, `attribute "a"`},
		{"too deep", file(deep), fault.BadModel, "inside of each other"},
		{"too many parts", append(file(), []byte(strings.Repeat("\x72\x00", 1<<21))...), fault.BadModel, "parts"},
		{"another file", file(beside("w.bin", 1)), fault.Invalid, `"w.bin"`},
		{"a wrong offset", file(beside("w.bin", 1, part(13, text(1, "offset"), text(2, "-4")))), fault.Invalid, "w.bin"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := onnx.Unmarshal(test.data, nil)
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Unmarshal: %v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
}

// FuzzUnmarshal: bytes of strangers are refused or become a graph that can be asked, written and normalised.
func FuzzUnmarshal(f *testing.F) {
	g := small()
	g.Functions = []*onnx.Function{{Name: "F", Domain: "own", Inputs: []string{"x"}, Outputs: []string{"y"}, Nodes: []*onnx.Node{node("Neg", "x", "y", nil)}}}
	call := node("F", "x", "f", nil)
	call.Domain = "own"
	g.Nodes = append(g.Nodes, call)
	f.Add(g.Marshal())
	old := made(9, floats("x", 1, 3, 4, 4), map[string]*onnx.Constant{"w": onnx.Of(noise(3, 3, 1, 1), 3, 3, 1, 1), "s": onnx.Of([]float32{1, 1, 2, 2}, 4), "v": onnx.Of([]float32{1, 2, 3}, 3)},
		node("Conv", "x w", "c", nil), node("BatchNormalization", "c v v v v", "n", nil), node("Upsample", "n s", "u", nil), node("Clip", "u", "l", attrs{"max": onnx.Float(1)}),
		node("Slice", "l", "sl", attrs{"starts": onnx.Ints(0), "ends": onnx.Ints(1)}), node("Softmax", "sl", "y", nil))
	f.Add(old.Marshal())
	f.Add(file(beside("../w.bin", 2), part(1, text(4, "Constant"), text(2, "c"), part(5, text(1, "value_ints"), part(8, []byte{1, 2}), number(20, 7)))))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := onnx.Unmarshal(data, func(string, int64, int64) ([]byte, error) { return []byte("1234"), nil })
		if err != nil {
			if fault.Of(err) == fault.Internal {
				t.Errorf("Unmarshal: %v", err)
			}
			return
		}
		written := g.Marshal()
		if diff := cmp.Diff(written, again(t, g).Marshal()); diff != "" {
			t.Errorf("written twice (-first +second):\n%s", diff)
		}
		if err := g.Normalize(); err != nil {
			if fault.Of(err) == fault.Internal {
				t.Errorf("Normalize: %v", err)
			}
			return
		}
		if err := g.Sort(); err != nil {
			t.Errorf("Sort of what is normal: %v", err)
		}
		g.TypeProbe().Marshal()
		g.ShapeProbe(nil).Marshal()
		g.Embedding()
		for _, v := range g.Outputs {
			g.Logits(v.Name)
		}
		g.FreeBatch()
		for name := range g.Producers() {
			if err := g.Cut(name); err != nil && fault.Of(err) != fault.Invalid {
				t.Errorf("Cut: %v", err)
			}
			break
		}
	})
}
