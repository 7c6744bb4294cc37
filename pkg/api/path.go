package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Segments returns the segments of a request's path, decoded one by one, so that an escaped slash does not make two of one.
// Empty ones do not count: "//models/" is "/models". It returns [fault.Invalid] for an escape that is none.
func Segments(r *http.Request) ([]string, error) {
	var segments []string
	for part := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		if part == "" {
			continue
		}
		segment, err := url.PathUnescape(part)
		if err != nil {
			return nil, fmt.Errorf("%w: path: %w", fault.Invalid, err)
		}
		segments = append(segments, segment)
	}
	return segments, nil
}

// NoRoute is the failure of a path that leads nowhere.
func NoRoute() error {
	return Words(fault.NotFound, "Requested resource is not found, please refer to API document.")
}

// NoMethod is the failure of a method that a path does not have.
func NoMethod() error {
	return Words(fault.NotAllowed, "Requested method is not allowed, please refer to API document.")
}
