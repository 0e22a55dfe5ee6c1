"""Colours of pixels in a space with perceptual distances: how far apart they are, and which mapping changes them.

The compiled core does the work if it is available; the code next to each call is its reference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import full_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Colours = NDArray[np.float32]
    """(height, width, 4): luma, two chromas and opacity, scaled so that distances are shares of black to white."""

UNMAPPED, MAPPED, COLOURS = 0.12, 0.6, 0.35
"""Limits for a recoloured region: the maximum share of its variance that a mapping of colours leaves, the minimum
share of the difference that it explains, and the maximum number of colours as a share of its pixels."""
KEPT = 0.6
"""Minimum mean share of the pixels of a changed colour that changed: a dashed line keeps half of its colour."""
FLAT_COLOURS = 1e-5
"""Colours with less variance are flat: a mapping has nothing to explain there."""
STEPS_OF_COLOUR = 40
"""Steps between black and white; colours that differ by less than one step count as one."""

_WEIGHTS = np.sqrt(np.array([0.5053, 0.299, 0.1957])) * (255 / math.sqrt(35215))
_YIQ = np.array(
    [
        [0.29889531, 0.58662247, 0.11448223],
        [0.59597799, -0.27417610, -0.32180189],
        [0.21147017, -0.52261711, 0.31114694],
    ]
)
"""Y. Kotsarenko and F. Ramos, "Measuring perceived color difference using YIQ NTSC transmission color space in mobile
applications", 2010, with the weights of their distance."""
OF_PREMULTIPLIED = tuple(
    np.array([*(_YIQ * _WEIGHTS[:, np.newaxis]).flat, _WEIGHTS[0]], np.float32).astype(float).tolist()
)
"""Three weights of each plane of colour, and that of opacity: from premultiplied RGBA. Over black a colour is its
premultiplied one, over white that plus (1 - opacity): a difference over either is visible in these four planes."""


