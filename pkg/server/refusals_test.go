package server_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/api/rpc/managementpb"
	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/auth"
)

// The calls over gRPC that are attacked.
const (
	grpcPredict  = "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
	grpcInfer    = "inference.GRPCInferenceService/ModelInfer"
	grpcRegister = "org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel"
)

// TestNobodyGetsIn tries, one a row, what somebody may try who has no key, the wrong one, or the right one: to get at what
// is not for them, and to have the server take more than it should. Everything is refused with its status, told in one line
// of the access log and in as many of the log as stand in the row, and no key is in any of them.
func TestNobodyGetsIn(t *testing.T) {
	t.Parallel()
	f := build(t, withGRPC)
	keys := f.keys(t)
	writeBad(t, filepath.Join(f.top, "store", "climbs.mar"), "../../climbed", 1)
	writeBad(t, filepath.Join(f.top, "store", "absolute.mar"), filepath.Join(f.top, "climbed"), 1)
	writeBad(t, filepath.Join(f.top, "store", "bomb.mar"), "net.onnx", 32<<20)
	writeMany(t, filepath.Join(f.top, "store", "many.mar"), 10_001)
	for _, a := range slices.Concat(withoutKey(), paths(), locations(f.top), tooMuch(t)) {
		f.repel(t, a, keys)
	}
	f.mu.Lock()
	f.now = f.now.Add(time.Hour)
	f.mu.Unlock()
	for _, a := range expired() {
		f.repel(t, a, keys)
	}
	f.mu.Lock()
	f.now = f.now.Add(-time.Hour)
	f.mu.Unlock()
	f.silent(t, keys)
	f.intact(t)
}

// What is sent with the right key.
const (
	forInference  = "Bearer {inference}"
	forManagement = "Bearer {management}"
)

// withoutKey has no key, a wrong one, or that of another port; TestWithoutKey has every route.
func withoutKey() []attack {
	predict := &inferencepb.PredictionsRequest{ModelName: "sums"}
	register := &managementpb.RegisterModelRequest{Url: "two"}
	return []attack{
		{name: "no key", port: auth.Inference, request: "POST /predictions/sums", code: 401, says: noKey, logged: 1},
		{name: "a wrong key", port: auth.Inference, request: "POST /predictions/sums", authorization: "Bearer GUESSED", code: 401, says: noKey, logged: 1},
		{name: "another port's key", port: auth.Inference, request: "POST /predictions/sums", authorization: forManagement, code: 401, says: noKey, logged: 1},
		{name: "no key, to register", port: auth.Management, request: "POST /models?url=two", code: 401, says: noKey, logged: 1},
		{name: "another port's key, to register", port: auth.Management, request: "POST /models?url=two", authorization: forInference, code: 401, says: noKey, logged: 1},
		{name: "gRPC: no key", port: auth.Inference, request: grpcPredict, message: predict, code: 401, says: noKey, logged: 1},
		{name: "gRPC: a wrong key", port: auth.Inference, request: grpcPredict, message: predict, authorization: "Bearer GUESSED", code: 401, says: noKey, logged: 1},
		{name: "gRPC: another port's key", port: auth.Inference, request: grpcPredict, message: predict, authorization: forManagement, code: 401, says: noKey, logged: 1},
		{name: "gRPC: no key, to register", port: auth.Management, request: grpcRegister, message: register, code: 401, says: noKey, logged: 1},
		{name: "gRPC: another port's key, to register", port: auth.Management, request: grpcRegister, message: register, authorization: forInference, code: 401, says: noKey, logged: 1},
	}
}

// expired has keys that held once.
func expired() []attack {
	return []attack{
		{name: "an expired key", port: auth.Inference, request: "POST /predictions/sums", authorization: forInference, code: 401, says: noKey, logged: 1},
		{name: "an expired key, to register", port: auth.Management, request: "POST /models?url=two", authorization: forManagement, code: 401, says: noKey, logged: 1},
		{name: "gRPC: an expired key", port: auth.Inference, request: grpcInfer, message: question(), authorization: forInference, code: 401, says: noKey, logged: 1},
	}
}

