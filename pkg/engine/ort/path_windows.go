//go:build cgo

package ort

import (
	"encoding/binary"
	"unicode/utf16"
)

// systemPath returns path as the library and the loader take it: in UTF-16, and a zero.
func systemPath(path string) []byte {
	var out []byte
	for _, unit := range append(utf16.Encode([]rune(path)), 0) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}
