"""The chunks of a PNG file, each checked: length, type, CRC, order.

Source: W3C PNG Specification (Third Edition), sections 5 and 11.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import deflate

from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
