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

// decode writes the picture, of the size and bytes a pixel that the caller read from the header, to pix.
static int decode(const unsigned char *data, size_t size, unsigned char *pix, unsigned width, unsigned height,
                  int bytes, char *text) {
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
	info.out_color_space = bytes == 1 ? JCS_GRAYSCALE : bytes == 3 ? JCS_RGB : JCS_CMYK;
	jpeg_start_decompress(&info);
	if (info.output_width != width || info.output_height != height || info.output_components != bytes)
		ERREXIT(&info, JERR_BAD_STATE);
	while (info.output_scanline < height) {
		JSAMPROW row = pix + (size_t)info.output_scanline * width * bytes;
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
	"unsafe"
)

// Backend names the decoder that this program was built with.
const Backend = "libjpeg-turbo"

func decode(data []byte, header Header) (rows, error) {
	width, height, bytes := header.Width, header.Height, header.components
	pix := make([]byte, width*height*bytes)
	var text [C.JMSG_LENGTH_MAX]C.char
	failed := C.decode((*C.uchar)(unsafe.SliceData(data)), C.size_t(len(data)), (*C.uchar)(unsafe.SliceData(pix)),
		C.uint(width), C.uint(height), C.int(bytes), &text[0])
	if failed != 0 {
		return nil, damaged(errors.New(C.GoString(&text[0])))
	}
	if bytes < 4 {
		return packed{pix: pix, stride: width * bytes, bytes: bytes, wanted: bytes}, nil
	}
	for i, v := range pix { // stored inverted
		pix[i] = 255 - v
	}
	return cmyk{image.CMYK{Pix: pix, Stride: 4 * width, Rect: image.Rect(0, 0, width, height)}}, nil
}
