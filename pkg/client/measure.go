package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Ping returns nil when the server is healthy: every model has the workers that it is to have. Where it has not, the
// error is [fault.Unavailable].
func (c *Client) Ping(ctx context.Context) error {
	a, err := c.raw(ctx, call{method: http.MethodGet, to: inference, path: []string{"ping"}, again: true})
	if err != nil {
		return err
	}
	if text, err := a.text(); err == nil && text != "" && a.code >= http.StatusInternalServerError {
		return fmt.Errorf("%w: %s says that it is %q", fault.Unavailable, a.from, text)
	}
	return a.failure()
}

// Metrics returns the server's metrics in Prometheus's text format: all, or those of the names given.
func (c *Client) Metrics(ctx context.Context, names ...string) ([]byte, error) {
	a, err := c.ask(ctx, call{method: http.MethodGet, to: metrics, path: []string{"metrics"}, query: url.Values{"name[]": names}, again: true})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// Stats reads how each model does out of the server's metrics.
func (c *Client) Stats(ctx context.Context) ([]Stats, error) {
	page, err := c.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	return ParseStats(page)
}
