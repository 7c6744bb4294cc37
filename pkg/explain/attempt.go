package explain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// attempts are the ways to answer one request: the method it names, or the best one that works.
type attempts struct {
	opts     Options
	network  function
	rowBytes int64 // of a row at both ends of the network
}

func (e *Explainer) attempts(network function, rowBytes int64) attempts {
	return attempts{opts: e.opts, network: network, rowBytes: rowBytes}
}

// explain answers with the method that the request names, or returns its error. When it names none, that is the default
// one with a gradient, and one without where there is none.
func (a attempts) explain(ctx context.Context, req Request) (Explanation, error) {
	if name := req.Params.Method; name != "" {
		return a.named(ctx, name, req)
	}
	best, fallback := preferred(req)
	x, err := a.derive(ctx, best, req, "the default method")
	if errors.Is(err, fault.Unsupported) {
		best = fallback
		x, err = a.evaluate(ctx, fallback, req, because(err))
	}
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", best.name, err)
	}
	return x, nil
}

// named answers with the method of that name.
func (a attempts) named(ctx context.Context, name string, req Request) (x Explanation, err error) {
	m, err := byName(name)
	if err != nil {
		return Explanation{}, err
	}
	const why = "named in the request"
	if m.needs == needGradient {
		x, err = a.derive(ctx, m, req, why)
	} else {
		x, err = a.evaluate(ctx, m, req, why)
	}
	if err != nil {
		return Explanation{}, fmt.Errorf("%s: %w", name, err)
	}
	return x, nil
}

// preferred returns the default methods of a request, with a gradient and without.
func preferred(req Request) (best, fallback namedMethod) {
	integrated := namedMethod{integratedGradients, IntegratedGradients, needGradient}
	for name := range req.Baseline {
		if !attributable(req.Input[name].DType()) {
			return namedMethod{layerIntegratedGradients, LayerIntegratedGradients, needGradient}, namedMethod{leaveOneOut, LeaveOneOut, needScores}
		}
	}
	return integrated, namedMethod{occlusion, Occlusion, needScores}
}

// because says why a method without a gradient was taken.
func because(err error) string {
	return "the default method without a gradient: " + strings.ReplaceAll(err.Error(), fault.Unsupported.Error()+": ", "")
}

// derive runs a method, taken for that reason, on the network as a function that has a gradient.
func (a attempts) derive(ctx context.Context, m namedMethod, req Request, why string) (Explanation, error) {
	if a.opts.Differentiate == nil {
		return Explanation{}, fmt.Errorf("%w: no gradient is known for this network", fault.Unsupported)
	}
	scores, err := a.wanted(req.Params)
	if err != nil {
		return Explanation{}, err
	}
	began := time.Now()
	straight := req.Params.StraightThrough == "true"
	f, err := a.opts.Differentiate(ctx, Wanted{Output: a.network.output, Scores: scores, StraightThrough: straight}, req.Input)
	if err != nil {
		return Explanation{}, err
	}
	if o, ok := f.(Outputter); req.Params.Output == OutputLogits && a.opts.Output != OutputLogits && (!ok || o.Output() != OutputLogits) {
		return Explanation{}, a.lacks(OutputLogits)
	}
	took := time.Since(began).Milliseconds()
	bytes := a.rowBytes
	if s, ok := f.(Sizer); ok {
		bytes = max(bytes, s.RowBytes())
	}
	x, err := a.run(ctx, m, f, a.limited(req, bytes), why)
	if err != nil {
		return Explanation{}, err
	}
	x.Runtime.BuildMS += took
	x.Parameters.StraightThrough = straight
	if s, ok := f.(Approximator); ok && len(s.Approximated()) > 0 {
		x.Exact, x.Approximation = false, straightThrough
		x.Why += "; its gradient takes " + joined(s.Approximated()) + " for the identity"
	}
	return x, nil
}

// wanted returns which scores a gradient is wanted of. It returns [fault.Unsupported] when the network has others.
func (a attempts) wanted(p Params) (Scores, error) {
	switch {
	case p.Output == "" || p.Output == OutputLogits:
		return ScoresBest, nil
	case p.Output == a.opts.Output:
		return ScoresOutput, nil
	case p.Output == OutputProbabilities && a.opts.Probabilities != nil:
		return ScoresSoftmax, nil
	}
	return ScoresBest, a.lacks(p.Output)
}

// lacks is the refusal of scores that the network does not give.
func (a attempts) lacks(output string) error {
	return fmt.Errorf("%w: output %q: the network gives %s; leave output out", fault.Unsupported, short(output), a.network.scale)
}

// evaluate runs a method, taken for that reason, on the network's scores alone.
func (a attempts) evaluate(ctx context.Context, m namedMethod, req Request, why string) (Explanation, error) {
	f, err := a.scored(req.Params)
	if err != nil {
		return Explanation{}, err
	}
	return a.run(ctx, m, f, a.limited(req, a.rowBytes), why)
}

// scored returns the scores that p asks for. It returns [fault.Unsupported] when the network has others.
func (a attempts) scored(p Params) (function, error) {
	f := a.network
	switch {
	case p.Output == "" || p.Output == a.opts.Output:
		return f, nil
	case p.Output == OutputProbabilities && a.opts.Probabilities != nil:
		f.scale, f.convert = OutputProbabilities, a.opts.Probabilities
		return f, nil
	}
	return function{}, a.lacks(p.Output)
}

func (a attempts) run(ctx context.Context, m namedMethod, f Function, req Request, why string) (Explanation, error) {
	x, err := m.run(ctx, f, req)
	if err != nil {
		return Explanation{}, err
	}
	x.Method, x.Why, x.Target.Output = m.name, why, a.network.scale
	if o, ok := f.(Outputter); ok && o.Output() != "" {
		x.Target.Output = o.Output()
	}
	x.Warnings = append(x.Warnings, idle(m.name, req.Params)...)
	return x, nil
}

// limited returns req with as many rows at once as memory allows for rows of that many bytes.
func (a attempts) limited(req Request, rowBytes int64) Request {
	req.Rows = int(max(1, min(int64(a.opts.Rows), a.opts.Memory/max(1, rowBytes))))
	return req
}

// idle warns of parameters that were given and mean nothing to a method.
func idle(method string, p Params) []string {
	var warnings []string
	for _, parameter := range Table() {
		if parameter.Methods != nil && parameter.given(p) && !parameter.belongs(method, p) {
			warnings = append(warnings, fmt.Sprintf("%s means nothing to %s: it belongs to %s", parameter.Name, method, joined(parameter.Methods)))
		}
	}
	return warnings
}
