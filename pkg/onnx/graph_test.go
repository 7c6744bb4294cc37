package onnx_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// branching returns a node with a graph inside that reads a tensor from outside.
func branching(read, out string) *onnx.Node {
	inside := &onnx.Graph{
		Nodes: []*onnx.Node{node("Add", read+" own", "inside", nil)}, Outputs: []onnx.Value{{Name: "inside"}},
		Initializers: map[string]*onnx.Constant{"own": onnx.Of([]float32{1})},
	}
	return node("If", "c", out, attrs{"then_branch": {Kind: onnx.KindGraph, Graph: inside}, "else_branch": {Kind: onnx.KindGraph, Graph: inside}})
}

// small has a node with two outputs, one with a graph inside, and what nothing needs.
func small() *onnx.Graph {
	return made(17, floats("x", 4, 2), map[string]*onnx.Constant{"c": onnx.Of([]bool{true}), "w": onnx.Of([]float32{1, 2}, 2), "spare": whole(1)},
		node("Split", "x", "a b", nil), node("Mul", "a w", "m", nil), node("Add", "m b", "n", nil), branching("n", "y"), node("Neg", "b", "idle", nil))
}

func TestAsk(t *testing.T) {
	t.Parallel()
	g := small()
	if got := g.Producer("b"); got != g.Nodes[0] || g.Producer("x") != nil || g.Producer("") != nil {
		t.Errorf("Producer(b) = %v", got)
	}
	if got := g.Consumers("n"); len(got) != 1 || got[0] != g.Nodes[3] || g.Consumers("") != nil {
		t.Errorf("Consumers(n) = %v", got)
	}
	if got := g.Readers(); len(got["b"]) != 2 || got["n"][0] != g.Nodes[3] || got["own"] != nil || len(got["c"]) != 1 {
		t.Errorf("Readers = %v", got)
	}
	if got := g.Producers(); len(got) != 6 || got["a"] != g.Nodes[0] {
		t.Errorf("Producers = %v", got)
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	g := small()
	if got := g.Fresh("grad"); got != "grad/" {
		t.Errorf("Fresh = %q", got)
	}
	g.Nodes[1].Name = "grad/1"
	g.Nodes[3].Attrs["then_branch"].Graph.Nodes[0].Outputs[0] = "grad2/1"
	if got := g.Fresh("grad"); got != "grad3/" {
		t.Errorf("Fresh = %q", got)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	g := small()
	g.Prune()
	if got, want := ops(g), "Split Mul Add If"; got != want || len(g.Initializers) != 2 || g.Initializers["spare"] != nil {
		t.Errorf("left %s, initializers %v", got, g.Initializers)
	}
	g.Outputs[0].Name = "x"
	g.Prune()
	if len(g.Nodes) != 0 || len(g.Initializers) != 0 || len(g.Inputs) != 1 {
		t.Errorf("left %s, %v, %v", ops(g), g.Initializers, g.Inputs)
	}
}

func TestSort(t *testing.T) {
	t.Parallel()
	g := small()
	want := g.Clone().Nodes
	n := g.Nodes
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, g.Nodes, cmp.AllowUnexported(onnx.Attr{}, onnx.Value{})); diff != "" {
		t.Errorf("what was in order (-want +got):\n%s", diff)
	}
	g.Nodes = []*onnx.Node{n[3], n[4], n[2], n[0], n[1]}
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	if got, want := ops(g), "Split Neg Mul Add If"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	g.Nodes[4].Attrs["then_branch"].Graph.Nodes[0].Inputs[0] = "y"
	if err := g.Sort(); fault.Of(err) != fault.BadModel || !strings.Contains(err.Error(), "depends on itself") {
		t.Errorf("Sort of a branch that reads itself: %v", err)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	facts := onnx.Facts{Types: onnx.Types{"m": tensor.Float64}, Shapes: map[string][]onnx.Dim{"m": {{A: 2, B: 3}, {A: 2, B: 2}}}}
	tests := []struct {
		name, cut string
		facts     []onnx.Facts
		inputs    []onnx.Value
		ops       string
	}{
		{"in the middle", "n", nil, []onnx.Value{{Name: "n", Type: onnx.TypeOf(tensor.Float32)}}, "If"},
		{"beside another path", "m", []onnx.Facts{facts}, []onnx.Value{floats("x", 4, 2), value("m", tensor.Float64, -1, 2)}, "Split Add If"},
		{"one of two outputs", "a", nil, []onnx.Value{floats("x", 4, 2), {Name: "a", Type: onnx.TypeOf(tensor.Float32)}}, "Split Mul Add If"},
		{"an initializer", "w", nil, []onnx.Value{floats("x", 4, 2), floats("w", 2)}, "Split Mul Add If"},
		{"an input", "x", nil, []onnx.Value{floats("x", 4, 2)}, "Split Mul Add If Neg"},
		{"the output", "y", nil, []onnx.Value{{Name: "y", Type: onnx.TypeOf(tensor.Float32)}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := small()
			if err := g.Cut(test.cut, test.facts...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.inputs, g.Inputs, cmp.AllowUnexported(onnx.Value{})); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
			if got := ops(g); got != test.ops {
				t.Errorf("operators %s, want %s", got, test.ops)
			}
			if err := g.Sort(); err != nil {
				t.Error(err)
			}
		})
	}
	for name, want := range map[string]string{"idle": "no output", "idl": `did you mean "idle"`, "": "no tensor"} {
		g := small()
		if err := g.Cut(name); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("Cut(%q): %v", name, err)
		}
		if ops(g) != ops(small()) || len(g.Inputs) != 1 {
			t.Errorf("a refused Cut(%q) changed the graph", name)
		}
	}
}

func TestEmbedding(t *testing.T) {
	t.Parallel()
	tables := map[string]*onnx.Constant{
		"words": onnx.Of(noise(5, 2), 5, 2), "kinds": onnx.Of(noise(2, 2), 2, 2), "places": onnx.Of(noise(9, 2), 9, 2), "p": whole(0, 1), "whole": whole(1, 2),
	}
	ids := value("ids", tensor.Int32, 1, 2)
	g := made(17, ids, tables, node("Gather", "kinds ids", "k", nil), node("Cast", "ids", "long", attrs{"to": onnx.Int(7)}),
		node("Gather", "words long", "w", nil), node("Gather", "places p", "at", nil), node("Gather", "whole ids", "z", nil), node("Sum", "k w at", "y", nil))
	got, ok := g.Embedding()
	if want := (onnx.Embedding{IDs: "ids", Table: "words", Output: "w"}); !ok || got != want {
		t.Errorf("Embedding = %v, %v, want %v", got, ok, want)
	}
	if got, ok := small().Embedding(); ok {
		t.Errorf("Embedding of none = %v", got)
	}
}

func TestLogits(t *testing.T) {
	t.Parallel()
	x := floats("x", 2, 3)
	tests := []struct {
		name    string
		g       *onnx.Graph
		want    string
		stepped bool
	}{
		{"softmax", made(17, x, nil, node("Neg", "x", "l", nil), node("Softmax", "l", "y", nil)), "l", true},
		{"an older softmax", made(11, x, nil, node("Neg", "x", "l", nil), node("Softmax", "l", "y", nil)), "l", true},
		{"behind it an identity", made(17, x, nil, node("Neg", "x", "l", nil), node("Softmax", "l", "p", nil), node("Identity", "p", "y", nil)), "l", true},
		{"log softmax", made(17, x, nil, node("LogSoftmax", "x", "y", nil)), "y", false},
		{"an older log softmax", made(11, x, nil, node("LogSoftmax", "x", "y", nil)), "y", false},
		{"no softmax", made(17, x, nil, node("Neg", "x", "y", nil)), "y", false},
		{"softmax in the middle", made(17, x, nil, node("Softmax", "x", "l", nil), node("Neg", "l", "y", nil)), "y", false},
		{"another shape", made(17, x, map[string]*onnx.Constant{"s": whole(6)}, node("Softmax", "x", "l", nil), node("Reshape", "l s", "y", nil)), "y", false},
		{"the input", made(17, floats("y", 1), nil), "y", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := test.g.Normalize(); err != nil {
				t.Fatal(err)
			}
			if got, stepped := test.g.Logits("y"); got != test.want || stepped != test.stepped {
				t.Errorf("Logits = %q, %v, want %q, %v", got, stepped, test.want, test.stepped)
			}
		})
	}
}
