package management

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func (a *routes) register(w http.ResponseWriter, r *http.Request) error {
	p := readParams(r)
	reg := model.Registration{
		URL: p.text("url"), Name: p.text("model_name"), Version: p.text("model_version"),
		Handler: p.text("handler"), Runtime: p.text("runtime"),
		MaxBatchDelay:   p.in("max_batch_delay", time.Millisecond, 0),
		ResponseTimeout: p.in("response_timeout", time.Second, 1),
		StartupTimeout:  p.in("startup_timeout", time.Second, 1),
		Async:           !p.truth("synchronous", true),
	}
	reg.BatchSize, _ = p.integer("batch_size", 1)
	if n, given := p.integer("initial_workers", 0); given {
		reg.Workers = &n
	}
	kms := p.truth("s3_sse_kms", false)
	switch {
	case p.err != nil:
		return p.err
	case reg.URL == "" && p.values["url"] == "":
		if _, given := p.values["url"]; given {
			return api.Words(fault.NoModel, "empty url")
		}
		return api.Words(fault.Invalid, "Parameter url is required.")
	case kms:
		return api.Words(fault.Unsupported, "Parameter s3_sse_kms: models are not fetched from S3.")
	case reg.Runtime != "" && reg.Runtime != "python" && reg.Runtime != "python3" && reg.Runtime != "LSP":
		return api.Words(fault.Invalid, "Invalid RuntimeType value: %s", reg.Runtime)
	}
	if ref := (model.Ref{Name: reg.Name, Version: reg.Version}); reg.Name != "" && ref.Check() != nil {
		return ref.Check()
	}
	out, err := a.manager.Register(r.Context(), reg)
	if err != nil {
		return registering(err, reg)
	}
	switch {
	case out.Pending:
		return api.WriteStatus(w, http.StatusAccepted, "Processing worker updates...")
	case out.Workers == 0:
		return api.WriteStatus(w, http.StatusOK, fmt.Sprintf("Model %q Version: %s registered with 0 initial workers. "+
			"Use scale workers API to add workers for the model.", out.Ref.Name, out.Ref.Version))
	}
	return api.WriteStatus(w, http.StatusOK, fmt.Sprintf("Model %q Version: %s registered with %d initial workers", out.Ref.Name, out.Ref.Version, out.Workers))
}

// registering gives a failed registration TorchServe's words. The ref of a conflict may be known to its cause alone.
func registering(err error, reg model.Registration) error {
	var conflict *model.ConflictError
	switch {
	case errors.As(err, &conflict):
		return api.About(err, conflict.Ref)
	case errors.Is(err, model.ErrUpwards):
		return api.Words(err, "Relative path is not allowed in url: %s", reg.URL)
	case errors.Is(err, model.ErrNotAllowed):
		return api.Words(err, "Given URL %s does not match any allowed URL(s)", reg.URL)
	case errors.Is(err, model.ErrNothingThere):
		return api.Words(err, "Model not found at: %s", reg.URL)
	}
	return err
}

func (a *routes) scale(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	p := readQuery(r)
	least, given := p.integer("min_worker", 0)
	if !given {
		least = 1
	}
	most, given := p.integer("max_worker", 0)
	if !given {
		most = least
	}
	async := !p.truth("synchronous", false)
	versioned := ref.Version
	if versioned == "" {
		ref.Version = p.text("model_version")
		versioned = ref.Version
	}
	switch {
	case p.err != nil:
		return p.err
	case most < least:
		return api.Words(fault.Invalid, "max_worker cannot be less than min_worker.")
	}
	out, err := a.manager.Scale(r.Context(), ref, model.Scale{Min: least, Max: most, Async: async})
	if err != nil {
		return api.About(err, ref)
	}
	if out.Pending {
		return api.WriteStatus(w, http.StatusAccepted, "Processing worker updates...")
	}
	text := fmt.Sprintf("Workers scaled to %d for model: %s", least, ref.Name)
	if versioned != "" {
		text += ", version: " + versioned
	}
	return api.WriteStatus(w, http.StatusOK, text)
}

func (a *routes) setDefault(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	err := a.manager.SetDefault(r.Context(), ref)
	switch {
	case fault.Of(err) == fault.NoVersion && err != nil:
		return api.Words(err, "Model version %s does not exist for model %s", ref.Version, ref.Name)
	case err != nil:
		return api.About(err, ref)
	}
	return api.WriteStatus(w, http.StatusOK, fmt.Sprintf("Default version successfully updated for model %q to %q", ref.Name, ref.Version))
}

func (a *routes) unregister(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	err := a.manager.Unregister(r.Context(), ref)
	switch {
	case err == nil:
		return api.WriteStatus(w, http.StatusOK, fmt.Sprintf("Model %q unregistered", ref.Name))
	case fault.Of(err) == fault.Timeout:
		return api.Words(err, "Timed out while cleaning resources: %s", ref.Name)
	}
	return api.About(err, ref)
}

// listing is the body of a list.
type listing struct {
	Next   string   `json:"nextPageToken,omitempty"`
	Models []listed `json:"models"`
}

type listed struct {
	Name string `json:"modelName"`
	URL  string `json:"modelUrl"`
}

// maxLimit is the longest page; TorchServe's.
const maxLimit = 100

func (a *routes) list(w http.ResponseWriter, r *http.Request) error {
	p := readQuery(r)
	limit, _ := p.integer("limit", 0)
	offset, _ := p.integer("next_page_token", 0)
	if p.err != nil {
		return p.err
	}
	if limit == 0 || limit > maxLimit {
		limit = maxLimit
	}
	l, err := a.manager.List(r.Context(), model.Page{Limit: limit, Offset: offset})
	if err != nil {
		return err
	}
	out := listing{Models: []listed{}}
	if l.Next > 0 {
		out.Next = strconv.Itoa(l.Next)
	}
	for _, m := range l.Models {
		out.Models = append(out.Models, listed{m.Name, m.URL})
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// allVersions stands in the place of a version for all of them.
const allVersions = "all"

func (a *routes) describe(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	p := readQuery(r)
	d := model.Description{Customized: p.truth("customized", false)}
	if p.err != nil {
		return p.err
	}
	if ref.Version == allVersions {
		ref.Version, d = "", model.Description{All: true}
	}
	all, err := a.manager.Describe(r.Context(), ref, d)
	switch {
	case errors.Is(err, model.ErrNoWorker):
		return api.Words(err, "Model %q has no worker to serve describe request. Please use scale workers API to add workers.", ref.Name)
	case err != nil:
		return api.About(err, ref)
	}
	bodies := make([]described, len(all))
	for i, status := range all {
		bodies[i] = body(status, d.Customized)
	}
	return api.WriteJSON(w, http.StatusOK, bodies)
}
