package library

import (
	"os"
	"syscall"
)

// Fake is what a test puts in place of the world.
type Fake struct {
	File, Archive                              string
	ArchiveSHA256, ReleasedSHA256, WheelSHA256 string
	Pips                                       []string
	FullDisk                                   bool
}

// With returns opts with the world replaced. No directory of the system's loader is looked at.
func With(opts Options, f Fake) Options {
	opts.system = []string{}
	opts.pips = append([]string{}, f.Pips...)
	opts.pin = &pin{
		file: f.File, archive: f.Archive, archiveSHA256: f.ArchiveSHA256, releasedSHA256: f.ReleasedSHA256,
		platforms: []string{"one", "two"}, wheelBytes: 1000, wheelSHA256: f.WheelSHA256,
	}
	if f.FullDisk {
		opts.create = func(path string) (output, error) {
			f, err := createFile(path)
			return fullDisk{f, path}, err
		}
	}
	return opts
}

type fullDisk struct {
	output
	path string
}

func (f fullDisk) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
}

// Pins returns the hashes of a platform's pin.
func Pins(goos, arch string) []string {
	if p := pinFor(goos, arch); p != nil {
		return []string{p.archiveSHA256, p.releasedSHA256, p.wheelSHA256}
	}
	return nil
}

// CheckFor is Check for any machine.
func CheckFor(path, goos, arch string) error { return check(path, goos, arch) }
