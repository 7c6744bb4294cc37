package management

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func (a *routes) register(w http.ResponseWriter, r *http.Request) error {
	reg, err := registration(readParams(r))
	if err != nil {
		return err
	}
	out, err := a.manager.Register(r.Context(), reg)
	if err != nil {
		if fault.Of(err) != fault.Internal { // which is logged above
			a.opts.Log.Warn("a model is not registered", "request", api.RequestID(r.Context()), "err", err)
		}
		return registering(err, reg)
	}
	switch {
	case out.Pending && !reg.Async:
		return api.WriteStatus(w, http.StatusPartialContent, "Workers scaling in progress...")
	case out.Pending, reg.Async && out.Workers > 0:
		return api.WriteStatus(w, http.StatusAccepted, "Processing worker updates...")
	case out.Workers == 0:
		return api.WriteStatus(w, http.StatusOK, fmt.Sprintf("Model %q Version: %s registered with 0 initial workers. "+
			"Use scale workers API to add workers for the model.", out.Ref.Name, out.Ref.Version))
	}
	return api.WriteStatus(w, http.StatusOK, fmt.Sprintf("Model %q Version: %s registered with %d initial workers", out.Ref.Name, out.Ref.Version, out.Workers))
}

// registration reads what is to be registered.
func registration(p *params) (model.Registration, error) {
	reg := model.Registration{
		URL: p.text("url"), Name: p.text("model_name"), Version: p.text("model_version"),
		Handler: p.text("handler"), Runtime: p.text("runtime"),
		BatchSize:       p.numberOr("batch_size", 1, 0),
		MaxBatchDelay:   p.in("max_batch_delay", time.Millisecond, 0),
		ResponseTimeout: p.in("response_timeout", time.Second, 1),
		StartupTimeout:  p.in("startup_timeout", time.Second, 1),
		Async:           !p.truth("synchronous", true),
	}
	if _, given := p.number("max_batch_delay", 0); given && reg.MaxBatchDelay == 0 {
		reg.MaxBatchDelay = time.Nanosecond // not to wait at all; nothing would leave it to the manifest
	}
	if n, given := p.number("initial_workers", 0); given {
		reg.Workers = &n
	}
	kms := p.truth("s3_sse_kms", false)
	switch _, given := p.values["url"]; {
	case p.err != nil:
		return reg, p.err
	case !given:
		return reg, api.Words(fault.Invalid, "Parameter url is required.")
	case reg.URL == "":
		return reg, api.Words(fault.NoModel, "empty url")
	case kms:
		return reg, api.Words(fault.Unsupported, "Parameter s3_sse_kms is not supported: models are not fetched from S3 with its signatures. "+
			"Put the model into the model store and register it by its name.")
	case !slices.Contains([]string{"", "python", "python3", "LSP"}, reg.Runtime):
		return reg, api.Words(fault.Invalid, "Invalid RuntimeType value: %s", reg.Runtime)
	case reg.Version == allVersions:
		return reg, api.Words(fault.Invalid, "Parameter model_version is %q, which stands for every version when a model is described; want another.", reg.Version)
	}
	return reg, model.Ref{Name: cmp.Or(reg.Name, "any"), Version: reg.Version}.Check()
}

// registering gives a failed registration TorchServe's words, where it has some for the cause.
func registering(err error, reg model.Registration) error {
	var conflict *model.ConflictError // knows the model, of which the registration need not name anything
	kind := fault.Of(err)
	switch {
	case errors.As(err, &conflict):
		return api.About(err, conflict.Ref)
	case errors.Is(err, model.ErrUpwards):
		return api.Words(err, "Relative path is not allowed in url: %s", reg.URL)
	case kind == fault.Download && errors.Is(err, model.ErrNotAllowed): // a redirect, which TorchServe follows anywhere
		return err
	case kind == fault.Download:
		return api.Words(err, "Failed to download archive from: %s", reg.URL)
	case errors.Is(err, model.ErrNotAllowed):
		return api.Words(err, "Given URL %s does not match any allowed URL(s)", reg.URL)
	case kind == fault.NoModel, kind == fault.NotFound:
		return api.Words(fmt.Errorf("%w: %w", fault.NoModel, err), "Model not found at: %s", reg.URL)
	}
	return err
}

func (a *routes) scale(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	p := readQuery(r)
	least := p.numberOr("min_worker", 0, 1)
	s := model.Scale{Min: least, Max: p.numberOr("max_worker", 0, least), Async: !p.truth("synchronous", false)}
	ref.Version = cmp.Or(ref.Version, p.text("model_version"))
	switch {
	case p.err != nil:
		return p.err
	case s.Max < s.Min:
		return api.Words(fault.Invalid, "max_worker cannot be less than min_worker.")
	}
	out, err := a.manager.Scale(r.Context(), ref, s)
	switch {
	case err != nil:
		return api.About(err, ref)
	case s.Async:
		return api.WriteStatus(w, http.StatusAccepted, "Processing worker updates...")
	case out.Pending:
		return api.WriteStatus(w, http.StatusPartialContent, "Workers scaling in progress...")
	}
	text := fmt.Sprintf("Workers scaled to %d for model: %s", s.Min, ref.Name)
	if ref.Version != "" {
		text += ", version: " + ref.Version
	}
	return api.WriteStatus(w, http.StatusOK, text)
}

func (a *routes) setDefault(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	err := a.manager.SetDefault(r.Context(), ref)
	switch {
	case fault.Of(err) == fault.NoVersion: // other words than elsewhere
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

// list tells the names. As TorchServe has it, a limit or a token that is out of range is as none.
func (a *routes) list(w http.ResponseWriter, r *http.Request) error {
	p := readQuery(r)
	limit := p.numberOr("limit", math.MinInt32, maxLimit)
	offset := max(0, p.numberOr("next_page_token", math.MinInt32, 0))
	if p.err != nil {
		return p.err
	}
	if limit <= 0 || limit > maxLimit {
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
