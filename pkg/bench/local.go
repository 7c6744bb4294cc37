package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/tsgo/tsgo/pkg/model"
)

// Local returns what asks a predictor in this process about the inputs, one after the other and again.
func Local(p model.Predictor, ref model.Ref, inputs []model.Input) Ask {
	return func(ctx context.Context, n int) error {
		_, err := p.Predict(ctx, ref, &model.Request{Inputs: inputs[n%len(inputs) : n%len(inputs)+1]})
		if errors.Is(err, model.ErrQueueFull) || errors.Is(err, model.ErrNoWorker) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	}
}
