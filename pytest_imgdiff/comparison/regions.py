"""From heat to a difference mask, and from the mask to regions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.base.geometry import Box
from pytest_imgdiff.base.model import Region, regions_of_boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.model import Heat, RegionSettings

    Boxes = NDArray[np.intp]
    """(n, 4): left, top, right and bottom of each box; right and bottom are outside."""
    Numbers = NDArray[np.intp]
    """(n,) one number for each box."""

_SIDES = (4, 2, 1)
"""Sides, in pixels, of the squares that masks are reduced by, the largest first."""
_WINDOW_ROWS = 256
"""Rows whose windows are counted at once; the sums of a whole large picture would be several times its size."""
_FEW = 200
"""Up to so many boxes are joined sooner one by one than all at once."""
_FAR_APART = 32
"""Numbers that are so far apart, on an average, are sooner put in order than found among all that there could be."""
_SIDE_FOR_SIGMA = 250
_LARGEST_SIGMA = 4.0
"""How far the heat of a structure is smoothed, in pixels: the picture's shorter side by the first, at most this."""
_GRAIN = 49
"""Pixels of one window of SSIM: whatever changed, its heat spreads as far."""
_MOST_CORNERS = 64
_NARROW = 16
"""Of pictures with fewer columns, and more rows, OpenCV takes longer to begin a row than to look at it:
they are turned."""


def difference_mask(heat: Heat, threshold: Literal["zero", "otsu"], heated: Sequence[slice] | None = None) -> Mask:
    """Return (height, width), true where the pictures differ.

    Args:
        heat: ``uint8`` 0..255 or ``float32`` 0..1, 0 where alike.
        threshold: ``zero``: whatever is above 0 differs. ``otsu``: whatever is above the threshold of Otsu, "A
            threshold selection method from gray-level histograms", 1979, differs; the heat is scaled so that its
            largest value is 255 first, and heat of one value only differs everywhere or nowhere.
        heated: bands of rows beyond which the heat is 0; anywhere where omitted. No others are looked at.
    """
    if threshold == "zero":
        return heat > 0 if heated is None else _above_zero(heat, heated)
    largest = float(heat.max())
    if largest <= 0:
        return np.zeros(heat.shape, np.bool_)
    levels = np.rint(heat / np.float32(largest) * 255).astype(np.uint8)
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask: Mask = levels > min(limit, 254)
    return mask


def _above_zero(heat: Heat, heated: Sequence[slice]) -> Mask:
    mask = np.zeros(heat.shape, np.bool_)  # no memory before it is written
    for band in heated:
        np.greater(heat[band], 0, out=mask[band])
    return mask


def contour_mask(heat: Heat) -> Mask:
    """Return (height, width), true where the structure of the pictures differs: Otsu's threshold, without its grain.

    A photograph that was encoded again differs a little everywhere, and the threshold leaves grain of that around a
    change, and holes within it. So the heat is smoothed before it is cut (a Gaussian of 1 to 4 pixels, with the size of
    the picture), and gaps as narrow as that are closed.

    Args:
        heat: as in `difference_mask`. What is 0 stays outside of the mask.
    """
    sigma = min(max(min(heat.shape) / _SIDE_FOR_SIGMA, 1.0), _LARGEST_SIGMA)
    smooth: Heat = np.asarray(cv2.GaussianBlur(heat.astype(np.float32), (0, 0), sigma), np.float32)
    side = 2 * math.ceil(sigma) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    mask = cv2.morphologyEx(difference_mask(smooth, "otsu").view(np.uint8), cv2.MORPH_CLOSE, disc)
    closed: Mask = (mask > 0) & (heat > 0)
    return closed


