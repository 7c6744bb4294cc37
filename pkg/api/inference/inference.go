// Package inference is the inference API: TorchServe's routes for predictions, explanations and health. The route alone
// decides whether a request is explained.
package inference

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Models is what the API asks.
type Models interface {
	model.Predictor

	Ready() error                       // what /ping tells
	InputNames(ref model.Ref) []string  // of a model's network; nil where it is not known
	Only() (ref model.Ref, single bool) // the one model that there is, for routes that name none
}

// Options are what the API needs beside the models.
type Options struct {
	Params  []string            // the names of parameters: in a query, and in a form unless an input has that name
	MaxBody int64               // bytes of a body, for the message that refuses one; the caller sets the limit
	Version string              // of the program
	Servers []api.ServerAddress // of all three APIs
}

// New returns the API's routes.
func New(m Models, opts Options) api.HandlerFunc { return (&routes{m, opts}).serve }

type routes struct {
	models Models
	opts   Options
}

// serve finds the route. Which method a prediction has does not matter, as it does not to TorchServe.
func (a *routes) serve(w http.ResponseWriter, r *http.Request) error {
	path, err := api.Segments(r)
	if err != nil {
		return err
	}
	if len(path) == 0 {
		if r.Method != http.MethodOptions {
			return api.NoMethod()
		}
		return a.describe(w)
	}
	switch path[0] {
	case "api-description":
		return a.describe(w)
	case "ping":
		return a.ping(w)
	case "predictions":
		return a.named(w, r, model.ModePredict, path[1:], false)
	case "explanations":
		return a.named(w, r, model.ModeExplain, path[1:], false)
	case "invocations":
		return a.invocations(w, r)
	}
	return a.legacy(w, r, path)
}

// legacy are the routes that begin with a model's name, or with /models.
func (a *routes) legacy(w http.ResponseWriter, r *http.Request, path []string) error {
	switch {
	case len(path) == 3 && path[0] == "models" && path[2] == "invoke":
		return a.named(w, r, model.ModePredict, path[1:2], true)
	case len(path) == 2 && path[1] == "predict":
		return a.named(w, r, model.ModePredict, path[:1], true)
	case len(path) == 3 && path[2] == "predict":
		return a.named(w, r, model.ModePredict, path[:2], true)
	}
	return api.NoRoute()
}

// named asks the model that the path names: /{model}[/{version}[/...]].
func (a *routes) named(w http.ResponseWriter, r *http.Request, mode model.Mode, path []string, query bool) error {
	if len(path) == 0 {
		return api.NoRoute()
	}
	ref := model.Ref{Name: path[0]}
	if len(path) > 1 {
		ref.Version = path[1]
	}
	if ref.Check() != nil { // such a name cannot be that of a model
		return api.About(fmt.Errorf("model %q: %w", ref.Name, fault.NoModel), ref)
	}
	if r.Method == http.MethodOptions {
		return a.describeModel(w, ref)
	}
	body, err := a.read(r, query)
	if err != nil {
		return err
	}
	return a.ask(w, r, ref, mode, body)
}

// invocations asks the model that the query or the form names, or the only one.
func (a *routes) invocations(w http.ResponseWriter, r *http.Request) error {
	body, err := a.read(r, true)
	if err != nil {
		return err
	}
	name, ok := body.take("model_name")
	ref := model.Ref{Name: name}
	if !ok {
		if ref, ok = a.models.Only(); !ok {
			return api.Words(fault.Invalid, "Parameter model_name is required.")
		}
	}
	return a.ask(w, r, ref, model.ModePredict, body)
}

func (a *routes) ping(w http.ResponseWriter) error {
	if a.models.Ready() != nil {
		return api.WriteStatus(w, http.StatusInternalServerError, "Unhealthy")
	}
	return api.WriteStatus(w, http.StatusOK, "Healthy")
}

// ask makes the request, or one for each of several instances, and writes the answer.
func (a *routes) ask(w http.ResponseWriter, r *http.Request, ref model.Ref, mode model.Mode, b body) error {
	inputs, params := a.split(b, ref)
	req := &model.Request{ID: api.RequestID(r.Context()), Mode: mode, Inputs: inputs, Params: params, Header: visible(r.Header)}
	if instances, ok, err := instancesOf(req); err != nil {
		return err
	} else if ok {
		return a.askAll(w, r, ref, instances)
	}
	resp, err := a.models.Predict(r.Context(), ref, req)
	if err != nil {
		return refused(err, ref)
	}
	write(w, resp)
	return nil
}

// write sends an answer as it is.
func write(w http.ResponseWriter, resp *model.Response) {
	header := w.Header()
	for name, value := range resp.Header {
		header.Set(name, value)
	}
	if resp.ContentType != "" {
		header.Set("Content-Type", resp.ContentType)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(resp.Body) // a caller that has gone needs no answer
}

// refused gives a failure TorchServe's words.
func refused(err error, ref model.Ref) error {
	subject := fmt.Sprintf("Model %q", ref.Name)
	if ref.Version != "" {
		subject += fmt.Sprintf(" Version %q", ref.Version)
	}
	switch {
	case errors.Is(err, model.ErrNoWorker):
		return api.Words(err, "%s has no worker to serve inference request. Please use scale workers API to add workers.", subject)
	case errors.Is(err, model.ErrQueueFull):
		return api.Words(err, "%s has a full queue: too many requests wait already. Try again later, or add workers.", subject)
	}
	return api.About(err, ref)
}

// visible returns the headers that a handler may see: not the caller's key, and not those by which TorchServe's frontend
// tells its workers what is asked.
func visible(header http.Header) map[string][]string {
	all := maps.Clone(map[string][]string(header))
	maps.DeleteFunc(all, func(name string, _ []string) bool {
		return slices.ContainsFunc([]string{"Authorization", "Explain", "Describe"}, func(hidden string) bool {
			return strings.EqualFold(name, hidden)
		})
	})
	return all
}

func (a *routes) describe(w http.ResponseWriter) error {
	return api.WriteJSON(w, http.StatusOK, a.document())
}
