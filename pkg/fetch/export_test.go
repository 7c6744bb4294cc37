package fetch

import (
	"os"
	"syscall"
)

// WithFullDisk returns opts such that the disk is full after room bytes.
func WithFullDisk(opts Options, room int) Options {
	opts.open = func(path string) (file, error) {
		f, err := openFile(path)
		return &fullDisk{file: f, path: path, room: room}, err
	}
	return opts
}

// WithGoodWay returns opts such that an attempt that brings n bytes is not counted.
func WithGoodWay(opts Options, n int64) Options {
	opts.goodWay = n
	return opts
}

type fullDisk struct {
	file
	path string
	room int
}

func (f *fullDisk) Write(b []byte) (int, error) {
	n, err := f.file.Write(b[:min(len(b), f.room)])
	f.room -= n
	if err == nil && n < len(b) {
		err = &os.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
	}
	return n, err
}
