package rpc_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/api/rpc"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// Shorter names for what the tests are full of.
type (
	question = openinferencepb.ModelInferRequest
	given    = openinferencepb.ModelInferRequest_InferInputTensor
	wanted   = openinferencepb.ModelInferRequest_InferRequestedOutputTensor
	contents = openinferencepb.InferTensorContents
	reply    = openinferencepb.ModelInferResponse
	output   = openinferencepb.ModelInferResponse_InferOutputTensor
	param    = openinferencepb.InferParameter
)

func textParam(s string) *param {
	return &param{ParameterChoice: &openinferencepb.InferParameter_StringParam{StringParam: s}}
}

// echo answers with the tensors it was given; bytes come back as one tensor, "file", and as the body.
func echo(_ context.Context, ref model.Ref, req *model.Request) (*model.Response, error) {
	switch ref.Name {
	case "missing":
		return nil, fmt.Errorf("%w: %q", fault.NoModel, ref)
	case "bodies":
		return &model.Response{ContentType: "application/json", Body: []byte(req.Mode.String())}, nil
	}
	resp := &model.Response{ContentType: "text/plain", Body: []byte("body"), Tensors: tensor.Named{}}
	for _, in := range req.Inputs {
		if in.Tensor != nil {
			resp.Tensors[in.Name] = *in.Tensor
			continue
		}
		t, err := tensor.New([]int64{1}, []string{in.ContentType + ":" + string(in.Data)})
		if err != nil {
			return nil, err
		}
		resp.Tensors[in.Name] = t
	}
	return resp, nil
}

func asking(t *testing.T) (*models, openinferencepb.GRPCInferenceServiceClient) {
	t.Helper()
	m := &models{answer: echo}
	conn, _ := serve(t, rpc.Options{}, openInference(m))
	return m, openinferencepb.NewGRPCInferenceServiceClient(conn)
}

func openInference(m *models) *rpc.OpenInference {
	return rpc.NewOpenInference(m, rpc.InferenceOptions{
		Params: []string{"method", "steps", "flag", "scale", "seed"}, Version: "1.2.3",
		Signature: func(ref model.Ref) oip.Signature {
			if ref.Name != "mnist" && ref.Name != "words" {
				return oip.Signature{}
			}
			return oip.Signature{
				Inputs:  []oip.Metadata{{Name: "image", Datatype: "FP32", Shape: []int64{-1, 1, 28, 28}}, {Name: "words", Datatype: "BYTES", Shape: []int64{-1}}},
				Outputs: []oip.Metadata{{Name: "scores", Datatype: "FP32", Shape: []int64{-1, 10}}},
			}
		},
	})
}

func TestServerOfOpenInference(t *testing.T) {
	t.Parallel()
	m, c := asking(t)
	live, err := c.ServerLive(t.Context(), &openinferencepb.ServerLiveRequest{})
	if err != nil || !live.GetLive() {
		t.Errorf("live: %v, %v", live, err)
	}
	for want, failure := range map[bool]error{true: nil, false: fault.Unavailable} {
		m.setReady(failure)
		ready, err := c.ServerReady(t.Context(), &openinferencepb.ServerReadyRequest{})
		if err != nil || ready.GetReady() != want {
			t.Errorf("ready: %v, %v, want %v", ready, err, want)
		}
	}
	about, err := c.ServerMetadata(t.Context(), &openinferencepb.ServerMetadataRequest{})
	if diff := cmp.Diff(&openinferencepb.ServerMetadataResponse{Name: "tsgo", Version: "1.2.3"}, about, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v, metadata (-want +got):\n%s", err, diff)
	}
}

