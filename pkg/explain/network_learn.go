package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// learned is what is known of a network for one shape of its inputs. Nobody changes it.
type learned struct {
	graph    *onnx.Graph // normalized, with what is constant for the shape frozen
	facts    onnx.Facts
	file     io.Closer // that the graph's constants are views of
	together bool      // several rows can be run at once
	rounding bool      // it computes in float16 or smaller somewhere
	output   string    // the network's output that is explained
	of       string    // what is differentiated: the output, or what a final Softmax reads
	runs     extents   // that the facts are learned from
	weights  int64     // bytes of the initializers
}

// compactAbove is from how many bytes of weights on a second copy of some of them is not worth the time it saves.
const compactAbove = 300 << 20

// Close closes the file.
func (l *learned) Close() error { return l.file.Close() }

// bytes is next to nothing: the weights stay in the file.
func (l *learned) bytes() int64 { return 0 }

// learn reads the network and learns what it must know to differentiate it for inputs like input.
func (n *Network) learn(ctx context.Context, w Wanted, input tensor.Named) (_ *learned, err error) {
	g, file, err := onnx.Open(n.opts.Path)
	if fault.Of(err) == fault.BadModel {
		return nil, fmt.Errorf("%w: its file cannot be read as a graph: %w", fault.Unsupported, err) // the engine could: it may be in a form of its own
	}
	if err != nil {
		return nil, err
	}
	l := &learned{graph: g, file: file, output: w.Output, rounding: small(g)}
	kept := false
	defer func() {
		if !kept { // whatever the reason: reading a file that is cut short meanwhile panics
			err = errors.Join(err, file.Close())
		}
	}()
	if err := g.Normalize(); err != nil {
		return nil, err
	}
	for _, v := range g.Inputs {
		if len(v.Shape) > 0 && v.Shape[0].Size > 1 {
			return nil, fmt.Errorf("%w: input %q takes batches of %d alone: export the network with a free batch axis", fault.Unsupported, v.Name, v.Shape[0].Size)
		}
	}
	l.of = scored(g, w.Output, w.Scores)
	if input, err = asFloat32(input); err != nil {
		return nil, err
	}
	if err := n.free(ctx, l, input); err != nil {
		return nil, err
	}
	if err := n.measure(ctx, l, input); err != nil {
		return nil, err
	}
	kept = true
	return l, nil
}

// small tells whether a network computes in numbers of less than 32 bits somewhere, so that what it answers is rounded. It
// needs the graph before [onnx.Graph.Normalize].
func small(g *onnx.Graph) bool {
	short := func(t onnx.DataType) bool { return t.DType() == tensor.Half || t.DType() == tensor.Brain }
	for _, v := range g.Inputs {
		if short(v.Type) {
			return true
		}
	}
	for _, c := range g.Initializers {
		if short(c.Type) {
			return true
		}
	}
	return slices.ContainsFunc(g.Nodes, func(n *onnx.Node) bool {
		return n.Op == "Cast" && short(onnx.DataType(n.Int("to", 0))) || strings.Contains(n.Op, "QuantizeLinear")
	})
}

// measure learns the types and shapes of all tensors.
func (n *Network) measure(ctx context.Context, l *learned, row tensor.Named) error {
	types, err := n.types(ctx, l.graph)
	if err != nil {
		return err
	}
	l.runs = extents{rows: [2]int64{1, 1}, length: [2]int64{7, 12}} // one is odd: what depends on that is not constant
	if l.together {
		l.runs.rows = [2]int64{2, 3}
	}
	var sized [2]tensor.Named
	for i := range sized {
		sized[i] = l.sized(row, l.runs.rows[i], l.runs.length[i])
	}
	seen, err := n.probe(ctx, l.graph, types, sized[:]...)
	if err != nil {
		return err
	}
	if l.facts, err = l.graph.Learn(seen[0], seen[1], types); err != nil {
		return err
	}
	for _, c := range l.graph.Initializers {
		l.weights += int64(len(c.Raw))
	}
	return nil
}

// scored returns the tensor that holds the scores.
func scored(g *onnx.Graph, output string, scores Scores) string {
	switch scores {
	case ScoresBest:
		name, _ := g.Logits(output)
		return name
	case ScoresSoftmax:
		name := g.Fresh("probabilities")
		g.Nodes = append(g.Nodes, &onnx.Node{
			Name: name, Op: "Softmax", Inputs: []string{output}, Outputs: []string{name}, Attrs: map[string]onnx.Attr{"axis": onnx.Int(-1)},
		})
		g.Outputs = append(slices.Clone(g.Outputs), onnx.Value{Name: name}) // or it would be pruned: nothing else needs it
		return name
	default:
		return output
	}
}

