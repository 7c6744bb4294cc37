// Package config reads how a server is to be set up, from flags, environment and a file, into server.Options. Each setting is
// one row of a table, with TorchServe's name where TorchServe has it.
package config

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/server"
)

// Setting is one row of the table of settings.
type Setting struct {
	Key     string // in a file: TorchServe's, or in its manner
	Default string
	Help    string // what it does, or why it does nothing
	Switch  bool   // its values are true and false: the flag alone is true

	flag, env  string // "": it has none
	torchserve string // TorchServe's variable for it; "": it has none
	state      State  // what becomes of a value that is right
	secret     bool   // the value is not shown
	set        setter // nil: any value is right
}

// setter takes a value.
type setter = func(c *Config, value string) error

// Flag returns the setting's flag, without the dashes.
func (s Setting) Flag() string { return s.flag }

// Env returns the setting's environment variable.
func (s Setting) Env() string { return s.env }

const prefix = "TSGO_"

// Table returns the settings that have a flag, in the order in which help shows them.
func Table() []Setting {
	return append([]Setting{
		own("inference_address", "http://127.0.0.1:8080", "where predictions and explanations are answered; unix:/PATH is a socket, and addresses that are equal are one", address(func(o *server.Options) *string { return &o.Inference }, "80", "443")),
		own("management_address", "http://127.0.0.1:8081", "where models are registered and scaled", address(func(o *server.Options) *string { return &o.Management }, "8081", "8444")),
		own("metrics_address", "http://127.0.0.1:8082", "where Prometheus reads", address(func(o *server.Options) *string { return &o.Metrics }, "8082", "8445")),
		own("grpc_inference_address", "127.0.0.1", "where predictions and explanations are answered over gRPC, HOST or HOST:PORT; none: nowhere", grpcAddress("7070", func(o *server.Options) *string { return &o.GRPCInference })),
		own("grpc_management_address", "127.0.0.1", "where models are registered and scaled over gRPC, HOST or HOST:PORT; none: nowhere", grpcAddress("7071", func(o *server.Options) *string { return &o.GRPCManagement })),
		added("port_offset", "0", "added to the ports", integer(func(o *server.Options) *int { return &o.PortOffset }, 0)),
		listed("load_models", "all", "what is served from the start: all, none, or names, paths and name=path, separated by commas; in a config file, load_models"),
		own("default_workers_per_model", "0", "workers of a model that says none; 0: one for each core at the start, and none when it is registered", integer(func(o *server.Options) *int { return &o.Workers }, 0)),
		added("threads", "0", "threads of one run of a network; 0: the cores, shared among the model's workers", integer(func(o *server.Options) *int { return &o.Threads }, 0)),
		own("job_queue_size", "100", "requests of a model that wait at most", integer(func(o *server.Options) *int { return &o.Queue }, 1)),
		added("max_queue_delay", "", "seconds that a request may be expected to wait: who would wait for longer is refused at once; empty: as long as a batch may run", unset(seconds(func(o *server.Options) *time.Duration { return &o.QueueDelay }))),
		own("default_response_timeout", "120", "seconds that a batch may run", seconds(func(o *server.Options) *time.Duration { return &o.ResponseTimeout })),
		own("default_startup_timeout", "120", "seconds that a model may take to load", seconds(func(o *server.Options) *time.Duration { return &o.StartupTimeout })),
		own("unregister_model_timeout", "120", "seconds that the requests of a model have to end when it goes", seconds(func(o *server.Options) *time.Duration { return &o.UnregisterTimeout })),
		toggle(added("config_snapshots", auto, "whether what is served is kept in logs/config, or $LOG_LOCATION/config, and restored; auto: where TorchServe's command line or a config file sets the server up", snapshots)),
		added("drain", "30", "seconds that requests have to end when the server stops", seconds(func(o *server.Options) *time.Duration { return &o.Drain })),
		own("max_request_size", "6553500", "bytes of a request's body at most", size(func(c *Config) *int64 { return &c.Server.MaxBody })),
		own("max_response_size", "6553500", "bytes of a model's answer at most; a larger one is refused", size(func(c *Config) *int64 { return &c.Server.MaxAnswer })),
		own("default_service_handler", "", "handler of a model that names none", text(func(c *Config) *string { return &c.Server.Handler })),
		toggle(own("enable_metrics_api", "true", "whether there is a metrics address", boolean(func(c *Config) *bool { return &c.Server.MetricsAPI }))),
		toggle(added("pprof", "false", "whether the management address has profiles of the process under /debug/pprof, for callers on this machine alone", boolean(func(c *Config) *bool { return &c.Server.Profile }))),
		own("allowed_urls", "", "regular expressions, separated by commas, of the URLs that models may be registered from; empty: none outside the store", patterns),
		own("cors_allowed_origin", "", "Access-Control-Allow-Origin of every answer", header("Access-Control-Allow-Origin")),
		own("cors_allowed_methods", "", "Access-Control-Allow-Methods of every answer", header("Access-Control-Allow-Methods")),
		own("cors_allowed_headers", "", "Access-Control-Allow-Headers of every answer", header("Access-Control-Allow-Headers")),
	}, security()...)
}

