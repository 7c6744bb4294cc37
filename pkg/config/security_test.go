package config_test

import (
	"time"

	"github.com/tsgo/tsgo/pkg/server"
)

// securityRows are the settings of who may do what.
func securityRows() []row {
	path := func(field func(o *server.Options) *string) map[string]func(o *server.Options) {
		return map[string]func(o *server.Options){"/a b/c": func(o *server.Options) { *field(o) = "/a b/c" }}
	}
	need := func(n server.Need) func(o *server.Options) { return func(o *server.Options) { o.Keys.Need = n } }
	modelAPI := func(always, local bool) func(o *server.Options) {
		return func(o *server.Options) { o.ModelAPI, o.LocalModelAPI = always, local }
	}
	noChoice := []string{"yes", "1", "on"}
	return []row{
		{
			"enable_model_api",
			map[string]func(o *server.Options){"auto": modelAPI(false, true), "TRUE": modelAPI(true, false), "false": modelAPI(false, false)},
			noChoice, "want true, false or auto",
		},
		{
			"disable_token_authorization",
			map[string]func(o *server.Options){"auto": need(server.NeedRemote), "True": need(server.NeedNever), "false": need(server.NeedAlways)},
			noChoice, "want true, false or auto",
		},
		{
			"token_expiration_min",
			map[string]func(o *server.Options){
				"30":  func(o *server.Options) { o.Keys.Life = 30 * time.Minute },
				"0.5": func(o *server.Options) { o.Keys.Life = 30 * time.Second },
			},
			[]string{"0", "-1", "an hour", "NaN", "Inf", "1e300", "1e-15"},
			"want minutes, more than 0",
		},
		{"key_file", path(func(o *server.Options) *string { return &o.Keys.File }), nil, ""},
		{
			"token_failure_status",
			map[string]func(o *server.Options){"401": func(*server.Options) {}, "400": func(o *server.Options) { o.Keys.TorchServe = true }},
			[]string{"403", "401 "},
			"want 401 or 400",
		},
		{"certificate_file", path(func(o *server.Options) *string { return &o.TLS.Certificate }), nil, ""},
		{"private_key_file", path(func(o *server.Options) *string { return &o.TLS.Key }), nil, ""},
		{"keystore", path(func(o *server.Options) *string { return &o.TLS.Keystore }), nil, ""},
		{"keystore_pass", path(func(o *server.Options) *string { return &o.TLS.KeystorePass }), nil, ""},
		{"keystore_type", path(func(o *server.Options) *string { return &o.TLS.KeystoreType }), nil, ""},
		{
			"enable_grpc_ssl",
			map[string]func(o *server.Options){"TRUE": func(o *server.Options) { o.GRPCTLS = true }, "false": func(*server.Options) {}},
			noChoice, "want true or false",
		},
		{"client_ca_file", path(func(o *server.Options) *string { return &o.TLS.ClientCA }), nil, ""},
	}
}
