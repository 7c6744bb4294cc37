package management

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// tell writes what came of a call.
func tell(w http.ResponseWriter, out Answer, err error) error {
	if err != nil {
		return err
	}
	return api.WriteStatus(w, out.Status, out.Text)
}

func (a *routes) register(w http.ResponseWriter, r *http.Request) error {
	p, err := readParams(r)
	if err != nil {
		return err
	}
	out, err := a.Register(r.Context(), p)
	return tell(w, out, err)
}

func (a *routes) scale(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	p, err := readQuery(r)
	if err != nil {
		return err
	}
	out, err := a.Scale(r.Context(), ref, p)
	return tell(w, out, err)
}

func (a *routes) setDefault(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	out, err := a.SetDefault(r.Context(), ref)
	return tell(w, out, err)
}

func (a *routes) unregister(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	out, err := a.Unregister(r.Context(), ref)
	return tell(w, out, err)
}

func (a *routes) list(w http.ResponseWriter, r *http.Request) error {
	p, err := readQuery(r)
	if err != nil {
		return err
	}
	page, err := a.List(r.Context(), p)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, page)
}

func (a *routes) describe(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	p, err := readQuery(r)
	if err != nil {
		return err
	}
	all, err := a.Describe(r.Context(), ref, p)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, all)
}
