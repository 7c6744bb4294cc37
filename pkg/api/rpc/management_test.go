package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/management"
	"github.com/tsgo/tsgo/pkg/api/rpc"
	"github.com/tsgo/tsgo/pkg/api/rpc/managementpb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// manager serves mnist 1.0 (default) and 2.0, and remembers what it was asked. What it is to fail with stands in the
// location or in the name.
type manager struct {
	failures map[string]error

	mu    sync.Mutex
	calls []any
}

func newManager() *manager {
	return &manager{failures: map[string]error{
		"taken":   &model.ConflictError{Ref: model.Ref{Name: "mnist", Version: "1.0"}},
		"cut.mar": fmt.Errorf("%w: cut.mar: not a zip", fault.BadModel),
		"gone":    fmt.Errorf("fetch it: %w", fault.Download),
		"nowhere": fmt.Errorf("%w: %w", fault.NoModel, model.ErrNothingThere),
		"":        fmt.Errorf("%w: nothing", fault.NoModel),
		"none":    fmt.Errorf("%w: none", fault.NoModel),
		"v9":      fmt.Errorf("%w: 9", fault.NoVersion),
		"default": fmt.Errorf("%w: default", fault.DefaultVersion),
		"slow":    fmt.Errorf("wait: %w", context.DeadlineExceeded),
		"idle":    fmt.Errorf("idle: %w", model.ErrNoWorker),
		"bug":     errors.New("a defect with its secrets"),
	}}
}

func (m *manager) called(what any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, what)
}

func (m *manager) last(t *testing.T) any {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.calls) == 0 {
		t.Fatal("the manager was not asked")
	}
	return m.calls[len(m.calls)-1]
}

func (m *manager) Register(_ context.Context, r model.Registration) (model.Outcome, error) {
	m.called(r)
	out := model.Outcome{Ref: model.Ref{Name: "mnist", Version: "1.0"}, Pending: r.Async && r.Workers != nil}
	if r.Workers != nil {
		out.Workers = *r.Workers
	}
	return out, m.failures[r.URL]
}

type scaled struct {
	Ref   model.Ref
	Scale model.Scale
}

func (m *manager) Scale(_ context.Context, ref model.Ref, s model.Scale) (model.Outcome, error) {
	m.called(scaled{ref, s})
	return model.Outcome{Ref: ref, Workers: s.Min, Pending: s.Min == 9}, m.failures[ref.Name]
}

func (m *manager) Unregister(_ context.Context, ref model.Ref) error {
	m.called(ref)
	return m.failures[ref.Name]
}

func (m *manager) SetDefault(_ context.Context, ref model.Ref) error {
	m.called(ref)
	return m.failures[ref.Name]
}

type described struct {
	Ref         model.Ref
	Description model.Description
}

