package kserve

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// headerLength is the header that tells how many bytes of a body are JSON, where the data of tensors follows it.
const headerLength = "Inference-Header-Content-Length"

// The parameters that mean something to the protocol.
const (
	binarySize     = "binary_data_size"   // of a tensor: how many of the bytes behind the JSON are its data
	binaryOutput   = "binary_data"        // of an output: whether its data is to be binary
	binaryOutputs  = "binary_data_output" // of a question: whether that of all outputs is
	mediaParameter = "content_type"       // of a tensor of bytes: its media type
)

// question is what a request of version 2 asks, as it is on the wire.
type question struct {
	ID         string     `json:"id"`
	Parameters parameters `json:"parameters"`
	Inputs     []given    `json:"inputs"`
	Outputs    []wanted   `json:"outputs"`
}

// given is a tensor of a question.
type given struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters parameters      `json:"parameters"`
	Data       json.RawMessage `json:"data"`
}

// wanted is an output that a question asks for.
type wanted struct {
	Name       string     `json:"name"`
	Parameters parameters `json:"parameters"`
}

// null is JSON's, which is as much as not there.
const null = "null"

// parameters are values in JSON.
type parameters map[string]json.RawMessage

// text returns a parameter as it would stand in a query.
func (p parameters) text(name string) (value string, ok bool, err error) {
	raw := p[name]
	if len(raw) == 0 || string(raw) == null {
		return "", false, nil
	}
	switch raw[0] {
	case '"':
		err = json.Unmarshal(raw, &value)
	case '{', '[':
		err = fmt.Errorf("it is %.40s", raw)
	default:
		value = string(raw)
	}
	if err != nil {
		return "", false, fmt.Errorf("%w: parameter %s: want a text, a number, true or false: %w", fault.Invalid, name, err)
	}
	return value, true, nil
}

// flag returns a parameter that is true or false; otherwise where it is not there.
func (p parameters) flag(name string, otherwise bool) (bool, error) {
	switch value, ok, err := p.text(name); {
	case err != nil || !ok:
		return otherwise, err
	case value == "true" || value == "false":
		return value == "true", nil
	default:
		return false, fmt.Errorf("%w: parameter %s is %.40q, want true or false", fault.Invalid, name, value)
	}
}

// size returns how many bytes a tensor has behind the JSON, and whether it has them there.
func (p parameters) size() (n int, ok bool, err error) {
	value, ok, err := p.text(binarySize)
	if err != nil || !ok {
		return 0, false, err
	}
	if n, err = strconv.Atoi(value); err != nil || n < 0 {
		return 0, false, fmt.Errorf("%w: parameter %s is %.40q, want a number of bytes", fault.Invalid, binarySize, value)
	}
	return n, true, nil
}

// refuse refuses a parameter that asks for what is not here, and whose silent absence would make a wrong answer.
func (p parameters) refuse(names ...string) error {
	for _, name := range names {
		if _, ok := p[name]; ok {
			return fmt.Errorf("%w: parameter %s is of an extension that is not here; GET /v2 lists those that are", fault.Unsupported, name)
		}
	}
	return nil
}

// read reads a question and its tensors. The question is empty where the whole body is the one input, as a length of 0 of
// its JSON says.
func read(r *http.Request, signature oip.Signature) (*question, [][]model.Input, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, nil, fmt.Errorf("%w: Content-Encoding %.40q; send the body as it is, or by gzip or deflate", fault.Unsupported, coding)
	}
	body, err := api.ReadBody(r)
	if err != nil {
		return nil, nil, err
	}
	text, rest := body, []byte(nil)
	if length := r.Header.Get(headerLength); length != "" {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > len(body) {
			return nil, nil, fmt.Errorf("%w: %s is %.40q, want how many of the body's %d bytes are JSON", fault.Invalid, headerLength, length, len(body))
		}
		if n == 0 {
			return &question{}, [][]model.Input{{file(r, body, signature)}}, nil
		}
		text, rest = body[:n], body[n:]
	}
	q, given, err := decode(text, rest)
	if err != nil {
		return nil, nil, err
	}
	rows, err := signature.Rows(given)
	return q, rows, err
}

// file returns a body that is the input itself.
func file(r *http.Request, body []byte, signature oip.Signature) model.Input {
	in := model.Input{Name: oip.Body, Data: body}
	if len(signature.Inputs) > 0 {
		in.Name = signature.Inputs[0].Name
	}
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if media = strings.ToLower(strings.TrimSpace(media)); media != "application/octet-stream" {
		in.ContentType = media
	}
	return in
}

