package verify_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/verify"
)

type file struct{ name, data string }

// network is a network of pictures that is the mean of each channel: three classes.
func network() string {
	dims := func(axes ...int64) []onnx.Axis {
		all := make([]onnx.Axis, len(axes))
		for i, size := range axes {
			all[i].Size = size
		}
		return all
	}
	g := onnx.Graph{
		Name: "mean", IR: 8, Opset: 13,
		Inputs:  []onnx.Value{{Name: "x", Type: onnx.TypeOf(tensor.Float32), Shape: dims(1, 3, 8, 8)}},
		Outputs: []onnx.Value{{Name: "y", Type: onnx.TypeOf(tensor.Float32), Shape: dims(1, 3)}},
		Nodes: []*onnx.Node{{
			Op: "ReduceMean", Inputs: []string{"x"}, Outputs: []string{"y"},
			Attrs: map[string]onnx.Attr{"axes": onnx.Ints(2, 3), "keepdims": onnx.Int(0)},
		}},
	}
	return string(g.Marshal())
}

func signature() engine.Signature {
	value := func(name string, sizes ...int64) []engine.Value {
		v := engine.Value{Name: name, DType: tensor.Float32}
		for _, size := range sizes {
			v.Shape = append(v.Shape, engine.Dim{Size: size})
		}
		return []engine.Value{v}
	}
	return engine.Signature{Inputs: value("x", 1, 3, 8, 8), Outputs: value("y", 1, 3)}
}

func answer(tensor.Named) (tensor.Named, error) {
	t, err := tensor.New([]int64{1, 3}, []float32{1, 2, 3})
	return tensor.Named{"y": t}, err
}

func zipped(files ...file) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		entry, err := w.Create(f.name)
		if err == nil {
			_, err = entry.Write([]byte(f.data))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return buf.String()
}

// raw is a zip of one entry with that header.
func raw(change func(h *zip.FileHeader)) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	h := &zip.FileHeader{Name: "net.onnx", Method: zip.Store, CompressedSize64: 1, UncompressedSize64: 1}
	h.SetMode(0o600)
	change(h)
	entry, err := w.CreateRaw(h)
	if err == nil {
		_, err = entry.Write([]byte("x"))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return buf.String()
}

func tarred(kind byte, name, data string) string {
	var buf bytes.Buffer
	packer := gzip.NewWriter(&buf)
	w := tar.NewWriter(packer)
	err := w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Size: int64(len(data)), Linkname: "elsewhere"})
	if err == nil {
		_, err = w.Write([]byte(data))
	}
	if err := errors.Join(err, w.Close(), packer.Close()); err != nil {
		panic(err)
	}
	return buf.String()
}

