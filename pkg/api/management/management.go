// Package management is the management API: which models are served, and on how many workers, on TorchServe's routes and in
// its words.
//
// Where TorchServe hides a mistake it is told: a parameter that is no number, is out of range, or is neither true nor false
// is refused by its name, where TorchServe would use a default silently or store what cannot work. As there, parameters
// that are not known do not count, and an empty one is as none.
package management

import (
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// Options are what the API needs beside the manager.
type Options struct {
	ModelAPI  bool                     // whether models can be registered and unregistered
	Profile   bool                     // whether there are profiles under /debug/pprof, for callers on this machine
	Version   string                   // of the program
	Addresses api.Addresses            // of all three APIs
	Refresh   func(which string) error // makes the management or the inference key anew; nil: there is no /token
	More      func(d *api.Document)    // adds to the description what else is answered at its address; nil: nothing is
	Log       *slog.Logger             // why a model was not registered, where the caller gets TorchServe's words alone; nil: none
}

// New returns the API's routes.
func New(m model.Manager, opts Options) api.HandlerFunc {
	return (&routes{NewService(m, opts.Log), opts}).serve
}

type routes struct {
	*Service

	opts Options
}

func (a *routes) serve(w http.ResponseWriter, r *http.Request) error {
	path, err := api.Segments(r)
	switch {
	case err != nil:
		return err
	case len(path) == 0 && r.Method == http.MethodOptions, len(path) == 1 && path[0] == "api-description":
		return api.WriteJSON(w, http.StatusOK, a.document())
	case len(path) == 0:
		return api.NoMethod(w, http.MethodOptions)
	case len(path) == 1 && path[0] == "token" && a.opts.Refresh != nil:
		return a.token(w, r)
	case a.opts.Profile && len(path) > 1 && len(path) < 4 && path[0] == "debug" && path[1] == "pprof":
		return profile(w, r, strings.Join(path[2:], ""))
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
			return api.NoMethod(w, http.MethodPut)
		}
		return a.setDefault(w, r, model.Ref{Name: path[1], Version: path[2]})
	}
	ref := model.Ref{Name: path[1]}
	if len(path) == 3 {
		ref.Version = path[2]
	}
	return a.model(w, r, ref)
}

// token makes a key anew. It stands in the key file alone: the answer is TorchServe's, an empty line.
func (a *routes) token(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return api.NoMethod(w, http.MethodGet, http.MethodPost)
	}
	query, err := api.Query(r)
	if err != nil {
		return err
	}
	which, _ := query.Get("type")
	if err := a.opts.Refresh(which); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1")
	_, _ = io.WriteString(w, "\n") // a caller that has gone needs no answer
	return nil
}

// models are the routes of /models.
func (a *routes) models(w http.ResponseWriter, r *http.Request) error {
	allowed := []string{http.MethodGet}
	if a.opts.ModelAPI {
		allowed = append(allowed, http.MethodPost)
	}
	switch {
	case r.Method == http.MethodGet:
		return a.list(w, r)
	case r.Method == http.MethodPost && a.opts.ModelAPI:
		return a.register(w, r)
	}
	return api.NoMethod(w, allowed...)
}

// model are the routes of /models/{name} and /models/{name}/{version}.
func (a *routes) model(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	allowed := []string{http.MethodGet, http.MethodPut, http.MethodOptions}
	if a.opts.ModelAPI {
		allowed = append(allowed, http.MethodDelete)
	}
	switch {
	case r.Method == http.MethodGet:
		return a.describe(w, r, ref)
	case r.Method == http.MethodPut:
		return a.scale(w, r, ref)
	case r.Method == http.MethodOptions:
		return a.describeAPI(w, r, ref)
	case r.Method == http.MethodDelete && a.opts.ModelAPI:
		return a.unregister(w, r, ref)
	}
	return api.NoMethod(w, allowed...)
}
