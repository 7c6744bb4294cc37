package config_test

import (
	"errors"
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

// fromFile reads settings out of the text of a file and an environment.
func fromFile(t *testing.T, text string, env map[string]string) (*config.Config, error) {
	t.Helper()
	s := sources(nil, env)
	file, err := config.Parse("config.properties", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.File = file
	return config.Read(s)
}

// value returns what is known of a key.
func value(t *testing.T, c *config.Config, key string) config.Value {
	t.Helper()
	i := slices.IndexFunc(c.Values, func(v config.Value) bool { return v.Key == key })
	if i < 0 {
		t.Fatalf("nothing is known of %s", key)
	}
	return c.Values[i]
}

// effect is what a key does in a file: its state, and what it changes.
type effect struct {
	state config.State
	value string
	check func(c *config.Config) bool // sees it; nil: there is nothing to see here, another test sees it or why says why
	why   string                      // in what is told of a key that does nothing
	bad   string                      // a value that is refused; "": none is
	fixed bool                        // no variable of TorchServe's can say it
}

// effects are all keys of TorchServe's, and what they do.
func effects() map[string]effect {
	type c = *config.Config
	used := config.Used
	all := map[string]effect{
		"inference_address":  {state: used, value: "http://0.0.0.0", check: func(c c) bool { return c.Server.Inference == "0.0.0.0:80" }, bad: "ftp://0.0.0.0:8443"},
		"management_address": {state: used, value: "HTTP://0.0.0.0", check: func(c c) bool { return c.Server.Management == "0.0.0.0:8081" }, bad: "unix:socket"},
		"metrics_address":    {state: used, value: "https://0.0.0.0", check: func(c c) bool { return c.Server.Metrics == "https://0.0.0.0:8445" }, bad: "nowhere"},
		"model_store": {state: used, value: "/models", check: func(c c) bool {
			return c.Store == config.Place{"/models", "config.properties:1"} || c.Store == config.Place{"/models", "TS_MODEL_STORE"}
		}},
		"load_models": {state: used, value: "a=a.mar, b.mar", check: func(c c) bool {
			return slices.Equal(c.Server.Models, []server.Startup{{Name: "a", Location: "a.mar"}, {Location: "b.mar"}}) && !c.Server.All
		}, bad: "=a"},
		"models": {state: used, value: `{"a": {"1.0": {"batchSize": 4}}}`, check: func(c c) bool { return c.Server.Settings[model.Ref{Name: "a", Version: "1.0"}].BatchSize == 4 }, bad: "a", fixed: true},
		"model_snapshot": {state: used, value: `{"models": {"a": {"1.0": {"marName": "a.mar"}}}}`, check: func(c c) bool {
			return slices.Equal(c.Server.Restore, []server.Kept{{Ref: model.Ref{Name: "a", Version: "1.0"}, Archive: "a.mar", AtStartup: true}})
		}, bad: "a", fixed: true},
		"snapshot_store": {value: "org.example.Store", why: "no plug-ins", fixed: true},
		"version":        {state: used, value: "0.12.0", fixed: true},
		"tsConfigFile":   {state: used, value: "/etc/config.properties", fixed: true},
		"allowed_urls": {state: used, value: "https://a/.*", check: func(c c) bool {
			return len(c.Server.AllowedURLs) == 1 && c.Server.AllowedURLs[0].MatchString("https://a/m")
		}, bad: "(?=a)"},
		"use_env_allowed_urls":      {state: used, value: "true", bad: "yes", fixed: true},
		"enable_envvars_config":     {state: used, value: "True", bad: "yes", fixed: true},
		"default_workers_per_model": {state: used, value: "3", check: func(c c) bool { return c.Server.Workers == 3 }, bad: "-1"},
		"default_response_timeout":  {state: used, value: "7", check: func(c c) bool { return c.Server.ResponseTimeout == 7*time.Second }, bad: "0"},
		"default_startup_timeout":   {state: used, value: "7", check: func(c c) bool { return c.Server.StartupTimeout == 7*time.Second }, bad: "0"},
		"unregister_model_timeout":  {state: used, value: "7", check: func(c c) bool { return c.Server.UnregisterTimeout == 7*time.Second }, bad: "0"},
		"job_queue_size":            {state: used, value: "7", check: func(c c) bool { return c.Server.Queue == 7 }, bad: "0"},
		"max_request_size":          {state: used, value: "655350000", check: func(c c) bool { return c.Server.MaxBody == 655350000 }, bad: "6MB"},
		"default_service_handler":   {state: used, value: "image_classifier", check: func(c c) bool { return c.Server.Handler == "image_classifier" }},
		"cors_allowed_origin":       {state: used, value: "https://a", check: func(c c) bool { return c.Server.Header["Access-Control-Allow-Origin"] == "https://a" }},
		"cors_allowed_methods":      {state: used, value: "GET, PUT", check: func(c c) bool { return c.Server.Header["Access-Control-Allow-Methods"] == "GET, PUT" }},
		"cors_allowed_headers":      {state: used, value: "X-A", check: func(c c) bool { return c.Server.Header["Access-Control-Allow-Headers"] == "X-A" }},
		"enable_model_api":          {state: used, value: "false", check: func(c c) bool { return !c.Server.ModelAPI && !c.Server.LocalModelAPI }, bad: "no"},
		"enable_metrics_api":        {state: used, value: "FALSE", check: func(c c) bool { return !c.Server.MetricsAPI }, bad: "no"},

		"grpc_inference_address":                      {state: used, value: "0.0.0.0", check: func(c c) bool { return c.Server.GRPCInference == "0.0.0.0:7070" }, bad: "http://h:1"},
		"grpc_management_address":                     {state: used, value: "NONE", check: func(c c) bool { return c.Server.GRPCManagement == "" }, bad: "h:65536"},
		"grpc_inference_port":                         {state: used, value: "9090", check: func(c c) bool { return c.Server.GRPCInference == "127.0.0.1:9090" }, bad: "65536"},
		"grpc_management_port":                        {state: used, value: "9091", check: func(c c) bool { return c.Server.GRPCManagement == "127.0.0.1:9091" }, bad: "-1"},
		"grpc_inference_max_connection_age_ms":        {state: used, value: "1500", check: func(c c) bool { return c.Server.GRPCInferenceLife.Age == 1500*time.Millisecond }, bad: "0"},
		"grpc_management_max_connection_age_ms":       {state: used, value: "1500", check: func(c c) bool { return c.Server.GRPCManagementLife.Age == 1500*time.Millisecond }, bad: "1s"},
		"grpc_inference_max_connection_age_grace_ms":  {state: used, value: "1500", check: func(c c) bool { return c.Server.GRPCInferenceLife.Grace == 1500*time.Millisecond }, bad: "x"},
		"grpc_management_max_connection_age_grace_ms": {state: used, value: "9223372036854775807", check: func(c c) bool { return c.Server.GRPCManagementLife.Grace == 0 }, bad: "9223372036854775808"},
		"enable_grpc_ssl":                             {state: used, value: "true", check: func(c c) bool { return c.Server.GRPCTLS }, bad: "1"},
		"ts_open_inference_protocol":                  {value: "oip", why: "always served"},
		"max_response_size":                           {state: used, value: "655350000", check: func(c c) bool { return c.Server.MaxAnswer == 655350000 }, bad: "0"},
		"keystore":                                    {state: used, value: "keystore.p12", check: func(c c) bool { return c.Server.TLS.Keystore == "keystore.p12" }},
		"keystore_pass":                               {state: used, value: "sesame", check: func(c c) bool { return c.Server.TLS.KeystorePass == "sesame" }},
		"keystore_type":                               {state: used, value: "JKS", check: func(c c) bool { return c.Server.TLS.KeystoreType == "JKS" }},
		"certificate_file":                            {state: used, value: "mycert.pem", check: func(c c) bool { return c.Server.TLS.Certificate == "mycert.pem" }},
		"private_key_file":                            {state: used, value: "mykey.key", check: func(c c) bool { return c.Server.TLS.Key == "mykey.key" }},
		"disable_token_authorization":                 {state: used, value: "true", check: func(c c) bool { return c.Server.Keys.Need == server.NeedNever }, bad: "yes"},
		"token_expiration_min":                        {state: used, value: "0.5", check: func(c c) bool { return c.Server.Keys.Life == 30*time.Second }, bad: "NaN"},
		"disable_system_metrics":                      {state: used, value: "true", check: func(c c) bool { return c.Server.NoSystemMetrics }, bad: "yes"},
		"ts_header_key_sequence_id":                   {value: "x-id", why: "each by itself"},
		"ts_header_key_sequence_start":                {value: "x-start", why: "each by itself"},
		"ts_header_key_sequence_end":                  {value: "x-end", why: "each by itself"},
		"workflow_store":                              {value: "/w", why: "workflows are not served"},
		"number_of_gpu":                               {value: "1", why: "CPU"},
		"limit_max_image_pixels":                      {value: "false", why: "always limited"},
		"decode_input_request":                        {value: "false", why: "decodes them itself"},
		"service_envelope":                            {value: "kserve", why: "path of a request"},
		"install_py_dep_per_model":                    {value: "true", why: "no Python packages"},
		"blacklist_env_vars":                          {value: ".*USERNAME.*", why: "no Python process"},
		"metrics_config":                              {value: "metrics.yaml", why: "tsgo's own"},
		"metrics_mode":                                {value: "prometheus", why: "metrics page"},
		"metrics_format":                              {value: "prometheus", why: "text format", fixed: true},
		"model_metrics_auto_detect":                   {value: "true", why: "no metrics of its own"},
		"system_metrics_cmd":                          {value: "cmd", why: "without a command", fixed: true},
		"metric_time_interval":                        {value: "10", why: "metrics page", fixed: true},
		"async_logging":                               {value: "true", why: "when it happens", fixed: true},
		"debug":                                       {value: "true", why: "no Python process"},
		"number_of_netty_threads":                     {value: "32", why: "Netty"},
		"netty_client_threads":                        {value: "8", why: "Netty"},
		"prefer_direct_buffer":                        {value: "true", why: "Netty"},
		"use_native_io":                               {value: "false", why: "Netty", fixed: true},
		"io_ratio":                                    {value: "70", why: "Netty", fixed: true},
		"initial_worker_port":                         {value: "9500", why: "no Python process"},
		"initial_distribution_port":                   {value: "29600", why: "no Python process"},
		"ipex_enable":                                 {value: "true", why: "CPU"},
		"ipex_gpu_enable":                             {value: "true", why: "CPU"},
		"cpu_launcher_enable":                         {value: "true", why: "--threads"},
		"cpu_launcher_args":                           {value: "--use_logical_core", why: "--threads"},
		"cpp_log_config":                              {value: "log.yaml", why: "no C++ workers"},
		"model_server_home":                           {value: "/home", why: "one file"},
		"python":                                      {value: "python3", why: "no Python", fixed: true},
		"NUM_WORKERS":                                 {value: "1", why: "default_workers_per_model", fixed: true},
		"vmargs":                                      {value: "-Xmx4g", why: "GOMAXPROCS", fixed: true},
		"plugins_path":                                {value: "/plugins", why: "no Java plug-ins", fixed: true},
	}
	for key, e := range all {
		if e.state == "" {
			e.state = config.Nothing
			all[key] = e
		}
	}
	return all
}

// TestFile gives each key of TorchServe's in a file, and by TorchServe's variable, and looks at what it does.
func TestFile(t *testing.T) {
	t.Parallel()
	for key, e := range effects() {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			look := func(c *config.Config, err error, origin string) {
				t.Helper()
				v := value(t, c, key)
				shown := e.value
				if key == "keystore_pass" {
					shown = "(hidden)"
				}
				if err != nil || v.Origin != origin || v.State != e.state || v.Value != shown || v.What == "" || !v.Given() {
					t.Errorf("%+v, %v; want %s from %s, %s", v, err, shown, origin, e.state)
				}
				if e.check != nil && !e.check(c) {
					t.Errorf("%s from %s has no effect: %+v", e.value, origin, c.Server)
				}
				if e.state == config.Nothing {
					untouched(t, key, c)
				}
				if !strings.Contains(v.What, e.why) {
					t.Errorf("%q, want that it says %q", v.What, e.why)
				}
			}
			c, err := fromFile(t, key+" = "+e.value+" ", nil)
			look(c, err, "config.properties:1")
			if c, err = fromFile(t, "", nil); err != nil || value(t, c, key).Given() || (e.check != nil && e.check(c) && key != "grpc_management_max_connection_age_grace_ms") {
				t.Errorf("%+v, %v without anyone who says it", value(t, c, key), err)
			}
			env := map[string]string{torchserveVariable(key): e.value}
			if c, err = fromFile(t, "enable_envvars_config=true\nuse_env_allowed_urls=true\n", env); e.fixed {
				if v := value(t, c, key); err != nil || v.Origin == torchserveVariable(key) {
					t.Errorf("%+v, %v by a variable that TorchServe does not read", v, err)
				}
			} else {
				look(c, err, torchserveVariable(key))
			}
			if e.bad == "" {
				return
			}
			c, err = fromFile(t, "\n"+key+"="+e.bad, nil)
			if v := value(t, c, key); !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), key+" (from config.properties:2): ") || v.State != config.Wrong {
				t.Errorf("%s: %v, %+v, want %v", e.bad, err, v, fault.Invalid)
			}
		})
	}
}

