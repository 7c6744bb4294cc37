package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

// file is one file of a model in a test.
type file struct{ name, data string }

func write(tb testing.TB, dir string, files ...file) string {
	tb.Helper()
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f.data), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func zipped(tb testing.TB, files ...file) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		entry, err := w.Create(f.name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := entry.Write([]byte(f.data)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func tarred(tb testing.TB, files ...file) []byte {
	tb.Helper()
	var headers []*tar.Header
	for _, f := range files {
		head := &tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(f.name, "/") {
			head.Typeflag = tar.TypeDir
		}
		headers = append(headers, head)
	}
	return tarOf(tb, headers, files...)
}

func tarOf(tb testing.TB, headers []*tar.Header, files ...file) []byte {
	tb.Helper()
	var buf bytes.Buffer
	packer := gzip.NewWriter(&buf)
	w := tar.NewWriter(packer)
	for i, head := range headers {
		if err := w.WriteHeader(head); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i].data)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), packer.Close()); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// open opens the model at path, unpacks into a directory of its own, and checks that nothing is left there.
func open(t *testing.T, path string, limits archive.Limits) (*archive.Model, error) {
	t.Helper()
	temp := t.TempDir()
	m, err := archive.Open(t.Context(), path, archive.Options{TempDir: temp, Limits: limits})
	if err != nil {
		checkEmpty(t, temp)
		return nil, err
	}
	t.Cleanup(func() {
		for range 2 {
			if err := m.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		checkEmpty(t, temp)
	})
	return m, nil
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// checkError checks the kind of err, that it is one line, and that it says all the words.
func checkError(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v with %q", kind, words)
	}
	if got := fault.Of(err); got != kind {
		t.Errorf("kind = %v, want %v: %v", got, kind, err)
	}
	text := err.Error()
	if strings.ContainsAny(text, "\n\r\x00\x1b") {
		t.Errorf("the error is not one clean line: %q", text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("error %q does not say %q", text, word)
		}
	}
}

// whole is a model in all its parts; every form of it has to read the same.
var whole = []file{
	{"model-config.yaml", `# a classifier
minWorkers: 1
maxWorkers: 4
batchSize: 8
maxBatchDelay: 50
responseTimeout: 30
startupTimeout: 60
clientTimeoutInMills: 1500
jobQueueSize: 200
useJobTicket: true
deviceType: cpu
deviceIds: [0, 1]
torchrun: {nproc-per-node: 2, anything: else}
pt2:
  compile: {enable: true}
model:
  name: pets
  version: 1.10 # not 1.1
  serializedFile: net/pets.onnx
  handler: image_classifier
  labels: words.txt
handler:
  profile: true
  size: [224, 160]
  scale: 1e-3
  mean: [0.5, 1, -2.5e-1]
  colour: rgb
  quoted: "1.5"
  nothing:
  text: |
    two
    lines
  deep: {a: [{b: true}]}
`},
	{"net/pets.onnx", "network"},
	{"words.txt", "cat\ndog\n"},
}

func wholeManifest() archive.Manifest {
	return archive.Manifest{
		Name: "pets", Version: "1.10", SerializedFile: "net/pets.onnx", Handler: "image_classifier", Labels: "words.txt",
		HandlerConfig: map[string]any{
			"size": []any{int64(224), int64(160)}, "scale": 1e-3, "mean": []any{0.5, int64(1), -0.25}, "colour": "rgb",
			"quoted": "1.5", "nothing": nil, "text": "two\nlines\n",
			"deep": map[string]any{"a": []any{map[string]any{"b": true}}},
		},
		MinWorkers: 1, MaxWorkers: 4, BatchSize: 8, QueueSize: 200, UseJobTicket: true, DeviceType: "cpu",
		MaxBatchDelay: 50 * time.Millisecond, ResponseTimeout: 30 * time.Second, StartupTimeout: time.Minute,
		ClientTimeout: 1500 * time.Millisecond, Ignored: []string{"deviceIds", "handler.profile", "pt2", "torchrun"},
	}
}

func prefixed(prefix string, files []file) []file {
	var all []file
	for _, f := range files {
		all = append(all, file{prefix + f.name, f.data})
	}
	return all
}

func TestEveryFormReadsTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, prefixed("plain/", whole)...)
	write(t, dir, prefixed("wrapped/inner/", whole)...)
	write(t, dir, file{"wrapped/.DS_Store", "x"}, file{"plain/.git/HEAD", "x"})
	write(t, dir,
		file{"a.mar", string(zipped(t, whole...))},
		file{"wrapped.MAR", string(zipped(t, append(prefixed("x/", whole), file{"x/empty/", ""})...))},
		file{"prefixed.mar", "#!/bin/sh\n" + string(zipped(t, whole...))},
		file{"b.tar.gz", string(tarred(t, prefixed("b/", whole)...))},
		file{"c.tgz", string(tarred(t, append([]file{{"./", ""}}, prefixed("./", whole)...)...))},
	)
	tests := []struct {
		path string
		form archive.Form
	}{
		{"plain", archive.FormDirectory},
		{"wrapped", archive.FormDirectory},
		{"a.mar", archive.FormMAR},
		{"wrapped.MAR", archive.FormMAR},
		{"prefixed.mar", archive.FormMAR},
		{"b.tar.gz", archive.FormTar},
		{"c.tgz", archive.FormTar},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(dir, test.path)
			m, err := open(t, path, archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wholeManifest(), m.Manifest); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			if m.Form != test.form || m.Source != path || m.Size <= 0 {
				t.Errorf("form %v, source %s, size %d", m.Form, m.Source, m.Size)
			}
			labels, err := m.Labels()
			if diff := cmp.Diff([]string{"cat", "dog"}, labels); err != nil || diff != "" {
				t.Errorf("labels: %v (-want +got):\n%s", err, diff)
			}
			data, err := os.ReadFile(m.Weights())
			if err != nil || string(data) != "network" || !filepath.IsAbs(m.Weights()) {
				t.Errorf("weights at %s: %q, %v", m.Weights(), data, err)
			}
			if data, err = fs.ReadFile(m.Files(), "words.txt"); err != nil || string(data) != "cat\ndog\n" {
				t.Errorf("Files: %q, %v", data, err)
			}
			info, err := archive.Inspect(path)
			if diff := cmp.Diff(m.Info, info); err != nil || diff != "" {
				t.Errorf("Inspect: %v (-opened +inspected):\n%s", err, diff)
			}
		})
	}
}

func TestUnpackedIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, t.TempDir(), file{"m.mar", string(zipped(t, whole...))}), "m.mar")
	m, err := open(t, path, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{".": 0o700, "net": 0o700, "net/pets.onnx": 0o600} {
		stat, err := os.Stat(filepath.Join(filepath.Dir(m.Weights()), "..", name))
		if err != nil || stat.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, stat.Mode(), err, want)
		}
	}
}

func TestBareNetwork(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"my net (2).onnx", "network"}, file{"labels.txt", "of something else"})
	path := filepath.Join(dir, "my net (2).onnx")
	m, err := open(t, path, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := archive.Info{
		Manifest: archive.Manifest{Name: "my_net__2_", Version: "1.0", SerializedFile: "my net (2).onnx", Guessed: true},
		Source:   path, Form: archive.FormONNX, Size: 7,
	}
	if diff := cmp.Diff(want, m.Info); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if labels, err := m.Labels(); labels != nil || err != nil {
		t.Errorf("Labels = %v, %v, want none", labels, err)
	}
	if _, err := m.Files().Open("labels.txt"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a neighbour could be read: %v", err)
	}
	if m.Weights() != path {
		t.Errorf("weights at %s, want %s", m.Weights(), path)
	}
}

func TestNameFromFile(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"resnet-18": "resnet-18", "v1.5": "v1.5", "-x": "_x", ".x": "_x", "a+b": "a_b", "Größe": "Gr__e", "_x": "_x",
		"a b": "a_b", strings.Repeat("x", 200): strings.Repeat("x", 128),
	} {
		path := filepath.Join(write(t, t.TempDir(), file{base + ".onnx", "network"}), base+".onnx")
		info, err := archive.Inspect(path)
		if err != nil || info.Manifest.Name != want {
			t.Errorf("name of %q = %q, %v, want %q", base, info.Manifest.Name, err, want)
		}
	}
}

