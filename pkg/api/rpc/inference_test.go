package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tsgo/tsgo/pkg/api/rpc"
	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// inferring starts a server of m.
func inferring(t *testing.T, m *models, opts rpc.Options) inferencepb.InferenceAPIsServiceClient {
	t.Helper()
	conn, _ := serve(t, opts, rpc.NewInference(m, rpc.InferenceOptions{
		Params: []string{"method", "top_k", "mask"},
		Inputs: func(ref model.Ref) []string {
			if ref.Name == "segmenter" {
				return []string{"mask"}
			}
			return nil
		},
	}))
	return inferencepb.NewInferenceAPIsServiceClient(conn)
}

func TestPing(t *testing.T) {
	t.Parallel()
	m := &models{}
	c := inferring(t, m, rpc.Options{})
	for want, failure := range map[string]error{
		"{\n  \"status\": \"Healthy\"\n}": nil, "{\n  \"status\": \"Unhealthy\"\n}": fault.Unavailable,
	} {
		m.setReady(failure)
		resp, err := c.Ping(t.Context(), &emptypb.Empty{})
		if err != nil || resp.GetHealth() != want {
			t.Errorf("%q, %v, want %q", resp.GetHealth(), err, want)
		}
	}
}

func TestPredictions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		req     *inferencepb.PredictionsRequest
		md      []string
		ref     model.Ref
		mode    model.Mode
		inputs  []model.Input
		params  map[string]string
		header  map[string][]string
		answers string
	}{
		{
			name: "one input", req: &inferencepb.PredictionsRequest{ModelName: "m", Input: map[string][]byte{"data": {0xff, 1}}},
			ref: model.Ref{Name: "m"}, inputs: []model.Input{{Name: "data", Data: []byte{0xff, 1}}}, answers: `"m predict"`,
		},
		{
			name: "version, several inputs in the order of their names, parameters",
			req: &inferencepb.PredictionsRequest{ModelName: "m", ModelVersion: "2.0", Input: map[string][]byte{
				"b": []byte("2"), "a": []byte("1"), "method": []byte("saliency"), "mask": []byte("x"),
			}},
			ref:    model.Ref{Name: "m", Version: "2.0"},
			inputs: []model.Input{{Name: "a", Data: []byte("1")}, {Name: "b", Data: []byte("2")}},
			params: map[string]string{"method": "saliency", "mask": "x"}, answers: `"m/2.0 predict"`,
		},
		{
			name: "an input called as a parameter", req: &inferencepb.PredictionsRequest{ModelName: "segmenter", Input: map[string][]byte{"mask": []byte("x")}},
			ref: model.Ref{Name: "segmenter"}, inputs: []model.Input{{Name: "mask", Data: []byte("x")}}, answers: `"segmenter predict"`,
		},
		{
			name: "nothing", req: &inferencepb.PredictionsRequest{ModelName: "m"}, md: []string{"tsgo-mode", "predict"},
			ref: model.Ref{Name: "m"}, answers: `"m predict"`,
		},
		{
			name: "explanation, and what the handler may see", req: &inferencepb.PredictionsRequest{ModelName: "m"},
			md: []string{
				"tsgo-mode", "explain", "authorization", "Bearer key", "explain", "True", "describe", "True", "url_path", "x",
				"x-trace", "1", "x-trace", "2", "key-bin", "\x00", "x-request-id", "mine",
			},
			ref: model.Ref{Name: "m"}, mode: model.ModeExplain,
			header: map[string][]string{"X-Trace": {"1", "2"}, "X-Request-Id": {"mine"}}, answers: `"m explain"`,
		},
		{
			name: "instances", req: &inferencepb.PredictionsRequest{ModelName: "m", Input: map[string][]byte{"body": []byte(`{"instances": [1, 2]}`)}},
			ref: model.Ref{Name: "m"}, inputs: []model.Input{{Name: "body", ContentType: "application/json", Data: []byte("2")}},
			answers: "{\n  \"predictions\": [\n    \"m predict\",\n    \"m predict\"\n  ]\n}",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := &models{}
			c := inferring(t, m, rpc.Options{})
			var header metadata.MD
			ctx := metadata.AppendToOutgoingContext(t.Context(), tt.md...)
			resp, err := c.Predictions(ctx, tt.req, grpc.Header(&header))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(resp.GetPrediction()); got != tt.answers || resp.SequenceId != nil || resp.GetStatus() != nil {
				t.Errorf("answer %q, want %q", got, tt.answers)
			}
			if got := header.Get("tsgo-content-type"); !slices.Equal(got, []string{"application/json"}) {
				t.Errorf("content type %q", got)
			}
			ref, req := m.last(t)
			if tt.name == "instances" { // which are asked in any order
				req.Inputs[0].Data, req.ID = tt.inputs[0].Data, strings.TrimRight(strings.TrimRight(req.ID, "01"), "-")
			}
			if id := header.Get("x-request-id"); len(id) != 1 || id[0] != req.ID || len(id[0]) != 36 {
				t.Errorf("request %q has the ID %q", id, req.ID)
			}
			delete(req.Header, "User-Agent")
			want := &model.Request{ID: req.ID, Mode: tt.mode, Inputs: tt.inputs, Params: tt.params, Header: tt.header}
			if want.Inputs == nil {
				want.Inputs = []model.Input{}
			}
			if want.Header == nil {
				want.Header = map[string][]string{}
			}
			if diff := cmp.Diff(want, req); diff != "" || ref != tt.ref {
				t.Errorf("asked %v (-want +got):\n%s", ref, diff)
			}
		})
	}
}

