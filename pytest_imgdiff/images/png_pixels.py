"""One PNG picture to RGBA: palettes and tRNS resolved, 16 bit kept.

OpenCV inflates and unfilters, and nothing else: it is given the header and the compressed rows alone, so that
no text, profile or other ancillary chunk reaches libpng. A palette's indices are read as if they were gray.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff.images.container import Raster, full_scale, opaque
from pytest_imgdiff.images.png_chunks import SIGNATURE, chunk_bytes
from pytest_imgdiff.images.png_scanlines import Layout, check_scanlines
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""The colour types of IHDR."""


def decode_rows(
    pieces: Sequence[memoryview], layout: Layout, palette: bytes | None, transparency: bytes | None
) -> Raster:
    """Return the picture whose compressed rows these are.

    Args:
        pieces: the data of the IDAT (or fdAT) chunks in order.
        layout: how the rows are stored.
        palette: the data of PLTE.
        transparency: the data of tRNS.

    Raises:
        UnreadableError: rows are missing or damaged, or an index has no colour in the palette.
    """
    check_scanlines(pieces, layout)
    stored = _unfiltered(pieces, layout)
    if layout.colour == PALETTE:
        return _from_palette(stored, layout, palette or b"", transparency or b"")
    if layout.colour in (GRAY_ALPHA, RGBA):
        return cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA)
    if transparency is None:
        return cv2.cvtColor(stored, cv2.COLOR_GRAY2RGBA if layout.colour == GRAY else cv2.COLOR_BGR2RGBA)
    return _with_key(stored, layout, transparency)


def check_colours(layout: Layout, palette: bytes | None, transparency: bytes | None) -> None:
    """Refuse a PLTE or tRNS chunk that does not fit the header.

    Raises:
        UnreadableError: the chunk is wanting, superfluous, or of a wrong length.
    """
    if layout.colour == PALETTE:
        if palette is None:
            raise UnreadableError("it is a palette picture without a PLTE chunk")
        if len(palette) % 3 or not 1 <= len(palette) // 3 <= 2**layout.depth:
            raise UnreadableError(f"its palette of {len(palette)} bytes does not fit {layout.depth}-bit indices")
        if transparency is not None and len(transparency) > len(palette) // 3:
            raise UnreadableError("its tRNS chunk has more entries than its palette")
    elif transparency is not None:
        wanted = {GRAY: 2, RGB: 6}.get(layout.colour)
        if wanted is None:
            raise UnreadableError("it has a tRNS chunk beside an alpha channel")
        if len(transparency) != wanted:
            raise UnreadableError(f"its tRNS chunk has {len(transparency)} bytes where {wanted} belong")


def _unfiltered(pieces: Sequence[memoryview], layout: Layout) -> NDArray[Any]:
    """Return the samples: (h, w) gray or indices, (h, w, 3) BGR or (h, w, 4) BGRA."""
    colour = GRAY if layout.colour == PALETTE else layout.colour
    header = struct.pack(">IIBBBBB", layout.width, layout.height, layout.depth, colour, 0, 0, layout.interlaced)
    file = b"".join(
        [SIGNATURE, chunk_bytes(b"IHDR", header), chunk_bytes(b"IDAT", b"".join(pieces)), chunk_bytes(b"IEND", b"")]
    )
    stored = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    # A header that libpng does not take (wider than a million pixels, say) gives None, against OpenCV's type hints.
    if stored is None:
        raise UnreadableError("OpenCV does not decode it, though its rows are whole; is it wider than it can be?")
    return stored


def _from_palette(stored: NDArray[Any], layout: Layout, palette: bytes, transparency: bytes) -> Raster:
    # libpng stretches gray of fewer than 8 bits over 0..255.
    indices = stored // (255 // (2**layout.depth - 1))
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    largest = int(indices.max())
    if largest >= len(colours):
        raise UnreadableError(f"palette index {largest} is used, but the palette has {len(colours)} colours")
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    table[: len(transparency), 3] = np.frombuffer(transparency, np.uint8)
    raster: Raster = table[indices]
    return raster


def _with_key(stored: NDArray[Any], layout: Layout, transparency: bytes) -> Raster:
    """Make transparent what has exactly the key's samples: PNG specification, section 11.3.1.1."""
    key = np.array(struct.unpack(f">{len(transparency) // 2}H", transparency), np.int64) & (2**layout.depth - 1)
    if layout.colour == GRAY:
        key *= full_scale(stored.dtype) // (2**layout.depth - 1)
        raster = opaque(stored)
        raster[stored == key[0], 3] = 0
    else:
        raster = opaque(np.ascontiguousarray(stored[..., ::-1]))
        raster[(raster[..., :3] == key.astype(stored.dtype)).all(axis=2), 3] = 0
    return raster