// own returns a setting of TorchServe's with a flag and a variable.
func own(key, byDefault, help string, set setter) Setting {
	return Setting{
		Key: key, Default: byDefault, Help: help, set: set, state: Used,
		flag: strings.ReplaceAll(key, "_", "-"), env: prefix + strings.ToUpper(key), torchserve: variableOf(key),
	}
}

// added returns a setting that TorchServe has not.
func added(key, byDefault, help string, set setter) Setting {
	s := own(key, byDefault, help, set)
	s.torchserve = ""
	return s
}

// listed returns the setting of the models, which TorchServe calls otherwise in a file than among its flags.
func listed(key, byDefault, help string) Setting {
	s := own(key, byDefault, help, models)
	s.flag, s.env = "models", prefix+"MODELS"
	return s
}

func toggle(s Setting) Setting {
	s.Switch = true
	return s
}

// Unknown returns what is wrong with the variables of an environment, NAME=VALUE each, that look like settings and are none:
// a line each, in the order of their names, with what was probably meant. The others are variables that something else reads.
func Unknown(environ []string, others ...string) []string {
	known := slices.Clone(others)
	for _, s := range settings() {
		if s.env != "" {
			known = append(known, s.env)
		}
	}
	var wrong []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) {
			wrong = append(wrong, fmt.Sprintf("environment variable %s is no setting%s", name, nearest.Hint(name, known)))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// address reads http://HOST:PORT, HOST:PORT, https://HOST:PORT for TLS, or unix:/PATH of a socket; and, as TorchServe does, http://HOST and
// https://HOST, which leave the port to be implied.
func address(field func(*server.Options) *string, plain, secure string) setter {
	return func(c *Config, value string) error {
		if path, ok := strings.CutPrefix(value, "unix:"); ok {
			path = strings.TrimPrefix(path, "//")
			if !filepath.IsAbs(path) {
				return fmt.Errorf("%w: %q: want unix: and an absolute path, as in unix:/run/tsgo.sock", fault.Invalid, value)
			}
			*field(&c.Server) = "unix:" + filepath.Clean(path)
			return nil
		}
		text := value
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(text)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", fault.Invalid, err)
		case u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("%w: %q: want http://HOST:PORT, https:// for TLS, or unix:/PATH", fault.Invalid, value)
		case u.Port() == "" && u.Hostname() != "" && text == value && !strings.HasSuffix(u.Host, ":"):
			u.Host += ":" + map[string]string{"http": plain, "https": secure}[u.Scheme]
		}
		switch {
		case u.Host == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return fmt.Errorf("%w: %q: want http://HOST:PORT, as in http://127.0.0.1:8080", fault.Invalid, value)
		}
		if _, err := portNumber(u.Port(), value); err != nil {
			return err
		}
		*field(&c.Server) = u.Host
		if u.Scheme == "https" {
			*field(&c.Server) = "https://" + u.Host
		}
		return nil
	}
}

// grpcAddress reads HOST:PORT, HOST, which leaves the port to its own setting, or none.
func grpcAddress(example string, field func(*server.Options) *string) setter {
	return func(c *Config, value string) error {
		if strings.EqualFold(value, "none") {
			*field(&c.Server) = ""
			return nil
		}
		host, port, err := net.SplitHostPort(value)
		named := err == nil
		if !named { // an address of IPv6 may have its brackets or not
			host = strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
		}
		if !named && host == "" || strings.ContainsAny(host, "/[]@ ") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return fmt.Errorf("%w: %q: want HOST or HOST:PORT, as in 127.0.0.1:%s, or none", fault.Invalid, value, example)
		}
		if named {
			if _, err := portNumber(port, value); err != nil {
				return err
			}
			host = net.JoinHostPort(host, port)
		}
		*field(&c.Server) = host
		return nil
	}
}

