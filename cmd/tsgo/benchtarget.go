package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// benchTarget is what is measured.
type benchTarget struct {
	ref   model.Ref
	where string // in words
	input string // in words
	ask   bench.Ask
	page  func(ctx context.Context) ([]byte, error) // the metrics
	close func() error

	// What a bare loop is made of: the network and what one request is to it; nothing for a server.
	open    engine.Opener
	network engine.Network
	request tensor.Named
}

// usage returns what was used until now, as far as the metrics tell: a server need not have any.
func (t *benchTarget) usage(ctx context.Context) client.Usage {
	ctx, cancel := context.WithTimeout(ctx, usagePatience)
	defer cancel()
	page, err := t.page(ctx)
	if err != nil {
		return client.Usage{}
	}
	u, _ := client.ParseUsage(page, t.ref) // what is no page tells nothing
	return u
}

const usagePatience = 2 * time.Second

func (o *benchOptions) target(ctx context.Context) (*benchTarget, error) {
	if o.server != "" {
		return o.onServer(ctx)
	}
	return o.inProcess(ctx)
}

// onServer returns the model of a running server.
func (o *benchOptions) onServer(ctx context.Context) (*benchTarget, error) {
	inputs, err := o.read(ctx)
	if err != nil {
		return nil, err
	}
	c, ref, err := o.served(o.streams, o.model)
	if err != nil {
		return nil, err
	}
	at, err := c.Endpoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	wire, err := bench.NewWire(bench.WireOptions{URL: at.URL, Header: at.Header, TLS: at.TLS, Inputs: inputs})
	if err != nil {
		return nil, err
	}
	return &benchTarget{
		ref: ref, where: "at " + at.URL.Scheme + "://" + at.URL.Host, input: filesInWords(o.files), ask: wire.Ask,
		page:  func(ctx context.Context) ([]byte, error) { return c.Metrics(ctx) },
		close: func() error { return errors.Join(wire.Close(), c.Close()) },
	}, nil
}

// read returns the contents of the files.
func (o *benchOptions) read(ctx context.Context) ([]model.Input, error) {
	files, err := expand(o.files)
	if err != nil {
		return nil, err
	}
	ask := askOptions{globals: o.globals, streams: o.streams}
	var inputs []model.Input
	for _, file := range files {
		req, err := ask.request(ctx, file)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, req.Inputs...)
	}
	return inputs, nil
}

func filesInWords(files []string) string {
	if len(files) == 1 {
		return files[0]
	}
	return fmt.Sprintf("%d files", len(files))
}

// queue is how many requests wait at most, as in a server that is not told otherwise.
const queue = 100

