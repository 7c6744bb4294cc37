package inference

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// call is what a path asks for.
type call struct {
	ref      model.Ref
	mode     model.Mode
	nameless bool   // the model is named by a field, or not at all
	query    bool   // the query's fields are inputs too
	rest     string // the path behind the version, which the handler is told
	tellRest bool
}

// route reads a path. The first part decides, so a model may have any name.
func route(path []string) (c call, ok bool) {
	switch n := len(path); path[0] {
	case "predictions", "explanations":
		if n < 2 {
			return call{}, false
		}
		c = call{ref: model.Ref{Name: path[1]}, tellRest: true}
		if path[0] == "explanations" {
			c.mode = model.ModeExplain
		}
		if n > 2 {
			c.ref.Version, c.rest = path[2], strings.Join(path[3:], "/")
		}
		return c, true
	case "invocations":
		return call{nameless: true, query: true}, n == 1
	case "models":
		if n != 3 || path[2] != "invoke" {
			return call{}, false
		}
		return call{ref: model.Ref{Name: path[1]}, query: true}, true
	default:
		c = call{ref: model.Ref{Name: path[0]}, query: true}
		if n == 3 {
			c.ref.Version = path[1]
		}
		return c, (n == 2 || n == 3) && path[n-1] == "predict"
	}
}

// The names and types that matter.
const (
	body      = "body"
	unnamed   = "data" // a part that has no name of its own
	typeJSON  = "application/json"
	typeForm  = "application/x-www-form-urlencoded"
	typeParts = "multipart/form-data"
)

// ReadInputs returns what a request's body carries: the parts or the fields of a form, or the body itself as one input
// named body.
func ReadInputs(r *http.Request) ([]model.Input, error) {
	inputs, err := (&call{}).read(r, nil)
	return latest(inputs), err
}

// read returns what the request carries, in its order, each with the content type that it has on this way in. A field
// of a form or of the query has none.
func (c *call) read(r *http.Request, query api.Fields) ([]model.Input, error) {
	inputs := make([]model.Input, 0, 1)
	if c.query {
		inputs = appendFields(inputs, query)
	}
	contentType, boundary := mediaType(r.Header.Get("Content-Type"))
	if contentType == typeParts {
		return readParts(inputs, r, boundary)
	}
	data, err := api.ReadBody(r)
	if err != nil {
		return nil, err
	}
	switch {
	case contentType == typeForm && asJSON(data):
		contentType = typeJSON
	case contentType == typeForm && !utf8.Valid(data):
		contentType = ""
	case contentType == typeForm:
		fields, err := api.ParseForm(data)
		return appendFields(inputs, fields), err
	}
	if len(data) == 0 && len(inputs) > 0 {
		return inputs, nil
	}
	return append(inputs, model.Input{Name: body, ContentType: contentType, Data: data}), nil
}

// asJSON tells whether a body is JSON although it is called a form, which is how curl calls whatever it is given. No form
// starts like this, as its names have these characters escaped.
func asJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

func appendFields(inputs []model.Input, fields api.Fields) []model.Input {
	for _, f := range fields {
		inputs = append(inputs, model.Input{Name: f.Name, Data: []byte(f.Value)})
	}
	return inputs
}

// mediaType returns the media type of a Content-Type, in lower case and without its parameters, and the boundary of its
// parts where it has some.
func mediaType(header string) (contentType, boundary string) {
	contentType, parameters, _ := strings.Cut(header, ";")
	contentType = strings.ToLower(strings.TrimSpace(contentType))
	if parameters != "" && contentType == typeParts {
		if _, params, err := mime.ParseMediaType(header); err == nil {
			boundary = params["boundary"]
		}
	}
	return contentType, boundary
}

// readParts reads a multipart body. A part with a file's name has its own content type, another one has none.
func readParts(inputs []model.Input, r *http.Request, boundary string) ([]model.Input, error) {
	if boundary == "" {
		return nil, fmt.Errorf("%w: the body is %s and its Content-Type has no boundary", fault.Invalid, typeParts)
	}
	parts := multipart.NewReader(r.Body, boundary)
	for {
		part, err := parts.NextPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it says that the last boundary is missing
			return inputs, readRest(r)
		}
		if err != nil {
			return nil, partError(err)
		}
		if len(inputs) == api.MaxFields {
			return nil, fmt.Errorf("%w: the body has more than %d parts", fault.TooLarge, api.MaxFields)
		}
		in := model.Input{Name: part.FormName()}
		if in.Name == "" {
			in.Name = unnamed
		}
		if part.FileName() != "" {
			in.ContentType, _ = mediaType(part.Header.Get("Content-Type"))
		}
		if in.Data, err = io.ReadAll(part); err != nil {
			return nil, partError(err)
		}
		inputs = append(inputs, in)
	}
}

// readRest reads what follows the last part, which means nothing: only behind the end of a body does net/http notice that
// its caller has gone.
func readRest(r *http.Request) error {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return partError(err)
	}
	return nil
}

// partError gives an error of reading parts its kind.
func partError(err error) error {
	err = api.BodyError(err)
	if errors.Is(err, fault.Invalid) {
		return fmt.Errorf("read the parts of the body: %w", err)
	}
	return err
}
