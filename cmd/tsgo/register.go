package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

type registerOptions struct {
	changeOptions

	reg     model.Registration
	workers int
	wait    bool
}

func newRegister(s streams, g *globals) *cobra.Command {
	o := registerOptions{changeOptions: changeOptions{globals: g, streams: s}}
	cmd := o.change(&cobra.Command{
		Use:   "register MODEL",
		Short: "Have a running server load a model and serve it",
		Long: `Have a running server load a model and serve it.

MODEL is what the server can find: a name in its model store, a path, or a URL that it may fetch. It begins with one
worker; whatever else is not said is as the model's manifest says. The first version of a model becomes its default; see
'tsgo models default' for a later one.`,
		Example: `  tsgo register resnet-18
  tsgo register resnet-18-v2.mar --name resnet-18 --version 2.0 --workers 2 --batch-size 8`,
	}, o.run)
	cmd.ValidArgsFunction = cobra.NoFileCompletions // what the server's store holds is not known here
	f := cmd.Flags()
	f.StringVar(&o.reg.Name, "name", "", "name to serve it under (default: the manifest's)")
	f.StringVar(&o.reg.Version, "version", "", "version to serve it as (default: the manifest's)")
	f.StringVar(&o.reg.Handler, "handler", "", "handler that makes tensors and answers (default: the manifest's)")
	f.IntVar(&o.workers, "workers", 1, "how many workers it has at first; 0: none yet")
	f.IntVar(&o.reg.BatchSize, "batch-size", 0, "how many requests run together at most (default: the manifest's)")
	f.DurationVar(&o.reg.MaxBatchDelay, "max-batch-delay", 0, "how long a request waits for company at most, as 50ms (default: the manifest's)")
	f.DurationVar(&o.reg.ResponseTimeout, "response-timeout", 0, "how long a batch may run, as 30s (default: the manifest's)")
	f.DurationVar(&o.reg.StartupTimeout, "startup-timeout", 0, "how long loading may take, as 2m (default: the manifest's)")
	f.BoolVar(&o.wait, "wait", true, "wait until the model can answer")
	return cmd
}

// check refuses what no server can mean.
func (o *registerOptions) check() error {
	for _, flag := range []struct {
		name  string
		value time.Duration
	}{{"max-batch-delay", o.reg.MaxBatchDelay}, {"response-timeout", o.reg.ResponseTimeout}, {"startup-timeout", o.reg.StartupTimeout}} {
		if flag.value < 0 {
			return fmt.Errorf("%w: --%s %s, want no less than 0", fault.Invalid, flag.name, flag.value)
		}
	}
	switch {
	case o.workers < 0:
		return fmt.Errorf("%w: --workers %d, want no less than 0", fault.Invalid, o.workers)
	case o.reg.BatchSize < 0:
		return fmt.Errorf("%w: --batch-size %d, want at least 1", fault.Invalid, o.reg.BatchSize)
	}
	return nil
}

func (o *registerOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	o.reg.URL, o.reg.Async, o.reg.Workers = o.model, !o.wait, &o.workers
	c, err := o.connect(o.streams)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers are there
	done := spin(o.streams, "loading "+o.model, 0)
	out, err := c.Register(ctx, o.reg)
	done()
	if err != nil {
		return fmt.Errorf("register %s: %w", o.model, err)
	}
	if out.Ref.Name == "" { // the server does not say before it has loaded the model
		out.Ref.Name = o.model
	}
	told, words := changed{out.Ref.Name, out.Ref.Version, "registered", &out.Workers, out.Pending}, "is served by "+workersOf(out.Workers)
	switch {
	case out.Pending:
		told.Workers, words = nil, "is being loaded; see 'tsgo models list --server "+o.server+"'"
	case out.Workers == 0:
		words = fmt.Sprintf("is registered without workers; 'tsgo models scale %s --min 1' makes it answer", out.Ref)
	}
	return o.tell(told, words)
}