func TestStreamPredictions(t *testing.T) {
	t.Parallel()
	c := inferring(t, &models{}, rpc.Options{})
	sequence := "7"
	stream, err := c.StreamPredictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "m", SequenceId: &sequence})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil || string(resp.GetPrediction()) != `"m predict"` || resp.GetSequenceId() != "7" {
		t.Errorf("%v, %v", resp, err)
	}
	if header, err := stream.Header(); err != nil || len(header.Get("x-request-id")) != 1 {
		t.Errorf("header %v, %v", header, err)
	}
	if resp, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the answer: %v, %v", resp, err)
	}
	stream, err = c.StreamPredictions(t.Context(), &inferencepb.PredictionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantFailure(t, err, codes.InvalidArgument, "BadRequestException", "Parameter model_name is required.")
}

// TestSequence asks in a stream of several messages: each is answered in its turn, and one that fails stops none.
func TestSequence(t *testing.T) {
	t.Parallel()
	var log logged
	m := &models{answer: func(_ context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
		if ref.Name == "broken" {
			return nil, errSecret
		}
		return &model.Response{Body: append([]byte("about "), req.Inputs[0].Data...)}, nil
	}}
	conn, _ := serve(t, rpc.Options{}, rpc.NewInference(m, rpc.InferenceOptions{Log: logTo(&log)}))
	stream, err := inferencepb.NewInferenceAPIsServiceClient(conn).StreamPredictions2(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		model, sequence, text string
		want                  string
		code                  codes.Code
	}{
		{"m", "a", "one", "about one", codes.OK},
		{"broken", "a", "two", "internal error; the server's log has the details under request ", codes.Internal},
		{"m", "", "three", "Parameter sequenceId is required.", codes.InvalidArgument},
		{"", "b", "four", "Parameter model_name is required.", codes.InvalidArgument},
		{"m", "b", "five", "about five", codes.OK},
	} {
		req := &inferencepb.PredictionsRequest{ModelName: tt.model, Input: map[string][]byte{"data": []byte(tt.text)}}
		if tt.sequence != "" {
			req.SequenceId = &tt.sequence
		}
		if err := stream.Send(req); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		text := string(got.GetPrediction())
		if tt.code != codes.OK {
			text = got.GetStatus().GetMessage()
		}
		if !strings.HasPrefix(text, tt.want) || codes.Code(got.GetStatus().GetCode()) != tt.code || got.GetSequenceId() != tt.sequence {
			t.Errorf("%s: %v, want %v %s", tt.text, got, tt.code, tt.want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v, %v", got, err)
	}
	if got := log.String(); strings.Count(got, "request failed") != 1 || !strings.Contains(got, errSecret.Error()) {
		t.Errorf("log %s", got)
	}
}

// TestSequenceStops has a stream that nobody writes to, and a server that does not wait for it.
func TestSequenceStops(t *testing.T) {
	t.Parallel()
	conn, s := serve(t, rpc.Options{}, rpc.NewInference(&models{}, rpc.InferenceOptions{}))
	stream, err := inferencepb.NewInferenceAPIsServiceClient(conn).StreamPredictions2(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sequence := "a"
	if err := stream.Send(&inferencepb.PredictionsRequest{ModelName: "m", SequenceId: &sequence}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("%v, %v, want %v", got, err, codes.Unavailable)
	}
}

// TestSequenceLeft opens sequences whose callers leave: each call ends with its caller.
func TestSequenceLeft(t *testing.T) {
	t.Parallel()
	ended := make(chan codes.Code, 20)
	conn, _ := serve(t, rpc.Options{Observe: func(_ string, code codes.Code, _ time.Duration) { ended <- code }},
		rpc.NewInference(&models{}, rpc.InferenceOptions{}))
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := inferencepb.NewInferenceAPIsServiceClient(conn).StreamPredictions2(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&inferencepb.PredictionsRequest{ModelName: "m"}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		cancel()
		select {
		case code := <-ended:
			if code != codes.Canceled {
				t.Errorf("it ended with %v, want %v", code, codes.Canceled)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("its caller has left, and the call goes on")
		}
	}
}

// wantFailure compares a failure with what it is to be.
func wantFailure(t *testing.T, err error, code codes.Code, reason, message string) {
	t.Helper()
	s, ok := status.FromError(err)
	if !ok || err == nil {
		t.Fatalf("%v, want a status", err)
	}
	if s.Code() != code || s.Message() != message {
		t.Errorf("%v: %q, want %v: %q", s.Code(), s.Message(), code, message)
	}
	if reason == "" {
		return
	}
	details := s.Details()
	if len(details) != 1 {
		t.Fatalf("details %v", details)
	}
	info, ok := details[0].(*errdetails.ErrorInfo)
	if !ok || info.GetReason() != reason || info.GetDomain() != "tsgo" || len(info.GetMetadata()["request"]) != 36 {
		t.Errorf("details %v, want the reason %s", details, reason)
	}
}

func TestFailuresOfPredictions(t *testing.T) {
	t.Parallel()
	ref := model.Ref{Name: "m", Version: "9"}
	tests := []struct {
		name, reason string
		failure      error
		code         codes.Code
		message      string
	}{
		{"input", "BadRequestException", fmt.Errorf("%w: no picture", fault.Invalid), codes.InvalidArgument, "invalid: no picture"},
		{"no model", "ModelNotFoundException", fault.NoModel, codes.NotFound, "Model not found: m"},
		{"no version", "ModelVersionNotFoundException", fault.NoVersion, codes.NotFound, "Model version: 9 does not exist for model: m"},
		{"no worker", "ServiceUnavailableException", model.ErrNoWorker, codes.Unavailable, `Model "m" Version "9" has no worker to serve inference request. Please use scale workers API to add workers.`},
		{"full", "ServiceUnavailableException", model.ErrQueueFull, codes.Unavailable, `The queue of model "m" Version "9" is full. Please try again later, or use scale workers API to add workers.`},
		{"closed", "ServiceUnavailableException", model.ErrClosed, codes.Unavailable, "unavailable: shutting down"},
		{"too large", "RequestTooLargeException", fmt.Errorf("%w: a picture", fault.TooLarge), codes.ResourceExhausted, "too large: a picture"},
		{"unsupported", "UnsupportedException", fmt.Errorf("explain: %w", fault.Unsupported), codes.Unimplemented, "explain: not supported"},
		{"slow", "RequestTimeoutException", fmt.Errorf("run: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "run: context deadline exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log logged
			c := inferring(t, &models{answer: func(context.Context, model.Ref, *model.Request) (*model.Response, error) { return nil, tt.failure }}, rpc.Options{Log: logTo(&log)})
			resp, err := c.Predictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: ref.Name, ModelVersion: ref.Version})
			wantFailure(t, err, tt.code, tt.reason, tt.message)
			if resp.GetPrediction() != nil || log.String() != "" {
				t.Errorf("answer %v, log %s", resp, log.String())
			}
		})
	}
}

func TestDefects(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func() (*model.Response, error){
		"error": func() (*model.Response, error) { return nil, errSecret },
		"panic": func() (*model.Response, error) { panic(errSecret) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			c := inferring(t, &models{answer: func(context.Context, model.Ref, *model.Request) (*model.Response, error) { return answer() }}, rpc.Options{Log: logTo(&log)})
			var header metadata.MD
			_, err := c.Predictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "m"}, grpc.Header(&header))
			id := strings.Join(header.Get("x-request-id"), "")
			wantFailure(t, err, codes.Internal, "InternalServerException", "internal error; the server's log has the details under request "+id)
			text := log.String()
			for _, part := range []string{"level=ERROR", `msg="request failed"`, id, errSecret.Error(), "InferenceAPIsService/Predictions"} {
				if strings.Count(text, part) != 1 {
					t.Errorf("log %q has %q %d times", text, part, strings.Count(text, part))
				}
			}
			stream, err := c.StreamPredictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "m"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); status.Code(err) != codes.Internal || strings.Contains(err.Error(), errSecret.Error()) {
				t.Errorf("stream: %v", err)
			}
		})
	}
}

