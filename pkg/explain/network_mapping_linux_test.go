//go:build cgo

package explain_test

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// mapped tells whether a file is mapped into this process.
func mapped(t *testing.T, path string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(maps, []byte(path))
}

// TestAFileThatIsCutShortIsNotKept cuts a network's file short while it is learned, and while its gradient is made.
func TestAFileThatIsCutShortIsNotKept(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]int32{"while it is learned": 1, "before the gradient is made": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, families()[0].graph(12))
			s := differentiable(t, path)
			var opened atomic.Int32
			s.opener.about = func(*onnx.Graph) error {
				if opened.Add(1) == which {
					return os.Truncate(path, 0)
				}
				return nil
			}
			x := noise(t, 12, 1)
			if _, err := s.At(t.Context(), explain.Wanted{Output: "y"}, x); fault.Of(err) != fault.BadModel {
				t.Errorf("%v, want one about the file", err)
			}
			if which == 1 && mapped(t, path) { // what was learned before is kept
				t.Error("its file is still mapped")
			}
			if err := s.Differentiable(); err == nil || which == 1 && mapped(t, path) {
				t.Errorf("asked again: %v", err)
			}
			if err := s.Close(); err != nil || mapped(t, path) {
				t.Errorf("after the end: %v; its file is mapped: %v", err, mapped(t, path))
			}
		})
	}
}

// TestCloseLeavesNothing closes a network that is explained in every way, several times at once: whoever is in the middle
// gets a clear error, every graph is closed and no file stays mapped.
func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	path := file(t, families()[0].graph(13))
	s, w := differentiable(t, path), newWatched()
	var opened atomic.Int32
	s.opener.wrap = func(s engine.Session) engine.Session {
		opened.Add(1)
		return w.over(s)
	}
	x := noise(t, 13, 1)
	e := newExplainer(t, explain.Options{Session: s.session, Differentiate: s.At})
	var all sync.WaitGroup
	under := make(chan struct{}, 100)
	for _, method := range []string{"integrated_gradients", "grad_cam", "guided_backprop", "guided_grad_cam", "layer_integrated_gradients"} {
		all.Go(func() {
			for {
				_, err := e.Explain(t.Context(), explain.Question{Input: x, Params: explain.Params{Method: method, Steps: 3}})
				if err == nil {
					select {
					case under <- struct{}{}:
					default:
					}
					continue
				}
				if fault.Of(err) != fault.Unavailable {
					t.Errorf("%s: %v, want that the model is being unloaded", method, err)
				}
				return
			}
		})
	}
	for range 5 {
		<-under
	}
	for range 2 {
		all.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if opened.Load() != w.closed.Load() || mapped(t, path) {
		t.Errorf("%d graphs were opened and %d closed; the file is mapped: %v", opened.Load(), w.closed.Load(), mapped(t, path))
	}
	_, err := e.Explain(t.Context(), explain.Question{Input: tensor.Named{"x": x["x"]}, Params: explain.Params{Method: "saliency"}})
	if fault.Of(err) != fault.Unavailable || s.Memory() != 0 {
		t.Errorf("after the end: %v; %d bytes are kept", err, s.Memory())
	}
}
