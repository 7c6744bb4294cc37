package management

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Params are the parameters of a call by name, as text. An empty one is as none; one that is not known does not count.
type Params map[string]string

// Service answers the calls of the API, whichever protocol they come by. It is safe for concurrent use. Its errors have
// TorchServe's words.
type Service struct {
	manager model.Manager
	log     *slog.Logger
}

// NewService returns a service over m. It logs why a model is not registered, where the caller gets TorchServe's words
// alone; nil: it does not.
func NewService(m model.Manager, log *slog.Logger) *Service {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Service{m, log}
}

// Answer is what came of a call: a text, and its status over HTTP.
type Answer struct {
	Status int
	Text   string
}

func done(format string, args ...any) (Answer, error) {
	return Answer{http.StatusOK, fmt.Sprintf(format, args...)}, nil
}

// pending is the answer to a call that did not wait.
func pending() (Answer, error) {
	return Answer{http.StatusAccepted, "Processing worker updates..."}, nil
}

// partial is the answer to a call that waited, and some workers are yet to come.
func partial() (Answer, error) {
	return Answer{http.StatusPartialContent, "Workers scaling in progress..."}, nil
}

// Register loads a model and serves it.
func (s *Service) Register(ctx context.Context, given Params) (Answer, error) {
	reg, err := registration(&params{values: given})
	if err != nil {
		return Answer{}, err
	}
	out, err := s.manager.Register(ctx, reg)
	if err != nil {
		if fault.Of(err) != fault.Internal { // which is logged above
			s.log.Warn("a model is not registered", "request", api.RequestID(ctx), "err", err)
		}
		return Answer{}, registering(err, reg)
	}
	switch {
	case out.Pending && !reg.Async:
		return partial()
	case out.Pending, reg.Async && out.Workers > 0:
		return pending()
	case out.Workers == 0:
		return done("Model %q Version: %s registered with 0 initial workers. "+
			"Use scale workers API to add workers for the model.", out.Ref.Name, out.Ref.Version)
	}
	return done("Model %q Version: %s registered with %d initial workers", out.Ref.Name, out.Ref.Version, out.Workers)
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

// Scale sets how many workers a version has.
func (s *Service) Scale(ctx context.Context, ref model.Ref, given Params) (Answer, error) {
	p := &params{values: given}
	least := p.numberOr("min_worker", 0, 1)
	want := model.Scale{Min: least, Max: p.numberOr("max_worker", 0, least), Async: !p.truth("synchronous", false)}
	ref.Version = cmp.Or(ref.Version, p.text("model_version"))
	switch {
	case p.err != nil:
		return Answer{}, p.err
	case want.Max < want.Min:
		return Answer{}, api.Words(fault.Invalid, "max_worker cannot be less than min_worker.")
	}
	out, err := s.manager.Scale(ctx, ref, want)
	switch {
	case err != nil:
		return Answer{}, api.About(err, ref)
	case want.Async:
		return pending()
	case out.Pending:
		return partial()
	case ref.Version != "":
		return done("Workers scaled to %d for model: %s, version: %s", want.Min, ref.Name, ref.Version)
	}
	return done("Workers scaled to %d for model: %s", want.Min, ref.Name)
}

// SetDefault makes a version the one that requests without a version go to.
func (s *Service) SetDefault(ctx context.Context, ref model.Ref) (Answer, error) {
	err := s.manager.SetDefault(ctx, ref)
	switch {
	case fault.Of(err) == fault.NoVersion: // other words than elsewhere
		return Answer{}, api.Words(err, "Model version %s does not exist for model %s", ref.Version, ref.Name)
	case err != nil:
		return Answer{}, api.About(err, ref)
	}
	return done("Default version successfully updated for model %q to %q", ref.Name, ref.Version)
}

// Unregister takes a version away, and returns when the requests that it had are answered.
func (s *Service) Unregister(ctx context.Context, ref model.Ref) (Answer, error) {
	err := s.manager.Unregister(ctx, ref)
	switch {
	case err == nil:
		return done("Model %q unregistered", ref.Name)
	case fault.Of(err) == fault.Timeout:
		return Answer{}, api.Words(err, "Timed out while cleaning resources: %s", ref.Name)
	}
	return Answer{}, api.About(err, ref)
}

// Listing is the body of a list.
type Listing struct {
	Next   string   `json:"nextPageToken,omitempty"`
	Models []Listed `json:"models"`
}

// Listed is a name in a list.
type Listed struct {
	Name string `json:"modelName"`
	URL  string `json:"modelUrl"`
}

// maxLimit is the longest page; TorchServe's.
const maxLimit = 100

// List tells the names. As TorchServe has it, a limit or a token that is out of range is as none.
func (s *Service) List(ctx context.Context, given Params) (Listing, error) {
	p := &params{values: given}
	limit := p.numberOr("limit", math.MinInt32, maxLimit)
	offset := max(0, p.numberOr("next_page_token", math.MinInt32, 0))
	if p.err != nil {
		return Listing{}, p.err
	}
	if limit <= 0 || limit > maxLimit {
		limit = maxLimit
	}
	l, err := s.manager.List(ctx, model.Page{Limit: limit, Offset: offset})
	if err != nil {
		return Listing{}, err
	}
	out := Listing{Models: []Listed{}}
	if l.Next > 0 {
		out.Next = strconv.Itoa(l.Next)
	}
	for _, m := range l.Models {
		out.Models = append(out.Models, Listed{m.Name, m.URL})
	}
	return out, nil
}

// allVersions stands in the place of a version for all of them.
const allVersions = "all"

// Describe tells of one version, of the default one where ref names none, or of all.
func (s *Service) Describe(ctx context.Context, ref model.Ref, given Params) ([]Described, error) {
	p := &params{values: given}
	d := model.Description{Customized: p.truth("customized", false)}
	if p.err != nil {
		return nil, p.err
	}
	if ref.Version == allVersions {
		ref.Version, d = "", model.Description{All: true}
	}
	all, err := s.manager.Describe(ctx, ref, d)
	switch {
	case errors.Is(err, model.ErrNoWorker):
		return nil, api.Words(err, "Model %q has no worker to serve describe request. Please use scale workers API to add workers.", ref.Name)
	case err != nil:
		return nil, api.About(err, ref)
	}
	bodies := make([]Described, len(all))
	for i, status := range all {
		bodies[i] = body(status, d.Customized)
	}
	return bodies, nil
}
