package rpc

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// OpenInference is the Open Inference Protocol, version 2.
type OpenInference struct {
	openinferencepb.UnimplementedGRPCInferenceServiceServer

	models inference.Models
	asker  inference.Asker
	opts   InferenceOptions
}

// NewOpenInference returns the protocol's service of models.
func NewOpenInference(models inference.Models, opts InferenceOptions) *OpenInference {
	opts.Params = slices.Clone(opts.Params)
	return &OpenInference{models: models, asker: asker(models, opts), opts: opts}
}

// torchServeName is under which name TorchServe has the service; its clients look for it there.
const torchServeName = "org.pytorch.serve.grpc.openinference.GRPCInferenceService"

// Register makes a server's calls of the service its own, under the protocol's name and under TorchServe's. Whoever asks
// for the method of a call is told the protocol's.
func (s *OpenInference) Register(to grpc.ServiceRegistrar) {
	openinferencepb.RegisterGRPCInferenceServiceServer(to, s)
	same := openinferencepb.GRPCInferenceService_ServiceDesc
	same.ServiceName = torchServeName
	to.RegisterService(&same, s)
}

// ServerLive says yes: who asks gets an answer.
func (*OpenInference) ServerLive(context.Context, *openinferencepb.ServerLiveRequest) (*openinferencepb.ServerLiveResponse, error) {
	return &openinferencepb.ServerLiveResponse{Live: true}, nil
}

// ServerReady tells whether all models can answer.
func (s *OpenInference) ServerReady(context.Context, *openinferencepb.ServerReadyRequest) (*openinferencepb.ServerReadyResponse, error) {
	return &openinferencepb.ServerReadyResponse{Ready: s.models.Ready() == nil}, nil
}

