package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/server"
)

// settings returns every setting that there is: those with a flag, and those that only a file has.
func settings() []Setting {
	return slices.Concat(Table(), acted(), switches(), sequences(), ports(), python(), process(), observing())
}

// inFile returns a setting of TorchServe's that has no flag.
func inFile(state State, key, byDefault, help string, set setter) Setting {
	return Setting{Key: key, Default: byDefault, Help: help, state: state, set: set, torchserve: variableOf(key)}
}

// variableOf returns TorchServe's variable for a key.
func variableOf(key string) string {
	if key == "token_expiration_min" {
		return "TS_TOKEN_EXPIRATION_TIME_MIN"
	}
	return "TS_" + strings.ToUpper(strings.TrimPrefix(key, "ts_"))
}

// only returns a setting that no variable can change.
func only(s Setting) Setting {
	s.torchserve = ""
	return s
}

// flagged returns a setting with a flag, of TorchServe's, that the command line defines.
func flagged(s Setting, flag string) Setting {
	s.flag = flag
	return s
}

func nothing(key, why string) Setting { return inFile(Nothing, key, "", why, nil) }

// acted are the settings that do what they do in TorchServe.
func acted() []Setting {
	store := inFile(Used, "model_store", "", "the directory of models", text(func(c *Config) *string { return &c.Store.Path }))
	store.env = prefix + "MODEL_STORE"
	return []Setting{
		flagged(store, "model-store"),
		inFile(Used, "disable_system_metrics", "false", "whether the host's load is left out of the metrics", boolean(func(c *Config) *bool { return &c.Server.NoSystemMetrics })),
		only(inFile(Used, "models", "", "what a model has, by name and version, where its manifest says nothing", perModel)),
		only(inFile(Used, kept, "", "the models of a snapshot, which are served in place of load_models", restored)),
		only(inFile(Used, base, "", "in a snapshot, the file that its passwords are read from", nil)),
	}
}

// switches are the settings that say what else counts.
func switches() []Setting {
	ignored := new(bool)
	toggle := boolean(func(*Config) *bool { return ignored })
	return []Setting{
		only(inFile(Used, "enable_envvars_config", "false", "whether TorchServe's variables TS_ count, and count most", toggle)),
		only(inFile(Used, "use_env_allowed_urls", "false", "whether TS_ALLOWED_URLS counts among them", toggle)),
	}
}

// sequences are the names of the headers of requests that belong together.
func sequences() []Setting {
	const why = "a model keeps nothing from one request to the next, so that those of a sequence are answered each by itself"
	return []Setting{
		inFile(Nothing, "ts_header_key_sequence_id", "ts_request_sequence_id", why, nil),
		inFile(Nothing, "ts_header_key_sequence_start", "ts_request_sequence_start", why, nil),
		inFile(Nothing, "ts_header_key_sequence_end", "ts_request_sequence_end", why, nil),
	}
}

// ports are the settings of gRPC that have no flag.
func ports() []Setting {
	all := []Setting{
		nothing("ts_open_inference_protocol", "the Open Inference Protocol is always served"),
	}
	for _, api := range []struct {
		name, port string
		address    func(o *server.Options) *string
		life       func(o *server.Options) *server.Life
	}{
		{"grpc_inference", "7070", func(o *server.Options) *string { return &o.GRPCInference }, func(o *server.Options) *server.Life { return &o.GRPCInferenceLife }},
		{"grpc_management", "7071", func(o *server.Options) *string { return &o.GRPCManagement }, func(o *server.Options) *server.Life { return &o.GRPCManagementLife }},
	} {
		all = append(
			all,
			inFile(Used, api.name+"_port", api.port, "port of "+api.name+"_address, where that names none", grpcPort(api.name, api.port, api.address)),
			inFile(Used, api.name+"_max_connection_age_ms", "", "milliseconds after which a connection of "+api.name+"_address takes no more calls", age(func(c *Config) *time.Duration { return &api.life(&c.Server).Age })),
			inFile(Used, api.name+"_max_connection_age_grace_ms", "", "milliseconds that the calls of such a connection have to end", age(func(c *Config) *time.Duration { return &api.life(&c.Server).Grace })),
		)
	}
	return all
}

