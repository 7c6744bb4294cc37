package config_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/auth/certificate"
	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/server"
)

// read reads settings out of the flags that were given and an environment.
func read(flags, env map[string]string) (server.Options, error) {
	c, err := config.Read(sources(flags, env))
	return c.Server, err
}

func sources(flags, env map[string]string) config.Sources {
	return config.Sources{
		Flag: func(name string) (string, bool) {
			value, given := flags[name]
			return value, given
		},
		Env: func(name string) string { return env[name] },
	}
}

// defaults are the options where nothing is said.
func defaults() server.Options {
	return server.Options{
		Inference: "127.0.0.1:8080", Management: "127.0.0.1:8081", Metrics: "127.0.0.1:8082",
		GRPCInference: "127.0.0.1:7070", GRPCManagement: "127.0.0.1:7071", All: true, Queue: 100,
		ResponseTimeout: 2 * time.Minute, StartupTimeout: 2 * time.Minute, UnregisterTimeout: 2 * time.Minute, Drain: 30 * time.Second,
		MaxBody: 6553500, MaxAnswer: 6553500, LocalModelAPI: true, MetricsAPI: true,
		Keys: server.Keys{File: "key_file.json", Life: time.Hour}, TLS: certificate.Options{KeystoreType: "PKCS12"},
	}
}

