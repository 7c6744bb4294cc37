package pkg_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/tsgo/tsgo/pkg/api/rpc/openinferencepb"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// digitServer serves mnist until the test ends.
func digitServer(t *testing.T) server.Addrs {
	t.Helper()
	s, err := server.New(t.Context(), server.Options{
		Inference: "127.0.0.1:0", Management: "127.0.0.1:0", Metrics: "127.0.0.1:0", GRPCInference: "127.0.0.1:0", Params: []string{"method", "target"},
		Store: store.New(store.Dir{Path: filepath.Join("..", "models")}), Models: []server.Startup{{Location: "mnist"}},
		Open: open(t), Handlers: builtin.Handlers(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()
}

// TestDigitByEveryProtocol asks mnist what a digit is by each way that KServe's protocols have: the scores are those of
// the pipeline in this process.
func TestDigitByEveryProtocol(t *testing.T) {
	t.Parallel()
	at, p := digitServer(t), load(t, "mnist")
	digit, err := os.ReadFile(filepath.Join("..", "samples", "digits", "3.png"))
	if err != nil {
		t.Fatal(err)
	}
	local := func(mode model.Mode) []float32 {
		t.Helper()
		resp, err := p.Predict(t.Context(), p.Ref(), &model.Request{Mode: mode, Inputs: []model.Input{{Name: "body", Data: digit}}})
		if err != nil || len(resp.Tensors) != 1 {
			t.Fatalf("%v: %+v, %v", mode, resp, err)
		}
		for _, only := range resp.Tensors {
			data, err := tensor.Data[float32](only)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		return nil
	}
	scores, attributions := local(model.ModePredict), local(model.ModeExplain)
	encoded := base64.StdEncoding.EncodeToString(digit)
	inJSON := fmt.Sprintf(`{"inputs":[{"name":"input","shape":[1],"datatype":"BYTES","data":[%q]}]}`, encoded)
	head := fmt.Sprintf(`{"inputs":[{"name":"input","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, len(digit)+4)
	inBinary := head + string(binary.LittleEndian.AppendUint32(nil, uint32(len(digit)))) + string(digit)
	infer, explain := "/v2/models/mnist/infer", "/v2/models/mnist/versions/1.0/explain"
	for name, tt := range map[string]struct {
		path, body string
		head       int // -1: the whole body is JSON
		shape      string
		want       []float32
	}{
		"JSON":                {infer, inJSON, -1, "[1,10]", scores},
		"binary":              {infer, inBinary, len(head), "[1,10]", scores},
		"the picture itself":  {infer, string(digit), 0, "[1,10]", scores},
		"explained in JSON":   {explain, inJSON, -1, "[1,28,28]", attributions},
		"explained in binary": {explain, inBinary, len(head), "[1,28,28]", attributions},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shape, got := askTensors(t, "http://"+at.Inference+tt.path, tt.body, tt.head)
			if shape != tt.shape {
				t.Errorf("shape %s, want %s", shape, tt.shape)
			}
			near(t, got, tt.want)
		})
	}
	t.Run("instances", func(t *testing.T) {
		t.Parallel()
		body, _ := postDigit(t, "http://"+at.Inference+"/v1/models/mnist:predict", fmt.Sprintf(`{"instances":[{"data":%q},{"image_bytes":{"b64":%q}}]}`, encoded, encoded), -1)
		if got := strings.Join(strings.Fields(string(body)), ""); got != `{"predictions":[3,3]}` {
			t.Errorf("predictions: %s", got)
		}
		body, _ = postDigit(t, "http://"+at.Inference+"/v1/models/mnist:explain", fmt.Sprintf(`{"instances":[{"b64":%q}]}`, encoded), -1)
		var explained struct{ Explanations [][1][28][28]float32 }
		if err := json.Unmarshal(body, &explained); err != nil || len(explained.Explanations) != 1 {
			t.Fatalf("explanations: %.200s, %v", body, err)
		}
		var flat []float32
		for _, row := range explained.Explanations[0][0] {
			flat = append(flat, row[:]...)
		}
		near(t, flat, attributions)
	})
	t.Run("gRPC", func(t *testing.T) {
		t.Parallel()
		near(t, askDigit(t, at.GRPCInference, digit, "predict"), scores)
		near(t, askDigit(t, at.GRPCInference, digit, "explain"), attributions)
	})
}

// postDigit posts a body whose first head bytes are JSON, and returns the answer.
func postDigit(t *testing.T, url, body string, head int) ([]byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if head >= 0 {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Inference-Header-Content-Length", strconv.Itoa(head))
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %.300s, %v", resp.StatusCode, answer, err)
	}
	return answer, resp.Header
}

// askTensors asks by version 2, and returns the one output that is answered.
func askTensors(t *testing.T, url, body string, head int) (shape string, data []float32) {
	t.Helper()
	answer, header := postDigit(t, url, body, head)
	text, raw := answer, []byte(nil)
	if length := header.Get("Inference-Header-Content-Length"); length != "" {
		n, err := strconv.Atoi(length)
		if err != nil {
			t.Fatal(err)
		}
		text, raw = answer[:n], answer[n:]
	}
	var got struct {
		Outputs []struct {
			Shape json.RawMessage
			Data  []float32
		}
	}
	if err := json.Unmarshal(text, &got); err != nil || len(got.Outputs) != 1 {
		t.Fatalf("%.300s, %v", text, err)
	}
	data = got.Outputs[0].Data
	if raw != nil {
		data = make([]float32, len(raw)/4)
		if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, data); err != nil {
			t.Fatal(err)
		}
	}
	return string(got.Outputs[0].Shape), data
}

// askDigit asks over gRPC.
func askDigit(t *testing.T, address string, digit []byte, mode string) []float32 {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer is there
	resp, err := openinferencepb.NewGRPCInferenceServiceClient(conn).ModelInfer(metadata.AppendToOutgoingContext(t.Context(), "tsgo-mode", mode), &openinferencepb.ModelInferRequest{
		ModelName: "mnist", Inputs: []*openinferencepb.ModelInferRequest_InferInputTensor{{
			Name: "input", Datatype: "BYTES", Shape: []int64{1}, Contents: &openinferencepb.InferTensorContents{BytesContents: [][]byte{digit}},
		}},
	})
	if err != nil || len(resp.GetOutputs()) != 1 {
		t.Fatalf("%s: %v, %v", mode, resp, err)
	}
	return resp.GetOutputs()[0].GetContents().GetFp32Contents()
}

// near compares numbers, which may have been another thread's sum.
func near(t *testing.T, got, want []float32) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i, w := range want {
		if math.Abs(float64(got[i]-w)) > 1e-4*max(1, math.Abs(float64(w))) {
			t.Fatalf("number %d is %v, want %v", i, got[i], w)
		}
	}
}
