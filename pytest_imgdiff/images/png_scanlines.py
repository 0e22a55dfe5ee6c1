"""Whether a PNG's compressed rows are all there, without keeping them.

libpng, Pillow and OpenCV fill rows that are missing and go on; here the zlib stream must inflate, in bounded
memory, to exactly the bytes that the header promises, with a right checksum and filters that exist.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_COLOUR_NAMES = {0: "gray", 2: "RGB", 3: "palette", 4: "gray+alpha", 6: "RGBA"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, column step, row step of each pass: PNG specification, section 8.2."""
_LAST_FILTER = 4
_INPUT_PIECE = 64 * 1024
_OUTPUT_PIECE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Layout:
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

    def __post_init__(self) -> None:
        if not self.width or not self.height:
            raise UnreadableError(f"its header says {self.width} x {self.height} pixels")
        if self.depth not in _DEPTHS.get(self.colour, ()):
            raise UnreadableError(
                f"its header says colour type {self.colour} with {self.depth} bits, which PNG has not"
            )

    @property
    def mode(self) -> str:
        """Channels and depth in words."""
        return f"{_COLOUR_NAMES[self.colour]} {self.depth}-bit"

    def passes(self) -> list[tuple[int, int]]:
        """Return the length of a row, its filter byte included, and the count of rows, of each pass."""
        grids = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        bits = self.depth * _CHANNELS[self.colour]
        sizes = [(-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in grids]
        return [(1 + (columns * bits + 7) // 8, rows) for columns, rows in sizes if columns > 0 and rows > 0]


def check_scanlines(pieces: Iterable[memoryview], layout: Layout) -> None:
    """Inflate the stream and discard it.

    Args:
        pieces: the data of the IDAT (or fdAT) chunks in order.
        layout: what the stream must hold.

    Raises:
        UnreadableError: rows are missing, superfluous or damaged.
    """
    passes = layout.passes()
    expected = sum(stride * rows for stride, rows in passes)
    filters = _FilterCheck(passes)
    inflater = zlib.decompressobj()
    size = 0
    excess = 0
    try:
        for piece in _windows(pieces):
            if inflater.eof:
                excess += len(piece)
                continue
            rest: memoryview | bytes = piece
            while rest and not inflater.eof:
                rows = inflater.decompress(rest, _OUTPUT_PIECE)
                rest = inflater.unconsumed_tail
                size += len(rows)
                if size > expected:
                    raise UnreadableError("its compressed data holds more rows than its header says")
                filters.feed(rows)
            excess += len(inflater.unused_data)
    except zlib.error as error:
        raise UnreadableError(f"damaged: its compressed data does not inflate ({error})") from None
    if size < expected:
        raise UnreadableError(f"truncated: {size:,} of {expected:,} bytes of its rows are there")
    if not inflater.eof:
        raise UnreadableError("truncated: the checksum of its compressed data is missing")
    if excess:
        raise UnreadableError(f"damaged: {excess:,} bytes follow the end of its compressed rows")


def _windows(pieces: Iterable[memoryview]) -> Iterator[memoryview]:
    """Cut the input small: zlib copies whatever it could not consume yet."""
    for piece in pieces:
        for start in range(0, len(piece), _INPUT_PIECE):
            yield piece[start : start + _INPUT_PIECE]


class _FilterCheck:
    """Looks at the first byte of every row as the rows stream by."""

    def __init__(self, passes: list[tuple[int, int]]) -> None:
        self._passes = iter(passes)
        self._stride = 1
        self._left = 0
        self._until_filter = 0

    def feed(self, rows: bytes) -> None:
        view = np.frombuffer(rows, np.uint8)
        while view.size:
            if not self._left:
                self._stride, count = next(self._passes)
                self._left = self._stride * count
                self._until_filter = 0
            part, view = view[: self._left], view[self._left :]
            filters = part[self._until_filter :: self._stride]
            if filters.size and filters.max() > _LAST_FILTER:
                raise UnreadableError(f"damaged: a row has filter {filters.max()}, which PNG has not")
            self._left -= part.size
            self._until_filter = (self._until_filter - part.size) % self._stride
