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

// noTokens is the setting that turns keys on and off.
const noTokens = "disable_token_authorization"

// auto is the value by which a switch goes by the addresses.
const auto = "auto"

// security returns the settings of who may do what.
func security() []Setting {
	return []Setting{
		{"enable_model_api", auto, "whether models can be registered and unregistered; auto: while the management address is of this machine alone", modelAPI},
		{noTokens, auto, "whether callers need no key; auto: while all addresses are of this machine alone", tokens},
		{"token_expiration_min", "60", "minutes that the inference and the management key hold", minutes},
		{"key_file", "key_file.json", "where the keys of the callers are written, for the user of the server alone to read", text(func(o *server.Options) *string { return &o.Keys.File })},
		{"token_failure_status", "401", "status of the answer to a caller without the key: 401, or TorchServe's 400", failureStatus},
		{"certificate_file", "", "PEM file with the certificate of the addresses that are https://; without it and a keystore one is made", text(func(o *server.Options) *string { return &o.TLS.Certificate })},
		{"private_key_file", "", "PEM file with the certificate's key", text(func(o *server.Options) *string { return &o.TLS.Key })},
		{"keystore", "", "PKCS #12 file with key and certificate, in the place of PEM files", text(func(o *server.Options) *string { return &o.TLS.Keystore })},
		{"keystore_pass", "", "password of the keystore, better given by the environment; changeit where it is empty", text(func(o *server.Options) *string { return &o.TLS.KeystorePass })},
		{"keystore_type", "PKCS12", "type of the keystore", text(func(o *server.Options) *string { return &o.TLS.KeystoreType })},
		{"client_ca_file", "", "PEM file with the authority that has to have signed the certificates of callers of https:// addresses; without it they need none", text(func(o *server.Options) *string { return &o.TLS.ClientCA })},
	}
}

func text(field func(*server.Options) *string) func(*server.Options, string) error {
	return func(o *server.Options, value string) error {
		*field(o) = value
		return nil
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

func modelAPI(o *server.Options, value string) error {
	return choice(value, map[string]func(){
		"true": func() { o.ModelAPI = true }, "false": func() {}, auto: func() { o.LocalModelAPI = true },
	})
}

func tokens(o *server.Options, value string) error {
	return choice(value, map[string]func(){
		"true":  func() { o.Keys.Need = server.NeedNever },
		"false": func() { o.Keys.Need = server.NeedAlways },
		auto:    func() { o.Keys.Need = server.NeedRemote },
	})
}

func minutes(o *server.Options, value string) error {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n*float64(time.Minute) >= 1 && n < float64(math.MaxInt64/time.Minute)) {
		return fmt.Errorf("%w: %q: want minutes, more than 0", fault.Invalid, value)
	}
	o.Keys.Life = time.Duration(n * float64(time.Minute))
	return nil
}

func failureStatus(o *server.Options, value string) error {
	switch value {
	case "401":
	case "400":
		o.Keys.TorchServe = true
	default:
		return fmt.Errorf("%w: %q: want 401 or 400", fault.Invalid, value)
	}
	return nil
}
