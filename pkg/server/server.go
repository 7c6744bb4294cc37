// Package server puts the parts together: the models of a store, served on five ports. It takes what it needs in one
// [Options] and touches neither flags nor environment nor signals.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tsgo/tsgo/pkg/auth"
	"github.com/tsgo/tsgo/pkg/auth/certificate"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
	"github.com/tsgo/tsgo/pkg/snapshot"
	"github.com/tsgo/tsgo/pkg/store"
)

// Options say what is served, where and how. [Run] fills in no defaults but those that are named here; package config has
// the defaults of the command.
type Options struct {
	// The addresses, HOST:PORT, https:// and that for TLS, or unix: and the path of a socket. Port 0 takes any. Those that
	// are equal are one, which answers the routes of all.
	Inference, Management, Metrics string
	GRPCInference, GRPCManagement  string // HOST:PORT; "": there is none
	GRPCTLS                        bool   // these have TLS
	GRPCInferenceLife              Life   // of a connection to the one
	GRPCManagementLife             Life   // and to the other
	PortOffset                     int    // added to the ports that are not 0

	Store    *store.Store
	All      bool      // serve the whole store from the start
	Models   []Startup // or these
	Restore  []Kept    // or what a snapshot says was served; nil: there is none
	Open     engine.Opener
	Handlers map[string]handler.Factory
	Handler  string                       // of a model that names none; "": it is guessed
	Settings map[model.Ref]model.Settings // of versions, where their manifests say nothing; how many workers, at the start only
	Defaults []model.Ref                  // the versions that are the default ones from the start

	Workers int // of a model that says none; 0: one for each core from the start, and none when it is registered
	Threads int // of one run; 0: the cores, shared among the model's workers
	Cores   int // 0: GOMAXPROCS
	Queue   int // requests of a model that wait at most; 0: no limit

	QueueDelay time.Duration // a request that would wait for longer is refused at once; 0: as long as a batch may run

	ResponseTimeout, StartupTimeout time.Duration // of models that say none; 0: no limit
	UnregisterTimeout               time.Duration // 0: no limit
	Drain                           time.Duration // how long Run waits for requests when it stops; 0: not at all
	BodyTimeout                     time.Duration // a body, or an answer, of which nothing moves for so long is given up; 0: 30 s

	MaxBody         int64 // bytes of a request; 0: no limit
	MaxAnswer       int64 // bytes of a model's answer; 0: no limit
	Header          map[string]string
	ModelAPI        bool // models can be registered and unregistered
	LocalModelAPI   bool // they can while management is reached from this machine alone
	MetricsAPI      bool
	Profile         bool // the management API has profiles of the process, for callers on this machine
	NoSystemMetrics bool // leave the host's load out of the metrics
	AllowedURLs     []*regexp.Regexp
	Params          []string // the names of the parameters that handlers take, for the inference API

	Snapshots Snapshots // of what is served

	Keys Keys                // of the callers
	TLS  certificate.Options // of the addresses with TLS; Hosts and Log are filled in

	Version string       // of the program, for metrics and the API's documents
	Log     *slog.Logger // nil: silent
	Access  *slog.Logger // nil: no access lines
	Started func(Report) // told once everything answers; nil: nobody listens
}

// Life is how long a gRPC connection lives: that of a caller who asks on is ended now and then, so that it comes back to
// another server behind the same name.
type Life struct {
	Age   time.Duration // then it takes no more calls; 0: it may grow as old as its caller wants
	Grace time.Duration // its calls have so long to end; 0: no limit
}

// Startup is a model that is served from the start.
type Startup struct {
	Name     string // "": the model's own
	Location string // a name in the store, or a path
}

// Addrs are the addresses that a server answers on, HOST:PORT or unix: and the path of a socket; "": not at all.
type Addrs struct{ Inference, Management, Metrics, GRPCInference, GRPCManagement string }

// Report is what there is to say of a server that has started.
type Report struct {
	Addrs     Addrs
	Endpoints []Endpoint // inference, management, metrics, and those of gRPC
	KeyFile   string     // where the callers' keys are; "": they need none
	ModelAPI  bool       // models can be registered and unregistered
	Models    []Loaded
	Cores     int
}

