package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/server"
)

type serveOptions struct {
	*globals
	streams
	local

	logFormat string
	accessLog bool
	flag      func(name string) (value string, given bool)
}

func newServe(s streams, g *globals) *cobra.Command {
	o := serveOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve models on TorchServe's three ports",
		Long: `Serve the models of a store: predictions and explanations on 8080, management on 8081, metrics on 8082, as TorchServe
does. Each setting is a flag, or the environment variable TSGO_ and its name, as in TSGO_INFERENCE_ADDRESS.

The first interrupt or SIGTERM lets requests end and stops; the second one ends the process.`,
		Example: `  tsgo serve
  tsgo serve --models resnet-18,mnist --port-offset 100
  curl http://127.0.0.1:8080/predictions/mnist -T samples/digits/3.png`,
		Args: usage(cobra.NoArgs),
	}
	o.storeFlag(cmd)
	cmd.Flags().StringVar(&o.library, "onnxruntime", "", "ONNX Runtime's shared library (default: $TSGO_ONNXRUNTIME, beside tsgo, the cache, the system's)")
	cmd.Flags().StringVar(&o.logFormat, "log-format", "text", "text or json")
	cmd.Flags().BoolVar(&o.accessLog, "access-log", true, "log one line for each request")
	for _, setting := range config.Table() {
		cmd.Flags().String(setting.Flag(), setting.Default, setting.Help)
	}
	for _, alone := range []string{"disable-token-auth", "enable-model-api"} { // as TorchServe has them
		cmd.Flags().Lookup(alone).NoOptDefVal = "true"
	}
	o.flag = func(name string) (string, bool) {
		f := cmd.Flags().Lookup(name)
		return f.Value.String(), f.Changed
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) }
	return cmd
}

func (o *serveOptions) run(ctx context.Context) error {
	log, err := o.serverLog()
	if err != nil {
		return err
	}
	opts := server.Options{
		Store: o.store(o.streams), Handlers: builtin.Handlers(), Params: paramNames(), Version: buildVersion(),
		Log: log, Started: o.report,
	}
	if o.accessLog {
		opts.Access = log
	}
	for _, wrong := range config.Unknown(o.environ(), "TSGO_MODEL_STORE", "TSGO_ONNXRUNTIME", "TSGO_SERVER", "TSGO_TOKEN") {
		log.Warn(wrong)
	}
	if err := config.Read(&opts, o.flag, o.env); err != nil {
		return err
	}
	engine, err := o.start(ctx, o.streams, log)
	if err != nil {
		return err
	}
	opts.Open = engine.Open
	return server.Run(ctx, opts)
}

// serverLog returns the logger of a server, with the time in each line.
func (o *serveOptions) serverLog() (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if o.verbose {
		opts.Level = slog.LevelDebug
	}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(o.err, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(o.err, opts)), nil
	}
	return nil, fmt.Errorf("%w: --log-format %q, want text or json", fault.Invalid, o.logFormat)
}

// paramNames are the names that a query or a form may carry for the handlers.
func paramNames() []string {
	names := []string{"top_k"}
	for _, p := range explain.Table() {
		names = append(names, p.Name)
	}
	return names
}

// report writes what there is to know of a server that has started. The last line is TorchServe's, which scripts wait for.
func (o *serveOptions) report(r server.Report) {
	var rows [][]string
	for _, e := range r.Endpoints {
		url := e.URL
		if e.API == api.Metrics {
			url += "/metrics"
		}
		rows = append(rows, []string{string(e.API), url, openTo(e, r)})
	}
	for _, m := range r.Models {
		state := fmt.Sprintf("%d workers, loaded in %s", m.Workers, m.Took.Round(time.Millisecond))
		if m.Err != nil {
			state = "not served: " + oneLine(m.Err)
		}
		rows = append(rows, []string{"model", strings.TrimSuffix(m.Name+"/"+m.Version, "/"), state})
	}
	if err := table(o.out, []string{"", "", ""}, rows, tw.AlignLeft); err == nil {
		_, _ = io.WriteString(o.out, "Model server started.\n") // a reader that has gone is no reason to stop
	}
}

// openTo says who can do what at an address.
func openTo(e server.Endpoint, r server.Report) string {
	who, with := "open to every machine that reaches it", []string{}
	if e.Local {
		who = "open to this machine"
	}
	if e.Mutual {
		with = append(with, "a certificate")
	}
	if e.Key {
		with = append(with, fmt.Sprintf("the %s key in %s", e.API, r.KeyFile))
	}
	switch {
	case len(with) > 0:
		who += ", with " + strings.Join(with, " and ")
	case !e.Local:
		who += ", without a key"
	}
	if e.API == api.Management && !r.ModelAPI {
		who += "; models cannot be registered (--enable-model-api)"
	}
	return who
}
