package explain

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// chunkRows is how many rows are evaluated at once when nothing says otherwise.
const chunkRows = 8

// meter goes through the rows of one request in chunks, counts them and tells how far it has come.
type meter struct {
	most        int // rows of a chunk
	done, total int
	progress    func(done, total int)
}

func newMeter(req Request) meter {
	m := meter{most: req.Rows, progress: req.Progress}
	if m.most <= 0 {
		m.most = chunkRows
	}
	return m
}

// chunks cuts n rows into chunks and calls do for each. It stops when ctx ends.
func (m *meter) chunks(ctx context.Context, n int, do func(from, n int) error) error {
	for from := 0; from < n; from += m.most {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := do(from, min(m.most, n-from)); err != nil {
			return err
		}
	}
	return nil
}

// count counts rows that were evaluated.
func (m *meter) count(rows int) {
	m.done += rows
	if m.progress != nil {
		m.progress(m.done, m.total)
	}
}

// part is one attributed input, as a part of the vector that all of them are.
type part struct {
	input    string
	dtype    tensor.DType
	shape    []int64 // of a row
	grid     grid
	from, to int
}

// task is one request under way, for the methods that see the attributed inputs as one vector of numbers: they move
// together.
type task struct {
	meter

	f      Function
	req    Request
	parts  []part    // by name
	x, b   []float64 // the input and the baseline
	score  float64   // of the input
	origin float64   // the score of the baseline
	told   Explanation
}

// newTask returns the task of a request. It returns [fault.Invalid] for one that does not fit and [fault.Unsupported] when
// the inputs are not numbers that can be changed a little.
func newTask(f Function, req Request) (*task, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	t := &task{meter: newMeter(req), f: f, req: req}
	for _, name := range slices.Sorted(maps.Keys(req.Baseline)) {
		row := req.Input[name]
		if err := gradual(name, row); err != nil {
			return nil, err
		}
		shape := row.Shape()[1:]
		t.parts = append(t.parts, part{
			input: name, dtype: row.DType(), shape: shape, grid: newGrid(shape, req.Layout), from: len(t.x), to: len(t.x) + row.Len(),
		})
		var err error
		if t.x, err = extended(t.x, row); err != nil {
			return nil, err
		}
		if t.b, err = extended(t.b, req.Baseline[name]); err != nil {
			return nil, err
		}
	}
	t.told.Parameters.Seed = req.Params.Seed
	return t, nil
}

// gradual returns [fault.Unsupported] for an input that names or counts things: nothing lies between two of its values.
func gradual(name string, t tensor.Tensor) error {
	if attributable(t.DType()) {
		return nil
	}
	return fmt.Errorf("%w: input %q is %v, which cannot be hidden gradually; ask for %s, or for %s where the network has a gradient",
		fault.Unsupported, name, t, leaveOneOut, layerIntegratedGradients)
}

func extended(values []float64, t tensor.Tensor) ([]float64, error) {
	more, err := doubles(t)
	return append(values, more...), err
}

// doubles returns a copy of t's numbers.
func doubles(t tensor.Tensor) ([]float64, error) {
	if data, err := tensor.Data[float64](t); err == nil {
		return slices.Clone(data), nil
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return nil, err
	}
	return converted(data, func(v float32) float64 { return float64(v) }), nil
}

// ends scores the input and the baseline.
func (t *task) ends(ctx context.Context) error {
	points := [][]float64{t.x, t.b}
	scores := make([]float64, 0, len(points))
	err := t.chunks(ctx, len(points), func(from, n int) error {
		some, err := t.scores(ctx, points[from:from+n])
		scores = append(scores, some...)
		return err
	})
	if err != nil {
		return err
	}
	t.score, t.origin = scores[0], scores[1]
	return nil
}

