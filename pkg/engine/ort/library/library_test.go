package library_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/fault"
)

// The flags with which TestProvideOnce starts this binary as a second process.
var (
	childCache    = flag.String("child.cache", "", "the cache that TestChild provides into")
	childReleases = flag.String("child.releases", "", "where TestChild finds releases")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// elfFile returns the smallest file that an ELF reader takes for a shared library.
func elfFile(machine elf.Machine) []byte {
	var out bytes.Buffer
	header := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Ehsize: 64}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	_ = binary.Write(&out, binary.LittleEndian, header)
	return out.Bytes()
}

func machOFile(cpu macho.Cpu, version uint32) []byte {
	var out bytes.Buffer
	header := macho.FileHeader{Magic: macho.Magic64, Cpu: cpu, Type: macho.TypeDylib, Ncmd: 1, Cmdsz: 32}
	_ = binary.Write(&out, binary.LittleEndian, header)
	_ = binary.Write(&out, binary.LittleEndian, []uint32{0, 0xd, 32, 24, 0, version, 0, 0, 0})
	return out.Bytes()
}

func peFile(machine uint16) []byte {
	var out bytes.Buffer
	_ = binary.Write(&out, binary.LittleEndian, pe.FileHeader{Machine: machine})
	return append(out.Bytes(), make([]byte, 100)...)
}

const elfName = "libonnxruntime.so.9.9.9"

// thisELF is a library for linux/amd64, which the tests pretend to be.
func thisELF() []byte { return append(elfFile(elf.EM_X86_64), "the library"...) }

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func tarOf(files ...string) []byte {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	t := tar.NewWriter(zipped)
	_ = t.WriteHeader(&tar.Header{Name: "r/lib/" + elfName, Linkname: "x", Typeflag: tar.TypeSymlink})
	for i := 0; i < len(files); i += 2 {
		_ = t.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644})
		_, _ = t.Write([]byte(files[i+1]))
	}
	_ = t.Close()
	_ = zipped.Close()
	return out.Bytes()
}

func zipOf(files ...string) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		w, _ := z.Create(files[i])
		_, _ = w.Write([]byte(files[i+1]))
	}
	_ = z.Close()
	return out.Bytes()
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// releases serves archive as the pinned release and counts what it is asked for.
func releases(t *testing.T, archive []byte) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !strings.HasPrefix(r.URL.Path, "/v"+library.Version+"/archive.") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(archive)
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

// nowhere is the address of a server that is gone.
func nowhere() string {
	s := httptest.NewServer(nil)
	s.Close()
	return s.URL
}

func fake() library.Fake {
	return library.Fake{
		File: elfName, Archive: "archive.tgz", ArchiveSHA256: sumOf(archive()),
		ReleasedSHA256: sumOf(thisELF()), WheelSHA256: sumOf(thisELF()),
	}
}

func archive() []byte {
	return tarOf("r/README", "read me", "r/lib/"+elfName, string(thisELF()))
}

func options(t *testing.T, f library.Fake) library.Options {
	t.Helper()
	return library.With(library.Options{OS: "linux", Arch: "amd64", Cache: t.TempDir(), Releases: nowhere()}, f)
}

// fakePip returns a command that runs script as pip would be run, with $DEST for the directory it is to download to.
func fakePip(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pip")
	text := "#!/bin/sh\nif [ \"$1\" = --version ]; then exit 0; fi\nARGS=\"$*\"\nwhile [ $# -gt 0 ]; do\n" +
		"  if [ \"$1\" = --dest ]; then DEST=\"$2\"; fi\n  shift\ndone\n" + script + "\n"
	return write(t, path, []byte(text))
}

// pipWith returns a command that brings wheel.
func pipWith(t *testing.T, wheel []byte) string {
	t.Helper()
	file := write(t, filepath.Join(t.TempDir(), "w.whl"), wheel)
	return fakePip(t, "cp "+file+" \"$DEST/onnxruntime.whl\"")
}

