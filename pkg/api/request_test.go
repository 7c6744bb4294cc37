package api_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	for target, want := range map[string][]string{
		"/":                      {},
		"//":                     {},
		"*":                      {"*"},
		"/models":                {"models"},
		"/models/":               {"models"},
		"/models//":              {"models"},
		"//models///m/":          {"models", "m"},
		"/a%20b/c":               {"a b", "c"},
		"/models/a%2Fb/1":        {"models", "a/b", "1"},
		"/models/a%2fb%20c/%31":  {"models", "a/b c", "1"},
		"/%2F":                   {"/"},
		"/a+b":                   {"a+b"},
		"/a/../b/.":              {"a", "..", "b", "."},
		"http://other:1/ping?x=": {"ping"},
		"/ping?a=%zz":            {"ping"},
	} {
		got, err := api.Segments(httptest.NewRequest(http.MethodGet, target, http.NoBody))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", target, err, diff)
		}
	}
	if got, err := api.Segments(&http.Request{URL: &url.URL{RawPath: "/predictions/%zz"}}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a broken escape: %v, %v", got, err)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]api.Fields{
		"":                 nil,
		"&;&":              nil,
		"a=1&b=2":          {{"a", "1"}, {"b", "2"}},
		"b=2;a=1":          {{"b", "2"}, {"a", "1"}},
		"a":                {{"a", ""}},
		"=x":               {{"", "x"}},
		"a=b=c":            {{"a", "b=c"}},
		"a=1&a=2":          {{"a", "1"}, {"a", "2"}},
		"a+b=c%20d%26%3B+": {{"a b", "c d&; "}},
		"name%5B%5D=x":     {{"name[]", "x"}},
	} {
		got, err := api.Query(&http.Request{URL: &url.URL{RawQuery: query}})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", query, err, diff)
		}
	}
	fields := api.Fields{{"a", "1"}, {"a", "2"}, {"b", ""}}
	if v, ok := fields.Get("a"); v != "1" || !ok {
		t.Errorf("a = %q, %v", v, ok)
	}
	if v, ok := fields.Get("b"); v != "" || !ok {
		t.Errorf("b = %q, %v", v, ok)
	}
	if v, ok := fields.Get("c"); v != "" || ok {
		t.Errorf("c = %q, %v", v, ok)
	}
	for query, want := range map[string]fault.Kind{
		"a=%zz": fault.Invalid, "%=1": fault.Invalid, strings.Repeat("a&", api.MaxFields+1): fault.TooLarge,
	} {
		if got, err := api.Query(&http.Request{URL: &url.URL{RawQuery: query}}); !errors.Is(err, want) || got != nil {
			t.Errorf("%.20q: %v, %v, want %v", query, got, err, want)
		}
	}
}

func TestParseForm(t *testing.T) {
	t.Parallel()
	got, err := api.ParseForm([]byte("a=1;2&b=x+y"))
	if diff := cmp.Diff(api.Fields{{"a", "1;2"}, {"b", "x y"}}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func FuzzForm(f *testing.F) {
	f.Add("a=1&b=%20;c")
	f.Add("%zz")
	f.Fuzz(func(t *testing.T, s string) {
		fields, err := api.ParseForm([]byte(s))
		if err != nil {
			return
		}
		values, err := url.ParseQuery(strings.ReplaceAll(s, ";", "%3B"))
		if err != nil {
			t.Fatalf("%q is read as %v, and is %v", s, fields, err)
		}
		got := url.Values{}
		for _, field := range fields {
			got.Add(field.Name, field.Value)
		}
		if diff := cmp.Diff(values, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", s, diff)
		}
	})
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 513, 256 << 10, 256<<10 + 1, 3 << 20} {
		want := bytes.Repeat([]byte("abc"), size/3+1)[:size]
		for _, length := range []int64{int64(size), -1, int64(size) / 2} {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(want))
			r.ContentLength = length
			if got, err := api.ReadBody(r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %d announced: %d bytes, %v", size, length, len(got), err)
			}
		}
	}
}

// TestReadBodyOfWhatIsAnnounced checks that a caller cannot have memory by announcing a body.
func TestReadBodyOfWhatIsAnnounced(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
	r.ContentLength = 1 << 40
	if got, err := api.ReadBody(r); err != nil || cap(got) > 1<<20 {
		t.Errorf("%d bytes of memory for one byte, %v", cap(got), err)
	}
}

func TestBodyError(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]fault.Kind{
		&http.MaxBytesError{Limit: 5}:                         fault.TooLarge,
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}: fault.Timeout,
		io.ErrUnexpectedEOF:                                   fault.Invalid,
		errors.New("connection reset"):                        fault.Invalid,
	} {
		r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("half"), breaking{err}))
		if data, got := api.ReadBody(r); fault.Of(got) != want || data != nil {
			t.Errorf("%v: %q, %v, want %v", err, data, got, want)
		}
	}
}

type breaking struct{ err error }

func (b breaking) Read([]byte) (int, error) { return 0, b.err }
