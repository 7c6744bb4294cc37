package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// WireOptions say what is posted where.
type WireOptions struct {
	URL    *url.URL      // of the route; http or https
	Inputs []model.Input // each is the body of a request
	Header http.Header   // sent with each
	TLS    *tls.Config   // for https; nil: the system's authorities
}

// Wire posts over HTTP/1.1 on connections that it keeps. What is sent is written down once, and of an answer only as much is
// read as tells where it ends, so that a server on the same cores is not slowed down by who measures it.
type Wire struct {
	opts     WireOptions
	address  string
	requests [][]byte // head and body

	mu   sync.Mutex // guards idle
	idle []*connection
}

const dialTimeout = 10 * time.Second

// NewWire checks the options, and connects to nothing yet. It returns [fault.Invalid] when a request cannot be written.
func NewWire(opts WireOptions) (*Wire, error) {
	w := &Wire{opts: opts, address: opts.URL.Host}
	if opts.URL.Port() == "" {
		w.address = net.JoinHostPort(opts.URL.Hostname(), map[bool]string{true: "443", false: "80"}[opts.URL.Scheme == "https"])
	}
	for _, in := range opts.Inputs {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, opts.URL.String(), bytes.NewReader(in.Data))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		for name, values := range opts.Header {
			req.Header[name] = values
		}
		if in.ContentType != "" {
			req.Header.Set("Content-Type", in.ContentType)
		}
		var text bytes.Buffer
		if err := req.Write(&text); err != nil {
			return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		w.requests = append(w.requests, text.Bytes())
	}
	return w, nil
}

// Ask posts an input and waits for the answer: it is an [Ask]. Statuses 429 and 503 are [ErrRefused]; what the server failed
// with has its kind, and what the connection failed with is [fault.Unavailable].
func (w *Wire) Ask(ctx context.Context, n int) error {
	text := w.requests[n%len(w.requests)]
	for {
		c, kept, err := w.connect(ctx)
		if err != nil {
			return w.broken(ctx, err)
		}
		started, err := c.ask(ctx, text)
		switch {
		case err == nil, started:
			return w.done(ctx, c, err)
		case kept && ctx.Err() == nil:
			_ = c.conn.Close() // the server had closed it meanwhile: that is no failure
		default:
			return w.done(ctx, c, err)
		}
	}
}

// done keeps the connection or closes it, and returns what a request came to.
func (w *Wire) done(ctx context.Context, c *connection, err error) error {
	if c.whole {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.idle = append(w.idle, c)
		return err
	}
	_ = c.conn.Close() // what it was to bring is here, or lost
	if _, known := errors.AsType[fault.Kind](err); err == nil || known {
		return err
	}
	return w.broken(ctx, err)
}

func (w *Wire) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", w.address, ctx.Err())
	}
	return fmt.Errorf("%w: %s: %w", fault.Unavailable, w.address, err)
}

// Close closes the connections.
func (w *Wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.idle {
		_ = c.conn.Close() // nothing is on its way
	}
	w.idle = nil
	return nil
}

// connect returns a connection: one that was kept, or a new one.
func (w *Wire) connect(ctx context.Context) (c *connection, kept bool, err error) {
	w.mu.Lock()
	if last := len(w.idle) - 1; last >= 0 {
		c = w.idle[last]
		w.idle = w.idle[:last]
	}
	w.mu.Unlock()
	if c != nil {
		return c, true, nil
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	var conn net.Conn
	if w.opts.URL.Scheme == "https" {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: w.opts.TLS}).DialContext(ctx, "tcp", w.address)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", w.address)
	}
	if err != nil {
		return nil, false, err
	}
	return &connection{conn: conn, in: bufio.NewReader(conn)}, false, nil
}

// connection is one to the server.
type connection struct {
	conn  net.Conn
	in    *bufio.Reader
	whole bool // the answer was read to its end, and the connection goes on
}

// ask sends a request and reads the answer. It tells whether an answer had begun.
func (c *connection) ask(ctx context.Context, text []byte) (started bool, err error) {
	c.whole = false
	defer context.AfterFunc(ctx, func() { _ = c.conn.Close() })()
	if _, err := c.conn.Write(text); err != nil {
		return false, err
	}
	for {
		if _, err := c.in.Peek(1); err != nil {
			return started, err
		}
		started = true
		head, err := c.head()
		if err != nil {
			return true, err
		}
		if head.status >= http.StatusOK { // what comes before is on the way to the answer
			return true, c.body(head)
		}
	}
}

// head is what of an answer's head tells where it ends.
type head struct {
	status  int
	length  int64 // -1: not told
	chunked bool
	closes  bool
}

func (c *connection) head() (h head, err error) {
	h.length = -1
	line, err := c.line()
	if err != nil {
		return h, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	status, _, _ := bytes.Cut(rest, []byte(" "))
	if h.status, err = strconv.Atoi(string(status)); err != nil || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return h, fmt.Errorf("it does not speak HTTP: it answered %.80q", line)
	}
	h.closes = string(version) == "HTTP/1.0"
	for {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return h, err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || h.length < 0 {
				return h, fmt.Errorf("Content-Length %.80q is none", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			h.chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			h.closes = h.closes || bytes.EqualFold(value, []byte("close"))
		}
	}
}

// line returns the next line of a head, which is valid until the next one is read.
func (c *connection) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// body reads an answer to its end, and returns what the server failed with.
func (c *connection) body(h head) error {
	var content io.Reader = c.in
	switch {
	case h.status == http.StatusNoContent:
		content = http.NoBody
	case h.chunked:
		content = httputil.NewChunkedReader(c.in)
	case h.length >= 0:
		content = io.LimitReader(c.in, h.length)
	default:
		h.closes = true
	}
	failure := h.failure(content)
	err := discard(content)
	if err == nil && h.chunked {
		err = c.trailer()
	}
	if err != nil {
		return err
	}
	c.whole = !h.closes
	return failure
}

// discard reads to the end; what is buffered is not copied.
func discard(content io.Reader) error {
	limited, ok := content.(*io.LimitedReader)
	if !ok {
		_, err := io.Copy(io.Discard, content)
		return err
	}
	_, err := limited.R.(*bufio.Reader).Discard(int(limited.N))
	return err
}

// trailer reads what follows the last chunk.
func (c *connection) trailer() error {
	for {
		if line, err := c.line(); err != nil || len(line) == 0 {
			return err
		}
	}
}

// failure returns what the server failed with; nil: it did not.
func (h head) failure(content io.Reader) error {
	if h.status < http.StatusMultipleChoices {
		return nil
	}
	if h.status < http.StatusBadRequest {
		return fmt.Errorf("%w: it answered %d, which is no answer of a model; is it the right address?", fault.Unavailable, h.status)
	}
	err := api.ReadError(&http.Response{
		StatusCode: h.status, Status: fmt.Sprintf("%d %s", h.status, http.StatusText(h.status)), Body: io.NopCloser(content),
	})
	if h.status == http.StatusTooManyRequests || h.status == http.StatusServiceUnavailable {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
