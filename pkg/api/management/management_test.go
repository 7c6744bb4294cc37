package management_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

var servers = api.Addresses{Management: "http://127.0.0.1:8081"}

func serve(f *fake, opts management.Options) http.Handler {
	opts.Version, opts.Addresses = "1.2.3", servers
	return api.Wrap(management.New(f, opts), api.Options{MaxBody: 2 << 20})
}

func open(f *fake) http.Handler { return serve(f, management.Options{ModelAPI: true}) }

// call is one request: "METHOD target", and a body that is JSON where it begins with a brace.
type call struct{ request, body string }

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (c call) send(h http.Handler) answer {
	method, target, _ := strings.Cut(c.request, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(c.body))
	if strings.HasPrefix(c.body, "{") {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// common are the headers of every answer, whose values TestHeaders checks.
var common = []string{"Cache-Control", "Expires", "Pragma", "X-Request-Id", "Content-Length"}

// transcript sends calls one after the other to one handler and compares the answers, each whole, with a golden file.
func transcript(t *testing.T, name string, h http.Handler, calls ...call) {
	t.Helper()
	var out strings.Builder
	for _, c := range calls {
		resp := c.send(h)
		fmt.Fprintf(&out, "> %s\n", c.request)
		if c.body != "" {
			fmt.Fprintf(&out, "> %s\n", c.body)
		}
		fmt.Fprintf(&out, "%d\n", resp.code)
		var names []string
		for name := range resp.header {
			if !slices.Contains(common, name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(resp.header[name], ", "))
		}
		text := strings.ReplaceAll(resp.body, resp.header.Get("X-Request-Id"), "REQUEST-ID")
		fmt.Fprintf(&out, "\n%s\n", text)
	}
	golden(t, name, out.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("UPDATE") != "" { //nolint:forbidigo // how golden files are written anew
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	transcript(t, "routes.txt", open(serving()),
		call{"GET /models", ""},
		call{"GET //models/", ""},
		call{"PUT /models", ""},
		call{"DELETE /models", ""},
		call{"OPTIONS /models", ""},
		call{"HEAD /models", ""},
		call{"POST /models/mnist", ""},
		call{"PATCH /models/mnist/1.0", ""},
		call{"GET /", ""},
		call{"POST /", ""},
		call{"GET /nothing", ""},
		call{"GET /models/mnist/1.0/other", ""},
		call{"GET /models/mnist/1.0/set-default/more", ""},
		call{"GET /api-description/more", ""},
		call{"GET /predictions/mnist", ""},
		call{"GET /models/mnist/1.0/set-default", ""},
		call{"DELETE /models/mnist/1.0/set-default", ""},
		call{"OPTIONS /models/mnist/1.0/set-default", ""},
		call{"GET /models", ""}, // all are still there
		call{"OPTIONS /models/gone", ""},
		call{"OPTIONS /models/mnist/9", ""},
		call{"GET /models/a%2Fb", ""},
		call{"GET /models/mnist?customized=%zz", ""},
	)
}

func TestModelAPIClosed(t *testing.T) {
	t.Parallel()
	transcript(t, "closed.txt", serve(serving(), management.Options{}),
		call{"POST /models?url=mnist.mar", ""},
		call{"POST /models", "{broken"},
		call{"DELETE /models/mnist", ""},
		call{"DELETE /models/mnist/2.0", ""},
		call{"PUT /models/mnist?min_worker=2&synchronous=true", ""},
		call{"PUT /models/mnist/2.0/set-default", ""},
		call{"GET /models", ""},
	)
}

func TestRegister(t *testing.T) {
	t.Parallel()
	transcript(t, "register.txt", open(&fake{names: map[string]*versions{}}),
		call{"POST /models?url=mnist.mar", ""},
		call{"POST /models?url=mnist.mar&model_name=with-workers&initial_workers=2&synchronous=true", ""},
		call{"POST /models?url=mnist.mar&model_name=later&initial_workers=1&synchronous=false", ""},
		call{"POST /models?url=mnist.mar&model_name=later-none&synchronous=FALSE", ""},
		call{"POST /models?url=mnist.mar&model_name=more&model_version=3-rc.1&handler=image_classifier&runtime=python3&batch_size=8;max_batch_delay=5", ""},
		call{"POST /models?url=first&url=mnist.mar", ""},
		call{"POST /models?url=mnist-2.mar&model_name=", ""}, // the manifest's name
		call{"POST /models", `{"url": "mnist.mar", "model_name": "json", "initial_workers": 1}`},
		call{"POST /models?url=none", `{'url':'mnist.mar', 'model_name':'quoted', 'initial_workers':'3', 'synchronous':'true'}`},
		call{"POST /models?url=mnist.mar&model_name=form", "url=none"},
		call{"GET /models", ""},
		call{"GET /models/mnist", ""}, // the second version did not become the default
	)
	f := &fake{names: map[string]*versions{}, short: true}
	transcript(t, "register-short.txt", open(f), call{"POST /models?url=mnist.mar&initial_workers=2", ""})
}

func TestRegisterFails(t *testing.T) {
	t.Parallel()
	calls := []call{
		{"POST /models", ""},
		{"POST /models?url=", ""},
		{"POST /models?model_name=x", "url=mnist.mar"},
		{"POST /models", "{}"},
		{"POST /models", `{"url": ""}`},
		{"POST /models", `{"url": null}`},
		{"POST /models", `{"url": "mnist.mar"`},
		{"POST /models", `{"url": "mnist.mar"} {}`},
		{"POST /models", `{"url": ["mnist.mar"], "handler": {}}`},
		{"POST /models", `{"url": "mnist.mar", "batch_size": 1.5}`},
		{"POST /models", `{"url": "mnist.mar", "batch_size": true}`},
		{"POST /models?url=mnist.mar&x=%zz", ""},
	}
	for _, parameter := range []string{
		"batch_size=0", "batch_size=-1", "batch_size=many", "batch_size=1.5", "batch_size=2147483648", "batch_size=99999999999999999999",
		"max_batch_delay=-1", "max_batch_delay=soon", "initial_workers=-1", "initial_workers=few", "response_timeout=0", "response_timeout=-1",
		"startup_timeout=0", "startup_timeout=x", "synchronous=maybe", "s3_sse_kms=1", "s3_sse_kms=true", "runtime=java", "model_name=a/b", "model_name=..",
		"model_name=a%20b", "model_version=1/2", "model_version=all", "model_name=" + strings.Repeat("x", 129),
	} {
		calls = append(calls, call{"POST /models?url=mnist.mar&" + parameter, ""})
	}
	for _, location := range []string{
		"gone.mar", "../up.mar", "https://elsewhere/a.mar", "https://host/gone.mar", "https://host/away.mar", "https://host/mnist.mar", "s3://bucket/a.mar",
		"https://me:secret@host/a.mar", "cut.mar", "vanished.mar", "slow.mar", "bug.mar", "closing.mar", "mnist.mar", "mnist-2.mar",
	} {
		calls = append(calls, call{"POST /models?url=" + url.QueryEscape(location), ""})
	}
	f := serving()
	transcript(t, "register-fails.txt", open(f), calls...)
	if len(f.registered) != 15 {
		t.Errorf("the manager was asked %d times, want once for each location", len(f.registered))
	}
}

// TestRegistration compares what the manager is asked for: the same for a query and for a JSON body.
func TestRegistration(t *testing.T) {
	t.Parallel()
	four := 4
	zero := 0
	for _, test := range []struct {
		name, query string
		json        []string
		want        model.Registration
	}{
		{"nothing but the URL", "url=a", []string{`{"url":"a"}`, `{'url':'a'}`, `{"url":"b","url":"a"}`}, model.Registration{URL: "a"}},
		{
			"everything",
			"url=a&model_name=n&model_version=1.10&handler=h&runtime=LSP&batch_size=8&max_batch_delay=50&initial_workers=4&synchronous=false&response_timeout=30&startup_timeout=60&s3_sse_kms=false&unknown=1",
			[]string{
				`{"url":"a","model_name":"n","model_version":1.10,"handler":"h","runtime":"LSP","batch_size":8,"max_batch_delay":50,"initial_workers":4,"synchronous":false,"response_timeout":30,"startup_timeout":60,"s3_sse_kms":false,"unknown":"1"}`,
				`{"url":"a","model_name":"n","model_version":"1.10","handler":"h","runtime":"LSP","batch_size":"8","max_batch_delay":"50","initial_workers":"4","synchronous":"False","response_timeout":"30","startup_timeout":"60","s3_sse_kms":null}`,
			},
			model.Registration{
				URL: "a", Name: "n", Version: "1.10", Handler: "h", Runtime: "LSP", BatchSize: 8, MaxBatchDelay: 50 * time.Millisecond,
				Workers: &four, Async: true, ResponseTimeout: 30 * time.Second, StartupTimeout: time.Minute,
			},
		},
		{"zeros", "url=a&initial_workers=0&max_batch_delay=0", []string{`{"url":"a","initial_workers":0,"max_batch_delay":"0"}`}, model.Registration{URL: "a", Workers: &zero, MaxBatchDelay: 1}},
		{"empty ones", "url=a&batch_size=&model_name=&synchronous=", []string{`{"url":"a","batch_size":"","model_name":"","synchronous":""}`}, model.Registration{URL: "a"}},
		{"escapes", "url=a%26b%27%22%5C", []string{`{"url":"a&b'\"\\"}`, `{'url':'a&b\'"\\'}`, `{'url':'a&b\u0027\"\u005C'}`}, model.Registration{URL: `a&b'"\`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := serving()
			h := open(f)
			calls := []call{{"POST /models?" + test.query, ""}}
			for _, body := range test.json {
				calls = append(calls, call{"POST /models?url=not-this", body})
			}
			for _, c := range calls {
				if resp := c.send(h); resp.code != http.StatusNotFound {
					t.Fatalf("%v: %d %s", c, resp.code, resp.body)
				}
			}
			for i, got := range f.registered {
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%v (-want +got):\n%s", calls[i], diff)
				}
			}
			if len(f.registered) != len(calls) {
				t.Errorf("registered %d times, want %d", len(f.registered), len(calls))
			}
		})
	}
}

func TestRegisterByContentType(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		header string
		want   string
	}{
		{"application/json", "body"},
		{"Application/JSON;charset=UTF-8", "body"},
		{"", "query"},
		{"text/plain", "query"},
		{"application/x-www-form-urlencoded", "query"},
		{"application/json-seq", "query"},
		{"application/json; charset", "query"},
	} {
		f := serving()
		r := httptest.NewRequest(http.MethodPost, "/models?url=query", strings.NewReader(`{"url":"body"}`))
		if test.header != "" {
			r.Header.Set("Content-Type", test.header)
		}
		open(f).ServeHTTP(httptest.NewRecorder(), r)
		if len(f.registered) != 1 || f.registered[0].URL != test.want {
			t.Errorf("Content-Type %q: registered %+v, want the %s", test.header, f.registered, test.want)
		}
	}
}

// cutOff is a body that ends as a connection does.
type cutOff struct{ err error }

func (c cutOff) Read([]byte) (int, error) { return 0, c.err }

func TestRegisterBodies(t *testing.T) {
	t.Parallel()
	filler := func(n int) io.Reader { return strings.NewReader(`{"url": "` + strings.Repeat("x", n) + `"}`) }
	for _, test := range []struct {
		name string
		body io.Reader
		want int
		says string
	}{
		{"long", filler(1 << 19), http.StatusNotFound, "Model not found at"},
		{"too long", filler(1 << 20), http.StatusRequestEntityTooLarge, "at most 1048576 bytes"},
		{"cut off", cutOff{io.ErrUnexpectedEOF}, http.StatusBadRequest, "the body ended early"},
		{"late", cutOff{os.ErrDeadlineExceeded}, http.StatusRequestTimeout, "in time"},
		{"over the server's limit", cutOff{&http.MaxBytesError{Limit: 7}}, http.StatusRequestEntityTooLarge, "7 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/models", test.body)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			open(serving()).ServeHTTP(w, r)
			if w.Code != test.want || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("%d %.200s, want %d and %q", w.Code, w.Body, test.want, test.says)
			}
		})
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	transcript(t, "scale.txt", open(serving()),
		call{"PUT /models/mnist?min_worker=3&synchronous=true", ""},
		call{"PUT /models/mnist?synchronous=true", ""},
		call{"PUT /models/mnist/2.0?min_worker=2&max_worker=4&synchronous=true", ""},
		call{"PUT /models/mnist?min_worker=0&max_worker=4&synchronous=true", ""},
		call{"PUT /models/mnist?model_version=2.0&min_worker=3&synchronous=true&number_gpu=1&timeout=9", ""},
		call{"PUT /models/mnist/2.0?model_version=1.0&min_worker=3&synchronous=true", ""},
		call{"PUT /models/mnist?min_worker=2", ""},
		call{"PUT /models/mnist/2.0?min_worker=1", ""},
		call{"PUT /models/mnist?min_worker=2&max_worker=1", ""},
		call{"PUT /models/mnist?max_worker=0", ""},
		call{"PUT /models/mnist?min_worker=-1", ""},
		call{"PUT /models/mnist?min_worker=2&max_worker=-1", ""},
		call{"PUT /models/mnist?min_worker=two", ""},
		call{"PUT /models/mnist?synchronous=yes", ""},
		call{"PUT /models/gone?min_worker=1", ""},
		call{"PUT /models/mnist/9?min_worker=1", ""},
		call{"PUT /models/mnist?model_version=9&min_worker=1", ""},
		call{"PUT /models/mnist/all?min_worker=1", ""},
	)
	f := serving()
	f.short = true
	transcript(t, "scale-short.txt", open(f), call{"PUT /models/mnist?min_worker=2&synchronous=true", ""}, call{"PUT /models/mnist?min_worker=2", ""})
}

func TestList(t *testing.T) {
	t.Parallel()
	transcript(t, "list.txt", open(serving()),
		call{"GET /models", ""},
		call{"GET /models?limit=1", ""},
		call{"GET /models?limit=1&next_page_token=1", ""}, // exactly full, and the last
		call{"GET /models?limit=2", ""},                   // the same
		call{"GET /models?limit=0", ""},
		call{"GET /models?limit=-5&next_page_token=-1", ""},
		call{"GET /models?limit=101", ""},
		call{"GET /models?next_page_token=2", ""},
		call{"GET /models?next_page_token=1000000", ""},
		call{"GET /models?limit=few", ""},
		call{"GET /models?next_page_token=x", ""},
	)
	transcript(t, "list-empty.txt", open(&fake{}), call{"GET /models", ""})
	many := &fake{names: map[string]*versions{}}
	for i := range 101 {
		name := fmt.Sprintf("m%03d", i)
		many.names[name] = &versions{"1", map[string]*model.Status{"1": {URL: name + ".mar"}}}
	}
	resp := call{"GET /models?limit=1000", ""}.send(open(many))
	var got struct {
		Next   string `json:"nextPageToken"`
		Models []any  `json:"models"`
	}
	if err := json.Unmarshal([]byte(resp.body), &got); err != nil || got.Next != "100" || len(got.Models) != 100 {
		t.Errorf("a limit over 100: %d models, token %q, %v", len(got.Models), got.Next, err)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	f := serving()
	resize(f.names["mnist"].all["2.0"], 3, 3) // the third is loading
	resize(f.names["resnet-18"].all["1.0"], 0, 0)
	f.names["mnist"].all["2.0"].Runtime = "python"
	transcript(t, "describe.txt", open(f),
		call{"GET /models/mnist", ""},
		call{"GET /models/mnist/2.0", ""},
		call{"GET /models/mnist/all", ""},
		call{"GET /models/mnist?customized=true", ""},
		call{"GET /models/mnist/all?customized=true", ""},
		call{"GET /models/resnet-18", ""},
		call{"GET /models/resnet-18?customized=true", ""},
		call{"GET /models/resnet-18?customized=false", ""},
		call{"GET /models/mnist?customized=perhaps", ""},
		call{"GET /models/gone", ""},
		call{"GET /models/gone/all", ""},
		call{"GET /models/mnist/9", ""},
	)
	resize(f.names["resnet-18"].all["1.0"], 1, 1)
	transcript(t, "describe-silent.txt", open(f), call{"GET /models/resnet-18?customized=true", ""})
}

func TestSetDefault(t *testing.T) {
	t.Parallel()
	transcript(t, "set-default.txt", open(serving()),
		call{"PUT /models/mnist/2.0/set-default", ""},
		call{"DELETE /models/mnist/2.0", ""},
		call{"DELETE /models/mnist/1.0", ""},
		call{"PUT /models/mnist/9/set-default", ""},
		call{"PUT /models/gone/1.0/set-default", ""},
	)
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	transcript(t, "unregister.txt", open(serving()),
		call{"DELETE /models/gone", ""},
		call{"DELETE /models/mnist/9", ""},
		call{"DELETE /models/mnist", ""},
		call{"DELETE /models/mnist/1.0", ""},
		call{"DELETE /models/mnist/2.0?synchronous=false&timeout=1", ""},
		call{"DELETE /models/mnist", ""},
		call{"DELETE /models/resnet-18", ""},
		call{"GET /models", ""},
	)
	f := serving()
	f.failure = fmt.Errorf("drain: %w", fault.Timeout)
	transcript(t, "unregister-late.txt", open(f), call{"DELETE /models/mnist", ""})
}

// TestFailures shows what becomes of a manager's failure on each route.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		failure error
		want    int
	}{
		{"unavailable", model.ErrClosed, http.StatusServiceUnavailable},
		{"invalid", fmt.Errorf("%w: that cannot be", fault.Invalid), http.StatusBadRequest},
		{"defect", errors.New("secret"), http.StatusInternalServerError},
	} {
		f := serving()
		f.failure = test.failure
		for _, request := range []string{
			"GET /models", "POST /models?url=mnist.mar", "GET /models/mnist", "GET /models/mnist/all", "PUT /models/mnist", "DELETE /models/mnist",
			"OPTIONS /models/mnist", "PUT /models/mnist/1.0/set-default",
		} {
			resp := call{request, ""}.send(open(f))
			if resp.code != test.want || strings.Contains(resp.body, "secret") {
				t.Errorf("%s, %s: %d %s, want %d", request, test.name, resp.code, resp.body, test.want)
			}
		}
	}
}

// TestLog looks for the cause that a caller is not told.
func TestLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := serve(serving(), management.Options{ModelAPI: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	resp := call{"POST /models?url=https://host/gone.mar", ""}.send(h)
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "404 Not Found") || !strings.Contains(text, resp.header.Get("X-Request-Id")) {
		t.Errorf("log %q, want one line with the cause and the request", text)
	}
	log.Reset()
	call{"POST /models?url=bug.mar", ""}.send(h)
	call{"POST /models?url=mnist.mar&batch_size=0", ""}.send(h)
	if log.Len() > 0 {
		t.Errorf("log %q: a defect is logged by the wrapper, a wrong parameter nowhere", &log)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"GET /models", "GET /models/gone", "PATCH /", "OPTIONS /"} {
		resp := call{request, ""}.send(open(serving()))
		for name, want := range map[string]string{
			"Content-Type":  `application/json`,
			"Cache-Control": `no-cache; no-store, must-revalidate, private`,
			"Expires":       `Thu, 01 Jan 1970 00:00:00 UTC`,
			"Pragma":        `no-cache`,
			"X-Request-Id":  `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`,
		} {
			if got := resp.header.Get(name); !regexp.MustCompile(`^` + want + `$`).MatchString(got) {
				t.Errorf("%s: %s is %q, want %s", request, name, got, want)
			}
		}
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	transcript(t, "document.txt", open(serving()), call{"OPTIONS /", ""})
	transcript(t, "document-model.txt", open(serving()), call{"OPTIONS /models/mnist", ""}, call{"OPTIONS /models/mnist/2.0", ""})
	want := call{"OPTIONS /", ""}.send(open(serving())).body
	for _, request := range []string{"GET /api-description", "POST /api-description", "OPTIONS /api-description/"} {
		if got := (call{request, ""}).send(open(serving())).body; got != want {
			t.Errorf("%s: another document than OPTIONS / has", request)
		}
	}
}

// TestDocumentIsTrue sends each operation of the document, and wants it to be known.
func TestDocumentIsTrue(t *testing.T) {
	t.Parallel()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal([]byte(call{"OPTIONS /", ""}.send(open(serving())).body), &document); err != nil {
		t.Fatal(err)
	}
	operations := map[string]bool{}
	for path, methods := range document.Paths {
		for method, op := range methods {
			if operations[op.OperationID] {
				t.Errorf("two operations are called %s", op.OperationID)
			}
			operations[op.OperationID] = true
			target := strings.NewReplacer("{model_name}", "mnist", "{model_version}", "2.0").Replace(path)
			resp := call{strings.ToUpper(method) + " " + target + "?url=mnist.mar&model_name=new", ""}.send(open(serving()))
			if len(op.Responses) < 2 || resp.code >= http.StatusInternalServerError || resp.code == http.StatusMethodNotAllowed || resp.code == http.StatusNotFound {
				t.Errorf("%s %s: %d", method, target, resp.code)
			}
		}
	}
	want := []string{
		"api-description", "apiDescription", "describeModel", "listModels", "registerModel", "setAutoScale", "setDefault", "unregisterModel",
		"version_describeModel", "version_setAutoScale", "version_unregisterModel",
	}
	got := []string{}
	for id := range operations {
		got = append(got, id)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

// FuzzRegister sends bodies as JSON. None is a defect, whatever is in it, and one that JSON reads as an object of texts is
// understood as the same parameters in a query are.
func FuzzRegister(f *testing.F) {
	for _, seed := range []string{
		`{"url":"mnist.mar"}`, `{'url':'mnist.mar','batch_size':'2'}`, `{"url":"a","batch_size":0}`, `{"url":null}`, `[]`, `null`, `1`, ``, `{`, `{"url":1e999}`,
		`{"url":{"a":[]}}`, `{'a\'b':"c'd"}`, `{"url":"a"}x`, "{\"url\":\"\xff\"}", `{"url":"\ud800"}`, `{'`, `{'\`, `{"model_name":"a/b","url":"x"}`, `{"synchronous":"TRUE","url":"mnist-2.mar"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		manager := serving()
		h := open(manager)
		r := httptest.NewRequest(http.MethodPost, "/models", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: %d, no JSON: %q", body, w.Code, w.Body)
		}
		if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented && len(manager.registered) == 0 {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
		var texts map[string]string
		if json.Unmarshal(body, &texts) != nil || texts == nil {
			return
		}
		query := url.Values{}
		for name, value := range texts {
			query.Set(name, value)
		}
		same := serving()
		again := httptest.NewRecorder()
		open(same).ServeHTTP(again, httptest.NewRequest(http.MethodPost, "/models?"+query.Encode(), http.NoBody))
		if bytes.Contains(body, []byte("null")) { // a text that is null is read as an empty one here, as none there
			return
		}
		if diff := cmp.Diff(same.registered, manager.registered); diff != "" || again.Code != w.Code {
			t.Errorf("%q: %d, as a query %d, registered (-query +body):\n%s", body, w.Code, again.Code, diff)
		}
	})
}