def contour_regions(mask: Mask, heat: Heat, min_area: int) -> tuple[Region, ...]:
    """Return the connected pieces of a mask, each with its outline: largest area first, then from the top and left.

    Pieces are not joined, however near they are. Those smaller than a window of SSIM (7x7 pixels) or than a hundredth
    of the largest one are the grain that encoding leaves: they are not listed, unless there is nothing else.

    Args:
        mask: (height, width).
        heat: as the mask; gives each region its peak.
        min_area: as in `RegionSettings`.
    """
    pixels = mask.view(np.uint8)
    outlines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = [region for outline in outlines if (region := _outlined(outline, pixels, heat)).area >= min_area]
    least = max(_GRAIN, max((region.area for region in found), default=0) / 100)
    telling = [region for region in found if region.area >= least] or found
    return tuple(sorted(telling, key=lambda region: (-region.area, region.box.y, region.box.x)))


def _outlined(outline: NDArray[Any], mask: NDArray[np.uint8], heat: Heat) -> Region:
    """Return the region within an outline: (n, 1, 2) pixels as OpenCV gives them."""
    x, y, width, height = cv2.boundingRect(outline)
    inside = np.zeros((height, width), np.uint8)
    cv2.drawContours(inside, [outline], -1, 1, cv2.FILLED, offset=(-x, -y))
    inside &= mask[y : y + height, x : x + width]
    peak = cv2.norm(heat[y : y + height, x : x + width], cv2.NORM_INF, inside) / full_value(heat.dtype)
    tolerance, corners = 1.0, outline
    while len(corners := cv2.approxPolyDP(outline, tolerance, closed=True)) > _MOST_CORNERS:
        tolerance *= 1.5
    contour = tuple((int(left), int(top)) for left, top in corners.reshape(-1, 2))
    return Region(Box(x, y, width, height), cv2.countNonZero(inside), peak, contour=contour)


