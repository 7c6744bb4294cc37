package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/model/modeltest"
	"github.com/tsgo/tsgo/pkg/registry"
)

func TestPredictor(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{Queue: 200})
	ref := register(t, m, model.Registration{URL: "model", BatchSize: 8, MaxBatchDelay: time.Millisecond, Workers: new(3)})
	input := func(i int) []model.Input { return []model.Input{{Data: fmt.Append(nil, i)}} }
	modeltest.TestPredictor(t, modeltest.Subject{
		Predictor: m, Ref: ref, Input: input, Bad: []model.Input{{Data: []byte("bad")}},
		Check: func(i int, mode model.Mode, resp *model.Response) error {
			if want := want(ref, &model.Request{Mode: mode, Inputs: input(i)}); string(resp.Body) != want {
				return fmt.Errorf("answer %q, want %q", resp.Body, want)
			}
			return nil
		},
	})
}

func TestManager(t *testing.T) {
	t.Parallel()
	about := map[string]any{"task": "test"}
	f := func() *fake {
		return &fake{describe: func(context.Context) (map[string]any, error) { return about, nil }}
	}
	m := start(t, registry.Options{
		Workers: 1,
		Load: func(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
			if r.URL == "missing" {
				return load(ctx, r, found)
			}
			return give(r, found, f())
		},
	})
	modeltest.TestManager(t, modeltest.ManagerSubject{
		Manager: m,
		Registration: func(name, version string) model.Registration {
			return model.Registration{URL: "store/" + name, Name: name, Version: version}
		},
		Missing:    model.Registration{URL: "missing"},
		Customized: about,
	})
}

