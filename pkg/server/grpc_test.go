package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/api/rpc/managementpb"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/engine/enginetest"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
)

func withGRPC(o *server.Options) { o.GRPCInference, o.GRPCManagement = "127.0.0.1:0", "127.0.0.1:0" }

func connect(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// question asks the model sums about four numbers.
func question() *openinferencepb.ModelInferRequest {
	return &openinferencepb.ModelInferRequest{ModelName: "sums", Inputs: []*openinferencepb.ModelInferRequest_InferInputTensor{{
		Name: "x", Datatype: "FP32", Shape: []int64{1, features},
		Contents: &openinferencepb.InferTensorContents{Fp32Contents: []float32{1, 2, 3, 4}},
	}}}
}

// TestGRPC asks a server over gRPC, on both ports.
func TestGRPC(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) {
		withGRPC(o)
		o.Version, o.MaxBody, o.ModelAPI = "1.2.3", 10000, false
	})
	defer stop(t, s)
	inference, management := connect(t, s.Addrs().GRPCInference), connect(t, s.Addrs().GRPCManagement)
	defer inference.Close()  //nolint:errcheck // the test is over
	defer management.Close() //nolint:errcheck // the test is over
	ctx := t.Context()

	calls := inferencepb.NewInferenceAPIsServiceClient(inference)
	answer, err := calls.Predictions(ctx, &inferencepb.PredictionsRequest{ModelName: "sums", Input: map[string][]byte{"data": []byte("[1, 2, 3, 4]")}})
	if status.Code(err) != codes.InvalidArgument { // without a content type these are bytes, which this handler does not take
		t.Errorf("Predictions: %v, %v", answer, err)
	}
	open := openinferencepb.NewGRPCInferenceServiceClient(inference)
	about, err := open.ModelMetadata(ctx, &openinferencepb.ModelMetadataRequest{Name: "sums"})
	if in, out := about.GetInputs(), about.GetOutputs(); err != nil || len(in) != 1 || len(out) != 1 || in[0].GetName() != "x" || in[0].GetDatatype() != "FP32" ||
		len(in[0].GetShape()) != 2 || in[0].GetShape()[0] != -1 || in[0].GetShape()[1] != features || out[0].GetName() != "y" {
		t.Errorf("metadata: %v, %v", about, err)
	}
	for mode, want := range map[string]string{"predict": `"sums":[[10.0,20.0]]`, "explain": "["} {
		got, err := open.ModelInfer(metadata.AppendToOutgoingContext(ctx, "tsgo-mode", mode), asBody(question(), mode))
		if err != nil || len(got.GetOutputs()) != 1 {
			t.Errorf("%s: %v, %v", mode, got, err)
			continue
		}
		out := got.GetOutputs()[0]
		switch {
		case mode == "predict" && !strings.Contains(compact(out.GetContents().GetBytesContents()[0]), want):
			t.Errorf("%s: %v", mode, got)
		case mode == "explain" && (out.GetName() != "x" || len(out.GetContents().GetFp32Contents()) != features):
			t.Errorf("%s: %v", mode, got)
		}
	}
	large := question()
	large.Id = strings.Repeat("x", 20000)
	if _, err := open.ModelInfer(ctx, large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("over the limit: %v", err)
	}
	described, err := managementpb.NewManagementAPIsServiceClient(management).DescribeModel(ctx, &managementpb.DescribeModelRequest{ModelName: "sums"})
	if err != nil || !strings.Contains(described.GetMsg(), `"modelName": "sums"`) {
		t.Errorf("DescribeModel: %v, %v", described, err)
	}
	if _, err := managementpb.NewManagementAPIsServiceClient(management).RegisterModel(ctx, &managementpb.RegisterModelRequest{Url: "two"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("RegisterModel where it is not allowed: %v", err)
	}
	for _, conn := range []*grpc.ClientConn{inference, management} {
		health, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health: %v, %v", health, err)
		}
	}
	if _, err := calls.Ping(ctx, nil); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if _, err := inferencepb.NewInferenceAPIsServiceClient(management).Ping(ctx, nil); status.Code(err) != codes.Unimplemented {
		t.Errorf("Ping on the other port: %v", err)
	}
}

