package api

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Options are what wraps the requests of an API.
type Options struct {
	Log     *slog.Logger      // defects, once each; nil: none
	Access  *slog.Logger      // one line a request; nil: none
	Observe func(status int)  // told the status of every answer; nil: nobody looks
	Header  map[string]string // added to every answer that does not set them itself: CORS; an empty value adds nothing
	MaxBody int64             // bytes, as they come and as they are when they are no longer compressed; 0: no limit
	Guard   *Guard            // who may ask; nil: everybody

	Failure func(message string) any // how a failure stands in the body; nil: as in TorchServe's
}

// Wrap makes a handler of next: each answer has a fresh request ID and is not to be cached; a caller without the key and a
// body over the limit are refused, in this order; an error becomes a body with its status, a panic a failure of this request
// alone; and one access line is written. An answer that fails after a part of it has gone out ends the connection, so that
// nobody takes it for a whole.
func Wrap(next HandlerFunc, opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	h := &wrapped{next: next, Options: opts, header: map[string][]string{
		"Pragma":        {"no-cache"},
		"Cache-Control": {"no-cache; no-store, must-revalidate, private"},
		"Expires":       {"Thu, 01 Jan 1970 00:00:00 UTC"},
	}}
	for name, value := range opts.Header {
		if value != "" {
			h.header[http.CanonicalHeaderKey(name)] = []string{value}
		}
	}
	return h
}

type wrapped struct {
	Options

	next   HandlerFunc
	header map[string][]string // what every answer has; shared by all, so a value is replaced and never written to
}

// ServeHTTP answers one request.
func (h *wrapped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := WithRequestID(r.Context())
	r = r.WithContext(ctx)
	out := &recorder{ResponseWriter: w}
	defer h.finish(out, r)
	header := out.Header()
	for name, values := range h.header {
		header[name] = values
	}
	header["X-Request-Id"] = []string{RequestID(ctx)}
	if err := h.answer(out, r); err != nil {
		h.fail(out, r, err)
	}
}

// answer calls next, with a limited body.
func (h *wrapped) answer(w *recorder, r *http.Request) error {
	if h.preflight(w, r) {
		return nil
	}
	if err := h.Guard.Request(r); err != nil {
		return err
	}
	if h.MaxBody > 0 {
		if r.ContentLength > h.MaxBody {
			return fmt.Errorf("%w: the body has %d bytes, at most %d are taken", fault.TooLarge, r.ContentLength, h.MaxBody)
		}
		r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, h.MaxBody)
	}
	uncoded(r, h.MaxBody)
	return call(h.next, w, r)
}

// finish tells of a request that is over, however it ended.
func (h *wrapped) finish(w *recorder, r *http.Request) {
	if h.Observe != nil {
		h.Observe(w.status())
	}
	if ctx := r.Context(); h.Access != nil && h.Access.Enabled(ctx, slog.LevelInfo) {
		h.Access.LogAttrs(ctx, slog.LevelInfo, "access",
			slog.String("line", accessLine(r, w.status(), Elapsed(ctx))), slog.String("request", RequestID(ctx)))
	}
}

// accessLine is TorchServe's: the caller, the request's first line, the status, the milliseconds.
func accessLine(r *http.Request, status int, took time.Duration) string {
	return fmt.Sprintf("/%s %s %d %d", callerOf(r), strconv.Quote(r.Method+" "+discreet(r.RequestURI)+" "+r.Proto), status, took.Milliseconds())
}

// callerOf returns the address of a caller. Who comes by a Unix socket has none, and is of this machine.
func callerOf(r *http.Request) string {
	if r.RemoteAddr == "" || r.RemoteAddr == "@" {
		return "127.0.0.1"
	}
	return r.RemoteAddr
}

// What a URL in a query may hold that is nobody else's: a password before its host, and a signature behind its path. Its
// characters may be escaped.
var (
	credentials = regexp.MustCompile(`(?i)((?::|%3a)(?:/|%2f){2})[^&;\s]*(?:@|%40)`)
	signature   = regexp.MustCompile(`(?i)((?::|%3a)(?:/|%2f){2}[^&;\s]*?(?:\?|%3f))[^&;\s]+`)
)

