// Package metrics is the metrics API: what a gatherer has, for Prometheus.
package metrics

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/tsgo/tsgo/pkg/api"
)

// Options are what the API needs beside the gatherer.
type Options struct {
	Version string              // of the program
	Servers []api.ServerAddress // of all three APIs
}

// New returns the API's routes.
func New(gatherer prometheus.Gatherer, opts Options) api.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		path, err := api.Segments(r)
		switch {
		case err != nil:
			return err
		case len(path) == 0 && r.Method == http.MethodOptions, len(path) == 1 && path[0] == "api-description":
			return api.WriteJSON(w, http.StatusOK, document(opts))
		case len(path) == 0:
			return api.NoMethod()
		case path[0] != "metrics":
			return api.NoRoute()
		}
		promhttp.HandlerFor(named(gatherer, r.URL.Query()["name[]"]), promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
		return nil
	}
}

// named returns the families of these names; all of them when there are none. A histogram's samples name their family.
func named(gatherer prometheus.Gatherer, names []string) prometheus.Gatherer {
	if len(names) == 0 {
		return gatherer
	}
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := gatherer.Gather()
		return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool {
			return !slices.ContainsFunc([]string{"", "_bucket", "_count", "_sum"}, func(suffix string) bool {
				return slices.Contains(names, f.GetName()+suffix)
			})
		}), err
	})
}

func document(opts Options) api.Document {
	d := api.NewDocument("tsgo metrics API", opts.Version, opts.Servers)
	d.Paths["/metrics"] = api.Paths{"get": {
		OperationID: "metrics", Description: "The server's metrics, as text for Prometheus.",
		Parameters: []api.Parameter{api.QueryParameter("name[]", "string", "Names to tell of; without it, all.")},
		Responses:  api.Answers("OK", "500"),
	}}
	return d
}
