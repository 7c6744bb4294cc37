package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/store"
)

func newModels(s streams, g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "See which models there are and what one is, and change those of a server",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	cmd.AddCommand(
		newModelsList(s, g), newModelsShow(s, g), newModelsPull(s, g), newModelsRemove(s, g), newModelsPack(s, g), newModelsVerify(s, g),
		newModelsScale(s, g), newModelsDefault(s, g), newModelsUnregister(s, g),
	)
	return cmd
}

type modelsListOptions struct {
	*globals
	streams
	local
	remote
}

func newModelsList(s streams, g *globals) *cobra.Command {
	o := modelsListOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the models in the store, or with --server those that are served",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch err := o.checkFlags(cmd, "model-store"); {
			case err != nil:
				return err
			case o.server != "":
				return o.runServed(cmd.Context())
			}
			return o.run(cmd.Context())
		},
	}
	o.storeFlag(cmd)
	o.serverFlags(s, cmd)
	return cmd
}

// handlerOf names a model's handler, and says where it is guessed.
func handlerOf(m archive.Manifest) string {
	if m.Handler == "" {
		return pipeline.GuessedHandler + " (guessed)"
	}
	return m.Handler
}

// listed is a model as models list tells it.
type listed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Handler string `json:"handler"`
	Size    int64  `json:"size"` // bytes
	Form    string `json:"form"`
	Path    string `json:"path"`

	Pulled *store.Pulled `json:"pulled,omitempty"` // where it was pulled from
}

func listedOf(e store.Entry) listed {
	l := listed{Name: e.Name(), Version: e.Version(), Handler: handlerOf(e.Manifest), Size: e.Size, Form: e.Form.String(), Path: e.Source}
	if p, ok := e.Pulled(); ok {
		p.Files = nil // of nobody's interest but that of models remove
		l.Pulled = &p
	}
	return l
}

// from says where a model was pulled from.
func (l listed) from() string {
	if l.Pulled == nil {
		return ""
	}
	return l.Pulled.URL
}

func (o *modelsListOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	entries, broken := o.list(o.streams)
	all := make([]listed, len(entries))
	for i, e := range entries {
		all[i] = listedOf(e)
	}
	if format == outputJSON {
		err = writeJSON(o.out, all)
	} else {
		err = o.show(all)
	}
	if len(all) == 0 && len(broken) == 0 {
		o.tellEmpty()
	}
	return errors.Join(append([]error{err, ctx.Err()}, broken...)...)
}

// show writes a row for each model, and where they were pulled from when any was.
func (o *modelsListOptions) show(all []listed) error {
	if len(all) == 0 {
		return nil
	}
	header, pulled := []string{"name", "version", "handler", "size", "path"}, slices.ContainsFunc(all, func(m listed) bool { return m.Pulled != nil })
	if pulled {
		header = append(header, "pulled from")
	}
	rows := make([][]string, len(all))
	for i, m := range all {
		rows[i] = []string{m.Name, m.Version, m.Handler, size(m.Size), m.Path, m.from()}[:len(header)]
	}
	return o.table(header, rows, tw.AlignLeft, tw.AlignLeft, tw.AlignLeft, tw.AlignRight)
}

// tellEmpty says where no model was found, and how there can be one.
func (o *modelsListOptions) tellEmpty() {
	fmt.Fprintf(o.err, "tsgo: there are no models (looked in %s); 'tsgo models pull' lists some that can be had\n", o.store(o.streams).Looked()) //nolint:errcheck // there is nowhere left to say it
}

type modelsShowOptions struct {
	*globals
	streams
	local
	remote

	model string
}

func newModelsShow(s streams, g *globals) *cobra.Command {
	o := modelsShowOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "show MODEL",
		Short: "Tell what a model is, takes and gives, or with --server how it is served",
		Args:  usage(cobra.ExactArgs(1)),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) > 0:
				return nil, cobra.ShellCompDirectiveNoFileComp
			case o.server != "":
				return o.remote.names(cmd.Context(), o.streams), cobra.ShellCompDirectiveNoFileComp
			}
			return o.local.names(o.streams), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			switch err := o.checkFlags(cmd, "model-store", "onnxruntime", "threads"); {
			case err != nil:
				return err
			case o.server != "":
				return o.runServed(cmd.Context())
			}
			return o.run(cmd.Context())
		},
	}
	o.localFlags(cmd)
	o.serverFlags(s, cmd)
	return cmd
}

