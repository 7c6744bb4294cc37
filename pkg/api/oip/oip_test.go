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

func TestInput(t *testing.T) {
	t.Parallel()
	text, several, number := of(t, []int64{1, 1}, "picture"), of(t, []int64{2}, "a", "b"), of(t, []int64{1}, int32(7))
	words := oip.Signature{Inputs: []oip.Metadata{{Name: "words", Datatype: "BYTES"}, {Name: "x", Datatype: "FP32"}}}
	tests := []struct {
		name      string
		signature oip.Signature
		given     oip.Given
		want      model.Input
	}{
		{"a file", oip.Signature{}, oip.Given{Name: "x", Tensor: text}, model.Input{Name: "x", Data: []byte("picture")}},
		{"a file of a type", words, oip.Given{Name: "x", ContentType: "Image/PNG", Tensor: text}, model.Input{Name: "x", ContentType: "image/png", Data: []byte("picture")}},
		{"no media type", words, oip.Given{Name: "x", ContentType: "str", Tensor: text}, model.Input{Name: "x", Data: []byte("picture")}},
		{"the network takes bytes", words, oip.Given{Name: "words", Tensor: text}, model.Input{Name: "words", Tensor: &text}},
		{"several elements", oip.Signature{}, oip.Given{Name: "x", Tensor: several}, model.Input{Name: "x", Tensor: &several}},
		{"numbers", oip.Signature{}, oip.Given{Name: "x", ContentType: "image/png", Tensor: number}, model.Input{Name: "x", Tensor: &number}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.signature.Input(tt.given)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b tensor.Tensor) bool { return a.String() == b.String() })); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	scores, boxes := of(t, []int64{2}, float32(1), float32(2)), of(t, []int64{1}, int64(3))
	full := &model.Response{ContentType: "application/json", Body: []byte("{}"), Tensors: tensor.Named{"scores": scores, "boxes": boxes}}
	bare := &model.Response{ContentType: "image/png", Body: []byte("PNG")}
	ordered := oip.Signature{Outputs: []oip.Metadata{{Name: "scores"}, {Name: "masks"}}}
	tests := []struct {
		name      string
		signature oip.Signature
		resp      *model.Response
		want      []string
		outputs   []string
		says      string
	}{
		{"by name", oip.Signature{}, full, nil, []string{"boxes int64[1]", "scores float32[2]"}, ""},
		{"by signature", ordered, full, nil, []string{"scores float32[2]", "boxes int64[1]"}, ""},
		{"wanted", ordered, full, []string{"boxes"}, []string{"boxes int64[1]"}, ""},
		{"with the body", ordered, full, []string{"body", "scores"}, []string{"body application/json string[1]", "scores float32[2]"}, ""},
		{"no tensors", ordered, bare, nil, []string{"body image/png string[1]"}, ""},
		{"unknown", ordered, full, []string{"score"}, nil, `invalid: output "score": the answer has none of that name, did you mean "scores"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.signature.Answer(tt.resp, tt.want)
			if tt.says != "" {
				if fault.Of(err) != fault.Invalid || err.Error() != tt.says {
					t.Errorf("%v, want %s", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, o := range got {
				name := o.Name + " "
				if o.ContentType != "" {
					name += o.ContentType + " "
				}
				names = append(names, name+o.Tensor.String())
			}
			if diff := cmp.Diff(tt.outputs, names); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
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
