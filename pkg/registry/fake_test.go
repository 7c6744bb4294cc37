package registry_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a runner that answers with the mode, its version and the input. What is nil does nothing of its own.
type fake struct {
	ref      model.Ref
	settings model.Settings
	prepare  func(ctx context.Context, req *model.Request) error
	run      func(ctx context.Context, jobs []model.Job) error // before the answers
	describe func(ctx context.Context) (map[string]any, error)
	closing  error

	running, closed atomic.Int32
	misused         atomic.Bool // run, or asked, after it was closed, or closed twice
}

type job struct{ req *model.Request }

func (j job) Request() *model.Request { return j.req }

func (f *fake) Ref() model.Ref           { return f.ref }
func (f *fake) Settings() model.Settings { return f.settings }
func (f *fake) About() model.About {
	return model.About{Inputs: []model.Value{{Name: "x"}}, Memory: 1234}
}

func (f *fake) Prepare(ctx context.Context, req *model.Request) (model.Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f.prepare != nil {
		if err := f.prepare(ctx, req); err != nil {
			return nil, err
		}
	}
	if len(req.Inputs) == 0 || string(req.Inputs[0].Data) == "bad" {
		return nil, fmt.Errorf("%w: nothing to answer", fault.Invalid)
	}
	return job{req}, nil
}

func (f *fake) Run(ctx context.Context, jobs []model.Job, answer func(int, model.Result)) {
	f.running.Add(1)
	defer f.running.Add(-1)
	f.check()
	var err error
	if f.run != nil {
		err = f.run(ctx, jobs)
	}
	for i, j := range jobs {
		if j.Request().Mode != jobs[0].Request().Mode {
			err = errors.New("a batch of both modes")
		}
		if err != nil {
			answer(i, model.Result{Err: err})
			continue
		}
		answer(i, model.Result{Response: &model.Response{Body: []byte(want(f.ref, j.Request()))}})
	}
	f.check()
}

func (f *fake) check() {
	if f.closed.Load() > 0 {
		f.misused.Store(true)
	}
}

func (f *fake) Describe(ctx context.Context) (map[string]any, error) {
	defer f.check()
	if f.describe == nil {
		return nil, nil
	}
	return f.describe(ctx)
}

func (f *fake) Close() error {
	if f.closed.Add(1) > 1 || f.running.Load() > 0 {
		f.misused.Store(true)
	}
	return f.closing
}

// want is the right answer of a version to a request.
func want(ref model.Ref, req *model.Request) string {
	return req.Mode.String() + " " + ref.Version + " " + string(req.Inputs[0].Data)
}

// ask makes a request.
func ask(mode model.Mode, text string) *model.Request {
	return &model.Request{ID: "id", Mode: mode, Inputs: []model.Input{{Name: "data", Data: []byte(text)}}}
}

// load is a loader of fakes that are named by the registration, in version 1.0 where it says none. An URL that begins with
// "missing" is none of a model.
func load(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
	if strings.HasPrefix(r.URL, "missing") {
		return nil, fmt.Errorf("model at %s: %w", r.URL, fault.NotFound)
	}
	return give(r, found, &fake{})
}

// give returns f under the name that the registration wants.
func give(r model.Registration, found registry.Found, f *fake) (registry.Runner, error) {
	f.ref = model.Ref{Name: cmp.Or(r.Name, r.URL), Version: cmp.Or(r.Version, "1.0")}
	if err := found(f.ref, f.settings); err != nil {
		return nil, err
	}
	return f, nil
}

// loader returns a loader of these fakes, by URL.
func loader(fakes map[string]*fake) registry.Loader {
	fakes = maps.Clone(fakes)
	return func(ctx context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
		f, ok := fakes[r.URL]
		if !ok {
			return load(ctx, r, found)
		}
		return give(r, found, f)
	}
}

// start returns a registry that is closed at the end of the test.
func start(tb testing.TB, opts registry.Options) *registry.Models {
	tb.Helper()
	if opts.Load == nil {
		opts.Load = load
	}
	m := registry.New(opts)
	tb.Cleanup(func() {
		if err := m.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return m
}

// register registers a model under its URL's name, with one worker.
func register(tb testing.TB, m *registry.Models, r model.Registration) model.Ref {
	tb.Helper()
	if r.Workers == nil {
		r.Workers = new(1)
	}
	out, err := m.Register(tb.Context(), r)
	if err != nil {
		tb.Fatalf("Register %+v: %v", r, err)
	}
	return out.Ref
}

// outcome is what became of a request.
type outcome struct {
	resp *model.Response
	err  error
}

// later asks in the background. The answer comes over the channel.
func later(ctx context.Context, m *registry.Models, ref model.Ref, req *model.Request) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		resp, err := m.Predict(ctx, ref, req)
		done <- outcome{resp, err}
	}()
	return done
}

// wantBody checks an answer.
func wantBody(t *testing.T, got outcome, body string) {
	t.Helper()
	if got.err != nil || string(got.resp.Body) != body {
		t.Errorf("answer = %+v, want %q", got, body)
	}
}

// wantErr checks a failure: its kind, and what else is in its chain.
func wantErr(t *testing.T, what string, err error, kind fault.Kind, in ...error) {
	t.Helper()
	if err == nil || fault.Of(err) != kind {
		t.Errorf("%s = %v, want %v", what, err, kind)
	}
	for _, target := range in {
		if !errors.Is(err, target) {
			t.Errorf("%s = %v, want %v in it", what, err, target)
		}
	}
}

// wantFit checks that a runner was used as it may be, and whether it was closed.
func wantFit(t *testing.T, f *fake, closed bool) {
	t.Helper()
	if f.misused.Load() {
		t.Error("the runner was used after it was closed, or closed while it ran, or twice")
	}
	if got := f.closed.Load() > 0; got != closed {
		t.Errorf("the runner is closed: %t, want %t", got, closed)
	}
}

// blocker is a run that waits until it is let go.
func blocker() (run func(context.Context, []model.Job) error, release func()) {
	gate := make(chan struct{})
	return func(ctx context.Context, _ []model.Job) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, func() { close(gate) }
}

var (
	_ registry.Runner = (*fake)(nil)
	_ batch.RunFunc   = (*fake)(nil).Run
	_ model.Manager   = (*registry.Models)(nil)
	_ model.Predictor = (*registry.Models)(nil)
)
