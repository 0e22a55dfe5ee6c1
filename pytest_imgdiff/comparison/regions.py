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
    """(n, 4): left, top, right and bottom of each box; right and bottom are exclusive."""
    Numbers = NDArray[np.intp]
    """(n,) one number for each box."""

_SIDES = (4, 2, 1)
"""Sides, in pixels, of the squares to which masks are reduced, the largest first."""
_WINDOW_ROWS = 256
"""Rows whose windows are counted at the same time; the sums of a whole large image take several times its size."""
_SIDE_FOR_SIGMA = 250
_LARGEST_SIGMA = 4.0
"""Smoothing of the heat of a structure, in pixels: the image's shorter side by the first, at most the second."""
_GRAIN = 49
"""Pixels of one window of SSIM: the heat of any change spreads that far."""
_MOST_CORNERS = 64


def difference_mask(heat: Heat, threshold: Literal["zero", "otsu"], windows: Sequence[slice] | None = None) -> Mask:
    """Return (height, width), true where the images differ.

    Args:
        heat: ``uint8`` 0..255 or ``float32`` 0..1, 0 where equal.
        threshold: ``zero``: values above 0 differ. ``otsu``: values above the threshold of Otsu, "A
            threshold selection method from gray-level histograms", 1979, differ; the heat is first scaled so that its
            largest value is 255, and heat with a single value differs everywhere or nowhere.
        windows: Rows outside which the heat is 0; anywhere if omitted.
    """
    if threshold == "zero":
        mask: Mask = np.zeros(heat.shape, np.bool_)  # takes no memory where nothing is written
        for rows in [slice(None)] if windows is None else windows:
            np.greater(heat[rows], 0, out=mask[rows])
        return mask
    largest = float(heat.max())
    if largest <= 0:
        return np.zeros(heat.shape, np.bool_)
    levels = np.rint(heat / np.float32(largest) * 255).astype(np.uint8)
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return np.asarray(levels > min(limit, 254))


def contour_mask(heat: Heat) -> Mask:
    """Return (height, width), true where the structure of the images differs: Otsu's threshold, without its grain.

    A photograph that was encoded again differs a little everywhere, so that the threshold leaves grain around a change
    and holes within it. The heat is therefore smoothed first (a Gaussian of 1 to 4 pixels, depending on the size of the
    image), and gaps of that width are closed.

    Args:
        heat: As in `difference_mask`. Pixels of heat 0 stay outside the mask.
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

    Pieces are never joined. Those smaller than a window of SSIM (7x7 pixels) or than a hundredth of the largest one are
    grain from encoding: they are left out, unless there is nothing else.

    Args:
        mask: (height, width).
        heat: (height, width), from which each region gets its peak.
        min_area: As in `RegionSettings`.
    """
    pixels = mask.view(np.uint8)
    outlines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = [region for outline in outlines if (region := _outlined(outline, pixels, heat)).area >= min_area]
    least = max(_GRAIN, max((region.area for region in found), default=0) / 100)
    telling = [region for region in found if region.area >= least] or found
    return tuple(sorted(telling, key=lambda region: (-region.area, region.box.y, region.box.x)))


