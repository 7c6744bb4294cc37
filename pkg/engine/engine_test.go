package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestSignatureCheck(t *testing.T) {
	t.Parallel()
	signature := engine.Signature{Inputs: []engine.Value{
		{Name: "x", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1, Name: "batch"}, {Size: 2}}},
	}}
	floats, _ := tensor.Make(tensor.Float32, []int64{3, 2})
	wide, _ := tensor.Make(tensor.Float32, []int64{3, 4})
	ints, _ := tensor.Make(tensor.Int64, []int64{3, 2})
	flat, _ := tensor.Make(tensor.Float32, []int64{6})
	tests := map[string]struct {
		in   tensor.Named
		want string
	}{
		"fits":      {tensor.Named{"x": floats}, ""},
		"size":      {tensor.Named{"x": wide}, `input "x" is float32[3 4], the network takes x float32[batch,2]`},
		"type":      {tensor.Named{"x": ints}, `input "x" is int64[3 2]`},
		"rank":      {tensor.Named{"x": flat}, `input "x" is float32[6]`},
		"missing":   {tensor.Named{"y": floats}, `input "x" is missing`},
		"one extra": {tensor.Named{"x": floats, "y": floats}, `the network has no input "y"`},
	}
	for name, test := range tests {
		err := signature.Check(test.in)
		if (err == nil) != (test.want == "") || err != nil && (!errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: Check = %v, want %q", name, err, test.want)
		}
	}
}

func TestGateLetsEveryFourthExplanationIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := engine.NewGate(1)
		leave, err := gate.Enter(t.Context(), engine.Prediction, 1)
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan byte, 12)
		pass := func(class engine.Class, letter byte) {
			go func() {
				out, err := gate.Enter(context.Background(), class, 1)
				if err != nil {
					t.Error(err)
					return
				}
				order <- letter
				out()
			}()
			synctest.Wait()
		}
		for range 2 {
			pass(engine.Explanation, 'e')
		}
		for range 8 {
			pass(engine.Prediction, 'p')
		}
		leave()
		synctest.Wait()
		close(order)
		var got []byte
		for letter := range order {
			got = append(got, letter)
		}
		if string(got) != "pppepppepp" {
			t.Errorf("order = %s, want pppepppepp", got)
		}
	})
}

func TestGateForgetsWhoLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := engine.NewGate(1)
		leave, _ := gate.Enter(t.Context(), engine.Prediction, 1)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := gate.Enter(ctx, engine.Explanation, 1)
			failed <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("Enter = %v, want %v", err, context.Canceled)
		}
		leave()
		again, err := gate.Enter(t.Context(), engine.Prediction, 1)
		if err != nil {
			t.Fatalf("the permit is lost: %v", err)
		}
		again()
	})
}

// An explanation that gives up leaves its turn to nobody: the next one waits as long as any.
func TestGateCountsAnewForTheNextExplanation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := engine.NewGate(1)
		enter := func(ctx context.Context, class engine.Class) <-chan func() {
			inside := make(chan func(), 1)
			go func() {
				if leave, err := gate.Enter(ctx, class, 1); err == nil {
					inside <- leave
				}
			}()
			synctest.Wait()
			return inside
		}
		ctx, cancel := context.WithCancel(t.Context())
		last := enter(t.Context(), engine.Prediction)
		enter(ctx, engine.Explanation)
		for range 3 {
			next := enter(t.Context(), engine.Prediction)
			(<-last)()
			last = next
		}
		cancel()
		synctest.Wait()
		explanation, prediction := enter(t.Context(), engine.Explanation), enter(t.Context(), engine.Prediction)
		(<-last)()
		synctest.Wait()
		if len(prediction) != 1 || len(explanation) != 0 {
			t.Errorf("%d predictions and %d explanations were let in, want the prediction", len(prediction), len(explanation))
		}
		(<-prediction)()
		(<-explanation)()
	})
}

func TestGuardHoldsAPermit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := engine.NewGate(1)
		proceed := make(chan struct{})
		fake := enginetest.New(engine.Signature{}, func(tensor.Named) (tensor.Named, error) {
			<-proceed
			return tensor.Named{}, nil
		})
		run, entered := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := gate.Guard(fake, engine.Prediction, 1).Run(t.Context(), tensor.Named{})
			run <- err
		}()
		synctest.Wait()
		go func() {
			_, err := gate.Enter(t.Context(), engine.Prediction, 1)
			entered <- err
		}()
		synctest.Wait()
		if len(entered) != 0 {
			t.Error("a run holds no permit")
		}
		close(proceed)
		for _, err := range []error{<-run, <-entered} {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestFakeIsStrict(t *testing.T) {
	t.Parallel()
	fake := enginetest.New(engine.Signature{}, func(tensor.Named) (tensor.Named, error) { return tensor.Named{}, nil })
	if _, err := fake.Run(t.Context(), tensor.Named{}, "y"); !errors.Is(err, fault.Invalid) {
		t.Errorf("unknown output: %v", err)
	}
	if err := fake.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := fake.Run(t.Context(), tensor.Named{}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func TestGateCountsThreads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := engine.NewGate(4)
		enter := func(permits int) (in chan func()) {
			in = make(chan func(), 1)
			go func() {
				leave, err := gate.Enter(context.Background(), engine.Prediction, permits)
				if err != nil {
					t.Error(err)
				}
				in <- leave
			}()
			synctest.Wait()
			return in
		}
		three, whole, one := enter(3), enter(0), enter(1)
		if len(three) != 1 || len(whole) != 0 || len(one) != 0 {
			t.Errorf("with 3 of 4 permits held, %d whole and %d single runs got in: nobody overtakes", len(whole), len(one))
		}
		(<-three)()
		synctest.Wait()
		if len(whole) != 1 || len(one) != 0 {
			t.Errorf("%d whole and %d single runs are in, want the whole one alone", len(whole), len(one))
		}
		(<-whole)()
		synctest.Wait()
		if len(one) != 1 {
			t.Error("the single run waits on")
		}
		(<-one)()
	})
}
