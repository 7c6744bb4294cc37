package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/docs"
)

// page returns the text of a topic.
func page(t *testing.T, name string) string {
	t.Helper()
	topic, ok := docs.Find(name)
	if !ok {
		t.Fatalf("there is no page %s", name)
	}
	return topic.Text
}

func TestTopics(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := []string{"README.md"}
	for _, topic := range docs.Topics() {
		listed = append(listed, topic.Name+".md")
		if got, ok := docs.Find(strings.ToUpper(topic.Name) + ".md"); !ok || got != topic {
			t.Errorf("%s is not found in capitals and with its ending", topic.Name)
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(files, listed); diff != "" {
		t.Errorf("pages, and those that README.md lists (-files +listed):\n%s", diff)
	}
	if _, ok := docs.Find("readme"); ok {
		t.Error("the index is a topic")
	}
}

// The longest lines, in characters: of prose, and of what cannot be broken.
const (
	maxProse = 120
	maxTable = 130
)

func TestForm(t *testing.T) {
	t.Parallel()
	for name, text := range readAll(t, "*.md") {
		if !regexp.MustCompile(`^# \S.*\n\n`).MatchString(text) {
			t.Errorf("%s does not begin with a title", name)
		}
		if strings.Count(text, "```")%2 != 0 {
			t.Errorf("%s has a code block without an end", name)
		}
		code := false
		for i, line := range strings.Split(text, "\n") {
			code = code != strings.Contains(line, "```")
			most := maxProse
			if code || strings.HasPrefix(line, "|") {
				most = maxTable
			}
			if n := utf8.RuneCountInString(line); n > most {
				t.Errorf("%s:%d has %d characters, at most %d are read well", name, i+1, n, most)
			}
		}
	}
}

// readAll returns the files that a pattern names.
func readAll(t *testing.T, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(text)
	}
	return all
}

// TestLinks follows each relative link of the manual, and of the README that leads to it.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages := readAll(t, "*.md")
	pages["../../README.md"] = readAll(t, "../../README.md")["../../README.md"]
	for name, text := range pages {
		for _, found := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose(text), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := name
			if target != "" {
				path = filepath.Join(filepath.Dir(name), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", name, found[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(readAll(t, path)[path]), anchor) {
				t.Errorf("%s links to %s: there is no such heading", name, found[1])
			}
		}
	}
}

// prose returns a page without its code blocks.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
}

// anchors returns what a page's headings can be linked by.
func anchors(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(prose(text), -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

// blocks returns the code blocks of a language, without the indentation of a list.
func blocks(text, language string) []string {
	var all []string
	for _, found := range regexp.MustCompile("(?ms)^( *)```"+language+"\n(.*?)^ *```$").FindAllStringSubmatch(text, -1) {
		var lines []string
		for _, line := range strings.Split(found[2], "\n") {
			lines = append(lines, strings.TrimPrefix(line, found[1]))
		}
		all = append(all, strings.Join(lines, "\n"))
	}
	return all
}

// TestCode compares the program that handlers.md shows with the one that is tested.
func TestCode(t *testing.T) {
	t.Parallel()
	files := []string{"example/prices.go", "example/main.go"}
	shown := blocks(page(t, "handlers"), "go")
	if len(shown) != len(files) {
		t.Fatalf("%d blocks of Go, want %d", len(shown), len(files))
	}
	for i, file := range files {
		if diff := cmp.Diff(readAll(t, file)[file], shown[i]); diff != "" {
			t.Errorf("%s, and what handlers.md shows (-file +page):\n%s", file, diff)
		}
	}
	const most = 40
	if n := strings.Count(shown[0], "\n"); n > most {
		t.Errorf("the handler has %d lines, at most %d are promised", n, most)
	}
}

// TestModelConfigs opens a model with each model-config.yaml of the manual.
func TestModelConfigs(t *testing.T) {
	t.Parallel()
	opened := 0
	for name, text := range readAll(t, "*.md") {
		for _, block := range blocks(text, "yaml") {
			if !strings.HasPrefix(block, "model:") {
				continue
			}
			dir := t.TempDir()
			for file, text := range map[string]string{
				"model-config.yaml": block, "my-model.onnx": "a network", "flats.onnx": "a network", "labels.txt": "a\nb\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m, err := archive.Open(t.Context(), dir, archive.Options{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if len(m.Manifest.Ignored) > 0 {
				t.Errorf("%s shows settings that mean nothing: %v", name, m.Manifest.Ignored)
			}
			opened++
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if opened == 0 {
		t.Error("the manual shows no model-config.yaml")
	}
}

// TestVariables looks each variable up that the manual, the README or a deployment names.
func TestVariables(t *testing.T) {
	t.Parallel()
	var named []string
	for _, pattern := range []string{"*.md", "../../README.md", "../../scripts/deploy/*.*", "../../scripts/deploy/Dockerfile", "../../scripts/deploy/*/*.*"} {
		for _, text := range readAll(t, pattern) {
			named = append(named, regexp.MustCompile(`\bTSGO_[A-Z_]*[A-Z]`).FindAllString(text, -1)...)
		}
	}
	if len(named) == 0 {
		t.Error("no variable is named")
	}
	for _, wrong := range config.Unknown(named, "TSGO_SERVER", "TSGO_TOKEN", "TSGO_CACERT", "TSGO_CERT", "TSGO_KEY", "TSGO_ONNXRUNTIME") {
		t.Error(wrong)
	}
}

// TestProperties reads each config.properties of the manual.
func TestProperties(t *testing.T) {
	t.Parallel()
	read := 0
	for name, text := range readAll(t, "*.md") {
		for _, block := range blocks(text, "properties") {
			file, err := config.Parse(name, []byte(block))
			if err != nil {
				t.Error(err)
				continue
			}
			c, err := config.Read(config.Sources{File: file})
			if err != nil {
				t.Error(err)
			}
			for _, v := range c.Values {
				if v.Given() && v.State != config.Used {
					t.Errorf("%s shows %s, which is %s: %s", name, v.Key, v.State, v.What)
				}
			}
			read++
		}
	}
	if read == 0 {
		t.Error("the manual shows no config.properties")
	}
}
