"""Bad files of every format, and files that are not images: name to bytes, kind, and a word of the message."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image

from tests.image_files import (
    PNG_SIGNATURE,
    adam7_rows,
    chunk,
    frame_control,
    gif,
    gif_control,
    gif_frame,
    photograph,
    png,
    png_header,
    riff,
    saved,
    tiff,
    tiff_tags,
    with_segment,
)

_Files = dict[str, tuple[bytes, str, str]]
_PIXELS = photograph()
_PNG = saved(_PIXELS, "PNG")
_JPEG = saved(_PIXELS, "JPEG")
_ROWS = b"".join(b"\0" + row.tobytes() for row in _PIXELS)
_SIZE = (32, 24)
_IDAT_AT = _PNG.index(b"IDAT")


def bad_files() -> _Files:
    """Return every bad file; the name's extension is that of the format that it pretends to be."""
    return {
        **_foreign(),
        **_bad_png(),
        **_bad_jpeg(),
        **_bad_webp(),
        **_bad_gif(),
        **_bad_bmp(),
        **_bad_tiff(),
        **_bad_avif(),
    }


def _foreign() -> _Files:
    return {
        "empty.png": (b"", "empty", "no bytes"),
        "blank.png": (b"  \n\n ", "text", "white space"),
        "lfs.png": (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "Git LFS pointer",
            "git lfs pull",
        ),
        "html.png": (b"\n<!DOCTYPE html>\n<title>404</title>", "HTML", "web page"),
        "html-bom.png": (b"\xef\xbb\xbf<html><body>Login</body></html>", "HTML", "web page"),
        "html-utf16.png": ("\ufeff<html><body>Login</body></html>".encode("utf-16-le"), "HTML", "web page"),
        "svg.png": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "render"),
        "xml.png": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML", "document"),
        "json.png": (b'{"error": "not found"}', "JSON", "data"),
        "text.png": (b"TODO: put the picture here", "text", "TODO"),
        "pdf.png": (b"%PDF-1.7\n%\xe2\xe3", "PDF", "truncated"),
        "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage", "PostScript", "interpreter"),
        "eps.png": (b"\xc5\xd0\xd3\xc6" + b"\0" * 26, "EPS", "interpreter"),
        "jxl.png": (b"\xff\x0a\xfa\x7f", "JPEG XL", "save"),
        "jp2.png": (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40, "JPEG 2000", "truncated"),
        "heic.png": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC", "save"),
        "psd.png": (b"8BPS\0\1" + b"\0" * 20, "PSD", "save"),
        "ico.png": (saved(_PIXELS, "ICO"), "ICO", "save"),
        "ppm.png": (saved(_PIXELS, "PPM")[:-1], "Netpbm", "truncated"),
        "gzip.png": (b"\x1f\x8b\x08\0" + b"\0" * 20, "gzip", "unpack"),
        "zip.png": (b"PK\x03\x04" + b"\0" * 26, "ZIP", "unpack"),
        "mp4.png": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "MP4", "frame"),
        "wave.png": (b"RIFF\x24\0\0\0WAVEfmt ", "WAV sound", "WebP"),
        "noise.png": (bytes(range(128, 256)) * 8, "unknown data", "80 81"),
        "zeros.png": (b"\0" * 4096, "unknown data", "00 00"),
        "as-text.png": (_PNG.replace(b"\r\n", b"\n"), "PNG", "as text"),
    }


