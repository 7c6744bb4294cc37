package text

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/tokenize"
)

// explainer returns the explainer that knows what the output's numbers mean.
func (c *classifier) explainer(e *explain.Explainer) (*explain.Explainer, error) {
	opts := e.Network()
	opts.Labels = c.labels
	handler.Activated(&opts, c.settings.Activation)
	return explain.New(opts)
}

// words are the tokens of a text and how much each counts.
type words struct {
	Words       []string  `json:"words"`
	Importances []float32 `json:"importances"`
	Delta       *float32  `json:"delta"` // null for a method that does not claim completeness
}

// full is a report with the tokens.
type full struct {
	explain.Report

	Words       []string  `json:"words"`
	Importances []float32 `json:"importances"`
	Offsets     [][2]int  `json:"offsets"` // where the tokens are in the text, in bytes
}

// Explain answers how much each token of the text counts.
func (c *classifier) Explain(ctx context.Context, req *model.Request, in tensor.Named) (handler.Answer, error) {
	params, err := explain.ParseParams(req.Params)
	if err != nil {
		return handler.Answer{}, err
	}
	if params.Format != "" && params.Format != explain.FormatJSON {
		return handler.Answer{}, fmt.Errorf("%w: format %q needs a model of images, this one answers json", fault.Unsupported, params.Format)
	}
	if slices.ContainsFunc(req.Inputs, func(in model.Input) bool { return in.Tensor != nil && in.Tensor.DType() != tensor.String }) {
		return handler.Answer{}, fmt.Errorf("%w: an explanation is of a text, and the request has token numbers", fault.Unsupported)
	}
	e, err := c.encode(req)
	if err != nil {
		return handler.Answer{}, err
	}
	baseline, err := c.baseline(e)
	if err != nil {
		return handler.Answer{}, err
	}
	x, err := c.explain(ctx, explain.Question{Input: in, Baseline: baseline, Params: params, Progress: req.Progress})
	if err != nil {
		return handler.Answer{}, err
	}
	plain, err := c.weigh(x, e)
	if err != nil {
		return handler.Answer{}, err
	}
	if err := c.warn(x, req); err != nil {
		return handler.Answer{}, err
	}
	answer := handler.Answer{Value: plain, Header: x.Header()}
	if params.Detail == explain.DetailFull {
		answer.Value = full{Report: x.Report(), Words: plain.Words, Importances: plain.Importances, Offsets: offsets(e)}
	}
	return answer, nil
}

// ids returns the input that holds the tokens' numbers.
func (c *classifier) ids() input {
	return c.inputs[slices.IndexFunc(c.inputs, func(in input) bool { return in.role == roleIDs })]
}

// baseline returns the text that says nothing: special tokens stay, all others become the one that fills up.
func (c *classifier) baseline(e tokenize.Encoding) (tensor.Named, error) {
	nothing, _ := c.tokenizer.Pad()
	ids := slices.Clone(e.IDs)
	for i, special := range e.Special {
		if !special {
			ids[i] = nothing
		}
	}
	in := c.ids()
	t, err := row(in.DType, ids)
	return tensor.Named{in.Name: t}, err
}

// weigh returns the importances of the tokens that do not only fill up: the sum of each one's attributions, divided by the
// norm of all sums.
func (c *classifier) weigh(x *explain.Explanation, e tokenize.Encoding) (words, error) {
	name := c.ids().Name
	if len(x.Inputs) == 1 { // the input itself, or the layer that its vectors were looked up in
		name = x.Inputs[0]
	}
	t := x.Attributions[name]
	attributions, err := tensor.Data[float32](t)
	if shape := t.Shape(); err != nil || len(shape) < 1 || len(shape) > 2 || shape[0] != int64(e.Len()) {
		return words{}, fmt.Errorf("%w: the attributions of %q are %v, the text has %d tokens", fault.Internal, name, t, e.Len())
	}
	w := words{Words: []string{}, Importances: []float32{}}
	width := len(attributions) / e.Len()
	sums, squares := make([]float64, 0, e.Len()), 0.0
	for i, token := range e.Tokens {
		if e.Mask[i] == 0 {
			continue
		}
		sum := 0.0
		for _, a := range attributions[i*width : (i+1)*width] {
			sum += float64(a)
		}
		sums, squares = append(sums, sum), squares+sum*sum
		w.Words = append(w.Words, token)
	}
	norm := math.Sqrt(squares)
	if norm == 0 {
		norm = 1
	}
	for _, sum := range sums {
		w.Importances = append(w.Importances, float32(sum/norm))
	}
	if x.Convergence != nil {
		w.Delta = &x.Convergence.Delta
	}
	return w, nil
}

// warn says so when the network has not seen all of the text.
func (c *classifier) warn(x *explain.Explanation, req *model.Request) error {
	text, err := readText(req)
	if err != nil {
		return err
	}
	whole, err := encodeText(c.tokenizer, text)
	if err != nil {
		return err
	}
	if whole.Len() > c.settings.MaxLength {
		x.Warnings = append(x.Warnings, fmt.Sprintf("the text has %d tokens, the model takes %d: the rest was not seen", whole.Len(), c.settings.MaxLength))
	}
	return nil
}

// offsets returns where the tokens that do not only fill up are in the text, in bytes.
func offsets(e tokenize.Encoding) [][2]int {
	all := [][2]int{}
	for i, at := range e.Offsets {
		if e.Mask[i] != 0 {
			all = append(all, at)
		}
	}
	return all
}