// TestSettings checks what is in force: what the registration says, or else the manifest, or else the options.
func TestSettings(t *testing.T) {
	t.Parallel()
	manifest := model.Settings{
		BatchSize: 2, MaxBatchDelay: 2 * time.Second, ResponseTimeout: 20 * time.Second, StartupTimeout: 200 * time.Second,
		MinWorkers: 2, MaxWorkers: 4, QueueSize: 22, MaxQueueDelay: 2 * time.Minute, Runtime: "python3", Handler: "mine",
	}
	request := model.Registration{
		BatchSize: 3, MaxBatchDelay: 3 * time.Second, ResponseTimeout: 30 * time.Second, StartupTimeout: 300 * time.Second,
		Workers: new(3), Runtime: "LSP", Handler: "yours",
	}
	options := registry.Options{
		Queue: 55, QueueDelay: 5 * time.Minute, Response: 50 * time.Second, Startup: 500 * time.Second, Workers: 5, StartupWorkers: 6,
	}
	const (
		delay     = 100 * time.Millisecond // where nothing is said
		unlimited = 1<<31 - 1
	)
	tests := []struct {
		name     string
		options  registry.Options
		manifest model.Settings
		request  model.Registration
		want     model.Status
	}{
		{name: "nothing said", want: model.Status{BatchSize: 1, MaxBatchDelay: delay, QueueRemaining: unlimited}},
		{
			name: "nothing said, at startup", request: model.Registration{AtStartup: true},
			want: model.Status{
				BatchSize: 1, MaxBatchDelay: delay, QueueRemaining: unlimited, MinWorkers: 1, MaxWorkers: 1, AtStartup: true,
			},
		},
		{
			name: "options", options: options,
			want: model.Status{
				BatchSize: 1, MaxBatchDelay: delay, ResponseTimeout: 50 * time.Second, StartupTimeout: 500 * time.Second,
				QueueRemaining: 55, MaxQueueDelay: 5 * time.Minute, MinWorkers: 5, MaxWorkers: 5,
			},
		},
		{
			name: "options, at startup", options: options, request: model.Registration{AtStartup: true},
			want: model.Status{
				BatchSize: 1, MaxBatchDelay: delay, ResponseTimeout: 50 * time.Second, StartupTimeout: 500 * time.Second,
				QueueRemaining: 55, MaxQueueDelay: 5 * time.Minute, MinWorkers: 6, MaxWorkers: 6, AtStartup: true,
			},
		},
		{
			name: "manifest", options: options, manifest: manifest, request: model.Registration{AtStartup: true},
			want: model.Status{
				BatchSize: 2, MaxBatchDelay: 2 * time.Second, ResponseTimeout: 20 * time.Second, StartupTimeout: 200 * time.Second,
				QueueRemaining: 22, MaxQueueDelay: 2 * time.Minute, MinWorkers: 2, MaxWorkers: 4, Runtime: "python3", Handler: "mine", AtStartup: true,
			},
		},
		{
			name: "registration", options: options, manifest: manifest, request: request,
			want: model.Status{
				BatchSize: 3, MaxBatchDelay: 3 * time.Second, ResponseTimeout: 30 * time.Second, StartupTimeout: 300 * time.Second,
				QueueRemaining: 22, MaxQueueDelay: 2 * time.Minute, MinWorkers: 3, MaxWorkers: 3, Runtime: "LSP", Handler: "yours",
			},
		},
		{
			name: "no workers asked for", options: options, manifest: manifest, request: model.Registration{Workers: new(0)},
			want: model.Status{
				BatchSize: 2, MaxBatchDelay: 2 * time.Second, ResponseTimeout: 20 * time.Second, StartupTimeout: 200 * time.Second,
				QueueRemaining: 22, MaxQueueDelay: 2 * time.Minute, Runtime: "python3", Handler: "mine",
			},
		},
		{
			name: "at least some workers", manifest: model.Settings{MinWorkers: 2},
			want: model.Status{BatchSize: 1, MaxBatchDelay: delay, QueueRemaining: unlimited, MinWorkers: 2, MaxWorkers: 2},
		},
		{
			name: "at most some workers", options: options, manifest: model.Settings{MaxWorkers: 3},
			want: model.Status{
				BatchSize: 1, MaxBatchDelay: delay, ResponseTimeout: 50 * time.Second, StartupTimeout: 500 * time.Second,
				QueueRemaining: 55, MaxQueueDelay: 5 * time.Minute, MinWorkers: 3, MaxWorkers: 3,
			},
		},
		{
			name: "a most that is less than the least", manifest: model.Settings{MinWorkers: 3, MaxWorkers: 2},
			want: model.Status{BatchSize: 1, MaxBatchDelay: delay, QueueRemaining: unlimited, MinWorkers: 3, MaxWorkers: 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Load = loader(map[string]*fake{"model": {settings: tt.manifest}})
			m := start(t, tt.options)
			tt.request.URL = "model"
			out, err := m.Register(t.Context(), tt.request)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Ref, tt.want.Default, tt.want.URL = out.Ref, true, "model"
			tt.want.Memory = 1234
			if tt.want.MaxQueueDelay == 0 {
				tt.want.MaxQueueDelay = tt.want.ResponseTimeout // where nothing else is said
			}
			got, err := m.Describe(t.Context(), out.Ref, model.Description{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got[0].Workers) != out.Workers || out.Workers != tt.want.MinWorkers {
				t.Errorf("%d workers, and %d said to be, want %d", len(got[0].Workers), out.Workers, tt.want.MinWorkers)
			}
			got[0].Workers = nil
			if diff := cmp.Diff([]model.Status{tt.want}, got); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettingsInvalid(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		request  model.Registration
		manifest model.Settings
	}{
		{name: "batch size", request: model.Registration{BatchSize: -1}},
		{name: "large batch", request: model.Registration{BatchSize: 1 << 20}},
		{name: "delay", request: model.Registration{MaxBatchDelay: -1}},
		{name: "response timeout", request: model.Registration{ResponseTimeout: -1}},
		{name: "startup timeout", request: model.Registration{StartupTimeout: -1}},
		{name: "workers", request: model.Registration{Workers: new(-1)}},
		{name: "many workers", request: model.Registration{Workers: new(1 << 20)}},
		{name: "manifest's workers", manifest: model.Settings{MinWorkers: -1}},
		{name: "manifest's delay in the queue", manifest: model.Settings{MaxQueueDelay: -1}},
		{name: "manifest's queue", manifest: model.Settings{QueueSize: -1}},
		{name: "name", request: model.Registration{Name: "a/b"}},
		{name: "version", request: model.Registration{Version: ".."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := start(t, registry.Options{Load: loader(map[string]*fake{"model": {settings: tt.manifest}})})
			tt.request.URL = "model"
			for _, async := range []bool{false, true} {
				tt.request.Async = async
				_, err := m.Register(t.Context(), tt.request)
				wantErr(t, "Register", err, fault.Invalid)
			}
		})
	}
}

func TestOrderOfVersions(t *testing.T) {
	t.Parallel()
	byLength := func(a, b string) int { return len(a) - len(b) }
	m := start(t, registry.Options{Compare: byLength})
	for _, version := range []string{"10.0", "1.0", "20240101"} {
		register(t, m, model.Registration{URL: "model", Version: version})
	}
	all, err := m.Describe(t.Context(), model.Ref{Name: "model", Version: "1.0"}, model.Description{All: true, Customized: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, status := range all {
		got = append(got, fmt.Sprint(status.Ref.Version, " ", status.Default))
	}
	if want := []string{"1.0 false", "10.0 true", "20240101 false"}; !cmp.Equal(got, want) {
		t.Errorf("versions = %q, want %q", got, want)
	}
}

func TestListLimits(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	for i := range 101 {
		register(t, m, model.Registration{URL: fmt.Sprintf("model-%03d", i), Workers: new(0)})
	}
	for _, tt := range []struct {
		page       model.Page
		want, next int
	}{
		{model.Page{}, 100, 100},
		{model.Page{Limit: 1000}, 100, 100},
		{model.Page{Limit: -1, Offset: -1}, 100, 100},
		{model.Page{Offset: 1}, 100, 0},
		{model.Page{Limit: 50, Offset: 51}, 50, 0},
		{model.Page{Limit: 50, Offset: 50}, 50, 100},
		{model.Page{Limit: 50, Offset: 1 << 62}, 0, 0},
	} {
		got, err := m.List(t.Context(), tt.page)
		if err != nil || len(got.Models) != tt.want || got.Next != tt.next {
			t.Errorf("List %+v = %d models, next %d, %v, want %d, next %d", tt.page, len(got.Models), got.Next, err, tt.want, tt.next)
		}
	}
}

// TestOnly checks what is told of one model that is served alone.
func TestOnly(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	want := func(name string, single bool) {
		t.Helper()
		if got, ok := m.Only(); got != name || ok != single {
			t.Errorf("Only = %q, %t, want %q, %t", got, ok, name, single)
		}
	}
	want("", false)
	one := register(t, m, model.Registration{URL: "one"})
	register(t, m, model.Registration{URL: "one", Version: "2.0"})
	want("one", true)
	two := register(t, m, model.Registration{URL: "two"})
	want("", false)
	for ref, inputs := range map[model.Ref][]string{one: {"x"}, {Name: "two"}: {"x"}, {Name: "two", Version: "9"}: nil, {Name: "none"}: nil} {
		if got := m.InputNames(ref); !cmp.Equal(got, inputs) {
			t.Errorf("InputNames(%s) = %q, want %q", ref, got, inputs)
		}
		if about, found := m.About(ref); found != (len(inputs) > 0) || found != (about.Memory == 1234) {
			t.Errorf("About(%s) = %+v, %t, want it only of a model that is there", ref, about, found)
		}
	}
	if err := m.Unregister(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	want("one", true)
}

// TestReady checks that the default version alone decides, and that others may lack workers.
func TestReady(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	if err := m.Ready(); err != nil {
		t.Errorf("Ready = %v of no models", err)
	}
	register(t, m, model.Registration{URL: "model", Workers: new(0)})
	register(t, m, model.Registration{URL: "model", Version: "2.0", Workers: new(2)})
	if err := m.Ready(); err != nil {
		t.Errorf("Ready = %v, though no worker is wanted", err)
	}
}

// TestWorkersShareMemory checks that what the workers are said to take is together what the model takes.
func TestWorkersShareMemory(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	ref := register(t, m, model.Registration{URL: "model", Workers: new(2)})
	all, err := m.Describe(t.Context(), ref, model.Description{})
	if err != nil || len(all) != 1 || len(all[0].Workers) != 2 {
		t.Fatalf("Describe = %+v, %v, want two workers", all, err)
	}
	for _, w := range all[0].Workers {
		if w.Memory != 617 || w.PID != os.Getpid() {
			t.Errorf("worker %+v, want half of 1234 bytes, in this process", w)
		}
	}
}

func TestSetDefaultWithoutVersion(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	register(t, m, model.Registration{URL: "model"})
	wantErr(t, "SetDefault", m.SetDefault(t.Context(), model.Ref{Name: "model"}), fault.Invalid)
}

// TestNewDefault checks that requests without a version follow the default one.
func TestNewDefault(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	register(t, m, model.Registration{URL: "model", Version: "1.0"})
	register(t, m, model.Registration{URL: "model", Version: "2.0"})
	unversioned := model.Ref{Name: "model"}
	wantBody(t, <-later(t.Context(), m, unversioned, ask(model.ModePredict, "x")), "predict 1.0 x")
	if err := m.SetDefault(t.Context(), model.Ref{Name: "model", Version: "2.0"}); err != nil {
		t.Fatal(err)
	}
	wantBody(t, <-later(t.Context(), m, unversioned, ask(model.ModePredict, "x")), "predict 2.0 x")
	wantBody(t, <-later(t.Context(), m, model.Ref{Name: "model", Version: "1.0"}, ask(model.ModeExplain, "x")), "explain 1.0 x")
}

// TestUnregisterDrains has a version go while a request runs and others are queued, in both modes.
func TestUnregisterDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, release := blocker()
		f := &fake{run: run}
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f})})
		ref := register(t, m, model.Registration{URL: "model"})
		var answers []<-chan outcome
		for range 3 {
			answers = append(answers, later(t.Context(), m, ref, ask(model.ModePredict, "x")), later(t.Context(), m, ref, ask(model.ModeExplain, "x")))
		}
		synctest.Wait()
		gone := make(chan error, 1)
		go func() { gone <- m.Unregister(t.Context(), ref) }()
		synctest.Wait()

		_, err := m.Predict(t.Context(), ref, ask(model.ModePredict, "late"))
		wantErr(t, "Predict of a version that goes", err, fault.NoModel)
		select {
		case err := <-gone:
			t.Fatalf("Unregister = %v while requests run", err)
		default:
		}
		wantFit(t, f, false)

		release()
		if err := <-gone; err != nil {
			t.Errorf("Unregister: %v", err)
		}
		wantFit(t, f, true)
		for i, answer := range answers {
			wantBody(t, <-answer, model.Mode(i%2).String()+" 1.0 x")
		}
	})
}