// Loaded is a model that was to be served from the start.
type Loaded struct {
	Name, Version string
	Workers       int
	Took          time.Duration
	Err           error // why it is not
}

// Server is a set of models and the three APIs over them.
type Server struct {
	opts    Options
	log     *slog.Logger
	models  *registry.Models
	metrics *metric.Set
	gate    *engine.Gate
	loaded  []Loaded

	snapshots atomic.Pointer[snapshot.Keeper] // nil: none are written, or not yet
	missing   []Kept                          // what could not be restored; since Start, the snapshots' goroutine's own

	keys        *auth.Keys          // nil: callers need none
	certificate *certificate.Source // nil: nothing speaks TLS
	modelAPI    bool
	endpoints   []Endpoint

	listeners []*listener
	answered  []answered
	addrs     Addrs
	stopping  atomic.Bool
	undo      []func(ctx context.Context) error // the last one first
}

// New checks the options, binds the ports and loads the models; nothing is answered before Start. A port that is taken is
// [fault.Unavailable] and names who holds it. A model that does not load is logged and reported, and stops nothing. When
// New fails, nothing is left.
func New(ctx context.Context, opts Options) (s *Server, err error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Cores <= 0 {
		opts.Cores = runtime.GOMAXPROCS(0)
	}
	if opts.BodyTimeout <= 0 {
		opts.BodyTimeout = defaultBodyTimeout
	}
	s = &Server{opts: opts, log: opts.Log, gate: engine.NewGate(opts.Cores)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.unwind(context.WithoutCancel(ctx)))
			s = nil
		}
	}()
	if opts.Store == nil || opts.Open == nil {
		return s, fmt.Errorf("%w: server without a store or an engine", fault.Invalid)
	}
	if err := s.build(ctx); err != nil {
		return s, err
	}
	s.loadModels(ctx)
	return s, ctx.Err()
}

// build makes the parts, each with its undo.
func (s *Server) build(ctx context.Context) error {
	s.metrics = metric.New(metric.Options{Version: s.opts.Version, NoSystem: s.opts.NoSystemMetrics})
	s.models = registry.New(s.registryOptions())
	s.undo = append(s.undo, s.models.Close, s.keepLast)
	return s.bind(ctx)
}

// Start begins to answer.
func (s *Server) Start() {
	for _, l := range s.listeners {
		l.start()
	}
	s.keep()
	s.log.Info("started", "inference", s.addrs.Inference, "management", s.addrs.Management, "metrics", s.addrs.Metrics,
		"grpc_inference", s.addrs.GRPCInference, "grpc_management", s.addrs.GRPCManagement)
	if s.opts.Started != nil {
		r := Report{Addrs: s.addrs, Endpoints: s.endpoints, ModelAPI: s.modelAPI, Models: s.loaded, Cores: s.opts.Cores}
		if s.keys != nil {
			r.KeyFile = s.keys.Path()
		}
		s.opts.Started(r)
	}
}

// Addrs returns the real addresses, also for port 0.
func (s *Server) Addrs() Addrs { return s.addrs }

// Models returns the models that are served.
func (s *Server) Models() *registry.Models { return s.models }

// Metrics returns what the metrics page is made of.
func (s *Server) Metrics() prometheus.Gatherer { return s.metrics.Gatherer() }

// Ready returns [fault.Unavailable] while the server stops, and else what the models say.
func (s *Server) Ready() error {
	if s.stopping.Load() {
		return fmt.Errorf("stopping: %w", fault.Unavailable)
	}
	return s.models.Ready()
}

// Stop says at once that the server is not ready, takes leave of who is connected, lets the requests under way end, and
// gives everything back; a model that is being loaded is given up. When ctx ends first, what is left is cut off and its error
// returned. Stopping again does nothing.
func (s *Server) Stop(ctx context.Context) error {
	if s.stopping.Swap(true) {
		return nil
	}
	s.log.Info("stopping")
	s.models.StopLoading() // who waits for a model to load would keep the ports from closing
	err := s.unwind(ctx)
	if err != nil {
		s.log.Warn("stopped, but not all ended", "err", err)
		return err
	}
	s.log.Info("stopped")
	return err
}

func (s *Server) unwind(ctx context.Context) error {
	var failed []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		if err := s.undo[i](ctx); err != nil {
			failed = append(failed, err)
		}
	}
	s.undo = nil
	return errors.Join(failed...)
}

