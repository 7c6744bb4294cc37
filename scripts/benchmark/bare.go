package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// engines is ONNX Runtime in this process, for the bare loops.
type engines struct{ runtime *ort.Runtime }

func startEngine(ctx context.Context) (*engines, error) {
	path, err := library.Find(ctx, library.Options{})
	if err != nil {
		return nil, err
	}
	r, err := ort.Start(ctx, ort.Options{Library: path})
	return &engines{r}, err
}

func network(name string) string { return filepath.Join("models", name, name+".onnx") }

// loop is a bare loop: run is called by so many goroutines at once, and gets through so many rows a call.
type loop struct {
	workers int
	rows    int
	run     func() error
}

// rate returns the rows a second that the loop gets through in d.
func (l loop) rate(d time.Duration) (float64, error) {
	var done atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, l.workers)
	start := time.Now()
	for range l.workers {
		group.Go(func() {
			for time.Since(start) < d {
				if err := l.run(); err != nil {
					failed <- err
					return
				}
				done.Add(int64(l.rows))
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(done.Load()) / time.Since(start).Seconds(), nil
	}
}

// best returns the measurement of the fastest of several loops.
func best(loops []loop) (func(d time.Duration) (float64, error), error) {
	fastest, top := loops[0], 0.0
	for _, l := range loops {
		rate, err := l.rate(time.Second)
		if err != nil {
			return nil, err
		}
		if rate > top {
			fastest, top = l, rate
		}
	}
	return fastest.rate, nil
}

// arrangements are the ways to use the cores: one run on all of them, or one on each.
func arrangements() []int { return slices.Compact([]int{1, runtime.GOMAXPROCS(0)}) }

// picturesPerSecond returns the bare loop that decodes, transforms and runs, however the cores serve it best.
func (e *engines) picturesPerSecond(ctx context.Context, file string) (func(d time.Duration) (float64, error), error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	transform, err := vision.New(vision.Options{
		Size: vision.Square(224), Resize: 256, Interpolation: vision.Bicubic, Scale: 1,
		Mean: []float32{127, 127, 127}, Std: []float32{128, 128, 128},
	})
	if err != nil {
		return nil, err
	}
	var loops []loop
	for _, workers := range arrangements() {
		session, err := e.session(ctx, "efficientnet-lite0", runtime.GOMAXPROCS(0)/workers)
		if err != nil {
			return nil, err
		}
		loops = append(loops, loop{workers, 1, func() error {
			t, err := transform.Tensor(ctx, data)
			if err != nil {
				return err
			}
			_, err = session.Run(ctx, tensor.Named{"input": t})
			return err
		}})
	}
	return best(loops)
}

// bestTensorsPerSecond returns the bare loop over mnist's session at the batch and the arrangement that serve it best.
func (e *engines) bestTensorsPerSecond(ctx context.Context) (func(d time.Duration) (float64, error), error) {
	var loops []loop
	for _, workers := range arrangements() {
		session, err := e.session(ctx, "mnist", runtime.GOMAXPROCS(0)/workers)
		if err != nil {
			return nil, err
		}
		for rows := 1; rows <= 64; rows *= 4 {
			t, err := tensor.Make(tensor.Float32, []int64{int64(rows), 1, 28, 28})
			if err != nil {
				return nil, err
			}
			loops = append(loops, loop{workers, rows, func() error {
				_, err := session.Run(ctx, tensor.Named{"input": t})
				return err
			}})
		}
	}
	return best(loops)
}

func (e *engines) session(ctx context.Context, name string, threads int) (engine.Session, error) {
	return e.runtime.Open(ctx, engine.Network{Path: network(name)}, engine.Options{IntraOpThreads: threads})
}

// p50 returns the measurement of the median time in milliseconds of the pipeline called in this process, loaded as the
// server loads it.
func (e *engines) p50(ctx context.Context, name, file string) (func(d time.Duration) (float64, error), error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := archive.Open(ctx, filepath.Join("models", name), archive.Options{})
	if err != nil {
		return nil, err
	}
	p, err := pipeline.Load(ctx, m, pipeline.Options{
		Open: e.runtime.Open, Engine: engine.Options{IntraOpThreads: 1}, Handlers: builtin.Handlers(),
		Gate: engine.NewGate(runtime.GOMAXPROCS(0)),
	})
	if err != nil {
		return nil, err
	}
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: data}}}
	return func(d time.Duration) (float64, error) {
		var times []float64
		for start := time.Now(); time.Since(start) < d; {
			before := time.Now()
			if _, err := p.Predict(ctx, p.Ref(), req); err != nil {
				return 0, fmt.Errorf("in process: %w", err)
			}
			times = append(times, float64(time.Since(before).Nanoseconds())/1e6)
		}
		return median(times), nil
	}, nil
}
