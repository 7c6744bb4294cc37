package inference

import (
	"net/http"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/model"
)

// document describes the API.
func (s *service) document() *api.Document {
	d := api.NewDocument(api.Info{
		Title: "Inference API", Description: "Predictions and explanations of the models that are served.", Version: s.Version,
	}, api.Inference, s.Addresses)
	d.AddDescription()
	d.Add("/ping", "get", api.Operation{
		ID: "ping", Summary: "Tells whether all models can answer: 200 Healthy, or 500 Unhealthy.",
		Responses: append(api.Responses(http.StatusOK, "all models can answer", api.StatusSchema()),
			api.Responses(http.StatusInternalServerError, "a model cannot answer", api.StatusSchema())...),
	})
	name := api.PathParameter("model_name", "the model")
	version := api.PathParameter("model_version", "its version")
	d.Add("/predictions/{model_name}", "post", s.operation("predictions", "Asks the default version of a model.", name))
	d.Add("/predictions/{model_name}/{model_version}", "post",
		s.operation("version_predictions", "Asks one version of a model.", name, version))
	d.Add("/explanations/{model_name}", "post",
		s.operation("explanations", "Asks which parts of the input the answer of the default version rests on.", name))
	d.Add("/explanations/{model_name}/{model_version}", "post",
		s.operation("version_explanations", "Asks which parts of the input the answer of one version rests on.", name, version))
	d.Add("/invocations", "post", s.operation("invocations", "Asks the model that a field names, or the only one there is.",
		api.QueryParameter(modelName, "the model; a field of a form may name it too", api.Schema{Type: "string"})))
	d.Add("/models/{model_name}/invoke", "post", s.operation("invoke", "Asks the default version of a model.", name))
	legacy := s.operation("legacy_predict", "As /predictions, in TorchServe's oldest way.", name)
	legacy.Deprecated = true
	d.Add("/{model_name}/predict", "post", legacy)
	legacy = s.operation("legacy_version_predict", "As /predictions, in TorchServe's oldest way.", name, version)
	legacy.Deprecated = true
	d.Add("/{model_name}/{model_version}/predict", "post", legacy)
	if s.More != nil {
		s.More(d)
	}
	return d
}

// modelDocument describes the routes of one model.
func (s *service) modelDocument(ref model.Ref) *api.Document {
	d := api.NewDocument(api.Info{Title: "RESTful API for: " + ref.Name, Version: "1.0.0"}, api.Inference, s.Addresses)
	explain := "Asks which parts of the input the answer rests on."
	d.Add("/predictions/"+ref.Name, "post", s.operation(ref.Name, "Asks the default version."))
	d.Add("/explanations/"+ref.Name, "post", s.operation("explain_"+ref.Name, explain))
	if ref.Version != "" {
		d.Add("/predictions/"+ref.Name+"/"+ref.Version, "post", s.operation("version_"+ref.Name, "Asks version "+ref.Version+"."))
		d.Add("/explanations/"+ref.Name+"/"+ref.Version, "post", s.operation("version_explain_"+ref.Name, explain))
	}
	if s.MoreOf != nil {
		s.MoreOf(d, ref)
	}
	return d
}

// operation describes a question to a model.
func (s *service) operation(id, summary string, parameters ...api.Parameter) api.Operation {
	for _, name := range s.Params {
		parameters = append(parameters, api.QueryParameter(name, "", api.Schema{Type: "string"}))
	}
	anything := api.Media{Schema: api.Schema{Type: "string", Format: "binary"}}
	object := api.Media{Schema: api.Schema{Type: "object"}}
	answer := api.Ordered[api.Media]{{Key: typeJSON}, {Key: "*/*", Value: anything}}
	return api.Operation{
		ID: id, Summary: summary, Parameters: parameters,
		Body: &api.Body{
			Description: `the input: a file, a form, JSON lists, or {"instances": [...]} for several at once`,
			Content: api.Ordered[api.Media]{
				{Key: "*/*", Value: anything}, {Key: typeJSON}, {Key: typeParts, Value: object}, {Key: typeForm, Value: object},
			},
		},
		Responses: api.Ordered[api.Content]{{Key: "200", Value: api.Content{Description: "what the model answers", Content: answer}}},
	}
}
