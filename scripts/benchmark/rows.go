package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/model"
)

// kind is how a figure is made of a pair.
type kind int

const (
	ratio      kind = iota // ours over the limit's
	difference             // ours less the limit's
	alone                  // ours
)

func (k kind) of(ours, theirs float64) float64 {
	switch k {
	case ratio:
		return ours / theirs
	case difference:
		return ours - theirs
	case alone:
	}
	return ours
}

// row is a line of the table.
type row struct {
	name       string
	kind       kind
	target     float64
	atMost     bool   // the target is the largest that will do; else the smallest
	unit, each string // of the figure, and of the two that it is made of
	prepare    func(ctx context.Context, l *lab) (*pair, error)
}

// pair is what is measured in turn.
type pair struct {
	ours, theirs func(ctx context.Context) (float64, error)
	ends         []func() error
}

func (p *pair) close() error {
	var all []error
	for i := len(p.ends) - 1; i >= 0; i-- {
		all = append(all, p.ends[i]())
	}
	return errors.Join(all...)
}

// The load of a closed loop: enough that no worker waits for the next request.
const (
	resNetCallers = 8
	mnistCallers  = 48
	largestResNet = 8  // batch of a bare loop that is tried
	largestMNIST  = 64 //
)

const perSecond = "/s"

func rows() []row {
	return []row{
		{name: "resnet-18, JPEG over HTTP: throughput / bare session loop", target: 0.85, each: perSecond, prepare: servedOver(turbo, session)},
		{name: "resnet-18, JPEG over HTTP: throughput / bare loop with the same preprocessing", target: 0.95, each: perSecond, prepare: servedOver(turbo, pictures)},
		{name: "mnist, PNG over HTTP: throughput / bare loop at its best batch", target: 0.60, each: perSecond, prepare: mnistThroughput},
		{name: "mnist, one connection: p50 less the call in process", kind: difference, target: 0.15, atMost: true, unit: " ms", each: " ms", prepare: mnistLatency},
		{name: "resnet-18 at a constant rate of half the throughput: p99 / p50", target: 2, atMost: true, each: " ms", prepare: tail},
		{name: "decode, resize, crop, normalise a JPEG / Pillow with torchvision", target: 0.5, atMost: true, each: " ms", prepare: preprocessing},
		{name: "resnet-18 under load: resident memory / bare loop", target: 1.2, atMost: true, each: " MB", prepare: memory},
		{name: "resident memory after 50 rounds of register and unregister / after the first", target: 1.1, atMost: true, each: " MB", prepare: leak},
		{name: "tsgo serve to the first answer of mnist", kind: alone, target: 150, atMost: true, unit: " ms", prepare: startup},
		{name: "tsgo predict mnist 3.png, whole process", kind: alone, target: 120, atMost: true, unit: " ms", prepare: command},
		{name: "mnist over HTTP: heap allocated per request, the decoder's included", kind: alone, target: 8, atMost: true, unit: " KiB", prepare: heap},
		{name: "tsgo predict of 1000 JPEGs: throughput / bare session loop", target: 0.88, each: perSecond, prepare: offline},
		{name: "resnet-18, JPEG over HTTP, without libjpeg-turbo: throughput / bare session loop", target: 0.60, each: perSecond, prepare: servedOver(plain, session)},
	}
}

// limits start what a throughput is compared with.
type limits func(ctx context.Context, l *lab) (*limit, error)

func session(ctx context.Context, l *lab) (*limit, error) {
	return l.startSession(ctx, resNet, resNetShape, largestResNet)
}

func pictures(ctx context.Context, l *lab) (*limit, error) {
	return l.startLimit(ctx, turbo, "pictures", l.network(resNet), l.picture())
}

// against begins a pair with its limit.
func (p *pair) against(l *lab, m *limit, err error) error {
	if err != nil {
		return err
	}
	p.ends = append(p.ends, m.close)
	p.theirs = func(context.Context) (float64, error) { return m.measure(l.duration) }
	return nil
}

// server starts a server and returns what posts a file to it.
func (p *pair) server(ctx context.Context, l *lab, tag, name, file string) (*served, *bench.Wire, error) {
	s, err := l.serve(ctx, tag, name)
	if err != nil {
		return nil, nil, err
	}
	p.ends = append(p.ends, s.close)
	w, err := s.wire(ctx, name, file)
	return s, w, err
}

// closed is a closed loop of the usual length.
func (l *lab) closed(callers int) bench.Options {
	return bench.Options{Concurrency: callers, Duration: l.duration, WarmUp: l.duration / 5}
}

