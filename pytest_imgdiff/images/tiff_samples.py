"""The samples of a TIFF page: decompressed, un-predicted and put in place.

libtiff is used (through Pillow) for nothing but undoing LZW and PackBits: the blocks are wrapped in a minimal
file whose "pixels" are their plain bytes. What the samples mean is ours, so that nothing is narrowed.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from pytest_imgdiff.images.tiff_layout import DEFLATE, NO_COMPRESSION, TWELVE, TiffLayout
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_HORIZONTAL, _FLOATING_POINT = 2, 3


def read_samples(file: bytes, layout: TiffLayout) -> NDArray[Any]:
    """Return (height, width, samples) in native byte order; samples of 1, 2, 4 and 12 bits as they are.

    Raises:
        UnreadableError: rows are missing or damaged.
    """
    across = -(-layout.width // layout.block_width)
    per_plane = len(layout.blocks) // (layout.samples if layout.planar else 1)
    result = np.empty((layout.height, layout.width, layout.samples), layout.dtype.newbyteorder("="))
    for plane, first in enumerate(range(0, len(layout.blocks), per_plane)):
        blocks = layout.blocks[first : first + per_plane]
        rows = [layout.rows_in(block) for block in range(per_plane)]
        plain = _decompressed(file, layout, blocks, rows)
        channels = slice(plane, plane + 1) if layout.planar else slice(None)
        start = 0
        for block, count in enumerate(rows):
            values = _values(plain[start : start + count], layout)
            start += count
            y, x = block // across * layout.block_height, block % across * layout.block_width
            place = result[y : y + count, x : x + layout.block_width, channels]
            place[...] = values[: place.shape[0], : place.shape[1]]
    return result


def _decompressed(
    file: bytes, layout: TiffLayout, blocks: Sequence[tuple[int, int]], rows: Sequence[int]
) -> NDArray[np.uint8]:
    """Return the plain bytes of the blocks, one below the other: (rows of all, bytes of a row)."""
    if layout.compression == NO_COMPRESSION:
        plain = b"".join(
            _uncompressed(file, block, layout.row_bytes * count, layout.bits)
            for block, count in zip(blocks, rows, strict=True)
        )
    elif layout.compression in DEFLATE:
        plain = b"".join(
            _inflated(file, block, layout.row_bytes * count) for block, count in zip(blocks, rows, strict=True)
        )
    else:
        return _through_libtiff(file, layout, blocks, sum(rows))
    return np.frombuffer(plain, np.uint8).reshape(-1, layout.row_bytes)


def _uncompressed(file: bytes, block: tuple[int, int], size: int, bits: int) -> bytes:
    offset, count = block
    if bits == TWELVE and 3 * count >= 4 * size:  # some writers give each sample two bytes
        raise UnreadableError("damaged: its 12-bit samples are not packed, two in three bytes; save it with 16 bits")
    if count < size:
        raise UnreadableError(f"truncated: {count:,} of {size:,} bytes of a strip or tile are there")
    return file[offset : offset + size]


def _inflated(file: bytes, block: tuple[int, int], size: int) -> bytes:
    offset, count = block
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(file[offset : offset + count], size + 1)
    except zlib.error as error:
        raise UnreadableError(f"damaged: a strip or tile does not inflate ({error})") from None
    if len(plain) != size or not inflater.eof:
        raise UnreadableError(f"truncated or damaged: a strip or tile does not inflate to {size:,} bytes")
    return plain


def _through_libtiff(
    file: bytes, layout: TiffLayout, blocks: Sequence[tuple[int, int]], rows: int
) -> NDArray[np.uint8]:
    wrapped = _as_gray_bytes(file, layout, blocks, rows)
    try:
        with TiffImageFile(io.BytesIO(wrapped)) as picture:
            picture.load()
            return np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableError(f"truncated or damaged: a strip or tile does not decompress ({error})") from None


def _as_gray_bytes(file: bytes, layout: TiffLayout, blocks: Sequence[tuple[int, int]], rows: int) -> bytes:
    """Return a TIFF of 8-bit gray, as wide as a row has bytes, with these blocks as its strips."""
    data = b"".join(file[offset : offset + count] for offset, count in blocks)
    lists_at = 8 + len(data) + (len(data) & 1)
    counts = [count for _, count in blocks]
    offsets = [8 + sum_before for sum_before in np.cumsum([0, *counts[:-1]]).tolist()]
    lists = struct.pack(f"<{len(blocks)}I", *offsets) + struct.pack(f"<{len(blocks)}I", *counts)
    alone = len(blocks) == 1
    tags = (
        (256, layout.row_bytes),
        (257, rows),
        (258, 8),
        (259, layout.compression),
        (262, 1),
        (273, offsets[0] if alone else lists_at),
        (277, 1),
        (278, layout.block_height),
        (279, counts[0] if alone else lists_at + 4 * len(blocks)),
    )
    directory = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, 4, len(blocks) if tag in (273, 279) else 1, value) for tag, value in tags
    )
    header = struct.pack("<2sHI", b"II", 42, lists_at + len(lists))
    return header + data + b"\0" * (len(data) & 1) + lists + directory + struct.pack("<I", 0)


def _values(rows: NDArray[np.uint8], layout: TiffLayout) -> NDArray[Any]:
    """Return one block's samples, (rows, block width, samples in block), in native byte order."""
    count, samples = rows.shape[0], layout.samples_in_block
    if layout.bits < 8:  # noqa: PLR2004 - bits of a byte
        shifts = np.arange(8 - layout.bits, -1, -layout.bits, dtype=np.uint8)
        unpacked: NDArray[np.uint8] = (rows[..., None] >> shifts & np.uint8(2**layout.bits - 1)).reshape(count, -1)
        return unpacked[:, : layout.block_width * samples].reshape(count, layout.block_width, samples)
    if layout.bits == TWELVE:
        return _of_twelve_bits(rows, layout.block_width * samples).reshape(count, layout.block_width, samples)
    if layout.predictor == _FLOATING_POINT:
        return _unpredicted_floats(rows, layout)
    values: NDArray[Any] = rows.reshape(-1).view(layout.dtype).reshape(count, layout.block_width, samples)
    values = values.astype(layout.dtype.newbyteorder("="), copy=False)
    if layout.predictor == _HORIZONTAL:
        return np.cumsum(values, axis=1, dtype=values.dtype)
    return values


