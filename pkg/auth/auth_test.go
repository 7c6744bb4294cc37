package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/auth"
	"github.com/tsgo/tsgo/pkg/fault"
)

// file is a key file as TorchServe's clients read it.
type file map[string]map[string]string

func read(t *testing.T, path string) file {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newKeys(t *testing.T) (*auth.Keys, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))}
	k, err := auth.New(auth.Options{Path: filepath.Join(t.TempDir(), "keys.json"), Life: 10 * time.Minute, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func bearer(key string) []string { return []string{"Bearer " + key} }

// TestFile looks at the key file: TorchServe's layout to the byte, keys of 256 bits, and nobody else may read it.
func TestFile(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t)
	text, err := os.ReadFile(k.Path())
	if err != nil {
		t.Fatal(err)
	}
	masked := regexp.MustCompile(`"key": "[\w-]{43}"`).ReplaceAllString(string(text), `"key": "K"`)
	want := `{
  "management": {
    "key": "K",
    "expiration time": "2026-03-04T04:16:07Z"
  },
  "inference": {
    "key": "K",
    "expiration time": "2026-03-04T04:16:07Z"
  },
  "API": {
    "key": "K"
  }
}`
	if diff := cmp.Diff(want, masked); diff != "" {
		t.Errorf("key file (-want +got):\n%s", diff)
	}
	seen := map[string]bool{}
	for _, entry := range read(t, k.Path()) {
		bits, err := base64.RawURLEncoding.DecodeString(entry["key"])
		if err != nil || len(bits) != 32 || seen[entry["key"]] {
			t.Errorf("key of %d bytes, %v, seen before: %t", len(bits), err, seen[entry["key"]])
		}
		seen[entry["key"]] = true
	}
	info, err := os.Stat(k.Path())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

// TestReplace writes over what others could read, and over a link: neither is written to.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, other := filepath.Join(dir, "keys.json"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Skipf("no links here: %v", err)
	}
	k, err := auth.New(auth.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want a regular file of 0600", info.Mode(), err)
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "untouched" {
		t.Errorf("the file behind the link: %q, %v", text, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d files, %v, want 2: nothing half written stays", len(entries), err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v, want no key file", err)
	}
	if err := k.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

// TestCloseLeaves closes keys whose file another server has taken over.
func TestCloseLeaves(t *testing.T) {
	t.Parallel()
	first, _ := newKeys(t)
	second, err := auth.New(auth.Options{Path: first.Path()})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Check(auth.API, bearer(read(t, first.Path())["API"]["key"])); err != nil {
		t.Errorf("the file of the second: %v", err)
	}
}

func TestUnwritable(t *testing.T) {
	t.Parallel()
	_, err := auth.New(auth.Options{Path: filepath.Join(t.TempDir(), "none", "keys.json")})
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v, want fault.Invalid and the path", err)
	}
	k, _ := newKeys(t)
	before := read(t, k.Path())
	if err := os.RemoveAll(filepath.Dir(k.Path())); err != nil {
		t.Fatal(err)
	}
	if err := k.Refresh(auth.Inference); fault.Of(err) != fault.Unavailable {
		t.Errorf("refresh: %v, want fault.Unavailable", err)
	}
	if err := k.Check(auth.Inference, bearer(before["inference"]["key"])); err != nil {
		t.Errorf("the key that could not be replaced: %v, want it to hold on", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t)
	keys := read(t, k.Path())
	inference, management, api := keys["inference"]["key"], keys["management"]["key"], keys["API"]["key"]
	for _, test := range []struct {
		name   string
		scope  auth.Scope
		given  []string
		reason string // "": let in
	}{
		{"inference", auth.Inference, bearer(inference), ""},
		{"management", auth.Management, bearer(management), ""},
		{"API", auth.API, bearer(api), ""},
		{"scheme in small letters", auth.Inference, []string{"bearer " + inference}, ""},
		{"spaces around", auth.Inference, []string{" Bearer   " + inference + " "}, ""},

		{"none", auth.Inference, nil, "no key was given"},
		{"empty", auth.Inference, []string{""}, "want Bearer and the key"},
		{"scheme alone", auth.Inference, []string{"Bearer "}, "want Bearer and the key"},
		{"key alone", auth.Inference, []string{inference}, "want Bearer and the key"},
		{"another scheme", auth.Inference, []string{"Basic " + inference}, "want Bearer and the key"},
		{"more behind", auth.Inference, bearer(inference + " x"), "want Bearer and the key"},
		{"twice", auth.Inference, append(bearer(inference), bearer(inference)...), "more than one"},
		{"wrong", auth.Inference, bearer("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "wrong"},
		{"a part", auth.Inference, bearer(inference[:42]), "wrong"},
		{"more", auth.Inference, bearer(inference + "A"), "wrong"},
		{"another case", auth.Inference, bearer(strings.ToLower(inference)), "wrong"},
		{"of management", auth.Inference, bearer(management), "the management key was given, and the inference key is wanted"},
		{"of inference", auth.Management, bearer(inference), "the inference key was given, and the management key is wanted"},
		{"API for inference", auth.Inference, bearer(api), "the API key was given"},
		{"API for management", auth.Management, bearer(api), "the API key was given"},
		{"management for API", auth.API, bearer(management), "the API key is wanted"},
		{"very long", auth.Inference, bearer(strings.Repeat("x", 1<<20)), "wrong"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := k.Check(test.scope, test.given)
			if test.reason == "" {
				if err != nil {
					t.Errorf("got %v, want to be let in", err)
				}
				return
			}
			if fault.Of(err) != fault.Unauthorized || !strings.Contains(err.Error(), test.reason) {
				t.Fatalf("got %v, want fault.Unauthorized: %s", err, test.reason)
			}
			for _, secret := range []string{inference, management, api, strings.Repeat("x", 100), "AAAA"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q has a key in it", err)
				}
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	k, c := newKeys(t)
	keys := read(t, k.Path())
	c.add(10*time.Minute - 1)
	if err := k.Check(auth.Inference, bearer(keys["inference"]["key"])); err != nil {
		t.Errorf("just before: %v", err)
	}
	c.add(1)
	for _, scope := range []auth.Scope{auth.Inference, auth.Management} {
		if err := k.Check(scope, bearer(keys[string(scope)]["key"])); fault.Of(err) != fault.Unauthorized || !strings.Contains(err.Error(), "expired at 2026-03-04T04:16:07Z") {
			t.Errorf("%s: %v, want it expired", scope, err)
		}
	}
	c.add(1000 * time.Hour)
	if err := k.Check(auth.API, bearer(keys["API"]["key"])); err != nil {
		t.Errorf("API: %v, want it to hold for ever", err)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	k, c := newKeys(t)
	before := read(t, k.Path())
	c.add(time.Hour)
	if err := k.Refresh(auth.Inference); err != nil {
		t.Fatal(err)
	}
	after := read(t, k.Path())
	if err := k.Check(auth.Inference, bearer(after["inference"]["key"])); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if err := k.Check(auth.Inference, bearer(before["inference"]["key"])); fault.Of(err) != fault.Unauthorized {
		t.Errorf("the old key: %v, want fault.Unauthorized", err)
	}
	want := file{"management": before["management"], "API": before["API"], "inference": {
		"key": after["inference"]["key"], "expiration time": "2026-03-04T05:16:07Z",
	}}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("after the refresh (-want +got):\n%s", diff)
	}
	if err := k.Refresh(auth.Management); err != nil || read(t, k.Path())["management"]["key"] == before["management"]["key"] {
		t.Errorf("management: %v, or the same key", err)
	}
	for _, scope := range []auth.Scope{auth.API, "", "INFERENCE", "x"} {
		if err := k.Refresh(scope); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "want management or inference") {
			t.Errorf("%q: %v, want fault.Invalid", scope, err)
		}
	}
}

// TestTogether refreshes and checks at once: a key that is in the file holds, and the file is always whole.
func TestTogether(t *testing.T) {
	t.Parallel()
	k, _ := newKeys(t)
	api := read(t, k.Path())["API"]["key"]
	var group sync.WaitGroup
	for _, scope := range []auth.Scope{auth.Inference, auth.Management} {
		group.Go(func() {
			for range 20 {
				if err := k.Refresh(scope); err != nil {
					t.Error(err)
				}
				if err := k.Check(scope, bearer(read(t, k.Path())[string(scope)]["key"])); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range 200 {
				if err := k.Check(auth.API, bearer(api)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func FuzzCheck(f *testing.F) {
	k, err := auth.New(auth.Options{Path: filepath.Join(f.TempDir(), "keys.json")})
	if err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(k.Path())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "Bearer", "Bearer x", "bearer\tx", "Bearer \x00", "Basic eDp5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		for _, scope := range []auth.Scope{auth.Inference, auth.Management, auth.API} {
			if err := k.Check(scope, []string{given}); fault.Of(err) != fault.Unauthorized {
				t.Errorf("%q opens %s: %v\n%s", given, scope, err, text)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	k, err := auth.New(auth.Options{Path: filepath.Join(b.TempDir(), "keys.json")})
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(k.Path())
	if err != nil {
		b.Fatal(err)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		b.Fatal(err)
	}
	given := bearer(f["inference"]["key"])
	b.ReportAllocs()
	for b.Loop() {
		if err := k.Check(auth.Inference, given); err != nil {
			b.Fatal(err)
		}
	}
}
