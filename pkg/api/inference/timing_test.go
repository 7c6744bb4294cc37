package inference_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/model"
)

// TestServerTiming asks for the times of a request in the ways that RFC 7240 allows, and not at all.
func TestServerTiming(t *testing.T) {
	t.Parallel()
	const stages = "preprocess;dur=1.500, queue;dur=2.000, stack;dur=0.001, inference;dur=30.000, postprocess;dur=0.000, batch;desc=4, "
	one := model.Timing{Preprocess: 1500 * time.Microsecond, Queue: 2 * time.Millisecond, Stack: time.Microsecond, Run: 30 * time.Millisecond, Batch: 4}
	tests := []struct {
		name   string
		prefer []string
		body   string
		want   string // before the total; "-": no header
	}{
		{"not asked", nil, "x", "-"},
		{"asked", []string{"server-timing"}, "x", stages},
		{"among others", []string{"respond-async, wait=10", "return=minimal , Server-Timing"}, "x", stages},
		{"asked for something else", []string{"server-timings"}, "x", "-"},
		{"several instances", []string{"server-timing"}, `{"instances": ["a", "b"]}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fake := &models{predict: func(context.Context, model.Ref, *model.Request) (*model.Response, error) {
				return &model.Response{Body: []byte("1"), Timing: one}, nil
			}}
			r := httptest.NewRequest(http.MethodPost, "/predictions/m", strings.NewReader(test.body))
			r.Header["Prefer"] = test.prefer
			r.Header.Set("Content-Type", "application/json")
			resp, _ := send(t, inference.New(fake, options()), r)
			got, applied := resp.Header.Get("Server-Timing"), resp.Header.Get("Preference-Applied")
			if test.want == "-" {
				if got != "" || applied != "" {
					t.Errorf("Server-Timing %q and Preference-Applied %q, not asked for", got, applied)
				}
				return
			}
			if !regexp.MustCompile("^"+test.want+`total;dur=[0-9]+\.[0-9]{3}$`).MatchString(got) || applied != "server-timing" {
				t.Errorf("Server-Timing %q and Preference-Applied %q, want %q and the total", got, applied, test.want)
			}
		})
	}
}

// TestWrote checks that writing an answer is told, once, and that a failure is none.
func TestWrote(t *testing.T) {
	t.Parallel()
	var told []string
	opts := options()
	opts.Wrote = func(ref model.Ref, mode model.Mode, took time.Duration) {
		if took < 0 {
			t.Errorf("it took %v", took)
		}
		told = append(told, fmt.Sprint(ref, " ", mode))
	}
	h := inference.New(&models{}, opts)
	for _, target := range []string{"/predictions/m", "/explanations/m", "/predictions", "/ping"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, target, http.NoBody))
	}
	if diff := cmp.Diff([]string{"m predict", "m explain"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
