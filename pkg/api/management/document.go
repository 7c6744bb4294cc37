package management

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// document is the API's OpenAPI document.
func (a *routes) document() api.Document {
	d := api.NewDocument("tsgo management API", a.opts.Version, a.opts.Servers)
	d.Paths["/models"] = api.Paths{
		"get": {
			OperationID: "listModels", Description: "List the names that are served, in their order.",
			Parameters: []api.Parameter{
				api.QueryParameter("limit", "integer", "How many at most, up to 100, which it is where nothing is said."),
				api.QueryParameter("next_page_token", "string", "The nextPageToken of the page before."),
			},
			Responses: api.Answers("A page of names", "400"),
		},
		"post": registerOperation(),
	}
	name := api.PathParameter("model_name", "Name of the model.")
	version := api.PathParameter("model_version", "Version of the model.")
	unversioned := operations("", name)
	scale := unversioned["put"]
	scale.Parameters = append(scale.Parameters, api.QueryParameter("model_version", "string", "Version of the model; the default one where nothing is said."))
	unversioned["put"] = scale
	d.Paths["/models/{model_name}"] = unversioned
	d.Paths["/models/{model_name}/{model_version}"] = operations("version_", name, version)
	d.Paths["/models/{model_name}/{model_version}/set-default"] = api.Paths{"put": {
		OperationID: "setDefault", Description: "Make a version the default one.", Parameters: []api.Parameter{name, version},
		Responses: api.Answers("It is the default version", "404"),
	}}
	return d
}

func registerOperation() api.Operation {
	url := api.QueryParameter("url", "string", "A name or a path in the model store, or a URL that the server allows. Required, here or in the body.")
	return api.Operation{
		OperationID: "registerModel",
		Description: "Load a model and serve it. The parameters may stand in a JSON object instead; then those of the query do not count.",
		Parameters: []api.Parameter{
			url,
			api.QueryParameter("model_name", "string", "In place of the manifest's."),
			api.QueryParameter("model_version", "string", "In place of the manifest's; TorchServe does not know it."),
			api.QueryParameter("handler", "string", "In place of the manifest's."),
			api.QueryParameter("runtime", "string", "python, python3 or LSP, as TorchServe has it."),
			api.QueryParameter("batch_size", "integer", "The most requests in a batch, from 1."),
			api.QueryParameter("max_batch_delay", "integer", "Milliseconds that a request waits for company at most."),
			api.QueryParameter("initial_workers", "integer", "How many workers it begins with."),
			api.QueryParameter("synchronous", "boolean", "Whether the answer waits until the model can answer; true where nothing is said."),
			api.QueryParameter("response_timeout", "integer", "Seconds that a batch may run, from 1."),
			api.QueryParameter("startup_timeout", "integer", "Seconds that loading may take, from 1."),
			api.QueryParameter("s3_sse_kms", "boolean", "Not supported: true is refused."),
		},
		RequestBody: &api.RequestBody{Content: map[string]api.Media{"application/json": {Schema: api.Schema{Type: "object"}}}},
		Responses:   api.Answers("Registered", "202", "206", "400", "404", "405", "408", "409", "413", "500", "501"),
	}
}

// operations are those of a model, or of a version.
func operations(prefix string, path ...api.Parameter) api.Paths {
	with := func(more ...api.Parameter) []api.Parameter { return append(path[:len(path):len(path)], more...) }
	return api.Paths{
		"get": {
			OperationID: prefix + "describeModel", Description: "Tell what is known of a model; of all its versions where the version is called all.",
			Parameters: with(api.QueryParameter("customized", "boolean", "What its handler tells of itself, too.")),
			Responses:  api.Answers("A list of versions", "400", "404", "503"),
		},
		"put": {
			OperationID: prefix + "setAutoScale", Description: "Set how many workers a model has.",
			Parameters: with(
				api.QueryParameter("min_worker", "integer", "At least so many; 1 where nothing is said."),
				api.QueryParameter("max_worker", "integer", "At most so many; min_worker where nothing is said."),
				api.QueryParameter("synchronous", "boolean", "Whether the answer waits; false where nothing is said."),
			),
			Responses: api.Answers("Scaled", "202", "206", "400", "404"),
		},
		"delete": {
			OperationID: prefix + "unregisterModel", Description: "Take a model away, once the requests that it has are answered.",
			Parameters: path, Responses: api.Answers("Unregistered", "403", "404", "405", "408"),
		},
	}
}

// describeAPI answers OPTIONS on a model's routes.
func (a *routes) describeAPI(w http.ResponseWriter, r *http.Request, ref model.Ref) error {
	if _, err := a.manager.Describe(r.Context(), ref, model.Description{}); err != nil {
		return api.About(err, ref)
	}
	d := api.NewDocument("RESTful Management API for: "+ref.Name, "1.0.0", a.opts.Servers)
	d.Paths = map[string]api.Paths{"/models/" + ref.String(): operations("")}
	return api.WriteJSON(w, http.StatusOK, d)
}
