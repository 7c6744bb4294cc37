// Package pipeline makes a model on disk answer. It is the only place where preprocessing, inference, postprocessing and
// explaining follow each other; a command in its own process and a server's worker run the same code.
//
// A pipeline holds nothing that a call changes. Whether a request is explained is said by the request's own mode, so
// requests that run together may differ in it and each gets its own mode's answer.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Options are what a pipeline is loaded with.
type Options struct {
	Open     engine.Opener              // opens the network
	Engine   engine.Options             // how it is run
	Gate     *engine.Gate               // every run holds a permit of it; nil: no limit
	Handlers map[string]handler.Factory // by the names that a manifest uses
	Log      *slog.Logger               // nil: nothing is logged
}

// Pipeline is one model, loaded. It keeps [model.Predictor] for its own name and version, and is safe for concurrent use.
type Pipeline struct {
	ref      model.Ref
	settings model.Settings
	source   *archive.Model
	session  engine.Session // as opened: the one to close
	network  *explain.Network
	handler  handler.Handler
	log      *slog.Logger
	stacks   sync.Pool        // of *tensor.Buffer
	recycler handler.Recycler // the handler, where it is one; else nil

	explaining func() (Explaining, error) // found out once
}

// GuessedHandler is the handler of a network that comes without a manifest.
const GuessedHandler = "image_classifier"

// Load opens m's network and builds its handler. The pipeline owns m from then on, also when Load fails. It returns
// [fault.BadModel] when network, labels or settings do not fit, and [fault.Unsupported] for a handler that is not known.
func Load(ctx context.Context, m *archive.Model, opts Options) (p *Pipeline, err error) {
	p = &Pipeline{
		ref:      model.Ref{Name: m.Manifest.Name, Version: m.Manifest.Version},
		settings: SettingsOf(m.Manifest),
		source:   m,
		stacks:   sync.Pool{New: func() any { return new(tensor.Buffer) }},
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("load model %s: %w", p.ref, err), p.Close())
			p = nil
		}
	}()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p.log = opts.Log.With("model", p.ref.Name, "version", p.ref.Version)
	name := cmp.Or(m.Manifest.Handler, GuessedHandler)
	if err := checkHandler(m, name, opts.Handlers); err != nil {
		return p, err
	}
	labels, err := m.Labels()
	if err != nil {
		return p, err
	}
	if p.session, err = opts.Open(ctx, engine.Network{Path: m.Weights()}, opts.Engine); err != nil {
		return p, err
	}
	session := inFixedBatches(p.session)
	explainer, err := p.explainer(session, labels, opts)
	if err != nil {
		return p, err
	}
	p.handler, err = opts.Handlers[name](handler.Env{
		Session:   opts.Gate.Guard(session, engine.Prediction, opts.Engine.IntraOpThreads),
		Explainer: explainer,
		Files:     m.Files(),
		Labels:    labels,
		Config:    m.Manifest.HandlerConfig,
		Guessed:   m.Manifest.Guessed,
		Log:       p.log,
	})
	p.recycler, _ = p.handler.(handler.Recycler)
	return p, err
}

// explainer returns what explains the model. Its gradient is made when it is first asked for.
func (p *Pipeline) explainer(session engine.Session, labels []string, opts Options) (_ *explain.Explainer, err error) {
	guard := func(s engine.Session) engine.Session {
		return opts.Gate.Guard(s, engine.Explanation, opts.Engine.IntraOpThreads)
	}
	guarded := guard(session)
	p.network, err = explain.NewNetwork(explain.NetworkOptions{
		Path: p.source.Weights(), Session: guarded, Open: opts.Open, Engine: opts.Engine, Guard: guard,
	})
	if err != nil {
		return nil, err
	}
	p.explaining = sync.OnceValues(p.findExplaining)
	return explain.New(explain.Options{Session: guarded, Labels: labels, Differentiate: p.network.At})
}

// CheckHandler returns [fault.Unsupported] for a handler that is not among these, with what to do instead.
func CheckHandler(name string, handlers map[string]handler.Factory) error {
	if _, ok := handlers[name]; ok {
		return nil
	}
	known := slices.Sorted(maps.Keys(handlers))
	if strings.Contains(name, ".py") || strings.Contains(name, ":") {
		return fmt.Errorf("%w: handler %q is Python, which does not run here: take a built-in handler (%s), or write it in Go; see 'tsgo help archives'",
			fault.Unsupported, name, strings.Join(known, ", "))
	}
	return fmt.Errorf("%w: there is no handler %q%s (there are %s); one of your own is part of a program of your own, see 'tsgo help handlers'", fault.Unsupported, name, nearest.Hint(name, known), strings.Join(known, ", "))
}

