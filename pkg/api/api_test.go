package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// answer is what one request to next is answered with.
func answer(t *testing.T, next api.HandlerFunc, opts api.Options) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	api.Wrap(next, opts).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", http.NoBody))
	return w
}

func readError(w *httptest.ResponseRecorder) error {
	return api.ReadError(&http.Response{StatusCode: w.Code, Body: io.NopCloser(w.Body)})
}

func failing(err error) api.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) error { return err }
}

type row struct {
	kind fault.Kind
	code int
	rpc  codes.Code
	name string
}

func table() []row {
	return []row{
		{fault.Internal, 500, codes.Internal, "InternalServerException"},
		{fault.Invalid, 400, codes.InvalidArgument, "BadRequestException"},
		{fault.TooLarge, 413, codes.ResourceExhausted, "RequestTooLargeException"},
		{fault.Unsupported, 501, codes.Unimplemented, "UnsupportedException"},
		{fault.NotFound, 404, codes.NotFound, "ResourceNotFoundException"},
		{fault.NoModel, 404, codes.NotFound, "ModelNotFoundException"},
		{fault.NoVersion, 404, codes.NotFound, "ModelVersionNotFoundException"},
		{fault.DefaultVersion, 403, codes.FailedPrecondition, "InvalidModelVersionException"},
		{fault.BadModel, 400, codes.InvalidArgument, "InvalidModelException"},
		{fault.Download, 400, codes.InvalidArgument, "DownloadArchiveException"},
		{fault.Unauthorized, 401, codes.Unauthenticated, "InvalidKeyException"},
		{fault.NotAllowed, 405, codes.PermissionDenied, "MethodNotAllowedException"},
		{fault.Conflict, 409, codes.AlreadyExists, "ConflictStatusException"},
		{fault.Unavailable, 503, codes.Unavailable, "ServiceUnavailableException"},
		{fault.Timeout, 408, codes.DeadlineExceeded, "RequestTimeoutException"},
		{fault.Canceled, 499, codes.Canceled, "CanceledException"},
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for i, want := range table() {
		t.Run(want.name, func(t *testing.T) {
			t.Parallel()
			if fault.Kind(i) != want.kind {
				t.Fatalf("row %d is of kind %v", i, want.kind)
			}
			w := answer(t, failing(fmt.Errorf("%w: <é> & \"x\"", want.kind)), api.Options{})
			if w.Code != want.code || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("status %d, content type %q", w.Code, w.Header().Get("Content-Type"))
			}
			body := w.Body.String()
			message := want.kind.Error() + `: <é> & \"x\"`
			if want.kind == fault.Internal {
				message = "internal error; the server's log has the details under request " + w.Header().Get("X-Request-Id")
			}
			wantBody := fmt.Sprintf("{\n  \"code\": %d,\n  \"type\": %q,\n  \"message\": \"%s\"\n}\n", want.code, want.name, message)
			if diff := cmp.Diff(wantBody, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if got := w.Header().Get("Content-Length"); got != strconv.Itoa(len(body)) {
				t.Errorf("Content-Length %q of %d bytes", got, len(body))
			}
			id := w.Header().Get("X-Request-Id")
			failure := api.FailureOf(fmt.Errorf("%w: <é> & \"x\"", want.kind), id)
			told, _ := strconv.Unquote(`"` + message + `"`)
			if diff := cmp.Diff(api.Failure{Code: want.rpc, Type: want.name, Message: told}, failure); diff != "" {
				t.Errorf("over gRPC (-want +got):\n%s", diff)
			}
			back := readError(w)
			if fault.Of(back) != want.kind {
				t.Errorf("read back: %v, of kind %v", back, fault.Of(back))
			}
			if back.Error() != told {
				t.Errorf("read back: %q, want %q", back, told)
			}
		})
	}
	if next := fault.Kind(len(table())); next.Error() != "unknown failure" {
		t.Errorf("the kind %v has no row", next)
	}
}

func TestHeadersOfFailures(t *testing.T) {
	t.Parallel()
	overload := func(d time.Duration) error { return &model.OverloadError{Wait: time.Minute + d, Limit: time.Minute} }
	for kind, want := range map[error]map[string]string{
		fault.Unavailable:                 {"Retry-After": "1"},
		overload(1):                       {"Retry-After": "1"},
		overload(2500 * time.Millisecond): {"Retry-After": "3"},
		fault.Unauthorized:                {"WWW-Authenticate": "Bearer"},
		fault.Invalid:                     {"Retry-After": "", "WWW-Authenticate": "", "Content-Encoding": ""},
	} {
		w := answer(t, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Encoding", "gzip")
			return kind
		}, api.Options{})
		for name, value := range want {
			if got := w.Header().Get(name); got != value {
				t.Errorf("%v: %s is %q, want %q", kind, name, got, value)
			}
		}
	}
}