// asBody asks for the whole answer of a prediction; the handler of these tests gives no tensors of it.
func asBody(q *openinferencepb.ModelInferRequest, mode string) *openinferencepb.ModelInferRequest {
	if mode == "predict" {
		q.Outputs = []*openinferencepb.ModelInferRequest_InferRequestedOutputTensor{{Name: "body"}}
	}
	return q
}

func TestGRPCOff(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	defer stop(t, s)
	if a := s.Addrs(); a.GRPCInference != "" || a.GRPCManagement != "" || a.Inference == "" {
		t.Errorf("addresses %+v", a)
	}
}

func TestGRPCPortTaken(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for flag, change := range map[string]func(o *server.Options, address string){
		"--grpc-inference-address":  func(o *server.Options, address string) { o.GRPCInference = address },
		"--grpc-management-address": func(o *server.Options, address string) { o.GRPCManagement = address },
	} {
		opts := server.Options{
			Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0", GRPCInference: "127.0.0.1:0",
			Store: store.New(store.Dir{Path: t.TempDir()}), Open: openSums, PortOffset: 7,
		}
		change(&opts, net.JoinHostPort(host, strconv.Itoa(n-7)))
		_, err := server.New(t.Context(), opts)
		if !errors.Is(err, fault.Unavailable) {
			t.Fatalf("New = %v, want %v", err, fault.Unavailable)
		}
		for _, want := range []string{l.Addr().String(), flag, "--port-offset", "gRPC"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not name %s", err, want)
			}
		}
	}
}

