// Package inference is the API that answers requests: predictions, explanations and health, under TorchServe's routes. It
// makes of each HTTP request a model.Request and of each answer an HTTP answer; what models there are and how they
// answer is behind [Models].
package inference

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Models is what answers. It is safe for concurrent use.
type Models interface {
	model.Predictor
	// Ready returns nil when all that should answer can, and otherwise what cannot. It is what /ping tells.
	Ready() error
	// Describe is [model.Manager]'s.
	Describe(ctx context.Context, ref model.Ref, d model.Description) ([]model.Status, error)
}

// DefaultMaxBody is how many bytes a body may have where nothing else is said; TorchServe's number.
const DefaultMaxBody = 6553500

// Options are the settings of the API.
type Options struct {
	API api.Options // a MaxBody of 0 is [DefaultMaxBody]

	// Params are the names that a query or a form gives to the method or the handler, and not to the network: target,
	// method, top_k and the like.
	Params []string
	// Inputs tells the names of a model's inputs. A field of such a name is an input, even if it is one of Params; nil: of
	// no model.
	Inputs func(ref model.Ref) []string
	// DefaultModel tells the model that /invocations asks where the request names none; nil: there is none.
	DefaultModel func() (name string, ok bool)
	Wrote        Wrote // nil: nobody looks

	MaxAnswer int64         // bytes of a model's answer, a larger one is refused; 0: no limit
	Version   string        // of the server, for the description of the API
	Addresses api.Addresses // for the description of the API

	// More adds to the description of the API what else is answered at its address, and MoreOf to that of a model what else
	// asks it; nil: nothing does.
	More   func(d *api.Document)
	MoreOf func(d *api.Document, ref model.Ref)
}

// New returns the API's handler.
func New(models Models, opts Options) http.Handler {
	if opts.API.MaxBody == 0 {
		opts.API.MaxBody = DefaultMaxBody
	}
	if opts.DefaultModel == nil {
		opts.DefaultModel = func() (string, bool) { return "", false }
	}
	opts.Params = slices.Clone(opts.Params)
	s := &service{models: models, Options: opts}
	return api.Wrap(s.serve, opts.API)
}

type service struct {
	Options

	models Models
}

// serve answers one request.
func (s *service) serve(w http.ResponseWriter, r *http.Request) error {
	path, err := api.Segments(r)
	if err != nil {
		return err
	}
	switch {
	case len(path) == 0 && r.Method != http.MethodOptions:
		return api.NoMethod(w, http.MethodOptions)
	case len(path) == 0, len(path) == 1 && path[0] == "api-description":
		return api.WriteJSON(w, http.StatusOK, s.document())
	case path[0] == "ping":
		return s.ping(w)
	}
	c, ok := route(path)
	if !ok {
		return api.NoRoute()
	}
	if err := s.ask(w, r, &c); err != nil {
		return api.About(err, c.ref)
	}
	return nil
}

// ping tells whether all models can answer.
func (s *service) ping(w http.ResponseWriter) error {
	if err := s.models.Ready(); err != nil {
		return api.WriteStatus(w, http.StatusInternalServerError, "Unhealthy")
	}
	return api.WriteStatus(w, http.StatusOK, "Healthy")
}

// ask answers a request to a model.
func (s *service) ask(w http.ResponseWriter, r *http.Request, c *call) error {
	query, err := api.Query(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodOptions {
		return s.describe(w, r, c, query)
	}
	inputs, err := c.read(r, query)
	if err != nil {
		return err
	}
	if inputs, err = s.name(c, query, inputs); err != nil {
		return err
	}
	q := Question{Ref: c.ref, Mode: c.mode, Inputs: latest(inputs), Header: c.header(r)}
	if !c.query { // where the query has inputs too, it is among them
		if q.Params, err = FromQuery(query, s.Params); err != nil {
			return err
		}
	}
	asker := Asker{Models: s.models, Params: s.Params, Inputs: s.Inputs, Wrote: s.Wrote, MaxAnswer: s.MaxAnswer}
	resp, err := asker.Ask(r.Context(), q)
	if err != nil {
		return err
	}
	if err := asker.Fits(len(resp.Body)); err != nil {
		return err
	}
	asker.Send(w, r, q, resp.Timing, func() { Respond(w, resp) })
	return nil
}

// describe writes the description of a model's own routes.
func (s *service) describe(w http.ResponseWriter, r *http.Request, c *call, query api.Fields) error {
	if _, err := s.name(c, query, nil); err != nil {
		return err
	}
	states, err := s.models.Describe(r.Context(), c.ref, model.Description{})
	if err != nil {
		return err
	}
	if len(states) != 1 {
		return fmt.Errorf("describe %s: %w: %d versions", c.ref, fault.Internal, len(states))
	}
	return api.WriteJSON(w, http.StatusOK, s.modelDocument(states[0].Ref))
}

// modelName is the field that names the model where the path does not.
const modelName = "model_name"

// name finds the model where the path does not name it: in the query, in the form, or the default one. It returns the
// inputs without the name.
func (s *service) name(c *call, query api.Fields, inputs []model.Input) ([]model.Input, error) {
	if !c.nameless {
		return inputs, nil
	}
	c.ref.Name, _ = query.Get(modelName)
	rest := make([]model.Input, 0, len(inputs))
	for _, in := range inputs {
		switch {
		case in.Name != modelName:
			rest = append(rest, in)
		case c.ref.Name == "":
			c.ref.Name = string(in.Data)
		}
	}
	if c.ref.Name != "" {
		return rest, nil
	}
	name, ok := s.DefaultModel()
	if !ok {
		return nil, api.Words(fault.Invalid, "Parameter model_name is required.")
	}
	c.ref.Name = name
	return rest, nil
}

// latest returns of several inputs of one name the last, in the place of the first: what TorchServe's handlers get.
func latest(inputs []model.Input) []model.Input {
	if len(inputs) < 2 {
		return inputs
	}
	at := make(map[string]int, len(inputs))
	kept := make([]model.Input, 0, len(inputs))
	for _, in := range inputs {
		if i, found := at[in.Name]; found {
			kept[i] = in
			continue
		}
		at[in.Name] = len(kept)
		kept = append(kept, in)
	}
	return kept
}

// Respond writes an answer as it is.
func Respond(w http.ResponseWriter, resp *model.Response) {
	header := w.Header()
	SetHeader(header, resp.Header)
	if resp.ContentType != "" {
		header.Set("Content-Type", resp.ContentType)
	} else if header.Get("Content-Type") == "" {
		header["Content-Type"] = nil // net/http would guess one
	}
	header.Set("Content-Length", strconv.Itoa(len(resp.Body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(resp.Body) // a caller that has gone needs no answer
}

// SetHeader sets the headers that a model's answer has, but for the server's own.
func SetHeader(header http.Header, added map[string]string) {
	for name, value := range added {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Transfer-Encoding", "Connection", "X-Request-Id": // the server's own
		default:
			header.Set(name, value)
		}
	}
}
