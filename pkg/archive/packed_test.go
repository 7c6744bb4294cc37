package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

// refused opens an archive that has to be refused, by Open and, but where only unpacking can tell, by Inspect.
func refused(t *testing.T, name string, data []byte, kind fault.Kind, words ...string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(write(t, filepath.Join(dir, "in"), file{name, string(data)}), name)
	_, err := open(t, path, archive.Limits{})
	checkError(t, err, kind, append(words, path)...)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("something was written outside: %v, %v", left, err)
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	good := file{"net.onnx", "network"}
	for name, test := range map[string]struct {
		kind fault.Kind
		word string
	}{
		"../evil":                      {fault.BadModel, "leads out of the archive"},
		"a/../../evil":                 {fault.BadModel, "leads out of the archive"},
		"a/../b":                       {fault.BadModel, "leads out of the archive"},
		"/etc/evil":                    {fault.BadModel, "the path is absolute"},
		"C:/evil":                      {fault.BadModel, "the path is absolute"},
		"c:evil":                       {fault.BadModel, "the path is absolute"},
		`C:\evil`:                      {fault.BadModel, "backslash"},
		`..\evil`:                      {fault.BadModel, "backslash"},
		"evil\n":                       {fault.BadModel, "control character"},
		"evil\x1b[2J":                  {fault.BadModel, "control character"},
		"evil\xff":                     {fault.BadModel, "not UTF-8"},
		"net.onnx":                     {fault.BadModel, "there twice"},
		"./net.onnx":                   {fault.BadModel, "there twice"},
		"NET.onnx":                     {fault.BadModel, `differs from "net.onnx" in letter case only`},
		"net.onnx/below":               {fault.BadModel, "there twice"},
		"Net.ONNX/below":               {fault.BadModel, "letter case only"},
		"net.onnx/":                    {fault.BadModel, "there twice"},
		strings.Repeat("a", 256):       {fault.TooLarge, "a name is longer than 255 bytes"},
		strings.Repeat("a/", 32) + "b": {fault.TooLarge, "deeper than 32"},
		strings.Repeat("abcdef/", 90):  {fault.TooLarge, "longer than 512 bytes"},
		strings.Repeat("a/", 20) + "../" + strings.Repeat("b/", 5): {fault.BadModel, "leads out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := file{name, ""}
			if !strings.HasSuffix(name, "/") {
				bad.data = "x"
			}
			refused(t, "m.mar", zipped(t, good, bad), test.kind, test.word)
			refused(t, "m.tar.gz", tarred(t, good, bad), test.kind, test.word)
		})
	}
	t.Run("zero byte", func(t *testing.T) {
		t.Parallel()
		refused(t, "m.mar", zipped(t, good, file{"ev\x00il", "x"}), fault.BadModel, "control character")
	})
}

// changed returns a zip of one stored entry whose header change has been at.
func changed(t *testing.T, data string, change func(h *zip.FileHeader)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	h := &zip.FileHeader{
		Name: "net.onnx", Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte(data)),
		CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data)),
	}
	h.SetMode(0o600)
	change(h)
	entry, err := w.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func deflated(t *testing.T, data string) string {
	t.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestHostileZips(t *testing.T) {
	t.Parallel()
	good := zipped(t, file{"net.onnx", strings.Repeat("network", 100)})
	flipped := changed(t, "network", func(*zip.FileHeader) {})
	flipped[bytes.Index(flipped, []byte("network"))] = 'X'
	tests := []struct {
		name string
		data []byte
		kind fault.Kind
		word string
	}{
		{"link", changed(t, "/etc/passwd", func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }), fault.BadModel, "it is a link"},
		{"device", changed(t, "", func(h *zip.FileHeader) { h.SetMode(fs.ModeDevice | 0o600) }), fault.BadModel, "neither a file nor a directory"},
		{"pipe", changed(t, "", func(h *zip.FileHeader) { h.SetMode(fs.ModeNamedPipe | 0o600) }), fault.BadModel, "neither a file nor a directory"},
		{"encrypted", changed(t, "x", func(h *zip.FileHeader) { h.Flags |= 1 }), fault.BadModel, "it is encrypted"},
		{"unknown method", changed(t, "x", func(h *zip.FileHeader) { h.Method = 14 }), fault.BadModel, "compressed with method 14"},
		{"more data than declared", changed(t, "network", func(h *zip.FileHeader) { h.UncompressedSize64 = 3 }), fault.BadModel, "do not fit"},
		{"deflated, more than declared", changed(t, deflated(t, "network"), func(h *zip.FileHeader) { h.Method = zip.Deflate; h.UncompressedSize64 = 3 }), fault.BadModel, "do not fit"},
		{"deflated garbage", changed(t, "\xff\xff\xff", func(h *zip.FileHeader) { h.Method = zip.Deflate }), fault.BadModel, "flate"},
		{"less data than declared", changed(t, "network", func(h *zip.FileHeader) { h.UncompressedSize64 = 30 }), fault.BadModel, "ends early"},
		{"huge", changed(t, "x", func(h *zip.FileHeader) { h.UncompressedSize64 = 9 << 30 }), fault.TooLarge, "larger than 8 GiB"},
		{"beyond numbers", changed(t, "x", func(h *zip.FileHeader) { h.UncompressedSize64 = 1 << 63 }), fault.TooLarge, "larger than 8 GiB"},
		{"wrong checksum", flipped, fault.BadModel, "checksum"},
		{"cut off", good[:len(good)/2], fault.BadModel, "it is cut off: the end of the zip is missing"},
		{"cut off at the end", good[:len(good)-1], fault.BadModel, "it is cut off: the end of the zip is missing"},
		{"directory with data", bytes.ReplaceAll(changed(t, "x", func(h *zip.FileHeader) { h.Name = "dir_" }), []byte("dir_"), []byte("dir/")), fault.BadModel, "a directory with data"},
		{"nothing in it", zipped(t), fault.BadModel, "is no model"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			refused(t, "m.mar", test.data, test.kind, test.word)
		})
	}
}

