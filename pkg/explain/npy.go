package explain

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/tensor"
)

// NPY returns the attributions as a file of NumPy's npy format, version 1.0: little-endian float32, [C,H,W] for a picture.
// It returns [fault.Unsupported] when several inputs were attributed: such a file holds one array.
func (x *Explanation) NPY() ([]byte, error) {
	if len(x.Inputs) != 1 {
		return nil, fmt.Errorf("%w: format %s holds one array, there are the attributions of %d inputs: ask for %s",
			fault.Unsupported, FormatNPY, len(x.Inputs), FormatJSON)
	}
	t := channelsFirst(x.Attributions[x.Inputs[0]], x.Layout)
	data, err := tensor.Data[float32](t)
	if err != nil {
		return nil, err
	}
	file := npyHeader(t.Shape())
	for _, v := range data {
		file = binary.LittleEndian.AppendUint32(file, math.Float32bits(v))
	}
	return file, nil
}

// npyHeader returns what stands before the numbers: its length is a multiple of 64, so that they are aligned.
func npyHeader(shape []int64) []byte {
	const before, align = 10, 64 // magic, version and length
	dims := strings.Builder{}
	for _, d := range shape {
		fmt.Fprintf(&dims, "%d,", d)
	}
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", dims.String())
	padding := align - (before+len(text)+1)%align
	text += strings.Repeat(" ", padding%align) + "\n"
	header := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(text))) //nolint:gosec // a few dozen bytes
	return append(header, text...)
}
