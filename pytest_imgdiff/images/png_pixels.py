"""One PNG picture to RGBA: palettes and tRNS resolved, 16 bit kept."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import cv2
import deflate
import numpy as np

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images import png_wuffs
from pytest_imgdiff.images.container import Raster, full_scale, opaque
from pytest_imgdiff.images.png_layout import (
    CHANNELS,
    GRAY,
    GRAY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    SIGNATURE,
    FilteredRows,
    Layout,
    chunk_bytes,
)
from pytest_imgdiff.images.png_scanlines import inflate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]


_NO_FILTER, _SUB = 0, 1
_STRIP_BYTES = 4 * 1024 * 1024
"""Rows that are transposed, summed and transposed back together: they stay in the last cache."""
_WORTH_PIECES = 32 * 1024 * 1024
"""Bytes of rows from which on libpng gets them in pieces."""
_PIECE_BYTES = 4 * 1024 * 1024
_BLOCK = 32
"""Columns that are summed one by one before the sums of whole blocks are added."""
_STORED_BLOCK = 65_535
"""Most bytes of a stored block: RFC 1951, section 3.2.4."""


def unfiltered(rows: FilteredRows, layout: Layout) -> NDArray[Any]:
    """Return the samples that these rows hold.

    Args:
        rows: what `pytest_imgdiff.images.png_scanlines.inflate` returned.
        layout: how they are stored.

    Returns:
        (height, width) gray or palette indices, those of fewer than 8 bits stretched over 0..255; or (height, width, 4)
        RGBA, which RGB and gray with alpha become too; of uint8 or uint16.

    Raises:
        UnreadableError: the picture is larger than libpng takes.
    """
    filters = set() if layout.interlaced or layout.depth != 8 else _kinds(rows, layout)  # noqa: PLR2004 - bits
    if layout.colour == GRAY_ALPHA or filters not in ({_NO_FILTER}, {_SUB}):
        if len(rows) > _WORTH_PIECES and layout.depth >= 8 and not layout.interlaced:  # noqa: PLR2004 - bits
            return unfiltered_in_pieces(rows, layout)
        file = _uncompressed_png(rows, layout)
        del rows  # a picture's worth of memory, while libpng makes two more
        return _by_libpng(file, layout)
    stored = np.frombuffer(rows, np.uint8).reshape(layout.height, -1)[:, 1:]
    return _by_strips(stored.reshape(layout.height, layout.width, -1), summed=filters == {_SUB})


def _kinds(rows: FilteredRows, layout: Layout) -> set[int]:
    stride, _ = layout.passes()[0]
    return set(rows[::stride])


def _by_strips(stored: Bytes, *, summed: bool) -> Bytes:
    """Return the samples; ``summed``: running sums along each row, modulo 256, a channel at a time (9.2, Sub).

    A sum along a row is a chain of additions; over columns of many rows each of them is one vector addition. So
    strips of rows are turned on their side and back.
    """
    height, width, channels = stored.shape
    samples = np.empty((height, width) if channels == 1 else (height, width, 4), np.uint8)
    rows = max(1, _STRIP_BYTES // (width * channels))
    for top in range(0, height, rows):
        strip = np.ascontiguousarray(stored[top : top + rows])
        if summed:
            columns = _transposed(strip)
            _sum_down(columns.reshape(width, -1))
            strip = _transposed(columns)
        if channels == CHANNELS[RGB]:
            strip = np.asarray(cv2.cvtColor(strip, cv2.COLOR_RGB2RGBA), np.uint8)
        samples[top : top + rows] = strip[..., 0] if channels == 1 else strip
    return samples


def _transposed(strip: Bytes) -> Bytes:
    """Return (a, b, channels) as (b, a, channels), contiguous."""
    a, b, channels = strip.shape
    return np.asarray(cv2.transpose(strip), np.uint8).reshape(b, a, channels)


def _sum_down(columns: Bytes) -> None:
    """Replace each row of a matrix by the sum of itself and all rows above it, modulo 256."""
    whole = len(columns) // _BLOCK * _BLOCK
    blocks = columns[:whole].reshape(-1, _BLOCK, columns.shape[1])
    for row in range(1, _BLOCK):
        np.add(blocks[:, row], blocks[:, row - 1], out=blocks[:, row])
    for block in range(1, len(blocks)):
        np.add(blocks[block, -1], blocks[block - 1, -1], out=blocks[block, -1])
    np.add(blocks[1:, :-1], blocks[:-1, -1:], out=blocks[1:, :-1])
    for row in range(max(whole, 1), len(columns)):
        np.add(columns[row], columns[row - 1], out=columns[row])


def unfiltered_in_pieces(rows: FilteredRows, layout: Layout, size: int = _PIECE_BYTES) -> NDArray[Any]:
    """Have libpng unfilter some rows at a time: whole it would take three times the memory of the picture.

    Each piece but the first begins with the row above it, as it is without a filter.

    Args:
        rows: as in `unfiltered`.
        layout: how they are stored: not interlaced, 8 or 16 bits a channel.
        size: bytes of a piece; the result does not depend on it.
    """
    stride, _ = layout.passes()[0]
    count = max(1, size // stride)
    above = b""
    samples: NDArray[Any] | None = None
    view = memoryview(rows)
    for top in range(0, layout.height, count):
        bottom = min(top + count, layout.height)
        piece = above + bytes(view[top * stride : bottom * stride])
        height = bottom - top + (1 if above else 0)
        stored = _stored(_uncompressed_png(piece, layout._replace(height=height)))
        found = _as_rgba(stored, layout)
        if samples is None:
            samples = np.empty((layout.height, *found.shape[1:]), found.dtype)
        samples[top:bottom] = found[height - (bottom - top) :]
        above = b"\0" + _raw(stored[-1], layout)
    if samples is None:
        raise AssertionError(layout)
    return samples


def _raw(row: NDArray[Any], layout: Layout) -> bytes:
    """Return the bytes that a row from OpenCV has in the file, where no filter is applied to it."""
    channels = {GRAY_ALPHA: [0, 3], RGB: [2, 1, 0], RGBA: [2, 1, 0, 3]}.get(layout.colour)
    values = row if channels is None else row[:, channels]
    return values.astype(values.dtype.newbyteorder(">")).tobytes()


def _by_libpng(file: Bytes, layout: Layout) -> NDArray[Any]:
    return _as_rgba(_stored(file), layout)


def _stored(file: Bytes) -> NDArray[Any]:
    """Have OpenCV's libpng unfilter, and nothing else: no text, profile or other ancillary chunk reaches it."""
    # Palette indices are read as if they were gray.
    stored = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    # A header that libpng does not take (wider than a million pixels, say) gives None, against OpenCV's type hints.
    if stored is None:
        raise UnreadableError("OpenCV does not decode it, though its rows are whole; is it wider than it can be?")
    return stored


