"""A PNG's filtered rows turned into pixels by Wuffs, where the extra ``fast`` is installed: in half of libpng's time.

The rows are inflated and checked already. Wuffs gets a strip of them at a time, as a PNG whose compression does
nothing, so that all it works on stays in cache; where the first row of a strip refers to the one above, that one is
put before it, unfiltered. A small picture is one strip.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.images.png_layout import CHANNELS, RGB, RGBA, SIGNATURE, FilteredRows, Layout, chunk_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Decode = Callable[[bytes], Any]
    """From the bytes of a PNG to pywuffs' ``ImageDecodingResult``."""

_LARGEST_SIDE = 1_000_000
"""Wuffs goes a little further (1,048,575); libpng does not."""
_STRIP_BYTES = 1 << 20
_SMALL_BYTES = 1 << 22
"""Up to so many bytes of rows, what the cache would save costs less than a copy of the pixels does."""
SUB = 1
"""Rows of this filter, or of none, refer to no other: PNG Specification, Third Edition, section 9."""
_STORED_BLOCK = 65_535
"""Most bytes of a stored block: RFC 1951, section 3.2.4."""
_BLOCK_START = struct.Struct("<BHH")
_UNCHECKED = bytes(4)
"""Stands for checksums, which nobody compares: of the rows they were compared before."""


def takes(layout: Layout) -> bool:
    """Whether nothing of the picture needs more than its rows (no palette, no 16 bits), and Wuffs is installed."""
    plain = layout.depth == 8 and layout.colour in (RGB, RGBA) and not layout.interlaced  # noqa: PLR2004 - bits
    return plain and max(layout.width, layout.height) <= _LARGEST_SIDE and _decoder() is not None


def is_opaque(layout: Layout) -> bool:
    """Whether a picture that Wuffs takes has no alpha."""
    return layout.colour == RGB


def unfilter(rows: FilteredRows, layout: Layout, span: range, pixels: Bytes) -> Bytes:
    """Return the pixels of a picture that Wuffs takes, with some more rows of it made.

    Args:
        rows: all filtered rows, as `pytest_imgdiff.images.png_scanlines.inflate` returned them.
        layout: how they are stored.
        span: which rows; the first of them refers to no other, or to one that stands in ``pixels`` already.
        pixels: (height, width, 4) RGBA, into which they are written, unless they are all there is of a small picture.
    """
    if len(span) == layout.height and len(rows) <= _SMALL_BYTES:
        return _decoded(b"", memoryview(rows), layout, layout.height)
    stride = len(rows) // layout.height
    count = max(1, _STRIP_BYTES // stride)
    for first in span[::count]:
        last = min(first + count, span.stop)
        strip = memoryview(rows)[first * stride : last * stride]
        above = b""
        if first and strip[0] > SUB:
            above = b"\0" + pixels[first - 1, :, : CHANNELS[layout.colour]].tobytes()
        pixels[first:last] = _decoded(above, strip, layout, last - first)
    return pixels


def _decoded(above: bytes, strip: memoryview, layout: Layout, count: int) -> Bytes:
    decode = _decoder()
    if decode is None:
        raise AssertionError(layout)
    leading = 1 if above else 0
    result = decode(_stored_png(above, strip, layout, count + leading))
    if result.error_message:  # the rows were checked: what may still be wanting is memory
        raise MemoryError(result.error_message)
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