// equal compares options, patterns by their text.
func equal(t *testing.T, what string, want, got server.Options) {
	t.Helper()
	text := cmp.Comparer(func(a, b *regexp.Regexp) bool { return a.String() == b.String() })
	if diff := cmp.Diff(want, got, text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// row is a setting with what it takes, makes of it, and refuses.
type row struct {
	key     string
	good    map[string]func(o *server.Options) // what each value changes of the defaults
	bad     []string
	refusal string // in the message about each of the bad ones
}

func rows() []row {
	is := func(change func(o *server.Options)) func(o *server.Options) { return change }
	addresses := func(field func(o *server.Options) *string) map[string]func(o *server.Options) {
		good := map[string]func(o *server.Options){}
		for value, want := range map[string]string{
			"http://0.0.0.0:9000": "0.0.0.0:9000", "gpu7:9000": "gpu7:9000", "http://[::1]:0/": "[::1]:0", ":9000": ":9000", "http://:65535": ":65535",
			"https://gpu7:8443": "https://gpu7:8443", "unix:/tmp/s": "unix:/tmp/s", "unix:///tmp/a b/": "unix:/tmp/a b", "HTTPS://0.0.0.0:0/": "https://0.0.0.0:0",
		} {
			good[value] = func(o *server.Options) { *field(o) = want }
		}
		return good
	}
	calls := func(port string, field func(o *server.Options) *string) map[string]func(o *server.Options) {
		good := map[string]func(o *server.Options){}
		for value, want := range map[string]string{
			"none": "", "NONE": "", "0.0.0.0": "0.0.0.0:" + port, "gpu7:9000": "gpu7:9000", "::1": "[::1]:" + port, "[::1]": "[::1]:" + port,
			"[::1]:0": "[::1]:0", ":9000": ":9000", "h:65535": "h:65535",
		} {
			good[value] = func(o *server.Options) { *field(o) = want }
		}
		return good
	}
	noCalls := []string{"h:65536", "h:-1", "h:x", "h:", "http://h:1", "[]", "h:1/x", "me@h:1", "a:b:c", "unix:/tmp/s"}
	noAddress := []string{"ftp://h:1", "ftp://h", "https://", "https://h:", "http://", "http://:", "http://h:", "h", "unix:", "unix:s", "unix://s/x", "http://h:1/x", "http://h:1?a=b", "http://h:1#a", "http://me:x@h:1", "http://h:65536", "h:http", "http://h h:1"}
	seconds := func(field func(o *server.Options) *time.Duration) map[string]func(o *server.Options) {
		return map[string]func(o *server.Options){
			"7":     is(func(o *server.Options) { *field(o) = 7 * time.Second }),
			"0.5":   is(func(o *server.Options) { *field(o) = 500 * time.Millisecond }),
			"1m30s": is(func(o *server.Options) { *field(o) = 90 * time.Second }),
		}
	}
	noSeconds := []string{"0", "-1", "-5s", "0s", "soon", "NaN", "Inf", "-Inf", "1e300", "1e-12"}
	booleans := func(field func(o *server.Options) *bool) map[string]func(o *server.Options) {
		return map[string]func(o *server.Options){
			"false": is(func(o *server.Options) { *field(o) = false }), "FALSE": is(func(o *server.Options) { *field(o) = false }),
			"True": is(func(o *server.Options) { *field(o) = true }),
		}
	}
	header := func(name string) map[string]func(o *server.Options) {
		return map[string]func(o *server.Options){"*, x": is(func(o *server.Options) { o.Header = map[string]string{name: "*, x"} })}
	}
	models := func(all ...server.Startup) func(o *server.Options) {
		return func(o *server.Options) { o.All, o.Models = false, all }
	}
	return append([]row{
		{"inference_address", addresses(func(o *server.Options) *string { return &o.Inference }), noAddress, ""},
		{"management_address", addresses(func(o *server.Options) *string { return &o.Management }), noAddress, ""},
		{"metrics_address", addresses(func(o *server.Options) *string { return &o.Metrics }), noAddress, ""},
		{"grpc_inference_address", calls("7070", func(o *server.Options) *string { return &o.GRPCInference }), noCalls, ""},
		{"grpc_management_address", calls("7071", func(o *server.Options) *string { return &o.GRPCManagement }), noCalls, ""},
		{
			"port_offset",
			map[string]func(o *server.Options){"100": is(func(o *server.Options) { o.PortOffset = 100 })},
			[]string{"-1", "x", "1.5", "99999999999999999999"},
			"want a whole number from 0",
		},
		{
			"load_models",
			map[string]func(o *server.Options){
				"all": is(func(*server.Options) {}), " ALL ": is(func(*server.Options) {}), "none": models(),
				"mnist":                    models(server.Startup{Location: "mnist"}),
				" a , b=/c/d e ,, x=y=z ,": models(server.Startup{Location: "a"}, server.Startup{Name: "b", Location: "/c/d e"}, server.Startup{Name: "x", Location: "y=z"}),
			},
			[]string{"=a", "a=", "b,="},
			"want a name, a path, or name=path",
		},
		{
			"default_workers_per_model",
			map[string]func(o *server.Options){"3": is(func(o *server.Options) { o.Workers = 3 })},
			[]string{"-1", "many"},
			"want a whole number from 0",
		},
		{
			"threads",
			map[string]func(o *server.Options){"2": is(func(o *server.Options) { o.Threads = 2 })},
			[]string{"-1", "many"},
			"want a whole number from 0",
		},
		{
			"job_queue_size",
			map[string]func(o *server.Options){"1": is(func(o *server.Options) { o.Queue = 1 })},
			[]string{"0", "-1", "many"},
			"want a whole number from 1",
		},
		{"max_queue_delay", seconds(func(o *server.Options) *time.Duration { return &o.QueueDelay }), []string{"0", "-1", "soon"}, "want seconds, more than 0"},
		{"default_response_timeout", seconds(func(o *server.Options) *time.Duration { return &o.ResponseTimeout }), noSeconds, "want seconds, more than 0"},
		{"default_startup_timeout", seconds(func(o *server.Options) *time.Duration { return &o.StartupTimeout }), noSeconds, "want seconds, more than 0"},
		{"unregister_model_timeout", seconds(func(o *server.Options) *time.Duration { return &o.UnregisterTimeout }), noSeconds, "want seconds, more than 0"},
		{
			"config_snapshots",
			map[string]func(o *server.Options){"true": is(func(*server.Options) {}), "False": is(func(*server.Options) {}), "auto": is(func(*server.Options) {})},
			[]string{"yes", "on"},
			"want true, false or auto",
		},
		{"drain", seconds(func(o *server.Options) *time.Duration { return &o.Drain }), noSeconds, "want seconds, more than 0"},
		{"default_service_handler", map[string]func(o *server.Options){"image_classifier": is(func(o *server.Options) { o.Handler = "image_classifier" })}, nil, ""},
		{
			"max_request_size",
			map[string]func(o *server.Options){"1": is(func(o *server.Options) { o.MaxBody = 1 })},
			[]string{"0", "-1", "6MB", "1e6"},
			"want a number of bytes from 1",
		},
		{"pprof", booleans(func(o *server.Options) *bool { return &o.Profile }), []string{"ture", "flase"}, "want true or false, did you mean"},
		{
			"max_response_size",
			map[string]func(o *server.Options){"1": is(func(o *server.Options) { o.MaxAnswer = 1 })},
			[]string{"0", "-1", "6MB", "1e6"},
			"want a number of bytes from 1",
		},
		{"enable_metrics_api", booleans(func(o *server.Options) *bool { return &o.MetricsAPI }), []string{"ture", "flase"}, "want true or false, did you mean"},
		{
			"allowed_urls",
			map[string]func(o *server.Options){
				" https://models[.]example/.* ,, file:///m": is(func(o *server.Options) {
					o.AllowedURLs = []*regexp.Regexp{regexp.MustCompile("(?i)^(?:https://models[.]example/.*)$"), regexp.MustCompile("(?i)^(?:file:///m)$")}
				}),
			},
			[]string{"(", "https://h/.*,*"},
			"regexp",
		},
		{"cors_allowed_origin", header("Access-Control-Allow-Origin"), nil, ""},
		{"cors_allowed_methods", header("Access-Control-Allow-Methods"), nil, ""},
		{"cors_allowed_headers", header("Access-Control-Allow-Headers"), nil, ""},
	}, securityRows()...)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := read(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "defaults", defaults(), got)
}

// TestRows gives each setting each way in, good values and bad ones.
func TestRows(t *testing.T) {
	t.Parallel()
	settings := map[string]config.Setting{}
	for _, s := range config.Table() {
		settings[s.Key] = s
		if s.Help == "" {
			t.Errorf("%s has no help", s.Key)
		}
	}
	for _, r := range rows() {
		s, ok := settings[r.key]
		delete(settings, r.key)
		if !ok {
			t.Errorf("there is no setting %s", r.key)
			continue
		}
		t.Run(r.key, func(t *testing.T) {
			t.Parallel()
			name := strings.TrimPrefix(r.key, "load_") // of the models, TorchServe's command line has another
			env := "TSGO_" + strings.ToUpper(name)
			name = strings.TrimSuffix(name, "orization") // and of the keys
			if flag := strings.ReplaceAll(name, "_", "-"); s.Flag() != flag || s.Env() != env {
				t.Errorf("flag %s and variable %s, want %s and %s", s.Flag(), s.Env(), flag, env)
			}
			for value, change := range r.good {
				want := defaults()
				change(&want)
				for from, given := range ways(s, value) {
					got, err := read(given[0], given[1])
					if err != nil {
						t.Errorf("%q from %s: %v", value, from, err)
						continue
					}
					equal(t, value+" from "+from, want, got)
				}
			}
			for _, value := range r.bad {
				for from, given := range ways(s, value) {
					_, err := read(given[0], given[1])
					if !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), r.key+" (from "+from+"): ") || !strings.Contains(err.Error(), r.refusal) {
						t.Errorf("%q from %s: %v, want %v that names both and says %q", value, from, err, fault.Invalid, r.refusal)
					}
				}
			}
		})
	}
	for key := range settings {
		t.Errorf("nothing tests %s", key)
	}
}

