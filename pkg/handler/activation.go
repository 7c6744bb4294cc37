package handler

import (
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/explain"
)

// The activations: how probabilities are made of a network's output.
const (
	Softmax    = "softmax"     // of logits; what no activation means too
	LogSoftmax = "log_softmax" // the output is log-probabilities: the exponential of each
	Sigmoid    = "sigmoid"     // each class by itself
	None       = "none"        // the output is probabilities
)

// Activation returns what makes probabilities of scores, in place; nil where they are probabilities. It may be called from
// many goroutines.
func Activation(name string) func(scores []float64) {
	switch name {
	case None:
		return nil
	case LogSoftmax:
		return exponentials
	case Sigmoid:
		return logistic
	}
	return normalise
}

// Activated tells an explainer what an output is that probabilities are made of by an activation; another name than those
// of the activations tells it nothing.
func Activated(opts *explain.Options, name string) {
	switch name {
	case "", Softmax, Sigmoid:
		opts.Output = explain.OutputLogits
	case LogSoftmax:
		opts.Output = "log_probabilities"
	case None:
		opts.Output = explain.OutputProbabilities
	default:
		return
	}
	opts.Probabilities = Activation(name)
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
