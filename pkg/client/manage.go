package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// registered is what the server says of a model that it has registered.
var registered = regexp.MustCompile(`^Model "([^"]+)" Version: (\S+) registered with (\d+) initial workers`)

// Register has the server load a model. Where the answer does not wait for the model, the outcome has the name and the
// version that r has, which may be empty, and is pending.
func (c *Client) Register(ctx context.Context, r model.Registration) (model.Outcome, error) {
	query := url.Values{"url": {r.URL}, "synchronous": {strconv.FormatBool(!r.Async)}}
	for name, value := range map[string]string{
		"model_name": r.Name, "model_version": r.Version, "handler": r.Handler, "runtime": r.Runtime,
		"batch_size": number(r.BatchSize), "max_batch_delay": whole(r.MaxBatchDelay, time.Millisecond),
		"response_timeout": whole(r.ResponseTimeout, time.Second), "startup_timeout": whole(r.StartupTimeout, time.Second),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if r.Workers != nil {
		query.Set("initial_workers", strconv.Itoa(*r.Workers))
	}
	a, err := c.manage(ctx, http.MethodPost, query)
	if err != nil {
		return model.Outcome{}, err
	}
	text, err := a.text()
	if err != nil {
		return model.Outcome{}, err
	}
	out := model.Outcome{Ref: model.Ref{Name: r.Name, Version: r.Version}, Pending: a.code != http.StatusOK}
	if r.Workers != nil {
		out.Workers = *r.Workers
	}
	found := registered.FindStringSubmatch(text)
	switch {
	case found != nil:
		out.Ref = model.Ref{Name: found[1], Version: found[2]}
		out.Workers, err = strconv.Atoi(found[3])
	case !out.Pending:
		err = errors.New("it names no model")
	}
	if err != nil {
		return model.Outcome{}, a.nonsense(err)
	}
	return out, nil
}

// number writes a number; "" for zero, which means that nothing is said.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// whole writes a duration as a number of units, never less than it is.
func whole(d, unit time.Duration) string {
	n := d / unit
	if n*unit < d {
		n++
	}
	return number(int(n))
}

// Unregister has the server take a version away, the default one where ref names none.
func (c *Client) Unregister(ctx context.Context, ref model.Ref) error {
	if err := ref.Check(); err != nil {
		return err
	}
	_, err := c.manage(ctx, http.MethodDelete, nil, segments(ref)...)
	return err
}

// Scale sets how many workers a version has.
func (c *Client) Scale(ctx context.Context, ref model.Ref, s model.Scale) (model.Outcome, error) {
	if ref.Version == "" { // the answer would not tell which version it was
		now, err := c.one(ctx, ref)
		if err != nil {
			return model.Outcome{}, err
		}
		ref.Version = now.Ref.Version
	}
	if err := ref.Check(); err != nil {
		return model.Outcome{}, err
	}
	a, err := c.manage(ctx, http.MethodPut, url.Values{
		"min_worker": {strconv.Itoa(s.Min)}, "max_worker": {strconv.Itoa(s.Max)}, "synchronous": {strconv.FormatBool(!s.Async)},
	}, segments(ref)...)
	if err != nil {
		return model.Outcome{}, err
	}
	out := model.Outcome{Ref: ref, Workers: s.Min, Pending: a.code != http.StatusOK}
	if s.Min != s.Max { // any number between them may have been right already
		now, err := c.one(ctx, ref)
		if err != nil {
			return model.Outcome{}, err
		}
		out.Workers = max(s.Min, len(now.Workers))
	}
	return out, nil
}

// SetDefault makes a version the one that requests without a version go to.
func (c *Client) SetDefault(ctx context.Context, ref model.Ref) error {
	if err := ref.Check(); err != nil {
		return err
	}
	if ref.Version == "" {
		return fmt.Errorf("%w: model %s: the default is one version, want name/version", fault.Invalid, ref)
	}
	_, err := c.manage(ctx, http.MethodPut, nil, append(segments(ref), "set-default")...)
	return err
}

// segments are what names a model in a path.
func segments(ref model.Ref) []string {
	if ref.Version == "" {
		return []string{ref.Name}
	}
	return []string{ref.Name, ref.Version}
}

// manage calls the management API below /models.
func (c *Client) manage(ctx context.Context, method string, query url.Values, path ...string) (*answer, error) {
	return c.ask(ctx, call{
		method: method, to: management, path: append([]string{"models"}, path...), query: query, again: method == http.MethodGet,
	})
}

// text reads {"status": text}.
func (a *answer) text() (string, error) {
	var body struct {
		Status string `json:"status"`
	}
	err := a.decode(&body)
	return body.Status, err
}