// paths has names of models that lead elsewhere.
func paths() []attack {
	named := func(name string) proto.Message { return &inferencepb.PredictionsRequest{ModelName: name} }
	return []attack{
		{name: "describe what climbs", port: auth.Management, request: "GET /models/..%2F..%2Foutside", authorization: forManagement, code: 404, says: "Model not found"},
		{name: "unregister what climbs", port: auth.Management, request: "DELETE /models/..%2Fstore%2Fone", authorization: forManagement, code: 404, says: "Model not found"},
		{name: "predict what climbs", port: auth.Inference, request: "POST /predictions/..%2F..%2Foutside", authorization: forInference, code: 404, says: "Model not found"},
		{name: "gRPC: predict what climbs", port: auth.Inference, request: grpcPredict, message: named("../../outside"), authorization: forInference, code: 404, says: "Model not found"},
	}
}

// locations has places that models may not come from, names that they may not have, and archives that are not to be
// believed.
func locations(top string) []attack {
	register := func(name, location string, code int, says string, logged int) attack {
		return attack{
			name: name, port: auth.Management, request: "POST /models?initial_workers=1&url=" + location, authorization: forManagement,
			code: code, says: says, logged: logged,
		}
	}
	call := func(name, location, says string) attack {
		return attack{
			name: name, port: auth.Management, request: grpcRegister, message: &managementpb.RegisterModelRequest{Url: location},
			authorization: forManagement, code: 404, says: says, logged: 1,
		}
	}
	const notAllowed, upwards = "does not match any allowed URL(s)", "Relative path is not allowed"
	return []attack{
		register("upwards", "../outside", 404, upwards, 1),
		register("upwards, escaped twice", "..%252foutside", 404, "Model not found", 1),
		register("upwards, in the middle", "one/../../outside", 404, upwards, 1),
		register("upwards, backslashes", `..%5Coutside`, 404, upwards, 1),
		register("absolute", "{top}/outside", 404, notAllowed, 1),
		register("absolute, of the system", "/etc/passwd", 404, notAllowed, 1),
		register("a file URL", "file://{top}/outside.mar", 404, notAllowed, 1),
		register("a file URL, upwards", "file://{top}/store/../outside.mar", 404, upwards, 1),
		register("a URL that is not allowed", "{host}/other/m.mar", 404, notAllowed, 1),
		register("the cloud's own address", "http://169.254.169.254/latest/m.mar", 404, notAllowed, 1),
		register("a URL with a password", "https://me:s3cret@host/m.mar", 404, notAllowed, 1),
		register("another scheme", "gopher://host/m.mar", 404, notAllowed, 1),
		register("a redirect to what is not allowed", "{host}/allowed/astray.mar", 400, "neither in the model store nor at an allowed URL", 1),
		register("upwards in an allowed URL", "{host}/allowed/%252e%252e/forbidden/m.mar", 404, upwards, 1),
		register("an archive that climbs", "climbs.mar", 400, "", 1),
		register("an archive with an absolute path", "absolute.mar", 400, "", 1),
		register("an archive that is a bomb", "bomb.mar", 413, "unpacks to more than", 1),
		register("an archive of many files", "many.mar", 413, "holds more than 10000 entries", 1),
		register("a name that climbs", "two&model_name=..%2F..%2Fx", 400, "model name", 0),
		register("a name with a slash", "two&model_name=a%2Fb", 400, "model name", 0),
		register("a name of lines", "two&model_name=a%0Ab", 400, "model name", 0),
		call("gRPC: upwards", "../outside", upwards),
		call("gRPC: absolute", filepath.Join(top, "outside"), notAllowed),
		call("gRPC: a URL that is not allowed", "http://169.254.169.254/latest/m.mar", notAllowed),
	}
}

