package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/tensor"
)

const explainedManifest = `model:
  name: net
  version: "1.0"
  serializedFile: net.onnx
  handler: custom
`

// explaining loads a file as a network of the given inputs, and asks how it is explained.
func explaining(t *testing.T, network []byte, inputs ...engine.Value) (pipeline.Explaining, map[string]any) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{"net.onnx": network, "model-config.yaml": []byte(explainedManifest)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := archive.Open(t.Context(), dir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, file, err := onnx.Open(filepath.Join(dir, "net.onnx"))
	output := "y"
	if err == nil {
		output = g.Outputs[0].Name
		defer file.Close() //nolint:errcheck // it is only read
	}
	s := engine.Signature{Inputs: inputs, Outputs: []engine.Value{{Name: output, DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 4}}}}}
	p, err := pipeline.Load(t.Context(), m, pipeline.Options{
		Open: func(context.Context, engine.Network, engine.Options) (engine.Session, error) {
			return enginetest.New(s, sums), nil
		},
		Handlers: map[string]handler.Factory{"custom": newCustom},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	x, err := p.Explaining()
	if err != nil {
		t.Fatal(err)
	}
	if (p.Differentiable() == nil) != x.Differentiable {
		t.Errorf("Differentiable = %v, Explaining = %+v", p.Differentiable(), x)
	}
	about, err := p.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if layer, err := p.DefaultLayer(t.Context()); layer != "" || err != nil {
		t.Errorf("a handler without an example has the layer %q, %v", layer, err)
	}
	return x, about
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// without returns the network of a file with another operator in the place of the first of its kind.
func without(t *testing.T, path, op string) []byte {
	t.Helper()
	g, file, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	g.Nodes[slices.IndexFunc(g.Nodes, func(n *onnx.Node) bool { return n.Op == op })].Op = "Shrink"
	data := g.Marshal()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestExplaining(t *testing.T) {
	t.Parallel()
	const digits, opinion = "../../models/mnist/mnist.onnx", "../handler/text/testdata/opinion/opinion.onnx"
	image := []engine.Value{{Name: "input", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 1}, {Size: 28}, {Size: 28}}}}
	tokens := []engine.Value{
		{Name: "ids", DType: tensor.Int64, Shape: []engine.Dim{{Size: -1}, {Size: -1}}},
		{Name: "mask", DType: tensor.Int64, Shape: []engine.Dim{{Size: -1}, {Size: -1}}},
	}
	tests := []struct {
		name    string
		network []byte
		inputs  []engine.Value
		want    pipeline.Explaining
	}{
		{"a picture", read(t, digits), image, pipeline.Explaining{Differentiable: true, Method: "integrated_gradients"}},
		{
			"a picture without a gradient", without(t, digits, "Relu"), image,
			pipeline.Explaining{Method: "occlusion", Operator: "Shrink", Node: "/Relu", Why: "no rule for it"},
		},
		{"a text", read(t, opinion), tokens, pipeline.Explaining{Differentiable: true, Method: "layer_integrated_gradients"}},
		{
			"a text without a gradient", without(t, opinion, "Erf"), tokens,
			pipeline.Explaining{Method: "leave_one_out", Operator: "Shrink", Why: "no rule for it"},
		},
		{"no graph, of floats", []byte("not a graph"), image, pipeline.Explaining{Method: "occlusion", Why: "unreadable"}},
		{"no graph, of numbers", []byte("not a graph"), tokens, pipeline.Explaining{Method: "leave_one_out", Why: "unreadable"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, about := explaining(t, test.network, test.inputs...)
			if (got.Why == "") != (test.want.Why == "") {
				t.Errorf("why it is not differentiable: %q", got.Why)
			}
			if diff := cmp.Diff(map[string]any{"explanations": got}, about); diff != "" {
				t.Errorf("described (-want +got):\n%s", diff)
			}
			got.Why, test.want.Why = "", ""
			if test.want.Node == "" && got.Operator != "" {
				got.Node = "" // whatever the file calls it
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