// inProcess loads the model as a server does, with its queue and its workers, and lets nobody in over the network.
func (o *benchOptions) inProcess(ctx context.Context) (*benchTarget, error) {
	location, err := o.find(o.streams, o.model)
	if err != nil {
		return nil, err
	}
	runtime, err := o.started(ctx)
	if err != nil {
		return nil, err
	}
	t, tap := &benchTarget{where: "in this process", open: runtime.Open}, &bench.Tap{}
	s, err := server.New(ctx, server.Options{
		Inference: anyPort, Management: anyPort, Metrics: anyPort, NoSystemMetrics: true,
		Store: o.store(o.streams), Open: tap.Opener(runtime.Open), Handlers: builtin.Handlers(), Params: paramNames(),
		Threads: o.threads, Queue: queue, Version: buildVersion(), Log: o.logger(o.streams),
	})
	if err != nil {
		return nil, err
	}
	t.close = func() error { return s.Stop(context.WithoutCancel(ctx)) }
	t.page = func(context.Context) ([]byte, error) { return pageOf(s) }
	err = o.register(ctx, s, t, location)
	if err == nil {
		err = t.ask(ctx, 0) // one request alone
	}
	t.network, t.request = tap.Close()
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

const anyPort = "127.0.0.1:0"

// started returns the runtime, which a process has once.
func (o *benchOptions) started(ctx context.Context) (*ort.Runtime, error) {
	if o.engine == nil {
		runtime, err := o.start(ctx, o.streams, o.logger(o.streams))
		if err != nil {
			return nil, err
		}
		o.engine = runtime
	}
	return o.engine, nil
}

// register serves the model, and has it asked about the inputs.
func (o *benchOptions) register(ctx context.Context, s *server.Server, t *benchTarget, location string) error {
	r := model.Registration{URL: location, AtStartup: true, BatchSize: o.batch, MaxBatchDelay: o.delay}
	if o.workers > 0 {
		r.Workers = &o.workers
	}
	out, err := s.Models().Register(ctx, r)
	if err != nil {
		return err
	}
	t.ref = out.Ref
	inputs, err := o.inputs(ctx, s, t, location)
	if err != nil {
		return err
	}
	t.ask = bench.Local(s.Models(), t.ref, inputs)
	return nil
}

// inputs returns what is asked: the files, or the model's samples, or something made up.
func (o *benchOptions) inputs(ctx context.Context, s *server.Server, t *benchTarget, location string) ([]model.Input, error) {
	if len(o.files) > 0 {
		t.input = filesInWords(o.files)
		return o.read(ctx)
	}
	m, err := archive.Open(ctx, location, archive.Options{})
	if err != nil {
		return nil, err
	}
	defer m.Close() //nolint:errcheck // it is only read
	samples, err := samplesOf(m)
	if err != nil {
		return nil, err
	}
	if len(samples) > 0 {
		t.input = fmt.Sprintf("%d of the model's samples", len(samples))
		return samples, nil
	}
	about, _ := s.Models().About(t.ref)
	in, what, err := bench.Generate(cmp.Or(m.Manifest.Handler, pipeline.GuessedHandler), about.Inputs)
	if err != nil {
		return nil, fmt.Errorf("%w; want a FILE to ask about", err)
	}
	t.input = what
	return []model.Input{in}, nil
}

// samplesOf returns the files in a model's directory samples.
func samplesOf(m *archive.Model) ([]model.Input, error) {
	entries, err := fs.ReadDir(m.Files(), "samples")
	if err != nil {
		return nil, nil //nolint:nilerr // most models have none
	}
	var samples []model.Input
	for _, e := range entries {
		if !e.Type().IsRegular() || !slices.Contains(inputs(), strings.ToLower(path.Ext(e.Name()))) {
			continue
		}
		data, err := fs.ReadFile(m.Files(), path.Join("samples", e.Name()))
		if err != nil {
			return nil, fileError(err)
		}
		samples = append(samples, model.Input{Name: "body", ContentType: contentType(e.Name()), Data: data})
	}
	return samples, nil
}

// pageOf returns a server's metrics as its page has them.
func pageOf(s *server.Server) ([]byte, error) {
	families, err := s.Metrics().Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the metrics: %w", err)
	}
	var page bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&page, family); err != nil {
			return nil, fmt.Errorf("gather the metrics: %w", err)
		}
	}
	return page.Bytes(), nil
}

// bareLoop is the limit that a throughput is compared with.
type bareLoop struct {
	bench.Loop

	rate float64 // requests a second
}

// compare measures the bare loop over the network that t ran, or returns nil where that is not here, or takes no batches.
func (o *benchOptions) compare(ctx context.Context, t *benchTarget) (*bareLoop, error) {
	if t.open == nil {
		var err error
		if t, err = o.alike(ctx, t); t == nil || err != nil {
			return nil, err
		}
	}
	if t.request == nil {
		return nil, nil
	}
	return o.bareLoop(ctx, t)
}

// alike returns the model of this process that a server on this machine serves, as far as its name tells; nil: there is none.
func (o *benchOptions) alike(ctx context.Context, t *benchTarget) (*benchTarget, error) {
	at, err := url.Parse(strings.TrimPrefix(t.where, "at "))
	if err != nil || at.Hostname() != "localhost" && !net.ParseIP(at.Hostname()).IsLoopback() {
		return nil, nil //nolint:nilerr // it is not on this machine
	}
	if _, err := o.find(o.streams, o.model); err != nil {
		return nil, nil //nolint:nilerr // the server has it from elsewhere
	}
	twin, err := o.inProcess(ctx)
	if err != nil {
		return nil, err
	}
	return twin, twin.close()
}

// How long the bare loop is measured, as shares of the duration: each way to run it, and the best one.
const (
	trialShare = 20
	bareShare  = 2
	leastTrial = 50 * time.Millisecond
	leastBare  = 100 * time.Millisecond
	largest    = 32 // batch that is tried
)

func (o *benchOptions) bareLoop(ctx context.Context, t *benchTarget) (_ *bareLoop, err error) {
	done := spin(o.streams, "measuring the bare loop", 0)
	defer done()
	b, err := bench.OpenBare(ctx, t.network, t.open, t.request, bench.Limits{Cores: runtime.GOMAXPROCS(0), Batch: largest})
	if errors.Is(err, fault.Unsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	best, err := bench.Fastest(ctx, b.Loops(), max(leastTrial, o.load.Duration/trialShare))
	if err != nil {
		return nil, err
	}
	rate, err := best.Rate(ctx, max(leastBare, o.load.Duration/bareShare))
	return &bareLoop{best, rate}, err
}
