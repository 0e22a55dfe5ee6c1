"""What every format says of its file before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_imgdiff.image import Rows

Raster = NDArray[Any]
"""(height, width, 4) straight RGBA of uint8, uint16, float32 or float64, freshly allocated."""


@dataclass(frozen=True, slots=True)
class Page:
    """One frame or page, as stored.

    Attributes:
        width, height: in pixels, before the orientation is applied.
        mode: channels and depth, such as ``RGB 8-bit``.
        orientation: the EXIF orientation to apply, 1 to 8.
        icc: the embedded ICC profile.
        opaque: true where nothing in it can be transparent.
        duration: how long this frame of an animation is shown, in milliseconds, as stored; None for anything else.
    """

    width: int
    height: int
    mode: str
    orientation: int = 1
    icc: bytes | None = None
    opaque: bool = False
    duration: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Container:
    """A file whose headers were read and whose structure was checked.

    Attributes:
        format: ``PNG``, ``JPEG``, ...
        pages: its frames or pages, in order; at least one.
        decode: yields the rasters of the pages with these indices (ascending), in that order.
        rows: returns what decodes the one page that there is row by row, as rows are asked for; or None where it must
            be decoded as a whole.
        check: refuses what decoding would refuse, at a fraction of its cost; None where only decoding can tell.
        cumulative: a frame builds on those before it, so that these are decoded too.
        gamma: the PNG gAMA value.
        cicp: the PNG cICP value, as in `pytest_imgdiff.image.ImageInfo`.
        loops: how often an animation is played, 0 for ever; None where the file does not say.
        whole: opens the same file with all of its pictures, where `pages` holds only the one that every viewer shows.
        notes: what the reader should know.
    """

    format: str
    pages: Sequence[Page]
    decode: Callable[[Sequence[int]], Iterator[Raster]]
    rows: Callable[[], Rows | None] = lambda: None
    check: Callable[[], None] | None = None
    cumulative: bool = False
    gamma: float | None = None
    cicp: str | None = None
    loops: int | None = None
    whole: Callable[[], Container] | None = None
    notes: tuple[str, ...] = ()


def opaque(colour: Raster) -> Raster:
    """Return (height, width, 3) RGB or (height, width) gray as RGBA with full alpha."""
    height, width = colour.shape[:2]
    raster = np.empty((height, width, 4), colour.dtype)
    raster[..., :3] = colour if colour.ndim == 3 else colour[..., None]  # noqa: PLR2004 - an axis of channels
    raster[..., 3] = full_scale(colour.dtype)
    return raster


def full_scale(dtype: np.dtype[Any]) -> int:
    """Return the value of full intensity: the integer's maximum, or 1 for floats."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def normal(raster: Raster, *, opaque: bool = False) -> Raster:
    """Return the raster contiguous and read-only, without the colour that full transparency hides."""
    pixels = np.ascontiguousarray(raster)
    if not opaque:
        hidden = pixels[..., 3] == 0
        if hidden.any():
            pixels[hidden] = 0
    pixels.setflags(write=False)
    return pixels
