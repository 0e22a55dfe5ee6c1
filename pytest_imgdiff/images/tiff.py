"""TIFF and BigTIFF, one page or several."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, checked_orientation, full_scale, opaque
from pytest_imgdiff.images.source import check_unit_range
from pytest_imgdiff.images.tiff_tags import (
    ASSOCIATED,
    COLOUR_MAP,
    DEFLATE,
    LAYOUT_TAGS,
    NO_COMPRESSION,
    PALETTE,
    RGB,
    TWELVE,
    WHITE_IS_ZERO,
    Directory,
    TiffLayout,
    layout_of,
    read_directories,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


_ORIENTATION, _ICC_PROFILE = 274, 34675
_EIGHT_BIT_STEP = 257
"""A 16-bit colour map entry that stands for an 8-bit one is its byte twice, 257 times its value."""


def open_tiff(file: bytes) -> Container:
    """Read the directories of a TIFF file and return what it says of itself.

    Raises:
        UnreadableError: it is cut short or damaged, or of a variant that is not read.
    """
    directories = read_directories(file, LAYOUT_TAGS | {_ORIENTATION, _ICC_PROFILE})
    layouts = [layout_of(directory, len(file)) for directory in directories]
    pages: list[Page] = []
    notes: set[str] = set()
    for directory, layout in zip(directories, layouts, strict=True):
        orientation, note = checked_orientation(directory.one(_ORIENTATION, 1))
        notes |= {note} if note else set()
        pages.append(Page(layout.width, layout.height, layout.mode, orientation, directory.data(_ICC_PROFILE)))

    def decode(indices: Sequence[int]) -> Iterator[Raster]:
        for index in indices:
            yield _decoded(file, directories[index], layouts[index])

    return Container("TIFF", pages, decode, notes=tuple(sorted(notes)))


def _decoded(file: bytes, directory: Directory, layout: TiffLayout) -> Raster:
    samples = read_samples(file, layout)
    if layout.photometric == PALETTE:
        return _from_colour_map(samples[..., 0], directory.tags[COLOUR_MAP])
    if layout.kind == "f":
        if samples.dtype == np.float16:
            samples = samples.astype(np.float32)
        check_unit_range(samples)
    full: float = 1 if layout.kind == "f" else 2**layout.bits - 1
    colours = 3 if layout.photometric == RGB else 1
    if layout.photometric == WHITE_IS_ZERO:
        samples[..., :1] = samples.dtype.type(full) - samples[..., :1]
    if layout.bits < 8:  # noqa: PLR2004 - bits of a byte
        samples *= np.uint8(255 // full)
    if layout.bits == TWELVE:
        samples = _of_sixteen_bits(samples)
    raster = opaque(samples[..., :3] if colours == 3 else samples[..., 0])  # noqa: PLR2004 - red, green, blue
    if layout.alpha:
        raster[..., 3] = samples[..., colours]
    if layout.alpha == ASSOCIATED:
        _unpremultiply(raster)
    return raster


def _of_sixteen_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return 0..4095 stretched over 0..65535, rounded to the nearest."""
    wide = np.multiply(samples, 65535, dtype=np.uint32)
    wide += 2047
    wide //= 4095
    return wide.astype(np.uint16)


def _from_colour_map(indices: NDArray[Any], colour_map: tuple[int, ...]) -> Raster:
    """Return the colours, in 16 bit where 8 do not hold them."""
    table = np.array(colour_map, np.uint16).reshape(3, -1).T
    if (table % _EIGHT_BIT_STEP == 0).all():
        table = (table // _EIGHT_BIT_STEP).astype(np.uint8)
    elif (table & 255 == 0).all():
        table = (table >> 8).astype(np.uint8)
    raster: Raster = opaque(table[None])[0][indices]
    return raster


def _unpremultiply(raster: Raster) -> None:
    """Divide colour by alpha, rounded to the nearest; where alpha is 0 there is no colour."""
    alpha = raster[..., 3:]
    if (raster[..., :3] > alpha).any():
        raise UnreadableError("damaged: its alpha is said to be multiplied in, but a colour exceeds its alpha")
    straight = (
        raster[..., :3].astype(np.float64) * full_scale(raster.dtype) / np.maximum(alpha, np.finfo(np.float64).tiny)
    )
    raster[..., :3] = np.where(alpha > 0, np.rint(straight) if raster.dtype.kind == "u" else straight, 0)
