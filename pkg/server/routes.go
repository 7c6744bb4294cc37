package server

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/api/metrics"
	"github.com/tsgo/tsgo/pkg/registry"
)

// handler returns one of the three APIs.
func (s *Server) handler(what string) http.Handler {
	wrap := api.Options{Log: s.log, Access: s.opts.Access, Observe: s.metrics.Status, Header: s.opts.Header, MaxBody: s.opts.MaxBody}
	servers := []api.ServerAddress{
		{URL: "http://" + s.addrs.Inference, Description: "inference"},
		{URL: "http://" + s.addrs.Management, Description: "management"},
	}
	if s.addrs.Metrics != "" {
		servers = append(servers, api.ServerAddress{URL: "http://" + s.addrs.Metrics, Description: "metrics"})
	}
	switch what {
	case "inference":
		return api.Wrap(inference.New(ready{s.models, s}, inference.Options{Params: s.opts.Params, Version: s.opts.Version, Servers: servers}), wrap)
	case "management":
		return api.Wrap(management.New(s.models, management.Options{
			ModelAPI: s.opts.ModelAPI, Version: s.opts.Version, Servers: servers, Log: s.log,
		}), wrap)
	}
	return api.Wrap(metrics.New(s.metrics.Gatherer(), metrics.Options{Version: s.opts.Version, Servers: servers}), wrap)
}

// ready is the models of a server, which are not ready while the server stops.
type ready struct {
	*registry.Models

	server *Server
}

func (r ready) Ready() error { return r.server.Ready() }
