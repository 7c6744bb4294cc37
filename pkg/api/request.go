package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// Segments returns the parts of a request's path, decoded, without the empty ones: "/models/", "//models" and "/models"
// are the same. A slash that is written as %2F belongs to its part. It returns [fault.Invalid] for a broken escape.
func Segments(r *http.Request) ([]string, error) {
	path, escaped := r.URL.Path, r.URL.RawPath != ""
	if escaped {
		path = r.URL.RawPath
	}
	parts := make([]string, 0, 4)
	for part := range strings.SplitSeq(path, "/") {
		if part == "" {
			continue
		}
		if escaped {
			decoded, err := url.PathUnescape(part)
			if err != nil {
				return nil, fmt.Errorf("%w: path %q: %w", fault.Invalid, path, err)
			}
			part = decoded
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// Field is one name and its value, of a query or of a form.
type Field struct{ Name, Value string }

// Fields are those of a query or of a form, in their order.
type Fields []Field

// Get returns the first value of a name, and whether there is one.
func (f Fields) Get(name string) (value string, ok bool) {
	for _, field := range f {
		if field.Name == name {
			return field.Value, true
		}
	}
	return "", false
}

// MaxFields is how many fields a query or a form may have.
const MaxFields = 1000

// Query reads a request's query, whose fields are parted by "&" or ";". It returns [fault.Invalid] for a broken escape
// and [fault.TooLarge] for more than [MaxFields].
func Query(r *http.Request) (Fields, error) {
	return parseFields("query", r.URL.RawQuery, "&;")
}

// ParseForm reads a body of the type application/x-www-form-urlencoded, with the errors of [Query].
func ParseForm(body []byte) (Fields, error) {
	return parseFields("form", string(body), "&")
}

func parseFields(what, text, separators string) (Fields, error) {
	var fields Fields
	for text != "" {
		field := text
		if end := strings.IndexAny(text, separators); end >= 0 {
			field, text = text[:end], text[end+1:]
		} else {
			text = ""
		}
		if field == "" {
			continue
		}
		if len(fields) == MaxFields {
			return nil, fmt.Errorf("%w: the %s has more than %d fields", fault.TooLarge, what, MaxFields)
		}
		name, value, _ := strings.Cut(field, "=")
		name, failed := url.QueryUnescape(name)
		value, err := url.QueryUnescape(value)
		if err := errors.Join(failed, err); err != nil {
			return nil, fmt.Errorf("%w: the %s's field %.100q: %w", fault.Invalid, what, field, err)
		}
		fields = append(fields, Field{Name: name, Value: value})
	}
	return fields, nil
}

// firstRead is how much memory a body gets before any of it has come: what a caller only announces costs no more.
const firstRead = 256 << 10

// ReadBody reads a request's body. Its errors are those of [BodyError].
func ReadBody(r *http.Request) ([]byte, error) {
	want := r.ContentLength
	if want < 0 {
		want = 511
	}
	data := make([]byte, 0, min(want+1, firstRead)) // one more, so that the end is found without growing
	for {
		n, err := r.Body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, BodyError(err)
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// BodyError gives an error of reading a request's body its kind: [fault.TooLarge] over the limit, [fault.Timeout] where
// the caller took too long, and otherwise [fault.Invalid].
func BodyError(err error) error {
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return fmt.Errorf("%w: the body has more than the %d bytes that are taken", fault.TooLarge, limit.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: the body did not come in time", fault.Timeout)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the body ended early", fault.Invalid)
	}
	return fmt.Errorf("%w: read the body: %w", fault.Invalid, err)
}
