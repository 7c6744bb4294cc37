package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
)

// Provide puts the pinned library for OS and Arch into the cache, unless it is there already, and returns its path. It
// comes from ONNX Runtime's releases or, where those do not answer within three seconds, out of the official Python wheel
// by way of pip. Its hash is checked then; later its size, its time and its owner. Two processes provide it once, and an
// interruption leaves nothing behind. It returns [fault.Unsupported] for a platform without a pin, [fault.Invalid] where
// the user has no cache directory, [fault.Canceled] and [fault.Timeout] when ctx ends, and [fault.Download] when it cannot
// be had.
func Provide(ctx context.Context, opts Options) (string, error) {
	return opts.complete().provide(ctx)
}

func (o Options) provide(ctx context.Context) (string, error) {
	p := o.pinned()
	if p == nil {
		return "", fmt.Errorf("no ONNX Runtime library found, and none is provided for %s/%s: %w: %s", o.OS, o.Arch, fault.Unsupported, waysOut)
	}
	if o.Cache == "" {
		_, err := os.UserCacheDir()
		return "", fmt.Errorf("no ONNX Runtime library found, and no directory to provide it in: %w: %w: set HOME, or name a library with --onnxruntime", fault.Invalid, err)
	}
	release, err := fetch.Lock(ctx, filepath.Join(o.dir(), ".lock"))
	if err != nil {
		return "", o.failed(ctx, err)
	}
	defer release()
	if path, ok := o.cached(); ok { // another process was faster
		return path, nil
	}
	return o.provideLocked(ctx, p)
}

// provideLocked works in a directory of its own inside the cache. The lock is held: what others left there is stale.
func (o Options) provideLocked(ctx context.Context, p *pin) (string, error) {
	stale, _ := filepath.Glob(filepath.Join(o.dir(), ".new-*")) // the pattern is well-formed
	for _, dir := range stale {
		_ = os.RemoveAll(dir)
	}
	tmp, err := os.MkdirTemp(o.dir(), ".new-")
	if err != nil {
		return "", o.failed(ctx, err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // the next one tries again
	file, source, err := o.obtain(ctx, p, tmp)
	if err != nil {
		return "", o.failed(ctx, err)
	}
	path := filepath.Join(o.dir(), p.file)
	if err := os.Rename(file, path); err != nil {
		return "", o.failed(ctx, err)
	}
	if err := o.record(path, tmp); err != nil {
		return "", o.failed(ctx, err)
	}
	o.Logger.Info("onnxruntime provided", "version", Version, "source", source, "path", path)
	return path, nil
}

// obtain brings the verified library into tmp, from the first source that has it.
func (o Options) obtain(ctx context.Context, p *pin, tmp string) (file, source string, err error) {
	file, err = o.fromRelease(ctx, p, tmp)
	if err == nil {
		return file, "release", nil
	}
	if ctx.Err() != nil || fetch.DiskFull(err) {
		return "", "", err
	}
	o.Logger.Debug("onnxruntime release out of reach", "err", err)
	file, pipErr := o.fromPip(ctx, p, tmp)
	if pipErr == nil {
		return file, "pip", nil
	}
	if ctx.Err() != nil || fetch.DiskFull(pipErr) {
		return "", "", pipErr
	}
	return "", "", fmt.Errorf("%w; %w", err, pipErr)
}

// waysOut ends every message that says that there is no library.
const waysOut = "install ONNX Runtime 1.24 or newer and name its library with --onnxruntime or TSGO_ONNXRUNTIME; " +
	"or put the library beside the executable or where the system's loader looks; " +
	"or connect this machine once, so that it can be fetched"

// failed names what was being done and the way out, and gives err its kind.
func (o Options) failed(ctx context.Context, err error) error {
	way := waysOut
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("provide ONNX Runtime %s: %w: %w", Version, fault.Of(ctx.Err()), context.Cause(ctx))
	case fetch.DiskFull(err):
		way = fmt.Sprintf("free 100 MB in %s, or name a library with --onnxruntime", o.Cache)
	case inTheCache(err):
		way = fmt.Sprintf("make %s a directory that can be written to, or name a library with --onnxruntime", o.Cache)
	}
	if fault.Of(err) != fault.Download {
		err = fmt.Errorf("%w: %w", fault.Download, err)
	}
	return fmt.Errorf("provide ONNX Runtime %s: %w: %s", Version, err, way)
}

// inTheCache tells whether it is the cache that failed: nothing else is written.
func inTheCache(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	return path || link
}

func (o Options) pinned() *pin {
	if o.pin != nil {
		return o.pin
	}
	return pinFor(o.OS, o.Arch)
}

// dir is the part of the cache that is the pinned library's.
func (o Options) dir() string {
	return filepath.Join(o.Cache, fmt.Sprintf("onnxruntime-%s-%s-%s", Version, o.OS, o.Arch))
}

// seal is written beside the library when its hash was checked. A file that still fits it is taken for that library.
type seal struct {
	Version string
	Size    int64
	Time    int64 // of the last change, in nanoseconds
	Owner   int   // the user's number; 0 where there are none
}

const sealName = "verified.json"

// cached returns the library in the cache, and whether it is there and unchanged since its hash was checked.
func (o Options) cached() (string, bool) {
	p := o.pinned()
	if p == nil || o.Cache == "" {
		return "", false
	}
	path := filepath.Join(o.dir(), p.file)
	text, err := os.ReadFile(filepath.Join(o.dir(), sealName))
	if err != nil {
		return "", false
	}
	var want seal
	got, err := sealOf(path)
	if err != nil || json.Unmarshal(text, &want) != nil || got != want {
		o.Logger.Warn("onnxruntime library in the cache has changed, it is provided anew", "path", path)
		return "", false
	}
	return path, true
}

func sealOf(path string) (seal, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return seal{}, err
	}
	if !info.Mode().IsRegular() {
		return seal{}, fmt.Errorf("%s is no regular file", path)
	}
	return seal{Version: Version, Size: info.Size(), Time: info.ModTime().UnixNano(), Owner: ownerOf(info)}, nil
}

// record writes the seal of the library at path, by way of tmp so that it is never half there.
func (o Options) record(path, tmp string) error {
	s, err := sealOf(path)
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	half := filepath.Join(tmp, sealName)
	if err := os.WriteFile(half, text, 0o600); err != nil {
		return err
	}
	return os.Rename(half, filepath.Join(o.dir(), sealName))
}
