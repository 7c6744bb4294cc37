package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
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
	lines := [][]string{{"figure", "target", "measured", "tsgo", "limit"}}
	if markdown {
		lines = append(lines, slices.Repeat([]string{"---"}, len(lines[0])))
	}
	for _, o := range all {
		lines = append(lines, o.cells())
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return err
	}
	if markdown {
		return pipes(w, lines)
	}
	return columns(w, lines)
}

// pipes writes a table in Markdown.
func pipes(w io.Writer, lines [][]string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// columns writes a table for a terminal.
func columns(w io.Writer, lines [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		if _, err := fmt.Fprintln(t, strings.TrimRight(strings.Join(line, "\t"), "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// cells are the columns of a row.
func (o outcome) cells() []string {
	sign := "≥"
	if o.atMost {
		sign = "≤"
	}
	target := fmt.Sprintf("%s %.2f%s", sign, o.target, o.unit)
	if o.unit != "" && o.target >= 1 {
		target = fmt.Sprintf("%s %g%s", sign, o.target, o.unit)
	}
	if o.skipped != nil {
		return []string{o.name, target, "skipped: " + o.skipped.Error(), "", ""}
	}
	verdict := "missed"
	if o.met() {
		verdict = "met"
	}
	cells := []string{o.name, target, fmt.Sprintf("%.3g%s (%s)", o.figure(), o.unit, verdict), "", ""}
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
