package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/api/inference"
	"github.com/tsgo/tsgo/pkg/api/oip"
	"github.com/tsgo/tsgo/pkg/api/rpc/inferencepb"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
)

// InferenceOptions are the settings of [Inference] and of [OpenInference].
type InferenceOptions struct {
	// Params are the names of inputs and parameters that are for the method or the handler, and not for the network:
	// target, method, top_k and the like.
	Params []string
	// Inputs tells the names of a model's inputs. Something of such a name is an input, even if it is one of Params; nil:
	// of no model.
	Inputs func(ref model.Ref) []string
	// Signature tells what a model takes and gives; nil, and for a model that is not known: nothing is known. Only
	// [OpenInference] asks.
	Signature func(ref model.Ref) oip.Signature
	MaxAnswer int64  // as in [inference.Options]; of [OpenInference], bytes of the message
	Version   string // of the server

	Log *slog.Logger // defects that are told within a stream, which goes on; nil: none
}

// Inference is TorchServe's inference service.
type Inference struct {
	inferencepb.UnimplementedInferenceAPIsServiceServer

	models inference.Models
	asker  inference.Asker
	log    *slog.Logger
	stop   <-chan struct{} // closed when its server stops; nil: it has none
}

// NewInference returns the inference service of models.
func NewInference(models inference.Models, opts InferenceOptions) *Inference {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Inference{models: models, asker: asker(models, opts), log: opts.Log}
}

func asker(models model.Predictor, opts InferenceOptions) inference.Asker {
	return inference.Asker{Models: models, Params: slices.Clone(opts.Params), Inputs: opts.Inputs, MaxAnswer: opts.MaxAnswer}
}

// Register makes a server's calls of the service its own.
func (s *Inference) Register(to grpc.ServiceRegistrar) {
	inferencepb.RegisterInferenceAPIsServiceServer(to, s)
}

// until ends what waits for its caller when stop is closed.
func (s *Inference) until(stop <-chan struct{}) { s.stop = stop }

// Ping tells whether all models can answer, in JSON.
func (s *Inference) Ping(context.Context, *emptypb.Empty) (*inferencepb.TorchServeHealthResponse, error) {
	state := "Healthy"
	if s.models.Ready() != nil {
		state = "Unhealthy"
	}
	health, err := jsonText(api.Status{Status: state})
	return &inferencepb.TorchServeHealthResponse{Health: health}, err
}

// Predictions asks a model.
func (s *Inference) Predictions(ctx context.Context, req *inferencepb.PredictionsRequest) (*inferencepb.PredictionResponse, error) {
	ref := model.Ref{Name: req.GetModelName(), Version: req.GetModelVersion()}
	inputs := make([]model.Input, 0, len(req.GetInput()))
	for _, name := range slices.Sorted(maps.Keys(req.GetInput())) {
		inputs = append(inputs, model.Input{Name: name, Data: req.GetInput()[name]})
	}
	if err := named(ref.Name); err != nil {
		return nil, err
	}
	q := question{inference.Question{Ref: ref, Inputs: inputs}}
	if err := q.of(ctx); err != nil {
		return nil, err
	}
	resp, err := s.asker.Ask(ctx, q.Question)
	if err != nil {
		return nil, api.About(err, ref)
	}
	if err := s.asker.Fits(len(resp.Body)); err != nil {
		return nil, err
	}
	if resp.ContentType != "" {
		_ = grpc.SetHeader(ctx, metadata.Pairs(contentType, resp.ContentType)) // a caller that has gone needs none
	}
	return &inferencepb.PredictionResponse{Prediction: resp.Body, SequenceId: req.SequenceId}, nil
}

// StreamPredictions asks a model, and gives its answer in one part.
func (s *Inference) StreamPredictions(req *inferencepb.PredictionsRequest, stream grpc.ServerStreamingServer[inferencepb.PredictionResponse]) error {
	resp, err := s.Predictions(stream.Context(), req)
	if err != nil {
		return err
	}
	return stream.Send(resp)
}

// StreamPredictions2 asks a model about each message, in their order. No model here keeps a state from one to the next: what
// makes messages a sequence is their name alone, which their answers have too. One that fails is told in its answer, and
// the others go on.
func (s *Inference) StreamPredictions2(stream grpc.BidiStreamingServer[inferencepb.PredictionsRequest, inferencepb.PredictionResponse]) error {
	ctx, messages := stream.Context(), receive(stream)
	for {
		var message received
		select {
		case message = <-messages:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stop:
			return status.Error(codes.Unavailable, "the server is stopping")
		}
		req, err := message.req, message.err
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var resp *inferencepb.PredictionResponse
		if req.GetSequenceId() == "" {
			err = api.Words(fault.Invalid, "Parameter sequenceId is required.")
		} else {
			resp, err = s.Predictions(ctx, req)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			resp = &inferencepb.PredictionResponse{SequenceId: req.SequenceId, Status: s.told(ctx, err)}
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// received is what came of waiting for a message.
type received struct {
	req *inferencepb.PredictionsRequest
	err error
}

// receive hands over the messages of a stream, and last its error. It ends with the call.
func receive(stream grpc.BidiStreamingServer[inferencepb.PredictionsRequest, inferencepb.PredictionResponse]) <-chan received {
	messages := make(chan received)
	go func() {
		for {
			req, err := stream.Recv()
			select {
			case messages <- received{req, err}:
			case <-stream.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return messages
}

// told returns a failure as a part of an answer.
func (s *Inference) told(ctx context.Context, err error) *spb.Status {
	id := api.RequestID(ctx)
	if fault.Of(err) == fault.Internal {
		s.log.ErrorContext(ctx, "request failed", "request", id, "method", "StreamPredictions2", "err", err)
	}
	return status.Convert(failure(err, id)).Proto()
}

// The metadata of questions and answers.
const (
	mode        = "tsgo-mode"         // of a question: predict, which it is where nothing is said, or explain
	contentType = "tsgo-content-type" // of an answer that is bytes; content-type itself is gRPC's own
)

// question is what a call asks.
type question struct{ inference.Question }

// of takes over what the metadata of a call says: the mode, and what the handler may see.
func (q *question) of(ctx context.Context) (err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	q.Header = header(md)
	q.Mode, err = modeOf(md)
	return err
}

func modeOf(md metadata.MD) (model.Mode, error) {
	values := md.Get(mode)
	if len(values) == 0 {
		return model.ModePredict, nil
	}
	switch values[0] {
	case model.ModePredict.String():
		return model.ModePredict, nil
	case model.ModeExplain.String():
		return model.ModeExplain, nil
	}
	return 0, fmt.Errorf("%w: metadata %s is %q, want %s or %s", fault.Invalid, mode, values[0], model.ModePredict, model.ModeExplain)
}

// header is metadata as the headers that a handler may see, under the names that they have over HTTP.
func header(md metadata.MD) map[string][]string {
	all := make(map[string][]string, len(md))
	for name, values := range md {
		switch {
		case name == mode, name == "content-type", strings.HasPrefix(name, ":"), strings.HasPrefix(name, "grpc-"), strings.HasSuffix(name, "-bin"):
		default:
			all[http.CanonicalHeaderKey(name)] = values
		}
	}
	return inference.Visible(all)
}
