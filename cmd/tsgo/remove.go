package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/model"
)

type modelsRemoveOptions struct {
	*globals
	streams
	local

	model string
	force bool
}

func newModelsRemove(s streams, g *globals) *cobra.Command {
	o := modelsRemoveOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "remove NAME[@VERSION]",
		Short: "Remove a model from the store that was pulled",
		Long: `Remove a model from the store that 'tsgo models pull' brought; any other is refused. One that holds more than was
pulled, or was changed since, is refused too, unless --force says that this may be lost.

A server that has loaded the model goes on answering with it until it is unregistered there or the server ends, but an
explanation by the network's gradient reads the network when it is first asked for, and would fail. Unregister it first:
'tsgo models unregister NAME'.`,
		Example: `  tsgo models remove mobilenet-v2
  tsgo models remove net@2.0`,
		Args: usage(cobra.ExactArgs(1)),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.pulled(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return o.run(cmd.Context())
		},
	}
	o.storeFlag(cmd)
	cmd.Flags().BoolVar(&o.force, "force", false, "remove it even if it holds what was not pulled, or was changed since")
	return cmd
}

// pulled returns the names of the models that may be removed.
func (o *modelsRemoveOptions) pulled() []string {
	entries, _ := o.list(o.streams)
	var names []string
	for _, e := range entries {
		if _, ok := e.Pulled(); ok {
			names = append(names, e.Name())
		}
	}
	return slices.Compact(names)
}

func (o *modelsRemoveOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	ref, err := model.ParseRef(strings.Replace(o.model, "@", "/", 1))
	if err != nil {
		return err
	}
	p, err := o.store(o.streams).Remove(ctx, ref.Name, ref.Version, o.force)
	if err != nil {
		return fmt.Errorf("remove %s: %w", o.model, err)
	}
	if format == outputJSON {
		p.Files = nil
		return writeJSON(o.out, p)
	}
	_, err = fmt.Fprintf(o.out, "%s/%s is removed from %s (pulled on %s)\n", p.Name, p.Version, filepath.Dir(p.Path), p.Time.Format(time.DateOnly))
	return err //nolint:wrapcheck // of the standard output
}
