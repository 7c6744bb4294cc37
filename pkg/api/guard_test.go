package api_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/tsgo/tsgo/pkg/api"
	"github.com/tsgo/tsgo/pkg/fault"
)

// only lets in who says a word.
func only(word string) func([]string) error {
	return func(authorization []string) error {
		if len(authorization) == 1 && authorization[0] == "Bearer "+word {
			return nil
		}
		return fmt.Errorf("%w: not the word", fault.Unauthorized)
	}
}

func guarding(which api.API, log *lines) *api.Guard {
	g := &api.Guard{API: which, Check: only("key"), Log: log.logger()}
	if which == api.Management {
		g.Refresh = only("renew")
	}
	return g
}

// TestGuard asks for routes with one key or another. What a route is, is not the guard's: the same paths, however they are
// written, are open or closed.
func TestGuard(t *testing.T) {
	t.Parallel()
	const closed, renewal = "Token Authorization failed.", "Token Authentication failed."
	for _, test := range []struct {
		which  api.API
		method string
		target string
		key    string
		want   string // in the refusal; "": let in
	}{
		{api.Inference, "GET", "/predictions/m", "key", ""},
		{api.Inference, "GET", "/predictions/m", "", closed},
		{api.Inference, "GET", "/predictions/m", "renew", closed},
		{api.Inference, "OPTIONS", "/predictions/m", "", closed},
		{api.Inference, "GET", "/", "", closed},
		{api.Inference, "OPTIONS", "/", "", ""},
		{api.Inference, "GET", "/api-description", "", ""},
		{api.Inference, "GET", "/api-description/m", "", closed},
		{api.Inference, "GET", "/ping", "", ""},
		{api.Inference, "POST", "//p%69ng/", "", ""},
		{api.Inference, "GET", "/ping%2f", "", closed},
		{api.Inference, "GET", "/pings", "", closed},
		{api.Inference, "GET", "/x/ping", "", closed},
		{api.Inference, "GET", "/predictions/m?x=/ping", "", closed},
		{api.Inference, "GET", "/v2/health/live", "", ""},
		{api.Inference, "GET", "/v2/health/ready", "", ""},
		{api.Inference, "GET", "/v2/health/ready/x", "", closed},
		{api.Inference, "GET", "/v2/models/m/ready", "", closed},
		{api.Inference, "GET", "/token?type=inference", "renew", closed},
		{api.Inference, "GET", "/%zz", "", closed},
		{api.Management, "GET", "/models", "key", ""},
		{api.Management, "GET", "/models", "", closed},
		{api.Management, "GET", "/models", "renew", closed},
		{api.Management, "GET", "/models?x=/token&type=management", "renew", closed},
		{api.Management, "GET", "/ping", "", closed},
		{api.Management, "GET", "/v2/health/live", "", closed},
		{api.Management, "OPTIONS", "/", "", ""},
		{api.Management, "GET", "/token?type=management", "renew", ""},
		{api.Management, "GET", "/token?type=management", "key", renewal},
		{api.Management, "GET", "/token?type=management", "", renewal},
		{api.Management, "GET", "/token/models", "renew", closed},
	} {
		t.Run(fmt.Sprint(test.which, test.method, test.target, test.key), func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(test.method, "/", http.NoBody)
			path, query, _ := strings.Cut(test.target, "?")
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, path, query
			r.Header.Set("Referer", "http://host/token")
			if test.key != "" {
				r.Header.Set("Authorization", "Bearer "+test.key)
			}
			var log lines
			err := guarding(test.which, &log).Request(r)
			got := log.read(t)
			if test.want == "" {
				if err != nil || len(got) > 0 {
					t.Errorf("%v, log %v, want to be let in without a word", err, got)
				}
				return
			}
			if fault.Of(err) != fault.Unauthorized || len(got) != 1 || got[0]["msg"] != "refused" || got[0]["level"] != "WARN" || got[0]["api"] != string(test.which) {
				t.Errorf("%v, log %v, want one refusal", err, got)
			}
			if f := api.FailureOf(err, ""); f.Code != codes.Unauthenticated || !strings.HasPrefix(f.Message, test.want) {
				t.Errorf("%v, want %s", f, test.want)
			}
		})
	}
}

// TestGuardWrap looks at the whole answers, and that nobody reads the body of a request that is refused.
func TestGuardWrap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		torchServe bool
		code       int
		challenge  []string
	}{
		{"401", false, 401, []string{"Bearer"}},
		{"TorchServe's 400", true, 400, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log lines
			g := guarding(api.Inference, &log)
			g.TorchServe = test.torchServe
			h := api.Wrap(ok, api.Options{Guard: g, MaxBody: 1, Log: log.logger()})
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/predictions/m", strings.NewReader("too large as well")))
			want := fmt.Sprintf("{\n  \"code\": %d,\n  \"type\": \"InvalidKeyException\",\n  \"message\": \"Token Authorization failed. "+
				"Token either incorrect, expired, or not provided correctly\"\n}\n", test.code)
			if diff := cmp.Diff(want, w.Body.String()); w.Code != test.code || diff != "" {
				t.Errorf("status %d, body (-want +got):\n%s", w.Code, diff)
			}
			if diff := cmp.Diff(test.challenge, w.Header().Values("WWW-Authenticate")); diff != "" {
				t.Errorf("WWW-Authenticate (-want +got):\n%s", diff)
			}
			if got := log.read(t); len(got) != 1 || got[0]["request"] != w.Header().Get("X-Request-Id") {
				t.Errorf("log %v, want one line with the request's ID", got)
			}
			if err := api.ReadError(w.Result()); fault.Of(err) != fault.Unauthorized {
				t.Errorf("the client reads %v", err)
			}
		})
	}
}

