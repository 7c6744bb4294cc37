package pipeline

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func made[T tensor.Element](t *testing.T, shape []int64, data ...T) tensor.Tensor {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// The expected texts are what Python's json.dumps(v, indent=2) prints.
func TestEncode(t *testing.T) {
	t.Parallel()
	type record struct {
		Name   string    `json:"name"`
		Hidden int       `json:"-"`
		Empty  []int     `json:"empty,omitempty"`
		Data   []float32 `json:"data"`
		Left   *int      `json:"left,omitempty"`
	}
	type part struct {
		Inner int `json:"inner"`
	}
	type whole struct {
		Outer int `json:"outer"`
		part

		Last int `json:"last"`
	}
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nil", nil, "null"},
		{"bool", true, "true"},
		{"int", 3, "3"},
		{"uint64", uint64(math.MaxUint64), "18446744073709551615"},
		{"float", 1.0, "1.0"},
		{"float32 in its shortest form", float32(0.1), "0.1"},
		{"float64 of the same number", float64(float32(0.1)), "0.10000000149011612"},
		{"negative zero", math.Copysign(0, -1), "-0.0"},
		{"small", 0.00001, "1e-05"},
		{"at the lower bound", 0.0001, "0.0001"},
		{"large", 1e16, "1e+16"},
		{"below the upper bound", 123456789012345680.0 / 100, "1234567890123456.8"},
		{"not a number", math.NaN(), "null"},
		{"infinite", float32(math.Inf(-1)), "null"},
		{"string", "a\"\\\n\t\x01\x7fé😀\xff", `"a\"\\\n\t\u0001\u007f\u00e9\ud83d\ude00\ufffd"`},
		{"empty list", []int{}, "[]"},
		{"empty object", handler.Object{}, "{}"},
		{"list", []any{1, "x", nil}, "[\n  1,\n  \"x\",\n  null\n]"},
		{"object in its order", handler.Object{{Key: "b", Value: 1}, {Key: "a", Value: []int{2}}}, "{\n  \"b\": 1,\n  \"a\": [\n    2\n  ]\n}"},
		{"map by key", map[string]int{"b": 2, "a": 1}, "{\n  \"a\": 1,\n  \"b\": 2\n}"},
		{"struct", record{Name: "n", Data: []float32{1.5}}, "{\n  \"name\": \"n\",\n  \"data\": [\n    1.5\n  ]\n}"},
		{"pointer", &record{}, "{\n  \"name\": \"\",\n  \"data\": []\n}"},
		{"embedded struct", whole{Outer: 1, part: part{Inner: 2}, Last: 3}, "{\n  \"outer\": 1,\n  \"inner\": 2,\n  \"last\": 3\n}"},
		{"what knows its JSON", []any{json.RawMessage(`{"a":[1]}`)}, "[\n  {\n    \"a\": [\n      1\n    ]\n  }\n]"},
		{"scalar tensor", made(t, nil, float32(2)), "2.0"},
		{"tensor", made(t, []int64{2, 2}, float32(1), 2, 3, 4), "[\n  [\n    1.0,\n    2.0\n  ],\n  [\n    3.0,\n    4.0\n  ]\n]"},
		{"tensor without elements", made[float32](t, []int64{2, 0}), "[\n  [],\n  []\n]"},
		{"integer tensor", made(t, []int64{2}, int8(-1), 2), "[\n  -1,\n  2\n]"},
		{"uint32 tensor", made(t, []int64{1}, uint32(math.MaxUint32)), "[\n  4294967295\n]"},
		{"bool tensor", made(t, []int64{1}, true), "[\n  true\n]"},
		{"string tensor", made(t, []int64{1}, "é"), "[\n  \"\\u00e9\"\n]"},
		{"half tensor", made(t, []int64{1}, tensor.ToFloat16(0.5)), "[\n  0.5\n]"},
		{"float64 tensor", made(t, []int64{1}, 0.1), "[\n  0.1\n]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := encode(test.in)
			if err != nil || string(got) != test.want {
				t.Errorf("encode = %s, %v, want %s", got, err, test.want)
			}
			if !json.Valid(got) {
				t.Errorf("%s is not JSON", got)
			}
		})
	}
}

func TestEncodeTime(t *testing.T) {
	t.Parallel()
	got, err := encode(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil || string(got) != `"2026-01-02T03:04:05Z"` {
		t.Errorf("encode = %s, %v", got, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for _, v := range []any{make(chan int), []any{func() {}}, map[string]any{"a": complex(1, 2)}, tensor.Tensor{}} {
		if got, err := encode(v); err == nil {
			t.Errorf("encode(%T) = %s", v, got)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	t, err := tensor.Make(tensor.Float32, []int64{3, 224, 224})
	if err != nil {
		b.Fatal(err)
	}
	data, _ := tensor.Data[float32](t)
	for i := range data {
		data[i] = float32(math.Sin(float64(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		text, err := encode(t)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
	}
}
