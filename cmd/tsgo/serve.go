package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

type serveOptions struct {
	*globals
	streams
	local

	as        torchserve
	logFormat string
	accessLog bool
	flags     *pflag.FlagSet
	more      []string // models named after the value of --models
	restored  string   // the snapshot that the server goes on with; "": none
}

func newServe(s streams, g *globals) *cobra.Command {
	o := serveOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve models on TorchServe's ports",
		Long: `Serve the models of a store: predictions and explanations on 8080, management on 8081, metrics on 8082, and over gRPC
on 7070 and 7071, as TorchServe does. On 8080 and 7070 KServe's protocols are answered too.

Each setting is a flag, or the environment variable TSGO_ and its name, as in TSGO_INFERENCE_ADDRESS, or a line of
TorchServe's config.properties. A flag counts more than a variable, that more than the file, that more than the default.
The file is the one that TS_CONFIG_FILE names, or else --ts-config, or else the newest snapshot, or else config.properties
in the working directory.
Where it says enable_envvars_config=true, TorchServe's variables TS_ count more than everything else, as they do there.
'tsgo config check' tells what each setting has, from where, and what it does.

TorchServe's command line is taken as it is. With --start the server runs in the background and this command returns once
it answers; its log is logs/ts_log.log, or in $LOG_LOCATION; --stop ends it. With --start or a file no models are served
but those that are named, out of the model store that is named. --log-config, --plugins-path and --workflow-store do nothing.

With --start, a file, or --config-snapshots, the settings and what is served are kept in logs/config, or in
$LOG_LOCATION/config, in TorchServe's format: when the server has started, at each change, and when it stops. Started again
without --ts-config, it goes on with the newest one, as TorchServe does, whatever --models says; --no-config-snapshots, or
--ncs, neither restores nor writes. The newest ten are left there. Passwords and keys are not in them.

The first interrupt or SIGTERM lets requests end and stops; the second one ends the process.`,
		Example: `  tsgo serve
  tsgo serve --models resnet-18,mnist --port-offset 100
  tsgo serve --start --ts-config config.properties --model-store store --models all
  curl http://127.0.0.1:8080/predictions/mnist -T samples/digits/3.png`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("models") { // TorchServe's takes several
				return nil
			}
			return usage(cobra.NoArgs)(cmd, args)
		},
	}
	o.storeFlag(cmd)
	cmd.Flags().StringVar(&o.library, "onnxruntime", "", "ONNX Runtime's shared library (default: $TSGO_ONNXRUNTIME, beside tsgo, the cache, the system's)")
	cmd.Flags().StringVar(&o.logFormat, "log-format", "text", "text or json")
	cmd.Flags().BoolVar(&o.accessLog, "access-log", true, "log one line for each request")
	for _, setting := range config.Table() {
		cmd.Flags().String(setting.Flag(), setting.Default, setting.Help)
		if setting.Switch {
			cmd.Flags().Lookup(setting.Flag()).NoOptDefVal = "true"
		}
	}
	o.as.define(cmd)
	o.flags = cmd.Flags()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.more = args
		return o.run(cmd.Context())
	}
	return cmd
}

