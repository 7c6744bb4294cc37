package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

// slow returns a loader that waits between finding a model and having loaded it, until it is let go or its context ends.
// A stubborn one does not look at its context.
func slow(f *fake, stubborn bool) (load registry.Loader, release func()) {
	gate := make(chan struct{})
	return func(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
		runner, err := give(r, found, f)
		if err != nil {
			return nil, err
		}
		if stubborn {
			<-gate
			return runner, nil
		}
		select {
		case <-gate:
			return runner, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("open the network: %w", ctx.Err())
		}
	}, func() { close(gate) }
}

// TestLoading checks that nobody waits for a model that loads, and nobody sees it.
func TestLoading(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]model.Registration{
		"named":        {URL: "slow", Name: "slow", Version: "1.0"},
		"not named":    {URL: "slow"},
		"asynchronous": {URL: "slow", Async: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				slowly, release := slow(&fake{}, false)
				m := start(t, registry.Options{
					Load: func(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
						if r.URL == "slow" {
							return slowly(ctx, r, found)
						}
						return load(ctx, r, found)
					},
				})
				ref := model.Ref{Name: "slow", Version: "1.0"}
				r.Workers = new(1)
				type result struct {
					out model.Outcome
					err error
				}
				done := make(chan result, 1)
				go func() {
					out, err := m.Register(t.Context(), r)
					done <- result{out, err}
				}()
				synctest.Wait()

				quick := register(t, m, model.Registration{URL: "quick"})
				wantBody(t, <-later(t.Context(), m, quick, ask(model.ModePredict, "x")), "predict 1.0 x")
				_, err := m.Predict(t.Context(), ref, ask(model.ModePredict, "x"))
				wantErr(t, "Predict of what loads", err, fault.NoModel)
				wantErr(t, "Unregister of what loads", m.Unregister(t.Context(), ref), fault.NoModel)
				for _, async := range []bool{false, true} {
					_, err = m.Register(t.Context(), model.Registration{URL: "slow", Async: async})
					wantErr(t, "Register of what loads", err, fault.Conflict)
				}
				if all, err := m.List(t.Context(), model.Page{}); err != nil || len(all.Models) != 1 {
					t.Errorf("List = %+v, %v, want the quick one", all, err)
				}

				if !r.Async && len(done) > 0 {
					t.Fatal("Register did not wait")
				}
				release()
				want := model.Outcome{Ref: ref, Workers: 1, Pending: r.Async}
				if got := <-done; got.err != nil || got.out != want {
					t.Errorf("Register = %+v, want %+v", got, want)
				}
				synctest.Wait()
				wantBody(t, <-later(t.Context(), m, ref, ask(model.ModePredict, "x")), "predict 1.0 x")
			})
		})
	}
}

func TestStartupTimeout(t *testing.T) {
	t.Parallel()
	for name, stubborn := range map[string]bool{"loader gives up": false, "loader comes too late": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				slowly, release := slow(f, stubborn)
				m := start(t, registry.Options{Load: slowly})
				time.AfterFunc(6*time.Second, release)
				begin := time.Now()
				_, err := m.Register(t.Context(), model.Registration{URL: "model", StartupTimeout: 5 * time.Second})
				wantErr(t, "Register", err, fault.Timeout)
				if took := time.Since(begin); stubborn && took != 6*time.Second || !stubborn && took != 5*time.Second {
					t.Errorf("Register took %v", took)
				}
				wantFit(t, f, stubborn)
				_, err = m.Predict(t.Context(), model.Ref{Name: "model"}, ask(model.ModePredict, "x"))
				wantErr(t, "Predict", err, fault.NoModel)
				time.Sleep(time.Second) //nolint:forbidigo // in the bubble's time: until the loader is let go
				register(t, m, model.Registration{URL: "model", StartupTimeout: 5 * time.Second})
			})
		})
	}
}

// TestStartupTimeoutBegins checks that what comes before the model is found, a download perhaps, has time of its own.
func TestStartupTimeoutBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := start(t, registry.Options{
			Load: func(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
				select {
				case <-time.After(time.Hour):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				return give(r, found, &fake{})
			},
		})
		register(t, m, model.Registration{URL: "model", StartupTimeout: time.Second})
	})
}

func TestRegisterCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slowly, _ := slow(&fake{}, false)
		m := start(t, registry.Options{Load: slowly})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Register(ctx, model.Registration{URL: "model"})
		wantErr(t, "Register", err, fault.Timeout, context.DeadlineExceeded)
	})
}

