package vision_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// The tensors of the samples, with the settings of the shipped models, against torchvision's. A lossless file may differ
// by 1e-3 of the range; a JPEG by 4 of 255 somewhere, and by hardly anything on average, as decoders round differently.
func TestSamplesAsTorchvision(t *testing.T) {
	t.Parallel()
	type reference struct {
		Model, Sample string
		Options       map[string]any
		Shape         []int64
		Range         [2]float64
		Step          int
		Values        string
	}
	for _, want := range load[[]reference](t, "reference/index.json") {
		t.Run(want.Model+"/"+want.Sample, func(t *testing.T) {
			t.Parallel()
			written, err := yaml.Marshal(want.Options)
			if err != nil {
				t.Fatal(err)
			}
			var opts vision.Options
			if err := yaml.UnmarshalWithOptions(written, &opts, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			tr, err := vision.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join("..", "..", "samples", want.Sample))
			if err != nil {
				t.Fatal(err)
			}
			out, err := tr.Tensor(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tensor.Data[float32](out)
			if err != nil || !cmp.Equal(out.Shape(), want.Shape) {
				t.Fatalf("%v (%v), want shape %v", out, err, want.Shape)
			}
			worst, mean := differ(got, want.Step, file(t, "reference", want.Values))
			worst, mean = worst/(want.Range[1]-want.Range[0]), mean/(want.Range[1]-want.Range[0])
			t.Logf("differs by at most %.2g of the range, %.2g on average", worst, mean)
			limit, average := 1e-3, 1e-3
			if strings.HasSuffix(want.Sample, ".jpg") {
				limit, average = 4.5/255, 0.1/255
			}
			if !(worst <= limit && mean <= average) {
				t.Errorf("differs by at most %v of the range, %v on average, want %v, %v", worst, mean, limit, average)
			}
		})
	}
}

// differ returns the largest and the mean difference between every step-th value and a reference of little-endian float32.
func differ(got []float32, step int, reference []byte) (worst, mean float64) {
	n := (len(got) + step - 1) / step
	if len(reference) != 4*n {
		return math.Inf(1), math.Inf(1)
	}
	for i := range n {
		want := math.Float32frombits(binary.LittleEndian.Uint32(reference[4*i:]))
		d := math.Abs(float64(got[i*step]) - float64(want))
		worst, mean = max(worst, d), mean+d/float64(n)
	}
	return worst, mean
}
