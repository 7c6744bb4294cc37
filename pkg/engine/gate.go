package engine

import (
	"context"
	"sync"

	"github.com/tsgo/tsgo/pkg/tensor"
)

// Class says who waits at a [Gate].
type Class uint8

// The classes.
const (
	Prediction  Class = iota // goes first
	Explanation              // a chunk of one: at least every fourth to pass
)

// fairShare is how many predictions may pass a waiting explanation.
const fairShare = 3

// Gate shares the cores between the runs of a process. It has a number of permits; every run holds one. While both
// classes wait, predictions go first, and every fourth permit is an explanation's. It is safe for concurrent use.
type Gate struct {
	mu      sync.Mutex // guards what follows
	free    int
	passed  int // predictions let in since an explanation began to wait
	waiting [2][]chan struct{}
}

// NewGate returns a gate with the given number of permits, at least one.
func NewGate(permits int) *Gate { return &Gate{free: max(1, permits)} }

// Enter waits for a permit. It returns the function that gives it back, to be called once, or the context's error. A nil
// gate lets everyone in at once.
func (g *Gate) Enter(ctx context.Context, class Class) (leave func(), err error) {
	if g == nil {
		return func() {}, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return g.leave, nil
	}
	turn := make(chan struct{})
	g.waiting[class] = append(g.waiting[class], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return g.leave, nil
	case <-ctx.Done():
		g.forget(class, turn)
		return nil, ctx.Err()
	}
}

// leave hands the permit to whoever's turn it is.
func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passOn()
}

func (g *Gate) passOn() {
	predictions, explanations := len(g.waiting[Prediction]), len(g.waiting[Explanation])
	class := Prediction
	switch {
	case predictions == 0 && explanations == 0:
		g.free++
		return
	case explanations > 0 && (predictions == 0 || g.passed >= fairShare):
		class = Explanation
		g.passed = 0
	case explanations > 0:
		g.passed++
	}
	turn := g.waiting[class][0]
	g.waiting[class] = g.waiting[class][1:]
	close(turn)
}

// forget takes turn out of the queue, or, when its permit came meanwhile, passes that on.
func (g *Gate) forget(class Class, turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting[class] {
		if other == turn {
			g.waiting[class] = append(g.waiting[class][:i:i], g.waiting[class][i+1:]...)
			return
		}
	}
	g.passOn()
}

// Guard returns a session whose runs hold a permit of g each.
func (g *Gate) Guard(s Session, class Class) Session { return guarded{s, g, class} }

type guarded struct {
	Session
	gate  *Gate
	class Class
}

func (s guarded) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	leave, err := s.gate.Enter(ctx, s.class)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.Session.Run(ctx, in, want...)
}
