package model

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Manager says which models are served. The registry keeps it, and the client of another process; modeltest.TestManager
// checks what it promises. It is safe for concurrent use. Its errors are [fault.NoModel] and [fault.NoVersion] for a ref
// that is not there, [fault.Conflict] for one that is there already, [fault.DefaultVersion] for a default version that
// others would outlive, [fault.BadModel] and [fault.NotFound] for a model that cannot be loaded, [fault.Invalid] for
// numbers that make no sense, and the context's when ctx ends.
type Manager interface {
	// Register loads a model and serves it. It is not seen before it can answer. The first version of a name becomes its
	// default; later ones do not.
	Register(ctx context.Context, r Registration) (Outcome, error)
	// Unregister takes a version away, the default one where ref names none, and returns when the requests that it had
	// taken are answered.
	Unregister(ctx context.Context, ref Ref) error
	// Scale sets how many workers a version has.
	Scale(ctx context.Context, ref Ref, s Scale) (Outcome, error)
	// SetDefault makes a version the one that requests without a version go to.
	SetDefault(ctx context.Context, ref Ref) error
	// Describe tells of one version, the default one where ref names none, or of all.
	Describe(ctx context.Context, ref Ref, d Description) ([]Status, error)
	// List tells the names, in their order.
	List(ctx context.Context, p Page) (Listing, error)
}

// Registration says what is to be served, and how. Zero means what the model's manifest says, or else the server's
// default, except where said otherwise.
type Registration struct {
	URL                             string // a name in the model store, a path, or a URL
	Archive                         string // the archive's path, where the server knows it already; "": the URL leads there. Callers cannot say it
	Name, Version, Handler, Runtime string
	BatchSize                       int
	MaxBatchDelay                   time.Duration
	ResponseTimeout, StartupTimeout time.Duration
	Workers                         *int // nil: the manifest's, or the server's default; zero: none yet
	Async                           bool // answer once the model is known to be one, and load it afterwards
	AtStartup                       bool // it was there when the server started
}

// Scale is how many workers a version is to have: Min of them, or as many as it has where those are not more than Max.
type Scale struct {
	Min, Max int
	Async    bool
}

// Outcome is what became of a registration or of scaling.
type Outcome struct {
	Ref     Ref  // with its version
	Workers int  // how many workers there are, or will be
	Pending bool // the answer does not wait for them
}

// Description is what Describe is asked for.
type Description struct {
	All        bool // every version
	Customized bool // what the handler tells of itself too; not with All
}

// Status is what is known of one version that is served.
type Status struct {
	Ref                                            Ref
	Default                                        bool
	URL, Runtime, Handler                          string
	MinWorkers, MaxWorkers, BatchSize              int
	MaxBatchDelay, ResponseTimeout, StartupTimeout time.Duration
	MaxQueueDelay                                  time.Duration // who would wait for longer is refused
	AtStartup                                      bool
	Workers                                        []Worker
	QueueRemaining, QueuePending                   int
	Memory                                         int64          // bytes of the network's file, what its session takes at least
	Customized                                     map[string]any // nil where it was not asked for
}

// Worker is one of a version's workers.
type Worker struct {
	ID      string
	Started time.Time
	Ready   bool
	Memory  int64 // bytes; 0 where nothing is counted for it alone
	PID     int
}

// Page is a part of a list.
type Page struct {
	Limit  int // at most so many; 0: 100
	Offset int // so many are passed over
}

// Listing is a page of the names that are served.
type Listing struct {
	Models []Listed
	Next   int // the offset of the next page; 0: there is none
}

// Listed is one name.
type Listed struct {
	Name string
	URL  string // of the default version
}

// Why a registration's location leads to no model: in the chain of a [fault.NoModel].
var (
	ErrUpwards      = errors.New("relative paths that lead upwards are not allowed")
	ErrNotAllowed   = errors.New("it is neither in the model store nor at an allowed URL")
	ErrNothingThere = errors.New("nothing is there")
)

// ConflictError is a registration of a version that is served already.
type ConflictError struct{ Ref Ref }

// Error names the version.
func (e *ConflictError) Error() string { return fmt.Sprintf("model %s: %v", e.Ref, fault.Conflict) }

// Unwrap returns [fault.Conflict].
func (e *ConflictError) Unwrap() error { return fault.Conflict }
