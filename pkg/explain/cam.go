package explain

import (
	"context"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// GradCAM is the sum of a layer's channels, each weighed with its mean gradient (Selvaraju et al. 2017, arXiv:1610.02391),
// without what is below zero unless told otherwise, stretched over the picture: all channels of a pixel get the same. It
// needs a [Layered] function and a picture.
func GradCAM(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, reluGradCAM)
}

// GradCAMPP is [GradCAM] with weights that do justice to what is there several times (Chattopadhay et al. 2018,
// arXiv:1710.11063). It needs a [Layered] function and a picture.
func GradCAMPP(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, classActivation(gradCAMPP))
}

// LayerCAM is the sum of a layer's channels, each cell weighed with its own positive gradient (Jiang et al. 2021,
// doi:10.1109/TIP.2021.3089943), stretched over the picture. It needs a [Layered] function and a picture.
func LayerCAM(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, classActivation(layerCAM))
}

// GuidedGradCAM is [GuidedBackprop] times [GradCAM] (Selvaraju et al. 2017, arXiv:1610.02391). It needs a function that
// is both [Layered] and [Ruled], and a picture.
func GuidedGradCAM(ctx context.Context, f Function, req Request) (Explanation, error) {
	return attribute(ctx, f, req, guidedGradCAM)
}

// camera makes the map of one row of a layer: for each channel, cell by cell, activations and gradients.
type camera func(activations, gradients [][]float64) []float64

// gradCAM weighs each channel with its mean gradient.
func gradCAM(activations, gradients [][]float64) []float64 {
	sum := make([]float64, len(activations[0]))
	for c, a := range activations {
		weight := 0.0
		for _, g := range gradients[c] {
			weight += g
		}
		add(sum, a, weight/float64(len(a)))
	}
	return sum
}

func positiveGradCAM(activations, gradients [][]float64) []float64 {
	return positive(gradCAM(activations, gradients))
}

// gradCAMPP weighs each channel with a mean of its positive gradients, in which a cell counts by how steep it is.
func gradCAMPP(activations, gradients [][]float64) []float64 {
	sum := make([]float64, len(activations[0]))
	for c, a := range activations {
		whole, weight := 0.0, 0.0
		for _, v := range a {
			whole += v
		}
		for _, g := range gradients[c] {
			if divisor := 2*g*g + whole*g*g*g; divisor != 0 {
				weight += g * g / divisor * max(g, 0)
			}
		}
		add(sum, a, weight)
	}
	return positive(sum)
}

// layerCAM weighs each cell with its own positive gradient.
func layerCAM(activations, gradients [][]float64) []float64 {
	sum := make([]float64, len(activations[0]))
	for c, a := range activations {
		for i, v := range a {
			sum[i] += max(gradients[c][i], 0) * v
		}
	}
	return positive(sum)
}

func add(sum, values []float64, weight float64) {
	for i, v := range values {
		sum[i] += weight * v
	}
}

func positive(values []float64) []float64 {
	for i, v := range values {
		values[i] = max(v, 0)
	}
	return values
}

// classActivation is the recipe of the maps that a camera makes.
func classActivation(look camera) recipe {
	return func(_ context.Context, t *task) (pointwise, error) {
		l, err := layered(t.f)
		if err != nil {
			return pointwise{}, err
		}
		if err := t.pictures(); err != nil {
			return pointwise{}, err
		}
		return pointwise{rows: 1, at: func(ctx context.Context, points [][]float64) ([][]float64, error) {
			return t.maps(ctx, l, points, look)
		}}, nil
	}
}

// reluGradCAM is the recipe of Grad-CAM, with its Relu unless told otherwise.
func reluGradCAM(ctx context.Context, t *task) (pointwise, error) {
	relu := t.req.Params.Relu != "false"
	t.told.Parameters.Relu = &relu
	if !relu {
		return classActivation(gradCAM)(ctx, t)
	}
	return classActivation(positiveGradCAM)(ctx, t)
}

func guidedGradCAM(ctx context.Context, t *task) (pointwise, error) {
	guided, err := ruledGradient(ReluGuided)(ctx, t)
	if err != nil {
		return pointwise{}, err
	}
	cam, err := classActivation(positiveGradCAM)(ctx, t)
	if err != nil {
		return pointwise{}, err
	}
	return pointwise{rows: guided.rows + cam.rows, at: func(ctx context.Context, points [][]float64) ([][]float64, error) {
		all, err := guided.at(ctx, points)
		if err != nil {
			return nil, err
		}
		maps, err := cam.at(ctx, points)
		for i, m := range maps {
			for k, v := range m {
				all[i][k] *= v
			}
		}
		return all, err
	}}, nil
}

// pictures returns [fault.Unsupported] when an input has no channels of two axes that a map could be stretched over.
func (t *task) pictures() error {
	for _, p := range t.parts {
		if len(p.shape) != 3 {
			return fmt.Errorf("%w: input %q has rows of shape %v, want a picture with channels to lay the layer's map over", fault.Unsupported, p.input, p.shape)
		}
	}
	return nil
}

// maps returns the map of each point, stretched over the inputs.
func (t *task) maps(ctx context.Context, l Layered, points [][]float64, look camera) ([][]float64, error) {
	rows, err := t.rows(ctx, points)
	if err != nil {
		return nil, err
	}
	layer, err := l.Layer(ctx, t.req.Params.Layer, rows, t.targets(points))
	if err != nil {
		return nil, err
	}
	t.told.Parameters.Layer = layer.Name
	activations, gradients, err := layer.check(len(points))
	if err != nil {
		return nil, err
	}
	shape := layer.Activations.Shape()
	channels, dims := int(shape[1]), []int{int(shape[2]), int(shape[3])}
	size := channels * product(dims)
	all := make([][]float64, len(points))
	for i := range all {
		small := look(split(activations[i*size:][:size], channels), split(gradients[i*size:][:size], channels))
		all[i] = t.stretched(small, dims)
	}
	t.told.Runtime.GradientEvaluations += len(points)
	t.count(len(points))
	return all, nil
}

// check returns the layer's numbers. It returns [fault.Invalid] for a layer without channels of two axes.
func (l Layer) check(rows int) (activations, gradients []float64, err error) {
	shape := l.Activations.Shape()
	if len(shape) != 4 || l.Activations.Len() == 0 {
		return nil, nil, fmt.Errorf("%w: layer %q is %v, want channels of two axes: [rows,channels,height,width]", fault.Invalid, l.Name, l.Activations)
	}
	if shape[0] != int64(rows) || !slices.Equal(shape, l.Gradients.Shape()) {
		return nil, nil, fmt.Errorf("%w: layer %q of %d rows is %v, its gradient %v", fault.Internal, l.Name, rows, l.Activations, l.Gradients)
	}
	if activations, err = doubles(l.Activations); err != nil {
		return nil, nil, err
	}
	gradients, err = doubles(l.Gradients)
	return activations, gradients, err
}

// split cuts one row of a layer into its channels.
func split(row []float64, channels int) [][]float64 {
	return slices.Collect(slices.Chunk(row, len(row)/channels))
}

// stretched lays a map over every input: each channel of a pixel gets the same.
func (t *task) stretched(small []float64, dims []int) []float64 {
	out := make([]float64, len(t.x))
	for _, p := range t.parts {
		p.spread(out, resampled(small, dims, p.grid.dims))
	}
	return out
}

// spread gives every channel of a cell the cell's value.
func (p part) spread(out, cells []float64) {
	for c := range p.grid.channels {
		for cell, v := range cells {
			out[p.from+p.grid.index(c, cell)] = v
		}
	}
}
