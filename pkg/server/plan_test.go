package server_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// slowSession computes for a while, whatever it computes.
type slowSession struct {
	engine.Session

	run time.Duration
}

func (s slowSession) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	for start := time.Now(); time.Since(start) < s.run; { //nolint:revive // it is to keep the core busy
	}
	return s.Session.Run(ctx, in, want...)
}

// TestPlan loads a model on a machine of four cores in several ways and looks at how many threads its sessions were
// opened with, and at what it tells of that.
func TestPlan(t *testing.T) {
	t.Parallel()
	const long = 2 * time.Millisecond // whatever the number of rows: a batch costs what a row does
	tests := []struct {
		name             string
		run              time.Duration
		workers, threads int // of the server's options
		asked            *int
		opened           []int
		want             server.Plan
		why              string
	}{
		{"a worker a core", long, 0, 0, nil, []int{1}, server.Plan{Cores: 4, Threads: 1, Runs: 4}, "4 workers for 4 cores"},
		{"fewer workers than cores", long, 2, 0, nil, []int{2}, server.Plan{Cores: 4, Threads: 2, Runs: 2}, "2 workers for 4 cores"},
		{"more workers than cores", long, 9, 0, nil, []int{1}, server.Plan{Cores: 4, Threads: 1, Runs: 4}, "9 workers for 4 cores"},
		{"the registration's workers", long, 4, 0, new(1), []int{4}, server.Plan{Cores: 4, Threads: 4, Runs: 1}, "1 worker for 4 cores"},
		{"a run too short for threads", 0, 1, 0, nil, []int{4, 1}, server.Plan{Cores: 4, Threads: 1, Runs: 4}, "a run is too short to gain from a second thread"},
		{"threads that are set", 0, 1, 3, nil, []int{3}, server.Plan{Cores: 4, Threads: 3, Runs: 1}, "threads is set to 3"},
		{"too many threads", long, 1, 9, nil, []int{4}, server.Plan{Cores: 4, Threads: 4, Runs: 1}, "threads is set to 9, and there are 4 cores"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex // guards what follows
			var opened []int
			s := start(t, func(o *server.Options) {
				o.Cores, o.Workers, o.Threads, o.Models, o.Handler = 4, test.workers, test.threads, nil, "lists"
				o.Open = func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
					mu.Lock()
					defer mu.Unlock()
					opened = append(opened, opts.IntraOpThreads)
					session, err := openSums(ctx, net, opts)
					return slowSession{session, test.run}, err
				}
			})
			t.Cleanup(func() { stop(t, s) })
			out, err := s.Models().Register(t.Context(), model.Registration{URL: "one", Workers: test.asked, AtStartup: true})
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			if diff := cmp.Diff(test.opened, opened); diff != "" {
				t.Errorf("opened with threads (-want +got):\n%s", diff)
			}
			mu.Unlock()
			got := planOf(t, s, out.Ref)
			if got.Why != test.why {
				t.Errorf("why: %q, want %q", got.Why, test.why)
			}
			soon := got.Row*8 <= 50 // else, on a machine that is busy, no batch is measured
			if got.Row < float64(test.run.Milliseconds()) || test.run > 0 && soon && (got.Batch != 8 || got.BatchRow < float64(test.run.Milliseconds())/8) {
				t.Errorf("cost: %+v", got)
			}
			got.Row, got.Batch, got.BatchRow, got.Why = 0, 0, 0, ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// planOf reads the plan out of a model's description, as a client does.
func planOf(t *testing.T, s *server.Server, ref model.Ref) (plan server.Plan) {
	t.Helper()
	told, err := s.Models().Describe(t.Context(), ref, model.Description{Customized: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(told[0].Customized[server.PlanKey])
	if err == nil {
		err = json.Unmarshal(text, &plan)
	}
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return plan
}
