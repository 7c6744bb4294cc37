package inference

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// question is what one HTTP request asks a model: one thing, or with instances several.
type question struct {
	ref       model.Ref
	reqs      []*model.Request
	instances bool
}

// question makes the model's requests.
func (s *service) question(r *http.Request, c *call, query api.Fields, inputs []model.Input) (*question, error) {
	given := fields{params: s.Params, inputs: s.Inputs(c.ref)}
	var params map[string]string
	var err error
	if !c.query { // where the query has inputs too, it is among them
		if params, err = given.fromQuery(query); err != nil {
			return nil, err
		}
	}
	if inputs, params, err = given.split(inputs, params); err != nil {
		return nil, err
	}
	request := &model.Request{ID: api.RequestID(r.Context()), Mode: c.mode, Inputs: inputs, Params: params, Header: c.header(r)}
	q := &question{ref: c.ref, reqs: []*model.Request{request}}
	if len(inputs) != 1 {
		return q, nil
	}
	instances, several, err := readInstances(inputs[0])
	if err != nil || !several {
		return q, err
	}
	q.instances, q.reqs = true, make([]*model.Request, len(instances))
	for i, instance := range instances {
		one := *request
		one.ID += "-" + strconv.Itoa(i)
		if one.Inputs, one.Params, err = given.split(instance, params); err != nil {
			return nil, q.at(i, err)
		}
		q.reqs[i] = &one
	}
	return q, nil
}

// at names the instance that an error is about.
func (q *question) at(i int, err error) error {
	if !q.instances {
		return err
	}
	return fmt.Errorf("instance %d: %w", i, err)
}

// answer asks the model.
func (q *question) answer(ctx context.Context, models model.Predictor) (*model.Response, error) {
	if q.instances {
		return q.answerAll(ctx, models)
	}
	return models.Predict(ctx, q.ref, q.reqs[0])
}

// header is what the handler may see of a request's: neither who asks, nor what would say that this is an explanation or
// a description, which the route alone does.
func (c *call) header(r *http.Request) map[string][]string {
	seen := make(map[string][]string, len(r.Header)+1)
	for name, values := range r.Header {
		switch name {
		case "Authorization", "Proxy-Authorization", "Explain", "Describe", "Url_path":
		default:
			seen[name] = values
		}
	}
	if c.tellRest {
		seen["url_path"] = []string{c.rest}
	}
	return seen
}

// fields tells parameters and inputs apart.
type fields struct{ params, inputs []string }

// maxParam is how long a parameter's value may be.
const maxParam = 4096

// fromQuery returns the parameters of a query, of each the first value.
func (f fields) fromQuery(query api.Fields) (map[string]string, error) {
	var params map[string]string
	for _, field := range query {
		if slices.Contains(f.params, field.Name) {
			if err := set(&params, field.Name, field.Value); err != nil {
				return nil, err
			}
		}
	}
	return params, nil
}

// split takes the parameters out of what a request carries, and adds them to those of base, which go first. What the
// network has an input for is an input.
func (f fields) split(all []model.Input, base map[string]string) ([]model.Input, map[string]string, error) {
	isParam := func(in model.Input) bool {
		return in.Tensor == nil && slices.Contains(f.params, in.Name) && !slices.Contains(f.inputs, in.Name)
	}
	if !slices.ContainsFunc(all, isParam) {
		return all, base, nil
	}
	params := maps.Clone(base)
	inputs := make([]model.Input, 0, len(all))
	for _, in := range all {
		if !isParam(in) {
			inputs = append(inputs, in)
			continue
		}
		if err := set(&params, in.Name, string(in.Data)); err != nil {
			return nil, nil, err
		}
	}
	return inputs, params, nil
}

// set sets a parameter that is not set yet.
func set(params *map[string]string, name, value string) error {
	if len(value) > maxParam {
		return fmt.Errorf("%w: the parameter %s has %d bytes, at most %d are taken", fault.TooLarge, name, len(value), maxParam)
	}
	if *params == nil {
		*params = map[string]string{}
	}
	if _, found := (*params)[name]; !found {
		(*params)[name] = value
	}
	return nil
}