def colours_of(rows: NDArray[Any], columns: slice) -> Colours:
    """Return the colours of these columns, and of every n-th row at the same step."""
    step = columns.step
    scale = float(np.float32(1 / full_value(rows.dtype)))
    if CORE is not None and rows.dtype == np.uint8:
        size = len(range(columns.start, columns.stop, step)), -(-len(rows) // step)
        found = CORE.colours(rows, rows.shape[1], columns.start, *size, step, scale, OF_PREMULTIPLIED)
        if found is not None:
            return np.frombuffer(found, np.float32).reshape(size[1], size[0], 4)
    values = rows[::step, columns].astype(np.float32)
    values *= np.float32(scale)
    values[..., :3] *= values[..., 3:]
    weights = np.array(OF_PREMULTIPLIED, np.float32)
    planes = [
        values[..., 0] * weights[at] + values[..., 1] * weights[at + 1] + values[..., 2] * weights[at + 2]
        for at in (0, 3, 6)
    ]
    return np.stack([*planes, values[..., 3] * weights[9]], axis=-1)


def apart_from(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.float32]:
    """Return the distances between colours; the second argument has as many colours, or one."""
    if CORE is not None and (two.size == 4 or two.shape == one.shape):  # noqa: PLR2004 - one colour
        found = CORE.apart(np.ascontiguousarray(one), np.ascontiguousarray(two))
        if found is not None:
            return np.frombuffer(found, np.float32).reshape(one.shape[:-1])
    difference = one - two
    difference *= difference
    distance: NDArray[np.float32] = np.sqrt(
        (difference[..., 0] + difference[..., 1]) + (difference[..., 2] + difference[..., 3])
    )
    return distance


def commonest(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the most common of (n, 4) colours; near colours are counted together."""
    if CORE is not None:
        found = CORE.commonest(np.ascontiguousarray(colours), 64)
        if found is not None:
            return np.array(found, np.float32)
    steps = np.rint(colours * 64).astype(np.int64)
    keys, counts = np.unique(_key(steps), return_counts=True)
    commonest = steps[_key(steps) == keys[counts.argmax()]][0]
    near = colours[(np.abs(steps - commonest) <= 1).all(axis=1)]
    middle: NDArray[np.float32] = np.median(near, axis=0)
    return middle


def _key(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each colour of integer steps."""
    shifted = steps + 512
    key: NDArray[np.int64] = ((shifted[..., 0] * 1024 + shifted[..., 1]) * 1024 + shifted[..., 2]) * 1024
    return key + shifted[..., 3]


def maps(first: NDArray[np.float32], second: NDArray[np.float32], changed: NDArray[np.bool_]) -> bool:
    """Return whether a mapping of colours turns the first of (n, 4) colours into the second.

    Args:
        first: The colours of some pixels.
        second: The colours of the same pixels.
        changed: (n,), which of them differ.
    """
    if CORE is not None:
        found = CORE.maps(first, second, changed, STEPS_OF_COLOUR, (COLOURS, KEPT, UNMAPPED, MAPPED, FLAT_COLOURS))
        if found is not None:
            return bool(found)
    _, colours = np.unique(_key(np.rint(first * STEPS_OF_COLOUR).astype(np.int64)), return_inverse=True)
    colours = colours.reshape(-1)
    number, pixels = int(colours.max()) + 1, len(colours)
    if number > COLOURS * pixels or not changed.any():
        return False
    of_colour = np.bincount(colours[changed], minlength=number) / np.bincount(colours, minlength=number)
    if _sum(of_colour[colours[changed]]) / np.count_nonzero(changed) < KEPT:
        return False
    planes = [plane.astype(np.float64) for plane in second.T]
    variance = 0.0
    for plane in planes:
        variance += _sum(np.square(plane - _sum(plane) / pixels)) / pixels
    left = _unexplained(colours, planes) / max(1, pixels - number)
    if variance > FLAT_COLOURS and left / (variance * pixels / max(1, pixels - 1)) > UNMAPPED:
        return False
    _, few = np.unique(colours[changed], return_inverse=True)
    differences = [plane.astype(np.float64) for plane in (second - first)[changed].T]
    freedom = len(few) / max(1, len(few) - int(few.max()))
    total = 0.0
    for plane in differences:
        total += _sum(np.square(plane))
    return 1 - _unexplained(few.reshape(-1), differences) / (total + 1e-9) * freedom > MAPPED


def _unexplained(groups: NDArray[np.intp], planes: Sequence[NDArray[np.float64]]) -> float:
    """Return the sum of the squares of (n,) values minus the mean of their group."""
    counts = np.bincount(groups)
    left = 0.0
    for plane in planes:
        sums = np.bincount(groups, plane)
        left += _sum(np.square(plane - (sums / counts)[groups]))
    return left


def _sum(values: NDArray[np.float64]) -> float:
    """Return the sum of (n,) values, added in order as in the compiled core."""
    return float(np.cumsum(values)[-1])


def median(values: NDArray[np.float32]) -> float:
    """Return the median of (n,) values, as `numpy.median` does."""
    if not values.size:
        return math.nan
    middle = values.size // 2
    if values.size % 2:
        return float(np.partition(values, middle)[middle])
    parts = np.partition(values, [middle - 1, middle])
    return float((parts[middle - 1] + parts[middle]) / np.float32(2))


def percentile(values: NDArray[np.float32], share: float) -> float:
    """Return the value below which ``share`` percent of the values are, as `numpy.percentile` does."""
    place = np.float32(values.size - 1) * (np.float32(share) / np.float32(100))
    below = min(int(place), values.size - 1)
    above = min(below + 1, values.size - 1)
    parts = np.partition(values.ravel(), [below, above])
    part, step = place - np.float32(below), parts[above] - parts[below]
    return float(parts[above] - step * (1 - part) if part >= 0.5 else parts[below] + step * part)  # noqa: PLR2004 - the nearer one
