package server_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
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
	<-time.After(s.run)
	return s.Session.Run(ctx, in, want...)
}

// TestPlan loads a model on a machine of four cores in several ways and looks at how many threads its sessions were
// opened with, and at what it tells of that.
func TestPlan(t *testing.T) {
	t.Parallel()
	const long, short = 2 * time.Millisecond, 10 * time.Microsecond // whatever the number of rows: a batch costs what a row does
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
		{"a run too short for threads", short, 1, 0, nil, []int{4, 1}, server.Plan{Cores: 4, Threads: 1, Runs: 4}, "a run is too short to gain from a second thread"},
		{"threads that are set", short, 1, 3, nil, []int{3}, server.Plan{Cores: 4, Threads: 3, Runs: 1}, "threads is set to 3"},
		{"too many threads", long, 1, 9, nil, []int{4}, server.Plan{Cores: 4, Threads: 4, Runs: 1}, "threads is set to 9, and there are 4 cores"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options(t)
			opts.Cores, opts.Workers, opts.Threads, opts.Models, opts.Handler = 4, test.workers, test.threads, nil, "lists"
			var opened []int
			opts.Open = func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
				opened = append(opened, opts.IntraOpThreads)
				session, err := openSums(ctx, net, opts)
				return slowSession{session, test.run}, err
			}
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			test.want.Why, test.want.Row, test.want.Batch, test.want.BatchRow = test.why, ms(test.run), 8, ms(test.run/8)
			synctest.Test(t, func(t *testing.T) {
				s, err := server.New(t.Context(), opts)
				if err != nil {
					t.Fatal(err)
				}
				defer stop(t, s)
				out, err := s.Models().Register(t.Context(), model.Registration{URL: "one", Workers: test.asked, AtStartup: true})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.opened, opened); diff != "" {
					t.Errorf("opened with threads (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.want, planOf(t, s, out.Ref)); diff != "" {
					t.Errorf("plan (-want +got):\n%s", diff)
				}
			})
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
