// Package vision turns an image's bytes into a network's input tensor, number for number as Pillow and torchvision do.
//
// A [Transform] does the following, in this order:
//
//  1. It reads the header and refuses a picture of too many pixels, before any memory is taken.
//  2. It decodes: JPEG, PNG, GIF (the first frame), WebP, BMP and TIFF.
//  3. It turns the picture upright, as its EXIF orientation says: ImageOps.exif_transpose.
//  4. It converts to RGB or grey: Image.convert("RGB") or convert("L"). Transparency is dropped, not blended with a
//     background; a palette's transparent colour counts as that colour; 16 bits a sample become their high 8.
//  5. It resizes, 8 bits a sample, with Pillow's antialiased filters, its fixed-point coefficients, its two passes
//     and its rounding: transforms.Resize of a picture, or ImageOps.pad for [ResizeFit]. The passes go across, then down;
//     but the other way round, as since Pillow 13, where the height loses more than twice as many pixels as the width.
//     Earlier versions differ there by 1 of 255 in some pixels, with lanczos by a few.
//  6. It crops around the centre, with torchvision's rounding; what lies outside the picture is filled:
//     transforms.CenterCrop.
//  7. It computes value = (pixel·scale - mean) / std for each channel in float32, with scale 1/255 unless set:
//     transforms.ToTensor and transforms.Normalize.
//  8. It lays the values out: [1, channels, height, width] or [1, height, width, channels], RGB or BGR.
//
// From step 4 on the result is Pillow's, bit for bit, for pictures with 8 bits a sample; so it is from the start for
// PNG, GIF, BMP, TIFF and WebP. JPEG decoders differ by design, by the rounding of the inverse DCT: a few units of 255
// in a few samples (see [github.com/tsgo/tsgo/pkg/vision/jpeg]).
//
// Two things differ on purpose. torchvision's loader ignores EXIF orientation, so that a telephone's pictures lie on
// their side; here they stand upright. And Pillow clips a grey PNG or TIFF of 16 bits at 255 when it converts it, which
// makes nearly all of it white; here it is scaled, as Pillow itself does for 16 bits in colour.
package vision
