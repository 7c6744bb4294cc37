package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// root is the repository.
const root = "../.."

// tsgo is the program, built once for all tests.
var tsgo = sync.OnceValues(func() (string, error) {
	out := filepath.Join(temp, "tsgo")
	cmd := exec.Command("go", "build", "-o", out, "./cmd/tsgo")
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/tsgo: %w\n%s", err, text)
	}
	return out, nil
})

// temp is removed after the last test.
var temp string

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // Helm tells of each link that it follows
	var err error
	if temp, err = os.MkdirTemp("", "deploy-"); err != nil {
		panic(err)
	}
	status := m.Run()
	if err := os.RemoveAll(temp); err != nil {
		panic(err)
	}
	os.Exit(status)
}

// program returns the path of tsgo.
func program(t *testing.T) string {
	t.Helper()
	path, err := tsgo()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// pages are the metrics of a real server before and after it was asked: good requests and bad ones, predictions and
// explanations.
type pages struct{ before, after []byte }

// measured starts a server once for all tests, and asks it.
var measured = sync.OnceValues(func() (pages, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store, err := filepath.Abs(filepath.Join(root, "models"))
	if err != nil {
		return pages{}, err
	}
	addresses, stop, err := serve(ctx, "serve", "--models", "mnist", "--model-store", store, "--default-workers-per-model", "1")
	if err != nil {
		return pages{}, err
	}
	defer stop()
	return ask(ctx, addresses)
})

// serve starts tsgo on free ports of this machine, and returns its addresses by API.
func serve(ctx context.Context, args ...string) (addresses map[string]string, stop func(), err error) {
	path, err := tsgo()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "tsgo-deploy-") // where nothing is that it would take for its own
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, append(args,
		"--inference-address", "127.0.0.1:0", "--management-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0",
		"--grpc-inference-address", "none", "--grpc-management-address", "none")...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	stop = func() {
		cancel()
		_ = cmd.Wait() // it is interrupted
		_ = os.RemoveAll(dir)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	if addresses, err = started(out); err != nil {
		stop()
		return nil, nil, fmt.Errorf("%w: %s", err, log.String())
	}
	return addresses, stop, nil
}

// started reads the server's addresses, by API.
func started(out io.Reader) (map[string]string, error) {
	line := regexp.MustCompile(`^(inference|management|metrics) +(http://[^ /]+)`)
	addresses := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := line.FindStringSubmatch(lines.Text()); found != nil {
			addresses[found[1]] = found[2]
		}
		if lines.Text() == "Model server started." {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("tsgo serve did not start")
}

// ask sends requests of every kind that the dashboard tells of, and reads the metrics before and after.
func ask(ctx context.Context, addresses map[string]string) (pages, error) {
	digit, err := os.ReadFile(filepath.Join(root, "samples", "digits", "3.png"))
	if err != nil {
		return pages{}, err
	}
	var got pages
	workers := func(n string) request {
		return request{"PUT", addresses["management"] + "/models/mnist?synchronous=true&min_worker=" + n + "&max_worker=" + n, nil, 200}
	}
	predict, explain := addresses["inference"]+"/predictions/mnist", addresses["inference"]+"/explanations/mnist"
	all := []request{
		{"POST", predict, digit, 200},
		{"POST", predict + "/1.0", digit, 200},
		{"POST", explain + "?method=occlusion&window=14", digit, 200},
		{"POST", predict, []byte("no picture"), 400},
		{"POST", addresses["inference"] + "/predictions/another", digit, 404},
		workers("0"),
		{"POST", predict, digit, 503},
		workers("1"),
	}
	for _, page := range []*[]byte{&got.before, &got.after} {
		for _, r := range all {
			if _, err := r.send(ctx); err != nil {
				return pages{}, err
			}
		}
		if *page, err = (request{"GET", addresses["metrics"] + "/metrics", nil, 200}).send(ctx); err != nil {
			return pages{}, err
		}
	}
	return got, nil
}

// request is a call of the server, and the status that it has to be answered with.
type request struct {
	method, url string
	body        []byte
	want        int
}

func (r request) send(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != r.want {
		err = fmt.Errorf("%s %s: status %d, want %d: %s", r.method, r.url, resp.StatusCode, r.want, body)
	}
	return body, err
}

// kinds are the kinds of failure that tsgo_failures_total tells, out of the source of package fault.
func kinds(t *testing.T) map[string]bool {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(root, "pkg", "fault", "fault.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, found := range regexp.MustCompile(`return "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		all[found[1]] = true
	}
	if !all["unavailable"] || !all["invalid"] {
		t.Fatalf("fault.go has the kinds %s, want unavailable and invalid among them", strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return all
}

// read returns a file of this directory.
func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
