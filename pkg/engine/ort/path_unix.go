//go:build cgo && !windows

package ort

// systemPath returns path as the library and the loader take it: its bytes, and a zero.
func systemPath(path string) []byte { return append([]byte(path), 0) }
