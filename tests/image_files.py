"""Image files built byte by byte, for what no encoder would write."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from pytest_imgdiff.images import decode, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def photograph(height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    """Return smooth but nowhere equal uint8 pixels; alpha, where there is one, is never 0."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 7 + y, y * 9 + 3, (x + 2 * y) * 5, 1 + (x * y) % 255]
    return np.stack(planes[:channels], axis=2).astype(np.uint8)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return a PNG chunk with its right CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int, colour: int, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    size: tuple[int, int], depth: int, colour: int, rows: bytes, *, before: bytes = b"", interlace: int = 0
) -> bytes:
    """Return a PNG of these filtered rows, with the chunks `before` between header and pixels."""
    data = chunk(b"IDAT", zlib.compress(rows))
    return PNG_SIGNATURE + png_header(*size, depth, colour, interlace) + before + data + chunk(b"IEND")


def packed_rows(samples: np.ndarray, depth: int) -> bytes:
    """Return (height, samples in a row) as PNG rows of this depth, filter 0."""
    if depth == 16:
        packed = samples.astype(">u2").view(np.uint8).reshape(samples.shape[0], -1)
    else:
        bits = np.unpackbits(samples.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(samples.shape[0], -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def adam7_rows(samples: np.ndarray) -> bytes:
    """Return (height, width, channels) uint8 as the rows of Adam7's seven passes, filter 0."""
    grids = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in grids]
    return b"".join(b"\0" + row.tobytes() for grid in passes if grid.size for row in grid)


def saved(pixels: np.ndarray | PIL.Image.Image, form: str, **options: object) -> bytes:
    """Return what Pillow writes."""
    picture = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    target = io.BytesIO()
    picture.save(target, form, **options)
    return target.getvalue()


def exif(orientation: int) -> bytes:
    """Return an EXIF block (without JPEG's prefix) that states an orientation."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def tiff(
    strips: Sequence[bytes], tags: Mapping[int, tuple[str, Sequence[int]]], *, order: str = "<", following: int = 0
) -> bytes:
    """Return a TIFF of one page.

    Args:
        strips: the data of the strips; StripOffsets and StripByteCounts are made from them.
        tags: tag to the code of its type (``H`` or ``I``) and its values; they win over those made here.
        order: ``<`` or ``>``.
        following: offset of the next directory.
    """
    offsets = [8 + before for before in itertools.accumulate(map(len, strips[:-1]), initial=0)]
    entries = {273: ("I", offsets), 279: ("I", [len(strip) for strip in strips]), **tags}
    body = b"".join(strips) + b"\0" * (sum(map(len, strips)) % 2)
    far = b""
    directory = struct.pack(order + "H", len(entries))
    for tag in sorted(entries):
        code, values = entries[tag]
        packed = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(packed) > 4:
            at = 8 + len(body) + len(far)
            far += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(order + "I", at)
        directory += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[code], len(values)) + packed.ljust(4, b"\0")
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    start = struct.pack(order + "I", 8 + len(body) + len(far))
    return mark + start + body + far + directory + struct.pack(order + "I", following)


def tiff_tags(width: int, height: int, bits: int, samples: int, **others: tuple[str, Sequence[int]]) -> dict:
    """Return the tags of an uncompressed gray (1, 2 samples) or RGB (3, 4) page; others as ``t<tag>=``."""
    tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * samples),
        259: ("H", [1]),
        262: ("H", [1 if samples < 3 else 2]),
        277: ("H", [samples]),
        278: ("I", [height]),
    }
    return tags | {int(name[1:]): value for name, value in others.items()}


def gif(size: tuple[int, int], frames: Sequence[bytes], palette: bytes | None, trailer: bytes = b";") -> bytes:
    """Return a GIF of these blocks; the palette has a power of two of colours."""
    flags = 0 if palette is None else 0x80 | ((len(palette) // 3).bit_length() - 2)
    return b"GIF89a" + struct.pack("<HHBBB", *size, flags, 0, 0) + (palette or b"") + b"".join(frames) + trailer


def gif_frame(
    indices: np.ndarray, at: tuple[int, int] = (0, 0), *, control: bytes = b"", area: tuple[int, int] | None = None
) -> bytes:
    """Return one image block of 7-bit indices, its LZW data reset so often that codes stay 8 bits long.

    Args:
        indices: (height, width), below 128.
        at: left and top on the screen.
        control: a graphic control extension before it.
        area: width and height that its header states, where they are not those of `indices`.
    """
    clear, end = 128, 129
    codes = [
        code for row in np.array_split(indices.ravel(), -(-indices.size // 100)) for code in (clear, *row.tolist())
    ]
    data = bytes([*codes, end])
    blocks = b"".join(bytes([len(part)]) + part for part in (data[i : i + 255] for i in range(0, len(data), 255)))
    width, height = area or (indices.shape[1], indices.shape[0])
    return control + b"," + struct.pack("<HHHHB", *at, width, height, 0) + b"\x07" + blocks + b"\0"


def gif_control(*, disposal: int = 0, transparent: int | None = None) -> bytes:
    """Return a graphic control extension."""
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\x04" + struct.pack("<BHB", flags, 10, transparent or 0) + b"\0"


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP file of these chunks, its length right."""
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def with_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    """Return a JPEG with one more segment at its start."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def frame_control(sequence: int, box: tuple[int, int, int, int], dispose: int = 0, blend: int = 0) -> bytes:
    """Return an APNG fcTL chunk; the box is x, y, width, height."""
    x, y, width, height = box
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", sequence, width, height, x, y, 1, 10, dispose, blend))


def pixels_of(source: object) -> np.ndarray:
    (image,) = decode(read(source))
    return image.pixels


def rgba(colour: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Return the normal form, worked out by itself."""
    full = np.iinfo(colour.dtype).max if colour.dtype.kind == "u" else 1
    if colour.ndim == 2:
        colour = np.repeat(colour[..., None], 3, axis=2)
    if alpha is None:
        alpha = np.full(colour.shape[:2], full, colour.dtype)
    visible = (alpha > 0)[..., None]
    return np.where(visible, np.dstack([colour, alpha]), 0).astype(colour.dtype)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    """Return integers over the whole range, the same for the same shape."""
    return np.random.default_rng(shape).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
