// Package management is the management API: which models are served, and on how many workers, on TorchServe's routes and in
// its words. Parameters that are not numbers, or out of range, are refused, where TorchServe would use a default silently.
package management

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// Options are what the API needs beside the manager.
type Options struct {
	ModelAPI bool                // whether models can be registered and unregistered
	Version  string              // of the program
	Servers  []api.ServerAddress // of all three APIs
}

// New returns the API's routes.
func New(m model.Manager, opts Options) api.HandlerFunc { return (&routes{m, opts}).serve }

type routes struct {
	manager model.Manager
	opts    Options
}

func (a *routes) serve(w http.ResponseWriter, r *http.Request) error {
	path, err := api.Segments(r)
	switch {
	case err != nil:
		return err
	case len(path) == 0 && r.Method == http.MethodOptions, len(path) == 1 && path[0] == "api-description":
		return api.WriteJSON(w, http.StatusOK, a.document())
	case len(path) == 0:
		return api.NoMethod()
	case path[0] != "models" || len(path) > 4:
		return api.NoRoute()
	}
	switch len(path) {
	case 1:
		return a.models(w, r)
	case 4:
		if path[3] != "set-default" {
			return api.NoRoute()
		}
		if r.Method != http.MethodPut {
			return api.NoMethod()
		}
		return a.setDefault(w, r, model.Ref{Name: path[1], Version: path[2]})
	}
	ref := model.Ref{Name: path[1]}
	if len(path) == 3 {
		ref.Version = path[2]
	}
	return a.model(w, r, ref)
}

// models are the routes of /models.
func (a *routes) models(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodGet:
		return a.list(w, r)
	case http.MethodPost:
		if !a.opts.ModelAPI {
			return api.NoMethod()
		}
		return a.register(w, r)
	}
	return api.NoMethod()
}

// model are the routes of /models/{name} and /models/{name}/{version}.
func (a *routes) model(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	switch r.Method {
	case http.MethodGet:
		return a.describe(w, r, ref)
	case http.MethodPut:
		return a.scale(w, r, ref)
	case http.MethodOptions:
		return a.describeAPI(w, r, ref)
	case http.MethodDelete:
		if !a.opts.ModelAPI {
			return api.NoMethod()
		}
		return a.unregister(w, r, ref)
	}
	return api.NoMethod()
}