// tooMuch has more of everything than is taken. What is too much for net/http itself is in TestOversized.
func tooMuch(t *testing.T) []attack {
	t.Helper()
	const form, tooLarge = "application/x-www-form-urlencoded", "RequestTooLargeException"
	predict := func(name, contentType, body string, code int, says string) attack {
		return attack{
			name: name, port: auth.Inference, request: "POST /predictions/sums", authorization: forInference,
			body: strings.NewReader(body), header: map[string]string{"Content-Type": contentType}, code: code, says: says,
		}
	}
	infer := func(name, body string, code int, says string) attack {
		return attack{
			name: name, port: auth.Inference, request: "POST /v2/models/sums/infer", authorization: forInference, body: strings.NewReader(body), code: code, says: says,
		}
	}
	call := func(name string, q *openinferencepb.ModelInferRequest, code int, says string) attack {
		return attack{name: name, port: auth.Inference, request: grpcInfer, message: q, authorization: forInference, code: code, says: says}
	}
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	part := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n"
	bomb := predict("a body that is compressed, and too large", "application/json", compressed(t, 4<<20), 413, "RequestTooLargeException")
	bomb.header["Content-Encoding"] = "gzip"
	return []attack{
		{name: "a body", port: auth.Inference, request: "POST /predictions/sums", authorization: forInference, declares: 2 << 20, code: 413, says: tooLarge},
		{name: "a body of unknown length", port: auth.Inference, request: "POST /predictions/sums", authorization: forInference, body: io.LimitReader(zeros{}, 2<<20), code: 413, says: tooLarge},
		{name: "a registration", port: auth.Management, request: "POST /models", authorization: forManagement, declares: 2 << 20, code: 413, says: tooLarge},
		bomb,
		{name: "parameters", port: auth.Inference, request: "POST /predictions/sums?" + strings.Repeat("a=b&", 1100), authorization: forInference, code: 413, says: tooLarge},
		{name: "a parameter", port: auth.Inference, request: "POST /predictions/sums?target=" + strings.Repeat("1", 5000), authorization: forInference, code: 413, says: tooLarge},
		predict("fields of a form", form, strings.Repeat("a=b&", 1100), 413, tooLarge),
		predict("a field of a form", form, "data=1&target="+strings.Repeat("1", 5000), 413, tooLarge),
		predict("parts of a form", "multipart/form-data; boundary=x", strings.Repeat(part, 1001)+"--x--\r\n", 413, tooLarge),
		predict("instances", "application/json", `{"instances": [`+strings.Repeat("[1],", 1000)+"[1]]}", 413, tooLarge),
		predict("depth of JSON", "application/json", deep, 400, ""),
		predict("depth of instances", "application/json", `{"instances": [`+deep+`]}`, 400, ""),
		infer("depth of a tensor", `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": `+deep+`}]}`, 400, "exceeded max depth"),
		infer("elements of a shape", `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [4294967296, 4294967296], "data": [1]}]}`, 400, "shape"),
		infer("elements of a shape, by a hair", `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [9223372036854775807, 2], "data": [1]}]}`, 400, "shape"),
		infer("a negative length", `{"inputs": [{"name": "x", "datatype": "FP32", "shape": [-4611686018427387904, 4], "data": [1]}]}`, 400, "shape"),
		infer("tensors", `{"inputs": [`+strings.Repeat("{},", 1000)+`{}]}`, 413, "1001 inputs"),
		infer("files in a tensor", `{"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1001], "data": [`+strings.Repeat(`"a",`, 1000)+`"a"]}]}`, 413, "1001 elements"),
		call("gRPC: a message", &openinferencepb.ModelInferRequest{ModelName: "sums", Id: strings.Repeat("x", 2<<20)}, 413, "received message larger than max"),
		call("gRPC: elements of a shape", shaped(1<<32, 1<<32), 400, "input 0"),
		call("gRPC: elements of a shape that overflow", shaped(1<<62, 4), 400, "input 0"),
	}
}

// shaped is a question about a tensor that has fewer elements than its shape says.
func shaped(shape ...int64) *openinferencepb.ModelInferRequest {
	q := question()
	q.Inputs[0].Shape = shape
	return q
}

// compressed is so many zeros, by gzip.
func compressed(t *testing.T, size int64) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// writeMany writes an archive of so many empty files.
func writeMany(t *testing.T, path string, files int) {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := range files {
		if _, err := w.Create(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
