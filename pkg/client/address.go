package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// part is one of the three APIs.
type part int

// The APIs, in the order of their usual ports.
const (
	inference part = iota
	management
	metrics
)

// usualPort is the port of the inference API where nothing was configured; the others follow it.
const usualPort = 8080

// addresses are where the APIs are.
type addresses [3]*url.URL

const (
	scheme    = "http"
	schemeTLS = "https"
)

// parseAddress reads http://HOST[:PORT][/PATH], or https, or unix:/PATH. HOST:PORT alone is http, and the /metrics that stands behind the
// address of metrics wherever Prometheus is set up is no part of it.
func parseAddress(text string) (*url.URL, error) {
	if strings.HasPrefix(text, socketScheme) {
		return parseSocket(text)
	}
	whole := text
	if !strings.Contains(whole, "://") {
		whole = scheme + "://" + whole
	}
	u, err := url.Parse(whole)
	switch {
	case err != nil || u.Scheme != scheme && u.Scheme != schemeTLS || u.Hostname() == "" || strings.HasSuffix(u.Host, ":"):
		return nil, fmt.Errorf("%w: server address %q: want http://HOST:PORT, as %s is, or unix:/PATH", fault.Invalid, text, DefaultServer)
	case u.User != nil:
		return nil, fmt.Errorf("%w: server address %q: want no user and no password; a token goes by --token", fault.Invalid, u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: server address %q: want it without what follows ? or #", fault.Invalid, text)
	}
	if n, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || n < 1 || n > maxPort) {
		return nil, fmt.Errorf("%w: server address %q: port %s is none, want 1 to %d", fault.Invalid, text, u.Port(), maxPort)
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/metrics")
	return u, nil
}

const maxPort = 65535

// address returns where an API is, which is found once. A failure to find it is not remembered.
func (c *Client) address(ctx context.Context, which part) (*url.URL, error) {
	if u := c.given[which]; u != nil {
		return u, nil
	}
	if found := c.found.Load(); found != nil {
		return found[which], nil
	}
	select {
	case c.finding <- struct{}{}:
		defer func() { <-c.finding }()
	case <-ctx.Done():
		return nil, c.unreachable(ctx, c.server, ctx.Err())
	}
	if found := c.found.Load(); found != nil {
		return found[which], nil
	}
	found, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	c.found.Store(&found)
	return found[which], nil
}

// description is what of an OpenAPI document tells where the APIs are.
type description struct {
	Servers []struct {
		URL         string `json:"url"`
		Description string `json:"description"`
	} `json:"servers"`
	Paths map[string]json.RawMessage `json:"paths"`
}

// find asks the server that was named for where the APIs are. What has no description, a proxy say, is judged by its port.
func (c *Client) find(ctx context.Context) (addresses, error) {
	a, err := c.send(ctx, c.server, call{method: http.MethodGet, path: []string{"api-description"}, again: true})
	if err != nil {
		return addresses{}, err
	}
	var d description
	switch {
	case a.code == http.StatusNotFound || a.code == http.StatusMethodNotAllowed:
	case a.failure() != nil:
		return addresses{}, a.failure()
	default:
		_ = json.Unmarshal(a.body, &d) // what is no description tells nothing
	}
	return c.listed(d, neighbours(c.server, d.Paths)), nil
}

// listed returns the addresses that the server lists, and otherwise those that were guessed. A list without the address
// that was named is of a server behind something that moves its ports: the addresses mean nothing from here.
func (c *Client) listed(d description, guessed addresses) addresses {
	all, knows := guessed, false
	for _, server := range d.Servers {
		which, ok := named(server.Description)
		u := c.resolve(server.URL)
		if !ok || u == nil {
			continue
		}
		all[which] = u
		knows = knows || u.Host == c.server.Host
	}
	if !knows {
		return guessed
	}
	return all
}

func named(description string) (which part, ok bool) {
	switch description {
	case "inference":
		return inference, true
	case "management":
		return management, true
	case "metrics":
		return metrics, true
	}
	return 0, false
}

// resolve reads an address as a server lists it; nil for one that is of no use. A server knows itself as 0.0.0.0 or as
// 127.0.0.1: from here, its host is the one that was named.
func (c *Client) resolve(listed string) *url.URL {
	u, err := parseAddress(listed)
	switch here := isSocket(c.server); {
	case err != nil || isSocket(u) && !here: // nobody elsewhere says which socket of this machine to write to
		return nil
	case isLoopback(u) && !here:
		return withPort(u, c.server.Hostname(), u.Port())
	}
	return u
}

// isLoopback tells whether a host is, as it knows itself, the machine that it is on.
func isLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback())
}

// neighbours returns where the APIs are by the port of one of them, and by what it answers.
func neighbours(server *url.URL, paths map[string]json.RawMessage) addresses {
	all := addresses{server, server, server}
	_, predicts := paths["/predictions/{model_name}"]
	_, manages := paths["/models"]
	_, measures := paths["/metrics"]
	port, err := strconv.Atoi(server.Port())
	if err != nil || predicts && manages { // behind one address, or all APIs on one port
		return all
	}
	which := inference
	switch {
	case manages:
		which = management
	case measures && !predicts:
		which = metrics
	case !predicts && port > usualPort && port <= usualPort+int(metrics):
		which = part(port - usualPort)
	}
	for other := range all {
		if other := part(other); other != which {
			all[other] = withPort(server, server.Hostname(), strconv.Itoa(port+int(other-which)))
		}
	}
	return all
}

// withPort returns u at another host and port; without a port where that is empty.
func withPort(u *url.URL, host, port string) *url.URL {
	moved := *u
	switch {
	case port != "":
		moved.Host = net.JoinHostPort(host, port)
	case net.ParseIP(host).To4() == nil && net.ParseIP(host) != nil:
		moved.Host = "[" + host + "]"
	default:
		moved.Host = host
	}
	return &moved
}
