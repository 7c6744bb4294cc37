package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// A Unix socket has a path and no host. In here it goes as the host that socketHost makes of the path, and only what dials
// and what tells a person take it for what it is.
const (
	socketScheme = "unix:"
	socketDomain = ".unix-socket"
)

// parseSocket reads unix:/PATH, or unix:///PATH.
func parseSocket(text string) (*url.URL, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(text, socketScheme), "//")
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: server address %q: want unix: and the absolute path of a socket, as in unix:/run/tsgo.sock", fault.Invalid, text)
	}
	return &url.URL{Scheme: scheme, Host: hex.EncodeToString([]byte(filepath.Clean(path))) + socketDomain}, nil
}

// socketOf returns the path of the socket that a host stands for, and whether it does.
func socketOf(host string) (path string, ok bool) {
	name, ok := strings.CutSuffix(host, socketDomain)
	if !ok {
		return "", false
	}
	text, err := hex.DecodeString(name)
	return string(text), err == nil && filepath.IsAbs(string(text))
}

func isSocket(u *url.URL) bool {
	_, ok := socketOf(u.Hostname())
	return ok
}

// shown returns an address as a person writes it.
func shown(u *url.URL) string {
	if path, ok := socketOf(u.Hostname()); ok {
		return socketScheme + path
	}
	return u.Scheme + "://" + u.Host
}

// dial connects to a host and port, or to a socket.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	if path, ok := socketOf(host); ok {
		network, address = "unix", path
	}
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address) //nolint:wrapcheck // net/http looks at it
}

// proxy returns the proxy of a request; a socket has none.
func proxy(r *http.Request) (*url.URL, error) {
	if isSocket(r.URL) {
		return nil, nil //nolint:nilnil // so net/http wants it
	}
	return http.ProxyFromEnvironment(r) //nolint:wrapcheck // net/http looks at it
}
