// Package registry holds the models that are served: which versions there are, which one is the default, and how many
// workers each has. [Models] keeps [model.Predictor] and [model.Manager]. It knows no archive and no network: what loads a
// model is handed to it, and what came of that is a [Runner].
//
// Which models there are is a table that is replaced and never changed, so that no request waits for a model that loads
// or goes. A model is loaded outside of every lock. It is taken off the table before its queue is drained, and its queue is
// drained before it is closed, so that every request that was let in is answered.
package registry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
)

// Runner is a model, loaded. It is safe for concurrent use.
type Runner interface {
	Ref() model.Ref           // with its version
	Settings() model.Settings // what its manifest says

	// Prepare makes a request ready to run, in the goroutine of who asks. Its errors concern this request alone.
	Prepare(ctx context.Context, req *model.Request) (model.Job, error)
	// Run answers jobs of one mode that Prepare made, as batch.RunFunc says.
	Run(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result))
	// Describe returns what the model tells of itself; nil: nothing.
	Describe(ctx context.Context) (map[string]any, error)
	// About returns what is known of the model. It is called once, before the first Prepare.
	About() model.About
	// Close gives everything back. It is called once, after the last Run and Describe. A Prepare that outlasted the time
	// for draining may be under way and may fail then.
	Close() error
}

// Loader loads a model, whole: what it returns can answer. It calls found in between, once it has read what the model is,
// and before it does the long work of opening the network, with the name and version that the model will have (those of
// the registration where it has some) and what its manifest says; an error of found it returns as its own, and gives up.
// The context ends when the model was not ready within its startup timeout, counted from found. A loader that cannot tell
// early need not call found. It is called outside of any lock. A warm run is its business: what it returns is served.
type Loader func(ctx context.Context, r model.Registration, found Found) (Runner, error)

// Found is told what a model is.
type Found func(ref model.Ref, s model.Settings) error

// Options say what serves the models, and what holds for a model where neither its registration nor its manifest says it.
type Options struct {
	Load Loader

	Workers        int           // of a model that is registered; 0: none, until it is scaled
	StartupWorkers int           // of a model that is there from the start; 0: one
	Queue          int           // requests of a version and mode that wait at most; 0: no limit
	QueueDelay     time.Duration // a request that would wait for longer is refused at once; 0: as long as Response
	Response       time.Duration // a batch may run so long; 0: no limit
	Startup        time.Duration // a model may take so long to load once it is found; 0: no limit
	Drain          time.Duration // the requests of a model that goes have so long to end; 0: no limit
	Prepare        int           // requests that are prepared at once, over all models; 0: one a processor

	Changed func()                // called after each change of what Served returns, while nothing is held; it does not wait. nil: nobody asks
	Compare func(a, b string) int // orders versions; nil: as texts
	Metrics *metric.Set           // nil: nothing is counted
	Log     *slog.Logger          // nil: nothing is logged
}

