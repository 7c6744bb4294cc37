package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/docs"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/explain"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/vision"
)

// rows returns the rows of the tables under a heading, down to the next heading, cells without the space around them.
func rows(t *testing.T, name, heading string) [][]string {
	t.Helper()
	_, text, ok := strings.Cut(page(t, name), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s.md has no heading %q", name, heading)
	}
	text = regexp.MustCompile(`(?m)^#`).Split(text, 2)[0]
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i, cell := range cells {
			cells[i] = strings.TrimSpace(cell)
		}
		all = append(all, cells)
	}
	if len(all) < 2 {
		t.Fatalf("%s.md has no table under %q", name, heading)
	}
	return all
}

// firsts returns what stands between backquotes in the first cells of tables, sorted.
func firsts(rows [][]string) []string {
	var all []string
	for _, row := range rows {
		all = append(all, spans(row[0])...)
	}
	slices.Sort(all)
	return all
}

// spans returns what stands between backquotes.
func spans(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, found[1])
	}
	return all
}

func same(t *testing.T, what string, known, documented []string) {
	t.Helper()
	known = slices.Sorted(slices.Values(known))
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("%s (-known +documented):\n%s", what, diff)
	}
}

// TestSettings compares the keys of torchserve.md with those that package config knows, and their defaults.
func TestSettings(t *testing.T) {
	t.Parallel()
	c, err := config.Read(config.Sources{File: &config.File{}})
	if err != nil {
		t.Fatal(err)
	}
	known := map[config.State][]string{}
	defaults := map[string]string{}
	for _, v := range c.Values {
		known[v.State] = append(known[v.State], v.Key)
		defaults[v.Key] = v.Value
	}
	defaults["keystore_pass"] = "changeit" // where it is empty
	const used = "### Keys that do something"
	for heading, state := range map[string]config.State{
		used: config.Used, "### Keys without a meaning here": config.Nothing,
	} {
		same(t, heading, known[state], firsts(rows(t, "torchserve", heading)))
	}
	for _, row := range rows(t, "torchserve", used) {
		for _, key := range spans(row[0]) {
			if got := strings.TrimSuffix(strings.Trim(row[1], "`"), "empty"); got != defaults[key] {
				t.Errorf("torchserve.md says that %s has the default %q, it is %q", key, got, defaults[key])
			}
		}
	}
}

func TestExplainParameters(t *testing.T) {
	t.Parallel()
	var known []string
	for _, p := range explain.Table() {
		known = append(known, p.Name)
	}
	same(t, "parameters", known, firsts(rows(t, "explain", "## Parameters")))
	same(t, "methods", explain.Methods(), firsts(rows(t, "explain", "## Methods")))
}

// TestSize reads a size of two sides in the order that the manual says.
func TestSize(t *testing.T) {
	t.Parallel()
	sides := map[string]int{"height": 2, "width": 3}
	var said []string
	for _, row := range rows(t, "models", "### Settings of pictures") {
		if row[0] == "`size`" {
			said = regexp.MustCompile(`\[(\w+), (\w+)\]`).FindStringSubmatch(row[2])
		}
	}
	if len(said) != 3 {
		t.Fatalf("%q, want two sides", said)
	}
	var got vision.Size
	if err := yaml.Unmarshal(fmt.Appendf(nil, "[%d, %d]", sides[said[1]], sides[said[2]]), &got); err != nil {
		t.Fatal(err)
	}
	if want := (vision.Size{Width: sides["width"], Height: sides["height"]}); got != want {
		t.Errorf("%s is read as %v, want %v", said[0], got, want)
	}
}