// Run is New, Start, waiting for ctx to end or for a port to fail, and Stop within Options.Drain.
func Run(ctx context.Context, opts Options) error {
	s, err := New(ctx, opts)
	if err != nil {
		return err
	}
	s.Start()
	var broken error
	select {
	case <-ctx.Done():
	case broken = <-s.failed():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), opts.Drain)
	defer cancel()
	return errors.Join(broken, s.Stop(drain))
}

// The limits of a connection, beside those of Options.
const (
	defaultBodyTimeout = 30 * time.Second
	idleTimeout        = 2 * time.Minute // also of a header: a client's pool may hold a connection that has sent nothing yet
	maxHeader          = 64 << 10
)

// lull is how long a server that stops still lets requests in, as long as anybody is connected: each answer tells its caller
// that the connection ends with it, so that none is cut off with a request on its way, and who watches /ping hears that the
// server is not ready. Then, a connection that still has sent no whole header is not waited for any longer than that.
const lull = 500 * time.Millisecond

// answered is one of the APIs with the listener on which it is answered, which it may share.
type answered struct {
	what string
	on   *listener
}

// listener is one of the ports.
type listener struct {
	what       string // the API, or the first of those that share it
	configured string // its address as the options have it
	net        net.Listener
	server     answerer
	ended      chan struct{} // closed when it serves no longer
	broken     error         // why it ended, once it has; nil: it was stopped
	tls        *tls.Config   // nil: it speaks no TLS
	serves     bool

	mu    sync.Mutex                  // guards what follows
	conns map[net.Conn]http.ConnState // those that are open
	empty chan struct{}               // closed when none is left; nil while nobody waits for that
}

// answerer is what answers on a port: an http.Server, or what has its manners.
type answerer interface {
	Serve(l net.Listener) error // http.ErrServerClosed when it was stopped
	Shutdown(ctx context.Context) error
	Close() error
}

func (l *listener) start() {
	l.serves = true
	go func() {
		defer close(l.ended)
		if err := l.server.Serve(l.net); !errors.Is(err, http.ErrServerClosed) {
			l.broken = fmt.Errorf("%s API on %s: %w: %w", l.what, l.net.Addr(), fault.Unavailable, err)
		}
	}()
}

// watch keeps account of the connections.
func (l *listener) watch(conn net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state != http.StateClosed && state != http.StateHijacked {
		l.conns[conn] = state
		return
	}
	delete(l.conns, conn)
	if len(l.conns) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// quiet returns when nobody is connected, or after the lull, or when ctx ends.
func (l *listener) quiet(ctx context.Context) {
	l.mu.Lock()
	if len(l.conns) == 0 {
		l.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	l.empty = empty
	l.mu.Unlock()
	select {
	case <-empty:
	case <-time.After(lull):
	case <-ctx.Done():
	}
}

// closeSilent closes the connections that have sent no request.
func (l *listener) closeSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn, state := range l.conns {
		if state == http.StateNew {
			_ = conn.Close() // nobody has asked anything
		}
	}
}

// stop lets requests end until ctx does, and cuts off the rest.
func (l *listener) stop(ctx context.Context) error {
	if !l.serves {
		return l.net.Close() //nolint:wrapcheck // nobody has heard of it
	}
	l.quiet(ctx)
	silent := time.AfterFunc(lull, l.closeSilent)
	defer silent.Stop()
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop the %s API: %w", l.what, err), l.server.Close())
	}
	<-l.ended
	return err
}

// hangUp stops all ports at once, so that a call to one of them takes no time from the others.
func (s *Server) hangUp(ctx context.Context) error {
	failed := make([]error, len(s.listeners))
	var ports sync.WaitGroup
	for i, l := range s.listeners {
		ports.Go(func() { failed[i] = l.stop(ctx) })
	}
	ports.Wait()
	return errors.Join(failed...)
}

// failed returns a channel that tells of the first port that breaks.
func (s *Server) failed() <-chan error {
	first := make(chan error, 1)
	for _, l := range s.listeners {
		go func() {
			<-l.ended
			if l.broken == nil {
				return
			}
			select {
			case first <- l.broken:
			default:
			}
		}()
	}
	return first
}
