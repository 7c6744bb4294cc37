// Command benchmark measures tsgo against its targets, and prints them in one table. Absolute numbers say as much of the
// machine as of the program, so nearly every figure is a ratio of two measurements that take turns: what tsgo does, and the
// limit, a bare loop over ONNX Runtime on the same cores with nothing around it. The median of the pairs counts.
//
//	go run ./scripts/benchmark [-quick] [-run REGEXP] [-runs 5] [-duration 3s] [-python PYTHON] [-markdown] [-strict]
//
// It builds tsgo, with libjpeg-turbo and without, and starts real servers on free ports of this machine. The load generator
// is package bench's, over kept connections, on one core at most; it shares the cores with the server, as the bare loop, which
// has them all to itself, does with nobody: what asking costs is counted against tsgo. Whatever else the machine does shows
// in every figure, so the load is told beside them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "benchmark: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == asLimit {
		return beLimit(ctx, args[1:], os.Stdin, os.Stdout)
	}
	l := &lab{}
	flags := flag.NewFlagSet("benchmark", flag.ContinueOnError)
	flags.IntVar(&l.runs, "runs", 5, "paired runs of each row; the medians count")
	flags.DurationVar(&l.duration, "duration", 3*time.Second, "length of each measurement")
	flags.StringVar(&l.python, "python", "", "a Python with Pillow, torch and torchvision, for the row that compares with them")
	quick := flags.Bool("quick", false, "fewer and shorter runs: 3 of 1s, unless -runs and -duration say otherwise")
	rows := flags.String("run", "", "measure the rows whose names match this regular expression alone")
	markdown := flags.Bool("markdown", false, "print the table in Markdown")
	strict := flags.Bool("strict", false, "fail when a target is missed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *quick {
		l.hurry(flags)
	}
	wanted, err := regexp.Compile(*rows)
	if err != nil || flags.NArg() > 0 || l.runs < 1 || l.duration <= 0 {
		return errors.Join(err, errors.New("want a regular expression, one run or more of some length, and no arguments; see -h"))
	}
	runtime.GOMAXPROCS(1) // of this process, which only asks: idle threads that look for work would cost the server some
	if err := l.open(); err != nil {
		return err
	}
	defer l.close()
	outcomes, err := l.measure(ctx, wanted)
	if err != nil {
		return err
	}
	if err := l.report(ctx, os.Stdout, outcomes, *markdown); err != nil {
		return err
	}
	if missed := countMissed(outcomes); *strict && missed > 0 {
		return fmt.Errorf("%d of %d targets missed", missed, len(outcomes))
	}
	return nil
}

// hurry makes the runs fewer and shorter, where no flag says how many and how long.
func (l *lab) hurry(flags *flag.FlagSet) {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if l.quick = true; !given["runs"] {
		l.runs = 3
	}
	if !given["duration"] {
		l.duration = time.Second
	}
}

// outcome is what became of a row.
type outcome struct {
	row

	ours, theirs []float64
	skipped      error // why it was not measured; nil: it was
}

// skipped is why a row cannot be measured here.
type skipped string

func (s skipped) Error() string { return string(s) }

// measure measures the rows, one after the other.
func (l *lab) measure(ctx context.Context, wanted *regexp.Regexp) ([]outcome, error) {
	var all []outcome
	for _, r := range rows() {
		if !wanted.MatchString(r.name) {
			continue
		}
		o := outcome{row: r}
		err := l.take(ctx, &o)
		if why, ok := errors.AsType[skipped](err); ok {
			o.skipped = why
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("-run %q matches no row", wanted)
	}
	return all, nil
}

// take measures a row: the limit and tsgo in turn, so that a machine that slows down slows down both.
func (l *lab) take(ctx context.Context, o *outcome) (err error) {
	p, err := o.prepare(ctx, l)
	if p != nil {
		defer func() { err = errors.Join(err, p.close()) }()
	}
	if err != nil {
		return err
	}
	for n := range l.runs {
		var theirs float64
		if p.theirs != nil {
			if theirs, err = p.theirs(ctx); err != nil {
				return err
			}
		}
		ours, err := p.ours(ctx)
		if err != nil {
			return err
		}
		o.ours, o.theirs = append(o.ours, ours), append(o.theirs, theirs)
		fmt.Fprintf(os.Stderr, "run %d of %d: %s: %.4g", n+1, l.runs, o.name, ours)
		if p.theirs != nil {
			fmt.Fprintf(os.Stderr, ", limit %.4g: %.3g", theirs, o.kind.of(ours, theirs))
		}
		fmt.Fprintln(os.Stderr)
	}
	return nil
}

// figure returns the median over the pairs.
func (o outcome) figure() float64 {
	figures := make([]float64, len(o.ours))
	for i := range o.ours {
		figures[i] = o.kind.of(o.ours[i], o.theirs[i])
	}
	return median(figures)
}

// met tells whether the target was reached.
func (o outcome) met() bool {
	if o.atMost {
		return o.figure() <= o.target
	}
	return o.figure() >= o.target
}

func countMissed(all []outcome) int {
	n := 0
	for _, o := range all {
		if o.skipped == nil && !o.met() {
			n++
		}
	}
	return n
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// drain reads what is left, so that a process that writes does not wait for it.
func drain(r io.Reader) { _, _ = io.Copy(io.Discard, r) }
