// Package api is the wire that the APIs share: JSON bodies in TorchServe's layout, the one table between failures and the
// statuses of HTTP and of gRPC, and what wraps every HTTP request. The routes and the services are in the packages below.
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

	"google.golang.org/grpc/codes"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// HandlerFunc answers a request. It writes nothing when it returns an error.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// status is a line of the table of failures: the HTTP status, the gRPC status, and the type that stands in the body.
type status struct {
	http int
	rpc  codes.Code
	name string
}

// statusOf is the table of failures.
func statusOf(kind fault.Kind) status {
	switch kind {
	case fault.Invalid:
		return status{http.StatusBadRequest, codes.InvalidArgument, "BadRequestException"}
	case fault.TooLarge:
		return status{http.StatusRequestEntityTooLarge, codes.ResourceExhausted, "RequestTooLargeException"}
	case fault.Unsupported:
		return status{http.StatusNotImplemented, codes.Unimplemented, "UnsupportedException"}
	case fault.NotFound:
		return status{http.StatusNotFound, codes.NotFound, "ResourceNotFoundException"}
	case fault.NoModel:
		return status{http.StatusNotFound, codes.NotFound, "ModelNotFoundException"}
	case fault.NoVersion:
		return status{http.StatusNotFound, codes.NotFound, "ModelVersionNotFoundException"}
	case fault.DefaultVersion:
		return status{http.StatusForbidden, codes.FailedPrecondition, "InvalidModelVersionException"}
	case fault.BadModel:
		return status{http.StatusBadRequest, codes.InvalidArgument, "InvalidModelException"}
	case fault.Download:
		return status{http.StatusBadRequest, codes.InvalidArgument, "DownloadArchiveException"}
	case fault.Unauthorized:
		return status{http.StatusUnauthorized, codes.Unauthenticated, "InvalidKeyException"}
	case fault.NotAllowed:
		return status{http.StatusMethodNotAllowed, codes.PermissionDenied, "MethodNotAllowedException"}
	case fault.Conflict:
		return status{http.StatusConflict, codes.AlreadyExists, "ConflictStatusException"}
	case fault.Unavailable:
		return status{http.StatusServiceUnavailable, codes.Unavailable, "ServiceUnavailableException"}
	case fault.Timeout:
		return status{http.StatusRequestTimeout, codes.DeadlineExceeded, "RequestTimeoutException"}
	case fault.Canceled:
		return status{statusCanceled, codes.Canceled, "CanceledException"}
	case fault.Internal:
		return status{http.StatusInternalServerError, codes.Internal, "InternalServerException"}
	}
	return status{http.StatusInternalServerError, codes.Internal, "InternalServerException"}
}

// statusCanceled is the status of a request whose caller went away; nginx's, as none is standard.
const statusCanceled = 499

// body is how a failure stands on the wire.
type body struct {
	Code    int    `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message,omitempty"`
}

// Failure is how an error stands on the wire of gRPC.
type Failure struct {
	Code    codes.Code
	Type    string // as in a body of HTTP
	Message string
}

// FailureOf returns how an error stands on the wire of gRPC. Of a defect the caller is told the request's ID alone.
func FailureOf(err error, id string) Failure {
	s := statusOf(fault.Of(err))
	return Failure{s.rpc, s.name, message(err, id)}
}

// HTTPStatus returns the status that an answer over HTTP has where a call over gRPC ends with code.
func HTTPStatus(code codes.Code) int {
	if code == codes.OK {
		return http.StatusOK
	}
	for kind := fault.Internal; kind <= fault.Canceled; kind++ {
		if s := statusOf(kind); s.rpc == code {
			return s.http
		}
	}
	return http.StatusInternalServerError
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

// JSON returns v in TorchServe's layout: two spaces a level, a line's end at the end, no HTML escapes.
func JSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return out.Bytes(), nil
}

// WriteJSON writes v as [JSON] has it.
func WriteJSON(w http.ResponseWriter, code int, v any) error {
	text, err := JSON(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(code)
	_, _ = w.Write(text) // a caller that has gone needs no answer
	return nil
}

// Status is the body of what says no more than how it went.
type Status struct {
	Status string `json:"status"`
}

// WriteStatus writes {"status": text}.
func WriteStatus(w http.ResponseWriter, code int, text string) error {
	return WriteJSON(w, code, Status{text})
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
		s := statusOf(kind)
		if s.name == name {
			return kind
		}
		if s.http == code && !found {
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