def most_in_window(heat: Heat, size: int) -> int:
    """Return how many pixels of any square window inside the picture have a heat above 0 at the most.

    As pixelmatch 8 (https://github.com/mapbox/pixelmatch, ISC) counts with ``windowSize``.

    Args:
        heat: (height, width).
        size: of the window, in pixels a side; one larger than the picture is as large as its shorter side.
    """
    height, width = heat.shape
    side = min(size, height, width)
    if CORE is not None and heat.dtype == np.uint8 and heat.flags.c_contiguous:
        found = CORE.most_in_window(heat, width, height, side)
        if found is not None:
            return int(found)
    rows = np.flatnonzero(heat.any(axis=1))
    if not rows.size:
        return 0
    most = 0
    step = max(side, _WINDOW_ROWS)
    for top in range(int(rows[0]), int(rows[-1]) + 1, step):
        # Windows that end in these rows; those that reach beyond the picture hold no more than one that does not.
        marked = (heat[max(0, top - side + 1) : top + step] > 0).view(np.uint8)
        sums = cv2.boxFilter(marked, cv2.CV_32S, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        most = max(most, int(sums.max()))
    return most


def find_regions(
    mask: Mask, heat: Heat | None, settings: RegionSettings, heated: Sequence[slice] | None = None
) -> tuple[Region, ...]:
    """Return the regions of a difference mask: largest area first, then from the top, then from the left.

    Each pixel is a region to begin with. Two regions are near when at most ``settings.merge_distance`` pixels lie
    between their boxes, across and down (0 where the boxes touch or overlap); near ones are joined until none are
    near. A region's box holds all of its pixels, its area counts them.

    Args:
        mask: (height, width).
        heat: as the mask; gives each region its peak, which is 1 without it.
        settings: the distance, and how small a region is left out.
        heated: bands of rows, from the top, beyond which nothing is true; anywhere where omitted.
    """
    height, width = mask.shape
    if CORE is not None and heat is not None and heat.dtype == np.uint8 and heat.flags.c_contiguous:
        found = _regions_by_core(mask, heat, settings, slice(0, height) if heated is None else _span(heated))
        if found is not None:
            return found
    bands = [slice(0, height)] if heated is None else heated
    if width < _NARROW < height:
        boxes = _boxes(np.ascontiguousarray(mask.T), [slice(0, width)], settings.merge_distance)[:, [1, 0, 3, 2]]
    else:
        boxes = _boxes(mask, bands, settings.merge_distance)
    return _filled(boxes, mask.view(np.uint8), heat, settings.min_area)


def _span(bands: Sequence[slice]) -> slice:
    return slice(bands[0].start, bands[-1].stop) if bands else slice(0, 0)


def _regions_by_core(mask: Mask, heat: Heat, settings: RegionSettings, rows: slice) -> tuple[Region, ...] | None:
    """Return the regions that the compiled core finds; None where it declines, or the mask is not all that is hot."""
    hot = heat[rows]
    if CORE is None or not hot.size:
        return None
    boxes = CORE.regions(hot, hot.shape[1], hot.shape[0], settings.merge_distance)
    if boxes is None or sum(box[4] for box in boxes) != np.count_nonzero(mask[rows]):
        return None
    top = rows.start
    lower = ((left, y + top, right, bottom + top, area, peak) for left, y, right, bottom, area, peak in boxes)
    return regions_of_boxes(lower, settings.min_area)


def _boxes(mask: Mask, bands: Sequence[slice], distance: int) -> Boxes:
    """Return the boxes of all regions."""
    side = next(side for side in _SIDES if 2 * side - 2 <= distance)
    found = [np.empty((0, 4), np.intp)]
    for band in bands:
        if band.stop > band.start:
            found.append(_boxes_in(mask[band], side))
            found[-1][:, [1, 3]] += band.start
    return _joined(np.concatenate(found), distance)


def _boxes_in(mask: Mask, side: int) -> Boxes:
    """Return the boxes of sets of pixels that belong together in any case, found on squares of pixels.

    Pixels of two squares that touch have at most ``2 * side - 2`` pixels between them. So have the boxes of two sets
    whose boxes of squares touch, as a set has pixels in the outermost squares of its box on each side. Many are joined
    for that; of few some may overlap, which are near.
    """
    reduced = _reduced(mask, side)
    x, y, width, height = cv2.boundingRect(reduced)
    if not width:
        return np.empty((0, 4), np.intp)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(reduced[y : y + height, x : x + width], connectivity=8)
    squares = statistics[1:, :4].astype(np.intp)  # left, top, width, height
    squares[:, :2] += (x, y)
    squares[:, 2:] += squares[:, :2]
    if len(squares) > _FEW:  # fewer are sooner shrunk
        squares = _joined(squares, 0)
    return _shrunk(squares * side, mask.view(np.uint8))


def _reduced(mask: Mask, side: int) -> NDArray[np.uint8]:
    """Return which squares of so many pixels a side hold any that is true; those at the edge may be smaller."""
    pixels: NDArray[np.uint8] = mask.view(np.uint8)
    if pixels.shape[1] % side:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, 0, 0, -pixels.shape[1] % side, cv2.BORDER_CONSTANT))
    words = pixels.view(f"u{side}")
    reduced = words[::side].copy()
    for row in range(1, side):
        below = words[row::side]
        reduced[: len(below)] |= below
    true: NDArray[np.bool_] = reduced != 0
    return true.view(np.uint8)


def _shrunk(boxes: Boxes, mask: NDArray[np.uint8]) -> Boxes:
    """Return boxes, none of which is empty, without their empty rims."""
    shrunk = []
    for left, top, right, bottom in boxes.tolist():
        x, y, width, height = cv2.boundingRect(mask[top:bottom, left:right])
        shrunk.append((left + x, top + y, left + x + width, top + y + height))
    return np.array(shrunk, np.intp).reshape(-1, 4)


