"""What a PNG file says of itself, each chunk of it checked, without a pixel or NumPy."""

from __future__ import annotations

import struct
from typing import NamedTuple

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.png_layout import (
    GRAY_ALPHA,
    PALETTE,
    ChunkList,
    Layout,
    check_colours,
    check_layout,
    list_chunks,
)
from pytest_imgdiff.images.png_scanlines import check_rows

_HEADER = struct.Struct(">IIBBBBB")


class PngStructure(NamedTuple):
    """A PNG file taken apart.

    Attributes:
        file: its bytes.
        chunks: all of its chunks.
        layout: how its rows are stored.
        palette, transparency: the data of PLTE and tRNS.
    """

    file: bytes
    chunks: ChunkList
    layout: Layout
    palette: bytes | None
    transparency: bytes | None

    @property
    def animated(self) -> bool:
        """Whether it announces an animation."""
        return self.chunks.find(b"acTL") is not None

    @property
    def opaque(self) -> bool:
        """Whether nothing in it can be transparent."""
        return self.transparency is None and self.layout.colour < GRAY_ALPHA

    @property
    def rows_tell(self) -> bool:
        """Whether it is sound if its rows are: a palette may lack the colour of an index, and only pixels tell."""
        palette = b"" if self.palette is None else self.palette
        return not self.animated and (self.layout.colour != PALETTE or len(palette) // 3 == 2**self.layout.depth)

    @property
    def pieces(self) -> list[memoryview]:
        """The compressed rows, in the pieces that the IDAT chunks are."""
        return [chunk.view(self.file) for chunk in self.chunks.chunks if chunk.type == b"IDAT"]

    def data(self, kind: bytes) -> bytes | None:
        """Return the data of the first chunk of this type."""
        return _data(self.file, self.chunks, kind)

    def check_rows(self) -> None:
        """Refuse rows that cannot be inflated.

        Raises:
            UnreadableError: rows are missing, superfluous or damaged.
        """
        if CORE is None or CORE.check(self.file) is None:
            check_rows(self.pieces, self.layout)


def read_structure(file: bytes) -> PngStructure:
    """Check every chunk of a PNG file.

    Raises:
        UnreadableError: a chunk is missing, damaged or misplaced, or the header cannot be.
    """
    chunks = list_chunks(file)
    layout = _layout(chunks.chunks[0].data(file))
    palette, transparency = _data(file, chunks, b"PLTE"), _data(file, chunks, b"tRNS")
    check_colours(layout, palette, transparency)
    return PngStructure(file, chunks, layout, palette, transparency)


def _layout(header: bytes) -> Layout:
    if len(header) != _HEADER.size:
        raise UnreadableError(f"its IHDR chunk has {len(header)} bytes where {_HEADER.size} belong")
    width, height, depth, colour, compression, filtering, interlace = _HEADER.unpack(header)
    if compression or filtering or interlace > 1:
        raise UnreadableError("its header names a compression, filter or interlace method that PNG has not")
    layout = Layout(width, height, depth, colour, bool(interlace))
    check_layout(layout)
    return layout


def _data(file: bytes, chunks: ChunkList, kind: bytes) -> bytes | None:
    chunk = chunks.find(kind)
    return None if chunk is None else chunk.data(file)
