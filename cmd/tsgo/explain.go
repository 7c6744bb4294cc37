package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/heatmap"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/vision"
)

type explainOptions struct {
	askOptions

	save string
}

func newExplain(s streams, g *globals) *cobra.Command {
	o := explainOptions{askOptions: askOptions{globals: g, streams: s, mode: model.ModeExplain}}
	cmd := &cobra.Command{
		Use:   "explain MODEL FILE...",
		Short: "Ask which parts of a file a model's answer rests on",
		Long: `Ask which parts of a file a model's answer rests on, in this process, or a running server with --server.

MODEL and FILE are as for predict. On a terminal the answer is a summary and a small heat map: red speaks for the target,
blue against it. With --output json it is what a server would send: the attributions at the network's input.`,
		Example: `  tsgo explain mnist samples/digits/3.png
  tsgo explain resnet-18 samples/kitten.jpg --save map.png
  tsgo explain resnet-18 samples/kitten.jpg --target "Egyptian cat" --detail full --output json`,
		Args: usage(cobra.MinimumNArgs(2)),
	}
	o.flags(cmd)
	values := map[string]*string{}
	for _, p := range explain.Table() {
		values[p.Name] = cmd.Flags().String(flagName(p), "", helpOf(p))
		if len(p.Choices) > 0 {
			cmd.RegisterFlagCompletionFunc(flagName(p), cobra.FixedCompletions(p.Choices, cobra.ShellCompDirectiveNoFileComp)) //nolint:errcheck // the flag was made one line above
		}
	}
	cmd.Flags().StringVar(&o.save, "save", "", "write the heat map on the picture to this PNG file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.model, o.files = args[0], args[1:]
		for name, value := range values {
			if *value != "" {
				o.set(name, *value)
			}
		}
		return o.run(cmd.Context())
	}
	return cmd
}

// flagName returns a parameter's flag: its name, but for output, which is the form of a command's output.
func flagName(p explain.Parameter) string {
	if p.Name == "output" {
		return "scores"
	}
	return strings.ReplaceAll(p.Name, "_", "-")
}

func helpOf(p explain.Parameter) string {
	text := p.Help
	if len(p.Choices) > 1 {
		text += ": " + strings.Join(p.Choices, ", ")
	}
	if p.Default != "" {
		text += " (default: " + p.Default + ")"
	}
	return text
}

func (o *explainOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	if err := o.readParams(); err != nil {
		return err
	}
	if _, err := explain.ParseParams(o.params); err != nil { // before the model is loaded
		return err
	}
	if o.files, err = expand(o.files); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	p, err := o.load(ctx, o.logger(o.streams), len(o.files) > 1)
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // the answer is out
	if len(o.files) > 1 {
		return o.many(ctx, p, format)
	}
	return o.one(ctx, p, format)
}

// check finds out before anything is computed that a picture has nowhere to go.
func (o *explainOptions) check() error {
	switch {
	case o.save != "" && len(o.files) > 1:
		return fmt.Errorf("%w: --save takes one picture, there are %d files", fault.Invalid, len(o.files))
	case o.wantsFile() && len(o.files) > 1:
		return fmt.Errorf("%w: --format %s answers one file, there are %d files: ask about one, or leave it out", fault.Invalid, o.params["format"], len(o.files))
	case o.wantsFile() && o.outTerminal:
		return fmt.Errorf("%w: --format %s would write a binary file to the terminal: send it to a file, or take --save map.png for a picture",
			fault.Invalid, o.params["format"])
	case o.save != "":
		return o.checkSave()
	}
	return nil
}

// checkSave finds out that the map cannot be saved, or would take the place of the picture that it explains.
func (o *explainOptions) checkSave() error {
	if !strings.EqualFold(filepath.Ext(o.save), ".png") {
		return fmt.Errorf("%w: --save %s: the map is a PNG, want a name that ends in .png", fault.Invalid, o.save)
	}
	if _, err := os.Stat(filepath.Dir(o.save)); err != nil {
		return fmt.Errorf("--save %s: %w", o.save, fileError(err))
	}
	there, err := os.Stat(o.save)
	if err != nil {
		return nil //nolint:nilerr // a new file
	}
	if input, err := os.Stat(o.files[0]); err == nil && os.SameFile(there, input) {
		return fmt.Errorf("%w: --save %s is the picture itself, want another file", fault.Invalid, o.save)
	}
	return nil
}

// wantsFile tells whether the answer is a file of its own: a PNG, or NumPy's.
func (o *explainOptions) wantsFile() bool {
	return slices.Contains([]string{explain.FormatPNG, explain.FormatOverlay, explain.FormatNPY}, o.params["format"])
}

// one explains one file. A summary, and a saved map, are made of the full report; a bare answer is asked for as it is.
func (o *explainOptions) one(ctx context.Context, p *asked, format string) error {
	req, err := o.request(ctx, o.files[0])
	if err != nil {
		return err
	}
	if format == outputJSON || o.wantsFile() {
		resp, err := o.ask(ctx, p, req, o.params)
		if err != nil {
			return err
		}
		if err := o.bare(resp.Body); err != nil || o.save == "" {
			return err
		}
	}
	return o.report(ctx, p, req, format)
}