def _as_rgba(stored: NDArray[Any], layout: Layout) -> NDArray[Any]:
    if layout.colour in (GRAY, PALETTE):
        return stored
    return cv2.cvtColor(stored, cv2.COLOR_BGR2RGBA if layout.colour == RGB else cv2.COLOR_BGRA2RGBA)


def _uncompressed_png(rows: FilteredRows, layout: Layout) -> Bytes:
    """Return a PNG whose zlib stream (RFC 1950) is stored blocks only."""
    colour = GRAY if layout.colour == PALETTE else layout.colour
    header = struct.pack(">IIBBBBB", layout.width, layout.height, layout.depth, colour, 0, 0, layout.interlaced)
    blocks, rest = divmod(len(rows), _STORED_BLOCK)
    size = 2 + len(rows) + 5 * (blocks + 1) + 4
    head = b"".join([SIGNATURE, chunk_bytes(b"IHDR", header), struct.pack(">I4s", size, b"IDAT"), b"\x78\x01"])
    tail = deflate.adler32(rows).to_bytes(4, "big")
    end = chunk_bytes(b"IEND", b"")
    file = np.empty(len(head) - 2 + size + 4 + len(end), np.uint8)
    file[: len(head)] = np.frombuffer(head, np.uint8)
    source = np.frombuffer(rows, np.uint8)
    at = len(head)
    full = file[at : at + blocks * (_STORED_BLOCK + 5)].reshape(blocks, _STORED_BLOCK + 5)
    full[:, :5] = np.frombuffer(struct.pack("<BHH", 0, _STORED_BLOCK, 0), np.uint8)
    full[:, 5:] = source[: blocks * _STORED_BLOCK].reshape(blocks, _STORED_BLOCK)
    at += full.size
    last = struct.pack("<BHH", 1, rest, rest ^ 0xFFFF)
    file[at : at + 5] = np.frombuffer(last, np.uint8)
    file[at + 5 : at + 5 + rest] = source[blocks * _STORED_BLOCK :]
    at += 5 + rest
    file[at : at + 4] = np.frombuffer(tail, np.uint8)
    at += 4
    checksum = deflate.crc32(file[len(head) - 6 : at].data)
    file[at:] = np.frombuffer(checksum.to_bytes(4, "big") + end, np.uint8)
    return file


