package onnx

import (
	"fmt"
	"strconv"

	"github.com/tsgo/tsgo/pkg/fault"
)

// outside returns the bytes of a constant that stands in another file: as many as its type and shape take, if that is known.
func (r *reader) outside(c *Constant, where map[string]string) ([]byte, error) {
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
	count, err := c.count()
	if err != nil {
		return nil, err
	}
	if width := int64(c.Type.DType().Bytes()); width > 0 {
		if size >= 0 && size != count*width {
			return nil, fmt.Errorf("%w: %d bytes in %q, %v of shape %v takes %d", fault.BadModel, size, location, c.Type, c.Shape, count*width)
		}
		size = count * width
	}
	return r.external(location, offset, size)
}
