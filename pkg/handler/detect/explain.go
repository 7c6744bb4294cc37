package detect

import (
	"context"
	"strconv"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// mostClasses bounds the classes of a model without labels.
const mostClasses = 1 << 16

// Explain answers what the highest score of any box of one class rests on: the target's, or that of the best box.
func (d detector) Explain(ctx context.Context, req *model.Request, in tensor.Named) (handler.Answer, error) {
	classes, err := d.known(ctx, req, in)
	if err != nil {
		return handler.Answer{}, err
	}
	e, err := d.reader.Explainer(d.Env.Explainer, d.labels, classes, func(ctx context.Context, session engine.Session, row tensor.Named) ([]float32, error) {
		found, err := d.all(ctx, session, row)
		return highest(found, classes), err
	})
	if err != nil {
		return handler.Answer{}, err
	}
	return d.reader.Explain(ctx, e, req, in)
}

// known returns how many classes there are: as many as labels, and where there are none up to the highest that the picture
// shows or the request asks for.
func (d detector) known(ctx context.Context, req *model.Request, in tensor.Named) (int, error) {
	if len(d.labels) > 0 {
		return len(d.labels), nil
	}
	found, err := d.all(ctx, d.Env.Explainer.Network().Session, in)
	if err != nil {
		return 0, err
	}
	classes := 1
	for _, c := range found {
		classes = max(classes, c.class+1)
	}
	if target, err := strconv.Atoi(req.Params["target"]); err == nil {
		classes = max(classes, target+1)
	}
	return min(classes, mostClasses), nil
}

// all returns the candidates of a row, whatever their scores.
func (d detector) all(ctx context.Context, session engine.Session, row tensor.Named) ([]candidate, error) {
	out, err := d.run(ctx, session, row)
	if err != nil {
		return nil, err
	}
	_, size := d.reader.Size(row)
	return d.candidates(out, size, 0)
}

// highest returns the highest score of each class; 0 for one without a box.
func highest(found []candidate, classes int) []float32 {
	scores := make([]float32, classes)
	for _, c := range found {
		if c.class >= 0 && c.class < classes {
			scores[c.class] = max(scores[c.class], c.score)
		}
	}
	return scores
}