// untouched compares what a key that does nothing leaves with what an empty file says.
func untouched(t *testing.T, key string, c *config.Config) {
	t.Helper()
	nothing, err := fromFile(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, key+" does something", nothing.Server, c.Server)
	if c.Store != nothing.Store || c.Snapshots != nothing.Snapshots {
		t.Errorf("%s does something: %+v, want %+v", key, c, nothing)
	}
}

// seen are the keys whose effect is not seen in what is read, with the tests that see it.
func seen() map[string]string {
	return map[string]string{
		"use_env_allowed_urls": "TestAllowedByVariable", "enable_envvars_config": "TestFilePrecedence",
		"version": "TestSnapshotRoundTrip", "tsConfigFile": "TestSnapshotSecrets",
	}
}

// torchserveVariable is the variable of the environment that TorchServe reads for a key.
func torchserveVariable(key string) string {
	switch key {
	case "token_expiration_min":
		return "TS_TOKEN_EXPIRATION_TIME_MIN"
	case "ts_open_inference_protocol", "ts_header_key_sequence_id", "ts_header_key_sequence_start", "ts_header_key_sequence_end":
		return strings.ToUpper(key)
	}
	return "TS_" + strings.ToUpper(key)
}

// TestFileKeys finds each setting in the table of effects, but for those that TorchServe has not.
func TestFileKeys(t *testing.T) {
	t.Parallel()
	c, err := config.Read(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	all := effects()
	for _, v := range c.Values {
		if _, ok := all[v.Key]; !ok && !slices.Contains([]string{"port_offset", "threads", "max_queue_delay", "pprof", "drain", "config_snapshots", "key_file", "token_failure_status", "client_ca_file"}, v.Key) {
			t.Errorf("nothing tests %s in a file", v.Key)
		}
		delete(all, v.Key)
	}
	for key := range all {
		t.Errorf("there is no setting %s", key)
	}
	for key, e := range effects() {
		if (e.check == nil) != (e.why != "" || seen()[key] != "") || (e.state == config.Nothing) != (e.why != "") {
			t.Errorf("%s: want either an effect that is seen, or why there is none", key)
		}
	}
}

// TestGRPCPort gives the address and the port of a gRPC API in all ways: a port that the address names is the port.
func TestGRPCPort(t *testing.T) {
	t.Parallel()
	const note = "grpc_inference_port 9090 does not count: grpc_inference_address names port 7000"
	for _, tt := range []struct {
		file, flag, want string
		notes            []string
	}{
		{file: "grpc_inference_address=0.0.0.0\ngrpc_inference_port=9090", want: "0.0.0.0:9090"},
		{file: "grpc_inference_port=9090\ngrpc_inference_address=::1", want: "[::1]:9090"},
		{file: "grpc_inference_port=9090", flag: "h:7000", want: "h:7000", notes: []string{note}},
		{file: "grpc_inference_port=9090", flag: "h", want: "h:9090"},
		{file: "grpc_inference_port=7000", flag: "h:7000", want: "h:7000"},
		{file: "grpc_inference_port=9090", flag: "none", want: ""},
		{flag: "h:7000", want: "h:7000"},
		{file: "grpc_inference_port=0", want: "127.0.0.1:0"},
	} {
		file, err := config.Parse("config.properties", []byte(tt.file))
		if err != nil {
			t.Fatal(err)
		}
		flags := map[string]string{}
		if tt.flag != "" {
			flags["grpc-inference-address"] = tt.flag
		}
		s := sources(flags, nil)
		s.File = file
		c, err := config.Read(s)
		if diff := cmp.Diff(tt.notes, c.Notes); err != nil || c.Server.GRPCInference != tt.want || c.Server.GRPCManagement != "127.0.0.1:7071" || diff != "" {
			t.Errorf("%q, %q: %s, %v, want %s; notes (-want +got):\n%s", tt.file, tt.flag, c.Server.GRPCInference, err, tt.want, diff)
		}
	}
}

// TestFilePrecedence gives a setting from all sides.
func TestFilePrecedence(t *testing.T) {
	t.Parallel()
	const key = "job_queue_size"
	for name, tt := range map[string]struct {
		file       string
		flag       string
		tsgo, ts   string
		want       string
		from, note string
	}{
		"default":                   {want: "100", from: "default"},
		"file":                      {file: "job_queue_size=1", want: "1", from: "config.properties:1"},
		"the last line":             {file: "job_queue_size=1\n\njob_queue_size=2", want: "2", from: "config.properties:3", note: "job_queue_size of config.properties:1 does not count: it comes again on line 3"},
		"variable over file":        {file: "job_queue_size=1", tsgo: "2", want: "2", from: "TSGO_JOB_QUEUE_SIZE"},
		"flag over variable":        {file: "job_queue_size=1", tsgo: "2", flag: "3", want: "3", from: "--job-queue-size"},
		"flag over file":            {file: "job_queue_size=1", flag: "3", want: "3", from: "--job-queue-size"},
		"TorchServe's not without":  {file: "job_queue_size=1", ts: "4", want: "1", from: "config.properties:1", note: "environment variable TS_JOB_QUEUE_SIZE does not count: no config file says enable_envvars_config=true"},
		"nor with false":            {file: "enable_envvars_config=false", flag: "3", ts: "4", want: "3", from: "--job-queue-size", note: "environment variable TS_JOB_QUEUE_SIZE does not count: no config file says enable_envvars_config=true"},
		"TorchServe's over all":     {file: "enable_envvars_config = TRUE\njob_queue_size=1", tsgo: "2", flag: "3", ts: "4", want: "4", from: "TS_JOB_QUEUE_SIZE"},
		"what is wrong and covered": {file: "job_queue_size=$$NO_SUCH_VARIABLE$$", flag: "3", want: "3", from: "--job-queue-size"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := map[string]string{}
			if tt.flag != "" {
				flags["job-queue-size"] = tt.flag
			}
			s := sources(flags, map[string]string{"TSGO_JOB_QUEUE_SIZE": tt.tsgo, "TS_JOB_QUEUE_SIZE": tt.ts})
			file, err := config.Parse("config.properties", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if s.File = file; tt.file == "" {
				s.File = nil
			}
			c, err := config.Read(s)
			if v := value(t, c, key); err != nil || v.Value != tt.want || v.Origin != tt.from {
				t.Errorf("%+v, %v, want %s from %s", v, err, tt.want, tt.from)
			}
			if got := strings.Join(c.Notes, "\n"); got != tt.note {
				t.Errorf("notes %q, want %q", got, tt.note)
			}
		})
	}
}

// TestAllowedByVariable needs both of TorchServe's switches.
func TestAllowedByVariable(t *testing.T) {
	t.Parallel()
	env := map[string]string{"TS_ALLOWED_URLS": "https://a/.*"}
	for text, want := range map[string]int{
		"": 0, "enable_envvars_config=true": 0, "use_env_allowed_urls=true": 0, "enable_envvars_config=true\nuse_env_allowed_urls=true": 1,
	} {
		c, err := fromFile(t, text, env)
		if err != nil || len(c.Server.AllowedURLs) != want || (want == 0) != (len(c.Notes) == 1) {
			t.Errorf("%q: %d patterns, %v, notes %q, want %d", text, len(c.Server.AllowedURLs), err, c.Notes, want)
		}
	}
}

// TestExpand puts variables of the environment into values.
func TestExpand(t *testing.T) {
	t.Parallel()
	env := map[string]string{"STORE": "/a", "NAME": `b$1\$$`, "A": "no"}
	for text, want := range map[string]string{
		"$$STORE$$": "/a", "x/$$STORE$$/$$NAME$$": `x//a/b$1\$$`, "$$STORE$$$$STORE$$": "/a/a", "$STORE$": "$STORE$", "$$A$$": "$$A$$",
		"$$STORE": "$$STORE", "$${STORE}": "$${STORE}", "${STORE}": "${STORE}", "$$$$": "$$$$",
	} {
		c, err := fromFile(t, "model_store="+strings.ReplaceAll(text, `\`, `\\`), env)
		if err != nil || c.Store.Path != want {
			t.Errorf("%s: %q, %v, want %q", text, c.Store.Path, err, want)
		}
	}
	_, err := fromFile(t, "model_store=$$STORE$$/$$MISSING$$", env)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "model_store (from config.properties:1)") || !strings.Contains(err.Error(), "MISSING") {
		t.Errorf("%v, want %v that names the setting and the variable", err, fault.Invalid)
	}
}

// TestStrange tells what is no setting, and what was probably meant, and all that is wrong at once.
func TestStrange(t *testing.T) {
	t.Parallel()
	c, err := fromFile(t, "job_queue_sise=7\nother.thing=1\nJOB_QUEUE_SIZE=2\njob_queue_size=x\ndrain=x\nother.thing=2", nil)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "job_queue_size (from config.properties:4)") || !strings.Contains(err.Error(), "drain (from config.properties:5)") {
		t.Errorf("%v, want both settings that are wrong", err)
	}
	want := []string{
		`job_queue_sise=(hidden) from config.properties:1: no setting of TorchServe's or tsgo's, did you mean "job_queue_size"?`,
		`JOB_QUEUE_SIZE=(hidden) from config.properties:3: no setting of TorchServe's or tsgo's, did you mean "job_queue_size"?`,
		`other.thing=(hidden) from config.properties:6: no setting of TorchServe's or tsgo's`,
	}
	var got []string
	for _, v := range c.Values {
		if v.State == config.Strange {
			got = append(got, v.Key+"="+v.Value+" from "+v.Origin+": "+v.What)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unknown keys (-want +got):\n%s", diff)
	}
}

// TestHidden shows no password, neither where its key is misspelt nor where a variable in it is not set.
func TestHidden(t *testing.T) {
	t.Parallel()
	c, err := fromFile(t, "keystore_passs=sesame\nkeystore_pass=sesame$$NOPE$$\n", nil)
	if !errors.Is(err, fault.Invalid) || strings.Contains(err.Error()+strings.Join(c.Notes, ""), "sesame") {
		t.Errorf("%v, %v, want %v and no password", err, c.Notes, fault.Invalid)
	}
	for _, key := range []string{"keystore_passs", "keystore_pass"} {
		if v := value(t, c, key); v.Value != "(hidden)" || strings.Contains(v.What, "sesame") {
			t.Errorf("%s is shown as %q: %s", key, v.Value, v.What)
		}
	}
}

// TestNothingLoaded serves no model that is not named where TorchServe would not.
func TestNothingLoaded(t *testing.T) {
	t.Parallel()
	if c, err := config.Read(config.Sources{}); err != nil || !c.Server.All {
		t.Errorf("without a file: %+v, %v, want all models", c.Server, err)
	}
	if c, err := config.Read(config.Sources{TorchServe: true}); err != nil || c.Server.All || len(c.Server.Models) > 0 {
		t.Errorf("with TorchServe's command line: %+v, %v, want none", c.Server, err)
	}
	if c, err := fromFile(t, "", nil); err != nil || c.Server.All || len(c.Server.Models) > 0 {
		t.Errorf("with a file: %+v, %v, want none", c.Server, err)
	}
	if c, err := fromFile(t, "load_models=ALL", nil); err != nil || !c.Server.All {
		t.Errorf("with a file that says all: %+v, %v", c.Server, err)
	}
}

// documented is a file as TorchServe's documentation has them.
const documented = `
inference_address=http://0.0.0.0:8080
enable_envvars_config=true
load_models=noop.mar,  named=resnet-18.mar
models={\
  "noop": {\
    "1.0": {\
        "defaultVersion": true,\
        "marName": "noop.mar",\
        "minWorkers": 1,\
        "maxWorkers": 1,\
        "batchSize": 4,\
        "maxBatchDelay": 100,\
        "responseTimeout": 120\
    }\
  },\
  "vgg16": {\
    "1.0": {"minWorkers": "2", "batchSize": 0, "maxBatchDelay": -1, "startupTimeout": 7, "runtimeType": "python", "parallelLevel": 2, "defaultVersion": false}\
  }\
}
`

// TestModels reads what TorchServe's documentation says of models.
func TestModels(t *testing.T) {
	t.Parallel()
	c, err := fromFile(t, documented, nil)
	if err != nil {
		t.Fatal(err)
	}
	noop, vgg := model.Ref{Name: "noop", Version: "1.0"}, model.Ref{Name: "vgg16", Version: "1.0"}
	want := map[model.Ref]model.Settings{
		noop: {MinWorkers: 1, MaxWorkers: 1, BatchSize: 4, MaxBatchDelay: 100 * time.Millisecond, ResponseTimeout: 2 * time.Minute},
		vgg:  {MinWorkers: 2, StartupTimeout: 7 * time.Second},
	}
	if diff := cmp.Diff(want, c.Server.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]model.Ref{noop}, c.Server.Defaults); diff != "" {
		t.Errorf("default versions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]server.Startup{{Location: "noop.mar"}, {Name: "named", Location: "resnet-18.mar"}}, c.Server.Models); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	if len(c.Notes) != 2 || !strings.HasPrefix(c.Notes[0], "parallelLevel of model vgg16/1.0 does not count") || !strings.HasPrefix(c.Notes[1], "runtimeType ") {
		t.Errorf("notes %q, want one on parallelLevel and one on runtimeType", c.Notes)
	}
}

func TestModelsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a": {"1.0": {"batchsize": 4}}}`:                      `a/1.0: batchsize: invalid: no setting of a model, did you mean "batchSize"?`,
		`{"a": {"1.0": {"batchSize": 1.5}}}`:                    "a/1.0: batchSize: invalid: 1.5: want a whole number",
		`{"a": {"1.0": {"minWorkers": 3, "maxWorkers": 2}}}`:    "minWorkers 3 and maxWorkers 2",
		`{"a": {"1.0": {"batchSize": 4}}`:                       `want {"NAME": {"VERSION": {"batchSize": 4}}}`,
		`{"a": {"batchSize": 4}}`:                               `want {"NAME": {"VERSION": {"batchSize": 4}}}`,
		`{"a": {"1.0": {"batchSize": 99999999999, "x": "y"}}}`:  "batchSize: invalid: 99999999999",
		`{"a": {"1.0": {"batchSize": [1]}, "2.0": {"q": "y"}}}`: "a/2.0: q: invalid",
	} {
		_, err := fromFile(t, "models="+text, nil)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %v that says %q", text, err, fault.Invalid, want)
		}
	}
}
