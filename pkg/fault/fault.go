// Package fault names the kinds of failure that callers tell apart.
//
// A failure is an ordinary wrapped error that has one [Kind] in its chain. It is made where the cause is known and not
// classified again above; the command line turns kinds into exit statuses and the API into HTTP and gRPC statuses. The
// package says nothing of either.
package fault

import (
	"context"
	"errors"
)

// Kind is a kind of failure. It is itself an error, so that it can be wrapped:
//
//	fmt.Errorf("model %q: %w", ref, fault.NoModel)
//	fmt.Errorf("%w: %w", fault.Invalid, err)
type Kind uint8

// The kinds of failure.
const (
	Internal       Kind = iota // a defect of this program
	Invalid                    // the input, a flag or a manifest is wrong
	TooLarge                   // over a limit
	Unsupported                // this model or this build cannot
	NotFound                   // no such file or route
	NoModel                    // no such model
	NoVersion                  // the model exists, but not in that version
	DefaultVersion             // the default version of a model goes last
	BadModel                   // the archive or the network is wrong
	Download                   // it could not be fetched
	Unauthorized               // no key, a wrong or an expired one
	NotAllowed                 // the route has no such method
	Conflict                   // it exists already
	Unavailable                // no worker, a full queue, shutting down, server not reachable, no room to unpack a model
	Timeout                    // a deadline passed
	Canceled                   // the caller went away
)

// Error returns the kind in words, in lower case.
func (k Kind) Error() string {
	switch k {
	case Internal:
		return "internal error"
	case Invalid:
		return "invalid"
	case TooLarge:
		return "too large"
	case Unsupported:
		return "not supported"
	case NotFound:
		return "not found"
	case NoModel:
		return "no such model"
	case NoVersion:
		return "no such version"
	case DefaultVersion:
		return "default version cannot go"
	case BadModel:
		return "bad model"
	case Download:
		return "cannot be fetched"
	case Unauthorized:
		return "unauthorized"
	case NotAllowed:
		return "method not allowed"
	case Conflict:
		return "exists already"
	case Unavailable:
		return "unavailable"
	case Timeout:
		return "timed out"
	case Canceled:
		return "canceled"
	}
	return "unknown failure"
}

// Of returns the first Kind in err's chain, depth first. A context's errors count as [Canceled] and [Timeout]; anything
// else, nil included, is [Internal].
func Of(err error) Kind {
	var kind Kind
	switch {
	case errors.As(err, &kind):
		return kind
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}