// discreet returns a request's target as it may be logged.
func discreet(target string) string {
	path, query, found := strings.Cut(target, "?")
	if !found || !strings.ContainsAny(query, "@?%") {
		return target
	}
	return path + "?" + signature.ReplaceAllString(credentials.ReplaceAllString(query, "$1***@"), "$1***")
}

// retryAfter is how many seconds a server that cannot answer asks its caller to wait: as long as the error says, and at
// least one.
func retryAfter(err error) string {
	seconds := 1.0
	if known, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		seconds = max(seconds, math.Ceil(known.RetryAfter().Seconds()))
	}
	return strconv.FormatFloat(seconds, 'f', 0, 64)
}

// fail writes an error as the answer. Where a part of an answer has gone out it ends the connection.
func (h *wrapped) fail(w *recorder, r *http.Request, err error) {
	kind, id := fault.Of(err), RequestID(r.Context())
	if kind == fault.Internal {
		h.Log.Error("request failed", "request", id, "method", r.Method, "uri", discreet(r.RequestURI), "err", err)
	}
	if w.code != 0 {
		panic(http.ErrAbortHandler)
	}
	header, s := w.Header(), statusOf(kind)
	header.Del("Content-Encoding") // of the answer that is not given
	switch {
	case kind == fault.Unavailable:
		header.Set("Retry-After", retryAfter(err))
	case kind == fault.Unauthorized && h.Guard != nil && h.Guard.TorchServe:
		s.http = http.StatusBadRequest
	case kind == fault.Unauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	case kind == fault.TooLarge:
		header.Set("Connection", "close") // rather than read what is left of a body
	}
	var told any = body{Code: s.http, Type: s.name, Message: message(err, id)}
	if h.Failure != nil {
		told = h.Failure(message(err, id))
	}
	_ = WriteJSON(w, s.http, told) // strings and a number always encode
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

	code int // 0: nothing has gone out
}

func (w *recorder) WriteHeader(code int) {
	if code >= http.StatusOK {
		w.begin(code)
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // it is the same writer to its caller
}

// FlushError sends what has been written. [http.ResponseController] calls it.
func (w *recorder) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush() //nolint:wrapcheck // it is the same writer to its caller
}

// Hijack takes the connection over. [http.ResponseController] calls it.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.begin(http.StatusSwitchingProtocols)
	}
	return conn, buffered, err //nolint:wrapcheck // it is the same writer to its caller
}

// Unwrap lets [http.ResponseController] reach the rest of what is wrapped.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) begin(code int) {
	if w.code == 0 {
		w.code = code
	}
}

func (w *recorder) status() int {
	if w.code == 0 {
		return http.StatusOK // what net/http sends for a handler that writes nothing
	}
	return w.code
}

// arrival is what is known of a request as soon as it is there.
type arrival struct {
	id   string
	time time.Time
}

type arrivalKey struct{}

// WithRequestID gives the request of ctx, which has just come, a fresh ID.
func WithRequestID(ctx context.Context) context.Context {
	return context.WithValue(ctx, arrivalKey{}, &arrival{newID(), time.Now()})
}

// Elapsed returns how long ago the request of ctx got its ID; zero where it has none.
func Elapsed(ctx context.Context) time.Duration {
	if a, ok := ctx.Value(arrivalKey{}).(*arrival); ok {
		return time.Since(a.time)
	}
	return 0
}

// RequestID returns the ID that Wrap or [WithRequestID] gave the request of ctx; "" for none.
func RequestID(ctx context.Context) string {
	if a, ok := ctx.Value(arrivalKey{}).(*arrival); ok {
		return a.id
	}
	return ""
}

// newID returns a random UUID, version 4 of RFC 9562.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var room [36]byte
	text := room[:0]
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, b[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return string(text)
}
