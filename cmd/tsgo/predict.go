package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

type predictOptions struct {
	askOptions

	topK int
}

func newPredict(s streams, g *globals) *cobra.Command {
	o := predictOptions{askOptions: askOptions{globals: g, streams: s, mode: model.ModePredict}}
	cmd := &cobra.Command{
		Use:   "predict MODEL FILE...",
		Short: "Ask a model about files",
		Long: `Ask a model about files, in this process, or a running server with --server.

MODEL is a name in the model store (resnet-18, or resnet-18/1.0), or the path of an .onnx file, a .mar archive or a
model's directory; 'tsgo models pull' brings more into the store. FILE may be a directory, or - for the standard input.
--text gives a text instead. With one file, --output json prints the model's answer as a server would send it; with
several, one line a file.`,
		Example: `  tsgo predict resnet-18 samples/kitten.jpg
  tsgo predict mnist samples/digits/*.png
  tsgo predict ./my-model.onnx pictures/ --output json`,
		Args: o.someFile(),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.about(args)
			if cmd.Flags().Changed("top-k") {
				o.set("top_k", strconv.Itoa(o.topK))
			}
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	cmd.Flags().IntVar(&o.topK, "top-k", 0, "how many classes are answered (default: as the model's manifest says, or 5)")
	return cmd
}

func (o *predictOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	if err := o.readParams(); err != nil {
		return err
	}
	if o.files, err = expand(o.files); err != nil {
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
	req, err := o.request(ctx, o.files[0])
	if err != nil {
		return err
	}
	resp, err := p.Predict(ctx, p.ref, req)
	if err != nil {
		return fmt.Errorf("%s: %w", o.files[0], err)
	}
	if format == outputJSON {
		return o.bare(resp.Body)
	}
	return o.table(resp.Body)
}

// bare writes an answer as it is, with a line's end only where a person reads it.
func (o *askOptions) bare(body []byte) error {
	if o.outTerminal {
		body = append(bytes.Clone(body), '\n')
	}
	_, err := o.out.Write(body)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// table writes classes as rows, and any other answer as it is.
func (o *predictOptions) table(body []byte) error {
	all, ok := classes(body)
	if !ok {
		_, err := fmt.Fprintf(o.out, "%s\n", body)
		return err //nolint:wrapcheck // of the standard output
	}
	rows := make([][]string, len(all))
	for i, c := range all {
		rows[i] = []string{c.label, percent(c.score), bar(c.score, 30)}
	}
	return o.streams.table([]string{"class", "probability", ""}, rows, tw.AlignLeft, tw.AlignRight, tw.AlignLeft)
}

// many writes one line for each file.
func (o *predictOptions) many(ctx context.Context, p *asked, format string) error {
	width := o.widest()
	return o.askMany(ctx, p, func(out outcome) error {
		if format == outputJSON {
			return o.line(out)
		}
		_, err := fmt.Fprintf(o.out, "%-*s  %s\n", width, out.file, brief(out))
		return err //nolint:wrapcheck // of the standard output
	})
}

// line writes an outcome as one line of JSON.
func (o *askOptions) line(out outcome) error {
	var record any
	if out.Err != nil {
		record = struct {
			File  string    `json:"file"`
			Error lineError `json:"error"`
		}{out.file, lineError{fault.Of(out.Err).Error(), oneLine(out.Err)}}
	} else {
		record = struct {
			File   string          `json:"file"`
			Answer json.RawMessage `json:"answer"`
		}{out.file, out.Response.Body}
	}
	e := json.NewEncoder(o.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(record); err != nil {
		return fmt.Errorf("%s: write the answer: %w", out.file, err)
	}
	return nil
}

type lineError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// brief says an outcome in a few words: the best class, or the answer where it is short.
func brief(out outcome) string {
	if out.Err != nil {
		return "error: " + oneLine(out.Err)
	}
	if all, ok := classes(out.Response.Body); ok {
		return fmt.Sprintf("%s  %s", percent(all[0].score), all[0].label)
	}
	var text bytes.Buffer
	if json.Compact(&text, out.Response.Body) != nil {
		return fmt.Sprintf("%s of %s", size(int64(len(out.Response.Body))), out.Response.ContentType)
	}
	const most = 100
	if text.Len() > most {
		return text.String()[:most] + "…"
	}
	return text.String()
}
