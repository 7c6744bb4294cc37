package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

type benchOptions struct {
	*globals
	streams
	local
	remote

	model string
	files []string

	load         bench.Options
	workers      int
	batch        int
	delay        time.Duration
	plot         string
	bare         bool
	sweep        bool
	latencyLimit time.Duration

	engine *ort.Runtime // nil until it is needed
}

// What is measured where no flag says it.
const (
	defaultConcurrency = 16
	defaultMeasured    = 10 * time.Second
	defaultTrial       = 2 * time.Second // of a sweep
	longestWarmUp      = 2 * time.Second
)

func newBench(s streams, g *globals) *cobra.Command {
	o := benchOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "bench MODEL [FILE...]",
		Short: "Measure how fast a model answers, and find the settings that make it faster",
		Long: `Measure how fast a model answers: in this process, through the very queue, batches and pipeline of a server, or a running
server with --server.

With --concurrency, so many callers ask again as soon as they have their answer: that finds out how much gets through. With
--rate, requests come at a constant rate, whatever becomes of the answers, and a time counts from when its request was to be
sent: that finds out how long callers wait who do not know of each other. Answers that say "too many requests" (429, 503)
are counted apart from errors. Ctrl-C ends early, with what was measured until then.

The files are sent in turn. Without any, those in the model's directory samples are, or else an input is made up.

A model in this process, or served on this machine out of the same store, is compared with the limit: a bare loop that
runs the same network on all cores, in the batch that suits it best, with nothing around it. --bare=false leaves that out.

--sweep tries workers, threads and batch sizes in this process, and prints the lines of a model-config.yaml for the highest
throughput at which 99 of 100 answers come within --latency-limit.`,
		Example: `  tsgo bench mnist samples/digits/*.png
  tsgo bench resnet-18 samples/kitten.jpg --rate 100 --duration 30s --plot latency.png
  tsgo bench resnet-18 samples/kitten.jpg --server http://127.0.0.1:8080 --concurrency 64
  tsgo bench resnet-18 samples/kitten.jpg --sweep --latency-limit 50ms`,
		Args: usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) > 0:
				return nil, cobra.ShellCompDirectiveDefault
			case o.server != "":
				return o.remote.names(cmd.Context(), o.streams), cobra.ShellCompDirectiveNoFileComp
			}
			return o.local.names(o.streams), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model, o.files = args[0], args[1:]
			if err := o.check(cmd); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *benchOptions) flags(cmd *cobra.Command) {
	o.localFlags(cmd)
	o.serverFlags(o.streams, cmd)
	f := cmd.Flags()
	f.IntVarP(&o.load.Concurrency, "concurrency", "c", defaultConcurrency, "how many callers ask at once")
	f.Float64VarP(&o.load.Rate, "rate", "r", 0, "how many requests come a second, whatever becomes of the answers")
	f.DurationVarP(&o.load.Duration, "duration", "d", defaultMeasured, "how long is measured; with --sweep, each trial (default there: 2s)")
	f.IntVarP(&o.load.Requests, "requests", "n", 0, "how many requests are measured at most; without --duration, as long as that takes")
	f.DurationVar(&o.load.WarmUp, "warm-up", 0, "how long there is load before anything is measured (default: a fifth of the duration, at most 2s)")
	f.IntVar(&o.workers, "workers", 0, "how many batches run at once (default: as the model's manifest says, or one for each core)")
	f.IntVar(&o.batch, "batch-size", 0, "how many requests run together at most (default: as the model's manifest says); with --sweep, the largest that is tried (default there: 32)")
	f.DurationVar(&o.delay, "max-batch-delay", 0, "how long a request waits for company at most (default: as the model's manifest says)")
	f.StringVar(&o.plot, "plot", "", "write the distribution of times to this PNG file")
	f.BoolVar(&o.bare, "bare", true, "compare with a bare loop over the network, where that is possible")
	f.BoolVar(&o.sweep, "sweep", false, "find the best workers, threads and batch size")
	f.DurationVar(&o.latencyLimit, "latency-limit", 0, "how long 99 of 100 answers of a sweep may take (default: any time)")
}

// check refuses flags that make no sense, or none together, and fills in what follows from the others.
func (o *benchOptions) check(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	if err := o.checkFlags(cmd, "model-store", "onnxruntime", "threads", "workers", "batch-size", "max-batch-delay", "sweep"); err != nil {
		return err
	}
	for _, pair := range [][2]string{
		{"rate", "concurrency"},
		{"requests", "warm-up"},
		{"sweep", "rate"},
		{"sweep", "concurrency"},
		{"sweep", "plot"},
		{"sweep", "workers"},
		{"sweep", "threads"},
	} {
		if given(pair[0]) && given(pair[1]) {
			return fmt.Errorf("%w: --%s and --%s do not go together: leave one out", fault.Invalid, pair[0], pair[1])
		}
	}
	for name, right := range map[string]bool{
		"concurrency": o.load.Concurrency >= 1 && o.load.Concurrency <= bench.MaxConcurrency,
		"rate":        o.load.Rate > 0 && o.load.Rate <= bench.MaxRate, "duration": o.load.Duration > 0, "requests": o.load.Requests > 0,
		"warm-up": o.load.WarmUp >= 0, "workers": o.workers > 0 && o.workers <= maxThreads, "batch-size": o.batch > 0,
		"max-batch-delay": o.delay > 0, "latency-limit": o.latencyLimit > 0,
		"plot": strings.EqualFold(filepath.Ext(o.plot), ".png"), "threads": o.threads > 0 && o.threads <= maxThreads,
	} {
		if given(name) && !right {
			return fmt.Errorf("%w: --%s %s: want %s", fault.Invalid, name, cmd.Flags().Lookup(name).Value, wanted(name))
		}
	}
	switch {
	case o.server != "" && len(o.files) == 0:
		return fmt.Errorf("%w: want a FILE to send: what the server's model takes is not known here", fault.Invalid)
	case given("latency-limit") && !o.sweep:
		return fmt.Errorf("%w: --latency-limit is for --sweep: what is measured otherwise has no limit", fault.Invalid)
	}
	o.fill(given)
	return nil
}

