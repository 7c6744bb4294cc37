package classify

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Postprocess answers {label: probability} of the most probable classes, in falling order, or the best label alone.
func (c classifier) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	scores, err := c.scores(out)
	if err != nil {
		return handler.Answer{}, err
	}
	k, err := handler.TopK(req, cmp.Or(c.settings.TopK, defaultTopK), len(scores))
	if err != nil {
		return handler.Answer{}, err
	}
	probabilities := activate(c.settings.Activation, scores)
	best := handler.Top(probabilities, k)
	answer := handler.Answer{Tensors: out}
	if len(out) > 1 {
		answer.Tensors = tensor.Named{c.output: out[c.output]}
	}
	if c.settings.Answer == answerClass {
		answer.Value = bare(handler.Label(c.labels, best[0]))
		return answer, nil
	}
	object := make(handler.Object, len(best))
	for i, class := range best {
		object[i] = handler.Member{Key: handler.Label(c.labels, class), Value: float32(probabilities[class])}
	}
	answer.Value = object
	return answer, nil
}

// scores returns the network's output for the one row of the request, one number a class.
func (c classifier) scores(out tensor.Named) ([]float32, error) {
	t := out[c.output]
	if shape := t.Shape(); len(shape) < 1 || shape[0] != 1 && len(shape) > 1 {
		return nil, fmt.Errorf("%w: output %q is %v, want one row of classes", fault.BadModel, c.output, t)
	}
	scores, err := tensor.Float32s(t)
	if err != nil {
		return nil, fmt.Errorf("output %q: %w: %w", c.output, fault.BadModel, err)
	}
	if len(scores) == 0 {
		return nil, fmt.Errorf("%w: output %q is %v: no classes", fault.BadModel, c.output, t)
	}
	if len(c.labels) > 0 && len(c.labels) != len(scores) {
		return nil, fmt.Errorf("%w: output %q has %d classes, the model has %d labels", fault.BadModel, c.output, len(scores), len(c.labels))
	}
	return scores, nil
}

// bare returns a label as the JSON number that it spells, or as it is.
func bare(label string) any {
	if n, err := strconv.Atoi(label); err == nil && strconv.Itoa(n) == label {
		return n
	}
	return label
}

// detect is the activation of an output without a manifest: probabilities and log-probabilities are known by their sum, all
// else is logits.
const detect = "detect"

func activate(activation string, scores []float32) []float64 {
	all := wide(scores)
	if activation == detect {
		activation = detected(all)
	}
	if change := handler.Activation(activation); change != nil {
		change(all)
	}
	return all
}

// detected tells which activation an output without a manifest needs: 1e-3 is far above the rounding of a softmax in
// half precision, and far below what logits sum to by chance.
func detected(scores []float64) string {
	sum, exponential, negative := 0.0, 0.0, false
	for _, s := range scores {
		sum += s
		exponential += math.Exp(s)
		negative = negative || s < 0
	}
	switch {
	case !negative && math.Abs(sum-1) < 1e-3:
		return handler.None
	case slices.Max(scores) <= 0 && math.Abs(exponential-1) < 1e-3:
		return handler.LogSoftmax
	}
	return handler.Softmax
}

func wide(values []float32) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = float64(v)
	}
	return all
}
