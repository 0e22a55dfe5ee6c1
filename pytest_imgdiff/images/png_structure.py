"""Structure of a PNG file, with every chunk checked, and its compressed rows, without pixels or NumPy.

Source: W3C PNG Specification (Third Edition), sections 7 to 11.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence


GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""The colour types of IHDR."""

CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_DEPTHS = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGBA: (8, 16)}
_NAMES = {GRAY: "gray", RGB: "RGB", PALETTE: "palette", GRAY_ALPHA: "gray+alpha", RGBA: "RGBA"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, column step, row step of each pass: section 8.2."""
_LAST_FILTER = 4

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 200_000
"""Maximum number of chunks; libpng writes one IDAT chunk per 8 kB, so 100 megapixels need fewer than 50,000."""

_HEADER = struct.Struct(">IIBBBBB")
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_AT_MOST_ONCE = frozenset({b"IHDR", b"PLTE", b"tRNS", b"acTL", b"gAMA", b"iCCP", b"cICP", b"eXIf"})
_BEFORE_IDAT = frozenset({b"PLTE", b"tRNS", b"acTL"})
_LARGEST_LENGTH = 2**31 - 1


class Layout(NamedTuple):
    """How a PNG's pixels are stored: the fields of IHDR.

    Attributes:
        width, height: Size in pixels.
        depth: Bits per sample or palette index.
        colour: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
        interlaced: Whether Adam7 is used.
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
        """Return the length of a row, its filter byte included, and the number of rows, of each pass."""
        grids = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        bits = self.depth * CHANNELS[self.colour]
        sizes = [(-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in grids]
        return [(1 + (columns * bits + 7) // 8, rows) for columns, rows in sizes if columns > 0 and rows > 0]

    @property
    def filtered_size(self) -> int:
        """Bytes of all rows before compression, filter bytes included."""
        return sum(stride * rows for stride, rows in self.passes())


class Chunk(NamedTuple):
    """Position of a chunk's data in the file."""

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
        chunks: Every chunk.
        trailing: Number of bytes after IEND.
        first: The first chunk of each type.
    """

    chunks: tuple[Chunk, ...]
    trailing: int
    first: dict[bytes, Chunk]

    def find(self, kind: bytes) -> Chunk | None:
        """Return the first chunk of this type."""
        return self.first.get(kind)


class PngStructure(NamedTuple):
    """A parsed PNG file.

    Attributes:
        file: Its bytes.
        chunks: All of its chunks.
        layout: How its rows are stored.
        palette, transparency: The data of PLTE and tRNS.
        checksums: Whether the CRC of each chunk was compared.
    """

    file: bytes
    chunks: ChunkList
    layout: Layout
    palette: bytes | None
    transparency: bytes | None
    checksums: bool

    @property
    def animated(self) -> bool:
        """Whether it announces an animation."""
        return self.chunks.find(b"acTL") is not None

    @property
    def opaque(self) -> bool:
        """Whether no pixel in it can be transparent."""
        return self.transparency is None and self.layout.colour < GRAY_ALPHA

    @property
    def rows_tell(self) -> bool:
        """Whether sound rows make it sound: a palette may lack the colour of an index, which only the pixels show."""
        palette = b"" if self.palette is None else self.palette
        return not self.animated and (self.layout.colour != PALETTE or len(palette) // 3 == 2**self.layout.depth)

    @property
    def pieces(self) -> list[memoryview]:
        """The compressed rows, one piece per IDAT chunk."""
        return [chunk.view(self.file) for chunk in self.chunks.chunks if chunk.type == b"IDAT"]

    def data(self, kind: bytes) -> bytes | None:
        """Return the data of the first chunk of this type."""
        return _data(self.file, self.chunks, kind)

    def check_rows(self) -> None:
        """Reject a file with wrong checksums or with rows that cannot be inflated.

        Raises:
            UnreadableError: A chunk is damaged, or rows are missing, superfluous or damaged.
        """
        if CORE is None or CORE.check(self.file) is None:
            if not self.checksums:
                read_structure(self.file)
            inflate(self.pieces, self.layout)


def read_structure(file: bytes, *, checksums: bool = True) -> PngStructure:
    """Check every chunk of a PNG file.

    Args:
        file: Its bytes.
        checksums: Whether to compare the CRC of each chunk. If false, the caller must read the file with the compiled
            core, which compares them, or call `PngStructure.check_rows`.

    Raises:
        UnreadableError: A chunk is missing, damaged or misplaced, or the header is impossible.
    """
    try:
        chunks = _list_chunks(file, checksums=checksums)
        layout = _layout(chunks.chunks[0].data(file))
        palette, transparency = _data(file, chunks, b"PLTE"), _data(file, chunks, b"tRNS")
        _check_colours(layout, palette, transparency)
    except UnreadableError:
        if checksums:
            raise
        return read_structure(file)  # a wrong CRC says more than the error in the damaged chunk
    return PngStructure(file, chunks, layout, palette, transparency, checksums)


def inflate(pieces: Sequence[memoryview], layout: Layout) -> bytes:
    """Return the filtered rows.

    libpng, Pillow and OpenCV fill missing rows and continue. Here the zlib stream must inflate to exactly the bytes
    that the header specifies, with a correct checksum, existing filters and no data after it.

    Args:
        pieces: The data of the IDAT (or fdAT) chunks in order.
        layout: The required content of the stream.

    Returns:
        ``layout.filtered_size`` bytes: the rows of every pass, each after its filter byte.

    Raises:
        UnreadableError: Rows are missing, superfluous or damaged.
    """
    expected = layout.filtered_size
    inflater = zlib.decompressobj()
    try:
        rows = inflater.decompress(b"".join(pieces), expected + 1)  # one byte too many shows, and takes no more memory
    except zlib.error as error:
        raise UnreadableError(f"damaged: its compressed data does not inflate ({error})") from None
    if len(rows) > expected:
        raise UnreadableError("its compressed data holds more rows than its header says")
    start, largest = 0, 0
    for stride, count in layout.passes():
        end = start + stride * count
        largest = max(largest, max(rows[start:end:stride], default=0))
        start = end
    if largest > _LAST_FILTER:
        raise UnreadableError(f"damaged: a row has filter {largest}, which is invalid")
    if len(rows) < expected:
        raise UnreadableError(f"truncated: {len(rows):,} of {expected:,} bytes of its rows are there")
    if not inflater.eof:
        raise UnreadableError("truncated: the checksum of its compressed data is missing")
    if inflater.unused_data:
        raise UnreadableError(f"damaged: {len(inflater.unused_data):,} bytes follow the end of its compressed rows")
    return rows


def chunk_bytes(kind: bytes, data: bytes) -> bytes:
    """Return a whole chunk: length, type, data and CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _list_chunks(file: bytes, *, checksums: bool) -> ChunkList:
    chunks: list[Chunk] = []
    first: dict[bytes, Chunk] = {}
    previous = b""
    for chunk in _walk(file, checksums=checksums):
        kind = chunk.type
        if not chunks and kind != b"IHDR":
            raise UnreadableError(f"its first chunk is {_shown(kind)}, not IHDR")
        _check_order(kind, first, previous)
        chunks.append(chunk)
        first.setdefault(kind, chunk)
        previous = kind
        if len(chunks) > MOST_CHUNKS:
            raise UnreadableError(f"it has more than {MOST_CHUNKS:,} chunks")
    if b"IDAT" not in first:
        raise UnreadableError("it has no IDAT chunk: there are no pixels in it")
    end = chunks[-1]
    return ChunkList(tuple(chunks), len(file) - (end.start + end.length + 4), first)


def _walk(file: bytes, *, checksums: bool) -> Iterator[Chunk]:
    """Yield chunks up to and including IEND."""
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
        if (checksums or kind == b"IHDR") and zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", file, end)[0]:
            raise UnreadableError(f"damaged: wrong CRC in the {_shown(kind)} chunk at byte {at}")
        yield Chunk(kind, at + 8, length)
        if kind == b"IEND":
            return
        at = end + 4


def _check_order(kind: bytes, seen: Container[bytes], previous: bytes) -> None:
    if kind == previous == b"IDAT":  # most chunks
        return
    if kind[:1].isupper() and kind not in _CRITICAL:
        raise UnreadableError(f"it needs the critical chunk {_shown(kind)}, which is unknown")
    if kind in seen and kind in _AT_MOST_ONCE:
        raise UnreadableError(f"it has two {_shown(kind)} chunks")
    if kind in _BEFORE_IDAT and b"IDAT" in seen:
        raise UnreadableError(f"misplaced: {_shown(kind)} comes after IDAT")
    if kind == b"PLTE" and b"tRNS" in seen:
        raise UnreadableError("misplaced: tRNS stands before PLTE")
    if kind == b"IDAT" and kind in seen:
        raise UnreadableError("misplaced: other chunks stand between its IDAT chunks")


def _layout(header: bytes) -> Layout:
    if len(header) != _HEADER.size:
        raise UnreadableError(f"its IHDR chunk has {len(header)} bytes instead of {_HEADER.size}")
    width, height, depth, colour, compression, filtering, interlace = _HEADER.unpack(header)
    if compression or filtering or interlace > 1:
        raise UnreadableError("its header names a compression, filter or interlace method that PNG has not")
    if not width or not height:
        raise UnreadableError(f"its header says {width} x {height} pixels")
    if depth not in _DEPTHS.get(colour, ()):
        raise UnreadableError(f"its header says colour type {colour} with {depth} bits, which is invalid")
    return Layout(width, height, depth, colour, bool(interlace))


def _check_colours(layout: Layout, palette: bytes | None, transparency: bytes | None) -> None:
    """Reject a PLTE or tRNS chunk that is missing, superfluous or of a wrong length."""
    if layout.colour == PALETTE:
        if palette is None:
            raise UnreadableError("it is a palette image without a PLTE chunk")
        if len(palette) % 3 or not 1 <= len(palette) // 3 <= 2**layout.depth:
            raise UnreadableError(f"its palette of {len(palette)} bytes does not fit {layout.depth}-bit indices")
        if transparency is not None and len(transparency) > len(palette) // 3:
            raise UnreadableError("its tRNS chunk has more entries than its palette")
    elif transparency is not None:
        wanted = {GRAY: 2, RGB: 6}.get(layout.colour)
        if wanted is None:
            raise UnreadableError("it has a tRNS chunk beside an alpha channel")
        if len(transparency) != wanted:
            raise UnreadableError(f"its tRNS chunk has {len(transparency)} bytes instead of {wanted}")


def _data(file: bytes, chunks: ChunkList, kind: bytes) -> bytes | None:
    chunk = chunks.find(kind)
    return None if chunk is None else chunk.data(file)


def _shown(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
