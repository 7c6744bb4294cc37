package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// Predict asks a model. The answer's body, content type and headers are what the server sent; its timing and its tensors
// are empty. It returns [fault.Unsupported] for an input that is a tensor, which this wire does not carry.
func (c *Client) Predict(ctx context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	this := call{method: http.MethodPost, to: inference, path: []string{"predictions", ref.Name}, query: url.Values{}, again: true}
	if req.Mode == model.ModeExplain {
		this.path[0] = "explanations"
	}
	if ref.Version != "" {
		this.path = append(this.path, ref.Version)
	}
	for name, value := range req.Params {
		this.query.Set(name, value)
	}
	contentType, body, err := encode(req.Inputs)
	if err != nil {
		return nil, err
	}
	this.header, this.body = handed(req.Header), body
	if contentType != "" {
		this.header.Set("Content-Type", contentType)
	}
	a, err := c.ask(ctx, this)
	if err != nil {
		return nil, err
	}
	return &model.Response{ContentType: a.header.Get("Content-Type"), Body: a.body, Header: added(a.header)}, nil
}

// encode writes the inputs as a body: one as it is, several as a form.
func encode(inputs []model.Input) (contentType string, body []byte, err error) {
	for _, in := range inputs {
		if in.Tensor != nil {
			return "", nil, fmt.Errorf("%w: input %q is a tensor; send it as JSON, or over the Open Inference Protocol", fault.Unsupported, in.Name)
		}
	}
	switch {
	case len(inputs) == 0: // a form without parts is none
		return "", nil, nil
	case len(inputs) == 1 && isBody(inputs[0]):
		return inputs[0].ContentType, inputs[0].Data, nil
	}
	return form(inputs)
}

// isBody tells whether an input can be a request's whole body. One that says it is a form would be read as one.
func isBody(in model.Input) bool {
	named := in.Name == "" || in.Name == "body" || in.Name == "data"
	return named && !slices.Contains([]string{"multipart/form-data", "application/x-www-form-urlencoded"}, strings.ToLower(in.ContentType))
}

// form writes inputs as multipart/form-data: a field where an input has no content type, and a file where it has one, as
// only a file's is read.
func form(inputs []model.Input) (contentType string, body []byte, err error) {
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	for _, in := range inputs {
		field, err := newPart(w, in)
		if err == nil {
			_, err = field.Write(in.Data)
		}
		if err != nil {
			return "", nil, fmt.Errorf("input %q: write the form: %w", in.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return "", nil, fmt.Errorf("write the form: %w", err)
	}
	return w.FormDataContentType(), buffer.Bytes(), nil
}

// newPart begins the part of an input.
func newPart(w *multipart.Writer, in model.Input) (io.Writer, error) {
	if in.ContentType == "" {
		return w.CreateFormField(in.Name) //nolint:wrapcheck // the caller says which input it is
	}
	const file = "input"                      // only that there is a name matters
	return w.CreatePart(textproto.MIMEHeader{ //nolint:wrapcheck // the caller says which input it is
		"Content-Disposition": {multipart.FileContentDisposition(in.Name, file)}, "Content-Type": {in.ContentType},
	})
}

// handed returns those of a request's headers that go to the server: not what belongs to a connection or to the body, and
// no key but the client's.
func handed(header map[string][]string) http.Header {
	all := http.Header{}
	for name, values := range header {
		all[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	for _, name := range []string{
		"Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host",
		"Idempotency-Key", "Keep-Alive", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		all.Del(name)
	}
	return all
}

// added returns those of an answer's headers that a handler has added: all but those of every answer.
func added(header http.Header) map[string]string {
	all := map[string]string{}
	for name := range header {
		all[name] = header.Get(name)
	}
	maps.DeleteFunc(all, func(name, _ string) bool {
		return strings.HasPrefix(name, "Access-Control-") || slices.Contains([]string{
			"Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "Expires", "Keep-Alive", "Pragma", "Server",
			"Server-Timing", "Trailer", "Transfer-Encoding", "Vary", "X-Request-Id",
		}, name)
	})
	if len(all) == 0 {
		return nil
	}
	return all
}
