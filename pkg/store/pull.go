package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/fetch"
)

// Order says what [Pull] brings. URLs or Local are required, and for a network Name, Version and Beside.
type Order struct {
	URLs  []string // https, of one and the same file: each is asked when those before it fail
	Local string   // the path of that file where somebody brought it by hand; then nothing is fetched

	SHA256  string // of the file, in hex; empty: not checked
	Limit   int64  // of the file, in bytes; 0: fetch's default
	Licence string // for the record

	// A network alone, which becomes a directory: an archive says all of that itself, and has none of these.
	Name, Version string
	Beside        Beside

	// Force fetches again what was pulled before, and replaces it. A model that was not pulled, or was changed since, is never
	// replaced.
	Force bool

	Client       *http.Client            // nil: fetch's own
	StallTimeout time.Duration           // how long a body may stand still; 0: fetch's default
	Backoff      time.Duration           // before a second attempt; 0: fetch's default
	Progress     func(done, total int64) // may be nil
}

// Beside returns the files that lie beside the network at a path, by their names, a model-config.yaml among them; or an error
// for what is no network. It is called before anything is seen of the model.
type Beside func(network string) (map[string]string, error)

// FileName returns how the file at a URL, or at a path, is called, and the form of the model that it is: a .zip is a .mar
// by another name. It returns [fault.Invalid] for what is called like no model.
func FileName(location string) (name string, form archive.Form, err error) {
	name = path.Base(filepath.ToSlash(location))
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		name = path.Base(u.Path)
	}
	if at := len(name) - len(".zip"); at > 0 && strings.EqualFold(name[at:], ".zip") {
		name = name[:at] + ".mar"
	}
	form, ok := archive.FormOf(name)
	if !ok || !fileName.MatchString(name) {
		return "", 0, fmt.Errorf("%w: %q: want a URL whose last part is the name of an .onnx, .mar, .zip, .tar.gz or .tgz file", fault.Invalid, name)
	}
	return name, form, nil
}

// Pull brings a model into the directory dir, which it makes: a file from a URL or from elsewhere on this machine, checked,
// and seen by nobody before it is a whole model. What an interruption leaves is hidden, and a later call goes on from there.
// Calls for the same model, in any processes, wait for each other. A model that was pulled from there before is
// returned as it is, with already true.
//
// It returns what [fetch.File] does for what cannot be fetched, [fault.Invalid] for an order that cannot be and for a
// directory that cannot be written to, [fault.BadModel] and [fault.Unsupported] for a file that is no model, and
// [fault.Conflict] where another model is in the way.
func Pull(ctx context.Context, dir string, o Order) (p Pulled, already bool, err error) {
	l, err := newPuller(dir, o)
	if err != nil {
		return Pulled{}, false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Pulled{}, false, inStore(dir, err)
	}
	release, err := fetch.Lock(ctx, l.staging+".lock")
	if err != nil {
		return Pulled{}, false, inStore(dir, err)
	}
	defer release()
	if p, already = l.before(); already && !o.Force {
		return p, true, nil
	}
	if p, err = l.pull(ctx); err != nil && l.kept() == 0 {
		err = errors.Join(err, os.RemoveAll(l.staging))
	}
	return p, false, err
}

// Kept returns how many bytes of what was ordered are there, from which another [Pull] goes on.
func Kept(dir string, o Order) int64 {
	l, err := newPuller(dir, o)
	if err != nil {
		return 0
	}
	return l.kept()
}

type puller struct {
	Order

	dir     string
	file    string // what is fetched is called so
	form    archive.Form
	staging string // a hidden directory, where everything is until it is whole
}

func newPuller(dir string, o Order) (*puller, error) {
	for _, location := range o.URLs {
		if err := checkURL(location); err != nil {
			return nil, err
		}
	}
	first := o.Local
	if len(o.URLs) > 0 {
		first = o.URLs[0]
	}
	file, form, err := FileName(first)
	if err != nil {
		return nil, err
	}
	l := &puller{Order: o, dir: dir, file: file, form: form}
	key := file
	if form == archive.FormONNX {
		key = baseOf(o.Name, o.Version)
		if !fileName.MatchString(key) || o.Name == "" || o.Version == "" || o.Beside == nil {
			return nil, fmt.Errorf("%w: model %q in version %q: want letters, digits, _ . + and -", fault.Invalid, o.Name, o.Version)
		}
	} else if o.Name != "" || o.Version != "" || o.Beside != nil {
		return nil, fmt.Errorf("%w: %s: an archive says itself what its name, its version and its handler are", fault.Invalid, file)
	}
	l.staging = filepath.Join(dir, "."+key+".pull")
	return l, nil
}

// checkURL refuses what is not fetched from.
func checkURL(location string) error {
	u, err := url.Parse(location)
	switch {
	case err != nil: // it may hold a password, and is not shown
		return fmt.Errorf("%w: a malformed URL", fault.Invalid)
	case u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%w: %s: want a URL that begins with https://", fault.Invalid, label(u))
	case u.User != nil:
		return fmt.Errorf("%w: %s: credentials in a URL end up in histories and logs; leave them out", fault.Invalid, label(u))
	}
	return nil
}

