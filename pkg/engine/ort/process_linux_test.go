//go:build cgo

package ort_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/engine/ort/library"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// childLibrary is the flag with which tests start this binary as a process of its own, for what a process does once.
var childLibrary = flag.String("child.library", "", "the library that TestChild and TestChildMemory start")

// TestChild starts, uses and closes a runtime, twice.
func TestChild(t *testing.T) {
	t.Parallel()
	if *childLibrary == "" {
		return
	}
	for range 2 {
		r, err := ort.Start(t.Context(), ort.Options{Library: *childLibrary})
		if err != nil {
			t.Fatalf("kind=%d %v", fault.Of(err), err)
		}
		s, err := r.Open(t.Context(), network("add"), engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		x := of[float32](t, []int64{1, 3}, 1, 2, 3)
		if _, err := s.Run(t.Context(), tensor.Named{"a": x, "b": x}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := r.Open(t.Context(), network("add"), engine.Options{}); fault.Of(err) != fault.Unavailable {
			t.Errorf("Open of a closed runtime: %v", err)
		}
	}
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:") {
			t.Errorf("socket %s is open", target)
		}
	}
}

// child runs TestChild or TestChildMemory with a library, in an environment of nothing but env, and returns what it says.
func child(t *testing.T, test, path string, env ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+test+"$", "-child.library="+path)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// cc runs the C compiler that built this test's package.
func cc(t *testing.T, args ...string) error {
	t.Helper()
	name, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	command := append(strings.Fields(string(name)), args...)
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// build makes a shared library of C source.
func build(t *testing.T, name, source string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "source.c")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := cc(t, append([]string{"-shared", "-fPIC", "-o", path, file}, args...)...); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartTwiceInALifetime(t *testing.T) {
	t.Parallel()
	path, err := library.Find(t.Context(), library.Options{})
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if out, err := child(t, "TestChild", path, "HOME="+home); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// A runtime that sends telemetry writes the number of the device there first.
	err = filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != home {
			t.Errorf("the runtime left %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// spy is a library that looks at the switch when it is loaded, when it is entered, and when its interface is taken.
const spy = `
#include <stdio.h>
#include <stdlib.h>
static void look(const char *when) {
  const char *off = getenv("ORT_DISABLE_TELEMETRY");
  FILE *f = fopen(getenv("SPY"), "a");
  fprintf(f, "%s=%s\n", when, off == NULL ? "unset" : off);
  fclose(f);
}
static const void *api(unsigned version) { (void)version; look("interface"); return NULL; }
static const char *version(void) { return "1.99.0"; }
static struct { const void *(*api)(unsigned); const char *(*version)(void); } base = {api, version};
__attribute__((constructor)) static void loaded(void) { look("load"); }
void *OrtGetApiBase(void) { look("entry"); return &base; }
`

// TestTelemetryIsOffBeforeTheLibraryOpens has a library tell what it sees. The user's own setting does not turn it on.
func TestTelemetryIsOffBeforeTheLibraryOpens(t *testing.T) {
	t.Parallel()
	path := build(t, "libonnxruntime.so", spy)
	for _, set := range []string{"NOTHING=", "ORT_DISABLE_TELEMETRY=0"} {
		report := filepath.Join(t.TempDir(), "report")
		out, err := child(t, "TestChild", path, "SPY="+report, set)
		if err == nil || !strings.Contains(out, "lacks interface 24") {
			t.Errorf("the spy was started: %v: %s", err, out)
		}
		got, err := os.ReadFile(report)
		if want := "load=1\nentry=1\ninterface=1\n"; err != nil || string(got) != want {
			t.Errorf("with %s the spy saw %q, %v, want %q", set, got, err, want)
		}
	}
}

func TestStartExplains(t *testing.T) {
	t.Parallel()
	versions := filepath.Join(t.TempDir(), "versions")
	if err := os.WriteFile(versions, []byte("GLIBCXX_3.4.99 { new_thing; };"), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := build(t, "libstdc++.so.6", "void new_thing(void) {}", "-Wl,-soname,libstdc++.so.6", "-Wl,--version-script="+versions)
	old := "static const char *version(void) { return \"1.23.2\"; }\n" +
		"static struct { void *api; const char *(*version)(void); } base = {0, version};\nvoid *OrtGetApiBase(void) { return &base; }"
	oldVersions := filepath.Join(t.TempDir(), "versions")
	if err := os.WriteFile(oldVersions, []byte("VERS_1.22.1 { OrtGetApiBase; };"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, says string }{
		{"libstdc++", build(t, "a.so", "void new_thing(void); void *OrtGetApiBase(void) { new_thing(); return 0; }", newer), "it needs GLIBCXX_3.4.99, which the libstdc++.so.6 found on this machine lacks: update it"},
		{"symbol", build(t, "b.so", "void nowhere(void); void *OrtGetApiBase(void) { nowhere(); return 0; }"), "it needs the symbol nowhere"},
		{"another library", build(t, "c.so", "int x;"), "OrtGetApiBase"},
		{"too old", build(t, "d.so", old), "version 1.23.2 is too old, this program needs 1.24 or newer"},
		{"too old, seen without opening it", build(t, "e.so", old, "-Wl,--version-script="+oldVersions), "version 1.22.1 is too old"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, err := child(t, "TestChild", test.path)
			if err == nil || !strings.Contains(out, test.says) || !strings.Contains(out, "kind="+strconv.Itoa(int(fault.Unsupported))) {
				t.Errorf("Start: %s, want %q and %v", out, test.says, fault.Unsupported)
			}
		})
	}
}

// TestTable compares the functions that the shim calls with the header of the binding: their places in the library's
// table, their types, and the numbers that the package takes for granted.
func TestTable(t *testing.T) {
	t.Parallel()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var numbers strings.Builder
	for name, number := range ort.Numbers() {
		fmt.Fprintf(&numbers, "_Static_assert(%s == %d, \"%s\");\n", name, number, name)
	}
	check := func(place, result string) error {
		source := "#include \"onnxruntime_c_api.h\"\n#include \"api.h\"\n" +
			"#define CHECK(name, place, result, parameters) \\\n" +
			"  _Static_assert(offsetof(struct OrtApi, name) == (" + place + ") * sizeof(void *), \"place of \" #name); \\\n" +
			"  _Static_assert(__builtin_types_compatible_p(__typeof__(((struct OrtApi *)0)->name), " + result + "), \"type of \" #name);\n" +
			"TSGO_ORT_FUNCTIONS(CHECK)\n" + numbers.String()
		file := filepath.Join(t.TempDir(), "table.c")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		return cc(t, "-fsyntax-only", "-I", strings.TrimSpace(string(module)), "-I", here, file)
	}
	if err := check("place", "ort_##name##_fn"); err != nil {
		t.Errorf("the table differs from the header: %v", err)
	}
	if check("place + 1", "ort_##name##_fn") == nil || check("place", "ort_ReleaseEnv_fn") == nil {
		t.Error("the comparison accepts anything")
	}
}

func TestOpenUnreadable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.onnx")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	r := started(t)
	done := make(chan error)
	go func() { // on a thread that ends with it: root reads what it likes, unless the thread is someone else's to files
		runtime.LockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			done <- err
			return
		}
		_, err := r.Open(t.Context(), engine.Network{Path: path}, engine.Options{})
		done <- err
	}()
	if err := <-done; fault.Of(err) != fault.BadModel || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Open: %v, want %v and %v", err, fault.BadModel, fs.ErrPermission)
	}
}

// resident returns the memory that the process holds, in MB, without what Go's collector has not given back yet.
func resident(tb testing.TB) float64 {
	tb.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		tb.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// loadAndUnload loads 64 MB of weights, runs them once, and closes the session. It returns the memory held before closing.
func loadAndUnload(tb testing.TB, r *ort.Runtime) float64 {
	tb.Helper()
	s, err := r.Open(tb.Context(), network("heavy"), engine.Options{IntraOpThreads: 1})
	if err != nil {
		tb.Fatal(err)
	}
	x, err := tensor.Make(tensor.Float32, []int64{4, 2048})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.Run(tb.Context(), tensor.Named{"x": x}); err != nil {
		tb.Fatal(err)
	}
	loaded := resident(tb)
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return loaded
}

// TestChildMemory loads and unloads until what is not given back would show.
func TestChildMemory(t *testing.T) {
	t.Parallel()
	if *childLibrary == "" {
		return
	}
	r, err := ort.Start(t.Context(), ort.Options{Library: *childLibrary})
	if err != nil {
		t.Fatal(err)
	}
	loadAndUnload(t, r)
	before := resident(t)
	for range 5 {
		if loaded := loadAndUnload(t, r); loaded < before+40 {
			t.Errorf("64 MB of weights took the process from %.0f to %.0f MB", before, loaded)
		}
	}
	if after := resident(t); after > before+20 {
		t.Errorf("the process held %.0f MB, and after loading and unloading %.0f MB", before, after)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	path, err := library.Find(t.Context(), library.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, "TestChildMemory", path); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// BenchmarkLoadUnload tells what is left of the memory after loading and unloading 20 times.
func BenchmarkLoadUnload(b *testing.B) {
	r := started(b)
	loadAndUnload(b, r)
	before, loaded := resident(b), 0.0
	for b.Loop() {
		for range 20 {
			loaded = max(loaded, loadAndUnload(b, r))
		}
	}
	b.ReportMetric(before, "MB-before")
	b.ReportMetric(loaded, "MB-loaded")
	b.ReportMetric(resident(b), "MB-after")
}
