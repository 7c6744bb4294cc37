package tensor_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func must[T tensor.Element](t *testing.T, shape []int64, data []T) tensor.Tensor {
	t.Helper()
	x, err := tensor.New(shape, data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestNewRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string][]int64{
		"too few": {2, 2}, "negative": {-1, 3}, "overflow": {math.MaxInt64, 3}, "scalar": {},
	} {
		if _, err := tensor.New(shape, []float32{1, 2, 3}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: New(%v) = %v, want %v", name, shape, err, fault.Invalid)
		}
	}
}

func TestDataTellsTypes(t *testing.T) {
	t.Parallel()
	x := must(t, []int64{3}, []tensor.Float16{1, 2, 3})
	if got := x.DType(); got != tensor.Half {
		t.Errorf("DType() = %v, want %v", got, tensor.Half)
	}
	if _, err := tensor.Data[uint16](x); err == nil || err.Error() != "invalid: tensor holds float16, not uint16" {
		t.Errorf("Data[uint16] = %v", err)
	}
	if got := (tensor.Tensor{}).DType(); got != tensor.Undefined {
		t.Errorf("zero DType() = %v", got)
	}
}

func TestMakeEveryType(t *testing.T) {
	t.Parallel()
	for d := tensor.Float32; d <= tensor.String; d++ {
		x, err := tensor.Make(d, []int64{2, 3})
		if err != nil {
			t.Fatalf("Make(%v): %v", d, err)
		}
		if x.DType() != d || x.Len() != 6 {
			t.Errorf("Make(%v) = %v of %d elements", d, x, x.Len())
		}
		whole, rows, err := tensor.Stack([]tensor.Named{{"x": x}, {"x": x}})
		if err != nil || whole["x"].DType() != d || whole["x"].Len() != 12 {
			t.Fatalf("Stack of %v = %v, %v", d, whole, err)
		}
		parts, err := whole.Split(rows)
		if err != nil || len(parts) != 2 || parts[1]["x"].DType() != d || parts[1]["x"].Len() != 6 {
			t.Errorf("Split of %v = %v, %v", d, parts, err)
		}
	}
	if _, err := tensor.Make(tensor.Undefined, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("Make(undefined) = %v", err)
	}
}

func TestFloat16RoundTrip(t *testing.T) {
	t.Parallel()
	for i := range 1 << 16 {
		h := tensor.Float16(i)
		f := h.Float32()
		if f != f {
			if back := tensor.ToFloat16(f).Float32(); back == back {
				t.Errorf("%#04x: NaN became %v", i, back)
			}
			continue
		}
		if back := tensor.ToFloat16(f); back != h {
			t.Errorf("%#04x = %v went back as %#04x", i, f, uint16(back))
		}
		b := tensor.BFloat16(i)
		if back := tensor.ToBFloat16(b.Float32()); b.Float32() == b.Float32() && back != b {
			t.Errorf("bfloat16 %#04x went back as %#04x", i, uint16(back))
		}
	}
}

func TestToFloat16Rounds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   float32
		want float32
	}{
		{65504, 65504},
		{65519, 65504},
		{65520, float32(math.Inf(1))},
		{1e30, float32(math.Inf(1))},
		{-1e30, float32(math.Inf(-1))},
		{1 + 1.0/2048, 1},
		{1 + 3.0/2048, 1 + 2.0/1024},
		{1e-10, 0},
		{1.0 / (1 << 25), 0},
		{1.5 / (1 << 25), 1.0 / (1 << 24)},
		{2047.0 / 2048 / (1 << 14), 1.0 / (1 << 14)},
	}
	for _, test := range tests {
		if got := tensor.ToFloat16(test.in).Float32(); got != test.want {
			t.Errorf("ToFloat16(%v) = %v, want %v", test.in, got, test.want)
		}
	}
}

func TestFloat32s(t *testing.T) {
	t.Parallel()
	for _, x := range []tensor.Tensor{
		must(t, []int64{2}, []float32{0, 1}), must(t, []int64{2}, []float64{0, 1}), must(t, []int64{2}, []bool{false, true}),
		must(t, []int64{2}, []int8{0, 1}), must(t, []int64{2}, []int16{0, 1}), must(t, []int64{2}, []int32{0, 1}),
		must(t, []int64{2}, []int64{0, 1}), must(t, []int64{2}, []uint8{0, 1}), must(t, []int64{2}, []uint16{0, 1}),
		must(t, []int64{2}, []uint32{0, 1}), must(t, []int64{2}, []uint64{0, 1}),
		must(t, []int64{2}, []tensor.Float16{0, 0x3c00}), must(t, []int64{2}, []tensor.BFloat16{0, 0x3f80}),
	} {
		got, err := tensor.Float32s(x)
		if err != nil || !slices.Equal(got, []float32{0, 1}) {
			t.Errorf("Float32s(%v) = %v, %v", x, got, err)
		}
	}
	if _, err := tensor.Float32s(must(t, []int64{1}, []string{"a"})); !errors.Is(err, fault.Invalid) {
		t.Errorf("Float32s of strings = %v", err)
	}
}

