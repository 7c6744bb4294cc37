package tensors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/handlertest"
	"github.com/tsgo/tsgo/pkg/handler/tensors"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func value(name string, d tensor.DType, dims ...int64) engine.Value {
	v := engine.Value{Name: name, DType: d}
	for _, size := range dims {
		v.Shape = append(v.Shape, engine.Dim{Size: size})
	}
	return v
}

func made[T tensor.Element](t *testing.T, shape []int64, data ...T) tensor.Tensor {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func build(t *testing.T, s engine.Signature, compute enginetest.Func, config map[string]any) (handler.Handler, error) {
	t.Helper()
	session := enginetest.New(s, compute)
	explainer, err := explain.New(explain.Options{Session: session})
	if err != nil {
		t.Fatal(err)
	}
	return tensors.New(handler.Env{Session: session, Explainer: explainer, Config: config, Log: slog.New(slog.DiscardHandler)})
}

// echo is a network whose outputs are its inputs: y of x, y2 of x2.
func echo(t *testing.T, config map[string]any, inputs ...engine.Value) handler.Handler {
	t.Helper()
	s := engine.Signature{Inputs: inputs}
	for _, v := range inputs {
		v.Name = strings.Replace(v.Name, "x", "y", 1)
		s.Outputs = append(s.Outputs, v)
	}
	h, err := build(t, s, func(in tensor.Named) (tensor.Named, error) {
		out := tensor.Named{}
		for name, x := range in {
			out[strings.Replace(name, "x", "y", 1)] = x
		}
		return out, nil
	}, config)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(ctx context.Context, h handler.Handler, req *model.Request) (handler.Answer, error) {
	in, err := h.Preprocess(ctx, req)
	if err != nil {
		return handler.Answer{}, err
	}
	out, err := h.Inference(ctx, in)
	if err != nil {
		return handler.Answer{}, err
	}
	return h.Postprocess(ctx, req, out)
}

// text writes an answer's tensors as their type, shape and elements.
func text(t *testing.T, v any) string {
	t.Helper()
	switch v := v.(type) {
	case handler.Object:
		var all []string
		for _, m := range v {
			all = append(all, m.Key+"="+text(t, m.Value))
		}
		return strings.Join(all, " ")
	case []byte:
		x, err := tensors.ReadNPY(v)
		if err != nil {
			t.Fatal(err)
		}
		return "npy " + text(t, x)
	case tensor.Tensor:
		if strs, err := tensor.Data[string](v); err == nil {
			return fmt.Sprint(v, strs)
		}
		if b, err := tensor.Data[bool](v); err == nil {
			return fmt.Sprint(v, b)
		}
		data, err := tensor.Float32s(v)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(v, data)
	}
	return fmt.Sprint(v)
}

// file is an npy file by its description and its elements.
func file(description string, data ...byte) []byte {
	description += "\n"
	head := append([]byte("\x93NUMPY\x01\x00"), byte(len(description)), byte(len(description)>>8))
	return append(append(head, description...), data...)
}

func body(kind, data string) []model.Input {
	return []model.Input{{Name: "body", ContentType: kind, Data: []byte(data)}}
}

func part(name, data string) model.Input { return model.Input{Name: name, Data: []byte(data)} }

func TestAnswers(t *testing.T) {
	t.Parallel()
	x := value("x", tensor.Float32, -1, 2)
	ints := value("x2", tensor.Int64, -1, 2)
	doubles := made(t, []int64{1, 2}, 0.5, 2.0)
	bits := string(file("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", 0, 0, 0, 0, 0, 0, 0xe0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0x40))
	const js = "application/json"
	tests := []struct {
		name   string
		h      handler.Handler
		inputs []model.Input
		params map[string]string
		accept string
		want   string
	}{
		{"a batch", echo(t, nil, x), body(js, "[[0.5, 2]]"), nil, "", "float32[1 2] [0.5 2]"},
		{"one row", echo(t, nil, x), body("", " [0.5, 2] "), nil, "", "float32[2] [0.5 2]"},
		{"an object", echo(t, nil, x), body(js, `{"x": [[0.5, 2], [1, 1]]}`), nil, "", "float32[2 2] [0.5 2 1 1]"},
		{"a part of the input's name", echo(t, nil, x), []model.Input{part("data", "[9, 9]"), part("x", "[1, 2]")}, nil, "", "float32[2] [1 2]"},
		{"data before body", echo(t, nil, x), []model.Input{part("body", "[9, 9]"), part("data", "[1, 2]")}, nil, "", "float32[2] [1 2]"},
		{"a part of any name", echo(t, nil, x), []model.Input{part("anything", "[1, 2]")}, nil, "", "float32[2] [1 2]"},
		{"npy, from float64", echo(t, nil, x), body("", bits), nil, "", "float32[2] [0.5 2]"},
		{"a tensor, from float64", echo(t, nil, x), []model.Input{{Name: "x", Tensor: &doubles}}, nil, "", "float32[1 2] [0.5 2]"},
		{"npy out by Accept", echo(t, nil, x), body(js, "[1, 2]"), nil, "application/x-npy, */*", "npy float32[2] [1 2]"},
		{"npy out by parameter", echo(t, nil, x), body(js, "[[1, 2]]"), map[string]string{"format": "npy"}, "application/json", "npy float32[1 2] [1 2]"},
		{"JSON where all is accepted", echo(t, nil, x), body(js, "[1, 2]"), nil, "*/*, application/x-npy", "float32[2] [1 2]"},
		{"several", echo(t, nil, x, ints), body(js, `{"x": [0.5, 2], "x2": [3, 4]}`), nil, "", "y=float32[2] [0.5 2] y2=int64[2] [3 4]"},
		{"several as parts", echo(t, nil, x, ints), []model.Input{part("x", bits), part("x2", "[3, 4]")}, nil, "", "y=float32[2] [0.5 2] y2=int64[2] [3 4]"},
		{"one of several", echo(t, nil, x, ints), body(js, `{"x": [0.5, 2], "x2": [3, 4]}`), map[string]string{"outputs": "y2", "format": "npy"}, "", "npy int64[2] [3 4]"},
		{"in another order", echo(t, map[string]any{"outputs": []any{"y2", "y"}}, x, ints), body(js, `{"x": [0.5, 2], "x2": [[3, 4]]}`), nil, "", "y2=int64[1 2] [3 4] y=float32[1 2] [0.5 2]"},
		{"a scalar", echo(t, nil, value("x", tensor.Float64)), body(js, "3"), nil, "", "float64[] [3]"},
		{"text", echo(t, nil, value("x", tensor.String, -1)), body(js, `["a", "b"]`), nil, "", "string[2] [a b]"},
		{"true", echo(t, nil, value("x", tensor.Bool, -1)), body(js, `[true, false]`), nil, "", "bool[2] [true false]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			req := &model.Request{Inputs: test.inputs, Params: test.params}
			if test.accept != "" {
				req.Header = map[string][]string{"accept": {test.accept}}
			}
			got, err := ask(t.Context(), test.h, req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, text(t, got.Value)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusesRequests(t *testing.T) {
	t.Parallel()
	x, ints := value("x", tensor.Float32, -1, 2), value("x2", tensor.Int64, -1, 2)
	one, two := echo(t, nil, x), echo(t, nil, x, ints)
	half := made(t, []int64{1, 2}, float32(0.5), 2)
	far := made(t, []int64{2}, uint64(math.MaxUint64), 0)
	strs := made(t, []int64{2}, "a", "b")
	tests := []struct {
		name   string
		h      handler.Handler
		inputs []model.Input
		params map[string]string
		want   string
	}{
		{"nothing", one, nil, nil, "the request has no input"},
		{"empty", one, body("", ""), nil, `input "x" is empty`},
		{"no lists", one, body("", "hello"), nil, "as JSON lists"},
		{"ragged", one, body("", "[[1, 2], [3]]"), nil, "ragged"},
		{"shape", one, body("", "[1, 2, 3]"), nil, "the network takes x float32[?,2]"},
		{"rank", one, body("", "[[[1, 2]]]"), nil, "the network takes x float32[?,2]"},
		{"deep", one, body("", strings.Repeat("[", 1e6)), nil, "nested deeper"},
		{"a text for a number", one, body("", `["a", 2]`), nil, "element 0 is a, want float32"},
		{"an object of another name", one, body("", `{"X": [1, 2]}`), nil, `input "x" is missing`},
		{"an object with more", one, body("", `{"x": [1, 2], "x3": [1]}`), nil, `the network has no input "x3", did you mean "x"?`},
		{"no object", one, body("", `{"x": [1, 2]`), nil, "JSON object of inputs"},
		{"more after the object", one, body("", `{"x": [1, 2]} 3`), nil, "more follows"},
		{"one too few", two, body("", `{"x": [1, 2]}`), nil, `input "x2" is missing: send a part of that name for each of x float32[?,2], x2 int64[?,2]`},
		{"one list for two", two, body("", "[1, 2]"), nil, `input "x" is missing`},
		{"a fraction for an integer", two, []model.Input{part("x", "[1, 2]"), {Name: "x2", Tensor: &half}}, nil, `input "x2": invalid: element 0 is 0.5, want int64`},
		{"too large for an integer", two, []model.Input{part("x", "[1, 2]"), {Name: "x2", Tensor: &far}}, nil, "want int64"},
		{"texts for numbers", one, []model.Input{{Name: "x", Tensor: &strs}}, nil, "it is string[2], the network takes float32"},
		{"a damaged file", one, body("application/x-npy", "\x93NUMP"), nil, `input "x" as an npy file`},
		{"two in a file", two, body("", `{"x": [1, 2], "x2": [3, 4]}`), map[string]string{"format": "npy"}, "name one by the parameter outputs"},
		{"an unknown output", two, body("", `{"x": [1, 2], "x2": [3, 4]}`), map[string]string{"outputs": "y,y3"}, `there is no output "y3", did you mean "y"?`},
		{"an output twice", two, body("", `{"x": [1, 2], "x2": [3, 4]}`), map[string]string{"outputs": "y,y"}, "named twice"},
		{"a format", one, body("", "[1, 2]"), map[string]string{"format": "numpy"}, `did you mean "npy"?`},
		{"a parameter", one, body("", "[1, 2]"), map[string]string{"output_names": "y"}, "no parameter"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t.Context(), test.h, &model.Request{Inputs: test.inputs, Params: test.params})
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestRefusesModels(t *testing.T) {
	t.Parallel()
	x := value("x", tensor.Float32, -1)
	for name, test := range map[string]struct {
		s      engine.Signature
		config map[string]any
		want   string
	}{
		"setting":     {engine.Signature{Inputs: []engine.Value{x}, Outputs: []engine.Value{x}}, map[string]any{"output": "x"}, `did you mean "outputs"?`},
		"output":      {engine.Signature{Inputs: []engine.Value{x}, Outputs: []engine.Value{x}}, map[string]any{"outputs": []any{"x1"}}, `did you mean "x"?`},
		"no tensor":   {engine.Signature{Inputs: []engine.Value{value("seq", tensor.Undefined)}, Outputs: []engine.Value{x}}, nil, `"seq" is no tensor`},
		"named twice": {engine.Signature{Inputs: []engine.Value{x}, Outputs: []engine.Value{x}}, map[string]any{"outputs": []any{"x", "x"}}, "twice"},
	} {
		if _, err := build(t, test.s, nil, test.config); !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// lists answers tensors as lists, which encoding/json compares.
type lists struct{ handler.Handler }

func (l lists) Postprocess(ctx context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	answer, err := l.Handler.Postprocess(ctx, req, out)
	if t, ok := answer.Value.(tensor.Tensor); ok {
		answer.Value, err = tensor.Float32s(t)
	}
	return answer, err
}

func TestHandler(t *testing.T) {
	t.Parallel()
	in := func(data []byte) model.Input { return model.Input{Name: "body", Data: data} }
	one, err := json.Marshal([]float32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	handlertest.TestHandler(t, handlertest.Case{
		Handler: lists{echo(t, nil, value("x", tensor.Float32, -1, 2))},
		Good:    []model.Input{in(one), in([]byte("[[3, 4]]")), in(file("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", 5, 6))},
		Bad:     []model.Input{in(nil), in([]byte("[1]")), in([]byte("\x93NUMPY")), in([]byte(`{"b64": "aGk="}`))},
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	about, err := echo(t, nil, value("x", tensor.Float32, -1, 2)).Describe(t.Context())
	if diff := cmp.Diff([]string{"x float32[?,2]"}, about["inputs"]); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestReadNPY(t *testing.T) {
	t.Parallel()
	const abcdef = "\x01\x02\x03\x04\x05\x06"
	tests := []struct{ name, description, data, want string }{
		{"version 1", "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }", abcdef, "uint8[2 3] [1 2 3 4 5 6]"},
		{"Fortran's order", "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", abcdef, "uint8[2 3] [1 3 5 2 4 6]"},
		{"Fortran's order of three axes", "{'descr': '|i1', 'fortran_order': True, 'shape': (1, 2, 3), }", abcdef, "int8[1 2 3] [1 3 5 2 4 6]"},
		{"another order of items", `{"shape":(6L,),"fortran_order":True,"descr":"|u1"}`, abcdef, "uint8[6] [1 2 3 4 5 6]"},
		{"big-endian", "{'descr': '>i2', 'fortran_order': False, 'shape': (3,), }", abcdef, "int16[3] [258 772 1286]"},
		{"little-endian", "{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }", abcdef, "uint16[3] [513 1027 1541]"},
		{"half", "{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }", "\x00\x38", "float16[1] [0.5]"},
		{"float", "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "\x3f\x00\x00\x00", "float32[1] [0.5]"},
		{"truth", "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", "\x00\x01\x02", "bool[3] [false true true]"},
		{"a scalar", "{'descr': '<i4', 'fortran_order': False, 'shape': (), }", "\x02\x00\x00\x00", "int32[] [2]"},
		{"none", "{'descr': '<i8', 'fortran_order': True, 'shape': (0, 5), }", "", "int64[0 5] []"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := tensors.ReadNPY(file(test.description, []byte(test.data)...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, text(t, got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	long := "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }"
	second := append([]byte("\x93NUMPY\x02\x00"), byte(len(long)), 0, 0, 0)
	if got, err := tensors.ReadNPY(append(append(second, long...), 7)); err != nil || text(t, got) != "uint8[1] [7]" {
		t.Errorf("version 2: %v, %v", got, err)
	}
}

func TestReadNPYRefuses(t *testing.T) {
	t.Parallel()
	head := func(description string) string { return string(file(description, 0, 0, 0, 0)) }
	tests := []struct{ name, file, want string }{
		{"nothing", "", "does not begin"},
		{"another file", "\x89PNG\r\n\x1a\n", "does not begin"},
		{"version 9", "\x93NUMPY\x09\x00\x00\x00", "version 9"},
		{"cut in the length", "\x93NUMPY\x01\x00\x10", "cut short"},
		{"cut in the header", "\x93NUMPY\x01\x00\x10\x00{", "cut short"},
		{"a huge header", "\x93NUMPY\x02\x00\xff\xff\xff\xff", "longer than"},
		{"objects", head("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), `type "|O" are not read`},
		{"texts", head("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }"), "want numbers"},
		{"records", head("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"), "text in quotes"},
		{"no type", head("{'descr': '', 'fortran_order': False, 'shape': (1,), }"), "not read"},
		{"no dictionary", head("nothing"), `want "{"`},
		{"an item too few", head("{'descr': '<f4', 'shape': (1,), }"), "want descr, fortran_order and shape"},
		{"an item twice", head("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }"), "twice"},
		{"another item", head("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}"), "unknown item"},
		{"more", head("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x"), "more follows"},
		{"a word", head("{'descr': '<f4', 'fortran_order': maybe, 'shape': (1,), }"), "False"},
		{"a negative length", head("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "want a length"},
		{"lengths without a comma", head("{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }"), "comma"},
		{"a product that overflows", head("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }"), ""},
		{"bytes that overflow", head("{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,), }"), "its shape"},
		{"many axes", head("{'descr': '<f4', 'fortran_order': False, 'shape': (" + strings.Repeat("1,", 65) + "), }"), "more than 64 axes"},
		{"elements too few", head("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"), "4 bytes of elements, its shape [2] of float32 wants 2 elements of 4 bytes"},
		{"elements too many", head("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"), "its shape"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := tensors.ReadNPY([]byte(test.file)); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v, want %q", got, err, test.want)
			}
		})
	}
}

// What is written is what NumPy writes, and is read back.
func TestWriteNPY(t *testing.T) {
	t.Parallel()
	tests := []struct {
		t           tensor.Tensor
		description string
		want        string
	}{
		{made(t, []int64{2}, float32(1), 2), "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "float32[2] [1 2]"},
		{made(t, []int64{1, 2}, 1.0, 2), "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", "float64[1 2] [1 2]"},
		{made(t, nil, int64(-3)), "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", "int64[] [-3]"},
		{made(t, []int64{1}, true), "{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", "bool[1] [true]"},
		{made(t, []int64{1}, int8(-1)), "{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }", "int8[1] [-1]"},
		{made(t, []int64{1}, int16(-1)), "'<i2'", "int16[1] [-1]"},
		{made(t, []int64{1}, int32(-1)), "'<i4'", "int32[1] [-1]"},
		{made(t, []int64{1}, uint8(1)), "'|u1'", "uint8[1] [1]"},
		{made(t, []int64{1}, uint16(1)), "'<u2'", "uint16[1] [1]"},
		{made(t, []int64{1}, uint32(1)), "'<u4'", "uint32[1] [1]"},
		{made(t, []int64{1}, uint64(1)), "'<u8'", "uint64[1] [1]"},
		{made(t, []int64{1}, tensor.ToFloat16(0.5)), "'<f2'", "float16[1] [0.5]"},
		{made(t, []int64{1}, tensor.ToBFloat16(0.5)), "'<f4'", "float32[1] [0.5]"},
	}
	for _, test := range tests {
		got, err := tensors.WriteNPY(test.t)
		if err != nil {
			t.Fatal(err)
		}
		start := bytes.IndexByte(got, '\n') + 1
		if !bytes.Contains(got, []byte(test.description)) || start%64 != 0 {
			t.Errorf("%v: header %q of %d bytes", test.t, got[:start], start)
		}
		back, err := tensors.ReadNPY(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, text(t, back)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if _, err := tensors.WriteNPY(made(t, []int64{1}, "a")); !errors.Is(err, fault.Unsupported) {
		t.Errorf("a text: %v", err)
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	all := []tensor.DType{
		tensor.Float32, tensor.Float64, tensor.Half, tensor.Brain, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64,
		tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64,
	}
	for _, from := range all {
		seven, err := tensors.Convert(made(t, []int64{1}, 7.0), from)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range all {
			got, err := tensors.Convert(seven, to)
			if err != nil || text(t, got) != to.String()+"[1] [7]" {
				t.Errorf("%v as %v: %v, %v", from, to, got, err)
			}
		}
	}
	for name, test := range map[string]struct {
		t  tensor.Tensor
		to tensor.DType
	}{
		"negative":      {made(t, []int64{1}, int64(-1)), tensor.Uint8},
		"large":         {made(t, []int64{1}, 256.0), tensor.Uint8},
		"a fraction":    {made(t, []int64{1}, float32(0.5)), tensor.Int64},
		"no number":     {made(t, []int64{1}, math.NaN()), tensor.Int64},
		"infinite":      {made(t, []int64{1}, math.Inf(1)), tensor.Int64},
		"2^63":          {made(t, []int64{1}, float64(1<<63)), tensor.Int64},
		"to truth":      {made(t, []int64{1}, int64(1)), tensor.Bool},
		"to text":       {made(t, []int64{1}, int64(1)), tensor.String},
		"empty, unread": {tensor.Tensor{}, tensor.Int64},
	} {
		if got, err := tensors.Convert(test.t, test.to); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := tensors.Convert(made(t, []int64{2}, true, false), tensor.Float32); err != nil || text(t, got) != "float32[2] [1 0]" {
		t.Errorf("truth as numbers: %v, %v", got, err)
	}
}

// FuzzReadNPY reads whatever comes; what is read is written and read back the same.
func FuzzReadNPY(f *testing.F) {
	f.Add(file("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", 0, 0, 0, 0))
	f.Add(file("{'descr': '|b1', 'fortran_order': False, 'shape': (0, 3), }"))
	f.Add([]byte("\x93NUMPY\x02\x00\x04\x00\x00\x00{'d'"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := tensors.ReadNPY(data)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("a refusal that is not invalid: %v", err)
			}
			return
		}
		written, err := tensors.WriteNPY(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := tensors.ReadNPY(written)
		if err != nil {
			t.Fatal(err)
		}
		again, err := tensors.WriteNPY(second)
		if err != nil || !bytes.Equal(written, again) {
			t.Errorf("%v became %v: %v", first, second, err)
		}
	})
}

// FuzzPreprocess reads whatever comes as the body of a request.
func FuzzPreprocess(f *testing.F) {
	for _, seed := range []string{"[1, 2]", `{"x": [[1, 2]]}`, "[[1,", "\x93NUMPY\x01\x00", "3", `{"x": {"x": 1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h := echo(t, nil, value("x", tensor.Float32, -1, 2))
		if _, err := ask(t.Context(), h, &model.Request{Inputs: []model.Input{{Name: "body", Data: data}}}); err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%v", err)
		}
	})
}
