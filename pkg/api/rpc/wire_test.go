package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/api/rpc/managementpb"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
)

// TestWire shows that names, numbers and types are those that clients know.
func TestWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file protoreflect.FileDescriptor
		want string
	}{
		{inferencepb.File_inferencepb_inference_proto, `
org.pytorch.serve.grpc.inference.InferenceAPIsService: Ping(google.protobuf.Empty) TorchServeHealthResponse, Predictions(PredictionsRequest) PredictionResponse, StreamPredictions(PredictionsRequest) stream PredictionResponse, StreamPredictions2(stream PredictionsRequest) stream PredictionResponse
PredictionsRequest: 1 model_name string, 2 model_version string, 3 input map bytes, 4 sequence_id optional string
PredictionResponse: 1 prediction bytes, 2 sequence_id optional string, 3 status optional google.rpc.Status
TorchServeHealthResponse: 1 health string
`},
		{managementpb.File_managementpb_management_proto, `
org.pytorch.serve.grpc.management.ManagementAPIsService: DescribeModel(DescribeModelRequest) ManagementResponse, ListModels(ListModelsRequest) ManagementResponse, RegisterModel(RegisterModelRequest) ManagementResponse, ScaleWorker(ScaleWorkerRequest) ManagementResponse, SetDefault(SetDefaultRequest) ManagementResponse, UnregisterModel(UnregisterModelRequest) ManagementResponse
ManagementResponse: 1 msg string
DescribeModelRequest: 1 model_name string, 2 model_version string, 3 customized bool
ListModelsRequest: 1 limit int32, 2 next_page_token int32
RegisterModelRequest: 1 batch_size int32, 2 handler string, 3 initial_workers int32, 4 max_batch_delay int32, 5 model_name string, 6 response_timeout int32, 7 runtime string, 8 synchronous bool, 9 url string, 10 s3_sse_kms bool, 11 startup_timeout int32
ScaleWorkerRequest: 1 model_name string, 2 model_version string, 3 max_worker int32, 4 min_worker int32, 5 number_gpu int32, 6 synchronous bool, 7 timeout int32
SetDefaultRequest: 1 model_name string, 2 model_version string
UnregisterModelRequest: 1 model_name string, 2 model_version string
`},
		{openinferencepb.File_openinferencepb_open_inference_proto, `
inference.GRPCInferenceService: ServerLive(ServerLiveRequest) ServerLiveResponse, ServerReady(ServerReadyRequest) ServerReadyResponse, ModelReady(ModelReadyRequest) ModelReadyResponse, ServerMetadata(ServerMetadataRequest) ServerMetadataResponse, ModelMetadata(ModelMetadataRequest) ModelMetadataResponse, ModelInfer(ModelInferRequest) ModelInferResponse
ServerLiveRequest:
ServerLiveResponse: 1 live bool
ServerReadyRequest:
ServerReadyResponse: 1 ready bool
ModelReadyRequest: 1 name string, 2 version string
ModelReadyResponse: 1 ready bool
ServerMetadataRequest:
ServerMetadataResponse: 1 name string, 2 version string, 3 extensions repeated string
ModelMetadataRequest: 1 name string, 2 version string
ModelMetadataResponse: 1 name string, 2 versions repeated string, 3 platform string, 4 inputs repeated ModelMetadataResponse.TensorMetadata, 5 outputs repeated ModelMetadataResponse.TensorMetadata
ModelMetadataResponse.TensorMetadata: 1 name string, 2 datatype string, 3 shape repeated int64
ModelInferRequest: 1 model_name string, 2 model_version string, 3 id string, 4 parameters map InferParameter, 5 inputs repeated ModelInferRequest.InferInputTensor, 6 outputs repeated ModelInferRequest.InferRequestedOutputTensor, 7 raw_input_contents repeated bytes
ModelInferRequest.InferInputTensor: 1 name string, 2 datatype string, 3 shape repeated int64, 4 parameters map InferParameter, 5 contents InferTensorContents
ModelInferRequest.InferRequestedOutputTensor: 1 name string, 2 parameters map InferParameter
ModelInferResponse: 1 model_name string, 2 model_version string, 3 id string, 4 parameters map InferParameter, 5 outputs repeated ModelInferResponse.InferOutputTensor, 6 raw_output_contents repeated bytes
ModelInferResponse.InferOutputTensor: 1 name string, 2 datatype string, 3 shape repeated int64, 4 parameters map InferParameter, 5 contents InferTensorContents
InferParameter: 1 bool_param bool, 2 int64_param int64, 3 string_param string, 4 double_param double, 5 uint64_param uint64
InferTensorContents: 1 bool_contents repeated bool, 2 int_contents repeated int32, 3 int64_contents repeated int64, 4 uint_contents repeated uint32, 5 uint64_contents repeated uint64, 6 fp32_contents repeated float, 7 fp64_contents repeated double, 8 bytes_contents repeated bytes
`},
	}
	for _, tt := range tests {
		t.Run(string(tt.file.Package()), func(t *testing.T) {
			t.Parallel()
			lines := serviceLines(tt.file)
			lines = append(lines, messageLines(tt.file, tt.file.Messages())...)
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(tt.want), "\n"), lines); diff != "" {
				t.Errorf("the wire (-want +got):\n%s", diff)
			}
		})
	}
}

// short is a name without its package, where that is the file's.
func short(file protoreflect.FileDescriptor, name protoreflect.FullName) string {
	return strings.TrimPrefix(string(name), string(file.Package())+".")
}

func serviceLines(file protoreflect.FileDescriptor) []string {
	var lines []string
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		var methods []string
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			stream := map[bool]string{true: "stream "}
			methods = append(methods, fmt.Sprintf("%s(%s%s) %s%s", m.Name(), stream[m.IsStreamingClient()], short(file, m.Input().FullName()),
				stream[m.IsStreamingServer()], short(file, m.Output().FullName())))
		}
		lines = append(lines, string(s.FullName())+": "+strings.Join(methods, ", "))
	}
	return lines
}

func messageLines(file protoreflect.FileDescriptor, messages protoreflect.MessageDescriptors) []string {
	var lines []string
	for i := range messages.Len() {
		m := messages.Get(i)
		if m.IsMapEntry() {
			continue
		}
		var fields []string
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			fields = append(fields, fmt.Sprintf(" %d %s %s", f.Number(), f.Name(), fieldType(file, f)))
		}
		lines = append(lines, short(file, m.FullName())+":"+strings.Join(fields, ","))
		lines = append(lines, messageLines(file, m.Messages())...)
	}
	return lines
}

func fieldType(file protoreflect.FileDescriptor, f protoreflect.FieldDescriptor) string {
	name, label := f.Kind().String(), ""
	switch {
	case f.IsMap():
		label, f = "map ", f.MapValue()
		name = f.Kind().String()
	case f.IsList():
		label = "repeated "
	case f.HasOptionalKeyword():
		label = "optional "
	}
	if f.Message() != nil {
		name = short(file, f.Message().FullName())
	}
	return label + name
}
