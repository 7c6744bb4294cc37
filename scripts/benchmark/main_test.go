package main

import (
	"bytes"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFigure(t *testing.T) {
	t.Parallel()
	three := func(k kind, target float64, atMost bool) outcome {
		return outcome{row: row{kind: k, target: target, atMost: atMost}, ours: []float64{8, 30, 9}, theirs: []float64{10, 10, 10}}
	}
	tests := []struct {
		name    string
		outcome outcome
		figure  float64
		met     bool
	}{
		{"ratio reached", three(ratio, 0.85, false), 0.9, true},
		{"ratio missed", three(ratio, 0.95, false), 0.9, false},
		{"difference reached", three(difference, -1, true), -1, true},
		{"difference missed", three(difference, -1.5, true), -1, false},
		{"alone", three(alone, 9, true), 9, true},
	}
	for _, tt := range tests {
		if got := tt.outcome.figure(); math.Abs(got-tt.figure) > 1e-9 || tt.outcome.met() != tt.met {
			t.Errorf("%s: %g, met %t; want %g, %t", tt.name, got, tt.outcome.met(), tt.figure, tt.met)
		}
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %g, want 2.5", got)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	all := []outcome{
		{row: row{name: "a", target: 0.85, each: "/s"}, ours: []float64{9}, theirs: []float64{10}},
		{row: row{name: "b", kind: alone, target: 150, atMost: true, unit: " ms"}, ours: []float64{200}, theirs: []float64{0}},
		{row: row{name: "c", target: 0.5}, skipped: skipped("no -python")},
	}
	if missed := countMissed(all); missed != 1 {
		t.Errorf("%d missed, want 1", missed)
	}
	want := []string{
		"| figure | target | measured | tsgo | limit |", "| --- | --- | --- | --- | --- |",
		"| a | ≥ 0.85 | 0.9 (met) | 9/s | 10/s |", "| b | ≤ 150 ms | 200 ms (missed) |  |  |", "| c | ≥ 0.50 | skipped: no -python |  |  |",
	}
	for _, markdown := range []bool{true, false} {
		var out bytes.Buffer
		if err := (&lab{runs: 3}).report(t.Context(), &out, all, markdown); err != nil {
			t.Fatal(err)
		}
		head, table, _ := strings.Cut(out.String(), "\n\n")
		if !strings.Contains(head, "cores of") || !strings.Contains(head, "Medians of 3 paired runs") {
			t.Errorf("head %q", head)
		}
		lines := strings.Split(strings.TrimSpace(table), "\n")
		if !markdown {
			lines = append(lines[:1:1], append([]string{want[1]}, lines[1:]...)...)
			for i := range lines {
				lines[i] = "| " + strings.Join(regexp.MustCompile("  +").Split(lines[i], -1), " | ") + " |"
			}
			lines[1] = want[1]
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "|  |  |", "|")
			}
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("Markdown %t (-want +got):\n%s", markdown, diff)
		}
	}
}

// TestRows has each row once, with a target, so that -run can choose one.
func TestRows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range rows() {
		if seen[r.name] || r.target == 0 || r.prepare == nil {
			t.Errorf("row %q is there twice, or has no target", r.name)
		}
		seen[r.name] = true
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-runs", "0"}, {"-run", "("}, {"more"}, {"-duration", "-1s"}, {asLimit}, {asLimit, "nothing"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	var why skipped
	if err := error(skipped("no")); !errors.As(err, &why) || why != "no" {
		t.Errorf("%v is not skipped", err)
	}
}
