package modeltest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// ManagerSubject is a manager to check, and what it can be asked to serve. It has at most 90 names already, none of which
// begins with "modeltest".
type ManagerSubject struct {
	Manager model.Manager

	// Registration returns what registers a model under a name and in a version. It sets neither batch size, timeouts nor
	// workers.
	Registration func(name, version string) model.Registration

	// Missing is the registration of something that is not there.
	Missing model.Registration

	// Customized is what such a model tells of itself, among other things.
	Customized map[string]any
}

// TestManager checks that a model is registered with what was asked for, once even when several ask at once; that it can be
// described, listed, scaled and unregistered; that the first version is the default until another is made it, and goes
// last; and that what is wrong or not there is told apart.
func TestManager(t *testing.T, s ManagerSubject) {
	t.Helper()
	t.Run("register", s.register)
	t.Run("register later", s.registerLater)
	t.Run("conflict", s.conflict)
	t.Run("cannot be registered", s.cannotBeRegistered)
	t.Run("scale", s.scale)
	t.Run("default version", s.defaultVersion)
	t.Run("list", s.list)
	t.Run("unknown", s.unknown)
}

// add registers a model that must be there for what follows.
func (s ManagerSubject) add(t *testing.T, name, version string) {
	t.Helper()
	if _, err := s.Manager.Register(t.Context(), s.Registration(name, version)); err != nil {
		t.Fatalf("Register %s/%s: %v", name, version, err)
	}
}

// remove takes versions away, the default one last.
func (s ManagerSubject) remove(t *testing.T, name string, versions ...string) {
	t.Helper()
	for _, version := range versions {
		if err := s.Manager.Unregister(t.Context(), model.Ref{Name: name, Version: version}); err != nil {
			t.Errorf("Unregister %s/%s: %v", name, version, err)
		}
	}
	s.wantNone(t, name)
}

func (s ManagerSubject) wantNone(t *testing.T, name string) {
	t.Helper()
	if all, err := s.Manager.Describe(t.Context(), model.Ref{Name: name}, model.Description{}); !errors.Is(err, fault.NoModel) {
		t.Errorf("Describe %s = %v, %v, want %v", name, all, err, fault.NoModel)
	}
}

// one describes one version.
func (s ManagerSubject) one(t *testing.T, ref model.Ref) model.Status {
	t.Helper()
	all, err := s.Manager.Describe(t.Context(), ref, model.Description{})
	if err != nil || len(all) != 1 {
		t.Fatalf("Describe %s = %v, %v, want one version", ref, all, err)
	}
	return all[0]
}

