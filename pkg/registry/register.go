package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Register implements [model.Manager]. Of registrations at once of the same name and version one gets through, and the
// others get a [model.ConflictError] at once. A model that was not ready within its startup timeout is given up with
// [fault.Timeout]. An asynchronous registration is answered when the model was found and its name and version are free;
// when it cannot be loaded then, the log says so.
func (m *Models) Register(ctx context.Context, r model.Registration) (model.Outcome, error) {
	if m.loading.Err() != nil {
		return model.Outcome{}, model.ErrClosed
	}
	end, err := m.begin()
	if err != nil {
		return model.Outcome{}, err
	}
	if r.Async {
		return m.registerLater(ctx, r, end)
	}
	defer end()
	return m.register(ctx, r, func(model.Outcome) {})
}

// registerLater registers in the background, and returns when the model is known or the caller has gone.
func (m *Models) registerLater(ctx context.Context, r model.Registration, end func()) (model.Outcome, error) {
	known, failed := make(chan model.Outcome, 1), make(chan error)
	go func() {
		defer end()
		told := false
		_, err := m.register(m.loading, r, func(out model.Outcome) {
			told, out.Pending = true, true
			known <- out
		})
		if err == nil {
			return
		}
		if !told {
			select {
			case failed <- err:
				return
			case <-ctx.Done():
			}
		}
		m.opts.Log.Warn("model not registered", "url", r.URL, "model", r.Name, "version", r.Version, "err", err)
	}()
	select {
	case out := <-known:
		return out, nil
	case err := <-failed:
		return model.Outcome{}, err
	case <-ctx.Done():
		return model.Outcome{}, fmt.Errorf("register %s: it goes on, its caller has gone: %w", r.URL, ctx.Err())
	}
}

// Why loading was given up.
var (
	errStartup = errors.New("the startup timeout passed")
	errClosing = errors.New("the server is shutting down")
)

// register loads a model and publishes it. It tells known what will come of it, once that is clear.
func (m *Models) register(ctx context.Context, r model.Registration, known func(model.Outcome)) (model.Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.loading, func() { cancel(errClosing) })()
	a := &attempt{models: m, asked: r, known: known, cancel: cancel}
	defer a.release()
	start := time.Now()
	runner, err := a.load(ctx)
	if err != nil {
		return model.Outcome{}, err
	}
	v := m.serve(a, runner, time.Since(start))
	status := v.status()
	if err := m.publish(v); err != nil {
		return model.Outcome{}, errors.Join(err, m.retire(ctx, v))
	}
	m.opts.Changed()
	m.opts.Log.Info("model registered", "model", v.ref.Name, "version", v.ref.Version, "workers", len(status.Workers),
		"duration", v.load)
	return model.Outcome{Ref: v.ref, Workers: len(status.Workers)}, nil
}

// attempt is a registration under way. It keeps its name and version from others.
type attempt struct {
	models *Models
	asked  model.Registration
	known  func(model.Outcome)
	cancel context.CancelCauseFunc

	ref      model.Ref // zero until it is claimed
	found    bool
	settings model.Settings
	clock    *time.Timer // cancels loading
}

// load runs the loader. A runner that came too late is closed.
func (a *attempt) load(ctx context.Context) (runner Runner, err error) {
	defer func() {
		if a.clock != nil {
			a.clock.Stop()
		}
		if gaveUp := a.gaveUp(ctx); gaveUp != nil {
			err = gaveUp
		}
		if err != nil && runner != nil {
			err = errors.Join(err, runner.Close())
			runner = nil
		}
	}()
	if ref := (model.Ref{Name: a.asked.Name, Version: a.asked.Version}); ref.Name != "" && ref.Version != "" {
		if err := a.claim(ref); err != nil {
			return nil, err
		}
	}
	runner, err = a.run(ctx)
	if err != nil {
		return runner, err
	}
	return runner, a.tell(runner.Ref(), runner.Settings())
}

