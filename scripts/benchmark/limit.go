package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/bench"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// asLimit is the argument by which this program is told to be a limit: a process of its own, so that its memory can be
// compared too, which measures for as long as each line of its standard input says, and answers each with a line.
const asLimit = "limit"

// beLimit is that process. Its arguments are what it measures, and of what.
func beLimit(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	kinds := map[string]func(ctx context.Context, args []string) (func(d time.Duration) (float64, error), error){
		"find": findLoop, "session": sessionLoop, "pictures": pictureLoop, "pipeline": pipelineTime, "transform": transformTime,
	}
	if len(args) == 0 || kinds[args[0]] == nil {
		return fmt.Errorf("no such limit: %q", args)
	}
	measure, err := kinds[args[0]](ctx, args[1:])
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		v, err := measure(d)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, v); err != nil {
			return err
		}
	}
	return nil
}

func startEngine(ctx context.Context) (*ort.Runtime, error) {
	path, err := library.Find(ctx, library.Options{})
	if err != nil {
		return nil, err
	}
	return ort.Start(ctx, ort.Options{Library: path})
}

// noise makes rows of a network's only input, of a shape like 1,3,224,224: the first size is that of one request.
func noise(s engine.Session, shape string, requests int) (tensor.Named, error) {
	var sizes []int64
	count := int64(1)
	for text := range strings.SplitSeq(shape, ",") {
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		if len(sizes) == 0 {
			size *= int64(requests)
		}
		sizes, count = append(sizes, size), count*size
	}
	data, random := make([]float32, count), rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = float32(random.NormFloat64())
	}
	t, err := tensor.New(sizes, data)
	return tensor.Named{s.Signature().Inputs[0].Name: t}, err
}

// loopOf returns the bare loop over a network in one arrangement.
func loopOf(ctx context.Context, open engine.Opener, network, shape string, a bench.Arrangement) (bench.Loop, error) {
	s, err := open(ctx, engine.Network{Path: network}, engine.Options{IntraOpThreads: a.Threads})
	if err != nil {
		return bench.Loop{}, err
	}
	in, err := noise(s, shape, a.Batch)
	return bench.Loop{Workers: a.Workers, Threads: a.Threads, Requests: a.Batch, Run: func(ctx context.Context) error {
		_, err := s.Run(ctx, in)
		return err
	}}, err
}

// findLoop prints, once it is asked, the number of the arrangement in which a bare loop over a network is fastest. Arguments: the
// network, the shape of its input, the largest batch.
func findLoop(ctx context.Context, args []string) (func(d time.Duration) (float64, error), error) {
	r, err := startEngine(ctx)
	if err != nil {
		return nil, err
	}
	largest, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, err
	}
	return func(d time.Duration) (float64, error) {
		number, top := 0, 0.0
		for i, a := range arrangements(largest) {
			l, err := loopOf(ctx, r.Open, args[0], args[1], a)
			if err != nil {
				return 0, err
			}
			if err := l.Run(ctx); err != nil { // once for what the first run alone pays
				return 0, err
			}
			rate, err := l.Rate(ctx, d)
			if err != nil {
				return 0, err
			}
			if rate > top {
				number, top = i, rate
			}
		}
		return float64(number), nil
	}, nil
}

// arrangements are the ways that a bare loop may use the cores.
func arrangements(largest int) []bench.Arrangement {
	var all []bench.Arrangement
	workers, threads := bench.Arrangements(runtime.NumCPU())
	for i := range workers {
		for batch := 1; batch <= largest; batch *= 2 {
			all = append(all, bench.Arrangement{Workers: workers[i], Threads: threads[i], Batch: batch})
		}
	}
	return all
}

// sessionLoop is the bare loop over a network: rows a second. Arguments: the network, the shape of its input, the largest batch
// and the number of the arrangement.
func sessionLoop(ctx context.Context, args []string) (func(d time.Duration) (float64, error), error) {
	r, err := startEngine(ctx)
	if err != nil {
		return nil, err
	}
	largest, err1 := strconv.Atoi(args[2])
	number, err2 := strconv.Atoi(args[3])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	l, err := loopOf(ctx, r.Open, args[0], args[1], arrangements(largest)[number])
	if err != nil {
		return nil, err
	}
	return func(d time.Duration) (float64, error) { return l.Rate(ctx, d) }, nil
}

// pictureLoop is the bare loop that decodes, transforms and runs, one picture on each core: pictures a second. Arguments: the
// network and a picture.
func pictureLoop(ctx context.Context, args []string) (func(d time.Duration) (float64, error), error) {
	r, err := startEngine(ctx)
	if err != nil {
		return nil, err
	}
	s, err := r.Open(ctx, engine.Network{Path: args[0]}, engine.Options{IntraOpThreads: 1})
	if err != nil {
		return nil, err
	}
	transform, data, err := transformOf(args[1])
	if err != nil {
		return nil, err
	}
	name := s.Signature().Inputs[0].Name
	l := bench.Loop{Workers: runtime.NumCPU(), Threads: 1, Requests: 1, Run: func(ctx context.Context) error {
		t, err := transform.Tensor(ctx, data)
		if err != nil {
			return err
		}
		_, err = s.Run(ctx, tensor.Named{name: t})
		transform.Recycle(t) // as a served model's handler has it
		return err
	}}
	return func(d time.Duration) (float64, error) { return l.Rate(ctx, d) }, nil
}

func transformOf(picture string) (*vision.Transform, []byte, error) {
	data, err := os.ReadFile(picture)
	if err != nil {
		return nil, nil, err
	}
	transform, err := vision.New(vision.ImageNet())
	return transform, data, err
}

// transformTime is how long decoding, resizing, cropping and normalising a picture takes on one thread, in milliseconds.
// Argument: a picture.
func transformTime(ctx context.Context, args []string) (func(d time.Duration) (float64, error), error) {
	transform, data, err := transformOf(args[0])
	if err != nil {
		return nil, err
	}
	return func(d time.Duration) (float64, error) {
		return medianTime(d, func() error {
			t, err := transform.Tensor(ctx, data)
			if err == nil {
				transform.Recycle(t) // as a served model's handler has it
			}
			return err
		})
	}, nil
}

// medianTime is the median time of a call, in milliseconds.
func medianTime(d time.Duration, call func() error) (float64, error) {
	var times []float64
	for start := time.Now(); time.Since(start) < d; {
		before := time.Now()
		if err := call(); err != nil {
			return 0, err
		}
		times = append(times, float64(time.Since(before).Nanoseconds())/1e6)
	}
	return median(times), nil
}

// pipelineTime is the median time of a call of a model's pipeline, loaded as a server loads it, in milliseconds. Arguments:
// the model's directory and a file.
func pipelineTime(ctx context.Context, args []string) (func(d time.Duration) (float64, error), error) {
	r, err := startEngine(ctx)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(args[1])
	if err != nil {
		return nil, err
	}
	m, err := archive.Open(ctx, args[0], archive.Options{})
	if err != nil {
		return nil, err
	}
	p, err := pipeline.Load(ctx, m, pipeline.Options{
		Open: r.Open, Engine: engine.Options{IntraOpThreads: 1}, Handlers: builtin.Handlers(), Gate: engine.NewGate(runtime.NumCPU()),
	})
	if err != nil {
		return nil, err
	}
	req := &model.Request{Inputs: []model.Input{{Name: "body", Data: data}}}
	return func(d time.Duration) (float64, error) {
		return medianTime(d, func() error {
			_, err := p.Predict(ctx, p.Ref(), req)
			return err
		})
	}, nil
}