func wheel() []byte {
	return zipOf("onnxruntime/__init__.py", "", "onnxruntime/capi/"+elfName, string(thisELF()))
}

// files returns the files under dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestFindOrder(t *testing.T) {
	t.Parallel()
	url, _ := releases(t, archive())
	opts := options(t, fake())
	opts.Releases = url
	root := t.TempDir()
	opts.Executable = filepath.Join(root, "bin")
	opts.LoaderPath = []string{"relative", filepath.Join(root, "loader")}
	provided, err := library.Provide(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	order := []string{
		write(t, filepath.Join(root, "bin", "libonnxruntime.so"), thisELF()),
		write(t, filepath.Join(root, "bin", "libonnxruntime.so.1.31.0"), thisELF()),
		write(t, filepath.Join(root, "bin", "libonnxruntime.so.1.4.0"), thisELF()),
		write(t, filepath.Join(root, "lib", "libonnxruntime.so.1"), thisELF()),
		provided,
		write(t, filepath.Join(root, "loader", "libonnxruntime.so"), thisELF()),
	}
	for _, want := range order {
		got, err := library.Find(t.Context(), opts)
		if err != nil || got != want {
			t.Errorf("Find = %q, %v, want %q", got, err, want)
		}
		if err := os.Remove(want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := library.Find(t.Context(), opts); err != nil || got != provided {
		t.Errorf("with nothing there: Find = %q, %v, want it provided", got, err)
	}
}

// A service may have no home: it needs none where the library is there.
func TestFindWithoutACache(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(name, "")
	}
	opts := options(t, fake())
	opts.Cache = ""
	if _, err := library.Find(t.Context(), opts); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "set HOME") {
		t.Errorf("with nothing there: Find = %v, want %v", err, fault.Invalid)
	}
	opts.Executable = t.TempDir()
	want := write(t, filepath.Join(opts.Executable, "libonnxruntime.so"), thisELF())
	if got, err := library.Find(t.Context(), opts); err != nil || got != want {
		t.Errorf("Find = %q, %v, want %q", got, err, want)
	}
}

func TestFindPassesOver(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var log bytes.Buffer
	opts := options(t, fake())
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	opts.Executable = filepath.Join(root, "bin")
	opts.LoaderPath = []string{filepath.Join(root, "loader")}
	bad := write(t, filepath.Join(root, "bin", "libonnxruntime.so"), elfFile(elf.EM_AARCH64))
	want := write(t, filepath.Join(root, "loader", "libonnxruntime.so"), thisELF())
	got, err := library.Find(t.Context(), opts)
	if err != nil || got != want {
		t.Errorf("Find = %q, %v, want %q", got, err, want)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), bad) {
		t.Errorf("log %q, want a warning that names %s", log.String(), bad)
	}
}

func TestFindExplicit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good", "libonnxruntime.so.1.30.0"), thisELF())
	for _, test := range []struct {
		name, path, want string
		kind             fault.Kind
		says             string
	}{
		{name: "file", path: good, want: good},
		{name: "directory", path: filepath.Dir(good), want: good},
		{name: "missing", path: filepath.Join(dir, "no"), kind: fault.NotFound, says: "no"},
		{name: "empty directory", path: t.TempDir(), kind: fault.NotFound, says: "libonnxruntime.so"},
		{name: "text", path: write(t, filepath.Join(dir, "text"), []byte("hello")), kind: fault.Invalid, says: "no shared library for linux"},
		{name: "empty", path: write(t, filepath.Join(dir, "empty"), nil), kind: fault.Invalid, says: "no shared library"},
		{
			name: "another processor", path: write(t, filepath.Join(dir, "arm"), elfFile(elf.EM_AARCH64)), kind: fault.Unsupported,
			says: "it is for arm64, this machine is amd64",
		},
		{
			name: "a processor without a name here", path: write(t, filepath.Join(dir, "s390"), elfFile(elf.EM_S390)), kind: fault.Unsupported,
			says: "it is for s390",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opts := options(t, fake())
			opts.Explicit = test.path
			got, err := library.Find(t.Context(), opts)
			if got != test.want || test.want == "" && (fault.Of(err) != test.kind || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("Find = %q, %v, want %q, %v, %q", got, err, test.want, test.kind, test.says)
			}
		})
	}
}

