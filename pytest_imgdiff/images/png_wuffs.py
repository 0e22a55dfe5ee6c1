"""The rows of a PNG by Wuffs, which inflates, unfilters and widens them in one go, in half of libpng's time.

Wuffs is there where the extra ``fast`` was installed. It is given what was checked here already, header and rows, and
nothing else of the file; and whatever it refuses is left to the ways that say what is wrong.
"""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING, Any

import deflate

from pytest_imgdiff.images.png_chunks import SIGNATURE, chunk_bytes
from pytest_imgdiff.images.png_layout import GRAY, RGB, RGBA, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Decode = Callable[[bytes], Any]
    """From the bytes of a PNG to pywuffs' ``ImageDecodingResult``."""

_LARGEST_SIDE = 1_000_000
"""Wuffs goes a little further (1,048,575); so much is enough, and libpng's own limit."""
_PEEKED_ROWS = 32
_SUB = 1


def decoded(pieces: Sequence[memoryview], layout: Layout) -> NDArray[np.uint8] | None:
    """Return the picture, or None where Wuffs is not installed, does not suit, or refuses the rows.

    Args:
        pieces: the data of the IDAT chunks in order.
        layout: how the rows are stored.

    Returns:
        (height, width, 4) RGBA.
    """
    decode = _decoder()
    if decode is None or not _suits(layout) or _is_summed_faster(pieces[0], layout):
        return None
    result = decode(_plain_png(pieces, layout))
    if result.error_message:
        return None
    pixels: NDArray[np.uint8] = result.pixbuf
    return pixels if pixels.shape == (layout.height, layout.width, 4) else None


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
    config.quirks = {ImageDecoderQuirks.IGNORE_CHECKSUM: 0}  # which it does unless told
    return lambda file: ImageDecoder(config).decode(file)  # one for each picture: they are not thread-safe


def _suits(layout: Layout) -> bool:
    """Whether nothing of the picture needs more than its rows: no palette's gaps, no key of another depth."""
    plain = layout.depth == 8 and layout.colour in (GRAY, RGB, RGBA) and not layout.interlaced  # noqa: PLR2004 - bits
    return plain and max(layout.width, layout.height) <= _LARGEST_SIDE


def _is_summed_faster(piece: memoryview, layout: Layout) -> bool:
    """Whether the first rows are all filtered by Sub, as OpenCV writes them: libdeflate and NumPy are faster then."""
    [(stride, _)] = layout.passes()
    try:
        rows = zlib.decompressobj().decompress(piece, stride * min(layout.height, _PEEKED_ROWS))
    except zlib.error:
        return True
    return set(rows[::stride]) == {_SUB}


def _plain_png(pieces: Sequence[memoryview], layout: Layout) -> bytes:
    """Return a PNG of header and rows, these in one chunk: what follows their end in that is refused."""
    header = struct.pack(">IIBBBBB", layout.width, layout.height, layout.depth, layout.colour, 0, 0, 0)
    checksum = deflate.crc32(b"IDAT")
    for piece in pieces:
        checksum = deflate.crc32(piece, checksum)
    start = struct.pack(">I4s", sum(map(len, pieces)), b"IDAT")
    end = struct.pack(">I", checksum) + chunk_bytes(b"IEND", b"")
    return b"".join([SIGNATURE, chunk_bytes(b"IHDR", header), start, *pieces, end])
