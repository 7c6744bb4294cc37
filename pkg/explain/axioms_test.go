//go:build cgo

package explain_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// specimen is a network of pictures that has a gradient, and some of them.
type specimen struct {
	name   string
	path   string
	rows   int
	x      tensor.Tensor // that many rows
	kinked bool
	seed   uint64
}

// each runs a test for every network that has a gradient, in parallel, with rows of the standard normal distribution.
func each(t *testing.T, rows int, test func(t *testing.T, s specimen)) {
	t.Helper()
	seed := rand.Uint64()
	shapes := map[string][]int64{"tiny_cnn": {3, 10, 10}, "mnist": {1, 28, 28}}
	specimens := []specimen{
		{name: "tiny_cnn", path: "testdata/tiny_cnn.onnx", kinked: true},
		{name: "mnist", path: "../../models/mnist/mnist.onnx", kinked: true},
	}
	for _, f := range families() {
		specimens = append(specimens, specimen{name: f.name, path: file(t, f.graph(seed)), kinked: f.kinked})
	}
	for _, s := range specimens {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					t.Logf("the seed was %d", seed)
				}
			}()
			shape := shapes[s.name]
			if shape == nil {
				shape = []int64{3, familySide, familySide}
			}
			size := int64(rows)
			for _, d := range shape {
				size *= d
			}
			s.rows, s.seed = rows, seed
			s.x = must(t, append([]int64{int64(rows)}, shape...), random(rand.New(rand.NewPCG(seed, 5)), int(size)))
			test(t, s)
		})
	}
}

// ends returns the names of a network's input and output.
func ends(s *subject) (in, out string) {
	sig := s.session.Signature()
	return sig.Inputs[0].Name, sig.Outputs[0].Name
}

// function returns the network of a specimen as a function of its input, "x" of the rows given.
func (s specimen) function(tb testing.TB, change ...func(*explain.NetworkOptions)) (*subject, everything, tensor.Named) {
	tb.Helper()
	n := differentiable(tb, s.path, change...)
	in, out := ends(n)
	rows := tensor.Named{in: s.x}
	return n, n.at(tb, out, explain.ScoresBest, row(tb, rows, 0)), rows
}

// gradients returns the gradients of the rows, and their scores.
func gradients(tb testing.TB, f explain.Differentiable, rows tensor.Named, targets []int) ([]float64, []float32) {
	tb.Helper()
	scores, grads, err := f.Gradients(tb.Context(), rows, targets)
	if err != nil {
		tb.Fatal(err)
	}
	for name := range grads {
		return scores, floats(tb, grads[name])
	}
	return nil, nil
}

// spread returns targets that differ from row to row.
func spread(tb testing.TB, n *subject, rows tensor.Named, seed uint64) []int {
	tb.Helper()
	in, out := ends(n)
	y := n.run(tb, rows)[out]
	count := int(rows[in].Shape()[0])
	targets, r := make([]int, count), rand.New(rand.NewPCG(seed, 9))
	for i := range targets {
		targets[i] = r.IntN(y.Len() / count)
	}
	return targets
}

// TestGradientsPassTheAdjointTest compares the gradient along a random direction with the difference of the network run
// beside it. That is taken over a short way, and so is the mean of the gradients: steps that are too short for kinks to
// matter would drown in rounding.
func TestGradientsPassTheAdjointTest(t *testing.T) {
	t.Parallel()
	each(t, 1, func(t *testing.T, s specimen) {
		t.Helper()
		n, f, x := s.function(t)
		limit, steps := 1e-4, 64
		if s.kinked {
			limit, steps = 3e-3, 512
		}
		r := rand.New(rand.NewPCG(s.seed, 6))
		for range 2 {
			w := way{floats(t, s.x), random(r, s.x.Len()), 0.05}
			target := spread(t, n, x, r.Uint64())[0]
			got, size := w.gradient(t, f, n, steps, target)
			both := w.rows(t, n, 0, 1)
			scores, err := f.Scores(t.Context(), both, []int{target, target})
			if err != nil {
				t.Fatal(err)
			}
			want := (scores[1] - scores[0]) / w.length
			if off := math.Abs(got-want) / size; !(off <= limit) {
				t.Errorf("%g, want %g: off by %.2g of the gradient's length, at most %.2g is allowed", got, want, off, limit)
			} else {
				t.Logf("off by %.2g of the gradient's length", off)
			}
		}
	})
}

// way leads from a point so far in a direction.
type way struct {
	from, direction []float32
	length          float64
}

// rows returns the points at some parts of the way, as the rows of a network of pictures.
func (w way) rows(tb testing.TB, n *subject, parts ...float64) tensor.Named {
	tb.Helper()
	var data []float32
	for _, part := range parts {
		for k, v := range w.from {
			data = append(data, float32(float64(v)+part*w.length*float64(w.direction[k])))
		}
	}
	in := n.session.Signature().Inputs[0]
	shape := []int64{int64(len(parts))}
	for _, d := range in.Shape[1:] {
		shape = append(shape, d.Size)
	}
	return tensor.Named{in.Name: must(tb, shape, data)}
}

