package archive_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

// network is a network of no nodes, with a tensor in each of these files.
func network(locations ...string) string {
	field := func(n protowire.Number, data string) string {
		return string(protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), data))
	}
	graph := field(2, "net")
	for _, location := range locations {
		outside := string(protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1))
		graph += field(5, field(13, field(1, "location")+field(2, location))+outside)
	}
	return field(7, graph)
}

func collect(t *testing.T, s archive.Selection) *archive.Parcel {
	t.Helper()
	p, err := archive.Collect(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// petsDir is a model with all that belongs to it, and much that does not.
func petsDir(t *testing.T) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "pets"),
		file{"model-config.yaml", "batchSize: 8\nmodel: {name: pets, version: 1.10, handler: image_classifier, serializedFile: net/pets.onnx}\nhandler: {size: 224}"},
		file{"net/pets.onnx", network("pets.bin", ".hidden/more.bin")}, file{"net/pets.bin", "tensors"}, file{"net/.hidden/more.bin", "more"},
		file{"labels.txt", "cat\ndog\n"}, file{"README.md", "of pets"},
		file{".DS_Store", "x"}, file{".git/HEAD", "x"}, file{"__pycache__/a.pyc", "x"}, file{"pets.mar", "old"}, file{"old/pets.tar.gz", "old"},
		file{"unpacked/MAR-INF/MANIFEST.json", "{}"}, file{"unpacked/x.onnx", "x"},
	)
}

var petsFiles = []string{"MAR-INF/MANIFEST.json", "README.md", "labels.txt", "model-config.yaml", "net/.hidden/more.bin", "net/pets.bin", "net/pets.onnx"}

func TestCollectDirectory(t *testing.T) {
	t.Parallel()
	p := collect(t, archive.Selection{Source: petsDir(t)})
	if diff := cmp.Diff(petsFiles, p.Names()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	left := []string{".DS_Store", "__pycache__/a.pyc", "old/pets.tar.gz", "pets.mar", "unpacked/MAR-INF/MANIFEST.json", "unpacked/x.onnx"}
	if diff := cmp.Diff(left, p.LeftOut); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	want := archive.Manifest{
		Name: "pets", Version: "1.10", SerializedFile: "net/pets.onnx", Handler: "image_classifier", Labels: "labels.txt", Runtime: "python",
		BatchSize: 8, HandlerConfig: map[string]any{"size": int64(224)},
	}
	if diff := cmp.Diff(want, p.Manifest); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestCollectFlags(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"my net.onnx", network("w.bin")}, file{"w.bin", "tensors"}, file{"labels.txt", "of something else"},
		file{"cfg/prod.yaml", "batchSize: 4"}, file{"req.txt", "numpy"}, file{"index_to_name.json", `{"0": "cat"}`},
		file{"extra/vocab/a.txt", "a"}, file{"extra/.hidden", "x"}, file{"wild/1.json", "1"}, file{"wild/2.json", "2"}, file{"wild/3.txt", "3"},
	)
	in := func(name string) string { return filepath.Join(dir, name) }
	want := func(files ...string) []string {
		return slices.Sorted(slices.Values(append(files, "MAR-INF/MANIFEST.json")))
	}
	tests := []struct {
		name     string
		from     archive.Selection
		files    []string
		manifest archive.Manifest
	}{
		{
			"a network alone",
			archive.Selection{Source: in("my net.onnx")},
			want("my net.onnx", "w.bin"),
			archive.Manifest{Name: "my_net", Version: "1.0", SerializedFile: "my net.onnx", Runtime: "python", Guessed: true},
		},
		{
			"as with the archiver",
			archive.Selection{
				Network: in("my net.onnx"), Name: "net", Version: "2.0", Handler: "image_classifier", Runtime: "python3",
				Config: in("cfg/prod.yaml"), Requirements: in("req.txt"), Extra: []string{in("index_to_name.json"), " " + in("extra"), in("wild/*.json")},
			},
			want("1.json", "2.json", "index_to_name.json", "my net.onnx", "prod.yaml", "req.txt", "vocab/a.txt", "w.bin"),
			archive.Manifest{
				Name: "net", Version: "2.0", SerializedFile: "my net.onnx", Handler: "image_classifier", Runtime: "python3",
				Labels: "index_to_name.json", BatchSize: 4, Ignored: []string{"requirementsFile"},
			},
		},
		{
			"the same file twice",
			archive.Selection{Source: in("my net.onnx"), Network: in("my net.onnx"), Extra: []string{in("w.bin")}},
			want("my net.onnx", "w.bin"),
			archive.Manifest{Name: "my_net", Version: "1.0", SerializedFile: "my net.onnx", Runtime: "python", Guessed: true},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := collect(t, test.from)
			if diff := cmp.Diff(test.files, p.Names()); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.manifest, p.Manifest); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
		})
	}
}