// TestPreflight asks as a browser does, which sends no key.
func TestPreflight(t *testing.T) {
	t.Parallel()
	var log lines
	cors := map[string]string{"Access-Control-Allow-Origin": "https://page", "Access-Control-Allow-Headers": "Authorization"}
	for _, test := range []struct {
		name, method, asks string
		header             map[string]string
		code               int
	}{
		{"preflight", "OPTIONS", "POST", cors, 204},
		{"no CORS", "OPTIONS", "POST", nil, 401},
		{"no origin is allowed", "OPTIONS", "POST", map[string]string{"Access-Control-Allow-Origin": ""}, 401},
		{"no preflight", "OPTIONS", "", cors, 401},
		{"another method", "POST", "POST", cors, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := api.Wrap(ok, api.Options{Guard: guarding(api.Inference, &log), Header: test.header})
			r := httptest.NewRequest(test.method, "/predictions/m", http.NoBody)
			if test.asks != "" {
				r.Header.Set("Access-Control-Request-Method", test.asks)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.code || w.Header().Get("Access-Control-Allow-Origin") != test.header["Access-Control-Allow-Origin"] {
				t.Errorf("status %d, header %v, want %d", w.Code, w.Header(), test.code)
			}
			if test.code == 204 && w.Body.Len() > 0 {
				t.Errorf("body %q, want none", w.Body)
			}
		})
	}
}

// TestGuardCall is TestGuard over gRPC.
func TestGuardCall(t *testing.T) {
	t.Parallel()
	const inference = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/"
	for _, test := range []struct {
		method, key string
		torchServe  bool
		want        codes.Code
	}{
		{inference + "Predictions", "key", false, codes.OK},
		{inference + "Predictions", "", false, codes.Unauthenticated},
		{inference + "Predictions", "other", false, codes.Unauthenticated},
		{inference + "Predictions", "", true, codes.PermissionDenied},
		{inference + "Ping", "", false, codes.OK},
		{"/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels", "", false, codes.Unauthenticated},
		{"/grpc.health.v1.Health/Check", "", false, codes.OK},
		{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "", false, codes.Unauthenticated},
		{"/inference.GRPCInferenceService/ServerReady", "", false, codes.OK},
		{"/inference.GRPCInferenceService/ServerLive", "", false, codes.OK},
		{"/inference.GRPCInferenceService/ServerMetadata", "", false, codes.Unauthenticated},
		{"/inference.GRPCInferenceService/ModelInfer", "", false, codes.Unauthenticated},
		{"/x/Ping", "", false, codes.Unauthenticated},
		{"", "", false, codes.Unauthenticated},
	} {
		t.Run(test.method+test.key, func(t *testing.T) {
			t.Parallel()
			var log lines
			g := guarding(api.Inference, &log)
			g.TorchServe = test.torchServe
			md := metadata.MD{}
			if test.key != "" {
				md.Set("Authorization", "Bearer "+test.key)
			}
			ctx := peer.NewContext(api.WithRequestID(t.Context()), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 5}})
			err := g.Call(ctx, test.method, md)
			got := log.read(t)
			if test.want == codes.OK {
				if err != nil || len(got) > 0 {
					t.Errorf("%v, log %v, want to be let in without a word", err, got)
				}
				return
			}
			if f := api.FailureOf(err, ""); f.Code != test.want || !strings.HasPrefix(f.Message, "Token Authorization failed.") {
				t.Errorf("%v, want %v", f, test.want)
			}
			if len(got) != 1 || got[0]["caller"] != "1.2.3.4:5" || got[0]["request"] != api.RequestID(ctx) {
				t.Errorf("log %v, want one line", got)
			}
		})
	}
	var everybody *api.Guard
	if err := everybody.Call(t.Context(), inference+"Predictions", nil); err != nil {
		t.Errorf("without a guard: %v", err)
	}
}

// TestDiscreet looks for what of a URL in the query does not stand in the access log.
func TestDiscreet(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/models?url=mnist&synchronous=true":                    "/models?url=mnist&synchronous=true",
		"/models?url=https%3A%2F%2Fme%3Asecret%40host%2Fm.mar":  "/models?url=https%3A%2F%2F***@host%2Fm.mar",
		"/models?url=https://me:sec%40ret@host/m.mar&x=1":       "/models?url=https://***@host/m.mar&x=1",
		"/models?url=https://host/m.mar?sig=secret&x=1":         "/models?url=https://host/m.mar?***&x=1",
		"/models?url=https%3a%2f%2fhost%2fm.mar%3Fsig%3Dsecret": "/models?url=https%3a%2f%2fhost%2fm.mar%3F***",
		"/predictions/m?q=a%20b@c?":                             "/predictions/m?q=a%20b@c?",
	} {
		var log lines
		h := api.Wrap(ok, api.Options{Access: log.logger()})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, target, http.NoBody))
		if got := fmt.Sprint(log.read(t)[0]["line"]); !strings.Contains(got, "POST "+want+" HTTP/1.1") {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