// gradient returns the mean gradient on the way, along it, and how long the gradients are.
func (w way) gradient(tb testing.TB, f explain.Differentiable, n *subject, steps, target int) (along, length float64) {
	tb.Helper()
	const rows = 8
	square := 0.0
	for i := 0; i < steps; i += rows {
		parts, targets := make([]float64, rows), make([]int, rows)
		for k := range parts {
			parts[k], targets[k] = (float64(i+k)+0.5)/float64(steps), target
		}
		x := w.rows(tb, n, parts...)
		_, grads := gradients(tb, f, x, targets)
		for k, g := range grads {
			along += float64(g) * float64(w.direction[k%len(w.direction)]) / float64(steps)
			square += float64(g) * float64(g) / float64(steps)
		}
	}
	return along, math.Sqrt(square)
}

// TestAttributionsAreComplete integrates gradients in many steps: what they sum to is what the score has over the
// baseline's.
func TestAttributionsAreComplete(t *testing.T) {
	t.Parallel()
	each(t, 1, func(t *testing.T, s specimen) {
		t.Helper()
		n, f, x := s.function(t)
		_, out := ends(n)
		y, y0 := floats(t, n.run(t, x)[out]), floats(t, n.run(t, zeros(t, x))[out])
		best := 0
		for i := range y {
			if math.Abs(float64(y[i]-y0[i])) > math.Abs(float64(y[best]-y0[best])) {
				best = i
			}
		}
		limit, steps := float32(1e-3), 200
		if s.kinked {
			limit, steps = 1e-2, 1000
		}
		got, err := explain.IntegratedGradients(t.Context(), f, explain.Request{
			Input: x, Baseline: zeros(t, x), Target: best, Params: explain.Params{Steps: steps},
		})
		if err != nil {
			t.Fatal(err)
		}
		if c := got.Convergence; !(c.Relative <= limit) {
			t.Errorf("the attributions miss %g by %g: %.2g of it, at most %.2g is allowed", got.Target.Value-got.Baseline.Value, c.Delta, c.Relative, limit)
		} else {
			t.Logf("off by %.2g", c.Relative)
		}
	})
}

// TestWhatIsIgnoredGetsNothing looks at the pixels that the families cut off: exactly zero is theirs.
func TestWhatIsIgnoredGetsNothing(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			shape := []int64{1, 3, familySide, familySide}
			x := tensor.Named{"x": must(t, shape, random(rand.New(rand.NewPCG(1, 5)), 3*familySide*familySide))}
			g := differentiable(t, file(t, f.graph(1))).at(t, "y", explain.ScoresBest, x)
			got, err := explain.IntegratedGradients(t.Context(), g, explain.Request{Input: x, Baseline: zeros(t, x)})
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for i, v := range floats(t, got.Attributions["x"]) {
				switch ignored := i%familySide == familySide-1 || i/familySide%familySide == familySide-1; {
				case ignored && v != 0:
					t.Fatalf("element %d is ignored and gets %g", i, v)
				case v != 0:
					seen++
				}
			}
			if seen < 100 {
				t.Errorf("only %d elements get anything", seen)
			}
		})
	}
}

// TestAStridePassesOverPixels looks at convolutions that read only some of the pixels, in each of their forms.
func TestAStridePassesOverPixels(t *testing.T) {
	t.Parallel()
	reads := map[string]func(y, x int) bool{
		"every third pixel": func(y, x int) bool { return y%3 == 0 && x%3 == 0 },
		"without the edge":  func(y, x int) bool { return y < 6 && x < 6 },
	}
	for name, read := range reads {
		f := zoo.Filter{From: 2, To: 3, Height: 1, Stride: 3, Tight: true}
		if name == "without the edge" {
			f = zoo.Filter{From: 2, To: 3, Height: 2, Stride: 2, Tight: true}
		}
		m := zoo.New(3, 2, 7, 7)
		path := file(t, m.Done(m.Head(m.Conv("x", f), 3, 2), 2))
		x := tensor.Named{"x": must(t, []int64{1, 2, 7, 7}, random(rand.New(rand.NewPCG(1, 5)), 98))}
		_, grads := gradients(t, differentiable(t, path).at(t, "y", explain.ScoresBest, x), x, []int{1})
		for i, g := range grads {
			if y, x := i/7%7, i%7; (g != 0) != read(y, x) {
				t.Errorf("%s: the gradient by pixel %d, %d is %g", name, y, x, g)
			}
		}
	}
}

