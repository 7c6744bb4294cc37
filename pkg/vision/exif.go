package vision

import "encoding/binary"

// The tags that are read from a TIFF structure.
const (
	tagCompression = 0x0103
	tagPhotometric = 0x0106
	tagOrientation = 0x0112
)

// orientation returns the EXIF orientation, from 1 to 8, that a TIFF structure holds: an EXIF block, or a whole TIFF
// file. It is 1, upright, when there is none or the structure is damaged.
func orientation(tiff []byte) int {
	if v := tiffTag(tiff, tagOrientation); v >= 1 && v <= 8 {
		return v
	}
	return 1
}

// tiffTag returns the value of a tag of type short in a TIFF structure's first directory, 0 when it is not there.
func tiffTag(tiff []byte, tag uint16) int {
	const short = 3
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 0
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			return int(order.Uint16(entries[8:]))
		}
		entries = entries[12:]
	}
	return 0
}
