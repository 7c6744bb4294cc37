package management

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// document is the API's OpenAPI document.
func (a *routes) document() *api.Document {
	d := api.NewDocument(api.Info{Title: "tsgo management API", Version: a.opts.Version}, api.Management, a.opts.Addresses)
	d.AddDescription()
	Describe(d, a.opts)
	if a.opts.More != nil {
		a.opts.More(d)
	}
	return d
}

// Describe adds the API's operations to a document.
func Describe(d *api.Document, opts Options) {
	d.Add("/models", "get", api.Operation{
		ID: "listModels", Summary: "List the names that are served, in their order.",
		Parameters: []api.Parameter{
			integer("limit", "How many at most, up to 100, which it is where nothing is said."),
			text("next_page_token", "The nextPageToken of the page before."),
		},
		Responses: api.Responses(http.StatusOK, "a page of names", api.Schema{Type: "object"}),
	})
	d.Add("/models", "post", registerOperation())
	if opts.Refresh != nil {
		d.Add("/token", "get", api.Operation{
			ID: "refreshToken", Summary: "Make a key anew, with the API key. The new one stands in the server's key file; the old one holds no longer.",
			Parameters: []api.Parameter{text("type", "management or inference.")},
			Responses:  api.Responses(http.StatusOK, "an empty line", api.Schema{Type: "string"}),
		})
	}
	if opts.Profile {
		d.Add("/debug/pprof/{profile}", "get", api.Operation{
			ID: "profile", Summary: "A profile of the process for go tool pprof, as net/http/pprof has it, for callers on the server's own machine.",
			Parameters: []api.Parameter{api.PathParameter("profile", "profile, heap, allocs, goroutine, block, mutex, threadcreate, trace, symbol or cmdline.")},
			Responses:  api.Responses(http.StatusOK, "the profile", api.Schema{Type: "string"}),
		})
	}
	name := api.PathParameter("model_name", "Name of the model.")
	version := api.PathParameter("model_version", "Version of the model.")
	add(d, "/models/{model_name}", "", name)
	add(d, "/models/{model_name}/{model_version}", "version_", name, version)
	d.Add("/models/{model_name}/{model_version}/set-default", "put", api.Operation{
		ID: "setDefault", Summary: "Make a version the default one.", Parameters: []api.Parameter{name, version},
		Responses: api.Responses(http.StatusOK, "it is the default version", api.StatusSchema()),
	})
}

func text(name, description string) api.Parameter {
	return api.QueryParameter(name, description, api.Schema{Type: "string"})
}

func integer(name, description string) api.Parameter {
	return api.QueryParameter(name, description, api.Schema{Type: "integer"})
}

func truth(name, description string) api.Parameter {
	return api.QueryParameter(name, description, api.Schema{Type: "boolean"})
}

func registerOperation() api.Operation {
	return api.Operation{
		ID:      "registerModel",
		Summary: "Load a model and serve it. The parameters may stand in a JSON object instead; then those of the query do not count.",
		Parameters: []api.Parameter{
			text("url", "A name or a path in the model store, or a URL that the server allows. Required, here or in the body."),
			text("model_name", "In place of the manifest's."),
			text("model_version", "In place of the manifest's; TorchServe does not know it."),
			text("handler", "In place of the manifest's."),
			text("runtime", "python, python3 or LSP, as TorchServe has it."),
			integer("batch_size", "The most requests in a batch, from 1."),
			integer("max_batch_delay", "Milliseconds that a request waits for company at most."),
			integer("initial_workers", "How many workers it begins with."),
			truth("synchronous", "Whether the answer waits until the model can answer; true where nothing is said."),
			integer("response_timeout", "Seconds that a batch may run, from 1."),
			integer("startup_timeout", "Seconds that loading may take, from 1."),
			truth("s3_sse_kms", "Not supported: true is refused."),
		},
		Body:      &api.Body{Content: api.JSONContent(api.Schema{Type: "object"})},
		Responses: api.Responses(http.StatusOK, "registered; 202 where the answer did not wait", api.StatusSchema()),
	}
}

// add adds the operations of a model, or of a version.
func add(d *api.Document, at, prefix string, path ...api.Parameter) {
	with := func(more ...api.Parameter) []api.Parameter { return append(path[:len(path):len(path)], more...) }
	d.Add(at, "get", api.Operation{
		ID: prefix + "describeModel", Summary: "Tell what is known of a model; of all its versions where the version is called all.",
		Parameters: with(truth("customized", "What its handler tells of itself, too.")),
		Responses:  api.Responses(http.StatusOK, "a list of versions", api.Schema{Type: "array", Items: &api.Schema{Type: "object"}}),
	})
	scale := with(
		integer("min_worker", "At least so many; 1 where nothing is said."),
		integer("max_worker", "At most so many; min_worker where nothing is said."),
		truth("synchronous", "Whether the answer waits; false where nothing is said."),
	)
	if prefix == "" {
		scale = append(scale, text("model_version", "Version of the model; the default one where nothing is said."))
	}
	d.Add(at, "put", api.Operation{
		ID: prefix + "setAutoScale", Summary: "Set how many workers a model has.", Parameters: scale,
		Responses: api.Responses(http.StatusOK, "scaled; 202 where the answer did not wait", api.StatusSchema()),
	})
	d.Add(at, "delete", api.Operation{
		ID: prefix + "unregisterModel", Summary: "Take a model away, once the requests that it has are answered.", Parameters: path,
		Responses: api.Responses(http.StatusOK, "unregistered", api.StatusSchema()),
	})
}

// describeAPI answers OPTIONS on a model's routes.
func (a *routes) describeAPI(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	if _, err := a.manager.Describe(r.Context(), ref, model.Description{}); err != nil {
		return api.About(err, ref)
	}
	d := api.NewDocument(api.Info{Title: "RESTful Management API for: " + ref.Name, Version: "1.0.0"}, api.Management, a.opts.Addresses)
	add(d, "/models/"+ref.String(), "")
	return api.WriteJSON(w, http.StatusOK, d)
}