// floats tells whether any of the network's inputs holds floats.
func (l *learned) floats() bool {
	return slices.ContainsFunc(l.graph.Inputs, func(v onnx.Value) bool { return v.Type.DType() == tensor.Float32 })
}

// inputs returns the inputs that the scores can be differentiated by, where what rounds is taken for the identity or not.
func (l *learned) inputs(straight bool) []string {
	var names []string
	for _, v := range l.graph.Inputs {
		opts := gradient.Options{Of: l.of, To: []string{v.Name}, StraightThrough: straight}
		if v.Type.DType() == tensor.Float32 && fault.Of(gradient.Supported(l.graph, opts)) != fault.Invalid {
			names = append(names, v.Name)
		}
	}
	return names
}

// free makes the batch axis of l's graph free where it is fixed at 1, if two rows then answer what each answers alone.
func (n *Network) free(ctx context.Context, l *learned, row tensor.Named) error {
	fixed := func(v onnx.Value) bool { return len(v.Shape) > 0 && v.Shape[0].Size >= 0 }
	if !slices.ContainsFunc(l.graph.Inputs, fixed) {
		l.together = true
		return nil
	}
	g := l.graph.Clone()
	if !g.FreeBatch() {
		return nil
	}
	g.Outputs = []onnx.Value{{Name: l.of}}
	s, err := n.open(ctx, g, engine.OptimizeAll)
	if fault.Of(err) == fault.BadModel {
		return nil // it cannot be freed
	} else if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // a session that was only read from
	other := make(tensor.Named, len(row))
	for name, t := range row {
		other[name] = changed(t)
	}
	both, _, err := tensor.Stack([]tensor.Named{row, other})
	if err != nil {
		return err
	}
	same, err := answersAlone(ctx, s, l.of, both, []tensor.Named{row, other})
	if err != nil {
		return err
	}
	if l.together = same; same {
		g.Outputs = l.graph.Outputs
		l.graph = g
	}
	return nil
}

// answersAlone tells whether the rows run together answer what each answers alone, within 1e-5 of the largest value.
func answersAlone(ctx context.Context, s engine.Session, output string, together tensor.Named, rows []tensor.Named) (bool, error) {
	out, err := s.Run(ctx, together)
	if err != nil {
		return false, ctx.Err() // any other failure says that they cannot
	}
	all := out[output]
	for i, row := range rows {
		out, err := s.Run(ctx, row)
		if err != nil {
			return false, err
		}
		want, err := doubles(out[output])
		if err != nil {
			return false, err
		}
		if shape := all.Shape(); len(shape) == 0 || shape[0] != int64(len(rows)) || all.Len() != len(rows)*len(want) {
			return false, nil
		}
		mine, err := all.Rows(int64(i), int64(i)+1)
		if err != nil {
			return false, err
		}
		got, err := doubles(mine)
		if err != nil {
			return false, err
		}
		if !near(got, want) {
			return false, nil
		}
	}
	return true, nil
}

// near tells whether two vectors agree within 1e-5 of the largest value.
func near(got, want []float64) bool {
	largest, off := 0.0, 0.0
	for i := range want {
		largest = max(largest, math.Abs(want[i]))
		off = max(off, math.Abs(got[i]-want[i]))
	}
	return off <= 1e-5*largest
}

// changed returns another row like t: half of its floats, and its whole numbers the other way round, which are still such
// as the network knows.
func changed(t tensor.Tensor) tensor.Tensor {
	switch t.DType() {
	case tensor.Float32:
		return like(t, func(data []float32) []float32 {
			return converted(data, func(v float32) float32 { return v / 2 })
		})
	case tensor.Int64:
		return like(t, backwards[int64])
	case tensor.Int32:
		return like(t, backwards[int32])
	default:
		return t
	}
}

func backwards[T any](data []T) []T {
	data = slices.Clone(data)
	slices.Reverse(data)
	return data
}

// like returns what change makes of t's elements, in t's shape.
func like[T tensor.Element](t tensor.Tensor, change func(data []T) []T) tensor.Tensor {
	data, err := tensor.Data[T](t)
	if err != nil {
		return t
	}
	out, err := tensor.New(t.Shape(), change(data))
	if err != nil {
		return t
	}
	return out
}

