package handler_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// wants is a value that takes [batch,2] of a type.
func wants(d tensor.DType) engine.Value {
	return engine.Value{Name: "x", DType: d, Shape: []engine.Dim{{Size: -1}, {Size: 2}}}
}

func TestTensorFromJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		dtype      tensor.DType
		shape      []int64
		err        string
	}{
		{"one row", "[1, 2.5]", tensor.Float32, []int64{1, 2}, ""},
		{"rows", " [[1,2],[3,4],[5,6]] ", tensor.Float64, []int64{3, 2}, ""},
		{"int8", "[-128, 127]", tensor.Int8, []int64{1, 2}, ""},
		{"int16", "[-1, 1]", tensor.Int16, []int64{1, 2}, ""},
		{"int32", "[-1, 1]", tensor.Int32, []int64{1, 2}, ""},
		{"int64", "[-9223372036854775808, 9223372036854775807]", tensor.Int64, []int64{1, 2}, ""},
		{"uint8", "[0, 255]", tensor.Uint8, []int64{1, 2}, ""},
		{"uint16", "[0, 65535]", tensor.Uint16, []int64{1, 2}, ""},
		{"uint32", "[0, 4294967295]", tensor.Uint32, []int64{1, 2}, ""},
		{"uint64", "[0, 18446744073709551615]", tensor.Uint64, []int64{1, 2}, ""},
		{"half", "[0.5, 1]", tensor.Half, []int64{1, 2}, ""},
		{"bfloat16", "[0.5, 1]", tensor.Brain, []int64{1, 2}, ""},
		{"bool", "[true, false]", tensor.Bool, []int64{1, 2}, ""},
		{"string", `["a", "é"]`, tensor.String, []int64{1, 2}, ""},
		{"wrong size", "[1, 2, 3]", tensor.Float32, nil, "float32[1 3], the network takes x float32[?,2]"},
		{"ragged", "[[1,2],[3]]", tensor.Float32, nil, "ragged lists: 1 elements beside 2"},
		{"uneven", "[[1,2],3]", tensor.Float32, nil, "uneven depth"},
		{"uneven the other way", "[1,[2,3]]", tensor.Float32, nil, "uneven depth"},
		{"overflow", "[0, 256]", tensor.Uint8, nil, "element 1 is 256, want uint8"},
		{"fraction", "[0, 1.5]", tensor.Int64, nil, "element 1 is 1.5, want int64"},
		{"too large a float", "[0, 1e39]", tensor.Float32, nil, "element 1 is 1e39, want float32"},
		{"null", "[0, null]", tensor.Float32, nil, "element 1 is <nil>, want float32"},
		{"text", `[0, "1"]`, tensor.Float32, nil, "element 1 is 1, want float32"},
		{"object", `[{"a": 1}]`, tensor.Float32, nil, `unexpected "{", want lists of numbers`},
		{"cut off", "[1, 2", tensor.Float32, nil, "EOF"},
		{"more", "[1, 2] [3]", tensor.Float32, nil, "more follows"},
		{"nothing", "", tensor.Float32, nil, "EOF"},
		{"deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), tensor.Float32, nil, "nested deeper than 32"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := handler.TensorFromJSON([]byte(test.text), wants(test.dtype))
			if test.err != "" {
				if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("err = %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || got.DType() != test.dtype || !slices.Equal(got.Shape(), test.shape) {
				t.Errorf("got %v, %v, want %v%v", got, err, test.dtype, test.shape)
			}
		})
	}
}

func FuzzTensorFromJSON(f *testing.F) {
	for _, text := range []string{"[1,2]", "[[1,2],[3,4]]", "[[],[1]]", "5", `{"b64":"eA=="}`, "[1,[2]]", "[[[]]]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := handler.TensorFromJSON([]byte(text), wants(tensor.Float32))
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%q: %v, want %v", text, err, fault.Invalid)
			}
			return
		}
		if data, err := tensor.Data[float32](got); err != nil || len(data) != 2*int(got.Shape()[0]) || !json.Valid([]byte(text)) {
			t.Errorf("%q gave %v: %v, %v", text, got, data, err)
		}
	})
}

