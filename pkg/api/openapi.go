package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
)

// Addresses are where a server's APIs are, as URLs; empty where unknown.
type Addresses struct{ Inference, Management, Metrics string }

// API names one of the three.
type API string

// The APIs, as they are called in a document's list of servers.
const (
	Inference  API = "inference"
	Management API = "management"
	Metrics    API = "metrics"
)

// servers lists the addresses that are known, own first: that is the one which the document's paths are under.
func (a Addresses) servers(own API) []Server {
	all := []Server{{a.Inference, Inference}, {a.Management, Management}, {a.Metrics, Metrics}}
	var list []Server
	for _, mine := range []bool{true, false} {
		for _, s := range all {
			if s.URL != "" && (s.Description == own) == mine {
				list = append(list, s)
			}
		}
	}
	return list
}

// Server is an address of a document.
type Server struct {
	URL         string `json:"url"`
	Description API    `json:"description"`
}

// Document is an OpenAPI document, version 3.0.1. What it lists keeps its order.
type Document struct {
	OpenAPI    string                       `json:"openapi"`
	Info       Info                         `json:"info"`
	Servers    []Server                     `json:"servers,omitempty"`
	Paths      Ordered[*Ordered[Operation]] `json:"paths"`
	Components Components                   `json:"components"`
}

// Info heads a document.
type Info struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
}

// Components are what operations share.
type Components struct {
	Schemas Ordered[Schema] `json:"schemas"`
}

// Operation is what one method of a path does. Its failures are added by [Document.Add], unless it tells them itself.
type Operation struct {
	ID         string           `json:"operationId"`
	Summary    string           `json:"summary,omitempty"`
	Deprecated bool             `json:"deprecated,omitempty"`
	Parameters []Parameter      `json:"parameters,omitempty"`
	Body       *Body            `json:"requestBody,omitempty"`
	Responses  Ordered[Content] `json:"responses"` // by status
}

// Parameter is one of an operation.
type Parameter struct {
	Name        string `json:"name"`
	In          string `json:"in"` // path or query
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	Schema      Schema `json:"schema"`
}

// Body is what an operation reads.
type Body struct {
	Description string         `json:"description,omitempty"`
	Required    bool           `json:"required,omitempty"`
	Content     Ordered[Media] `json:"content"` // by media type
}

// Content is what an operation answers.
type Content struct {
	Description string         `json:"description"`
	Content     Ordered[Media] `json:"content,omitempty"` // by media type
}

// Media is the form of a body.
type Media struct {
	Schema Schema `json:"schema"`
}

// Schema is a type. The zero value is any.
type Schema struct {
	Ref        string          `json:"$ref,omitempty"`
	Type       string          `json:"type,omitempty"`
	Format     string          `json:"format,omitempty"`
	Default    any             `json:"default,omitempty"`
	Enum       []string        `json:"enum,omitempty"`
	Items      *Schema         `json:"items,omitempty"`
	Required   []string        `json:"required,omitempty"`
	Properties Ordered[Schema] `json:"properties,omitempty"`
}

// Ordered is a JSON object that keeps its order.
type Ordered[T any] []Entry[T]

// Entry is one of an [Ordered].
type Entry[T any] struct {
	Key   string
	Value T
}

// MarshalJSON writes the object.
func (o Ordered[T]) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, entry := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := e.Encode(entry.Key); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := e.Encode(entry.Value); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// errorSchema is the name of the schema of a failure's body.
const errorSchema = "Error"

// NewDocument returns a document without paths.
func NewDocument(info Info, own API, addresses Addresses) *Document {
	failure := Schema{
		Type: "object", Required: []string{"code", "type"},
		Properties: Ordered[Schema]{
			{"code", Schema{Type: "integer", Format: "int32"}}, {"type", Schema{Type: "string"}}, {"message", Schema{Type: "string"}},
		},
	}
	return &Document{
		OpenAPI:    "3.0.1",
		Info:       info,
		Servers:    addresses.servers(own),
		Paths:      Ordered[*Ordered[Operation]]{},
		Components: Components{Schemas: Ordered[Schema]{{errorSchema, failure}}},
	}
}

// AnyOther stands for the statuses that an operation's responses do not name.
const AnyOther = "default"

// Add adds an operation. The method is in lower case, as the format wants it.
func (d *Document) Add(path, method string, op Operation) {
	if !slices.ContainsFunc(op.Responses, func(e Entry[Content]) bool { return e.Key == AnyOther }) {
		failure := Content{Description: "what went wrong", Content: JSONContent(Schema{Ref: "#/components/schemas/" + errorSchema})}
		op.Responses = append(op.Responses[:len(op.Responses):len(op.Responses)], Entry[Content]{AnyOther, failure})
	}
	for _, item := range d.Paths {
		if item.Key == path {
			*item.Value = append(*item.Value, Entry[Operation]{method, op})
			return
		}
	}
	d.Paths = append(d.Paths, Entry[*Ordered[Operation]]{path, &Ordered[Operation]{{method, op}}})
}

// AddDescription adds the operations that give the document itself.
func (d *Document) AddDescription() {
	answer := Responses(http.StatusOK, "this document", Schema{Type: "object"})
	d.Add("/", "options", Operation{ID: "apiDescription", Summary: "Describes this API.", Responses: answer})
	d.Add("/api-description", "get", Operation{
		ID: "api-description", Summary: "Describes this API; OPTIONS / does so too.", Deprecated: true, Responses: answer,
	})
}

// Responses returns one response, in JSON.
func Responses(code int, description string, schema Schema) Ordered[Content] {
	return Ordered[Content]{{strconv.Itoa(code), Content{Description: description, Content: JSONContent(schema)}}}
}

// JSONContent returns the content of a body in JSON.
func JSONContent(schema Schema) Ordered[Media] {
	return Ordered[Media]{{"application/json", Media{Schema: schema}}}
}

// StatusSchema returns the schema of what [WriteStatus] writes.
func StatusSchema() Schema {
	return Schema{Type: "object", Required: []string{"status"}, Properties: Ordered[Schema]{{"status", Schema{Type: "string"}}}}
}

// PathParameter returns a parameter that stands in the path.
func PathParameter(name, description string) Parameter {
	return Parameter{Name: name, In: "path", Description: description, Required: true, Schema: Schema{Type: "string"}}
}

// QueryParameter returns a parameter that may stand in the query.
func QueryParameter(name, description string, schema Schema) Parameter {
	return Parameter{Name: name, In: "query", Description: description, Schema: schema}
}
