package registry

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Unregister implements [model.Manager]. Requests that are still running when Options.Drain has passed are given up: they
// get [fault.Unavailable], and Unregister returns [fault.Timeout]. The version is gone then all the same, and so it is when
// the caller does not wait.
func (m *Models) Unregister(ctx context.Context, ref model.Ref) error {
	end, err := m.begin()
	if err != nil {
		return err
	}
	v, err := m.takeAway(ref)
	if err != nil {
		end()
		return err
	}
	m.opts.Changed()
	ref = v.ref // v itself is not to be known after drain
	m.opts.Log.Info("model unregistered", "model", ref.Name, "version", ref.Version)
	err = m.drain(ctx, end, func(limit context.Context) error { return m.retire(limit, v) })
	debug.FreeOSMemory() // where little is allocated, what Go had for the model would stay with the process for minutes
	if err != nil {
		return fmt.Errorf("unregister model %s: %w", ref, err)
	}
	return nil
}

// takeAway takes a version off the table.
func (m *Models) takeAway(ref model.Ref) (*served, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.table.Load()
	v, err := now.find(ref)
	if err != nil {
		return nil, err
	}
	if vs := now.models[ref.Name]; v == vs.byDefault && len(vs.all) > 1 {
		return nil, fmt.Errorf("model %s: %w before the others: make another one the default first", v.ref, fault.DefaultVersion)
	}
	m.table.Store(now.without(v))
	return v, nil
}

// retire ends a version that nobody finds any more: its queues, then its runner, then its numbers. It returns an error when
// ctx ended first, and requests were given up.
func (m *Models) retire(ctx context.Context, v *served) error {
	var err error
	if left := v.leave(); left != nil {
		err = left.close(ctx)
	}
	v.users.Wait()
	if err := v.runner.Close(); err != nil {
		m.opts.Log.Warn("model not closed", "model", v.ref.Name, "version", v.ref.Version, "err", err)
	}
	v.metrics.Forget()
	return err
}

// drain runs f, whose context ends when the time for draining has passed, and calls end after it. It waits for f, for that
// time and for ctx, whichever is first.
func (m *Models) drain(ctx context.Context, end func(), f func(limit context.Context) error) error {
	limit, cancel := context.WithCancel(m.draining)
	if m.opts.Drain > 0 {
		limit, cancel = context.WithTimeout(m.draining, m.opts.Drain)
	}
	done := make(chan error, 1)
	go func() {
		defer end()
		done <- f(limit)
		cancel()
	}()
	var err error
	select {
	case err = <-done:
	case <-limit.Done():
		select {
		case err = <-done: // that is what ended it
		default:
			err = limit.Err()
		}
	case <-ctx.Done():
		return fmt.Errorf("its requests are answered without its caller: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("%w: requests were still running after %v and were given up: %w", fault.Timeout, m.opts.Drain, err)
	}
	return nil
}

// Scale implements [model.Manager]. A version that keeps workers is scaled at once: what runs on one too many is finished
// there. Where none is left, Scale returns when all requests are answered, as Unregister does, unless it is asynchronous.
func (m *Models) Scale(ctx context.Context, ref model.Ref, s model.Scale) (model.Outcome, error) {
	if err := checkWorkers(s.Min, s.Max); err != nil {
		return model.Outcome{}, err
	}
	end, err := m.begin()
	if err != nil {
		return model.Outcome{}, err
	}
	v, err := m.table.Load().find(ref)
	if err != nil {
		end()
		return model.Outcome{}, err
	}
	workers, left, err := v.scale(s.Min, s.Max, m.hire)
	if err != nil {
		end()
		return model.Outcome{}, err
	}
	m.opts.Changed()
	m.opts.Log.Info("model scaled", "model", v.ref.Name, "version", v.ref.Version, "workers", workers)
	out := model.Outcome{Ref: v.ref, Workers: workers, Pending: s.Async}
	switch {
	case left == nil:
		end()
		return out, nil
	case s.Async:
		go func() {
			defer end()
			if err := m.empty(context.Background(), func() {}, v, left); err != nil {
				m.opts.Log.Warn("requests given up", "err", err)
			}
		}()
		return out, nil
	}
	return out, m.empty(ctx, end, v, left)
}

// empty closes the lanes of a version that has no workers any more.
func (m *Models) empty(ctx context.Context, end func(), v *served, left *lanes) error {
	err := m.drain(ctx, end, func(limit context.Context) error {
		defer v.users.Done()
		return left.close(limit)
	})
	if err != nil {
		return fmt.Errorf("scale model %s: %w", v.ref, err)
	}
	return nil
}

// SetDefault implements [model.Manager]. It returns [fault.Invalid] for a ref without a version.
func (m *Models) SetDefault(_ context.Context, ref model.Ref) error {
	if ref.Version == "" {
		return fmt.Errorf("%w: set the default version of model %q: say which", fault.Invalid, ref.Name)
	}
	if err := m.prefer(ref); err != nil {
		return err
	}
	m.opts.Changed()
	m.opts.Log.Info("default version set", "model", ref.Name, "version", ref.Version)
	return nil
}

// prefer makes a version its name's default one.
func (m *Models) prefer(ref model.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.table.Load()
	v, err := now.find(ref)
	if err == nil {
		m.table.Store(now.preferring(v))
	}
	return err
}

// Describe implements [model.Manager]. All versions come in their order. What a model tells of itself is asked of it as a
// request would be: without a worker it is [fault.Unavailable].
func (m *Models) Describe(ctx context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	now := m.table.Load()
	vs, err := now.versions(ref.Name)
	if err != nil {
		return nil, err
	}
	if d.All {
		var all []model.Status
		for _, version := range slices.SortedFunc(maps.Keys(vs.all), m.opts.Compare) {
			all = append(all, vs.status(vs.all[version]))
		}
		return all, nil
	}
	v, err := now.find(ref)
	if err != nil {
		return nil, err
	}
	status := vs.status(v)
	if d.Customized {
		if status.Customized, err = v.describe(ctx); err != nil {
			return nil, err
		}
	}
	return []model.Status{status}, nil
}

func (vs *versions) status(v *served) model.Status {
	status := v.status()
	status.Default = v == vs.byDefault
	return status
}

// maxPage is how many names a page of the list has at most.
const maxPage = 100

// List implements [model.Manager]. A limit of 0, or above 100, means 100; what is negative means what 0 does.
func (m *Models) List(_ context.Context, p model.Page) (model.Listing, error) {
	now := m.table.Load()
	if now.closed {
		return model.Listing{}, model.ErrClosed
	}
	if p.Limit <= 0 || p.Limit > maxPage {
		p.Limit = maxPage
	}
	from := min(max(0, p.Offset), len(now.names))
	to := min(from+p.Limit, len(now.names))
	var listing model.Listing
	for _, name := range now.names[from:to] {
		listing.Models = append(listing.Models, model.Listed{Name: name, URL: now.models[name].byDefault.asked.URL})
	}
	if to < len(now.names) {
		listing.Next = to
	}
	return listing, nil
}