def _outlined(outline: NDArray[Any], mask: NDArray[np.uint8], heat: Heat) -> Region:
    """Return the region within an outline: (n, 1, 2) pixels as OpenCV returns them."""
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
    """Return the maximum number of pixels with a heat above 0 in any square window inside the image.

    Counts as pixelmatch 8 (https://github.com/mapbox/pixelmatch, ISC) does with ``windowSize``.

    Args:
        heat: (height, width).
        size: Side of the window in pixels; limited to the image's shorter side.
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
        # Windows that end in these rows; those that extend beyond the image contain no more than one that does not.
        marked = (heat[max(0, top - side + 1) : top + step] > 0).view(np.uint8)
        sums = cv2.boxFilter(marked, cv2.CV_32S, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        most = max(most, int(sums.max()))
    return most


def find_regions(
    mask: Mask, heat: Heat | None, settings: RegionSettings, windows: Sequence[slice] | None = None
) -> tuple[Region, ...]:
    """Return the regions of a difference mask: largest area first, then from the top, then from the left.

    Each pixel is initially a region. Two regions are near if at most ``settings.merge`` pixels are
    between their boxes, across and down (0 where the boxes touch or overlap); near ones are joined until none are
    near. A region's box contains all of its pixels, its area counts them.

    Args:
        mask: (height, width).
        heat: (height, width), from which each region gets its peak, which is 1 without it.
        settings: The distance, and the minimum size of a region.
        windows: Rows outside which nothing is true; anywhere if omitted.
    """
    rows = (
        slice(0, len(mask)) if windows is None else slice(windows[0].start, windows[-1].stop) if windows else slice(0)
    )
    mask, heat = mask[rows], None if heat is None else heat[rows]
    if not mask.any():
        return ()
    found = None
    if CORE is not None and heat is not None and heat.dtype == np.uint8 and heat.flags.c_contiguous:
        found = CORE.regions(heat, *mask.shape[::-1], settings.merge)
    if found is not None and sum(box[4] for box in found) == np.count_nonzero(mask):  # the mask is all that is hot
        top = rows.start
        lower = ((left, y + top, right, bottom + top, area, peak) for left, y, right, bottom, area, peak in found)
        return regions_of_boxes(lower, settings.min_area)
    boxes = _boxes(mask, settings.merge)
    return _filled(boxes, mask.view(np.uint8), heat, settings.min_area, rows.start)


def _boxes(mask: Mask, distance: int) -> Boxes:
    """Return the boxes of all regions.

    They are first found on squares of pixels: pixels of two touching squares have at most ``2 * side - 2`` pixels
    between them. The same is true for the boxes of two sets whose boxes of squares touch, as a set has pixels in the
    outermost squares of its box on each side.
    """
    side = next(side for side in _SIDES if 2 * side - 2 <= distance)
    height, width = mask.shape
    levels = mask.view(np.uint8) * np.uint8(255)
    whole = cv2.copyMakeBorder(levels, 0, -height % side, 0, -width % side, cv2.BORDER_CONSTANT)
    means = cv2.resize(whole, (whole.shape[1] // side, whole.shape[0] // side), interpolation=cv2.INTER_AREA)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(means, connectivity=8)
    squares = statistics[1:, :4].astype(np.intp)  # left, top, width, height
    squares[:, 2:] += squares[:, :2]
    return _joined(_shrunk(_joined(squares, 0) * side, mask.view(np.uint8)), distance)


def _shrunk(boxes: Boxes, mask: NDArray[np.uint8]) -> Boxes:
    """Return boxes without their empty rims; no box is empty."""
    shrunk = []
    for left, top, right, bottom in boxes.tolist():
        x, y, width, height = cv2.boundingRect(mask[top:bottom, left:right])
        shrunk.append((left + x, top + y, left + x + width, top + y + height))
    return np.array(shrunk, np.intp).reshape(-1, 4)


def _filled(
    boxes: Boxes, mask: NDArray[np.uint8], heat: Heat | None, min_area: int, first_row: int
) -> tuple[Region, ...]:
    """Return the regions of these boxes: as boxes do not overlap, all true pixels in a box belong to its region."""
    hottest = 1.0 if heat is None else full_value(heat.dtype)
    found = []
    for left, top, right, bottom in boxes.tolist():
        part = mask[top:bottom, left:right]
        area = cv2.countNonZero(part)
        if area >= min_area:
            peak = 1.0 if heat is None else cv2.norm(heat[top:bottom, left:right], cv2.NORM_INF, part) / hottest
            found.append(Region(Box(left, top + first_row, right - left, bottom - top), area, peak))
    return tuple(sorted(found, key=lambda region: (-region.area, region.box.y, region.box.x)))


def _joined(boxes: Boxes, distance: int) -> Boxes:
    """Return the boxes, joined until none are near."""
    while len(boxes):
        groups = _groups(boxes, distance)
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        if starts.size == len(boxes):
            break
        # A joined box may be near to boxes that its parts were not near to.
        corners = (np.minimum.reduceat(boxes[order, :2], starts), np.maximum.reduceat(boxes[order, 2:], starts))
        boxes = np.concatenate(corners, axis=1)
    return boxes


def _groups(boxes: Boxes, distance: int) -> Numbers:
    """Return, for each box, the index of its group, from 0.

    Each box is extended by the distance to the right and downwards and painted on one canvas: boxes are near if their
    painted areas touch, so the connected components of the canvas are the groups. The canvas has only as many rows and
    columns as the boxes have edges.
    """
    left, right = _ranks(boxes[:, 0], boxes[:, 2] + distance)
    top, bottom = _ranks(boxes[:, 1], boxes[:, 3] + distance)
    paint = np.zeros((bottom.max() + 1, right.max() + 1), np.int32)
    for rows, columns, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(paint, (rows, columns), sign)
    np.cumsum(paint, axis=0, out=paint)
    np.cumsum(paint, axis=1, out=paint)
    _, labels = cv2.connectedComponents((paint > 0).view(np.uint8), connectivity=8)
    return np.asarray(labels[top, left], np.intp)


def _ranks(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Return the half-open intervals between the ranks of their ends: they overlap, touch or are apart as before."""
    _, ranks = np.unique(np.concatenate([starts, stops]), return_inverse=True)
    return ranks[: starts.size], ranks[starts.size :]