func TestDirectoryWithOneNetwork(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tiny.v2")
	write(t, dir, file{"model.onnx", "network"}, file{"model.onnx.data", "tensors"}, file{"index_to_name.json", `{"1":["n1","dog"]}`})
	m, err := open(t, dir, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := archive.Manifest{
		Name: "tiny.v2", Version: "1.0", SerializedFile: "model.onnx", Labels: "index_to_name.json", Guessed: true,
	}
	if diff := cmp.Diff(want, m.Manifest); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	labels, err := m.Labels()
	if diff := cmp.Diff([]string{"0", "dog"}, labels); err != nil || diff != "" {
		t.Errorf("labels: %v (-want +got):\n%s", err, diff)
	}
}

func TestBrokenModels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files []file
		kind  fault.Kind
		words []string
	}{
		{"nothing of a model", []file{{"README.md", "x"}}, fault.BadModel, []string{"is no model", "model-config.yaml"}},
		{"nothing but code", []file{{"train.py", "x"}}, fault.BadModel, []string{"is no model"}},
		{"nothing but weights", []file{{"net.pt", "x"}}, fault.Unsupported, []string{`PyTorch weights ("net.pt") and no .onnx`}},
		{"no network", []file{{"model-config.yaml", "batchSize: 2"}}, fault.BadModel, []string{"holds no .onnx file"}},
		{"two networks", []file{{"a.onnx", "x"}, {"b.onnx", "x"}}, fault.BadModel, []string{"a.onnx, b.onnx", "serializedFile"}},
		{"empty network", []file{{"a.onnx", ""}}, fault.BadModel, []string{`"a.onnx" is empty`}},
		{
			"network misspelt",
			[]file{{"resnet.onnx", "x"}, {"model-config.yaml", "model: {serializedFile: resnt.onnx}"}},
			fault.BadModel,
			[]string{`"resnt.onnx": no such file, did you mean "resnet.onnx"?`},
		},
		{
			"network outside",
			[]file{{"a.onnx", "x"}, {"model-config.yaml", "model: {serializedFile: ../b.onnx}"}},
			fault.BadModel,
			[]string{`"../b.onnx": want a path below`},
		},
		{
			"network absolute",
			[]file{{"a.onnx", "x"}, {"model-config.yaml", "model: {serializedFile: /etc/b.onnx}"}},
			fault.BadModel,
			[]string{"want a path below"},
		},
		{
			"labels missing",
			[]file{{"a.onnx", "x"}, {"labels.txt", "x"}, {"model-config.yaml", "model: {labels: label.txt}"}},
			fault.BadModel,
			[]string{`labels "label.txt": no such file, did you mean "labels.txt"?`},
		},
		{"empty labels", []file{{"a.onnx", "x"}, {"labels.txt", ""}}, fault.BadModel, []string{`"labels.txt" is empty`}},
		{
			"git lfs",
			[]file{{"a.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"}},
			fault.BadModel,
			[]string{"git lfs pull"},
		},
		{
			"weights of PyTorch",
			[]file{{"MAR-INF/MANIFEST.json", `{"model":{"modelName":"x","serializedFile":"x.pt","handler":"image_classifier"}}`}, {"x.pt", "x"}},
			fault.Unsupported,
			[]string{`PyTorch weights ("x.pt")`, "torch.onnx.export"},
		},
		{
			"eager",
			[]file{
				{"MAR-INF/MANIFEST.json", `{"model":{"modelName":"x","modelFile":"net.py","serializedFile":"x.pth","handler":"h.py:go"}}`},
				{"x.pth", "x"},
				{"net.py", "x"},
				{"h.py", "x"},
			},
			fault.Unsupported,
			[]string{`PyTorch weights ("x.pth") and Python code ("net.py") and a Python handler ("h.py:go")`, "torch.onnx.export"},
		},
		{
			"Python handler alone",
			[]file{{"MAR-INF/MANIFEST.json", `{"model":{"modelName":"x","handler":"mine"}}`}, {"mine.py", "x"}},
			fault.Unsupported,
			[]string{`a Python handler ("mine")`},
		},
		{
			"PyTorch named, ONNX beside",
			[]file{
				{"MAR-INF/MANIFEST.json", `{"model":{"modelName":"x","serializedFile":"x.pt"}}`}, {"x.pt", "x"}, {"x.onnx", "x"},
			},
			fault.Unsupported,
			[]string{`"x.onnx" is: name that one`},
		},
		{"manifest empty", []file{{"MAR-INF/MANIFEST.json", " "}}, fault.BadModel, []string{"MANIFEST.json: it is empty"}},
		{"manifest cut off", []file{{"MAR-INF/MANIFEST.json", "{\n\"model\": {"}}, fault.BadModel, []string{"line 2: it is not JSON"}},
		{"manifest a list", []file{{"MAR-INF/MANIFEST.json", "[]"}}, fault.BadModel, []string{"want an object"}},
		{"model a text", []file{{"MAR-INF/MANIFEST.json", `{"model":"x"}`}}, fault.BadModel, []string{"model: want an object", "not string"}},
		{"name a map", []file{{"MAR-INF/MANIFEST.json", `{"model":{"modelName":{}}}`}}, fault.BadModel, []string{"want a string"}},
		{"name a path", []file{{"MAR-INF/MANIFEST.json", `{"model":{"modelName":"a/b"}}`}}, fault.BadModel, []string{`modelName "a/b"`}},
		{"version", []file{{"MAR-INF/MANIFEST.json", `{"model":{"modelVersion":"-1"}}`}}, fault.BadModel, []string{`modelVersion "-1"`}},
		{"runtime", []file{{"MAR-INF/MANIFEST.json", `{"runtime":"perl"}`}}, fault.BadModel, []string{`runtime "perl"`}},
		{"config missing", []file{{"MAR-INF/MANIFEST.json", `{"model":{"configFile":"c.yaml"}}`}}, fault.BadModel, []string{`"c.yaml": no such file`}},
		{"config outside", []file{{"MAR-INF/MANIFEST.json", `{"model":{"configFile":"../c.yaml"}}`}}, fault.BadModel, []string{`"../c.yaml"`}},
		{
			"config huge",
			[]file{{"a.onnx", "x"}, {"model-config.yaml", strings.Repeat("# filler\n", 10_000)}},
			fault.BadModel,
			[]string{"model-config.yaml: it is larger than 64 KiB"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, prefixed("dir/", test.files)...)
			write(t, dir, file{"m.mar", string(zipped(t, test.files...))}, file{"m.tgz", string(tarred(t, test.files...))})
			for _, name := range []string{"dir", "m.mar", "m.tgz"} {
				path := filepath.Join(dir, name)
				_, err := open(t, path, archive.Limits{})
				checkError(t, err, test.kind, append(test.words, path)...)
				if _, err := archive.Inspect(path); test.name != "git lfs" {
					checkError(t, err, test.kind, append(test.words, path)...)
				}
			}
		})
	}
}

