package pkg_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module  = "github.com/tsgo/tsgo/"
	binding = "github.com/yalue/onnxruntime_go"
	// longest is how many packages may stand in a row, each importing the next, the command included.
	longest = 10
)

// TestImports compares the imports of every file, whatever its build tags, with the table and the rules of README.md.
func TestImports(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := parseTable(t, string(readme))
	files, err := readFiles("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("found no Go file")
	}
	for _, complaint := range check(rules, files) {
		t.Error(complaint)
	}
	if chain := longestChain(files); len(chain) > longest {
		t.Errorf("%d packages in a row, at most %d are allowed: %s", len(chain), longest, strings.Join(chain, " imports "))
	}
	packages := map[string]bool{}
	for _, f := range files {
		packages[f.pkg] = true
	}
	for _, planned := range parsePlanned(t, string(readme)) {
		if packages[planned] {
			t.Errorf("%s exists: take it from the list of planned packages in README.md", planned)
		}
	}
}

// TestCheck shows that each rule can fail.
func TestCheck(t *testing.T) {
	t.Parallel()
	rules := []rule{
		{packages: []string{"*"}, builtOn: []string{"nearest"}},
		{packages: []string{"fault", "nearest"}},
		{packages: []string{"model"}, builtOn: []string{"fault"}},
		{packages: []string{"api", "api/*"}, builtOn: []string{"api", "fault"}},
		{packages: []string{"cmd/tsgo"}, builtOn: []string{"*"}},
		{packages: []string{"engine/ort"}, builtOn: []string{"fault"}},
		{packages: []string{"vision/jpeg"}},
		{packages: []string{"model/modeltest"}, builtOn: []string{"model", "fault"}},
	}
	tests := []struct {
		name string
		file file
		want []string
	}{
		{name: "listed", file: file{pkg: "model", imports: []string{"context", module + "pkg/fault"}}},
		{name: "for all", file: file{pkg: "model", imports: []string{module + "pkg/nearest"}}},
		{name: "below", file: file{pkg: "api/rpc/pb", imports: []string{module + "pkg/api"}}},
		{name: "command", file: file{pkg: "cmd/tsgo", imports: []string{module + "pkg/model", module + "pkg/engine/ort"}}},
		{name: "binding and cgo in engine/ort", file: file{pkg: "engine/ort", imports: []string{"C", binding}}},
		{name: "cgo in vision/jpeg", file: file{pkg: "vision/jpeg", imports: []string{"C"}}},
		{name: "test imports anything", file: file{pkg: "fault", test: true, imports: []string{module + "pkg/model/modeltest"}}},
		{name: "test helper imports its package", file: file{pkg: "model/modeltest", imports: []string{module + "pkg/model"}}},
		{
			name: "not listed", file: file{name: "f.go", pkg: "fault", imports: []string{module + "pkg/model"}},
			want: []string{"f.go: fault may not import model"},
		},
		{
			name: "no line", file: file{name: "f.go", pkg: "util", imports: []string{"fmt"}},
			want: []string{"f.go: package util has no line in the table of README.md"},
		},
		{
			name: "cgo elsewhere", file: file{name: "f.go", pkg: "model", imports: []string{"C"}},
			want: []string{"f.go: model uses cgo, which only engine/ort, vision/jpeg and vision/vector may"},
		},
		{
			name: "binding elsewhere, in a test too", file: file{name: "f_test.go", pkg: "model", test: true, imports: []string{binding}},
			want: []string{"f_test.go: model imports the ONNX Runtime binding, which only engine/ort may"},
		},
		{
			name: "test helper outside of tests", file: file{name: "f.go", pkg: "cmd/tsgo", imports: []string{module + "pkg/model/modeltest"}},
			want: []string{"f.go: cmd/tsgo imports model/modeltest outside of a test"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, check(rules, []file{tt.file})); diff != "" {
				t.Errorf("complaints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongestChain(t *testing.T) {
	t.Parallel()
	files := []file{
		{pkg: "a", imports: []string{module + "pkg/b", module + "pkg/c"}},
		{pkg: "b", imports: []string{module + "pkg/c"}},
		{pkg: "c", imports: []string{"fmt"}},
		{pkg: "c", test: true, imports: []string{module + "pkg/a"}},
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, longestChain(files)); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
}

// A rule is a line of the table. Its names are those of [match].
type rule struct{ packages, builtOn []string }

// A file is a Go file of this module.
type file struct {
	name    string
	pkg     string // the package's folder below pkg/, or with cmd/ or scripts/
	test    bool
	imports []string
}

// match tells whether the table's name stands for pkg: "*" for each, "api/*" for each below api, else one.
func match(name, pkg string) bool {
	below, all := strings.CutSuffix(name, "*")
	return name == pkg || all && strings.HasPrefix(pkg, below)
}

func anyMatch(names []string, pkg string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return match(name, pkg) })
}

// check returns a line for each import that breaks a rule.
func check(rules []rule, files []file) []string {
	var complaints []string
	for _, f := range files {
		complain := func(format string, args ...any) {
			complaints = append(complaints, f.name+": "+fmt.Sprintf(format, args...))
		}
		var allowed []string
		named := false
		for _, r := range rules {
			if anyMatch(r.packages, f.pkg) {
				allowed = append(allowed, r.builtOn...)
				named = named || !slices.Contains(r.packages, "*")
			}
		}
		if !named && !f.test {
			complain("package %s has no line in the table of README.md", f.pkg)
		}
		for _, imported := range f.imports {
			local, own := localName(imported)
			switch {
			case imported == "C" && !slices.Contains([]string{"engine/ort", "vision/jpeg", "vision/vector"}, f.pkg):
				complain("%s uses cgo, which only engine/ort, vision/jpeg and vision/vector may", f.pkg)
			case (imported == binding || strings.HasPrefix(imported, binding+"/")) && f.pkg != "engine/ort":
				complain("%s imports the ONNX Runtime binding, which only engine/ort may", f.pkg)
			case !own || f.test:
			case isTestHelper(local) && !isTestHelper(f.pkg):
				complain("%s imports %s outside of a test", f.pkg, local)
			case !anyMatch(allowed, local):
				complain("%s may not import %s", f.pkg, local)
			}
		}
	}
	return complaints
}

// localName returns the table's name of a package of this module.
func localName(imported string) (name string, own bool) {
	rest, own := strings.CutPrefix(imported, module)
	return strings.TrimPrefix(rest, "pkg/"), own
}

func isTestHelper(pkg string) bool { return strings.HasSuffix(path.Base(pkg), "test") }

// longestChain returns the longest list of packages in which each imports the next. Tests do not count.
func longestChain(files []file) []string {
	imports := map[string][]string{}
	for _, f := range files {
		for _, imported := range f.imports {
			if local, own := localName(imported); own && !f.test {
				imports[f.pkg] = append(imports[f.pkg], local)
			}
		}
	}
	chains := map[string][]string{}
	var from func(pkg string) []string
	from = func(pkg string) []string {
		if chain, done := chains[pkg]; done {
			return chain
		}
		var below []string
		for _, imported := range imports[pkg] {
			if chain := from(imported); len(chain) > len(below) {
				below = chain
			}
		}
		chains[pkg] = append([]string{pkg}, below...)
		return chains[pkg]
	}
	var best []string
	for pkg := range imports {
		if chain := from(pkg); len(chain) > len(best) {
			best = chain
		}
	}
	return best
}

// readFiles reads the imports of the Go files below root's pkg, cmd and scripts.
func readFiles(root string) ([]file, error) {
	var files []file
	for _, top := range []string{"pkg", "cmd", "scripts"} {
		base := filepath.Join(root, top)
		if _, err := os.Stat(base); err != nil {
			continue
		}
		err := filepath.WalkDir(base, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata":
				return fs.SkipDir
			case entry.IsDir() || filepath.Ext(name) != ".go":
				return nil
			}
			f, err := readFile(root, name)
			if err == nil && f.pkg != "pkg" {
				files = append(files, f)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func readFile(root, name string) (file, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return file{}, err
	}
	name, err = filepath.Rel(root, name)
	if err != nil {
		return file{}, err
	}
	name = filepath.ToSlash(name)
	f := file{name: name, pkg: strings.TrimPrefix(path.Dir(name), "pkg/"), test: strings.HasSuffix(name, "_test.go")}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// section returns what stands under a heading, up to the next one.
func section(t *testing.T, readme, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readme, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no section %q", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// codeSpans returns what stands between backquotes.
func codeSpans(text string) []string {
	var spans []string
	for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		spans = append(spans, found[1])
	}
	return spans
}

func parseTable(t *testing.T, readme string) []rule {
	t.Helper()
	var rules []rule
	for line := range strings.Lines(section(t, readme, "What may import what")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 4 && strings.Contains(cells[1], "`") {
			rules = append(rules, rule{packages: codeSpans(cells[1]), builtOn: codeSpans(cells[2])})
		}
	}
	if len(rules) == 0 {
		t.Fatal("README.md has no import table")
	}
	return rules
}

// parsePlanned returns the first name of each item of the list of planned packages.
func parsePlanned(t *testing.T, readme string) []string {
	t.Helper()
	var planned []string
	for line := range strings.Lines(section(t, readme, "Planned")) {
		if item, ok := strings.CutPrefix(line, "- "); ok {
			names, _, _ := strings.Cut(item, ":")
			planned = append(planned, codeSpans(names)...)
		}
	}
	return planned
}
