package kserve

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// answer is an answer of version 2, as it is on the wire.
type answer struct {
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version,omitempty"` // where the question names one
	ID           string `json:"id"`
	Outputs      []told `json:"outputs"`
}

// told is a tensor of an answer.
type told struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters map[string]any  `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// tensors asks about tensors, and answers with tensors.
func (s *service) tensors(ref model.Ref, mode model.Mode) api.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		signature := s.Signature(ref)
		q, rows, err := read(r, signature)
		if err != nil {
			return err
		}
		names, binary, err := q.outputs()
		if err != nil {
			return err
		}
		ask := inference.Question{Ref: ref, Mode: mode, Header: inference.Visible(r.Header)}
		if ask.Params, err = s.params(r, q); err != nil {
			return err
		}
		answers, err := s.asker.AskRows(r.Context(), ask, rows)
		if err != nil {
			return api.About(err, ref)
		}
		outputs, err := signature.Answers(answers, mode, names)
		if err != nil {
			return err
		}
		whole := answer{ModelName: ref.Name, ModelVersion: ref.Version, ID: cmp.Or(q.ID, api.RequestID(r.Context()))}
		text, data, err := whole.encode(outputs, binary)
		if err != nil {
			return err
		}
		if err := s.asker.Fits(len(text) + len(data)); err != nil {
			return err
		}
		inference.SetHeader(w.Header(), inference.Common(answers))
		s.asker.Send(w, r, ask, timingOf(answers), func() { write(w, r, text, data) })
		return nil
	}
}

// timingOf returns the times of the stages, where there is one answer: those of several ran side by side.
func timingOf(answers []*model.Response) model.Timing {
	if len(answers) != 1 {
		return model.Timing{}
	}
	return answers[0].Timing
}

// outputs returns the names of the outputs that are wanted, none for all, and which of those are to be binary.
func (q *question) outputs() (names []string, binary func(i int) bool, err error) {
	all, err := q.Parameters.flag(binaryOutputs, false)
	if err != nil {
		return nil, nil, err
	}
	flags := make([]bool, len(q.Outputs))
	for i, o := range q.Outputs {
		if err = o.Parameters.refuse("classification", "shared_memory_region"); err == nil {
			flags[i], err = o.Parameters.flag(binaryOutput, all)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("output %d, %.100q: %w", i, o.Name, err)
		}
		names = append(names, o.Name)
	}
	return names, func(i int) bool { return i < len(flags) && flags[i] || len(flags) == 0 && all }, nil
}

// encode returns an answer's JSON, and the data behind it; nil: no output is binary.
func (a *answer) encode(outputs []oip.Output, binary func(i int) bool) (text, data []byte, err error) {
	a.Outputs = make([]told, len(outputs))
	for i, o := range outputs {
		out := &a.Outputs[i]
		*out = told{Name: o.Name, Shape: append([]int64{}, o.Tensor.Shape()...), Datatype: oip.Datatype(o.Tensor.DType()), Parameters: map[string]any{}}
		if o.ContentType != "" {
			out.Parameters[mediaParameter] = o.ContentType
		}
		if binary(i) {
			var raw []byte
			raw, err = oip.Encode(o.Tensor)
			out.Parameters[binarySize] = len(raw)
			data = append(data, raw...)
			if data == nil {
				data = []byte{}
			}
		} else {
			out.Data, err = inJSON(o)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("output %q: %w", o.Name, err)
		}
	}
	if text, err = json.Marshal(a); err != nil {
		return nil, nil, fmt.Errorf("encode the answer: %w", err)
	}
	return text, data, nil
}

// inJSON returns an output's data. That of files is in base64.
func inJSON(o oip.Output) ([]byte, error) {
	texts, err := tensor.Data[string](o.Tensor)
	if err != nil || o.ContentType == "" || plain(o.ContentType) {
		return oip.AppendJSON(nil, o.Tensor)
	}
	coded := make([]string, len(texts))
	for i, text := range texts {
		coded[i] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return json.Marshal(coded) //nolint:wrapcheck // strings always encode
}

// write writes an answer: its JSON, and data behind it where there is some; compressed where the caller asks for that.
func write(w http.ResponseWriter, r *http.Request, text, data []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if data != nil {
		header.Set("Content-Type", "application/octet-stream")
		header.Set(headerLength, strconv.Itoa(len(text)))
	}
	api.WriteCoded(w, r, text, data)
}
