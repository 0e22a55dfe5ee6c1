"""TIFF and BigTIFF, one page or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.images.container import Container, Page, Raster, full_scale, opaque
from pytest_imgdiff.images.orientation import checked_orientation
from pytest_imgdiff.images.ranges import check_unit_range
from pytest_imgdiff.images.tiff_directory import Directory, read_directories
from pytest_imgdiff.images.tiff_layout import (
    ASSOCIATED,
    COLOUR_MAP,
    LAYOUT_TAGS,
    PALETTE,
    RGB,
    TWELVE,
    WHITE_IS_ZERO,
    TiffLayout,
    layout_of,
)
from pytest_imgdiff.images.tiff_samples import read_samples
from pytest_imgdiff.images.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

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
