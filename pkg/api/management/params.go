package management

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// params are a call's parameters by name, from its query or its JSON body. A wrong one is remembered: the first is the
// call's failure.
type params struct {
	values map[string]string
	err    error
}

// readQuery returns the parameters of a query. Of several values the first one counts.
func readQuery(r *http.Request) *params {
	p := &params{values: map[string]string{}}
	values, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "&"))
	if err != nil {
		p.err = fmt.Errorf("%w: query: %w", fault.Invalid, err)
	}
	for name := range values {
		p.values[name] = values.Get(name)
	}
	return p
}

// maxJSON bounds a JSON body.
const maxJSON = 1 << 20

// readParams returns the parameters of a JSON object where the body is one, and else those of the query. Numbers and truth
// values may stand there as text.
func readParams(r *http.Request) *params {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return readQuery(r)
	}
	p := &params{values: map[string]string{}}
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxJSON))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		p.err = fmt.Errorf("%w: the JSON body is not an object of parameters: %w", fault.Invalid, err)
		return p
	}
	for name, value := range object {
		switch value := value.(type) {
		case string, bool, json.Number:
			p.values[name] = fmt.Sprint(value)
		case nil:
		default:
			p.fail(name, fmt.Sprint(value), "a text, a number or a truth value")
		}
	}
	return p
}

func (p *params) fail(name, value, want string) {
	if p.err == nil {
		p.err = api.Words(fault.Invalid, "Parameter %s is %q, want %s.", name, value, want)
	}
}

func (p *params) text(name string) string { return p.values[name] }

// truth returns a parameter that is true or false, in any case.
func (p *params) truth(name string, otherwise bool) bool {
	switch value := p.values[name]; strings.ToLower(value) {
	case "":
		return otherwise
	case "true":
		return true
	case "false":
		return false
	default:
		p.fail(name, value, "true or false")
		return otherwise
	}
}

// integer returns a number from least up; absent is told apart.
func (p *params) integer(name string, least int) (n int, given bool) {
	value, given := p.values[name]
	if !given || value == "" {
		return 0, false
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		p.fail(name, value, fmt.Sprintf("a whole number from %d", least))
		return 0, false
	}
	return n, true
}

// in returns a number of units from least up; 0 where there is none.
func (p *params) in(name string, unit time.Duration, least int) time.Duration {
	n, _ := p.integer(name, least)
	return time.Duration(n) * unit
}
