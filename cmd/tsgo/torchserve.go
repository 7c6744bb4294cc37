package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tsgo/tsgo/pkg/fault"
)

// torchserve are the flags of TorchServe's command line that are not settings.
type torchserve struct {
	start, stop, foreground, version bool
	tsConfig                         string
}

// define gives a command TorchServe's flags.
func (t *torchserve) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&t.start, "start", false, "as TorchServe: run in the background, and return once the server answers")
	f.BoolVar(&t.stop, "stop", false, "end the server that --start began")
	f.BoolVar(&t.foreground, "foreground", false, "with --start: run in the foreground")
	f.StringVar(&t.tsConfig, "ts-config", "", "TorchServe's config.properties")
	f.BoolVar(&t.version, "version", false, "tell the version, and end")
	for name, help := range map[string]string{
		"log-config": "nothing: see --log-format", "cpp-log-config": "nothing: there are no C++ workers",
		"plugins-path": "nothing: there are no Java plug-ins", "workflow-store": "nothing: workflows are not served",
	} {
		f.String(name, "", help)
		f.Lookup(name).Hidden = true
	}
	f.Bool("no-config-snapshots", false, "neither restore nor write snapshots, as --config-snapshots=false")
	short := map[string]string{"ncs": "no-config-snapshots", "ppath": "plugins-path", "dt": "disable-token-auth"}
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if long, ok := short[name]; ok {
			name = long
		}
		return pflag.NormalizedName(name)
	})
}

// What TorchServe's command says when it ends a server, for scripts that look for it.
const (
	saidStopped    = "TorchServe has stopped.\n"
	saidNotRunning = "TorchServe is not currently running.\n"
	saidBefore     = "TorchServe already stopped.\n"
	saidStarted    = "Model server started.\n"
)

const (
	stopTimeout = time.Minute
	lookEvery   = 50 * time.Millisecond
)

// pidFile is where TorchServe's command looks for the server.
func pidFile() string { return filepath.Join(os.TempDir(), ".model_server.pid") }

// running returns the server that the file names; 0 where it names none that runs. This process, or one of another name, that
// has the number by now is none.
func running(ctx context.Context) (pid int, known bool, err error) {
	text, err := os.ReadFile(pidFile())
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look for a running server: %w: %w", fault.Unavailable, err)
	}
	if n, wrong := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32); wrong == nil && n > 0 && int(n) != os.Getpid() {
		if name := nameOf(ctx, int32(n)); name != "" && name == nameOf(ctx, int32(os.Getpid())) {
			return int(n), true, nil
		}
	}
	return 0, true, nil
}

// nameOf returns the name of a process that runs, and else "".
func nameOf(ctx context.Context, pid int32) string {
	p, err := process.NewProcessWithContext(ctx, pid)
	if err != nil {
		return ""
	}
	if status, err := p.StatusWithContext(ctx); err == nil && slices.Contains(status, process.Zombie) {
		return ""
	}
	name, err := p.NameWithContext(ctx)
	if err != nil {
		return ""
	}
	return name
}

// free returns [fault.Conflict] while a server runs that --start began.
func free(ctx context.Context) error {
	pid, _, err := running(ctx)
	if err == nil && pid != 0 {
		err = fmt.Errorf("%w: a server runs already, process %d: end it with 'tsgo serve --stop', or start this one without --start", fault.Conflict, pid)
	}
	return err
}

