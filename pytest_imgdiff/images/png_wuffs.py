"""A PNG's filtered rows turned into pixels by Wuffs, where the extra ``fast`` is installed: in a third of libpng's time.

The rows are inflated and checked already. Wuffs gets a strip of them at a time, as a PNG whose compression does
nothing, so that all it works on stays in cache; where the first row of a strip refers to the one above, that one is
put before it, unfiltered. And so any rows can be had without those far above them: a row that is not filtered, or by
Sub, refers to no other (PNG Specification, Third Edition, section 9).
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.images.png_chunks import SIGNATURE, chunk_bytes
from pytest_imgdiff.images.png_layout import CHANNELS, RGB, RGBA, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Decode = Callable[[bytes], Any]
    """From the bytes of a PNG to pywuffs' ``ImageDecodingResult``."""

_LARGEST_SIDE = 1_000_000
"""Wuffs goes a little further (1,048,575); libpng does not."""
_STRIP_BYTES = 1 << 20
_STORED_BLOCK = 65_535
"""Most bytes of a stored block: RFC 1951, section 3.2.4."""
_BLOCK_START = struct.Struct("<BHH")
_UNCHECKED = bytes(4)
"""Stands for checksums, which nobody compares: of the rows they were compared before."""


def takes(layout: Layout) -> bool:
    """Whether Wuffs is installed, and nothing of the picture needs more than its rows: no palette, no 16 bits."""
    plain = layout.depth == 8 and layout.colour in (RGB, RGBA) and not layout.interlaced  # noqa: PLR2004 - bits
    return plain and max(layout.width, layout.height) <= _LARGEST_SIDE and _decoder() is not None


def unfiltered(rows: bytearray, layout: Layout, top: int, bottom: int) -> Bytes:
    """Return some rows of a picture that Wuffs takes.

    Args:
        rows: all filtered rows, as `pytest_imgdiff.images.png_scanlines.inflate` returned them.
        layout: how they are stored.
        top: the first row that is wanted.
        bottom: the one behind the last.

    Returns:
        (bottom - top, width, 4) RGBA.
    """
    stride = len(rows) // layout.height
    start = first_needed(rows, stride, top)
    pixels = np.empty((bottom - start, layout.width, 4), np.uint8)
    count = max(1, _STRIP_BYTES // stride)
    for first in range(start, bottom, count):
        last = min(first + count, bottom)
        strip = memoryview(rows)[first * stride : last * stride]
        above = b""
        if first > start and strip[0] > 1:
            above = b"\0" + pixels[first - start - 1, :, : CHANNELS[layout.colour]].tobytes()
        pixels[first - start : last - start] = _decoded(above, strip, layout, last - first)
    return pixels[top - start :]


def first_needed(rows: bytearray, stride: int, top: int) -> int:
    """Return the row from which on rows have to be unfiltered to know this one: the nearest that refers to no other."""
    filters = rows[: (top + 1) * stride : stride]
    return max(filters.rfind(0), filters.rfind(1), 0)


def _decoded(above: bytes, strip: memoryview, layout: Layout, count: int) -> Bytes:
    decode = _decoder()
    if decode is None:
        raise AssertionError(layout)
    leading = 1 if above else 0
    result = decode(_stored_png(above, strip, layout, count + leading))
    if result.error_message:  # these rows were checked: it would be a mistake of ours
        raise AssertionError(result.error_message)
    pixels: Bytes = result.pixbuf
    return pixels[leading:]


@functools.cache
def _decoder() -> Decode | None:
    try:
        from pywuffs import ImageDecoderQuirks, ImageDecoderType, PixelFormat
        from pywuffs.aux import ImageDecoder, ImageDecoderConfig
    except ImportError:
        return None
    config = ImageDecoderConfig()
    config.enabled_decoders = [ImageDecoderType.PNG]
    config.pixel_format = PixelFormat.RGBA_NONPREMUL
    config.quirks = {ImageDecoderQuirks.IGNORE_CHECKSUM: 1}
    return lambda file: ImageDecoder(config).decode(file)  # one for each picture: they are not thread-safe


def _stored_png(above: bytes, strip: memoryview, layout: Layout, height: int) -> bytes:
    """Return a PNG whose zlib stream (RFC 1950) is stored blocks only."""
    header = struct.pack(">IIBBBBB", layout.width, height, layout.depth, layout.colour, 0, 0, 0)
    parts = (memoryview(above), strip)
    pieces = [part[at : at + _STORED_BLOCK] for part in parts for at in range(0, len(part), _STORED_BLOCK)]
    blocks: list[bytes | memoryview] = []
    for index, piece in enumerate(pieces, 1):
        blocks += [_BLOCK_START.pack(index == len(pieces), len(piece), len(piece) ^ 0xFFFF), piece]
    size = 2 + sum(map(len, blocks)) + 4
    start = struct.pack(">I4s", size, b"IDAT") + b"\x78\x01"
    return b"".join(
        [SIGNATURE, chunk_bytes(b"IHDR", header), start, *blocks, _UNCHECKED, _UNCHECKED, chunk_bytes(b"IEND", b"")]
    )
