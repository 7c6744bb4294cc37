// Package verify looks at a model from end to end, before it is served: what its file holds, what it says of itself, whether
// the engine opens its network, and whether it answers. It finds no faults of its own: each check is what serving the model
// does, and its words are what serving it would say.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/pipeline"
)

// Status is how a check went.
type Status string

// The ways that a check goes.
const (
	Pass    Status = "pass"
	Fail    Status = "fail"
	Skipped Status = "skipped"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"` // what was found, or why it fails or is skipped
}

// Report is what was found of a model.
type Report struct {
	Path    string  `json:"path"`
	Form    string  `json:"form,omitempty"` // empty as the three below where the model could not be read
	Name    string  `json:"name,omitempty"`
	Version string  `json:"version,omitempty"`
	Handler string  `json:"handler,omitempty"`
	Checks  []Check `json:"checks"`
	Failed  int     `json:"failed"` // checks
}

// Options are how a model is verified.
type Options struct {
	Archive  archive.Options
	Handlers map[string]handler.Factory
	Open     engine.Opener  // nil: what needs an engine is skipped
	NoEngine string         // why there is none
	Engine   engine.Options //
	Log      *slog.Logger   // nil: nothing is logged
}

// names returns the checks, in their order. The first ones are of the parts of an archive, see [archive.Part].
func names() []string {
	return []string{"format", "contents", "manifest", "settings", "network", "labels", "handler", "tensors", "engine", "fit", "answer", "gradient"}
}

// Model verifies the model at path. What is wrong with the model is in the report. An error is what kept it from being
// verified: [fault.NotFound] where nothing is at path, [fault.Unavailable] where it cannot be unpacked, ctx's.
func Model(ctx context.Context, path string, opts Options) (Report, error) {
	v := verifier{Options: opts, report: Report{Path: path}}
	m, err := archive.Open(ctx, path, opts.Archive)
	if err != nil {
		return v.broken(err)
	}
	err = v.model(ctx, m)
	if err := errors.Join(err, m.Close()); err != nil {
		return Report{}, err
	}
	return v.finished(), nil
}

// verifier fills a report.
type verifier struct {
	Options

	report Report
}

func (v *verifier) add(status Status, format string, args ...any) {
	name := names()[len(v.report.Checks)]
	v.report.Checks = append(v.report.Checks, Check{name, status, fmt.Sprintf(format, args...)})
	if status == Fail {
		v.report.Failed++
	}
}

func (v *verifier) pass(format string, args ...any) { v.add(Pass, format, args...) }

func (v *verifier) fail(err error) { v.add(Fail, "%s", oneLine(err)) }

// finished skips the checks that are left, for what came before did not go well.
func (v *verifier) finished() Report {
	failed := ""
	for _, c := range v.report.Checks {
		if c.Status == Fail {
			failed = c.Name
		}
	}
	for len(v.report.Checks) < len(names()) {
		v.add(Skipped, "%s failed", failed)
	}
	return v.report
}

// broken reports a model that could not be opened: the parts before the one that is wrong are right.
func (v *verifier) broken(err error) (Report, error) {
	part, known := archive.PartOf(err)
	if kind := fault.Of(err); !known || kind != fault.BadModel && kind != fault.TooLarge && kind != fault.Unsupported {
		return Report{}, err
	}
	for range int(part) {
		v.pass("")
	}
	v.fail(err)
	return v.finished(), nil
}

// model checks a model that could be opened. An error is none of the model's.
func (v *verifier) model(ctx context.Context, m *archive.Model) error {
	v.report.Form, v.report.Name, v.report.Version = m.Form.String(), m.Manifest.Name, m.Manifest.Version
	v.report.Handler = cmp.Or(m.Manifest.Handler, pipeline.GuessedHandler)
	v.parts(m)
	labels, err := m.Labels()
	switch {
	case err != nil:
		v.fail(err)
		return nil
	case labels == nil:
		v.pass("none: classes are told by their index")
	default:
		v.pass("%d in %s", len(labels), m.Manifest.Labels)
	}
	if err := pipeline.CheckHandler(v.report.Handler, v.Handlers); err != nil {
		v.fail(err)
		return nil
	}
	if m.Manifest.Guessed {
		v.pass("%s, guessed: no manifest names one", v.report.Handler)
	} else {
		v.pass("%s", v.report.Handler)
	}
	if err := v.tensors(m); err != nil {
		v.fail(err)
		return nil
	}
	return v.run(ctx, m)
}

// parts reports what a model that could be opened is made of.
func (v *verifier) parts(m *archive.Model) {
	files, size := m.Contents()
	v.pass("%s, %d bytes", v.report.Form, m.Size)
	v.pass("%d files, %d bytes", files, size)
	v.pass("%s %s", v.report.Name, v.report.Version)
	if len(m.Manifest.Ignored) > 0 {
		v.pass("without effect here: %s", strings.Join(m.Manifest.Ignored, ", "))
	} else {
		v.pass("all known")
	}
	v.pass("%s", m.Manifest.SerializedFile)
}

// tensors checks the files that the network's tensors stand in.
func (v *verifier) tensors(m *archive.Model) error {
	beside, err := archive.Beside(m.Weights())
	if err != nil {
		return err
	}
	if len(beside) == 0 {
		v.pass("all in the network's file")
		return nil
	}
	v.pass("also in %s", strings.Join(slices.Sorted(maps.Keys(beside)), ", "))
	return nil
}

// run checks what needs an engine.
func (v *verifier) run(ctx context.Context, m *archive.Model) (err error) {
	if v.Open == nil {
		v.add(Skipped, "%s", v.NoEngine)
		for len(v.report.Checks) < len(names()) {
			v.add(Skipped, "needs an engine")
		}
		return nil
	}
	var refused error // by the engine
	open := func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
		session, err := v.Open(ctx, net, opts)
		refused = err
		return session, err
	}
	p, err := pipeline.Load(ctx, m, pipeline.Options{Open: open, Engine: v.Engine, Handlers: v.Handlers, Log: v.Log})
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.Join(ctx.Err(), err)
	case refused != nil:
		v.fail(refused)
		return nil
	case err != nil:
		v.pass("opens the network")
		v.fail(err)
		return nil
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	v.pass("takes %s, gives %s", listed(p.Signature().Inputs), listed(p.Signature().Outputs))
	v.pass("settings and labels fit the network")
	return v.try(ctx, p)
}

func listed(values []engine.Value) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return strings.Join(all, ", ")
}

// try checks what the model answers, and how it is explained.
func (v *verifier) try(ctx context.Context, p *pipeline.Pipeline) error {
	resp, sample, err := p.Try(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() //nolint:wrapcheck // the caller's own
	case err == nil:
		v.pass("a sample is answered, in %s", resp.ContentType)
	case sample:
		v.fail(err)
		return nil
	default:
		v.add(Skipped, "nobody knows a sample, and zeros are refused: %s", oneLine(err))
	}
	x, err := p.Explaining()
	switch {
	case err != nil:
		v.fail(err)
	case x.Operator != "":
		v.pass("none, for operator %s at node %q: %s; explained by %s", x.Operator, x.Node, x.Why, x.Method)
	case !x.Differentiable:
		v.pass("none: %s; explained by %s", x.Why, x.Method)
	default:
		v.pass("differentiable; explained by %s", x.Method)
	}
	return nil
}

// oneLine writes joined errors on one line.
func oneLine(err error) string {
	return strings.Join(strings.Split(strings.TrimSpace(err.Error()), "\n"), "; ")
}
