//go:build cgo

package explain_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/onnx/zoo"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// noise returns rows of pictures that the families take.
func noise(tb testing.TB, seed uint64, rows int64) tensor.Named {
	tb.Helper()
	shape := []int64{rows, 3, familySide, familySide}
	return tensor.Named{"x": must(tb, shape, random(rand.New(rand.NewPCG(seed, 5)), int(rows)*3*familySide*familySide))}
}

// fixed returns a network with its batch axis fixed at one.
func fixed(g *onnx.Graph) *onnx.Graph {
	g = g.Clone()
	g.Inputs[0].Shape = slices.Clone(g.Inputs[0].Shape)
	g.Inputs[0].Shape[0] = onnx.Axis{Size: 1}
	return g
}

// watched counts the runs of a session, and their rows.
type watched struct {
	engine.Session

	runs, closed *atomic.Int32
	most         *atomic.Int64 // rows of a run
}

func (w watched) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	w.runs.Add(1)
	for _, t := range in {
		w.most.Store(max(w.most.Load(), t.Shape()[0]))
	}
	return w.Session.Run(ctx, in, want...)
}

func (w watched) Close() error {
	w.closed.Add(1)
	return w.Session.Close()
}

func newWatched() watched {
	return watched{runs: new(atomic.Int32), closed: new(atomic.Int32), most: new(atomic.Int64)}
}

// over lays w over the sessions that are made.
func (w watched) over(s engine.Session) engine.Session {
	w.Session = s
	return w
}

// TestAFixedBatchIsFreed runs eight rows of networks that are saved for one.
func TestAFixedBatchIsFreed(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			x, targets := noise(t, 3, 8), []int{0, 1, 2, 3, 4, 0, 1, 2}
			_, want := gradients(t, differentiable(t, file(t, f.graph(3))).at(t, "y", explain.ScoresBest, row(t, x, 0)), x, targets)
			s, w := differentiable(t, file(t, fixed(f.graph(3)))), newWatched()
			s.opener.wrap = w.over
			_, got := gradients(t, s.at(t, "y", explain.ScoresBest, row(t, x, 0)), x, targets)
			agree(t, "the freed network", got, widen(want), 1e-5)
			if w.most.Load() != 8 {
				t.Errorf("at most %d rows were run at once, want 8", w.most.Load())
			}
		})
	}
}

// TestABatchThatCannotBeFreed runs rows one by one: of a network that takes no more, and of one in which they would
// change each other.
func TestABatchThatCannotBeFreed(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(m *zoo.Builder) string{
		"takes no more": func(m *zoo.Builder) string {
			square := m.Node("Reshape", nil, "x", m.Ints(2, 3))
			return m.Node("Reshape", nil, m.Node("Tanh", nil, m.Node("MatMul", nil, square, m.Weights(0, 1, 3, 2))), m.Ints(1, 4))
		},
		"mixes": func(m *zoo.Builder) string {
			mean := m.Node("ReduceMean", attrs{"axes": onnx.Ints(0), "keepdims": onnx.Int(1)}, "x")
			return m.Dense(m.Node("Tanh", nil, m.Node("Sub", nil, "x", m.Node("Mul", nil, mean, m.Scalar(0.5)))), 6, 4)
		},
	} {
		m := zoo.New(1, 6)
		s, w := differentiable(t, file(t, fixed(m.Done(add(m), 2)))), newWatched()
		x := tensor.Named{"x": must(t, []int64{3, 6}, random(rand.New(rand.NewPCG(1, 5)), 18))}
		f := s.at(t, "y", explain.ScoresBest, row(t, x, 0))
		s.opener.wrap = w.over
		guided, err := f.WithRelu(t.Context(), explain.ReluGuided) // another gradient, opened under watch
		if err != nil {
			t.Fatal(err)
		}
		_, together := gradients(t, guided, x, []int{0, 1, 2})
		var alone []float32
		for i := range 3 {
			_, g := gradients(t, f, row(t, x, i), []int{i})
			alone = append(alone, g...)
		}
		agree(t, name, together, widen(alone), 1e-6)
		if w.most.Load() != 1 || w.runs.Load() != 4 { // the first tries whether the gradient is the network's
			t.Errorf("%s: %d runs of at most %d rows, want 4 of 1", name, w.runs.Load(), w.most.Load())
		}
	}
}

