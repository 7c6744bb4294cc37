//go:build turbojpeg && cgo

package jpeg

/*
#cgo !darwin,!jpegshared LDFLAGS: -l:libjpeg.a
#cgo darwin LDFLAGS: -ljpeg
#cgo jpegshared LDFLAGS: -ljpeg

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <jerror.h>

typedef struct {
	struct jpeg_error_mgr base;
	jmp_buf back;
	char *text; // of JMSG_LENGTH_MAX
} errors;

static void fail(j_common_ptr info) {
	errors *e = (errors *)info->err;
	e->base.format_message(info, e->text);
	longjmp(e->back, 1);
}

// A warning means that the rest of the picture is made up, but for these few.
static void warn(j_common_ptr info, int level) {
	if (level >= 0) return;
	switch (info->err->msg_code) {
	case JWRN_EXTRANEOUS_DATA:
	case JWRN_JFIF_MAJOR:
	case JWRN_ADOBE_XFORM:
		return;
	}
	fail(info);
}

// A picture of the size and bytes a pixel that the caller read from the header, and the columns that are wanted of it.
// Rows are stride bytes apart and begin with column left, which is no more than 31 before the first that is wanted.
typedef struct {
	unsigned char *pix;
	size_t stride;
	unsigned width, height;
	int bytes;
	unsigned from, to, left;
} picture;

// decode writes the picture to p->pix, and sets p->left.
static int decode(const unsigned char *data, size_t size, picture *p, char *text) {
	struct jpeg_decompress_struct info;
	errors e;
	info.err = jpeg_std_error(&e.base);
	e.base.error_exit = fail;
	e.base.emit_message = warn;
	e.text = text;
	if (setjmp(e.back)) {
		jpeg_destroy_decompress(&info);
		return 1;
	}
	jpeg_create_decompress(&info);
	jpeg_mem_src(&info, (unsigned char *)data, size);
	jpeg_read_header(&info, TRUE);
	info.out_color_space = p->bytes == 1 ? JCS_GRAYSCALE : p->bytes == 3 ? JCS_RGB : JCS_CMYK;
	jpeg_start_decompress(&info);
	if (info.output_width != p->width || info.output_height != p->height || info.output_components != p->bytes)
		ERREXIT(&info, JERR_BAD_STATE);
	JDIMENSION left = p->from, width = p->to - p->from;
	if (width < p->width) jpeg_crop_scanline(&info, &left, &width);
	if ((size_t)width * p->bytes > p->stride) ERREXIT(&info, JERR_BAD_STATE);
	p->left = left;
	while (info.output_scanline < p->height) {
		JSAMPROW row = p->pix + info.output_scanline * p->stride;
		jpeg_read_scanlines(&info, &row, 1);
	}
	jpeg_finish_decompress(&info);
	jpeg_destroy_decompress(&info);
	return 0;
}
*/
import "C"

import (
	"errors"
	"image"
	"runtime"
	"unsafe"
)

// Backend names the decoder that this program was built with.
const Backend = "libjpeg-turbo"

// edge is how many columns are decoded on either side of those that are wanted, where there are any: the library takes
// the first and the last one that it decodes for the picture's own edges, from which chroma is not interpolated. No more
// than align are added to the left of them, so that it can begin with a block.
const (
	edge  = 16
	align = 32
)

func decode(data []byte, header Header, opts Options) (rows, error) {
	width, height, bytes := header.Width, header.Height, header.components
	from, to := max(0, opts.From-edge), min(width, opts.To+edge)
	stride := min(width, to-from+align) * bytes
	if bytes == 4 {
		from, to, stride = 0, width, width*bytes
	}
	pix := opts.Buffer
	if size := stride * height; cap(pix) < size {
		pix = make([]byte, size)
	} else {
		pix = pix[:size]
	}
	var pinned runtime.Pinner
	defer pinned.Unpin()
	pinned.Pin(unsafe.SliceData(pix))
	picture := C.picture{
		pix: (*C.uchar)(unsafe.SliceData(pix)), stride: C.size_t(stride), width: C.uint(width), height: C.uint(height),
		bytes: C.int(bytes), from: C.uint(from), to: C.uint(to),
	}
	var text [C.JMSG_LENGTH_MAX]C.char
	if C.decode((*C.uchar)(unsafe.SliceData(data)), C.size_t(len(data)), &picture, &text[0]) != 0 {
		return nil, damaged(errors.New(C.GoString(&text[0])))
	}
	if bytes < 4 {
		return packed{pix: pix, stride: stride, bytes: bytes, wanted: bytes, left: int(picture.left)}, nil
	}
	for i, v := range pix { // stored inverted
		pix[i] = 255 - v
	}
	return cmyk{image.CMYK{Pix: pix, Stride: stride, Rect: image.Rect(0, 0, width, height)}}, nil
}
