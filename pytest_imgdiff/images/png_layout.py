"""How a PNG's rows are stored, and whether its colours fit: what its header says, without a pixel or NumPy.

Source: W3C PNG Specification (Third Edition), sections 7, 8 and 11.
"""

from __future__ import annotations

from typing import NamedTuple

from pytest_imgdiff.images.unreadable import UnreadableError

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""The colour types of IHDR."""

CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGBA: (8, 16)}
_NAMES = {GRAY: "gray", RGB: "RGB", PALETTE: "palette", GRAY_ALPHA: "gray+alpha", RGBA: "RGBA"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, column step, row step of each pass: section 8.2."""

FilteredRows = bytes | bytearray | memoryview
"""Rows as they were inflated, each behind its filter byte."""


class Layout(NamedTuple):
    """How a PNG's pixels are stored: the fields of IHDR.

    Attributes:
        width, height: in pixels.
        depth: bits per sample or palette index.
        colour: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
        interlaced: whether Adam7 is used.
    """

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def mode(self) -> str:
        """Channels and depth in words."""
        return f"{_NAMES[self.colour]} {self.depth}-bit"

    def passes(self) -> list[tuple[int, int]]:
        """Return the length of a row, its filter byte included, and the count of rows, of each pass."""
        grids = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        bits = self.depth * CHANNELS[self.colour]
        sizes = [(-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in grids]
        return [(1 + (columns * bits + 7) // 8, rows) for columns, rows in sizes if columns > 0 and rows > 0]

    @property
    def filtered_size(self) -> int:
        """Bytes of all rows, filter bytes included, before they were compressed."""
        return sum(stride * rows for stride, rows in self.passes())


def check_layout(layout: Layout) -> None:
    """Refuse a header that no PNG has.

    Raises:
        UnreadableError: the picture has no pixels, or a depth that its colour type has not.
    """
    if not layout.width or not layout.height:
        raise UnreadableError(f"its header says {layout.width} x {layout.height} pixels")
    if layout.depth not in _DEPTHS.get(layout.colour, ()):
        raise UnreadableError(
            f"its header says colour type {layout.colour} with {layout.depth} bits, which PNG has not"
        )


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
