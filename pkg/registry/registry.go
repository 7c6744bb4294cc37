// Package registry is the models being served: which versions there are, which of them is a name's default, and how many
// workers each has. [Models] keeps model.Predictor and model.Manager.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
)

// Runner is a model made to answer: what a pipeline is to the registry. It is safe for concurrent use.
type Runner interface {
	Ref() model.Ref
	Settings() model.Settings
	// Prepare makes a request ready to run, in its caller's goroutine. Its errors concern this request alone.
	Prepare(ctx context.Context, req *model.Request) (model.Job, error)
	// Run answers jobs, each once.
	Run(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result))
	// Describe returns what the model's handler tells of itself.
	Describe(ctx context.Context) (map[string]any, error)
	// About returns what is known of the model.
	About() model.About
	Close() error
}

// Loader makes the Runner of a registration. It is called outside any lock, and never twice at once for one URL, name and
// version.
type Loader func(ctx context.Context, r model.Registration) (Runner, error)

// Options are what a registry is made with.
type Options struct {
	Load Loader

	Workers        int           // of a model that is registered and says none; 0: none until it is scaled
	StartupWorkers int           // the same of a model that is there from the start; 0: one
	Queue          int           // requests of a version and mode that wait at most; 0: no limit
	Response       time.Duration // a batch may run so long, where the model says nothing; 0: no limit
	Startup        time.Duration // a model may take so long to load, where nothing says more; 0: no limit
	Drain          time.Duration // the requests of a version that goes have so long to end; 0: no limit
	Prepare        int           // requests that are prepared at once; 0: one for each core

	Metrics *metric.Set  // nil: nothing is counted
	Log     *slog.Logger // nil: silent
}

// Models are the models being served. Reading never waits for a load: what is served is one snapshot, replaced whole.
type Models struct {
	opts    Options
	prepare chan struct{} // a token for each request that is being prepared
	loads   sync.WaitGroup
	ctx     context.Context //nolint:containedctx // what loads in the background run under; it ends when Close begins
	cancel  context.CancelFunc

	served atomic.Pointer[snapshot]

	mu      sync.Mutex // guards changes of served, and what follows
	pending map[model.Ref]bool
	closed  bool
}

// snapshot is what is served at one moment. It is never changed.
type snapshot map[string]family

// family is the versions of one name.
type family struct {
	def      string // the default version
	versions map[string]*version
}