// TestExplanationsAreLinear mixes a network's scores: what is said of the mixture is the mixture of what is said of each.
func TestExplanationsAreLinear(t *testing.T) {
	t.Parallel()
	for _, fam := range families() {
		t.Run(fam.name, func(t *testing.T) {
			t.Parallel()
			shape := []int64{1, 3, familySide, familySide}
			x := tensor.Named{"x": must(t, shape, random(rand.New(rand.NewPCG(2, 5)), 3*familySide*familySide))}
			explained := func(g *onnx.Graph, target int) []float64 {
				f := differentiable(t, file(t, g)).at(t, "y", explain.ScoresBest, x)
				got, err := explain.IntegratedGradients(t.Context(), f, explain.Request{Input: x, Baseline: zeros(t, x), Target: target})
				if err != nil {
					t.Fatal(err)
				}
				return widen(floats(t, got.Attributions["x"]))
			}
			m := zoo.New(1, 3, familySide, familySide)
			parts := m.Node("Slice", nil, "x", m.Ints(0, 0), m.Ints(familySide-1, familySide-1), m.Ints(2, 3))
			y, _ := fam.make(m, parts)
			flat := m.Node("Slice", nil, m.Node("Flatten", nil, y), m.Ints(0), m.Ints(2), m.Ints(1))
			mix := m.Name("mix")
			m.Graph.Initializers[mix] = onnx.Of([]float32{3, -2}, 2, 1)
			mixed := explained(m.Done(m.Node("MatMul", nil, flat, mix), 2), 0)
			first, second := explained(fam.graph(1), 0), explained(fam.graph(1), 1)
			for i := range first {
				first[i] = 3*first[i] - 2*second[i]
			}
			agree(t, "the mixture", narrow(mixed), first, 1e-5)
		})
	}
}

// TestEveryWayOfRunningSaysTheSame compares batches of one with one of eight, the levels of optimization, and the forms
// of the gradient of a convolution.
func TestEveryWayOfRunningSaysTheSame(t *testing.T) {
	t.Parallel()
	each(t, 8, func(t *testing.T, s specimen) {
		t.Helper()
		n, f, x := s.function(t)
		targets := spread(t, n, x, s.seed)
		scores, together := gradients(t, f, x, targets)
		var alone []float32
		for i, target := range targets {
			score, grads := gradients(t, f, row(t, x, i), []int{target})
			alone = append(alone, grads...)
			if math.Abs(score[0]-scores[i]) > 1e-5*(1+math.Abs(scores[i])) {
				t.Errorf("row %d scores %v alone, %v among others", i, score[0], scores[i])
			}
		}
		agree(t, "one by one", alone, widen(together), 1e-5)
		_, f, _ = s.function(t, func(o *explain.NetworkOptions) { o.Engine.Optimization = engine.OptimizeNone })
		_, plain := gradients(t, f, x, targets)
		agree(t, "without optimization", plain, widen(together), 1e-5)
		n = differentiable(t, s.path)
		explain.CompactAbove(n.Network, 0)
		in, out := ends(n)
		_, compact := gradients(t, n.at(t, out, explain.ScoresBest, row(t, tensor.Named{in: s.x}, 0)), x, targets)
		agree(t, "compact", compact, widen(together), 1e-5)
	})
}

// TestTextsKeepTheAxioms keeps them at the embedding.
func TestTextsKeepTheAxioms(t *testing.T) {
	t.Parallel()
	ids, reference := []int64{7, 19, 26, 10, 2, 3, 4}, []int64{7, 0, 0, 0, 0, 0, 4}
	shape := []int64{1, int64(len(ids))}
	x := tensor.Named{"ids": must(t, shape, ids), "mask": must(t, shape, slices.Repeat([]int64{1}, len(ids)))}
	req := explain.Request{
		Input: x, Baseline: tensor.Named{"ids": must(t, shape, reference)}, Target: 2, Params: explain.Params{Steps: 50},
	}
	var first []float64
	for i, change := range []func(*explain.NetworkOptions){
		func(*explain.NetworkOptions) {},
		func(o *explain.NetworkOptions) { o.Engine.Optimization = engine.OptimizeNone },
	} {
		for _, rows := range []int{1, 8} {
			req.Rows = rows
			f := differentiable(t, "testdata/tiny_bert.onnx", change).at(t, "y", explain.ScoresBest, x)
			got, err := explain.LayerIntegratedGradients(t.Context(), f, req)
			if err != nil {
				t.Fatal(err)
			}
			values := floats(t, got.Attributions[got.Inputs[0]])
			if first == nil {
				first = widen(values)
			}
			agree(t, fmt.Sprintf("%d, batches of %d", i, rows), values, first, 1e-5)
			if got.Convergence.Relative > 1e-3 {
				t.Errorf("the attributions miss the difference by %.2g of it", got.Convergence.Relative)
			}
			if special := slices.Concat(values[:16], values[len(values)-16:]); slices.ContainsFunc(special, func(v float32) bool { return v != 0 }) {
				t.Errorf("the tokens that stayed got %v", special)
			}
		}
	}
}
