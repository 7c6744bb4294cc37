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

// paramTopK is the parameter that says how many classes are answered.
const paramTopK = "top_k"

// Postprocess answers {label: probability} of the most probable classes, in falling order, or the best label alone.
func (c classifier) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	scores, err := c.scores(out)
	if err != nil {
		return handler.Answer{}, err
	}
	k, err := c.topK(req, len(scores))
	if err != nil {
		return handler.Answer{}, err
	}
	probabilities := activate(c.settings.Activation, scores)
	best := top(probabilities, k)
	answer := handler.Answer{Tensors: tensor.Named{c.output: out[c.output]}}
	if c.settings.Answer == answerClass {
		answer.Value = bare(c.label(best[0]))
		return answer, nil
	}
	object := make(handler.Object, len(best))
	for i, class := range best {
		object[i] = handler.Member{Key: c.label(class), Value: float32(probabilities[class])}
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

// topK returns how many of the classes are wanted: at most all of them.
func (c classifier) topK(req *model.Request, classes int) (int, error) {
	k := cmp.Or(c.settings.TopK, defaultTopK)
	if raw, ok := req.Params[paramTopK]; ok {
		asked, err := strconv.Atoi(raw)
		if err != nil || asked < 1 {
			return 0, fmt.Errorf("%w: parameter %s is %q, want a number from 1", fault.Invalid, paramTopK, raw)
		}
		k = asked
	}
	return min(k, classes), nil
}

// label returns a class's label, or its index where the model has no labels.
func (c classifier) label(class int) string {
	if class < len(c.labels) {
		return c.labels[class]
	}
	return strconv.Itoa(class)
}

// bare returns a label as the JSON number that it spells, or as it is.
func bare(label string) any {
	if n, err := strconv.Atoi(label); err == nil && strconv.Itoa(n) == label {
		return n
	}
	return label
}

// distinct returns the labels with the index behind each that occurred before, as in "crane (517)": as keys of one object
// they would hide each other.
func distinct(labels []string) []string {
	seen := make(map[string]bool, len(labels))
	all := slices.Clone(labels)
	for i, label := range all {
		for seen[all[i]] {
			all[i] = fmt.Sprintf("%s (%d)", label, i)
			label = all[i]
		}
		seen[all[i]] = true
	}
	return all
}

// top returns the indices of the k greatest values, greatest first, equal ones in their order. A value that is not a
// number goes last.
func top(values []float64, k int) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	return order[:k]
}

// The activations: how probabilities are made of an output.
const (
	softmax    = "softmax"     // of logits
	logSoftmax = "log_softmax" // the output is log-probabilities: the exponential of each
	sigmoid    = "sigmoid"     // each class by itself
	none       = "none"        // the output is probabilities
	detect     = "detect"      // probabilities and log-probabilities are known by their sum, all else is logits
)

func activate(activation string, scores []float32) []float64 {
	wide := wide(scores)
	switch activation {
	case none:
	case sigmoid:
		logistic(wide)
	case logSoftmax:
		exponentials(wide)
	case detect:
		return activate(detected(wide), scores)
	default:
		normalise(wide)
	}
	return wide
}

// logistic is the sigmoid of each score.
func logistic(scores []float64) {
	for i, s := range scores {
		scores[i] = 1 / (1 + math.Exp(-s))
	}
}

// exponentials turns log-probabilities into probabilities.
func exponentials(scores []float64) {
	for i, s := range scores {
		scores[i] = math.Exp(s)
	}
}

// normalise is the softmax, shifted by the greatest value so that nothing overflows.
func normalise(scores []float64) {
	greatest, sum := slices.Max(scores), 0.0
	for i, s := range scores {
		scores[i] = math.Exp(s - greatest)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
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
		return none
	case slices.Max(scores) <= 0 && math.Abs(exponential-1) < 1e-3:
		return logSoftmax
	}
	return softmax
}
