package pkg_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// TestNarrow serves shipped networks in narrow numbers: with float16 from end to end, and quantised to eight bits in the
// way of ONNX's tools (QuantizeLinear and DequantizeLinear before each convolution and product). Each answers as the
// network it was made from, and is explained: in float16 by the gradient, quantised by what needs none.
func TestNarrow(t *testing.T) {
	t.Parallel()
	digits := make([]string, 10)
	for i := range digits {
		digits[i] = fmt.Sprintf("digits/%d.png", i)
	}
	pictures := []string{"kitten.jpg", "coffee.jpg"}
	tests := []struct {
		model     string
		samples   []string
		narrow    func(t *testing.T, g *onnx.Graph, seen map[string]float32)
		tolerance float64 // of a probability
		method    string
	}{
		{"mnist", digits, half, 0.01, "integrated_gradients"},
		{"resnet-18", pictures, half, 0.01, "integrated_gradients"},
		{"mnist", digits, quantise, 0.15, "occlusion"},
		{"resnet-18", pictures, quantise, 0.15, "occlusion"},
	}
	for i, test := range tests {
		t.Run(fmt.Sprint(i, " ", test.model), func(t *testing.T) {
			t.Parallel()
			wide := loadNarrow(t, test.model, func(*testing.T, *onnx.Graph, map[string]float32) {}, nil)
			narrow := loadNarrow(t, test.model, test.narrow, largest(t, test.model, test.samples))
			for _, name := range test.samples {
				want, got := probabilities(t, wide, name), probabilities(t, narrow, name)
				if best(want) != best(got) {
					t.Errorf("%s is %s, want %s", name, best(got), best(want))
				}
				for label, p := range want {
					if math.Abs(got[label]-p) > test.tolerance {
						t.Errorf("%s: %s has %.4f, want %.4f", name, label, got[label], p)
					}
				}
			}
			r := how(t, narrow, test.samples[0])
			if r.Method != test.method || len(r.Attributions) != 1 {
				t.Errorf("explained by %s with %d maps, want %s with one", r.Method, len(r.Attributions), test.method)
			}
		})
	}
}

