package oip

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// MaxRows is how many files one request may hold.
const MaxRows = 1000

// Rows makes inputs of what a request gives: one row of them as a rule. Elements of bytes are files, pictures for instance,
// unless the model's signature has a tensor of bytes by that name. A tensor of several such elements asks about each: there
// are as many rows as it has elements, and what else is given goes with every one. It returns [fault.Invalid] when two such
// tensors have different numbers of files, and [fault.TooLarge] for more than [MaxRows].
func (s Signature) Rows(given []Given) ([][]model.Input, error) {
	n, first := 1, ""
	for _, g := range given {
		switch files := s.files(g); {
		case len(files) < 2:
		case len(files) > MaxRows:
			return nil, fmt.Errorf("%w: input %.100q has %d elements, at most %d are taken", fault.TooLarge, g.Name, len(files), MaxRows)
		case n > 1 && len(files) != n:
			return nil, fmt.Errorf("%w: input %.100q has %d elements, and %.100q has %d; want as many in each", fault.Invalid, first, n, g.Name, len(files))
		default:
			n, first = len(files), g.Name
		}
	}
	rows := make([][]model.Input, n)
	for i := range rows {
		rows[i] = make([]model.Input, len(given))
		for j, g := range given {
			rows[i][j] = s.input(g, i)
		}
	}
	return rows, nil
}

// files returns the elements of a tensor that are files; nil where it is a tensor of the network's.
func (s Signature) files(g Given) []string {
	texts, err := tensor.Data[string](g.Tensor)
	if err != nil || s.takesBytes(g.Name) {
		return nil
	}
	return texts
}

// input makes an input of what is given for a row.
func (s Signature) input(g Given, row int) model.Input {
	files := s.files(g)
	if len(files) == 0 {
		return model.Input{Name: g.Name, Tensor: &g.Tensor}
	}
	in := model.Input{Name: g.Name, Data: []byte(files[min(row, len(files)-1)])}
	if strings.Contains(g.ContentType, "/") {
		in.ContentType = strings.ToLower(g.ContentType)
	}
	return in
}

func (s Signature) takesBytes(name string) bool {
	return slices.ContainsFunc(s.Inputs, func(m Metadata) bool { return m.Name == name && m.Datatype == "BYTES" })
}

// Answers returns the tensors of the answers to several rows, joined along axis 0: those that are wanted, in that order, or
// all, in the order of the signature and otherwise of their names. Answers that do not join, as those that found different
// numbers of objects do not, have [Body] alone, with an element for each. It returns [fault.Invalid] for a name that the
// answers do not have, and for one that is wanted twice: each time would cost the memory of the whole tensor.
func (s Signature) Answers(rows []*model.Response, mode model.Mode, want []string) ([]Output, error) {
	joined := join(rows, mode)
	if len(want) == 0 {
		want = s.names(joined)
	}
	var outputs []Output
	for i, name := range want {
		t, ok := joined[name]
		switch {
		case slices.Contains(want[:i], name):
			return nil, fmt.Errorf("%w: output %.100q is asked for twice; want each once", fault.Invalid, name)
		case ok:
			outputs = append(outputs, Output{Name: name, Tensor: t})
		case name == Body:
			body, err := bodies(rows)
			if err != nil {
				return nil, err
			}
			outputs = append(outputs, body)
		case joined == nil && rows[0].Tensors[name].DType() != tensor.Undefined:
			return nil, fmt.Errorf("%w: output %q: the answers to the %d elements have different shapes; ask for the output %q, which has each, or one at a time", fault.Invalid, name, len(rows), Body)
		default:
			return nil, fmt.Errorf("%w: output %q: the answer has none of that name%s", fault.Invalid, name, nearest.Hint(name, s.names(joined)))
		}
	}
	return outputs, nil
}

// join stacks the tensors of answers; nil where they do not stack. A prediction has an axis for its rows, and an
// explanation gets one.
func join(rows []*model.Response, mode model.Mode) tensor.Named {
	if len(rows) == 1 {
		return rows[0].Tensors
	}
	parts := make([]tensor.Named, len(rows))
	for i, row := range rows {
		parts[i] = tensor.Named{}
		for name, t := range row.Tensors {
			if mode == model.ModeExplain {
				t, _ = t.Reshape(append([]int64{1}, t.Shape()...)...) // as many elements as before
			}
			if len(t.Shape()) == 0 || t.Shape()[0] != 1 {
				return nil
			}
			parts[i][name] = t
		}
	}
	whole, _, err := tensor.Stack(parts)
	if err != nil || len(whole) == 0 {
		return nil
	}
	return whole
}

// bodies returns the answers as the other APIs give them.
func bodies(rows []*model.Response) (Output, error) {
	texts, contentType := make([]string, len(rows)), rows[0].ContentType
	for i, row := range rows {
		texts[i] = string(row.Body)
		if row.ContentType != contentType {
			contentType = ""
		}
	}
	t, err := tensor.New([]int64{int64(len(rows))}, texts)
	return Output{Name: Body, ContentType: contentType, Tensor: t}, err
}