// checkHandler is CheckHandler for a model, whose handler may be Python by another name than its file's.
func checkHandler(m *archive.Model, name string, handlers map[string]handler.Factory) error {
	err := CheckHandler(name, handlers)
	if code := name + ".py"; err != nil && fs.ValidPath(code) {
		if _, missing := fs.Stat(m.Files(), code); missing == nil {
			return CheckHandler(code, handlers)
		}
	}
	return err
}

// Ref returns the model's name and version.
func (p *Pipeline) Ref() model.Ref { return p.ref }

// Settings returns what the model's manifest says of how it is to be served.
func (p *Pipeline) Settings() model.Settings { return p.settings }

// Signature returns the network's inputs and outputs.
func (p *Pipeline) Signature() engine.Signature { return p.session.Signature() }

// Differentiable returns nil when explanations can use the gradient of the model's network, [fault.Unsupported] with the
// reason otherwise. It reads the network's file.
func (p *Pipeline) Differentiable() error { return p.network.Differentiable() }

// explanations is the key under which Describe tells how the model is explained.
const explanations = "explanations"

// Describe returns what the handler tells of itself, and an [Explaining] as explanations.
func (p *Pipeline) Describe(ctx context.Context) (about map[string]any, err error) {
	defer func() { p.recovered(recover(), &err) }()
	told, err := p.handler.Describe(ctx)
	if err != nil {
		return nil, err
	}
	about = map[string]any{}
	if about[explanations], err = p.Explaining(); err != nil {
		return nil, err
	}
	maps.Copy(about, told)
	return about, nil
}

// Close waits for the runs under way and gives back the network's memory and whatever the archive unpacked.
func (p *Pipeline) Close() error {
	var closed error
	if p.network != nil {
		closed = p.network.Close()
	}
	if p.session != nil {
		closed = errors.Join(closed, p.session.Close())
	}
	return errors.Join(closed, p.source.Close())
}

// job is a request and its network's inputs.
type job struct {
	req    *model.Request
	in     tensor.Named
	timing model.Timing
}

// Request returns the request.
func (j *job) Request() *model.Request { return j.req }

// Prepare preprocesses a request in the caller's goroutine. Its errors concern this request alone.
func (p *Pipeline) Prepare(ctx context.Context, req *model.Request) (prepared model.Job, err error) {
	defer func() { p.recovered(recover(), &err) }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := time.Now()
	in, err := p.handler.Preprocess(ctx, req)
	if err != nil {
		return nil, err
	}
	return &job{req: req, in: in, timing: model.Timing{Preprocess: time.Since(start)}}, nil
}

// Run answers jobs that Prepare made, each once, in no particular order and not at the same time. Predictions whose
// inputs stack run as one batch; explanations, and what does not stack, run one by one.
func (p *Pipeline) Run(ctx context.Context, jobs []model.Job, answer func(i int, r model.Result)) {
	for _, group := range groups(jobs) {
		if first := jobs[group[0]].(*job); first.req.Mode == model.ModeExplain {
			answer(group[0], p.explain(ctx, first))
			continue
		}
		p.predict(ctx, jobs, group, answer)
	}
}

// groups returns the indices of the jobs that run together.
func groups(jobs []model.Job) [][]int {
	var all [][]int
	for i, this := range jobs {
		j := this.(*job)
		fits := func(group []int) bool {
			first := jobs[group[0]].(*job)
			return first.req.Mode == model.ModePredict && tensor.Compatible(first.in, j.in)
		}
		at := -1
		if j.req.Mode == model.ModePredict {
			at = slices.IndexFunc(all, fits)
		}
		if at < 0 {
			all = append(all, append(make([]int, 0, len(jobs)-i), i))
		} else {
			all[at] = append(all[at], i)
		}
	}
	return all
}

// predict answers one group of predictions. When a run of several fails, each runs again alone, so that one bad input
// fails alone.
func (p *Pipeline) predict(ctx context.Context, jobs []model.Job, group []int, answer func(i int, r model.Result)) {
	outs, timing, err := p.infer(ctx, jobs, group)
	if err != nil && len(group) > 1 && ctx.Err() == nil {
		for _, i := range group {
			p.predict(ctx, jobs, []int{i}, answer)
		}
		return
	}
	for n, i := range group {
		if err != nil {
			answer(i, model.Result{Err: err})
			continue
		}
		answer(i, p.postprocess(ctx, jobs[i].(*job), outs[n], timing))
	}
}

