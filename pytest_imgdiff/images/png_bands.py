"""The rows of a large PNG, inflated in pieces beside those of another, of which only bands that may differ are kept.

A buffer for all rows takes several times as long as inflating does: the system has to find and clear memory for each
of its pages, and what was written first has left the cache when it is compared.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_imgdiff.base.derived import NEAR, is_core_idle, side_by_side
from pytest_imgdiff.base.memory import return_freed_memory
from pytest_imgdiff.images import png_wuffs
from pytest_imgdiff.images.png_rows import rows_unlike
from pytest_imgdiff.images.png_scanlines import PIECE_BYTES, check_rows, inflated_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels, Rows
    from pytest_imgdiff.images.png_layout import FilteredRows, Layout

    Truths = NDArray[np.bool_]
    Decode = Callable[[FilteredRows, Layout], Rows]
    """From filtered rows, the first of which refers to none above it, and their layout to what gives their pixels."""

_AHEAD = 2
"""Pieces that a thread makes before they are asked for."""
_LARGE = 32 * 1024 * 1024
"""Bytes of rows from which on no buffer for them is used twice: see `pytest_imgdiff.base.memory`."""
_LARGEST_SIDE = 1_000_000
_MOST_PIXELS = 1 << 30
"""What libpng and OpenCV take: larger ones are refused by a try at all of them."""


def is_large(layout: Layout) -> bool:
    """Whether a picture is better read in bands."""
    within = max(layout.width, layout.height) <= _LARGEST_SIDE and layout.width * layout.height <= _MOST_PIXELS
    return layout.filtered_size > _LARGE and within and not layout.interlaced


class BandedRows:
    """The rows of one picture; they serve as `pytest_imgdiff.base.image.Rows`.

    Args:
        pieces: the compressed rows.
        layout: how they are stored; not interlaced.
        decode: makes pixels of some of them.
    """

    def __init__(self, pieces: Sequence[memoryview], layout: Layout, decode: Decode) -> None:
        self.layout = layout
        self.dtype: np.dtype[np.uint8] | np.dtype[np.uint16] = np.dtype(np.uint16 if layout.depth == 16 else np.uint8)  # noqa: PLR2004 - bits
        self._pieces = pieces
        self._decode = decode
        self._bands: list[tuple[int, int, Rows]] = []
        self._beside: tuple[weakref.ref[BandedRows], Truths] | None = None
        self.most_kept: int | None = None
        """Bytes of both pictures' rows that may be kept when they are read together; any number where None."""
        self.sound: bool = False
        """Whether all rows were read once, and none is missing or damaged."""
        self._taking = threading.RLock()

    @property
    def stride(self) -> int:
        """Bytes of a row, its filter among them."""
        return self.layout.passes()[0][0]

    def check(self) -> None:
        """Refuse rows that are missing, superfluous or damaged, unless they were read already.

        Raises:
            UnreadableError: they are.
        """
        if not self.sound:
            check_rows(self._pieces, self.layout)
            self.sound = True

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield whole rows, as many as have about so many bytes; the last piece may be shorter."""
        return inflated_pieces(self._pieces, self.layout, max(1, size // self.stride) * self.stride)

    def take(self, top: int, bottom: int) -> Pixels:
        """Return the rows from ``top`` up to ``bottom``, read-only; those that were not kept are inflated again."""
        with self._taking:
            for first, end, rows in self._bands:
                if first <= top and bottom <= end:
                    return rows.take(top - first, bottom - first)
            if bottom - top > self.layout.height // 2:  # then who asked takes them all, sooner or later
                self._bands = []
                self.keep(0, self._read_all())
            else:
                self.keep(*self._read(top, bottom))
            first, _, rows = self._bands[-1]
            return rows.take(top - first, bottom - first)

    def _read_all(self) -> bytearray:
        rows = bytearray(self.layout.filtered_size)
        start = 0
        for piece in self.pieces(PIECE_BYTES):
            rows[start : start + len(piece)] = piece
            start += len(piece)
        return rows

    def _read(self, top: int, bottom: int) -> tuple[int, bytes]:
        """Return these rows, and those above that they need, and the first one's number."""
        first = start = 0
        kept: list[bytes] = []
        for piece in self.pieces(PIECE_BYTES):
            independent = np.flatnonzero(_are_independent(piece, self.stride, start)) + start
            before = independent[independent <= top]
            if before.size:
                first = int(before[-1])
                kept = [piece[(first - start) * self.stride :]]
            else:
                kept.append(piece)
            start += len(piece) // self.stride
            if start >= bottom:
                break
        return first, b"".join(kept)

    def keep(self, first: int, rows: FilteredRows) -> None:
        """Have these rows at hand, the first of which refers to none above it."""
        height = len(rows) // self.stride
        self._bands.append((first, first + height, self._decode(rows, self.layout._replace(height=height))))

    def unlike(self, other: object) -> Truths | None:
        """Return which rows are not known to be those of another picture; None where there is no telling.

        Raises:
            UnreadableError: either picture's rows, which were not checked before, are missing or damaged.
        """
        if not isinstance(other, BandedRows) or self.layout != other.layout:
            return None
        if self._beside is None or self._beside[0]() is not other:
            self._beside = weakref.ref(other), read_both(self, other, most_kept=self.most_kept)
            self.sound = other.sound = True
        return self._beside[1]


