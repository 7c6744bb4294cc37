package onnx

import "io"

// OpenWith is Open with what reads the mapped file.
func OpenWith(path string, read func(data []byte, external External) (*Graph, error)) (*Graph, io.Closer, error) {
	return openWith(path, read)
}