// TestCloseWhileLoading checks that Close does not wait for a model that nobody will ask any more.
func TestCloseWhileLoading(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ async, stubborn bool }{
		"synchronous": {}, "asynchronous": {async: true}, "loader goes on": {stubborn: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fake{}
				slowly, release := slow(f, tt.stubborn)
				m := registry.New(registry.Options{Load: slowly})
				registered := make(chan error, 1)
				go func() {
					_, err := m.Register(t.Context(), model.Registration{URL: "model", Async: tt.async})
					registered <- err
				}()
				synctest.Wait()
				closed := make(chan error, 1)
				go func() { closed <- m.Close(t.Context()) }()
				synctest.Wait()
				if tt.stubborn {
					release()
				}
				if err := <-closed; err != nil {
					t.Errorf("Close: %v", err)
				}
				if err := <-registered; tt.async {
					if err != nil {
						t.Errorf("Register: %v", err)
					}
				} else {
					wantErr(t, "Register", err, fault.Unavailable, model.ErrClosed)
				}
				wantFit(t, f, tt.stubborn)
			})
		})
	}
}

// TestLoaderFails has a loader fail in its ways, before and after the model is found.
func TestLoaderFails(t *testing.T) {
	t.Parallel()
	bad := fmt.Errorf("%w: no network", fault.BadModel)
	tests := []struct {
		name  string
		load  registry.Loader
		known bool // it fails after an asynchronous registration was answered
		want  fault.Kind
	}{
		{name: "not found", want: fault.BadModel, load: func(context.Context, model.Registration, registry.Found) (registry.Runner, error) {
			return nil, bad
		}},
		{name: "found and broken", known: true, want: fault.BadModel, load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
			if _, err := give(r, found, &fake{}); err != nil {
				return nil, err
			}
			return nil, bad
		}},
		{name: "panics", want: fault.Internal, load: func(context.Context, model.Registration, registry.Found) (registry.Runner, error) {
			panic("ouch")
		}},
		{name: "panics later", known: true, want: fault.Internal, load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
			if _, err := give(r, found, &fake{}); err != nil {
				return nil, err
			}
			panic("ouch")
		}},
		{name: "no version", want: fault.Internal, load: func(_ context.Context, _ model.Registration, found registry.Found) (registry.Runner, error) {
			return nil, found(model.Ref{Name: "model"}, model.Settings{})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			m := registry.New(registry.Options{Load: tt.load, Log: slog.New(slog.NewTextHandler(&log, nil))})
			_, err := m.Register(t.Context(), model.Registration{URL: "model"})
			wantErr(t, "Register", err, tt.want)
			if log.Len() > 0 {
				t.Errorf("what was told was logged too: %s", &log)
			}
			out, err := m.Register(t.Context(), model.Registration{URL: "model", Async: true})
			if !tt.known {
				wantErr(t, "Register without waiting", err, tt.want)
			} else if err != nil || !out.Pending {
				t.Errorf("Register without waiting = %+v, %v, want it pending", out, err)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if tt.known && !strings.Contains(log.String(), "model not registered") {
				t.Errorf("the log does not tell why there is no model: %q", &log)
			}
		})
	}
}

// TestRegisterLaterCallerLeaves checks that a failure which nobody waits for is logged.
func TestRegisterLaterCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var log bytes.Buffer
		m := registry.New(registry.Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)),
			Load: func(context.Context, model.Registration, registry.Found) (registry.Runner, error) {
				<-gate
				return nil, errors.New("it was not to be")
			},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Register(ctx, model.Registration{URL: "model", Async: true})
		wantErr(t, "Register", err, fault.Timeout)
		close(gate)
		synctest.Wait()
		if !strings.Contains(log.String(), "it was not to be") {
			t.Errorf("log = %q", &log)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestWarmUp checks that a model is not seen before its warm run is over, and that nothing is left of one which fails.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]bool{"succeeds": false, "fails": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				gate, f := make(chan error), &fake{}
				set := metric.New(metric.Options{Hostname: "h"})
				m := start(t, registry.Options{
					Metrics: set,
					Load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
						runner, err := give(r, found, f)
						if err != nil {
							return nil, err
						}
						if err := <-gate; err != nil { // the warm run
							return nil, errors.Join(err, runner.Close())
						}
						return runner, nil
					},
				})
				registered := make(chan error, 1)
				go func() {
					_, err := m.Register(t.Context(), model.Registration{URL: "model", Workers: new(1)})
					registered <- err
				}()
				synctest.Wait()
				wantNothing(t, m, set)
				if fails {
					gate <- fmt.Errorf("warm up: %w", fault.BadModel)
					wantErr(t, "Register", <-registered, fault.BadModel)
					wantNothing(t, m, set)
					wantFit(t, f, true)
					f = &fake{}
					go func() { gate <- nil }()
					register(t, m, model.Registration{URL: "model"})
				} else {
					gate <- nil
					if err := <-registered; err != nil {
						t.Fatal(err)
					}
				}
				wantBody(t, <-later(t.Context(), m, model.Ref{Name: "model"}, ask(model.ModePredict, "x")), "predict 1.0 x")
			})
		})
	}
}

