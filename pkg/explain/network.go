package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/gradient"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// What a network keeps when nothing says otherwise of what nobody uses.
const (
	keptMemory = 1 << 30 // bytes of derived graphs
	keptFacts  = 64      // of what takes next to nothing: what was learned of a shape, and refusals
)

// NetworkOptions describe a network that is to be differentiated.
type NetworkOptions struct {
	Path    string                                // its ONNX file
	Session engine.Session                        // the same, opened; runs any number of rows; stays the caller's
	Open    engine.Opener                         // opens the gradient's graph
	Engine  engine.Options                        // how that is run
	Guard   func(s engine.Session) engine.Session // holds the runs to their share of the cores; nil: nothing does
	Memory  int64                                 // bytes that the graphs which are derived, with their weights, may take before those that nobody uses go, but for the one used last; 0: 1 GiB
}

// Network is a network whose gradient can be asked for: a [Function] for each shape of its inputs, from [Network.At]. The
// graph of a gradient is made and opened when it is first asked for, once however many ask, and shared from then on. It is
// safe for concurrent use.
type Network struct {
	opts         NetworkOptions
	compactAbove int64
	keptFacts    int
	ctx          context.Context //nolint:containedctx // of the builds, which outlive the caller that began one
	cancel       context.CancelFunc
	busy         sync.WaitGroup // the uses of what is kept; the builds are among them. Nobody adds to it once closed is set

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
	if opts.Path == "" || opts.Session == nil || opts.Open == nil || opts.Memory < 0 {
		return nil, fmt.Errorf("%w: a network to differentiate takes a file, its session and an opener", fault.Invalid)
	}
	if opts.Guard == nil {
		opts.Guard = func(s engine.Session) engine.Session { return s }
	}
	if opts.Memory == 0 {
		opts.Memory = keptMemory
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Network{opts: opts, compactAbove: compactAbove, keptFacts: keptFacts, ctx: ctx, cancel: cancel, kept: map[string]*built{}}, nil
}

// Differentiable returns nil when the network's first output of floats can be differentiated by its inputs, or by the table
// that its tokens are looked up in; [fault.Unsupported], a [gradient.UnsupportedError] where an operator is the reason, when
// it cannot. It reads the file and runs nothing, so that what only shapes tell may still turn out later.
func (n *Network) Differentiable() error {
	_, err := n.Default()
	return err
}

// Default returns the method that explains the network when a request names none, and why that is one without a gradient:
// nil where it has one, else what [Network.Differentiable] returns.
func (n *Network) Default() (method string, why error) {
	signature := n.opts.Session.Signature()
	tokens := !slices.ContainsFunc(signature.Inputs, func(v engine.Value) bool { return attributable(v.DType) })
	why = onnx.Guard(func() error {
		g, file, err := onnx.Open(n.opts.Path)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // only read
		found, err := differentiates(g, signature)
		tokens = tokens || found
		return err
	})
	switch {
	case tokens && why != nil:
		return leaveOneOut, why
	case tokens:
		return layerIntegratedGradients, nil
	case why != nil:
		return occlusion, why
	}
	return integratedGradients, nil
}

// differentiates tells whether a graph that was read can be differentiated, and whether it looks tokens up.
func differentiates(g *onnx.Graph, signature engine.Signature) (tokens bool, err error) {
	if err := g.Normalize(); err != nil {
		return false, err
	}
	e, tokens := g.Embedding()
	output, ok := scoring(signature)
	if !ok {
		return tokens, fmt.Errorf("%w: none of its outputs holds floats", fault.Unsupported)
	}
	of, _ := g.Logits(output)
	l := &learned{graph: g, of: of, output: output}
	to := l.inputs(false)
	if tokens {
		to = []string{e.Output}
	}
	if len(to) == 0 {
		return tokens, l.unmoved(aim{})
	}
	return tokens, gradient.Supported(g, gradient.Options{Of: of, To: to})
}

// DefaultLayer returns the tensor that class activation maps are made of when a request names none, for inputs of row's
// shapes. It learns what a gradient for them takes too. It returns [fault.Unsupported] when there is none.
func (n *Network) DefaultLayer(ctx context.Context, row tensor.Named) (string, error) {
	output, ok := scoring(n.opts.Session.Signature())
	if !ok {
		return "", fmt.Errorf("%w: none of its outputs holds floats", fault.Unsupported)
	}
	return n.function(Wanted{Output: output}, row).inner(ctx, "", false)
}

// Memory returns about how many bytes the gradients that are kept take.
func (n *Network) Memory() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum int64
	for _, b := range n.kept {
		sum += b.bytes()
	}
	return sum
}