func TestHostileTars(t *testing.T) {
	t.Parallel()
	good := tarred(t, file{"m/net.onnx", strings.Repeat("network", 1000)})
	kind := func(flag byte) []byte {
		return tarOf(t, []*tar.Header{{Name: "m/evil", Linkname: "/etc/passwd", Typeflag: flag}}, file{})
	}
	damaged := bytes.Clone(good)
	binary.LittleEndian.PutUint32(damaged[len(damaged)-8:], 0)
	tests := []struct {
		name string
		data []byte
		kind fault.Kind
		word string
	}{
		{"symbolic link", kind(tar.TypeSymlink), fault.BadModel, "it is a link"},
		{"hard link", kind(tar.TypeLink), fault.BadModel, "it is a link"},
		{"device", kind(tar.TypeChar), fault.BadModel, "neither a file nor a directory"},
		{"pipe", kind(tar.TypeFifo), fault.BadModel, "neither a file nor a directory"},
		{"cut off", good[:len(good)/2], fault.BadModel, "ends early"},
		{"cut off at the end", good[:len(good)-1], fault.BadModel, "ends early"},
		{"wrong checksum", damaged, fault.BadModel, "checksum"},
		{"a zip", zipped(t, file{"net.onnx", "x"}), fault.BadModel, "it is not a tar.gz"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			refused(t, "m.tar.gz", test.data, test.kind, test.word)
			refused(t, "m.tgz", test.data, test.kind, test.word)
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	files := []file{{"net.onnx", strings.Repeat("n", 3000)}, {"labels.txt", strings.Repeat("l", 3000)}}
	small := archive.Limits{Total: 6000, File: 3000, Files: 2, Path: 10, Depth: 1}
	tests := []struct {
		name   string
		limits func(l archive.Limits) archive.Limits
		word   string
	}{
		{"fits", func(l archive.Limits) archive.Limits { return l }, ""},
		{"total", func(l archive.Limits) archive.Limits { l.Total--; return l }, "unpacks to more than 5.9 KiB"},
		{"file", func(l archive.Limits) archive.Limits { l.File--; return l }, "larger than 2.9 KiB"},
		{"files", func(l archive.Limits) archive.Limits { l.Files--; return l }, "more than 1 entries"},
		{"path", func(l archive.Limits) archive.Limits { l.Path--; return l }, "longer than 9 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, t.TempDir(), file{"m.mar", string(zipped(t, files...))}, file{"m.tgz", string(tarred(t, files...))})
			for _, name := range []string{"m.mar", "m.tgz"} {
				_, err := open(t, filepath.Join(dir, name), test.limits(small))
				if test.word == "" && err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if test.word != "" {
					checkError(t, err, fault.TooLarge, test.word, name)
				}
			}
		})
	}
}

// An archive of zeros is a bomb only when it is large: a small network of zeros is a test of someone's.
func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := func(n int) file { return file{"net.onnx", strings.Repeat("\x00", n)} }
	dir := write(t, t.TempDir(),
		file{"small.mar", string(zipped(t, zeros(8<<20)))}, file{"small.tgz", string(tarred(t, zeros(8<<20)))},
		file{"bomb.mar", string(zipped(t, zeros(17<<20)))}, file{"bomb.tgz", string(tarred(t, zeros(17<<20)))},
	)
	for name, ok := range map[string]bool{"small.mar": true, "small.tgz": true, "bomb.mar": false, "bomb.tgz": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, filepath.Join(dir, name), archive.Limits{})
			if ok && err != nil {
				t.Error(err)
			}
			if !ok {
				checkError(t, err, fault.TooLarge, "unpacks to more than 16 MiB", name)
			}
			if _, err = archive.Inspect(filepath.Join(dir, name)); ok != (err == nil) {
				t.Errorf("Inspect: %v", err)
			}
		})
	}
}

// What follows the end of a tar is read for the checksum, and is bounded as well.
func TestBombBehindTheEnd(t *testing.T) {
	t.Parallel()
	data := tarred(t, file{"net.onnx", "network"})
	data = append(data, tarred(t, file{"zeros", strings.Repeat("\x00", 40<<20)})...)
	refused(t, "m.tgz", data, fault.TooLarge, "unpacks to more than 16 MiB")
}
