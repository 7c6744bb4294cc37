package classify

import (
	"context"
	"image"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/picture"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// explainer returns the explainer that knows what this handler knows: how pixels become the network's input, where the
// channels are, and what the output's numbers mean.
func (c *classifier) explainer(e *explain.Explainer) (*explain.Explainer, error) {
	opts := e.Network()
	opts.Labels = c.labels
	picture.Describe(&opts, c.transform.Options())
	handler.Activated(&opts, c.settings.Activation)
	return explain.New(opts)
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
	seen, err := c.picture(req)
	if err != nil {
		return handler.Answer{}, err
	}
	crop := image.Rectangle{}
	if seen != nil {
		size := seen.Bounds().Size()
		crop = c.transform.Crop(size.X, size.Y)
		x.Crop = &explain.Crop{X: crop.Min.X, Y: crop.Min.Y, Width: crop.Dx(), Height: crop.Dy()}
	}
	if params.Format != explain.FormatPNG && params.Format != explain.FormatOverlay {
		return handler.Explained(x, params)
	}
	return picture.Paint(x, params, seen, crop)
}

// picture returns the picture of the request, upright; nil where the request carries the network's input itself.
func (c classifier) picture(req *model.Request) (image.Image, error) {
	content, err := handler.ReadInput(req, c.input)
	if err != nil || content.Tensor != nil {
		return nil, err
	}
	return vision.Decode(content.Data, c.transform.Options().MaxPixels)
}
