"""Which pixels only anti-aliasing made differ.

Sources:
    Vysniauskas, "Anti-aliased Pixel and Intensity Slope Detector", 2009: the rule.
    https://github.com/mapbox/pixelmatch, releases 7.2.0 and 8.0.0 (ISC): as it is computed here, rounding included. The
        two differ in pixels that are not opaque only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.metrics.flat_rows import MARGIN, MOST_EQUAL, FlatRows
from pytest_imgdiff.metrics.opaque_smoothing import smoothed_inside
from pytest_imgdiff.metrics.raster import WHITE, difference, luma, pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.metrics.raster import Indices, Raster, Values

_NEIGHBOURS = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]
"""In the order in which pixelmatch visits them, which decides between equally dark ones."""
_ACROSS, _DOWN = (np.array(steps, np.intp)[:, None] for steps in zip(*_NEIGHBOURS, strict=True))


def smoothed(first: Raster, second: Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel looks anti-aliased in either picture.

    Args:
        first: one picture.
        second: the other.
        indices: of pixels, in ascending order.
    """
    found = np.zeros(indices.size, np.bool_)
    known = FlatRows.about(first, second, indices)
    asked = np.arange(indices.size) if known is None else np.flatnonzero(known.may_be_smoothed(indices))
    places = indices.take(asked)
    inside = _are_inside(first, places) if _are_integers_enough(first) else np.zeros(places.size, np.bool_)
    numbers = np.flatnonzero(inside)
    found[asked.take(numbers)] = smoothed_inside(first, second, places.take(numbers), known)
    numbers = np.flatnonzero(~inside)
    found[asked.take(numbers)] = _smoothed_anywhere(first, second, places.take(numbers))
    return found


def _are_integers_enough(picture: Raster) -> bool:
    return picture.dtype == np.uint8 and picture.opaque and min(picture.width, picture.height) > 2 * MARGIN


def _are_inside(picture: Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each of these pixels, in ascending order, is not within `MARGIN` of the border."""
    width, height = picture.width, picture.height
    columns = indices - indices // width * width
    inside: NDArray[np.bool_] = (columns - MARGIN).view(np.uintp) < width - 2 * MARGIN  # below 0 is far beyond
    first, behind = np.searchsorted(indices, (MARGIN * width, (height - MARGIN) * width))
    inside[:first] = inside[behind:] = False
    return inside


def _smoothed_anywhere(first: Raster, second: Raster, indices: Indices) -> NDArray[np.bool_]:
    found = np.zeros(indices.size, np.bool_)
    for picture, other in ((first, second), (second, first)):
        rest = np.flatnonzero(~found)
        found[rest] = _antialiased(picture, other, indices[rest])
    return found


def _antialiased(picture: Raster, other: Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel looks anti-aliased in ``picture``, judged beside ``other``."""
    result = np.zeros(indices.size, np.bool_)
    around, surplus = _neighbourhoods(picture, indices)
    centres, neighbours = picture.values[indices], picture.values[around]
    equal = picture.equal(neighbours, centres).sum(axis=0, dtype=np.int8)
    open_ = np.flatnonzero(equal - surplus <= MOST_EQUAL)
    if not open_.size:
        return result
    around, surplus = around.take(open_, axis=1), surplus[open_]
    brightness = _brightness(picture, centres[open_], neighbours.take(open_, axis=1), indices[open_])
    equal = (brightness == 0).sum(axis=0, dtype=np.int8) - surplus  # as bright counts as equal, whatever the colour
    slope = (brightness.min(axis=0) < 0) & (brightness.max(axis=0) > 0) & (equal <= MOST_EQUAL)
    chosen = np.flatnonzero(slope)
    brightness, around = brightness.take(chosen, axis=1), around.take(chosen, axis=1)
    column = np.arange(chosen.size)
    flat = _flat_in_both(picture, other, around[brightness.argmin(axis=0), column])
    rest = np.flatnonzero(~flat)
    flat[rest] = _flat_in_both(picture, other, around[brightness.argmax(axis=0), column][rest])
    result[open_[chosen]] = flat
    return result


def _brightness(picture: Raster, centres: Values, neighbours: Values, indices: Indices) -> NDArray[np.float64]:
    """Return (8, n): how much brighter each centre is than its neighbours; exactly 0 for equal pixels."""
    one, two = picture.channels(centres), picture.channels(neighbours)
    if picture.opaque:
        return luma(difference(one, two, None, picture.unit))
    if picture.difference == "yiq":
        return luma(difference(one, two, pattern(indices), picture.unit))
    brightness = luma(difference(one, two, WHITE, picture.unit))
    # Pixels that look alike on white and differ in alpha are no equal neighbours.
    veil = np.subtract(one[..., 3], two[..., 3], dtype=np.float64) / (2 * picture.unit)
    return np.where(brightness == 0, veil, brightness)


def _flat_in_both(first: Raster, second: Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel has at least three equal neighbours in both pictures."""
    flat = _flat(first, indices)
    rest = np.flatnonzero(flat)
    flat[rest] = _flat(second, indices[rest])
    return flat


def _flat(picture: Raster, indices: Indices) -> NDArray[np.bool_]:
    around, surplus = _neighbourhoods(picture, indices)
    equal = picture.equal(picture.values[around], picture.values[indices]).sum(axis=0, dtype=np.int8)
    flat: NDArray[np.bool_] = equal - surplus > MOST_EQUAL
    return flat


def _neighbourhoods(picture: Raster, indices: Indices) -> tuple[Indices, NDArray[np.int8]]:
    """Return the (8, n) indices around each pixel, and by how much these make its equal neighbours too many.

    Where a neighbour would lie outside the picture the pixel itself stands in for it; and a pixel at the edge of the
    picture is taken to have one equal neighbour outside.
    """
    width, height = picture.width, picture.height
    around = indices + (_DOWN * width + _ACROSS)
    surplus = np.zeros(indices.size, np.int8)
    y, x = np.divmod(indices, width)
    within = ((x - 1).view(np.uintp) < width - 2) & ((y - 1).view(np.uintp) < height - 2)  # below 0 is far beyond
    edge = np.flatnonzero(~within) if min(width, height) > 2 else np.arange(indices.size)  # noqa: PLR2004 - both edges
    if edge.size:
        across, down = x.take(edge) + _ACROSS, y.take(edge) + _DOWN
        outside = (across.view(np.uintp) >= width) | (down.view(np.uintp) >= height)
        around[:, edge] = np.where(outside, indices.take(edge), around.take(edge, axis=1))
        surplus[edge] = outside.view(np.int8).sum(axis=0, dtype=np.int8) - np.int8(1)
    return around, surplus