func (o Options) withDefaults() Options {
	o.StartupWorkers = cmp.Or(o.StartupWorkers, 1)
	o.Prepare = cmp.Or(o.Prepare, runtime.GOMAXPROCS(0))
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Compare == nil {
		o.Compare = strings.Compare
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// firstWorker is the number of the first worker: TorchServe's workers are named after ports, which begin there.
const firstWorker = 9000

// Models is the models that are served. It is safe for concurrent use.
type Models struct {
	opts    Options
	prepare chan struct{} // holds one for every request that is being preprocessed
	workers atomic.Int64  // how many have been hired
	table   atomic.Pointer[table]
	work    sync.WaitGroup // what Close waits for

	loading      context.Context //nolint:containedctx // the server's own: it ends when Close begins
	stopLoading  context.CancelFunc
	draining     context.Context //nolint:containedctx // the server's own: it ends when Close can wait no longer
	stopDraining context.CancelFunc

	gaveUp atomic.Bool // Close gave up requests

	mu      sync.Mutex             // guards what follows, and changes of the table
	claimed map[model.Ref]struct{} // versions that are being loaded
	closed  bool
}

// New returns a registry without models. Close ends it.
func New(opts Options) *Models {
	opts = opts.withDefaults()
	m := &Models{opts: opts, prepare: make(chan struct{}, opts.Prepare), claimed: map[model.Ref]struct{}{}}
	m.loading, m.stopLoading = context.WithCancel(context.Background())
	m.draining, m.stopDraining = context.WithCancel(context.Background())
	m.table.Store(&table{})
	return m
}

// Ready returns nil when every default version has as many workers as it should have at least, and else
// [fault.Unavailable].
func (m *Models) Ready() error {
	now := m.table.Load()
	if now.closed {
		return model.ErrClosed
	}
	for _, name := range now.names {
		v := now.models[name].byDefault
		if status := v.status(); len(status.Workers) < status.MinWorkers {
			return fmt.Errorf("model %s: %w: it has %d workers and should have %d", v.ref, fault.Unavailable,
				len(status.Workers), status.MinWorkers)
		}
	}
	return nil
}

// InputNames returns the names of a model's inputs, which the caller must not change; none for a model that is not there.
func (m *Models) InputNames(ref model.Ref) []string {
	v, err := m.table.Load().find(ref)
	if err != nil {
		return nil
	}
	return v.inputs
}

// About returns what is known of a model, which the caller must not change, and whether it is there.
func (m *Models) About(ref model.Ref) (about model.About, found bool) {
	v, err := m.table.Load().find(ref)
	if err != nil {
		return model.About{}, false
	}
	return v.about, true
}

// Served is a version that is served.
type Served struct {
	Asked  model.Registration // what it was registered with
	Source string             // the path of its archive
	Status model.Status
}

// Served returns every version that is served at one moment, sorted by name and version; none after Close.
func (m *Models) Served() []Served {
	now := m.table.Load()
	var all []Served
	for _, name := range now.names {
		vs := now.models[name]
		for _, version := range slices.SortedFunc(maps.Keys(vs.all), m.opts.Compare) {
			v := vs.all[version]
			all = append(all, Served{Asked: v.asked, Source: v.about.Source, Status: vs.status(v)})
		}
	}
	return all
}

// Only returns the one model that is served, if there is one and no other.
func (m *Models) Only() (name string, single bool) {
	names := m.table.Load().names
	if len(names) != 1 {
		return "", false
	}
	return names[0], true
}

// grace is how long Close waits for requests that it has given up.
const grace = 2 * time.Second

// StopLoading gives up the models that are being loaded: who waits for one gets [fault.Unavailable], and so do later
// registrations. What is served goes on.
func (m *Models) StopLoading() { m.stopLoading() }

// Close takes all models away, as Unregister does, and gives up loading others. When ctx ends first, the requests under
// way get [fault.Unavailable], and Close returns the context's error. It may be called several times.
func (m *Models) Close(ctx context.Context) error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		for v := range m.table.Swap(&table{closed: true}).all() {
			m.work.Go(func() {
				if m.retire(m.draining, v) != nil {
					m.gaveUp.Store(true)
				}
			})
		}
	}
	m.mu.Unlock()
	m.stopLoading()
	done := make(chan struct{})
	go func() {
		m.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		m.stopDraining()
		return nil
	case <-ctx.Done():
	}
	m.stopDraining()
	select {
	case <-done:
		if !m.gaveUp.Load() {
			return nil // there was nothing to wait for
		}
	case <-time.After(grace):
	}
	return fmt.Errorf("close the models: requests under way were given up: %w", ctx.Err())
}

// begin has Close wait until end is called. It returns [fault.Unavailable] when it is too late for that.
func (m *Models) begin() (end func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, model.ErrClosed
	}
	m.work.Add(1)
	return m.work.Done, nil
}