func (o *serveOptions) run(ctx context.Context) error {
	switch {
	case o.as.version:
		return (&versionOptions{globals: o.globals, streams: o.streams, local: o.local}).run(ctx)
	case o.as.stop:
		return o.end(ctx)
	case o.as.start && !o.as.foreground:
		return o.background(ctx)
	case o.as.start:
		release, err := claimPID(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	return o.serve(ctx)
}

func (o *serveOptions) serve(ctx context.Context) error {
	log, err := o.serverLog()
	if err != nil {
		return err
	}
	for _, wrong := range config.Unknown(o.environ(), append(clientVariables(), "TSGO_ONNXRUNTIME")...) {
		log.Warn(wrong)
	}
	c, err := readSettings(o.streams, config.Sources{Flag: o.given, Env: o.env, TorchServe: o.as.start}, o.as.tsConfig)
	for _, line := range c.damaged {
		log.Warn(line)
	}
	if err != nil {
		return err
	}
	o.tellSettings(log, c)
	opts := c.Server
	opts.Store, opts.Handlers, opts.Params = o.storeOf(c), builtin.Handlers(), paramNames()
	if err := opts.Store.Check(); err != nil { // TorchServe does not start either
		if c.snapshot {
			err = fmt.Errorf("%w; %s", err, startClean)
		}
		return err
	}
	if c.Snapshots {
		opts.Snapshots = server.Snapshots{Dir: snapshotDir(o.streams), Encode: c.Snapshot(buildVersion())}
	}
	if c.snapshot {
		o.restored = c.file.Name
	}
	opts.Version, opts.Log, opts.Started = buildVersion(), log, o.report
	if o.accessLog {
		opts.Access = log
	}
	engine, err := o.start(ctx, o.streams, log)
	if err != nil {
		return err
	}
	opts.Open = engine.Open
	return server.Run(ctx, opts)
}

// given returns the value of a flag, and whether it was given.
func (o *serveOptions) given(name string) (string, bool) {
	f := o.flags.Lookup(name)
	if f == nil {
		return "", false
	}
	value := f.Value.String()
	if none := o.flags.Lookup("no-config-snapshots"); name == "config-snapshots" && none != nil && none.Value.String() == "true" {
		return "false", true
	}
	if name == "models" && len(o.more) > 0 {
		value += "," + strings.Join(o.more, ",")
	}
	return value, f.Changed
}

// storeOf returns the model store. As TorchServe, a server that is set up by a file or TorchServe's command line has the
// one that is named.
func (o *serveOptions) storeOf(c settings) *store.Store {
	switch {
	case c.Store.Path == "":
		return o.store(o.streams)
	case c.file != nil || o.as.start:
		return store.New(store.Dir{Path: c.Store.Path, Origin: c.Store.Origin, Required: true})
	}
	return o.store(o.streams)
}

// tellSettings logs what was said and does not do what it does in TorchServe, a line each.
func (o *serveOptions) tellSettings(log *slog.Logger, c settings) {
	switch {
	case c.snapshot:
		log.Info("snapshot restored; "+startClean, "file", c.file.Name)
	case c.file != nil:
		log.Info("config file", "file", c.file.Name)
	}
	for _, note := range c.Notes {
		log.Warn(note)
	}
	for _, v := range c.Values {
		if !v.Given() || v.State == config.Used {
			continue
		}
		level := slog.LevelWarn
		if v.State == config.Nothing {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, v.Key+" does nothing", "from", v.Origin, "why", v.What)
	}
}

// startClean is how to do without a snapshot.
const startClean = "--no-config-snapshots starts without it"

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
	names := builtin.Params()
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
		if e.API == api.Metrics && !strings.HasPrefix(url, "unix:") {
			url += "/metrics"
		}
		what := string(e.API)
		if e.GRPC {
			what = "gRPC " + what
		}
		rows = append(rows, []string{what, url, openTo(e, r)})
	}
	for _, m := range r.Models {
		state := fmt.Sprintf("%s, loaded in %s", workersOf(m.Workers), m.Took.Round(time.Millisecond))
		if m.Err != nil {
			state = "not served: " + oneLine(m.Err)
			if hint := canPull(m.Name, m.Version); hint != "" && errors.Is(m.Err, fault.NoModel) {
				state += "; " + hint
			}
		}
		rows = append(rows, []string{"model", strings.TrimSuffix(m.Name+"/"+m.Version, "/"), state})
	}
	if o.restored != "" {
		rows = append(rows, []string{"snapshot", o.restored, "restored; " + startClean})
	}
	if err := o.table([]string{"", "", ""}, rows); err == nil {
		_, _ = io.WriteString(o.out, "Model server started.\n") // a reader that has gone is no reason to stop
	}
}

// openTo says who can do what at an address.
func openTo(e server.Endpoint, r server.Report) string {
	who, with := "open to every machine that reaches it", []string{}
	if e.Local {
		who = "open to this machine"
	}
	if e.GRPC && e.Secure { // the others say so in their URL
		with = append(with, "TLS")
	}
	if e.Mutual {
		with = append(with, "a certificate")
	}
	if e.Key {
		with = append(with, fmt.Sprintf("the %s key in %s", e.API, r.KeyFile))
	}
	if len(with) > 0 {
		who += ", with " + strings.Join(with, " and ")
	}
	if !e.Local && !e.Key && !e.Mutual {
		who += ", without a key"
	}
	if e.API == api.Management && !r.ModelAPI {
		who += "; models cannot be registered (--enable-model-api)"
	}
	return who
}
