// Package config reads how a server is to be set up, from flags and environment, into server.Options. Each setting is one
// row of a table, with TorchServe's name where TorchServe has it.
package config

import (
	"fmt"
	"math"
	"net/url"
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
	Key     string // TorchServe's, or in its manner
	Default string
	Help    string

	set func(o *server.Options, value string) error
}

// Flag returns the setting's flag, without the dashes.
func (s Setting) Flag() string {
	if s.Key == noTokens { // TorchServe calls its flag otherwise
		return "disable-token-auth"
	}
	return strings.ReplaceAll(s.Key, "_", "-")
}

// Env returns the setting's environment variable.
func (s Setting) Env() string { return prefix + strings.ToUpper(s.Key) }

const prefix = "TSGO_"

// Table returns the settings, in the order in which help shows them.
func Table() []Setting {
	return append([]Setting{
		{"inference_address", "http://127.0.0.1:8080", "where predictions and explanations are answered", address(func(o *server.Options) *string { return &o.Inference })},
		{"management_address", "http://127.0.0.1:8081", "where models are registered and scaled", address(func(o *server.Options) *string { return &o.Management })},
		{"metrics_address", "http://127.0.0.1:8082", "where Prometheus reads", address(func(o *server.Options) *string { return &o.Metrics })},
		{"port_offset", "0", "added to the three ports", integer(func(o *server.Options) *int { return &o.PortOffset }, 0)},
		{"models", "all", "what is served from the start: all, none, or names, paths and name=path, separated by commas", models},
		{"default_workers_per_model", "0", "workers of a model that says none; 0: one for each core at the start, and none when it is registered", integer(func(o *server.Options) *int { return &o.Workers }, 0)},
		{"threads", "0", "threads of one run of a network; 0: the cores, shared among the model's workers", integer(func(o *server.Options) *int { return &o.Threads }, 0)},
		{"job_queue_size", "100", "requests of a model that wait at most", integer(func(o *server.Options) *int { return &o.Queue }, 1)},
		{"default_response_timeout", "120", "seconds that a batch may run", seconds(func(o *server.Options) *time.Duration { return &o.ResponseTimeout })},
		{"default_startup_timeout", "120", "seconds that a model may take to load", seconds(func(o *server.Options) *time.Duration { return &o.StartupTimeout })},
		{"unregister_model_timeout", "120", "seconds that the requests of a model have to end when it goes", seconds(func(o *server.Options) *time.Duration { return &o.UnregisterTimeout })},
		{"drain", "30", "seconds that requests have to end when the server stops", seconds(func(o *server.Options) *time.Duration { return &o.Drain })},
		{"max_request_size", "6553500", "bytes of a request's body at most", size},
		{"enable_metrics_api", "true", "whether there is a metrics address", boolean(func(o *server.Options) *bool { return &o.MetricsAPI })},
		{"allowed_urls", "", "regular expressions, separated by commas, of the URLs that models may be registered from; empty: none outside the store", patterns},
		{"cors_allowed_origin", "", "Access-Control-Allow-Origin of every answer", header("Access-Control-Allow-Origin")},
		{"cors_allowed_methods", "", "Access-Control-Allow-Methods of every answer", header("Access-Control-Allow-Methods")},
		{"cors_allowed_headers", "", "Access-Control-Allow-Headers of every answer", header("Access-Control-Allow-Headers")},
	}, security()...)
}

// Read fills in the options that the settings make: a flag's value where it was given, else the environment's, else the
// default. It returns [fault.Invalid], naming the setting and where its value came from, for a value that cannot be used.
func Read(o *server.Options, flag func(name string) (value string, given bool), env func(name string) string) error {
	for _, s := range Table() {
		value, from := s.Default, "the default"
		if v := env(s.Env()); v != "" {
			value, from = v, s.Env()
		}
		if v, given := flag(s.Flag()); given {
			value, from = v, "--"+s.Flag()
		}
		if err := s.set(o, value); err != nil {
			return fmt.Errorf("%s (from %s): %w", s.Key, from, err)
		}
	}
	return nil
}

// Unknown returns what is wrong with the variables of an environment, NAME=VALUE each, that look like settings and are none:
// a line each, in the order of their names, with what was probably meant. The others are variables that something else reads.
func Unknown(environ []string, others ...string) []string {
	known := slices.Clone(others)
	for _, s := range Table() {
		known = append(known, s.Env())
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

// address reads http://HOST:PORT, HOST:PORT, or https://HOST:PORT for TLS.
func address(field func(*server.Options) *string) func(*server.Options, string) error {
	return func(o *server.Options, value string) error {
		text := value
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(text)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", fault.Invalid, err)
		case u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("%w: %q: want http://HOST:PORT, or https:// for TLS", fault.Invalid, value)
		case u.Host == "" || u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return fmt.Errorf("%w: %q: want http://HOST:PORT, as in http://127.0.0.1:8080", fault.Invalid, value)
		}
		if port, err := strconv.Atoi(u.Port()); err != nil || port < 0 || port > 65535 {
			return fmt.Errorf("%w: %q: want a port from 0 to 65535", fault.Invalid, value)
		}
		*field(o) = u.Host
		if u.Scheme == "https" {
			*field(o) = "https://" + u.Host
		}
		return nil
	}
}

func integer(field func(*server.Options) *int, least int) func(*server.Options, string) error {
	return func(o *server.Options, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least {
			return fmt.Errorf("%w: %q: want a whole number from %d", fault.Invalid, value, least)
		}
		*field(o) = n
		return nil
	}
}

// seconds reads a number of seconds, or a duration as Go writes it, as in 1m30s.
func seconds(field func(*server.Options) *time.Duration) func(*server.Options, string) error {
	return func(o *server.Options, value string) error {
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
		*field(o) = d
		return nil
	}
}

// boolean reads true and false in any case, as TorchServe does, and nothing else.
func boolean(field func(*server.Options) *bool) func(*server.Options, string) error {
	return func(o *server.Options, value string) error {
		switch strings.ToLower(value) {
		case "true":
			*field(o) = true
		case "false":
			*field(o) = false
		default:
			return fmt.Errorf("%w: %q: want true or false%s", fault.Invalid, value, nearest.Hint(value, []string{"true", "false"}))
		}
		return nil
	}
}

func size(o *server.Options, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1 {
		return fmt.Errorf("%w: %q: want a number of bytes from 1", fault.Invalid, value)
	}
	o.MaxBody = n
	return nil
}

func header(name string) func(*server.Options, string) error {
	return func(o *server.Options, value string) error {
		if value != "" {
			if o.Header == nil {
				o.Header = map[string]string{}
			}
			o.Header[name] = value
		}
		return nil
	}
}

func patterns(o *server.Options, value string) error {
	for text := range strings.SplitSeq(value, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		pattern, err := regexp.Compile("(?i)^(?:" + text + ")$")
		if err != nil {
			return fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		o.AllowedURLs = append(o.AllowedURLs, pattern)
	}
	return nil
}

// models reads all, none, or a list; spaces around its parts do not count.
func models(o *server.Options, value string) error {
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
