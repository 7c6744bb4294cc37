// Package kserve is KServe's protocols over HTTP: version 1, of instances and predictions, and version 2, the Open Inference
// Protocol, of tensors, in JSON and with their data in binary form. It asks models through package inference, as the other
// APIs do; the tensors are package oip's.
//
// An explanation is asked for as TorchServe has it: by the path, /v1/models/NAME:explain or /v2/models/NAME/explain.
package kserve

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Models is what answers. It is safe for concurrent use.
type Models interface {
	inference.Models
	// List is [model.Manager]'s.
	List(ctx context.Context, p model.Page) (model.Listing, error)
}

// Options are the settings of the protocols.
type Options struct {
	API api.Options // a MaxBody of 0 is [inference.DefaultMaxBody]; Failure is the protocols' own

	// Params are the names of inputs and parameters that are for the method or the handler, and not for the network:
	// target, method, top_k and the like.
	Params []string
	// Inputs tells the names of a model's inputs. Something of such a name is an input, even if it is one of Params; nil:
	// of no model.
	Inputs func(ref model.Ref) []string
	// Signature tells what a model takes and gives; nil, and for a model that is not known: nothing is known.
	Signature func(ref model.Ref) oip.Signature
	Wrote     inference.Wrote // nil: nobody looks

	MaxAnswer int64  // as in [inference.Options]; of tensors, it counts what is sent of them
	Version   string // of the server
}

// New returns a handler that answers what comes under the paths of the protocols, and leaves everything else to next.
func New(models Models, next http.Handler, opts Options) http.Handler {
	if opts.API.MaxBody == 0 {
		opts.API.MaxBody = inference.DefaultMaxBody
	}
	if opts.Signature == nil {
		opts.Signature = func(model.Ref) oip.Signature { return oip.Signature{} }
	}
	opts.Params = slices.Clone(opts.Params)
	opts.API.Failure = func(message string) any { return failure{message} }
	s := &service{Options: opts, models: models, asker: inference.Asker{
		Models: models, Params: opts.Params, Inputs: opts.Inputs, Wrote: opts.Wrote, MaxAnswer: opts.MaxAnswer,
	}}
	own := api.Wrap(s.serve, opts.API)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, err := api.Segments(r); err == nil && owns(path) {
			own.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// failure is the body of a failure, in both protocols.
type failure struct {
	Error string `json:"error"`
}

// owns tells whether a path belongs to the protocols. A model that is called v1 or v2 keeps TorchServe's oldest way to ask
// it, /v2/predict and /v2/VERSION/predict.
func owns(path []string) bool {
	n := len(path)
	switch {
	case n == 0:
		return false
	case path[0] == "v1":
		return n > 1 && path[1] == "models"
	case path[0] == "v2":
		return n == 1 || path[1] == "models" || path[1] == "health" || path[n-1] != "predict" || n > 3
	}
	return false
}

type service struct {
	Options

	models Models
	asker  inference.Asker
}

// serve answers one request.
func (s *service) serve(w http.ResponseWriter, r *http.Request) error {
	path, err := api.Segments(r)
	if err != nil {
		return err
	}
	find := s.second
	if path[0] == "v1" {
		find = s.first
	}
	answer, methods := find(path)
	switch {
	case answer == nil:
		return api.NoRoute()
	case r.Method == http.MethodOptions: // a browser asks whether it may ask
		w.Header().Set("Allow", strings.Join(methods, ", "))
		w.WriteHeader(http.StatusNoContent)
		return nil
	case !slices.Contains(methods, r.Method):
		return api.NoMethod(w, methods...)
	}
	return answer(w, r)
}

// reads are the methods of what only tells, asks those of a question.
func reads() []string { return []string{http.MethodGet, http.MethodHead} }
func asks() []string  { return []string{http.MethodPost, http.MethodPut} }

// list tells the names of all models.
func (s *service) list(w http.ResponseWriter, r *http.Request) error {
	names := []string{}
	for page := (model.Page{Limit: 1000}); ; {
		some, err := s.models.List(r.Context(), page)
		if err != nil {
			return err
		}
		for _, m := range some.Models {
			names = append(names, m.Name)
		}
		if some.Next <= page.Offset {
			return api.WriteJSON(w, http.StatusOK, map[string][]string{"models": names})
		}
		page.Offset = some.Next
	}
}

// ready tells whether a model can answer, by its status too.
func (s *service) ready(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	state, err := s.describe(r.Context(), ref)
	if err != nil {
		return err
	}
	ready := oip.Ready(state)
	return api.WriteJSON(w, readyStatus(ready), struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{ref.Name, ready})
}

func readyStatus(ready bool) int {
	if ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// describe tells of one version.
func (s *service) describe(ctx context.Context, ref model.Ref) (model.Status, error) {
	states, err := s.models.Describe(ctx, ref, model.Description{})
	if err != nil {
		return model.Status{}, api.About(err, ref)
	}
	if len(states) != 1 {
		return model.Status{}, fmt.Errorf("describe %s: %w: %d versions", ref, fault.Internal, len(states))
	}
	return states[0], nil
}
