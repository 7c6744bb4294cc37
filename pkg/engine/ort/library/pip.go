package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pipPoll is how often the size of what pip has written is looked at, for the progress.
const pipPoll = 100 * time.Millisecond

// fromPip has pip download the wheel, whatever Python is there, and takes the library out of it.
func (o Options) fromPip(ctx context.Context, p *pin, tmp string) (string, error) {
	pip, err := o.findPip(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(tmp, "pip")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	args := append(pip[1:], "download", "onnxruntime=="+Version, "--dest", dir, "--no-deps", "--only-binary=:all:",
		"--implementation", "cp", "--python-version", "3.12", "--abi", "cp312",
		"--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2", "--timeout", "10")
	for _, platform := range p.platforms {
		args = append(args, "--platform", platform)
	}
	cmd := exec.CommandContext(ctx, pip[0], args...)
	cmd.Env = append(cmd.Environ(), "TMPDIR="+dir, "TEMP="+dir, "TMP="+dir) // so that an interruption leaves nothing elsewhere
	cmd.WaitDelay = time.Second
	stop := o.watch(dir, p.wheelBytes)
	out, err := cmd.CombinedOutput()
	stop()
	if err != nil {
		return "", pipError(ctx, pip, out, err)
	}
	wheels, _ := filepath.Glob(filepath.Join(dir, "*.whl")) // the pattern is well-formed
	if len(wheels) != 1 {
		return "", fmt.Errorf("%s brought %d wheels, want one", strings.Join(pip, " "), len(wheels))
	}
	return o.takeFromZip(wheels[0], p.file, p.wheelSHA256, tmp)
}

// findPip returns the first command that runs pip.
func (o Options) findPip(ctx context.Context) ([]string, error) {
	commands := o.pips
	if commands == nil {
		commands = []string{"python3 -m pip", "pip3", "pip", "python -m pip"}
	}
	for _, command := range commands {
		fields := strings.Fields(command)
		path, err := exec.LookPath(fields[0])
		if err != nil {
			continue
		}
		fields[0] = path
		if exec.CommandContext(ctx, path, append(fields[1:], "--version")...).Run() == nil {
			return fields, nil
		}
	}
	return nil, fmt.Errorf("no pip (tried %s)", strings.Join(commands, ", "))
}

// pipError is the last line of what pip said.
func pipError(ctx context.Context, pip []string, out []byte, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bytes.Contains(out, []byte(syscall.ENOSPC.Error())) || bytes.Contains(out, []byte("No space left on device")):
		return fmt.Errorf("%s download: %w", strings.Join(pip, " "), syscall.ENOSPC)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		last = err.Error()
	}
	return fmt.Errorf("%s download: %w", strings.Join(pip, " "), errors.New(last))
}

// watch reports the size of what is in dir until stop is called.
func (o Options) watch(dir string, total int64) (stop func()) {
	if o.Progress == nil {
		return func() {}
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(pipPoll)
		defer ticker.Stop()
		for last := int64(0); ; {
			if size := min(sizeOf(dir), total); size >= last { // pip moves files about
				last = size
			}
			o.Progress(last, total)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
		o.Progress(min(sizeOf(dir), total), total)
	}
}

func sizeOf(dir string) int64 {
	var size int64
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what vanished meanwhile has no size
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}
