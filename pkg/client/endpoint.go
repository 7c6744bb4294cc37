package client

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"

	"github.com/tsgo/tsgo/pkg/model"
)

// Endpoint is where and how a model is asked by who writes the requests itself, as a load generator does.
type Endpoint struct {
	URL    *url.URL
	Header http.Header // with the client's token, where that may be sent there
	TLS    *tls.Config // nil: the system's authorities
}

// Endpoint finds out where predictions of a model are asked for.
func (c *Client) Endpoint(ctx context.Context, ref model.Ref) (Endpoint, error) {
	if err := ref.Check(); err != nil {
		return Endpoint{}, err
	}
	base, err := c.address(ctx, inference)
	if err != nil {
		return Endpoint{}, err
	}
	path := []string{"predictions", ref.Name}
	if ref.Version != "" {
		path = append(path, ref.Version)
	}
	e := Endpoint{URL: base.JoinPath(path...), Header: http.Header{}}
	if c.token != "" && c.trusts(base) {
		e.Header.Set("Authorization", "Bearer "+c.token)
	}
	if transport, ok := c.http.Transport.(*http.Transport); ok && transport.TLSClientConfig != nil {
		e.TLS = transport.TLSClientConfig.Clone()
		e.TLS.NextProtos = nil // what HTTP/2 has put there
	}
	return e, nil
}
