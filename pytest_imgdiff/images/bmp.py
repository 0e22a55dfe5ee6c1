"""BMP: uncompressed images, read with NumPy.

Source: Microsoft, "Bitmap Header Types" (BITMAPCOREHEADER to BITMAPV5HEADER). The fourth byte of a 32-bit pixel is
alpha only if the header has an alpha mask; otherwise it is padding, whatever its value.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.base.errors import UnreadableError
from pytest_imgdiff.images.container import Container, Page, Raster, opaque

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

_FILE_HEADER = 14
_CORE_HEADER, _INFO_HEADER, _V3_HEADER = 12, 40, 56
_HEADERS = (_CORE_HEADER, _INFO_HEADER, 52, _V3_HEADER, 64, 108, 124)
_PLAIN, _MASKS, _MASKS_WITH_ALPHA = 0, 3, 6
_COMPRESSIONS_REFUSED = {1: "RLE8", 2: "RLE4", 4: "JPEG", 5: "PNG"}
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_DEEPEST_MASK = 8
_PADDING_NOTE = "its header names no alpha: the fourth byte of its pixels is not compared"


@dataclass(frozen=True, slots=True)
class _Layout:
    width: int
    height: int
    bits: int
    top_down: bool
    masks: tuple[int, ...]
    palette: bytes
    palette_entry: int
    pixels_at: int

    @property
    def stride(self) -> int:
        """Bytes of a row, padded to four."""
        return (self.width * self.bits + 31) // 32 * 4


def open_bmp(file: bytes) -> Container:
    """Read the headers of a BMP file and return its description.

    Raises:
        UnreadableError: It is truncated, damaged or compressed.
    """
    try:
        layout = _layout(file)
    except struct.error:
        raise UnreadableError("truncated: it ends inside its header") from None
    end = layout.pixels_at + layout.stride * layout.height
    if end > len(file):
        raise UnreadableError(f"truncated: {len(file):,} of {end:,} bytes are there")
    kind = "palette" if layout.bits <= 8 else "RGBA" if layout.masks[3] else "RGB"  # noqa: PLR2004 - bits of an index
    page = Page(layout.width, layout.height, f"{kind} {layout.bits if kind == 'palette' else 8}-bit")

    def decode(_: Sequence[int]) -> Iterator[Raster]:
        yield _decoded(file, layout)

    notes = (_PADDING_NOTE,) if layout.bits == 32 and not layout.masks[3] else ()  # noqa: PLR2004 - bits of a pixel
    return Container("BMP", (page,), decode, notes=notes)


def _layout(file: bytes) -> _Layout:
    pixels_at, header = struct.unpack_from("<II", file, 10)
    if header not in _HEADERS:
        raise UnreadableError(f"its header of {header} bytes is not of a known BMP version")
    compression = colours = 0
    if header == _CORE_HEADER:
        width, height, planes, bits = struct.unpack_from("<HHHH", file, _FILE_HEADER + 4)
    else:
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", file, _FILE_HEADER + 4)
        (colours,) = struct.unpack_from("<I", file, _FILE_HEADER + 32)
    if compression not in (_PLAIN, _MASKS, _MASKS_WITH_ALPHA):
        name = _COMPRESSIONS_REFUSED.get(compression, f"compression {compression}")
        raise UnreadableError(f"{name} in a BMP is not supported; save it uncompressed or as PNG")
    if planes != 1 or bits not in (1, 4, 8, 16, 24, 32) or width <= 0 or not height:
        raise UnreadableError(f"damaged: its header says {width} x {height} pixels, {bits} bits, {planes} planes")
    masks = _masks(file, header, bits, compression)
    entry = 3 if header == _CORE_HEADER else 4
    palette_at = _FILE_HEADER + header
    palette_size = entry * min(colours or 2**bits, 2**bits) if bits <= 8 else 0  # noqa: PLR2004 - bits of an index
    palette = file[palette_at : palette_at + palette_size]
    if pixels_at < palette_at + palette_size or len(palette) != palette_size:
        raise UnreadableError("truncated or damaged: its palette does not fit between its header and its pixels")
    return _Layout(width, abs(height), bits, height < 0, masks, palette, entry, pixels_at)


def _masks(file: bytes, header: int, bits: int, compression: int) -> tuple[int, ...]:
    """Return the masks of red, green, blue and alpha; an alpha mask of 0 means that there is no alpha."""
    if compression == _PLAIN:
        return _DEFAULT_MASKS.get(bits, (0, 0, 0, 0))
    if bits not in _DEFAULT_MASKS:
        raise UnreadableError(f"damaged: it has colour masks for {bits}-bit pixels")
    has_alpha = header >= _V3_HEADER or compression == _MASKS_WITH_ALPHA
    masks = struct.unpack_from("<4I" if has_alpha else "<3I", file, _FILE_HEADER + _INFO_HEADER)
    if any(mask.bit_count() > _DEEPEST_MASK for mask in masks):
        raise UnreadableError(
            f"BMP with more than {_DEEPEST_MASK} bits per channel is not supported; save it as 16-bit PNG"
        )
    if not all(masks[:3]) or any(not _is_one_run(mask) or mask >> bits for mask in masks):
        raise UnreadableError("damaged: its colour masks cannot be")
    return (*masks, 0)[:4]


def _is_one_run(mask: int) -> bool:
    return mask == 0 or (mask // (mask & -mask) + 1).bit_count() == 1


def _decoded(file: bytes, layout: _Layout) -> Raster:
    rows = np.frombuffer(file, np.uint8, layout.stride * layout.height, layout.pixels_at)
    rows = rows.reshape(layout.height, layout.stride)
    if not layout.top_down:
        rows = rows[::-1]
    if layout.bits <= 8:  # noqa: PLR2004 - bits of an index
        return _from_palette(rows, layout)
    if layout.bits == 24:  # noqa: PLR2004 - blue, green, red
        return opaque(rows[:, : layout.width * 3].reshape(layout.height, layout.width, 3)[..., ::-1])
    unit = np.dtype("<u2" if layout.bits == 16 else "<u4")  # noqa: PLR2004 - bits
    words = np.ascontiguousarray(rows).view(unit)[:, : layout.width]
    channels = [_channel(words, mask) for mask in layout.masks[: 4 if layout.masks[3] else 3]]
    colour = np.stack(channels, axis=2)
    return colour if layout.masks[3] else opaque(colour)


def _channel(words: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """Return one channel scaled to 0..255, rounded to the nearest integer."""
    lowest = mask & -mask
    largest = mask // lowest
    levels = (np.arange(largest + 1) * 255 + largest // 2) // largest
    stretched: NDArray[np.uint8] = levels.astype(np.uint8)[(words & mask) // lowest]
    return stretched


def _from_palette(rows: NDArray[np.uint8], layout: _Layout) -> Raster:
    per_byte = 8 // layout.bits
    shifts = np.arange(per_byte - 1, -1, -1, dtype=np.uint8) * np.uint8(layout.bits)
    indices = (rows[..., None] >> shifts & np.uint8(2**layout.bits - 1)).reshape(layout.height, -1)[:, : layout.width]
    colours = np.frombuffer(layout.palette, np.uint8).reshape(-1, layout.palette_entry)[:, 2::-1]
    largest = int(indices.max())
    if largest >= len(colours):
        raise UnreadableError(f"palette index {largest} is used, but the palette has {len(colours)} colours")
    table = opaque(colours[None])[0]
    raster: Raster = table[indices]
    return raster
