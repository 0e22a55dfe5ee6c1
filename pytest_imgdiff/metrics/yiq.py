"""Colour differences as pixelmatch 7.2 measures them: weighted YIQ, at any depth.

Sources:
    Kotsarenko and Ramos, "Measuring perceived color difference using YIQ NTSC transmission color space in mobile
        applications", 2010.
    https://github.com/mapbox/pixelmatch, release 7.2.0 (ISC). The order of the operations is pixelmatch's, so that the
        results for 8 bits are equal to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.base.derived import full_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[Any]
    """(..., 4): RGBA of some pixels, at their own depth."""
    Indices = NDArray[np.intp]
    """Positions of pixels, counted row by row from the top left of the image."""
    Colour = tuple[Any, Any, Any]
    """Red, green and blue in 8-bit levels: three floats, or three ``float64`` arrays of one shape."""

LARGEST_DELTA = 35215.0
"""The delta of the two colours that differ most, as pixelmatch rounds it."""
BLACK: Colour = (0.0, 0.0, 0.0)
WHITE: Colour = (255.0, 255.0, 255.0)
_Y = (0.29889531, 0.58662247, 0.11448223)
_I = (0.59597799, -0.27417610, -0.32180189)
_Q = (0.21147017, -0.52261711, 0.31114694)
_WEIGHTS = (0.5053, 0.299, 0.1957)
_FORM = np.array(
    [
        [_WEIGHTS[0] * _Y[a] * _Y[b] + _WEIGHTS[1] * _I[a] * _I[b] + _WEIGHTS[2] * _Q[a] * _Q[b] for b in range(3)]
        for a in range(3)
    ]
).astype(np.float32)
"""The delta as a quadratic form of the differences of red, green and blue."""


def pattern(indices: Indices) -> Colour:
    """Return the colours, 48 or 207, on which pixelmatch 7.2 lays pixels that are not opaque."""
    position = indices * 4
    green = (position / 1.618033988749895).astype(np.int64) % 2
    blue = (position / 2.618033988749895).astype(np.int64) % 2
    return 48.0, 48.0 + 159.0 * green, 48.0 + 159.0 * blue


def colour_difference(one: Samples, two: Samples, backdrop: Colour | None) -> Colour:
    """Return the differences of red, green and blue in 8-bit levels, on the backdrop if there is one."""
    unit = full_value(one.dtype) / 255
    if backdrop is None:
        differences = [np.subtract(one[..., c], two[..., c], dtype=np.float64) for c in range(3)]
    else:
        alpha, other_alpha = one[..., 3].astype(np.float64), two[..., 3].astype(np.float64)
        more = alpha - other_alpha
        differences = [
            (one[..., c] * alpha - two[..., c] * other_alpha - backdrop[c] * unit * more) / (255 * unit)
            for c in range(3)
        ]
    red, green, blue = (difference / unit for difference in differences)
    return red, green, blue


def luma(difference: Colour) -> NDArray[np.float64]:
    """Return the brightness of colours, or of their differences, in 8-bit levels: Y of YIQ."""
    red, green, blue = difference
    brightness: NDArray[np.float64] = red * _Y[0] + green * _Y[1] + blue * _Y[2]
    return brightness


def measured(
    one: Samples, two: Samples, indices: Indices, threshold: float, *, opaque: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Measure (n, 4) pixels.

    Args:
        one: pixels of one image.
        two: the same pixels of the other.
        indices: where they are in the image.
        threshold: the largest difference that does not count, as a share of the largest possible.
        opaque: whether all of both images is opaque.

    Returns:
        How strongly each pixel differs, as a share of the largest difference, and whether it is beyond the threshold.
    """
    backdrops = (None,) if opaque else (pattern(indices), BLACK, WHITE)
    delta = np.maximum.reduce([_delta(colour_difference(one, two, backdrop)) for backdrop in backdrops])
    beyond = delta > LARGEST_DELTA * threshold * threshold
    # The compiled core finds the strength, unlike the decision, in single precision.
    strength = _delta_in_single_precision(one, two) if opaque and one.dtype == np.uint8 else delta
    return np.sqrt(strength * (1 / LARGEST_DELTA)), beyond


def _delta(difference: Colour) -> NDArray[np.float64]:
    red, green, blue = difference
    y = luma(difference)
    i = red * _I[0] + green * _I[1] + blue * _I[2]
    q = red * _Q[0] + green * _Q[1] + blue * _Q[2]
    delta: NDArray[np.float64] = _WEIGHTS[0] * y * y + _WEIGHTS[1] * i * i + _WEIGHTS[2] * q * q
    return delta


def _delta_in_single_precision(one: Samples, two: Samples) -> NDArray[np.float32]:
    red, green, blue = (one[:, :3].astype(np.float32) - two[:, :3].astype(np.float32)).T
    delta: NDArray[np.float32] = red * (red * _FORM[0, 0] + green * (2 * _FORM[0, 1]) + blue * (2 * _FORM[0, 2]))
    delta += green * (green * _FORM[1, 1] + blue * (2 * _FORM[1, 2]))
    delta += blue * blue * _FORM[2, 2]
    return delta
