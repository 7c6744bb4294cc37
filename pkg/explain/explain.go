// Package explain answers which parts of an input a network's answer rests on: attribution.
//
// A [Method] sees rows and scores only, through a [Function], so that each can be tried on a Go function. An [Explainer]
// is what a handler asks: it runs the network, finds the target, builds the baseline, chooses the method and says in its
// [Explanation] what it did. The package reads no pictures and paints none, and it knows no runtime.
package explain

import (
	"context"
	"fmt"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Function scores rows: tensors that share their length along axis 0. Each row has its own target, and there are as many
// scores as targets. It is safe for concurrent use and keeps none of the rows.
type Function interface {
	Scores(ctx context.Context, rows tensor.Named, targets []int) ([]float64, error)
}

// Request is what a method is asked.
type Request struct {
	Input    tensor.Named // one row
	Baseline tensor.Named // of the inputs to be attributed: the same type and shape; the other inputs stay as they are
	Target   int          // the score that is explained
	Params   Params
	Layout   Layout // of the inputs with channels; zero: told by their dimensions
	Rows     int    // at most so many rows are scored at once; 0: 8

	// Progress, where not nil, is told how many rows are scored, one call at a time.
	Progress func(done, total int)
}

// Method attributes one score to the inputs that have a baseline. It returns promptly when ctx ends, within one chunk of
// rows. Of the explanation it fills what it computed: Exact, the target's and the baseline's value, Parameters,
// Convergence, Attributions, Warnings, and the evaluations. It returns [fault.Invalid] for a request that does not fit.
type Method func(ctx context.Context, f Function, req Request) (Explanation, error)

// Methods returns the names of the methods, the default one first.
func Methods() []string {
	table := methods()
	names := make([]string, len(table))
	for i, m := range table {
		names[i] = m.name
	}
	return names
}

type namedMethod struct {
	name string
	run  Method
}

// methods is the table of methods; the first is the default one.
func methods() []namedMethod {
	return []namedMethod{
		{"occlusion", Occlusion},
	}
}

// choose returns the method of that name, or the default one for "", and why it was taken.
func choose(name string) (m namedMethod, why string, err error) {
	table := methods()
	if name == "" {
		return table[0], "the default method", nil
	}
	for _, m := range table {
		if m.name == name {
			return m, "named in the request", nil
		}
	}
	return namedMethod{}, "", unknown("method", name, Methods())
}

// unknown is the refusal of a value that is none of the known ones.
func unknown(parameter, value string, known []string) error {
	value = short(value)
	return fmt.Errorf("%w: %s %q is not known%s (known: %s)", fault.Invalid, parameter, value, nearest.Hint(value, known), joined(known))
}

// short cuts a foreign value to what a message can hold.
func short(value string) string {
	const most = 64
	if len(value) <= most {
		return value
	}
	return strings.ToValidUTF8(value[:most], "") + "..."
}

func joined(names []string) string { return strings.Join(names, ", ") }