func (m *manager) Describe(_ context.Context, ref model.Ref, d model.Description) ([]model.Status, error) {
	m.called(described{ref, d})
	s := model.Status{
		Ref: model.Ref{Name: "mnist", Version: "1.0"}, URL: "mnist.mar", MinWorkers: 1, MaxWorkers: 1, BatchSize: 2,
		Workers: []model.Worker{{ID: "9000", Ready: true, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
	}
	if d.Customized {
		s.Customized = map[string]any{"answer": "<digit>"}
	}
	all := []model.Status{s}
	if d.All {
		s.Ref.Version = "2.0"
		all = append(all, s)
	}
	return all, m.failures[ref.Name]
}

func (m *manager) List(_ context.Context, p model.Page) (model.Listing, error) {
	m.called(p)
	if p.Offset == 13 {
		return model.Listing{}, errSecret
	}
	l := model.Listing{Models: []model.Listed{{Name: "mnist", URL: "mnist.mar"}}}
	if p.Limit == 1 {
		l.Next = p.Offset + 1
	}
	return l, nil
}

func managing(t *testing.T, m *manager, log *logged) managementpb.ManagementAPIsServiceClient {
	t.Helper()
	conn, _ := serve(t, rpc.Options{Log: logTo(log)}, rpc.NewManagement(m, rpc.ManagementOptions{ModelAPI: true, Log: logTo(log)}))
	return managementpb.NewManagementAPIsServiceClient(conn)
}

// TestAsOverHTTP compares the texts of the two APIs, call by call.
func TestAsOverHTTP(t *testing.T) {
	t.Parallel()
	type client = managementpb.ManagementAPIsServiceClient
	type answer = *managementpb.ManagementResponse
	ref := model.Ref{Name: "mnist", Version: "1.0"}
	two := 2
	tests := []struct {
		name   string
		call   func(ctx context.Context, c client) (answer, error)
		asked  any
		method string
		path   string
	}{
		{"register", func(ctx context.Context, c client) (answer, error) {
			return c.RegisterModel(ctx, &managementpb.RegisterModelRequest{Url: "mnist.mar", Synchronous: true})
		}, model.Registration{URL: "mnist.mar"}, "POST", "/models?url=mnist.mar"},
		{"register with everything", func(ctx context.Context, c client) (answer, error) {
			return c.RegisterModel(ctx, &managementpb.RegisterModelRequest{
				Url: "mnist.mar", ModelName: "mnist", Handler: "h", Runtime: "python", BatchSize: 4, InitialWorkers: 2, MaxBatchDelay: 50,
				ResponseTimeout: 7, StartupTimeout: 8, Synchronous: true,
			})
		}, model.Registration{
			URL: "mnist.mar", Name: "mnist", Handler: "h", Runtime: "python", BatchSize: 4, Workers: &two, MaxBatchDelay: 50 * time.Millisecond,
			ResponseTimeout: 7 * time.Second, StartupTimeout: 8 * time.Second,
		}, "POST", "/models?url=mnist.mar&initial_workers=2"},
		{"register without waiting, and numbers that do not count", func(ctx context.Context, c client) (answer, error) {
			return c.RegisterModel(ctx, &managementpb.RegisterModelRequest{Url: "mnist.mar", InitialWorkers: 2, BatchSize: -1, ResponseTimeout: -1})
		}, model.Registration{URL: "mnist.mar", Workers: &two, Async: true}, "POST", "/models?url=mnist.mar&initial_workers=2&synchronous=false"},
		{"describe", func(ctx context.Context, c client) (answer, error) {
			return c.DescribeModel(ctx, &managementpb.DescribeModelRequest{ModelName: "mnist"})
		}, described{Ref: model.Ref{Name: "mnist"}}, "GET", "/models/mnist"},
		{"describe a version, customized", func(ctx context.Context, c client) (answer, error) {
			return c.DescribeModel(ctx, &managementpb.DescribeModelRequest{ModelName: "mnist", ModelVersion: "1.0", Customized: true})
		}, described{ref, model.Description{Customized: true}}, "GET", "/models/mnist/1.0?customized=true"},
		{"describe all", func(ctx context.Context, c client) (answer, error) {
			return c.DescribeModel(ctx, &managementpb.DescribeModelRequest{ModelName: "mnist", ModelVersion: "all"})
		}, described{model.Ref{Name: "mnist"}, model.Description{All: true}}, "GET", "/models/mnist/all"},
		{"list", func(ctx context.Context, c client) (answer, error) {
			return c.ListModels(ctx, &managementpb.ListModelsRequest{})
		}, model.Page{Limit: 100}, "GET", "/models"},
		{"list a page", func(ctx context.Context, c client) (answer, error) {
			return c.ListModels(ctx, &managementpb.ListModelsRequest{Limit: 1, NextPageToken: 3})
		}, model.Page{Limit: 1, Offset: 3}, "GET", "/models?limit=1&next_page_token=3"},
		{"scale", func(ctx context.Context, c client) (answer, error) {
			return c.ScaleWorker(ctx, &managementpb.ScaleWorkerRequest{ModelName: "mnist", MinWorker: 2, MaxWorker: 3, NumberGpu: 1, Timeout: 5, Synchronous: true})
		}, scaled{model.Ref{Name: "mnist"}, model.Scale{Min: 2, Max: 3}}, "PUT", "/models/mnist?min_worker=2&max_worker=3&synchronous=true"},
		{"scale a version without waiting", func(ctx context.Context, c client) (answer, error) {
			return c.ScaleWorker(ctx, &managementpb.ScaleWorkerRequest{ModelName: "mnist", ModelVersion: "1.0"})
		}, scaled{ref, model.Scale{Min: 1, Max: 1, Async: true}}, "PUT", "/models/mnist/1.0"},
		{"scale, and some are yet to come", func(ctx context.Context, c client) (answer, error) {
			return c.ScaleWorker(ctx, &managementpb.ScaleWorkerRequest{ModelName: "mnist", MinWorker: 9, Synchronous: true})
		}, scaled{model.Ref{Name: "mnist"}, model.Scale{Min: 9, Max: 9}}, "PUT", "/models/mnist?min_worker=9&synchronous=true"},
		{"set default", func(ctx context.Context, c client) (answer, error) {
			return c.SetDefault(ctx, &managementpb.SetDefaultRequest{ModelName: "mnist", ModelVersion: "1.0"})
		}, ref, "PUT", "/models/mnist/1.0/set-default"},
		{"unregister", func(ctx context.Context, c client) (answer, error) {
			return c.UnregisterModel(ctx, &managementpb.UnregisterModelRequest{ModelName: "mnist", ModelVersion: "1.0"})
		}, ref, "DELETE", "/models/mnist/1.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newManager()
			var log logged
			got, err := tt.call(t.Context(), managing(t, m, &log))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.asked, m.last(t)); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			w := httptest.NewRecorder()
			api.Wrap(management.New(newManager(), management.Options{ModelAPI: true}), api.Options{}).
				ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, http.NoBody))
			want := strings.TrimSuffix(w.Body.String(), "\n")
			if tt.method != "GET" { // without the JSON around it
				want = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(want, "{\n  \"status\": \""), "\"\n}"), `\"`, `"`)
			}
			if diff := cmp.Diff(want, got.GetMsg()); diff != "" || w.Code >= http.StatusBadRequest {
				t.Errorf("status %d, answer (-HTTP +gRPC):\n%s", w.Code, diff)
			}
		})
	}
}

