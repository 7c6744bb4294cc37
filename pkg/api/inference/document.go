package inference

import (
	"fmt"
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// document is the API's OpenAPI document.
func (a *routes) document() api.Document {
	d := api.NewDocument("tsgo inference API", a.opts.Version, a.opts.Servers)
	d.Paths["/ping"] = api.Paths{"get": {OperationID: "ping", Description: "Whether every model can answer.", Responses: api.Answers("Healthy", "500")}}
	name := api.PathParameter("model_name", "Name of the model.")
	version := api.PathParameter("model_version", "Version of the model.")
	d.Paths["/predictions/{model_name}"] = a.operation("predictions", "What the default version of a model says of the input.", name)
	d.Paths["/predictions/{model_name}/{model_version}"] = a.operation("version_predictions", "What a version of a model says of the input.", name, version)
	d.Paths["/explanations/{model_name}"] = a.operation("explanations", "Which parts of the input the answer rests on.", name)
	d.Paths["/explanations/{model_name}/{model_version}"] = a.operation("version_explanations", "Which parts of the input a version's answer rests on.", name, version)
	return d
}

// operation is a POST of an input.
func (a *routes) operation(id, description string, path ...api.Parameter) api.Paths {
	for _, param := range a.opts.Params {
		path = append(path, api.QueryParameter(param, "string", ""))
	}
	return api.Paths{"post": {
		OperationID: id, Description: description, Parameters: path,
		RequestBody: &api.RequestBody{Required: true, Content: map[string]api.Media{"*/*": {Schema: api.Schema{Type: "string", Format: "binary"}}}},
		Responses:   api.Answers("The model's answer", "400", "404", "408", "413", "500", "503"),
	}}
}

// describeModel answers OPTIONS on a model's routes.
func (a *routes) describeModel(w http.ResponseWriter, ref model.Ref) error {
	if a.models.InputNames(ref) == nil {
		return api.About(fmt.Errorf("model %s: %w", ref, fault.NoModel), ref)
	}
	d := api.NewDocument("RESTful API for: "+ref.Name, "1.0.0", a.opts.Servers)
	path := "/predictions/" + ref.Name
	if ref.Version != "" {
		path += "/" + ref.Version
	}
	d.Paths = map[string]api.Paths{path: a.operation(ref.Name, "What the model says of the input.")}
	return api.WriteJSON(w, http.StatusOK, d)
}