// TestDrainTimeout has a version go whose request does not end by itself.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(m *registry.Models, ref model.Ref) error{
		"unregister": func(m *registry.Models, ref model.Ref) error { return m.Unregister(context.Background(), ref) },
		"scale to none": func(m *registry.Models, ref model.Ref) error {
			_, err := m.Scale(context.Background(), ref, model.Scale{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				run, _ := blocker()
				f := &fake{run: run}
				m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f}), Drain: 10 * time.Second})
				ref := register(t, m, model.Registration{URL: "model"})
				running := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
				synctest.Wait()
				queued := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
				synctest.Wait()
				begin := time.Now()
				wantErr(t, name, end(m, ref), fault.Timeout)
				if took := time.Since(begin); took != 10*time.Second {
					t.Errorf("it took %v, want 10s", took)
				}
				for _, answer := range []<-chan outcome{running, queued} {
					wantErr(t, "Predict", (<-answer).err, fault.Unavailable, model.ErrClosed)
				}
				synctest.Wait()
				wantFit(t, f, name == "unregister")
			})
		})
	}
}

// TestUnregisterGivesBack checks that no memory of a model's is left when it is gone: neither held by the registry, nor
// until Go's collector happens to run. A goroutine that just ends may still hold it, so that it is not asked of every one.
func TestUnregisterGivesBack(t *testing.T) {
	t.Parallel()
	const models = 10
	var held weak.Pointer[fake]
	m := start(t, registry.Options{Load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
		f := &fake{settings: model.Settings{ResponseTimeout: time.Minute}}
		held = weak.Make(f)
		return give(r, found, f)
	}})
	left := 0
	for range models {
		ref := register(t, m, model.Registration{URL: "model"})
		wantBody(t, <-later(t.Context(), m, ref, ask(model.ModePredict, "x")), "predict 1.0 x")
		if held.Value() == nil {
			t.Fatal("the model has gone before its time")
		}
		if err := m.Unregister(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if held.Value() != nil {
			left++
		}
	}
	if left > models/2 {
		t.Errorf("Unregister left %d of %d models in memory", left, models)
	}
}

