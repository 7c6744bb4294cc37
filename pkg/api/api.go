// Package api is the wire that the HTTP APIs share: JSON bodies in TorchServe's layout, the one table between failures
// and statuses, and what wraps every request. The routes are in the packages below.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// HandlerFunc answers a request. It writes nothing when it returns an error.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// status is the table of failures: the HTTP status, and the type that stands in the body.
func status(kind fault.Kind) (code int, name string) {
	switch kind {
	case fault.Invalid:
		return http.StatusBadRequest, "BadRequestException"
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge, "RequestTooLargeException"
	case fault.Unsupported:
		return http.StatusNotImplemented, "UnsupportedException"
	case fault.NotFound:
		return http.StatusNotFound, "ResourceNotFoundException"
	case fault.NoModel:
		return http.StatusNotFound, "ModelNotFoundException"
	case fault.NoVersion:
		return http.StatusNotFound, "ModelVersionNotFoundException"
	case fault.DefaultVersion:
		return http.StatusForbidden, "InvalidModelVersionException"
	case fault.BadModel:
		return http.StatusBadRequest, "InvalidModelException"
	case fault.Download:
		return http.StatusBadRequest, "DownloadArchiveException"
	case fault.Unauthorized:
		return http.StatusUnauthorized, "InvalidKeyException"
	case fault.NotAllowed:
		return http.StatusMethodNotAllowed, "MethodNotAllowedException"
	case fault.Conflict:
		return http.StatusConflict, "ConflictStatusException"
	case fault.Unavailable:
		return http.StatusServiceUnavailable, "ServiceUnavailableException"
	case fault.Timeout:
		return http.StatusRequestTimeout, "RequestTimeoutException"
	case fault.Canceled:
		return statusCanceled, "CanceledException"
	case fault.Internal:
		return http.StatusInternalServerError, "InternalServerException"
	}
	return http.StatusInternalServerError, "InternalServerException"
}

// statusCanceled is the status of a request whose caller went away; nginx's, as none is standard.
const statusCanceled = 499

// body is how a failure stands on the wire.
type body struct {
	Code    int    `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message,omitempty"`
}

// Words gives a failure the message that stands on the wire, and keeps its kind.
func Words(err error, format string, args ...any) error {
	return &worded{err, fmt.Sprintf(format, args...)}
}

type worded struct {
	error

	message string
}

func (w *worded) Unwrap() error { return w.error }

// About gives a failure that concerns a model TorchServe's words, where TorchServe has some.
func About(err error, ref model.Ref) error {
	switch fault.Of(err) {
	case fault.NoModel:
		return Words(err, "Model not found: %s", ref.Name)
	case fault.NoVersion:
		return Words(err, "Model version: %s does not exist for model: %s", ref.Version, ref.Name)
	case fault.DefaultVersion:
		return Words(err, "Cannot remove default version for model %s", ref.Name)
	case fault.Conflict:
		return Words(err, "Model version %s is already registered for model %s", ref.Version, ref.Name)
	case fault.Unavailable:
		return refused(err, ref)
	default:
		return err
	}
}

// refused gives words to a failure of a model that takes no request.
func refused(err error, ref model.Ref) error {
	name := strconv.Quote(ref.Name)
	if ref.Version != "" {
		name += " Version " + strconv.Quote(ref.Version)
	}
	switch {
	case errors.Is(err, model.ErrNoWorker):
		return Words(err, "Model %s has no worker to serve inference request. Please use scale workers API to add workers.", name)
	case errors.Is(err, model.ErrQueueFull):
		return Words(err, "The queue of model %s is full. Please try again later, or use scale workers API to add workers.", name)
	}
	return err
}

// NoRoute is the failure of a request whose path means nothing.
func NoRoute() error {
	return Words(fault.NotFound, "Requested resource is not found, please refer to API document.")
}

// NoMethod is the failure of a request whose path does not have its method. It tells the caller which ones there are.
func NoMethod(w http.ResponseWriter, allowed ...string) error {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return Words(fault.NotAllowed, "Requested method is not allowed, please refer to API document.")
}

// message returns what the caller is told. Of a defect it is the request's ID: the log has the rest.
func message(err error, id string) string {
	var w *worded
	switch {
	case errors.As(err, &w):
		return w.message
	case fault.Of(err) == fault.Internal:
		return "internal error; the server's log has the details under request " + id
	}
	return err.Error()
}

// WriteJSON writes v in TorchServe's layout: two spaces a level, a line's end at the end, no HTML escapes.
func WriteJSON(w http.ResponseWriter, code int, v any) error {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes()) // a caller that has gone needs no answer
	return nil
}

// WriteStatus writes {"status": text}.
func WriteStatus(w http.ResponseWriter, code int, text string) error {
	return WriteJSON(w, code, struct {
		Status string `json:"status"`
	}{text})
}

// maxError bounds what is read of an error's body.
const maxError = 64 << 10

// ReadError returns the failure that a response with a status from 400 tells: the client's end of the table, read by the
// body's type and, where that says nothing, by the status. Its text is the server's. It reads the body and does not close it.
func ReadError(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("%w: the server's answer ended early: %w", fault.Unavailable, err)
	}
	var b body
	if err := json.Unmarshal(text, &b); err != nil || b.Type == "" {
		return fmt.Errorf("%w: the server answered %s: %.200q", kindOf(resp.StatusCode, ""), resp.Status, text)
	}
	kind := kindOf(resp.StatusCode, b.Type)
	if b.Message == "" {
		return fmt.Errorf("%w: the server answered %s", kind, resp.Status)
	}
	return &told{kind, b.Message}
}

// told is a failure in the words of the server, which say what kind it is.
type told struct {
	kind    fault.Kind
	message string
}

func (t *told) Error() string { return t.message }

func (t *told) Unwrap() error { return t.kind }

// kindOf reads the table backwards. Statuses that are not in it come from what stands between a server and its client.
func kindOf(code int, name string) fault.Kind {
	byCode, found := fault.Internal, false
	for kind := fault.Internal; kind <= fault.Canceled; kind++ {
		c, n := status(kind)
		if n == name {
			return kind
		}
		if c == code && !found {
			byCode, found = kind, true
		}
	}
	switch {
	case found:
		return byCode
	case code == http.StatusBadGateway, code == http.StatusTooManyRequests:
		return fault.Unavailable
	case code == http.StatusGatewayTimeout:
		return fault.Timeout
	case code < http.StatusInternalServerError:
		return fault.Invalid
	}
	return fault.Internal
}
