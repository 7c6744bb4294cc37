// Package fetch brings a file from a URL to a path: whole, within a limit, with the hash that was asked for, or not at
// all. It resumes what was interrupted, tries again what failed in passing, and lets one process fetch what several want.
// It knows nothing of what the files are for.
package fetch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Options say what is fetched and how patiently. URL alone is required.
type Options struct {
	URL    string // http or https; a redirect from https to http is refused
	SHA256 string // of the file, in hex; empty: not checked
	Limit  int64  // in bytes; 0: DefaultLimit

	Client        *http.Client               // nil: one of its own, with the environment's proxy
	AnswerTimeout time.Duration              // for the connection and the first answer; 0: 30 s
	StallTimeout  time.Duration              // for the next bytes of a body; 0: one minute
	Attempts      int                        // how many in a row may bring next to nothing; 0: five
	Backoff       time.Duration              // before the second attempt, doubled before each one more; 0: half a second
	Progress      func(done, total int64)    // may be nil; total is negative when it is not known
	Redirect      func(to *url.URL) error    // asked before a redirect is followed; nil: https to http alone is refused
	open          func(string) (file, error) // nil: the file system
	goodWay       int64                      // 0: defaultGoodWay
}

// DefaultLimit is how large a file may be where nothing else is said.
const DefaultLimit = 16 << 30

// File fetches a file to target, whose directory it makes. It returns at once when target is there already, with the
// right hash where one is given. Until the file is whole, nothing is seen but hidden files beside target, from which a
// later call goes on; two calls for one target, in any processes, fetch it once.
//
// It returns [fault.Invalid] for options that cannot be, [fault.Timeout] and [fault.Canceled] when ctx ends or the server
// does not answer, and [fault.Download] for everything else: a refusal ([StatusError]), a wrong hash ([SumError]), too
// large a file ([LimitError]), a full disk ([DiskFull]).
func File(ctx context.Context, target string, opts Options) error {
	f, err := newFetcher(target, opts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return f.failed(ctx, err)
	}
	release, err := Lock(ctx, hidden(target, ".lock"))
	if err != nil {
		return err
	}
	defer release()
	there, err := f.there()
	if there || err != nil {
		return f.failed(ctx, err)
	}
	return f.failed(ctx, f.persist(ctx))
}

type fetcher struct {
	Options
	target string
	label  string // the URL as it may be shown: without credentials and query

	received int64 // bytes of bodies, of all attempts
}

func newFetcher(target string, opts Options) (*fetcher, error) {
	u, err := url.Parse(opts.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%w: want a URL of http:// or https:// and a host", fault.Invalid) // it may hold a password, and is not shown
	}
	if sum, err := hex.DecodeString(opts.SHA256); err != nil || len(sum) != 0 && len(sum) != 32 {
		return nil, fmt.Errorf("%w: sha256 %q: want 64 hexadecimal digits", fault.Invalid, opts.SHA256)
	}
	f := &fetcher{Options: opts, target: target, label: (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()}
	f.SHA256 = strings.ToLower(opts.SHA256)
	f.Limit = orElse(opts.Limit, DefaultLimit)
	f.AnswerTimeout = orElse(opts.AnswerTimeout, 30*time.Second)
	f.StallTimeout = orElse(opts.StallTimeout, time.Minute)
	f.goodWay = orElse(opts.goodWay, defaultGoodWay)
	f.Attempts = orElse(opts.Attempts, 5)
	f.Backoff = orElse(opts.Backoff, 500*time.Millisecond)
	if f.Client == nil {
		f.Client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	}
	client := *f.Client
	client.CheckRedirect = f.checkRedirect
	f.Client = &client
	if f.open == nil {
		f.open = openFile
	}
	return f, nil
}

func orElse[T int | int64 | time.Duration](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

const partSuffix = ".part"

// hidden returns the path of one of the files that stand beside target while it is fetched.
func hidden(target, suffix string) string {
	return filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+suffix)
}

// there tells whether target is what is wanted. What has another hash will be replaced.
func (f *fetcher) there() (bool, error) {
	info, err := os.Stat(f.target)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is there, and is no regular file", f.target)
	case f.SHA256 == "":
		return true, nil
	}
	sum, err := HashFile(f.target)
	return err == nil && sum == f.SHA256, err
}

// persist attempts until it succeeds, fails for good, or has tried often enough since it last came a good way on.
func (f *fetcher) persist(ctx context.Context) error {
	wait := f.Backoff
	for attempt := 1; ; attempt++ {
		before := f.received
		err := f.attempt(ctx)
		if f.received-before >= f.goodWay {
			attempt, wait = 1, f.Backoff
		}
		var again passing
		if !errors.As(err, &again) || attempt >= f.Attempts || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(max(wait, min(again.after, maxRetryAfter)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait *= 2
	}
}

// defaultGoodWay is how many bytes an attempt brings after which the count of attempts begins anew: a large file may come over a
// connection that breaks now and then.
const defaultGoodWay = 16 << 20

// maxRetryAfter bounds how long a server may ask to be left alone.
const maxRetryAfter = time.Minute

// passing is a failure that may not happen again.
type passing struct {
	error
	after time.Duration // not to be tried earlier
}

func (p passing) Unwrap() error { return p.error }

// failed names what was being done, and gives err its kind.
func (f *fetcher) failed(ctx context.Context, err error) error {
	kind := fault.Download
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		kind = fault.Of(ctx.Err())
		err = context.Cause(ctx)
	case errors.Is(err, errNoAnswer) || errors.Is(err, errStalled):
		kind = fault.Timeout
	}
	return fmt.Errorf("fetch %s: %w: %w", f.label, kind, err)
}