// TestUnregisterStuck checks that a run which ends at nothing does not hold who unregisters, or who closes, for ever.
func TestUnregisterStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fake{run: func(context.Context, []model.Job) error { <-gate; return nil }}
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f}), Drain: 10 * time.Second})
		ref := register(t, m, model.Registration{URL: "model"})
		running := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		wantErr(t, "Unregister", m.Unregister(t.Context(), ref), fault.Timeout)
		wantErr(t, "Predict", (<-running).err, fault.Unavailable)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantErr(t, "Close", m.Close(ctx), fault.Timeout)
		wantFit(t, f, false)
		close(gate)
		synctest.Wait()
		wantFit(t, f, true)
	})
}

// TestUnregisterCallerLeaves checks that the version goes also when nobody waits for it.
func TestUnregisterCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, release := blocker()
		f := &fake{run: run}
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f})})
		ref := register(t, m, model.Registration{URL: "model"})
		running := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, "Unregister", m.Unregister(ctx, ref), fault.Canceled)
		release()
		wantBody(t, <-running, "predict 1.0 x")
		synctest.Wait()
		wantFit(t, f, true)
	})
}

// TestComesBackWhileItGoes registers a version anew whose last requests still run.
func TestComesBackWhileItGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, release := blocker()
		m := start(t, registry.Options{Load: loader(map[string]*fake{"old": {run: run}})})
		ref := register(t, m, model.Registration{URL: "old", Name: "model"})
		running := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		gone := make(chan error, 1)
		go func() { gone <- m.Unregister(t.Context(), ref) }()
		synctest.Wait()
		register(t, m, model.Registration{URL: "new", Name: "model"})
		wantBody(t, <-later(t.Context(), m, ref, ask(model.ModePredict, "y")), "predict 1.0 y")
		release()
		wantBody(t, <-running, "predict 1.0 x")
		if err := <-gone; err != nil {
			t.Error(err)
		}
		wantBody(t, <-later(t.Context(), m, ref, ask(model.ModePredict, "z")), "predict 1.0 z")
	})
}

