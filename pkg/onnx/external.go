package onnx

import (
	"fmt"
	"strconv"

	"github.com/tsgo/tsgo/pkg/fault"
)

// outside returns the bytes of a constant that stands in another file.
func (r *reader) outside(where map[string]string) ([]byte, error) {
	location := where["location"]
	if r.external == nil || location == "" {
		return nil, fmt.Errorf("%w: its elements are in another file, %q, that cannot be opened here", fault.Invalid, location)
	}
	offset, size := int64(0), int64(-1)
	for key, to := range map[string]*int64{"offset": &offset, "length": &size} {
		text, ok := where[key]
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("%w: %s %q of elements in %q", fault.BadModel, key, text, location)
		}
		*to = v
	}
	return r.external(location, offset, size)
}
