package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	errNoAnswer = errors.New("no answer in time")
	errStalled  = errors.New("the body stalled")
)

const maxRedirects = 5

// astray is a redirect that is not followed: it will be the same the next time.
type astray struct{ error }

func (a astray) Unwrap() error { return a.error }

func (f *fetcher) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return astray{fmt.Errorf("more than %d redirects", maxRedirects)}
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return astray{errors.New("redirected from https to " + req.URL.Scheme)}
	}
	if f.Redirect == nil {
		return nil
	}
	if err := f.Redirect(req.URL); err != nil {
		return astray{fmt.Errorf("redirected: %w", err)}
	}
	return nil
}

// attempt asks once, for what is missing, and puts the file in its place when it is whole.
func (f *fetcher) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p, err := f.openPart()
	if err != nil {
		return err
	}
	defer p.close()
	resp, err := f.ask(ctx, cancel, p)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	total, err := f.begin(resp, p)
	if err != nil {
		return err
	}
	if err := f.receive(ctx, cancel, resp.Body, p, total); err != nil {
		return err
	}
	return f.finish(p)
}

// ask sends the request and waits for the header of the answer.
func (f *fetcher) ask(ctx context.Context, cancel context.CancelCauseFunc, p *part) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // the bytes as they are, so that sizes and ranges mean something
	if p.size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
		req.Header.Set("If-Range", p.state.Validator)
	}
	timer := time.AfterFunc(f.AnswerTimeout, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	resp, err := f.Client.Do(req)
	if err == nil {
		return resp, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, passing{error: cause}
	}
	var elsewhere astray
	if errors.As(err, &elsewhere) {
		return nil, elsewhere.error
	}
	var refused interface{ Timeout() bool } // *url.Error: unwrapped, as it repeats the URL with its query
	if errors.As(err, &refused) {
		err = errors.Unwrap(err)
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	if unknown, ok := errors.AsType[*net.DNSError](err); untrusted || ok && unknown.IsNotFound {
		return nil, err // it will be the same the next moment
	}
	return nil, passing{error: err}
}

// begin looks at the answer's header and makes p ready for the body. It returns the size of the whole file, or -1.
func (f *fetcher) begin(resp *http.Response, p *part) (total int64, err error) {
	switch {
	case resp.StatusCode == http.StatusPartialContent && p.size > 0:
		total, err = rangeTotal(resp.Header.Get("Content-Range"), p.size)
		if err != nil {
			return 0, errors.Join(err, p.drop())
		}
	case resp.StatusCode == http.StatusOK:
		total = resp.ContentLength
		if err := p.restart(state{URL: f.URL, Validator: validator(resp.Header)}); err != nil {
			return 0, err
		}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && p.size > 0: // the file is another one now
		return 0, passing{error: errors.Join(errors.New(resp.Status), p.drop())}
	default:
		return 0, refusal(resp)
	}
	if total > f.Limit {
		return 0, errors.Join(fmt.Errorf("%d bytes are %w", total, LimitError{f.Limit}), p.drop())
	}
	return total, nil
}

// validator returns what If-Range may name: a strong entity tag, or else the date.
func validator(h http.Header) string {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// rangeTotal reads "bytes 100-199/200". It returns -1 for a size of "*".
func rangeTotal(header string, from int64) (int64, error) {
	rest, found := strings.CutPrefix(header, fmt.Sprintf("bytes %d-", from))
	_, size, slash := strings.Cut(rest, "/")
	if !found || !slash {
		return 0, fmt.Errorf("asked to go on at byte %d, got Content-Range %q", from, header)
	}
	if size == "*" {
		return -1, nil
	}
	total, err := strconv.ParseInt(size, 10, 64)
	if err != nil || total < from {
		return 0, fmt.Errorf("Content-Range %q makes no sense", header)
	}
	return total, nil
}

// StatusError is a status that brings no file, where it is not one that may pass.
type StatusError struct {
	Code   int
	Status string // "404 Not Found"
}

// Error says what the server answered.
func (e StatusError) Error() string { return "the server answered " + e.Status }

// LimitError is a file that is larger than it may be.
type LimitError struct{ Limit int64 } // in bytes

// Error says the limit.
func (e LimitError) Error() string { return fmt.Sprintf("more than the limit of %d bytes", e.Limit) }

// refusal is what a status that brings no file means.
func refusal(resp *http.Response) error {
	err := StatusError{Code: resp.StatusCode, Status: resp.Status}
	switch code := resp.StatusCode; {
	case code >= 500 && code != http.StatusNotImplemented, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 for a date or nothing
		return passing{error: err, after: time.Duration(min(max(seconds, 0), 3600)) * time.Second}
	}
	return err
}

// receive appends the body to p.
func (f *fetcher) receive(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader, p *part, total int64) error {
	stall := time.AfterFunc(f.StallTimeout, func() { cancel(errStalled) })
	defer stall.Stop()
	buffer := make([]byte, 128<<10)
	for {
		f.report(p.size, total)
		n, err := body.Read(buffer)
		stall.Reset(f.StallTimeout)
		f.received += int64(n)
		if p.size+int64(n) > f.Limit {
			return errors.Join(LimitError{f.Limit}, p.drop())
		}
		if writeErr := p.append(buffer[:n]); writeErr != nil {
			return errors.Join(writeErr, p.drop())
		}
		switch {
		case err != nil && context.Cause(ctx) != nil: // first: a server may end a body neatly when it sees the client leave
			return passing{error: context.Cause(ctx)}
		case errors.Is(err, io.EOF) && total >= 0 && p.size != total:
			return passing{error: fmt.Errorf("%w after %d of %d bytes", io.ErrUnexpectedEOF, p.size, total)}
		case errors.Is(err, io.EOF):
			f.report(p.size, p.size)
			return nil
		case err != nil:
			return passing{error: fmt.Errorf("after %d bytes: %w", p.size, err)}
		}
	}
}

func (f *fetcher) report(done, total int64) {
	if f.Progress != nil {
		f.Progress(done, total)
	}
}