func TestStackAndSplit(t *testing.T) {
	t.Parallel()
	a := tensor.Named{"x": must(t, []int64{1, 2}, []float32{1, 2}), "id": must(t, []int64{1}, []int64{7})}
	b := tensor.Named{"x": must(t, []int64{2, 2}, []float32{3, 4, 5, 6}), "id": must(t, []int64{2}, []int64{8, 9})}
	whole, rows, err := tensor.Stack([]tensor.Named{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tensor.Data[float32](whole["x"]); !slices.Equal(got, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("stacked x = %v", got)
	}
	parts, err := whole.Split(rows)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tensor.Data[int64](parts[1]["id"]); !slices.Equal(got, []int64{8, 9}) {
		t.Errorf("second id = %v", got)
	}
	first, _ := tensor.Data[float32](parts[0]["x"])
	_ = append(first, 99)
	if got, _ := tensor.Data[float32](parts[1]["x"]); got[0] != 3 {
		t.Errorf("an append to the first part reached the second: %v", got)
	}
}

// A buffer's memory is used again, whatever was stacked in it before.
func TestBuffer(t *testing.T) {
	t.Parallel()
	var b tensor.Buffer
	stack := func(parts ...tensor.Named) tensor.Named {
		t.Helper()
		whole, _, err := b.Stack(parts)
		if err != nil {
			t.Fatal(err)
		}
		return whole
	}
	row := func(name string, first float32) tensor.Named {
		return tensor.Named{name: must(t, []int64{1, 2}, []float32{first, first + 1}), "id": must(t, []int64{1}, []int64{int64(first)})}
	}
	for _, test := range []struct {
		name  string
		parts []tensor.Named
		want  []float32
		ids   []int64
	}{
		{"x", []tensor.Named{row("x", 1), row("x", 3), row("x", 5)}, []float32{1, 2, 3, 4, 5, 6}, []int64{1, 3, 5}},
		{"x", []tensor.Named{row("x", 7), row("x", 9)}, []float32{7, 8, 9, 10}, []int64{7, 9}},
		{"y", []tensor.Named{row("y", 7), row("y", 9)}, []float32{7, 8, 9, 10}, []int64{7, 9}},
	} {
		whole := stack(test.parts...)
		got, err := tensor.Data[float32](whole[test.name])
		ids, failed := tensor.Data[int64](whole["id"])
		if err != nil || failed != nil || !slices.Equal(got, test.want) || !slices.Equal(ids, test.ids) || len(whole) != 2 ||
			!slices.Equal(whole[test.name].Shape(), []int64{int64(len(test.parts)), 2}) {
			t.Errorf("%s: stacked %v, %v, %v", test.name, whole, err, failed)
		}
	}
	before, _ := tensor.Data[float32](stack(row("y", 1), row("y", 2))["y"])
	if after, _ := tensor.Data[float32](stack(row("y", 3), row("y", 4))["y"]); &before[0] != &after[0] {
		t.Error("stacking again takes other memory")
	}
	if _, _, err := b.Stack([]tensor.Named{row("x", 1), {}}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a part without tensors: %v", err)
	}
}

func TestStackRefuses(t *testing.T) {
	t.Parallel()
	x := must(t, []int64{1, 2}, []float32{1, 2})
	tests := map[string][]tensor.Named{
		"nothing":     nil,
		"no tensors":  {{}},
		"other names": {{"x": x}, {"y": x}},
		"other types": {{"x": x}, {"x": must(t, []int64{1, 2}, []float64{1, 2})}},
		"other rest":  {{"x": x}, {"x": must(t, []int64{1, 1}, []float32{1})}},
		"scalar":      {{"x": must(t, nil, []float32{1})}},
		"uneven rows": {{"x": x, "y": must(t, []int64{2}, []float32{1, 2})}},
	}
	for name, parts := range tests {
		if _, _, err := tensor.Stack(parts); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: Stack = %v, want %v", name, err, fault.Invalid)
		}
	}
	if _, err := (tensor.Named{"x": x}).Split([]int64{2}); !errors.Is(err, fault.Invalid) {
		t.Errorf("Split of one row into two = %v", err)
	}
}

func TestStackOfOneDoesNotCopy(t *testing.T) {
	t.Parallel()
	data := []float32{1, 2}
	whole, _, err := tensor.Stack([]tensor.Named{{"x": must(t, []int64{1, 2}, data)}})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tensor.Data[float32](whole["x"]); &got[0] != &data[0] {
		t.Error("one part was copied")
	}
}