def _bad_png() -> _Files:
    header, end = png_header(*_SIZE, 8, 2), chunk(b"IEND")
    data = chunk(b"IDAT", zlib.compress(_ROWS))
    start = PNG_SIGNATURE + header
    flipped = bytearray(_PNG)
    flipped[_IDAT_AT + 40] ^= 1
    text = chunk(b"tEXt", b"Comment\0hello")
    wrong_sum = zlib.compress(_ROWS)[:-4] + b"\0\0\0\0"
    palette = chunk(b"PLTE", bytes(range(9)))
    indices = b"\0" + bytes([0, 1, 2, 3])
    return {
        "signature-only.png": (PNG_SIGNATURE, "PNG", "truncated"),
        "cut-in-idat.png": (_PNG[: _IDAT_AT + 60], "PNG", "truncated"),
        "no-iend.png": (start + data, "PNG", "IEND"),
        "bad-crc.png": (bytes(flipped), "PNG", "CRC"),
        "bad-crc-text.png": (start + text.replace(b"hello", b"hullo") + data + end, "PNG", "CRC"),
        "rows-missing.png": (png(_SIZE, 8, 2, _ROWS[: 97 * 20]), "PNG", "truncated"),
        "rows-too-many.png": (png(_SIZE, 8, 2, _ROWS + _ROWS[:97]), "PNG", "more rows"),
        "adam7-missing.png": (png(_SIZE, 8, 2, adam7_rows(_PIXELS)[:-97], interlace=1), "PNG", "truncated"),
        "bad-adler.png": (start + chunk(b"IDAT", wrong_sum) + end, "PNG", "inflate"),
        "no-adler.png": (start + chunk(b"IDAT", zlib.compress(_ROWS)[:-4]) + end, "PNG", "checksum"),
        "after-stream.png": (start + chunk(b"IDAT", zlib.compress(_ROWS) + b"more") + end, "PNG", "follow the end"),
        "bad-filter.png": (png(_SIZE, 8, 2, b"\x07" + _ROWS[1:]), "PNG", "filter 7"),
        "palette-index.png": (png((4, 1), 8, 3, indices, before=palette), "PNG", "palette index 3"),
        "no-palette.png": (png((4, 1), 8, 3, indices), "PNG", "PLTE"),
        "palette-length.png": (
            png((4, 1), 8, 3, indices, before=chunk(b"PLTE", b"12345")),
            "PNG",
            "palette of 5 bytes",
        ),
        "trns-length.png": (png(_SIZE, 8, 2, _ROWS, before=chunk(b"tRNS", b"\0\0")), "PNG", "tRNS"),
        "trns-and-alpha.png": (png((1, 1), 8, 6, b"\0rgba", before=chunk(b"tRNS", b"\0\0")), "PNG", "alpha channel"),
        "no-idat.png": (start + end, "PNG", "no IDAT"),
        "idat-split.png": (
            start + data[:0] + chunk(b"IDAT", b"x") + text + chunk(b"IDAT", b"y") + end,
            "PNG",
            "between",
        ),
        "critical-unknown.png": (start + chunk(b"ABCD") + data + end, "PNG", "ABCD"),
        "not-ihdr-first.png": (PNG_SIGNATURE + text + header + data + end, "PNG", "not IHDR"),
        "two-ihdr.png": (start + header + data + end, "PNG", "two IHDR"),
        "no-width.png": (png((0, 5), 8, 2, b""), "PNG", "0 x 5"),
        "bad-depth.png": (png(_SIZE, 4, 2, _ROWS), "PNG", "colour type 2 with 4 bits"),
        "bad-interlace.png": (png(_SIZE, 8, 2, _ROWS, interlace=2), "PNG", "interlace"),
        "bomb-header.png": (png((50_000, 50_000), 8, 2, b""), "PNG", "limits.megapixels"),
        "bomb-idat.png": (start + chunk(b"IDAT", _deflated_zeros(2**30)) + end, "PNG", "more rows"),
        "bomb-short.png": (png((10_000, 9_999), 8, 0, b"\0" * 50_000_000), "PNG", "truncated"),
        "many-chunks.png": (start + chunk(b"tEXt") * 250_000 + data + end, "PNG", "chunks"),
        "animated.png": (saved(_PIXELS, "PNG", save_all=True, append_images=_frames()), "PNG", "frames: all"),
        "frame-missing.png": (_apng(chunk(b"acTL", struct.pack(">II", 2, 0))), "PNG", "announces 2 frames"),
        "frame-outside.png": (_apng(chunk(b"acTL", struct.pack(">II", 1, 0)), width=99), "PNG", "outside the canvas"),
    }


