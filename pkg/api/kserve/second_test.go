package kserve_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

const lengthHeader = "Inference-Header-Content-Length"

// binary is a body of JSON with data behind it, and its header.
func binary(text, data string) (body, header string) {
	return text + data, lengthHeader + ": " + strconv.Itoa(len(text))
}

func TestTensors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, text, data string
		want                   string // but for its end, which has the outputs
		outputs                string
	}{
		{
			"numbers", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[2,2],"datatype":"INT8","data":[[1,2],[3,4]]}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"x","shape":[2,2],"datatype":"INT8","data":[1,2,3,4]}]`,
		}, {
			"several, of a version", "m/versions/1.0/infer", `{"id":"7","inputs":[{"name":"b","shape":[1],"datatype":"BOOL","data":[true]},{"name":"a","shape":[-1],"datatype":"FP64","data":[0.5, 1]}]}`, "",
			`{"model_name":"m","model_version":"1.0","id":"7"`,
			`[{"name":"a","shape":[2],"datatype":"FP64","data":[0.5,1]},{"name":"b","shape":[1],"datatype":"BOOL","data":[true]}]`,
		}, {
			"only one is wanted", "m/infer", `{"id":"7","inputs":[{"name":"b","shape":[],"datatype":"BOOL","data":true},{"name":"a","shape":[1],"datatype":"UINT8","data":[1]}],"outputs":[{"name":"b"}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"b","shape":[],"datatype":"BOOL","data":[true]}]`,
		}, {
			"text", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["hé"]}],"outputs":[{"name":"body"}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["\"predict x text/plain:hé\""]}]`,
		}, {
			"JSON", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"content_type":"Application/JSON"},"data":["[1]"]}],"outputs":[{"name":"body"}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["\"predict x application/json:[1]\""]}]`,
		}, {
			"a picture in base64", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"content_type":"image/png"},"data":["UE5H"]}],"outputs":[{"name":"body"}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["\"predict x image/png:PNG\""]}]`,
		}, {
			"bytes in base64", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"content_type":"base64"},"data":["UE5H"]}],"outputs":[{"name":"body"}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["\"predict x:PNG\""]}]`,
		}, {
			"several texts", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]`,
		}, {
			"the network takes text", "m/infer", `{"id":"7","inputs":[{"name":"words","shape":[1],"datatype":"BYTES","data":["a"]}],"outputs":[{"name":"body"}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["\"predict words string[1]\""]}]`,
		}, {
			"an answer without tensors", "picture/explain", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}`, "",
			`{"model_name":"picture","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"image/png"},"data":["/1BORw=="]}]`,
		}, {
			"an explanation", "body/versions/1.0/explain", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}`, "",
			`{"model_name":"body","model_version":"1.0","id":"7"`, `[{"name":"body","shape":[1],"datatype":"BYTES","parameters":{"content_type":"application/json"},"data":["\"explain\""]}]`,
		}, {
			"a picture in binary form", "m/infer", `{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":8},"data":null}],"outputs":[{"name":"x","parameters":{"binary_data":true}}]}`, "\x04\x00\x00\x00\xff\x00\x01\x02",
			`{"model_name":"m","id":"7"`, `[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":8}}]` + "\x04\x00\x00\x00\xff\x00\x01\x02",
		}, {
			"binary and JSON", "m/infer", `{"id":"7","inputs":[{"name":"a","shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}},{"name":"b","shape":[1],"datatype":"INT8","data":[1]},{"name":"c","shape":[1],"datatype":"BF16","parameters":{"binary_data_size":2}}],` +
				`"outputs":[{"name":"c","parameters":{"binary_data":true}},{"name":"b"},{"name":"a","parameters":{"binary_data":true}}]}`, "\x01\x00\x02\x00\x80\x3f",
			`{"model_name":"m","id":"7"`, `[{"name":"c","shape":[1],"datatype":"BF16","parameters":{"binary_data_size":2}},{"name":"b","shape":[1],"datatype":"INT8","data":[1]},{"name":"a","shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}}]` + "\x80\x3f\x01\x00\x02\x00",
		}, {
			"all outputs binary", "m/infer", `{"id":"7","parameters":{"binary_data_output":true},"inputs":[{"name":"a","shape":[1],"datatype":"FP16","data":[1]}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"a","shape":[1],"datatype":"FP16","parameters":{"binary_data_size":2}}]` + "\x00\x3c",
		}, {
			"all but one", "m/infer", `{"id":"7","parameters":{"binary_data_output":true},"inputs":[{"name":"a","shape":[1],"datatype":"UINT8","data":[1]},{"name":"b","shape":[1],"datatype":"UINT8","data":[2]}],"outputs":[{"name":"a"},{"name":"b","parameters":{"binary_data":false}}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"a","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}},{"name":"b","shape":[1],"datatype":"UINT8","data":[2]}]` + "\x01",
		}, {
			"binary and empty", "m/infer", `{"id":"7","parameters":{"binary_data_output":true},"inputs":[{"name":"a","shape":[0],"datatype":"UINT8","parameters":{"binary_data_size":0}}]}`, "",
			`{"model_name":"m","id":"7"`, `[{"name":"a","shape":[0],"datatype":"UINT8","parameters":{"binary_data_size":0}}]`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, header := binary(tt.text, tt.data)
			if tt.data == "" && !strings.Contains(tt.text, "binary_data_size") {
				header = "X-None: 1"
			}
			w := ask(t, handler(&models{}), "POST /v2/models/"+tt.path, body, header)
			want, text := tt.want+`,"outputs":`+tt.outputs, w.Body.String()
			if at := strings.LastIndexByte(want, ']'); at >= 0 { // behind the JSON comes the data
				want = want[:at+1] + "}" + want[at+1:]
			}
			if w.Code != http.StatusOK || text != want {
				t.Fatalf("%d %q, want %q", w.Code, text, want)
			}
			contentType, length := "application/json", ""
			if strings.Contains(tt.outputs, "binary_data_size") {
				contentType, length = "application/octet-stream", strconv.Itoa(strings.LastIndexByte(text, '}')+1)
			}
			if got := w.Header(); got.Get("Content-Type") != contentType || got.Get(lengthHeader) != length || got.Get("Content-Length") != strconv.Itoa(len(text)) {
				t.Errorf("header %v, want %s and %s", got, contentType, length)
			}
		})
	}
}

