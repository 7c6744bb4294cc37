package management

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// params reads a call's parameters. A wrong one is remembered: the first is the call's failure.
type params struct {
	values Params
	err    error
}

// readQuery returns the parameters of a query. Of several values the first one counts.
func readQuery(r *http.Request) (Params, error) {
	fields, err := api.Query(r)
	if err != nil {
		return nil, err
	}
	p := Params{}
	for _, f := range fields {
		if _, given := p[f.Name]; !given {
			p[f.Name] = f.Value
		}
	}
	return p, nil
}

// readParams returns the parameters of a JSON object where the body is said to be JSON, and else those of the query.
func readParams(r *http.Request) (Params, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return readQuery(r)
	}
	text, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return parseJSON(text)
}

// maxJSON bounds a JSON body.
const maxJSON = 1 << 20

func readBody(r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxJSON+1))
	switch {
	case err != nil:
		return nil, api.BodyError(err)
	case len(text) > maxJSON:
		return nil, fmt.Errorf("%w: parameters in JSON have at most %d bytes", fault.TooLarge, maxJSON)
	}
	return text, nil
}

// parseJSON reads an object of parameters as TorchServe does: numbers and truth values may stand there as text, and text
// between single quotes. Of several values the last one counts. An empty body has no parameters.
func parseJSON(text []byte) (Params, error) {
	p := Params{}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return p, nil
	}
	object, err := parseObject(text)
	if err != nil {
		if again, failed := parseObject(requote(text)); failed == nil {
			object, err = again, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the body is no JSON object of parameters: %w", fault.Invalid, err)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		switch value := object[name].(type) {
		case string, bool, json.Number:
			p[name] = fmt.Sprint(value)
		case nil:
		default:
			return nil, api.Words(fault.Invalid, "Parameter %s is a list or an object, want a text, a number, true or false.", name)
		}
	}
	return p, nil
}

func parseObject(text []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return object, nil
}

// requote puts double quotes in the place of single ones, but for those inside a text.
func requote(text []byte) []byte {
	out := make([]byte, 0, len(text)+2)
	var within byte // the quote that the text around began with; 0: none
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case within == 0 && (c == '"' || c == '\''):
			within = c
			out = append(out, '"')
		case within == 0:
			out = append(out, c)
		case c == '\\' && i+1 < len(text) && text[i+1] == '\'': // JSON knows no such escape, nor needs it
			out = append(out, '\'')
			i++
		case c == '\\' && i+1 < len(text):
			out = append(out, c, text[i+1])
			i++
		case c == within:
			within = 0
			out = append(out, '"')
		case c == '"':
			out = append(out, '\\', '"')
		default:
			out = append(out, c)
		}
	}
	return out
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

// number returns a whole number from least up, and whether there is one. TorchServe's numbers have 32 bits.
func (p *params) number(name string, least int) (n int, given bool) {
	value := p.values[name]
	if value == "" {
		return 0, false
	}
	wide, err := strconv.ParseInt(value, 10, 32)
	if err != nil || wide < int64(least) {
		want := "a whole number"
		if least > math.MinInt32 {
			want = fmt.Sprintf("a whole number from %d to %d", least, math.MaxInt32)
		}
		p.fail(name, value, want)
		return 0, false
	}
	return int(wide), true
}

// numberOr returns a whole number from least up, or otherwise where there is none.
func (p *params) numberOr(name string, least, otherwise int) int {
	if n, given := p.number(name, least); given {
		return n
	}
	return otherwise
}

// in returns a number of units from least up; 0 where there is none.
func (p *params) in(name string, unit time.Duration, least int) time.Duration {
	return time.Duration(p.numberOr(name, least, 0)) * unit
}