// halfPrecision returns a network in half precision: its weights, its inputs and its outputs.
func halfPrecision(tb testing.TB, g *onnx.Graph) *onnx.Graph {
	tb.Helper()
	g = g.Clone()
	f16 := onnx.TypeOf(tensor.Half)
	for i := range g.Inputs {
		g.Inputs[i].Type = f16
	}
	for i := range g.Outputs {
		g.Outputs[i].Type = f16
	}
	for name, c := range g.Initializers {
		if c.Type != onnx.TypeOf(tensor.Float32) {
			continue
		}
		data, err := c.Float64s()
		if err != nil {
			tb.Fatal(err)
		}
		g.Initializers[name] = onnx.Of(halves(narrow(data)), c.Shape...)
	}
	return g
}

func halves(data []float32) []tensor.Float16 {
	out := make([]tensor.Float16, len(data))
	for i, v := range data {
		out[i] = tensor.ToFloat16(v)
	}
	return out
}

// TestHalfPrecision explains networks of float16 as what they are in float32.
func TestHalfPrecision(t *testing.T) {
	t.Parallel()
	for _, f := range families() {
		if f.name == "unet" {
			continue // resizing takes its factors in float32
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			g := halfPrecision(t, f.graph(4))
			rounded := f.graph(4)
			for name, c := range g.Initializers {
				if c.Type != onnx.TypeOf(tensor.Half) {
					continue
				}
				data, err := c.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				rounded.Initializers[name] = onnx.Of(narrow(data), c.Shape...)
			}
			x := noise(t, 4, 2)
			short := tensor.Named{"x": must(t, x["x"].Shape(), halves(floats(t, x["x"])))}
			same, err := tensor.Float32s(short["x"])
			if err != nil {
				t.Fatal(err)
			}
			x["x"] = must(t, x["x"].Shape(), same)
			_, want := gradients(t, differentiable(t, file(t, rounded)).at(t, "y", explain.ScoresBest, row(t, x, 0)), x, []int{1, 2})
			_, got := gradients(t, differentiable(t, file(t, g)).at(t, "y", explain.ScoresBest, row(t, short, 0)), short, []int{1, 2})
			agree(t, "in half precision", got, widen(want), 1e-5)
		})
	}
}

// TestSoftmaxAtTheEnd differentiates before it, behind it, and behind one that the network does not have.
func TestSoftmaxAtTheEnd(t *testing.T) {
	t.Parallel()
	logits, with := families()[0].graph(5), families()[0].graph(5)
	last := with.Nodes[len(with.Nodes)-1]
	last.Op, last.Attrs = "Softmax", attrs{"axis": onnx.Int(-1)}
	x := noise(t, 5, 1)
	plain, ending := differentiable(t, file(t, logits)), differentiable(t, file(t, with))
	p := floats(t, ending.run(t, x)["y"])
	var grads [][]float32 // of the logits
	mean := make([]float64, 3*familySide*familySide)
	f := plain.at(t, "y", explain.ScoresBest, x)
	for k := range familyClasses {
		_, g := gradients(t, f, x, []int{k})
		grads = append(grads, g)
		for i, v := range g {
			mean[i] += float64(p[k]) * float64(v)
		}
	}
	const target = 2
	want := make([]float64, len(mean)) // of the probability
	for i := range want {
		want[i] = float64(p[target]) * (float64(grads[target][i]) - mean[i])
	}
	for _, c := range []struct {
		what   string
		s      *subject
		scores explain.Scores
		output string
		want   []float64
	}{
		{"there is none", plain, explain.ScoresBest, "", widen(grads[target])},
		{"stepped over", ending, explain.ScoresBest, explain.OutputLogits, widen(grads[target])},
		{"kept", ending, explain.ScoresOutput, "", want},
		{"added", plain, explain.ScoresSoftmax, explain.OutputProbabilities, want},
	} {
		f := c.s.at(t, "y", c.scores, x)
		scores, g := gradients(t, f, x, []int{target})
		agree(t, c.what, g, c.want, 1e-5)
		if f.Output() != c.output {
			t.Errorf("%s: the scores are %q, want %q", c.what, f.Output(), c.output)
		}
		alone, err := f.Scores(t.Context(), x, []int{target})
		if err != nil || !near32(float32(alone[0]), float32(scores[0])) {
			t.Errorf("%s: the score is %v, %v, and with the gradient %v", c.what, alone, err, scores)
		}
	}
}