// how explains a sample.
func how(t *testing.T, p *pipeline.Pipeline, name string) (r explain.Report) {
	t.Helper()
	resp, err := p.Predict(t.Context(), p.Ref(), &model.Request{
		Mode: model.ModeExplain, Inputs: []model.Input{{Name: "body", Data: sample(t, name)}}, Params: map[string]string{"detail": "full"},
	})
	if err == nil {
		err = json.Unmarshal(resp.Body, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func probabilities(t *testing.T, p *pipeline.Pipeline, name string) (all map[string]float64) {
	t.Helper()
	resp, err := p.Predict(t.Context(), p.Ref(), &model.Request{
		Inputs: []model.Input{{Name: "body", Data: sample(t, name)}}, Params: map[string]string{"top_k": "1000"},
	})
	if err == nil {
		err = json.Unmarshal(resp.Body, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func best(all map[string]float64) string {
	labels := make([]string, 0, len(all))
	for label := range all {
		labels = append(labels, label)
	}
	return slices.MaxFunc(labels, func(a, b string) int { return cmp.Compare(all[a], all[b]) })
}

// loadNarrow loads a shipped model whose network was made narrow. Its answers are probabilities.
func loadNarrow(t *testing.T, name string, narrow func(*testing.T, *onnx.Graph, map[string]float32), seen map[string]float32) *pipeline.Pipeline {
	t.Helper()
	g := graphOf(t, name)
	narrow(t, g, seen)
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "models", name))); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "model-config.yaml")
	said, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{
		filepath.Join(dir, name+".onnx"): g.Marshal(),
		config:                           bytes.Replace(said, []byte("answer: class"), []byte("answer: probabilities"), 1),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return loadAt(t, dir, open(t))
}

func loadAt(t *testing.T, dir string, opener engine.Opener) *pipeline.Pipeline {
	t.Helper()
	m, err := archive.Open(t.Context(), dir, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Load(t.Context(), m, pipeline.Options{Open: opener, Handlers: builtin.Handlers(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// graphOf reads a shipped network.
func graphOf(t *testing.T, name string) *onnx.Graph {
	t.Helper()
	g, closer, err := onnx.Open(filepath.Join("..", "models", name, name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	})
	return g.Clone()
}

// products are the operators that are quantised.
func products(g *onnx.Graph) []*onnx.Node {
	return slices.DeleteFunc(slices.Clone(g.Nodes), func(n *onnx.Node) bool { return n.Op != "Conv" && n.Op != "Gemm" })
}

// largest returns the largest magnitude of what each convolution and product of a shipped network reads, over samples.
func largest(t *testing.T, name string, samples []string) map[string]float32 {
	t.Helper()
	g := graphOf(t, name)
	for _, n := range products(g) {
		if _, known := g.Input(n.Inputs[0]); !known {
			g.Outputs = append(g.Outputs, onnx.Value{Name: n.Inputs[0], Type: onnx.TypeOf(tensor.Float32)})
		}
	}
	var mu sync.Mutex
	seen := map[string]float32{}
	note := func(all tensor.Named) error {
		mu.Lock()
		defer mu.Unlock()
		for name, one := range all {
			data, err := tensor.Data[float32](one)
			if err != nil {
				return err
			}
			for _, v := range data {
				seen[name] = max(seen[name], v, -v)
			}
		}
		return nil
	}
	opener := func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
		all, err := open(t)(ctx, engine.Network{Bytes: g.Marshal()}, opts)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = all.Close() })
		session, err := open(t)(ctx, net, opts)
		return noting{session, all, note}, err
	}
	p := loadAt(t, filepath.Join("..", "models", name), opener)
	for _, name := range samples {
		if _, err := p.Predict(t.Context(), p.Ref(), &model.Request{Inputs: []model.Input{{Name: "body", Data: sample(t, name)}}}); err != nil {
			t.Fatal(err)
		}
	}
	return seen
}

// noting is a session that notes what flows through the network.
type noting struct {
	engine.Session

	all  engine.Session
	note func(tensor.Named) error
}

func (n noting) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	inside, err := n.all.Run(ctx, in)
	if err == nil {
		err = n.note(inside)
	}
	if err == nil {
		err = n.note(in)
	}
	if err != nil {
		return nil, err
	}
	return n.Session.Run(ctx, in, want...)
}

// half makes a network compute in float16.
func half(t *testing.T, g *onnx.Graph, _ map[string]float32) {
	t.Helper()
	wide, narrow := onnx.TypeOf(tensor.Float32), onnx.TypeOf(tensor.Half)
	for name, c := range g.Initializers {
		if c.Type != wide {
			continue
		}
		values := floats(t, c)
		halves := make([]tensor.Float16, len(values))
		for i, v := range values {
			halves[i] = tensor.ToFloat16(v)
		}
		g.Initializers[name] = onnx.Of(halves, c.Shape...)
	}
	for i := range g.Inputs {
		g.Inputs[i].Type = narrow
	}
	for i := range g.Outputs {
		g.Outputs[i].Type = narrow
	}
	for _, n := range g.Nodes {
		if n.Op == "Cast" && n.Int("to", 0) == int64(wide) {
			n.Attrs["to"] = onnx.Int(int64(narrow))
		}
	}
}

// quantise has each convolution and product read numbers of eight bits, signed and symmetric around zero. seen has the
// largest magnitude of what each reads.
func quantise(t *testing.T, g *onnx.Graph, seen map[string]float32) {
	t.Helper()
	for i, n := range products(g) {
		prefix := fmt.Sprintf("narrow%d.", i)
		if seen[n.Inputs[0]] == 0 {
			t.Fatalf("nothing is known of %s", n.Inputs[0])
		}
		g.Initializers[prefix+"zero"] = onnx.Of([]int8{0})
		g.Initializers[prefix+"scale"] = onnx.Of([]float32{seen[n.Inputs[0]] / math.MaxInt8})
		through := []string{prefix + "scale", prefix + "zero"}
		g.Nodes = append(g.Nodes,
			&onnx.Node{Op: "QuantizeLinear", Inputs: append([]string{n.Inputs[0]}, through...), Outputs: []string{prefix + "in8"}},
			&onnx.Node{Op: "DequantizeLinear", Inputs: append([]string{prefix + "in8"}, through...), Outputs: []string{prefix + "in"}})

		weights := floats(t, weightsOf(t, g, n.Inputs[1]))
		most := float32(0)
		for _, v := range weights {
			most = max(most, v, -v)
		}
		eight := make([]int8, len(weights))
		for i, v := range weights {
			eight[i] = int8(math.Round(float64(v / most * math.MaxInt8)))
		}
		g.Initializers[prefix+"w8"] = onnx.Of(eight, weightsOf(t, g, n.Inputs[1]).Shape...)
		g.Initializers[prefix+"wscale"] = onnx.Of([]float32{most / math.MaxInt8})
		g.Nodes = append(g.Nodes, &onnx.Node{
			Op: "DequantizeLinear", Inputs: []string{prefix + "w8", prefix + "wscale", prefix + "zero"}, Outputs: []string{prefix + "w"},
		})
		n.Inputs[0], n.Inputs[1] = prefix+"in", prefix+"w"
	}
	g.Prune()
}

// weightsOf returns a constant that a node reads, also where a Cast stands between them.
func weightsOf(t *testing.T, g *onnx.Graph, name string) *onnx.Constant {
	t.Helper()
	if c := g.Initializers[name]; c != nil {
		return c
	}
	if cast := g.Producer(name); cast != nil && cast.Op == "Cast" {
		return weightsOf(t, g, cast.Inputs[0])
	}
	t.Fatalf("%s is no constant", name)
	return nil
}

func floats(t *testing.T, c *onnx.Constant) []float32 {
	t.Helper()
	all, err := c.Float64s()
	if err != nil {
		t.Fatal(err)
	}
	narrow := make([]float32, len(all))
	for i, v := range all {
		narrow[i] = float32(v)
	}
	return narrow
}
