package explain

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
)

// keptGradients is how many gradients a network keeps when nothing says otherwise.
const keptGradients = 6

// NetworkOptions describe a network that is to be differentiated.
type NetworkOptions struct {
	Path    string                                // its ONNX file
	Session engine.Session                        // the same, opened; runs any number of rows; stays the caller's
	Open    engine.Opener                         // opens the gradient's graph
	Engine  engine.Options                        // how that is run
	Guard   func(s engine.Session) engine.Session // holds the runs to their share of the cores; nil: nothing does
	Keep    int                                   // at most so many gradients are kept: there is one for each shape of the inputs; 0: 6
}

// Network is a network whose gradient can be asked for: a [Function] for each shape of its inputs, from [Network.At]. The
// graph of a gradient is made and opened when it is first asked for, once however many ask, and shared from then on. It is
// safe for concurrent use.
type Network struct {
	opts         NetworkOptions
	compactAbove int64
	ctx          context.Context //nolint:containedctx // of the builds, which outlive the caller that began one
	cancel       context.CancelFunc
	builds       sync.WaitGroup

	mu     sync.Mutex // guards what follows
	kept   map[string]*built
	clock  int64
	closed bool
}

// built is one thing that is made once and shared: what was learned for a shape, or an opened graph.
type built struct {
	ready chan struct{} // closed when value and err are set
	value resource
	err   error
	users int   // guarded by the network's lock
	used  int64 // the network's clock when it was last asked for
}

// resource is something that takes memory until it is closed.
type resource interface {
	Close() error
	bytes() int64
}

// NewNetwork returns a network. It reads nothing yet. It returns [fault.Invalid] for options that cannot be used.
func NewNetwork(opts NetworkOptions) (*Network, error) {
	if opts.Path == "" || opts.Session == nil || opts.Open == nil || opts.Keep < 0 {
		return nil, fmt.Errorf("%w: a network to differentiate takes a file, its session and an opener", fault.Invalid)
	}
	if opts.Guard == nil {
		opts.Guard = func(s engine.Session) engine.Session { return s }
	}
	if opts.Keep == 0 {
		opts.Keep = keptGradients
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Network{opts: opts, compactAbove: compactAbove, ctx: ctx, cancel: cancel, kept: map[string]*built{}}, nil
}

// Differentiable returns nil when the network's first output of floats can be differentiated by its inputs, or by the table
// that its tokens are looked up in; [fault.Unsupported], a [gradient.UnsupportedError] where an operator is the reason, when
// it cannot. It reads the file and runs nothing, so that what only shapes tell may still turn out later.
func (n *Network) Differentiable() error {
	return onnx.Guard(func() error {
		g, file, err := onnx.Open(n.opts.Path)
		if err != nil {
			return err
		}
		err = differentiates(g, n.opts.Session.Signature())
		return errors.Join(err, file.Close())
	})
}

// differentiates tells whether a graph that was read can be differentiated.
func differentiates(g *onnx.Graph, signature engine.Signature) error {
	if err := g.Normalize(); err != nil {
		return err
	}
	output, ok := scoring(signature)
	if !ok {
		return fmt.Errorf("%w: none of its outputs holds floats", fault.Unsupported)
	}
	of, _ := g.Logits(output)
	l := &learned{graph: g, of: of}
	to := l.inputs()
	if e, ok := g.Embedding(); ok && len(to) == 0 {
		to = []string{e.Output}
	}
	if len(to) == 0 {
		return fmt.Errorf("%w: no input of floats leads to output %q", fault.Unsupported, output)
	}
	return gradient.Supported(g, gradient.Options{Of: of, To: to})
}

// Memory returns about how many bytes the gradients that are kept take.
func (n *Network) Memory() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum int64
	for _, b := range n.kept {
		select {
		case <-b.ready:
			if b.err == nil {
				sum += b.value.bytes()
			}
		default:
		}
	}
	return sum
}

// Close ends the builds under way, waits for the runs, and gives the memory back. Whoever asks later gets
// [fault.Unavailable]. Closing again does nothing.
func (n *Network) Close() error {
	n.cancel()
	n.mu.Lock()
	n.closed = true
	kept := n.kept
	n.kept = nil
	n.mu.Unlock()
	n.builds.Wait()
	var failed error
	for _, b := range kept {
		<-b.ready
		if b.err == nil {
			failed = errors.Join(failed, b.value.Close())
		}
	}
	return failed
}

// share returns what build makes under a key, and the function that says that the caller is done with it. The first caller
// has it made; all wait for that, each under its own context, and whoever gives up does not stop it.
func (n *Network) share(ctx context.Context, key string, build func(ctx context.Context) (resource, error)) (resource, func(), error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, nil, fmt.Errorf("%w: the model is being unloaded", fault.Unavailable)
	}
	n.clock++
	b, ok := n.kept[key]
	if !ok {
		b = &built{ready: make(chan struct{}), users: 1} // who makes it is one
		n.kept[key] = b
		n.builds.Go(func() { n.build(key, b, build) })
	}
	b.users++
	b.used = n.clock
	n.mu.Unlock()
	release := sync.OnceFunc(func() { n.release(b) })
	select {
	case <-b.ready:
	case <-ctx.Done():
		release()
		return nil, nil, ctx.Err()
	}
	if b.err != nil {
		release()
		return nil, nil, b.err
	}
	return b.value, release, nil
}

// build makes b. What cannot be made by its nature is remembered; other failures are tried again by who asks next.
func (n *Network) build(key string, b *built, build func(ctx context.Context) (resource, error)) {
	b.err = onnx.Guard(func() (err error) {
		b.value, err = build(n.ctx)
		return err
	})
	close(b.ready)
	defer n.release(b)
	if k := fault.Of(b.err); b.err == nil || k == fault.Unsupported || k == fault.Invalid || k == fault.BadModel {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept[key] == b {
		delete(n.kept, key)
	}
}

// release says that a user is done with b, and gives up what has long not been used.
func (n *Network) release(b *built) {
	n.mu.Lock()
	b.users--
	var idle []*built
	for len(n.kept) > n.opts.Keep {
		key, oldest := "", (*built)(nil)
		for k, other := range n.kept {
			if other.users == 0 && (oldest == nil || other.used < oldest.used) {
				key, oldest = k, other
			}
		}
		if oldest == nil {
			break
		}
		delete(n.kept, key)
		idle = append(idle, oldest)
	}
	n.mu.Unlock()
	for _, b := range idle { // ready, or who makes it would use it
		if b.err == nil {
			_ = b.value.Close() // nobody uses it, and nobody can be told
		}
	}
}
