package inference_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is one call of a predictor.
type asked struct {
	Ref model.Ref
	Req model.Request
}

// models answers with a function, and remembers what it was asked. It has the model m in the versions 1, the default one,
// and 2.
type models struct {
	predict func(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error)
	ready   error

	mu    sync.Mutex
	calls []asked
}

func (m *models) check(ref model.Ref) error {
	switch {
	case ref.Name != "m" && ref.Name != "predict":
		return fmt.Errorf("model %q: %w", ref.Name, fault.NoModel)
	case ref.Version != "" && ref.Version != "1" && ref.Version != "2":
		return fmt.Errorf("model %q: %w %q", ref.Name, fault.NoVersion, ref.Version)
	}
	return nil
}

func (m *models) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	m.mu.Lock()
	m.calls = append(m.calls, asked{ref, *req})
	m.mu.Unlock()
	if err := m.check(ref); err != nil {
		return nil, err
	}
	if m.predict != nil {
		return m.predict(ctx, ref, req)
	}
	return &model.Response{ContentType: "application/json", Body: []byte("{\n  \"tabby\": 0.5\n}")}, nil
}

func (m *models) Ready() error { return m.ready }

func (m *models) Describe(_ context.Context, ref model.Ref, _ model.Description) ([]model.Status, error) {
	if err := m.check(ref); err != nil {
		return nil, err
	}
	if ref.Version == "" {
		ref.Version = "1"
	}
	return []model.Status{{Ref: ref}}, nil
}

// only returns the one call that there was.
func (m *models) only(t *testing.T) asked {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls) != 1 {
		t.Fatalf("asked %d times, want once", len(m.calls))
	}
	return m.calls[0]
}

func options() inference.Options {
	return inference.Options{
		Params:    []string{"target", "method", "top_k"},
		Version:   "1.2.3",
		Addresses: api.Addresses{Inference: "http://127.0.0.1:8080", Management: "http://127.0.0.1:8081", Metrics: "http://127.0.0.1:8082"},
	}
}

// head is an answer without its body.
type head struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

// send asks h over a real connection.
func send(t *testing.T, h http.Handler, req *http.Request) (answer head, body string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	target, err := req.URL.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Scheme, req.URL.Host, req.RequestURI = target.Scheme, target.Host, ""
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return head{resp.StatusCode, resp.Header, resp.ContentLength}, string(data)
}

func failure(code int, name, message string) string {
	return fmt.Sprintf("{\n  \"code\": %d,\n  \"type\": %q,\n  \"message\": %q\n}\n", code, name, message)
}

const (
	noRoute  = "Requested resource is not found, please refer to API document."
	noMethod = "Requested method is not allowed, please refer to API document."
)

