package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/model"
)

type registerOptions struct {
	*globals
	streams
	remote

	reg     model.Registration
	workers int
	wait    bool
}

func newRegister(s streams, g *globals) *cobra.Command {
	o := registerOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "register MODEL",
		Short: "Have a running server serve a model",
		Long: `Have a running server load a model and serve it. MODEL is a name in the server's model store, or a path inside it.
The server is ` + defaultServer + ` unless --server or $TSGO_SERVER names another.`,
		Example: "  tsgo register mnist --workers 2 --batch-size 8",
		Args:    usage(cobra.ExactArgs(1)),
	}
	o.remoteFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.reg.Name, "name", "", "name to serve it under (default: its own)")
	f.StringVar(&o.reg.Version, "version", "", "version to serve it as (default: its own)")
	f.StringVar(&o.reg.Handler, "handler", "", "handler (default: as its manifest says)")
	f.IntVar(&o.workers, "workers", 1, "how many workers it begins with")
	f.IntVar(&o.reg.BatchSize, "batch-size", 0, "the most requests in a batch (default: as its manifest says, or 1)")
	f.DurationVar(&o.reg.MaxBatchDelay, "max-batch-delay", 0, "the longest a request waits for company (default: as its manifest says, or 100ms)")
	f.DurationVar(&o.reg.ResponseTimeout, "response-timeout", 0, "the longest a batch may run")
	f.DurationVar(&o.reg.StartupTimeout, "startup-timeout", 0, "the longest that loading may take")
	f.BoolVar(&o.wait, "wait", true, "wait until the model can answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.reg.URL, o.reg.Async, o.reg.Workers = args[0], !o.wait, &o.workers
		return o.run(cmd.Context())
	}
	return cmd
}

func (o *registerOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	c, err := o.connect(o.streams, defaultServer)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answer is there
	done := spin(o.streams, "loading "+o.reg.URL)
	out, err := c.Register(ctx, o.reg)
	done()
	if err != nil {
		return fmt.Errorf("register %s: %w", o.reg.URL, err)
	}
	if format == outputJSON {
		return writeJSON(o.out, struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Workers int    `json:"workers"`
			Pending bool   `json:"pending"`
		}{out.Ref.Name, out.Ref.Version, out.Workers, out.Pending})
	}
	text := fmt.Sprintf("%s is served by %d workers\n", out.Ref, out.Workers)
	if out.Pending {
		text = fmt.Sprintf("%s is being loaded\n", o.reg.URL)
	}
	_, err = fmt.Fprint(o.out, text)
	return err //nolint:wrapcheck // of the standard output
}