// ways are the flags and the environment that give a setting a value, by what a message calls them.
func ways(s config.Setting, value string) map[string][2]map[string]string {
	return map[string][2]map[string]string{
		"--" + s.Flag(): {{s.Flag(): value}, nil},
		s.Env():         {nil, {s.Env(): value}},
	}
}

// TestPrecedence gives a setting from every side: the flag wins over the environment, that over the default; a variable that
// is empty is none, and a flag that is empty is one.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	const flag, env = "job-queue-size", "TSGO_JOB_QUEUE_SIZE"
	for _, tt := range []struct {
		flags, env map[string]string
		want       int
	}{
		{nil, nil, 100},
		{nil, map[string]string{env: "7"}, 7},
		{map[string]string{flag: "8"}, nil, 8},
		{map[string]string{flag: "8"}, map[string]string{env: "7"}, 8},
		{map[string]string{flag: "100"}, map[string]string{env: "7"}, 100},
		{map[string]string{flag: "8"}, map[string]string{env: "none"}, 8},
		{nil, map[string]string{env: ""}, 100},
	} {
		got, err := read(tt.flags, tt.env)
		if err != nil || got.Queue != tt.want {
			t.Errorf("flags %v, environment %v: %d, %v, want %d", tt.flags, tt.env, got.Queue, err, tt.want)
		}
	}
	if _, err := read(map[string]string{flag: ""}, map[string]string{env: "7"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("an empty flag: %v, want %v", err, fault.Invalid)
	}
	got, err := read(map[string]string{"models": ""}, map[string]string{"TSGO_MODELS": "mnist"})
	if err != nil || got.All || len(got.Models) > 0 {
		t.Errorf("no models by an empty flag: %+v, %v", got.Models, err)
	}
}