// TestHandlers compares the handlers that are documented, and their settings, with those there are.
func TestHandlers(t *testing.T) {
	t.Parallel()
	names := slices.Collect(maps.Keys(builtin.Handlers()))
	for _, name := range []string{"torchserve", "models"} {
		same(t, "handlers of "+name+".md", names, firsts(rows(t, name, "## Handlers")))
	}
	session := enginetest.New(engine.Signature{
		Inputs:  []engine.Value{{Name: "picture", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 3}, {Size: 8}, {Size: 8}}}},
		Outputs: []engine.Value{{Name: "scores", DType: tensor.Float32, Shape: []engine.Dim{{Size: -1}, {Size: 2}}}},
	}, nil)
	pictures := firsts(rows(t, "models", "### Settings of pictures"))
	for name, factory := range builtin.Handlers() {
		_, err := factory(handler.Env{Session: session, Config: map[string]any{"?": 1}})
		_, list, ok := strings.Cut(errorText(err), "(it has ")
		if !errors.Is(err, fault.BadModel) || !ok {
			t.Fatalf("%s: %v, want an error that lists the settings", name, err)
		}
		known := strings.Split(strings.TrimSuffix(list, ")"), ", ")
		documented := firsts(rows(t, "models", "### Settings of "+name))
		if slices.Contains(known, "resizeRule") {
			documented = slices.Sorted(slices.Values(slices.Concat(documented, pictures)))
		}
		same(t, "settings of "+name, known, documented)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestModelConfigKeys(t *testing.T) {
	t.Parallel()
	same(t, "keys of model-config.yaml", archive.ConfigKeys(), firsts(rows(t, "models", "## model-config.yaml")))
}

// TestRoutes asks a server for each route of torchserve.md, and looks for each that the server's own descriptions list.
func TestRoutes(t *testing.T) {
	t.Parallel()
	s := start(t)
	documented := map[string]bool{} // METHOD PORT PATH
	for _, row := range rows(t, "torchserve", "## Routes")[1:] {
		ports := []string{strings.Trim(row[1], "*")}
		if ports[0] == "all" {
			ports = slices.Collect(maps.Keys(s.urls))
		}
		for _, route := range spans(row[0]) {
			method, path, _ := strings.Cut(route, " ")
			for _, port := range ports {
				documented[method+" "+port+" "+path] = true
				if status, body := s.ask(t, method, port, path); status == http.StatusMethodNotAllowed || strings.Contains(body, "Requested resource is not found") {
					t.Errorf("%s at %s: %d %s", route, port, status, body)
				}
			}
		}
	}
	for port := range s.urls {
		_, text := s.ask(t, http.MethodGet, port, "/api-description")
		var described struct{ Paths map[string]map[string]any }
		if err := json.Unmarshal([]byte(text), &described); err != nil || len(described.Paths) == 0 {
			t.Fatalf("the description of %s: %v: %s", port, err, text)
		}
		for path, methods := range described.Paths {
			for method := range methods {
				route := strings.ToUpper(method) + " " + port + " " + path
				other := strings.NewReplacer("OPTIONS", "GET", "POST 8081 /token", "GET 8081 /token").Replace(route)
				if !documented[route] && !documented[other] {
					t.Errorf("torchserve.md does not list %s", route)
				}
			}
		}
	}
}

// running is a server without models whose callers need keys.
type running struct {
	urls map[string]string // by the usual ports
	keys map[string]string // by the usual ports
}

func start(t *testing.T) running {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys.json")
	opts := server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0", MetricsAPI: true, ModelAPI: true,
		Store: store.New(), Open: noEngine, Keys: server.Keys{Need: server.NeedAlways, File: file},
	}
	s, err := server.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]struct{ Key string }
	if err := json.Unmarshal(text, &keys); err != nil {
		t.Fatal(err)
	}
	addrs := s.Addrs()
	return running{
		urls: map[string]string{"8080": "http://" + addrs.Inference, "8081": "http://" + addrs.Management, "8082": "http://" + addrs.Metrics},
		keys: map[string]string{"8080": keys["inference"].Key, "8081": keys["management"].Key, "/token": keys["API"].Key},
	}
}

// noEngine opens nothing: there are no models.
func noEngine(context.Context, engine.Network, engine.Options) (engine.Session, error) {
	return nil, fault.Unsupported
}

// ask asks for a route of the table.
func (s running) ask(t *testing.T, method, port, path string) (status int, body string) {
	t.Helper()
	key := s.keys[port]
	if path == "/token" {
		key, path = s.keys[path], "/token?type=inference"
	}
	path = strings.NewReplacer("{model_name}", "m", "{model_version}", "1").Replace(path)
	req, err := http.NewRequestWithContext(t.Context(), method, s.urls[port]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestIndex looks at what the index says of each page.
func TestIndex(t *testing.T) {
	t.Parallel()
	for _, topic := range docs.Topics() {
		if topic.About == "" || strings.HasSuffix(topic.About, ".") {
			t.Errorf("%s is about %q, want some words without a full stop", topic.Name, topic.About)
		}
	}
}