def _of_twelve_bits(rows: NDArray[np.uint8], samples: int) -> NDArray[np.uint16]:
    """Return (rows, samples) of rows in which three bytes hold two samples, the first one's highest bits first."""
    whole = np.zeros((rows.shape[0], -(-rows.shape[1] // 3), 3), np.uint16)
    whole.reshape(rows.shape[0], -1)[:, : rows.shape[1]] = rows
    first = whole[..., 0] << 4 | whole[..., 1] >> 4
    second = (whole[..., 1] & 15) << 8 | whole[..., 2]
    return np.stack([first, second], axis=-1).reshape(rows.shape[0], -1)[:, :samples]


def _unpredicted_floats(rows: NDArray[np.uint8], layout: TiffLayout) -> NDArray[Any]:
    """Undo predictor 3: byte differences, with the bytes of all samples sorted by significance."""
    count, samples, size = rows.shape[0], layout.samples_in_block, layout.dtype.itemsize
    summed = np.cumsum(rows.reshape(count, -1, samples), axis=1, dtype=np.uint8)
    together = summed.reshape(count, size, layout.block_width * samples).transpose(0, 2, 1)
    big_endian = np.ascontiguousarray(together).view(f">f{size}")
    native: NDArray[Any] = big_endian.astype(layout.dtype.newbyteorder("="))
    return native.reshape(count, layout.block_width, samples)
