package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// call is one request to one API.
type call struct {
	method string
	to     part
	path   []string // segments
	query  url.Values
	header http.Header
	body   []byte

	again bool // asking twice does no harm
}

// answer is what the server said, whole.
type answer struct {
	code   int
	status string
	header http.Header
	body   []byte
	from   string // scheme and host
}

// failure returns what the server failed with; nil where it did not.
func (a *answer) failure() error {
	switch {
	case a.code < http.StatusMultipleChoices:
		return nil
	case a.code < http.StatusBadRequest: // a redirect that leads nowhere, or what only a cache may say
		return fmt.Errorf("%w: %s answered %s, which tsgo and TorchServe do not; is it the right address?", fault.Unavailable, a.from, a.status)
	}
	if bytes.HasPrefix(a.body, []byte("Client sent an HTTP request to an HTTPS server")) { // so says Go's server, tsgo's among them
		return fmt.Errorf("%w: %s speaks TLS: ask https:// there", fault.Invalid, a.from)
	}
	err := api.ReadError(&http.Response{StatusCode: a.code, Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body))})
	if wait, ok := a.wait(); ok {
		return fmt.Errorf("%w; it says to try again in %s", err, wait)
	}
	switch fault.Of(err) { //nolint:exhaustive // the others say it, or there is none
	case fault.Unauthorized:
		return fmt.Errorf("%w; the server's keys are in the key_file.json where it was started: give that of the API which is asked (--token, or TSGO_TOKEN)", err)
	case fault.NotAllowed:
		return fmt.Errorf("%w; a server lets models be registered and unregistered where it is started with --enable-model-api", err)
	case fault.Download:
		return fmt.Errorf("%w; the server's log says why", err)
	case fault.DefaultVersion:
		return fmt.Errorf("%w; make another one the default first: tsgo models default MODEL/VERSION", err)
	}
	return err
}

// wait returns how long the server wants to be left alone, where that is long enough to be worth a word.
func (a *answer) wait() (wait time.Duration, ok bool) {
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds <= 1 || seconds > maxWait {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

// maxWait is the longest wait that is told: a day of seconds.
const maxWait = 24 * 60 * 60

// decode reads a JSON answer.
func (a *answer) decode(v any) error {
	if err := json.Unmarshal(a.body, v); err != nil {
		return a.nonsense(err)
	}
	return nil
}

// nonsense says that the answer is none of the API's.
func (a *answer) nonsense(err error) error {
	return fmt.Errorf("%w: %s answered %.200q, which tsgo and TorchServe do not: %w; is it the right address?", fault.Internal, a.from, a.body, err)
}

// ask sends a call to its API and returns the answer, or what the server failed with.
func (c *Client) ask(ctx context.Context, this call) (*answer, error) {
	a, err := c.raw(ctx, this)
	if err != nil {
		return nil, err
	}
	err = a.failure()
	switch registering := this.to == management && this.method == http.MethodPost; {
	case err == nil:
		return a, nil
	case errors.Is(err, fault.NoModel) && registering:
		return nil, fmt.Errorf("%w; it has to lie in the server's model store, or at a URL that its allowed_urls name", err)
	case errors.Is(err, fault.NoModel):
		return nil, fmt.Errorf("%w; 'tsgo models list --server %s' lists what is served", err, a.from)
	}
	return nil, err
}

// raw sends a call to its API and returns the answer, whatever it is.
func (c *Client) raw(ctx context.Context, this call) (*answer, error) {
	if c.timeout > 0 {
		limit := fmt.Errorf("%w: no answer within %s", fault.Timeout, c.timeout)
		timed, cancel := context.WithTimeoutCause(ctx, c.timeout, limit)
		defer cancel()
		ctx = timed
	}
	base, err := c.address(ctx, this.to)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, base, this)
}

// send sends a call to an address.
func (c *Client) send(ctx context.Context, base *url.URL, this call) (*answer, error) {
	u := base.JoinPath(this.path...)
	u.RawQuery = this.query.Encode()
	req, err := http.NewRequestWithContext(ctx, this.method, u.String(), bytes.NewReader(this.body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	if isSocket(base) {
		req.Host = "localhost"
	}
	for name, values := range this.header {
		req.Header[name] = values
	}
	if this.again {
		req.Header["Idempotency-Key"] = []string{} // never sent: it lets net/http ask again where a kept connection has gone
	}
	if c.token != "" && c.trusts(base) {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, base, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	a := &answer{code: resp.StatusCode, status: resp.Status, header: resp.Header, from: shown(base)}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, c.most+1))
	switch {
	case err != nil:
		return nil, c.unreachable(ctx, base, err)
	case int64(len(a.body)) > c.most:
		return nil, fmt.Errorf("%w: the answer of %s has more than %d bytes", fault.TooLarge, a.from, c.most)
	}
	return a, nil
}
