package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter/tw"

	"github.com/tsgo/tsgo/pkg/bench"
)

// benchReport is a measurement as bench tells it. Times are milliseconds.
type benchReport struct {
	Model       string         `json:"model"`
	Where       string         `json:"where"`
	Input       string         `json:"input"`
	Loop        string         `json:"loop"`
	Concurrency int            `json:"concurrency,omitempty"`
	Rate        float64        `json:"rate,omitempty"` // asked for, a second
	Seconds     float64        `json:"seconds"`
	Interrupted bool           `json:"interrupted,omitempty"`
	Answered    int            `json:"answered"`
	Refused     int            `json:"refused"`
	Unanswered  int            `json:"unanswered"`
	Errors      map[string]int `json:"errors"`
	Throughput  float64        `json:"throughput"` // answers a second
	Latency     benchLatency   `json:"latency"`
	Batch       float64        `json:"batch,omitempty"`  // requests that ran together, on average
	CPU         float64        `json:"cpu,omitempty"`    // cores
	Memory      int64          `json:"memory,omitempty"` // bytes
	Bare        *benchBare     `json:"bare,omitempty"`
}

type benchLatency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P75  float64 `json:"p75"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

type benchBare struct {
	Throughput float64 `json:"throughput"` // requests a second
	Workers    int     `json:"workers"`
	Threads    int     `json:"threads"`
	Batch      int     `json:"batch"`
	Ratio      float64 `json:"ratio"` // of the throughput to that of the bare loop
}

func reportOf(r *benched) benchReport {
	res := r.result
	at := func(q float64) float64 { return milliseconds(res.Quantile(q)) }
	report := benchReport{
		Model: r.ref.String(), Where: r.where, Input: r.input, Loop: "closed", Concurrency: res.Concurrency, Rate: res.Rate,
		Seconds: res.Elapsed.Seconds(), Interrupted: res.Interrupted,
		Answered: res.Answered, Refused: res.Refused, Unanswered: res.Unanswered, Errors: map[string]int{},
		Throughput: res.Throughput(), Batch: r.batch, CPU: r.cpu, Memory: r.memory,
		Latency: benchLatency{milliseconds(res.Mean()), at(0.5), at(0.75), at(0.9), at(0.95), at(0.99), at(0.999), milliseconds(res.Max())},
	}
	if res.Rate > 0 {
		report.Loop = "open"
	}
	for kind, f := range res.Failures {
		report.Errors[kind] = f.Count
	}
	if r.bare != nil && r.bare.rate > 0 {
		report.Bare = &benchBare{r.bare.rate, r.bare.Workers, r.bare.Threads, r.bare.Requests, res.Throughput() / r.bare.rate}
	}
	return report
}

func (o *benchOptions) report(r *benched, format string) error {
	if format == outputJSON {
		return writeJSON(o.out, reportOf(r))
	}
	for _, line := range benchLines(r) {
		if _, err := fmt.Fprintf(o.out, "%-11s %s\n", line[0], line[1]); err != nil {
			return err //nolint:wrapcheck // of the standard output
		}
	}
	if r.result.Answered == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(o.out); err != nil {
		return err //nolint:wrapcheck // of the standard output
	}
	return latencyChart(o.out, r.result)
}

// benchLines says a measurement in labelled lines.
func benchLines(r *benched) [][2]string {
	res := r.result
	load := fmt.Sprintf("%d callers at once", res.Concurrency)
	if res.Rate > 0 {
		load = fmt.Sprintf("%g requests a second, by up to %d callers", res.Rate, res.AtOnce)
	}
	took := fmt.Sprintf("%.3g s", res.Elapsed.Seconds())
	if res.Interrupted {
		took += ", interrupted"
	}
	lines := [][2]string{
		{"model", r.ref.String() + ", " + r.where},
		{"input", r.input},
		{"load", load},
		{"measured", took},
		{"answered", fmt.Sprintf("%d, %s a second", res.Answered, rate(res.Throughput()))},
	}
	if res.Refused > 0 {
		lines = append(lines, [2]string{"refused", fmt.Sprintf("%d: too many at once", res.Refused)})
	}
	if res.Unanswered > 0 {
		lines = append(lines, [2]string{"unanswered", fmt.Sprintf("%d, given up at the end; their times count until then", res.Unanswered)})
	}
	for i, kind := range slices.Sorted(maps.Keys(res.Failures)) {
		f := res.Failures[kind]
		lines = append(lines, [2]string{map[bool]string{true: "errors"}[i == 0], fmt.Sprintf("%d %s: %s", f.Count, kind, strings.Join(strings.Fields(f.First), " "))})
	}
	if r.batch > 0 {
		lines = append(lines, [2]string{"batch", fmt.Sprintf("%.1f requests on average", r.batch)})
	}
	if r.cpu > 0 {
		lines = append(lines, [2]string{"CPU", fmt.Sprintf("%.2f of %d cores%s", r.cpu, runtime.GOMAXPROCS(0), with(r))})
	}
	if r.memory > 0 {
		lines = append(lines, [2]string{"memory", size(r.memory)})
	}
	return append(lines, bareLines(r)...)
}

// with says what else the CPU time is of.
func with(r *benched) string {
	if strings.HasPrefix(r.where, "at ") {
		return ""
	}
	return ", those who ask included"
}

func bareLines(r *benched) [][2]string {
	if r.bare == nil || r.bare.rate == 0 {
		return nil
	}
	return [][2]string{
		{"bare loop", fmt.Sprintf("%s a second (%s)", rate(r.bare.rate), r.bare)},
		{"of that", fmt.Sprintf("%.0f %%", 100*r.result.Throughput()/r.bare.rate)},
	}
}

// latencyChart draws the distribution of the times, the slowest as the longest bar.
func latencyChart(w io.Writer, res *bench.Result) error {
	var rows [][]string
	add := func(name string, d time.Duration) {
		rows = append(rows, []string{name, latency(d), bar(d.Seconds()/res.Max().Seconds(), 40)})
	}
	for _, q := range []float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.999} {
		add("p"+strconv.FormatFloat(100*q, 'g', 4, 64), res.Quantile(q))
	}
	add("max", res.Max())
	return table(w, []string{"", "latency", ""}, rows, tw.AlignLeft, tw.AlignRight, tw.AlignLeft)
}

// sweepTrial is a trial as bench tells it. Times are milliseconds.
type sweepTrial struct {
	Workers     int     `json:"workers"`
	Threads     int     `json:"threads"`
	BatchSize   int     `json:"batchSize"`
	Concurrency int     `json:"concurrency"`
	Throughput  float64 `json:"throughput"`
	P50         float64 `json:"p50"`
	P99         float64 `json:"p99"`
	Within      bool    `json:"withinLimit"`
}

func sweepTrialOf(t bench.Trial) sweepTrial {
	return sweepTrial{
		t.Workers, t.Threads, t.Batch, t.Concurrency, t.Result.Throughput(), milliseconds(t.Result.Quantile(0.5)), milliseconds(t.Result.Quantile(0.99)), t.Within,
	}
}

// reportSweep tells what was tried, and what is to be written into the model's manifest.
func (o *benchOptions) reportSweep(best *bench.Trial, trials []bench.Trial, format string) error {
	if format == outputJSON {
		all := struct {
			Best   *sweepTrial  `json:"best"`
			Trials []sweepTrial `json:"trials"`
		}{Trials: []sweepTrial{}}
		for _, t := range trials {
			all.Trials = append(all.Trials, sweepTrialOf(t))
		}
		if best != nil {
			of := sweepTrialOf(*best)
			all.Best = &of
		}
		return writeJSON(o.out, all)
	}
	var rows [][]string
	for _, t := range trials {
		note := ""
		switch {
		case best != nil && t.Result == best.Result:
			note = "best"
		case t.Result.Answered == 0:
			note = "no answer in time"
		case !t.Within:
			note = "over the limit"
		}
		rows = append(rows, []string{
			strconv.Itoa(t.Workers), strconv.Itoa(t.Threads), strconv.Itoa(t.Batch), strconv.Itoa(t.Concurrency), rate(t.Result.Throughput()),
			latency(t.Result.Quantile(0.5)), latency(t.Result.Quantile(0.99)), note,
		})
	}
	align := append(slices.Repeat([]tw.Align{tw.AlignRight}, 7), tw.AlignLeft)
	if err := o.table([]string{"workers", "threads", "batch", "callers", "a second", "p50", "p99", ""}, rows, align...); err != nil || best == nil {
		return err
	}
	_, err := io.WriteString(o.out, "\n"+o.manifestLines(best.Arrangement))
	return err //nolint:wrapcheck // of the standard output
}

// manifestLines returns an arrangement as lines of a model-config.yaml. The threads follow from the workers, or are the server's.
func (o *benchOptions) manifestLines(a bench.Arrangement) string {
	text := fmt.Sprintf("# model-config.yaml\nminWorkers: %d\nmaxWorkers: %d\nbatchSize: %d\n", a.Workers, a.Workers, a.Batch)
	if o.delay > 0 {
		text += fmt.Sprintf("maxBatchDelay: %d\n", max(1, o.delay.Milliseconds()))
	}
	if a.Threads != max(1, runtime.GOMAXPROCS(0)/a.Workers) {
		text += fmt.Sprintf("# and for the whole server: tsgo serve --threads %d\n", a.Threads)
	}
	return text
}
