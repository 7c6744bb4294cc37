package inference_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// parts is a multipart body with the boundary B.
func parts(all ...string) string {
	var text strings.Builder
	for _, p := range all {
		text.WriteString("--B\r\n" + p + "\r\n")
	}
	return text.String() + "--B--\r\n"
}

func file(name, contentType, data string) string {
	return fmt.Sprintf("Content-Disposition: form-data; name=%q; filename=\"f\"\r\nContent-Type: %s\r\n\r\n%s", name, contentType, data)
}

func plain(name, data string) string {
	return fmt.Sprintf("Content-Disposition: form-data; name=%q\r\n\r\n%s", name, data)
}

func in(name, contentType, data string) model.Input {
	return model.Input{Name: name, ContentType: contentType, Data: []byte(data)}
}

const (
	form       = "application/x-www-form-urlencoded"
	multiparts = "multipart/form-data; boundary=B"
)

// TestInputs has a row for each way in which a request carries something.
func TestInputs(t *testing.T) {
	t.Parallel()
	jpeg := "\xff\xd8\xff\xe0=&\x00"
	tests := []struct {
		name, target, contentType, body string
		inputs                          []model.Input
		params                          map[string]string
		network                         []string // names of its inputs
	}{
		{name: "raw", contentType: "image/jpeg", body: jpeg, inputs: []model.Input{in("body", "image/jpeg", jpeg)}},
		{name: "raw without a type", body: jpeg, inputs: []model.Input{in("body", "", jpeg)}},
		{name: "type with parameters", contentType: "Application/JSON ; charset=utf-8", body: "[1]", inputs: []model.Input{in("body", "application/json", "[1]")}},
		{name: "broken type", contentType: ";;", body: "x", inputs: []model.Input{in("body", "", "x")}},
		{name: "empty", inputs: []model.Input{in("body", "", "")}},
		{name: "text", contentType: "text/plain", body: `{"instances": [1]}`, inputs: []model.Input{in("body", "text/plain", `{"instances": [1]}`)}},

		{name: "form", contentType: form, body: "data=a+b%21&x=1", inputs: []model.Input{in("data", "", "a b!"), in("x", "", "1")}},
		{name: "form of a name", contentType: form, body: "abc", inputs: []model.Input{in("abc", "", "")}},
		{name: "form in UTF-8", contentType: form, body: "data=é", inputs: []model.Input{in("data", "", "é")}},
		{name: "empty form", contentType: form},
		{name: "form with parameters", contentType: form, body: "data=a&target=3&top_k=2&target=4", inputs: []model.Input{in("data", "", "a")}, params: map[string]string{"target": "4", "top_k": "2"}},
		{name: "form with a name twice", contentType: form, body: "data=a&x=1&data=b&data=c", inputs: []model.Input{in("data", "", "c"), in("x", "", "1")}},
		{
			name: "form with an input twice that is called like a parameter", contentType: form, body: "target=3&target=4", network: []string{"target"},
			inputs: []model.Input{in("target", "", "4")},
		},
		{
			name: "form with an input that is called like a parameter", contentType: form, body: "target=3&method=x", network: []string{"target"},
			inputs: []model.Input{in("target", "", "3")}, params: map[string]string{"method": "x"},
		},
		{name: "JSON that curl calls a form", contentType: form, body: " [[1, 2]]", inputs: []model.Input{in("body", "application/json", " [[1, 2]]")}},
		{name: "a file that curl calls a form", contentType: form, body: jpeg, inputs: []model.Input{in("body", "", jpeg)}},

		{name: "parts", contentType: multiparts, body: parts(file("data", "image/png; q=1", jpeg)), inputs: []model.Input{in("data", "image/png", jpeg)}},
		{
			name: "several parts", contentType: multiparts, body: parts(file("a", "image/png", "1"), file("b", "", "2"), file("a", "", "3"), plain("c", "4")),
			inputs: []model.Input{in("a", "", "3"), in("b", "", "2"), in("c", "", "4")},
		},
		{
			name: "parts with a name twice", contentType: multiparts, body: parts(plain("data", "1"), file("data", "image/png", "2"), "Content-Type: text/html\r\n\r\n3", file("data", "image/gif", "4")),
			inputs: []model.Input{in("data", "image/gif", "4")},
		},
		{
			name: "parameter in two parts", contentType: multiparts, body: parts(plain("target", "1"), file("data", "", "x"), plain("target", "2")),
			inputs: []model.Input{in("data", "", "x")}, params: map[string]string{"target": "2"},
		},
		{
			name: "plain part with a type", contentType: multiparts, body: parts("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/html\r\n\r\nx"),
			inputs: []model.Input{in("a", "", "x")},
		},
		{name: "part without a name", contentType: multiparts, body: parts("Content-Type: text/html\r\n\r\nx"), inputs: []model.Input{in("data", "", "x")}},
		{name: "no part", contentType: multiparts, body: parts()},
		{name: "part as a parameter", contentType: multiparts, body: parts(file("data", "", "x"), plain("target", "tabby")), inputs: []model.Input{in("data", "", "x")}, params: map[string]string{"target": "tabby"}},
		{name: "file as a parameter", contentType: multiparts, body: parts(file("target", "application/json", "5"), file("data", "", "x")), inputs: []model.Input{in("data", "", "x")}, params: map[string]string{"target": "5"}},
		{
			name: "part that is called like a parameter", contentType: multiparts, body: parts(plain("target", "1")), network: []string{"target", "x"},
			inputs: []model.Input{in("target", "", "1")},
		},
		{name: "instances in a part", contentType: multiparts, body: parts(file("data", "application/json", `{"instances": [1]}`)), inputs: []model.Input{in("data", "application/json", `{"instances": [1]}`)}},
		{name: "parts of another kind", contentType: "multipart/mixed; boundary=B", body: "x", inputs: []model.Input{in("body", "multipart/mixed", "x")}},

		{name: "query", target: "/predictions/m?target=3&top_k=5&data=x&target=4", body: "b", inputs: []model.Input{in("body", "", "b")}, params: map[string]string{"target": "3", "top_k": "5"}},
		{name: "query before form", target: "/explanations/m?target=3", contentType: form, body: "target=4&data=x", inputs: []model.Input{in("data", "", "x")}, params: map[string]string{"target": "3"}},
		{name: "query in parts", target: "/predictions/m?target=a;top_k=b", body: "b", inputs: []model.Input{in("body", "", "b")}, params: map[string]string{"target": "a", "top_k": "b"}},
		{name: "query of inputs", target: "/m/predict?a=1&target=2&b=3", body: "x", inputs: []model.Input{in("a", "", "1"), in("b", "", "3"), in("body", "", "x")}, params: map[string]string{"target": "2"}},
		{name: "query with an input twice", target: "/m/predict?a=1&b=2&a=3", inputs: []model.Input{in("a", "", "3"), in("b", "", "2")}},
		{name: "input in the query and in the form", target: "/m/predict?a=1&b=2", contentType: form, body: "b=3", inputs: []model.Input{in("a", "", "1"), in("b", "", "3")}},
		{name: "query of inputs alone", target: "/m/2/predict?data=1", inputs: []model.Input{in("data", "", "1")}},
		{name: "query of inputs and parts", target: "/models/m/invoke?a=1", contentType: multiparts, body: parts(file("data", "", "x")), inputs: []model.Input{in("a", "", "1"), in("data", "", "x")}},
		{name: "query of an input that is called like a parameter", target: "/m/predict?target=1", network: []string{"target"}, inputs: []model.Input{in("target", "", "1")}},
		{name: "model in the query", target: "/invocations?model_name=m&a=1", contentType: form, body: "model_name=none&b=2", inputs: []model.Input{in("a", "", "1"), in("b", "", "2")}},
		{name: "model in the form", target: "/invocations", contentType: form, body: "model_name=m&b=2&model_name=none", inputs: []model.Input{in("b", "", "2")}},
		{name: "model in a part", target: "/invocations", contentType: multiparts, body: parts(plain("model_name", "m"), file("data", "", "x")), inputs: []model.Input{in("data", "", "x")}},
		{name: "model_name elsewhere", target: "/models/m/invoke?model_name=x", inputs: []model.Input{in("model_name", "", "x")}},

		{name: "an object without instances", contentType: "application/json", body: `{"a": "instances"}`, inputs: []model.Input{in("body", "application/json", `{"a": "instances"}`)}},
		{name: "instances further down", contentType: "application/json", body: `{"a": {"instances": [1]}}`, inputs: []model.Input{in("body", "application/json", `{"a": {"instances": [1]}}`)}},
		{name: "broken JSON", contentType: "application/json", body: `{"instances": [`, inputs: []model.Input{in("body", "application/json", `{"instances": [`)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, chunked := range []bool{false, true} {
				opts, fake := options(), &models{}
				opts.Inputs = func(ref model.Ref) []string {
					if ref.Name != "m" {
						t.Errorf("asked for the inputs of %v", ref)
					}
					return tt.network
				}
				if tt.target == "" {
					tt.target = "/predictions/m"
				}
				var body io.Reader = strings.NewReader(tt.body)
				if chunked {
					body = io.MultiReader(body)
				}
				req := httptest.NewRequest(http.MethodPost, tt.target, body)
				if tt.contentType != "" {
					req.Header.Set("Content-Type", tt.contentType)
				}
				if resp, text := send(t, inference.New(fake, opts), req); resp.StatusCode != http.StatusOK {
					t.Fatalf("%d %s", resp.StatusCode, text)
				}
				got := fake.only(t)
				if diff := cmp.Diff(tt.inputs, got.Req.Inputs, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("inputs (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.params, got.Req.Params, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("params (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name, target, contentType, body string
		code                            int
		says                            string
	}{
		{"no boundary", "", "multipart/form-data", "x", 400, "no boundary"},
		{"broken boundary", "", "multipart/form-data; boundary=", "x", 400, "no boundary"},
		{"other boundary", "", "multipart/form-data; boundary=C", parts(plain("a", "x")), 400, "parts of the body"},
		{"cut in a part", "", multiparts, "--B\r\n" + plain("a", "x"), 400, "ended early"},
		{"cut in a head", "", multiparts, "--B\r\nContent-Disp", 400, "parts of the body"},
		{"cut before the last boundary", "", multiparts, strings.TrimSuffix(parts(plain("a", "x")), "--\r\n"), 400, "ended early"},
		{"empty body of parts", "", multiparts, "", 400, "ended early"},
		{"too many parts", "", multiparts, parts(strings.Split(strings.Repeat(plain("a", "")+"|", api.MaxFields+1), "|")...), 413, "more than 1000 parts"},
		{"broken form", "", form, "a=%zz", 400, "a=%zz"},
		{"too many fields", "", form, strings.Repeat("a=1&", api.MaxFields+1), 413, "more than 1000 fields"},
		{"long parameter", "", form, "target=" + long, 413, "the parameter target has 5000 bytes"},
		{"long parameter of the query", "/predictions/m?target=" + long, "", "", 413, "the parameter target has 5000 bytes"},
		{"instances are no list", "", "application/json", `{"instances": 5}`, 400, "want a list"},
		{"instances are null", "", "application/json", `{"instances": null}`, 400, "want a list"},
		{"no instance", "", "", `{"instances": []}`, 400, "at least one"},
		{"too many instances", "", "", `{"instances": [` + strings.Repeat("1,", api.MaxFields) + `1]}`, 413, "1001 elements"},
		{"file that is not in base64", "", "", `{"instances": [1, {"b64": "*"}]}`, 400, "instance 1: invalid: b64"},
		{"file in a member that is not in base64", "", "", `{"instances": [{"data": {"b64": 5}}]}`, 400, "instance 0: invalid: b64"},
		{"long parameter of an instance", "", "", `{"instances": [{"target": "` + long + `"}]}`, 413, "instance 0: too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &models{}
			if tt.target == "" {
				tt.target = "/predictions/m"
			}
			req := httptest.NewRequest(http.MethodPost, tt.target, strings.NewReader(tt.body))
			req.Header.Set("Content-Type", tt.contentType)
			w := httptest.NewRecorder()
			inference.New(fake, options()).ServeHTTP(w, req)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, tt.code, tt.says)
			}
			if len(fake.calls) != 0 {
				t.Errorf("the model was asked %v", fake.calls)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.API.MaxBody = 100
	big := strings.Repeat("x", 101)
	bodies := map[string]string{"image/png": big, form: "data=" + big, multiparts: parts(file("data", "", big))}
	for contentType, body := range bodies {
		for _, chunked := range []bool{false, true} {
			var from io.Reader = strings.NewReader(body)
			if chunked {
				from = io.MultiReader(from)
			}
			fake := &models{}
			req := httptest.NewRequest(http.MethodPost, "/predictions/m", from)
			req.Header.Set("Content-Type", contentType)
			resp, text := send(t, inference.New(fake, opts), req)
			if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(text, "RequestTooLargeException") || len(fake.calls) != 0 {
				t.Errorf("%s, chunked %v: %d %s", contentType, chunked, resp.StatusCode, text)
			}
		}
	}
	for size, want := range map[int]int{inference.DefaultMaxBody: 200, inference.DefaultMaxBody + 1: 413} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodPost, "/predictions/m", io.MultiReader(bytes.NewReader(make([]byte, size))))
		inference.New(&models{}, options()).ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("%d bytes: %d, want %d", size, w.Code, want)
		}
	}
}

// toTheEnd tells whether a body was read to its end.
type toTheEnd struct {
	io.Reader

	read bool
}

func (b *toTheEnd) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read = b.read || err == io.EOF
	return n, err
}

// TestPartsAreReadToTheEnd checks that what follows the last part is read too: net/http tells of a caller who has gone
// behind the body's end only.
func TestPartsAreReadToTheEnd(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{"nothing": "", "an epilogue": strings.Repeat("x", 10_000)} {
		body := &toTheEnd{Reader: strings.NewReader(parts(file("data", "", "x")) + rest)}
		req := httptest.NewRequest(http.MethodPost, "/predictions/m", body)
		req.Header.Set("Content-Type", multiparts)
		w := httptest.NewRecorder()
		inference.New(&models{}, options()).ServeHTTP(w, req)
		if w.Code != http.StatusOK || !body.read {
			t.Errorf("%s behind the parts: %d %s, read to the end: %t", name, w.Code, w.Body, body.read)
		}
	}
}

// TestHalfABody checks that a caller who sends half a body gets no answer of the model, and that others go on meanwhile.
func TestHalfABody(t *testing.T) {
	t.Parallel()
	fake := &models{}
	server := httptest.NewServer(inference.New(fake, options()))
	t.Cleanup(server.Close)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test is over
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /predictions/m HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/predictions/m", strings.NewReader("whole"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	half, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(half.Body)
	if err != nil || half.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "the body ended early") {
		t.Errorf("%v, %d %s", err, half.StatusCode, text)
	}
	if err := half.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if got := fake.only(t); string(got.Req.Inputs[0].Data) != "whole" {
		t.Errorf("the model was asked about %q", got.Req.Inputs[0].Data)
	}
}

// FuzzBody checks that no body makes the API panic or answer by itself.
func FuzzBody(f *testing.F) {
	f.Add("application/json", []byte(`{"instances": [[1], "a", {"b64": "YQ=="}, {"data": {"b64": "YQ=="}, "target": 3}, null]}`))
	f.Add("", []byte(`{"instances": [{}]}`))
	f.Add(form, []byte("data=a&target=3"))
	f.Add(multiparts, []byte(parts(file("data", "image/png", "x"), plain("target", "1"))))
	f.Add("multipart/form-data; boundary=\"B", []byte("--B"))
	fake := &models{predict: func(_ context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
		for _, input := range req.Inputs {
			if input.ContentType != strings.ToLower(input.ContentType) || strings.Contains(input.ContentType, ";") {
				return nil, fmt.Errorf("content type %q: %w", input.ContentType, fault.Internal)
			}
		}
		return &model.Response{ContentType: "application/json", Body: []byte("1")}, nil
	}}
	h := inference.New(fake, options())
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		fake.calls = nil
		r := httptest.NewRequest(http.MethodPost, "/predictions/m", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case w.Code == http.StatusOK && len(fake.calls) == 0, w.Code != http.StatusOK && len(fake.calls) != 0:
			t.Errorf("%d after %d calls: %s", w.Code, len(fake.calls), w.Body)
		case w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// quiet is an answer that nobody reads.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header         { return q.header }
func (q quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q quiet) WriteHeader(int)             {}

// again is a body that is read again and again.
type again struct{ bytes.Reader }

func (a *again) Close() error { return nil }

type instant struct{ models }

func (*instant) Predict(context.Context, model.Ref, *model.Request) (*model.Response, error) {
	return &model.Response{ContentType: "application/json", Body: []byte("7")}, nil
}

// BenchmarkPredict is the way of a digit through the API, without the connection and without the model.
func BenchmarkPredict(b *testing.B) {
	digit := bytes.Repeat([]byte{0x89}, 300)
	var parted bytes.Buffer
	form := multipart.NewWriter(&parted)
	part, err := form.CreateFormFile("data", "0.png")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := part.Write(digit); err != nil {
		b.Fatal(err)
	}
	if err := form.Close(); err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name, contentType string
		body              []byte
	}{
		{"raw", "", digit},
		{"multipart", form.FormDataContentType(), parted.Bytes()},
	} {
		b.Run(bm.name, func(b *testing.B) {
			opts := options()
			opts.API.Observe = func(int) {}
			h := inference.New(&instant{}, opts)
			r := httptest.NewRequest(http.MethodPost, "/predictions/mnist", bytes.NewReader(bm.body))
			r.Header.Set("User-Agent", "curl/8")
			r.Header.Set("Accept", "*/*")
			if bm.contentType != "" {
				r.Header.Set("Content-Type", bm.contentType)
			}
			body := &again{}
			w := quiet{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				body.Reset(bm.body)
				r.Body = body
				h.ServeHTTP(w, r)
			}
		})
	}
}
