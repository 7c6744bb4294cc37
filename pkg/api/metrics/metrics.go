// Package metrics is the API that gives the numbers of a server to whoever collects them. What is counted is behind a
// prometheus.Gatherer.
package metrics

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/tsgo/tsgo/pkg/api"
)

// Options are the settings of the API.
type Options struct {
	API       api.Options
	Version   string        // of the server, for the description of the API
	Addresses api.Addresses // for the description of the API
}

// New returns the API's handler.
func New(gatherer prometheus.Gatherer, opts Options) http.Handler {
	if opts.API.Log == nil {
		opts.API.Log = slog.New(slog.DiscardHandler)
	}
	s := &service{gatherer: gatherer, Options: opts}
	return api.Wrap(s.serve, opts.API)
}

type service struct {
	Options

	gatherer prometheus.Gatherer
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
	case path[0] == "metrics":
		return s.metrics(w, r)
	}
	return api.NoRoute()
}

// metrics writes all metrics, or those that the query names. What cannot be gathered is logged and left out.
func (s *service) metrics(w http.ResponseWriter, r *http.Request) error {
	query, err := api.Query(r)
	if err != nil {
		return err
	}
	families, err := s.gatherer.Gather()
	if err != nil {
		if len(families) == 0 {
			return fmt.Errorf("gather the metrics: %w", err)
		}
		s.API.Log.Warn("metrics are missing", "request", api.RequestID(r.Context()), "err", err)
	}
	families = named(families, query)
	plain := r.Clone(r.Context())
	plain.URL.RawQuery = "" // promhttp knows families only
	out := &writer{ResponseWriter: w}
	promhttp.HandlerFor(
		prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil }),
		promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError},
	).ServeHTTP(out, plain)
	out.name() // where nothing was written
	return nil
}

// named returns the families that the query's name[] fields name, by the name of the family or of one of its samples;
// without such fields, all.
func named(families []*dto.MetricFamily, query api.Fields) []*dto.MetricFamily {
	var names []string
	for _, f := range query {
		if f.Name == "name[]" {
			names = append(names, f.Value)
		}
	}
	if names == nil {
		return families
	}
	var kept []*dto.MetricFamily
	for _, family := range families {
		if slices.ContainsFunc(names, func(name string) bool { return has(family, name) }) {
			kept = append(kept, family)
		}
	}
	return kept
}

// has tells whether name is the family's, or that of one of its samples.
func has(family *dto.MetricFamily, name string) bool {
	suffix, ok := strings.CutPrefix(name, family.GetName())
	if !ok {
		return false
	}
	switch suffix {
	case "":
		return true
	case "_sum", "_count":
		return family.GetType() == dto.MetricType_HISTOGRAM || family.GetType() == dto.MetricType_SUMMARY
	case "_bucket":
		return family.GetType() == dto.MetricType_HISTOGRAM
	case "_total":
		return family.GetType() == dto.MetricType_COUNTER // so OpenMetrics calls it
	}
	return false
}

// writer gives the text format the content type that it has always had.
type writer struct{ http.ResponseWriter }

// Write writes a part of the answer.
func (w *writer) Write(p []byte) (int, error) {
	w.name()
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // it is the same writer to its caller
}

// WriteHeader writes the head of the answer.
func (w *writer) WriteHeader(code int) {
	w.name()
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach what is wrapped.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// name leaves out of the content type how names are escaped: no name here needs it, and there are readers that compare
// the type as a whole.
func (w *writer) name() {
	header := w.Header()
	if plain, escaped := strings.CutSuffix(header.Get("Content-Type"), "; escaping=underscores"); escaped {
		header.Set("Content-Type", plain)
	}
}

// document describes the API.
func (s *service) document() *api.Document {
	d := api.NewDocument(api.Info{Title: "Metrics API", Description: "The numbers of this server.", Version: s.Version}, api.Metrics, s.Addresses)
	d.AddDescription()
	Describe(d)
	return d
}

// Describe adds the API's operations to a document.
func Describe(d *api.Document) {
	text := api.Media{Schema: api.Schema{Type: "string"}}
	d.Add("/metrics", "get", api.Operation{
		ID: "metrics", Summary: "All metrics, in Prometheus's text format, or in OpenMetrics where Accept asks for it.",
		Parameters: []api.Parameter{api.QueryParameter("name[]", "metrics or samples to be told of; all without",
			api.Schema{Type: "array", Items: &api.Schema{Type: "string"}})},
		Responses: api.Ordered[api.Content]{{Key: "200", Value: api.Content{Description: "the metrics", Content: api.Ordered[api.Media]{
			{Key: "text/plain", Value: text}, {Key: "application/openmetrics-text", Value: text},
		}}}},
	})
}
