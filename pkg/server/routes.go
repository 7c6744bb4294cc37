package server

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/kserve"
	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/api/metrics"
	"github.com/tsgo/tsgo/pkg/registry"
)

// handler returns one of the three HTTP APIs.
func (s *Server) handler(what string) http.Handler {
	wrap := api.Options{
		Log: s.log, Access: s.opts.Access, Observe: s.metrics.Status, Header: s.opts.Header, MaxBody: s.opts.MaxBody,
		Guard: s.guard(api.API(what)),
	}
	var addresses api.Addresses
	for _, e := range s.endpoints {
		if e.GRPC {
			continue
		}
		*map[api.API]*string{
			api.Inference: &addresses.Inference, api.Management: &addresses.Management, api.Metrics: &addresses.Metrics,
		}[e.API] = e.URL
	}
	switch what {
	case "inference":
		return kserve.New(ready{s.models, s}, inference.New(ready{s.models, s}, inference.Options{
			API: wrap, Params: s.opts.Params, Inputs: s.models.InputNames, DefaultModel: s.models.Only,
			MaxAnswer: s.opts.MaxAnswer, Version: s.opts.Version, Addresses: addresses,
		}), kserve.Options{
			API: wrap, Params: s.opts.Params, Inputs: s.models.InputNames, Signature: s.signature, MaxAnswer: s.opts.MaxAnswer, Version: s.opts.Version,
		})
	case "management":
		return api.Wrap(management.New(s.models, management.Options{
			ModelAPI: s.modelAPI, Version: s.opts.Version, Addresses: addresses, Refresh: s.refresh(), Log: s.log,
		}), wrap)
	}
	return metrics.New(s.metrics.Gatherer(), metrics.Options{API: wrap, Version: s.opts.Version, Addresses: addresses})
}

// ready is the models of a server, which are not ready while the server stops.
type ready struct {
	*registry.Models

	server *Server
}

func (r ready) Ready() error { return r.server.Ready() }
