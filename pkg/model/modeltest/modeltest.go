// Package modeltest checks what every [model.Predictor] and every [model.Manager] promises, whichever way it answers.
package modeltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Subject is a predictor to check, one model that it serves, and how to tell its answers.
type Subject struct {
	Predictor model.Predictor
	Ref       model.Ref                 // a model in a version that is there
	Input     func(i int) []model.Input // good inputs, different for different i
	Bad       []model.Input             // inputs that the model must refuse
	Params    map[string]string         // for the explanations

	// Check returns an error when resp is not the answer in this mode to Input(i).
	Check func(i int, mode model.Mode, resp *model.Response) error
}

// TestPredictor checks that 200 requests at once, predictions and explanations mixed, are each answered in their own
// mode; that a bad input fails alone; that an unknown model or version is told apart; and that a cancelled caller returns.
func TestPredictor(t *testing.T, s Subject) {
	t.Helper()
	t.Run("mixed", s.mixed)
	t.Run("bad input", func(t *testing.T) {
		_, err := s.Predictor.Predict(t.Context(), s.Ref, s.request(-1, model.ModePredict))
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("Predict = %v, want %v", err, fault.Invalid)
		}
	})
	t.Run("unknown model", func(t *testing.T) {
		_, err := s.Predictor.Predict(t.Context(), model.Ref{Name: "no-such-model"}, s.request(0, model.ModePredict))
		if !errors.Is(err, fault.NoModel) {
			t.Errorf("Predict = %v, want %v", err, fault.NoModel)
		}
	})
	t.Run("unknown version", func(t *testing.T) {
		_, err := s.Predictor.Predict(t.Context(), model.Ref{Name: s.Ref.Name, Version: "0.0.none"}, s.request(0, model.ModePredict))
		if !errors.Is(err, fault.NoVersion) {
			t.Errorf("Predict = %v, want %v", err, fault.NoVersion)
		}
	})
	t.Run("default version", func(t *testing.T) {
		resp, err := s.Predictor.Predict(t.Context(), model.Ref{Name: s.Ref.Name}, s.request(1, model.ModePredict))
		if err == nil {
			err = s.Check(1, model.ModePredict, resp)
		}
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("cancelled", s.cancelled)
}

// mixed asks 200 times at once: every third request is an explanation, every seventh cannot be used.
func (s Subject) mixed(t *testing.T) {
	const requests = 200
	var group sync.WaitGroup
	for i := range requests {
		group.Go(func() {
			mode := model.ModePredict
			if i%3 == 0 {
				mode = model.ModeExplain
			}
			n := i
			if i%7 == 0 {
				n = -1
			}
			resp, err := s.Predictor.Predict(t.Context(), s.Ref, s.request(n, mode))
			switch {
			case n < 0:
				if !errors.Is(err, fault.Invalid) {
					t.Errorf("request %d: %v, want %v", i, err, fault.Invalid)
				}
				return
			case err == nil:
				err = s.Check(i, mode, resp)
			}
			if err != nil {
				t.Errorf("request %d (%v): %v", i, mode, err)
			}
		})
	}
	group.Wait()
}

// cancelled expects a caller whose context has ended to return soon, and the next one to be served.
func (s Subject) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan error, 1)
	go func() {
		_, err := s.Predictor.Predict(ctx, s.Ref, s.request(0, model.ModeExplain))
		done <- err
	}()
	select {
	case err := <-done:
		if fault.Of(err) != fault.Canceled {
			t.Errorf("Predict = %v, want %v", err, fault.Canceled)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a cancelled caller still waits after 10 s")
	}
	resp, err := s.Predictor.Predict(t.Context(), s.Ref, s.request(2, model.ModePredict))
	if err == nil {
		err = s.Check(2, model.ModePredict, resp)
	}
	if err != nil {
		t.Errorf("after a cancelled one: %v", err)
	}
}

// request makes the i-th request, a bad one when i is negative.
func (s Subject) request(i int, mode model.Mode) *model.Request {
	req := &model.Request{ID: fmt.Sprintf("modeltest-%d", i), Mode: mode, Inputs: s.Bad}
	if i >= 0 {
		req.Inputs = s.Input(i)
	}
	if mode == model.ModeExplain {
		req.Params = s.Params
	}
	return req
}