func throughput(l *lab, w *bench.Wire, callers int) func(ctx context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		r, err := load(ctx, w, l.closed(callers))
		if err != nil {
			return 0, err
		}
		return r.Throughput(), nil
	}
}

func servedOver(tag string, start limits) func(ctx context.Context, l *lab) (*pair, error) {
	return func(ctx context.Context, l *lab) (*pair, error) {
		p := &pair{}
		m, err := start(ctx, l)
		if err := p.against(l, m, err); err != nil {
			return p, err
		}
		_, w, err := p.server(ctx, l, tag, resNet, l.picture())
		p.ours = throughput(l, w, resNetCallers)
		return p, err
	}
}

func mnistThroughput(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	m, err := l.startSession(ctx, mnist, mnistShape, largestMNIST)
	if err := p.against(l, m, err); err != nil {
		return p, err
	}
	_, w, err := p.server(ctx, l, turbo, mnist, l.digit())
	p.ours = throughput(l, w, mnistCallers)
	return p, err
}

func mnistLatency(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	m, err := l.startLimit(ctx, turbo, "pipeline", l.path("models", mnist), l.digit())
	if err := p.against(l, m, err); err != nil {
		return p, err
	}
	_, w, err := p.server(ctx, l, turbo, mnist, l.digit())
	p.ours = func(ctx context.Context) (float64, error) {
		r, err := load(ctx, w, l.closed(1))
		if err != nil {
			return 0, err
		}
		return milliseconds(r.Quantile(0.5)), nil
	}
	return p, err
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// tail compares two quantiles of the same run. A 99th of a hundred needs many more than a hundred.
func tail(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	_, w, err := p.server(ctx, l, turbo, resNet, l.picture())
	if err != nil {
		return p, err
	}
	var r *bench.Result
	p.theirs = func(ctx context.Context) (float64, error) {
		most, err := load(ctx, w, l.closed(resNetCallers))
		if err != nil {
			return 0, err
		}
		r, err = load(ctx, w, bench.Options{Rate: most.Throughput() / 2, Duration: 5 * l.duration, WarmUp: l.duration / 5})
		if err != nil {
			return 0, err
		}
		return milliseconds(r.Quantile(0.5)), nil
	}
	p.ours = func(context.Context) (float64, error) { return milliseconds(r.Quantile(0.99)), nil }
	return p, nil
}

func preprocessing(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	m, err := l.startPillow(ctx)
	if err := p.against(l, m, err); err != nil {
		return p, err
	}
	ours, err := l.startLimit(ctx, turbo, "transform", l.picture())
	if err != nil {
		return p, err
	}
	p.ends = append(p.ends, ours.close)
	p.ours = func(context.Context) (float64, error) { return ours.measure(l.duration) }
	return p, nil
}

const megabyte = 1e6

func memory(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	m, err := session(ctx, l)
	if err := p.against(l, m, err); err != nil {
		return p, err
	}
	s, w, err := p.server(ctx, l, turbo, resNet, l.picture())
	if err != nil {
		return p, err
	}
	p.theirs = func(ctx context.Context) (float64, error) {
		bytes, err := residentDuring(ctx, m.process, func() error {
			_, err := m.measure(l.duration)
			return err
		})
		return bytes / megabyte, err
	}
	p.ours = func(ctx context.Context) (float64, error) {
		bytes, err := residentDuring(ctx, s.process, func() error {
			_, err := load(ctx, w, l.closed(resNetCallers))
			return err
		})
		return bytes / megabyte, err
	}
	return p, nil
}

// rounds is how often a model comes and goes.
const rounds = 50

// leak compares a server with itself. Each run has a fresh one.
func leak(_ context.Context, l *lab) (*pair, error) {
	var last float64
	return &pair{
		theirs: func(ctx context.Context) (first float64, err error) {
			s, err := l.serve(ctx, turbo, "none")
			if err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, s.close()) }()
			for n := range rounds {
				if err := comeAndGo(ctx, s.client); err != nil {
					return 0, err
				}
				if last, err = settled(ctx, s.process); err != nil {
					return 0, err
				}
				if n == 0 {
					first = last
				}
			}
			return first / megabyte, nil
		},
		ours: func(context.Context) (float64, error) { return last / megabyte, nil },
	}, nil
}

func comeAndGo(ctx context.Context, c *client.Client) error {
	one := 1
	out, err := c.Register(ctx, model.Registration{URL: resNet, Workers: &one})
	if err != nil {
		return err
	}
	return c.Unregister(ctx, out.Ref)
}

