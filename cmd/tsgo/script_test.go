package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/engine/ort"
	"github.com/tsgo/tsgo/pkg/handler/builtin"
	"github.com/tsgo/tsgo/pkg/onnx"
	"github.com/tsgo/tsgo/pkg/server"
	"github.com/tsgo/tsgo/pkg/store"
)

// asProgram is the environment variable by which the test binary is told to be tsgo.
const asProgram = "TSGO_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	testscript.Main(leakFree{m}, map[string]func(){"tsgo": main})
}

// leakFree runs tests, which may leave no goroutine behind.
type leakFree struct{ tests *testing.M }

// Run runs the tests and returns the exit status.
func (l leakFree) Run() int {
	status := l.tests.Run()
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// TestScript runs what a user types: testdata/script/*.txtar. The scripts have the repository's models and samples, an
// empty home, and the user's cache, so that ONNX Runtime is provided once.
func TestScript(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	engine := &sharedEngine{}
	t.Cleanup(func() { engine.close(t) }) // after the last script
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODELS", filepath.Join(repository, "models"))
			env.Setenv("TEXTS", filepath.Join(repository, "pkg", "handler", "text", "testdata"))
			env.Setenv("SAMPLES", filepath.Join(repository, "samples"))
			env.Setenv("TSGO_MODEL_STORE", filepath.Join(repository, "models"))
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Defer(func() { endBackground(env.Getenv("TMPDIR")) })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": status, "server": engine.serve, "post": post, "blind": blind, "files": files,
		},
	})
}

// endBackground ends the server that a script has left in the background.
func endBackground(temp string) {
	text, err := os.ReadFile(filepath.Join(temp, ".model_server.pid"))
	if err != nil {
		return // there is none
	}
	if pid, err := strconv.Atoi(string(text)); err == nil {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
}

// status N COMMAND... runs a command and expects its exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v: %v", args[1:], err)
	}
	if got != want {
		ts.Fatalf("%v: exit status %d, want %d", args[1:], got, want)
	}
}

// post FILE URL posts a file, and shows what comes back: the status, the headers in their order, an empty line, the body.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: post FILE URL")
	}
	req, err := http.NewRequest(http.MethodPost, args[1], strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	ts.Check(err)
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	var head strings.Builder
	ts.Check(resp.Header.Write(&head))
	_, err = fmt.Fprintf(ts.Stdout(), "%d\n%s\n%s", resp.StatusCode, head.String(), body)
	ts.Check(err)
}

// files DIR serves the files in a directory over TLS, until the script ends. It sets $FILES to the address, and has the programs
// of the script trust it. Below /plain it leads to the same files without TLS, and below /closed it wants a key.
func files(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: files DIR")
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	mux.HandleFunc("/closed/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	plain := httptest.NewServer(mux)
	mux.Handle("/plain/", http.StripPrefix("/plain", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+r.URL.Path, http.StatusFound)
	})))
	secure := httptest.NewUnstartedServer(mux)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of who does not trust it
	secure.StartTLS()
	ts.Defer(func() { plain.Close(); secure.Close() })
	authority := ts.MkAbs("authority.pem")
	ts.Check(os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600))
	ts.Setenv("SSL_CERT_FILE", authority)
	ts.Setenv("FILES", secure.URL)
}

// blind FILE [OP] writes the network of digits to a file, with an operator in it that has no gradient here: Shrink, or OP.
func blind(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: blind FILE [OP]")
	}
	op := append(args, "Shrink")[1]
	g, file, err := onnx.Open(filepath.Join(ts.Getenv("MODELS"), "mnist", "mnist.onnx"))
	ts.Check(err)
	i := slices.IndexFunc(g.Nodes, func(n *onnx.Node) bool { return n.Op == "Relu" })
	g.Nodes[i].Op = op
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), g.Marshal(), 0o600))
	ts.Check(file.Close())
}

// sharedEngine is the one ONNX Runtime of this process, which all servers of the scripts share. It starts with the first.
type sharedEngine struct {
	mu      sync.Mutex // guards runtime
	runtime *ort.Runtime
}

func (e *sharedEngine) start(ctx context.Context) (*ort.Runtime, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runtime != nil {
		return e.runtime, nil
	}
	runtime, err := (&local{}).start(ctx, streams{env: os.Getenv, err: io.Discard}, slog.New(slog.DiscardHandler))
	e.runtime = runtime
	return runtime, err
}

func (e *sharedEngine) close(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runtime == nil {
		return
	}
	if err := e.runtime.Close(); err != nil {
		t.Error(err)
	}
}

// serve is the command server DIR [FLAG...]: what tsgo serve does with these flags, in this process, over the models in DIR
// and on free ports, until the script ends. It sets $SERVER, $MANAGEMENT, $METRICS and $GRPC to the addresses.
func (e *sharedEngine) serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: server DIR [FLAG...]")
	}
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	for _, setting := range config.Table() {
		flags.String(setting.Flag(), setting.Default, setting.Help)
	}
	ts.Check(flags.Parse(append([]string{
		"--inference-address", "127.0.0.1:0", "--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0",
		"--grpc-inference-address", "127.0.0.1:0", "--grpc-management-address", "127.0.0.1:0",
	}, args[1:]...)))
	c, err := config.Read(config.Sources{Flag: (&serveOptions{flags: flags}).given, Env: ts.Getenv})
	ts.Check(err)
	opts := c.Server
	opts.Store = store.New(store.Dir{Path: ts.MkAbs(args[0]), Origin: "the script"})
	opts.Handlers, opts.Params = builtin.Handlers(), paramNames()
	engine, err := e.start(context.Background())
	ts.Check(err)
	opts.Open = engine.Open
	s, err := server.New(context.Background(), opts)
	ts.Check(err)
	s.Start()
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		ts.Check(s.Stop(ctx))
	})
	ts.Setenv("GRPC", s.Addrs().GRPCInference)
	ts.Setenv("SERVER", "http://"+s.Addrs().Inference)
	ts.Setenv("MANAGEMENT", "http://"+s.Addrs().Management)
	ts.Setenv("METRICS", "http://"+s.Addrs().Metrics+"/metrics")
}
