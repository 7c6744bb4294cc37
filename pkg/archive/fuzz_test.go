package archive_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

// fuzzLimits are small, so that a finding does not have to be large.
func fuzzLimits() archive.Limits {
	return archive.Limits{Total: 64 << 10, File: 32 << 10, Files: 16, Path: 64, Depth: 4}
}

// checkRefusal checks that what was not read was refused on purpose, in one clean line.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if kind := fault.Of(err); kind != fault.BadModel && kind != fault.TooLarge && kind != fault.Unsupported {
		t.Errorf("not a refusal: %v", err)
	}
	if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
		t.Errorf("the error is not one clean line: %q", err)
	}
}

// checkManifest checks what every manifest promises.
func checkManifest(t *testing.T, m archive.Manifest) {
	t.Helper()
	if m.Name == "" || m.Version == "" || !fs.ValidPath(m.SerializedFile) || m.Guessed != (m.Handler == "") {
		t.Errorf("%+v", m)
	}
	if strings.ContainsAny(m.Name+m.Version, "/\\ \n") || m.BatchSize < 0 || m.MinWorkers < 0 || m.ResponseTimeout < 0 {
		t.Errorf("%+v", m)
	}
}

func fuzzDirectory(t *testing.T, files ...file) {
	t.Helper()
	dir := write(t, t.TempDir(), append(files, file{"net.onnx", "network"})...)
	m, err := archive.Open(t.Context(), dir, archive.Options{})
	if err != nil {
		checkRefusal(t, err)
		return
	}
	defer func() { _ = m.Close() }()
	checkManifest(t, m.Manifest)
	labels, err := m.Labels()
	if err != nil {
		checkRefusal(t, err)
	}
	for _, label := range labels {
		if label == "" || strings.ContainsAny(label, "\n\x1b\x00") {
			t.Errorf("label %q", label)
		}
	}
}

func FuzzManifestYAML(f *testing.F) {
	f.Add(whole[0].data)
	f.Add("model: {name: x, serializedFile: net.onnx}\nhandler: {a: [1, 2.5, ~, 'x'], b: {c: 1e3}}\n")
	f.Add("a: &x [*x]\n<<: *x\n? {}\n: !!binary |\n  aa\n")
	f.Fuzz(func(t *testing.T, data string) { fuzzDirectory(t, file{"model-config.yaml", data}) })
}

func FuzzManifestJSON(f *testing.F) {
	f.Add(`{"runtime":"python","model":{"modelName":"x","modelVersion":"1.0","serializedFile":"net.onnx","handler":"image_classifier"}}`)
	f.Add(`{"model":{"modelName":3,"configFile":"../x","handler":"a.py:b"}}`)
	f.Fuzz(func(t *testing.T, data string) { fuzzDirectory(t, file{"MAR-INF/MANIFEST.json", data}) })
}

func FuzzLabels(f *testing.F) {
	f.Add("cat\ndog\n", false)
	f.Add(`{"0": ["n1", "cat"], "2": "dog"}`, true)
	f.Add(`{"object_type_names": ["a", ""]}`, true)
	f.Fuzz(func(t *testing.T, data string, json bool) {
		name := "labels.txt"
		if json {
			name = "index_to_name.json"
		}
		fuzzDirectory(t, file{name, data})
	})
}

// fuzzUnpack opens an archive of foreign bytes: what comes out stays in its place and within the limits, and what is
// refused leaves nothing.
func fuzzUnpack(t *testing.T, name string, data []byte) {
	t.Helper()
	dir := t.TempDir()
	temp := filepath.Join(dir, "temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(write(t, filepath.Join(dir, "in"), file{name, string(data)}), name)
	limits := fuzzLimits()
	m, err := archive.Open(t.Context(), path, archive.Options{TempDir: temp, Limits: limits})
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Fatalf("something was written outside: %v, %v", left, err)
	}
	if err != nil {
		if len(data) > 0 {
			checkRefusal(t, err)
		}
		checkEmpty(t, temp)
		return
	}
	checkManifest(t, m.Manifest)
	var total int64
	err = filepath.WalkDir(temp, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if stat, err := entry.Info(); err == nil && !entry.IsDir() {
			total += stat.Size()
			if !stat.Mode().IsRegular() || stat.Size() > limits.File {
				t.Errorf("%s: %v, %d bytes", entry.Name(), stat.Mode(), stat.Size())
			}
		}
		return nil
	})
	if err != nil || total > limits.Total {
		t.Errorf("unpacked to %d bytes, %v", total, err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	checkEmpty(t, temp)
}

func FuzzUnpackZip(f *testing.F) {
	f.Add(zipped(f, whole...))
	f.Add(zipped(f, file{"../evil", "x"}, file{"net.onnx", "network"}))
	f.Add(zipped(f, file{"net.onnx", strings.Repeat("\x00", 40_000)}))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzUnpack(t, "m.mar", data) })
}

func FuzzUnpackTar(f *testing.F) {
	f.Add(tarred(f, whole...))
	f.Add(tarred(f, file{"../evil", "x"}, file{"net.onnx", "network"}))
	f.Add(tarred(f, file{"net.onnx", strings.Repeat("\x00", 40_000)}))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzUnpack(t, "m.tgz", data) })
}