// python are the settings of TorchServe's workers and handlers, which are Python processes there.
func python() []Setting {
	const (
		workers = "a worker is a place in this process, and no Python process"
		cpus    = "a model runs on the CPU; --threads says on how much of it"
	)
	return []Setting{
		nothing("number_of_gpu", cpus),
		nothing("limit_max_image_pixels", "a picture's pixels are always limited"),
		nothing("decode_input_request", "a handler is given the bytes of a request and decodes them itself"),
		nothing("service_envelope", "the path of a request says how its body is read"),
		nothing("install_py_dep_per_model", "a handler is part of tsgo, and needs no Python packages"),
		nothing("blacklist_env_vars", workers),
		nothing("initial_worker_port", workers),
		nothing("initial_distribution_port", workers),
		nothing("debug", workers),
		nothing("ipex_enable", cpus),
		nothing("ipex_gpu_enable", cpus),
		nothing("cpu_launcher_enable", cpus),
		nothing("cpu_launcher_args", cpus),
		flagged(nothing("cpp_log_config", "there are no C++ workers"), "cpp-log-config"),
		only(nothing("python", "there is no Python")),
		only(nothing("NUM_WORKERS", "it is in TorchServe's examples and does nothing there either; see default_workers_per_model")),
	}
}

// process are the settings of TorchServe's own process, a Java virtual machine.
func process() []Setting {
	const netty = "the network is Go's, and not Netty: each connection is served as it comes"
	return []Setting{
		nothing("number_of_netty_threads", netty),
		nothing("netty_client_threads", netty),
		nothing("prefer_direct_buffer", netty),
		only(nothing("use_native_io", netty)),
		only(nothing("io_ratio", netty)),
		only(nothing("vmargs", "there is no Java virtual machine; GOMAXPROCS and GOMEMLIMIT limit a Go process")),
		only(nothing("snapshot_store", "snapshots are files beside the log; there are no plug-ins to keep them elsewhere")),
		only(inFile(Used, "version", "", "in a snapshot, which release wrote it", nil)),
		flagged(only(nothing("plugins_path", "there are no Java plug-ins")), "plugins-path"),
		nothing("model_server_home", "tsgo is one file, wherever it lies"),
		flagged(nothing("workflow_store", "workflows are not served; a client asks one model after the other"), "workflow-store"),
		only(nothing("async_logging", "a log line is written when it happens")),
	}
}

// observing are the settings of TorchServe's metrics that mean nothing here.
func observing() []Setting {
	const page = "metrics are made when the metrics page is read, and not written to a log"
	return []Setting{
		nothing("metrics_config", "the metrics are tsgo's own, all that TorchServe has among them"),
		nothing("metrics_mode", page),
		only(nothing("metrics_format", "the metrics are in Prometheus's text format, or in OpenMetrics for who asks for it")),
		nothing("model_metrics_auto_detect", "a handler makes no metrics of its own"),
		only(nothing("system_metrics_cmd", "the host's load is read without a command")),
		only(nothing("metric_time_interval", page)),
	}
}

// age reads milliseconds. What a duration cannot hold is no limit: TorchServe's default is as long.
func age(field func(*Config) *time.Duration) setter {
	return func(c *Config, value string) error {
		ms, err := strconv.ParseInt(value, 10, 64)
		if err != nil || ms < 1 {
			return fmt.Errorf("%w: %q: want milliseconds from 1", fault.Invalid, value)
		}
		if ms <= math.MaxInt64/int64(time.Millisecond) {
			*field(c) = time.Duration(ms) * time.Millisecond
		}
		return nil
	}
}
