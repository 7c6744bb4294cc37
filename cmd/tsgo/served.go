package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/server"
)

// served is a version of a model as models list and models show tell it of a server.
type served struct {
	Name            string         `json:"name"`
	Version         string         `json:"version"`
	Default         bool           `json:"default"`
	Status          string         `json:"status"`
	Ready           int            `json:"readyWorkers"`
	Workers         int            `json:"workers"`
	MinWorkers      int            `json:"minWorkers"`
	MaxWorkers      int            `json:"maxWorkers"`
	BatchSize       int            `json:"batchSize"`
	MaxBatchDelay   int64          `json:"maxBatchDelay"`   // milliseconds
	ResponseTimeout float64        `json:"responseTimeout"` // seconds
	Queued          int            `json:"queued"`
	Memory          int64          `json:"memory"` // bytes
	URL             string         `json:"url"`
	Customized      map[string]any `json:"customizedMetadata,omitempty"`
}

func servedOf(s model.Status) served {
	v := served{
		Name: s.Ref.Name, Version: s.Ref.Version, Default: s.Default, Workers: len(s.Workers), MinWorkers: s.MinWorkers, MaxWorkers: s.MaxWorkers,
		BatchSize: s.BatchSize, MaxBatchDelay: s.MaxBatchDelay.Milliseconds(), ResponseTimeout: s.ResponseTimeout.Seconds(),
		Queued: s.QueuePending, Memory: s.Memory, URL: s.URL, Customized: s.Customized,
	}
	for _, w := range s.Workers {
		if w.Ready {
			v.Ready++
		}
	}
	switch {
	case v.Workers == 0:
		v.Status = "no workers"
	case v.Ready == 0:
		v.Status = "not ready"
	case v.Ready < v.Workers:
		v.Status = "partly ready"
	default:
		v.Status = "ready"
	}
	return v
}

// servedVersions returns every version of the models of a server, in the order of their names.
func servedVersions(ctx context.Context, c *client.Client) ([]served, error) {
	listed, err := names(ctx, c)
	if err != nil {
		return nil, err
	}
	all := []served{}
	for _, name := range listed {
		these, err := c.Describe(ctx, model.Ref{Name: name}, model.Description{All: true})
		if errors.Is(err, fault.NoModel) {
			continue // it has gone since it was listed
		}
		if err != nil {
			return nil, err
		}
		for _, s := range these {
			all = append(all, servedOf(s))
		}
	}
	return all, nil
}

// runServed lists the models of a server.
func (o *modelsListOptions) runServed(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	c, err := o.connect(o.streams)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers are there
	all, err := servedVersions(ctx, c)
	if err != nil {
		return err
	}
	if format == outputJSON {
		return writeJSON(o.out, all)
	}
	rows := make([][]string, len(all))
	for i, v := range all {
		rows[i] = []string{
			v.Name, v.Version, mark(v.Default), v.Status, fmt.Sprintf("%d/%d", v.Ready, v.Workers), strconv.Itoa(v.BatchSize), strconv.Itoa(v.Queued),
			size(v.Memory), v.URL,
		}
	}
	return o.table([]string{"name", "version", "default", "status", "workers", "batch", "queue", "memory", "url"}, rows,
		tw.AlignLeft, tw.AlignLeft, tw.AlignLeft, tw.AlignLeft, tw.AlignRight, tw.AlignRight, tw.AlignRight, tw.AlignRight)
}