// What the flags say goes before what the directory says, and a manifest of an unpacked archive goes on.
func TestCollectOverrides(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"MAR-INF/MANIFEST.json", `{"runtime": "LSP", "model": {"modelName": "old", "modelVersion": "3", "handler": "mine.py", "configFile": "own.yaml", "serializedFile": "a.onnx"}}`},
		file{"own.yaml", "batchSize: 2"}, file{"a.onnx", network()}, file{"b.onnx", network()}, file{"other/own.yaml", "batchSize: 5"},
	)
	got := collect(t, archive.Selection{Source: dir}).Manifest
	want := archive.Manifest{Name: "old", Version: "3", SerializedFile: "a.onnx", Handler: "mine.py", Runtime: "LSP", BatchSize: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("as it is (-want +got):\n%s", diff)
	}
	got = collect(t, archive.Selection{
		Source: dir, Name: "new", Version: "4", Handler: "base_handler", Network: filepath.Join(dir, "b.onnx"), Config: filepath.Join(dir, "other/own.yaml"),
	}).Manifest
	want = archive.Manifest{Name: "new", Version: "4", SerializedFile: "b.onnx", Handler: "base_handler", Runtime: "LSP", BatchSize: 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("overridden (-want +got):\n%s", diff)
	}
}

func TestCollectRefuses(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"a.onnx", network()}, file{"x/a.onnx", network("w.bin")}, file{"gone/g.onnx", network("gone.bin")}, file{"out/o.onnx", network("../a.onnx")},
		file{"folder/f.onnx", network("sub")}, file{"folder/sub/x", "x"}, file{"text/t.onnx", "this is no network"}, file{"m.mar", "x"}, file{"net.pt", "x"},
		file{"two/a.onnx", network()}, file{"two/b.onnx", network()}, file{"cases/a.onnx", network()}, file{"cases/A.txt", "x"}, file{"cases/a.txt", "x"},
		file{"eager/net.py", "x"}, file{"eager/net.pt", "x"}, file{"eager/model-config.yaml", ""}, file{"slash/a.onnx", network()},
		file{"broken/a.onnx", network()}, file{"broken/model-config.yaml", "batchsize: 3"}, file{"linked/a.onnx", network()},
	)
	write(t, dir, file{`slash/a\b`, "x"})
	if err := os.Symlink("../m.mar", filepath.Join(dir, "linked/out.txt")); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name string
		from archive.Selection
		kind fault.Kind
		want []string
	}{
		{"nothing", archive.Selection{}, fault.Invalid, []string{"pack what?"}},
		{"not there", archive.Selection{Source: in("no")}, fault.NotFound, []string{"no such file"}},
		{"packed", archive.Selection{Source: in("m.mar")}, fault.Invalid, []string{"is packed already"}},
		{"two files of a name", archive.Selection{Network: in("a.onnx"), Extra: []string{in("x/a.onnx")}}, fault.Invalid, []string{`two files would be "a.onnx"`, in("x/a.onnx")}},
		{"tensors not there", archive.Selection{Source: in("gone")}, fault.BadModel, []string{`"gone.bin", which is not there`}},
		{"tensors outside", archive.Selection{Source: in("out")}, fault.Invalid, []string{`"../a.onnx"`}},
		{"tensors in a directory", archive.Selection{Source: in("folder/f.onnx")}, fault.BadModel, []string{`"sub", which is no file`}},
		{"no network", archive.Selection{Source: in("text")}, fault.BadModel, []string{"no ONNX network"}},
		{"several networks", archive.Selection{Source: in("two")}, fault.BadModel, []string{"a.onnx, b.onnx"}},
		{"names of one file on many systems", archive.Selection{Source: in("cases")}, fault.BadModel, []string{"letter case only"}},
		{"a backslash", archive.Selection{Source: in("slash")}, fault.BadModel, []string{"backslash"}},
		{"a link out", archive.Selection{Source: in("linked")}, fault.BadModel, []string{"out.txt: it is a link"}},
		{"PyTorch", archive.Selection{Network: in("net.pt"), Handler: "image_classifier"}, fault.Unsupported, []string{`"net.pt"`, "torch.onnx.export"}},
		{"an eager model", archive.Selection{Source: in("eager")}, fault.Unsupported, []string{`"net.py"`, "torch.onnx.export"}},
		{"settings", archive.Selection{Source: in("broken")}, fault.BadModel, []string{`did you mean "batchSize"?`}},
		{"name", archive.Selection{Source: in("a.onnx"), Name: "a/b"}, fault.Invalid, []string{`name "a/b"`}},
		{"version", archive.Selection{Source: in("a.onnx"), Version: "-1"}, fault.Invalid, []string{`version "-1"`}},
		{"handler", archive.Selection{Source: in("a.onnx"), Handler: "a\nb"}, fault.Invalid, []string{"printable"}},
		{"runtime", archive.Selection{Source: in("a.onnx"), Runtime: "perl"}, fault.Invalid, []string{`runtime "perl"`}},
		{"no configuration", archive.Selection{Source: in("a.onnx"), Config: in("no.yaml")}, fault.NotFound, []string{"the configuration", "no.yaml"}},
		{"a directory for a file", archive.Selection{Source: in("a.onnx"), Requirements: in("two")}, fault.Invalid, []string{"the requirements", "is no file"}},
		{"no extra file", archive.Selection{Source: in("a.onnx"), Extra: []string{in("no*")}}, fault.NotFound, []string{"no*", "no such file"}},
		{"a broken pattern", archive.Selection{Source: in("a.onnx"), Extra: []string{"["}}, fault.Invalid, []string{"syntax error"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := archive.Collect(test.from)
			checkError(t, err, test.kind, test.want...)
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	source := petsDir(t)
	for packing, name := range archive.Packings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := archive.WriteOptions{Dir: filepath.Join(t.TempDir(), "made", "here"), Packing: archive.Packing(packing)}
			selection := archive.Selection{Source: source, Archiver: "9.9", Created: time.Date(2024, 3, 2, 1, 0, 0, 0, time.UTC)}
			p := collect(t, selection)
			path, err := p.Write(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			m, err := open(t, path, archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p.Manifest, m.Manifest); diff != "" {
				t.Errorf("manifest (-packed +read):\n%s", diff)
			}
			if data, err := os.ReadFile(filepath.Join(filepath.Dir(m.Weights()), "pets.bin")); err != nil || string(data) != "tensors" {
				t.Errorf("tensors beside the network: %q, %v", data, err)
			}
			want := map[string]any{
				"runtime": "python", "archiverVersion": "9.9",
				"model": map[string]any{
					"modelName": "pets", "modelVersion": "1.10", "serializedFile": "net/pets.onnx", "handler": "image_classifier", "configFile": "model-config.yaml",
				},
			}
			if diff := cmp.Diff(want, marOf(t, m)); diff != "" {
				t.Errorf("MANIFEST.json (-want +got):\n%s", diff)
			}
			checkAgain(t, selection, opts, path)
			left, err := os.ReadDir(opts.Dir)
			if err != nil || len(left) != 1 {
				t.Errorf("left beside: %v, %v", left, err)
			}
		})
	}
}

