package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// stages reads the Dockerfile as BuildKit does; what its linter complains of is a failure.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	file, err := parser.Parse(bytes.NewReader(read(t, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range file.Warnings {
		t.Errorf("Dockerfile: %s", warning.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		t.Errorf("Dockerfile: %s: %s", rule, message)
	}})
	all, _, err := instructions.Parse(file.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("Dockerfile has %d stages, want one that builds and one that runs", len(all))
	}
	return all
}

// one returns the only command of its type in a stage.
func one[T instructions.Command](t *testing.T, stage instructions.Stage) T {
	t.Helper()
	var found []T
	for _, command := range stage.Commands {
		if c, ok := command.(T); ok {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("stage %s has %d commands %T, want one", stage.BaseName, len(found), *new(T))
	}
	return found[0]
}

// TestDockerfile checks what the image is to be: no shell needed, no root, labelled, healthy by a command that tsgo has.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	image := stages(t)[1]
	user := one[*instructions.UserCommand](t, image)
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user.User) {
		t.Errorf("USER %s, want numbers, which Kubernetes can tell from root's", user.User)
	}
	for _, command := range image.Commands {
		if _, ok := command.(*instructions.RunCommand); ok {
			t.Errorf("the image runs %v, and has no shell for it", command)
		}
	}
	entry, command := one[*instructions.EntrypointCommand](t, image), one[*instructions.CmdCommand](t, image)
	if entry.PrependShell || command.PrependShell {
		t.Error("ENTRYPOINT or CMD needs a shell, which the image has not")
	}
	health := one[*instructions.HealthCheckCommand](t, image).Health
	if len(health.Test) < 3 || health.Test[0] != "CMD" {
		t.Fatalf("HEALTHCHECK %v, want CMD and a list", health.Test)
	}
	for _, line := range [][]string{append(slices.Clone(entry.CmdLine), command.CmdLine...), health.Test[1:]} {
		if line[0] != entry.CmdLine[0] {
			t.Errorf("%v is not %s", line, entry.CmdLine[0])
		}
		if out, err := exec.Command(program(t), append(line[1:], "--help")...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v: %s", line, err, out)
		}
	}
	var labels []string
	for _, label := range one[*instructions.LabelCommand](t, image).Labels {
		labels = append(labels, strings.Trim(label.Key, `"`))
	}
	for _, name := range []string{"title", "description", "source", "licenses", "version", "revision"} {
		if !slices.Contains(labels, "org.opencontainers.image."+name) {
			t.Errorf("the image has labels %v, and none for its %s", labels, name)
		}
	}
}

// TestDockerfileConfig has tsgo read the image's config file: each line is a setting, with a value that can be used.
func TestDockerfileConfig(t *testing.T) {
	t.Parallel()
	env := one[*instructions.EnvCommand](t, stages(t)[1]).Env
	if len(env) != 1 || env[0].Key != "TS_CONFIG_FILE" || env[0].Value != "/etc/tsgo/config.properties" {
		t.Fatalf("ENV %v, want the config file alone: variables would count more than a file that takes its place", env)
	}
	settings := checkConfig(t, read(t, "config.properties"))
	if settings["inference_address"] != "http://0.0.0.0:8080" || settings["model_store"] != "/models" {
		t.Errorf("settings %v, want all addresses and the store at /models", settings)
	}
}

// checkConfig has 'tsgo config check' look at a config.properties, and returns what each setting has.
func checkConfig(t *testing.T, config []byte) map[string]string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.properties")
	if err := os.WriteFile(name, config, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program(t), "config", "check", name, "-o", "json").Output()
	if err != nil {
		t.Fatalf("tsgo config check: %v\n%s\n%s", err, out, config)
	}
	var all struct {
		Settings []struct{ Key, Value, State string }
	}
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range all.Settings {
		settings[s.Key] = s.Value
	}
	return settings
}