func TestNotModel(t *testing.T) {
	t.Parallel()
	_, err := archive.Inspect(write(t, t.TempDir(), file{"README.md", "x"}))
	if !errors.Is(err, archive.ErrNotModel) {
		t.Errorf("err = %v, want %v", err, archive.ErrNotModel)
	}
	_, err = archive.Inspect(write(t, t.TempDir(), file{"model-config.yaml", ""}))
	if err == nil || errors.Is(err, archive.ErrNotModel) {
		t.Errorf("err = %v, want another", err)
	}
}

func TestPathsThatAreNoModel(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"empty.onnx", ""}, file{"x.txt", "x"}, file{"x.mar", "no zip"}, file{"x.tgz", "text that is long enough"})
	for name, test := range map[string]struct {
		kind  fault.Kind
		words []string
	}{
		"missing":    {fault.NotFound, []string{"no such file"}},
		"empty.onnx": {fault.BadModel, []string{"is empty"}},
		"x.txt":      {fault.BadModel, []string{"want a directory, an .onnx, a .mar or a .tar.gz"}},
		"x.mar":      {fault.BadModel, []string{"it is not a zip"}},
		"x.tgz":      {fault.BadModel, []string{"it is not a tar.gz"}},
	} {
		_, err := open(t, filepath.Join(dir, name), archive.Limits{})
		checkError(t, err, test.kind, append(test.words, name)...)
		_, err = archive.Inspect(filepath.Join(dir, name))
		checkError(t, err, test.kind, append(test.words, name)...)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"outside.onnx", "secret"}, file{"in/blobs/net", "network"}, file{"out/x", "x"})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("blobs/net", "in/net.onnx")
	link("../outside.onnx", "in/secret.txt")
	link("../outside.onnx", "out/net.onnx")
	link("nowhere", "out/labels.txt")
	link("in", "linked")

	for _, name := range []string{"in", "linked"} {
		m, err := open(t, filepath.Join(dir, name), archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(m.Weights()); err != nil || string(data) != "network" {
			t.Errorf("weights: %q, %v", data, err)
		}
		if data, err := fs.ReadFile(m.Files(), "secret.txt"); err == nil {
			t.Errorf("a link led out of the directory, to %q", data)
		}
	}
	_, err := open(t, filepath.Join(dir, "out"), archive.Limits{})
	checkError(t, err, fault.BadModel, "net.onnx", "is a link that leads nowhere or out")
	write(t, filepath.Join(dir, "out"), file{"model-config.yaml", "model: {serializedFile: net.onnx}"})
	_, err = open(t, filepath.Join(dir, "out"), archive.Limits{})
	checkError(t, err, fault.BadModel, `serializedFile "net.onnx": it is a link that leads nowhere or out`)
	write(t, filepath.Join(dir, "out"), file{"real.onnx", "x"}, file{"model-config.yaml", "model: {serializedFile: real.onnx}"})
	_, err = open(t, filepath.Join(dir, "out"), archive.Limits{})
	checkError(t, err, fault.BadModel, `"labels.txt": it is a link that leads nowhere or out`)
}