func TestReadInput(t *testing.T) {
	t.Parallel()
	floats, _ := tensor.New([]int64{2}, []float32{1, 2})
	ints, _ := tensor.New([]int64{2}, []int64{1, 2})
	tests := []struct {
		name   string
		inputs []model.Input
		data   string
		tensor bool
		err    string
	}{
		{"bytes", []model.Input{{Name: "body", Data: []byte("abc")}}, "abc", false, ""},
		{"by the network's name", []model.Input{{Name: "data", Data: []byte("1")}, {Name: "x", Data: []byte("2")}}, "2", false, ""},
		{"data before body", []model.Input{{Name: "body", Data: []byte("1")}, {Name: "data", Data: []byte("2")}}, "2", false, ""},
		{"a name twice", []model.Input{{Name: "data", Data: []byte("1")}, {Name: "body", Data: []byte("2")}, {Name: "data", Data: []byte("3")}}, "3", false, ""},
		{"another name twice", []model.Input{{Name: "file", Data: []byte("1")}, {Name: "other", Data: []byte("2")}, {Name: "file", Data: []byte("3")}}, "3", false, ""},
		{"any other name", []model.Input{{Name: "file", Data: []byte("1")}}, "1", false, ""},
		{"base64 in text", []model.Input{{Name: "body", ContentType: "text/plain", Data: []byte("YWJj\n")}}, "abc", false, ""},
		{"base64 in JSON", []model.Input{{Name: "body", ContentType: "application/json", Data: []byte(`{"b64":"YWJj"}`)}}, "abc", false, ""},
		{"lists in JSON", []model.Input{{Name: "body", ContentType: "Application/JSON", Data: []byte("[1,2]")}}, "", true, ""},
		{"tensor", []model.Input{{Name: "x", Tensor: &floats}}, "", true, ""},
		{"nothing", nil, "", false, "no input"},
		{"empty", []model.Input{{Name: "body"}}, "", false, "the input is empty"},
		{"text that is not base64", []model.Input{{Name: "body", ContentType: "text/plain", Data: []byte("?")}}, "", false, "read as base64"},
		{"another object", []model.Input{{Name: "body", ContentType: "application/json", Data: []byte(`{"a":1}`)}}, "", false, `{"b64": "..."}`},
		{"half an object", []model.Input{{Name: "body", ContentType: "application/json", Data: []byte(`{"b64":"YW`)}}, "", false, "JSON input: byte 10: unexpected end of JSON input"},
		{"wrong tensor", []model.Input{{Name: "x", Tensor: &ints}}, "", false, "int64[1 2], the network takes x float32"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := handler.ReadInput(&model.Request{Inputs: test.inputs}, wants(tensor.Float32))
			if test.err != "" {
				if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.err) {
					t.Errorf("err = %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || string(got.Data) != test.data || (got.Tensor != nil) != test.tensor {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	type Inner struct {
		Size int `yaml:"size"`
	}
	type settings struct {
		Inner `yaml:",inline"`
		TopK  int       `yaml:"topK"`
		Mean  []float32 `yaml:"mean"`
	}
	got := settings{TopK: 5}
	if err := handler.Configure(map[string]any{"size": 3, "mean": []any{1, 0.5}, "profile": true}, &got); err != nil {
		t.Fatal(err)
	}
	if got.Size != 3 || got.TopK != 5 || !slices.Equal(got.Mean, []float32{1, 0.5}) {
		t.Errorf("got %+v", got)
	}
	for text, config := range map[string]map[string]any{
		`no setting "topk", did you mean "topK"?`: {"topk": 3},
		`handler settings: `:                      {"topK": "many"},
	} {
		if err := handler.Configure(config, &got); !errors.Is(err, fault.BadModel) || !strings.Contains(err.Error(), text) {
			t.Errorf("Configure(%v) = %v, want %q", config, err, text)
		}
	}
}

func TestCheckParams(t *testing.T) {
	t.Parallel()
	req := &model.Request{Params: map[string]string{"top_k": "3", "target": "0", "method": "occlusion"}}
	if err := handler.CheckParams(req, "top_k"); err != nil {
		t.Errorf("known parameters: %v", err)
	}
	req.Params["topk"] = "3"
	if err := handler.CheckParams(req, "top_k"); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `did you mean "top_k"?`) {
		t.Errorf("unknown parameter: %v", err)
	}
}