func write(t *testing.T, path string, files ...file) string {
	t.Helper()
	for _, f := range files {
		to := filepath.Join(path, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(f.data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func options(t *testing.T) verify.Options {
	t.Helper()
	return verify.Options{
		Archive: archive.Options{TempDir: t.TempDir()}, Handlers: builtin.Handlers(), Open: enginetest.Opener(signature(), answer),
	}
}

// mar is MAR-INF/MANIFEST.json with that as its model.
func mar(model string) file {
	return file{"MAR-INF/MANIFEST.json", `{"runtime": "python", "model": {` + model + `}}`}
}

// checks are all of them, in order.
var checks = []string{"format", "contents", "manifest", "settings", "network", "labels", "handler", "tensors", "engine", "fit", "answer", "gradient"}

// expect checks that all checks before the one that fails pass, that it says the words, and that all after it are skipped.
func expect(t *testing.T, r verify.Report, failing string, words ...string) string {
	t.Helper()
	if len(r.Checks) != len(checks) || r.Failed != 1 {
		t.Fatalf("%d failed: %+v", r.Failed, r.Checks)
	}
	at := slices.Index(checks, failing)
	for i, c := range r.Checks {
		want := verify.Pass
		switch {
		case i == at:
			want = verify.Fail
		case i > at:
			want = verify.Skipped
		}
		if c.Name != checks[i] || c.Status != want || i > at && c.Detail == "" {
			t.Errorf("%+v, want %s to %s", c, checks[i], want)
		}
	}
	why := r.Checks[at].Detail
	for _, word := range words {
		if !strings.Contains(why, word) {
			t.Errorf("%q does not say %q", why, word)
		}
	}
	if strings.ContainsAny(why, "\n\x00\x1b") {
		t.Errorf("not one clean line: %q", why)
	}
	return why
}

// TestMalformed verifies whatever can be wrong with a model's file: each fails the check that it belongs to, in words of its
// own, and leaves nothing behind.
func TestMalformed(t *testing.T) {
	t.Parallel()
	net := file{"net.onnx", network()}
	good := zipped(net, file{"labels.txt", "a\nb\nc\n"})
	damaged := []byte(good)
	binary.LittleEndian.PutUint32(damaged[14:], 1) // of the local header, which is not believed
	damaged[bytes.Index(damaged, []byte("PK\x01\x02"))+16] ^= 1
	tests := []struct {
		name, file, data string
		check            string
		words            []string
	}{
		{"empty", "m.mar", "", "format", []string{"is empty"}},
		{"no zip", "m.mar", "text", "format", []string{"not a zip"}},
		{"cut off", "m.mar", good[:len(good)-30], "format", []string{"it is cut off"}},
		{"wrong type", "m.txt", "text", "format", []string{"is no model"}},
		{"Python", "m.py", "pass", "format", []string{"is Python"}},
		{"weights", "m.pt", zipped(file{"m/data.pkl", ""}), "format", []string{"torch.save", "torch.onnx.export"}},
		{"TorchScript", "m.pt", zipped(file{"m/data.pkl", ""}, file{"m/constants.pkl", ""}), "format", []string{"TorchScript", "help archives"}},
		{"no tar", "m.tar.gz", good, "contents", []string{"not a tar.gz"}},
		{"tar cut off", "m.tar.gz", tarred(tar.TypeReg, "m/net.onnx", network())[:100], "contents", []string{"ends early"}},
		{"link in a tar", "m.tar.gz", tarred(tar.TypeSymlink, "m/net.onnx", ""), "contents", []string{`"m/net.onnx"`, "is a link"}},
		{"pipe in a tar", "m.tar.gz", tarred(tar.TypeFifo, "m/net.onnx", ""), "contents", []string{"neither a file nor a directory"}},
		{"absolute", "m.mar", zipped(net, file{"/etc/passwd", "x"}), "contents", []string{"absolute"}},
		{"leads out", "m.mar", zipped(net, file{"../passwd", "x"}), "contents", []string{"leads out"}},
		{"backslash", "m.mar", zipped(net, file{`..\passwd`, "x"}), "contents", []string{"backslash"}},
		{"drive", "m.mar", zipped(net, file{"c:passwd", "x"}), "contents", []string{`"c:passwd"`, "absolute"}},
		{"zero byte", "m.mar", zipped(net, file{"a\x00b", "x"}), "contents", []string{"control character"}},
		{"no UTF-8", "m.mar", zipped(net, file{"a\xffb", "x"}), "contents", []string{"not UTF-8"}},
		{"no name", "m.mar", zipped(net, file{"", "x"}), "contents", []string{"name is empty"}},
		{"twice", "m.mar", zipped(net, net), "contents", []string{"there twice"}},
		{"letter case", "m.mar", zipped(net, file{"NET.onnx", "x"}), "contents", []string{"letter case"}},
		{"long name", "m.mar", zipped(net, file{strings.Repeat("n", 300), "x"}), "contents", []string{"longer than 255 bytes"}},
		{"long path", "m.mar", zipped(net, file{strings.Repeat("dir/", 150), ""}), "contents", []string{"longer than 512 bytes"}},
		{"deep", "m.mar", zipped(net, file{strings.Repeat("d/", 40) + "x", ""}), "contents", []string{"deeper than 32"}},
		{"link", "m.mar", raw(func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }), "contents", []string{"is a link"}},
		{"device", "m.mar", raw(func(h *zip.FileHeader) { h.SetMode(fs.ModeDevice) }), "contents", []string{"neither a file nor a directory"}},
		{"encrypted", "m.mar", raw(func(h *zip.FileHeader) { h.Flags |= 1 }), "contents", []string{"encrypted"}},
		{"method", "m.mar", raw(func(h *zip.FileHeader) { h.Method = 93 }), "contents", []string{"method 93"}},
		{"huge", "m.mar", raw(func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 40 }), "contents", []string{"larger than 8 GiB"}},
		{"larger than declared", "m.mar", raw(func(h *zip.FileHeader) { h.UncompressedSize64 = 3 }), "contents", []string{"ends early"}},
		{"checksum", "m.mar", string(damaged), "contents", []string{"checksum"}},
		{"bomb", "m.mar", zipped(file{"net.onnx", strings.Repeat("\x00", 17<<20)}), "contents", []string{"unpacks to more than 16 MiB"}},
		{"manifest no JSON", "m.mar", zipped(net, file{"MAR-INF/MANIFEST.json", "{"}), "manifest", []string{"line 1", "not JSON"}},
		{"manifest empty", "m.mar", zipped(net, file{"MAR-INF/MANIFEST.json", ""}), "manifest", []string{"is empty"}},
		{"manifest a list", "m.mar", zipped(net, file{"MAR-INF/MANIFEST.json", "[]"}), "manifest", []string{"want an object"}},
		{"manifest huge", "m.mar", zipped(net, file{"MAR-INF/MANIFEST.json", strings.Repeat(" ", 70<<10)}), "manifest", []string{"larger than 64 KiB"}},
		{"name", "m.mar", zipped(net, mar(`"modelName": "../x"`)), "manifest", []string{`modelName "../x"`}},
		{"version", "m.mar", zipped(net, mar(`"modelVersion": "1/2"`)), "manifest", []string{`modelVersion "1/2"`}},
		{"config missing", "m.mar", zipped(net, mar(`"configFile": "c.yaml"`)), "manifest", []string{`"c.yaml"`, "no such file"}},
		{"config outside", "m.mar", zipped(net, mar(`"configFile": "/etc/passwd"`)), "manifest", []string{"path below the model's directory"}},
		{"unknown key", "m.mar", zipped(net, file{"model-config.yaml", "minworkers: 2"}), "settings", []string{"model-config.yaml:1", `did you mean "minWorkers"?`}},
		{"no YAML", "m.mar", zipped(net, file{"model-config.yaml", "a: ["}), "settings", []string{"not YAML"}},
		{"wrong value", "m.mar", zipped(net, file{"model-config.yaml", "batchSize: many"}), "settings", []string{"want a whole number"}},
		{"network missing", "m.mar", zipped(net, mar(`"serializedFile": "nett.onnx"`)), "network", []string{`"nett.onnx": no such file, did you mean "net.onnx"?`}},
		{"nothing in it", "m.mar", zipped(), "network", []string{"is no model", "neither a manifest"}},
		{"no network", "m.mar", zipped(mar("")), "network", []string{"holds no .onnx file"}},
		{"two networks", "m.mar", zipped(net, file{"b.onnx", "x"}), "network", []string{"several networks"}},
		{"network empty", "m.mar", zipped(file{"net.onnx", ""}), "network", []string{`"net.onnx" is empty`}},
		{"pointer", "m.mar", zipped(file{"net.onnx", "version https://git-lfs.github.com/spec/v1\n"}), "network", []string{"git lfs pull"}},
		{"web page", "m.onnx", "<html>", "network", []string{"a web page"}},
		{"PyTorch", "m.mar", zipped(mar(`"serializedFile": "m.pt", "modelFile": "m.py", "handler": "h.py"`), file{"m.pt", "x"}, file{"m.py", "x"}, file{"h.py", "x"}), "network", []string{`"m.pt"`, `"m.py"`, `"h.py"`, "torch.onnx.export"}},
		{"labels missing", "m.mar", zipped(net, file{"model-config.yaml", "model: {labels: l.txt}"}), "labels", []string{`"l.txt": no such file`}},
		{"labels no JSON", "m.mar", zipped(net, file{"index_to_name.json", "{"}), "labels", []string{"index_to_name.json", "not JSON"}},
		{"unknown handler", "m.mar", zipped(net, mar(`"handler": "image_clasifier"`)), "handler", []string{`did you mean "image_classifier"?`}},
		{"Python handler", "m.mar", zipped(net, mar(`"handler": "h.py:go"`), file{"h.py", "x"}), "handler", []string{"is Python", "image_classifier"}},
		{"tensors missing", "m.onnx", beside("w.bin"), "tensors", []string{`"w.bin", which is not there`}},
		{"tensors outside", "m.onnx", beside("../w.bin"), "tensors", []string{`"../w.bin"`, "only files in the model's directory"}},
		{"no network in it", "m.onnx", "this is no network", "tensors", []string{"no ONNX network"}},
		{"handler's settings", "m.mar", zipped(net, file{"model-config.yaml", "model: {handler: image_classifier}\nhandler: {sise: 8}"}), "fit", []string{`did you mean "size"?`}},
		{"too few labels", "m.mar", zipped(net, file{"labels.txt", "a\nb\n"}), "fit", []string{"has 3 classes, the model has 2 labels"}},
	}
	said := map[string]string{}
	for _, test := range tests {
		opts := options(t)
		path := filepath.Join(write(t, t.TempDir(), file{test.file, test.data}), test.file)
		t.Run(test.name, func(t *testing.T) {
			report, err := verify.Model(t.Context(), path, opts)
			if err != nil {
				t.Fatal(err)
			}
			why := strings.ReplaceAll(expect(t, report, test.check, test.words...), filepath.Dir(path), "")
			if other, ok := said[why]; ok {
				t.Errorf("the same words as of %s: %q", other, why)
			}
			said[why] = test.name
			if left, err := os.ReadDir(opts.Archive.TempDir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// beside is a network with a tensor in another file.
func beside(location string) string {
	text := func(number int, s string) string { return string(rune(number<<3|2)) + string(rune(len(s))) + s }
	outside := text(13, text(1, "location")+text(2, location)) + "\x70\x01"
	return text(7, text(5, outside))
}

func TestSound(t *testing.T) {
	t.Parallel()
	files := []file{{"net.onnx", network()}, {"labels.txt", "a\nb\nc\n"}, {"model-config.yaml", "useVenv: true\nmodel: {name: mean, version: 2, handler: image_classifier}\nhandler: {size: 8}"}}
	dir := write(t, filepath.Join(t.TempDir(), "d"), files...)
	packed := filepath.Join(write(t, t.TempDir(), file{"m.mar", zipped(files...)}), "m.mar")
	for form, path := range map[string]string{"directory": dir, "mar": packed} {
		opts := options(t)
		report, err := verify.Model(t.Context(), path, opts)
		if err != nil || report.Failed > 0 || len(report.Checks) != len(checks) {
			t.Fatalf("%v: %+v", err, report)
		}
		if report.Form != form || report.Name != "mean" || report.Version != "2" || report.Handler != "image_classifier" {
			t.Errorf("%+v", report)
		}
		for i, words := range []string{form, "3 files", "mean 2", "useVenv", "net.onnx", "3 in labels.txt", "image_classifier", "network's file", "x float32[1,3,8,8]", "fit", "application/json", "differentiable"} {
			if c := report.Checks[i]; c.Status != verify.Pass || !strings.Contains(c.Detail, words) {
				t.Errorf("%+v, want %q", c, words)
			}
		}
	}
}

func TestEngine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, t.TempDir(), file{"m.onnx", network()}), "m.onnx")
	refuses := errors.New("no such operator")
	tests := []struct {
		name    string
		open    engine.Opener
		failing string
		word    string
	}{
		{"does not open", func(context.Context, engine.Network, engine.Options) (engine.Session, error) {
			return nil, fmt.Errorf("%w: %w", fault.BadModel, refuses)
		}, "engine", "no such operator"},
		{"does not answer", enginetest.Opener(signature(), func(tensor.Named) (tensor.Named, error) { return nil, refuses }), "answer", "no such operator"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options(t)
			opts.Open = test.open
			report, err := verify.Model(t.Context(), path, opts)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, report, test.failing, test.word)
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		opts := options(t)
		opts.Open, opts.NoEngine = nil, "offline"
		report, err := verify.Model(t.Context(), path, opts)
		if err != nil || report.Failed > 0 {
			t.Fatalf("%v: %+v", err, report)
		}
		for i, c := range report.Checks {
			if skipped := i >= slices.Index(checks, "engine"); skipped != (c.Status == verify.Skipped) {
				t.Errorf("%+v", c)
			}
		}
	})
	t.Run("zeros refused", func(t *testing.T) {
		t.Parallel()
		opts := options(t)
		opts.Open = enginetest.Opener(signature(), func(tensor.Named) (tensor.Named, error) { return nil, refuses })
		path := write(t, t.TempDir(), file{"net.onnx", network()}, file{"model-config.yaml", "model: {handler: base_handler}"})
		report, err := verify.Model(t.Context(), path, opts)
		if err != nil || report.Failed > 0 {
			t.Fatalf("%v: %+v", err, report)
		}
		if c := report.Checks[10]; c.Status != verify.Skipped || !strings.Contains(c.Detail, "no such operator") {
			t.Errorf("%+v", c)
		}
	})
}

func TestNotVerified(t *testing.T) {
	t.Parallel()
	_, err := verify.Model(t.Context(), filepath.Join(t.TempDir(), "no.mar"), options(t))
	if fault.Of(err) != fault.NotFound {
		t.Errorf("nothing there: %v", err)
	}
	path := filepath.Join(write(t, t.TempDir(), file{"m.mar", zipped(file{"net.onnx", network()})}), "m.mar")
	opts := options(t)
	opts.Archive.TempDir = filepath.Join(t.TempDir(), "missing")
	if _, err := verify.Model(t.Context(), path, opts); fault.Of(err) != fault.Unavailable {
		t.Errorf("nowhere to unpack: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Model(ctx, path, options(t)); fault.Of(err) != fault.Canceled {
		t.Errorf("canceled: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	opts = options(t)
	open, session := opts.Open, (*closing)(nil)
	opts.Open = func(ctx context.Context, net engine.Network, o engine.Options) (engine.Session, error) {
		s, err := open(ctx, net, o)
		cancel()
		session = &closing{Session: s}
		return session, err
	}
	if _, err := verify.Model(ctx, path, opts); fault.Of(err) != fault.Canceled || !session.closed {
		t.Errorf("canceled while it opened: %v, and the session is closed: %v", err, session.closed)
	}
}

// closing is a session that remembers whether it was closed.
type closing struct {
	engine.Session

	closed bool
}

func (s *closing) Close() error {
	s.closed = true
	return s.Session.Close()
}
