package kserve

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/model"
)

// second finds what answers a path of version 2, and to which methods; nil: nothing does.
func (s *service) second(path []string) (api.HandlerFunc, []string) {
	n := len(path)
	switch {
	case n == 1:
		return s.about, reads()
	case path[1] == "health" && n == 3 && path[2] == "live":
		return func(w http.ResponseWriter, _ *http.Request) error {
			return api.WriteJSON(w, http.StatusOK, map[string]bool{"live": true}) // who asks gets an answer
		}, reads()
	case path[1] == "health" && n == 3 && path[2] == "ready":
		return s.allReady, reads()
	case path[1] != "models":
		return nil, nil
	case n == 2:
		return s.list, reads()
	}
	ref, rest := model.Ref{Name: path[2]}, path[3:]
	if len(rest) > 1 && rest[0] == "versions" {
		ref.Version, rest = rest[1], rest[2:]
	}
	if len(rest) > 1 {
		return nil, nil
	}
	if len(rest) == 0 {
		return func(w http.ResponseWriter, r *http.Request) error { return s.metadata(w, r, ref) }, reads()
	}
	switch rest[0] {
	case "ready":
		return func(w http.ResponseWriter, r *http.Request) error { return s.ready(w, r, ref) }, reads()
	case "infer":
		return s.tensors(ref, model.ModePredict), asks()
	case "explain":
		return s.tensors(ref, model.ModeExplain), asks()
	}
	return nil, nil
}

// about tells what the server is.
func (s *service) about(w http.ResponseWriter, _ *http.Request) error {
	return api.WriteJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{"tsgo", s.Version, []string{"binary_tensor_data"}})
}

// allReady tells whether all models can answer, by its status too.
func (s *service) allReady(w http.ResponseWriter, _ *http.Request) error {
	ready := s.models.Ready() == nil
	return api.WriteJSON(w, readyStatus(ready), map[string]bool{"ready": ready})
}

// metadata tells what a model takes and gives, and which versions it has.
func (s *service) metadata(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	state, err := s.describe(r.Context(), ref)
	if err != nil {
		return err
	}
	all, err := s.models.Describe(r.Context(), model.Ref{Name: ref.Name}, model.Description{All: true})
	if err != nil {
		return api.About(err, ref)
	}
	versions := make([]string, len(all))
	for i, one := range all {
		versions[i] = one.Ref.Version
	}
	signature := s.Signature(state.Ref)
	return api.WriteJSON(w, http.StatusOK, struct {
		Name     string         `json:"name"`
		Versions []string       `json:"versions"`
		Platform string         `json:"platform"`
		Inputs   []oip.Metadata `json:"inputs"`
		Outputs  []oip.Metadata `json:"outputs"`
	}{ref.Name, versions, oip.Platform, append([]oip.Metadata{}, signature.Inputs...), append([]oip.Metadata{}, signature.Outputs...)})
}