def _frames() -> list[PIL.Image.Image]:
    return [PIL.Image.fromarray(np.roll(_PIXELS, shift, axis=0)) for shift in (5, 9)]


def _apng(announced: bytes, width: int = 32) -> bytes:
    return png(_SIZE, 8, 2, _ROWS, before=announced + frame_control(0, (0, 0, width, 24)))


def _deflated_zeros(size: int) -> bytes:
    """Return this number of zeros, whole megabytes, as one stream: one megabyte is compressed, and then repeated."""
    deflater = zlib.compressobj(9, wbits=-15)
    piece = deflater.compress(bytes(2**20)) + deflater.flush(zlib.Z_FULL_FLUSH)
    last = b"\x03\0"  # a block without data
    checksum = size % 65521 << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + piece * (size // 2**20) + last + checksum.to_bytes(4, "big")


def _bad_jpeg() -> _Files:
    frame = _JPEG.index(b"\xff\xc0")
    scan = _JPEG.index(b"\xff\xda")

    def changed(at: int, new: bytes) -> bytes:
        return _JPEG[:at] + new + _JPEG[at + len(new) :]

    inks = saved(PIL.Image.fromarray(_PIXELS).convert("CMYK"), "JPEG")
    return {
        "start-only.jpg": (b"\xff\xd8\xff", "JPEG", "truncated"),
        "cut-in-header.jpg": (_JPEG[:100], "JPEG", "truncated"),
        "cut-in-scan.jpg": (_JPEG[: scan + 60], "JPEG", "truncated"),
        "no-end.jpg": (_JPEG[:-2], "JPEG", "truncated"),
        "scan-missing.jpg": (_JPEG[:scan] + b"\xff\xd9", "JPEG", "no image"),
        "scan-short.jpg": (_JPEG[: scan + 60] + b"\xff\xd9", "JPEG", "damaged"),
        "no-marker.jpg": (changed(frame, b"\0\0"), "JPEG", "no marker"),
        "12-bit.jpg": (changed(frame + 4, b"\x0c"), "JPEG", "12-bit"),
        "lossless.jpg": (changed(frame + 1, b"\xc3"), "JPEG", "lossless"),
        "arithmetic.jpg": (changed(frame + 1, b"\xc9"), "JPEG", "arithmetic"),
        "cmyk-unmarked.jpg": (inks.replace(b"Adobe", b"Abode"), "JPEG", "CMYK"),
        "two-components.jpg": (changed(frame + 9, b"\x02"), "JPEG", "2 components"),
        "no-height.jpg": (changed(frame + 5, b"\0\0"), "JPEG", "0 pixels"),
        "bomb-header.jpg": (changed(frame + 5, b"\xff\xdc\xff\xdc"), "JPEG", "limits.megapixels"),
        "many-scans.jpg": (_JPEG[:-2] + _JPEG[scan:-2] * 150 + b"\xff\xd9", "JPEG", "scans"),
        "many-segments.jpg": (
            with_segment(_JPEG, 0xFE, b"\xff\xfe\0\2" * 10)[:2] + b"\xff\xfe\0\2" * 30_000,
            "JPEG",
            "segments",
        ),
    }


def _bad_webp() -> _Files:
    still = saved(_PIXELS, "WEBP", lossless=True)
    bits = still[20 : 20 + int.from_bytes(still[16:20], "little")]
    canvas = struct.pack("<I", 0) + (16382).to_bytes(3, "little") * 2
    return {
        "cut.webp": (still[:-10], "WebP", "truncated"),
        "header-only.webp": (still[:12], "WebP", "truncated"),
        "no-chunks.webp": (riff(), "WebP", "no chunks"),
        "bits-missing.webp": (riff((b"VP8L", bits[: len(bits) // 2])), "WebP", "damaged"),
        "chunk-too-long.webp": (riff((b"VP8L", bits[:40])).replace(b"VP8L(", b"VP8L\xff"), "WebP", "truncated"),
        "not-a-picture.webp": (riff((b"EXIF", b"nothing")), "WebP", "no image"),
        "canvas-lies.webp": (riff((b"VP8X", struct.pack("<I", 0) + b"\1\0\0\1\0\0"), (b"VP8L", bits)), "WebP", "sizes"),
        "bomb-header.webp": (
            riff((b"VP8X", canvas), (b"VP8L", b"\x2f" + b"\xfe\xbf\xff\x0f" + bits[5:])),
            "WebP",
            "limits.megapixels",
        ),
        "animated.webp": (saved(_PIXELS, "WEBP", save_all=True, append_images=_frames()), "WebP", "frames: all"),
    }


def _bad_gif() -> _Files:
    indices = (_PIXELS[..., 0] % 4).astype(np.uint8)
    palette = bytes(range(12))
    frame = gif_frame(indices)
    return {
        "cut.gif": (gif(_SIZE, [frame], palette)[:-100], "GIF", "truncated"),
        "no-trailer.gif": (gif(_SIZE, [frame], palette, trailer=b""), "GIF", "truncated"),
        "rows-missing.gif": (gif(_SIZE, [gif_frame(indices[:20], area=_SIZE)], palette), "GIF", "not all there"),
        "codes-cut.gif": (gif(_SIZE, [frame[:150] + b"\0"], palette), "GIF", "block"),
        "palette-index.gif": (gif(_SIZE, [gif_frame(indices + 2)], palette), "GIF", "palette index 5"),
        "no-palette.gif": (gif(_SIZE, [frame], None), "GIF", "colour table"),
        "no-frame.gif": (gif(_SIZE, [gif_control()], palette), "GIF", "no image"),
        "outside.gif": (gif(_SIZE, [gif_frame(indices, at=(9, 0))], palette), "GIF", "outside"),
        "bad-code-size.gif": (gif(_SIZE, [frame[:10] + b"\x0c" + frame[11:]], palette), "GIF", "code size"),
        "bad-block.gif": (gif(_SIZE, [b"?", frame], palette), "GIF", "no block"),
        "bomb-header.gif": (gif((65_535, 65_535), [frame], palette), "GIF", "limits.megapixels"),
        "animated.gif": (gif(_SIZE, [frame, frame], palette), "GIF", "frames: all"),
    }


def _bad_bmp() -> _Files:
    plain = saved(_PIXELS, "BMP")
    palette = saved(PIL.Image.fromarray(_PIXELS).quantize(9), "BMP")

    def changed(at: int, code: str, *values: int) -> bytes:
        new = struct.pack("<" + code, *values)
        return plain[:at] + new + plain[at + len(new) :]

    return {
        "cut.bmp": (plain[:-1], "BMP", "truncated"),
        "cut-in-header.bmp": (plain[:20], "BMP", "truncated"),
        "header-unknown.bmp": (changed(14, "I", 41), "BMP", "41 bytes"),
        "run-length.bmp": (changed(30, "I", 1), "BMP", "RLE8"),
        "negative-width.bmp": (changed(18, "i", -32), "BMP", "-32"),
        "palette-index.bmp": (palette[:-1] + b"\xff", "BMP", "palette index 255"),
        "bomb-header.bmp": (changed(18, "ii", 60_000, 60_000), "BMP", "truncated: 2,358 of"),
    }


def _bad_tiff() -> _Files:
    rows = _PIXELS.tobytes()
    tags = tiff_tags(*_SIZE, 8, 3)
    short = zlib.compress(rows[:-96])
    ramp = np.linspace(0, 255, 24 * 32, dtype="<f4")

    def floats(values: np.ndarray) -> bytes:
        return tiff([values.tobytes()], tiff_tags(*_SIZE, 32, 1, t339=("H", [3])))

    return {
        "cut.tif": (tiff([rows], tags)[:-30], "TIFF", "truncated"),
        "header-only.tif": (b"II*\0\x08\0\0\0", "TIFF", "truncated"),
        "no-page.tif": (b"II*\0\0\0\0\0", "TIFF", "no page"),
        "loop.tif": (tiff([rows], tags, following=8 + len(rows) + 6), "TIFF", "leads back"),
        "rows-missing.tif": (tiff([rows[:-96]], tags), "TIFF", "truncated"),
        "behind-end.tif": (tiff([rows], tags | {273: ("I", [10_000])}), "TIFF", "truncated"),
        "strip-unwritten.tif": (tiff([rows], tags | {279: ("I", [0])}), "TIFF", "never written"),
        "strips-missing.tif": (tiff([rows], tags | {278: ("I", [8])}), "TIFF", "3 are needed"),
        "deflate-short.tif": (tiff([short], tags | {259: ("H", [8])}), "TIFF", "inflate"),
        "deflate-bad.tif": (tiff([b"x" * 99], tags | {259: ("H", [8])}), "TIFF", "inflate"),
        "lzw-short.tif": (tiff([_lzw(rows[:-96])], tags | {259: ("H", [5])}), "TIFF", "decompress"),
        "lzw-bad.tif": (tiff([b"\xff" * 99], tags | {259: ("H", [5])}), "TIFF", "decompress"),
        "packbits-short.tif": (tiff([b"\x9f\0" * 9], tags | {259: ("H", [32773])}), "TIFF", "decompress"),
        "jpeg-inside.tif": (tiff([_JPEG], tags | {259: ("H", [7])}), "TIFF", "JPEG"),
        "cmyk.tif": (saved(PIL.Image.fromarray(_PIXELS).convert("CMYK"), "TIFF"), "TIFF", "CMYK"),
        "int32.tif": (tiff([b"\0" * 3072], tiff_tags(*_SIZE, 32, 1)), "TIFF", "32-bit unsigned"),
        "float-range.tif": (floats(ramp), "TIFF", "0 to 255"),
        "float-nan.tif": (floats(ramp * np.float32("nan")), "TIFF", "NaN"),
        "extra-unnamed.tif": (tiff([b"\0" * 3072], tiff_tags(*_SIZE, 8, 4)), "TIFF", "extra"),
        "premultiplied-not.tif": (_premultiplied_not(), "TIFF", "exceeds its alpha"),
        "bomb-header.tif": (tiff([rows], tags | {256: ("I", [60_000]), 257: ("I", [60_000])}), "TIFF", ""),
        "pages.tif": (saved(_PIXELS, "TIFF", save_all=True, append_images=_frames()), "TIFF", "frames: all"),
    }


def _lzw(data: bytes) -> bytes:
    """Return the data as the one strip that libtiff makes of it."""
    row = PIL.Image.frombytes("L", (len(data), 1), data)
    file = saved(row, "TIFF", compression="tiff_lzw")
    with PIL.Image.open(io.BytesIO(file)) as picture:
        (start,), (length,) = picture.tag_v2[273], picture.tag_v2[279]
    return file[start : start + length]


def _premultiplied_not() -> bytes:
    return tiff([photograph(channels=4).tobytes()], tiff_tags(*_SIZE, 8, 4, t338=("H", [1])))


def _bad_avif() -> _Files:
    still = saved(_PIXELS, "AVIF")
    at = still.index(b"av1C") + 6
    payload = still.index(b"mdat")
    deep = still[:at] + bytes([still[at] | 0x40]) + still[at + 1 :]
    return {
        "cut.avif": (still[:-20], "AVIF", "truncated"),
        "header-only.avif": (still[:32], "AVIF", "coded"),
        "10-bit.avif": (deep, "AVIF", "10-bit"),
        "cropped.avif": (still.replace(b"colrnclx", b"clapnclx"), "AVIF", "clap"),
        "payload-bad.avif": (still[: payload + 4] + b"\xff" * (len(still) - payload - 4), "AVIF", "damaged"),
        "animated.avif": (saved(_PIXELS, "AVIF", save_all=True, append_images=_frames()), "AVIF", "frames: all"),
    }