func TestModelReady(t *testing.T) {
	t.Parallel()
	_, c := asking(t)
	for _, tt := range []struct {
		name, version string
		want          bool
	}{{"mnist", "", true}, {"mnist", "1.0", true}, {"mnist", "2.0", false}, {"idle", "", false}} {
		resp, err := c.ModelReady(t.Context(), &openinferencepb.ModelReadyRequest{Name: tt.name, Version: tt.version})
		if err != nil || resp.GetReady() != tt.want {
			t.Errorf("%s %s: %v, %v, want %v", tt.name, tt.version, resp, err, tt.want)
		}
	}
	_, err := c.ModelReady(t.Context(), &openinferencepb.ModelReadyRequest{Name: "none"})
	wantFailure(t, err, codes.NotFound, "ModelNotFoundException", "Model not found: none")
	_, err = c.ModelReady(t.Context(), &openinferencepb.ModelReadyRequest{Name: "mnist", Version: "3.0"})
	wantFailure(t, err, codes.NotFound, "ModelVersionNotFoundException", "Model version: 3.0 does not exist for model: mnist")
	_, err = c.ModelReady(t.Context(), &openinferencepb.ModelReadyRequest{})
	wantFailure(t, err, codes.InvalidArgument, "BadRequestException", "Parameter model_name is required.")
	if _, err = c.ModelReady(t.Context(), &openinferencepb.ModelReadyRequest{Name: "broken"}); err == nil || !strings.Contains(err.Error(), "Internal") {
		t.Errorf("a manager that describes nothing: %v", err)
	}
}

func TestModelMetadata(t *testing.T) {
	t.Parallel()
	_, c := asking(t)
	got, err := c.ModelMetadata(t.Context(), &openinferencepb.ModelMetadataRequest{Name: "mnist"})
	want := &openinferencepb.ModelMetadataResponse{
		Name: "mnist", Versions: []string{"1.0", "2.0"}, Platform: "onnxruntime_onnx",
		Inputs: []*openinferencepb.ModelMetadataResponse_TensorMetadata{
			{Name: "image", Datatype: "FP32", Shape: []int64{-1, 1, 28, 28}}, {Name: "words", Datatype: "BYTES", Shape: []int64{-1}},
		},
		Outputs: []*openinferencepb.ModelMetadataResponse_TensorMetadata{{Name: "scores", Datatype: "FP32", Shape: []int64{-1, 10}}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v, metadata (-want +got):\n%s", err, diff)
	}
	got, err = c.ModelMetadata(t.Context(), &openinferencepb.ModelMetadataRequest{Name: "idle"})
	want = &openinferencepb.ModelMetadataResponse{Name: "idle", Versions: []string{"1.0"}, Platform: "onnxruntime_onnx"}
	if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v, metadata (-want +got):\n%s", err, diff)
	}
	_, err = c.ModelMetadata(t.Context(), &openinferencepb.ModelMetadataRequest{Name: "none"})
	wantFailure(t, err, codes.NotFound, "ModelNotFoundException", "Model not found: none")
	bare, _ := serve(t, rpc.Options{}, rpc.NewOpenInference(&models{}, rpc.InferenceOptions{}))
	got, err = openinferencepb.NewGRPCInferenceServiceClient(bare).ModelMetadata(t.Context(), &openinferencepb.ModelMetadataRequest{Name: "mnist"})
	if err != nil || len(got.GetInputs())+len(got.GetOutputs()) != 0 {
		t.Errorf("of a signature that nobody knows: %v, %v", got, err)
	}
}

