package oip_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		datatype string
		tensor   tensor.Tensor
		text     string
	}{
		{"FP32", of(t, []int64{2}, float32(1.5), float32(-1e-7)), "[1.5,-1e-07]"},
		{"FP64", of(t, []int64{2}, 0.1, 1e300), "[0.1,1e+300]"},
		{"FP16", of(t, []int64{2}, tensor.ToFloat16(1), tensor.ToFloat16(-2)), "[1,-2]"},
		{"BF16", of(t, []int64{1}, tensor.ToBFloat16(0.5)), "[0.5]"},
		{"INT8", of(t, []int64{2}, int8(-128), int8(127)), "[-128,127]"},
		{"INT16", of(t, []int64{1}, int16(-32768)), "[-32768]"},
		{"INT32", of(t, []int64{1}, int32(-2147483648)), "[-2147483648]"},
		{"INT64", of(t, []int64{2}, int64(math.MinInt64), int64(math.MaxInt64)), "[-9223372036854775808,9223372036854775807]"},
		{"UINT8", of(t, []int64{1}, uint8(255)), "[255]"},
		{"UINT16", of(t, []int64{1}, uint16(65535)), "[65535]"},
		{"UINT32", of(t, []int64{1}, uint32(math.MaxUint32)), "[4294967295]"},
		{"UINT64", of(t, []int64{1}, uint64(math.MaxUint64)), "[18446744073709551615]"},
		{"BOOL", of(t, []int64{2}, true, false), "[true,false]"},
		{"BYTES", of(t, []int64{2, 2}, "a \"b\", [c]", "", "é\\", "\n"), `["a \"b\", [c]","","é\\","\n"]`},
		{"INT8", of[int8](t, []int64{0, 3}), "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.datatype, func(t *testing.T) {
			t.Parallel()
			text, err := oip.AppendJSON([]byte("before "), tt.tensor)
			if err != nil || string(text) != "before "+tt.text {
				t.Errorf("written as %s, %v, want %s", text, err, tt.text)
			}
			got, err := oip.FromJSON(tt.datatype, tt.tensor.Shape(), []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, tt.tensor)
		})
	}
}

func TestFromJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		shape []int64
		text  string
		want  tensor.Tensor
	}{
		{"nested", []int64{2, 3}, "[[1, 2, 3],\n [4, 5, 6]]", of[int32](t, []int64{2, 3}, 1, 2, 3, 4, 5, 6)},
		{"flat", []int64{2, 3}, "[1,2,3,4,5,6]", of[int32](t, []int64{2, 3}, 1, 2, 3, 4, 5, 6)},
		{"any length, flat", []int64{-1, 2}, "[1,2,3,4]", of[int32](t, []int64{2, 2}, 1, 2, 3, 4)},
		{"any length, nested", []int64{2, -1}, "[[1],[2]]", of[int32](t, []int64{2, 1}, 1, 2)},
		{"any length, none", []int64{-1}, "[]", of[int32](t, []int64{0})},
		{"one alone", []int64{1}, " 7 ", of[int32](t, []int64{1}, 7)},
		{"scalar", nil, "7", of[int32](t, []int64{}, 7)},
		{"scalar in a list", nil, "[7]", of[int32](t, []int64{}, 7)},
		{"empty lists", []int64{2, 0}, "[[],[]]", of[int32](t, []int64{2, 0})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := oip.FromJSON("INT32", tt.shape, []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.want.String() {
				t.Fatalf("%v, want %v", got, tt.want)
			}
			a, _ := tensor.Data[int32](got)
			b, _ := tensor.Data[int32](tt.want)
			if diff := cmp.Diff(append([]int32{}, b...), append([]int32{}, a...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromJSONRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		datatype string
		shape    []int64
		text     string
		says     string
	}{
		{"FLOAT", []int64{1}, "[1]", `datatype "FLOAT"`},
		{"FP32", []int64{1}, `["1"]`, `element 0 is "1", which is no FP32`},
		{"FP32", []int64{1}, "[1e39]", "which is no FP32"},
		{"FP32", []int64{1}, "[null]", "element 0 is null, which is no FP32"},
		{"FP16", []int64{1}, "[70000]", "which is no FP16"},
		{"BF16", []int64{1}, "[3.4e38]", "which is no BF16"},
		{"INT8", []int64{2}, "[1, 128]", "element 1 is 128, which is no INT8"},
		{"INT32", []int64{1}, "[1.5]", "which is no INT32"},
		{"UINT8", []int64{1}, "[-1]", "which is no UINT8"},
		{"UINT64", []int64{1}, "[18446744073709551616]", "which is no UINT64"},
		{"BOOL", []int64{1}, "[1]", "which is no BOOL"},
		{"BYTES", []int64{1}, "[1]", "which is no BYTES"},
		{"FP32", []int64{1}, `{"a":1}`, "which is no FP32"},
		{"FP32", []int64{2}, "[1]", "holds 2 elements"},
		{"FP32", []int64{-2}, "[1]", "negative"},
		{"FP32", []int64{-1, -1}, "[1]", "negative"},
		{"FP32", []int64{-1, 2}, "[1, 2, 3]", "3 elements do not fill the shape [-1 2]"},
		{"FP32", []int64{-1, 0}, "[1]", "do not fill"},
		{"FP32", []int64{1 << 40, 1 << 40}, "[1]", "overflows"},
		{"FP32", []int64{3, 2}, "[[1,2,3],[4,5,6]]", "lists of the lengths [2 3], the shape is [3 2]"},
		{"FP32", []int64{2}, "[[1],[2]]", "more than 1 deep"},
		{"FP32", nil, "[[1]]", "more than 1 deep"},
		{"FP32", []int64{1, 1}, strings.Repeat("[", 100000) + strings.Repeat("]", 100000), "more than 2 deep"},
		{"FP32", []int64{2, 2}, "[[1,2],[3]]", "not all of one length and depth"},
		{"FP32", []int64{2, 2}, "[1,[2]]", "not all of one length and depth"},
		{"FP32", []int64{2, 2}, "[[1],2]", "not all of one length and depth"},
		{"FP32", []int64{2, 2}, "[[],2]", "not all of one length and depth"},
	}
	for _, tt := range tests {
		t.Run(tt.datatype+" "+tt.text[:min(20, len(tt.text))], func(t *testing.T) {
			t.Parallel()
			got, err := oip.FromJSON(tt.datatype, tt.shape, []byte(tt.text))
			if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, %v, want an error that says %q", got, err, tt.says)
			}
		})
	}
}

func TestAppendJSONRefuses(t *testing.T) {
	t.Parallel()
	if _, err := oip.AppendJSON(nil, tensor.Tensor{}); fault.Of(err) != fault.Internal {
		t.Errorf("the zero tensor: %v", err)
	}
	if _, err := oip.AppendJSON(nil, of(t, []int64{2}, "a", "\xff")); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "element 1") {
		t.Errorf("bytes that are no text: %v", err)
	}
	text, err := oip.AppendJSON(nil, of(t, []int64{3}, math.NaN(), math.Inf(1), 2))
	if err != nil || string(text) != "[null,null,2]" {
		t.Errorf("numbers that are not finite: %s, %v", text, err)
	}
}

func TestSignatureOf(t *testing.T) {
	t.Parallel()
	got := oip.SignatureOf(model.About{
		Inputs:  []model.Value{{Name: "x", DType: tensor.Float32, Shape: []int64{-1, 3}}, {Name: "list"}},
		Outputs: []model.Value{{Name: "label", DType: tensor.String, Shape: []int64{-1}}},
	})
	want := oip.Signature{
		Inputs:  []oip.Metadata{{Name: "x", Datatype: "FP32", Shape: []int64{-1, 3}}},
		Outputs: []oip.Metadata{{Name: "label", Datatype: "BYTES", Shape: []int64{-1}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	one, waiting := model.Worker{Ready: true}, model.Worker{}
	for _, tt := range []struct {
		least   int
		workers []model.Worker
		want    bool
	}{{0, nil, false}, {0, []model.Worker{one}, true}, {2, []model.Worker{one, waiting}, false}, {1, []model.Worker{waiting, one}, true}} {
		if got := oip.Ready(model.Status{MinWorkers: tt.least, Workers: tt.workers}); got != tt.want {
			t.Errorf("%d of %v: %t, want %t", tt.least, tt.workers, got, tt.want)
		}
	}
}

// FuzzFromJSON checks that no JSON is a defect, and that what was read is written as what reads the same.
func FuzzFromJSON(f *testing.F) {
	f.Add("FP32", int64(1), int64(2), []byte("[[1.5, -2e3]]"))
	f.Add("BYTES", int64(-1), int64(1), []byte(`["a\"b", "]"]`))
	f.Add("BOOL", int64(0), int64(3), []byte("[]"))
	f.Add("INT64", int64(2), int64(1), []byte("[[1],[2]]"))
	f.Fuzz(func(t *testing.T, datatype string, rows, columns int64, text []byte) {
		if !json.Valid(text) {
			return
		}
		got, err := oip.FromJSON(datatype, []int64{rows, columns}, text)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("%v, of kind %v", err, fault.Of(err))
			}
			return
		}
		written, err := oip.AppendJSON(nil, got)
		if err != nil || !json.Valid(written) {
			t.Fatalf("written as %s, %v", written, err)
		}
		back, err := oip.FromJSON(datatype, got.Shape(), written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		same(t, back, got)
	})
}

func BenchmarkFromJSON(b *testing.B) {
	text := []byte("[" + strings.TrimSuffix(strings.Repeat("0.123456,", 3*224*224), ",") + "]")
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := oip.FromJSON("FP32", []int64{1, 3, 224, 224}, text); err != nil {
			b.Fatal(err)
		}
	}
}
