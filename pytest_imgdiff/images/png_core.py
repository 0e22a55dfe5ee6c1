"""The rows of a PNG that the compiled core decodes, and those of two PNGs that it reads side by side."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import NEAR
from pytest_imgdiff.images.png_bands import is_large
from pytest_imgdiff.images.png_layout import PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels, Rows
    from pytest_imgdiff.images.png_layout import Layout

    Bytes = NDArray[np.uint8]
    Truths = NDArray[np.bool_]
    """(height,)."""

_MOST = 2**63 - 1
_MORE_ROWS = 512
"""Rows of a large picture that are decoded on either side of those that were asked for."""


def takes(layout: Layout, transparency: bytes | None) -> bool:
    """Whether the core is there and takes such pictures, if they are sound."""
    plain = layout.depth == 8 and not layout.interlaced  # noqa: PLR2004 - bits
    return CORE is not None and plain and (transparency is None or layout.colour == PALETTE)


class CoreRows:
    """The rows of one picture; they serve as `pytest_imgdiff.base.image.Rows`.

    Args:
        file: the bytes of a PNG of which `takes` is true.
        layout: how its rows are stored.
        reference: returns its rows by Python, for a file that the core declines; raises what is wrong with it.

    Attributes:
        file: its bytes.
        declined: its rows by Python, where the core declined the file.
        most_kept: bytes of both pictures that may be kept when two are read side by side; any number where None.
        sound: whether all rows were read once, and none is missing or damaged.
    """

    dtype: np.dtype[np.uint8] = np.dtype(np.uint8)

    def __init__(self, file: bytes, layout: Layout, reference: Callable[[], Rows]) -> None:
        self.most_kept: int | None = None
        self.sound: bool = False
        self.file = file
        self._layout = layout
        self._reference = reference
        self.declined: Rows | None = None
        self._buffer: bytearray | None = None
        self._pixels: Bytes | None = None
        self._done: Truths = np.zeros(layout.height, np.bool_)
        self._lender: CoreRows | None = None
        """Who has the same rows where this picture's own are not done."""
        self._beside: tuple[weakref.ref[CoreRows], Truths] | None = None
        self._changing = threading.RLock()

    def check(self) -> None:
        """Refuse rows that are missing, superfluous or damaged, unless they were read already.

        Raises:
            UnreadableError: they are.
        """
        with self._changing:
            if self.sound:
                return
            if is_large(self._layout) and CORE is not None:
                if CORE.check(self.file) is None:
                    self._decline()
            else:
                self._decode(0, self._layout.height)
            self.sound = True

    def take(self, top: int, bottom: int) -> Pixels:
        """Return the rows from ``top`` up to ``bottom``, read-only."""
        with self._changing:
            if self.declined is None and not self._done[top:bottom].all():
                self._make(top, bottom)
            if self.declined is not None:
                return self.declined.take(top, bottom)
            rows = self._all_pixels()[top:bottom]
        rows.flags.writeable = False
        return rows

    def unlike(self, other: object) -> Truths | None:
        """Return in which rows, (height,), any pixel differs from another picture's; None where there is no telling."""
        if not isinstance(other, CoreRows) or CORE is None or other is self:
            return None
        if self.declined is not None or other.declined is not None:
            return None
        if self._beside is None or self._beside[0]() is not other:
            most = _MOST if self.most_kept is None else self.most_kept
            found = CORE.compare(self.file, other.file, NEAR, most)
            if found is None:
                return None
            _, _, differs, kept, mine, theirs = found
            unlike = np.frombuffer(differs, np.bool_)
            self.keep(mine, kept, None)
            other.keep(theirs, differs, self)
            self.sound = other.sound = True
            self._beside = weakref.ref(other), unlike
        return self._beside[1]

    def keep(self, pixels: bytearray | None, done: bytearray | None, lender: CoreRows | None) -> None:
        """Take rows that were decoded; a picture that is whole needs none."""
        with self._changing:
            if pixels is None or done is None or self._done.all():
                return
            self._use(pixels)
            self._done = np.frombuffer(done, np.bool_).copy()
            self._lender = lender

    def _make(self, top: int, bottom: int) -> None:
        """Have these rows done, or the file declined."""
        if self._lender is not None:
            missing = np.flatnonzero(~self._done[top:bottom])
            # Whole slices are copied several times as fast as single rows.
            first, last = int(missing[0]), int(missing[-1]) + 1
            rows = self._lender.take(top + first, top + last)
            wanted = slice(top + first, top + last)
            if missing.size == last - first:
                self._all_pixels()[wanted] = rows
            else:
                self._all_pixels()[top + missing] = rows[missing - first]
            self._done[wanted] = True
            return
        height = self._layout.height
        first, last = max(0, top - _MORE_ROWS), min(height, bottom + _MORE_ROWS)
        if is_large(self._layout) and last - first <= height // 2:
            self._decode(first, last)
        else:
            self._decode(0, height)

    def _decode(self, top: int, bottom: int) -> None:
        if CORE is None:
            raise AssertionError(self._layout)
        if self._buffer is None:
            found = CORE.decode(self.file)
            top, bottom = 0, self._layout.height
        else:
            found = CORE.decode(self.file, self._buffer, top, bottom)
        if found is None:
            self._decline()
            return
        if self._buffer is None:
            self._use(found[2])
        self._done[top:bottom] = True

    def _use(self, buffer: bytearray) -> None:
        self._buffer = buffer
        self._pixels = np.frombuffer(buffer, np.uint8).reshape(self._layout.height, self._layout.width, 4)

    def _all_pixels(self) -> Bytes:
        if self._pixels is None:
            raise AssertionError(self._layout)
        return self._pixels

    def _decline(self) -> None:
        rows = self._reference()
        if not rows.sound:
            rows.check()
        self.declined = rows
