package server_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/server"
)

// words returns the parts of paths that the source of the APIs looks for: the texts that it compares something with, and
// that look like a part of a path.
func words(t *testing.T) []string {
	t.Helper()
	part := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	all, noPart := []string{}, []string{"true", "false"}
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && part.MatchString(text) && !slices.Contains(all, text) && !slices.Contains(noPart, text) {
				all = append(all, text)
			}
		}
	}
	for _, dir := range []string{"inference", "kserve", "management", "metrics"} {
		files, err := filepath.Glob(filepath.Join("..", "api", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BinaryExpr:
					if _, ofPath := n.X.(*ast.IndexExpr); ofPath && (n.Op == token.EQL || n.Op == token.NEQ) {
						add(n.Y)
					}
				case *ast.CaseClause:
					for _, e := range n.List {
						add(e)
					}
				}
				return true
			})
		}
	}
	return all
}

// described is an API's document, by path and method.
func described(t *testing.T, h http.Handler) map[string]map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, "/", http.NoBody))
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || len(document.Paths) == 0 {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return document.Paths
}

// answers tells whether a path means anything to a method, and which methods it means something to, where it says so.
func answers(h http.Handler, method, path string) (known bool, allowed []string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, &http.Request{Method: method, URL: &url.URL{Path: path}, RequestURI: path, Header: http.Header{}, Body: http.NoBody})
	if w.Code == http.StatusMethodNotAllowed {
		return false, strings.Split(w.Header().Get("Allow"), ", ")
	}
	return w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Requested resource is not found"), nil
}

// templates returns patterns of the paths of a document. What a handler is told of the path behind the version is no part
// of the description.
func templates(paths map[string]map[string]any) *regexp.Regexp {
	var all []string
	for path := range paths {
		pattern := regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+")
		all = append(all, strings.NewReplacer(`\{model_name\}`, "[^/]+", `\{model_version\}`, "[^/]+").Replace(pattern))
	}
	return regexp.MustCompile("^(?:" + strings.Join(all, "|") + "|/(?:predictions|explanations)/[^/]+/[^/]+/.+|/(?:ping|metrics)/.+)$")
}

// TestDocumentsAreWhole asks each API for every path that can be made of the words that its source looks for: what means
// something is described, and what is described means something.
func TestDocumentsAreWhole(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) { o.ModelAPI, o.NoSystemMetrics = true, true })
	defer stop(t, s)
	parts := append(words(t), "x")
	for _, word := range []string{"predictions", "explanations", "invocations", "invoke", "models", "set-default", "metrics", "v1", "v2", "versions", "infer", "health", "token"} {
		if !slices.Contains(parts, word) {
			t.Errorf("the source is read wrongly: %q is not among %q", word, parts)
		}
	}
	for _, of := range []api.API{api.Inference, api.Management, api.Metrics} {
		h := s.HandlerOf(of)
		paths := described(t, h)
		whole, asked := templates(paths), 0
		look := func(path string) {
			asked++
			if known, allowed := answers(h, http.MethodGet, path); (known || len(allowed) > 0) && !whole.MatchString(path) {
				t.Errorf("%s API: %s is answered and not described", of, path)
			}
		}
		walk(parts, "", 3, look)
		for _, deep := range []string{"/models/x/x", "/predictions/x/x", "/v1/models/x", "/v2/models/x"} {
			walk(parts, deep, 2, look)
		}
		walk(parts, "/v2/models/x/versions/x", 2, look)
		for _, verb := range parts {
			look("/v1/models/x:" + verb)
		}
		if asked < 1000 {
			t.Errorf("%s API: %d paths were tried", of, asked)
		}
		for path, methods := range paths {
			target := strings.NewReplacer("{model_name}", "x", "{model_version}", "x").Replace(path)
			_, allowed := answers(h, "BREW", target)
			for method := range methods {
				method = strings.ToUpper(method)
				if known, _ := answers(h, method, target); !known {
					t.Errorf("%s API: %s %s is described and not answered", of, method, path)
				}
				allowed = slices.DeleteFunc(allowed, func(m string) bool { return m == method })
			}
			if allowed = slices.DeleteFunc(allowed, undescribed(path)); len(allowed) > 0 {
				t.Errorf("%s API: %s is allowed of %s and not described", of, allowed, path)
			}
		}
	}
}

// undescribed returns which methods need no description: those that describe, those that are another's without a body, and
// PUT in the place of POST, which KServe's protocols do not know.
func undescribed(path string) func(method string) bool {
	kserve := strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/v2/")
	return func(method string) bool {
		return method == http.MethodOptions || method == http.MethodHead || kserve && method == http.MethodPut
	}
}

// walk visits all paths of up to so many parts below another.
func walk(parts []string, below string, depth int, visit func(path string)) {
	if depth == 0 {
		return
	}
	for _, part := range parts {
		visit(below + "/" + part)
		walk(parts, below+"/"+part, depth-1, visit)
	}
}
