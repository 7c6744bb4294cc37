package registry

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Register loads a model and serves it, or does so in the background.
func (m *Models) Register(ctx context.Context, r model.Registration) (model.Outcome, error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return model.Outcome{}, fmt.Errorf("register %s: %w", r.URL, model.ErrClosed)
	}
	if r.Async {
		m.loads.Add(1)
	}
	m.mu.Unlock()
	if !r.Async {
		return m.register(ctx, r)
	}
	go func() {
		defer m.loads.Done()
		if _, err := m.register(m.ctx, r); err != nil {
			m.opts.Log.Warn("a model registered in the background cannot be served", "url", r.URL, "model", r.Name, "err", err)
		}
	}()
	out := model.Outcome{Ref: model.Ref{Name: r.Name, Version: r.Version}, Pending: true, Workers: m.opts.Workers}
	if r.Workers != nil {
		out.Workers = *r.Workers
	}
	return out, nil
}

func (m *Models) register(ctx context.Context, r model.Registration) (model.Outcome, error) {
	if m.opts.Startup > 0 || r.StartupTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, first(r.StartupTimeout, m.opts.Startup))
		defer cancel()
	}
	start := time.Now()
	if ref := (model.Ref{Name: r.Name, Version: r.Version}); r.Name != "" && r.Version != "" { // else only the archive knows
		release, err := m.reserve(ref)
		if err != nil {
			return model.Outcome{}, err
		}
		defer release()
	}
	runner, err := m.opts.Load(ctx, r)
	if err != nil {
		return model.Outcome{}, err
	}
	out, err := m.publish(runner, r, start)
	if err != nil {
		if closed := runner.Close(); closed != nil {
			m.opts.Log.Error("close a model that is not served", "model", runner.Ref().String(), "err", closed)
		}
		return model.Outcome{}, err
	}
	m.opts.Log.Info("loaded", "model", out.Ref.Name, "version", out.Ref.Version, "workers", out.Workers, "took", time.Since(start))
	return out, nil
}

// reserve keeps others from registering ref until release is called.
func (m *Models) reserve(ref model.Ref) (release func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, served := (*m.served.Load())[ref.Name].versions[ref.Version]; served || m.pending[ref] {
		return nil, &model.ConflictError{Ref: ref}
	}
	m.pending[ref] = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.pending, ref)
	}, nil
}

// publish serves a runner, unless its version is served already.
func (m *Models) publish(runner Runner, r model.Registration, start time.Time) (model.Outcome, error) {
	ref := runner.Ref()
	settings, err := m.effective(r, runner.Settings())
	if err != nil {
		return model.Outcome{}, fmt.Errorf("model %s: %w", ref, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := (*m.served.Load())[ref.Name]
	switch _, served := f.versions[ref.Version]; {
	case m.closed:
		return model.Outcome{}, fmt.Errorf("model %s: %w", ref, model.ErrClosed)
	case served:
		return model.Outcome{}, &model.ConflictError{Ref: ref}
	}
	v := newVersion(runner, r.URL, settings, m.opts.Metrics)
	v.atStartup = r.AtStartup
	workers := v.scale(settings.MinWorkers, max(settings.MinWorkers, settings.MaxWorkers))
	m.opts.Metrics.Loaded(v.label(), time.Since(start), runner.About().Memory, workers)
	versions := maps.Clone(f.versions)
	if versions == nil {
		versions, f.def = map[string]*version{}, ref.Version
	}
	versions[ref.Version] = v
	m.change(ref.Name, family{f.def, versions})
	return model.Outcome{Ref: ref, Workers: workers}, nil
}

// Unregister takes a version away at once, and returns when the requests that it had taken are answered. Where they are not
// within Options.Drain it returns [fault.Timeout]; they were cut off.
func (m *Models) Unregister(ctx context.Context, ref model.Ref) error {
	v, err := m.remove(ref)
	if err != nil {
		return err
	}
	if m.opts.Drain > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.opts.Drain)
		defer cancel()
	}
	err = v.close(ctx)
	m.opts.Metrics.Forget(v.label(), v.most())
	m.opts.Log.Info("unregistered", "model", v.ref.Name, "version", v.ref.Version)
	return err
}

func (m *Models) remove(ref model.Ref) (*version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.find(ref)
	if err != nil {
		return nil, err
	}
	f := (*m.served.Load())[ref.Name]
	if v.ref.Version == f.def && len(f.versions) > 1 {
		return nil, fmt.Errorf("model %s: %w while there are others: make another one the default first", v.ref, fault.DefaultVersion)
	}
	versions := maps.Clone(f.versions)
	delete(versions, v.ref.Version)
	m.change(ref.Name, family{f.def, versions})
	return v, nil
}

// Scale sets how many workers a version has. Workers share one session, so that this is done at once.
func (m *Models) Scale(ctx context.Context, ref model.Ref, s model.Scale) (model.Outcome, error) {
	v, err := m.find(ref)
	if err != nil {
		return model.Outcome{}, err
	}
	if s.Min < 0 || s.Max < s.Min || s.Max > most {
		return model.Outcome{}, fmt.Errorf("%w: %d to %d workers: want 0 or more, at most %d, and no fewer at most than at least", fault.Invalid, s.Min, s.Max, most)
	}
	return model.Outcome{Ref: v.ref, Workers: v.scale(s.Min, s.Max), Pending: s.Async}, ctx.Err()
}

// SetDefault makes a version the one that requests without a version go to.
func (m *Models) SetDefault(ctx context.Context, ref model.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.find(ref)
	if err != nil {
		return err
	}
	m.change(ref.Name, family{v.ref.Version, (*m.served.Load())[ref.Name].versions})
	return ctx.Err()
}