// ModelReady tells whether a model has the workers that it is to have, and one at least.
func (s *OpenInference) ModelReady(ctx context.Context, req *openinferencepb.ModelReadyRequest) (*openinferencepb.ModelReadyResponse, error) {
	ref := model.Ref{Name: req.GetName(), Version: req.GetVersion()}
	state, err := s.describe(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &openinferencepb.ModelReadyResponse{Ready: oip.Ready(state)}, nil
}

// ServerMetadata tells what the server is.
func (s *OpenInference) ServerMetadata(context.Context, *openinferencepb.ServerMetadataRequest) (*openinferencepb.ServerMetadataResponse, error) {
	return &openinferencepb.ServerMetadataResponse{Name: "tsgo", Version: s.opts.Version}, nil
}

// ModelMetadata tells what a model takes and gives, and which versions it has.
func (s *OpenInference) ModelMetadata(ctx context.Context, req *openinferencepb.ModelMetadataRequest) (*openinferencepb.ModelMetadataResponse, error) {
	ref := model.Ref{Name: req.GetName(), Version: req.GetVersion()}
	state, err := s.describe(ctx, ref)
	if err != nil {
		return nil, err
	}
	all, err := s.models.Describe(ctx, model.Ref{Name: ref.Name}, model.Description{All: true})
	if err != nil {
		return nil, api.About(err, ref)
	}
	signature := s.signature(state.Ref)
	out := &openinferencepb.ModelMetadataResponse{
		Name: ref.Name, Platform: oip.Platform,
		Inputs: metadataOf(signature.Inputs), Outputs: metadataOf(signature.Outputs),
	}
	for _, version := range all {
		out.Versions = append(out.Versions, version.Ref.Version)
	}
	return out, nil
}

func metadataOf(all []oip.Metadata) []*openinferencepb.ModelMetadataResponse_TensorMetadata {
	out := make([]*openinferencepb.ModelMetadataResponse_TensorMetadata, len(all))
	for i, m := range all {
		out[i] = &openinferencepb.ModelMetadataResponse_TensorMetadata{Name: m.Name, Datatype: m.Datatype, Shape: m.Shape}
	}
	return out
}

// describe tells of one version.
func (s *OpenInference) describe(ctx context.Context, ref model.Ref) (model.Status, error) {
	if err := named(ref.Name); err != nil {
		return model.Status{}, err
	}
	states, err := s.models.Describe(ctx, ref, model.Description{})
	if err != nil {
		return model.Status{}, api.About(err, ref)
	}
	if len(states) != 1 {
		return model.Status{}, fmt.Errorf("describe %s: %w: %d versions", ref, fault.Internal, len(states))
	}
	return states[0], nil
}

func (s *OpenInference) signature(ref model.Ref) oip.Signature {
	if s.opts.Signature == nil {
		return oip.Signature{}
	}
	return s.opts.Signature(ref)
}

// ModelInfer asks a model. The answer is raw where the question was, and where a type has no other form.
func (s *OpenInference) ModelInfer(ctx context.Context, req *openinferencepb.ModelInferRequest) (*openinferencepb.ModelInferResponse, error) {
	q := question{inference.Question{Ref: model.Ref{Name: req.GetModelName(), Version: req.GetModelVersion()}}}
	if err := named(q.Ref.Name); err != nil {
		return nil, err
	}
	signature := s.signature(q.Ref)
	given, err := inputs(req)
	if err != nil {
		return nil, err
	}
	rows, err := signature.Rows(given)
	if err != nil {
		return nil, err
	}
	if q.Params, err = s.params(req.GetParameters()); err != nil {
		return nil, err
	}
	if err := q.of(ctx); err != nil {
		return nil, err
	}
	answers, err := s.asker.AskRows(ctx, q.Question, rows)
	if err != nil {
		return nil, api.About(err, q.Ref)
	}
	wanted := make([]string, len(req.GetOutputs()))
	for i, o := range req.GetOutputs() {
		wanted[i] = o.GetName()
	}
	outputs, err := signature.Answers(answers, q.Mode, wanted)
	if err != nil {
		return nil, err
	}
	resp := &openinferencepb.ModelInferResponse{
		ModelName: req.GetModelName(), ModelVersion: req.GetModelVersion(), Id: cmp.Or(req.GetId(), api.RequestID(ctx)),
	}
	if err := fill(resp, outputs, len(req.GetRawInputContents()) > 0); err != nil {
		return nil, err
	}
	if err := s.asker.Fits(proto.Size(resp)); err != nil {
		return nil, err
	}
	return resp, nil
}

// params returns those parameters that are for the method or the handler. Others mean nothing here.
func (s *OpenInference) params(given map[string]*openinferencepb.InferParameter) (map[string]string, error) {
	params := map[string]string{}
	for _, name := range s.opts.Params {
		p, ok := given[name]
		if !ok {
			continue
		}
		value, ok := valueOf(p)
		if !ok {
			return nil, fmt.Errorf("%w: parameter %s has no value", fault.Invalid, name)
		}
		if len(value) > inference.MaxParam {
			return nil, fmt.Errorf("%w: the parameter %s has %d bytes, at most %d are taken", fault.TooLarge, name, len(value), inference.MaxParam)
		}
		params[name] = value
	}
	return params, nil
}

// valueOf returns a parameter as text, as it would stand in a query.
func valueOf(p *openinferencepb.InferParameter) (value string, ok bool) {
	switch v := p.GetParameterChoice().(type) {
	case *openinferencepb.InferParameter_BoolParam:
		return strconv.FormatBool(v.BoolParam), true
	case *openinferencepb.InferParameter_Int64Param:
		return strconv.FormatInt(v.Int64Param, 10), true
	case *openinferencepb.InferParameter_StringParam:
		return v.StringParam, true
	case *openinferencepb.InferParameter_DoubleParam:
		return strconv.FormatFloat(v.DoubleParam, 'g', -1, 64), true
	case *openinferencepb.InferParameter_Uint64Param:
		return strconv.FormatUint(v.Uint64Param, 10), true
	}
	return "", false
}