def read_both(
    first: BandedRows, second: BandedRows, size: int = PIECE_BYTES, *, most_kept: int | None = None
) -> Truths:
    """Inflate two pictures of one layout side by side, and have each keep what may differ and `NEAR` rows about it.

    Args:
        first: one picture.
        second: the other.
        size: bytes of rows that are held against each other at once; the answer does not depend on it.
        most_kept: bytes of both; where more would be kept, nothing is, and whoever takes rows has them read again.

    Returns:
        Which rows are not known to be alike.

    Raises:
        UnreadableError: either picture's rows are missing or damaged.
    """
    choice = _Choice(first.stride, most_kept)
    with _ahead(second.pieces(size)) as others:
        for one, other in zip(first.pieces(size), others, strict=True):
            choice.add(one, other)
    if is_core_idle():
        side_by_side(lambda: choice.keep({0: first}), lambda: choice.keep({1: second}))
    else:
        choice.keep({0: first, 1: second})
    return np.concatenate(choice.unlike)


class _Band(NamedTuple):
    """Rows of both pictures that are kept, in pieces, and the number of the first."""

    first: int
    pieces: tuple[list[bytes], list[bytes]]


class _Choice:
    """Chooses, piece by piece, what is kept of two pictures.

    Attributes:
        bands: what is kept; the first row of each refers to none above it.
        unlike: for each piece, which of its rows are not known to be alike.
    """

    def __init__(self, stride: int, most_kept: int | None) -> None:
        self._left = most_kept
        self.bands: list[_Band] = []
        self.unlike: list[Truths] = []
        self._stride = stride
        self._row = 0
        self._settled = True
        self._wanted = 0
        """Rows up to this one are kept, alike or not."""
        self._start: int | None = 0
        """The row to begin with in order to know those to come; None: the one after the last band."""
        self._passed: list[tuple[bytes, bytes]] = []
        """What was not kept, from there on."""
        self._first_passed = 0
        self._starts = np.zeros(0, np.intp)
        """Rows in it that refer to none above them."""

    def add(self, one: bytes, other: bytes) -> None:
        """Take the next rows of both."""
        first, self._row = self._row, self._row + len(one) // self._stride
        independent = _are_independent(one, self._stride, first)
        unlike = rows_unlike(_alike(one, other, self._stride), independent, settled=self._settled)
        self.unlike.append(unlike)
        self._settled = not unlike[-1]
        if unlike.any():
            self._wanted = first + int(np.flatnonzero(unlike)[-1]) + 1 + NEAR
        if first < self._wanted:
            self._keep((one, other))
        else:
            self._passed.append((one, other))
            self._starts = np.concatenate([self._starts, np.flatnonzero(independent) + first])
            self._forget()

    def keep(self, sides: dict[int, BandedRows]) -> None:
        """Have the first picture (0), the second (1) or both keep what was chosen of them.

        By one thread band by band: the pieces of both lie between one another, and room that one of them gives back is
        too small for any other band.
        """
        for band in self.bands:
            for side, rows in sides.items():
                joined = _joined(band.pieces[side])
                band.pieces[side].clear()
                if len(joined) > _LARGE:  # before as much again is taken for the pixels
                    return_freed_memory()
                rows.keep(band.first, joined)

    def _keep(self, pair: tuple[bytes, bytes]) -> None:
        """Keep these rows, and those before them that they need."""
        if self._left is not None:
            self._left -= sum(len(one) + len(other) for one, other in (*self._passed, pair))
            if self._left < 0:
                self.bands = []
                self._start, self._passed, self._first_passed, self._starts = None, [], self._row, self._starts[:0]
                return
        if self._start is not None:
            self.bands.append(_Band(self._start, ([], [])))
        for rows in (*self._passed, pair):
            for pieces, piece in zip(self.bands[-1].pieces, rows, strict=True):
                pieces.append(piece)
        self._start, self._passed, self._first_passed, self._starts = None, [], self._row, self._starts[:0]

    def _forget(self) -> None:
        """Drop what nobody needs in order to know the next row and `NEAR` ones above it."""
        usable = self._starts[self._starts <= max(0, self._row - NEAR)]
        if not usable.size:
            return
        start = int(usable[-1])
        surplus = (start - self._first_passed) * self._stride
        while surplus >= len(self._passed[0][0]):
            surplus -= len(self._passed.pop(0)[0])
        one, other = self._passed[0]
        self._passed[0] = one[surplus:], other[surplus:]
        self._start = self._first_passed = start
        self._starts = self._starts[usable.size - 1 :]


def _joined(pieces: list[bytes]) -> memoryview:
    """Return the pieces as one; bytes would be joined by one thread at a time."""
    return np.concatenate([np.frombuffer(piece, np.uint8) for piece in pieces]).data


def _are_independent(rows: bytes, stride: int, first: int) -> Truths:
    """Return which rows refer to none above them, as every filter does in a picture's first row."""
    independent: Truths = np.frombuffer(rows, np.uint8)[::stride] <= png_wuffs.SUB
    if not first:
        independent[0] = True
    return independent


def _alike(one: bytes, other: bytes, stride: int) -> Truths:
    if one == other:
        return np.ones(len(one) // stride, np.bool_)
    rows, others = (np.frombuffer(piece, np.uint8).reshape(-1, stride) for piece in (one, other))
    alike: Truths = (rows == others).all(axis=1)
    return alike


@contextlib.contextmanager
def _ahead(pieces: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Have another thread make these pieces, a few ahead, where a core is idle."""
    if not is_core_idle():
        yield pieces
        return
    made: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
    wanted = True

    def make() -> None:
        try:
            for piece in pieces:
                made.put(piece)
                if not wanted:
                    return
            made.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where it is heard
            made.put(error)

    def taken() -> Iterator[bytes]:
        while (piece := made.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    thread = threading.Thread(target=make, name="imgdiff-ahead")
    thread.start()
    try:
        yield taken()
    finally:
        wanted = False
        with contextlib.suppress(queue.Empty):  # it may wait for room
            while True:
                made.get_nowait()
        thread.join()