// TestDockerfileBuild checks that the build gets what it copies and runs, with the compiler that go.mod asks for.
func TestDockerfileBuild(t *testing.T) {
	t.Parallel()
	build := stages(t)[0]
	patterns, err := ignorefile.ReadAll(bytes.NewReader(read(t, "Dockerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	needed := []string{"LICENSE", "scripts/release/bundle", "scripts/release/library/main.go", "cmd/tsgo/main.go", "pkg/engine/ort/library/pin.go"}
	for _, command := range build.Commands {
		if c, ok := command.(*instructions.CopyCommand); ok && !slices.Contains(c.SourcePaths, ".") {
			needed = append(needed, c.SourcePaths...)
		}
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
		if out, err := ignored.MatchesOrParentMatches(name); err != nil || out {
			t.Errorf("%s is left out of the build: %v", name, err)
		}
	}
	for _, name := range []string{".git/HEAD", "models/resnet-18/resnet-18.onnx", "dist/tsgo", "pkg/config/config_test.go", "key_file.json"} {
		if out, err := ignored.MatchesOrParentMatches(name); err != nil || !out {
			t.Errorf("%s gets into the build: %v", name, err)
		}
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))[1]
	if !strings.HasPrefix(build.BaseName, "golang:"+version+"-") {
		t.Errorf("the image is built by %s, and go.mod wants Go %s", build.BaseName, version)
	}
}

// project reads compose.yaml as Compose does, by its schema.
func project(t *testing.T) *types.Project {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: read(t, "compose.yaml")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompose(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, service := range p.Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, port.Published)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type != "bind" {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !volume.ReadOnly {
				t.Errorf("%s can write to %s", name, volume.Source)
			}
		}
		if service.Build == nil && !regexp.MustCompile(`:v?\d+\.\d+\.\d+$`).MatchString(service.Image) {
			t.Errorf("%s: image %s has no version", name, service.Image)
		}
	}
	server := p.Services["tsgo"]
	if _, err := os.Stat(filepath.Join(server.Build.Context, server.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	var exposed []string
	for _, command := range stages(t)[1].Commands {
		if c, ok := command.(*instructions.ExposeCommand); ok {
			exposed = c.Ports
		}
	}
	for _, port := range server.Ports {
		if !slices.Contains(exposed, port.Published) {
			t.Errorf("port %s is none of the image's, %v", port.Published, exposed)
		}
	}
	target := readPrometheusConfig(t).ScrapeConfigs[0].StaticConfigs[0].Targets[0]
	if host, port, _ := strings.Cut(target, ":"); host != server.Name || !slices.Contains(exposed, port) {
		t.Errorf("Prometheus reads %s, want %s at one of its ports %v", target, server.Name, exposed)
	}
}

// source is the file on this machine that a service sees at target.
func source(t *testing.T, service types.ServiceConfig, target string) string {
	t.Helper()
	for _, volume := range service.Volumes {
		if below, ok := strings.CutPrefix(target, volume.Target); ok && volume.Type == "bind" {
			return filepath.Join(volume.Source, filepath.FromSlash(below))
		}
	}
	t.Errorf("%s has nothing at %s", service.Name, target)
	return ""
}

// TestComposeFiles checks that each file that a service is told to read is where it looks.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	p := project(t)
	prometheus, grafana := p.Services["prometheus"], p.Services["grafana"]
	var files []string
	for _, arg := range prometheus.Command {
		if config, ok := strings.CutPrefix(arg, "--config.file="); ok {
			files = append(files, source(t, prometheus, config))
			for _, rules := range readPrometheusConfig(t).RuleFiles {
				files = append(files, source(t, prometheus, path.Join(path.Dir(config), rules)))
			}
		}
	}
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	provided := provisioning[dashboards](t, "grafana/provisioning/dashboards/tsgo.yml").Providers
	if len(provided) != 1 || provided[0].Options.Path != path.Dir(*home) {
		t.Errorf("Grafana is provided with %+v, want the directory of %s", provided, *home)
	}
	files = append(files, source(t, grafana, *home), source(t, grafana, "/etc/grafana/provisioning/datasources/prometheus.yml"),
		source(t, grafana, "/etc/grafana/provisioning/dashboards/tsgo.yml"))
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: %v, want a file", name, err)
		}
	}
	if len(files) != 5 {
		t.Errorf("%d files %v, want 5", len(files), files)
	}
	sources := provisioning[datasources](t, "grafana/provisioning/datasources/prometheus.yml").Datasources
	if len(sources) != 1 || sources[0].Type != "prometheus" || sources[0].URL != "http://"+prometheus.Name+":"+prometheus.Ports[0].Published {
		t.Errorf("Grafana's data sources %+v, want Prometheus", sources)
	}
}
