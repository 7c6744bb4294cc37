#!/usr/bin/env python3
"""Makes the pictures that the tests of pkg/vision decode, and what Pillow and torchvision make of them.

    python pkg/vision/testdata/make.py

It needs pillow, numpy, torch and torchvision, and a C compiler with libjpeg-turbo for the kinds of JPEG that Pillow
does not write. It writes, beside itself: pictures/, pictures.json, resize.json, transform.json.
"""

import hashlib
import io
import json
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode

HERE = Path(__file__).parent
OUT = HERE / "pictures"
EXACT = 0
RECORDS = []

ENCODER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
int main(int n, char **a) { /* width height kind: raw RGB on stdin, JPEG on stdout */
  struct jpeg_compress_struct c; struct jpeg_error_mgr e;
  int w = atoi(a[1]), h = atoi(a[2]); char *kind = a[3];
  int four = !strcmp(kind, "ycck");
  c.err = jpeg_std_error(&e); jpeg_create_compress(&c); jpeg_stdio_dest(&c, stdout);
  c.image_width = w; c.image_height = h; c.input_components = four ? 4 : 3;
  c.in_color_space = four ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&c); jpeg_set_quality(&c, 90, TRUE);
  if (four) jpeg_set_colorspace(&c, JCS_YCCK);
  if (!strcmp(kind, "rgb")) jpeg_set_colorspace(&c, JCS_RGB);
  if (!strcmp(kind, "arithmetic")) c.arith_code = TRUE;
  if (!strcmp(kind, "restart")) c.restart_interval = 3;
  if (!strcmp(kind, "440")) { c.comp_info[0].h_samp_factor = 1; c.comp_info[0].v_samp_factor = 2; }
  if (!strcmp(kind, "411")) { c.comp_info[0].h_samp_factor = 4; c.comp_info[0].v_samp_factor = 1; }
  if (four) { c.comp_info[0].h_samp_factor = c.comp_info[3].h_samp_factor = 1;
              c.comp_info[0].v_samp_factor = c.comp_info[3].v_samp_factor = 1; }
  jpeg_start_compress(&c, TRUE);
  JSAMPLE *line = malloc(w * 4);
  while (c.next_scanline < h) { JSAMPROW r = line; fread(line, c.input_components, w, stdin); jpeg_write_scanlines(&c, &r, 1); }
  jpeg_finish_compress(&c); return 0;
}
"""


def picture(width, height, seed=1):
    """A picture with smooth parts, sharp edges and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    red = 128 + 120 * np.sin(x / 7) * np.cos(y / 11)
    green = 255 * x / width
    blue = 255 * y / height
    out = np.stack([red, green, blue], -1)
    out[(x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (height / 4) ** 2] = (250, 30, 60)
    out += rng.normal(0, 6, out.shape)
    return Image.fromarray(out.clip(0, 255).round().astype("u1"), "RGB")


def noise(width, height, channels):
    """The bytes that noise() of the Go tests makes too."""
    out, state = bytearray(width * height * channels), 1
    for i in range(len(out)):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 24
    array = np.frombuffer(bytes(out), "u1").reshape((height, width, channels) if channels > 1 else (height, width))
    return Image.fromarray(array)


def sha(image):
    return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


def keep(name, data, tolerance=EXACT, want=None):
    """Keeps an encoded picture, with what Pillow decodes, or with what it ought to decode."""
    (OUT / name).write_bytes(data)
    if want is None:
        want = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    rgb = want.convert("RGB")
    record = {"file": name, "width": rgb.width, "height": rgb.height, "tolerance": tolerance}
    if tolerance == EXACT:
        record["rgb"], record["grey"] = sha(rgb), sha(rgb.convert("L"))
    else:
        rgb.save(OUT / (name + ".want.png"), optimize=True)
    RECORDS.append(record)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e


def jpegs(image):
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        keep(f"ycc{name}.jpg", encoded(image, "JPEG", quality=90, subsampling=subsampling), 3)
    keep("progressive.jpg", encoded(image, "JPEG", quality=85, progressive=True), 4)
    keep("grey.jpg", encoded(image.convert("L"), "JPEG", quality=90), 2)
    keep("cmyk.jpg", encoded(image.convert("CMYK"), "JPEG", quality=90), 3)
    keep("narrow.jpg", encoded(image.crop((0, 0, 4, 21)), "JPEG", quality=90), 3)
    keep("dot.jpg", encoded(image.crop((0, 0, 1, 1)), "JPEG", quality=90), 3)
    small = picture(23, 14, 2)
    for orientation in range(1, 9):
        keep(f"exif{orientation}.jpg", encoded(small, "JPEG", quality=90, exif=exif(orientation)), 3)
    with tempfile.TemporaryDirectory() as directory:
        source, program = Path(directory, "encode.c"), Path(directory, "encode")
        source.write_text(ENCODER)
        subprocess.run(["cc", "-w", "-o", program, source, "-ljpeg"], check=True)
        for kind in ("440", "411", "rgb", "ycck", "restart", "arithmetic"):
            pixels = image.convert("CMYK") if kind == "ycck" else image
            run = subprocess.run([program, str(image.width), str(image.height), kind],
                                 input=pixels.tobytes(), capture_output=True, check=True)
            if kind == "arithmetic":
                (OUT / "arithmetic.jpg").write_bytes(run.stdout)
            else:
                keep(f"{kind}.jpg", run.stdout, 3)
    without = encoded(image.convert("CMYK"), "JPEG", quality=90)
    at = without.index(b"\xff\xee")
    keep("cmyk-plain.jpg", without[:at] + without[at + 16:], 3)


def png(width, height, depth, colour, samples, extra=(), interlaced=False):
    """Writes a PNG of any depth and colour type; samples is an array of height, width, channels."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def rows(part):
        out = b""
        for row in part:
            flat = row.reshape(-1).astype(int)
            if depth == 16:
                packed = flat.astype(">u2").tobytes()
            else:
                bits = "".join(format(v, f"0{depth}b") for v in flat)
                bits += "0" * (-len(bits) % 8)
                packed = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
            out += b"\0" + packed
        return out

    if interlaced:
        passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in passes]
        body = b"".join(rows(p) for p in parts if p.size)
    else:
        body = rows(samples)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunk(k, b) for k, b in extra)
            + chunk(b"IDAT", zlib.compress(body, 9)) + chunk(b"IEND", b""))


def pngs(image):
    width, height = image.size
    rgb = np.asarray(image).astype(int)
    grey = np.asarray(image.convert("L")).astype(int)[..., None]
    alpha = (np.arange(width * height).reshape(height, width, 1) * 7) % 256
    wide = rgb * 257 - rgb // 3
    for depth in (1, 2, 4, 8):
        keep(f"grey{depth}.png", png(width, height, depth, 0, grey >> (8 - depth)))
    deep = (grey * 257 - grey // 3)
    keep("grey16.png", png(width, height, 16, 0, deep), want=Image.fromarray((deep[..., 0] >> 8).astype("u1")))
    keep("rgb8.png", png(width, height, 8, 2, rgb))
    keep("rgb16.png", png(width, height, 16, 2, wide))
    keep("rgba8.png", png(width, height, 8, 6, np.concatenate([rgb, alpha], -1)))
    keep("rgba16.png", png(width, height, 16, 6, np.concatenate([wide, alpha * 257], -1)))
    keep("la8.png", png(width, height, 8, 4, np.concatenate([grey, alpha], -1)))
    keep("la16.png", png(width, height, 16, 4, np.concatenate([deep, alpha * 257], -1)))
    keep("interlaced.png", png(width, height, 8, 2, rgb, interlaced=True))
    keep("interlaced1.png", png(width, height, 1, 0, grey >> 7, interlaced=True))
    shade = int(grey[3, 3, 0])
    keep("grey-trns.png", png(width, height, 8, 0, grey, [(b"tRNS", struct.pack(">H", shade))]))
    keep("rgb-trns.png", png(width, height, 8, 2, rgb, [(b"tRNS", struct.pack(">HHH", *rgb[3, 3]))]))
    for depth in (1, 2, 4, 8):
        n = 2 ** depth
        palette = bytes((i * 37 + j * 91) % 256 for i in range(n) for j in range(3))
        extra = [(b"PLTE", palette), (b"tRNS", bytes(i * 50 % 256 for i in range(min(n, 6))))]
        keep(f"palette{depth}.png", png(width, height, depth, 3, grey >> (8 - depth), extra))
    block = exif(6).tobytes()
    block = block[6:] if block.startswith(b"Exif\0\0") else block
    keep("exif6.png", png(width, height, 8, 2, rgb, [(b"eXIf", block)]))


def gifs(image):
    keep("palette.gif", encoded(image, "GIF"))
    keep("plain.gif", encoded(image, "GIF", interlace=0))
    indexed = image.quantize(16)
    keep("transparent.gif", encoded(indexed, "GIF", transparency=3))
    keep("animated.gif", encoded(image, "GIF", save_all=True, append_images=[image.rotate(90), image.rotate(180)]))
    for name, options in (("offset.gif", {}), ("offset-transparent.gif", {"transparency": 3})):
        moved = bytearray(encoded(indexed.crop((0, 0, 20, 12)), "GIF", interlace=0, **options))
        at = 13 + 3 * 2 ** ((moved[10] & 7) + 1)
        while moved[at] == 0x21:
            at += 2
            while moved[at]:
                at += 1 + moved[at]
            at += 1
        moved[6:10] = struct.pack("<HH", 31, 22)
        moved[at + 1:at + 5] = struct.pack("<HH", 5, 7)
        keep(name, bytes(moved))


def webps(image):
    width, height = image.size
    keep("lossy.webp", encoded(image, "WEBP", quality=80))
    keep("lossy-even.webp", encoded(image.crop((0, 0, 40, 32)), "WEBP", quality=60))
    keep("lossy-dot.webp", encoded(image.crop((0, 0, 1, 1)), "WEBP", quality=90))
    keep("lossless.webp", encoded(image, "WEBP", lossless=True))
    clear = image.copy()
    clear.putalpha(Image.fromarray(np.fromfunction(lambda y, x: (x * 5 + y * 3) % 256, (height, width)).astype("u1")))
    keep("lossy-alpha.webp", encoded(clear, "WEBP", quality=80))
    keep("lossless-alpha.webp", encoded(clear, "WEBP", lossless=True, exact=True))
    keep("exif6.webp", encoded(image, "WEBP", lossless=True, exif=exif(6)))
    (OUT / "animated.webp").write_bytes(encoded(image, "WEBP", save_all=True, append_images=[image.rotate(90)]))


def others(image):
    keep("rgb.bmp", encoded(image, "BMP"))
    keep("grey.bmp", encoded(image.convert("L"), "BMP"))
    keep("bilevel.bmp", encoded(image.convert("1"), "BMP"))
    keep("palette.bmp", encoded(image.quantize(256), "BMP"))
    clear = image.convert("RGBA")
    clear.putalpha(77)
    keep("rgba.bmp", encoded(clear, "BMP"))
    for name, compression in (("raw", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits")):
        keep(f"{name}.tiff", encoded(image, "TIFF", compression=compression))
    keep("grey.tiff", encoded(image.convert("L"), "TIFF"))
    keep("palette.tiff", encoded(image.quantize(64), "TIFF"))
    keep("group4.tiff", encoded(image.convert("1"), "TIFF", compression="group4"))
    keep("rgba.tiff", encoded(clear, "TIFF"))
    deep = np.asarray(image.convert("L")).astype("<u2") * 257
    keep("grey16.tiff", encoded(Image.fromarray(deep), "TIFF"), want=Image.fromarray((deep >> 8).astype("u1")))
    keep("exif6.tiff", encoded(image, "TIFF", exif=exif(6)))


FILTERS = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC,
           "lanczos": Image.LANCZOS}


def resizes():
    sizes = [((61, 47), (28, 28)), ((61, 47), (224, 100)), ((61, 47), (61, 20)), ((61, 47), (30, 47)), ((61, 47), (61, 47)),
             ((61, 47), (1, 1)), ((1, 1), (5, 3)), ((2, 90), (3, 7)), ((320, 213), (112, 112)), ((320, 213), (192, 128)),
             ((133, 207), (64, 99)), ((90, 300), (40, 70))]
    out = []
    for (width, height), size in sizes:
        for colour, channels in (("rgb", 3), ("grey", 1)):
            image = noise(width, height, channels)
            for name, filter in FILTERS.items():
                out.append({"colour": colour, "from": [width, height], "to": list(size), "interpolation": name,
                            "sha256": sha(image.resize(size, filter))})
    return out


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def compositions():
    """Options as a manifest has them, and what does the same in torchvision."""
    t = transforms
    modes = InterpolationMode
    tensor = t.ToTensor()
    pixels = t.Lambda(lambda image: np.asarray(image).reshape(image.height, image.width, -1))
    last = t.Lambda(lambda tensor: tensor.permute(1, 2, 0))
    flip = t.Lambda(lambda tensor: tensor.flip(0))
    grey = t.Grayscale()
    normal = t.Normalize(MEAN, STD)
    return [
        ("classifier", {"size": 224, "mean": MEAN, "std": STD}, [t.Resize(256), t.CenterCrop(224), tensor, normal]),
        ("odd crop", {"size": [97, 64], "resize": 110}, [t.Resize(110), t.CenterCrop((97, 64)), tensor]),
        ("bicubic", {"size": 64, "resize": 73, "interpolation": "bicubic"},
         [t.Resize(73, modes.BICUBIC), t.CenterCrop(64), tensor]),
        ("crop larger than picture", {"size": [300, 260], "resize": 100}, [t.Resize(100), t.CenterCrop((300, 260)), tensor]),
        ("crop without resize", {"size": 75, "resizeRule": "none"}, [t.CenterCrop(75), tensor]),
        ("neither", {"resizeRule": "none", "crop": "none"}, [tensor]),
        ("shorter without crop", {"resize": 50, "crop": "none"}, [t.Resize(50), tensor]),
        ("stretch", {"size": [80, 120], "resizeRule": "stretch"}, [t.Resize((80, 120)), tensor]),
        ("grey", {"size": 28, "resizeRule": "stretch", "colour": "grey", "mean": [0.1307], "std": [0.3081]},
         [grey, t.Resize((28, 28)), tensor, t.Normalize(0.1307, 0.3081)]),
        ("fit", {"size": [90, 70], "resizeRule": "fit", "fill": [114]},
         [t.Lambda(lambda i: ImageOps.pad(i, (70, 90), Image.BILINEAR, (114,) * 3)), tensor]),
        ("fit colour", {"size": [33, 100], "resizeRule": "fit", "fill": [10, 200, 30], "interpolation": "lanczos"},
         [t.Lambda(lambda i: ImageOps.pad(i, (100, 33), Image.LANCZOS, (10, 200, 30))), tensor]),
        ("bgr", {"size": 64, "channelOrder": "bgr", "mean": [1, 2, 3], "std": [4, 5, 6]},
         [t.Resize(73), t.CenterCrop(64), tensor, flip, t.Normalize([1, 2, 3], [4, 5, 6])]),
        ("nhwc", {"size": 64, "layout": "nhwc", "mean": MEAN, "std": STD},
         [t.Resize(73), t.CenterCrop(64), tensor, normal, last]),
        ("scale", {"size": 64, "scale": 1, "mean": [127], "std": [128]},
         [t.Resize(73), t.CenterCrop(64), tensor, t.Lambda(lambda x: (x * 255).round()), t.Normalize(127, 128)]),
        ("uint8", {"size": 64, "dtype": "uint8", "layout": "nhwc"}, [t.Resize(73), t.CenterCrop(64), pixels]),
        ("float16", {"size": 64, "dtype": "float16"}, [t.Resize(73), t.CenterCrop(64), tensor, t.Lambda(lambda x: x.half())]),
    ]


def composed():
    out = []
    for width, height in ((167, 101), (83, 142)):
        image = noise(width, height, 3)
        for name, options, steps in compositions():
            result = np.asarray(transforms.Compose(steps)(image))
            flat = result.astype("f4").reshape(-1)
            step = max(1, len(flat) // 60)
            out.append({"name": name, "from": [width, height], "options": options, "shape": [1, *result.shape],
                        "step": step, "values": [float(f"{v:.8g}") for v in flat[::step]]})
    return out


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    image = picture(43, 33)
    for make in (jpegs, pngs, gifs, webps, others):
        make(image)
    for name, content in (("pictures", RECORDS), ("resize", resizes()), ("transform", composed())):
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in content)
        (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
