package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/registry"
	"github.com/tsgo/tsgo/pkg/store"
)

func (s *Server) registryOptions() registry.Options {
	return registry.Options{
		Load:           s.load,
		Workers:        s.opts.Workers,
		StartupWorkers: cmp.Or(s.opts.Workers, s.opts.Cores),
		Queue:          s.opts.Queue,
		QueueDelay:     s.opts.QueueDelay,
		Response:       s.opts.ResponseTimeout,
		Startup:        s.opts.StartupTimeout,
		Drain:          s.opts.UnregisterTimeout,
		Prepare:        s.opts.Cores,
		Changed:        s.changed,
		Compare:        store.CompareVersions,
		Metrics:        s.metrics,
		Log:            s.log,
	}
}

// load is how a registration becomes a model that answers: found, opened, loaded and warmed.
func (s *Server) load(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
	path, err := r.Archive, error(nil)
	if path == "" {
		path, err = s.locate(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	m, err := s.open(ctx, r, path)
	if err != nil {
		return nil, err
	}
	if err := found(model.Ref{Name: m.Manifest.Name, Version: m.Manifest.Version}, pipeline.SettingsOf(m.Manifest)); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if len(m.Manifest.Ignored) > 0 {
		s.log.Info("settings that mean nothing here", "model", m.Manifest.Name, "settings", m.Manifest.Ignored)
	}
	threads, why := s.threads(r, m.Manifest)
	p, cost, err := s.warm(ctx, m, threads)
	if err == nil && s.opts.Threads == 0 && threads > 1 && cost.Row > 0 && cost.Row < quick {
		threads, why = 1, "a run is too short to gain from a second thread"
		p, cost, err = s.again(ctx, p, threads, func() (*archive.Model, error) { return s.open(ctx, r, path) })
	}
	if err != nil {
		return nil, err
	}
	return planned{p, s.plan(threads, why, cost)}, nil
}

// open opens a model, with what the registration and the options say of it in its manifest.
func (s *Server) open(ctx context.Context, r model.Registration, path string) (*archive.Model, error) {
	m, err := archive.Open(ctx, path, archive.Options{})
	if err != nil {
		return nil, err
	}
	m.Manifest.Name = cmp.Or(r.Name, m.Manifest.Name)
	m.Manifest.Version = cmp.Or(r.Version, m.Manifest.Version)
	m.Manifest.Handler = cmp.Or(r.Handler, m.Manifest.Handler)
	s.opts.fill(&m.Manifest, r.AtStartup)
	return m, nil
}

// again loads a model anew in place of p, on another number of threads: a session's cannot be changed.
func (s *Server) again(
	ctx context.Context, p *pipeline.Pipeline, threads int, open func() (*archive.Model, error),
) (*pipeline.Pipeline, pipeline.Cost, error) {
	if err := p.Close(); err != nil {
		return nil, pipeline.Cost{}, err
	}
	m, err := open()
	if err != nil {
		return nil, pipeline.Cost{}, err
	}
	return s.warm(ctx, m, threads)
}

// warm loads a model and runs it once.
func (s *Server) warm(ctx context.Context, m *archive.Model, threads int) (*pipeline.Pipeline, pipeline.Cost, error) {
	p, err := pipeline.Load(ctx, m, pipeline.Options{
		Open: s.opts.Open, Engine: engine.Options{IntraOpThreads: threads}, Gate: s.gate, Handlers: s.opts.Handlers, Log: s.log,
	})
	if err != nil {
		return nil, pipeline.Cost{}, err
	}
	cost, err := p.Warm(ctx)
	if err != nil {
		return nil, pipeline.Cost{}, errors.Join(err, p.Close())
	}
	return p, cost, nil
}

// fill has what the options say of a version in its manifest, where that says nothing.
func (o Options) fill(m *archive.Manifest, atStartup bool) {
	if m.Handler == "" && o.Handler != "" {
		m.Handler, m.Guessed = o.Handler, false
	}
	said := o.Settings[model.Ref{Name: m.Name, Version: m.Version}]
	m.BatchSize = cmp.Or(m.BatchSize, said.BatchSize)
	m.MaxBatchDelay = cmp.Or(m.MaxBatchDelay, said.MaxBatchDelay)
	m.ResponseTimeout = cmp.Or(m.ResponseTimeout, said.ResponseTimeout)
	m.StartupTimeout = cmp.Or(m.StartupTimeout, said.StartupTimeout)
	if atStartup && m.MinWorkers == 0 && m.MaxWorkers == 0 {
		m.MinWorkers, m.MaxWorkers = said.MinWorkers, said.MaxWorkers
	}
}

// loadModels registers what is served from the start. What does not load is logged, and is no reason not to start.
func (s *Server) loadModels(ctx context.Context) {
	if s.opts.Restore != nil {
		s.restore(ctx, s.opts.Restore)
		return
	}
	models := s.opts.Models
	if s.opts.All {
		entries, broken := s.opts.Store.List()
		for _, err := range broken {
			s.log.Warn("model cannot be served", "err", err)
		}
		for _, e := range entries {
			models = append(models, Startup{Location: e.Source})
		}
	}
	for _, m := range models {
		start := time.Now()
		out, err := s.models.Register(ctx, model.Registration{URL: m.Location, Name: m.Name, AtStartup: true})
		if err != nil {
			s.log.Warn("model cannot be served", "model", cmp.Or(m.Name, m.Location), "err", err)
		}
		s.loaded = append(s.loaded, Loaded{cmp.Or(out.Ref.Name, m.Name, m.Location), out.Ref.Version, out.Workers, time.Since(start), err})
		if ctx.Err() != nil {
			return
		}
	}
	for _, ref := range s.opts.Defaults {
		if err := s.models.SetDefault(ctx, ref); err != nil {
			s.log.Warn("version cannot be the default one", "model", ref.Name, "version", ref.Version, "err", err)
		}
	}
}

// locate returns the path of what a registration names. What the operator named at the start may lie anywhere; what comes
// over the wire is in the store, or allowed.
func (s *Server) locate(ctx context.Context, r model.Registration) (string, error) {
	path, err := s.opts.Store.Resolve(ctx, r.URL, store.Sources{Allowed: s.opts.AllowedURLs})
	if err == nil {
		return path, nil
	}
	if r.AtStartup && fault.Of(err) == fault.NoModel {
		if _, missing := os.Stat(r.URL); missing == nil {
			return r.URL, nil
		}
	}
	for cause, known := range map[error]error{
		store.ErrRelative: model.ErrUpwards, store.ErrNotAllowed: model.ErrNotAllowed, store.ErrNothing: model.ErrNothingThere,
	} {
		if errors.Is(err, cause) {
			return "", &notFound{err, known}
		}
	}
	var disk *fs.PathError
	if fault.Of(err) == fault.Download && errors.As(err, &disk) { // the file could be fetched, and not be kept
		return "", fmt.Errorf("%w: the model is not kept in the store: %w; make room there, or have a store that can be written to", fault.Unavailable, disk)
	}
	return "", err
}

// notFound is an error of the store, with its cause in the words of package model for those who ask.
type notFound struct {
	error

	cause error
}

func (n *notFound) Unwrap() []error { return []error{n.error, n.cause} }
