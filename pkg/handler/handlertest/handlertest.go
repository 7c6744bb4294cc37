// Package handlertest checks what every [handler.Handler] promises.
package handlertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/model"
)

// Case is a handler to check and what to ask it.
type Case struct {
	Handler handler.Handler
	Good    []model.Input     // inputs that it can use, each a request of its own; at least two with different answers
	Bad     []model.Input     // inputs that it must refuse with fault.Invalid or fault.TooLarge
	Params  map[string]string // for the explanations, to keep them quick
}

// TestHandler checks that the handler is safe for concurrent use, that an explanation changes nothing in what it
// predicts, and that it refuses bad inputs by kind.
func TestHandler(t *testing.T, c Case) {
	t.Helper()
	before := c.predictions(t)
	t.Run("concurrent", func(t *testing.T) { c.concurrent(t, before) })
	t.Run("after explanations", func(t *testing.T) {
		for i, got := range c.predictions(t) {
			if !bytes.Equal(got, before[i]) {
				t.Errorf("input %d: %s after explanations, %s before", i, got, before[i])
			}
		}
	})
	t.Run("different inputs", func(t *testing.T) {
		if len(before) < 2 || bytes.Equal(before[0], before[1]) {
			t.Errorf("want two inputs with different answers, got %s", before)
		}
	})
	for i, input := range c.Bad {
		t.Run(fmt.Sprintf("bad input %d", i), func(t *testing.T) {
			_, err := c.Handler.Preprocess(t.Context(), request(input, model.ModePredict, nil))
			if !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.TooLarge) {
				t.Errorf("Preprocess = %v, want %v or %v", err, fault.Invalid, fault.TooLarge)
			}
		})
	}
}

func (c Case) predictions(t *testing.T) [][]byte {
	t.Helper()
	answers := make([][]byte, len(c.Good))
	for i, input := range c.Good {
		answer, err := c.predict(t.Context(), input)
		if err != nil {
			t.Fatalf("predict input %d: %v", i, err)
		}
		answers[i] = answer
	}
	return answers
}

// concurrent calls every method from many goroutines at once.
func (c Case) concurrent(t *testing.T, want [][]byte) {
	t.Helper()
	const rounds = 8
	var group sync.WaitGroup
	for i, input := range c.Good {
		for range rounds {
			group.Go(func() {
				got, err := c.predict(t.Context(), input)
				if err != nil || !bytes.Equal(got, want[i]) {
					t.Errorf("input %d: %s, %v; alone it was %s", i, got, err, want[i])
				}
			})
			group.Go(func() {
				if _, err := c.Handler.Describe(t.Context()); err != nil {
					t.Errorf("Describe: %v", err)
				}
			})
		}
		group.Go(func() {
			if err := c.explain(t.Context(), input); err != nil {
				t.Errorf("explain input %d: %v", i, err)
			}
		})
	}
	group.Wait()
}

func (c Case) predict(ctx context.Context, input model.Input) ([]byte, error) {
	req := request(input, model.ModePredict, nil)
	in, err := c.Handler.Preprocess(ctx, req)
	if err != nil {
		return nil, err
	}
	out, err := c.Handler.Inference(ctx, in)
	if err != nil {
		return nil, err
	}
	if recycler, ok := c.Handler.(handler.Recycler); ok { // others use the memory from here on
		recycler.Recycle(req, in)
	}
	answer, err := c.Handler.Postprocess(ctx, req, out)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer.Value)
}

func (c Case) explain(ctx context.Context, input model.Input) error {
	req := request(input, model.ModeExplain, c.Params)
	in, err := c.Handler.Preprocess(ctx, req)
	if err != nil {
		return err
	}
	answer, err := c.Handler.Explain(ctx, req, in)
	if err == nil && answer.Value == nil {
		return errors.New("an explanation without a value")
	}
	return err
}

func request(input model.Input, mode model.Mode, params map[string]string) *model.Request {
	return &model.Request{ID: "handlertest", Mode: mode, Inputs: []model.Input{input}, Params: params}
}
