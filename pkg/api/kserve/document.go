package kserve

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// Describe adds the operations of both protocols to a document. Params are the parameters of methods and handlers.
func Describe(d *api.Document, params []string) {
	name := api.PathParameter("model_name", "the model")
	version := api.PathParameter("model_version", "its version")
	tells(d, "/v1/models", "models", api.Operation{ID: "v1_models", Summary: "The names of all models."})
	tells(d, "/v1/models/{model_name}", "ready", api.Operation{ID: "v1_ready", Summary: "Whether the default version can answer, by the status too.", Parameters: []api.Parameter{name}})
	verbs(d, "/v1/models/{model_name}", "v1_", params, name)
	tells(d, "/v2", "extensions", api.Operation{ID: "v2_server", Summary: "What the server is, and which extensions of the protocol it has."})
	tells(d, "/v2/health/live", "live", api.Operation{ID: "v2_live", Summary: "Whether the server lives."})
	tells(d, "/v2/health/ready", "ready", api.Operation{ID: "v2_ready", Summary: "Whether all models can answer, by the status too."})
	tells(d, "/v2/models", "models", api.Operation{ID: "v2_models", Summary: "The names of all models."})
	for _, of := range []struct {
		path, id, what string
		parameters     []api.Parameter
	}{
		{"/v2/models/{model_name}", "v2_", "the default version", []api.Parameter{name}},
		{"/v2/models/{model_name}/versions/{model_version}", "v2_version_", "one version", []api.Parameter{name, version}},
	} {
		tells(d, of.path, "versions", api.Operation{ID: of.id + "model", Summary: "What " + of.what + " of a model takes and gives, and which versions there are.", Parameters: of.parameters})
		tells(d, of.path+"/ready", "ready", api.Operation{ID: of.id + "model_ready", Summary: "Whether " + of.what + " can answer, by the status too.", Parameters: of.parameters})
		asked(d, of.path, of.id, params, of.parameters...)
	}
}

// DescribeModel adds the operations that ask one model to a document.
func DescribeModel(d *api.Document, ref model.Ref, params []string) {
	verbs(d, "/v1/models/"+ref.Name, "v1_"+ref.Name+"_", params)
	asked(d, "/v2/models/"+ref.Name, "v2_"+ref.Name+"_", params)
	if ref.Version != "" {
		asked(d, "/v2/models/"+ref.Name+"/versions/"+ref.Version, "v2_version_"+ref.Name+"_", params)
	}
}

// verbs adds the questions of version 1.
func verbs(d *api.Document, path, id string, params []string, parameters ...api.Parameter) {
	instances := object("instances", api.Schema{Type: "array", Items: &api.Schema{}})
	d.Add(path+":predict", "post", operation(id+"predict", "Asks the default version about each of the instances.",
		instances, object("predictions", api.Schema{Type: "array", Items: &api.Schema{}}), with(params, parameters)))
	d.Add(path+":explain", "post", operation(id+"explain", "Asks which parts of each of the instances the answer rests on.",
		instances, object("explanations", api.Schema{Type: "array", Items: &api.Schema{}}), with(params, parameters)))
}

// asked adds the questions of version 2.
func asked(d *api.Document, path, id string, params []string, parameters ...api.Parameter) {
	tensors := api.Schema{Type: "array", Items: &api.Schema{Type: "object"}}
	d.Add(path+"/infer", "post", operation(id+"infer", "Asks about tensors, and answers with tensors.",
		object("inputs", tensors), object("outputs", tensors), with(params, parameters)))
	d.Add(path+"/explain", "post", operation(id+"explain", "Asks which parts of the tensors the answer rests on.",
		object("inputs", tensors), object("outputs", tensors), with(params, parameters)))
}

func with(params []string, path []api.Parameter) []api.Parameter {
	all := path[:len(path):len(path)]
	for _, name := range params {
		all = append(all, api.QueryParameter(name, "", api.Schema{Type: "string"}))
	}
	return all
}

func operation(id, summary string, body, answer api.Schema, parameters []api.Parameter) api.Operation {
	return api.Operation{
		ID: id, Summary: summary, Parameters: parameters, Body: &api.Body{Required: true, Content: api.JSONContent(body)},
		Responses: append(api.Responses(http.StatusOK, "what the model answers", answer), failed()),
	}
}

// tells adds an operation that only tells, in an object that has a member of this name.
func tells(d *api.Document, path, member string, op api.Operation) {
	op.Responses = append(api.Responses(http.StatusOK, "it is told", object(member, api.Schema{})), failed())
	d.Add(path, "get", op)
}

// failed is how the protocols tell a failure.
func failed() api.Entry[api.Content] {
	return api.Entry[api.Content]{Key: api.AnyOther, Value: api.Content{
		Description: "what went wrong", Content: api.JSONContent(object("error", api.Schema{Type: "string"})),
	}}
}

func object(member string, schema api.Schema) api.Schema {
	return api.Schema{Type: "object", Required: []string{member}, Properties: api.Ordered[api.Schema]{{Key: member, Value: schema}}}
}