func TestDatatypes(t *testing.T) {
	t.Parallel()
	for datatype, values := range map[string]string{
		"BOOL": "true,false", "UINT8": "0,255", "UINT16": "0,65535", "UINT32": "0,4294967295", "UINT64": "0,18446744073709551615",
		"INT8": "-128,127", "INT16": "-32768,32767", "INT32": "-2147483648,2147483647", "INT64": "-9223372036854775808,9223372036854775807",
		"FP16": "0.5,-2", "BF16": "0.5,-2", "FP32": "0.1,-1e+30", "FP64": "0.1,-1e+300", "BYTES": `"a","é"`,
	} {
		t.Run(datatype, func(t *testing.T) {
			t.Parallel()
			h := handler(&models{})
			one := ask(t, h, "POST /v2/models/m/infer", fmt.Sprintf(
				`{"inputs":[{"name":"words","shape":[2,1],"datatype":%q,"data":[[%s]]}],"outputs":[{"name":"words","parameters":{"binary_data":true}}]}`,
				datatype, strings.Replace(values, ",", "],[", 1)))
			n, err := strconv.Atoi(one.Header().Get(lengthHeader))
			if one.Code != http.StatusOK || err != nil {
				t.Fatalf("%d %s, %v", one.Code, one.Body, err)
			}
			data := one.Body.String()[n:]
			body, header := binary(fmt.Sprintf(`{"inputs":[{"name":"words","shape":[2,1],"datatype":%q,"parameters":{"binary_data_size":%d}}]}`, datatype, len(data)), data)
			two := ask(t, h, "POST /v2/models/m/infer", body, header)
			if want := fmt.Sprintf(`[{"name":"words","shape":[2,1],"datatype":%q,"data":[%s]}]`, datatype, values); !strings.Contains(two.Body.String(), want) {
				t.Errorf("%d %s, want %s", two.Code, two.Body, want)
			}
		})
	}
}

func TestWholeBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ model, contentType, name, want string }{
		{"m", "application/octet-stream", "image", ""}, {"m", "Image/PNG; x=1", "image", "image/png"}, {"v2", "", "body", ""},
	} {
		m := &models{}
		w := ask(t, handler(m), "POST /v2/models/"+tt.model+"/explain?target=3&x=1", "\xffPNG", lengthHeader+": 0", "Content-Type: "+tt.contentType)
		if w.Code != http.StatusBadRequest { // what the fake answers is no text
			t.Errorf("%d %s", w.Code, w.Body)
		}
		_, req := m.last(t)
		want := model.Request{
			ID: w.Header().Get("X-Request-Id"), Mode: model.ModeExplain, Params: map[string]string{"target": "3"},
			Inputs: []model.Input{{Name: tt.name, ContentType: tt.want, Data: []byte("\xffPNG")}}, Header: req.Header,
		}
		if diff := cmp.Diff(want, *req, cmp.Comparer(func(a, b tensor.Tensor) bool { return a.String() == b.String() })); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query, parameters string
		want              map[string]string
	}{
		{"", `{}`, nil},
		{"", `{"method":"rise","steps":50,"flag":true,"other":[1],"target":null}`, map[string]string{"method": "rise", "steps": "50", "flag": "true"}},
		{"?method=query&target=1", `{"method":"body"}`, map[string]string{"method": "body", "target": "1"}},
	} {
		m := &models{}
		w := ask(t, handler(m), "POST /v2/models/m/infer"+tt.query, `{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}],"parameters":`+tt.parameters+`}`)
		if w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		_, req := m.last(t)
		if diff := cmp.Diff(tt.want, req.Params); diff != "" {
			t.Errorf("parameters (-want +got):\n%s", diff)
		}
	}
}