// checkAgain checks that nothing is overwritten unless it is asked for, and that the same files make the same bytes.
func checkAgain(t *testing.T, s archive.Selection, opts archive.WriteOptions, path string) {
	t.Helper()
	_, err := collect(t, s).Write(t.Context(), opts)
	checkError(t, err, fault.Conflict, path, "--force")
	before, _ := os.ReadFile(path)
	opts.Force = true
	if _, err = collect(t, s).Write(t.Context(), opts); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); string(before) != string(after) {
		t.Error("the same files make other bytes")
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"src/net.onnx", network()}, file{"src/MAR-INF/MANIFEST.json", "{}"}, file{"taken/net/x", "x"}, file{"taken/net.mar/x", "x"}, file{"file/net", "x"},
	)
	p := collect(t, archive.Selection{Source: filepath.Join(dir, "src"), Name: "net"})
	itself := collect(t, archive.Selection{Source: filepath.Join(dir, "src")})
	tests := []struct {
		name   string
		parcel *archive.Parcel
		opts   archive.WriteOptions
		want   string
	}{
		{"a directory that is no model", p, archive.WriteOptions{Dir: "taken", Packing: archive.PackNoArchive, Force: true}, "it is no packed model"},
		{"a directory in the place of a file", p, archive.WriteOptions{Dir: "taken", Force: true}, "as a directory"},
		{"a file in the place of a directory", p, archive.WriteOptions{Dir: "file", Packing: archive.PackNoArchive, Force: true}, "not replaced by one"},
		{"what is packed", itself, archive.WriteOptions{Dir: ".", Packing: archive.PackNoArchive, Force: true}, "which is to be packed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.opts.Dir = filepath.Join(dir, test.opts.Dir)
			_, err := test.parcel.Write(t.Context(), test.opts)
			checkError(t, err, fault.Conflict, test.want)
		})
	}
	t.Run("below a file", func(t *testing.T) {
		t.Parallel()
		_, err := p.Write(t.Context(), archive.WriteOptions{Dir: filepath.Join(dir, "file/net/x")})
		checkError(t, err, fault.Unavailable, "not a directory")
	})
	t.Run("canceled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		to := t.TempDir()
		for packing := range archive.Packings() {
			_, err := p.Write(ctx, archive.WriteOptions{Dir: to, Packing: archive.Packing(packing)})
			checkError(t, err, fault.Canceled)
		}
		checkEmpty(t, to)
	})
}