def _filled(boxes: Boxes, mask: NDArray[np.uint8], heat: Heat | None, min_area: int) -> tuple[Region, ...]:
    """Return the regions of these boxes: as no two of them overlap, whatever is true in one belongs to it."""
    hottest = 1.0 if heat is None else full_value(heat.dtype)
    found = []
    for left, top, right, bottom in boxes.tolist():
        part = mask[top:bottom, left:right]
        area = cv2.countNonZero(part)
        if area >= min_area:
            peak = 1.0 if heat is None else cv2.norm(heat[top:bottom, left:right], cv2.NORM_INF, part) / hottest
            found.append((-area, top, left, bottom, right, peak))
    found.sort()
    return tuple(
        Region(Box(left, top, right - left, bottom - top), -area, peak)
        for area, top, left, bottom, right, peak in found
    )


def _joined(boxes: Boxes, distance: int) -> Boxes:
    """Return the boxes, joined until none are near."""
    if len(boxes) <= _FEW:
        return _joined_one_by_one(boxes, distance)
    groups = _groups(boxes, distance)
    while groups.max() + 1 < len(boxes):  # a joined box may be near to what its parts were not
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        corners = (np.minimum.reduceat(boxes[order, :2], starts), np.maximum.reduceat(boxes[order, 2:], starts))
        boxes = np.concatenate(corners, axis=1)
        groups = _groups(boxes, distance)
    return boxes


def _joined_one_by_one(boxes: Boxes, distance: int) -> Boxes:
    joined: list[tuple[int, int, int, int]] = []  # none of them are near
    for left, top, right, bottom in boxes.tolist():
        while near := _near(joined, left - distance, top - distance, right + distance, bottom + distance):
            for other in near:
                joined.remove(other)
            lefts, tops, rights, bottoms = zip((left, top, right, bottom), *near, strict=True)
            left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)  # noqa: PLW2901 - it grows
        joined.append((left, top, right, bottom))
    return np.array(joined, np.intp).reshape(-1, 4)


def _near(
    boxes: list[tuple[int, int, int, int]], left: int, top: int, right: int, bottom: int
) -> list[tuple[int, int, int, int]]:
    """Return the boxes that touch or overlap this one."""
    return [
        box
        for box in boxes
        if box[3] >= top  # of most this tells, as boxes come from above
        and box[1] <= bottom
        and box[2] >= left
        and box[0] <= right
    ]


def _groups(boxes: Boxes, distance: int) -> Numbers:
    """Return, for each box, the number of its group, from 0.

    Each box is grown by the distance to the right and downwards and painted on one canvas: boxes are near where their
    paint touches, so that the connected components of the paint are the groups. The canvas has only as many rows and
    columns as the boxes have edges.
    """
    left, right = _compressed(boxes[:, 0], boxes[:, 2] + distance)
    top, bottom = _compressed(boxes[:, 1], boxes[:, 3] + distance)
    paint = np.zeros((bottom.max() + 1, right.max() + 1), np.int32)
    for rows, columns, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(paint, (rows, columns), sign)
    np.cumsum(paint, axis=0, out=paint)
    np.cumsum(paint, axis=1, out=paint)
    _, labels = cv2.connectedComponents((paint > 0).view(np.uint8), connectivity=8)
    return _ranks(labels[top, left])


def _compressed(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Return the half-open intervals between the ranks of their ends: they overlap, touch or lie apart as before."""
    ranks = _ranks(np.concatenate([starts, stops]))
    return ranks[: starts.size], ranks[starts.size :]


def _ranks(values: NDArray[Any]) -> Numbers:
    """Return the rank, from 0, that each of these numbers (none below 0) has among those that there are."""
    largest = int(values.max())
    ranks: Numbers
    if largest <= _FAR_APART * values.size:
        present = np.zeros(largest + 1, np.bool_)
        present[values] = True
        ranks = np.cumsum(present)[values] - 1
    else:
        order = np.argsort(values, kind="stable")
        ranks = np.empty_like(values)
        ranks[order] = np.cumsum(np.diff(values[order], prepend=values[order[0]]) > 0)
    return ranks
