"""One PNG picture to RGBA: palettes and tRNS resolved, 16 bit kept."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pytest_imgdiff.images import png_wuffs
from pytest_imgdiff.images.container import Raster, full_scale, opaque
from pytest_imgdiff.images.png_filters import unfiltered
from pytest_imgdiff.images.png_layout import GRAY, PALETTE, FilteredRows, Layout
from pytest_imgdiff.images.png_scanlines import inflate
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray


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
    return raster_of(inflate(pieces, layout), layout, palette, transparency)


def raster_of(rows: FilteredRows, layout: Layout, palette: bytes | None, transparency: bytes | None) -> Raster:
    """Return the picture whose filtered rows these are.

    Args:
        rows: as `pytest_imgdiff.images.png_scanlines.inflate` returned them.
        layout: how they are stored.
        palette: the data of PLTE.
        transparency: the data of tRNS.

    Raises:
        UnreadableError: an index has no colour in the palette, or the picture is larger than libpng takes.
    """
    if transparency is None and png_wuffs.takes(layout):
        pixels = np.empty((layout.height, layout.width, 4), np.uint8)
        return png_wuffs.unfilter(rows, layout, range(layout.height), pixels)
    stored = unfiltered(rows, layout)
    if layout.colour == PALETTE:
        return _from_palette(stored, layout, palette or b"", transparency or b"")
    if transparency is not None:
        return _with_key(stored, layout, transparency)
    return cv2.cvtColor(stored, cv2.COLOR_GRAY2RGBA) if layout.colour == GRAY else stored


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
        raster = stored
        raster[(raster[..., :3] == key.astype(stored.dtype)).all(axis=2), 3] = 0
    return raster
