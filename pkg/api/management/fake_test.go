package management_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// fake is a manager over a map: it does what a registry does, and serves nothing.
type fake struct {
	mu         sync.Mutex
	names      map[string]*versions
	registered []model.Registration // what it was asked for
	short      bool                 // fewer workers run than were asked for when a call returns
	failure    error                // of every call that could succeed
}

type versions struct {
	def string
	all map[string]*model.Status
}

// shelf is what lies in the store of a fake: models by their location.
func shelf(location string) (model.Ref, error) {
	switch location {
	case "mnist.mar":
		return model.Ref{Name: "mnist", Version: "1.0"}, nil
	case "mnist-2.mar":
		return model.Ref{Name: "mnist", Version: "2.0"}, nil
	case "resnet-18.mar":
		return model.Ref{Name: "resnet-18", Version: "1.0"}, nil
	}
	for known, err := range map[string]error{
		"../up.mar":                    fmt.Errorf("%w: %w", fault.NoModel, model.ErrUpwards),
		"https://elsewhere/a.mar":      fmt.Errorf("a place: %w: %w", fault.NoModel, model.ErrNotAllowed),
		"https://host/gone.mar":        fmt.Errorf("fetch it: %w: the server answered 404 Not Found", fault.Download),
		"https://host/away.mar":        fmt.Errorf("fetch https://host/away.mar: %w: redirected: https://elsewhere/a.mar: %w", fault.Download, model.ErrNotAllowed),
		"https://host/mnist.mar":       fmt.Errorf("%w: model file mnist.mar is in the model store", fault.Conflict),
		"s3://bucket/a.mar":            fmt.Errorf("models from s3 URLs: %w", fault.Unsupported),
		"https://me:secret@host/a.mar": fmt.Errorf("%w: credentials in a URL", fault.Invalid),
		"cut.mar":                      fmt.Errorf("%w: cut.mar: not a zip", fault.BadModel),
		"vanished.mar":                 fmt.Errorf("%w: no model at vanished.mar", fault.NotFound),
		"slow.mar":                     fmt.Errorf("load slow.mar: %w", context.DeadlineExceeded),
		"bug.mar":                      errors.New("a defect with its secrets"),
		"closing.mar":                  model.ErrClosed,
	} {
		if location == known {
			return model.Ref{}, err
		}
	}
	return model.Ref{}, fmt.Errorf("%w: %w", fault.NoModel, model.ErrNothingThere)
}

// serving is a fake that serves mnist 1.0 (default) and 2.0, and resnet-18 1.0.
func serving() *fake {
	f := &fake{names: map[string]*versions{}}
	for _, location := range []string{"mnist.mar", "mnist-2.mar", "resnet-18.mar"} {
		workers := 1
		if _, err := f.Register(context.Background(), model.Registration{URL: location, Workers: &workers, AtStartup: location != "mnist-2.mar"}); err != nil {
			panic(err)
		}
	}
	f.registered = nil
	return f
}

func (f *fake) Register(_ context.Context, r model.Registration) (model.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registered = append(f.registered, r)
	ref, err := shelf(r.URL)
	if err := errors.Join(err, f.failure); err != nil {
		return model.Outcome{}, err
	}
	if r.Name != "" {
		ref.Name = r.Name
	}
	if r.Version != "" {
		ref.Version = r.Version
	}
	n := f.names[ref.Name]
	if n == nil {
		n = &versions{ref.Version, map[string]*model.Status{}}
		f.names[ref.Name] = n
	}
	if n.all[ref.Version] != nil {
		return model.Outcome{}, &model.ConflictError{Ref: ref}
	}
	s := &model.Status{
		Ref: ref, URL: r.URL, Runtime: r.Runtime, BatchSize: max(1, r.BatchSize), MaxBatchDelay: r.MaxBatchDelay,
		ResponseTimeout: max(120*time.Second, r.ResponseTimeout), StartupTimeout: 1500 * time.Millisecond, AtStartup: r.AtStartup,
		QueueRemaining: 100, QueuePending: 3,
	}
	n.all[ref.Version] = s
	workers := 0
	if r.Workers != nil {
		workers = *r.Workers
	}
	resize(s, workers, workers)
	return model.Outcome{Ref: ref, Workers: workers, Pending: r.Async && workers > 0 || f.short}, nil
}

func resize(s *model.Status, least, most int) {
	s.MinWorkers, s.MaxWorkers = least, most
	n := min(max(len(s.Workers), least), most)
	s.Workers = nil
	for i := range n {
		s.Workers = append(s.Workers, model.Worker{
			ID: strconv.Itoa(9000 + i), Ready: i != 2, PID: 42, Memory: 1 << 20,
			Started: time.Date(2026, 1, 2, 3, 4, 5, 67e6, time.FixedZone("", 3600)),
		})
	}
}

func (f *fake) find(ref model.Ref) (*versions, *model.Status, error) {
	if f.failure != nil {
		return nil, nil, f.failure
	}
	n := f.names[ref.Name]
	if n == nil {
		return nil, nil, fmt.Errorf("%w: %q", fault.NoModel, ref.Name)
	}
	version := ref.Version
	if version == "" {
		version = n.def
	}
	s := n.all[version]
	if s == nil {
		return nil, nil, fmt.Errorf("%w: %q", fault.NoVersion, ref)
	}
	return n, s, nil
}

func (f *fake) Unregister(_ context.Context, ref model.Ref) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, s, err := f.find(ref)
	switch {
	case err != nil:
		return err
	case s.Ref.Version == n.def && len(n.all) > 1:
		return fmt.Errorf("%w: %s", fault.DefaultVersion, s.Ref)
	}
	delete(n.all, s.Ref.Version)
	if len(n.all) == 0 {
		delete(f.names, ref.Name)
	}
	return nil
}

func (f *fake) Scale(_ context.Context, ref model.Ref, s model.Scale) (model.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, status, err := f.find(ref)
	if err != nil {
		return model.Outcome{}, err
	}
	resize(status, s.Min, s.Max)
	return model.Outcome{Ref: status.Ref, Workers: len(status.Workers), Pending: f.short}, nil
}

func (f *fake) SetDefault(_ context.Context, ref model.Ref) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, s, err := f.find(ref)
	if err == nil {
		n.def = s.Ref.Version
	}
	return err
}

func (f *fake) Describe(_ context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, s, err := f.find(ref)
	if err != nil {
		return nil, err
	}
	if d.All {
		var all []model.Status
		for _, version := range slices.Sorted(maps.Keys(n.all)) {
			all = append(all, *n.all[version])
		}
		return all, nil
	}
	status := *s
	switch {
	case d.Customized && len(s.Workers) == 0:
		return nil, fmt.Errorf("%w: %w", fault.Unavailable, model.ErrNoWorker)
	case d.Customized && s.Ref.Name == "mnist":
		status.Customized = map[string]any{"classes": 10, "answers": []string{"digit", "<unknown>"}}
	}
	return []model.Status{status}, nil
}

func (f *fake) List(_ context.Context, p model.Page) (model.Listing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return model.Listing{}, f.failure
	}
	names := slices.Sorted(maps.Keys(f.names))
	from := min(p.Offset, len(names))
	to := min(from+p.Limit, len(names))
	var l model.Listing
	for _, name := range names[from:to] {
		n := f.names[name]
		l.Models = append(l.Models, model.Listed{Name: name, URL: n.all[n.def].URL})
	}
	if to < len(names) {
		l.Next = to
	}
	return l, nil
}
