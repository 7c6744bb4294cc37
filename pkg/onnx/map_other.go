//go:build !unix

package onnx

import (
	"io"
	"os"
)

// mapFile reads a file of that size: here a mapped one could neither be replaced nor removed.
func mapFile(f *os.File, size int) ([]byte, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(f, data)
	return data, err
}

func unmapFile([]byte) error { return nil }
