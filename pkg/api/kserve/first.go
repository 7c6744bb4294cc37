package kserve

import (
	"net/http"
	"strings"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/model"
)

// first finds what answers a path of version 1, and to which methods; nil: nothing does.
func (s *service) first(path []string) (api.HandlerFunc, []string) {
	switch len(path) {
	case 2:
		return s.list, reads()
	case 3:
	default:
		return nil, nil
	}
	name, verb, _ := strings.Cut(path[2], ":")
	ref := model.Ref{Name: name}
	switch verb {
	case "":
		return func(w http.ResponseWriter, r *http.Request) error { return s.ready(w, r, ref) }, reads()
	case "predict":
		return s.instances(ref, model.ModePredict), asks()
	case "explain":
		return s.instances(ref, model.ModeExplain), asks()
	}
	return nil, nil
}

// instances asks about each of a body's instances and joins the answers. A body without instances is one input, as
// TorchServe takes it, and its answer stands alone.
func (s *service) instances(ref model.Ref, mode model.Mode) api.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		q := inference.Question{Ref: ref, Mode: mode, Header: inference.Visible(r.Header)}
		query, err := api.Query(r)
		if err != nil {
			return err
		}
		if q.Params, err = inference.FromQuery(query, s.Params); err != nil {
			return err
		}
		if q.Inputs, err = inference.ReadInputs(r); err != nil {
			return err
		}
		resp, err := s.asker.Ask(r.Context(), q)
		if err != nil {
			return api.About(err, ref)
		}
		if err := s.asker.Fits(len(resp.Body)); err != nil {
			return err
		}
		s.asker.Send(w, r, q, resp.Timing, func() { inference.Respond(w, resp) })
		return nil
	}
}