func TestReadErrorOfOthers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		code int
		body string
		want fault.Kind
		says string
	}{
		{"type before status", 400, `{"code": 400, "type": "InvalidKeyException", "message": "m"}`, fault.Unauthorized, "m"},
		{"unknown type", 503, `{"code": 503, "type": "SomethingNew", "message": "m"}`, fault.Unavailable, "m"},
		{"no message", 404, `{"code": 404, "type": "ModelNotFoundException"}`, fault.NoModel, "no such model: the server answered 404 Not Found"},
		{"no JSON", 404, "<html>", fault.NotFound, `not found: the server answered 404 Not Found: "<html>"`},
		{"JSON of another kind", 400, `{"error": "x"}`, fault.Invalid, "400 Bad Request"},
		{"nothing", 500, "", fault.Internal, "500 Internal Server Error"},
		{"gateway", 502, "", fault.Unavailable, "502 Bad Gateway"},
		{"slow gateway", 504, "", fault.Timeout, "504 Gateway Timeout"},
		{"rate limit", 429, "", fault.Unavailable, "429 Too Many Requests"},
		{"another 4xx", 418, "", fault.Invalid, "418"},
		{"another 5xx", 507, "", fault.Internal, "507"},
		{"endless", 500, strings.Repeat("x", 1<<20), fault.Internal, "500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := api.ReadError(&http.Response{
				StatusCode: tt.code, Status: strconv.Itoa(tt.code) + " " + http.StatusText(tt.code),
				Body: io.NopCloser(strings.NewReader(tt.body)),
			})
			if fault.Of(err) != tt.want || !strings.Contains(err.Error(), tt.says) || len(err.Error()) > 1000 {
				t.Errorf("%v, of kind %v, want %v and %q", err, fault.Of(err), tt.want, tt.says)
			}
		})
	}
	broken := &http.Response{StatusCode: http.StatusInternalServerError, Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), failingReader{}))}
	if err := api.ReadError(broken); !errors.Is(err, fault.Unavailable) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an answer that ends early: %v", err)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAbout(t *testing.T) {
	t.Parallel()
	plain, version := model.Ref{Name: "m"}, model.Ref{Name: "m", Version: "2"}
	tests := []struct {
		err  error
		ref  model.Ref
		want string
	}{
		{fault.NoModel, plain, "Model not found: m"},
		{fault.NoVersion, version, "Model version: 2 does not exist for model: m"},
		{fault.DefaultVersion, version, "Cannot remove default version for model m"},
		{fault.Conflict, version, "Model version 2 is already registered for model m"},
		{model.ErrNoWorker, plain, `Model "m" has no worker to serve inference request. Please use scale workers API to add workers.`},
		{model.ErrNoWorker, version, `Model "m" Version "2" has no worker to serve inference request. Please use scale workers API to add workers.`},
		{model.ErrQueueFull, plain, `The queue of model "m" is full. Please try again later, or use scale workers API to add workers.`},
		{fmt.Errorf("%w: shutting down", fault.Unavailable), plain, "unavailable: shutting down"},
		{fmt.Errorf("instance 3: %w", fault.Invalid), plain, "instance 3: invalid"},
		{context.DeadlineExceeded, plain, "context deadline exceeded"},
	}
	for _, tt := range tests {
		err := api.About(fmt.Errorf("wrapped: %w", tt.err), tt.ref)
		if fault.Of(err) != fault.Of(tt.err) || !errors.Is(err, tt.err) {
			t.Errorf("%v became %v", tt.err, err)
		}
		w := answer(t, failing(err), api.Options{})
		if got := readError(w).Error(); got != tt.want && got != "wrapped: "+tt.want {
			t.Errorf("%v is told as %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestWordsStayOffTheLog(t *testing.T) {
	t.Parallel()
	err := api.Words(fmt.Errorf("open /secret: %w", fault.NoModel), "Model not found: %s", "m")
	if err.Error() != "open /secret: no such model" {
		t.Errorf("Error() = %q", err)
	}
	if body := answer(t, failing(err), api.Options{}).Body.String(); strings.Contains(body, "secret") {
		t.Errorf("the caller is told %s", body)
	}
}

func TestNoMethod(t *testing.T) {
	t.Parallel()
	w := answer(t, func(w http.ResponseWriter, _ *http.Request) error { return api.NoMethod(w, "GET", "PUT") }, api.Options{})
	if w.Header().Get("Allow") != "GET, PUT" || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	want := "{\n  \"code\": 405,\n  \"type\": \"MethodNotAllowedException\",\n" +
		"  \"message\": \"Requested method is not allowed, please refer to API document.\"\n}\n"
	if got := w.Body.String(); got != want {
		t.Errorf("body %s", got)
	}
}

func TestWriteJSONRefuses(t *testing.T) {
	t.Parallel()
	w := answer(t, func(w http.ResponseWriter, _ *http.Request) error { return api.WriteJSON(w, 200, func() {}) }, api.Options{})
	if w.Code != http.StatusInternalServerError {
		t.Errorf("status %d: %s", w.Code, w.Body.String())
	}
}

func FuzzReadError(f *testing.F) {
	f.Add(404, []byte(`{"code": 404, "type": "ModelNotFoundException", "message": "m"}`))
	f.Add(599, []byte("{"))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		err := api.ReadError(&http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(string(body)))})
		if err == nil || err.Error() == "" {
			t.Errorf("%d %q: %v", code, body, err)
		}
	})
}

func TestHTTPStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]int{
		codes.OK: 200, codes.InvalidArgument: 400, codes.NotFound: 404, codes.ResourceExhausted: 413, codes.Unauthenticated: 401,
		codes.Internal: 500, codes.Unavailable: 503, codes.Canceled: 499, codes.Unknown: 500, codes.DataLoss: 500,
	} {
		if got := api.HTTPStatus(code); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}