// Close ends the builds under way, waits for the runs, and gives the memory back. Explanations under way, with functions
// that [Network.At] returned, and whoever asks later get [fault.Unavailable]. Closing again does nothing.
func (n *Network) Close() error {
	n.cancel()
	n.mu.Lock()
	n.closed = true
	kept := n.kept
	n.kept = nil
	n.mu.Unlock()
	n.busy.Wait()
	var failed error
	for _, b := range kept {
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
		return nil, nil, unloaded()
	}
	n.clock++
	b, ok := n.kept[key]
	if !ok {
		b = &built{ready: make(chan struct{}), users: 1} // who makes it is one
		n.kept[key] = b
		n.busy.Add(1)
		go n.build(key, b, build)
	}
	n.busy.Add(1)
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
	defer n.release(b)
	b.err = onnx.Guard(func() (err error) {
		b.value, err = build(n.ctx)
		return err
	})
	if b.err != nil && n.ctx.Err() != nil { // nobody's context but the network's, which Close ended
		b.err = unloaded()
	}
	close(b.ready)
	if k := fault.Of(b.err); b.err == nil || k == fault.Unsupported || k == fault.Invalid || k == fault.BadModel {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept[key] == b {
		delete(n.kept, key)
	}
}

// unloaded is the refusal of a network that is closed.
func unloaded() error { return fmt.Errorf("%w: the model is being unloaded", fault.Unavailable) }

// bytes returns about what b takes: nothing while it is being made.
func (b *built) bytes() int64 {
	select {
	case <-b.ready:
		if b.err == nil {
			return b.value.bytes()
		}
	default:
	}
	return 0
}

// release says that a user is done with b, and gives up what has long not been used.
func (n *Network) release(b *built) {
	defer n.busy.Done()
	n.mu.Lock()
	b.users--
	idle := n.surplus()
	n.mu.Unlock()
	for _, b := range idle { // ready, or who makes it would use it
		if b.err == nil {
			_ = b.value.Close() // nobody uses it, and nobody can be told
		}
	}
}

// surplus takes away what nobody uses, the longest unused first, as long as there is too much: of graphs by what they take,
// but for the one used last; of what takes nothing by its number.
func (n *Network) surplus() (idle []*built) {
	type entry struct {
		key string
		*built
	}
	var graphs, facts []entry
	memory := int64(0)
	for key, b := range n.kept {
		if size := b.bytes(); size > 0 {
			graphs = append(graphs, entry{key, b})
			memory += size
		} else {
			facts = append(facts, entry{key, b})
		}
	}
	older := func(a, b entry) int { return cmp.Compare(a.used, b.used) }
	drop := func(e entry) {
		delete(n.kept, e.key)
		idle = append(idle, e.built)
	}
	slices.SortFunc(graphs, older)
	for _, e := range graphs[:max(0, len(graphs)-1)] {
		if memory > n.opts.Memory && e.users == 0 {
			memory -= e.bytes()
			drop(e)
		}
	}
	slices.SortFunc(facts, older)
	for i, e := range facts {
		if len(facts)-i > n.keptFacts && e.users == 0 {
			drop(e)
		}
	}
	return idle
}
