package kserve_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/model"
)

func TestInstances(t *testing.T) {
	t.Parallel()
	parts := "--b\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"target\"\r\n\r\n3\r\n--b--\r\n"
	tests := []struct {
		name, path, contentType, body string
		want                          string
		params                        map[string]string // of the last request
	}{
		{"numbers", "m:predict", "application/json", `{"instances": [[1, 2], [3, 4]]}`, `{"predictions":["predict body application/json:[1, 2]","predict body application/json:[3, 4]"]}`, nil},
		{"files", "m:predict", "", `{"instances": [{"image_bytes": {"b64": "UE5H"}}, {"b64": "UE5H"}, {"data": "UE5H"}]}`, `{"predictions":["predict image_bytes:PNG","predict body:PNG","predict data text/plain:UE5H"]}`, nil},
		{"curl's idea of a type", "m:predict", "application/x-www-form-urlencoded", `{"instances": [1]}`, `{"predictions":["predict body application/json:1"]}`, nil},
		{"explained", "m:explain", "application/json", `{"instances": [{"text": "hi", "target": 1}]}`, `{"explanations":["explain text text/plain:hi"]}`, map[string]string{"target": "1"}},
		{"parameters", "m:explain?method=rise&other=1", "application/json", `{"instances": [[1]]}`, `{"explanations":["explain body application/json:[1]"]}`, map[string]string{"method": "rise"}},
		{"an escaped colon", "m%3Apredict", "application/json", `{"instances": [1]}`, `{"predictions":["predict body application/json:1"]}`, nil},
		{"no instances", "m:predict", "image/png", "PNG", `"predict body image/png:PNG"`, nil},
		{"a form", "m:explain", "multipart/form-data; boundary=b", parts, `"explain data image/png:PNG"`, map[string]string{"target": "3"}},
		{"one file", "picture:predict", "application/json", `{"instances": [1]}`, `{"predictions":[{"b64":"/1BORw=="}]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &models{}
			w := ask(t, handler(m), "POST /v1/models/"+tt.path, tt.body, "Content-Type: "+tt.contentType, "Explain: True", "Authorization: secret", "X-Mine: 1")
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if diff := cmp.Diff(tt.want, compact(t, w.Body.Bytes())); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			_, req := m.last(t)
			if diff := cmp.Diff(tt.params, req.Params); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			if len(req.Header["Explain"])+len(req.Header["Authorization"]) > 0 || len(req.Header["X-Mine"]) != 1 {
				t.Errorf("the handler sees %v", req.Header)
			}
		})
	}
}

// TestFileAlone asks for a file in version 1, without instances: it comes as it is.
func TestFileAlone(t *testing.T) {
	t.Parallel()
	m := &models{}
	w := ask(t, handler(m), "PUT /v1/models/picture:explain", "PNG")
	if w.Code != http.StatusOK || w.Body.String() != "\xffPNG" || w.Header().Get("Content-Type") != "image/png" || w.Header().Get("X-Exact") != "yes" {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if ref, req := m.last(t); ref != (model.Ref{Name: "picture"}) || req.Mode != model.ModeExplain || req.ID != w.Header().Get("X-Request-Id") {
		t.Errorf("asked was %v %+v", ref, req)
	}
}
