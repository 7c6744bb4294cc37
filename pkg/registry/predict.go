package registry

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tsgo/tsgo/pkg/batch"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/metric"
	"github.com/tsgo/tsgo/pkg/model"
)

// Predict answers a request. Besides what [model.Predictor] says, it returns [fault.Unavailable] at once, with
// [model.ErrNoWorker], [model.ErrQueueFull] or [model.ErrClosed], when the version cannot take it, and [fault.Timeout] when
// its batch ran for longer than the version's response timeout.
func (m *Models) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	start := time.Now()
	v, place, err := m.enter(ref, req.Mode)
	if v == nil {
		return nil, err
	}
	v.metrics.Asked(ref.Version != "")
	var resp *model.Response
	if err == nil {
		resp, err = m.answer(ctx, v, &place, req)
	}
	answer := metric.Answer{ID: req.ID, Mode: req.Mode, Versioned: ref.Version != "", Total: time.Since(start), Err: err}
	if resp != nil {
		answer.Timing = resp.Timing
	}
	v.metrics.Answered(answer)
	return resp, err
}

// Wrote is told how long it took to write an answer of a model's to its caller, for the metrics.
func (m *Models) Wrote(ref model.Ref, mode model.Mode, took time.Duration) {
	if v, err := m.table.Load().find(ref); err == nil {
		v.metrics.Wrote(mode, took)
	}
}

// enter takes a place at the version that ref names. It returns a version also when that has no place. Lanes that close
// were taken out of reach before, so who finds them closed looks again and finds what is there now.
func (m *Models) enter(ref model.Ref, mode model.Mode) (*served, batch.Place, error) {
	for {
		v, err := m.table.Load().find(ref)
		if err != nil {
			return nil, batch.Place{}, err
		}
		place, err := v.enter(mode)
		switch {
		case err == nil:
			return v, place, nil
		case !errors.Is(err, model.ErrClosed):
			return v, batch.Place{}, fmt.Errorf("model %s: %w", v.ref, err)
		}
	}
}

// answer prepares a request that has a place, and runs it.
func (m *Models) answer(ctx context.Context, v *served, place *batch.Place, req *model.Request) (*model.Response, error) {
	defer place.Leave() // where it was not used
	job, err := m.prepared(ctx, v, req)
	if err != nil {
		return nil, err
	}
	return place.Submit(ctx, job)
}

// prepared preprocesses a request as soon as not too many others are being preprocessed. A panic of the model's costs this
// request alone, and no place in the queue.
func (m *Models) prepared(ctx context.Context, v *served, req *model.Request) (job model.Job, err error) {
	select {
	case m.prepare <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("gave up before the request was prepared: %w", ctx.Err())
	}
	defer func() {
		<-m.prepare
		if cause := recover(); cause != nil {
			m.opts.Log.Error("model panicked", "model", v.ref.Name, "version", v.ref.Version, "cause", cause, "stack", string(debug.Stack()))
			err = fmt.Errorf("model %s panicked: %w: %v", v.ref, fault.Internal, cause)
		}
	}()
	return v.runner.Prepare(ctx, req)
}
