"""The rows of a PNG, inflated and checked, of which pixels are made when they are asked for.

Two screenshots of one page have most of their rows in common, and common rows are told by their bytes, before they are
unfiltered. Only what differs, and what is looked at, has to become pixels.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff.images import png_wuffs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.images.container import Raster
    from pytest_imgdiff.images.png_layout import FilteredRows, Layout

    Pixels = NDArray[np.uint8]
    Truths = NDArray[np.bool_]
    """(height,)."""

_SAMPLED = 64
"""So many rows tell whether two pictures have rows in common."""
_WORTH_LOOKING = 8
"""One of so many rows must be common: to look for fewer takes longer than to make pixels of them."""
_BLOCK_BYTES = 1 << 18
_SHORTEST_ROW = 256
"""To look at each of many rows that have fewer bytes takes longer than to make pixels of them all."""


class StoredRows:
    """The rows of one picture that Wuffs takes; they serve as `pytest_imgdiff.base.image.Rows`.

    Args:
        rows: all filtered rows, as `pytest_imgdiff.images.png_scanlines.inflate` returned them.
        layout: how they are stored.

    Attributes:
        filtered: the filtered rows, as long as there are any of which no pixels were made.
        layout: how they are stored.
    """

    dtype: np.dtype[np.uint8] = np.dtype(np.uint8)
    sound = True

    def __init__(self, rows: FilteredRows, layout: Layout) -> None:
        self.filtered: FilteredRows | None = rows
        self.layout = layout
        self._opaque = png_wuffs.is_opaque(layout)
        self._filters = bytes(rows[:: len(rows) // layout.height])
        self._pixels: Pixels = np.empty((layout.height, layout.width, 4), np.uint8)  # no memory before it is written
        self._done = np.zeros(layout.height, np.bool_)
        self._taking = threading.Lock()

    def check(self) -> None:
        """Do nothing: inflating checked them."""

    def take(self, top: int, bottom: int) -> Pixels:
        """Return the rows from ``top`` up to ``bottom``: (bottom - top, width, 4), read-only."""
        with self._taking:
            done = self._done[top:bottom]
            if not done.all():
                missing = np.flatnonzero(~done)
                self._make(top + int(missing[0]), top + int(missing[-1]) + 1)
        rows = self._pixels[top:bottom]
        rows.flags.writeable = False
        return rows

    def _make(self, top: int, bottom: int) -> None:
        if self.filtered is None:
            raise AssertionError(top)
        span = range(self._start(top), bottom)
        self._pixels = png_wuffs.unfilter(self.filtered, self.layout, span, self._pixels)
        made: Pixels = self._pixels[span.start : span.stop]
        if not self._opaque:
            made[(made[:, :, 3] == 0)] = 0  # colour that nobody can see is no difference
        self._done[span.start : span.stop] = True
        if self._done.all():
            self.filtered = None

    def _start(self, top: int) -> int:
        """Return where to begin in order to know a row: at the nearest one that refers to no other, or is referred to.

        Made rows may lack the colour that full transparency hides, and cannot be referred to then.
        """
        starts = [self._filters.rfind(kind, 0, top + 1) for kind in range(png_wuffs.SUB + 1)]
        if self._opaque and self._done[:top].any():
            starts.append(int(np.flatnonzero(self._done[:top])[-1]) + 1)
        return max(0, *starts)

    def unlike(self, other: object) -> Truths | None:
        """Return which rows are not known to be those of another picture; None where there is no telling.

        A row is known to be the same where both are filtered alike to the same bytes and, if these refer to the row
        above, that one is known to be the same.
        """
        if not isinstance(other, StoredRows) or self.layout != other.layout:
            return None
        mine, theirs = self.filtered, other.filtered
        if mine is None or theirs is None or len(mine) < _SHORTEST_ROW * self.layout.height:
            return None
        if not _have_common_rows(mine, theirs, self.layout.height):
            return None
        one, two = (np.frombuffer(rows, np.uint8).reshape(self.layout.height, -1) for rows in (mine, theirs))
        alike = _alike(one, two)
        independent = np.frombuffer(self._filters, np.uint8) <= png_wuffs.SUB
        independent[0] = True
        return rows_unlike(alike, independent)


class RasterRows:
    """Rows whose pixels were made all at once; they serve as `pytest_imgdiff.base.image.Rows`.

    Args:
        raster: (height, width, 4), in the normal form.
    """

    sound = True

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self.dtype: np.dtype[Any] = raster.dtype

    def check(self) -> None:
        """Do nothing: there could be no pixels of what is damaged."""

    def take(self, top: int, bottom: int) -> Raster:
        """Return the rows from ``top`` up to ``bottom``."""
        return self._raster[top:bottom]

    def unlike(self, _other: object) -> None:
        """Return None: pixels tell no more of rows than whoever compares them finds."""


def _have_common_rows(mine: FilteredRows, theirs: FilteredRows, height: int) -> bool:
    stride = len(mine) // height
    places = [row * stride for row in range(0, height, -(-height // _SAMPLED))]
    enough = -(-len(places) // _WORTH_LOOKING)
    common = (at for at in places if mine[at : at + stride] == theirs[at : at + stride])
    return len(list(itertools.islice(common, enough))) == enough


def _alike(mine: Pixels, theirs: Pixels) -> Truths:
    """Return which rows have equal bytes."""
    alike = np.ones(len(mine), np.bool_)
    count = max(1, _BLOCK_BYTES // mine.shape[1])
    for start in range(0, len(mine), count):
        block = slice(start, start + count)
        if cv2.norm(mine[block], theirs[block], cv2.NORM_INF):
            alike[block] = (mine[block] == theirs[block]).all(axis=1)
    return alike


def rows_unlike(alike: Truths, independent: Truths, *, settled: bool = True) -> Truths:
    """Return which of some rows of two pictures are not known to hold equal pixels.

    Args:
        alike: which of them have equal bytes.
        independent: which of them, if they are alike, refer to no row above.
        settled: whether the row above the first is known to be the same.
    """
    row = np.arange(len(alike))
    unlike: Truths = _latest(row, alike & independent, -1) <= _latest(row, ~alike, -2 if settled else -1)
    return unlike


def _latest(row: NDArray[np.intp], true: Truths, before: int) -> NDArray[np.intp]:
    """Return, for each row, the last one up to it for which something is true, or what stands for those before."""
    latest: NDArray[np.intp] = np.maximum.accumulate(np.where(true, row, before))
    return latest
