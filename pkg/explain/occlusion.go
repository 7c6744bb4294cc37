package explain

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Occlusion hides the input behind windows of its baseline (Zeiler and Fergus 2013, arXiv:1311.2901). A cell gets the
// mean, over the windows that cover it, of the score less the score with the window hidden; all channels of a cell are
// hidden together and get the same value. Windows start at multiples of the stride; the last along each axis is clipped
// at the border. Inputs are hidden one after the other. It needs no gradient and claims no completeness.
func Occlusion(ctx context.Context, f Function, req Request) (Explanation, error) {
	veils, err := lay(req)
	if err != nil {
		return Explanation{}, err
	}
	var score, baseline float64
	p := plan{
		total: 2, // the input as it is and the baseline, then each window
		hidden: func(i int, input string) spans {
			switch i {
			case 0:
				return nothing
			case 1:
				return everything(req.Input[input])
			}
			if v, n := find(veils, i-2); v.input == input {
				return v.grid.under(v.window(n))
			}
			return nothing
		},
		got: func(i int, s float64) {
			switch i {
			case 0:
				score = s
			case 1:
				baseline = s
			default:
				v, n := find(veils, i-2)
				v.add(v.window(n), score-s)
			}
		},
	}
	for i := range veils {
		p.total += product(veils[i].windows)
	}
	if err := evaluate(ctx, f, req, p); err != nil {
		return Explanation{}, err
	}
	return uncovered(veils, Explanation{
		Target:     Target{Index: req.Target, Value: float32(score)},
		Baseline:   Baseline{Value: float32(baseline)},
		Parameters: Parameters{Window: veils[0].size, Stride: veils[0].stride, Seed: req.Params.Seed},
		Runtime:    Runtime{ForwardEvaluations: p.total},
	})
}

// uncovered returns x with what the veils have shown.
func uncovered(veils []veil, x Explanation) (Explanation, error) {
	x.Attributions = make(tensor.Named, len(veils))
	for i := range veils {
		t, err := veils[i].attribution()
		if err != nil {
			return Explanation{}, err
		}
		x.Attributions[veils[i].input] = t
	}
	return x, nil
}

// veil is what hides one input, and what it has shown.
type veil struct {
	input        string
	shape        []int64 // of a row
	grid         grid
	size, stride []int     // of the windows, along each axis
	windows      []int     // how many there are along each axis
	sums         []float64 // by cell: of the differences
	counts       []int     // by cell: the windows that cover it
}

// lay returns a veil for each input to be attributed, by name.
func lay(req Request) ([]veil, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	var veils []veil
	for _, name := range slices.Sorted(maps.Keys(req.Baseline)) {
		if err := gradual(name, req.Input[name]); err != nil {
			return nil, err
		}
		shape := req.Input[name].Shape()[1:]
		g := newGrid(shape, req.Layout)
		v := veil{input: name, shape: shape, grid: g, sums: make([]float64, g.cells()), counts: make([]int, g.cells())}
		for _, dim := range g.dims {
			size, stride, err := windowAlong(dim, req.Params)
			if err != nil {
				return nil, err
			}
			v.size, v.stride = append(v.size, size), append(v.stride, stride)
			v.windows = append(v.windows, (dim-size+stride-1)/stride+1)
		}
		veils = append(veils, v)
	}
	return veils, nil
}

// find returns the veil that holds window n of all windows, and which one of its own it is.
func find(veils []veil, n int) (*veil, int) {
	i := 0
	for own := product(veils[i].windows); n >= own; own = product(veils[i].windows) {
		n -= own
		i++
	}
	return &veils[i], n
}

// windowAlong returns the length of a window, and of a stride, along an axis.
func windowAlong(dim int, p Params) (size, stride int, err error) {
	size = p.Window
	if size <= 0 {
		size = max(1, int(math.Round(float64(dim)/7)))
	}
	stride = p.Stride
	if stride <= 0 {
		stride = (size + 1) / 2
	}
	if stride > size && size < dim {
		return 0, 0, fmt.Errorf("%w: stride %d leaves gaps between windows of %d: want at most %d", fault.Invalid, stride, size, size)
	}
	return min(size, dim), stride, nil
}

// window returns window n; the last axis runs fastest.
func (v *veil) window(n int) window {
	w := window{make([]int, len(v.windows)), make([]int, len(v.windows))}
	for i := len(v.windows) - 1; i >= 0; i-- {
		w.from[i] = n % v.windows[i] * v.stride[i]
		w.to[i] = min(w.from[i]+v.size[i], v.grid.dims[i])
		n /= v.windows[i]
	}
	return w
}

// add counts a difference for the cells of a window.
func (v *veil) add(w window, difference float64) {
	for cell, n := range w.runs(v.grid.dims) {
		for i := cell; i < cell+n; i++ {
			v.sums[i] += difference
			v.counts[i]++
		}
	}
}

// attribution returns each cell's mean, in the shape of a row.
func (v *veil) attribution() (tensor.Tensor, error) {
	data := make([]float32, len(v.sums)*v.grid.channels)
	for cell, sum := range v.sums {
		mean := float32(sum / float64(v.counts[cell]))
		for c := range v.grid.channels {
			data[v.grid.index(c, cell)] = mean
		}
	}
	return tensor.New(v.shape, data)
}
