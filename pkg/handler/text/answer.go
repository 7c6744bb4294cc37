package text

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

// Postprocess answers {label: probability} of all classes in their order, or of the most probable ones in falling order
// where their number is said.
func (c *classifier) Postprocess(_ context.Context, req *model.Request, out tensor.Named) (handler.Answer, error) {
	scores, err := c.scores(out)
	if err != nil {
		return handler.Answer{}, err
	}
	k, err := c.topK(req, len(scores))
	if err != nil {
		return handler.Answer{}, err
	}
	if activate := c.activation(); activate != nil {
		activate(scores)
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	if k > 0 {
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
		order = order[:k]
	}
	object := make(handler.Object, len(order))
	for i, class := range order {
		object[i] = handler.Member{Key: c.label(class), Value: float32(scores[class])}
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

// topK returns how many of the classes are wanted: at most all of them; 0: all, in their own order.
func (c *classifier) topK(req *model.Request, classes int) (int, error) {
	k := c.settings.TopK
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
func (c *classifier) label(class int) string {
	if class < len(c.labels) {
		return c.labels[class]
	}
	return strconv.Itoa(class)
}

// distinct returns the labels with the index behind each that occurred before: as keys of one object they would hide each
// other.
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

// The activations: how probabilities are made of an output.
const (
	softmax    = "softmax"     // of logits
	logSoftmax = "log_softmax" // the output is log-probabilities: the exponential of each
	sigmoid    = "sigmoid"     // each class by itself
	none       = "none"        // the output is probabilities
)

// activation returns what makes probabilities of scores, in place; nil for nothing.
func (c *classifier) activation() func(scores []float64) {
	switch c.settings.Activation {
	case none:
		return nil
	case logSoftmax:
		return exponentials
	case sigmoid:
		return logistic
	}
	return normalise
}

func logistic(scores []float64) {
	for i, s := range scores {
		scores[i] = 1 / (1 + math.Exp(-s))
	}
}

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
