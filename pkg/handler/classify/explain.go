package classify

import (
	"context"
	"image"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/heatmap"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// explainer returns the explainer that knows what this handler knows: how pixels become the network's input, where the
// channels are, and what the output's numbers mean.
func (c *classifier) explainer(e *explain.Explainer) (*explain.Explainer, error) {
	opts := e.Network()
	o := c.transform.Options()
	opts.Labels = c.labels
	opts.Layout = explain.ChannelsFirst
	if o.Layout == vision.NHWC {
		opts.Layout = explain.ChannelsLast
	}
	opts.Pixels = &explain.Pixels{Scale: float64(o.Scale), Mean: wide(o.Mean), Std: wide(o.Std)}
	handler.Activated(&opts, c.settings.Activation)
	return explain.New(opts)
}

func wide(values []float32) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = float64(v)
	}
	return all
}

// Explain answers the attributions at the network's input, or a heat map of them, alone or on the picture.
func (c classifier) Explain(ctx context.Context, req *model.Request, in tensor.Named) (handler.Answer, error) {
	params, err := explain.ParseParams(req.Params)
	if err != nil {
		return handler.Answer{}, err
	}
	x, err := c.Env.Explainer.Explain(ctx, explain.Question{Input: in, Params: params, Progress: req.Progress})
	if err != nil {
		return handler.Answer{}, err
	}
	picture, err := c.picture(req)
	if err != nil {
		return handler.Answer{}, err
	}
	crop := image.Rectangle{}
	if picture != nil {
		size := picture.Bounds().Size()
		crop = c.transform.Crop(size.X, size.Y)
		x.Crop = &explain.Crop{X: crop.Min.X, Y: crop.Min.Y, Width: crop.Dx(), Height: crop.Dy()}
	}
	if params.Format != explain.FormatPNG && params.Format != explain.FormatOverlay {
		return handler.Explained(x, params)
	}
	return paint(x, params, picture, crop)
}

// picture returns the picture of the request, upright; nil where the request carries the network's input itself.
func (c classifier) picture(req *model.Request) (image.Image, error) {
	content, err := handler.ReadInput(req, c.input)
	if err != nil || content.Tensor != nil {
		return nil, err
	}
	return vision.Decode(content.Data, c.transform.Options().MaxPixels)
}

// paint makes the map a PNG: on the picture, or alone, as large as what the network saw of the picture.
func paint(x *explain.Explanation, params explain.Params, picture image.Image, crop image.Rectangle) (handler.Answer, error) {
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
