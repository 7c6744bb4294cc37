package text

import (
	"context"
	"fmt"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Postprocess answers {label: probability} of all classes in their order, or of the most probable ones in falling order
// where their number is said.
func (c *classifier) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	scores, err := c.scores(out)
	if err != nil {
		return handler.Answer{}, err
	}
	k, err := handler.TopK(req, c.settings.TopK, len(scores))
	if err != nil {
		return handler.Answer{}, err
	}
	if change := handler.Activation(c.settings.Activation); change != nil {
		change(scores)
	}
	object := make(handler.Object, 0, len(scores))
	add := func(class int) {
		object = append(object, handler.Member{Key: handler.Label(c.labels, class), Value: float32(scores[class])})
	}
	for _, class := range handler.Top(scores, k) {
		add(class)
	}
	if k == 0 {
		for class := range scores {
			add(class)
		}
	}
	return handler.Answer{Value: object, Tensors: tensor.Named{c.output: out[c.output]}}, nil
}

// scores returns the network's output for the one text of the request, one number a class.
func (c *classifier) scores(out tensor.Named) ([]float64, error) {
	t := out[c.output]
	if shape := t.Shape(); len(shape) != 2 || shape[0] != 1 || shape[1] == 0 {
		return nil, fmt.Errorf("%w: output %q is %v, want one row of classes", fault.BadModel, c.output, t)
	}
	row, err := tensor.Float32s(t)
	if err != nil {
		return nil, fmt.Errorf("output %q: %w: %w", c.output, fault.BadModel, err)
	}
	if len(c.labels) > 0 && len(c.labels) != len(row) {
		return nil, fmt.Errorf("%w: output %q has %d classes, the model has %d labels", fault.BadModel, c.output, len(row), len(c.labels))
	}
	scores := make([]float64, len(row))
	for i, v := range row {
		scores[i] = float64(v)
	}
	return scores, nil
}