// TestScaleToNone has the workers go while a request runs and others are queued, and come again.
func TestScaleToNone(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		t.Run(fmt.Sprint("async ", async), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				run, release := blocker()
				f := &fake{run: run}
				m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f})})
				ref := register(t, m, model.Registration{URL: "model"})
				var answers []<-chan outcome
				for range 3 {
					answers = append(answers, later(t.Context(), m, ref, ask(model.ModePredict, "x")))
				}
				synctest.Wait()
				scaled := make(chan error, 1)
				go func() {
					out, err := m.Scale(t.Context(), ref, model.Scale{Async: async})
					if want := (model.Outcome{Ref: ref, Pending: async}); out != want {
						t.Errorf("Scale = %+v, want %+v", out, want)
					}
					scaled <- err
				}()
				synctest.Wait()
				if got := len(scaled) == 1; got != async {
					t.Errorf("Scale has returned: %t, want %t", got, async)
				}
				for _, mode := range []model.Mode{model.ModePredict, model.ModeExplain} {
					_, err := m.Predict(t.Context(), ref, ask(mode, "late"))
					wantErr(t, "Predict without a worker", err, fault.Unavailable, model.ErrNoWorker)
				}
				_, err := m.Describe(t.Context(), ref, model.Description{Customized: true})
				wantErr(t, "Describe without a worker", err, fault.Unavailable, model.ErrNoWorker)
				if err := m.Ready(); err != nil {
					t.Errorf("Ready = %v, though no worker is wanted", err)
				}
				release()
				for _, answer := range answers {
					wantBody(t, <-answer, "predict 1.0 x")
				}
				if err := <-scaled; err != nil {
					t.Errorf("Scale: %v", err)
				}
				wantFit(t, f, false)
				if _, err := m.Scale(t.Context(), ref, model.Scale{Min: 1, Max: 1}); err != nil {
					t.Fatal(err)
				}
				wantBody(t, <-later(t.Context(), m, ref, ask(model.ModeExplain, "y")), "explain 1.0 y")
			})
		})
	}
}

// TestWorkers checks that as many batches run at once as there are workers, and one explanation beside them.
func TestWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, release := blocker()
		f := &fake{run: run}
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f})})
		ref := register(t, m, model.Registration{URL: "model", Workers: new(2)})
		var answers []<-chan outcome
		for range 10 {
			answers = append(answers, later(t.Context(), m, ref, ask(model.ModePredict, "x")), later(t.Context(), m, ref, ask(model.ModeExplain, "x")))
		}
		synctest.Wait()
		if got := f.running.Load(); got != 3 {
			t.Errorf("%d batches run, want 2 predictions and an explanation", got)
		}
		if _, err := m.Scale(t.Context(), ref, model.Scale{Min: 5, Max: 5}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.running.Load(); got != 6 {
			t.Errorf("%d batches run, want 5 predictions and an explanation", got)
		}
		all, err := m.Describe(t.Context(), ref, model.Description{})
		if err != nil || all[0].QueuePending != 5+9 {
			t.Errorf("Describe = %+v, %v, want 14 pending", all, err)
		}
		release()
		for i, answer := range answers {
			wantBody(t, <-answer, model.Mode(i%2).String()+" 1.0 x")
		}
	})
}