// TestHeaders sets all three at once.
func TestHeaders(t *testing.T) {
	t.Parallel()
	got, err := read(map[string]string{"cors-allowed-origin": "*", "cors-allowed-methods": "GET, POST", "cors-allowed-headers": "X-A"}, nil)
	want := map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "X-A"}
	if diff := cmp.Diff(want, got.Header); diff != "" || err != nil {
		t.Errorf("%v, headers (-want +got):\n%s", err, diff)
	}
}

// TestAllowedURLs matches whole URLs, in any case.
func TestAllowedURLs(t *testing.T) {
	t.Parallel()
	got, err := read(nil, map[string]string{"TSGO_ALLOWED_URLS": "https://a[.]example/.*,https://b/m|https://c/m"})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]bool{
		"https://a.example/m.mar": true, "HTTPS://A.example/": true, "https://b/m": true, "https://c/m": true,
		"https://a.example.evil/x": false, "x https://a.example/": false, "https://b/mm": false, "http://a.example/": false,
	} {
		allowed := false
		for _, pattern := range got.AllowedURLs {
			allowed = allowed || pattern.MatchString(url)
		}
		if allowed != want {
			t.Errorf("%s: %v, want %v", url, allowed, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	got := config.Unknown([]string{
		"PATH=/bin", "TSGO_PORT_OFFSET=1", "TSGO_JOB_QUEUE=7", "TSGO_INFERENCE_ADDR=x", "TSGO_TOKEN=secret", "TSGO_SOMETHING_ELSE=", "TSGO", "",
	}, "TSGO_TOKEN")
	want := []string{
		`environment variable TSGO_INFERENCE_ADDR is no setting, did you mean "TSGO_INFERENCE_ADDRESS"?`,
		`environment variable TSGO_JOB_QUEUE is no setting, did you mean "TSGO_JOB_QUEUE_SIZE"?`,
		`environment variable TSGO_SOMETHING_ELSE is no setting`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:8080", "100", "1m30s", "a,b=c", "true", "https://h/.*", "NaN", "1e400"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, s := range config.Table() {
			o, err := read(map[string]string{s.Flag(): value}, nil)
			switch {
			case err != nil && !errors.Is(err, fault.Invalid):
				t.Errorf("%s %q: %v, want %v", s.Key, value, err, fault.Invalid)
			case err == nil && (o.Drain <= 0 || o.ResponseTimeout <= 0 || o.Queue < 1 || o.MaxBody < 1 || o.PortOffset < 0 || o.Inference == ""):
				t.Errorf("%s %q makes options that mean nothing: %+v", s.Key, value, o)
			}
		}
	})
}