// wanted says what the value of a flag has to be.
func wanted(flag string) string {
	switch flag {
	case "concurrency":
		return fmt.Sprintf("1 to %d callers", bench.MaxConcurrency)
	case "rate":
		return fmt.Sprintf("more than 0 and at most %g requests a second", bench.MaxRate)
	case "plot":
		return "a file that ends in .png"
	case "workers", "threads":
		return fmt.Sprintf("1 to %d", maxThreads)
	case "warm-up":
		return "a time like 2s, or 0s"
	case "duration", "max-batch-delay", "latency-limit":
		return "a time of more than 0, like 50ms or 10s"
	}
	return "1 or more"
}

// fill sets what no flag says.
func (o *benchOptions) fill(given func(flag string) bool) {
	if o.load.Rate > 0 {
		o.load.Concurrency = 0
	}
	switch {
	case given("duration"):
	case o.load.Requests > 0:
		o.load.Duration = 0
	case o.sweep:
		o.load.Duration = defaultTrial
	}
	if !given("warm-up") && o.load.Requests == 0 {
		o.load.WarmUp = min(longestWarmUp, o.load.Duration/5)
	}
}

func (o *benchOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	if o.sweep {
		return o.runSweep(ctx, format)
	}
	t, err := o.target(ctx)
	if err != nil {
		return err
	}
	r, err := o.measure(ctx, t)
	if err := errors.Join(err, t.close()); err != nil {
		return err
	}
	if o.bare && !r.result.Interrupted {
		if r.bare, err = o.compare(ctx, t); err != nil {
			return err
		}
	}
	if err := o.report(r, format); err != nil {
		return err
	}
	if o.plot != "" {
		if err := o.writePlot(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// benched is what there is to tell of a measurement.
type benched struct {
	ref    model.Ref
	where  string
	input  string
	result *bench.Result
	batch  float64 // requests that ran together, on average; 0: not known
	cpu    float64 // cores that were busy; 0: not known
	memory int64   // bytes; 0: not known
	bare   *bareLoop
}

// leastForCPU is how long a measurement has to be for the system's count of processor time, in ticks of 10 ms, to tell something.
const leastForCPU = 500 * time.Millisecond

// measure makes the load, and looks at what was used before and after.
func (o *benchOptions) measure(ctx context.Context, t *benchTarget) (*benched, error) {
	done := spin(o.streams, "measuring "+t.ref.String(), 0)
	defer done()
	before, begun := t.usage(ctx), time.Now()
	result, err := bench.Run(ctx, t.ask, o.load)
	if err != nil {
		return nil, err
	}
	took := time.Since(begun)
	after := t.usage(context.WithoutCancel(ctx))
	r := &benched{ref: t.ref, where: t.where, input: t.input, result: result}
	r.memory = after.Memory
	if batches := after.Batches - before.Batches; after.Batches > before.Batches {
		r.batch = float64(after.Batched-before.Batched) / float64(batches)
	}
	if after.CPU > before.CPU && took >= leastForCPU {
		r.cpu = (after.CPU - before.CPU).Seconds() / took.Seconds()
	}
	return r, nil
}

func (o *benchOptions) writePlot(r *benched) error {
	file, err := os.Create(o.plot)
	if err != nil {
		return fmt.Errorf("%w: --plot: %w", fault.Invalid, err)
	}
	if err := errors.Join(r.result.Plot(file, r.ref.String()+", "+r.where), file.Close()); err != nil {
		return fmt.Errorf("--plot %s: %w", o.plot, err)
	}
	return nil
}

// runSweep tries the ways to serve the model.
func (o *benchOptions) runSweep(ctx context.Context, format string) error {
	if _, err := o.started(ctx); err != nil { // which the trials share
		return err
	}
	var trials []bench.Trial
	batch := o.batch
	if batch == 0 {
		batch = 32
	}
	best, err := bench.Sweep(ctx, bench.SweepOptions{
		Cores: runtime.GOMAXPROCS(0), Batch: batch, Limit: o.latencyLimit,
		Measure: func(ctx context.Context, a bench.Arrangement, concurrency int) (*bench.Result, error) {
			return o.trial(ctx, a, concurrency)
		},
		Tried: func(t bench.Trial) { trials = append(trials, t) },
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err := o.reportSweep(best, trials, format); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case best == nil:
		return fmt.Errorf("%w: no workers, threads and batch size answer within %s: give a longer --latency-limit", fault.Unsupported, o.latencyLimit)
	}
	return nil
}

// trial serves the model in one way and measures it.
func (o *benchOptions) trial(ctx context.Context, a bench.Arrangement, concurrency int) (*bench.Result, error) {
	this := *o
	this.workers, this.threads, this.batch = a.Workers, a.Threads, a.Batch
	t, err := this.inProcess(ctx)
	if err != nil {
		return nil, err
	}
	done := spin(o.streams, fmt.Sprintf("workers %d, threads %d, batch %d, callers %d", a.Workers, a.Threads, a.Batch, concurrency), 0)
	load := o.load
	load.Concurrency = concurrency
	result, err := bench.Run(ctx, t.ask, load)
	done()
	return result, errors.Join(err, t.close())
}