// TestScaleDown has workers go that run a batch: each finishes it, and what is queued goes to those that stay.
func TestScaleDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fake{run: func(context.Context, []model.Job) error { <-gate; return nil }}
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f})})
		ref := register(t, m, model.Registration{URL: "model", Workers: new(3)})
		var answers []<-chan outcome
		for range 5 {
			answers = append(answers, later(t.Context(), m, ref, ask(model.ModePredict, "x")))
		}
		synctest.Wait()
		out, err := m.Scale(t.Context(), ref, model.Scale{Min: 1, Max: 1})
		if want := (model.Outcome{Ref: ref, Workers: 1}); err != nil || out != want {
			t.Errorf("Scale = %+v, %v, want %+v", out, err, want)
		}
		if got := f.running.Load(); got != 3 {
			t.Errorf("%d batches run, want all 3 to go on", got)
		}
		for _, want := range []int32{2, 1, 1, 1, 0} {
			gate <- struct{}{}
			synctest.Wait()
			if got := f.running.Load(); got != want {
				t.Errorf("%d batches run, want %d", got, want)
			}
		}
		for _, answer := range answers {
			wantBody(t, <-answer, "predict 1.0 x")
		}
	})
}

func TestWorkerNames(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{})
	a := register(t, m, model.Registration{URL: "a", Workers: new(2)})
	b := register(t, m, model.Registration{URL: "b", Workers: new(1)})
	if _, err := m.Scale(t.Context(), a, model.Scale{Min: 1, Max: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Scale(t.Context(), a, model.Scale{Min: 2, Max: 2}); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, ref := range []model.Ref{a, b} {
		all, err := m.Describe(t.Context(), ref, model.Description{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all[0].Workers {
			got[ref.Name] = append(got[ref.Name], w.ID)
		}
	}
	if diff := cmp.Diff(map[string][]string{"a": {"9000", "9003"}, "b": {"9002"}}, got); diff != "" {
		t.Errorf("workers (-want +got):\n%s", diff)
	}
}

func TestQueueFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, release := blocker()
		m := start(t, registry.Options{
			Queue: 2,
			Load:  loader(map[string]*fake{"model": {run: run}}),
		})
		ref := register(t, m, model.Registration{URL: "model"})
		running := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		first, second := later(t.Context(), m, ref, ask(model.ModePredict, "x")), later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		_, err := m.Predict(t.Context(), ref, ask(model.ModePredict, "x"))
		wantErr(t, "Predict", err, fault.Unavailable, model.ErrQueueFull)
		release()
		for _, answer := range []<-chan outcome{running, first, second} {
			wantBody(t, <-answer, "predict 1.0 x")
		}
	})
}

func TestResponseTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, _ := blocker()
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": {run: run}})})
		ref := register(t, m, model.Registration{URL: "model", ResponseTimeout: 5 * time.Second})
		for _, mode := range []model.Mode{model.ModePredict, model.ModeExplain} {
			begin := time.Now()
			_, err := m.Predict(t.Context(), ref, ask(mode, "x"))
			wantErr(t, mode.String(), err, fault.Timeout)
			if took := time.Since(begin); took != 5*time.Second {
				t.Errorf("%v took %v, want 5s", mode, took)
			}
		}
	})
}

// TestPrepareLimit checks that only so many requests are preprocessed at once, over all models, and that who waits for a
// turn may leave.
func TestPrepareLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var now atomic.Int32
		var tooMany atomic.Bool
		prepare := func(context.Context, *model.Request) error {
			if now.Add(1) > 2 {
				tooMany.Store(true)
			}
			defer now.Add(-1)
			<-gate
			return nil
		}
		m := start(t, registry.Options{
			Prepare: 2, Queue: 20,
			Load: loader(map[string]*fake{"a": {prepare: prepare}, "b": {prepare: prepare}}),
		})
		a, b := register(t, m, model.Registration{URL: "a"}), register(t, m, model.Registration{URL: "b"})
		var answers []<-chan outcome
		for range 5 {
			answers = append(answers, later(t.Context(), m, a, ask(model.ModePredict, "x")), later(t.Context(), m, b, ask(model.ModeExplain, "x")))
		}
		synctest.Wait()
		if got := now.Load(); got != 2 {
			t.Errorf("%d are preprocessed at once, want 2", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		leaves := later(ctx, m, a, ask(model.ModePredict, "x"))
		synctest.Wait()
		cancel()
		wantErr(t, "Predict", (<-leaves).err, fault.Canceled)
		all, err := m.Describe(t.Context(), a, model.Description{})
		if err != nil || all[0].QueuePending != 5 || all[0].QueueRemaining != 15 {
			t.Errorf("Describe = %+v, %v, want 5 pending and room for 15", all, err)
		}
		close(gate)
		for i, answer := range answers {
			wantBody(t, <-answer, model.Mode(i%2).String()+" 1.0 x")
		}
		if tooMany.Load() {
			t.Error("more than 2 were preprocessed at once")
		}
	})
}