// New returns a registry that serves nothing yet. Close ends it.
func New(opts Options) *Models {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Prepare <= 0 {
		opts.Prepare = runtime.GOMAXPROCS(0)
	}
	opts.StartupWorkers = max(1, opts.StartupWorkers)
	m := &Models{opts: opts, prepare: make(chan struct{}, opts.Prepare), pending: map[model.Ref]bool{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.served.Store(&snapshot{})
	return m
}

// find returns the version that ref names, the default one where it names none.
func (m *Models) find(ref model.Ref) (*version, error) {
	f, ok := (*m.served.Load())[ref.Name]
	if !ok {
		return nil, fmt.Errorf("model %q: %w", ref.Name, fault.NoModel)
	}
	asked := ref.Version
	if asked == "" {
		asked = f.def
	}
	v, ok := f.versions[asked]
	if !ok {
		return nil, fmt.Errorf("model %q: %w %q", ref.Name, fault.NoVersion, ref.Version)
	}
	return v, nil
}

// Predict answers a request. It returns [fault.Unavailable] at once, with its cause in the chain, when there is no worker
// or the queue is full.
func (m *Models) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	start := time.Now()
	v, place, err := m.enter(ref, req.Mode)
	if err != nil {
		return nil, err
	}
	m.opts.Metrics.Request(v.ref.Name, ref.Version)
	resp, err := m.answer(ctx, v, &place, req)
	a := metric.Answer{Mode: req.Mode.String(), Asked: ref.Version, ID: req.ID, Total: time.Since(start), Err: err}
	if resp != nil {
		a.Prepare, a.Queue, a.Inference = resp.Timing.Preprocess, resp.Timing.Queue, resp.Timing.Run
	}
	m.opts.Metrics.Answered(v.label(), a)
	return resp, err
}

// enter finds the version and takes a place in its queue. A version that goes just then is looked up again: its name may
// have another default by now.
func (m *Models) enter(ref model.Ref, mode model.Mode) (*version, batch.Place, error) {
	for {
		v, err := m.find(ref)
		if err != nil {
			return nil, batch.Place{}, err
		}
		place, err := v.queue(mode).Enter()
		if again, _ := m.find(ref); errors.Is(err, model.ErrClosed) && again != v {
			continue
		}
		if err != nil {
			return nil, batch.Place{}, fmt.Errorf("model %s: %w", v.ref, err)
		}
		return v, place, nil
	}
}

func (m *Models) answer(ctx context.Context, v *version, place *batch.Place, req *model.Request) (*model.Response, error) {
	defer place.Leave()
	job, err := m.prepared(ctx, v, req)
	if err != nil {
		return nil, err
	}
	return place.Submit(ctx, job)
}

// prepared prepares a request, at most Options.Prepare at once. A panic of the model's costs this request alone, and no
// place in the queue.
func (m *Models) prepared(ctx context.Context, v *version, req *model.Request) (job model.Job, err error) {
	select {
	case m.prepare <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		<-m.prepare
		if cause := recover(); cause != nil {
			err = fmt.Errorf("model %s panicked: %w: %v", v.ref, fault.Internal, cause)
		}
	}()
	return v.runner.Prepare(ctx, req)
}

// Ready returns [fault.Unavailable] unless every default version has the workers that it is to have at least.
func (m *Models) Ready() error {
	for name, f := range *m.served.Load() {
		v := f.versions[f.def]
		if has, least := v.workers(); has < least {
			return fmt.Errorf("model %q: %d of %d workers: %w", name, has, least, fault.Unavailable)
		}
	}
	return nil
}

// InputNames returns the names of a model's inputs, nil for one that is not there.
func (m *Models) InputNames(ref model.Ref) []string {
	v, err := m.find(ref)
	if err != nil {
		return nil
	}
	return v.runner.About().Inputs
}

// Only returns the one model that is served, if there is one and no other.
func (m *Models) Only() (name string, single bool) {
	names := slices.Collect(maps.Keys(*m.served.Load()))
	if len(names) != 1 {
		return "", false
	}
	return names[0], true
}

// Close takes every model away. Requests under way end first, until ctx does.
func (m *Models) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.loads.Wait()
	m.mu.Lock()
	all := *m.served.Swap(&snapshot{})
	m.mu.Unlock()
	var group sync.WaitGroup
	var failed []error
	var mu sync.Mutex // guards failed
	for _, f := range all {
		for _, v := range f.versions {
			group.Go(func() {
				if err := v.close(ctx); err != nil {
					mu.Lock()
					failed = append(failed, err)
					mu.Unlock()
				}
				m.opts.Metrics.Forget(v.label(), v.most())
			})
		}
	}
	group.Wait()
	return errors.Join(failed...)
}

// change replaces the family of a name: with versions left, or without the name.
func (m *Models) change(name string, f family) {
	next := maps.Clone(*m.served.Load())
	if len(f.versions) == 0 {
		delete(next, name)
	} else {
		next[name] = f
	}
	m.served.Store(&next)
}

// List tells the names, in their order.
func (m *Models) List(ctx context.Context, p model.Page) (model.Listing, error) {
	served := *m.served.Load()
	names := slices.Sorted(maps.Keys(served))
	limit := p.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	from := min(max(0, p.Offset), len(names))
	to := min(from+limit, len(names))
	var l model.Listing
	for _, name := range names[from:to] {
		f := served[name]
		l.Models = append(l.Models, model.Listed{Name: name, URL: f.versions[f.def].url})
	}
	if to < len(names) {
		l.Next = to
	}
	return l, ctx.Err()
}

// defaultLimit is the length of a page that says none.
const defaultLimit = 100

// Describe tells of one version, or of all, lowest first.
func (m *Models) Describe(ctx context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	f, ok := (*m.served.Load())[ref.Name]
	if !ok {
		return nil, fmt.Errorf("model %q: %w", ref.Name, fault.NoModel)
	}
	if d.All {
		var all []model.Status
		for _, key := range slices.Sorted(maps.Keys(f.versions)) {
			all = append(all, f.versions[key].status(key == f.def))
		}
		return all, ctx.Err()
	}
	v, err := m.find(ref)
	if err != nil {
		return nil, err
	}
	status := v.status(v.ref.Version == f.def)
	if d.Customized {
		if has, _ := v.workers(); has == 0 {
			return nil, fmt.Errorf("describe model %s: %w", v.ref, model.ErrNoWorker)
		}
		if status.Customized, err = v.runner.Describe(ctx); err != nil {
			return nil, fmt.Errorf("describe model %s: %w", v.ref, err)
		}
		if status.Customized == nil {
			status.Customized = map[string]any{}
		}
	}
	return []model.Status{status}, ctx.Err()
}