// wantNothing checks that a registry serves nothing, and counts nothing.
func wantNothing(t *testing.T, m *registry.Models, set *metric.Set) {
	t.Helper()
	if l, err := m.List(t.Context(), model.Page{}); err != nil || len(l.Models) > 0 {
		t.Errorf("List = %+v, %v, want nothing", l, err)
	}
	_, err := m.Predict(t.Context(), model.Ref{Name: "model"}, ask(model.ModePredict, "x"))
	wantErr(t, "Predict", err, fault.NoModel)
	if lines := series(t, set, "model_name="); len(lines) > 0 {
		t.Errorf("series of a model that is not served: %q", lines)
	}
}

// TestRegisterAtOnce registers one version from two sides while it loads: one gets through, and the other knows which
// version it was, also where it named none.
func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]model.Registration{
		"named": {URL: "slow", Name: "slow", Version: "1.0"}, "not named": {URL: "slow"}, "asynchronous": {URL: "slow", Async: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				m := start(t, registry.Options{
					Load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
						runner, err := give(r, found, &fake{})
						if err != nil {
							return nil, err
						}
						<-gate
						return runner, nil
					},
				})
				errs := make(chan error, 2)
				for range 2 {
					go func() {
						_, err := m.Register(t.Context(), r)
						errs <- err
					}()
				}
				synctest.Wait()
				wantConflict := func(err error) {
					t.Helper()
					var conflict *model.ConflictError
					wantErr(t, "Register", err, fault.Conflict)
					if !errors.As(err, &conflict) || conflict.Ref != (model.Ref{Name: "slow", Version: "1.0"}) {
						t.Errorf("Register = %v, want it to know slow/1.0", err)
					}
				}
				if r.Async { // both are answered while the model loads
					first, second := <-errs, <-errs
					if first == nil {
						first = second
					} else if second != nil {
						t.Errorf("Register = %v and %v, want one to get through", first, second)
					}
					wantConflict(first)
				} else {
					wantConflict(<-errs)
				}
				close(gate)
				if !r.Async {
					if err := <-errs; err != nil {
						t.Errorf("Register: %v", err)
					}
				}
				synctest.Wait()
				_, err := m.Register(t.Context(), r)
				wantConflict(err)
			})
		})
	}
}

// TestLoadErrors checks that what keeps a model from loading reaches who registers it as it is.
func TestLoadErrors(t *testing.T) {
	t.Parallel()
	full := fmt.Errorf("unpack: %w: %w", fault.Unavailable, syscall.ENOSPC)
	m := start(t, registry.Options{
		Load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
			if r.Version == "late" {
				if _, err := give(r, found, &fake{}); err != nil {
					return nil, err
				}
			}
			return nil, full
		},
	})
	for _, version := range []string{"", "early", "late"} {
		for range 2 { // the version is free again
			_, err := m.Register(t.Context(), model.Registration{URL: "model", Version: version})
			wantErr(t, "Register", err, fault.Unavailable, syscall.ENOSPC)
		}
	}
}

// TestUnfound checks that a loader need not say early what it found.
func TestUnfound(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		m := start(t, registry.Options{
			Load: func(context.Context, model.Registration, registry.Found) (registry.Runner, error) {
				return &fake{ref: model.Ref{Name: "model", Version: "7"}, settings: model.Settings{MinWorkers: 2}}, nil
			},
		})
		want := model.Outcome{Ref: model.Ref{Name: "model", Version: "7"}, Workers: 2, Pending: async}
		if out, err := m.Register(t.Context(), model.Registration{Async: async}); err != nil || out != want {
			t.Errorf("Register = %+v, %v, want %+v", out, err, want)
		}
	}
}

// TestAnotherModel has a loader come with another model than it found.
func TestAnotherModel(t *testing.T) {
	t.Parallel()
	f := &fake{ref: model.Ref{Name: "model", Version: "1.0"}}
	m := start(t, registry.Options{
		Load: func(_ context.Context, _ model.Registration, found registry.Found) (registry.Runner, error) {
			return f, found(model.Ref{Name: "other", Version: "1.0"}, model.Settings{})
		},
	})
	_, err := m.Register(t.Context(), model.Registration{URL: "model"})
	wantErr(t, "Register", err, fault.Internal)
	wantFit(t, f, true)
}
