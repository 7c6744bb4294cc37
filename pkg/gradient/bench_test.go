package gradient_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// conv adds the weights of a convolution of a square kernel, and returns the node.
func conv(c constants, r *rand.Rand, names [3]string, sizes [4]int64) *onnx.Node {
	to, from, kernel, stride := sizes[0], sizes[1], sizes[2], sizes[3]
	name, p := names[2], kernel/2
	c[name+".w"], c[name+".b"] = weight(r, to, from, kernel, kernel), weight(r, to)
	a := attrs{"kernel_shape": onnx.Ints(kernel, kernel), "strides": onnx.Ints(stride, stride), "pads": onnx.Ints(p, p, p, p)}
	return node("Conv", a, []string{names[0], name + ".w", name + ".b"}, names[1])
}

// block makes a basic block of a residual network (He 2016, arXiv:1512.03385): with stride 2, one that halves the picture.
func block(from, to, size, stride int64) *onnx.Graph {
	c, r := constants{}, draw(1)
	nodes := []*onnx.Node{
		conv(c, r, [3]string{"x", "a", "conv1"}, [4]int64{to, from, 3, stride}),
		node("Relu", nil, []string{"a"}, "b"),
		conv(c, r, [3]string{"b", "c", "conv2"}, [4]int64{to, to, 3, 1}),
	}
	skip := "x"
	if stride > 1 {
		skip = "d"
		nodes = append(nodes, conv(c, r, [3]string{"x", "d", "down"}, [4]int64{to, from, 1, stride}))
	}
	nodes = append(nodes, node("Add", nil, []string{"c", skip}, "e"), node("Relu", nil, []string{"e"}, "y"))
	return network(inputs{"x": {-1, from, size, size}}, c, nodes...)
}

// stem makes the beginning of a residual network.
func stem() *onnx.Graph {
	c := constants{}
	pool := attrs{"kernel_shape": onnx.Ints(3, 3), "strides": onnx.Ints(2, 2), "pads": onnx.Ints(1, 1, 1, 1)}
	return network(inputs{"x": {-1, 3, 224, 224}}, c, conv(c, draw(1), [3]string{"x", "a", "conv1"}, [4]int64{64, 3, 7, 2}),
		node("Relu", nil, []string{"a"}, "b"), node("MaxPool", pool, []string{"b"}, "y"))
}

// BenchmarkResidual measures the gradient, forward pass included, of parts of ResNet-18 at eight rows. It reports the shortest
// time divided by that of the forward pass, as "forwards", and what it is with Options.Compact. The three take turns, so that
// whatever else the machine does is the same for all.
func BenchmarkResidual(b *testing.B) {
	for _, part := range []struct {
		name string
		g    *onnx.Graph
	}{
		{"stem", stem()},
		{"block", block(64, 64, 56, 1)},
		{"halving block", block(64, 128, 56, 2)},
		{"last block", block(512, 512, 7, 1)},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			measure(b, part.g, 8)
		})
	}
}

// measure runs the gradient of a graph.
func measure(b *testing.B, g *onnx.Graph, rows int64) {
	b.Helper()
	plain, compact := subject{graph: g}, subject{graph: g, opts: gradient.Options{Compact: true}}
	plain.fill()
	in := plain.inputs(b, draw(1), rows)
	sessions := []engine.Session{openThreads(b, g, 2)}
	y := run(b, sessions[0], in)["y"]
	seed, err := tensor.New(y.Shape(), normal(draw(2), y.Len()))
	if err != nil {
		b.Fatal(err)
	}
	feeds := []tensor.Named{in}
	for _, s := range []subject{plain, compact} {
		built := build(b, s)
		sessions = append(sessions, openThreads(b, built.Model, 2))
		feeds = append(feeds, tensor.Named{built.Seed: seed, "x": in["x"]})
		run(b, sessions[len(sessions)-1], feeds[len(feeds)-1])
	}
	least := [3]time.Duration{math.MaxInt64, math.MaxInt64, math.MaxInt64}
	turn := func(i int) {
		start := time.Now()
		run(b, sessions[i], feeds[i])
		least[i] = min(least[i], time.Since(start))
	}
	for b.Loop() {
		turn(1)
		b.StopTimer()
		turn(0)
		turn(2)
		b.StartTimer()
	}
	b.ReportMetric(float64(least[1])/float64(least[0]), "forwards")
	b.ReportMetric(float64(least[2])/float64(least[0]), "compact-forwards")
	b.ReportMetric(float64(least[0].Microseconds())/1000, "forward-ms")
}

// BenchmarkBuild measures the building of the gradient of a block with many weights.
func BenchmarkBuild(b *testing.B) {
	s := subject{graph: block(512, 512, 7, 1)}
	s.fill()
	facts := learn(b, s.graph, s.inputs(b, draw(1), 2), s.inputs(b, draw(1), 3))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := gradient.Build(s.graph, facts, s.opts); err != nil {
			b.Fatal(err)
		}
	}
}