func TestCheckFormats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, goos, arch string
		content          []byte
		says             string // empty: it is fine
	}{
		{"mach-o", "darwin", "arm64", machOFile(macho.CpuArm64, 1<<16|28<<8), ""},
		{"mach-o, old", "darwin", "arm64", machOFile(macho.CpuArm64, 1<<16|23<<8|2), "version 1.23.2 is too old"},
		{"mach-o, version unsaid", "darwin", "arm64", machOFile(macho.CpuArm64, 0), ""},
		{"mach-o, intel", "darwin", "arm64", machOFile(macho.CpuAmd64, 0), "it is for amd64"},
		{"pe", "windows", "amd64", peFile(pe.IMAGE_FILE_MACHINE_AMD64), ""},
		{"pe, arm", "windows", "amd64", peFile(pe.IMAGE_FILE_MACHINE_ARM64), "it is for arm64"},
		{"elf on windows", "windows", "amd64", thisELF(), "no shared library for windows"},
		{"elf on macOS", "darwin", "arm64", thisELF(), "no shared library for darwin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, filepath.Join(t.TempDir(), "lib"), test.content)
			err := library.CheckFor(path, test.goos, test.arch)
			if (err == nil) != (test.says == "") || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Check = %v, want %q", err, test.says)
			}
		})
	}
	if err := library.Check(t.TempDir()); fault.Of(err) != fault.Invalid {
		t.Errorf("a directory: %v, want %v", err, fault.Invalid)
	}
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for version, fine := range map[string]bool{"": true, "1.24": true, "1.24.1": true, "1.100.0": true, "2.0.0": true, "1.23.9": false, "0.30": false} {
		err := library.CheckVersion("lib.so", version)
		if (err == nil) != fine || err != nil && fault.Of(err) != fault.Unsupported {
			t.Errorf("CheckVersion(%q) = %v, want fine: %v", version, err, fine)
		}
	}
}

func TestProvideFromRelease(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		file    string
		archive []byte
		suffix  string
	}{
		{"tgz", elfName, archive(), ".tgz"},
		{"tgz with the plain name", "libonnxruntime.9.9.9.dylib", tarOf("r/lib/libonnxruntime.dylib", string(thisELF())), ".tgz"},
		{"zip", "onnxruntime.dll", zipOf("r/lib/onnxruntime.pdb", "x", "r/lib/onnxruntime.dll", string(thisELF())), ".zip"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url, requests := releases(t, test.archive)
			f := fake()
			f.File, f.Archive, f.ArchiveSHA256 = test.file, "archive"+test.suffix, sumOf(test.archive)
			opts := options(t, f)
			opts.Releases = url
			var last, total int64
			opts.Progress = func(done, n int64) { last, total = done, n }
			for range 2 {
				path, err := library.Provide(t.Context(), opts)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, thisELF()) {
					t.Errorf("%s holds %q, %v", path, got, err)
				}
			}
			if size := int64(len(test.archive)); requests.Load() != 1 || last != size || total != size {
				t.Errorf("%d requests, progress %d of %d; want 1, %d of as many", requests.Load(), last, total, size)
			}
			if got := files(t, opts.Cache); !slices.Equal(got, slices.Sorted(slices.Values([]string{test.file, "verified.json"}))) {
				t.Errorf("the cache holds %v", got)
			}
		})
	}
}

