package explain

import (
	"context"
	"maps"
	"slices"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// LeaveOneOut replaces one token after the other with the baseline's: a token gets the score less the score without it.
// Tokens lie along the first axis of a row, and are identifiers or vectors; tokens that are the baseline's already get
// nothing. Inputs are gone through one after the other. It needs no gradient and claims no completeness.
func LeaveOneOut(ctx context.Context, f Function, req Request) (Explanation, error) {
	if err := req.check(); err != nil {
		return Explanation{}, err
	}
	tokens, all := leavable(req)
	var score, origin float64
	p := plan{
		total: 2 + len(tokens), // the input as it is and the baseline, then each token
		hidden: func(i int, input string) spans {
			switch {
			case i == 1:
				return everything(req.Input[input])
			case i > 1 && tokens[i-2].input == input:
				return tokens[i-2].span
			}
			return nothing
		},
		got: func(i int, s float64) {
			switch i {
			case 0:
				score = s
			case 1:
				origin = s
			default:
				all[tokens[i-2].input][tokens[i-2].at] = float32(score - s)
			}
		},
	}
	if err := evaluate(ctx, f, req, p); err != nil {
		return Explanation{}, err
	}
	x := Explanation{
		Target:       Target{Index: req.Target, Value: float32(score)},
		Baseline:     Baseline{Value: float32(origin)},
		Parameters:   Parameters{Seed: req.Params.Seed},
		Runtime:      Runtime{ForwardEvaluations: p.total},
		Attributions: make(tensor.Named, len(all)),
	}
	for name, values := range all {
		a, err := tensor.New([]int64{int64(len(values))}, values)
		if err != nil {
			return Explanation{}, err
		}
		x.Attributions[name] = a
	}
	return x, nil
}

// token is one token of an input, and where its elements are in a row.
type token struct {
	input string
	at    int
	span  spans
}

// leavable returns the tokens that differ from the baseline's, and a zero for each token of each input.
func leavable(req Request) ([]token, map[string][]float32) {
	var tokens []token
	all := map[string][]float32{}
	for _, name := range slices.Sorted(maps.Keys(req.Baseline)) {
		row, b := req.Input[name], req.Baseline[name]
		n := 1
		if shape := row.Shape(); len(shape) > 1 {
			n = int(shape[1])
		}
		all[name] = make([]float32, n)
		size := row.Len() / n
		for at := range n {
			if same(row, b, at*size, size) {
				continue
			}
			span := func(yield func(from, n int) bool) { yield(at*size, size) }
			tokens = append(tokens, token{name, at, span})
		}
	}
	return tokens, all
}

// same tells whether n elements of a and b, which are of one type and shape, are equal.
func same(a, b tensor.Tensor, from, n int) bool {
	return equal[int64](a, b, from, n) || equal[int32](a, b, from, n) || equal[float32](a, b, from, n)
}

func equal[T int64 | int32 | float32](a, b tensor.Tensor, from, n int) bool {
	x, err := tensor.Data[T](a)
	if err != nil {
		return false
	}
	y, err := tensor.Data[T](b)
	return err == nil && slices.Equal(x[from:from+n], y[from:from+n])
}
