package server

import (
	"net/http"
	"slices"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/kserve"
	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/api/metrics"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

// handler returns what answers on a listener: one of the three HTTP APIs, or those that share it.
func (s *Server) handler(l *listener) http.Handler {
	var here []api.API
	for _, a := range s.answered {
		if a.on == l {
			here = append(here, a.api())
		}
	}
	if len(here) == 1 {
		return s.one(here[0], nil)
	}
	parts := map[api.API]http.Handler{here[0]: s.one(here[0], here[1:])}
	for _, other := range here[1:] {
		parts[other] = s.one(other, nil)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _ := api.Segments(r) // a path that is broken has no parts, and is refused by whoever gets it
		parts[owner(path, here)].ServeHTTP(w, r)
	})
}

// owner returns the API, of those at one address, that a path belongs to. The first one has what belongs to none, and
// describes all. Where a path could be of two, TorchServe's inference API goes first: a model may be called metrics.
func owner(path []string, here []api.API) api.API {
	n, asks := len(path), slices.Contains(here, api.Inference)
	var to api.API
	switch {
	case n == 0:
	case asks && n == 3 && path[0] == "models" && path[2] == "invoke", asks && path[0] == "metrics" && path[n-1] == "predict":
		to = api.Inference
	case path[0] == "models", n == 1 && path[0] == "token", n > 1 && path[0] == "debug" && path[1] == "pprof":
		to = api.Management
	case path[0] == "metrics":
		to = api.Metrics
	}
	if slices.Contains(here, to) {
		return to
	}
	return here[0]
}

// one returns one of the three HTTP APIs, which describes others at its address too.
func (s *Server) one(of api.API, others []api.API) http.Handler {
	wrap := api.Options{
		Log: s.log, Access: s.opts.Access, Observe: s.metrics.Status, Header: s.opts.Header, MaxBody: s.opts.MaxBody, Guard: s.guard(of),
	}
	addresses := s.addresses()
	manage := management.Options{
		ModelAPI: s.modelAPI, Profile: s.opts.Profile, Version: s.opts.Version, Addresses: addresses, Refresh: s.refresh(), Log: s.log,
	}
	more := func(d *api.Document) {
		if slices.Contains(others, api.Management) {
			management.Describe(d, manage)
		}
		if slices.Contains(others, api.Metrics) {
			metrics.Describe(d)
		}
	}
	models := ready{s.models, s}
	switch of {
	case api.Inference:
		return kserve.New(models, inference.New(models, inference.Options{
			API: wrap, Params: s.opts.Params, Inputs: s.models.InputNames, DefaultModel: s.models.Only,
			Wrote: s.models.Wrote, MaxAnswer: s.opts.MaxAnswer, Version: s.opts.Version, Addresses: addresses,
			More: func(d *api.Document) {
				kserve.Describe(d, s.opts.Params)
				more(d)
			},
			MoreOf: func(d *api.Document, ref model.Ref) { kserve.DescribeModel(d, ref, s.opts.Params) },
		}), kserve.Options{
			API: wrap, Params: s.opts.Params, Inputs: s.models.InputNames, Signature: s.signature,
			Wrote: s.models.Wrote, MaxAnswer: s.opts.MaxAnswer, Version: s.opts.Version,
		})
	case api.Management:
		manage.More = more
		return api.Wrap(management.New(s.models, manage), wrap)
	case api.Metrics:
	}
	return metrics.New(s.metrics.Gatherer(), metrics.Options{API: wrap, Version: s.opts.Version, Addresses: addresses})
}

// addresses returns where the HTTP APIs are.
func (s *Server) addresses() api.Addresses {
	var all api.Addresses
	for _, e := range s.endpoints {
		if e.GRPC {
			continue
		}
		*map[api.API]*string{api.Inference: &all.Inference, api.Management: &all.Management, api.Metrics: &all.Metrics}[e.API] = e.URL
	}
	return all
}

// ready is the models of a server, which are not ready while the server stops.
type ready struct {
	*registry.Models

	server *Server
}

func (r ready) Ready() error { return r.server.Ready() }