// TestPreparePanics checks that a panic costs its own request, and takes neither the place nor the turn with it.
func TestPreparePanics(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{
		Prepare: 1, Queue: 1,
		Load: loader(map[string]*fake{"model": {prepare: func(_ context.Context, req *model.Request) error {
			if string(req.Inputs[0].Data) == "panic" {
				panic("ouch")
			}
			return nil
		}}}),
	})
	ref := register(t, m, model.Registration{URL: "model"})
	for range 3 {
		_, err := m.Predict(t.Context(), ref, ask(model.ModePredict, "panic"))
		wantErr(t, "Predict", err, fault.Internal)
		if err != nil && !strings.Contains(err.Error(), "ouch") {
			t.Errorf("Predict = %v, want the panic's cause in it", err)
		}
	}
	wantBody(t, <-later(t.Context(), m, ref, ask(model.ModePredict, "x")), "predict 1.0 x")
}

// TestCloseDrains checks that all are answered who were let in, and nobody is let in later.
func TestCloseDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, release := blocker()
		f, g := &fake{run: run}, &fake{closing: errors.New("cannot be closed")}
		var log bytes.Buffer
		m := registry.New(registry.Options{
			Load: loader(map[string]*fake{"model": f, "other": g}),
			Log:  slog.New(slog.NewTextHandler(&log, nil)),
		})
		ref := register(t, m, model.Registration{URL: "model"})
		register(t, m, model.Registration{URL: "other"})
		if err := m.Ready(); err != nil {
			t.Errorf("Ready = %v", err)
		}
		running, queued := later(t.Context(), m, ref, ask(model.ModePredict, "x")), later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		closed := make(chan error, 2)
		go func() { closed <- m.Close(t.Context()) }()
		go func() { closed <- m.Close(t.Context()) }()
		synctest.Wait()
		wantAllRefused(t, m, ref)
		if len(closed) > 0 {
			t.Error("Close did not wait for the requests under way")
		}
		release()
		for range 2 {
			if err := <-closed; err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		wantBody(t, <-running, "predict 1.0 x")
		wantBody(t, <-queued, "predict 1.0 x")
		wantFit(t, f, true)
		wantFit(t, g, true)
		if !strings.Contains(log.String(), "cannot be closed") {
			t.Errorf("the log does not tell of the model that could not be closed: %s", &log)
		}
	})
}

// wantAllRefused checks that a registry that closes, or is closed, does nothing more.
func wantAllRefused(t *testing.T, m *registry.Models, ref model.Ref) {
	t.Helper()
	ctx := t.Context()
	_, predict := m.Predict(ctx, ref, ask(model.ModePredict, "x"))
	_, register := m.Register(ctx, model.Registration{URL: "late"})
	_, later := m.Register(ctx, model.Registration{URL: "late", Async: true})
	_, scale := m.Scale(ctx, ref, model.Scale{Min: 1, Max: 1})
	_, describe := m.Describe(ctx, ref, model.Description{})
	_, list := m.List(ctx, model.Page{})
	for what, err := range map[string]error{
		"Predict": predict, "Register": register, "Register later": later, "Scale": scale, "Describe": describe, "List": list,
		"Unregister": m.Unregister(ctx, ref), "SetDefault": m.SetDefault(ctx, ref), "Ready": m.Ready(),
	} {
		wantErr(t, what, err, fault.Unavailable, model.ErrClosed)
	}
}

func TestCloseImpatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run, _ := blocker()
		f := &fake{run: run}
		m := registry.New(registry.Options{Load: loader(map[string]*fake{"model": f})})
		ref := register(t, m, model.Registration{URL: "model"})
		running := later(t.Context(), m, ref, ask(model.ModePredict, "x"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		wantErr(t, "Close", m.Close(ctx), fault.Timeout)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Close took %v, want 1s", took)
		}
		wantErr(t, "Predict", (<-running).err, fault.Unavailable, model.ErrClosed)
		wantFit(t, f, true)
	})
}

