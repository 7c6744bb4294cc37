package bench

import (
	"context"
	"errors"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tsgo/tsgo/pkg/fault"
)

// The range in which times are told apart, to three digits. What takes longer counts as the longest.
const (
	shortest = time.Microsecond
	longest  = time.Hour
)

// Result is what a run measured.
type Result struct {
	Concurrency int           // callers of a closed loop
	Rate        float64       // requests a second of an open loop
	AtOnce      int           // callers that an open loop came to need
	Elapsed     time.Duration // what was measured of it
	Interrupted bool          // it ended early

	Answered   int                // requests that were answered
	Refused    int                // requests that were turned away, because there were too many
	Unanswered int                // requests that were given up at the end; of a closed loop, one for each caller at most
	Failures   map[string]Failure // all others, by kind of failure

	times *hdrhistogram.Histogram // nanoseconds, of those answered, and of those given up until then
}

// Failure is how often requests failed in one way.
type Failure struct {
	Count int
	First string // what the first one said
}

func newResult(opts Options) *Result {
	return &Result{
		Concurrency: opts.Concurrency, Rate: opts.Rate, Failures: map[string]Failure{},
		times: hdrhistogram.New(int64(shortest), int64(longest), 3),
	}
}

// add counts a request that took so long, and tells whether it was answered. An error of one that was given up says nothing.
func (r *Result) add(took time.Duration, err error, givenUp bool) (answered bool) {
	switch {
	case err == nil:
		r.Answered++
	case errors.Is(err, ErrRefused):
		r.Refused++
		return false
	case givenUp && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		r.Unanswered++
	default:
		kind := fault.Of(err).Error()
		f := r.Failures[kind]
		if f.Count++; f.Count == 1 {
			f.First = err.Error()
		}
		r.Failures[kind] = f
		return false
	}
	_ = r.times.RecordValue(int64(min(max(took, shortest), longest))) // which is in its range
	return err == nil
}

// Failed returns how many requests failed, those refused or given up not included.
func (r *Result) Failed() int {
	n := 0
	for _, f := range r.Failures {
		n += f.Count
	}
	return n
}

// Throughput returns the answers a second; 0 where nothing was measured.
func (r *Result) Throughput() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

// Quantile returns how long the share q of the answers took at most, of the requests that were given up how long they had
// waited until then; 0 where there are none.
func (r *Result) Quantile(q float64) time.Duration {
	if r.times.TotalCount() == 0 {
		return 0
	}
	return min(time.Duration(r.times.ValueAtQuantile(100*q)), r.Max())
}

// Mean returns the mean time of the answers; 0 where there are none.
func (r *Result) Mean() time.Duration {
	if r.times.TotalCount() == 0 {
		return 0
	}
	return time.Duration(r.times.Mean())
}

// Max returns how long the slowest answer took; 0 where there is none.
func (r *Result) Max() time.Duration { return time.Duration(r.times.Max()) }

// Point is a point of the distribution of times.
type Point struct {
	Quantile float64
	Latency  time.Duration
}

// Distribution returns the quantiles up to the slowest answer, ever closer to 1: each half of what is left in five steps.
func (r *Result) Distribution() []Point {
	var points []Point
	for _, b := range r.times.CumulativeDistributionWithTicks(5) {
		points = append(points, Point{b.Quantile / 100, min(time.Duration(b.ValueAt), r.Max())})
	}
	return points
}