// TestGRPCDrains stops a server while a call is under way, one waits for news of its health, and another connection says
// nothing: the call is answered, the others end, and nothing is left.
func TestGRPCDrains(t *testing.T) {
	defer goleak.VerifyNone(t)
	running, goOn := make(chan struct{}), make(chan struct{})
	s := start(t, func(o *server.Options) {
		withGRPC(o)
		o.Open = func(ctx context.Context, net engine.Network, opts engine.Options) (engine.Session, error) {
			sums, err := openSums(ctx, net, opts)
			if err != nil {
				return nil, err
			}
			return enginetest.New(sums.Signature(), func(in tensor.Named) (tensor.Named, error) {
				if x, err := tensor.Data[float32](in["x"]); err == nil && x[0] == 1 {
					close(running)
					<-goOn
				}
				return sums.Run(context.WithoutCancel(ctx), in)
			}), nil
		}
	})
	conn := connect(t, s.Addrs().GRPCInference)
	defer conn.Close() //nolint:errcheck // the test is over
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := watch.Recv(); err != nil || state.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", state, err)
	}
	silent, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addrs().GRPCManagement)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // the test is over
	answered := make(chan error, 1)
	go func() {
		_, err := openinferencepb.NewGRPCInferenceServiceClient(conn).ModelInfer(context.Background(), question())
		answered <- err
	}()
	<-running
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		stopped <- s.Stop(ctx)
	}()
	if state, err := watch.Recv(); err != nil || state.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health while it stops: %v, %v", state, err)
	}
	close(goOn)
	if err := <-answered; err != nil {
		t.Errorf("the call under way is lost: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// TestKServe asks for what KServe's protocols have, on the inference port beside TorchServe's routes.
func TestKServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, nil)
	defer stop(t, s)
	tensors := `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]`
	for _, tt := range []struct {
		path, body string
		code       int
		want       string
	}{
		{"/v1/models/sums:predict", `{"instances": [[1, 2, 3, 4], [1, 1, 1, 1]]}`, 200, `{"predictions":[{"sums":[[10.0,20.0]]},{"sums":[[4.0,8.0]]}]}`},
		{"/v1/models/sums:explain?method=occlusion&target=0", `{"instances": [[1, 2, 3, 4]]}`, 200, `{"explanations":[[1.0,2.0,3.0,4.0]]}`},
		{"/v2/models/sums/infer", tensors + `, "id": "1", "outputs": [{"name": "body"}]}`, 200, `"data":["{\n  \"sums\": [\n`},
		{"/v2/models/sums/explain", tensors + `, "id": "1", "parameters": {"method": "occlusion", "target": 0}}`, 200, `{"model_name":"sums","id":"1","outputs":[{"name":"x","shape":[4],"datatype":"FP32","data":[1,2,3,4]}]}`},
		{"/v2/models/nobody/infer", tensors + "}", 404, `{"error":"Modelnotfound:nobody"}`},
		{"/predictions/nobody", "[1]", 404, `{"code":404,"type":"ModelNotFoundException","message":"Modelnotfound:nobody"}`},
	} {
		r := post(t, s, tt.path, tt.body)
		if got := compact(r.body); r.code != tt.code || !strings.Contains(strings.ReplaceAll(got, " ", ""), strings.ReplaceAll(tt.want, " ", "")) {
			t.Errorf("%s: %d %s, want %d %s", tt.path, r.code, got, tt.code, tt.want)
		}
	}
	predictable(t, s)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/v2/models/sums": 200, "/v1/models": 200, "/v2/health/ready": 200, "/v2/models/sums/ready": 200} {
		resp, err := client.Get("http://" + s.Addrs().Inference + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// TestGRPCCounts finds calls among the requests that the metrics count, by the status that they would have over HTTP.
func TestGRPCCounts(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, withGRPC)
	defer stop(t, s)
	conn := connect(t, s.Addrs().GRPCInference)
	defer conn.Close() //nolint:errcheck // the test is over
	calls := inferencepb.NewInferenceAPIsServiceClient(conn)
	for range 3 {
		if _, err := calls.Ping(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := calls.Predictions(t.Context(), &inferencepb.PredictionsRequest{ModelName: "nobody"}); status.Code(err) != codes.NotFound {
			t.Fatal(err)
		}
	}
	list := &inferencepb.PredictionsRequest{ModelName: "sums", Input: map[string][]byte{"body": []byte(`{"instances": [[666, 1, 1, 1]]}`)}} // the handler panics
	if _, err := calls.Predictions(t.Context(), list); status.Code(err) != codes.Internal {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var page []byte
	counted := func() bool {
		resp, err := client.Get("http://" + s.Addrs().Metrics + "/metrics?name[]=Requests4XX&name[]=Requests5XX&name[]=Requests2XX")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // of a test
		if page, err = io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`(?s)Requests2XX\{[^}]*\} [3-9].*Requests4XX\{[^}]*\} 2\n.*Requests5XX\{[^}]*\} 1\n`).Match(page)
	}
	for limit := time.Now().Add(10 * time.Second); !counted(); runtime.Gosched() { // a call is counted after its answer
		if time.Now().After(limit) {
			t.Fatalf("%s", page)
		}
	}
}

// TestGRPCLife has a connection that is used end by its age, and its caller go on with another.
func TestGRPCLife(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := start(t, func(o *server.Options) {
		withGRPC(o)
		o.GRPCInferenceLife = server.Life{Age: time.Millisecond, Grace: time.Minute}
	})
	defer stop(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, tt := range []struct {
		address string
		ends    bool
	}{{s.Addrs().GRPCInference, true}, {s.Addrs().GRPCManagement, false}} {
		conn := connect(t, tt.address)
		ask := func() {
			if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
				t.Error(err)
			}
		}
		ask()
		if tt.ends {
			if conn.GetState() == connectivity.Ready && !conn.WaitForStateChange(ctx, connectivity.Ready) {
				t.Error("the connection lives on")
			}
			ask()
		} else if state := conn.GetState(); state != connectivity.Ready {
			t.Errorf("a connection without an age is %s", state)
		}
		_ = conn.Close()
	}
}
