"""A PNG's compressed rows, inflated whole, or in pieces, or refused.

libpng, Pillow and OpenCV fill rows that are missing and go on; here the zlib stream must inflate to exactly the bytes
that the header promises, with a right checksum and filters that exist.

Whole they come from libdeflate, which is fastest where one buffer holds them all, and says of a faulty stream no more
than that it is one. In pieces they come from zlib-ng, which says what is wrong. Of a large picture that is several
times as fast: pieces stay in cache, and for each page of a large buffer the system has to find and clear memory.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import deflate
from zlib_ng import zlib_ng

from pytest_imgdiff.base.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

    from pytest_imgdiff.images.png_layout import Layout

PIECE_BYTES = 1 << 20
"""A piece of each of two pictures stays in a core's own cache, and is worth its calls."""
_LAST_FILTER = 4
_FILTERS = bytes(range(_LAST_FILTER + 1))
_MOST_EXPANSION = 1032
"""Bytes that deflate can make of one: RFC 1951 codes a match of 258 bytes in two bits at the least."""
_INPUT_PIECE = 128 * 1024
_CHECKED_BYTES = 256 * 1024
"""A piece that is only looked at; it comes from memory that the process has already."""
_WORTH_PIECES = 4 * 1024 * 1024
_EXPANDED = 4
"""So many bytes of rows that were compressed to a quarter at the most are checked in pieces sooner than whole. What was
hardly compressed takes zlib-ng longer than libdeflate and a new buffer together."""


def inflate(pieces: Sequence[memoryview], layout: Layout) -> bytearray:
    """Return the filtered rows.

    Args:
        pieces: the data of the IDAT (or fdAT) chunks in order.
        layout: what the stream must hold.

    Returns:
        ``layout.filtered_size`` bytes: the rows of every pass, each behind its filter byte.

    Raises:
        UnreadableError: rows are missing, superfluous or damaged.
    """
    stream = _joined(pieces)
    size = layout.filtered_size
    if size > _MOST_EXPANSION * len(stream):  # what cannot hold so many rows need not be given room for them
        _refuse(pieces, layout)
    try:
        rows = deflate.zlib_decompress(stream, size)
    except deflate.DeflateError:
        _refuse(pieces, layout)
    # libdeflate stops at the checksum of the rows; where that is not the stream's end, something follows it.
    whole = len(rows) == size and stream[-4:] == deflate.adler32(rows).to_bytes(4, "big")
    if not whole or any(filters.translate(None, _FILTERS) for filters in _filters(rows, layout)):
        _refuse(pieces, layout)
    return rows


def check_rows(pieces: Sequence[memoryview], layout: Layout) -> None:
    """Refuse what `inflate` refuses; the rows are dropped.

    Raises:
        UnreadableError: rows are missing, superfluous or damaged.
    """
    size = layout.filtered_size
    if size < max(_WORTH_PIECES, _EXPANDED * sum(map(len, pieces))):
        inflate(pieces, layout)
    else:
        for _ in inflated_pieces(pieces, layout, _CHECKED_BYTES):
            pass


def inflated_pieces(pieces: Sequence[memoryview], layout: Layout, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yield the filtered rows in pieces of ``size`` bytes, the last of which may be shorter.

    Whoever takes them up to the end knows that they are those of a sound picture.

    Args:
        pieces: the data of the IDAT (or fdAT) chunks in order.
        layout: what the stream must hold.
        size: of each piece.

    Raises:
        UnreadableError: rows are missing, superfluous or damaged.
    """
    expected = layout.filtered_size
    filters = _FilterCheck(layout.passes())
    inflater = zlib_ng.decompressobj()
    windows = _windows(memoryview(_joined(pieces)))
    done = 0
    try:
        for rows in _inflated(inflater, windows, size):
            done += len(rows)
            if done > expected:
                raise UnreadableError("its compressed data holds more rows than its header says")
            filters.feed(rows)
            if len(rows) < size and done < expected:
                break  # what is cut short is no piece
            yield rows
    except zlib_ng.error as error:  # type: ignore[misc] # its stub calls the class an instance
        raise UnreadableError(f"damaged: its compressed data does not inflate ({error})") from None
    excess = len(inflater.unused_data) + sum(map(len, windows))
    if filters.largest > _LAST_FILTER:
        raise UnreadableError(f"damaged: a row has filter {filters.largest}, which PNG has not")
    if done < expected:
        raise UnreadableError(f"truncated: {done:,} of {expected:,} bytes of its rows are there")
    if not inflater.eof:
        raise UnreadableError("truncated: the checksum of its compressed data is missing")
    if excess:
        raise UnreadableError(f"damaged: {excess:,} bytes follow the end of its compressed rows")


def _inflated(inflater: zlib_ng._Decompress, windows: Iterator[memoryview], size: int) -> Iterator[bytes]:
    """Yield what comes out, in pieces of one size but for the last, and take no window beyond the stream's end."""
    parts: list[bytes] = []
    missing = size
    nothing = memoryview(b"")  # where all is consumed, something may still be held back
    for window in itertools.chain(windows, [nothing]):
        rest: memoryview | bytes = window
        while not inflater.eof:
            part = inflater.decompress(rest, missing)
            rest = inflater.unconsumed_tail
            parts.append(part)
            missing -= len(part)
            if missing:
                break
            yield b"".join(parts)
            parts, missing = [], size
        if inflater.eof:
            break
    if missing < size:
        yield b"".join(parts)


def _filters(rows: bytearray, layout: Layout) -> Iterator[bytearray]:
    """Yield the filters of the rows of each pass."""
    start = 0
    for stride, count in layout.passes():
        yield rows[start : start + stride * count : stride]
        start += stride * count


def _refuse(pieces: Sequence[memoryview], layout: Layout) -> NoReturn:
    """Say what is wrong with a stream that is faulty."""
    for _ in inflated_pieces(pieces, layout, 256 * 1024):
        pass
    raise UnreadableError("damaged: its compressed data does not inflate")


def _joined(pieces: Sequence[memoryview]) -> memoryview | bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _windows(stream: memoryview) -> Iterator[memoryview]:
    """Cut the input small: zlib copies whatever it could not consume yet."""
    return (stream[start : start + _INPUT_PIECE] for start in range(0, len(stream), _INPUT_PIECE))


class _FilterCheck:
    """Looks at the first byte of every row as the rows stream by.

    Attributes:
        largest: the largest filter so far.
    """

    def __init__(self, passes: Sequence[tuple[int, int]]) -> None:
        self.largest = 0
        self._passes = iter(passes)
        self._stride = 1
        self._left = 0
        self._until_filter = 0

    def feed(self, rows: bytes) -> None:
        while rows:
            if not self._left:
                self._stride, count = next(self._passes)
                self._left = self._stride * count
                self._until_filter = 0
            part, rows = rows[: self._left], rows[self._left :]
            self.largest = max(self.largest, max(part[self._until_filter :: self._stride], default=0))
            self._left -= len(part)
            self._until_filter = (self._until_filter - len(part)) % self._stride