// wantKind checks that an operation failed for the right reason.
func wantKind(t *testing.T, what string, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.Of(err) != want {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

func (s ManagerSubject) register(t *testing.T) {
	const name = "modeltest-register"
	ref := model.Ref{Name: name, Version: "1.5"}
	workers := 2
	r := s.Registration(ref.Name, ref.Version)
	r.Workers, r.BatchSize, r.MaxBatchDelay = &workers, 4, 50*time.Millisecond
	r.ResponseTimeout, r.StartupTimeout = 7*time.Second, 90*time.Second
	out, err := s.Manager.Register(t.Context(), r)
	if want := (model.Outcome{Ref: ref, Workers: 2}); err != nil || out != want {
		t.Fatalf("Register = %+v, %v, want %+v", out, err, want)
	}
	got := s.one(t, model.Ref{Name: name})
	wantWorkers(t, got, 2)
	if got.QueueRemaining <= 0 {
		t.Errorf("the queue has room for %d, want some", got.QueueRemaining)
	}
	got = model.Status{
		Ref: got.Ref, URL: got.URL, MinWorkers: got.MinWorkers, MaxWorkers: got.MaxWorkers, BatchSize: got.BatchSize,
		MaxBatchDelay: got.MaxBatchDelay, ResponseTimeout: got.ResponseTimeout, StartupTimeout: got.StartupTimeout,
		MaxQueueDelay: got.MaxQueueDelay, AtStartup: got.AtStartup, QueuePending: got.QueuePending, Customized: got.Customized,
	}
	want := model.Status{
		Ref: ref, URL: r.URL, MinWorkers: 2, MaxWorkers: 2, BatchSize: 4,
		MaxBatchDelay: 50 * time.Millisecond, ResponseTimeout: 7 * time.Second, StartupTimeout: 90 * time.Second,
		MaxQueueDelay: 7 * time.Second, // a request waits as long as a batch may run
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	all, err := s.Manager.Describe(t.Context(), ref, model.Description{Customized: true})
	if err != nil || len(all) != 1 {
		t.Fatalf("Describe with what the model tells = %v, %v, want one version", all, err)
	}
	for key, want := range s.Customized {
		if diff := cmp.Diff(want, all[0].Customized[key]); diff != "" {
			t.Errorf("what the model tells as %q (-want +got):\n%s", key, diff)
		}
	}
	s.remove(t, name, "1.5")
	s.add(t, name, "1.5")
	s.remove(t, name, "") // the default version, as none is named
}

// wantWorkers checks that a version has so many workers, all ready and each with a name of its own.
func wantWorkers(t *testing.T, got model.Status, want int) {
	t.Helper()
	if len(got.Workers) != want {
		t.Errorf("%s has workers %+v, want %d", got.Ref, got.Workers, want)
	}
	names := map[string]bool{}
	for _, w := range got.Workers {
		names[w.ID] = true
		if !w.Ready || w.Started.IsZero() {
			t.Errorf("worker %+v, want it ready, and when it started", w)
		}
	}
	if len(names) != len(got.Workers) {
		t.Errorf("workers share names: %+v", got.Workers)
	}
}

func (s ManagerSubject) registerLater(t *testing.T) {
	const name = "modeltest-later"
	r := s.Registration(name, "1.0")
	r.Async = true
	if out, err := s.Manager.Register(t.Context(), r); err != nil || !out.Pending {
		t.Fatalf("Register = %+v, %v, want it pending", out, err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		_, err := s.Manager.Describe(t.Context(), model.Ref{Name: name}, model.Description{})
		if err == nil {
			break
		}
		wantKind(t, "Describe, before it is loaded", err, fault.NoModel)
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not registered after a minute")
		}
	}
	s.remove(t, name, "1.0")
}

// conflict registers the same version from many sides at once, and once more.
func (s ManagerSubject) conflict(t *testing.T) {
	const name, callers = "modeltest-conflict", 8
	errs := make([]error, callers)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() { _, errs[i] = s.Manager.Register(t.Context(), s.Registration(name, "1.0")) })
	}
	group.Wait()
	through := 0
	for _, err := range errs {
		if err == nil {
			through++
			continue
		}
		wantKind(t, "Register, at the same time", err, fault.Conflict)
	}
	if through != 1 {
		t.Errorf("%d of %d registrations got through, want 1", through, callers)
	}
	_, err := s.Manager.Register(t.Context(), s.Registration(name, "1.0"))
	wantKind(t, "Register, again", err, fault.Conflict)
	later := s.Registration(name, "1.0")
	later.Async = true
	_, err = s.Manager.Register(t.Context(), later)
	wantKind(t, "Register, again and asynchronously", err, fault.Conflict)
	s.remove(t, name, "1.0")
}

func (s ManagerSubject) cannotBeRegistered(t *testing.T) {
	_, err := s.Manager.Register(t.Context(), s.Missing)
	switch fault.Of(err) {
	case fault.NotFound, fault.NoModel, fault.BadModel, fault.Download:
	default:
		t.Errorf("Register what is missing = %v, want a kind that blames the model", err)
	}
	negative := -1
	for what, change := range map[string]func(r *model.Registration){
		"a negative batch size":       func(r *model.Registration) { r.BatchSize = -1 },
		"a negative response timeout": func(r *model.Registration) { r.ResponseTimeout = -time.Second },
		"a negative startup timeout":  func(r *model.Registration) { r.StartupTimeout = -time.Second },
		"fewer than no workers":       func(r *model.Registration) { r.Workers = &negative },
	} {
		r := s.Registration("modeltest-wrong", "1.0")
		change(&r)
		_, err := s.Manager.Register(t.Context(), r)
		wantKind(t, "Register with "+what, err, fault.Invalid)
	}
	s.wantNone(t, "modeltest-wrong")
}

func (s ManagerSubject) scale(t *testing.T) {
	const name = "modeltest-scale"
	ref := model.Ref{Name: name, Version: "1.0"}
	s.add(t, name, "1.0")
	for _, step := range []struct{ lo, hi, want int }{
		{1, 1, 1}, {3, 3, 3}, {1, 5, 3}, {4, 5, 4}, {0, 2, 2}, {2, 2, 2}, {0, 0, 0}, {0, 3, 0}, {1, 1, 1},
	} {
		out, err := s.Manager.Scale(t.Context(), ref, model.Scale{Min: step.lo, Max: step.hi})
		if err != nil || out.Ref != ref || out.Pending {
			t.Fatalf("Scale to %d..%d = %+v, %v", step.lo, step.hi, out, err)
		}
		status := s.one(t, ref)
		wantWorkers(t, status, step.want)
		if status.MinWorkers != step.lo || status.MaxWorkers != step.hi {
			t.Errorf("%d to %d workers, want %d to %d", status.MinWorkers, status.MaxWorkers, step.lo, step.hi)
		}
	}
	for _, wrong := range []model.Scale{{Min: -1, Max: -1}, {Min: -1, Max: 1}, {Min: 2, Max: 1}} {
		_, err := s.Manager.Scale(t.Context(), ref, wrong)
		wantKind(t, fmt.Sprintf("Scale to %+v", wrong), err, fault.Invalid)
	}
	wantWorkers(t, s.one(t, ref), 1)
	if out, err := s.Manager.Scale(t.Context(), model.Ref{Name: name}, model.Scale{Min: 2, Max: 2, Async: true}); err != nil || !out.Pending {
		t.Errorf("Scale without waiting = %+v, %v, want it pending", out, err)
	}
	s.remove(t, name, "1.0")
}

func (s ManagerSubject) defaultVersion(t *testing.T) {
	const name = "modeltest-default"
	for _, version := range []string{"1.0", "2.0", "3.0"} {
		s.add(t, name, version)
	}
	wantDefault := func(version string) {
		t.Helper()
		if got := s.one(t, model.Ref{Name: name}).Ref.Version; got != version {
			t.Errorf("the default version is %s, want %s", got, version)
		}
	}
	wantDefault("1.0")
	all, err := s.Manager.Describe(t.Context(), model.Ref{Name: name}, model.Description{All: true})
	var versions []string
	for _, status := range all {
		versions = append(versions, status.Ref.Version)
	}
	if err != nil || !slices.Equal(versions, []string{"1.0", "2.0", "3.0"}) {
		t.Errorf("versions = %q, %v", versions, err)
	}
	for range 2 {
		if err := s.Manager.SetDefault(t.Context(), model.Ref{Name: name, Version: "2.0"}); err != nil {
			t.Fatalf("SetDefault: %v", err)
		}
		wantDefault("2.0")
	}
	wantKind(t, "SetDefault to a version that is not there",
		s.Manager.SetDefault(t.Context(), model.Ref{Name: name, Version: "9.0"}), fault.NoVersion)
	for _, version := range []string{"", "2.0"} {
		wantKind(t, "Unregister the default version "+version,
			s.Manager.Unregister(t.Context(), model.Ref{Name: name, Version: version}), fault.DefaultVersion)
	}
	wantDefault("2.0")
	s.remove(t, name, "1.0", "3.0", "2.0")
}

// list reads the list page by page, in all sizes up to more than there is.
func (s ManagerSubject) list(t *testing.T) {
	ours := []string{"modeltest-list-a", "modeltest-list-b", "modeltest-list-c"}
	for _, name := range []string{ours[1], ours[2], ours[0]} {
		s.add(t, name, "1.0")
		defer s.remove(t, name, "1.0")
	}
	whole, err := s.Manager.List(t.Context(), model.Page{})
	if err != nil || whole.Next != 0 {
		t.Fatalf("List = %+v, %v, want one page", whole, err)
	}
	var names []string
	for _, listed := range whole.Models {
		names = append(names, listed.Name)
		if url := s.Registration(listed.Name, "1.0").URL; slices.Contains(ours, listed.Name) && listed.URL != url {
			t.Errorf("%s is listed with %q, want %q", listed.Name, listed.URL, url)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("names are out of order: %q", names)
	}
	for _, name := range ours {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %q", name, names)
		}
	}
	for size := 1; size <= len(names)+1; size++ {
		s.pages(t, size, whole.Models)
	}
	if beyond, err := s.Manager.List(t.Context(), model.Page{Offset: len(names)}); err != nil || len(beyond.Models) > 0 || beyond.Next != 0 {
		t.Errorf("List beyond the end = %+v, %v, want nothing", beyond, err)
	}
}

// pages reads the list in pages of a size.
func (s ManagerSubject) pages(t *testing.T, size int, want []model.Listed) {
	t.Helper()
	var got []model.Listed
	page := model.Page{Limit: size}
	for {
		part, err := s.Manager.List(t.Context(), page)
		if err != nil || len(part.Models) == 0 || len(part.Models) > size {
			t.Fatalf("List %+v = %+v, %v, want 1 to %d models", page, part, err, size)
		}
		got = append(got, part.Models...)
		if part.Next == 0 {
			break
		}
		if part.Next != len(got) {
			t.Fatalf("after %d models the next page is at %d", len(got), part.Next)
		}
		page.Offset = part.Next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
	}
}

// unknown asks for a name and a version that are not there, whatever is asked.
func (s ManagerSubject) unknown(t *testing.T) {
	const name = "modeltest-unknown"
	s.add(t, name, "1.0")
	defer s.remove(t, name, "1.0")
	for ref, want := range map[model.Ref]fault.Kind{
		{Name: "modeltest-none"}:                 fault.NoModel,
		{Name: "modeltest-none", Version: "1.0"}: fault.NoModel,
		{Name: name, Version: "9.0"}:             fault.NoVersion,
	} {
		_, err := s.Manager.Describe(t.Context(), ref, model.Description{})
		wantKind(t, "Describe "+ref.String(), err, want)
		_, err = s.Manager.Scale(t.Context(), ref, model.Scale{Min: 1, Max: 1})
		wantKind(t, "Scale "+ref.String(), err, want)
		wantKind(t, "Unregister "+ref.String(), s.Manager.Unregister(t.Context(), ref), want)
		if ref.Version != "" {
			wantKind(t, "SetDefault "+ref.String(), s.Manager.SetDefault(t.Context(), ref), want)
		}
	}
	_, err := s.Manager.Describe(t.Context(), model.Ref{Name: "modeltest-none"}, model.Description{All: true})
	wantKind(t, "Describe all of modeltest-none", err, fault.NoModel)
}
