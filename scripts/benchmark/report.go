package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/shirou/gopsutil/v4/cpu"
	average "github.com/shirou/gopsutil/v4/load"

	"github.com/tsgo/tsgo/pkg/engine/ort/library"
)

// report writes where it was measured, and the table.
func (l *lab) report(ctx context.Context, w io.Writer, all []outcome, markdown bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\nMedians of %d paired runs of %v each.\n\n", machine(ctx), l.runs, l.duration)
	table := io.Writer(&out)
	line, flush := "%s\t%s\t%s\t%s\t%s\n", func() error { return nil }
	if markdown {
		line = "| %s | %s | %s | %s | %s |\n"
	} else {
		t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		table, flush = t, t.Flush
	}
	fmt.Fprintf(table, line, "figure", "target", "measured", "tsgo", "limit")
	if markdown {
		fmt.Fprintln(&out, "|---|---|---|---|---|")
	}
	for _, o := range all {
		cells := o.cells()
		fmt.Fprintf(table, line, cells[0], cells[1], cells[2], cells[3], cells[4])
	}
	if err := flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// cells are the columns of a row.
func (o outcome) cells() [5]string {
	sign := "≥"
	if o.atMost {
		sign = "≤"
	}
	target := fmt.Sprintf("%s %.2f%s", sign, o.target, o.unit)
	if o.unit != "" && o.target >= 1 {
		target = fmt.Sprintf("%s %g%s", sign, o.target, o.unit)
	}
	if o.skipped != nil {
		return [5]string{o.name, target, "skipped: " + o.skipped.Error(), "", ""}
	}
	verdict := "missed"
	if o.met() {
		verdict = "met"
	}
	cells := [5]string{o.name, target, fmt.Sprintf("%.3g%s (%s)", o.figure(), o.unit, verdict), "", ""}
	if o.kind != alone {
		cells[3], cells[4] = fmt.Sprintf("%.4g%s", median(o.ours), o.each), fmt.Sprintf("%.4g%s", median(o.theirs), o.each)
	}
	return cells
}

// machine tells what it was measured on, with what.
func machine(ctx context.Context) string {
	name := "an unknown processor"
	if info, err := cpu.InfoWithContext(ctx); err == nil && len(info) > 0 {
		name = info[0].ModelName
	}
	busy := ""
	if avg, err := average.AvgWithContext(ctx); err == nil {
		busy = fmt.Sprintf(", load average %.1f at the end", avg.Load5)
	}
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	return fmt.Sprintf("%d cores of %s, %s/%s%s; tsgo at %s, %s, ONNX Runtime %s.",
		runtime.NumCPU(), name, runtime.GOOS, runtime.GOARCH, busy, strings.TrimSpace(string(commit)), runtime.Version(), library.Version)
}
