package rpc

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"google.golang.org/grpc"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/api/rpc/managementpb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// ManagementOptions are the settings of [Management].
type ManagementOptions struct {
	ModelAPI bool         // whether models can be registered and unregistered
	Log      *slog.Logger // why a model was not registered, where the caller gets TorchServe's words alone; nil: none
}

// Management is TorchServe's management service. Its answers have the texts of the HTTP API. As there, no number that is
// zero or less counts, and a registration is not waited for unless it is said to be synchronous.
type Management struct {
	managementpb.UnimplementedManagementAPIsServiceServer

	calls *management.Service
	opts  ManagementOptions
}

// NewManagement returns the management service of m.
func NewManagement(m model.Manager, opts ManagementOptions) *Management {
	return &Management{calls: management.NewService(m, opts.Log), opts: opts}
}

// Register makes a server's calls of the service its own.
func (m *Management) Register(to grpc.ServiceRegistrar) {
	managementpb.RegisterManagementAPIsServiceServer(to, m)
}

// DescribeModel tells what is known of a model, in JSON.
func (m *Management) DescribeModel(ctx context.Context, req *managementpb.DescribeModelRequest) (*managementpb.ManagementResponse, error) {
	p := management.Params{"customized": strconv.FormatBool(req.GetCustomized())}
	all, err := m.calls.Describe(ctx, model.Ref{Name: req.GetModelName(), Version: req.GetModelVersion()}, p)
	return inJSON(all, err)
}

// ListModels lists the names that are served, in JSON.
func (m *Management) ListModels(ctx context.Context, req *managementpb.ListModelsRequest) (*managementpb.ManagementResponse, error) {
	p := management.Params{}
	number(p, "limit", req.GetLimit())
	number(p, "next_page_token", req.GetNextPageToken())
	page, err := m.calls.List(ctx, p)
	return inJSON(page, err)
}

// RegisterModel loads a model and serves it.
func (m *Management) RegisterModel(ctx context.Context, req *managementpb.RegisterModelRequest) (*managementpb.ManagementResponse, error) {
	if err := m.allowed(); err != nil {
		return nil, err
	}
	p := management.Params{
		"handler": req.GetHandler(), "model_name": req.GetModelName(), "runtime": req.GetRuntime(),
		"synchronous": strconv.FormatBool(req.GetSynchronous()), "s3_sse_kms": strconv.FormatBool(req.GetS3SseKms()),
	}
	if req.GetUrl() != "" {
		p["url"] = req.GetUrl()
	}
	number(p, "batch_size", req.GetBatchSize())
	number(p, "initial_workers", req.GetInitialWorkers())
	number(p, "max_batch_delay", req.GetMaxBatchDelay())
	number(p, "response_timeout", req.GetResponseTimeout())
	number(p, "startup_timeout", req.GetStartupTimeout())
	out, err := m.calls.Register(ctx, p)
	return text(out, err)
}

// ScaleWorker sets how many workers a model has.
func (m *Management) ScaleWorker(ctx context.Context, req *managementpb.ScaleWorkerRequest) (*managementpb.ManagementResponse, error) {
	if err := named(req.GetModelName()); err != nil {
		return nil, err
	}
	p := management.Params{"synchronous": strconv.FormatBool(req.GetSynchronous())}
	number(p, "min_worker", req.GetMinWorker())
	number(p, "max_worker", req.GetMaxWorker())
	out, err := m.calls.Scale(ctx, model.Ref{Name: req.GetModelName(), Version: req.GetModelVersion()}, p)
	return text(out, err)
}

// SetDefault makes a version the default one.
func (m *Management) SetDefault(ctx context.Context, req *managementpb.SetDefaultRequest) (*managementpb.ManagementResponse, error) {
	if err := named(req.GetModelName()); err != nil {
		return nil, err
	}
	if req.GetModelVersion() == "" {
		return nil, api.Words(fault.Invalid, "Parameter model_version is required.")
	}
	out, err := m.calls.SetDefault(ctx, model.Ref{Name: req.GetModelName(), Version: req.GetModelVersion()})
	return text(out, err)
}

// UnregisterModel takes a version away, once the requests that it has are answered.
func (m *Management) UnregisterModel(ctx context.Context, req *managementpb.UnregisterModelRequest) (*managementpb.ManagementResponse, error) {
	if err := m.allowed(); err != nil {
		return nil, err
	}
	if err := named(req.GetModelName()); err != nil {
		return nil, err
	}
	out, err := m.calls.Unregister(ctx, model.Ref{Name: req.GetModelName(), Version: req.GetModelVersion()})
	return text(out, err)
}

// allowed refuses what changes the models, unless it is allowed.
func (m *Management) allowed() error {
	if !m.opts.ModelAPI {
		return api.Words(fault.NotAllowed, "Model API disabled")
	}
	return nil
}

// named refuses a call that names no model.
func named(name string) error {
	if name == "" {
		return api.Words(fault.Invalid, "Parameter model_name is required.")
	}
	return nil
}

// number sets a parameter to a number that counts.
func number(p management.Params, name string, n int32) {
	if n > 0 {
		p[name] = strconv.Itoa(int(n))
	}
}

func text(out management.Answer, err error) (*managementpb.ManagementResponse, error) {
	if err != nil {
		return nil, err
	}
	return &managementpb.ManagementResponse{Msg: out.Text}, nil
}

func inJSON(v any, err error) (*managementpb.ManagementResponse, error) {
	if err != nil {
		return nil, err
	}
	out, err := jsonText(v)
	return &managementpb.ManagementResponse{Msg: out}, err
}

// jsonText is v as a body of HTTP has it, without the end of its last line.
func jsonText(v any) (string, error) {
	out, err := api.JSON(v)
	return strings.TrimSuffix(string(out), "\n"), err
}