// TestTextsOfAnyLengthShareOneGradient counts what is opened.
func TestTextsOfAnyLengthShareOneGradient(t *testing.T) {
	t.Parallel()
	s := differentiable(t, "testdata/tiny_bert.onnx")
	opened := int32(0)
	for _, n := range []int{3, 7, 12} {
		ids, mask := slices.Repeat([]int64{7, 19, 26, 4}, 3)[:n], slices.Repeat([]int64{1}, n)
		shape := []int64{1, int64(n)}
		x := tensor.Named{"ids": must(t, shape, ids), "mask": must(t, shape, mask)}
		req := explain.Request{Input: x, Baseline: tensor.Named{"ids": must(t, shape, make([]int64, n))}, Target: 1}
		var all [2][]float32
		for i, s := range []*subject{s, differentiable(t, "testdata/tiny_bert.onnx")} {
			got, err := explain.LayerIntegratedGradients(t.Context(), s.at(t, "y", explain.ScoresBest, x), req)
			if err != nil {
				t.Fatal(err)
			}
			all[i] = floats(t, got.Attributions[got.Inputs[0]])
		}
		agree(t, "the shared gradient", all[0], widen(all[1]), 1e-6)
		if opened == 0 {
			opened = s.opener.made.Load()
		} else if s.opener.made.Load() != opened {
			t.Errorf("%d tokens: %d graphs are made, want the %d there were", n, s.opener.made.Load(), opened)
		}
	}
}

// tagger returns a network that scores each token of a text.
func tagger() *onnx.Graph {
	m := zoo.New(1, -1)
	m.Graph.Inputs[0].Type = onnx.TypeOf(tensor.Int64)
	m.Graph.Inputs[0].Shape[1].Name = "tokens"
	x := m.Node("Gather", nil, m.Weights(0, 1, 32, 4), "x")
	return m.Done(m.Linear(m.Node("Tanh", nil, x), 4, 2), 3)
}

// TestTextsOfAnyLengthHaveScoresOfTheirLength explains a long text after a short one, which the gradient was made for.
func TestTextsOfAnyLengthHaveScoresOfTheirLength(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, tagger()))
	for _, n := range []int{4, 9, 3} {
		shape := []int64{1, int64(n)}
		x := tensor.Named{"x": must(t, shape, slices.Repeat([]int64{7, 19, 26}, 3)[:n])}
		req := explain.Request{Input: x, Baseline: tensor.Named{"x": must(t, shape, make([]int64, n))}, Target: 2*n - 1}
		got, err := explain.LayerIntegratedGradients(t.Context(), s.at(t, "y", explain.ScoresBest, x), req)
		if err != nil {
			t.Fatalf("%d tokens: %v", n, err)
		}
		if got.Convergence.Relative > 1e-3 {
			t.Errorf("%d tokens: the attributions miss the difference of the scores by %v", n, got.Convergence.Relative)
		}
	}
}

// seventh returns a network whose scores depend on the length of a text in a way that the lengths which shapes are learned
// from do not show.
func seventh() *onnx.Graph {
	m := zoo.New(1, -1)
	m.Graph.Inputs[0].Type = onnx.TypeOf(tensor.Int64)
	m.Graph.Inputs[0].Shape[1].Name = "tokens"
	rest := m.Node("Mod", nil, m.Node("Gather", nil, m.Node("Shape", nil, "x"), m.Ints(1)), m.Ints(5))
	x := m.Node("Tanh", nil, m.Node("Gather", nil, m.Weights(0, 1, 32, 4), "x"))
	mean := m.Node("ReduceMean", attrs{"axes": onnx.Ints(1), "keepdims": onnx.Int(0)}, x)
	return m.Done(m.Node("Mul", nil, m.Linear(mean, 4, 2), m.Node("Cast", attrs{"to": onnx.Int(1)}, rest)), 2)
}