func TestFailuresOfManagement(t *testing.T) {
	t.Parallel()
	register := func(r *managementpb.RegisterModelRequest) func(context.Context, managementpb.ManagementAPIsServiceClient) error {
		return func(ctx context.Context, c managementpb.ManagementAPIsServiceClient) error {
			_, err := c.RegisterModel(ctx, r)
			return err
		}
	}
	scale := func(name string, least, most int32) func(context.Context, managementpb.ManagementAPIsServiceClient) error {
		return func(ctx context.Context, c managementpb.ManagementAPIsServiceClient) error {
			_, err := c.ScaleWorker(ctx, &managementpb.ScaleWorkerRequest{ModelName: name, MinWorker: least, MaxWorker: most})
			return err
		}
	}
	unregister := func(name string) func(context.Context, managementpb.ManagementAPIsServiceClient) error {
		return func(ctx context.Context, c managementpb.ManagementAPIsServiceClient) error {
			_, err := c.UnregisterModel(ctx, &managementpb.UnregisterModelRequest{ModelName: name})
			return err
		}
	}
	describe := func(name string, customized bool) func(context.Context, managementpb.ManagementAPIsServiceClient) error {
		return func(ctx context.Context, c managementpb.ManagementAPIsServiceClient) error {
			_, err := c.DescribeModel(ctx, &managementpb.DescribeModelRequest{ModelName: name, ModelVersion: "9", Customized: customized})
			return err
		}
	}
	setDefault := func(name, version string) func(context.Context, managementpb.ManagementAPIsServiceClient) error {
		return func(ctx context.Context, c managementpb.ManagementAPIsServiceClient) error {
			_, err := c.SetDefault(ctx, &managementpb.SetDefaultRequest{ModelName: name, ModelVersion: version})
			return err
		}
	}
	list := func(token int32) func(context.Context, managementpb.ManagementAPIsServiceClient) error {
		return func(ctx context.Context, c managementpb.ManagementAPIsServiceClient) error {
			_, err := c.ListModels(ctx, &managementpb.ListModelsRequest{NextPageToken: token})
			return err
		}
	}
	tests := []struct {
		name    string
		call    func(context.Context, managementpb.ManagementAPIsServiceClient) error
		code    codes.Code
		reason  string
		message string
	}{
		{"register nothing", register(&managementpb.RegisterModelRequest{}), codes.InvalidArgument, "BadRequestException", "Parameter url is required."},
		{"register what is there", register(&managementpb.RegisterModelRequest{Url: "taken"}), codes.AlreadyExists, "ConflictStatusException", "Model version 1.0 is already registered for model mnist"},
		{"register a bad archive", register(&managementpb.RegisterModelRequest{Url: "cut.mar"}), codes.InvalidArgument, "InvalidModelException", "bad model: cut.mar: not a zip"},
		{"register what cannot be fetched", register(&managementpb.RegisterModelRequest{Url: "gone"}), codes.InvalidArgument, "DownloadArchiveException", "Failed to download archive from: gone"},
		{"register what is not there", register(&managementpb.RegisterModelRequest{Url: "nowhere"}), codes.NotFound, "ModelNotFoundException", "Model not found at: nowhere"},
		{"register for a runtime", register(&managementpb.RegisterModelRequest{Url: "x", Runtime: "java"}), codes.InvalidArgument, "BadRequestException", "Invalid RuntimeType value: java"},
		{"register from S3", register(&managementpb.RegisterModelRequest{Url: "x", S3SseKms: true}), codes.Unimplemented, "UnsupportedException", "Parameter s3_sse_kms is not supported: models are not fetched from S3 with its signatures. Put the model into the model store and register it by its name."},
		{"scale nothing", scale("", 1, 1), codes.InvalidArgument, "BadRequestException", "Parameter model_name is required."},
		{"scale the wrong way", scale("mnist", 2, 1), codes.InvalidArgument, "BadRequestException", "max_worker cannot be less than min_worker."},
		{"scale what is not there", scale("none", 1, 1), codes.NotFound, "ModelNotFoundException", "Model not found: none"},
		{"unregister nothing", unregister(""), codes.InvalidArgument, "BadRequestException", "Parameter model_name is required."},
		{"unregister the default version", unregister("default"), codes.FailedPrecondition, "InvalidModelVersionException", "Cannot remove default version for model default"},
		{"unregister in time", unregister("slow"), codes.DeadlineExceeded, "RequestTimeoutException", "Timed out while cleaning resources: slow"},
		{"describe nothing", describe("", false), codes.NotFound, "ModelNotFoundException", "Model not found: "},
		{"describe what is not there", describe("none", false), codes.NotFound, "ModelNotFoundException", "Model not found: none"},
		{"describe a version that is not there", describe("v9", false), codes.NotFound, "ModelVersionNotFoundException", "Model version: 9 does not exist for model: v9"},
		{"describe without a worker", describe("idle", true), codes.Unavailable, "ServiceUnavailableException", `Model "idle" has no worker to serve describe request. Please use scale workers API to add workers.`},
		{"set default of nothing", setDefault("", "1.0"), codes.InvalidArgument, "BadRequestException", "Parameter model_name is required."},
		{"set no default", setDefault("mnist", ""), codes.InvalidArgument, "BadRequestException", "Parameter model_version is required."},
		{"set a default that is not there", setDefault("v9", "9"), codes.NotFound, "ModelVersionNotFoundException", "Model version 9 does not exist for model v9"},
		{"a defect", list(13), codes.Internal, "InternalServerException", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log logged
			err := tt.call(t.Context(), managing(t, newManager(), &log))
			if tt.code == codes.Internal {
				if text := log.String(); strings.Count(text, errSecret.Error()) != 1 || strings.Contains(err.Error(), errSecret.Error()) {
					t.Errorf("%v, log %s", err, text)
				}
				return
			}
			wantFailure(t, err, tt.code, tt.reason, tt.message)
			if strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("log %s", log.String())
			}
		})
	}
}

func TestModelAPI(t *testing.T) {
	t.Parallel()
	m := newManager()
	conn, _ := serve(t, rpc.Options{}, rpc.NewManagement(m, rpc.ManagementOptions{}))
	c := managementpb.NewManagementAPIsServiceClient(conn)
	_, err := c.RegisterModel(t.Context(), &managementpb.RegisterModelRequest{Url: "mnist.mar"})
	wantFailure(t, err, codes.PermissionDenied, "MethodNotAllowedException", "Model API disabled")
	_, err = c.UnregisterModel(t.Context(), &managementpb.UnregisterModelRequest{ModelName: "mnist"})
	wantFailure(t, err, codes.PermissionDenied, "MethodNotAllowedException", "Model API disabled")
	if len(m.calls) != 0 {
		t.Errorf("the manager was asked %v", m.calls)
	}
	if _, err := c.ScaleWorker(t.Context(), &managementpb.ScaleWorkerRequest{ModelName: "mnist"}); err != nil {
		t.Error(err)
	}
}
