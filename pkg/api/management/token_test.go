package management_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/fault"
)

// TestToken makes keys anew, whose answer TorchServe's clients know: one empty line.
func TestToken(t *testing.T) {
	t.Parallel()
	var asked []string
	h := serve(serving(), management.Options{Refresh: func(which string) error {
		asked = append(asked, which)
		if !slices.Contains([]string{"inference", "management"}, which) {
			return fmt.Errorf("%w: type %q: want management or inference", fault.Invalid, which)
		}
		return nil
	}})
	for _, test := range []struct {
		request string
		code    int
		body    string
	}{
		{"GET /token?type=inference", 200, "\n"},
		{"POST /token/?type=management", 200, "\n"},
		{"GET /token", 400, "want management or inference"},
		{"GET /token?type=API", 400, "want management or inference"},
		{"GET /token?type=%zz", 400, "%zz"},
		{"DELETE /token?type=inference", 405, "Requested method is not allowed"},
		{"GET /token/more?type=inference", 404, "Requested resource is not found"},
	} {
		got := call{test.request, ""}.send(h)
		if got.code != test.code || !strings.Contains(got.body, test.body) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %q, %s, want %d %q", test.request, got.code, got.body, got.header.Get("Content-Type"), test.code, test.body)
		}
		if test.code == 200 && got.body != "\n" {
			t.Errorf("%s: body %q", test.request, got.body)
		}
	}
	if diff := cmp.Diff([]string{"inference", "management", "", "API"}, asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if got := (call{"GET /token?type=inference", ""}).send(open(serving())); got.code != 404 {
		t.Errorf("without keys: %d, want 404", got.code)
	}
	if got := (call{"OPTIONS /", ""}).send(h); !strings.Contains(got.body, `"/token"`) {
		t.Errorf("the description has no /token: %s", got.body)
	}
}