// run calls the loader, which may run in a goroutine of the registry's own: a panic of it must not end the server.
func (a *attempt) run(ctx context.Context) (runner Runner, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("load %s: %w: panic: %v\n%s", a.asked.URL, fault.Internal, cause, debug.Stack())
		}
	}()
	return a.models.opts.Load(ctx, a.asked, a.tell)
}

// gaveUp returns why loading was given up, by whom but the caller; nil: it was not.
func (a *attempt) gaveUp(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStartup):
		return fmt.Errorf("load model %s: %w: it was not ready within %v: give it a longer startup timeout",
			a.ref, fault.Timeout, a.settings.StartupTimeout)
	case errors.Is(cause, errClosing):
		return fmt.Errorf("load %s: %w", a.asked.URL, model.ErrClosed)
	}
	return nil
}

// tell is what the loader calls found.
func (a *attempt) tell(ref model.Ref, s model.Settings) (err error) {
	if a.found && ref == a.ref {
		return nil
	}
	if err := a.claim(ref); err != nil {
		return err
	}
	if a.settings, err = a.models.opts.settle(a.asked, s); err != nil {
		return fmt.Errorf("model %s: %w", ref, err)
	}
	a.found = true
	if limit := a.settings.StartupTimeout; limit > 0 {
		a.clock = time.AfterFunc(limit, func() { a.cancel(errStartup) })
	}
	a.known(model.Outcome{Ref: ref, Workers: a.settings.MinWorkers})
	return nil
}

// claim keeps a name and version from others until it is released or published.
func (a *attempt) claim(ref model.Ref) error {
	if err := ref.Check(); err != nil {
		return err
	}
	m := a.models
	m.mu.Lock()
	defer m.mu.Unlock()
	_, unknown := m.table.Load().find(ref)
	_, claimed := m.claimed[ref]
	switch {
	case ref == a.ref:
		return nil
	case ref.Version == "":
		return fmt.Errorf("load %s: %w: model %s came without a version", a.asked.URL, fault.Internal, ref)
	case a.ref != model.Ref{}:
		return fmt.Errorf("load %s: %w: it is to be %s and came as %s", a.asked.URL, fault.Internal, a.ref, ref)
	case m.closed:
		return model.ErrClosed
	case unknown == nil:
		return fmt.Errorf("unregister it first, or register another version: %w", &model.ConflictError{Ref: ref})
	case claimed:
		return fmt.Errorf("it is being loaded: %w", &model.ConflictError{Ref: ref})
	}
	a.ref = ref
	m.claimed[ref] = struct{}{}
	return nil
}

func (a *attempt) release() {
	a.models.mu.Lock()
	defer a.models.mu.Unlock()
	delete(a.models.claimed, a.ref) // no other can have claimed it meanwhile
}

// serve makes a version of what was loaded, with its workers.
func (m *Models) serve(a *attempt, runner Runner, load time.Duration) *served {
	v := &served{
		ref: a.ref, asked: a.asked, settings: a.settings, runner: runner, about: runner.About(), load: load,
		metrics: m.opts.Metrics.Model(a.ref),
	}
	for _, in := range v.about.Inputs {
		v.inputs = append(v.inputs, in.Name)
	}
	_, _, _ = v.scale(a.settings.MinWorkers, a.settings.MaxWorkers, m.hire) // it is not gone, and had none
	v.metrics.Watch(v.state)
	return v
}

// publish puts a version on the table.
func (m *Models) publish(v *served) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return model.ErrClosed
	}
	m.table.Store(m.table.Load().with(v))
	return nil
}

// hire makes a worker. Workers are places at a batcher; what is told of each is what TorchServe's clients look for.
func (m *Models) hire() model.Worker {
	return model.Worker{
		ID:      strconv.FormatInt(firstWorker+m.workers.Add(1)-1, 10),
		Started: time.Now(),
		Ready:   true,
		PID:     os.Getpid(),
	}
}