func TestUnreadableNetwork(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, t.TempDir(), file{"m.onnx", "network"}), "m.onnx")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(path); err == nil {
		t.Skip("this user may read everything")
	}
	_, err := open(t, path, archive.Limits{})
	checkError(t, err, fault.BadModel, path, "permission denied")
}

func TestCanceledWhileUnpacking(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, t.TempDir(), file{"m.mar", string(zipped(t, whole...))}), "m.mar")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	temp := t.TempDir()
	_, err := archive.Open(ctx, path, archive.Options{TempDir: temp})
	checkError(t, err, fault.Canceled, path)
	checkEmpty(t, temp)
}

func TestNowhereToUnpack(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"m.mar", string(zipped(t, whole...))})
	_, err := archive.Open(t.Context(), filepath.Join(dir, "m.mar"), archive.Options{TempDir: filepath.Join(dir, "missing")})
	checkError(t, err, fault.Unavailable, "m.mar", "no such file", "TMPDIR")
}

func TestFormString(t *testing.T) {
	t.Parallel()
	for form, want := range map[archive.Form]string{
		archive.FormDirectory: "directory", archive.FormONNX: "onnx", archive.FormMAR: "mar", archive.FormTar: "tar.gz", 9: "unknown",
	} {
		if got := form.String(); got != want {
			t.Errorf("form = %q, want %q", got, want)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	dir := write(b, b.TempDir(), prefixed("d/", whole)...)
	write(b, dir, file{"m.mar", string(zipped(b, whole...))})
	for _, name := range []string{"d", "m.mar"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := archive.Inspect(filepath.Join(dir, name)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
