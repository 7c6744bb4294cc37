package oip_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func of[T tensor.Element](t *testing.T, shape []int64, data ...T) tensor.Tensor {
	t.Helper()
	made, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// same compares two tensors, their data by their binary form.
func same(t *testing.T, got, want tensor.Tensor) {
	t.Helper()
	if got.DType() != want.DType() {
		t.Fatalf("%v, want %v", got, want)
	}
	a, err := oip.Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := oip.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Shape(), got.Shape()); diff != "" {
		t.Errorf("shape (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestBinary(t *testing.T) {
	t.Parallel()
	tests := []struct {
		datatype string
		tensor   tensor.Tensor
		raw      string
	}{
		{"FP32", of(t, []int64{2}, float32(1), float32(math.Inf(-1))), "\x00\x00\x80\x3f\x00\x00\x80\xff"},
		{"FP64", of(t, []int64{1}, -2.0), "\x00\x00\x00\x00\x00\x00\x00\xc0"},
		{"FP16", of(t, []int64{2}, tensor.ToFloat16(1), tensor.ToFloat16(-2)), "\x00\x3c\x00\xc0"},
		{"BF16", of(t, []int64{1}, tensor.ToBFloat16(1)), "\x80\x3f"},
		{"INT8", of(t, []int64{2}, int8(-1), int8(127)), "\xff\x7f"},
		{"INT16", of(t, []int64{1}, int16(-2)), "\xfe\xff"},
		{"INT32", of(t, []int64{1}, int32(-2)), "\xfe\xff\xff\xff"},
		{"INT64", of(t, []int64{1}, int64(-2)), "\xfe\xff\xff\xff\xff\xff\xff\xff"},
		{"UINT8", of(t, []int64{2}, uint8(0), uint8(255)), "\x00\xff"},
		{"UINT16", of(t, []int64{1}, uint16(0x1234)), "\x34\x12"},
		{"UINT32", of(t, []int64{1}, uint32(0x12345678)), "\x78\x56\x34\x12"},
		{"UINT64", of(t, []int64{1}, uint64(1)<<63), "\x00\x00\x00\x00\x00\x00\x00\x80"},
		{"BOOL", of(t, []int64{1, 2}, false, true), "\x00\x01"},
		{"BYTES", of(t, []int64{3}, "ab", "", "\xff"), "\x02\x00\x00\x00ab\x00\x00\x00\x00\x01\x00\x00\x00\xff"},
		{"FP32", of(t, nil, float32(1)), "\x00\x00\x80\x3f"},
		{"FP32", of[float32](t, []int64{0, 3}), ""},
		{"BYTES", of[string](t, []int64{0}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.datatype, func(t *testing.T) {
			t.Parallel()
			if name := oip.Datatype(tt.tensor.DType()); name != tt.datatype {
				t.Errorf("the datatype is %q", name)
			}
			if d, err := oip.DType(tt.datatype); err != nil || d != tt.tensor.DType() {
				t.Errorf("the type is %v, %v", d, err)
			}
			raw, err := oip.Encode(tt.tensor)
			if err != nil || string(raw) != tt.raw {
				t.Errorf("encoded as %q, %v, want %q", raw, err, tt.raw)
			}
			got, err := oip.Decode(tt.datatype, tt.tensor.Shape(), []byte(tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, tt.tensor)
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, datatype string
		shape          []int64
		raw            string
		says           string
	}{
		{"unknown datatype", "fp32", []int64{1}, "1234", `invalid: datatype "fp32": want one of FP32, FP64, FP16, BF16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL, BYTES`},
		{"no datatype", "", []int64{1}, "1234", `invalid: datatype "": want one of FP32, FP64, FP16, BF16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL, BYTES`},
		{"negative", "FP32", []int64{-1}, "1234", "invalid: shape [-1] has a negative dimension"},
		{"overflow", "FP32", []int64{1 << 40, 1 << 40}, "1234", "invalid: shape [1099511627776 1099511627776] overflows"},
		{"too short", "FP32", []int64{2}, "1234567", "invalid: FP32[2] holds 2 elements, 7 bytes do not"},
		{"too long", "INT16", []int64{1}, "123", "invalid: INT16[1] holds 1 elements, 3 bytes do not"},
		{"huge", "UINT64", []int64{1 << 62}, "12345678", "invalid: UINT64[4611686018427387904] holds 4611686018427387904 elements, 8 bytes do not"},
		{"no truth", "BOOL", []int64{1}, "\x02", "invalid: a BOOL is the byte 2, want 0 or 1"},
		{"many bytes announced", "BYTES", []int64{1 << 40}, "\x00\x00\x00\x00", "invalid: BYTES[1099511627776] holds 1099511627776 elements, 4 bytes do not"},
		{"long element", "BYTES", []int64{1}, "\xff\xff\xff\xff1", "invalid: element 0 of 1 BYTES has 4294967295 bytes, and 1 are left"},
		{"cut prefix", "BYTES", []int64{2}, "\x02\x00\x00\x00abcd", "invalid: the data ends before element 1 of 2 BYTES"},
		{"rest", "BYTES", []int64{1}, "\x01\x00\x00\x00abc", "invalid: 2 bytes follow the last of 1 BYTES"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := oip.Decode(tt.datatype, tt.shape, []byte(tt.raw))
			if fault.Of(err) != fault.Invalid {
				if err == nil {
					t.Fatalf("decoded as %v", got)
				}
				t.Fatalf("%v, of kind %v", err, fault.Of(err))
			}
			if err.Error() != tt.says {
				t.Errorf("says %q, want %q", err, tt.says)
			}
		})
	}
	if _, err := oip.Encode(tensor.Tensor{}); fault.Of(err) != fault.Internal {
		t.Errorf("the zero tensor: %v", err)
	}
	if name := oip.Datatype(tensor.Undefined) + oip.Datatype(99); name != "" {
		t.Errorf("no type is called %q", name)
	}
}

// sameTensor compares tensors by their elements.
func sameTensor() cmp.Option {
	return cmp.Comparer(func(a, b tensor.Tensor) bool {
		one, failed := oip.Encode(a)
		other, err := oip.Encode(b)
		return a.String() == b.String() && failed == nil && err == nil && string(one) == string(other)
	})
}

func TestRows(t *testing.T) {
	t.Parallel()
	text, several, number := of(t, []int64{1, 1}, "picture"), of(t, []int64{2, 1}, "a", "b"), of(t, []int64{1}, int32(7))
	words := oip.Signature{Inputs: []oip.Metadata{{Name: "words", Datatype: "BYTES"}, {Name: "x", Datatype: "FP32"}}}
	file := func(name, contentType, data string) model.Input {
		return model.Input{Name: name, ContentType: contentType, Data: []byte(data)}
	}
	many := make([]string, oip.MaxRows+1)
	tests := []struct {
		name      string
		signature oip.Signature
		given     []oip.Given
		want      [][]model.Input
		kind      fault.Kind
		says      string
	}{
		{name: "a file", given: []oip.Given{{Name: "x", Tensor: text}}, want: [][]model.Input{{file("x", "", "picture")}}},
		{name: "a file of a type", signature: words, given: []oip.Given{{Name: "x", ContentType: "Image/PNG", Tensor: text}}, want: [][]model.Input{{file("x", "image/png", "picture")}}},
		{name: "no media type", signature: words, given: []oip.Given{{Name: "x", ContentType: "str", Tensor: text}}, want: [][]model.Input{{file("x", "", "picture")}}},
		{name: "the network takes bytes", signature: words, given: []oip.Given{{Name: "words", Tensor: several}}, want: [][]model.Input{{{Name: "words", Tensor: &several}}}},
		{name: "numbers", given: []oip.Given{{Name: "x", ContentType: "image/png", Tensor: number}}, want: [][]model.Input{{{Name: "x", Tensor: &number}}}},
		{name: "several files", given: []oip.Given{{Name: "x", ContentType: "image/png", Tensor: several}}, want: [][]model.Input{{file("x", "image/png", "a")}, {file("x", "image/png", "b")}}},
		{
			name: "several files, and what goes with each", signature: words,
			given: []oip.Given{{Name: "method", Tensor: text}, {Name: "x", Tensor: several}, {Name: "n", Tensor: number}, {Name: "y", Tensor: several}},
			want: [][]model.Input{
				{file("method", "", "picture"), file("x", "", "a"), {Name: "n", Tensor: &number}, file("y", "", "a")},
				{file("method", "", "picture"), file("x", "", "b"), {Name: "n", Tensor: &number}, file("y", "", "b")},
			},
		},
		{
			name: "as many", given: []oip.Given{{Name: "x", Tensor: several}, {Name: "y", Tensor: of(t, []int64{3}, "a", "b", "c")}}, kind: fault.Invalid,
			says: `invalid: input "x" has 2 elements, and "y" has 3; want as many in each`,
		},
		{
			name: "too many", given: []oip.Given{{Name: "x", Tensor: of(t, []int64{int64(len(many))}, many...)}}, kind: fault.TooLarge,
			says: `too large: input "x" has 1001 elements, at most 1000 are taken`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.signature.Rows(tt.given)
			if tt.says != "" {
				if fault.Of(err) != tt.kind || err.Error() != tt.says {
					t.Errorf("%v, want %s", err, tt.says)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got, sameTensor()); err != nil || diff != "" {
				t.Errorf("%v, rows (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	row := func(body string, named tensor.Named) *model.Response {
		return &model.Response{ContentType: "application/json", Body: []byte(body), Tensors: named}
	}
	scores, boxes := of(t, []int64{1, 2}, float32(1), float32(2)), of(t, []int64{1, 1}, int64(3))
	full := row("{}", tensor.Named{"scores": scores, "boxes": boxes})
	other := row("[]", tensor.Named{"scores": of(t, []int64{1, 2}, float32(3), float32(4)), "boxes": of(t, []int64{1, 2}, int64(3), int64(4))})
	one, two := row("1", tensor.Named{"scores": scores}), row("2", tensor.Named{"scores": of(t, []int64{1, 2}, float32(3), float32(4))})
	bare := &model.Response{ContentType: "image/png", Body: []byte("PNG")}
	ordered := oip.Signature{Outputs: []oip.Metadata{{Name: "scores"}, {Name: "masks"}}}
	tests := []struct {
		name      string
		signature oip.Signature
		rows      []*model.Response
		mode      model.Mode
		want      []string
		outputs   []oip.Output
		says      string
	}{
		{name: "by name", rows: []*model.Response{full}, outputs: []oip.Output{{Name: "boxes", Tensor: boxes}, {Name: "scores", Tensor: scores}}},
		{name: "by signature", signature: ordered, rows: []*model.Response{full}, outputs: []oip.Output{{Name: "scores", Tensor: scores}, {Name: "boxes", Tensor: boxes}}},
		{name: "wanted", signature: ordered, rows: []*model.Response{full}, want: []string{"boxes"}, outputs: []oip.Output{{Name: "boxes", Tensor: boxes}}},
		{
			name: "with the body", rows: []*model.Response{full}, want: []string{"body", "scores"},
			outputs: []oip.Output{{Name: "body", ContentType: "application/json", Tensor: of(t, []int64{1}, "{}")}, {Name: "scores", Tensor: scores}},
		},
		{name: "no tensors", signature: ordered, rows: []*model.Response{bare}, outputs: []oip.Output{{Name: "body", ContentType: "image/png", Tensor: of(t, []int64{1}, "PNG")}}},
		{name: "unknown", rows: []*model.Response{full}, want: []string{"score"}, says: `invalid: output "score": the answer has none of that name, did you mean "scores"?`},
		{name: "twice", rows: []*model.Response{full}, want: []string{"scores", "boxes", "scores"}, says: `invalid: output "scores" is asked for twice; want each once`},
		{
			name: "two rows", signature: ordered, rows: []*model.Response{one, two}, want: []string{"scores", "body"},
			outputs: []oip.Output{
				{Name: "scores", Tensor: of(t, []int64{2, 2}, float32(1), float32(2), float32(3), float32(4))},
				{Name: "body", ContentType: "application/json", Tensor: of(t, []int64{2}, "1", "2")},
			},
		},
		{
			name: "two explanations", rows: []*model.Response{one, two}, mode: model.ModeExplain,
			outputs: []oip.Output{{Name: "scores", Tensor: of(t, []int64{2, 1, 2}, float32(1), float32(2), float32(3), float32(4))}},
		},
		{
			name: "two that do not join", rows: []*model.Response{full, other},
			outputs: []oip.Output{{Name: "body", ContentType: "application/json", Tensor: of(t, []int64{2}, "{}", "[]")}},
		},
		{
			name: "a tensor of two that do not join", rows: []*model.Response{full, other}, want: []string{"boxes"},
			says: `invalid: output "boxes": the answers to the 2 elements have different shapes; ask for the output "body", which has each, or one at a time`,
		},
		{name: "files", rows: []*model.Response{bare, bare}, outputs: []oip.Output{{Name: "body", ContentType: "image/png", Tensor: of(t, []int64{2}, "PNG", "PNG")}}},
		{name: "files of two types", rows: []*model.Response{bare, one}, outputs: []oip.Output{{Name: "body", Tensor: of(t, []int64{2}, "PNG", "1")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.signature.Answers(tt.rows, tt.mode, tt.want)
			if tt.says != "" {
				if fault.Of(err) != fault.Invalid || err.Error() != tt.says {
					t.Errorf("%v, want %s", err, tt.says)
				}
				return
			}
			if diff := cmp.Diff(tt.outputs, got, sameTensor()); err != nil || diff != "" {
				t.Errorf("%v, outputs (-want +got):\n%s", err, diff)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("FP32", int64(1), int64(2), []byte("12345678"))
	f.Add("BYTES", int64(2), int64(1), []byte("\x02\x00\x00\x00ab\x00\x00\x00\x00"))
	f.Add("BOOL", int64(-1), int64(1<<62), []byte("\x02"))
	f.Fuzz(func(t *testing.T, datatype string, rows, columns int64, raw []byte) {
		got, err := oip.Decode(datatype, []int64{rows, columns}, raw)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("%v, of kind %v", err, fault.Of(err))
			}
			return
		}
		back, err := oip.Encode(got)
		if err != nil || string(back) != string(raw) {
			t.Errorf("%q came back as %q, %v", raw, back, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := make([]byte, 4*3*224*224)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := oip.Decode("FP32", []int64{1, 3, 224, 224}, raw); err != nil {
			b.Fatal(err)
		}
	}
}
