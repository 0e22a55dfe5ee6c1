"""The rows of a PNG that the compiled core decodes, and of two PNGs that it reads together."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.images.counting import Asked, Counts, count_files
from pytest_imgdiff.images.png_pair import NEAR
from pytest_imgdiff.images.png_structure import PALETTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.images.png_structure import Layout

    Bytes = NDArray[np.uint8]
    Truths = NDArray[np.bool_]
    """(height,)."""

LARGE = 32 * 1024 * 1024
"""Bytes of rows above which an image is checked without keeping its pixels, and decoded in parts."""
_MORE_ROWS = 512
"""Rows of a large image that are decoded before and after the requested rows."""
_ROWS_AT_ONCE = 64
"""Rows that are copied at the same time if they are not adjacent."""
_UNLIMITED = 2**63 - 1


def takes(layout: Layout, transparency: bytes | None) -> bool:
    """Whether the core is available and supports such images, if they are sound."""
    plain = layout.depth == 8 and not layout.interlaced  # noqa: PLR2004 - bits
    return CORE is not None and plain and (transparency is None or layout.colour == PALETTE)


class CoreRows:
    """The rows of one image, as `pytest_imgdiff.base.image.Rows`.

    Args:
        file: The bytes of a PNG for which `takes` is true.
        layout: How its rows are stored.
        reference: Decodes the whole image in Python if the core rejects the file; raises its error.

    Attributes:
        file: Its bytes.
        declined: The pixels of the reference, if the core rejected the file.
        sound: Whether all rows were read once, and none is missing or damaged.
    """

    dtype: np.dtype[np.uint8] = np.dtype(np.uint8)

    def __init__(self, file: bytes, layout: Layout, reference: Callable[[], Pixels]) -> None:
        self.sound: bool = False
        self.file = file
        self.declined: Pixels | None = None
        self._layout = layout
        self._reference = reference
        self._buffer: bytearray | None = None
        self._pixels: Bytes | None = None
        self._done: Truths = np.zeros(layout.height, np.bool_)
        self._lender: CoreRows | None = None
        """The image that has the same rows where this image's own are not decoded."""
        self._beside: tuple[weakref.ref[CoreRows], Truths] | None = None
        self._counts: Counts[Bytes] | None = None
        """The counts of the comparison with that image."""
        self._unread: tuple[weakref.ref[CoreRows], int] | None = None
        """The other image of a counted pair whose rows were not kept, and how many bytes may be kept."""
        self._changing = threading.RLock()

    def check(self) -> None:
        """Reject rows that are missing, superfluous or damaged, unless they were already read.

        Raises:
            UnreadableError: A row is missing, superfluous or damaged.
        """
        with self._changing:
            if self.sound:
                return
            if self._is_large() and CORE is not None:
                if CORE.check(self.file) is None:
                    self.declined = self._reference()
            else:
                self._decode(0, self._layout.height)
            self.sound = True

    def take(self, top: int, bottom: int) -> Pixels:
        """Return the rows from ``top`` up to ``bottom``, read-only."""
        if self._unread is not None:
            (other, most), self._unread = self._unread, None
            if (beside := other()) is not None:
                self._read_beside(beside, most)
        with self._changing:
            if self.declined is None and not self._done[top:bottom].all():
                self._make(top, bottom)
            if self.declined is not None:
                return self.declined[top:bottom]
            rows = self._all_pixels()[top:bottom]
        rows.flags.writeable = False
        return rows

    def unlike(self, other: object, most_kept: int | None = None) -> Truths | None:
        """Return in which rows, (height,), any pixel differs from another image's; None if that is unknown.

        Both files are read once, together, and found sound; if the core rejects a file, the result is None.

        Args:
            other: The rows of the other image, if it has any.
            most_kept: Bytes of both images that may be kept when they are read; unlimited if None.
        """
        if not isinstance(other, CoreRows) or CORE is None or other is self:
            return None
        if self.declined is not None or other.declined is not None:
            return None
        if self._beside is None or self._beside[0]() is not other:
            unlike = self._read_beside(other, _UNLIMITED if most_kept is None else most_kept)
            if unlike is None:
                return None
            self._beside = weakref.ref(other), unlike
        return self._beside[1]

    def _read_beside(self, other: CoreRows, most_kept: int) -> Truths | None:
        if CORE is None:
            raise AssertionError(self._layout)
        found = CORE.compare(self.file, other.file, NEAR, most_kept)
        if found is None:
            return None
        _, _, differs, kept, mine, theirs = found
        self.keep(mine, kept, None)
        other.keep(theirs, differs, self)
        self.sound = other.sound = True
        return np.frombuffer(differs, np.bool_)

    def count(self, other: object, asked: Asked, most_kept: int | None = None) -> Counts[Bytes] | None:
        """Return the counts for this image and another; None if the core rejects a file.

        Both files are read once, together, and found sound. No row is kept: both files are read again when rows are
        requested.

        Args:
            other: The rows of the other image, if it has any.
            asked: What to count.
            most_kept: As in `unlike`, for the second time.
        """
        if not isinstance(other, CoreRows) or other is self:
            return None
        size = self._layout.width, self._layout.height
        counts = count_files(self.file, other.file, size, asked, _zeros)
        if counts is None:
            return None
        rows = np.frombuffer(counts.unlike, np.bool_)
        self.sound = other.sound = True
        self._beside, self._counts = (weakref.ref(other), rows), counts
        if counts.unequal:
            most = _UNLIMITED if most_kept is None else most_kept
            self.postpone(other, most)
            other.postpone(self, most)
        return counts

    def counted(self, other: object) -> Counts[Bytes] | None:
        """Return the counts with another image, if they exist."""
        return self._counts if self._beside is not None and self._beside[0]() is other else None

    def postpone(self, other: CoreRows, most_kept: int) -> None:
        """Read this file and another one together when rows are first requested."""
        self._unread = weakref.ref(other), most_kept

    def keep(self, pixels: bytearray | None, done: bytearray | None, lender: CoreRows | None) -> None:
        """Keep decoded rows; a complete image needs none."""
        self._unread = None
        with self._changing:
            if pixels is None or done is None or self._done.all():
                return
            self._use(pixels)
            self._done = np.frombuffer(done, np.bool_).copy()
            self._lender = lender

    def _make(self, top: int, bottom: int) -> None:
        """Decode these rows, or the whole file with the reference."""
        if self._lender is not None:
            missing = np.flatnonzero(~self._done[top:bottom])
            # Copying whole slices is several times faster than copying single rows.
            first, last = int(missing[0]), int(missing[-1]) + 1
            rows = self._lender.take(top + first, top + last)
            wanted = slice(top + first, top + last)
            if missing.size == last - first:
                self._all_pixels()[wanted] = rows
            else:
                for start in range(0, missing.size, _ROWS_AT_ONCE):  # each row is copied twice
                    part = missing[start : start + _ROWS_AT_ONCE]
                    self._all_pixels()[top + part] = rows[part - first]
            self._done[wanted] = True
            return
        height = self._layout.height
        first, last = max(0, top - _MORE_ROWS), min(height, bottom + _MORE_ROWS)
        if self._is_large() and last - first <= height // 2:
            self._decode(first, last)
        else:
            self._decode(0, height)

    def _is_large(self) -> bool:
        return self._layout.filtered_size > LARGE

    def _decode(self, top: int, bottom: int) -> None:
        if CORE is None:
            raise AssertionError(self._layout)
        if self._buffer is None:
            found = CORE.decode(self.file)
            top, bottom = 0, self._layout.height
        else:
            found = CORE.decode(self.file, self._buffer, top, bottom)
        if found is None:
            self.declined = self._reference()
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


def _zeros(height: int, width: int) -> Bytes:
    return np.zeros((height, width), np.uint8)
