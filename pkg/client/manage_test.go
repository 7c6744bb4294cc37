package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// said is an answer of a server that says the same whatever it is asked.
type said struct {
	code int
	body string
}

// answer answers any request.
func (s said) answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(s.code)
	_, _ = fmt.Fprint(w, s.body)
}

// script is a server's answers by request line; what is not in it is no route.
type script map[string]said

// play serves a script.
func play(t *testing.T, s script) *client.Client {
	t.Helper()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) error {
		answer, ok := s[r.Method+" "+r.RequestURI]
		if !ok {
			return fmt.Errorf("%w: %s %s", fault.NotFound, r.Method, r.RequestURI)
		}
		answer.answer(w, r)
		return nil
	})
	return connect(t, server.URL, client.Options{})
}

func text(code int, status string) said { return said{code, fmt.Sprintf(`{"status": %q}`, status)} }

func refusal(code int, kind, message string) said {
	return said{code, fmt.Sprintf(`{"code": %d, "type": %q, "message": %q}`, code, kind, message)}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	three, none := 3, 0
	tests := []struct {
		name string
		reg  model.Registration
		line string
		said said
		want model.Outcome
	}{
		{
			name: "nothing but the URL", reg: model.Registration{URL: "mnist"}, line: "POST /models?synchronous=true&url=mnist",
			said: text(200, `Model "mnist" Version: 1.0 registered with 1 initial workers`),
			want: model.Outcome{Ref: model.Ref{Name: "mnist", Version: "1.0"}, Workers: 1},
		},
		{
			name: "everything",
			reg: model.Registration{
				URL: "https://h/a b.mar", Name: "n", Version: "2", Handler: "h", Runtime: "python", BatchSize: 8, MaxBatchDelay: 1500 * time.Microsecond,
				ResponseTimeout: 90 * time.Second, StartupTimeout: 1500 * time.Millisecond, Workers: &three,
			},
			line: "POST /models?batch_size=8&handler=h&initial_workers=3&max_batch_delay=2&model_name=n&model_version=2&response_timeout=90" +
				"&runtime=python&startup_timeout=2&synchronous=true&url=https%3A%2F%2Fh%2Fa+b.mar",
			said: text(200, `Model "n" Version: 2 registered with 3 initial workers`),
			want: model.Outcome{Ref: model.Ref{Name: "n", Version: "2"}, Workers: 3},
		},
		{
			name: "no workers", reg: model.Registration{URL: "m", Workers: &none}, line: "POST /models?initial_workers=0&synchronous=true&url=m",
			said: text(200, `Model "m" Version: 1.0 registered with 0 initial workers. Use scale workers API to add workers for the model.`),
			want: model.Outcome{Ref: model.Ref{Name: "m", Version: "1.0"}},
		},
		{
			name: "later", reg: model.Registration{URL: "m", Name: "n", Workers: &three, Async: true},
			line: "POST /models?initial_workers=3&model_name=n&synchronous=false&url=m", said: text(202, "Processing worker updates..."),
			want: model.Outcome{Ref: model.Ref{Name: "n"}, Workers: 3, Pending: true},
		},
		{
			name: "fewer than asked", reg: model.Registration{URL: "m"}, line: "POST /models?synchronous=true&url=m", said: text(206, "Workers scaling in progress..."),
			want: model.Outcome{Pending: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := play(t, script{tt.line: tt.said}).Register(t.Context(), tt.reg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

const oneVersion = `[
  {
    "modelName": "m", "modelVersion": "1.0", "modelUrl": "m.mar", "runtime": "python", "minWorkers": 1, "maxWorkers": 4, "batchSize": 8,
    "maxBatchDelay": 100, "responseTimeout": 120, "startupTimeout": 60, "maxRetryTimeoutInSec": 300, "parallelType": "", "deviceIds": [0],
    "loadedAtStartup": true,
    "workers": [
      {"id": "9000", "startTime": "2026-03-04T05:06:07.089Z", "status": "READY", "memoryUsage": 7, "pid": 42, "gpu": false, "gpuUsage": "N/A"},
      {"id": "9001", "startTime": "yesterday", "status": "UNLOADING"}
    ],
    "jobQueueStatus": {"remainingCapacity": 99, "pendingRequests": 1},
    "customizedMetadata": {"classes": 10}
  }
]`

func status(version string, standard bool) model.Status {
	return model.Status{Ref: model.Ref{Name: "m", Version: version}, Default: standard}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	whole := model.Status{
		Ref: model.Ref{Name: "m", Version: "1.0"}, Default: true, URL: "m.mar", Runtime: "python", MinWorkers: 1, MaxWorkers: 4, BatchSize: 8,
		MaxBatchDelay: 100 * time.Millisecond, ResponseTimeout: 2 * time.Minute, StartupTimeout: time.Minute, AtStartup: true,
		Workers: []model.Worker{
			{ID: "9000", Started: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), Ready: true, Memory: 7, PID: 42},
			{ID: "9001"},
		},
		QueueRemaining: 99, QueuePending: 1, Memory: 7, Customized: map[string]any{"classes": 10.0},
	}
	two := `[{"modelName": "m", "modelVersion": "2.0"}, {"modelName": "m", "modelVersion": "1.0"}]`
	c := play(t, script{
		"GET /models/m":                 {200, oneVersion},
		"GET /models/m?customized=true": {200, oneVersion},
		"GET /models/m/2.0":             {200, `[{"modelName": "m", "modelVersion": "2.0"}]`},
		"GET /models/m/all":             {200, two},
	})
	tests := []struct {
		name string
		ref  model.Ref
		d    model.Description
		want []model.Status
	}{
		{name: "default", ref: model.Ref{Name: "m"}, want: []model.Status{whole}},
		{name: "customized", ref: model.Ref{Name: "m"}, d: model.Description{Customized: true}, want: []model.Status{whole}},
		{name: "another version", ref: model.Ref{Name: "m", Version: "2.0"}, want: []model.Status{status("2.0", false)}},
		{
			name: "all", ref: model.Ref{Name: "m"}, d: model.Description{All: true},
			want: []model.Status{status("2.0", false), status("1.0", true)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Describe(t.Context(), tt.ref, tt.d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	c := play(t, script{
		"GET /models/m":     {200, oneVersion},
		"GET /models/m/1.0": {200, oneVersion},
		"PUT /models/m/1.0?max_worker=3&min_worker=3&synchronous=true":  text(200, "Workers scaled to 3 for model: m, version: 1.0"),
		"PUT /models/m/1.0?max_worker=4&min_worker=1&synchronous=true":  text(200, "Workers scaled to 1 for model: m, version: 1.0"),
		"PUT /models/m/1.0?max_worker=3&min_worker=3&synchronous=false": text(202, "Processing worker updates..."),
		"PUT /models/m/1.0?max_worker=1&min_worker=2&synchronous=true":  refusal(400, "BadRequestException", "max_worker cannot be less than min_worker."),
	})
	ref := model.Ref{Name: "m", Version: "1.0"}
	tests := []struct {
		name  string
		ref   model.Ref
		scale model.Scale
		want  model.Outcome
	}{
		{"default version", model.Ref{Name: "m"}, model.Scale{Min: 3, Max: 3}, model.Outcome{Ref: ref, Workers: 3}},
		{"enough there", ref, model.Scale{Min: 1, Max: 4}, model.Outcome{Ref: ref, Workers: 2}},
		{"later", ref, model.Scale{Min: 3, Max: 3, Async: true}, model.Outcome{Ref: ref, Workers: 3, Pending: true}},
	}
	for _, tt := range tests {
		got, err := c.Scale(t.Context(), tt.ref, tt.scale)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, outcome (-want +got):\n%s", tt.name, err, diff)
		}
	}
	if _, err := c.Scale(t.Context(), ref, model.Scale{Min: 2, Max: 1}); !errors.Is(err, fault.Invalid) {
		t.Errorf("Scale = %v, want %v", err, fault.Invalid)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	c := play(t, script{
		"GET /models": {200, `{"nextPageToken": "100", "models": [{"modelName": "a", "modelUrl": "a.mar"}, {"modelName": "b", "modelUrl": ""}]}`},
		"GET /models?limit=2&next_page_token=100": {200, `{"models": []}`},
	})
	want := model.Listing{Models: []model.Listed{{Name: "a", URL: "a.mar"}, {Name: "b"}}, Next: 100}
	for page, want := range map[model.Page]model.Listing{{}: want, {Limit: 2, Offset: 100}: {}} {
		got, err := c.List(t.Context(), page)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%+v: %v, listing (-want +got):\n%s", page, err, diff)
		}
	}
}

func TestDefaultAndUnregister(t *testing.T) {
	t.Parallel()
	ref := model.Ref{Name: "m", Version: "2.0"}
	c := play(t, script{
		"PUT /models/m/2.0/set-default": text(200, `Default version successfully updated for model "m" to "2.0"`),
		"DELETE /models/m/2.0":          text(200, `Model "m" unregistered`),
		"DELETE /models/m":              refusal(403, "InvalidModelVersionException", "Cannot remove default version for model m"),
		"DELETE /models/off":            refusal(405, "MethodNotAllowedException", "Requested method is not allowed, please refer to API document."),
	})
	if err := c.SetDefault(t.Context(), ref); err != nil {
		t.Errorf("SetDefault: %v", err)
	}
	if err := c.Unregister(t.Context(), ref); err != nil {
		t.Errorf("Unregister: %v", err)
	}
	for name, kind := range map[string]fault.Kind{"m": fault.DefaultVersion, "off": fault.NotAllowed, "..": fault.Invalid} {
		if err := c.Unregister(t.Context(), model.Ref{Name: name}); fault.Of(err) != kind {
			t.Errorf("Unregister %s = %v, want %v", name, err, kind)
		}
	}
	if err := c.SetDefault(t.Context(), model.Ref{Name: "m"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("SetDefault without a version = %v, want %v", err, fault.Invalid)
	}
}

// TestNonsense gives answers of a server that is another one, and expects a failure that says so.
func TestNonsense(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"no JSON": "<html>", "empty": "", "null": "null", "an empty list": "[]", "a number": "7", "no version": `[{"modelName": "m"}]`,
		"a page that leads back": `{"nextPageToken": "0", "models": []}`, "a page that is no number": `{"nextPageToken": "x", "models": []}`,
		"another text": `{"status": "Hello"}`, "too many workers": `{"status": "Model \"m\" Version: 1 registered with 99999999999999999999 initial workers"}`,
		"a name that leads upwards": `[{"modelName": "..", "modelVersion": "1"}]`,
	}
	calls := map[string]func(c *client.Client) error{
		"Register": func(c *client.Client) error {
			_, err := c.Register(t.Context(), model.Registration{URL: "m"})
			return err
		},
		"Describe": func(c *client.Client) error {
			_, err := c.Describe(t.Context(), model.Ref{Name: "m"}, model.Description{})
			return err
		},
		"List": func(c *client.Client) error {
			_, err := c.List(t.Context(), model.Page{})
			return err
		},
	}
	makesSense := map[string]bool{"List null": true, "List another text": true, "List too many workers": true}
	for name, body := range bodies {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write([]byte(body))
			return err
		})
		c := connect(t, server.URL, client.Options{})
		for what, call := range calls {
			err := call(c)
			if makesSense[what+" "+name] { // an object without models is an empty list
				continue
			}
			if err == nil || fault.Of(err) != fault.Internal || !strings.Contains(err.Error(), server.URL) {
				t.Errorf("%s of %s: %v, want %v with the address", what, name, err, fault.Internal)
			}
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		said said
		kind fault.Kind
		ok   bool
	}{
		{name: "healthy", said: text(200, "Healthy"), ok: true},
		{name: "unhealthy", said: text(500, "Unhealthy"), kind: fault.Unavailable},
		{name: "no token", said: refusal(401, "InvalidKeyException", "no"), kind: fault.Unauthorized},
		{name: "another server", said: said{404, "<html>"}, kind: fault.NotFound},
	}
	for _, tt := range tests {
		err := play(t, script{"GET /ping": tt.said}).Ping(t.Context())
		if (err == nil) != tt.ok || !tt.ok && fault.Of(err) != tt.kind {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.kind)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	page := "# TYPE a counter\na 1\n"
	c := play(t, script{"GET /metrics": {200, page}, "GET /metrics?name%5B%5D=a&name%5B%5D=b": {200, "a 1\n"}})
	for want, names := range map[string][]string{page: nil, "a 1\n": {"a", "b"}} {
		got, err := c.Metrics(t.Context(), names...)
		if err != nil || string(got) != want {
			t.Errorf("Metrics(%v) = %q, %v, want %q", names, got, err, want)
		}
	}
	if all, err := c.Stats(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("Stats = %v, %v, want none", all, err)
	}
	server := serve(t, func(http.ResponseWriter, *http.Request) error { return api.Words(fault.Unauthorized, "no key") })
	if _, err := connect(t, server.URL, client.Options{}).Stats(t.Context()); !errors.Is(err, fault.Unauthorized) {
		t.Errorf("Stats = %v, want %v", err, fault.Unauthorized)
	}
}