// everyType has each datatype in both forms; contents nil where there is only one.
func everyType() []struct {
	datatype string
	contents *contents
	raw      string
} {
	return []struct {
		datatype string
		contents *contents
		raw      string
	}{
		{"FP32", &contents{Fp32Contents: []float32{1, float32(math.Inf(1))}}, "\x00\x00\x80\x3f\x00\x00\x80\x7f"},
		{"FP64", &contents{Fp64Contents: []float64{1, -2}}, "\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x00\xc0"},
		{"FP16", nil, "\x00\x3c\x00\xc0"},
		{"BF16", nil, "\x80\x3f\x00\xc0"},
		{"INT8", &contents{IntContents: []int32{-128, 127}}, "\x80\x7f"},
		{"INT16", &contents{IntContents: []int32{-32768, 1}}, "\x00\x80\x01\x00"},
		{"INT32", &contents{IntContents: []int32{math.MinInt32, 1}}, "\x00\x00\x00\x80\x01\x00\x00\x00"},
		{"INT64", &contents{Int64Contents: []int64{-1, 1}}, "\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00"},
		{"UINT8", &contents{UintContents: []uint32{0, 255}}, "\x00\xff"},
		{"UINT16", &contents{UintContents: []uint32{65535, 1}}, "\xff\xff\x01\x00"},
		{"UINT32", &contents{UintContents: []uint32{math.MaxUint32, 1}}, "\xff\xff\xff\xff\x01\x00\x00\x00"},
		{"UINT64", &contents{Uint64Contents: []uint64{math.MaxUint64, 1}}, "\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00"},
		{"BOOL", &contents{BoolContents: []bool{true, false}}, "\x01\x00"},
		{"BYTES", &contents{BytesContents: [][]byte{[]byte("\xff"), {}}}, "\x01\x00\x00\x00\xff\x00\x00\x00\x00"},
	}
}