// infer stacks the inputs of a group, runs them, and splits the outputs.
func (p *Pipeline) infer(ctx context.Context, jobs []model.Job, group []int) (outs []tensor.Named, timing model.Timing, err error) {
	defer func() { p.recovered(recover(), &err) }()
	start := time.Now()
	parts := make([]tensor.Named, len(group))
	for n, i := range group {
		parts[n] = jobs[i].(*job).in
	}
	stack := p.stacks.Get().(*tensor.Buffer)
	whole, rows, err := stack.Stack(parts)
	if err != nil {
		return nil, timing, err
	}
	timing = model.Timing{Batch: len(group), Stack: time.Since(start)}
	start = time.Now()
	out, err := p.handler.Inference(ctx, whole)
	if err != nil {
		return nil, timing, err
	}
	timing.Run = time.Since(start)
	if outs = []tensor.Named{out}; len(rows) > 1 { // an output of one request alone need not have its rows
		if outs, err = out.Split(rows); err != nil {
			return nil, timing, err
		}
	}
	p.recycle(stack, jobs, group)
	return outs, timing, nil
}

// recycle has the memory of a group's inputs used again, where the handler keeps nothing of it. After a failure it is not
// called: the requests may run again.
func (p *Pipeline) recycle(stack *tensor.Buffer, jobs []model.Job, group []int) {
	if p.recycler == nil {
		return
	}
	p.stacks.Put(stack)
	for _, i := range group {
		j := jobs[i].(*job)
		p.recycler.Recycle(j.req, j.in)
		j.in = nil
	}
}

func (p *Pipeline) postprocess(ctx context.Context, j *job, out tensor.Named, timing model.Timing) (result model.Result) {
	defer func() { p.recovered(recover(), &result.Err) }()
	start := time.Now()
	answer, err := p.handler.Postprocess(ctx, j.req, out)
	if err != nil {
		return model.Result{Err: err}
	}
	timing.Preprocess = j.timing.Preprocess
	return respond(answer, timing, start)
}

func (p *Pipeline) explain(ctx context.Context, j *job) (result model.Result) {
	defer func() { p.recovered(recover(), &result.Err) }()
	start := time.Now()
	answer, err := p.handler.Explain(ctx, j.req, j.in)
	if err != nil {
		return model.Result{Err: err}
	}
	return respond(answer, model.Timing{Batch: 1, Preprocess: j.timing.Preprocess, Run: time.Since(start)}, time.Now())
}

// respond encodes an answer: here, once, so that every way to ask yields the same bytes.
func respond(answer handler.Answer, timing model.Timing, start time.Time) model.Result {
	resp := &model.Response{Header: answer.Header, Tensors: answer.Tensors, Timing: timing}
	contentType := "application/octet-stream"
	raw, ok := answer.Value.([]byte)
	if !ok {
		var err error
		if raw, err = encode(answer.Value); err != nil {
			return model.Result{Err: err}
		}
		contentType = "application/json"
	}
	resp.Body, resp.ContentType = raw, cmp.Or(answer.ContentType, contentType)
	resp.Timing.Postprocess = time.Since(start)
	return model.Result{Response: resp}
}

// Predict answers one request, as a batch of its own.
func (p *Pipeline) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	if ref.Name != p.ref.Name {
		return nil, fmt.Errorf("model %q: %w", ref.Name, fault.NoModel)
	}
	if ref.Version != "" && ref.Version != p.ref.Version {
		return nil, fmt.Errorf("model %q: %w %q, it is %q", ref.Name, fault.NoVersion, ref.Version, p.ref.Version)
	}
	prepared, err := p.Prepare(ctx, req)
	if err != nil {
		return nil, err
	}
	var result model.Result
	p.Run(ctx, []model.Job{prepared}, func(_ int, r model.Result) { result = r })
	return result.Response, result.Err
}

// recovered turns the cause of a handler's panic into an error, so that it costs the request at hand and no other. The
// error cannot say where it was: that goes to the log.
func (p *Pipeline) recovered(cause any, err *error) {
	if cause == nil {
		return
	}
	p.log.Error("handler panicked", "cause", cause, "stack", string(debug.Stack()))
	*err = fmt.Errorf("handler panicked: %w: %v", fault.Internal, cause)
}

// SettingsOf returns what a manifest says of how its model is to be served.
func SettingsOf(m archive.Manifest) model.Settings {
	return model.Settings{
		BatchSize:       m.BatchSize,
		MaxBatchDelay:   m.MaxBatchDelay,
		ResponseTimeout: m.ResponseTimeout,
		StartupTimeout:  m.StartupTimeout,
		MaxQueueDelay:   m.ClientTimeout,
		MinWorkers:      m.MinWorkers,
		MaxWorkers:      m.MaxWorkers,
		QueueSize:       m.QueueSize,
		Runtime:         m.Runtime,
		Handler:         cmp.Or(m.Handler, GuessedHandler),
	}
}