func mark(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// runServed shows how a server serves a model: the version that is named, or all.
func (o *modelsShowOptions) runServed(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	c, ref, err := o.served(o.streams, o.model)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers are there
	these, err := c.Describe(ctx, ref, model.Description{All: ref.Version == ""})
	if err != nil {
		return err
	}
	for i := range these {
		if these[i].Customized, err = customized(ctx, c, these[i].Ref); err != nil {
			return err
		}
	}
	if format == outputJSON {
		all := make([]served, len(these))
		for i, s := range these {
			all[i] = servedOf(s)
		}
		return writeJSON(o.out, all)
	}
	for i, s := range these {
		if i > 0 {
			if _, err := fmt.Fprintln(o.out); err != nil {
				return err //nolint:wrapcheck // of the standard output
			}
		}
		if err := showServed(o.out, s); err != nil {
			return err
		}
	}
	return nil
}

// customized returns what a version tells of itself: nothing without a worker.
func customized(ctx context.Context, c *client.Client, ref model.Ref) (map[string]any, error) {
	told, err := c.Describe(ctx, ref, model.Description{Customized: true})
	for _, kind := range []fault.Kind{fault.Unavailable, fault.NoModel, fault.NoVersion} { // no worker, or it has gone since it was listed
		if errors.Is(err, kind) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return told[0].Customized, nil
}

// explainingOf reads how a version is explained from what it tells of itself.
func explainingOf(told map[string]any) (x pipeline.Explaining, ok bool) {
	text, err := json.Marshal(told["explanations"])
	if err != nil || json.Unmarshal(text, &x) != nil {
		return x, false
	}
	return x, x.Method != ""
}

// planOf reads how a version shares the cores from what it tells of itself.
func planOf(told map[string]any) (plan server.Plan, ok bool) {
	text, err := json.Marshal(told[server.PlanKey])
	if err != nil || json.Unmarshal(text, &plan) != nil {
		return plan, false
	}
	return plan, plan.Threads > 0
}

// costOf says what a run takes.
func costOf(plan server.Plan) string {
	if plan.Batch == 0 {
		return fmt.Sprintf("%.3g ms a row", plan.Row)
	}
	return fmt.Sprintf("%.3g ms a row, %.3g ms in a batch of %d", plan.Row, plan.BatchRow, plan.Batch)
}

func showServed(w io.Writer, s model.Status) error {
	v := servedOf(s)
	version := v.Version
	if v.Default {
		version += " (default)"
	}
	lines := [][2]string{
		{"name", v.Name},
		{"version", version},
		{"status", v.Status},
		{"workers", fmt.Sprintf("%d of %d ready (at least %d, at most %d)", v.Ready, v.Workers, v.MinWorkers, v.MaxWorkers)},
		{"batch", fmt.Sprintf("%d, waits at most %s", v.BatchSize, s.MaxBatchDelay)},
		{"timeout", s.ResponseTimeout.String()},
		{"queue", fmt.Sprintf("%d waiting", v.Queued)},
		{"memory", size(v.Memory)},
		{"url", v.URL},
	}
	for _, worker := range s.Workers {
		state := "not ready"
		if worker.Ready {
			state = "ready"
		}
		if !worker.Started.IsZero() {
			state += " since " + worker.Started.Local().Format(time.DateTime)
		}
		lines = append(lines, [2]string{"worker", worker.ID + " " + state})
	}
	if x, ok := explainingOf(s.Customized); ok {
		for _, row := range explaining(x) {
			lines = append(lines, [2]string{row[0], row[1]})
		}
	}
	if plan, ok := planOf(s.Customized); ok {
		lines = append(lines, [2]string{"threads", fmt.Sprintf("%d a run, %d at once on the server's cores: %s", plan.Threads, plan.Runs, plan.Why)})
		if plan.Row > 0 {
			lines = append(lines, [2]string{"cost", costOf(plan)})
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "%-8s %s\n", line[0], line[1]); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	return nil
}

// changeOptions are what the commands share that change a model of a server.
type changeOptions struct {
	*globals
	streams
	remote

	model string
}

// change makes a command that changes a model of a server.
func (o *changeOptions) change(cmd *cobra.Command, run func(ctx context.Context) error) *cobra.Command {
	cmd.Args = usage(cobra.ExactArgs(1))
	cmd.ValidArgsFunction = o.completeServed(o.streams)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.model = args[0]
		return run(cmd.Context())
	}
	o.mustServerFlags(o.streams, cmd)
	return cmd
}

// changed is what a command tells that has changed something.
type changed struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Done    string `json:"done"`
	Workers *int   `json:"workers,omitempty"`
	Pending bool   `json:"pending,omitempty"`
}

// tell writes what was done: for a person in words.
func (o *changeOptions) tell(c changed, words string) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	if format == outputJSON {
		return writeJSON(o.out, c)
	}
	_, err = fmt.Fprintf(o.out, "%s %s\n", model.Ref{Name: c.Name, Version: c.Version}, words)
	return err //nolint:wrapcheck // of the standard output
}