// baseOf returns how the file or directory of a model is called, without an ending.
func baseOf(name, version string) string {
	if version == archive.DefaultVersion {
		return name
	}
	return name + "-" + version
}

// before returns what an earlier pull brought.
func (l *puller) before() (Pulled, bool) {
	for _, p := range (Dir{Path: l.dir}).pulled() {
		from := l.Local == "" && p.URL == l.source(0)
		same := from
		if l.form == archive.FormONNX {
			same = p.Name == l.Name && p.Version == l.Version
		}
		if l.SHA256 != "" {
			from = strings.EqualFold(l.SHA256, p.SHA256)
		}
		if same && from {
			return p, true
		}
	}
	return Pulled{}, false
}

// source is where a file comes from, as it may be shown.
func (l *puller) source(i int) string {
	if l.Local != "" {
		absolute, err := filepath.Abs(l.Local)
		if err != nil {
			absolute = l.Local
		}
		return fileURL(absolute)
	}
	u, err := url.Parse(l.URLs[i])
	if err != nil {
		return ""
	}
	return label(u)
}

func (l *puller) kept() int64 {
	var most int64
	for i := range l.URLs {
		most = max(most, fetch.Kept(l.place(i)))
	}
	return most
}

// place is where the file is fetched to from one of the URLs. Each has its own: what came from one is no beginning of what
// comes from another.
func (l *puller) place(i int) string {
	from := l.Local
	if from == "" {
		from = l.URLs[i]
	}
	sum := sha256.Sum256([]byte(from))
	return filepath.Join(l.staging, hex.EncodeToString(sum[:4]), l.file)
}

// pull fetches, makes a model of it, and puts it in its place.
func (l *puller) pull(ctx context.Context) (Pulled, error) {
	if l.form == archive.FormONNX { // else the archive says its name
		if err := l.makeRoom(Pulled{Name: l.Name, Version: l.Version, Path: filepath.Join(l.dir, baseOf(l.Name, l.Version))}); err != nil {
			return Pulled{}, err
		}
	}
	i, err := l.obtain(ctx)
	if err != nil {
		return Pulled{}, err
	}
	p := Pulled{URL: l.source(i), Licence: l.Licence, Time: time.Now().UTC().Truncate(time.Second)}
	staged := l.place(i)
	defer os.RemoveAll(l.staging) //nolint:errcheck // hidden, and the next call's to clean
	info, err := os.Stat(staged)
	if err != nil {
		return Pulled{}, inStore(l.dir, err)
	}
	p.Size = info.Size()
	if p.SHA256, err = fetch.HashFile(staged); err != nil {
		return Pulled{}, inStore(l.dir, err)
	}
	if l.form == archive.FormONNX {
		if staged, err = l.assemble(staged); err != nil {
			return Pulled{}, err
		}
	}
	return l.publish(ctx, staged, p)
}

// obtain brings the file into the staging directory, and returns which of the places it is in.
func (l *puller) obtain(ctx context.Context) (int, error) {
	if l.Local != "" {
		return 0, l.copy(ctx)
	}
	var failed error
	for i, location := range l.URLs {
		err := fetch.File(ctx, l.place(i), fetch.Options{
			URL: location, SHA256: l.SHA256, Limit: l.Limit, Client: l.Client, Attempts: attempts,
			StallTimeout: l.StallTimeout, Backoff: l.Backoff, Progress: l.Progress,
		})
		switch {
		case err == nil:
			return i, nil
		case failed == nil:
			failed = err
		default:
			failed = fmt.Errorf("%w; %w", failed, err)
		}
		if ctx.Err() != nil || fetch.DiskFull(err) {
			break
		}
	}
	return 0, failed
}

// copy brings a file that is on this machine already.
func (l *puller) copy(ctx context.Context) error {
	from, err := os.Open(l.Local)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", fault.NotFound, err)
	case err != nil:
		return fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	defer from.Close() //nolint:errcheck // only read
	if info, err := from.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is no regular file", fault.Invalid, l.Local)
	}
	if err := os.MkdirAll(filepath.Dir(l.place(0)), 0o755); err != nil {
		return inStore(l.dir, err)
	}
	to, err := os.Create(l.place(0))
	if err != nil {
		return inStore(l.dir, err)
	}
	limit := l.Limit
	if limit <= 0 {
		limit = fetch.DefaultLimit
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(reader{ctx, from}, limit+1))
	err = errors.Join(err, to.Close())
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("copy %s: %w: %w", l.Local, fault.Of(ctx.Err()), context.Cause(ctx))
	case err != nil:
		return inStore(l.dir, err)
	case n > limit:
		return fmt.Errorf("%s: %w: %w", l.Local, fault.TooLarge, fetch.LimitError{Limit: limit})
	}
	if got := hex.EncodeToString(sum.Sum(nil)); l.SHA256 != "" && !strings.EqualFold(got, l.SHA256) {
		return fmt.Errorf("%s: %w: %w", l.Local, fault.Invalid, fetch.SumError{Got: got, Want: strings.ToLower(l.SHA256)})
	}
	return nil
}

