package api_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/api"
)

// packed is a text in a coding; raw is deflate without its header.
func packed(t *testing.T, coding, text string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "deflate":
		w = zlib.NewWriter(&out)
	case "raw":
		w, _ = flate.NewWriter(&out, flate.BestSpeed)
	default:
		return text
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCodedBody(t *testing.T) {
	t.Parallel()
	const most = 20_000
	text := strings.Repeat("a body. ", 100)
	for _, tt := range []struct {
		name, coding, body string
		code               int
		says               string
	}{
		{"plain", "", text, 200, text},
		{"gzip", "gzip", packed(t, "gzip", text), 200, text},
		{"gzip by its old name", "X-GZIP", packed(t, "gzip", text), 200, text},
		{"deflate", "deflate", packed(t, "deflate", text), 200, text},
		{"deflate without a header", "deflate", packed(t, "raw", text), 200, text},
		{"empty within", "gzip", packed(t, "gzip", ""), 200, ""},
		{"another coding is nobody's here", "br", text, 200, "br " + text},
		{"as large as may be", "gzip", packed(t, "gzip", strings.Repeat("x", most)), 200, strings.Repeat("x", most)},
		{"a bomb", "gzip", packed(t, "gzip", strings.Repeat("x", 10<<20)), 413, "more than the 20000 bytes"},
		{"a byte too many", "deflate", packed(t, "deflate", strings.Repeat("x", most+1)), 413, "more than the 20000 bytes"},
		{"a bomb without a header", "deflate", packed(t, "raw", strings.Repeat("x", 10<<20)), 413, "more than the 20000 bytes"},
		{"no gzip", "gzip", text, 400, "gzip: invalid header"},
		{"no deflate", "deflate", "\xff\xff\xff\xff", 400, "flate: corrupt input"},
		{"nothing", "gzip", "", 200, ""},
		{"nothing deflated", "deflate", "", 200, ""},
		{"cut off", "gzip", packed(t, "gzip", text)[:20], 400, "ended early"},
		{"a checksum that is wrong", "deflate", packed(t, "deflate", text)[:len(packed(t, "deflate", text))-4] + "\x00\x00\x00\x00", 400, "zlib: invalid checksum"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := api.Wrap(func(w http.ResponseWriter, r *http.Request) error {
				body, err := api.ReadBody(r)
				if err != nil {
					return err
				}
				if coding := r.Header.Get("Content-Encoding"); coding != "" {
					body = append([]byte(coding+" "), body...)
				}
				_, _ = w.Write(body)
				return nil
			}, api.Options{MaxBody: most})
			r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(tt.body))
			if tt.coding != "" {
				r.Header.Set("Content-Encoding", tt.coding)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Body.String(); w.Code != tt.code || tt.code == 200 && got != tt.says || !strings.Contains(got, tt.says) {
				t.Errorf("%d %.200s, want %d %.200s", w.Code, got, tt.code, tt.says)
			}
		})
	}
}

func TestWriteCoded(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("an answer. ", 1000)
	for _, tt := range []struct{ name, accept, text, coding string }{
		{"nobody asks", "", large, ""},
		{"gzip", "gzip", large, "gzip"},
		{"deflate", "deflate", large, "deflate"},
		{"what a client of Python's takes", "gzip, deflate, br, zstd", large, "gzip"},
		{"by weight", "gzip;q=0, deflate; q=0.5", large, "deflate"},
		{"none of ours", "br, *", large, ""},
		{"identity", "identity", large, ""},
		{"small", "gzip", "an answer", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/x", http.NoBody)
			if tt.accept != "" {
				r.Header.Set("Accept-Encoding", tt.accept)
			}
			w := httptest.NewRecorder()
			api.WriteCoded(w, r, []byte(tt.text[:5]), []byte(tt.text[5:]))
			if got := w.Header().Get("Content-Encoding"); got != tt.coding || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("headers %v, want %q", w.Header(), tt.coding)
			}
			var in io.Reader = w.Body
			var err error
			switch tt.coding {
			case "gzip":
				in, err = gzip.NewReader(w.Body)
			case "deflate":
				in, err = zlib.NewReader(w.Body)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(in); err != nil || string(got) != tt.text {
				t.Errorf("%.100s, %v", got, err)
			}
		})
	}
}
