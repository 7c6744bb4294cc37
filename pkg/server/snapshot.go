package server

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/snapshot"
	"github.com/tsgo/tsgo/pkg/store"
)

// Snapshots say where a server keeps what it serves: when it has started, at each change, and when it stops. No request
// waits for them.
type Snapshots struct {
	Dir string // "": nothing is kept
	// Encode returns the content of a file, whose first line is written before it. It is called in one goroutine.
	Encode func(name string, at time.Time, served []Kept) ([]byte, error)
}

// Kept is what is kept of a version that is served, and what a later server goes on with. Zero means that it is not known:
// then the version's manifest and the options say it.
type Kept struct {
	Ref     model.Ref
	Default bool
	Archive string // its file or directory: below a directory of the store, with slashes, or absolute
	URL     string // as it was registered, but for what may be secret

	Handler, Runtime string       // as it was registered
	Workers          *model.Scale // nil: not known

	BatchSize                                      int
	MaxBatchDelay, ResponseTimeout, StartupTimeout time.Duration

	AtStartup bool // the operator had it served, and no caller
}

// keep begins to write snapshots.
func (s *Server) keep() {
	if s.opts.Snapshots.Dir == "" {
		return
	}
	s.snapshots.Store(snapshot.Start(snapshot.Options{
		Dir: s.opts.Snapshots.Dir, Log: s.log,
		Encode: func(name string) ([]byte, error) { return s.opts.Snapshots.Encode(name, time.Now(), s.served()) },
	}))
}

// changed has a snapshot written, once they are.
func (s *Server) changed() { s.snapshots.Load().Changed() }

// flush is how long a server that stops waits for the disk.
const flush = 5 * time.Second

// keepLast writes the last snapshot. What cannot be written is no reason to end otherwise.
func (s *Server) keepLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flush) // the callers may have had all the time there was
	defer cancel()
	if err := s.snapshots.Load().Stop(ctx); err != nil {
		s.log.Warn("snapshot given up", "dir", s.opts.Snapshots.Dir, "err", err)
	}
	return nil
}

// served returns what is to be kept now: what is served, and what could not be restored and nobody has registered since.
// The goroutine of the snapshots alone calls it.
func (s *Server) served() []Kept {
	var all []Kept
	names := map[string]bool{}
	for _, v := range s.models.Served() {
		all = append(all, s.keptOf(v.Status, v.Asked, v.Source))
		names[v.Status.Ref.Name] = true
	}
	s.missing = slices.DeleteFunc(s.missing, func(k Kept) bool {
		return slices.ContainsFunc(all, func(other Kept) bool { return other.Ref == k.Ref })
	})
	for _, k := range s.missing {
		k.Default = k.Default && !names[k.Ref.Name] // another one took its place
		all = append(all, k)
	}
	return all
}

func (s *Server) keptOf(v model.Status, asked model.Registration, source string) Kept {
	k := Kept{
		Ref: v.Ref, Default: v.Default, URL: store.Label(asked.URL), Handler: asked.Handler, Runtime: asked.Runtime,
		Workers:   &model.Scale{Min: v.MinWorkers, Max: v.MaxWorkers},
		BatchSize: v.BatchSize, MaxBatchDelay: v.MaxBatchDelay, ResponseTimeout: v.ResponseTimeout, StartupTimeout: v.StartupTimeout,
		AtStartup: v.AtStartup,
	}
	if name, inside := s.opts.Store.Inside(source); inside {
		k.Archive = name
	} else if path, err := filepath.Abs(source); err == nil {
		k.Archive = path
	}
	return k
}

// restore registers what a snapshot says was served. What does not come up is logged, reported and kept, and hinders nothing.
func (s *Server) restore(ctx context.Context, all []Kept) {
	for _, k := range all {
		start := time.Now()
		out, err := s.restoreOne(ctx, k)
		if err != nil {
			s.log.Warn("model of the snapshot cannot be served", "model", k.Ref.Name, "version", k.Ref.Version, "err", err)
			s.missing = append(s.missing, k)
		}
		s.loaded = append(s.loaded, Loaded{k.Ref.Name, k.Ref.Version, out.Workers, time.Since(start), err})
		if ctx.Err() != nil {
			return
		}
		if k.Default && err == nil {
			if err := s.models.SetDefault(ctx, k.Ref); err != nil {
				s.log.Warn("version cannot be the default one", "model", k.Ref.Name, "version", k.Ref.Version, "err", err)
			}
		}
	}
}

func (s *Server) restoreOne(ctx context.Context, k Kept) (model.Outcome, error) {
	path := k.Archive
	if !filepath.IsAbs(path) {
		at, err := s.opts.Store.At(path)
		if err != nil {
			return model.Outcome{}, fmt.Errorf("its archive is gone: %w; put it back, or register the model anew", err)
		}
		path = at
	}
	r := model.Registration{
		URL: cmp.Or(k.URL, k.Archive), Archive: path, Name: k.Ref.Name, Version: k.Ref.Version, Handler: k.Handler, Runtime: k.Runtime,
		BatchSize: k.BatchSize, MaxBatchDelay: k.MaxBatchDelay, ResponseTimeout: k.ResponseTimeout, StartupTimeout: k.StartupTimeout,
		AtStartup: k.AtStartup,
	}
	if k.Workers != nil {
		r.Workers = &k.Workers.Min
	}
	out, err := s.models.Register(ctx, r)
	switch {
	case fault.Of(err) == fault.NotFound:
		return out, fmt.Errorf("its archive is gone: %w; put it back, or register the model anew", err)
	case err != nil || k.Workers == nil || k.Workers.Max <= k.Workers.Min:
		return out, err
	}
	return s.models.Scale(ctx, k.Ref, *k.Workers)
}
