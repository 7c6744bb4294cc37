// Package client asks a running server: the three APIs, called. A [Client] keeps model.Predictor and model.Manager, so that
// whoever asks need not know whether a model is in this process or in another.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Options say which server is asked, and how.
type Options struct {
	Server  string        // the URL of any of its three APIs; the others are found
	Token   string        // sent as a bearer token; "": none
	CA      []byte        // PEM certificates to trust beside the system's; nil: none
	Timeout time.Duration // of a whole call; 0: as long as its context lasts
	MaxBody int64         // bytes of an answer at most; 0: 1 GiB
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	opts   Options
	server *url.URL
	http   *http.Client

	mu   sync.Mutex        // guards apis
	apis map[string]string // base URLs by API; nil until one has been looked for
}

const defaultMaxBody = 1 << 30

// New returns a client. It returns [fault.Invalid] for a URL or certificates that cannot be used; whether there is a server
// shows when it is asked.
func New(opts Options) (*Client, error) {
	text := opts.Server
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: server %q: want a URL, as in http://127.0.0.1:8080", fault.Invalid, opts.Server)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
	if len(opts.CA) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(opts.CA) {
			return nil, fmt.Errorf("%w: the CA file holds no PEM certificate", fault.Invalid)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if opts.MaxBody <= 0 {
		opts.MaxBody = defaultMaxBody
	}
	return &Client{
		opts: opts, server: &url.URL{Scheme: u.Scheme, Host: u.Host},
		http: &http.Client{Transport: transport, Timeout: opts.Timeout, CheckRedirect: sameHost},
	}, nil
}

// sameHost follows no redirect to another host: the token is for the one that was named.
func sameHost(next *http.Request, via []*http.Request) error {
	if next.URL.Host != via[0].URL.Host || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// Close drops the connections that are kept.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Predict asks a model, or for an explanation, as the request's mode says.
func (c *Client) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	body, contentType, err := encode(req.Inputs)
	if err != nil {
		return nil, err
	}
	route := "/predictions/"
	if req.Mode == model.ModeExplain {
		route = "/explanations/"
	}
	query := url.Values{}
	for name, value := range req.Params {
		query.Set(name, value)
	}
	resp, err := c.do(ctx, call{inferenceAPI, http.MethodPost, route + ref.String() + "?" + query.Encode(), contentType, body})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	text, err := c.read(resp)
	if err != nil {
		return nil, err
	}
	out := &model.Response{ContentType: resp.Header.Get("Content-Type"), Body: text, Header: map[string]string{}}
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-") {
			out.Header[name] = resp.Header.Get(name)
		}
	}
	return out, nil
}

// encode returns the body of a request: its one unnamed input as it is, or a form of all.
func encode(inputs []model.Input) (body []byte, contentType string, err error) {
	for _, in := range inputs {
		if in.Tensor != nil {
			return nil, "", fmt.Errorf("%w: input %q is a tensor, which this protocol does not carry", fault.Unsupported, in.Name)
		}
	}
	if len(inputs) == 1 && (inputs[0].Name == "" || inputs[0].Name == "body" || inputs[0].Name == "data") {
		contentType = inputs[0].ContentType
		if contentType == "" {
			contentType = "application/octet-stream"
		}
		return inputs[0].Data, contentType, nil
	}
	var out bytes.Buffer
	form := multipart.NewWriter(&out)
	for _, in := range inputs {
		header := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition(in.Name, in.Name)}}
		if in.ContentType != "" {
			header.Set("Content-Type", in.ContentType)
		}
		part, err := form.CreatePart(header)
		if err == nil {
			_, err = part.Write(in.Data)
		}
		if err != nil {
			return nil, "", fmt.Errorf("%w: input %q: %w", fault.Invalid, in.Name, err)
		}
	}
	if err := form.Close(); err != nil {
		return nil, "", fmt.Errorf("%w: form: %w", fault.Invalid, err)
	}
	return out.Bytes(), form.FormDataContentType(), nil
}

// Metrics returns the server's metrics as Prometheus reads them.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	resp, err := c.do(ctx, call{api: metricsAPI, method: http.MethodGet, path: "/metrics"})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	return c.read(resp)
}