// TestTheGradientOfAnotherNetworkIsRefused explains a text of a length for which the derived graph computes something else
// than the network does, and one for which it does not.
func TestTheGradientOfAnotherNetworkIsRefused(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, seventh()))
	e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
	ask := func(n int, method string) (*explain.Explanation, error) {
		shape := []int64{1, int64(n)}
		return e.Explain(t.Context(), explain.Question{
			Input:    tensor.Named{"x": must(t, shape, []int64{7, 19, 26, 3, 12, 4, 9}[:n])},
			Baseline: tensor.Named{"x": must(t, shape, make([]int64, n))}, Params: explain.Params{Method: method},
		})
	}
	if x, err := ask(7, ""); err != nil || x.Method != "layer_integrated_gradients" || !x.Exact {
		t.Errorf("7 tokens, as learned: %+v, %v", x, err)
	}
	const want = "so that it is the gradient of another network"
	if _, err := ask(4, "layer_integrated_gradients"); fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), want) {
		t.Errorf("4 tokens: %v, want a refusal with %q", err, want)
	}
	if x, err := ask(4, ""); err != nil || x.Method != "leave_one_out" || x.Exact || !strings.Contains(x.Why, want) {
		t.Errorf("4 tokens: %+v, %v, want leave_one_out because of %q", x, err, want)
	}
}

// parity returns a network whose scores are twice as high for a text of an odd number of tokens.
func parity() *onnx.Graph {
	m := zoo.New(1, -1)
	m.Graph.Inputs[0].Type = onnx.TypeOf(tensor.Int64)
	m.Graph.Inputs[0].Shape[1].Name = "tokens"
	odd := m.Node("Mod", nil, m.Node("Gather", nil, m.Node("Shape", nil, "x"), m.Ints(1)), m.Ints(2))
	factor := m.Node("Add", nil, m.Node("Cast", attrs{"to": onnx.Int(1)}, odd), m.Scalar(1))
	x := m.Node("Tanh", nil, m.Node("Gather", nil, m.Weights(0, 1, 32, 4), "x"))
	mean := m.Node("ReduceMean", attrs{"axes": onnx.Ints(1), "keepdims": onnx.Int(0)}, x)
	return m.Done(m.Node("Mul", nil, m.Linear(mean, 4, 2), factor), 2)
}

// TestWhatDependsOnAnEvenLengthIsNotConstant compares the sum of the attributions with the network's own scores.
func TestWhatDependsOnAnEvenLengthIsNotConstant(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, parity()))
	for _, n := range []int{4, 5} {
		shape := []int64{1, int64(n)}
		x := tensor.Named{"x": must(t, shape, []int64{7, 19, 26, 3, 12}[:n])}
		b := tensor.Named{"x": must(t, shape, make([]int64, n))}
		want := float64(floats(t, s.run(t, x)["y"])[1]) - float64(floats(t, s.run(t, b)["y"])[1])
		got, err := explain.LayerIntegratedGradients(t.Context(), s.at(t, "y", explain.ScoresBest, x), explain.Request{Input: x, Baseline: b, Target: 1})
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range floats(t, got.Attributions[got.Inputs[0]]) {
			sum += float64(v)
		}
		if math.Abs(sum-want) > 1e-3*math.Abs(want) {
			t.Errorf("%d tokens: the attributions add up to %v, want %v", n, sum, want)
		}
	}
}