func TestWrongMode(t *testing.T) {
	t.Parallel()
	c := inferring(t, &models{}, rpc.Options{})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "tsgo-mode", "Explain")
	_, err := c.Predictions(ctx, &inferencepb.PredictionsRequest{ModelName: "m"})
	wantFailure(t, err, codes.InvalidArgument, "BadRequestException", `invalid: metadata tsgo-mode is "Explain", want predict or explain`)
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}, 2), make(chan error, 2)
	m := &models{answer: func(ctx context.Context, _ model.Ref, req *model.Request) (*model.Response, error) {
		if _, has := ctx.Deadline(); has != (len(req.Inputs) == 0) {
			t.Errorf("a deadline is there: %v", has)
		}
		entered <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, fmt.Errorf("run: %w", ctx.Err())
	}}
	c := inferring(t, m, rpc.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Predictions(ctx, &inferencepb.PredictionsRequest{ModelName: "m"}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v, want DeadlineExceeded", err)
	}
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("the model's context ended with %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := c.Predictions(ctx, &inferencepb.PredictionsRequest{ModelName: "m", Input: map[string][]byte{"x": nil}})
		answered <- err
	}()
	<-entered
	<-entered
	cancel()
	if err := <-answered; status.Code(err) != codes.Canceled {
		t.Errorf("%v, want Canceled", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the model's context ended with %v", err)
	}
}
