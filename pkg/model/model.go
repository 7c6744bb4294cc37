// Package model is the vocabulary that the parts of tsgo share: how a model is named, what is asked of it, what it
// answers, and the contract that everything which answers keeps. It holds no logic of its own.
package model

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Ref names a model, or one version of it. An empty Version is the default one.
type Ref struct{ Name, Version string }

// String returns "name" or "name/version".
func (r Ref) String() string {
	if r.Version == "" {
		return r.Name
	}
	return r.Name + "/" + r.Version
}

// ParseRef reads "name" or "name/version". It returns [fault.Invalid] for anything that [Ref.Check] refuses.
func ParseRef(s string) (Ref, error) {
	name, version, versioned := strings.Cut(s, "/")
	ref := Ref{Name: name, Version: version}
	if versioned && version == "" {
		return Ref{}, fmt.Errorf("%w: model %q ends in a slash, want name or name/version", fault.Invalid, s)
	}
	return ref, ref.Check()
}

// word is what names and versions are made of: a superset of what TorchServe's archiver accepts, and no more than fits
// one segment of a path or of a URL.
var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$`)

// Check returns [fault.Invalid] when the name or the version could not stand in a path or a URL: 1 to 128 letters,
// digits, "_", ".", "+" and "-", of which the first is a letter, a digit or "_".
func (r Ref) Check() error {
	if !word.MatchString(r.Name) {
		return fmt.Errorf("%w: model name %q: want letters, digits, _ . + and -, at most 128", fault.Invalid, r.Name)
	}
	if r.Version != "" && !word.MatchString(r.Version) {
		return fmt.Errorf("%w: model version %q: want letters, digits, _ . + and -, at most 128", fault.Invalid, r.Version)
	}
	return nil
}

// Mode is what a request asks for.
type Mode uint8

// The modes.
const (
	ModePredict Mode = iota // the model's answer
	ModeExplain             // which parts of the input that answer rests on
)

// String returns "predict" or "explain".
func (m Mode) String() string {
	if m == ModeExplain {
		return "explain"
	}
	return "predict"
}

// Request is one question to one model. It is never modified once made.
type Request struct {
	ID     string              // unique, for logs and answers
	Mode   Mode                // decided by who makes the request, and kept nowhere else
	Inputs []Input             // in the order they came
	Params map[string]string   // target, method, steps, top_k ...: raw; explain.ParseParams and the handler alone read them
	Header map[string][]string // what a handler may see: never Authorization, explain or describe

	// Progress, where not nil, is told how far a long computation has come, from any goroutine, one call at a time. It
	// stays in the process: a client does not send it.
	Progress func(done, total int)
}

// Input is one part of a request: bytes, or a tensor where the protocol carries tensors.
type Input struct {
	Name        string         // "body" or "data" where the protocol gives none
	ContentType string         // a media type without parameters; empty where none was given
	Data        []byte         // not modified
	Tensor      *tensor.Tensor // in place of Data
}

// Response is the answer to one request.
type Response struct {
	ContentType string            // of Body
	Body        []byte            // encoded once, by the pipeline: the same bytes whichever way was asked
	Header      map[string]string // what the handler adds
	Tensors     tensor.Named      // the answer as tensors, where the handler has them
	Timing      Timing
}

// Timing tells how long each stage of a request took. A stage that did not happen is zero.
type Timing struct {
	Preprocess, Queue, Stack, Run, Postprocess time.Duration
	Batch                                      int // how many requests ran together
}

// Job is a request made ready to run: decoded, and checked. Only the pipeline that made it knows what is in it.
type Job interface{ Request() *Request }

// About is what is known of a model that is loaded.
type About struct {
	Inputs, Outputs []Value // the network's, in its order
	Memory          int64   // bytes that it takes at least
	Source          string  // the path of its archive; not told to callers
}

// Value is one input or output of a network.
type Value struct {
	Name  string
	DType tensor.DType // [tensor.Undefined] for what is not a tensor
	Shape []int64      // -1: of any length
}

// Result is what became of a job: exactly one field is set.
type Result struct {
	Response *Response
	Err      error
}

// Settings are what a model's manifest says of how it is to be served. Zero means that it does not say.
type Settings struct {
	BatchSize                                      int
	MaxBatchDelay, ResponseTimeout, StartupTimeout time.Duration
	MinWorkers, MaxWorkers, QueueSize              int
	MaxQueueDelay                                  time.Duration // a request that would wait longer is refused at once, and one that does when it has
	Runtime, Handler                               string
}

// Predictor answers requests. Every way to ask a model keeps it, so that a local answer, a served answer and a remote
// answer cannot drift apart; modeltest.TestPredictor checks what it promises. It is safe for concurrent use. It returns
// [fault.NoModel] and [fault.NoVersion] for a ref that is not there, [fault.Invalid] for an input that cannot be used, and
// promptly, with the context's error, when ctx ends.
type Predictor interface {
	Predict(ctx context.Context, ref Ref, req *Request) (*Response, error)
}

// OverloadError refuses a request at once that would have to wait for too long. It is a [fault.Unavailable].
type OverloadError struct {
	Waiting     int           // requests
	Wait, Limit time.Duration // expected, and allowed
}

// Error says how long the wait would be.
func (e *OverloadError) Error() string {
	return fmt.Sprintf("%v: %d requests wait, another one would for about %v, longer than the limit of %v: try again later",
		fault.Unavailable, e.Waiting, e.Wait.Round(10*time.Millisecond), e.Limit)
}

// Unwrap returns [fault.Unavailable].
func (e *OverloadError) Unwrap() error { return fault.Unavailable }

// RetryAfter returns how long it takes, at least, until the wait would be within the limit.
func (e *OverloadError) RetryAfter() time.Duration { return e.Wait - e.Limit }

// Why a request is refused at once. Each is a [fault.Unavailable].
var (
	ErrNoWorker  = fmt.Errorf("%w: no worker serves this model: give it one or more", fault.Unavailable)
	ErrQueueFull = fmt.Errorf("%w: the queue is full: try again later", fault.Unavailable)
	ErrClosed    = fmt.Errorf("%w: shutting down", fault.Unavailable)
)
