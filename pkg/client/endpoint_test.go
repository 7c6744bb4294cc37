package client_test

import (
	"errors"
	"testing"

	"github.com/tsgo/tsgo/pkg/client"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// TestEndpoint tells where a model is asked for, with the key.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	c, err := client.New(client.Options{Inference: "https://h:1/tsgo", Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for want, ref := range map[string]model.Ref{
		"https://h:1/tsgo/predictions/m": {Name: "m"}, "https://h:1/tsgo/predictions/m/2.0": {Name: "m", Version: "2.0"},
	} {
		e, err := c.Endpoint(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if e.URL.String() != want || e.Header.Get("Authorization") != "Bearer secret" || e.TLS == nil {
			t.Errorf("%v: %s, %v, want %s", ref, e.URL, e.Header, want)
		}
	}
	if _, err := c.Endpoint(t.Context(), model.Ref{Name: "../m"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("error %v, want %v", err, fault.Invalid)
	}
}
