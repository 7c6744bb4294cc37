package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// file is what a part is written to: an *os.File, or in a test one on a disk that is full.
type file interface {
	io.ReadWriteSeeker
	io.Closer
	Truncate(size int64) error
	Sync() error
}

func openFile(path string) (file, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644) }

// part is the file while it is not whole.
type part struct {
	file
	path, statePath string
	state           state
	size            int64
	sum             hash.Hash // of the bytes so far
}

// state is kept beside a part: what the next range request must name to go on with the same file.
type state struct {
	URL, Validator string
}

// openPart opens what earlier attempts left; what cannot be gone on with is emptied.
func (f *fetcher) openPart() (*part, error) {
	p := &part{path: hidden(f.target, partSuffix), statePath: hidden(f.target, partSuffix+".json"), sum: sha256.New()}
	var err error
	if p.file, err = f.open(p.path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(p.statePath)
	if err == nil && json.Unmarshal(text, &p.state) == nil && p.state.URL == f.URL && p.state.Validator != "" {
		if p.size, err = io.Copy(p.sum, p.file); err == nil {
			return p, nil
		}
	}
	if err := p.restart(state{}); err != nil {
		return nil, errors.Join(err, p.drop())
	}
	return p, nil
}

// Kept returns how many bytes of a file that was to be fetched to target are there, from which [File] goes on.
func Kept(target string) int64 {
	info, err := os.Stat(hidden(target, partSuffix))
	if err != nil || info.IsDir() {
		return 0
	}
	return info.Size()
}

// restart empties p. A state without a validator is not kept: nothing can be gone on with.
func (p *part) restart(s state) error {
	p.state, p.size = s, 0
	p.sum.Reset()
	if err := p.Truncate(0); err != nil {
		return err
	}
	if _, err := p.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if s.Validator == "" {
		return remove(p.statePath)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(p.statePath, text, 0o600)
}

func (p *part) append(b []byte) error {
	n, err := p.Write(b)
	p.size += int64(n)
	p.sum.Write(b[:n])
	return err
}

// drop removes what is there.
func (p *part) drop() error {
	p.close()
	return errors.Join(remove(p.path), remove(p.statePath))
}

// close is for all ways out but finish, which looks at the error; a part that cannot be gone on with is removed.
func (p *part) close() {
	if p.file == nil {
		return
	}
	_ = p.Close()
	p.file = nil
	if p.state.Validator == "" {
		_ = remove(p.path)
	}
}

// SumError is a file with another hash than the one that was asked for. Both are sha256, in hex.
type SumError struct{ Got, Want string }

// Error says both hashes.
func (e SumError) Error() string { return fmt.Sprintf("sha256 is %s, want %s", e.Got, e.Want) }

// finish puts the whole file in its place.
func (f *fetcher) finish(p *part) error {
	if sum := hex.EncodeToString(p.sum.Sum(nil)); f.SHA256 != "" && sum != f.SHA256 {
		return errors.Join(SumError{Got: sum, Want: f.SHA256}, p.drop())
	}
	err := errors.Join(p.Sync(), p.Close())
	p.file = nil
	if err == nil {
		err = os.Rename(p.path, f.target)
	}
	if err != nil {
		return errors.Join(err, p.drop())
	}
	syncDir(filepath.Dir(f.target))
	return remove(p.statePath)
}

// syncDir makes a rename last through a power cut, where directories can be synced at all.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// HashFile returns the sha256 of a file, in hex.
func HashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