func TestWriteChangedFile(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"net.onnx", network()}, file{"labels.txt", "a"})
	p := collect(t, archive.Selection{Source: dir})
	write(t, dir, file{"labels.txt", "a\nb\n"})
	to := t.TempDir()
	for packing := range archive.Packings() {
		_, err := p.Write(t.Context(), archive.WriteOptions{Dir: to, Packing: archive.Packing(packing)})
		checkError(t, err, fault.BadModel, "labels.txt has changed")
	}
	if err := os.Remove(filepath.Join(dir, "labels.txt")); err != nil {
		t.Fatal(err)
	}
	_, err := p.Write(t.Context(), archive.WriteOptions{Dir: to})
	checkError(t, err, fault.BadModel, "no such file")
	checkEmpty(t, to)
}

// What is packed here is not refused as a bomb there.
func TestWriteBomb(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"net.onnx", network("zeros")}, file{"zeros", strings.Repeat("\x00", 17<<20)})
	p, to := collect(t, archive.Selection{Source: dir, Name: "zeros"}), t.TempDir()
	_, err := p.Write(t.Context(), archive.WriteOptions{Dir: to})
	checkError(t, err, fault.TooLarge, "zip-store")
	checkEmpty(t, to)
	path, err := p.Write(t.Context(), archive.WriteOptions{Dir: to, Packing: archive.PackZipStore})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Inspect(path); err != nil {
		t.Error(err)
	}
}

func TestParsePacking(t *testing.T) {
	t.Parallel()
	if got, err := archive.ParsePacking("tgz"); got != archive.PackTGZ || err != nil {
		t.Errorf("tgz: %v, %v", got, err)
	}
	_, err := archive.ParsePacking("zip")
	checkError(t, err, fault.Invalid, `"zip": want default, zip-store, tgz, no-archive`)
}

// TestArchiver reads archives that TorchServe's torch-model-archiver 0.12.0 has made, and packs what is in them again: the
// same files, and a manifest that differs in who made it and when alone. How they were made:
//
//	torch-model-archiver --model-name neg -v 2.10 --serialized-file neg.onnx --handler base_handler --runtime python3 \
//	  --extra-files index_to_name.json,extra -r requirements.txt -c settings.yaml [--archive-format tgz]
//
// of a network of one Neg, and of extra/vocab/a.txt.
func TestArchiver(t *testing.T) {
	t.Parallel()
	want := archive.Manifest{
		Name: "neg", Version: "2.10", SerializedFile: "neg.onnx", Handler: "base_handler", Labels: "index_to_name.json", Runtime: "python3",
		BatchSize: 4, HandlerConfig: map[string]any{"outputs": []any{"y"}}, Ignored: []string{"requirementsFile"},
	}
	for _, ending := range []string{".mar", ".tar.gz"} {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			theirs, err := open(t, filepath.Join("testdata", "torch-model-archiver-0.12.0"+ending), archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, theirs.Manifest); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			in := func(name string) string { return filepath.Join(filepath.Dir(theirs.Weights()), name) }
			path, err := collect(t, archive.Selection{
				Network: theirs.Weights(), Name: "neg", Version: "2.10", Handler: "base_handler", Runtime: "python3", Requirements: in("requirements.txt"),
				Config: in("settings.yaml"), Extra: []string{in("index_to_name.json"), in("voc*")}, Archiver: "0.12.0",
			}).Write(t.Context(), archive.WriteOptions{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			ours, err := open(t, path, archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(marOf(t, theirs), marOf(t, ours)); diff != "" {
				t.Errorf("MANIFEST.json (-theirs +ours):\n%s", diff)
			}
		})
	}
}

// marOf returns an archive's MANIFEST.json, but for the time.
func marOf(t *testing.T, m *archive.Model) map[string]any {
	t.Helper()
	data, err := fs.ReadFile(m.Files(), "MAR-INF/MANIFEST.json")
	if err != nil {
		t.Fatal(err)
	}
	var mar map[string]any
	if err := json.Unmarshal(data, &mar); err != nil {
		t.Fatal(err)
	}
	if mar["createdOn"] == nil {
		t.Error("no createdOn")
	}
	delete(mar, "createdOn")
	return mar
}
