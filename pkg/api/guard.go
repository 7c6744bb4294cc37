package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/tsgo/tsgo/pkg/fault"
)

// tokenRoute is the one part of the path at which the management API makes keys anew.
const tokenRoute = "token"

// Guard asks the callers of an API for their key, before anything else is done with a request. A nil Guard lets everybody
// in. What tells nothing that a caller could use is open to all: whether the server lives, and what its API is.
type Guard struct {
	API API
	// Check tells whether a caller has the key of the API: nil, or [fault.Unauthorized] and why. It is given the request's
	// Authorization headers.
	Check func(authorization []string) error
	// Refresh is as Check, of the key for /token; nil: the API has no such route.
	Refresh func(authorization []string) error

	TorchServe bool         // a refusal is TorchServe's: 400 over HTTP, PERMISSION_DENIED over gRPC
	Log        *slog.Logger // one line for each refusal, which holds no key; nil: none
}

// Request returns [fault.Unauthorized], in TorchServe's words, for a request that its caller may not make.
func (g *Guard) Request(r *http.Request) error {
	if g == nil {
		return nil
	}
	check, what := g.Check, "Authorization"
	if path, err := Segments(r); err == nil {
		switch {
		case g.open(r.Method, path):
			return nil
		case g.Refresh != nil && len(path) == 1 && path[0] == tokenRoute:
			check, what = g.Refresh, "Authentication"
		}
	}
	err := check(r.Header.Values("Authorization"))
	if err == nil {
		return nil
	}
	g.tell(r.Context(), err, slog.String("caller", callerOf(r)), slog.String("method", short(r.Method)), slog.String("path", short(r.URL.Path)))
	return Words(err, "Token %s failed. Token either incorrect, expired, or not provided correctly", what)
}

// open tells whether a route is open to all.
func (g *Guard) open(method string, path []string) bool {
	switch {
	case len(path) == 0:
		return method == http.MethodOptions
	case len(path) == 1 && path[0] == "api-description":
		return true
	case g.API != Inference:
		return false
	}
	return path[0] == "ping" || slices.Equal(path, []string{"v2", "health", "live"}) || slices.Equal(path, []string{"v2", "health", "ready"})
}

// Call is [Guard.Request] for gRPC: fullMethod is like "/package.Service/Method". A caller's key is in the metadata called
// authorization.
func (g *Guard) Call(ctx context.Context, fullMethod string, md metadata.MD) error {
	if g == nil || openCall(fullMethod) {
		return nil
	}
	err := g.Check(md.Get("authorization"))
	if err == nil {
		return nil
	}
	caller := ""
	if p, ok := peer.FromContext(ctx); ok {
		caller = p.Addr.String()
	}
	g.tell(ctx, err, slog.String("caller", caller), slog.String("method", short(fullMethod)))
	if g.TorchServe {
		err = fault.NotAllowed
	}
	return Words(err, "Token Authorization failed. Token either incorrect, expired, or not provided correctly")
}

// openCall tells whether a call is open to all.
func openCall(fullMethod string) bool {
	service, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	switch service {
	case "grpc.health.v1.Health":
		return true
	case "org.pytorch.serve.grpc.inference.InferenceAPIsService":
		return method == "Ping"
	}
	return strings.HasSuffix(service, ".GRPCInferenceService") && (method == "ServerLive" || method == "ServerReady")
}

func (g *Guard) tell(ctx context.Context, why error, who ...slog.Attr) {
	if g.Log == nil {
		return
	}
	g.Log.LogAttrs(ctx, slog.LevelWarn, "refused", append([]slog.Attr{
		slog.String("request", RequestID(ctx)), slog.String("api", string(g.API)), slog.Any("why", why),
	}, who...)...)
}

// short bounds what a caller who is not let in can write into a log.
func short(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// preflight answers a browser that asks whether a page of another origin may make a request. It sends no key along.
func (h *wrapped) preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" || len(h.header["Access-Control-Allow-Origin"]) == 0 {
		return false
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}