// TestOneGradientIsNotAnother looks at functions with another gradient than the plain one: what the network's own function can
// do besides would be of the plain one, so they do not claim it.
func TestOneGradientIsNotAnother(t *testing.T) {
	t.Parallel()
	x := noise(t, 14, 1)
	f := differentiable(t, file(t, families()[0].graph(14))).at(t, "y", explain.ScoresBest, x)
	want, err := f.Scores(t.Context(), x, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	guided, err := f.WithRelu(t.Context(), explain.ReluGuided)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := f.Layer(t.Context(), "", x, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	after, cut, _, name, err := f.Cut(t.Context(), layer.Name, x, zeros(t, x))
	if err != nil || name != layer.Name {
		t.Fatalf("cut at %q: %v", name, err)
	}
	for what, c := range map[string]struct {
		f    explain.Differentiable
		rows tensor.Named
	}{"guided": {guided, x}, "cut": {after, cut}} {
		if got, err := c.f.Scores(t.Context(), c.rows, []int{1}); err != nil || !near32(float32(got[0]), float32(want[0])) {
			t.Errorf("%s: the score is %v, %v, want %v", what, got, err, want)
		}
		_, ruled := c.f.(explain.Ruled)
		_, layered := c.f.(explain.Layered)
		_, cutter := c.f.(explain.Cutter)
		if ruled || layered || cutter {
			t.Errorf("%s: it has other rules for Relu: %v, layers: %v, cuts: %v", what, ruled, layered, cutter)
		}
	}
	_, grads := gradients(t, after, cut, []int{1})
	agree(t, "behind the cut, by the layer", grads, widen(floats(t, layer.Gradients)), 1e-5)
}

// TestFiftyFirstExplanationsMakeOneGradient asks them all at once, and the network itself beside them.
func TestFiftyFirstExplanationsMakeOneGradient(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(6)))
	x := noise(t, 6, 1)
	answer := floats(t, s.run(t, x)["y"])
	var all sync.WaitGroup
	begin := make(chan struct{})
	explained := make([][]float32, 50)
	for i := range explained {
		all.Go(func() {
			<-begin
			f, err := s.At(t.Context(), explain.Wanted{Output: "y"}, x)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := explain.IntegratedGradients(t.Context(), f, explain.Request{Input: x, Baseline: zeros(t, x), Params: explain.Params{Steps: 4}})
			if err != nil {
				t.Error(err)
				return
			}
			explained[i] = floats(t, got.Attributions["x"])
		})
		all.Go(func() {
			<-begin
			out, err := s.session.Run(t.Context(), x)
			if err != nil || !slices.Equal(floats(t, out["y"]), answer) {
				t.Errorf("a prediction beside them: %v, %v", out, err)
			}
		})
	}
	close(begin)
	all.Wait()
	for _, e := range explained {
		if !slices.Equal(e, explained[0]) {
			t.Error("explanations of the same picture differ")
		}
	}
	// One that tells the types, one that tells the shapes, and the gradient.
	if made, full := s.opener.made.Load(), s.opener.full.Load(); made != 3 || full != 1 {
		t.Errorf("%d graphs were opened, %d of them optimized, want 3 and 1", made, full)
	}
}

// TestACanceledExplanationEndsSoon ends one in the middle: it stops within a chunk, and the gradient is still good.
func TestACanceledExplanationEndsSoon(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(7)))
	x := noise(t, 7, 1)
	f := s.at(t, "y", explain.ScoresBest, x)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := explain.Request{Input: x, Baseline: zeros(t, x), Params: explain.Params{Steps: 5000, Rule: "riemann_left"}, Rows: 8}
	last := 0
	req.Progress = func(done, _ int) {
		if last = done; done >= 40 {
			cancel()
		}
	}
	if _, err := explain.IntegratedGradients(ctx, f, req); !errors.Is(err, context.Canceled) || last > 60 {
		t.Errorf("after %d rows: %v, want the end of the context soon after 40", last, err)
	}
	opened := s.opener.made.Load()
	if scores, _ := gradients(t, f, x, []int{0}); len(scores) != 1 || s.opener.made.Load() != opened {
		t.Errorf("then %v; %d graphs were opened again", scores, s.opener.made.Load()-opened)
	}
}

// isGradient tells a gradient from the graphs that are opened to learn of the network.
func isGradient(g *onnx.Graph) bool { return len(g.Inputs) == 2 }

// TestWhoGivesUpDoesNotStopTheOthers ends the context of the one who began a build.
func TestWhoGivesUpDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(8)))
	begun, goOn := make(chan struct{}), make(chan struct{})
	s.opener.about = func(g *onnx.Graph) error {
		if isGradient(g) {
			close(begun) // a second build would panic
			<-goOn
		}
		return nil
	}
	x := noise(t, 8, 1)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.At(ctx, explain.Wanted{Output: "y"}, x)
		first <- err
	}()
	<-begun
	second := make(chan error, 1)
	go func() {
		_, err := s.At(t.Context(), explain.Wanted{Output: "y"}, x)
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	close(goOn)
	if err := <-second; err != nil {
		t.Errorf("who did not: %v", err)
	}
}

