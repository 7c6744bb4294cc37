package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/engine/ort"
)

type versionOptions struct {
	*globals
	streams
	local
}

func newVersion(s streams, g *globals) *cobra.Command {
	o := versionOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Tell the versions of tsgo and of its engine",
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.library, "onnxruntime", "", "ONNX Runtime's shared library")
	return cmd
}

// versions is what tsgo version tells.
type versions struct {
	Version   string   `json:"version"`
	Commit    string   `json:"commit,omitempty"`
	Date      string   `json:"date,omitempty"`
	Go        string   `json:"go"`
	Platform  string   `json:"platform"`
	Engine    string   `json:"engine"`
	Library   string   `json:"library,omitempty"`
	Providers []string `json:"providers,omitempty"`
}

func (o *versionOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	v := versions{
		Version: buildVersion(), Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if err := o.tellEngine(ctx, &v); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		v.Engine = "none: " + oneLine(err) // the version of tsgo itself is known all the same
	}
	if format == outputJSON {
		return writeJSON(o.out, v)
	}
	text := fmt.Sprintf("tsgo %s (%s, %s)\n%s\n", v.Version, v.Go, v.Platform, v.Engine)
	if v.Library != "" {
		text += fmt.Sprintf("library   %s\nproviders %s\n", v.Library, strings.Join(v.Providers, ", "))
	}
	_, err = fmt.Fprint(o.out, text)
	return err //nolint:wrapcheck // of the standard output
}

func (o *versionOptions) tellEngine(ctx context.Context, v *versions) error {
	log := o.logger(o.streams)
	path, err := o.findLibrary(ctx, o.streams, log)
	if err != nil {
		return err
	}
	engine, err := ort.Start(ctx, ort.Options{Library: path, Logger: log})
	if err != nil {
		return err
	}
	v.Engine, v.Library, v.Providers = "ONNX Runtime "+engine.Version(), path, engine.Providers()
	return nil
}