// reader reads until its context ends.
type reader struct {
	ctx  context.Context //nolint:containedctx // of the one call that reads
	from io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(b)
}

// assemble makes the directory of a model of a network, and returns its path.
func (l *puller) assemble(network string) (string, error) {
	beside, err := l.Beside(network)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(l.staging, "model")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755), os.Rename(network, filepath.Join(dir, l.file))); err != nil {
		return "", inStore(l.dir, err)
	}
	for name, text := range beside {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", inStore(l.dir, err)
		}
	}
	return dir, nil
}

// publish puts a staged model in its place, with its record.
func (l *puller) publish(ctx context.Context, staged string, p Pulled) (Pulled, error) {
	info, err := archive.Inspect(staged)
	if err != nil {
		return Pulled{}, fmt.Errorf("what %s brought: %w", p.URL, err)
	}
	p.Name, p.Version = info.Manifest.Name, info.Manifest.Version
	p.Path = filepath.Join(l.dir, baseOf(p.Name, p.Version)+info.Form.Ext(l.file))
	sums, err := hashFiles(staged)
	if err != nil {
		return Pulled{}, inStore(l.dir, err)
	}
	p.Files = make(map[string]string, len(sums))
	for name, sum := range sums {
		p.Files[filepath.Base(p.Path)+strings.TrimPrefix(name, filepath.Base(staged))] = sum
	}
	release, err := lockStore(ctx, l.dir)
	if err != nil {
		return Pulled{}, err
	}
	defer release()
	if err := l.makeRoom(p); err != nil {
		return Pulled{}, err
	}
	return p, l.install(staged, p)
}

// makeRoom refuses a model that is in the way, unless it was pulled and is to be replaced.
func (l *puller) makeRoom(p Pulled) error {
	found, _ := (Dir{Path: l.dir}).scan()
	for _, e := range found {
		if e.Source != p.Path && e.Name() == p.Name && e.Version() == p.Version {
			return fmt.Errorf("%w: %s holds version %s of model %s; take it away first, or pull this one under another --name", fault.Conflict, e.Source, p.Version, p.Name)
		}
	}
	if _, err := os.Lstat(p.Path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	old, pulled := readRecord(p.Path)
	switch {
	case !pulled:
		return fmt.Errorf("%w: %s is there, and was not pulled; take it away first", fault.Conflict, p.Path)
	case old.Name != p.Name || old.Version != p.Version:
		return fmt.Errorf("%w: %s is model %s/%s; take it away first, or pull this one under another --name", fault.Conflict, p.Path, old.Name, old.Version)
	case !l.Force:
		return fmt.Errorf("%w: model %s/%s was pulled from %s; --force replaces it", fault.Conflict, old.Name, old.Version, old.URL)
	}
	return old.untouched("take it away first with 'tsgo models remove --force'")
}

// install renames. The record comes first, so that no pulled model is ever without one; what was there comes back when the
// new model cannot take its place.
func (l *puller) install(staged string, p Pulled) error {
	old, replaced := readRecord(p.Path)
	trash := ""
	if replaced {
		var err error
		if trash, err = setAside(p.Path); err != nil {
			return err
		}
	}
	err := writeRecord(p)
	if err == nil {
		err = os.Rename(staged, p.Path)
	}
	switch {
	case err != nil && replaced: // what cannot go back stays, and the error names it
		return errors.Join(inStore(l.dir, err), os.Rename(filepath.Join(trash, filepath.Base(p.Path)), p.Path), writeRecord(old), os.Remove(trash))
	case err != nil:
		_ = os.Remove(recordPath(p.Path)) // or it would be taken for that of whatever comes into its place
	case replaced:
		_ = os.RemoveAll(trash) // hidden, and no model any more
	}
	return inStore(l.dir, err)
}

// lockStore takes the lock that is held while a model appears or disappears.
func lockStore(ctx context.Context, dir string) (release func(), err error) {
	release, err = fetch.Lock(ctx, filepath.Join(dir, ".pull.lock"))
	return release, inStore(dir, err)
}

// inStore is err as a failure of the store's directory, where it is one of the file system.
func inStore(dir string, err error) error {
	var cause error
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		cause = path
	} else if link, ok := errors.AsType[*os.LinkError](err); ok {
		cause = link
	}
	switch {
	case cause == nil:
		return err
	case fetch.DiskFull(err):
		return fmt.Errorf("%w: model store %s: %w", fault.Unavailable, dir, cause)
	}
	return fmt.Errorf("%w: model store %s: %w", fault.Invalid, dir, cause)
}