// The three APIs.
const (
	inferenceAPI  = "inference"
	managementAPI = "management"
	metricsAPI    = "metrics"
)

// call is one request to an API.
type call struct {
	api, method, path, contentType string
	body                           []byte
}

// do sends a request to an API and returns an answer with a status below 400. Everything else is an error of the kind that
// the answer tells.
func (c *Client) do(ctx context.Context, this call) (*http.Response, error) {
	base, err := c.base(ctx, this.api)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, base, this)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // ReadError has read it
	return nil, api.ReadError(resp)
}

func (c *Client) send(ctx context.Context, base string, this call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, this.method, base+this.path, bytes.NewReader(this.body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	if this.contentType != "" {
		req.Header.Set("Content-Type", this.contentType)
	}
	if c.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	resp, err := c.http.Do(req)
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: %s did not answer within %v", fault.Timeout, req.URL.Host, c.opts.Timeout)
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return nil, fmt.Errorf("%w: no answer from %s: %w; is tsgo serve running there?", fault.Unavailable, req.URL.Host, err)
}

func (c *Client) read(resp *http.Response) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(resp.Body, c.opts.MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: the answer of %s ends early: %w", fault.Unavailable, resp.Request.URL.Host, err)
	case int64(len(text)) > c.opts.MaxBody:
		return nil, fmt.Errorf("%w: the answer of %s has more than %d bytes", fault.TooLarge, resp.Request.URL.Host, c.opts.MaxBody)
	}
	return text, nil
}

// base returns the URL of an API. The server was named by any of the three; its document tells of the others, and where it
// does not, as TorchServe's, the ports follow each other.
func (c *Client) base(ctx context.Context, what string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apis == nil {
		apis, err := c.discover(ctx)
		if err != nil {
			return "", err
		}
		c.apis = apis
	}
	return c.apis[what], nil
}

func (c *Client) discover(ctx context.Context) (map[string]string, error) {
	resp, err := c.send(ctx, c.server.String(), call{method: http.MethodGet, path: "/api-description"})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	text, err := c.read(resp)
	if err != nil {
		return nil, err
	}
	var d description
	if resp.StatusCode != http.StatusOK || json.Unmarshal(text, &d) != nil || d.OpenAPI == "" {
		return nil, fmt.Errorf("%w: %s answers, but not as a model server (%s to /api-description)", fault.Unavailable, c.server.Host, resp.Status)
	}
	apis := c.guess(d)
	for _, s := range d.Servers {
		if u, err := url.Parse(s.URL); err == nil && u.Host != "" {
			apis[string(s.Description)] = c.reachable(u)
		}
	}
	return apis, nil
}

// description is what a client reads of an API's document.
type description struct {
	OpenAPI string                     `json:"openapi"`
	Servers []api.Server               `json:"servers"`
	Paths   map[string]json.RawMessage `json:"paths"`
}

// reachable returns the URL of an address that a server tells of itself: where it listens on every interface, or on its
// loopback while it is asked from afar, its host is the one that was asked.
func (c *Client) reachable(u *url.URL) string {
	if ip := net.ParseIP(u.Hostname()); ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		u.Host = net.JoinHostPort(c.server.Hostname(), u.Port())
	}
	return u.Scheme + "://" + u.Host
}

// guess returns the three APIs by the usual offsets from the one that was asked, which its document's paths tell.
func (c *Client) guess(d description) map[string]string {
	order := []string{inferenceAPI, managementAPI, metricsAPI}
	asked := 0
	if _, ok := d.Paths["/models"]; ok {
		asked = 1
	} else if _, ok := d.Paths["/predictions/{model_name}"]; !ok {
		asked = 2
	}
	apis := map[string]string{}
	port, err := strconv.Atoi(c.server.Port())
	for i, name := range order {
		apis[name] = c.server.String()
		if err == nil {
			apis[name] = c.server.Scheme + "://" + net.JoinHostPort(c.server.Hostname(), strconv.Itoa(port+i-asked))
		}
	}
	return apis
}
