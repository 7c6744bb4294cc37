package api

// Document is an OpenAPI 3.0.1 document, as far as the APIs need one.
type Document struct {
	OpenAPI string           `json:"openapi"`
	Info    Info             `json:"info"`
	Servers []ServerAddress  `json:"servers,omitempty"`
	Paths   map[string]Paths `json:"paths"`
}

// Info names a document.
type Info struct {
	Title   string `json:"title"`
	Version string `json:"version"`
}

// ServerAddress is where one of the three APIs answers. The description is inference, management or metrics.
type ServerAddress struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

// Paths are a path's operations by method, in lower case.
type Paths map[string]Operation

// Operation is one thing to ask.
type Operation struct {
	OperationID string            `json:"operationId"`
	Description string            `json:"description,omitempty"`
	Deprecated  bool              `json:"deprecated,omitempty"`
	Parameters  []Parameter       `json:"parameters,omitempty"`
	RequestBody *RequestBody      `json:"requestBody,omitempty"`
	Responses   map[string]Answer `json:"responses"`
}

// Parameter is a part of a path, or of a query.
type Parameter struct {
	Name        string `json:"name"`
	In          string `json:"in"`
	Description string `json:"description,omitempty"`
	Required    bool   `json:"required,omitempty"`
	Schema      Schema `json:"schema"`
}

// Schema is a type.
type Schema struct {
	Type    string `json:"type"`
	Format  string `json:"format,omitempty"`
	Default any    `json:"default,omitempty"`
}

// RequestBody is what a request may carry, by content type.
type RequestBody struct {
	Required bool             `json:"required,omitempty"`
	Content  map[string]Media `json:"content"`
}

// Media is one form of a body.
type Media struct {
	Schema Schema `json:"schema"`
}

// Answer is what a status means.
type Answer struct {
	Description string `json:"description"`
}

// NewDocument returns a document with the operations that every API has.
func NewDocument(title, version string, servers []ServerAddress) Document {
	ok := map[string]Answer{"200": {"OK"}}
	return Document{
		OpenAPI: "3.0.1", Info: Info{title, version}, Servers: servers,
		Paths: map[string]Paths{
			"/":                {"options": {OperationID: "apiDescription", Description: "Get the openapi description.", Responses: ok}},
			"/api-description": {"get": {OperationID: "api-description", Description: "Get the openapi description.", Deprecated: true, Responses: ok}},
		},
	}
}

// PathParameter is a required part of a path.
func PathParameter(name, description string) Parameter {
	return Parameter{Name: name, In: "path", Description: description, Required: true, Schema: Schema{Type: "string"}}
}

// QueryParameter is a part of a query that may be missing.
func QueryParameter(name, kind, description string) Parameter {
	return Parameter{Name: name, In: "query", Description: description, Schema: Schema{Type: kind}}
}

// Answers are the statuses of an operation: 200 and what is usual.
func Answers(ok string, codes ...string) map[string]Answer {
	words := map[string]string{
		"202": "Accepted", "206": "Workers are still starting", "400": "Bad request", "403": "The default version goes last",
		"404": "Model not found", "405": "Not allowed", "408": "Timed out", "409": "Exists already", "413": "Too large",
		"500": "Internal server error", "501": "Not supported", "503": "No worker, or a full queue",
	}
	all := map[string]Answer{"200": {ok}}
	for _, code := range codes {
		all[code] = Answer{words[code]}
	}
	return all
}
