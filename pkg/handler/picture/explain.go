package picture

import (
	"context"
	"fmt"
	"image"
	"slices"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/heatmap"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// Scorer makes one score a class of the network's answer to one row, which has a batch axis of 1.
type Scorer func(ctx context.Context, session engine.Session, row tensor.Named) ([]float32, error)

// Explainer returns an explainer of scores that are made of the network's answer: so many, one a class. They are no output
// of the network, so that they have no gradient. What e has of the network stays; opts.Labels are the classes'.
func (r *Reader) Explainer(e *explain.Explainer, labels []string, classes int, score Scorer) (*explain.Explainer, error) {
	opts := e.Network()
	opts.Session = scored{Session: opts.Session, reader: r, classes: classes, score: score}
	opts.Labels, opts.Output = labels, explain.OutputProbabilities
	opts.Probabilities, opts.Differentiate = nil, nil
	Describe(&opts, r.Options())
	return explain.New(opts)
}

// Describe tells an explainer how pixels become the network's input, and where its channels are.
func Describe(opts *explain.Options, o vision.Options) {
	opts.Layout = explain.ChannelsFirst
	if o.Layout == vision.NHWC {
		opts.Layout = explain.ChannelsLast
	}
	opts.Pixels = &explain.Pixels{Scale: float64(o.Scale), Mean: wide(o.Mean), Std: wide(o.Std)}
}

func wide(values []float32) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = float64(v)
	}
	return all
}

// scored is a network that answers scores: of each row by itself, so that a batch takes no more memory than one.
type scored struct {
	engine.Session
	reader  *Reader
	classes int
	score   Scorer
}

// scores is the name of the output.
const scores = "scores"

// Signature returns the network's input with a batch axis, and the scores.
func (s scored) Signature() engine.Signature {
	return engine.Signature{
		Inputs:  []engine.Value{s.reader.input},
		Outputs: []engine.Value{{Name: scores, DType: tensor.Float32, Shape: []engine.Dim{{Size: -1, Name: "batch"}, {Size: int64(s.classes)}}}},
	}
}

// Run scores the rows, one after the other.
func (s scored) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	if err := s.Signature().Check(in); err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(want, func(name string) bool { return name != scores }); i >= 0 {
		return nil, fmt.Errorf("%w: there is no output %q, want %q", fault.Invalid, want[i], scores)
	}
	rows, _ := s.reader.Size(in)
	all := make([]float32, 0, rows*int64(s.classes))
	for i := range rows {
		row, err := in.Rows(i, i+1)
		if err != nil {
			return nil, err
		}
		one, err := s.score(ctx, s.Session, row)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	t, err := tensor.New([]int64{rows, int64(s.classes)}, all)
	return tensor.Named{scores: t}, err
}

// Explain answers the attributions at the network's input, or a heat map of them, alone or on the request's picture.
func (r *Reader) Explain(ctx context.Context, e *explain.Explainer, req *model.Request, in tensor.Named) (handler.Answer, error) {
	params, err := explain.ParseParams(req.Params)
	if err != nil {
		return handler.Answer{}, err
	}
	x, err := e.Explain(ctx, explain.Question{Input: in, Params: params, Progress: req.Progress})
	if err != nil {
		return handler.Answer{}, err
	}
	picture, err := r.picture(req)
	if err != nil {
		return handler.Answer{}, err
	}
	crop := image.Rectangle{}
	if picture != nil {
		crop = r.crop(picture)
		x.Crop = &explain.Crop{X: crop.Min.X, Y: crop.Min.Y, Width: crop.Dx(), Height: crop.Dy()}
	}
	if params.Format != explain.FormatPNG && params.Format != explain.FormatOverlay {
		return handler.Explained(x, params)
	}
	return Paint(x, params, picture, crop)
}

// picture returns the picture of the request, upright; nil where the request carries the network's input itself.
func (r *Reader) picture(req *model.Request) (image.Image, error) {
	content, err := handler.ReadInput(req, r.input)
	if err != nil || content.Tensor != nil {
		return nil, err
	}
	return vision.Decode(content.Data, r.Options().MaxPixels)
}

// Paint makes the map a PNG: on the picture, or alone, as large as what the network saw of the picture.
func Paint(x *explain.Explanation, params explain.Params, picture image.Image, crop image.Rectangle) (handler.Answer, error) {
	attributions, err := x.Picture()
	if err != nil {
		return handler.Answer{}, err
	}
	m, err := heatmap.New(attributions)
	if err != nil {
		return handler.Answer{}, err
	}
	width, height := m.Size()
	painted := m.Image(max(width, crop.Dx()), max(height, crop.Dy()))
	if params.Format == explain.FormatOverlay && picture != nil {
		painted = m.Overlay(picture, heatmap.OverlayOptions{Crop: crop})
	}
	body, err := heatmap.PNG(painted)
	if err != nil {
		return handler.Answer{}, err
	}
	return handler.Answer{Value: body, ContentType: "image/png", Header: x.Header()}, nil
}
