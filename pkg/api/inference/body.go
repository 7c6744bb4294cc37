package inference

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// body is what a request carries: the query's parameters, and the parts of its body in their order.
type body struct {
	query  url.Values
	parts  []model.Input
	form   bool // the parts are fields with names, not one bare body
	fields []model.Input
}

// take returns a parameter of the query, or else of the form, and takes it out.
func (b *body) take(name string) (string, bool) {
	if b.query.Has(name) {
		value := b.query.Get(name)
		b.query.Del(name)
		return value, true
	}
	if i := slices.IndexFunc(b.parts, func(in model.Input) bool { return b.form && in.Name == name }); i >= 0 {
		value := string(b.parts[i].Data)
		b.parts = slices.Delete(b.parts, i, i+1)
		return value, true
	}
	return "", false
}

// read reads a request's query and body, in every form that TorchServe takes. Where query is set, the query's parameters
// are inputs too, before those of the body.
func (a *routes) read(r *http.Request, query bool) (body, error) {
	values, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "&"))
	if err != nil {
		return body{}, fmt.Errorf("%w: query: %w", fault.Invalid, err)
	}
	b := body{query: values}
	if query {
		for _, name := range sortedKeys(values) {
			b.fields = append(b.fields, model.Input{Name: name, Data: []byte(values.Get(name))})
		}
	}
	media, params := "", map[string]string(nil)
	if declared := r.Header.Get("Content-Type"); declared != "" {
		if media, params, err = mime.ParseMediaType(declared); err != nil {
			media, params = strings.TrimSpace(strings.Split(declared, ";")[0]), nil
		}
	}
	switch media {
	case "multipart/form-data":
		b.form = true
		b.parts, err = a.multipart(r.Body, params["boundary"])
	case "application/x-www-form-urlencoded":
		b.form = true
		b.parts, err = a.urlencoded(r.Body)
	default:
		var data []byte
		data, err = a.all(r.Body)
		b.parts = []model.Input{{Name: "body", ContentType: media, Data: data}}
	}
	return b, err
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// all reads a body, or says why it cannot be read.
func (a *routes) all(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, a.unreadable(err)
	}
	return data, nil
}

func (a *routes) unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fmt.Errorf("%w: the body has more than %d bytes, which is the server's max_request_size", fault.TooLarge, large.Limit)
	}
	return fmt.Errorf("%w: the body ends early: %w", fault.Invalid, err)
}

// urlencoded reads a form as curl -d sends it.
func (a *routes) urlencoded(r io.Reader) ([]model.Input, error) {
	data, err := a.all(r)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(data))
	if err != nil {
		return nil, fmt.Errorf("%w: form: %w", fault.Invalid, err)
	}
	var parts []model.Input
	for _, name := range sortedKeys(values) {
		parts = append(parts, model.Input{Name: name, Data: []byte(values.Get(name))})
	}
	return parts, nil
}

// maxParts bounds the parts of a form.
const maxParts = 1000

// multipart reads a form of files and fields. A file keeps its content type, a field has none.
func (a *routes) multipart(r io.Reader, boundary string) ([]model.Input, error) {
	if boundary == "" {
		return nil, fmt.Errorf("%w: multipart/form-data without a boundary", fault.Invalid)
	}
	var parts []model.Input
	for reader := multipart.NewReader(r, boundary); ; {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) && len(parts) > 0 {
			return parts, nil
		}
		if err != nil {
			return nil, a.unreadable(fmt.Errorf("multipart form: %w", err))
		}
		if len(parts) == maxParts {
			return nil, fmt.Errorf("%w: a form of more than %d parts", fault.TooLarge, maxParts)
		}
		data, err := a.all(part)
		if err != nil {
			return nil, err
		}
		in := model.Input{Name: part.FormName(), Data: data}
		if part.FileName() != "" {
			in.ContentType, _, _ = mime.ParseMediaType(part.Header.Get("Content-Type"))
		}
		parts = append(parts, in)
	}
}

// split tells parameters from inputs: a name that is a parameter's is one in the query, and in a form unless the network
// has an input of that name. Of inputs with one name the last one counts.
func (a *routes) split(b body, ref model.Ref) ([]model.Input, map[string]string) {
	params := map[string]string{}
	for _, name := range a.opts.Params {
		if b.query.Has(name) {
			params[name] = b.query.Get(name)
		}
	}
	var inputs []model.Input
	for i, in := range slices.Concat(b.fields, b.parts) {
		isField := i < len(b.fields)
		isParam := slices.Contains(a.opts.Params, in.Name)
		if isParam && (isField || b.form && !slices.Contains(a.models.InputNames(ref), in.Name)) {
			params[in.Name] = string(in.Data)
			continue
		}
		if at := slices.IndexFunc(inputs, func(other model.Input) bool { return other.Name == in.Name }); at >= 0 {
			inputs[at] = in
			continue
		}
		inputs = append(inputs, in)
	}
	return inputs, params
}