// claimPID writes this process into the file, and returns what takes it out again.
func claimPID(ctx context.Context) (release func(), err error) {
	if err := free(ctx); err != nil {
		return nil, err
	}
	_ = os.Remove(pidFile()) // of a server that has gone; else the next step says why not
	file, err := os.OpenFile(pidFile(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = fmt.Fprint(file, os.Getpid())
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("keep the number of the process for --stop: %w: %w", fault.Unavailable, err)
	}
	return func() { _ = os.Remove(pidFile()) }, nil
}

// end ends the server that --start began, and waits until it has.
func (o *serveOptions) end(ctx context.Context) error {
	pid, known, err := running(ctx)
	switch {
	case err != nil:
		return err
	case !known:
		return o.say(saidNotRunning)
	case pid == 0:
		_ = os.Remove(pidFile()) // it names nobody
		return o.say(saidBefore)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = terminate(p)
	}
	if err != nil {
		return fmt.Errorf("stop process %d: %w: %w", pid, fault.Unavailable, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for nameOf(ctx, int32(pid)) != "" {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("stop process %d: it still ends: %w", pid, ctx.Err())
		}
	}
	_ = os.Remove(pidFile()) // it has done so itself, if it could
	return o.say(saidStopped)
}

func (o *serveOptions) say(text string) error {
	_, err := io.WriteString(o.out, text)
	return err //nolint:wrapcheck // of the standard output
}

// background starts this command line again as a process of its own, with its output in a file, and returns once it answers.
func (o *serveOptions) background(ctx context.Context) error {
	if err := free(ctx); err != nil {
		return err
	}
	log, err := o.logFile()
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the other process has its own
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("log file %s: %w: %w", log.Name(), fault.Unavailable, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start in the background: %w: %w", fault.Unavailable, err)
	}
	args := slices.Clone(os.Args[1:])
	args = slices.Insert(args, slices.Index(args, "serve")+1, "--foreground")
	child := exec.CommandContext(context.WithoutCancel(ctx), self, args...)
	child.Stdout, child.Stderr, child.SysProcAttr = log, log, detached()
	if err := child.Start(); err != nil {
		return fmt.Errorf("start in the background: %w: %w", fault.Unavailable, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	report, err := o.await(ctx, log, from, ended)
	if err != nil {
		if ctx.Err() != nil {
			_ = terminate(child.Process) // it may have ended by itself
			<-ended                      //nolint:errcheck // as it was told to
		}
		return err
	}
	return o.say(fmt.Sprintf("%sprocess %d, which 'tsgo serve --stop' ends; its log is %s\n%s", report, child.Process.Pid, log.Name(), saidStarted))
}

// logFile opens the file that TorchServe writes its log to.
func (o *serveOptions) logFile() (*os.File, error) {
	dir := logDir(o.streams)
	var file *os.File
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		file, err = os.OpenFile(filepath.Join(dir, "ts_log.log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the log of a server in the background has no place: %w; say one by LOG_LOCATION, or use --foreground", fault.Unavailable, err)
	}
	return file, nil
}

// await waits until what a process writes behind a place in its log says that it has started, and returns what it reports
// then. Where the process ends before, it returns why, with the kind of failure that its exit status stands for.
func (o *serveOptions) await(ctx context.Context, log *os.File, from int64, ended <-chan error) (report string, err error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		var wait error
		over := false
		select {
		case <-ctx.Done():
			return "", ctx.Err() //nolint:wrapcheck // the caller's own
		case wait = <-ended:
			over = true
		case <-look.C:
		}
		text, err := io.ReadAll(io.NewSectionReader(log, from, 1<<20))
		if err != nil {
			return "", fmt.Errorf("log file %s: %w: %w", log.Name(), fault.Unavailable, err)
		}
		before, _, started := strings.Cut(string(text), "\n"+saidStarted)
		switch {
		case over:
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			return "", fmt.Errorf("%w: the server did not start: %s; its log is %s", kindOf(wait), strings.TrimPrefix(lines[len(lines)-1], "tsgo: "), log.Name())
		case started:
			return reported(before), nil
		}
	}
}

// reported returns the last lines of a text that are a report, and none of the log's.
func reported(text string) string {
	lines := strings.Split(text, "\n")
	first := len(lines)
	for first > 0 && !logged.MatchString(lines[first-1]) {
		first--
	}
	return strings.Join(append(lines[first:], ""), "\n")
}

// logged is the beginning of a line of the log, in either of its forms.
var logged = regexp.MustCompile(`^(?:time=|\{"time":)`)

// kindOf is exitStatus, backwards.
func kindOf(err error) fault.Kind {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		for _, kind := range []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict, fault.Unavailable} {
			if exitStatus(kind) == exit.ExitCode() {
				return kind
			}
		}
	}
	return fault.Internal
}