func (o *explainOptions) report(ctx context.Context, p *asked, req *model.Request, format string) error {
	full := map[string]string{}
	for name, value := range o.params {
		full[name] = value
	}
	full["detail"], full["format"] = explain.DetailFull, explain.FormatJSON
	resp, err := o.ask(ctx, p, req, full)
	if err != nil {
		return err
	}
	var report explain.Report
	if err := json.Unmarshal(resp.Body, &report); err != nil {
		return fmt.Errorf("%s: the answer is not an explanation: %w: %w", o.files[0], fault.Internal, err)
	}
	if o.save != "" {
		if err := o.paint(report, req.Inputs[0].Data); err != nil {
			return fmt.Errorf("%s: %w", o.files[0], err)
		}
	}
	if format == outputJSON {
		return nil
	}
	return o.summary(report, req.Inputs[0].Data)
}

// ask asks with the given parameters, under a progress bar.
func (o *explainOptions) ask(ctx context.Context, p *asked, req *model.Request, params map[string]string) (*model.Response, error) {
	bar := newProgress(o.streams, "explaining", showAfter)
	defer bar.done()
	this := *req
	this.Params = params
	this.Progress = func(done, total int) { bar.set(int64(done), int64(total)) }
	resp, err := p.Predict(ctx, p.ref, &this)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.files[0], err)
	}
	return resp, nil
}

// showAfter is how long something takes before a bar shows how far it has come.
const showAfter = time.Second

// summary writes what a person wants to know, and a small map.
func (o *explainOptions) summary(r explain.Report, data []byte) error {
	lines := [][2]string{
		{"target", target(r)},
		{"score", fmt.Sprintf("%.4g (%s), %.4g without the input", r.Target.Value, r.Target.Output, r.Baseline.Value)},
		{"method", method(r)},
	}
	if c := r.Convergence; c != nil {
		lines = append(lines, [2]string{"delta", fmt.Sprintf("%.3g (%.2g %% of the score's difference)", c.Delta, 100*c.Relative)})
	}
	lines = append(lines, [2]string{"time", (time.Duration(r.Runtime.TotalMS) * time.Millisecond).String()})
	for _, warning := range r.Warnings {
		lines = append(lines, [2]string{"warning", warning})
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(o.out, "%-8s %s\n", line[0], line[1]); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	return o.show(r, data)
}

// show draws a small map: on the picture where the terminal has colours for it, alone otherwise.
func (o *explainOptions) show(r explain.Report, data []byte) error {
	if _, err := r.Picture(); err != nil {
		return nil //nolint:nilerr // not everything is a picture, and the summary is out
	}
	if _, err := fmt.Fprintln(o.out); err != nil {
		return err //nolint:wrapcheck // of the standard output
	}
	if trueColour(o.streams) {
		if painted, err := overlay(r, data); err == nil {
			return heatmap.Blocks(o.out, painted, heatmap.TerminalOptions{TrueColour: true})
		}
	}
	m, err := mapOf(r)
	if err != nil {
		return err
	}
	return m.Terminal(o.out, heatmap.TerminalOptions{TrueColour: trueColour(o.streams)})
}

func mapOf(r explain.Report) (heatmap.Map, error) {
	attributions, err := r.Picture()
	if err != nil {
		return heatmap.Map{}, err
	}
	return heatmap.New(attributions)
}

// overlay paints the map on the picture that data is.
func overlay(r explain.Report, data []byte) (image.Image, error) {
	m, err := mapOf(r)
	if err != nil {
		return nil, err
	}
	picture, err := vision.Decode(data, 0)
	if err != nil {
		return nil, err
	}
	opts := heatmap.OverlayOptions{}
	if c := r.Crop; c != nil {
		opts.Crop = image.Rect(c.X, c.Y, c.X+c.Width, c.Y+c.Height)
	}
	return m.Overlay(picture, opts), nil
}

func target(r explain.Report) string {
	if r.Target.Label == "" {
		return strconv.Itoa(r.Target.Index)
	}
	return fmt.Sprintf("%s (class %d)", r.Target.Label, r.Target.Index)
}

func method(r explain.Report) string {
	text := r.Method
	if r.Exact {
		text += " (exact)"
	}
	if r.Why != "" {
		text += ": " + r.Why
	}
	return text
}

// trueColour tells whether the standard output shows 24-bit colours.
func trueColour(s streams) bool {
	colours := s.env("COLORTERM")
	return s.outTerminal && s.env("NO_COLOR") == "" && (colours == "truecolor" || colours == "24bit")
}

// paint writes the map on the picture to the file that was asked for.
func (o *explainOptions) paint(r explain.Report, data []byte) error {
	painted, err := overlay(r, data)
	if err != nil {
		return err
	}
	body, err := heatmap.PNG(painted)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.save, body, 0o644); err != nil { //nolint:gosec // a picture for everyone
		return fileError(err)
	}
	return nil
}

// many writes one line for each file.
func (o *explainOptions) many(ctx context.Context, p *asked, format string) error {
	if format == outputTable {
		o.set("detail", explain.DetailFull)
	}
	width := o.widest()
	return o.askMany(ctx, p, func(out outcome) error {
		if format == outputJSON {
			return o.line(out)
		}
		text := "error: "
		if out.Err != nil {
			text += oneLine(out.Err)
		} else {
			var r explain.Report
			if err := json.Unmarshal(out.Response.Body, &r); err != nil {
				return fmt.Errorf("%s: the answer is not an explanation: %w: %w", out.file, fault.Internal, err)
			}
			text = fmt.Sprintf("%s  score %.4g  %s  %d ms", target(r), r.Target.Value, r.Method, r.Runtime.TotalMS)
		}
		_, err := fmt.Fprintf(o.out, "%-*s  %s\n", width, out.file, text)
		return err //nolint:wrapcheck // of the standard output
	})
}