// workersOf says a number of workers.
func workersOf(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}

type modelsScaleOptions struct {
	changeOptions

	least, most int
	wait        bool
}

func newModelsScale(s streams, g *globals) *cobra.Command {
	o := modelsScaleOptions{changeOptions: changeOptions{globals: g, streams: s}}
	cmd := o.change(&cobra.Command{
		Use:   "scale MODEL --min N",
		Short: "Set how many workers a model of a server has",
		Example: `  tsgo models scale resnet-18 --min 4
  tsgo models scale resnet-18/2.0 --min 0`,
	}, o.run)
	cmd.Flags().IntVar(&o.least, "min", -1, "how many workers it has at least; 0: none, and it answers nobody")
	cmd.Flags().IntVar(&o.most, "max", -1, "how many it may keep of those that it has (default: as many as --min)")
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until they are there")
	cmd.Flags().Lookup("min").DefValue, cmd.Flags().Lookup("max").DefValue = "0", "0" // not to be seen in the help
	return cmd
}

func (o *modelsScaleOptions) run(ctx context.Context) error {
	switch {
	case o.least < 0:
		return fmt.Errorf("%w: want --min, a number from 0: how many workers is %s to have?", fault.Invalid, o.model)
	case o.most < 0:
		o.most = o.least
	case o.most < o.least:
		return fmt.Errorf("%w: --max %d is less than --min %d", fault.Invalid, o.most, o.least)
	}
	c, ref, err := o.served(o.streams, o.model)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers are there
	done := spin(o.streams, "scaling "+o.model, showAfter)
	out, err := c.Scale(ctx, ref, model.Scale{Min: o.least, Max: o.most, Async: !o.wait})
	done()
	if err != nil {
		return err
	}
	words := "has " + workersOf(out.Workers)
	switch {
	case out.Pending:
		words = "gets " + workersOf(out.Workers)
	case o.most > o.least:
		words += fmt.Sprintf(", of %d to %d", o.least, o.most)
	}
	return o.tell(changed{out.Ref.Name, out.Ref.Version, "scaled", &out.Workers, out.Pending}, words)
}

func newModelsDefault(s streams, g *globals) *cobra.Command {
	o := changeOptions{globals: g, streams: s}
	return o.change(&cobra.Command{
		Use:     "default MODEL/VERSION",
		Short:   "Make a version the one that a server's callers get who name none",
		Example: `  tsgo models default resnet-18/2.0`,
	}, func(ctx context.Context) error {
		c, ref, err := o.served(o.streams, o.model)
		if err != nil {
			return err
		}
		defer c.Close() //nolint:errcheck // the answers are there
		if err := c.SetDefault(ctx, ref); err != nil {
			return err
		}
		return o.tell(changed{Name: ref.Name, Version: ref.Version, Done: "default"}, "is the default version")
	})
}

func newModelsUnregister(s streams, g *globals) *cobra.Command {
	o := changeOptions{globals: g, streams: s}
	return o.change(&cobra.Command{
		Use:   "unregister MODEL[/VERSION]",
		Short: "Take a model away from a server, once the requests that it has are answered",
		Example: `  tsgo models unregister resnet-18
  tsgo models unregister resnet-18/1.0`,
	}, func(ctx context.Context) error {
		c, ref, err := o.served(o.streams, o.model)
		if err != nil {
			return err
		}
		defer c.Close() //nolint:errcheck // the answers are there
		done := spin(o.streams, "unregistering "+o.model, showAfter)
		err = c.Unregister(ctx, ref)
		done()
		if err != nil {
			return err
		}
		return o.tell(changed{Name: ref.Name, Version: ref.Version, Done: "unregistered"}, "is not served any more")
	})
}
