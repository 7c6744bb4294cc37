package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

type metricsOptions struct {
	*globals
	streams
	remote

	raw, watch bool
}

func newMetrics(s streams, g *globals) *cobra.Command {
	o := metricsOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "metrics",
		Short: "See how the models of a running server do",
		Long: `See how the models of a running server do since it started: how many requests there were and how many of them failed, how
long answers took (half of them at most p50, 95 of 100 at most p95, 99 of 100 at most p99; estimated within the buckets of a
histogram), how many requests wait, how many ran together on average, and what each version has of workers and memory. A
terminal shows as many columns as it has room for; in JSON there are all, times in milliseconds and memory in bytes.`,
		Example: `  tsgo metrics
  tsgo metrics --watch --server http://gpu7:8080`,
		Args:              usage(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.mustServerFlags(s, cmd)
	cmd.Flags().BoolVar(&o.raw, "raw", false, "print what the server sends, in Prometheus's text format")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on until Ctrl-C, every two seconds")
	return cmd
}

func (o *metricsOptions) run(ctx context.Context) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	if o.raw && o.output != "" {
		return fmt.Errorf("%w: --raw prints what the server sends, and --output %s something else; leave one out", fault.Invalid, o.output)
	}
	c, err := o.connect(o.streams)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers are there
	if !o.watch {
		page, err := o.look(ctx, c, format)
		if err == nil {
			_, err = o.out.Write(page)
		}
		return err
	}
	return o.repeat(ctx, func() ([]byte, error) { return o.look(ctx, c, format) })
}

// watchEvery is how long --watch waits from one look to the next.
const watchEvery = 2 * time.Second

// repeat shows page after page until ctx ends, each in the place of the one before on a terminal, and one after the other
// elsewhere. A server that does not answer for once ends nothing, but the first page has to come.
func (o *metricsOptions) repeat(ctx context.Context, look func() ([]byte, error)) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		page, err := look()
		switch {
		case ctx.Err() != nil:
			return nil // that is how watching ends
		case err != nil && first:
			return err
		case err != nil:
			page = []byte("tsgo: " + oneLine(err) + "\n")
		}
		if err := o.replace(page); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// replace shows a page in the place of the one before.
func (o *metricsOptions) replace(page []byte) error {
	if o.outTerminal {
		const home, erase = "\x1b[H", "\x1b[J"
		page = append([]byte(home+erase), page...)
	}
	_, err := o.out.Write(page)
	return err //nolint:wrapcheck // of the standard output
}

// look asks the server, and makes a page of what it says.
func (o *metricsOptions) look(ctx context.Context, c *client.Client, format string) ([]byte, error) {
	if o.raw {
		return c.Metrics(ctx)
	}
	all, err := c.Stats(ctx)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	switch {
	case format == outputJSON && o.watch: // a line each time
		err = json.NewEncoder(&page).Encode(measuredAll(all))
	case format == outputJSON:
		err = writeJSON(&page, measuredAll(all))
	default:
		err = o.statsTable(&page, all)
	}
	return page.Bytes(), err
}

// measured is how a version does in one mode, as metrics tells it.
type measured struct {
	Name     string  `json:"name"`
	Version  string  `json:"version"`
	Mode     string  `json:"mode"`
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"`
	P50      float64 `json:"p50"` // milliseconds, as those below; 0 where nothing was answered
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	Batch    float64 `json:"batch"` // requests that ran together, on average
	Queue    int     `json:"queue"`
	Workers  int     `json:"workers"`
	Memory   int64   `json:"memory"` // bytes
}

func measuredAll(stats []client.Stats) []measured {
	all := make([]measured, len(stats))
	for i, s := range stats {
		all[i] = measured{
			s.Ref.Name, s.Ref.Version, s.Mode.String(), s.Requests, s.Errors, milliseconds(s.P50), milliseconds(s.P95), milliseconds(s.P99),
			s.Batch, s.Queue, s.Workers, s.Memory,
		}
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// statsTable writes a row for each version and mode; explanations only where somebody asked for one. A terminal gets as many
// columns as fit, the first ones first.
func (o *metricsOptions) statsTable(w io.Writer, stats []client.Stats) error {
	var rows [][]string
	for _, s := range stats {
		if s.Mode == model.ModeExplain && s.Requests == 0 && s.Queue == 0 {
			continue
		}
		rows = append(rows, []string{
			s.Ref.Name, s.Ref.Version, s.Mode.String(), strconv.FormatUint(s.Requests, 10), strconv.FormatUint(s.Errors, 10),
			latency(s.P50), latency(s.P95), latency(s.P99), strconv.Itoa(s.Queue), average(s.Batch), strconv.Itoa(s.Workers), size(s.Memory),
		})
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, "The server tells of no models: it has none, or it is no tsgo server (--raw prints what it sends).")
		return err //nolint:wrapcheck // of the standard output
	}
	header := []string{"model", "version", "mode", "requests", "errors", "p50", "p95", "p99", "queue", "batch", "workers", "memory"}
	const least = 9 // columns up to the queue
	for o.columns > 0 && len(header) > least && tableWidth(header, rows, gap) > o.columns {
		header = header[:len(header)-1]
	}
	for i := range rows {
		rows[i] = rows[i][:len(header)]
	}
	align := append(slices.Repeat([]tw.Align{tw.AlignLeft}, 3), slices.Repeat([]tw.Align{tw.AlignRight}, len(header)-3)...)
	s := o.streams
	s.out = w
	return s.table(header, rows, align...)
}

// latency writes a time in three digits; nothing where there is none.
func latency(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", milliseconds(d))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", milliseconds(d))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", milliseconds(d))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

func average(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}