// TestAnswerHeader checks that what a handler adds to its answer comes with tensors too, and that an answer without an ID
// of the question's has the request's.
func TestAnswerHeader(t *testing.T) {
	t.Parallel()
	w := ask(t, handler(&models{}), "POST /v2/models/picture/infer", `{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}`)
	var got struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("X-Exact") != "yes" || got.ID == "" || got.ID != w.Header().Get("X-Request-Id") {
		t.Errorf("%v, ID %q", w.Header(), got.ID)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	in := func(rest string) string { return `{"inputs":[{"name":"x","shape":[1],"datatype":"INT8"` + rest + `}]}` }
	with := func(rest string) string {
		return `{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}],` + rest + `}`
	}
	many := strings.Join(slices.Repeat([]string{"{}"}, 1001), ",")
	tests := []struct {
		name, body string
		code       int
		says       string
		headers    []string
	}{
		{"nothing", "", 400, `want {"inputs"`, nil},
		{"no JSON", "PNG", 400, `want {"inputs"`, nil},
		{"no object", "[1]", 400, `want {"inputs"`, nil},
		{"more than one", "{}{}", 400, `want {"inputs"`, nil},
		{"no inputs", `{"instances":[1]}`, 400, "inputs: want at least one tensor", nil},
		{"too many inputs", `{"inputs":[` + many + `]}`, 413, "1001 inputs", nil},
		{"too many outputs", with(`"outputs":[` + many + `]`), 413, "1001 outputs", nil},
		{"no data", in(""), 400, `input 0, "x": invalid: it has no data`, nil},
		{"null", in(`,"data":null`), 400, "it has no data", nil},
		{"data of another type", in(`,"data":["a"]`), 400, "which is no INT8", nil},
		{"no datatype", `{"inputs":[{"name":"x","shape":[1],"data":[1]}]}`, 400, "datatype", nil},
		{"a length that is none", `{"inputs":[{"name":"x","shape":["a"],"datatype":"INT8","data":[1]}]}`, 400, `want {"inputs"`, nil},
		{"no such output", with(`"outputs":[{"name":"y"}]`), 400, `output "y"`, nil},
		{"bytes that are no text", `{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"content_type":"base64"},"data":["/w=="]}]}`, 400, "ask for it in binary form", nil},
		{"no base64", `{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"content_type":"image/png"},"data":["?"]}]}`, 400, "want base64", nil},
		{"a parameter that is no value", with(`"parameters":{"method":[1]}`), 400, "parameter method: want a text", nil},
		{"a parameter that is too long", with(`"parameters":{"method":"` + strings.Repeat("x", 5000) + `"}`), 413, "the parameter method has 5000 bytes", nil},
		{"a type that is no text", in(`,"parameters":{"content_type":{}},"data":[1]`), 400, "parameter content_type", nil},
		{"binary_data that is no truth", with(`"outputs":[{"name":"x","parameters":{"binary_data":1}}]`), 400, `output 0, "x": invalid: parameter binary_data is "1"`, nil},
		{"binary_data_output that is no truth", with(`"parameters":{"binary_data_output":"maybe"}`), 400, "binary_data_output", nil},
		{"a class", with(`"outputs":[{"name":"x","parameters":{"classification":3}}]`), 501, "classification", nil},
		{"shared memory", in(`,"parameters":{"shared_memory_region":"a"}`), 501, "shared_memory_region", nil},
		{"a size that is none", in(`,"parameters":{"binary_data_size":-1}`), 400, "binary_data_size", nil},
		{"a size that is no value", in(`,"parameters":{"binary_data_size":[]}`), 400, "binary_data_size", nil},
		{"data twice", in(`,"data":[1],"parameters":{"binary_data_size":1}`), 400, "want one of the two", nil},
		{"binary data that is not there", in(`,"parameters":{"binary_data_size":1}`), 400, "0 bytes are left", nil},
		{"binary data that does not fit", in(`,"parameters":{"binary_data_size":2}`) + "ab", 400, "holds 1 elements", []string{lengthHeader + ": " + strconv.Itoa(len(in(`,"parameters":{"binary_data_size":2}`)))}},
		{"data that is nobody's", in(`,"data":[1]`) + "ab", 400, "2 bytes follow", []string{lengthHeader + ": " + strconv.Itoa(len(in(`,"data":[1]`)))}},
		{"a length beyond the body", "{}", 400, lengthHeader, []string{lengthHeader + ": 3"}},
		{"a negative length", "{}", 400, lengthHeader, []string{lengthHeader + ": -1"}},
		{"no number", "{}", 400, lengthHeader, []string{lengthHeader + ": x"}},
		{"compressed in a way that is not known", "{}", 501, "Content-Encoding", []string{"Content-Encoding: br"}},
		{"not compressed", "{}", 400, "the body ended early", []string{"Content-Encoding: gzip"}},
		{"files that differ in number", `{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]},{"name":"y","shape":[3],"datatype":"BYTES","data":["a","b","c"]}]}`, 400, "want as many in each", nil},
		{"a file of several that is none", `{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","parameters":{"content_type":"image/png"},"data":["UE5H","?"]}]}`, 400, "element 1: want base64", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, ask(t, handler(&models{}), "POST /v2/models/m/infer", tt.body, tt.headers...), tt.code, tt.says)
		})
	}
}

