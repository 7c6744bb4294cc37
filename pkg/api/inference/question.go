package inference

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Question is what one call asks a model, whichever protocol it comes by.
type Question struct {
	Ref    model.Ref
	Mode   model.Mode
	Inputs []model.Input       // and parameters, by the names that Asker tells apart
	Params map[string]string   // these go before those among the inputs
	Header map[string][]string // what the handler may see; see [Visible]
}

// Asker makes requests of questions, and asks them. It is safe for concurrent use.
type Asker struct {
	Models model.Predictor
	Params []string                     // as in [Options]
	Inputs func(ref model.Ref) []string // as in [Options]
	Wrote  Wrote                        // nil: nobody looks

	MaxAnswer int64 // as in [Options]
}

// Fits returns [fault.TooLarge] for an answer of more bytes than are sent, as it is on the wire.
func (a Asker) Fits(size int) error {
	if a.MaxAnswer > 0 && int64(size) > a.MaxAnswer {
		return fmt.Errorf("%w: the answer has %d bytes, at most %d are sent; raise max_response_size (--max-response-size) of the server, or ask for less",
			fault.TooLarge, size, a.MaxAnswer)
	}
	return nil
}

// Wrote is told how long it took to write an answer of a model that is there.
type Wrote func(ref model.Ref, mode model.Mode, took time.Duration)

// Ask asks a question: one thing, or with instances several, whose answers it joins. The request's ID is that of ctx.
func (a Asker) Ask(ctx context.Context, q Question) (*model.Response, error) {
	made, err := a.requests(ctx, q)
	if err != nil {
		return nil, err
	}
	if made.instances {
		answers, err := a.askAll(ctx, made)
		if err != nil {
			return nil, err
		}
		return made.join(answers), nil
	}
	return a.Models.Predict(ctx, made.ref, made.reqs[0])
}

// AskRows asks the same of several rows of inputs, which stand in the place of the question's, and returns the answers in
// their order. One that fails fails all.
func (a Asker) AskRows(ctx context.Context, q Question, rows [][]model.Input) ([]*model.Response, error) {
	if len(rows) == 1 {
		q.Inputs = rows[0]
		resp, err := a.Ask(ctx, q)
		return []*model.Response{resp}, err
	}
	all := &requests{ref: q.Ref, reqs: make([]*model.Request, len(rows)), instances: true}
	given := a.fields(q.Ref)
	for i, row := range rows {
		inputs, params, err := given.split(row, q.Params)
		if err != nil {
			return nil, all.at(i, err)
		}
		id := api.RequestID(ctx) + "-" + strconv.Itoa(i)
		all.reqs[i] = &model.Request{ID: id, Mode: q.Mode, Inputs: inputs, Params: params, Header: q.Header}
	}
	return a.askAll(ctx, all)
}

// fields tells the parameters of a model's questions from their inputs.
func (a Asker) fields(ref model.Ref) fields {
	given := fields{params: a.Params}
	if a.Inputs != nil {
		given.inputs = a.Inputs(ref)
	}
	return given
}

// requests are what one question asks a model: one thing, or with instances several.
type requests struct {
	ref       model.Ref
	reqs      []*model.Request
	instances bool
}

func (a Asker) requests(ctx context.Context, ask Question) (*requests, error) {
	given := a.fields(ask.Ref)
	inputs, params, err := given.split(ask.Inputs, ask.Params)
	if err != nil {
		return nil, err
	}
	request := &model.Request{ID: api.RequestID(ctx), Mode: ask.Mode, Inputs: inputs, Params: params, Header: ask.Header}
	q := &requests{ref: ask.Ref, reqs: []*model.Request{request}}
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
func (q *requests) at(i int, err error) error {
	if !q.instances {
		return err
	}
	return fmt.Errorf("instance %d: %w", i, err)
}

// Visible returns what the handler may see of a call's headers, whose names are in canonical form: neither who asks, nor
// what would say that this is an explanation or a description, which the call alone does.
func Visible(all map[string][]string) map[string][]string {
	seen := make(map[string][]string, len(all)+1)
	for name, values := range all {
		switch name {
		case "Authorization", "Proxy-Authorization", "Explain", "Describe", "Url_path":
		default:
			seen[name] = values
		}
	}
	return seen
}

// header is what the handler may see of a request's.
func (c *call) header(r *http.Request) map[string][]string {
	seen := Visible(r.Header)
	if c.tellRest {
		seen["url_path"] = []string{c.rest}
	}
	return seen
}

// fields tells parameters and inputs apart.
type fields struct{ params, inputs []string }

// MaxParam is how long a parameter's value may be.
const MaxParam = 4096

// FromQuery returns the parameters of a query that have one of these names, of each the first value.
func FromQuery(query api.Fields, names []string) (map[string]string, error) {
	var params map[string]string
	for _, field := range query {
		if slices.Contains(names, field.Name) {
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
	if len(value) > MaxParam {
		return fmt.Errorf("%w: the parameter %s has %d bytes, at most %d are taken", fault.TooLarge, name, len(value), MaxParam)
	}
	if *params == nil {
		*params = map[string]string{}
	}
	if _, found := (*params)[name]; !found {
		(*params)[name] = value
	}
	return nil
}
