"""A PNG's compressed rows, inflated whole or refused.

libpng, Pillow and OpenCV fill rows that are missing and go on; here the zlib stream must inflate to exactly the bytes
that the header promises, with a right checksum and filters that exist. libdeflate does so several times as fast as
zlib, and says of a faulty stream no more than that it is one: what is wrong with it is then found with zlib.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import deflate

from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_imgdiff.images.png_layout import Layout

_LAST_FILTER = 4
_FILTERS = bytes(range(_LAST_FILTER + 1))
_MOST_EXPANSION = 1032
"""Bytes that deflate can make of one: RFC 1951 codes a match of 258 bytes in two bits at the least."""
_INPUT_PIECE = 64 * 1024
_OUTPUT_PIECE = 4 * 1024 * 1024


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
    stream = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    size = layout.filtered_size
    if size > _MOST_EXPANSION * len(stream):  # what cannot hold so many rows need not be given room for them
        raise _fault(pieces, layout)
    try:
        rows = deflate.zlib_decompress(stream, size)
    except deflate.DeflateError:
        raise _fault(pieces, layout) from None
    # libdeflate stops at the checksum of the rows; where that is not the stream's end, something follows it.
    whole = len(rows) == size and stream[-4:] == deflate.adler32(rows).to_bytes(4, "big")
    if not whole or any(filters.translate(None, _FILTERS) for filters in _filters(rows, layout)):
        raise _fault(pieces, layout)
    return rows


def _filters(rows: bytearray, layout: Layout) -> Iterator[bytearray]:
    """Yield the filters of the rows of each pass."""
    start = 0
    for stride, count in layout.passes():
        yield rows[start : start + stride * count : stride]
        start += stride * count


def _fault(pieces: Iterable[memoryview], layout: Layout) -> UnreadableError:
    """Inflate the stream in bounded memory, and return what is wrong with it."""
    expected = layout.filtered_size
    filters = _FilterCheck(layout.passes())
    inflater = zlib.decompressobj()
    size = excess = 0
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
                    return UnreadableError("its compressed data holds more rows than its header says")
                filters.feed(rows)
            excess += len(inflater.unused_data)
    except zlib.error as error:
        return UnreadableError(f"damaged: its compressed data does not inflate ({error})")
    cause = "damaged: its compressed data does not inflate"
    if filters.largest > _LAST_FILTER:
        cause = f"damaged: a row has filter {filters.largest}, which PNG has not"
    elif size < expected:
        cause = f"truncated: {size:,} of {expected:,} bytes of its rows are there"
    elif not inflater.eof:
        cause = "truncated: the checksum of its compressed data is missing"
    elif excess:
        cause = f"damaged: {excess:,} bytes follow the end of its compressed rows"
    return UnreadableError(cause)


def _windows(pieces: Iterable[memoryview]) -> Iterator[memoryview]:
    """Cut the input small: zlib copies whatever it could not consume yet."""
    for piece in pieces:
        for start in range(0, len(piece), _INPUT_PIECE):
            yield piece[start : start + _INPUT_PIECE]


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