// TestABuildKeepsWhatItReads gives up on a build, and asks for so many other shapes that all that nobody uses is dropped.
func TestABuildKeepsWhatItReads(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, anySize()), func(o *explain.NetworkOptions) { o.Memory = 1 })
	explain.KeptFacts(s.Network, 1)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var blocked atomic.Bool
	s.opener.about = func(g *onnx.Graph) error {
		if isGradient(g) && blocked.CompareAndSwap(false, true) {
			close(begun)
			<-goOn
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := s.At(ctx, explain.Wanted{Output: "y"}, sidedPicture(t, 8))
		first <- err
	}()
	<-begun
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	for _, side := range []int64{9, 10, 11} {
		s.at(t, "y", explain.ScoresBest, sidedPicture(t, side))
	}
	close(goOn)
	x := sidedPicture(t, 8)
	if scores, _ := gradients(t, s.at(t, "y", explain.ScoresBest, x), x, []int{0}); len(scores) != 1 {
		t.Errorf("scores %v", scores)
	}
}

// anySize is a network of pictures of any size.
func anySize() *onnx.Graph {
	m := zoo.New(1, 3, 1, 1)
	for i := 2; i < 4; i++ {
		m.Graph.Inputs[0].Shape[i] = onnx.Axis{Size: -1}
	}
	return m.Done(m.Head(m.Relu(m.Conv("x", zoo.Filter{From: 3, To: 4, Height: 3, Stride: 2})), 4, 2), 2)
}

func sidedPicture(tb testing.TB, side int64) tensor.Named {
	tb.Helper()
	return tensor.Named{"x": must(tb, []int64{1, 3, side, side}, random(rand.New(rand.NewPCG(1, 5)), int(3*side*side)))}
}

// TestOldShapesGoFirst asks for more shapes than are kept.
func TestOldShapesGoFirst(t *testing.T) {
	t.Parallel()
	path := file(t, anySize())
	measured := differentiable(t, path)
	measured.at(t, "y", explain.ScoresBest, sidedPicture(t, 8))
	memory := 5 * measured.Memory() / 2 // two gradients fit, three do not
	s, w := differentiable(t, path, func(o *explain.NetworkOptions) { o.Memory = memory }), newWatched()
	s.opener.wrap = func(s engine.Session) engine.Session {
		if len(s.Signature().Inputs) == 2 {
			return w.over(s)
		}
		return s
	}
	first := map[int64][]float32{}
	for _, side := range []int64{8, 9, 10, 11} {
		x := sidedPicture(t, side)
		_, first[side] = gradients(t, s.at(t, "y", explain.ScoresBest, x), x, []int{1})
	}
	if s.opener.full.Load() != 4 || w.closed.Load() != 2 {
		t.Errorf("%d gradients were opened and %d closed, want 4 and 2", s.opener.full.Load(), w.closed.Load())
	}
	if s.Memory() <= memory/3 || s.Memory() > memory {
		t.Errorf("what is kept takes %d bytes, at most %d are allowed", s.Memory(), memory)
	}
	for _, side := range slices.Sorted(maps.Keys(first)) { // each is made anew, as the ones before push it out
		x := sidedPicture(t, side)
		_, again := gradients(t, s.at(t, "y", explain.ScoresBest, x), x, []int{1})
		if !slices.Equal(again, first[side]) {
			t.Errorf("side %d: the gradient is another the second time", side)
		}
	}
	if s.opener.full.Load() != 8 {
		t.Errorf("%d gradients were opened, want 8", s.opener.full.Load())
	}
}

// TestFactsTakeNoPlaceOfGradients asks for many shapes that are refused: the gradient that there is stays, and so do few of
// the refusals.
func TestFactsTakeNoPlaceOfGradients(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, anySize()))
	explain.KeptFacts(s.Network, 3)
	x := sidedPicture(t, 8)
	s.at(t, "y", explain.ScoresBest, x)
	kept, full := s.Memory(), s.opener.full.Load()
	for i := range 9 {
		output := fmt.Sprintf("nothing %d", i)
		if _, err := s.At(t.Context(), explain.Wanted{Output: output}, x); err == nil {
			t.Fatalf("output %q is explained", output)
		}
	}
	s.at(t, "y", explain.ScoresBest, x)
	if s.Memory() != kept || s.opener.full.Load() != full {
		t.Errorf("%d bytes are kept, want %d; %d gradients were opened again", s.Memory(), kept, s.opener.full.Load()-full)
	}
	if n := explain.Kept(s.Network); n > 1+3 {
		t.Errorf("%d things are kept, want a gradient and at most 3 facts and refusals", n)
	}
}

