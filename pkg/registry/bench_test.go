package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/registry"
)

// noop is a runner that answers at once with the same response.
type noop struct {
	fake

	resp *model.Response
}

func (n *noop) Prepare(_ context.Context, req *model.Request) (model.Job, error) {
	return job{req}, nil
}

func (n *noop) Run(_ context.Context, jobs []model.Job, answer func(int, model.Result)) {
	for i := range jobs {
		resp := *n.resp
		answer(i, model.Result{Response: &resp})
	}
}

// BenchmarkPredict measures what the registry and the queue add to a request.
func BenchmarkPredict(b *testing.B) {
	for name, set := range map[string]*metric.Set{"bare": nil, "counted": metric.New(metric.Options{Hostname: "h"})} {
		m := start(b, registry.Options{
			Metrics: set,
			Load: func(_ context.Context, r model.Registration, found registry.Found) (registry.Runner, error) {
				n := &noop{resp: &model.Response{Body: []byte("x")}}
				_, err := give(r, found, &n.fake)
				return n, err
			},
		})
		ref := register(b, m, model.Registration{URL: "model", Workers: new(2), BatchSize: 8, MaxBatchDelay: time.Millisecond})
		req := ask(model.ModePredict, "x")
		b.Run(name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Predict(b.Context(), ref, req); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := m.Predict(b.Context(), ref, req); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
