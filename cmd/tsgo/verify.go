package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/verify"
)

type verifyOptions struct {
	*globals
	streams
	local

	filesOnly bool
	model     string
}

func newModelsVerify(s streams, g *globals) *cobra.Command {
	o := verifyOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "verify MODEL",
		Short: "Look at a model from end to end, before it is served",
		Long: `Look at a model from end to end: what its file holds and whether it may be unpacked, what MANIFEST.json and model-config.yaml
say, whether network, labels, handler and the network's other files are there, whether ONNX Runtime opens the network, whether
handler and labels fit it, whether a sample is answered, and whether there is a gradient to explain it with.

Each check passes, fails, or is skipped; where one fails, those that rest on it are skipped. Without ONNX Runtime on this machine
the checks that run the network are skipped. The exit status is 1 when a check fails.`,
		Example: `  tsgo models verify resnet-18
  tsgo models verify ./resnet-18.mar -o json
  tsgo models verify ./resnet-18.mar --files-only`,
		Args: usage(cobra.ExactArgs(1)),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.names(o.streams), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			return o.run(cmd.Context())
		},
	}
	o.localFlags(cmd)
	cmd.Flags().BoolVar(&o.filesOnly, "files-only", false, "look at the files alone, and run nothing")
	return cmd
}

// errVerify is what a model that does not pass costs: an exit status of its own, for what is wrong is told already.
var errVerify = errors.New("the model does not pass")

func (o *verifyOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	path, err := o.find(o.streams, o.model)
	if err != nil {
		return err
	}
	opts := verify.Options{Handlers: builtin.Handlers(), Log: o.logger(o.streams)}
	if err := o.openEngine(ctx, &opts); err != nil {
		return err
	}
	report, err := verify.Model(ctx, path, opts)
	if err != nil {
		return err
	}
	if format == outputJSON {
		err = writeJSON(o.out, report)
	} else {
		rows := make([][]string, len(report.Checks))
		for i, c := range report.Checks {
			rows[i] = []string{c.Name, string(c.Status), c.Detail}
		}
		err = o.table([]string{"check", "result", "detail"}, rows)
	}
	if err == nil && report.Failed > 0 {
		return fmt.Errorf("%s: %w", path, errVerify)
	}
	return err
}

// openEngine finds ONNX Runtime. That there is none is no error unless it was named.
func (o *verifyOptions) openEngine(ctx context.Context, opts *verify.Options) error {
	if o.filesOnly {
		opts.NoEngine = "--files-only"
		return nil
	}
	threads, err := o.engineThreads()
	if err != nil {
		return err
	}
	opts.Engine = engine.Options{IntraOpThreads: threads}
	runtime, err := o.start(ctx, o.streams, opts.Log)
	named := o.library != "" || o.env("TSGO_ONNXRUNTIME") != ""
	switch {
	case err == nil:
		opts.Open = runtime.Open
		return nil
	case !named && (errors.Is(err, fault.Download) || errors.Is(err, fault.Unsupported)):
		opts.NoEngine = "no ONNX Runtime here: " + oneLine(err)
		return nil
	}
	return err
}