// decode reads a question of its JSON and of the data behind it.
func decode(text, rest []byte) (*question, []oip.Given, error) {
	var q question
	if err := json.Unmarshal(text, &q); err != nil {
		return nil, nil, fmt.Errorf(`%w: the body: want {"inputs": [{"name", "shape", "datatype", "data"}, ...]}: %w`, fault.Invalid, err)
	}
	switch n := len(q.Inputs); {
	case n == 0:
		return nil, nil, fmt.Errorf("%w: inputs: want at least one tensor", fault.Invalid)
	case n > api.MaxFields || len(q.Outputs) > api.MaxFields:
		return nil, nil, fmt.Errorf("%w: the request has %d inputs and asks for %d outputs, at most %d are taken", fault.TooLarge, n, len(q.Outputs), api.MaxFields)
	}
	inputs := make([]oip.Given, len(q.Inputs))
	for i := range q.Inputs {
		in, left, err := q.Inputs[i].read(rest)
		if err != nil {
			return nil, nil, fmt.Errorf("input %d, %.100q: %w", i, q.Inputs[i].Name, err)
		}
		inputs[i], rest = in, left
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("%w: %d bytes follow the data of the last input", fault.Invalid, len(rest))
	}
	return &q, inputs, nil
}

// read reads a tensor, and returns what is left of the data behind the JSON.
func (g *given) read(rest []byte) (oip.Given, []byte, error) {
	var none oip.Given
	if err := g.Parameters.refuse("shared_memory_region"); err != nil {
		return none, nil, err
	}
	media, _, err := g.Parameters.text(mediaParameter)
	if err != nil {
		return none, nil, err
	}
	there := len(g.Data) > 0 && string(g.Data) != null
	n, binary, err := g.Parameters.size()
	switch {
	case err != nil:
		return none, nil, err
	case binary && there:
		return none, nil, fmt.Errorf("%w: it has data and %s; want one of the two", fault.Invalid, binarySize)
	case binary && n > len(rest):
		return none, nil, fmt.Errorf("%w: %s is %d, and %d bytes are left behind the JSON; does %s say where it ends?", fault.Invalid, binarySize, n, len(rest), headerLength)
	case !binary && !there:
		return none, nil, fmt.Errorf("%w: it has no data; want data, or %s and the bytes behind the JSON", fault.Invalid, binarySize)
	}
	in := oip.Given{Name: g.Name, ContentType: media}
	if binary {
		in.Tensor, err = oip.Decode(g.Datatype, g.Shape, rest[:n])
		rest = rest[n:]
	} else if in.Tensor, err = oip.FromJSON(g.Datatype, g.Shape, g.Data); err == nil {
		err = readable(&in)
	}
	if err != nil {
		return none, nil, err
	}
	return in, rest, nil
}

// readable makes of bytes that stood in JSON what they are: a text where nothing else is said, which a model of pictures
// reads as base64; and what is called base64, or has another media type, is the bytes of a file, which can only have come
// as base64.
func readable(in *oip.Given) error {
	texts, err := tensor.Data[string](in.Tensor)
	if err != nil {
		return nil //nolint:nilerr // numbers are what they are
	}
	media := strings.ToLower(in.ContentType)
	switch {
	case !strings.Contains(media, "/") && media != "base64":
		in.ContentType = "text/plain"
		return nil
	case plain(media):
		return nil
	}
	files := make([]string, len(texts))
	for i, text := range texts {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("%w: data of %s in JSON: element %d: want base64: %w", fault.Invalid, media, i, err)
		}
		files[i] = string(data)
	}
	in.Tensor, err = tensor.New(in.Tensor.Shape(), files)
	return err
}

// plain tells whether what has a media type is text, which stands in JSON as it is.
func plain(media string) bool {
	return strings.HasPrefix(media, "text/") || strings.HasPrefix(media, "application/json")
}

// params returns those parameters that are for the method or the handler: the question's, and where it has none the
// query's. Others mean nothing here.
func (s *service) params(r *http.Request, q *question) (map[string]string, error) {
	query, err := api.Query(r)
	if err != nil {
		return nil, err
	}
	params, err := inference.FromQuery(query, s.Params)
	if err != nil {
		return nil, err
	}
	for _, name := range s.Params {
		value, ok, err := q.Parameters.text(name)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			continue
		case len(value) > inference.MaxParam:
			return nil, fmt.Errorf("%w: the parameter %s has %d bytes, at most %d are taken", fault.TooLarge, name, len(value), inference.MaxParam)
		case params == nil:
			params = map[string]string{}
		}
		params[name] = value
	}
	return params, nil
}