func TestEveryType(t *testing.T) {
	t.Parallel()
	_, c := asking(t)
	ask := func(t *testing.T, req *question) *reply {
		t.Helper()
		resp, err := c.ModelInfer(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for _, tt := range everyType() {
		t.Run(tt.datatype, func(t *testing.T) {
			t.Parallel()
			shape := []int64{1, 2}
			got := ask(t, &question{
				ModelName: "words", ModelVersion: "2.0", Id: "mine",
				Inputs: []*given{{Name: "words", Datatype: tt.datatype, Shape: shape}}, RawInputContents: [][]byte{[]byte(tt.raw)},
			})
			want := &reply{
				ModelName: "words", ModelVersion: "2.0", Id: "mine",
				Outputs: []*output{{Name: "words", Datatype: tt.datatype, Shape: shape}}, RawOutputContents: [][]byte{[]byte(tt.raw)},
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("raw (-want +got):\n%s", diff)
			}
			if tt.contents == nil {
				return
			}
			got = ask(t, &question{ModelName: "words", Id: "mine", Inputs: []*given{{Name: "words", Datatype: tt.datatype, Shape: shape, Contents: tt.contents}}})
			want = &reply{ModelName: "words", Id: "mine", Outputs: []*output{{Name: "words", Datatype: tt.datatype, Shape: shape, Contents: tt.contents}}}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("contents (-want +got):\n%s", diff)
			}
		})
	}
}

func TestModelInfer(t *testing.T) {
	t.Parallel()
	one := func(v float32) *contents { return &contents{Fp32Contents: []float32{v}} }
	text := func(s string) *contents { return &contents{BytesContents: [][]byte{[]byte(s)}} }
	x := func(name string, v float32) *output {
		return &output{Name: name, Datatype: "FP32", Shape: []int64{1}, Contents: one(v)}
	}
	two := []*given{{Name: "b", Datatype: "FP32", Shape: []int64{1}, Contents: one(2)}, {Name: "a", Datatype: "FP32", Shape: []int64{1}, Contents: one(1)}}
	picture := &given{Name: "picture", Datatype: "BYTES", Shape: []int64{1}, Contents: text("PNG"), Parameters: map[string]*param{"content_type": textParam("image/png")}}
	jsonBody := map[string]*param{"content_type": textParam("application/json")}
	tests := []struct {
		name string
		req  *question
		md   []string
		want []*output
		raw  []string
	}{
		{name: "several", req: &question{ModelName: "m", Inputs: two}, want: []*output{x("a", 1), x("b", 2)}},
		{
			name: "those that are wanted, and the body",
			req:  &question{ModelName: "m", Inputs: two, Outputs: []*wanted{{Name: "b"}, {Name: "body"}}},
			want: []*output{x("b", 2), {
				Name: "body", Datatype: "BYTES", Shape: []int64{1}, Contents: text("body"), Parameters: map[string]*param{"content_type": textParam("text/plain")},
			}},
		},
		{
			name: "a picture", req: &question{ModelName: "m", Inputs: []*given{picture}},
			want: []*output{{Name: "picture", Datatype: "BYTES", Shape: []int64{1}, Contents: text("image/png:PNG")}},
		},
		{
			name: "a raw picture",
			req: &question{
				ModelName: "m", Inputs: []*given{{Name: "picture", Datatype: "BYTES", Shape: []int64{1}}}, RawInputContents: [][]byte{[]byte("\x03\x00\x00\x00PNG")},
			},
			want: []*output{{Name: "picture", Datatype: "BYTES", Shape: []int64{1}}}, raw: []string{"\x04\x00\x00\x00:PNG"},
		},
		{
			name: "text for a network that takes it",
			req:  &question{ModelName: "words", Inputs: []*given{{Name: "words", Datatype: "BYTES", Shape: []int64{1}, Contents: text("hello")}}},
			want: []*output{{Name: "words", Datatype: "BYTES", Shape: []int64{1}, Contents: text("hello")}},
		},
		{
			name: "half a float, which makes all raw",
			req: &question{
				ModelName: "m", Inputs: []*given{{Name: "h", Datatype: "FP16", Shape: nil}, {Name: "i", Datatype: "INT8", Shape: []int64{2}}},
				RawInputContents: [][]byte{{0, 0x3c}, {1, 2}},
			},
			want: []*output{{Name: "h", Datatype: "FP16"}, {Name: "i", Datatype: "INT8", Shape: []int64{2}}}, raw: []string{"\x00\x3c", "\x01\x02"},
		},
		{
			name: "an answer without tensors", req: &question{ModelName: "bodies"},
			want: []*output{{Name: "body", Datatype: "BYTES", Shape: []int64{1}, Contents: text("predict"), Parameters: jsonBody}},
		},
		{
			name: "an explanation", req: &question{ModelName: "bodies"}, md: []string{"tsgo-mode", "explain"},
			want: []*output{{Name: "body", Datatype: "BYTES", Shape: []int64{1}, Contents: text("explain"), Parameters: jsonBody}},
		},
		{
			name: "an empty tensor", req: &question{ModelName: "m", Inputs: []*given{{Name: "e", Datatype: "FP32", Shape: []int64{0, 3}}}},
			want: []*output{{Name: "e", Datatype: "FP32", Shape: []int64{0, 3}, Contents: &contents{}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, c := asking(t)
			got, err := c.ModelInfer(metadata.AppendToOutgoingContext(t.Context(), tt.md...), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			_, asked := m.last(t)
			want := &reply{ModelName: tt.req.GetModelName(), Id: asked.ID, Outputs: tt.want}
			for _, raw := range tt.raw {
				want.RawOutputContents = append(want.RawOutputContents, []byte(raw))
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParametersOfModelInfer(t *testing.T) {
	t.Parallel()
	m, c := asking(t)
	_, err := c.ModelInfer(t.Context(), &question{ModelName: "m", Parameters: map[string]*param{
		"method": textParam("saliency"),
		"steps":  {ParameterChoice: &openinferencepb.InferParameter_Int64Param{Int64Param: -20}},
		"flag":   {ParameterChoice: &openinferencepb.InferParameter_BoolParam{BoolParam: true}},
		"scale":  {ParameterChoice: &openinferencepb.InferParameter_DoubleParam{DoubleParam: 0.25}},
		"seed":   {ParameterChoice: &openinferencepb.InferParameter_Uint64Param{Uint64Param: math.MaxUint64}},
		"other":  textParam("means nothing"), "explain": textParam("True"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, req := m.last(t)
	want := map[string]string{"method": "saliency", "steps": "-20", "flag": "true", "scale": "0.25", "seed": "18446744073709551615"}
	if diff := cmp.Diff(want, req.Params); diff != "" || req.Mode != model.ModePredict {
		t.Errorf("mode %v, parameters (-want +got):\n%s", req.Mode, diff)
	}
}

func TestFailuresOfModelInfer(t *testing.T) {
	t.Parallel()
	_, c := asking(t)
	in := func(datatype string, shape []int64, c *contents) []*given {
		return []*given{{Name: "x", Datatype: datatype, Shape: shape, Contents: c}}
	}
	many := make([]*given, 1001)
	for i := range many {
		many[i] = &given{Name: "x", Datatype: "FP32", Shape: []int64{0}}
	}
	tests := []struct {
		name    string
		req     *question
		code    codes.Code
		message string
	}{
		{"no name", &question{}, codes.InvalidArgument, "Parameter model_name is required."},
		{"no model", &question{ModelName: "missing"}, codes.NotFound, "Model not found: missing"},
		{"no datatype", &question{ModelName: "m", Inputs: in("", nil, nil)}, codes.InvalidArgument, `input 0, "x": invalid: datatype "": want one of FP32, FP64, FP16, BF16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL, BYTES`},
		{"nothing in it", &question{ModelName: "m", Inputs: in("FP32", []int64{2}, nil)}, codes.InvalidArgument, `input 0, "x": invalid: shape [2] holds 2 elements, got 0`},
		{"a negative length", &question{ModelName: "m", Inputs: in("FP32", []int64{-1}, nil)}, codes.InvalidArgument, `input 0, "x": invalid: shape [-1] has a negative dimension`},
		{"the wrong field", &question{ModelName: "m", Inputs: in("FP32", []int64{1}, &contents{Fp64Contents: []float64{1}})}, codes.InvalidArgument, `input 0, "x": invalid: there are elements in fp64_contents, which is not the field for FP32`},
		{"too large a number", &question{ModelName: "m", Inputs: in("INT8", []int64{1}, &contents{IntContents: []int32{128}})}, codes.InvalidArgument, `input 0, "x": invalid: element 0 is 128, which its datatype does not hold`},
		{"too large a positive number", &question{ModelName: "m", Inputs: in("UINT16", []int64{1}, &contents{UintContents: []uint32{65536}})}, codes.InvalidArgument, `input 0, "x": invalid: element 0 is 65536, which its datatype does not hold`},
		{"half a float in contents", &question{ModelName: "m", Inputs: in("FP16", []int64{1}, nil)}, codes.InvalidArgument, `input 0, "x": invalid: FP16 has no field in contents; want it in raw_input_contents`},
		{"both forms", &question{ModelName: "m", Inputs: in("INT8", []int64{1}, &contents{IntContents: []int32{1}}), RawInputContents: [][]byte{{1}}}, codes.InvalidArgument, `input 0, "x": invalid: it has contents although there are raw_input_contents; want one of the two`},
		{"more raw contents than inputs", &question{ModelName: "m", Inputs: in("INT8", []int64{1}, nil), RawInputContents: [][]byte{{1}, {2}}}, codes.InvalidArgument, `invalid: raw_input_contents has 2 elements, want one for each of the 1 inputs`},
		{"raw contents too short", &question{ModelName: "m", Inputs: in("FP32", []int64{1}, nil), RawInputContents: [][]byte{{1}}}, codes.InvalidArgument, `input 0, "x": invalid: FP32[1] holds 1 elements, 1 bytes do not`},
		{"an output that is not there", &question{ModelName: "m", Inputs: in("INT8", []int64{0}, nil), Outputs: []*wanted{{Name: "scores"}}}, codes.InvalidArgument, `invalid: output "scores": the answer has none of that name`},
		{"an empty parameter", &question{ModelName: "m", Parameters: map[string]*param{"method": {}}}, codes.InvalidArgument, "invalid: parameter method has no value"},
		{"a long parameter", &question{ModelName: "m", Parameters: map[string]*param{"method": textParam(strings.Repeat("x", 5000))}}, codes.ResourceExhausted, "too large: the parameter method has 5000 bytes, at most 4096 are taken"},
		{"many inputs", &question{ModelName: "m", Inputs: many}, codes.ResourceExhausted, "too large: the request has 1001 inputs, at most 1000 are taken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.ModelInfer(t.Context(), tt.req)
			wantFailure(t, err, tt.code, "", tt.message)
		})
	}
}

// TestTorchServesName shows that the service is also where TorchServe has it.
func TestTorchServesName(t *testing.T) {
	t.Parallel()
	conn, _ := serve(t, rpc.Options{}, openInference(&models{answer: echo}))
	var resp openinferencepb.ServerLiveResponse
	err := conn.Invoke(t.Context(), "/org.pytorch.serve.grpc.openinference.GRPCInferenceService/ServerLive", &openinferencepb.ServerLiveRequest{}, &resp)
	if err != nil || !resp.GetLive() {
		t.Errorf("%v, %v", resp.GetLive(), err)
	}
}

func FuzzModelInfer(f *testing.F) {
	for _, tt := range everyType() {
		raw := &question{ModelName: "m", Inputs: []*given{{Name: "x", Datatype: tt.datatype, Shape: []int64{2}}}, RawInputContents: [][]byte{[]byte(tt.raw)}}
		typed := &question{ModelName: "words", Inputs: []*given{{Name: "words", Datatype: tt.datatype, Shape: []int64{1, 2}, Contents: tt.contents}}}
		for _, req := range []*question{raw, typed} {
			data, err := proto.Marshal(req)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	service := openInference(&models{answer: echo})
	f.Fuzz(func(t *testing.T, data []byte) {
		var req question
		if proto.Unmarshal(data, &req) != nil {
			return
		}
		resp, err := service.ModelInfer(t.Context(), &req)
		if err == nil {
			if len(resp.GetOutputs()) == 0 {
				t.Errorf("%v has no answer", &req)
			}
			return
		}
		if kind := fault.Of(err); kind == fault.Internal {
			t.Errorf("%v: %v", &req, err)
		}
	})
}

// TestSeveralFiles sends several files as one tensor: each is asked about, and the answers are rows of one.
func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	m, c := asking(t)
	files := [][]byte{[]byte("\xffone"), []byte("two"), {}}
	got, err := c.ModelInfer(t.Context(), &question{ModelName: "m", Id: "mine", Inputs: []*given{{
		Name: "x", Datatype: "BYTES", Shape: []int64{3, 1}, Contents: &contents{BytesContents: files},
	}}, Outputs: []*openinferencepb.ModelInferRequest_InferRequestedOutputTensor{{Name: "body"}}})
	if err != nil || len(got.GetOutputs()) != 1 || !slices.Equal(got.GetOutputs()[0].GetShape(), []int64{3}) {
		t.Fatalf("%v, %v", got, err)
	}
	if len(m.asked) != 3 {
		t.Errorf("%d questions, want 3", len(m.asked))
	}
	for _, req := range m.asked {
		if len(req.Inputs) != 1 || req.Inputs[0].Tensor != nil || req.Inputs[0].Name != "x" {
			t.Errorf("asked %+v", req)
		}
	}
}

// TestCompressed sends a compressed question; what it holds counts against the limit, and not what it takes on the way.
func TestCompressed(t *testing.T) {
	t.Parallel()
	conn, _ := serve(t, rpc.Options{MaxReceive: 10_000}, openInference(&models{answer: echo}))
	c := openinferencepb.NewGRPCInferenceServiceClient(conn)
	for n, want := range map[int]codes.Code{1000: codes.OK, 1_000_000: codes.ResourceExhausted} {
		_, err := c.ModelInfer(t.Context(), &question{ModelName: "m", Inputs: []*given{{
			Name: "x", Datatype: "UINT8", Shape: []int64{int64(n)},
		}}, RawInputContents: [][]byte{make([]byte, n)}}, grpc.UseCompressor("gzip"))
		if status.Code(err) != want {
			t.Errorf("%d bytes: %v, want %v", n, err, want)
		}
	}
}