// TestSeveralFiles sends several files as one tensor: each is asked about, and the answers are rows of one.
func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	var files, texts, data []string
	for i := range 100 {
		files = append(files, fmt.Sprintf("\xff%03d", i))
		texts = append(texts, fmt.Sprintf("%q", fmt.Sprintf("text %d", i)))
		data = append(data, "\x04\x00\x00\x00"+files[i])
	}
	m := &models{}
	text := `{"id":"7","inputs":[{"name":"x","shape":[100,1],"datatype":"BYTES","parameters":{"binary_data_size":800,"content_type":"image/png"}},{"name":"n","shape":[1,1],"datatype":"INT8","data":[5]}],` +
		`"parameters":{"method":"rise"},"outputs":[{"name":"x","parameters":{"binary_data":true}},{"name":"n"}]}`
	body, header := binary(text, strings.Join(data, ""))
	w := ask(t, handler(m), "POST /v2/models/m/infer", body, header)
	fives := strings.TrimSuffix(strings.Repeat("5,", 100), ",")
	want := `{"model_name":"m","id":"7","outputs":[{"name":"x","shape":[100],"datatype":"BYTES","parameters":{"binary_data_size":800}},{"name":"n","shape":[100,1],"datatype":"INT8","data":[` + fives + `]}]}` + strings.Join(data, "")
	if w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("%d %q, want %q", w.Code, w.Body, want)
	}
	for i, req := range m.reqs {
		if !strings.HasPrefix(req.ID, w.Header().Get("X-Request-Id")+"-") || req.Params["method"] != "rise" || req.Inputs[0].ContentType != "image/png" {
			t.Errorf("request %d: %+v", i, req)
		}
	}
	w = ask(t, handler(m), "POST /v2/models/m/infer", `{"inputs":[{"name":"x","shape":[100],"datatype":"BYTES","data":[`+strings.Join(texts, ",")+`]}]}`)
	if want := `"shape":[100],"datatype":"BYTES","data":[` + strings.Join(texts, ",") + "]"; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	w = ask(t, handler(m), "POST /v2/models/picture/explain", `{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]}`)
	if want := `"shape":[2],"datatype":"BYTES","parameters":{"content_type":"image/png"},"data":["/1BORw==","/1BORw=="]`; !strings.Contains(w.Body.String(), want) || w.Header().Get("X-Exact") != "yes" {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	wantFailure(t, ask(t, handler(m), "POST /v2/models/nobody/infer", `{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":["a","b"]}]}`), 404, "Model not found: nobody")
}

// TestCompressed sends a compressed question, and asks for a compressed answer.
func TestCompressed(t *testing.T) {
	t.Parallel()
	numbers := strings.TrimSuffix(strings.Repeat("1,", 1500), ",")
	text := `{"id":"7","inputs":[{"name":"x","shape":[1500],"datatype":"INT8","data":[` + numbers + `]}],"outputs":[{"name":"x","parameters":{"binary_data":true}}]}`
	var sent bytes.Buffer
	out := gzip.NewWriter(&sent)
	_, _ = out.Write([]byte(text))
	_ = out.Close()
	w := ask(t, handler(&models{}), "POST /v2/models/m/infer", sent.String(), "Content-Encoding: gzip", "Accept-Encoding: deflate;q=0, gzip", lengthHeader+": "+strconv.Itoa(len(text)))
	if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	in, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(in)
	want := `{"model_name":"m","id":"7","outputs":[{"name":"x","shape":[1500],"datatype":"INT8","parameters":{"binary_data_size":1500}}]}` + strings.Repeat("\x01", 1500)
	if err != nil || string(got) != want || w.Header().Get(lengthHeader) != strconv.Itoa(len(want)-1500) {
		t.Errorf("%q, %v, %v", got, w.Header(), err)
	}
}

// FuzzInfer checks that no body is a defect: it is answered, or its caller is to blame.
func FuzzInfer(f *testing.F) {
	f.Add(`{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]}]}`, -1)
	f.Add(`{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"],"parameters":{"content_type":"image/png"}}],"outputs":[{"name":"x"}]}`, -1)
	f.Add(`{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","parameters":{"binary_data_size":1}}],"parameters":{"binary_data_output":true}}a`, 120)
	f.Add("PNG", 0)
	h := handler(&models{})
	f.Fuzz(func(t *testing.T, body string, length int) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v2/models/m/infer", strings.NewReader(body))
		if length >= 0 {
			r.Header.Set(lengthHeader, strconv.Itoa(length))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusNotImplemented:
			wantFailure(t, w, w.Code, "")
		case http.StatusOK:
			text := w.Body.Bytes()
			if length := w.Header().Get(lengthHeader); length != "" {
				n, err := strconv.Atoi(length)
				if err != nil || n > len(text) {
					t.Fatalf("%s is %q of %d bytes", lengthHeader, length, len(text))
				}
				text = text[:n]
			}
			if !json.Valid(text) {
				t.Errorf("answered with %q", text)
			}
		default:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