func TestProvideAnewWhatChanged(t *testing.T) {
	t.Parallel()
	url, requests := releases(t, archive())
	opts := options(t, fake())
	opts.Releases = url
	path, err := library.Find(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range []func() error{
		func() error { return os.WriteFile(path, []byte("no"), 0o600) },
		func() error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) },
		func() error { return os.Remove(path) },
		func() error { return errors.Join(os.Rename(path, path+"1"), os.Symlink(path+"1", path)) },
		func() error {
			return os.WriteFile(filepath.Join(filepath.Dir(path), "verified.json"), []byte("{"), 0o600)
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := library.Find(t.Context(), opts); err != nil || requests.Load() != int32(i+2) {
			t.Errorf("change %d: %v, after %d requests", i, err, requests.Load())
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, thisELF()) {
			t.Errorf("change %d: the library is %q, %v", i, got, err)
		}
	}
}

func TestProvideFromPip(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		archive []byte // nil: there are no releases
		change  func(*library.Fake)
	}{
		{name: "no releases"},
		{name: "another archive", archive: tarOf("r/lib/"+elfName, "wrong")},
		{name: "another library in the archive", archive: archive(), change: func(f *library.Fake) { f.ReleasedSHA256 = sumOf(nil) }},
		{name: "no library in the archive", archive: tarOf("r/x", ""), change: func(f *library.Fake) { f.ArchiveSHA256 = sumOf(tarOf("r/x", "")) }},
		{name: "no archive at all", archive: []byte("x"), change: func(f *library.Fake) { f.ArchiveSHA256 = sumOf([]byte("x")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := fake()
			if test.change != nil {
				test.change(&f)
			}
			f.Pips = []string{"no-such-command -m pip", pipWith(t, wheel())}
			opts := options(t, f)
			if test.archive != nil {
				opts.Releases, _ = releases(t, test.archive)
			}
			path, err := library.Find(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, thisELF()) {
				t.Errorf("%s holds %q, %v", path, got, err)
			}
			if got := files(t, opts.Cache); !slices.Equal(got, []string{elfName, "verified.json"}) {
				t.Errorf("the cache holds %v", got)
			}
		})
	}
}

func TestProvideAsksPipForTheWheel(t *testing.T) {
	t.Parallel()
	f := fake()
	seen := filepath.Join(t.TempDir(), "args")
	f.Pips = []string{fakePip(t, "echo \"$ARGS\" > "+seen+"; echo \"$TMPDIR\" >> "+seen+"; dd if=/dev/zero of=\"$DEST/x\" bs=700 count=1; sleep 0.3; exit 1")}
	opts := options(t, f)
	var mu sync.Mutex
	var sizes []int64
	opts.Progress = func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if total == 1000 && !slices.Contains(sizes, done) {
			sizes = append(sizes, done)
		}
	}
	if _, err := library.Find(t.Context(), opts); fault.Of(err) != fault.Download {
		t.Errorf("Find: %v, want %v", err, fault.Download)
	}
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	args, tmp, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	for _, want := range []string{
		"download onnxruntime==" + library.Version, "--no-deps", "--only-binary=:all:", "--implementation cp",
		"--python-version 3.12", "--abi cp312", "--platform one --platform two", "--no-cache-dir",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("pip was called with %q, want %q", args, want)
		}
	}
	if !strings.HasPrefix(tmp, opts.Cache) {
		t.Errorf("pip's temporary files go to %q, want the cache", tmp)
	}
	if !slices.Contains(sizes, 700) {
		t.Errorf("progress told %v, want 700 of 1000 in it", sizes)
	}
}

