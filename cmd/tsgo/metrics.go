package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/tw"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	promodel "github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
)

type metricsOptions struct {
	*globals
	streams
	remote

	raw   bool
	watch bool
}

func newMetrics(s streams, g *globals) *cobra.Command {
	o := metricsOptions{globals: g, streams: s}
	cmd := &cobra.Command{
		Use:   "metrics",
		Short: "Tell how the models of a running server do",
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.remoteFlags(cmd)
	cmd.Flags().BoolVar(&o.raw, "raw", false, "the text that Prometheus reads")
	cmd.Flags().BoolVar(&o.watch, "watch", false, "again every two seconds, until it is interrupted")
	return cmd
}

// watchEvery is how often --watch looks.
const watchEvery = 2 * time.Second

func (o *metricsOptions) run(ctx context.Context) error {
	c, err := o.connect(o.streams, defaultServer)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // the answers are there
	if !o.watch {
		return o.once(ctx, c)
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if o.outTerminal {
			fmt.Fprint(o.out, "\x1b[H\x1b[2J") //nolint:errcheck // what follows tells whether it can be written
		}
		if err := o.once(ctx, c); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (o *metricsOptions) once(ctx context.Context, c *client.Client) error {
	text, err := c.Metrics(ctx)
	if err != nil {
		return err
	}
	if o.raw {
		_, err := o.out.Write(text)
		return err //nolint:wrapcheck // of the standard output
	}
	parser := expfmt.NewTextParser(promodel.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%w: the server's metrics cannot be read: %w", fault.Unavailable, err)
	}
	return o.tell(summarize(families))
}

// usageRow is how one version of a model does in one mode.
type usageRow struct {
	Model    string  `json:"model"`
	Version  string  `json:"version"`
	Mode     string  `json:"mode"`
	Requests float64 `json:"requests"`
	Failures float64 `json:"failures"`
	P50      float64 `json:"p50"` // seconds, as p95 and p99; null where nothing was answered
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	Batch    float64 `json:"batch"` // requests in a batch, on average
	Waiting  float64 `json:"waiting"`
	Workers  float64 `json:"workers"`
	Memory   float64 `json:"memory"` // bytes
}

// summarize makes the rows of the families that tell of models.
func summarize(families map[string]*dto.MetricFamily) []usageRow {
	rows := map[string]*usageRow{}
	each := func(family string, do func(row *usageRow, m *dto.Metric)) {
		for _, m := range families[family].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			for _, mode := range []string{"predict", "explain"} {
				if has, ok := labels["mode"]; ok && has != mode {
					continue
				}
				key := strings.Join([]string{labels["model_name"], labels["model_version"], strconv.FormatBool(mode == "explain")}, "\x00")
				if rows[key] == nil {
					rows[key] = &usageRow{Model: labels["model_name"], Version: labels["model_version"], Mode: mode}
				}
				do(rows[key], m)
			}
		}
	}
	each("tsgo_workers", func(row *usageRow, m *dto.Metric) { row.Workers = m.GetGauge().GetValue() })
	each("tsgo_model_memory_bytes", func(row *usageRow, m *dto.Metric) { row.Memory = m.GetGauge().GetValue() })
	each("tsgo_queue_depth", func(row *usageRow, m *dto.Metric) { row.Waiting = m.GetGauge().GetValue() })
	each("tsgo_failures_total", func(row *usageRow, m *dto.Metric) { row.Failures += m.GetCounter().GetValue() })
	each("tsgo_request_seconds", func(row *usageRow, m *dto.Metric) {
		h := m.GetHistogram()
		row.Requests = float64(h.GetSampleCount())
		row.P50, row.P95, row.P99 = quantile(0.5, h), quantile(0.95, h), quantile(0.99, h)
	})
	each("tsgo_batch_size", func(row *usageRow, m *dto.Metric) {
		row.Batch = m.GetHistogram().GetSampleSum() / float64(m.GetHistogram().GetSampleCount())
	})
	var all []usageRow
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		all = append(all, *rows[key])
	}
	return all
}

// quantile estimates a quantile as Prometheus's histogram_quantile does: linearly within its bucket. It is not a number
// where nothing was counted.
func quantile(q float64, h *dto.Histogram) float64 {
	rank, below, from := q*float64(h.GetSampleCount()), 0.0, 0.0
	for _, b := range h.GetBucket() {
		count, to := float64(b.GetCumulativeCount()), b.GetUpperBound()
		if count >= rank && count > below {
			if math.IsInf(to, 1) {
				return from
			}
			return from + (to-from)*(rank-below)/(count-below)
		}
		below, from = count, to
	}
	if h.GetSampleCount() == 0 {
		return math.NaN()
	}
	return from
}

func (o *metricsOptions) tell(rows []usageRow) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	if format == outputJSON {
		for i := range rows { // JSON has no other word for nothing
			for _, v := range []*float64{&rows[i].P50, &rows[i].P95, &rows[i].P99, &rows[i].Batch} {
				if math.IsNaN(*v) {
					*v = 0
				}
			}
		}
		return writeJSON(o.out, rows)
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		cells[i] = []string{
			r.Model + "/" + r.Version, r.Mode, fmt.Sprintf("%.0f", r.Requests), fmt.Sprintf("%.0f", r.Failures), duration(r.P50), duration(r.P95), duration(r.P99),
			number(r.Batch), fmt.Sprintf("%.0f", r.Waiting), fmt.Sprintf("%.0f", r.Workers), size(int64(r.Memory)),
		}
	}
	right := slices.Repeat([]tw.Align{tw.AlignRight}, 9)
	return table(o.out, []string{"model", "mode", "requests", "failures", "p50", "p95", "p99", "batch", "waiting", "workers", "size"}, cells,
		append([]tw.Align{tw.AlignLeft, tw.AlignLeft}, right...)...)
}

// duration writes seconds for people, "-" for none.
func duration(seconds float64) string {
	if math.IsNaN(seconds) || seconds == 0 {
		return "-"
	}
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2fms", seconds*1000)
	}
	return d.Round(time.Millisecond).String()
}

func number(v float64) string {
	if math.IsNaN(v) || v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", v)
}
