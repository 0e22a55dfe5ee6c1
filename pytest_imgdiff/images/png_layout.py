"""How a PNG's rows are stored, and whether its colours fit: what its header says, without a pixel or NumPy.

Source: W3C PNG Specification (Third Edition), sections 7, 8 and 11.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import deflate

from pytest_imgdiff.base.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator


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


SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 200_000
"""A bound on the walk; libpng writes one IDAT chunk per 8 kB, so 100 megapixels need fewer than 50,000."""

_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_AT_MOST_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL", b"gAMA", b"iCCP", b"cICP", b"eXIf"})
_BEFORE_IDAT = frozenset({b"PLTE", b"tRNS", b"acTL"})
_LARGEST_LENGTH = 2**31 - 1


class Chunk(NamedTuple):
    """Where a chunk's data lies in the file."""

    type: bytes
    start: int
    length: int

    def data(self, file: bytes) -> bytes:
        """Return the chunk's data."""
        return file[self.start : self.start + self.length]

    def view(self, file: bytes) -> memoryview:
        """Return the chunk's data without copying it."""
        return memoryview(file)[self.start : self.start + self.length]


class ChunkList(NamedTuple):
    """All chunks of a file, in order, IHDR first and IEND last.

    Attributes:
        chunks: every chunk.
        trailing: how many bytes follow IEND.
    """

    chunks: tuple[Chunk, ...]
    trailing: int

    def find(self, kind: bytes) -> Chunk | None:
        """Return the first chunk of this type."""
        return next((chunk for chunk in self.chunks if chunk.type == kind), None)


def list_chunks(file: bytes) -> ChunkList:
    """Walk and check all chunks.

    Raises:
        UnreadableError: a chunk is cut short, damaged, unknown and critical, misplaced, or one is wanting.
    """
    chunks: list[Chunk] = []
    seen: set[bytes] = set()
    for chunk in _walk(file):
        if not chunks and chunk.type != b"IHDR":
            raise UnreadableError(f"its first chunk is {_shown(chunk.type)}, not IHDR")
        _check_order(chunk.type, seen, chunks[-1].type if chunks else b"")
        chunks.append(chunk)
        seen.add(chunk.type)
        if len(chunks) > MOST_CHUNKS:
            raise UnreadableError(f"it has more than {MOST_CHUNKS:,} chunks")
    if b"IDAT" not in seen:
        raise UnreadableError("it has no IDAT chunk: there are no pixels in it")
    end = chunks[-1]
    return ChunkList(tuple(chunks), len(file) - (end.start + end.length + 4))


def chunk_bytes(kind: bytes, data: bytes) -> bytes:
    """Return a whole chunk: length, type, data and CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", deflate.crc32(kind + data))


def _walk(file: bytes) -> Iterator[Chunk]:
    """Yield chunks up to and including IEND, each with its CRC checked."""
    view = memoryview(file)
    at = len(SIGNATURE)
    while True:
        if len(file) - at < 8:  # noqa: PLR2004 - length and type
            raise UnreadableError(f"truncated: it ends at byte {len(file)} without an IEND chunk")
        length, kind = struct.unpack_from(">I4s", file, at)
        if not kind.isalpha() or length > _LARGEST_LENGTH:
            raise UnreadableError(f"damaged: no chunk can start as the bytes at {at} do")
        end = at + 8 + length
        if end + 4 > len(file):
            raise UnreadableError(
                f"truncated: it ends at byte {len(file)}, inside the {_shown(kind)} chunk that begins at byte {at}"
            )
        if deflate.crc32(view[at + 4 : end]) != struct.unpack_from(">I", file, end)[0]:
            raise UnreadableError(f"damaged: wrong CRC in the {_shown(kind)} chunk at byte {at}")
        yield Chunk(kind, at + 8, length)
        if kind == b"IEND":
            return
        at = end + 4


def _check_order(kind: bytes, seen: set[bytes], previous: bytes) -> None:
    if kind == previous == b"IDAT":  # most chunks
        return
    if kind[:1].isupper() and kind not in _CRITICAL:
        raise UnreadableError(f"it needs the critical chunk {_shown(kind)}, which is unknown")
    if kind in seen and kind in _AT_MOST_ONCE:
        raise UnreadableError(f"it has two {_shown(kind)} chunks")
    if kind in _BEFORE_IDAT and b"IDAT" in seen:
        raise UnreadableError(f"misplaced: {_shown(kind)} stands after IDAT")
    if kind == b"PLTE" and b"tRNS" in seen:
        raise UnreadableError("misplaced: tRNS stands before PLTE")
    if kind == b"IDAT" and kind in seen and previous != b"IDAT":
        raise UnreadableError("misplaced: other chunks stand between its IDAT chunks")


def _shown(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