// shown is a model as models show tells it.
type shown struct {
	listed

	Classes int      `json:"classes,omitempty"` // labels
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
	Ignored []string `json:"ignoredSettings,omitempty"`

	Explanations pipeline.Explaining `json:"explanations"`
}

// explaining says how a model is explained, in labelled lines.
func explaining(x pipeline.Explaining) [][]string {
	gradient := "yes"
	switch {
	case x.Operator != "":
		gradient = fmt.Sprintf("no: operator %s at node %q: %s", x.Operator, x.Node, x.Why)
	case !x.Differentiable:
		gradient = "no: " + x.Why
	}
	rows := [][]string{{"gradient", gradient}, {"method", x.Method + " by default"}}
	if x.Layer != "" {
		rows = append(rows, []string{"layer", x.Layer + " by default, for grad_cam and its like"})
	}
	return rows
}

func (o *modelsShowOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	this, err := o.look(ctx)
	if err != nil {
		return err
	}
	if format == outputJSON {
		return writeJSON(o.out, this)
	}
	rows := [][]string{
		{"name", this.Name},
		{"version", this.Version},
		{"handler", this.Handler},
		{"size", size(this.Size)},
		{"form", this.Form},
		{"path", this.Path},
	}
	if p := this.Pulled; p != nil {
		rows = append(rows, []string{"from", fmt.Sprintf("%s, on %s", p.URL, p.Time.Format(time.DateOnly))}, []string{"sha256", p.SHA256}, []string{"licence", cmp.Or(p.Licence, "not known")})
	}
	if this.Classes > 0 {
		rows = append(rows, []string{"classes", fmt.Sprint(this.Classes)})
	}
	rows = append(rows, labelled("input", this.Inputs)...)
	rows = append(rows, labelled("output", this.Outputs)...)
	rows = append(rows, explaining(this.Explanations)...)
	if len(this.Ignored) > 0 {
		rows = append(rows, []string{"ignored", strings.Join(this.Ignored, ", ")})
	}
	return writeRows(o.out, rows)
}

func (o *modelsShowOptions) look(ctx context.Context) (shown, error) {
	path, err := o.find(o.streams, o.model)
	if err != nil {
		return shown{}, err
	}
	m, err := archive.Open(ctx, path, archive.Options{})
	if err != nil {
		return shown{}, err
	}
	p, err := o.open(ctx, o.streams, m, o.logger(o.streams), engine.Options{})
	if err != nil {
		return shown{}, err
	}
	defer p.Close() //nolint:errcheck // nothing was changed
	labels, err := m.Labels()
	if err != nil {
		return shown{}, err
	}
	x, err := howExplained(ctx, p)
	if err != nil {
		return shown{}, err
	}
	signature := p.Signature()
	return shown{
		listed:  listedOf(store.Entry{Info: m.Info}),
		Classes: len(labels), Inputs: texts(signature.Inputs), Outputs: texts(signature.Outputs), Ignored: m.Manifest.Ignored,
		Explanations: x,
	}, nil
}

// howExplained returns how a model is explained, with the layer that class activation maps are made of.
func howExplained(ctx context.Context, p *pipeline.Pipeline) (pipeline.Explaining, error) {
	x, err := p.Explaining()
	if err == nil && x.Differentiable {
		x.Layer, err = p.DefaultLayer(ctx)
	}
	return x, err
}

func texts(values []engine.Value) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return all
}

// labelled puts a label before the first of some lines.
func labelled(label string, lines []string) [][]string {
	rows := make([][]string, len(lines))
	for i, line := range slices.All(lines) {
		rows[i] = []string{"", line}
	}
	if len(rows) > 0 {
		rows[0][0] = label
	}
	return rows
}
