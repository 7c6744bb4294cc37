package inference_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func post(h http.Handler, target, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestInstanceForms checks what each form of an instance becomes.
func TestInstanceForms(t *testing.T) {
	t.Parallel()
	one := func(name, contentType, data string) []model.Input { return []model.Input{in(name, contentType, data)} }
	tests := []struct {
		name, instance string
		inputs         []model.Input
		params         map[string]string
		network        []string
	}{
		{name: "list", instance: `[[1, 2.50], [3, 4]]`, inputs: one("body", "application/json", `[[1, 2.50], [3, 4]]`)},
		{name: "number", instance: `1e5`, inputs: one("body", "application/json", `1e5`)},
		{name: "null", instance: `null`, inputs: one("body", "application/json", `null`)},
		{name: "text", instance: `"a \"b\" \u00e9"`, inputs: one("body", "text/plain", `a "b" é`)},
		{name: "file", instance: ` { "b64": "/9j/" } `, inputs: one("body", "", "\xff\xd8\xff")},
		{name: "file in data", instance: `{"data": {"b64": "/9j/"}}`, inputs: one("data", "", "\xff\xd8\xff")},
		{name: "file in image", instance: `{"image": {"b64": "/9j/"}}`, inputs: one("image", "", "\xff\xd8\xff")},
		{name: "list in data", instance: `{"data": [1,2]}`, inputs: one("data", "application/json", "[1,2]")},
		{name: "text in data", instance: `{"data": "x"}`, inputs: one("data", "text/plain", "x")},
		{
			name: "several inputs in their order", instance: `{"z": [1], "a": {"b64": ""}, "m": {"k": {"b64": "eA=="}}}`,
			inputs: []model.Input{in("z", "application/json", "[1]"), in("a", "", ""), in("m", "application/json", `{"k": {"b64": "eA=="}}`)},
		},
		{name: "file among others", instance: `{"b64": "eA==", "x": 1}`, inputs: []model.Input{in("b64", "text/plain", "eA=="), in("x", "application/json", "1")}},
		{name: "parameters", instance: `{"data": [1], "target": 3, "method": "m"}`, inputs: one("data", "application/json", "[1]"), params: map[string]string{"target": "3", "method": "m", "top_k": "5"}},
		{name: "input called like a parameter", instance: `{"target": 3}`, network: []string{"target"}, inputs: one("target", "application/json", "3")},
		{name: "nothing", instance: `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, contentType := range []string{"", "application/json; charset=utf-8", form} {
				fake, opts := &models{}, options()
				opts.Inputs = func(model.Ref) []string { return tt.network }
				w := post(inference.New(fake, opts), "/predictions/m?top_k=5", contentType, ` {"signature_name": "x", "instances": [`+tt.instance+`]}`)
				if w.Code != http.StatusOK {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				got := fake.only(t)
				if diff := cmp.Diff(tt.inputs, got.Req.Inputs, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("inputs (-want +got):\n%s", diff)
				}
				want := tt.params
				if want == nil {
					want = map[string]string{"top_k": "5"}
				}
				if diff := cmp.Diff(want, got.Req.Params); diff != "" {
					t.Errorf("params (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// echo answers with what it was asked, in the layout of a model's answer.
func echo(_ context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
	body := fmt.Sprintf("{\n  %q: [\n    %s\n  ]\n}", req.Mode.String()+req.Params["target"], req.Inputs[0].Data)
	return &model.Response{ContentType: "application/json", Body: []byte(body)}, nil
}

func TestJoin(t *testing.T) {
	t.Parallel()
	for target, key := range map[string]string{
		"/predictions/m": "predictions", "/explanations/m/2": "explanations",
		"/m/predict?target=": "predictions", "/invocations?model_name=m&target=": "predictions",
	} {
		mode := map[string]string{"predictions": "predict", "explanations": "explain"}[key]
		fake := &models{predict: echo}
		w := post(inference.New(fake, options()), target, "application/json", `{"instances": [10, {"data": 11, "target": "x"}, 12]}`)
		want := fmt.Sprintf(`{
  %q: [
    {
      "%[2]s": [
        10
      ]
    },
    {
      "%[2]sx": [
        11
      ]
    },
    {
      "%[2]s": [
        12
      ]
    }
  ]
}`, key, mode)
		if strings.Contains(target, "target") {
			want = strings.Replace(want, mode+"x", mode, 1) // what the query says goes first
		}
		if diff := cmp.Diff(want, w.Body.String()); w.Code != http.StatusOK || diff != "" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d (-want +got):\n%s", target, w.Code, diff)
		}
		var ids []string
		for _, call := range fake.calls {
			ids = append(ids, call.Req.ID)
		}
		slices.Sort(ids)
		id := w.Header().Get("X-Request-Id")
		if diff := cmp.Diff([]string{id + "-0", id + "-1", id + "-2"}, ids); diff != "" {
			t.Errorf("%s: request IDs (-want +got):\n%s", target, diff)
		}
	}
}

// TestJoinOthers checks answers that are no JSON, and the headers of several answers.
func TestJoinOthers(t *testing.T) {
	t.Parallel()
	fake := &models{predict: func(_ context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
		n := string(req.Inputs[0].Data)
		header := map[string]string{"X-Same": "s", "X-Other": n}
		if n == "0" {
			header["X-First"] = "f"
		}
		return &model.Response{ContentType: "image/png", Body: []byte{0xff, 0xd8, 0xff}, Header: header}, nil
	}}
	w := post(inference.New(fake, options()), "/explanations/m", "", `{"instances": [0, 1]}`)
	var got struct {
		Explanations []map[string][]byte `json:"explanations"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	picture := map[string][]byte{"b64": {0xff, 0xd8, 0xff}}
	if diff := cmp.Diff([]map[string][]byte{picture, picture}, got.Explanations); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"X-Same": "s", "X-Other": "", "X-First": "", "Content-Type": "application/json"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestBadInstance(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		code int
		says string
	}{
		"bad input": {fmt.Errorf("%w: no picture", fault.Invalid), 400, "instance 2: invalid: no picture"},
		"no worker": {model.ErrNoWorker, 503, "has no worker"},
		"defect":    {errors.New("secret"), 500, "internal error"},
	} {
		fake := &models{predict: func(ctx context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
			if string(req.Inputs[0].Data) == "2" {
				return nil, tt.err
			}
			<-ctx.Done() // the others are stopped
			return nil, fmt.Errorf("stopped: %w", ctx.Err())
		}}
		w := post(inference.New(fake, options()), "/predictions/m", "", `{"instances": [0, 1, 2, 3]}`)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	w := post(inference.New(&models{}, options()), "/predictions/none", "", `{"instances": [0]}`)
	if want := failure(404, "ModelNotFoundException", "Model not found: none"); w.Body.String() != want {
		t.Errorf("unknown model: %s", w.Body)
	}
}

// TestInstancesHeld asks about more instances than there is to be memory for the answers: the rest is not asked.
func TestInstancesHeld(t *testing.T) {
	t.Parallel()
	const most = 1000
	large, err := tensor.New([]int64{most / 8}, make([]int32, most/8))
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	models := &models{predict: func(context.Context, model.Ref, *model.Request) (*model.Response, error) {
		asked.Add(1)
		return &model.Response{Body: make([]byte, most/2), Tensors: tensor.Named{"scores": large}}, nil
	}}
	ask := func(n int) error {
		_, err := inference.Asker{Models: models, MaxAnswer: most}.AskRows(t.Context(), inference.Question{Ref: model.Ref{Name: "m"}}, make([][]model.Input, n))
		return err
	}
	if err := ask(16); err != nil {
		t.Error(err)
	}
	asked.Store(0)
	if err, n := ask(1000), asked.Load(); fault.Of(err) != fault.TooLarge || !strings.Contains(err.Error(), "16 of 1000 bytes, the most that one may have; ask about fewer") || n > 100 {
		t.Errorf("%d were asked: %v", n, err)
	}
}

// TestInstancesRunTogether checks that instances are asked side by side, and not all of a long list at once.
func TestInstancesRunTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int64
		var mu sync.Mutex
		var most int64
		fake := &models{predict: func(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
			n := running.Add(1)
			defer running.Add(-1)
			mu.Lock()
			most = max(most, n)
			mu.Unlock()
			<-time.After(time.Second)
			return echo(ctx, ref, req)
		}}
		list := strings.TrimSuffix(strings.Repeat("1,", 96), ",")
		start := time.Now()
		w := post(inference.New(fake, options()), "/predictions/m", "", `{"instances": [`+list+`]}`)
		if w.Code != http.StatusOK || most != 32 || time.Since(start) != 3*time.Second {
			t.Errorf("%d, %d at once, %v", w.Code, most, time.Since(start))
		}
	})
}
