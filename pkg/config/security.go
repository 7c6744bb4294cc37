package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/server"
)

// auto is the value by which a switch goes by the addresses.
const auto = "auto"

// security returns the settings of who may do what.
func security() []Setting {
	password := own("keystore_pass", "", "password of the keystore, better given by the environment; changeit where it is empty", text(func(c *Config) *string { return &c.Server.TLS.KeystorePass }))
	password.secret = true
	return []Setting{
		toggle(own("enable_model_api", auto, "whether models can be registered and unregistered; auto: while the management addresses are of this machine alone", modelAPI)),
		toggle(flagged(own("disable_token_authorization", auto, "whether callers need no key; auto: while all addresses are of this machine alone", tokens), "disable-token-auth")),
		own("token_expiration_min", "60", "minutes that the inference and the management key hold", minutes),
		added("key_file", "key_file.json", "where the keys of the callers are written, for the user of the server alone to read", text(func(c *Config) *string { return &c.Server.Keys.File })),
		added("token_failure_status", "401", "status of the answer to a caller without the key: 401, or TorchServe's 400", failureStatus),
		own("certificate_file", "", "PEM file with the certificate of the addresses with TLS, which are https:// or gRPC's; without it and a keystore one is made", text(func(c *Config) *string { return &c.Server.TLS.Certificate })),
		own("private_key_file", "", "PEM file with the certificate's key", text(func(c *Config) *string { return &c.Server.TLS.Key })),
		own("keystore", "", "PKCS #12 file with key and certificate, in the place of PEM files", text(func(c *Config) *string { return &c.Server.TLS.Keystore })),
		password,
		own("keystore_type", "PKCS12", "type of the keystore", text(func(c *Config) *string { return &c.Server.TLS.KeystoreType })),
		added("client_ca_file", "", "PEM file with the authority that has to have signed the certificates of callers of the addresses with TLS; without it they need none", text(func(c *Config) *string { return &c.Server.TLS.ClientCA })),
		toggle(own("enable_grpc_ssl", "false", "whether the gRPC addresses have TLS", boolean(func(c *Config) *bool { return &c.Server.GRPCTLS }))),
	}
}

// choice reads auto, true or false.
func choice(value string, then map[string]func()) error {
	set, known := then[strings.ToLower(value)]
	if !known {
		return fmt.Errorf("%w: %q: want true, false or auto%s", fault.Invalid, value, nearest.Hint(value, []string{"true", "false", auto}))
	}
	set()
	return nil
}

func modelAPI(c *Config, value string) error {
	return choice(value, map[string]func(){
		"true": func() { c.Server.ModelAPI = true }, "false": func() {}, auto: func() { c.Server.LocalModelAPI = true },
	})
}

func tokens(c *Config, value string) error {
	return choice(value, map[string]func(){
		"true":  func() { c.Server.Keys.Need = server.NeedNever },
		"false": func() { c.Server.Keys.Need = server.NeedAlways },
		auto:    func() { c.Server.Keys.Need = server.NeedRemote },
	})
}

func minutes(c *Config, value string) error {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n*float64(time.Minute) >= 1 && n < float64(math.MaxInt64/time.Minute)) {
		return fmt.Errorf("%w: %q: want minutes, more than 0", fault.Invalid, value)
	}
	c.Server.Keys.Life = time.Duration(n * float64(time.Minute))
	return nil
}

func failureStatus(c *Config, value string) error {
	switch value {
	case "401":
	case "400":
		c.Server.Keys.TorchServe = true
	default:
		return fmt.Errorf("%w: %q: want 401 or 400", fault.Invalid, value)
	}
	return nil
}
