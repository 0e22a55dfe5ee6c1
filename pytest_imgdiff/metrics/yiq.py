"""Colour differences as pixelmatch 7.2 measures them: squared differences in YIQ, weighted, at any depth.

Sources:
    Kotsarenko and Ramos, "Measuring perceived color difference using YIQ NTSC transmission color space in mobile
        applications", 2010.
    https://github.com/mapbox/pixelmatch, release 7.2.0 (ISC): as it is computed here, rounding included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff.metrics.raster import BLACK, WHITE, Y, difference, luma, pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.metrics.opaque_smoothing import Words
    from pytest_imgdiff.metrics.raster import Colour, Indices, Raster

LARGEST_DELTA = 35215.0
"""The delta of the two colours that differ most, as pixelmatch rounds it."""
_I = (0.59597799, -0.27417610, -0.32180189)
_Q = (0.21147017, -0.52261711, 0.31114694)
_WEIGHTS = (0.5053, 0.299, 0.1957)
_FORM = np.array(
    [
        [_WEIGHTS[0] * Y[a] * Y[b] + _WEIGHTS[1] * _I[a] * _I[b] + _WEIGHTS[2] * _Q[a] * _Q[b] for b in range(3)]
        for a in range(3)
    ]
)
"""The delta as a quadratic form of the differences of red, green and blue; a product of matrices may be rounded
differently on another machine."""
_STEEPEST = float(np.linalg.eigvalsh(_FORM)[-1])


def largest_harmless_step(threshold: float, raster: Raster) -> float:
    """Return the largest channel difference, in the depth's own unit, that cannot make a delta beyond the threshold."""
    levels = float(np.sqrt(_limit(threshold) / (3 * _STEEPEST))) * (1 - 1e-5)
    if not raster.opaque:
        levels /= 2  # laid on a backdrop, a pixel changes by its colour's difference and its alpha's
    return levels * raster.unit


def measured(first: Raster, second: Raster, indices: Indices, threshold: float) -> tuple[NDArray[Any], Indices]:
    """Measure some pixels.

    Returns:
        How strongly each differs, as a share of the largest difference, (n,), and which differ by more than the
        threshold, as indices into these n.
    """
    deltas, beyond = _deltas(first, second, indices, _limit(threshold))
    return np.sqrt(deltas * (1 / LARGEST_DELTA)), beyond


def _limit(threshold: float) -> float:
    return LARGEST_DELTA * threshold * threshold


def _deltas(first: Raster, second: Raster, indices: Indices, limit: float) -> tuple[NDArray[Any], Indices]:
    """Return the (n,) deltas of the pixels, and which of them are beyond the limit; rounding never decides that."""
    gathered, others = first.values.take(indices, axis=0), second.values.take(indices, axis=0)
    if first.opaque and first.dtype == np.uint8:
        deltas = _rounded_deltas(gathered, others)
        beyond = deltas > np.float32(limit)
        margin = 1e-3 * limit + 1e-3
        near = np.flatnonzero((deltas >= np.float32(limit - margin)) & (deltas <= np.float32(limit + margin)))
        one, two = first.channels(gathered[near]), second.channels(others[near])
        beyond[near] = _delta(difference(one, two, None, first.unit)) > limit
        return deltas, np.flatnonzero(beyond)  # NumPy takes places sooner than truths
    one, two = first.channels(gathered), second.channels(others)
    if first.opaque:
        exact = _delta(difference(one, two, None, first.unit))
    else:
        exact = _largest_delta(one, two, indices, first.unit)
    return exact, np.flatnonzero(exact > limit)


def _rounded_deltas(one: Words, two: Words) -> NDArray[np.float32]:
    """Return the (n,) deltas of opaque pixels in single precision, good to one part in 100,000."""
    red, green, blue = (_level_difference(one, two, bits) for bits in (0, 8, 16))
    form = _FORM.astype(np.float32)
    deltas: NDArray[np.float32] = red * (red * form[0, 0] + green * (2 * form[0, 1]) + blue * (2 * form[0, 2]))
    deltas += green * (green * form[1, 1] + blue * (2 * form[1, 2]))
    deltas += blue * blue * form[2, 2]
    return deltas


def _level_difference(one: Words, two: Words, bits: int) -> NDArray[np.float32]:
    levels, others = ((words >> np.uint32(bits)) & np.uint32(255) for words in (one, two))
    difference: NDArray[np.float32] = (levels - others).view(np.int32).astype(np.float32)  # it may be below 0
    return difference


def _largest_delta(one: NDArray[Any], two: NDArray[Any], indices: Indices, unit: float) -> NDArray[np.float64]:
    backdrops = (pattern(indices), BLACK, WHITE)
    deltas = [_delta(difference(one, two, backdrop, unit)) for backdrop in backdrops]
    largest: NDArray[np.float64] = np.maximum.reduce(deltas)
    return largest


def _delta(difference: Colour) -> NDArray[np.float64]:
    red, green, blue = difference
    y = luma(difference)
    i = red * _I[0] + green * _I[1] + blue * _I[2]
    q = red * _Q[0] + green * _Q[1] + blue * _Q[2]
    delta: NDArray[np.float64] = _WEIGHTS[0] * y * y + _WEIGHTS[1] * i * i + _WEIGHTS[2] * q * q
    return delta