func TestProvideFails(t *testing.T) {
	t.Parallel()
	offline := []string{
		"--onnxruntime or TSGO_ONNXRUNTIME", "beside the executable", "connect this machine once",
	}
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hang.Close)
	served, _ := releases(t, archive())
	for _, test := range []struct {
		name     string
		releases string
		change   func(*testing.T, *library.Fake)
		kind     fault.Kind
		says     []string
	}{
		{"offline", nowhere(), func(t *testing.T, f *library.Fake) {
			t.Helper()
			f.Pips = []string{fakePip(t, "echo some noise; echo 'ERROR: no route to host' >&2; exit 1")}
		}, fault.Download, append(offline, "ERROR: no route to host", "connection refused")},
		{"no answer and no pip", hang.URL, func(_ *testing.T, f *library.Fake) { f.Pips = []string{"no-such-command"} }, fault.Download, append(offline, "no answer in time", "no pip (tried no-such-command)")},
		{"another wheel", nowhere(), func(t *testing.T, f *library.Fake) {
			t.Helper()
			f.Pips = []string{pipWith(t, zipOf("onnxruntime/capi/"+elfName, "no"))}
		}, fault.Download, []string{"sha256 is " + sumOf([]byte("no"))}},
		{"a wheel without library", nowhere(), func(t *testing.T, f *library.Fake) {
			t.Helper()
			f.Pips = []string{pipWith(t, zipOf("x", ""))}
		}, fault.Download, []string{"holds no " + elfName}},
		{"a wheel that is none", nowhere(), func(t *testing.T, f *library.Fake) {
			t.Helper()
			f.Pips = []string{pipWith(t, []byte("x"))}
		}, fault.Download, []string{"not a valid zip file"}},
		{"no wheel", nowhere(), func(t *testing.T, f *library.Fake) {
			t.Helper()
			f.Pips = []string{fakePip(t, "exit 0")}
		}, fault.Download, []string{"brought 0 wheels"}},
		{"full disk", served, func(_ *testing.T, f *library.Fake) { f.FullDisk = true }, fault.Download, []string{"no space left on device", elfName, "free 100 MB"}},
		{"full disk in pip", nowhere(), func(t *testing.T, f *library.Fake) {
			t.Helper()
			f.Pips = []string{fakePip(t, "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device'; exit 1")}
		}, fault.Download, []string{"no space left on device", "free 100 MB"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := fake()
			test.change(t, &f)
			opts := options(t, f)
			opts.Releases = test.releases
			_, err := library.Find(t.Context(), opts)
			if fault.Of(err) != test.kind {
				t.Fatalf("Find: %v, want %v", err, test.kind)
			}
			for _, says := range test.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("Find: %v, want %q in it", err, says)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Find: %q, want one line", err)
			}
			if left := files(t, opts.Cache); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestProvideInterrupted(t *testing.T) {
	t.Parallel()
	f := fake()
	ready := filepath.Join(t.TempDir(), "ready")
	if err := exec.Command("mkfifo", ready).Run(); err != nil {
		t.Fatal(err)
	}
	f.Pips = []string{fakePip(t, "echo x > \"$DEST/half\"; echo > "+ready+"; exec sleep 60")}
	opts := options(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = os.ReadFile(ready) // ends when pip has begun
		cancel()
	}()
	if _, err := library.Find(ctx, opts); fault.Of(err) != fault.Canceled {
		t.Errorf("Find: %v, want %v", err, fault.Canceled)
	}
	if left := files(t, opts.Cache); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestProvideClearsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	opts := options(t, fake())
	opts.Releases, _ = releases(t, archive())
	path, err := library.Provide(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(path), ".new-123", "half"), []byte("half"))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := library.Provide(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	if got := files(t, opts.Cache); !slices.Equal(got, []string{elfName, "verified.json"}) {
		t.Errorf("the cache holds %v", got)
	}
}

// TestChild is what TestProvideOnce runs in other processes.
func TestChild(t *testing.T) {
	t.Parallel()
	if *childCache == "" {
		return
	}
	opts := options(t, fake())
	opts.Cache, opts.Releases = *childCache, *childReleases
	if _, err := library.Find(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
}

func TestProvideOnce(t *testing.T) {
	t.Parallel()
	url, requests := releases(t, archive())
	opts := options(t, fake())
	opts.Releases = url
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := library.Find(t.Context(), opts); err != nil {
				t.Error(err)
			}
		})
	}
	for range 3 {
		all.Go(func() {
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$", "-child.cache="+opts.Cache, "-child.releases="+url)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestProvideNotForEveryPlatform(t *testing.T) {
	t.Parallel()
	_, err := library.Provide(t.Context(), library.Options{OS: "plan9", Arch: "mips", Cache: t.TempDir()})
	if fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), "plan9/mips") {
		t.Errorf("Provide: %v, want %v", err, fault.Unsupported)
	}
}

func TestPinsAreWhole(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, platform := range [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		sums := library.Pins(platform[0], platform[1])
		if len(sums) != 3 {
			t.Errorf("%v has no pin", platform)
		}
		for _, sum := range sums {
			if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size || seen[sum] {
				t.Errorf("%v: hash %q", platform, sum)
			}
			seen[sum] = true
		}
	}
}

// TestFindForThisMachine provides the real library, as for any user, and keeps it in the user's cache.
func TestFindForThisMachine(t *testing.T) {
	t.Parallel()
	path, err := library.Provide(t.Context(), library.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	if err := library.Check(path); err != nil {
		t.Errorf("Check: %v", err)
	}
	found, err := library.Find(t.Context(), library.Options{Explicit: filepath.Dir(path)})
	if diff := cmp.Diff(path, found); err != nil || diff != "" {
		t.Errorf("Find: %v, %s", err, diff)
	}
}

func TestProvideIntoACacheThatCannotBe(t *testing.T) {
	t.Parallel()
	opts := options(t, fake())
	opts.Cache = filepath.Join(opts.Cache, "file")
	if err := os.WriteFile(opts.Cache, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := library.Provide(t.Context(), opts)
	if want := "make " + opts.Cache + " a directory that can be written to"; fault.Of(err) != fault.Download || !strings.Contains(err.Error(), want) {
		t.Errorf("Provide = %v, want %q", err, want)
	}
	if n := strings.Count(err.Error(), fault.Download.Error()); n != 1 {
		t.Errorf("Provide = %v, which says %d times that it cannot be fetched", err, n)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, message, want string }{
		{"libstdc++", "/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /x.so)", "it needs GLIBCXX_3.4.30, which the libstdc++.so.6 found on this machine lacks"},
		{"libstdc++'s ABI", "version `CXXABI_1.3.13' not found", "it needs CXXABI_1.3.13"},
		{"libc", "/lib/libc.so.6: version `GLIBC_2.34' not found", "it needs GLIBC_2.34, which this system's C library is too old for"},
		{"no libstdc++", "libstdc++.so.6: cannot open shared object file: No such file or directory", "it needs libstdc++.so.6, which is not on this machine: install it (package libstdc++6"},
		{"musl", "ld-linux-x86-64.so.2: cannot open shared object file", "Alpine"},
		{"symbol", "x.so: undefined symbol: _ZTI7Nothing", "_ZTI7Nothing"},
		{"symbol of a version", "x.so: undefined symbol: _ZTI7Nothing, version CXXABI_1.3", "it needs CXXABI_1.3, which the libstdc++.so.6"},
		{"symbol without a version", "x.so: undefined symbol: _ZTI7Nothing, or so", "it needs the symbol _ZTI7Nothing, which"},
		{"another library", "/x.so: undefined symbol: OrtGetApiBase", "it is another library"},
		{"else", "something else", "cannot be opened: not supported: something else"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := library.Explain("/x.so", test.message)
			if fault.Of(err) != fault.Unsupported || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "/x.so") {
				t.Errorf("Explain = %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(thisELF())
	f.Add(machOFile(macho.CpuArm64, 1))
	f.Add(peFile(pe.IMAGE_FILE_MACHINE_AMD64))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "lib")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, goos := range []string{"linux", "darwin", "windows"} {
			if err := library.CheckFor(path, goos, "amd64"); err != nil && fault.Of(err) == fault.Internal {
				t.Errorf("Check on %s: %v", goos, err)
			}
		}
	})
}
