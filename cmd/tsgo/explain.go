package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

type explainOptions struct {
	askOptions

	save    string
	compare []string // the methods whose maps are shown side by side
}

func newExplain(s streams, g *globals) *cobra.Command {
	o := explainOptions{askOptions: askOptions{globals: g, streams: s, mode: model.ModeExplain}}
	cmd := &cobra.Command{
		Use:   "explain MODEL FILE...",
		Short: "Ask which parts of a file a model's answer rests on",
		Long: `Ask which parts of a file a model's answer rests on, in this process, or a running server with --server.

MODEL and FILE are as for predict. Of a picture, a terminal shows a summary and a small heat map: red speaks for the
target, blue against it. Of a text it shows how much each token counts. In a pipe, or with --output json, the answer is
what a server would send: the attributions at the network's input, or the tokens and their importances; with --compare it
is a list of everything that is known of each method's.

Unless --method names another, the answer is the network's own gradient, integrated; where an operator of the network has
none, a method that only asks for scores takes its place, and the summary says which operator that is. An answer is called
exact when it was computed from the network's own gradient: not from what the score does when parts of the input are hidden,
and not from a gradient that passes what rounds as if it did not (--straight-through true, for quantized networks). How
close the sum of an integral comes to the score is another matter: see delta, and ask for more --steps.`,
		Example: `  tsgo explain mnist samples/digits/3.png
  tsgo explain resnet-18 samples/kitten.jpg --save map.png
  tsgo explain resnet-18 samples/kitten.jpg --compare integrated_gradients,grad_cam,occlusion --save maps.png
  tsgo explain resnet-18 samples/kitten.jpg --target "Egyptian cat" --detail full --output json
  tsgo explain my-text-model --text "a good film"`,
		Args: o.someFile(),
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
	cmd.Flags().StringSliceVar(&o.compare, "compare", nil, "show what these methods find side by side, as in integrated_gradients,occlusion")
	cmd.RegisterFlagCompletionFunc("compare", completeMethods) //nolint:errcheck // the flag was made one line above
	cmd.SetUsageFunc(o.usage)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.about(args)
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
	switch {
	case len(o.compare) > 0:
		return o.sideBySide(ctx, p, format)
	case len(o.files) > 1:
		return o.many(ctx, p, format)
	}
	return o.one(ctx, p, format)
}

// check finds out before anything is computed that a picture has nowhere to go.
func (o *explainOptions) check() error {
	if err := o.checkCompare(); err != nil {
		return err
	}
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

// report saves and shows what is made of the full report.
func (o *explainOptions) report(ctx context.Context, p *asked, req *model.Request, format string) error {
	_, x, err := o.explained(ctx, p, req, o.params)
	if err != nil {
		return err
	}
	if o.save != "" {
		painted, err := x.overlay(req.Inputs[0].Data)
		if err == nil {
			err = o.write(painted)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.files[0], err)
		}
	}
	if format == outputJSON {
		return nil
	}
	return o.summary(x, req.Inputs[0].Data)
}

// explained asks for everything known of an explanation. It returns the answer as it came, too.
func (o *explainOptions) explained(ctx context.Context, p *asked, req *model.Request, params map[string]string) ([]byte, *explained, error) {
	full := maps.Clone(params)
	if full == nil {
		full = map[string]string{}
	}
	full["detail"], full["format"] = explain.DetailFull, explain.FormatJSON
	resp, err := o.ask(ctx, p, req, full)
	if err != nil {
		return nil, nil, err
	}
	x, err := readExplained(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", o.files[0], err)
	}
	return resp.Body, x, nil
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
			x, err := readExplained(out.Response.Body)
			if err != nil {
				return fmt.Errorf("%s: %w", out.file, err)
			}
			text = fmt.Sprintf("%s  score %.4g  %s  %d ms", x.target(), x.Target.Value, x.Method, x.Runtime.TotalMS)
		}
		_, err := fmt.Fprintf(o.out, "%-*s  %s\n", width, out.file, text)
		return err //nolint:wrapcheck // of the standard output
	})
}
