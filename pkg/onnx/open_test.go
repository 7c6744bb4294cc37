package onnx_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func write(tb testing.TB, path string, data []byte) string {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// link makes a link, which not every user of Windows may.
func link(t *testing.T, to, name string) {
	t.Helper()
	err := os.Symlink(to, name)
	if err != nil && runtime.GOOS == "windows" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "weights", "w.bin"), onnx.Of([]float32{0, 1, 2, 3}, 4).Raw)
	link(t, filepath.Join("weights", "w.bin"), filepath.Join(dir, "link.bin"))
	entry := func(key, value string) []byte { return part(13, text(1, key), text(2, value)) }
	tests := []struct {
		name string
		w    []byte
		want []float32
	}{
		{"inside", initializer(number(1, 1), number(2, 1), part(9, []byte{0, 0, 0x80, 0x3f})), []float32{1}},
		{"beside", beside("weights/w.bin", 4), []float32{0, 1, 2, 3}},
		{"a part", beside("weights/w.bin", 2, entry("offset", "4"), entry("length", "8")), []float32{1, 2}},
		{"through a link inside", beside("link.bin", 1, entry("offset", "12")), []float32{3}},
		{"nothing of it", beside("weights/w.bin", 0, entry("offset", "16")), []float32{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, closer, err := onnx.Open(write(t, filepath.Join(dir, test.name+".onnx"), file(test.w)))
			if err != nil {
				t.Fatal(err)
			}
			x, err := g.Initializers["w"].Tensor()
			if err != nil {
				t.Fatal(err)
			}
			got, err := tensor.Data[float32](x)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("elements (-want +got):\n%s", diff)
			}
			for range 2 {
				if err := closer.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	secret := write(t, filepath.Join(outside, "secret.bin"), make([]byte, 16))
	dir := filepath.Join(outside, "model")
	write(t, filepath.Join(dir, "w.bin"), make([]byte, 16))
	for name, to := range map[string]string{"file.bin": secret, "relative.bin": "../secret.bin", "folder": outside} {
		link(t, to, filepath.Join(dir, name))
	}
	entry := func(key, value string) []byte { return part(13, text(1, key), text(2, value)) }
	tests := []struct {
		name string
		w    []byte
		kind fault.Kind
		want string
	}{
		{"above", beside("../secret.bin", 4), fault.Invalid, "../secret.bin"},
		{"above and back", beside("../model/w.bin", 4), fault.Invalid, "../model/w.bin"},
		{"absolute", beside(secret, 4), fault.Invalid, secret},
		{"a link out", beside("file.bin", 4), fault.Invalid, "file.bin"},
		{"a relative link out", beside("relative.bin", 4), fault.Invalid, "relative.bin"},
		{"a folder out", beside("folder/secret.bin", 4), fault.Invalid, "folder/secret.bin"},
		{"no name", beside("", 4), fault.Invalid, "another file"},
		{"not there", beside("v.bin", 4), fault.BadModel, "v.bin"},
		{"the folder", beside(".", 4), fault.BadModel, "no file"},
		{"too long", beside("w.bin", 5), fault.BadModel, "which has 16"},
		{"too far", beside("w.bin", 4, entry("offset", "4")), fault.BadModel, "which has 16"},
		{"far too far", beside("w.bin", 1, entry("offset", "9223372036854775807")), fault.BadModel, "which has 16"},
		{"another length", beside("w.bin", 4, entry("length", "8")), fault.BadModel, "takes 16"},
		{"a negative offset", beside("w.bin", 4, entry("offset", "-1")), fault.BadModel, `offset "-1"`},
		{"no number", beside("w.bin", 4, entry("length", "all")), fault.BadModel, `length "all"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := onnx.Open(write(t, filepath.Join(dir, strings.ReplaceAll(test.name, " ", "-")+".onnx"), file(test.w)))
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `tensor "w"`) {
				t.Errorf("Open: %v, want %v with %q and the tensor's name", err, test.kind, test.want)
			}
		})
	}
	for path, kind := range map[string]fault.Kind{
		filepath.Join(dir, "no.onnx"): fault.NotFound, dir: fault.BadModel, write(t, filepath.Join(dir, "empty.onnx"), nil): fault.BadModel,
	} {
		if _, _, err := onnx.Open(path); fault.Of(err) != kind || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s): %v, want %v", path, err, kind)
		}
	}
}

// TestGuard cuts a file short while it is open.
func TestGuard(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files are read, not mapped")
	}
	g := made(17, floats("x", 1), map[string]*onnx.Constant{"w": onnx.Of(make([]float32, 1<<20), 1<<20)}, node("Mul", "x w", "y", nil))
	path := write(t, filepath.Join(t.TempDir(), "large.onnx"), g.Marshal())
	opened, closer, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close() //nolint:errcheck // tested elsewhere
	var whole []byte
	marshal := func() error {
		whole = opened.Marshal()
		return nil
	}
	if err := onnx.Guard(marshal); err != nil || !bytes.Equal(whole, g.Marshal()) {
		t.Errorf("Guard over a whole file: %v", err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := onnx.Guard(marshal); fault.Of(err) != fault.BadModel || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("Guard over a file that was cut short: %v", err)
	}
	defer func() {
		if got := recover(); got != "other" {
			t.Errorf("another panic became %v", got)
		}
	}()
	_ = onnx.Guard(func() error { panic("other") })
}

// BenchmarkOpen opens a network of 400 MB, and opens and writes it: what making a gradient of it takes at least.
func BenchmarkOpen(b *testing.B) {
	g := made(17, floats("x", 1), nil, node("Relu", "x", "y", nil))
	for i := range 40 {
		g.Initializers[fmt.Sprint("w", i)] = onnx.Of(make([]float32, 10<<18), 10<<18)
	}
	path := write(b, filepath.Join(b.TempDir(), "large.onnx"), g.Marshal())
	for _, written := range []bool{false, true} {
		b.Run(fmt.Sprintf("written=%v", written), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g, closer, err := onnx.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				if written {
					g.Marshal()
				}
				if err := closer.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
