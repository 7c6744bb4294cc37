package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/fault"
)

type pingOptions struct {
	*globals
	streams
	remote

	timeout time.Duration
}

func newPing(s streams, g *globals) *cobra.Command {
	o := pingOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Ask a running server whether it is well",
		Long: `Ask a running server whether it is well: it answers, and every model has the workers that it is to have. It needs no key.

The exit status is 0 when it is, and 5 when it is not or does not answer in time, so that a script can wait for a server,
and a container without a shell can tell its health.`,
		Example: `  tsgo ping
  tsgo ping --server http://gpu7:8080 --timeout 1s`,
		Args:              usage(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.mustServerFlags(s, cmd)
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Second, "how long the server has to answer")
	return cmd
}

func (o *pingOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	switch {
	case err != nil:
		return err
	case o.timeout <= 0:
		return fmt.Errorf("%w: --timeout %s: want a time, as in 5s", fault.Invalid, o.timeout)
	}
	c, err := o.connect(o.streams)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answer is there
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := c.Ping(ctx); err != nil {
		return err
	}
	const healthy = "Healthy"
	if format == outputJSON {
		return writeJSON(o.out, map[string]string{"status": healthy})
	}
	_, err = fmt.Fprintln(o.out, healthy)
	return err //nolint:wrapcheck // of the standard output
}
