package library

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fetch"
)

const (
	answerTimeout = 3 * time.Second // for the releases, as pip is the other way
	maxArchive    = 256 << 20
	maxLibrary    = 512 << 20
)

// fromRelease fetches the release archive and takes the library out of it.
func (o Options) fromRelease(ctx context.Context, p *pin, tmp string) (string, error) {
	archive := filepath.Join(tmp, p.archive)
	err := fetch.File(ctx, archive, fetch.Options{
		URL:           o.Releases + "/v" + Version + "/" + p.archive,
		SHA256:        p.archiveSHA256,
		Limit:         maxArchive,
		AnswerTimeout: answerTimeout,
		StallTimeout:  10 * time.Second,
		Attempts:      1,
		Progress:      o.Progress,
	})
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(archive, ".zip") {
		return o.takeFromZip(archive, p.file, p.releasedSHA256, tmp)
	}
	return o.takeFromTar(archive, p.file, p.releasedSHA256, tmp)
}

func (o Options) takeFromTar(archive, file, sum, tmp string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	for members := tar.NewReader(unzipped); ; {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%s holds no %s", filepath.Base(archive), file)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", filepath.Base(archive), err)
		}
		if header.Typeflag == tar.TypeReg && isLibrary(header.Name, file) {
			return o.write(members, filepath.Join(tmp, file), sum)
		}
	}
}

func (o Options) takeFromZip(archive, file, sum, tmp string) (string, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(archive), err)
	}
	defer z.Close() //nolint:errcheck // only read
	for _, member := range z.File {
		if !member.Mode().IsRegular() || !isLibrary(member.Name, file) {
			continue
		}
		r, err := member.Open()
		if err != nil {
			return "", fmt.Errorf("%s: %w", filepath.Base(archive), err)
		}
		defer r.Close() //nolint:errcheck // only read
		return o.write(r, filepath.Join(tmp, file), sum)
	}
	return "", fmt.Errorf("%s holds no %s", filepath.Base(archive), file)
}

// isLibrary tells whether an archive's member is the library: under its full name, or for macOS under the plain one.
func isLibrary(member, file string) bool {
	base := path.Base(member)
	return base == file || base == "libonnxruntime.dylib" && strings.HasSuffix(file, ".dylib")
}

// createFunc makes the file that the library is written to.
type createFunc func(path string) (output, error)

// output is an *os.File, or in a test one on a disk that is full.
type output interface {
	io.WriteCloser
	Sync() error
}

func createFile(path string) (output, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
}

// write copies the library to path, and returns path when the hash is the wanted one.
func (o Options) write(r io.Reader, path, sum string) (string, error) {
	f, err := o.create(path)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(r, maxLibrary+1))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if n > maxLibrary {
		return "", fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), maxLibrary)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return "", fmt.Errorf("%s: sha256 is %s, want %s", filepath.Base(path), got, sum)
	}
	return path, nil
}
