package kserve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/kserve"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// models answers with the tensors it was given, bytes as one tensor; and remembers what it was asked. It has m 1.0, the
// default, and 2.0, which has a worker too few; v2; picture, which answers with a file; and broken.
type models struct {
	notReady, listError error

	mu   sync.Mutex
	refs []model.Ref
	reqs []*model.Request
}

var errSecret = errors.New("a defect with its secrets")

func (m *models) check(ref model.Ref) error {
	versions, ok := map[string][]string{"m": {"1.0", "2.0"}, "v2": {"1.0"}, "picture": {"1.0"}, "broken": {"1.0"}, "busy": {"1.0"}, "body": {"1.0"}}[ref.Name]
	switch {
	case !ok:
		return fmt.Errorf("model %q: %w", ref.Name, fault.NoModel)
	case ref.Version != "" && !slices.Contains(versions, ref.Version):
		return fmt.Errorf("model %q: %w", ref.Name, fault.NoVersion)
	}
	return nil
}

func (m *models) Predict(_ context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	m.mu.Lock()
	m.refs, m.reqs = append(m.refs, ref), append(m.reqs, req)
	m.mu.Unlock()
	if err := m.check(ref); err != nil {
		return nil, err
	}
	switch ref.Name {
	case "broken":
		return nil, errSecret
	case "busy":
		return nil, model.ErrQueueFull
	case "picture":
		return &model.Response{ContentType: "image/png", Body: []byte("\xffPNG"), Header: map[string]string{"X-Exact": "yes"}}, nil
	case "body":
		return &model.Response{ContentType: "application/json", Body: []byte(fmt.Sprintf("%q", req.Mode)), Header: map[string]string{"X-Exact": "yes"}}, nil
	}
	resp := &model.Response{ContentType: "application/json", Tensors: tensor.Named{}}
	var words []string
	for _, in := range req.Inputs {
		if in.Tensor != nil {
			resp.Tensors[in.Name] = *in.Tensor
			words = append(words, in.Name+" "+in.Tensor.String())
			continue
		}
		t, err := tensor.New([]int64{1}, []string{string(in.Data)})
		if err != nil {
			return nil, err
		}
		resp.Tensors[in.Name] = t
		words = append(words, strings.TrimSpace(in.Name+" "+in.ContentType)+":"+string(in.Data))
	}
	body, err := json.Marshal(req.Mode.String() + " " + strings.Join(words, ", "))
	resp.Body = body
	return resp, err
}

func (m *models) Ready() error { return m.notReady }

func (m *models) Describe(_ context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	if ref.Name == "broken" {
		return nil, nil
	}
	if err := m.check(ref); err != nil {
		return nil, err
	}
	ready, loading := model.Worker{Ready: true}, model.Worker{}
	one := model.Status{Ref: model.Ref{Name: ref.Name, Version: "1.0"}, MinWorkers: 1, Workers: []model.Worker{ready}}
	two := model.Status{Ref: model.Ref{Name: ref.Name, Version: "2.0"}, MinWorkers: 2, Workers: []model.Worker{ready, loading}}
	switch {
	case d.All:
		return []model.Status{one, two}, nil
	case ref.Version == "2.0":
		return []model.Status{two}, nil
	}
	return []model.Status{one}, nil
}

// List has two pages.
func (m *models) List(_ context.Context, p model.Page) (model.Listing, error) {
	if m.listError != nil {
		return model.Listing{}, m.listError
	}
	if p.Offset == 0 {
		return model.Listing{Models: []model.Listed{{Name: "a"}, {Name: "b"}}, Next: 2}, nil
	}
	return model.Listing{Models: []model.Listed{{Name: "m"}}}, nil
}

// last is what was asked last.
func (m *models) last(t *testing.T) (model.Ref, *model.Request) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.reqs) == 0 {
		t.Fatal("nothing was asked")
	}
	return m.refs[len(m.refs)-1], m.reqs[len(m.reqs)-1]
}

func handler(m *models) http.Handler {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	return kserve.New(m, next, kserve.Options{
		API: api.Options{MaxBody: 10000}, Version: "1.2.3", Params: []string{"method", "steps", "flag", "target"},
		Signature: func(ref model.Ref) oip.Signature {
			if ref.Name != "m" {
				return oip.Signature{}
			}
			return oip.Signature{
				Inputs:  []oip.Metadata{{Name: "image", Datatype: "FP32", Shape: []int64{-1, 3}}, {Name: "words", Datatype: "BYTES", Shape: []int64{-1}}},
				Outputs: []oip.Metadata{{Name: "scores", Datatype: "FP32", Shape: []int64{-1, 10}}},
			}
		},
	})
}

// ask sends one request, "METHOD TARGET"; headers are "Name: value".
func ask(t *testing.T, h http.Handler, request, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// compact is JSON without its spaces.
func compact(t *testing.T, text []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out.String()
}

// wantFailure checks a failure: its status, and its body, which is {"error": text} and nothing else.
func wantFailure(t *testing.T, w *httptest.ResponseRecorder, code int, says string) {
	t.Helper()
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != code || !strings.Contains(body["error"], says) || !slices.Equal(slices.Collect(maps.Keys(body)), []string{"error"}) {
		t.Errorf("%d %s, want %d and an error that says %q", w.Code, w.Body, code, says)
	}
}
