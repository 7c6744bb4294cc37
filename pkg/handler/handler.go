// Package handler says what makes a network a model: how raw inputs become tensors and tensors become answers. A
// [Handler] serves predictions and explanations alike; which of the two is asked travels in the request, never in the
// handler. The kinds of handler are packages below this one; package builtin lists them.
package handler

import (
	"context"
	"io/fs"
	"log/slog"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Handler is one model's pre- and postprocessing. It is immutable once built and safe for concurrent use;
// handlertest.TestHandler checks that. Its errors carry a fault.Kind: Invalid for an input that cannot be used.
type Handler interface {
	// Preprocess makes the network's inputs of one request, with the rows that it asks about along axis 0. It runs in the
	// caller's goroutine, before the request is queued.
	Preprocess(ctx context.Context, req *model.Request) (tensor.Named, error)
	// Inference computes the network's outputs for a whole batch, stacked along axis 0.
	Inference(ctx context.Context, in tensor.Named) (tensor.Named, error)
	// Postprocess makes the answer to one request from its own rows of the outputs.
	Postprocess(ctx context.Context, req *model.Request, out tensor.Named) (Answer, error)
	// Explain answers a request of ModeExplain from its own preprocessed inputs.
	Explain(ctx context.Context, req *model.Request, in tensor.Named) (Answer, error)
	// Describe returns what the handler tells of itself to whoever asks for a model's customized metadata; nil for nothing.
	Describe(ctx context.Context) (map[string]any, error)
}

// Exampler is a handler that knows an input which its network can run on: one row, as small as may be.
type Exampler interface {
	Example() (tensor.Named, error)
}

// Sampler is a handler that knows a request's inputs which it can answer, as a caller would send them.
type Sampler interface {
	Sample() []model.Input
}

// Recycler is a handler that uses the memory of inputs again. By being one it says that its Inference keeps nothing of the
// tensors that it is given, and returns nothing that shares their memory; neither does its Preprocess keep what it makes.
type Recycler interface {
	// Recycle takes back what Preprocess made of a request for a prediction. Its outputs have been computed, and nobody
	// else knows these inputs any more.
	Recycle(req *model.Request, in tensor.Named)
}

// Answer is what a handler answers to one request.
type Answer struct {
	Value       any               // encoded as JSON; a []byte goes out as it is
	ContentType string            // empty: application/json, or application/octet-stream for a []byte
	Header      map[string]string // added to the response
	Tensors     tensor.Named      // the same answer as tensors, for protocols that carry them; may be nil
}

// Object is a JSON object that keeps its order.
type Object []Member

// Member is one member of an [Object].
type Member struct {
	Key   string
	Value any
}

// Env is what a handler is built of. All of it outlives the handler.
type Env struct {
	Session   engine.Session     // the network; its runs are counted as predictions
	Explainer *explain.Explainer // over the same network; its runs are counted as explanations
	Files     fs.FS              // the model's directory
	Labels    []string           // in the order of the output; nil when the model has none
	Config    map[string]any     // the manifest's handler section, for [Configure]
	Guessed   bool               // no manifest: the handler chooses its settings from the signature, and says so in the log
	Log       *slog.Logger       // never nil
}

// Factory builds a handler. It returns fault.BadModel when the model's settings, labels or signature do not fit.
type Factory func(env Env) (Handler, error)

// Base is a handler without pre- and postprocessing, to be embedded: Inference runs the session, Explain asks the
// explainer, Describe says nothing. A handler that embeds it explains without a line of its own.
type Base struct{ Env Env }

// Inference runs the session.
func (b Base) Inference(ctx context.Context, in tensor.Named) (tensor.Named, error) {
	return b.Env.Session.Run(ctx, in)
}

// Explain asks the explainer and answers what [Explained] makes of it.
func (b Base) Explain(ctx context.Context, req *model.Request, in tensor.Named) (Answer, error) {
	params, err := explain.ParseParams(req.Params)
	if err != nil {
		return Answer{}, err
	}
	x, err := b.Env.Explainer.Explain(ctx, explain.Question{Input: in, Params: params, Progress: req.Progress})
	if err != nil {
		return Answer{}, err
	}
	return Explained(x, params)
}

// Describe returns nil.
func (b Base) Describe(context.Context) (map[string]any, error) { return nil, nil }