// settled returns the least memory that a process has within a moment: what it is about to give back does not count.
func settled(ctx context.Context, cmd *exec.Cmd) (least float64, err error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := range 5 {
		<-tick.C
		bytes, err := resident(ctx, cmd)
		if err != nil {
			return 0, err
		}
		if n == 0 || bytes < least {
			least = bytes
		}
	}
	return least, nil
}

// startup measures from before the process is there until it has answered.
func startup(ctx context.Context, l *lab) (*pair, error) {
	program, err := l.build(ctx, "./cmd/tsgo", turbo)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(l.digit())
	return &pair{ours: func(ctx context.Context) (_ float64, err error) {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		wire, err := bench.NewWire(bench.WireOptions{
			URL: &url.URL{Scheme: "http", Host: at, Path: "/predictions/" + mnist}, Inputs: []model.Input{{Data: data}},
		})
		if err != nil {
			return 0, err
		}
		defer wire.Close() //nolint:errcheck // nothing is on its way
		s := exec.CommandContext(ctx, program, "serve", "--models", mnist, "--model-store", l.store(), "--inference-address", at,
			"--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0", "--grpc-inference-address", "none", "--grpc-management-address", "none")
		begun := time.Now()
		if err := s.Start(); err != nil {
			return 0, err
		}
		defer func() {
			_ = s.Process.Kill()
			_ = s.Wait()
		}()
		if err := untilAnswered(ctx, wire); err != nil {
			return 0, err
		}
		return milliseconds(time.Since(begun)), nil
	}}, err
}

// untilAnswered asks every millisecond until there is an answer.
func untilAnswered(ctx context.Context, wire *bench.Wire) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := wire.Ask(ctx, 0)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", patience, err)
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func command(ctx context.Context, l *lab) (*pair, error) {
	program, err := l.build(ctx, "./cmd/tsgo", turbo)
	return &pair{ours: func(ctx context.Context) (float64, error) {
		var times []float64
		for range 5 {
			begun := time.Now()
			out, err := exec.CommandContext(ctx, program, "predict", mnist, l.digit(), "--model-store", l.store()).CombinedOutput()
			if err != nil || string(out) != "3" {
				return 0, fmt.Errorf("tsgo predict answers %q: %w", out, err)
			}
			times = append(times, milliseconds(time.Since(begun)))
		}
		return median(times), nil
	}}, err
}

// kibibyte is what the heap's row counts in.
const kibibyte = 1 << 10

func heap(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	s, w, err := p.server(ctx, l, turbo, mnist, l.digit())
	p.ours = func(ctx context.Context) (float64, error) {
		const requests = 10000 // beside which asking for the metrics is little
		before, err := s.usage(ctx, mnist)
		if err != nil {
			return 0, err
		}
		if _, err := load(ctx, w, bench.Options{Concurrency: mnistCallers, Requests: requests}); err != nil {
			return 0, err
		}
		after, err := s.usage(ctx, mnist)
		return float64(after.Allocated-before.Allocated) / requests / kibibyte, err
	}
	return p, err
}

func (s *served) usage(ctx context.Context, name string) (client.Usage, error) {
	page, err := s.client.Metrics(ctx)
	if err != nil {
		return client.Usage{}, err
	}
	return client.ParseUsage(page, model.Ref{Name: name})
}

func offline(ctx context.Context, l *lab) (*pair, error) {
	p := &pair{}
	m, err := session(ctx, l)
	if err := p.against(l, m, err); err != nil {
		return p, err
	}
	program, err := l.build(ctx, "./cmd/tsgo", turbo)
	if err != nil {
		return p, err
	}
	files, err := l.album()
	p.ours = func(ctx context.Context) (float64, error) {
		begun := time.Now()
		out := exec.CommandContext(ctx, program, "predict", resNet, l.path("album"), "--output", "json", "--model-store", l.store())
		out.Stderr = os.Stderr
		if err := out.Run(); err != nil {
			return 0, err
		}
		return float64(files) / time.Since(begun).Seconds(), nil
	}
	return p, err
}

// album writes a directory of pictures.
func (l *lab) album() (files int, err error) {
	files = 1000
	if l.quick {
		files = 200
	}
	const different = 50
	pictures, err := photographs(different)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(l.path("album"), 0o755); err != nil {
		return 0, err
	}
	for i := range files {
		if err := os.WriteFile(l.path("album", fmt.Sprintf("%04d.jpg", i)), pictures[i%different], 0o644); err != nil {
			return 0, err
		}
	}
	return files, nil
}
