package config_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
)

// taken is when the snapshots of the tests are made.
func taken() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// snapshotOf writes a snapshot of what was read.
func snapshotOf(tb testing.TB, c *config.Config, served ...server.Kept) []byte {
	tb.Helper()
	text, err := c.Snapshot("1.2.3")("20260102030405000-snapshot.cfg", taken(), served)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// restored reads a snapshot.
func restored(tb testing.TB, text []byte, base *config.File, env map[string]string) (*config.Config, error) {
	tb.Helper()
	file, err := config.Parse("s.cfg", text)
	if err != nil {
		return nil, err
	}
	s := sources(nil, env)
	s.File, s.Base = file, base
	c, err := config.Read(s)
	return c, errors.Join(err, c.Damaged())
}

// served are versions that use every field.
func served() []server.Kept {
	return []server.Kept{
		{
			Ref: model.Ref{Name: "a \"b\"=ü𝄞", Version: "1.0"}, Archive: "sub/a b.mar", URL: `a\b`, Handler: "image_classifier", Runtime: "LSP",
			Workers: &model.Scale{Min: 0, Max: 3}, BatchSize: 8, MaxBatchDelay: 50 * time.Millisecond, ResponseTimeout: 7 * time.Second,
			StartupTimeout: 9 * time.Second, AtStartup: true,
		},
		{Ref: model.Ref{Name: "a \"b\"=ü𝄞", Version: "2.0"}, Default: true, Archive: "b.onnx", Runtime: "python", Workers: &model.Scale{Min: 2, Max: 2}},
		{Ref: model.Ref{Name: "c", Version: "1"}, Default: true, Archive: filepath.Join(os.TempDir(), "outside", "c"), Workers: &model.Scale{}},
	}
}

// TestSnapshotRoundTrip writes each setting and each field of a model, and reads the same of it.
func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	left := []string{"load_models", "model_snapshot", "tsConfigFile", "version", "keystore_pass", "model_store"} // see the other tests
	all := effects()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(left, key) {
			fmt.Fprintf(&text, "%s=%s\n", key, all[key].value)
		}
	}
	text.WriteString("config_snapshots=true\nport_offset=1\nthreads=2\ndrain=3\nkey_file=\\u0000a b\\u00FC\\t\\uD834\\uDD1E\ntoken_failure_status=400\nclient_ca_file= \n")
	c, err := fromFile(t, text.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := restored(t, snapshotOf(t, c, served()...), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(served(), got.Server.Restore); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	c.Server.Restore = got.Server.Restore
	equal(t, "settings", c.Server, got.Server)
	if !got.Snapshots {
		t.Error("a server that goes on with a snapshot writes none")
	}
	for key, e := range all {
		if e.state == config.Nothing && value(t, got, key).Given() {
			t.Errorf("%s is kept, and means nothing", key)
		}
	}
	if again := snapshotOf(t, got, served()...); string(again) != string(snapshotOf(t, got, got.Server.Restore...)) {
		t.Error("a snapshot of what was restored is another one")
	}
}

// TestSnapshotFile reads the file of a snapshot as a person does.
func TestSnapshotFile(t *testing.T) {
	t.Parallel()
	c, err := config.Read(sources(map[string]string{"job-queue-size": "7", "models": "a"}, map[string]string{"TSGO_DRAIN": "5"}))
	if err != nil {
		t.Fatal(err)
	}
	const want = "#Fri Jan  2 03:04:05 UTC 2026\nversion=1.2.3\njob_queue_size=7\ndrain=5\n" +
		`model_snapshot={\n  "name"\: "20260102030405000-snapshot.cfg",\n  "modelCount"\: 1,\n  "created"\: 1767323045000,\n  "models"\: {\n    "m"\: {\n      "1.0"\: {\n` +
		`        "defaultVersion"\: true,\n        "marName"\: "m.mar",\n        "minWorkers"\: 1,\n        "maxWorkers"\: 2,\n        "batchSize"\: 4,\n` +
		`        "maxBatchDelay"\: 100,\n        "responseTimeout"\: 1,\n        "startupTimeout"\: 120,\n        "runtimeType"\: "python",\n        "deviceType"\: "cpu",\n` +
		`        "loadedAtStartup"\: false\n      }\n    }\n  }\n}` + "\n"
	got := snapshotOf(t, c, server.Kept{
		Ref: model.Ref{Name: "m", Version: "1.0"}, Default: true, Archive: "m.mar", Workers: &model.Scale{Min: 1, Max: 2}, BatchSize: 4,
		MaxBatchDelay: 100 * time.Millisecond, ResponseTimeout: time.Nanosecond, StartupTimeout: 2 * time.Minute,
	})
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
}

// ofTorchServe is a snapshot as TorchServe writes it.
const ofTorchServe = `#Saving snapshot
#Wed Jan 01 00:00:00 UTC 2020
inference_address=http\://127.0.0.1\:8085
version=0.12.0
load_models=ALL
tsConfigFile=/home/model-server/config.properties
python=/usr/bin/python3
number_of_gpu=0
model_store=/home/model-server/model-store
job_queue_size=7
model_snapshot={\n  "name"\: "20200101000000000-startup.cfg",\n  "modelCount"\: 2,\n  "created"\: 1577836800000,\n  "models"\: {\n \
    "b"\: {"2.0"\: {"defaultVersion"\: true, "marName"\: "b2.mar", "minWorkers"\: 1, "maxWorkers"\: 2, "batchSize"\: 1, "maxBatchDelay"\: 100,\
             "responseTimeout"\: 120, "startupTimeout"\: 120, "runtimeType"\: "python", "parallelLevel"\: 2}, \
           "1.0"\: {"defaultVersion"\: false, "marName"\: "b1.mar", "minWorkers"\: -1, "maxWorkers"\: "0", "batchSize"\: 0}},\n "a"\: {"1.0"\: {"marName"\: "a.mar", "fresh"\: [1]}}}}
`

// TestSnapshotOfTorchServe serves the models of a snapshot of TorchServe's, and not those of load_models.
func TestSnapshotOfTorchServe(t *testing.T) {
	t.Parallel()
	c, err := restored(t, []byte(ofTorchServe), nil, map[string]string{"TSGO_MODELS": "mnist"})
	if err != nil {
		t.Fatal(err)
	}
	want := []server.Kept{
		{Ref: model.Ref{Name: "a", Version: "1.0"}, Archive: "a.mar", AtStartup: true},
		{Ref: model.Ref{Name: "b", Version: "1.0"}, Archive: "b1.mar", Workers: &model.Scale{}, AtStartup: true},
		{
			Ref: model.Ref{Name: "b", Version: "2.0"}, Default: true, Archive: "b2.mar", Workers: &model.Scale{Min: 1, Max: 2}, BatchSize: 1,
			MaxBatchDelay: 100 * time.Millisecond, ResponseTimeout: 2 * time.Minute, StartupTimeout: 2 * time.Minute, AtStartup: true,
		},
	}
	if diff := cmp.Diff(want, c.Server.Restore); diff != "" || c.Server.All || len(c.Server.Models) > 0 {
		t.Errorf("all %v, %v, models (-want +got):\n%s", c.Server.All, c.Server.Models, diff)
	}
	if c.Server.Inference != "127.0.0.1:8085" || c.Server.Queue != 7 || c.Store.Path != "/home/model-server/model-store" {
		t.Errorf("settings %+v, %+v", c.Server, c.Store)
	}
	notes := []string{
		"fresh, parallelLevel of models in model_snapshot does not count",
		"TSGO_MODELS does not count: model_snapshot of s.cfg:11 says what is served",
	}
	for i, note := range notes {
		if len(c.Notes) != len(notes) || !strings.HasPrefix(c.Notes[i], note) {
			t.Fatalf("notes %q, want %q", c.Notes, notes)
		}
	}
}

// TestDamaged refuses what is no snapshot that can be restored, and says why; none of it ends the program.
func TestDamaged(t *testing.T) {
	t.Parallel()
	c, err := config.Read(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	whole := string(snapshotOf(t, c, served()...))
	one := func(version string) string { return `model_snapshot={"models": {"a": {"1.0": ` + version + `}}}` }
	for name, tt := range map[string]struct{ text, want string }{
		"empty":                   {"", "it was cut off, or it is no snapshot"},
		"only comments":           {"#Saving snapshot of tsgo\n", "it was cut off, or it is no snapshot"},
		"binary":                  {"\x00\xff\xfePK\x03\x04\x00", "it was cut off, or it is no snapshot"},
		"without models":          {"model_snapshot=\n", "it was cut off, or it is no snapshot"},
		"cut off before":          {whole[:strings.Index(whole, "model_snapshot")], "it was cut off, or it is no snapshot"},
		"cut off in the middle":   {whole[:len(whole)/2], "model_snapshot (from s.cfg:3): invalid: unexpected end"},
		"cut off at the end":      {whole[:len(whole)-4], "model_snapshot (from s.cfg:3): invalid: unexpected end"},
		"no JSON":                 {"model_snapshot=none", "invalid character"},
		"a list":                  {"model_snapshot=[]", "want {"},
		"models that are a list":  {`model_snapshot={"models": []}`, "want {"},
		"a version that is text":  {one(`"x"`), "want {"},
		"no file":                 {one(`{}`), "a/1.0: invalid: it has no marName"},
		"a file that is a number": {one(`{"marName": 7}`), "a/1.0: marName: invalid: 7: want a text"},
		"workers that are a list": {one(`{"marName": "a", "minWorkers": [1]}`), "minWorkers: invalid: [1]: want a whole number"},
		"half a worker":           {one(`{"marName": "a", "minWorkers": 0.5}`), "minWorkers: invalid: 0.5: want a whole number"},
		"too many":                {one(`{"marName": "a", "batchSize": 99999999999999999999}`), "want a whole number"},
		"too long":                {one(`{"marName": "a", "responseTimeout": 1e3}`), "responseTimeout: invalid: 1e3"},
		"a default that is null":  {one(`{"marName": "a", "defaultVersion": null}`), "defaultVersion: invalid: null: want true or false"},
		"deep":                    {one(strings.Repeat("[", 100_000)), "model_snapshot (from s.cfg:1)"},
		"a wrong setting":         {"job_queue_size=0\n" + one(`{"marName": "a"}`), "job_queue_size (from s.cfg:1)"},
		"a wrong escape":          {"a=\\u12\n" + one(`{"marName": "a"}`), "want four hexadecimal digits"},
		"a variable":              {"key_file=$$GONE$$\n" + one(`{"marName": "a"}`), "environment variable GONE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := restored(t, []byte(tt.text), nil, nil); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.300v, want %v that says %q", err, fault.Invalid, tt.want)
			}
		})
	}
	for name, text := range map[string]string{
		"unknown keys":      "fresh=1\n" + one(`{"marName": "a", "fresh": 1}`),
		"no models, whole":  `model_snapshot={"models": {}}`,
		"numbers as texts":  one(`{"marName": "a", "minWorkers": "2"}`),
		"what flags put in": one(`{"marName": "a"}`) + "\njob_queue_size=7",
	} {
		if _, err := restored(t, []byte(text), nil, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	file, err := config.Parse("s.cfg", []byte(one(`{"marName": "a"}`)))
	if err != nil {
		t.Fatal(err)
	}
	s := sources(map[string]string{"job-queue-size": "0"}, nil)
	s.File = file
	if c, err := config.Read(s); err == nil || c.Damaged() != nil {
		t.Errorf("with a wrong flag: %v, and the file is %v", err, c.Damaged())
	}
}

// TestSnapshotTooLarge writes none that could not be read.
func TestSnapshotTooLarge(t *testing.T) {
	t.Parallel()
	c, err := config.Read(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Snapshot("1")("name", taken(), []server.Kept{{Ref: model.Ref{Name: strings.Repeat("m", 9<<20), Version: "1"}, Archive: "a"}})
	if !errors.Is(err, fault.TooLarge) {
		t.Errorf("%.100v, want %v", err, fault.TooLarge)
	}
}

// TestSnapshotSecrets has no secret in a snapshot, wherever it was said, and reads it again where it was.
func TestSnapshotSecrets(t *testing.T) {
	t.Parallel()
	const secret = "s3same"
	dir := t.TempDir()
	path := filepath.Join(dir, "config.properties")
	text := strings.Join([]string{
		"keystore=k.p12", "keystore_pass=" + secret, "key_file=$$WHERE$$/keys", "job_queue_size=7", "aws_token=" + secret, "vmargs=-Dpass=" + secret,
		`allowed_urls=https://me:` + secret + `@h/.*,https://h/m\\.mar\\?X-Amz-Signature=` + secret + `,.*token=` + secret + `,https?://models/.*`,
		"load_models=a=https://h/m.mar?sig=" + secret,
	}, "\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	base, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"WHERE": "/srv/" + secret}
	for name, given := range map[string]config.Sources{
		"file": {File: base}, "variable": {Env: func(string) string { return "" }},
		"flag": {Flag: func(name string) (string, bool) { return secret, name == "keystore-pass" }},
	} {
		if given.Env = func(name string) string {
			if name == "TSGO_KEYSTORE_PASS" && given.File == nil {
				return secret
			}
			return env[name]
		}; given.File == nil {
			given.TorchServe = true
		}
		c, err := config.Read(given)
		if err != nil || c.Server.TLS.KeystorePass != secret {
			t.Fatalf("%s: %v, %q", name, err, c.Server.TLS.KeystorePass)
		}
		written := snapshotOf(t, c, served()...)
		if strings.Contains(string(written), secret) {
			t.Errorf("%s: a secret in %s", name, written)
		}
		if given.File == nil {
			continue
		}
		file, err := config.Parse("s.cfg", written)
		if err != nil || file.Base() != path {
			t.Fatalf("%v, made from %q, want %q", err, file.Base(), path)
		}
		got, err := restored(t, written, base, env)
		if err != nil {
			t.Fatal(err)
		}
		o := got.Server
		if o.TLS.KeystorePass != secret || o.Keys.File != "/srv/"+secret+"/keys" || o.Queue != 7 || len(o.AllowedURLs) != 1 || !o.AllowedURLs[0].MatchString("http://models/m") {
			t.Errorf("restored: %+v", o)
		}
		if v := value(t, got, "keystore_pass"); v.Origin != path+":2" || v.Value != "(hidden)" {
			t.Errorf("the password is from %+v", v)
		}
		if again := snapshotOf(t, got, served()...); strings.Contains(string(again), secret) || !strings.Contains(string(again), "tsConfigFile=") {
			t.Errorf("a secret, or no file to read it from, in what is written of a snapshot: %s", again)
		}
	}
}

// TestSnapshotsAuto keeps what is served where TorchServe would, and where it is asked for.
func TestSnapshotsAuto(t *testing.T) {
	t.Parallel()
	file, err := config.Parse("config.properties", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		from config.Sources
		want bool
	}{
		"plain":               {config.Sources{}, false},
		"TorchServe's":        {config.Sources{TorchServe: true}, true},
		"a file":              {config.Sources{File: file}, true},
		"asked for":           {sources(map[string]string{"config-snapshots": "true"}, nil), true},
		"by a variable":       {sources(nil, map[string]string{"TSGO_CONFIG_SNAPSHOTS": "TRUE"}), true},
		"TorchServe's, not":   {config.Sources{TorchServe: true, Flag: sources(map[string]string{"config-snapshots": "false"}, nil).Flag}, false},
		"a file, not":         {config.Sources{File: file, Env: sources(nil, map[string]string{"TSGO_CONFIG_SNAPSHOTS": "false"}).Env}, false},
		"TorchServe's, as is": {config.Sources{TorchServe: true, Flag: sources(map[string]string{"config-snapshots": "auto"}, nil).Flag}, true},
	} {
		if c, err := config.Read(tt.from); err != nil || c.Snapshots != tt.want {
			t.Errorf("%s: %v, %v, want %v", name, c.Snapshots, err, tt.want)
		}
	}
}

// FuzzSnapshot reads anything as a snapshot: it is refused or read, and what was read is written so that it is read again.
func FuzzSnapshot(f *testing.F) {
	c, err := config.Read(config.Sources{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(snapshotOf(f, c, served()...))
	f.Add([]byte(ofTorchServe))
	f.Add([]byte(`model_snapshot={"models": {"a": {"": {"marName": "\u0000", "archive": "/a", "minWorkers": 2, "maxWorkers": 1}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := restored(t, text, nil, nil)
		if err != nil {
			return
		}
		got, err := restored(t, snapshotOf(t, c, c.Server.Restore...), nil, nil)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(c.Server.Restore, got.Server.Restore); diff != "" {
			t.Errorf("models (-read +read again):\n%s", diff)
		}
	})
}
