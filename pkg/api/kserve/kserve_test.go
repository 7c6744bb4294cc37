package kserve_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/kserve"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

func TestTells(t *testing.T) {
	t.Parallel()
	metadata := `{"name":"m","versions":["1.0","2.0"],"platform":"onnxruntime_onnx",` +
		`"inputs":[{"name":"image","datatype":"FP32","shape":[-1,3]},{"name":"words","datatype":"BYTES","shape":[-1]}],` +
		`"outputs":[{"name":"scores","datatype":"FP32","shape":[-1,10]}]}`
	tests := []struct {
		path string
		code int
		want string
	}{
		{"/v1/models", 200, `{"models":["a","b","m"]}`},
		{"/v1/models/", 200, `{"models":["a","b","m"]}`},
		{"/v1/models/m", 200, `{"name":"m","ready":true}`},
		{"/v2", 200, `{"name":"tsgo","version":"1.2.3","extensions":["binary_tensor_data"]}`},
		{"/v2/", 200, `{"name":"tsgo","version":"1.2.3","extensions":["binary_tensor_data"]}`},
		{"/v2/health/live", 200, `{"live":true}`},
		{"/v2/health/ready", 200, `{"ready":true}`},
		{"/v2/models", 200, `{"models":["a","b","m"]}`},
		{"/v2/models/m", 200, metadata},
		{"/v2/models/m/versions/2.0", 200, metadata},
		{"/v2/models/v2", 200, `{"name":"v2","versions":["1.0","2.0"],"platform":"onnxruntime_onnx","inputs":[],"outputs":[]}`},
		{"/v2/models/m/ready", 200, `{"name":"m","ready":true}`},
		{"/v2/models/m/versions/1.0/ready", 200, `{"name":"m","ready":true}`},
		{"/v2/models/m/versions/2.0/ready", 503, `{"name":"m","ready":false}`},
	}
	h := handler(&models{})
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			w := ask(t, h, "GET "+tt.path, "")
			if w.Code != tt.code || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %s, want %d", w.Code, w.Header().Get("Content-Type"), tt.code)
			}
			if diff := cmp.Diff(tt.want, compact(t, w.Body.Bytes())); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if w.Header().Get("X-Request-Id") == "" {
				t.Error("the answer has no request ID")
			}
			if head := ask(t, h, "HEAD "+tt.path, ""); head.Code != tt.code {
				t.Errorf("HEAD: %d, want %d", head.Code, tt.code)
			}
			if post := ask(t, h, "POST "+tt.path, ""); post.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("allowed are %q", post.Header().Get("Allow"))
			} else {
				wantFailure(t, post, http.StatusMethodNotAllowed, "method is not allowed")
			}
		})
	}
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	w := ask(t, handler(&models{notReady: fault.Unavailable}), "GET /v2/health/ready", "")
	if w.Code != http.StatusServiceUnavailable || compact(t, w.Body.Bytes()) != `{"ready":false}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	wantFailure(t, ask(t, handler(&models{listError: model.ErrClosed}), "GET /v1/models", ""), http.StatusServiceUnavailable, "shutting down")
}

func TestFailures(t *testing.T) {
	t.Parallel()
	h := handler(&models{})
	infer := `{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}`
	for _, tt := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"GET", "/v1/models/none", "", 404, "Model not found: none"},
		{"GET", "/v2/models/none", "", 404, "Model not found: none"},
		{"GET", "/v2/models/none/ready", "", 404, "Model not found: none"},
		{"GET", "/v2/models/m/versions/9", "", 404, "Model version: 9 does not exist for model: m"},
		{"GET", "/v2/models/broken/ready", "", 500, "internal error"},
		{"GET", "/v2/models/m/config", "", 404, "not found"},
		{"GET", "/v2/models/m/versions", "", 404, "not found"},
		{"GET", "/v2/models/m/versions/1.0/infer/x", "", 404, "not found"},
		{"GET", "/v2/health", "", 404, "not found"},
		{"GET", "/v2/health/live/x", "", 404, "not found"},
		{"GET", "/v2/repository/index", "", 404, "not found"},
		{"GET", "/v1/models/m/x", "", 404, "not found"},
		{"POST", "/v1/models/m:classify", "", 404, "not found"},
		{"GET", "/v1/models/m:predict", "", 405, "method is not allowed"},
		{"GET", "/v2/models/m/infer", "", 405, "method is not allowed"},
		{"POST", "/v1/models/none:predict", "[1]", 404, "Model not found: none"},
		{"POST", "/v1/models/busy:predict", "[1]", 503, "queue"},
		{"POST", "/v1/models/broken:predict", "[1]", 500, "internal error; the server's log has the details under request "},
		{"POST", "/v1/models/m:predict", `{"instances": 5}`, 400, "instances: want a list"},
		{"POST", "/v1/models/m:predict?method=" + strings.Repeat("x", 5000), "[1]", 413, "the parameter method has 5000 bytes"},
		{"POST", "/v1/models/m:predict?a=%zz", "[1]", 400, "query"},
		{"POST", "/v1/models/m:predict", strings.Repeat("x", 20000), 413, "20000 bytes"},
		{"POST", "/v2/models/none/infer", infer, 404, "Model not found: none"},
		{"POST", "/v2/models/m/versions/9/infer", infer, 404, "Model version: 9 does not exist for model: m"},
		{"POST", "/v2/models/busy/infer", infer, 503, "queue"},
		{"POST", "/v2/models/broken/explain", infer, 500, "internal error; the server's log has the details under request "},
		{"POST", "/v2/models/m/infer", strings.Repeat("x", 20000), 413, "20000 bytes"},
		{"POST", "/v2/models/m/infer?a=%zz", infer, 400, "query"},
		{"POST", "/v2/models/m/infer?method=" + strings.Repeat("x", 5000), infer, 413, "the parameter method has 5000 bytes"},
	} {
		t.Run(tt.method+" "+tt.path[:min(40, len(tt.path))], func(t *testing.T) {
			t.Parallel()
			w := ask(t, h, tt.method+" "+tt.path, tt.body)
			wantFailure(t, w, tt.code, tt.says)
			if tt.code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
				t.Error("the caller is not told when to try again")
			}
			if strings.Contains(w.Body.String(), "secrets") {
				t.Errorf("the caller is told a defect: %s", w.Body)
			}
		})
	}
}

// TestPaths checks what is the protocols' and what is not.
func TestPaths(t *testing.T) {
	t.Parallel()
	h := handler(&models{})
	for path, own := range map[string]bool{
		"/": false, "/ping": false, "/predictions/m": false, "/models/m/invoke": false, "/m/predict": false,
		"/v1": false, "/v1/predict": false, "/v1/1.0/predict": false, "/v2/predict": false, "/v2/1.0/predict": false,
		"/v1/models": true, "/v2": true, "/v2/models/predict": true, "/v2/models/m/predict": true, "/v2/x": true, "/v2/health/predict": true,
	} {
		if w := ask(t, h, "GET "+path, ""); (w.Code != http.StatusTeapot) != own {
			t.Errorf("%s: %d, the protocols' own: want %t", path, w.Code, own)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	m := &models{}
	h := kserve.New(m, http.NotFoundHandler(), kserve.Options{API: api.Options{Header: map[string]string{"Access-Control-Allow-Origin": "*"}}})
	for path, allow := range map[string]string{"/v2": "GET, HEAD", "/v2/models/m/infer": "POST, PUT", "/v1/models/m:explain": "POST, PUT"} {
		w := ask(t, h, "OPTIONS "+path, "")
		if w.Code != http.StatusNoContent || w.Header().Get("Allow") != allow || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if len(m.reqs) > 0 {
		t.Error("a model was asked")
	}
	w := ask(t, h, "POST /v2/models/m/infer", `{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}`)
	if w.Code != http.StatusOK {
		t.Errorf("without a signature: %d %s", w.Code, w.Body)
	}
	wantFailure(t, ask(t, h, "POST /v2/models/m/infer", strings.Repeat(" ", 6553501)), http.StatusRequestEntityTooLarge, "6553500")
}