// scores scores one chunk of points.
func (t *task) scores(ctx context.Context, points [][]float64) ([]float64, error) {
	rows, err := t.rows(ctx, points)
	if err != nil {
		return nil, err
	}
	scores, err := t.f.Scores(ctx, rows, t.targets(points))
	if err != nil {
		return nil, err
	}
	if len(scores) != len(points) {
		return nil, fmt.Errorf("%w: %d scores for %d rows", fault.Internal, len(scores), len(points))
	}
	t.told.Runtime.ForwardEvaluations += len(points)
	t.count(len(points))
	return scores, nil
}

// gradients returns the gradient of d at each of one chunk of points.
func (t *task) gradients(ctx context.Context, d Differentiable, points [][]float64) ([][]float64, error) {
	rows, err := t.rows(ctx, points)
	if err != nil {
		return nil, err
	}
	_, grads, err := d.Gradients(ctx, rows, t.targets(points))
	if err != nil {
		return nil, err
	}
	vectors := make([][]float64, len(points))
	for i := range vectors {
		vectors[i] = make([]float64, len(t.x))
	}
	for _, p := range t.parts {
		if err := p.read(grads[p.input], vectors); err != nil {
			return nil, fmt.Errorf("gradient by input %q: %w", p.input, err)
		}
	}
	t.told.Runtime.GradientEvaluations += len(points)
	t.count(len(points))
	return vectors, nil
}

func (t *task) targets(points [][]float64) []int {
	return slices.Repeat([]int{t.req.Target}, len(points))
}

// rows returns a row for each point: the inputs that are not attributed are as in the request. It returns the context's
// error when ctx has ended, before anything is computed of the rows.
func (t *task) rows(ctx context.Context, points [][]float64) (tensor.Named, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rows := make(tensor.Named, len(t.req.Input))
	for _, p := range t.parts {
		var err error
		if rows[p.input], err = p.rows(points); err != nil {
			return nil, err
		}
	}
	for name, row := range t.req.Input {
		if _, attributed := rows[name]; attributed {
			continue
		}
		var err error
		if rows[name], err = repeated(name, row, len(points)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// rows returns this input's part of each point.
func (p part) rows(points [][]float64) (tensor.Tensor, error) {
	shape := append([]int64{int64(len(points))}, p.shape...)
	if p.dtype == tensor.Float64 {
		data := make([]float64, 0, len(points)*(p.to-p.from))
		for _, point := range points {
			data = append(data, point[p.from:p.to]...)
		}
		return tensor.New(shape, data)
	}
	data := make([]float32, 0, len(points)*(p.to-p.from))
	for _, point := range points {
		for _, v := range point[p.from:p.to] {
			data = append(data, float32(v))
		}
	}
	return as(p.dtype, shape, data)
}

// read writes the rows of t into this input's part of each vector.
func (p part) read(t tensor.Tensor, vectors [][]float64) error {
	size := p.to - p.from
	if t.Len() != size*len(vectors) {
		return fmt.Errorf("%w: %d rows of shape %v are %v", fault.Internal, len(vectors), p.shape, t)
	}
	if data, err := tensor.Data[float64](t); err == nil {
		for i, v := range vectors {
			copy(v[p.from:], data[i*size:(i+1)*size])
		}
		return nil
	}
	data, err := tensor.Float32s(t)
	if err != nil {
		return err
	}
	for i, v := range vectors {
		into := v[p.from:p.to]
		for k, g := range data[i*size : (i+1)*size] {
			into[k] = float64(g)
		}
	}
	return nil
}

// explanation returns what the task found out, with the attributions.
func (t *task) explanation(attributions []float64) (Explanation, error) {
	x := t.told
	x.Target = Target{Index: t.req.Target, Value: float32(t.score)}
	x.Baseline.Value = float32(t.origin)
	x.Attributions = make(tensor.Named, len(t.parts))
	for _, p := range t.parts {
		a, err := tensor.New(p.shape, converted(attributions[p.from:p.to], func(v float64) float32 { return float32(v) }))
		if err != nil {
			return Explanation{}, err
		}
		x.Attributions[p.input] = a
	}
	return x, nil
}

// warn adds a warning.
func (t *task) warn(format string, values ...any) {
	t.told.Warnings = append(t.told.Warnings, fmt.Sprintf(format, values...))
}