// grpcPort reads the port of the address that field has, where that has none.
func grpcPort(key, byDefault string, field func(*server.Options) *string) setter {
	return func(c *Config, value string) error {
		n, err := portNumber(value, value)
		if err != nil {
			return err
		}
		address := field(&c.Server)
		_, named, notNamed := net.SplitHostPort(*address)
		switch {
		case *address == "": // it is not served
		case notNamed != nil:
			*address = net.JoinHostPort(*address, strconv.Itoa(n))
		case value != byDefault && value != named:
			c.Notes = append(c.Notes, fmt.Sprintf("%s_port %s does not count: %s_address names port %s", key, value, key, named))
		}
		return nil
	}
}

// portNumber reads a port, which is value or a part of it.
func portNumber(port, value string) (int, error) {
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > math.MaxUint16 {
		return 0, fmt.Errorf("%w: %q: want a port from 0 to 65535", fault.Invalid, value)
	}
	return n, nil
}

func integer(field func(*server.Options) *int, least int) setter {
	return func(c *Config, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least {
			return fmt.Errorf("%w: %q: want a whole number from %d", fault.Invalid, value, least)
		}
		*field(&c.Server) = n
		return nil
	}
}

// seconds reads a number of seconds, or a duration as Go writes it, as in 1m30s.
func seconds(field func(*server.Options) *time.Duration) setter {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		if n, notNumber := strconv.ParseFloat(value, 64); notNumber == nil {
			d, err = 0, nil
			if n > 0 && n < float64(math.MaxInt64/time.Second) {
				d = time.Duration(n * float64(time.Second))
			}
		}
		if err != nil || d <= 0 {
			return fmt.Errorf("%w: %q: want seconds, more than 0", fault.Invalid, value)
		}
		*field(&c.Server) = d
		return nil
	}
}

// unset takes an empty value for nothing said, and has set take any other.
func unset(set setter) setter {
	return func(c *Config, value string) error {
		if value == "" {
			return nil
		}
		return set(c, value)
	}
}

// boolean reads true and false in any case, as TorchServe does, and nothing else.
func boolean(field func(*Config) *bool) setter {
	return func(c *Config, value string) error {
		switch strings.ToLower(value) {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return fmt.Errorf("%w: %q: want true or false%s", fault.Invalid, value, nearest.Hint(value, []string{"true", "false"}))
		}
		return nil
	}
}

func size(field func(*Config) *int64) setter {
	return func(c *Config, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("%w: %q: want a number of bytes from 1", fault.Invalid, value)
		}
		*field(c) = n
		return nil
	}
}

func text(field func(*Config) *string) setter {
	return func(c *Config, value string) error {
		*field(c) = value
		return nil
	}
}

func header(name string) setter {
	return func(c *Config, value string) error {
		o := &c.Server
		if value != "" {
			if o.Header == nil {
				o.Header = map[string]string{}
			}
			o.Header[name] = value
		}
		return nil
	}
}

func patterns(c *Config, value string) error {
	for text := range strings.SplitSeq(value, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		pattern, err := regexp.Compile("(?i)^(?:" + text + ")$")
		if err != nil {
			return fmt.Errorf("%w: %w; want a regular expression of Go's, which are Java's without look-around and back references", fault.Invalid, err)
		}
		c.Server.AllowedURLs = append(c.Server.AllowedURLs, pattern)
	}
	return nil
}

func snapshots(c *Config, value string) error {
	return choice(value, map[string]func(){
		"true": func() { c.Snapshots = true }, "false": func() { c.Snapshots = false }, auto: func() {},
	})
}

// models reads all, none, or a list; spaces around its parts do not count.
func models(c *Config, value string) error {
	o := &c.Server
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "all":
		o.All = true
		return nil
	case "none", "":
		return nil
	}
	for part := range strings.SplitSeq(value, ",") {
		name, location, named := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !named && name == "":
			continue
		case !named:
			name, location = "", name
		case name == "" || location == "":
			return fmt.Errorf("%w: %q: want a name, a path, or name=path", fault.Invalid, part)
		}
		o.Models = append(o.Models, server.Startup{Name: name, Location: location})
	}
	return nil
}
