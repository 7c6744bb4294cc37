package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed requirements.txt
var requirements []byte

// client returns the step that runs a program of clients/, which tells what it has seen, a line each.
func (p *place) client(name string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, out io.Writer) error {
		if p.python == "" {
			_, err := fmt.Fprintf(out, "left out: %s, as there is to be no Python\n", name)
			return err
		}
		program, err := filepath.Abs(filepath.Join("scripts", "e2e", "clients", name))
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, p.python, "-u", program)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, append(p.env, "PYTHONDONTWRITEBYTECODE=1"), out, out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("scripts/e2e/clients/%s: %w", name, err)
		}
		return nil
	}
}

// providePython returns the Python of a virtual environment with the clients, in the user's cache: one for each version of
// Python and of the requirements. It is made where nobody sees it, and gets its name when all is there.
func providePython(ctx context.Context, python string) (string, error) {
	if python == "none" {
		return "", nil
	}
	version, err := output(ctx, python, "-c", "import sys; print(sys.version, sys.base_prefix)")
	if err != nil {
		return "", without(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(cache, "tsgo", "e2e")
	dir := filepath.Join(parent, fmt.Sprintf("%x", sha256.Sum256(append([]byte(version), requirements...)))[:16])
	provided := filepath.Join(dir, "bin", "python")
	if _, err := os.Stat(provided); err == nil {
		return provided, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	making, err := os.MkdirTemp(parent, "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(making) //nolint:errcheck // it has another name by now, or is of no use
	if _, err := output(ctx, python, "-m", "venv", "--without-pip", making); err != nil {
		return "", without(err)
	}
	_, err = output(ctx, python, "-m", "pip", "--python", filepath.Join(making, "bin", "python"), "--disable-pip-version-check", "install",
		"--quiet", "--only-binary=:all:", "--no-compile", "-r", filepath.Join("scripts", "e2e", "requirements.txt"))
	if err != nil {
		return "", without(err)
	}
	if err := os.Rename(making, dir); err != nil && !errors.Is(err, os.ErrExist) { // another run may have been faster
		return "", err
	}
	return provided, nil
}

// without says how to go on without Python.
func without(err error) error {
	return fmt.Errorf("the clients of Triton and KServe need Python 3.11 to 3.13 with pip; -python says which, and -python none leaves them out: %w", err)
}
