"""A picture as one row of pixels, and how red, green and blue of two of its pixels differ, at any depth.

Source: https://github.com/mapbox/pixelmatch, releases 7.2.0 and 8.0.0 (ISC): computed here as it is there, rounding
included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.base.derived import full_value, pixel_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import ColourDifference

    Indices = NDArray[np.intp]
    """(n,) or (8, n) positions of pixels, counted row by row from the top left."""
    Values = NDArray[Any]
    """Pixels gathered by indices: one word for each integer pixel, a row of four channels for each float pixel."""
    Colour = tuple[Any, Any, Any]
    """Red, green and blue: three floats, or three ``float64`` arrays of one shape."""

Y = (0.29889531, 0.58662247, 0.11448223)
BLACK: Colour = (0.0, 0.0, 0.0)
WHITE: Colour = (255.0, 255.0, 255.0)


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """A picture as one row of pixels."""

    width: int
    height: int
    values: Values
    dtype: np.dtype[Any]
    opaque: bool
    """Of both pictures."""
    difference: ColourDifference = "oklab"
    """It decides what lies behind pixels that are not opaque when their brightness is compared."""

    @classmethod
    def of(cls, pixels: Pixels, *, opaque: bool, difference: ColourDifference = "oklab") -> Raster:
        """Return (height, width, 4) pixels so, without copying them."""
        height, width = pixels.shape[:2]
        words = pixel_words(pixels)
        values = pixels.reshape(-1, 4) if words is None else words.reshape(-1)
        return cls(width, height, values, pixels.dtype, opaque, difference)

    @property
    def unit(self) -> float:
        """How large one 8-bit level is in this depth."""
        return full_value(self.dtype) / 255

    def channels(self, values: Values) -> NDArray[Any]:
        """Return gathered values as (..., 4) channels."""
        return values if self.dtype.kind == "f" else values.view(self.dtype).reshape(*values.shape, 4)

    def equal(self, values: Values, others: Values) -> NDArray[np.bool_]:
        """Whether gathered pixels are equal in every channel."""
        equal: NDArray[np.bool_] = values == others
        return np.logical_and.reduce(equal, axis=-1) if self.dtype.kind == "f" else equal


def pattern(indices: Indices) -> Colour:
    """Return the colours, 48 or 207, on which pixelmatch 7.2 lays pixels that are not opaque."""
    position = indices * 4
    green = (position / 1.618033988749895).astype(np.int64) % 2
    blue = (position / 2.618033988749895).astype(np.int64) % 2
    return 48.0, 48.0 + 159.0 * green, 48.0 + 159.0 * blue


def difference(one: NDArray[Any], two: NDArray[Any], backdrop: Colour | None, unit: float) -> Colour:
    """Return the differences of red, green and blue in 8-bit levels, laid on the backdrop if there is one.

    The order of the operations is pixelmatch's: on 8-bit values the results are equal to the last bit.
    """
    if backdrop is None:
        differences = [np.subtract(one[..., c], two[..., c], dtype=np.float64) for c in range(3)]
    else:
        full = 255 * unit
        alpha, other_alpha = one[..., 3].astype(np.float64), two[..., 3].astype(np.float64)
        more = alpha - other_alpha
        differences = [
            (one[..., c] * alpha - two[..., c] * other_alpha - backdrop[c] * unit * more) / full for c in range(3)
        ]
    red, green, blue = differences if unit == 1 else [difference / unit for difference in differences]
    return red, green, blue


def luma(difference: Colour) -> NDArray[np.float64]:
    """Return the brightness of colours, or of their differences, in 8-bit levels: Y of YIQ."""
    red, green, blue = difference
    brightness: NDArray[np.float64] = red * Y[0] + green * Y[1] + blue * Y[2]
    return brightness
