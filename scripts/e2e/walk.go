package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// errFailed says that a script has failed; what happened is in its report.
var errFailed = errors.New("it failed")

// script returns the step that runs a script of walk/. Its commands beside testscript's own are
//
//	keys  sets $AS_INFERENCE, $AS_MANAGEMENT and $AS_API to the headers with the keys in key_file.json
func (p *place) script(name string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, out io.Writer) error {
		t := &report{out: out}
		deadline, _ := ctx.Deadline()
		testscript.RunT(t, testscript.Params{
			Files:       []string{filepath.Join("scripts", "e2e", "walk", name+".txtar")},
			WorkdirRoot: p.dir, RequireExplicitExec: true, RequireUniqueNames: true, Deadline: deadline,
			Setup: func(env *testscript.Env) error {
				env.Vars, env.Cd = append(env.Vars, p.env...), p.dir
				headers, err := p.keys()
				if errors.Is(err, os.ErrNotExist) {
					return nil // before the server starts
				}
				env.Vars = append(env.Vars, headers...)
				return err
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"keys": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 0 {
					ts.Fatalf("usage: keys")
				}
				headers, err := p.keys()
				ts.Check(err)
				for _, header := range headers {
					name, value, _ := strings.Cut(header, "=")
					ts.Setenv(name, value)
				}
			}},
		})
		if t.failed {
			return fmt.Errorf("scripts/e2e/walk/%s.txtar: %w", name, errFailed)
		}
		return nil
	}
}

// keys returns the headers with the keys of key_file.json, as variables of the environment.
func (p *place) keys() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(p.dir, "key_file.json"))
	if err != nil {
		return nil, err
	}
	var file map[string]struct{ Key string }
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("key_file.json: %w", err)
	}
	var headers []string
	for _, name := range []string{"inference", "management", "API"} {
		if file[name].Key == "" {
			return nil, fmt.Errorf("key_file.json: it has no key %q", name)
		}
		headers = append(headers, "AS_"+strings.ToUpper(name)+"=Authorization: Bearer "+file[name].Key)
	}
	return headers, nil
}

// report is what testscript reports to: a line for each section of a script that has passed, and everything of one that has
// not.
type report struct {
	out    io.Writer
	failed bool
}

// Log writes the log of a script, in which a section that has passed is its heading alone.
func (r *report) Log(args ...any) {
	lines := strings.Split(strings.TrimSpace(fmt.Sprint(args...)), "\n")
	for i, line := range lines {
		heading, is := strings.CutPrefix(line, "# ")
		passed := i+1 < len(lines) && (strings.HasPrefix(lines[i+1], "# ") || lines[i+1] == "PASS")
		switch {
		case is && passed:
			line = "ok   " + heading
		case is:
			line = "FAIL " + heading
		case line == "PASS", strings.HasPrefix(line, "WORK="):
			continue
		}
		_, _ = fmt.Fprintln(r.out, line)
	}
}

// Run runs a script, which FailNow may end.
func (r *report) Run(_ string, script func(testscript.T)) {
	defer func() {
		if cause := recover(); cause != nil && cause != errFailed { //nolint:errorlint // it is this one that FailNow panics with
			panic(cause)
		}
	}()
	script(r)
}

// FailNow ends the script.
func (r *report) FailNow() {
	r.failed = true
	panic(errFailed)
}

// Fatal says why, and ends the script.
func (r *report) Fatal(args ...any) {
	r.Log(args...)
	r.FailNow()
}

// Skip is Fatal: no script may leave anything out.
func (r *report) Skip(args ...any) { r.Fatal(args...) }

// Parallel does nothing: the scripts go one after the other.
func (*report) Parallel() {}

// Verbose says that sections that have passed are not shown in full.
func (*report) Verbose() bool { return false }
