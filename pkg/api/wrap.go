package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Options are what wraps the requests of an API.
type Options struct {
	Log     *slog.Logger      // defects, once each; nil: none
	Access  *slog.Logger      // one line a request; nil: none
	Observe func(status int)  // told the status of every answer; nil: nobody looks
	Header  map[string]string // added to every answer: CORS
	MaxBody int64             // bytes; 0: no limit
}

// Wrap makes a handler of next: each answer has a fresh request ID and is not to be cached; an error becomes a body with
// its status, a panic a failure of this request alone; and one access line is written.
func Wrap(next HandlerFunc, opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, id := time.Now(), newID()
		r = r.WithContext(context.WithValue(r.Context(), idKey{}, id))
		out := &recorder{ResponseWriter: w}
		opts.prepare(out, id)
		if opts.MaxBody > 0 {
			r.Body = http.MaxBytesReader(w, r.Body, opts.MaxBody)
		}
		if err := call(next, out, r); err != nil {
			opts.fail(out, r, err, id)
		}
		if opts.Observe != nil {
			opts.Observe(out.status())
		}
		if opts.Access != nil {
			opts.Access.Info("access", "line", fmt.Sprintf("/%s %q %d %d", r.RemoteAddr, r.Method+" "+r.RequestURI+" "+r.Proto,
				out.status(), time.Since(start).Milliseconds()), "request", id)
		}
	})
}

// prepare sets the headers that every answer has.
func (o Options) prepare(w http.ResponseWriter, id string) {
	header := w.Header()
	header.Set("X-Request-Id", id)
	header.Set("Pragma", "no-cache")
	header.Set("Cache-Control", "no-cache; no-store, must-revalidate, private")
	header.Set("Expires", "Thu, 01 Jan 1970 00:00:00 UTC")
	for name, value := range o.Header {
		header.Set(name, value)
	}
}

// retryAfter is how many seconds an overloaded server asks its callers to wait.
const retryAfter = "1"

// fail writes an error as the answer, unless part of an answer has gone out.
func (o Options) fail(w *recorder, r *http.Request, err error, id string) {
	kind := fault.Of(err)
	if kind == fault.Internal {
		o.Log.Error("request failed", "request", id, "method", r.Method, "uri", r.RequestURI, "err", err)
	}
	if w.code != 0 {
		return
	}
	code, name := status(kind)
	if kind == fault.Unavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	_ = WriteJSON(w, code, body{Code: code, Type: name, Message: message(err, id)}) // strings and a number always encode
}

// call turns a panic into an error. [http.ErrAbortHandler] goes on, as net/http wants it.
func call(next HandlerFunc, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			err = fmt.Errorf("panic: %v: %w\n%s", cause, fault.Internal, debug.Stack())
		}
	}()
	return next(w, r)
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter

	code int
}

func (w *recorder) WriteHeader(code int) {
	if w.code == 0 && code >= http.StatusOK {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // it is the same writer to its caller
}

// Unwrap lets http.ResponseController reach what is wrapped.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

type idKey struct{}

// RequestID returns the ID that Wrap gave the request of ctx; "" for none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// newID returns a random UUID, version 4 of RFC 9562.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
