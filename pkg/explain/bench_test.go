//go:build cgo

package explain_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// mobileNetV2 makes a network of its form and size (Sandler 2018, arXiv:1801.04381) with random weights.
func mobileNetV2() *onnx.Graph {
	m := zoo.New(1, 3, 224, 224)
	x := m.Relu6(m.Norm(m.Conv("x", zoo.Filter{From: 3, To: 32, Height: 3, Stride: 2}), 32))
	x = m.Relu6(m.Norm(m.Conv(x, zoo.Filter{From: 32, To: 32, Height: 3, Groups: 32}), 32))
	x = m.Norm(m.Conv(x, zoo.Filter{From: 32, To: 16}), 16)
	from := int64(16)
	for _, stage := range [][3]int64{{24, 2, 2}, {32, 3, 2}, {64, 4, 2}, {96, 3, 1}, {160, 3, 2}, {320, 1, 1}} {
		for i := range stage[1] {
			stride := int64(1)
			if i == 0 {
				stride = stage[2]
			}
			x = m.Bottleneck(x, from, stage[0], stride)
			from = stage[0]
		}
	}
	x = m.Relu6(m.Norm(m.Conv(x, zoo.Filter{From: 320, To: 1280}), 1280))
	return m.Done(m.Head(x, 1280, 1000), 2)
}

// BenchmarkNetworks measures whole networks. Everything is reported as how many times the network itself would have run
// meanwhile, so that whatever else the machine does matters little: the two take turns, and the shortest time counts.
//   - gradient-forwards: the gradients of eight rows, forward pass included, over the network run with eight rows
//   - explain-forwards: integrated gradients of one picture in 15 steps, over the network run with one
//   - build-opens: what the first explanation waits for, over opening the network
//   - row-bytes: what the tensors of a row take
func BenchmarkNetworks(b *testing.B) {
	for _, n := range []struct {
		name string
		path func(b *testing.B) string
		side int64
	}{
		{"ResNet-18", func(b *testing.B) string { b.Helper(); return file(b, zoo.ResNet18(1)) }, 224},
		{"MobileNetV2", func(b *testing.B) string { b.Helper(); return file(b, mobileNetV2()) }, 224},
		{"mnist", func(*testing.B) string { return "../../models/mnist/mnist.onnx" }, 28},
	} {
		b.Run(n.name, func(b *testing.B) {
			b.ReportAllocs()
			measure(b, n.path(b), n.side)
		})
	}
}

// measure measures the network of a file.
func measure(b *testing.B, path string, side int64) {
	b.Helper()
	begin := time.Now()
	s := differentiable(b, path, func(o *explain.NetworkOptions) { o.Engine = engine.Options{IntraOpThreads: 2} })
	opened := time.Since(begin)
	in, out := ends(s)
	channels := s.session.Signature().Inputs[0].Shape[1].Size
	data := random(rand.New(rand.NewPCG(1, 5)), int(8*channels*side*side))
	rows := tensor.Named{in: must(b, []int64{8, channels, side, side}, data)}
	one := row(b, rows, 0)
	begin = time.Now()
	f := s.at(b, out, explain.ScoresBest, one)
	built := time.Since(begin)
	targets := make([]int, 8)
	req := explain.Request{Input: one, Baseline: zeros(b, one), Params: explain.Params{Steps: 15}}
	work := []func(){
		func() { s.run(b, rows) },
		func() { gradients(b, f, rows, targets) },
		func() { s.run(b, one) },
		func() {
			if _, err := explain.IntegratedGradients(b.Context(), f, req); err != nil {
				b.Fatal(err)
			}
		},
	}
	least := slices.Repeat([]time.Duration{math.MaxInt64}, len(work))
	turn := func() {
		for i, do := range work {
			begin := time.Now()
			do()
			least[i] = min(least[i], time.Since(begin))
		}
	}
	turn() // once for the engine's first allocations
	for b.Loop() {
		turn()
	}
	b.ReportMetric(float64(least[1])/float64(least[0]), "gradient-forwards")
	b.ReportMetric(float64(least[3])/float64(least[2]), "explain-forwards")
	b.ReportMetric(float64(built)/float64(opened), "build-opens")
	b.ReportMetric(float64(f.RowBytes()), "row-bytes")
	b.ReportMetric(float64(least[0].Microseconds())/8000, "forward-row-ms")
	b.ReportMetric(float64(built.Milliseconds()), "build-ms")
}