// TestRoutes has a row for each form of a route, and for what looks like one.
func TestRoutes(t *testing.T) {
	t.Parallel()
	answer := "{\n  \"tabby\": 0.5\n}"
	notFound := failure(404, "ResourceNotFoundException", noRoute)
	m := model.Ref{Name: "m"}
	tests := []struct {
		method, target string
		code           int
		body           string // "{" for any document
		ref            model.Ref
		mode           model.Mode
		rest           []string // url_path
	}{
		{method: "GET", target: "/ping", code: 200, body: "{\n  \"status\": \"Healthy\"\n}\n"},
		{method: "POST", target: "/ping/any/thing", code: 200, body: "{\n  \"status\": \"Healthy\"\n}\n"},
		{method: "GET", target: "/ping?x=%zz", code: 200, body: "{\n  \"status\": \"Healthy\"\n}\n"},
		{method: "OPTIONS", target: "/", code: 200, body: "{"},
		{method: "GET", target: "/", code: 405, body: failure(405, "MethodNotAllowedException", noMethod)},
		{method: "POST", target: "/", code: 405, body: failure(405, "MethodNotAllowedException", noMethod)},
		{method: "GET", target: "/api-description", code: 200, body: "{"},
		{method: "POST", target: "/api-description", code: 200, body: "{"},
		{method: "GET", target: "/api-description/x", code: 404, body: notFound},

		{method: "POST", target: "/predictions/m", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "GET", target: "/predictions/m", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "PUT", target: "/predictions/m", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "DELETE", target: "/predictions/m", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "PATCH", target: "/predictions/m", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "HEAD", target: "/predictions/m", code: 200, ref: m, rest: []string{""}},
		{method: "POST", target: "//predictions//m//", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "POST", target: "/predictions/%6D", code: 200, body: answer, ref: m, rest: []string{""}},
		{method: "POST", target: "/predictions/m/2", code: 200, body: answer, ref: model.Ref{Name: "m", Version: "2"}, rest: []string{""}},
		{method: "POST", target: "/predictions/m/2/a/b%2Fc/", code: 200, body: answer, ref: model.Ref{Name: "m", Version: "2"}, rest: []string{"a/b/c"}},
		{method: "POST", target: "/predictions/predict", code: 200, body: answer, ref: model.Ref{Name: "predict"}, rest: []string{""}},
		{method: "OPTIONS", target: "/predictions/m", code: 200, body: "{"},
		{method: "OPTIONS", target: "/predictions/m/2", code: 200, body: "{"},
		{method: "OPTIONS", target: "/predictions/none", code: 404, body: failure(404, "ModelNotFoundException", "Model not found: none")},
		{method: "POST", target: "/predictions", code: 404, body: notFound},
		{method: "POST", target: "/predictions/", code: 404, body: notFound},
		{method: "POST", target: "/predictions/none", code: 404, body: failure(404, "ModelNotFoundException", "Model not found: none")},
		{method: "POST", target: "/predictions/m%2F2", code: 404, body: failure(404, "ModelNotFoundException", "Model not found: m/2")},
		{method: "POST", target: "/predictions/m/3", code: 404, body: failure(404, "ModelVersionNotFoundException", "Model version: 3 does not exist for model: m")},

		{method: "POST", target: "/explanations/m", code: 200, body: answer, ref: m, mode: model.ModeExplain, rest: []string{""}},
		{method: "GET", target: "/explanations/m/2/p", code: 200, body: answer, ref: model.Ref{Name: "m", Version: "2"}, mode: model.ModeExplain, rest: []string{"p"}},
		{method: "POST", target: "/explanations/predict", code: 200, body: answer, ref: model.Ref{Name: "predict"}, mode: model.ModeExplain, rest: []string{""}},
		{method: "OPTIONS", target: "/explanations/m", code: 200, body: "{"},
		{method: "POST", target: "/explanations", code: 404, body: notFound},

		{method: "POST", target: "/invocations?model_name=m", code: 200, body: answer, ref: m},
		{method: "POST", target: "/invocations?model_name=m&model_name=none", code: 200, body: answer, ref: m},
		{method: "OPTIONS", target: "/invocations?model_name=m", code: 200, body: "{"},
		{method: "POST", target: "/invocations", code: 400, body: failure(400, "BadRequestException", "Parameter model_name is required.")},
		{method: "OPTIONS", target: "/invocations", code: 400, body: failure(400, "BadRequestException", "Parameter model_name is required.")},
		{method: "POST", target: "/invocations/m", code: 404, body: notFound},
		{method: "POST", target: "/invocations/predict", code: 404, body: notFound},

		{method: "POST", target: "/models/m/invoke", code: 200, body: answer, ref: m},
		{method: "OPTIONS", target: "/models/m/invoke", code: 200, body: "{"},
		{method: "POST", target: "/models/none/invoke", code: 404, body: failure(404, "ModelNotFoundException", "Model not found: none")},
		{method: "GET", target: "/models/m/2", code: 404, body: notFound},
		{method: "GET", target: "/models/m", code: 404, body: notFound},
		{method: "GET", target: "/models", code: 404, body: notFound},
		{method: "GET", target: "/models/predict", code: 404, body: notFound},

		{method: "POST", target: "/m/predict", code: 200, body: answer, ref: m},
		{method: "POST", target: "/m/2/predict", code: 200, body: answer, ref: model.Ref{Name: "m", Version: "2"}},
		{method: "POST", target: "/m/3/predict", code: 404, body: failure(404, "ModelVersionNotFoundException", "Model version: 3 does not exist for model: m")},
		{method: "OPTIONS", target: "/m/predict", code: 200, body: "{"},
		{method: "POST", target: "/predict", code: 404, body: notFound},
		{method: "POST", target: "/m/2/x/predict", code: 404, body: notFound},
		{method: "POST", target: "/m/predict/x", code: 404, body: notFound},
		{method: "POST", target: "/m", code: 404, body: notFound},
		{method: "GET", target: "/metrics", code: 404, body: notFound},
		{method: "GET", target: "/predictions/m?target=%zz", code: 400, body: failure(400, "BadRequestException",
			`invalid: the query's field "target=%zz": invalid URL escape "%zz"`)},
	}
	id := regexp.MustCompile(`^[0-9a-f-]{36}$`)
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.target, func(t *testing.T) {
			t.Parallel()
			fake := &models{}
			resp, body := send(t, inference.New(fake, options()), httptest.NewRequest(tt.method, tt.target, http.NoBody))
			if resp.StatusCode != tt.code || body != tt.body && (tt.body != "{" || !json.Valid([]byte(body))) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
			if !id.MatchString(resp.Header.Get("X-Request-Id")) || resp.Header.Get("Pragma") != "no-cache" {
				t.Errorf("headers %v", resp.Header)
			}
			if tt.method == http.MethodHead && resp.ContentLength != int64(len(answer)) {
				t.Errorf("length %d", resp.ContentLength)
			}
			if tt.code != http.StatusOK || tt.ref.Name == "" {
				return
			}
			got := fake.only(t)
			if got.Ref != tt.ref || got.Req.Mode != tt.mode || got.Req.ID != resp.Header.Get("X-Request-Id") {
				t.Errorf("asked %v, mode %v, as %q", got.Ref, got.Req.Mode, got.Req.ID)
			}
			if diff := cmp.Diff(tt.rest, got.Req.Header["url_path"]); diff != "" {
				t.Errorf("url_path (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnhealthy(t *testing.T) {
	t.Parallel()
	resp, body := send(t, inference.New(&models{ready: errors.New("m has no worker")}, options()), httptest.NewRequest(http.MethodGet, "/ping", http.NoBody))
	if resp.StatusCode != http.StatusInternalServerError || body != "{\n  \"status\": \"Unhealthy\"\n}\n" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestDefaultModel(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.DefaultModel = func() (string, bool) { return "m", true }
	fake := &models{}
	req := httptest.NewRequest(http.MethodPost, "/invocations", strings.NewReader("x"))
	if resp, body := send(t, inference.New(fake, opts), req); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if got := fake.only(t); got.Ref.Name != "m" {
		t.Errorf("asked %v", got.Ref)
	}
}

// TestHandlerHeaders checks what a handler sees of a request's headers.
func TestHandlerHeaders(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/predictions/m", "/m/predict"} {
		fake := &models{}
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader("x"))
		for _, name := range []string{"Authorization", "Proxy-Authorization", "explain", "EXPLAIN", "Describe", "url_path"} {
			r.Header.Add(name, "mine")
		}
		r.Header["X-Mine"] = []string{"a", "b"}
		w := httptest.NewRecorder()
		inference.New(fake, options()).ServeHTTP(w, r)
		want := map[string][]string{"X-Mine": {"a", "b"}}
		if target == "/predictions/m" {
			want["url_path"] = []string{""}
		}
		got := fake.only(t)
		if diff := cmp.Diff(want, got.Req.Header); diff != "" || got.Req.Mode != model.ModePredict {
			t.Errorf("%s: mode %v, headers (-want +got):\n%s", target, got.Req.Mode, diff)
		}
		if r.Header.Get("Authorization") != "mine" {
			t.Errorf("%s: the request itself was changed", target)
		}
	}
}

// TestResponse checks that an answer goes out as it is.
func TestResponse(t *testing.T) {
	t.Parallel()
	fake := &models{predict: func(context.Context, model.Ref, *model.Request) (*model.Response, error) {
		return &model.Response{
			ContentType: "image/png", Body: []byte("\x89PNG\r\n<html>"),
			Header: map[string]string{
				"x-explain-method": "occlusion", "Content-Length": "3", "Transfer-Encoding": "chunked", "X-Request-Id": "mine", "Pragma": "cache",
			},
		}, nil
	}}
	resp, body := send(t, inference.New(fake, options()), httptest.NewRequest(http.MethodPost, "/explanations/m", http.NoBody))
	if body != "\x89PNG\r\n<html>" || resp.ContentLength != int64(len(body)) || resp.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%q, headers %v", body, resp.Header)
	}
	if resp.Header.Get("X-Explain-Method") != "occlusion" || resp.Header.Get("X-Request-Id") == "mine" || resp.Header.Get("Pragma") != "cache" {
		t.Errorf("headers %v", resp.Header)
	}
	fake.predict = func(context.Context, model.Ref, *model.Request) (*model.Response, error) {
		return &model.Response{Body: []byte("<html>")}, nil
	}
	resp, _ = send(t, inference.New(fake, options()), httptest.NewRequest(http.MethodPost, "/predictions/m", http.NoBody))
	if got, ok := resp.Header["Content-Type"]; ok {
		t.Errorf("an answer without a type is called %q", got)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		err     error
		target  string
		code    int
		message string
		retry   string
	}{
		{"no worker", model.ErrNoWorker, "/predictions/m", 503, `Model "m" has no worker to serve inference request. Please use scale workers API to add workers.`, "1"},
		{
			"no worker of a version", model.ErrNoWorker, "/predictions/m/2", 503,
			`Model "m" Version "2" has no worker to serve inference request. Please use scale workers API to add workers.`, "1",
		},
		{
			"queue full", fmt.Errorf("m: %w", model.ErrQueueFull), "/predictions/m", 503,
			`The queue of model "m" is full. Please try again later, or use scale workers API to add workers.`, "1",
		},
		{"bad input", fmt.Errorf(`%w: input "body" is empty`, fault.Invalid), "/predictions/m", 400, `invalid: input "body" is empty`, ""},
		{"cannot explain", fmt.Errorf("explain: %w", fault.Unsupported), "/explanations/m", 501, "explain: not supported", ""},
		{"late", fmt.Errorf("run: %w", context.DeadlineExceeded), "/predictions/m", 408, "run: context deadline exceeded", ""},
		{"defect", errors.New("secret"), "/predictions/m", 500, "internal error; the server's log has the details under request ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &models{predict: func(context.Context, model.Ref, *model.Request) (*model.Response, error) { return nil, tt.err }}
			resp, body := send(t, inference.New(fake, options()), httptest.NewRequest(http.MethodPost, tt.target, http.NoBody))
			var got struct{ Message string }
			if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != tt.code || !strings.HasPrefix(got.Message, tt.message) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if tt.code != 500 && got.Message != tt.message || strings.Contains(body, "secret") || resp.Header.Get("Retry-After") != tt.retry {
				t.Errorf("%s, headers %v", body, resp.Header)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	fake := &models{predict: func(_ context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
		if bytes.Contains(req.Inputs[0].Data, []byte("bad")) {
			panic("a defect")
		}
		return &model.Response{ContentType: "application/json", Body: []byte("1")}, nil
	}}
	h := inference.New(fake, options())
	for body, want := range map[string]int{"good": 200, "bad": 500, `{"instances": ["good", "bad"]}`: 500, `{"instances": ["good"]}`: 200} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/predictions/m", strings.NewReader(body)))
		if w.Code != want || strings.Contains(w.Body.String(), "a defect") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestCallerLeaves checks that the model is told when nobody waits for its answer any more.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"x", `{"instances": [1, 2, 3]}`} {
		ctx, leave := context.WithCancel(t.Context())
		fake := &models{predict: func(ctx context.Context, _ model.Ref, _ *model.Request) (*model.Response, error) {
			leave()
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/predictions/m", strings.NewReader(body)).WithContext(ctx)
		inference.New(fake, options()).ServeHTTP(w, r)
		if w.Code != 499 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	opts := options()
	h := inference.New(&models{}, opts)
	for name, target := range map[string]string{"api": "/", "model": "/predictions/m"} {
		_, body := send(t, h, httptest.NewRequest(http.MethodOptions, target, http.NoBody))
		golden(t, name, []byte(body))
	}
	_, first := send(t, h, httptest.NewRequest(http.MethodOptions, "/", http.NoBody))
	_, second := send(t, h, httptest.NewRequest(http.MethodGet, "/api-description", http.NoBody))
	if first != second {
		t.Error("/api-description differs from OPTIONS /")
	}
	opts.Addresses = api.Addresses{}
	if _, body := send(t, inference.New(&models{}, opts), httptest.NewRequest(http.MethodOptions, "/", http.NoBody)); strings.Contains(body, "servers") {
		t.Errorf("no address, and yet %s", body)
	}
}

// TestDocumentIsSound checks what OpenAPI demands of a document and JSON does not.
func TestDocumentIsSound(t *testing.T) {
	t.Parallel()
	h := inference.New(&models{}, options())
	for _, target := range []string{"/", "/predictions/m/2"} {
		_, body := send(t, h, httptest.NewRequest(http.MethodOptions, target, http.NoBody))
		var d struct {
			Paths map[string]map[string]struct {
				OperationID string
				Parameters  []struct {
					Name, In string
					Required bool
				}
			}
		}
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for path, item := range d.Paths {
			for method, op := range item {
				if op.OperationID == "" || ids[op.OperationID] {
					t.Errorf("%s %s: the ID %q is not unique", method, path, op.OperationID)
				}
				ids[op.OperationID] = true
				var names []string
				for _, p := range op.Parameters {
					if p.In == "path" && p.Required {
						names = append(names, "{"+p.Name+"}")
					}
				}
				inPath := regexp.MustCompile(`\{[^}]*\}`).FindAllString(path, -1)
				if diff := cmp.Diff(inPath, names, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s %s: parameters (-path +listed):\n%s", method, path, diff)
				}
			}
		}
	}
}

// golden compares with a file, or writes it where UPDATE is set.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".json")
	if os.Getenv("UPDATE") != "" { //nolint:forbidigo // how golden files are rewritten
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
