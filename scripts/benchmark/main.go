// Command benchmark measures a server against the limit: a bare loop over ONNX Runtime on the same cores, in the same run.
// It builds tsgo, starts it on free ports, loads it with wrk (Debian's package of that name), and prints ratios. Absolute
// numbers say as much of the machine as of the program, so the table has none but those that the ratios are made of.
//
//	go run ./scripts/benchmark [-runs 5] [-duration 3s]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "benchmark: %v\n", err)
		os.Exit(1)
	}
}

// bench is a benchmark under way.
type bench struct {
	runs     int
	duration time.Duration
	work     string // a directory for what is built
	engine   *engines
	server   *served
}

// row is one line of the table: the figure is ours over theirs, or ours less theirs in milliseconds.
type row struct {
	name         string
	target       string
	met          func(figure float64) bool
	ours, theirs []float64
	difference   bool
}

func run(ctx context.Context) error {
	b := bench{}
	flag.IntVar(&b.runs, "runs", 5, "paired runs; the medians count")
	flag.DurationVar(&b.duration, "duration", 3*time.Second, "length of each measurement")
	flag.Parse()
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is not installed (apt-get install wrk): %w", err)
	}
	var err error
	if b.work, err = os.MkdirTemp("", "tsgo-benchmark"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work) //nolint:errcheck // a temporary directory
	if b.engine, err = startEngine(ctx); err != nil {
		return err
	}
	if b.server, err = b.serve(ctx); err != nil {
		return err
	}
	defer b.server.stop()
	rows, err := b.measure(ctx)
	if err != nil {
		return err
	}
	return report(os.Stdout, rows, b)
}

// measure takes all figures, turn by turn, so that a machine that slows down slows down both sides.
func (b *bench) measure(ctx context.Context) ([]row, error) {
	rows := []row{
		{name: "efficientnet-lite0, JPEG, requests/s over a bare loop with the same preprocessing", target: "at least 0.85", met: atLeast(0.85)},
		{name: "mnist, PNG, requests/s over a bare session loop at its best batch", target: "at least 0.50", met: atLeast(0.50)},
		{name: "mnist, one connection: p50 less the in-process p50, ms", target: "at most 0.3", met: atMost(0.3), difference: true},
	}
	kitten, digit := filepath.Join("samples", "kitten.jpg"), filepath.Join("samples", "digits", "3.png")
	pictures, err := b.engine.picturesPerSecond(ctx, kitten)
	if err != nil {
		return nil, err
	}
	tensors, err := b.engine.bestTensorsPerSecond(ctx)
	if err != nil {
		return nil, err
	}
	inProcess, err := b.engine.p50(ctx, "mnist", digit)
	if err != nil {
		return nil, err
	}
	pairs := []struct {
		ours   func() (float64, error)
		theirs func(d time.Duration) (float64, error)
	}{
		{func() (float64, error) { return b.throughput(ctx, "efficientnet-lite0", kitten) }, pictures},
		{func() (float64, error) { return b.throughput(ctx, "mnist", digit) }, tensors},
		{func() (float64, error) { return b.latency(ctx, "mnist", digit) }, inProcess},
	}
	for n := range b.runs {
		for i, pair := range pairs {
			theirs, err := pair.theirs(b.duration)
			if err != nil {
				return nil, err
			}
			ours, err := pair.ours()
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "run %d of %d: %s: %.4g, %.4g\n", n+1, b.runs, rows[i].name, ours, theirs)
			rows[i].ours, rows[i].theirs = append(rows[i].ours, ours), append(rows[i].theirs, theirs)
		}
	}
	return rows, nil
}

func atLeast(bound float64) func(float64) bool { return func(f float64) bool { return f >= bound } }
func atMost(bound float64) func(float64) bool  { return func(f float64) bool { return f <= bound } }

// figure returns the median over the pairs.
func (r row) figure() float64 {
	figures := make([]float64, len(r.ours))
	for i := range r.ours {
		figures[i] = r.ours[i] / r.theirs[i]
		if r.difference {
			figures[i] = r.ours[i] - r.theirs[i]
		}
	}
	return median(figures)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// report writes the table.
func report(w io.Writer, rows []row, b bench) error {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%d cores, medians of %d paired runs of %v\n\n", runtime.GOMAXPROCS(0), b.runs, b.duration)
	fmt.Fprintln(&out, "| figure | target | reached | server | bare |")
	fmt.Fprintln(&out, "|---|---|---|---|---|")
	for _, r := range rows {
		verdict := "missed"
		if r.met(r.figure()) {
			verdict = "met"
		}
		fmt.Fprintf(&out, "| %s | %s | %.3g (%s) | %.4g | %.4g |\n", r.name, r.target, r.figure(), verdict, median(r.ours), median(r.theirs))
	}
	_, err := io.WriteString(w, out.String())
	return err
}