def decode_rows(
    pieces: Sequence[memoryview], layout: Layout, palette: bytes | None, transparency: bytes | None
) -> Raster:
    """Return the picture whose compressed rows these are.

    Args:
        pieces: the data of the IDAT (or fdAT) chunks in order.
        layout: how the rows are stored.
        palette: the data of PLTE.
        transparency: the data of tRNS.

    Raises:
        UnreadableError: rows are missing or damaged, or an index has no colour in the palette.
    """
    return raster_of(inflate(pieces, layout), layout, palette, transparency)


def raster_of(rows: FilteredRows, layout: Layout, palette: bytes | None, transparency: bytes | None) -> Raster:
    """Return the picture whose filtered rows these are.

    Args:
        rows: as `pytest_imgdiff.images.png_scanlines.inflate` returned them.
        layout: how they are stored.
        palette: the data of PLTE.
        transparency: the data of tRNS.

    Raises:
        UnreadableError: an index has no colour in the palette, or the picture is larger than libpng takes.
    """
    if transparency is None and png_wuffs.takes(layout):
        pixels = np.empty((layout.height, layout.width, 4), np.uint8)
        return png_wuffs.unfilter(rows, layout, range(layout.height), pixels)
    stored = unfiltered(rows, layout)
    if layout.colour == PALETTE:
        return _from_palette(stored, layout, palette or b"", transparency or b"")
    if transparency is not None:
        return _with_key(stored, layout, transparency)
    return cv2.cvtColor(stored, cv2.COLOR_GRAY2RGBA) if layout.colour == GRAY else stored


def _from_palette(stored: NDArray[Any], layout: Layout, palette: bytes, transparency: bytes) -> Raster:
    # libpng stretches gray of fewer than 8 bits over 0..255.
    indices = stored // (255 // (2**layout.depth - 1))
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    largest = int(indices.max())
    if largest >= len(colours):
        raise UnreadableError(f"palette index {largest} is used, but the palette has {len(colours)} colours")
    table = np.full((len(colours), 4), 255, np.uint8)
    table[:, :3] = colours
    table[: len(transparency), 3] = np.frombuffer(transparency, np.uint8)
    raster: Raster = table[indices]
    return raster


def _with_key(stored: NDArray[Any], layout: Layout, transparency: bytes) -> Raster:
    """Make transparent what has exactly the key's samples: PNG specification, section 11.3.1.1."""
    key = np.array(struct.unpack(f">{len(transparency) // 2}H", transparency), np.int64) & (2**layout.depth - 1)
    if layout.colour == GRAY:
        key *= full_scale(stored.dtype) // (2**layout.depth - 1)
        raster = opaque(stored)
        raster[stored == key[0], 3] = 0
    else:
        raster = stored
        raster[(raster[..., :3] == key.astype(stored.dtype)).all(axis=2), 3] = 0
    return raster