// asFloat32 returns a row with its floats as the normalized graph takes them: float16 as float32.
func asFloat32(row tensor.Named) (tensor.Named, error) {
	out := maps.Clone(row)
	for name, t := range row {
		if t.DType() != tensor.Half {
			continue
		}
		data, err := tensor.Float32s(t)
		if err != nil {
			return nil, err
		}
		if out[name], err = tensor.New(t.Shape(), data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// types asks the engine for the types of all tensors.
func (n *Network) types(ctx context.Context, g *onnx.Graph) (onnx.Types, error) {
	s, err := n.open(ctx, g.TypeProbe(), engine.OptimizeNone)
	if err != nil {
		return nil, fmt.Errorf("learn the types of its tensors: %w", err)
	}
	signature := s.Signature()
	types := make(onnx.Types, len(signature.Inputs)+len(signature.Outputs))
	for _, v := range slices.Concat(signature.Inputs, signature.Outputs) {
		types[v.Name] = v.DType
	}
	return types, s.Close()
}

// probe learns the shapes of all tensors for some sizes of the inputs.
func (n *Network) probe(ctx context.Context, g *onnx.Graph, types onnx.Types, sizes ...tensor.Named) ([]onnx.Probed, error) {
	s, err := n.open(ctx, g.ShapeProbe(types), engine.OptimizeNone)
	if err != nil {
		return nil, fmt.Errorf("learn the shapes of its tensors: %w", err)
	}
	seen := make([]onnx.Probed, len(sizes))
	for i, in := range sizes {
		var out tensor.Named
		if out, err = s.Run(ctx, taken(s, in)); err != nil {
			break
		}
		if seen[i], err = g.ReadProbe(out); err != nil {
			break
		}
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, fmt.Errorf("learn the shapes of its tensors: %w", err)
	}
	return seen, nil
}

// open opens a graph that was made here.
func (n *Network) open(ctx context.Context, g *onnx.Graph, level engine.Optimization) (engine.Session, error) {
	opts := n.opts.Engine
	opts.Optimization = level
	return n.opts.Open(ctx, engine.Network{Bytes: g.Marshal()}, opts)
}

// taken returns those of the tensors that a session takes: a graph that was pruned may take fewer.
func taken(s engine.Session, in tensor.Named) tensor.Named {
	out := make(tensor.Named, len(in))
	for _, v := range s.Signature().Inputs {
		if t, ok := in[v.Name]; ok {
			out[v.Name] = t
		}
	}
	return out
}

// sized returns so many copies of a row. Sequences, the axes that inputs of whole numbers leave open, get a length.
func (l *learned) sized(row tensor.Named, rows, length int64) tensor.Named {
	out := make(tensor.Named, len(row))
	for _, v := range l.graph.Inputs {
		t, ok := row[v.Name]
		if !ok {
			continue
		}
		for i, a := range v.Shape {
			switch {
			case i == 0:
				t = cycled(t, 0, int(rows))
			case a.Size < 0 && l.sequence(v, a):
				t = cycled(t, i, int(length))
			}
		}
		out[v.Name] = t
	}
	return out
}

// sequence tells whether an open axis of v is one: of whole numbers, or called as one of those.
func (l *learned) sequence(v onnx.Value, a onnx.Axis) bool {
	whole := func(v onnx.Value) bool { return v.Type.DType() == tensor.Int64 || v.Type.DType() == tensor.Int32 }
	return whole(v) || a.Name != "" && slices.ContainsFunc(l.graph.Inputs, func(other onnx.Value) bool {
		return whole(other) && len(other.Shape) > 1 && slices.ContainsFunc(other.Shape[1:], func(b onnx.Axis) bool { return b.Name == a.Name })
	})
}

// cycled returns t with another length of an axis: its elements along it over and over. The result of a type that no
// network takes is t.
func cycled(t tensor.Tensor, axis, length int) tensor.Tensor {
	switch t.DType() {
	case tensor.Float32:
		return cycle[float32](t, axis, length)
	case tensor.Float64:
		return cycle[float64](t, axis, length)
	case tensor.Int64:
		return cycle[int64](t, axis, length)
	case tensor.Int32:
		return cycle[int32](t, axis, length)
	case tensor.Uint8:
		return cycle[uint8](t, axis, length)
	case tensor.Bool:
		return cycle[bool](t, axis, length)
	default:
		return t
	}
}

func cycle[T tensor.Element](t tensor.Tensor, axis, length int) tensor.Tensor {
	data, err := tensor.Data[T](t)
	if err != nil || t.Len() == 0 {
		return t
	}
	shape := slices.Clone(t.Shape())
	had := int(shape[axis])
	shape[axis] = int64(length)
	inner := 1
	for _, d := range shape[axis+1:] {
		inner *= int(d)
	}
	var out []T
	for start := 0; start < len(data); start += had * inner {
		for i := range length {
			at := start + i%had*inner
			out = append(out, data[at:at+inner]...)
		}
	}
	cycled, err := tensor.New(shape, out)
	if err != nil {
		return t
	}
	return cycled
}
