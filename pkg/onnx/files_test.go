package onnx_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/onnx"
)

// located is a tensor that stands in another file, without the field that it is in.
func located(location string) []byte {
	return slices.Concat(number(1, 4), number(2, 1), number(14, 1), part(13, text(1, "location"), text(2, location)))
}

func TestFiles(t *testing.T) {
	t.Parallel()
	attribute := func(fields ...[]byte) []byte { return part(1, part(5, part(5, fields...))) }
	branch := part(1, part(5, part(6, part(5, located("branch.bin")))))
	tests := []struct {
		name string
		data []byte
		want []string
	}{
		{"none", file(initializer(number(2, 1))), nil},
		{"one, twice", file(beside("w.bin", 4), beside("./w.bin", 2)), []string{"w.bin"}},
		{"below", file(beside("b/w.bin", 4), beside("a/w.bin", 4)), []string{"a/w.bin", "b/w.bin"}},
		{"in an attribute", file(attribute(located("c.bin"))), []string{"c.bin"}},
		{"in a list", file(part(1, part(5, part(10, located("l.bin"))))), []string{"l.bin"}},
		{"in a branch", file(branch), []string{"branch.bin"}},
		{"in a function", append(file(), part(25, part(7, part(5, part(5, located("f.bin")))))...), []string{"f.bin"}},
		{"in a default of a function", append(file(), part(25, part(11, part(5, located("d.bin"))))...), []string{"d.bin"}},
		{"sparse", file(part(15, part(1, located("v.bin")), part(2, located("i.bin")))), []string{"i.bin", "v.bin"}},
		{"where Open reads no further", file(part(5, part(3, number(1, 1))), beside("w.bin", 4)), []string{"w.bin"}},
		{"named and not used", file(initializer(number(2, 1), part(13, text(1, "location"), text(2, "w.bin")))), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := onnx.Files(write(t, filepath.Join(t.TempDir(), "net.onnx"), test.data))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestFilesRefuses(t *testing.T) {
	t.Parallel()
	nested := part(5)
	for range 40 {
		nested = part(1, part(5, part(6, nested)))
	}
	tests := []struct {
		name string
		data []byte
		kind fault.Kind
		want string
	}{
		{"above", file(beside("../w.bin", 4)), fault.Invalid, `"../w.bin"`},
		{"absolute", file(beside("/etc/passwd", 4)), fault.Invalid, `"/etc/passwd"`},
		{"the directory", file(beside("a/..", 4)), fault.Invalid, `"a/.."`},
		{"no name", file(beside("", 4)), fault.Invalid, `""`},
		{"empty", nil, fault.BadModel, "no graph"},
		{"text", []byte("This is not a network."), fault.BadModel, "no ONNX network"},
		{"cut off", file(beside("w.bin", 4))[:30], fault.BadModel, "ends too early"},
		{"nested", file(nested), fault.BadModel, "more than 32 graphs"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, filepath.Join(t.TempDir(), "net.onnx"), test.data)
			_, err := onnx.Files(path)
			if fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %v with %q", err, test.kind, test.want)
			}
		})
	}
	if _, err := onnx.Files(filepath.Join(t.TempDir(), "no.onnx")); fault.Of(err) != fault.NotFound {
		t.Errorf("no file: %v", err)
	}
	if _, err := onnx.Files(t.TempDir()); fault.Of(err) != fault.BadModel {
		t.Errorf("a directory: %v", err)
	}
}

// FuzzFiles: whatever the bytes are, no name leads out of the network's directory.
func FuzzFiles(f *testing.F) {
	f.Add(file(beside("w.bin", 4)))
	f.Add(file(beside("../w.bin", 4), part(15, part(1, located(`a\..\..\w.bin`)))))
	f.Add(append(file(), part(25, part(7, part(5, part(6, part(5, located("//f.bin"))))))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		names, err := onnx.Files(path)
		if err != nil && fault.Of(err) != fault.BadModel && fault.Of(err) != fault.Invalid {
			t.Errorf("Files: %v", err)
		}
		for _, name := range names {
			if !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) {
				t.Errorf("a name that leads out: %q", name)
			}
		}
	})
}