// TestCloseTooLate checks that time which has run out is no failure where there was nothing to wait for.
func TestCloseTooLate(t *testing.T) {
	t.Parallel()
	m := registry.New(registry.Options{Load: loader(map[string]*fake{"model": {}})})
	register(t, m, model.Registration{URL: "model"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// TestStopLoading checks that what is loading is given up, later registrations are refused, and what is served goes on.
func TestStopLoading(t *testing.T) {
	t.Parallel()
	loading, load := make(chan struct{}), loader(map[string]*fake{"model": {}})
	m := start(t, registry.Options{Load: func(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
		if r.URL == "slow" {
			close(loading)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return load(ctx, r, found)
	}})
	ref := register(t, m, model.Registration{URL: "model"})
	failed := make(chan error, 1)
	go func() {
		_, err := m.Register(t.Context(), model.Registration{URL: "slow"})
		failed <- err
	}()
	<-loading
	m.StopLoading()
	wantErr(t, "Register", <-failed, fault.Unavailable, model.ErrClosed)
	for _, async := range []bool{false, true} {
		_, err := m.Register(t.Context(), model.Registration{URL: "model", Version: "9", Async: async})
		wantErr(t, "Register later", err, fault.Unavailable, model.ErrClosed)
	}
	if _, err := m.Predict(t.Context(), ref, ask(model.ModePredict, "x")); err != nil {
		t.Errorf("Predict: %v", err)
	}
}

// TestDescribeWhileItGoes checks that a runner is not closed while it is asked what it is.
func TestDescribeWhileItGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := &fake{describe: func(context.Context) (map[string]any, error) {
			<-gate
			return nil, nil
		}}
		m := start(t, registry.Options{Load: loader(map[string]*fake{"model": f})})
		ref := register(t, m, model.Registration{URL: "model"})
		described := make(chan []model.Status, 1)
		go func() {
			all, err := m.Describe(t.Context(), ref, model.Description{Customized: true})
			if err != nil {
				t.Error(err)
			}
			described <- all
		}()
		synctest.Wait()
		gone := make(chan error, 1)
		go func() { gone <- m.Unregister(t.Context(), ref) }()
		synctest.Wait()
		wantFit(t, f, false)
		close(gate)
		if err := <-gone; err != nil {
			t.Error(err)
		}
		wantFit(t, f, true)
		if all := <-described; all[0].Customized == nil || len(all[0].Customized) > 0 {
			t.Errorf("customized = %v, want it empty and there", all[0].Customized)
		}
	})
}

func TestDescribeFails(t *testing.T) {
	t.Parallel()
	m := start(t, registry.Options{Load: loader(map[string]*fake{"model": {
		describe: func(context.Context) (map[string]any, error) {
			return nil, fmt.Errorf("%w: not that", fault.Unsupported)
		},
	}})})
	ref := register(t, m, model.Registration{URL: "model"})
	_, err := m.Describe(t.Context(), ref, model.Description{Customized: true})
	wantErr(t, "Describe", err, fault.Unsupported)
}

// TestUnderLoad asks from many sides while the version is scaled up and down to none, another one comes and goes, and
// the default changes. Each request is answered rightly or refused for a reason that there was.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	var fakes sync.Map
	m := start(t, registry.Options{
		Load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
			f := &fake{}
			fakes.Store(f, true)
			return give(r, found, f)
		},
	})
	one := register(t, m, model.Registration{URL: "model", BatchSize: 4, Workers: new(2)})
	two := model.Ref{Name: "model", Version: "2.0"}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var answered, refused atomic.Int64
	for i := range 16 {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				req := ask(model.Mode(n%2), fmt.Sprint(i, " ", n))
				ref := []model.Ref{one, two, {Name: "model"}}[n%3]
				resp, err := m.Predict(t.Context(), ref, req)
				switch {
				case err == nil && (string(resp.Body) == want(ref, req) ||
					ref.Version == "" && (string(resp.Body) == want(one, req) || string(resp.Body) == want(two, req))):
					answered.Add(1)
				case ref == two && errors.Is(err, fault.NoVersion), ref != two && errors.Is(err, model.ErrNoWorker):
					refused.Add(1)
				default:
					t.Errorf("%s: %+v, %v", ref, resp, err)
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		workers := rng.IntN(4)
		if _, err := m.Scale(t.Context(), one, model.Scale{Min: workers, Max: workers, Async: workers%2 == 0}); err != nil {
			t.Error(err)
		}
		register(t, m, model.Registration{URL: "model", Version: "2.0", BatchSize: 4})
		for _, ref := range []model.Ref{two, one} {
			if err := m.SetDefault(t.Context(), ref); err != nil {
				t.Error(err)
			}
		}
		if err := m.Unregister(t.Context(), two); err != nil {
			t.Error(err)
		}
	}
	cancel()
	group.Wait()
	t.Logf("%d answered, %d refused", answered.Load(), refused.Load())
	if answered.Load() == 0 || refused.Load() == 0 {
		t.Error("want some answered and some refused")
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for f := range fakes.Range {
		wantFit(t, f.(*fake), true)
	}
}