// TestAGradientThatIsTooLargeIsKeptWhileItIsUsed allows no memory at all: the gradient in use is not made for each run.
func TestAGradientThatIsTooLargeIsKeptWhileItIsUsed(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, anySize()), func(o *explain.NetworkOptions) { o.Memory = 1 })
	x := sidedPicture(t, 8)
	f := s.at(t, "y", explain.ScoresBest, x)
	for range 3 {
		gradients(t, f, x, []int{0})
	}
	if s.opener.full.Load() != 1 {
		t.Errorf("%d gradients were opened, want 1", s.opener.full.Load())
	}
}

// TestAFailureIsTriedAgain fails the first time that a gradient is opened.
func TestAFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(9)))
	full := errors.New("no memory left")
	var failed atomic.Bool
	s.opener.about = func(g *onnx.Graph) error {
		if isGradient(g) && failed.CompareAndSwap(false, true) {
			return full
		}
		return nil
	}
	x := noise(t, 9, 1)
	if _, err := s.At(t.Context(), explain.Wanted{Output: "y"}, x); !errors.Is(err, full) {
		t.Errorf("the first time: %v, want %v", err, full)
	}
	if s.Memory() != 0 {
		t.Errorf("what failed takes %d bytes", s.Memory())
	}
	s.at(t, "y", explain.ScoresBest, x)
}

// TestARefusalIsRemembered asks twice for a gradient that there is none of.
func TestARefusalIsRemembered(t *testing.T) {
	t.Parallel()
	m := zoo.New(1, 4)
	s := differentiable(t, file(t, m.Done(m.Dense(m.Node("Det", nil, m.Node("Reshape", nil, "x", m.Ints(-1, 1, 2, 2))), 1, 2), 2)))
	x := tensor.Named{"x": must(t, []int64{1, 4}, []float32{1, 2, 3, 5})}
	opened := int32(0)
	for range 3 {
		_, err := s.At(t.Context(), explain.Wanted{Output: "y"}, x)
		if fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), `operator Det at node "Det_`) {
			t.Fatalf("%v, want a refusal of Det", err)
		}
		if opened == 0 {
			opened = s.opener.made.Load()
		}
	}
	if s.opener.made.Load() != opened {
		t.Errorf("%d graphs were opened in vain", s.opener.made.Load()-opened)
	}
}

// TestCloseEndsExplanations closes a network that is being explained, and one that is being read.
func TestCloseEndsExplanations(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(10)))
	x := noise(t, 10, 1)
	f := s.at(t, "y", explain.ScoresBest, x)
	var all sync.WaitGroup
	under := make(chan struct{}, 8)
	for range 8 {
		all.Go(func() {
			once := sync.OnceFunc(func() { under <- struct{}{} })
			req := explain.Request{Input: x, Baseline: zeros(t, x), Params: explain.Params{Steps: 5000, Rule: "riemann_left"}, Rows: 1}
			req.Progress = func(done, _ int) {
				if done > 8 {
					once()
				}
			}
			if _, err := explain.IntegratedGradients(t.Context(), f, req); fault.Of(err) != fault.Unavailable {
				t.Errorf("the network was closed in the middle: %v", err)
			}
		})
	}
	for range 8 {
		<-under
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	if _, err := s.At(t.Context(), explain.Wanted{Output: "y"}, x); fault.Of(err) != fault.Unavailable {
		t.Errorf("after the end: %v", err)
	}
	if s.Memory() != 0 {
		t.Errorf("after the end it takes %d bytes", s.Memory())
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// TestCloseEndsBuilds closes a network while its gradient is being opened.
func TestCloseEndsBuilds(t *testing.T) {
	t.Parallel()
	s := differentiable(t, file(t, families()[0].graph(11)))
	begun, goOn := make(chan struct{}), make(chan struct{})
	s.opener.about = func(g *onnx.Graph) error {
		if isGradient(g) {
			close(begun)
			<-goOn
		}
		return nil
	}
	asked := make(chan error, 1)
	go func() {
		_, err := s.At(t.Context(), explain.Wanted{Output: "y"}, noise(t, 11, 1))
		asked <- err
	}()
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	close(goOn)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := <-asked; err != nil && fault.Of(err) != fault.Unavailable {
		t.Errorf("who asked for it: %v", err)
	}
}
