package engine

import (
	"context"
	"slices"
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

// Gate shares the cores between the runs of a process. It has a permit for each core; a run holds as many as it has
// threads. While both classes wait, predictions go first, and every fourth to pass is an explanation. It is safe for
// concurrent use.
type Gate struct {
	permits int

	mu      sync.Mutex // guards what follows
	free    int
	passed  int // predictions let in since an explanation passed
	waiting [2][]*turn
}

// turn is one who waits.
type turn struct {
	permits int
	come    chan struct{} // closed when the permits are held
}

// NewGate returns a gate with the given number of permits, at least one.
func NewGate(permits int) *Gate {
	permits = max(1, permits)
	return &Gate{permits: permits, free: permits}
}

// Enter waits for permits: all that there are where it is 0 or too many. It returns the function that gives them back, to
// be called once, or the context's error. A nil gate lets everyone in at once.
func (g *Gate) Enter(ctx context.Context, class Class, permits int) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if g == nil {
		return func() {}, nil
	}
	if permits <= 0 || permits > g.permits {
		permits = g.permits
	}
	g.mu.Lock()
	if g.free >= permits && len(g.waiting[Prediction])+len(g.waiting[Explanation]) == 0 {
		g.free -= permits
		g.mu.Unlock()
		return func() { g.leave(permits) }, nil
	}
	t := &turn{permits, make(chan struct{})}
	g.waiting[class] = append(g.waiting[class], t)
	g.letIn()
	g.mu.Unlock()
	select {
	case <-t.come:
		return func() { g.leave(permits) }, nil
	case <-ctx.Done():
		g.forget(class, t)
		return nil, ctx.Err()
	}
}

func (g *Gate) leave(permits int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free += permits
	g.letIn()
}

// letIn lets those in whose turn it is, as long as there are permits for them. The caller holds the lock. Nobody
// overtakes who waits for more permits than are free: it would never get them.
func (g *Gate) letIn() {
	for {
		class, some := g.next()
		if !some || g.waiting[class][0].permits > g.free {
			return
		}
		t := g.waiting[class][0]
		g.waiting[class] = g.waiting[class][1:]
		switch {
		case class == Explanation:
			g.passed = 0
		case len(g.waiting[Explanation]) > 0:
			g.passed++
		}
		g.free -= t.permits
		close(t.come)
	}
}

// next tells whose turn it is.
func (g *Gate) next() (class Class, some bool) {
	predictions, explanations := len(g.waiting[Prediction]), len(g.waiting[Explanation])
	if explanations > 0 && (predictions == 0 || g.passed >= fairShare) {
		return Explanation, true
	}
	return Prediction, predictions > 0
}

// forget takes t out of the queue, or, when its permits came meanwhile, gives them back.
func (g *Gate) forget(class Class, t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting[class], t); i >= 0 {
		g.waiting[class] = slices.Delete(g.waiting[class], i, i+1)
		if len(g.waiting[Explanation]) == 0 {
			g.passed = 0
		}
	} else {
		g.free += t.permits
	}
	g.letIn()
}

// Guard returns a session whose runs hold so many permits of g each: their threads; 0: all.
func (g *Gate) Guard(s Session, class Class, permits int) Session {
	return guarded{s, g, class, permits}
}

type guarded struct {
	Session

	gate    *Gate
	class   Class
	permits int
}

func (s guarded) Run(ctx context.Context, in tensor.Named, want ...string) (tensor.Named, error) {
	leave, err := s.gate.Enter(ctx, s.class, s.permits)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.Session.Run(ctx, in, want...)
}
