"""From heat to a difference mask, and from the mask to regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from pytest_imgdiff.model import Box, Region
from pytest_imgdiff.views import full_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_imgdiff.model import Heat, Mask, RegionSettings

    Numbers = NDArray[np.intp]
    """(n,) one number for each piece."""

BAND_GAP = 16
"""Pieces are looked for between runs of so many empty rows: most pages differ in a few places only."""


def difference_mask(heat: Heat, threshold: Literal["zero", "otsu"]) -> Mask:
    """Return (height, width), true where the pictures differ.

    Args:
        heat: ``uint8`` 0..255 or ``float32`` 0..1, 0 where alike.
        threshold: ``zero``: whatever is above 0 differs. ``otsu``: whatever is above the threshold of Otsu, "A
            threshold selection method from gray-level histograms", 1979, differs; the heat is scaled so that its
            largest value is 255 first, and heat of one value only differs everywhere or nowhere.
    """
    if threshold == "zero":
        return heat > 0
    largest = float(heat.max())
    if largest <= 0:
        return np.zeros(heat.shape, np.bool_)
    levels = np.rint(heat / np.float32(largest) * 255).astype(np.uint8)
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask: Mask = levels > min(limit, 254)
    return mask


def find_regions(mask: Mask, heat: Heat | None, settings: RegionSettings) -> tuple[Region, ...]:
    """Return the regions of a difference mask: largest area first, then from the top, then from the left.

    A piece is an 8-connected set of true pixels. Two pieces are near when at most ``settings.merge_distance`` pixels
    lie between their boxes, across and down (0 where the boxes touch or overlap). A region is a set of pieces that are
    joined by near ones, directly or through others; its box holds them all, its area counts their pixels.

    Args:
        mask: (height, width).
        heat: as the mask; gives each region its peak, which is 1 without it.
        settings: the distance, and how small a region is left out.
    """
    pieces = _Pieces.of(mask, heat)
    if not pieces.area.size:
        return ()
    regions = pieces.joined(_groups(pieces, settings.merge_distance))
    listed = np.flatnonzero(regions.area >= settings.min_area)
    order = listed[np.lexsort((regions.left[listed], regions.top[listed], -regions.area[listed]))]
    columns = (regions.left, regions.top, regions.right, regions.bottom, regions.area, regions.peak)
    return tuple(
        Region(Box(left, top, right - left, bottom - top), area, peak)
        for left, top, right, bottom, area, peak in zip(*(column[order].tolist() for column in columns), strict=True)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Sets of pixels: their boxes (right and bottom are outside), how many pixels they have and their peak heat."""

    left: Numbers
    top: Numbers
    right: Numbers
    bottom: Numbers
    area: Numbers
    peak: NDArray[np.float64]

    @classmethod
    def of(cls, mask: Mask, heat: Heat | None) -> _Pieces:
        """Find the 8-connected pieces of a mask."""
        found = [_labelled(mask[band], band, heat) for band in _bands(mask)]
        if not found:
            none = np.empty(0, np.intp)
            return cls(none, none, none, none, none, np.empty(0))
        return cls(*(np.concatenate(column) for column in zip(*found, strict=True)))

    def joined(self, groups: Numbers) -> _Pieces:
        """Return one set for each group, which are numbered from 0."""
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        return _Pieces(
            left=np.minimum.reduceat(self.left[order], starts),
            top=np.minimum.reduceat(self.top[order], starts),
            right=np.maximum.reduceat(self.right[order], starts),
            bottom=np.maximum.reduceat(self.bottom[order], starts),
            area=np.add.reduceat(self.area[order], starts),
            peak=np.maximum.reduceat(self.peak[order], starts),
        )


def _bands(mask: Mask) -> Iterator[tuple[slice, slice]]:
    """Yield rectangles that together hold every true pixel and between which no two are connected."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return
    breaks = np.flatnonzero(np.diff(rows) > BAND_GAP)
    for first, last in zip([0, *(breaks + 1)], [*breaks, -1], strict=True):
        band = slice(int(rows[first]), int(rows[last]) + 1)
        columns = np.flatnonzero(mask[band].any(axis=0))
        yield band, slice(int(columns[0]), int(columns[-1]) + 1)


def _labelled(mask: Mask, band: tuple[slice, slice], heat: Heat | None) -> tuple[NDArray[Any], ...]:
    """Return the columns of `_Pieces` for one band."""
    labels: NDArray[Any]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:].astype(np.intp).T
    left, top = left + band[1].start, top + band[0].start
    peak = np.ones(count - 1) if heat is None else _peaks(labels, count, mask, heat[band])
    return left, top, left + width, top + height, area, peak


def _peaks(labels: NDArray[Any], count: int, mask: Mask, heat: Heat) -> NDArray[np.float64]:
    """Return the largest heat of each piece as a share of the largest possible."""
    peaks = np.zeros(count, heat.dtype)
    np.maximum.at(peaks, labels[mask], heat[mask])
    return peaks[1:] / full_value(heat.dtype)


def _groups(pieces: _Pieces, distance: int) -> Numbers:
    """Return, for each piece, the number of its group.

    Each box is grown by the distance to the right and downwards and painted on one canvas: boxes are near where their
    paint touches, so that the connected components of the paint are the groups. The canvas has only as many rows and
    columns as the boxes have edges.
    """
    if pieces.area.size == 1:
        return np.zeros(1, np.intp)
    left, right = _compressed(pieces.left, pieces.right + distance)
    top, bottom = _compressed(pieces.top, pieces.bottom + distance)
    paint = np.zeros((bottom.max() + 1, right.max() + 1), np.int32)
    for rows, columns, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(paint, (rows, columns), sign)
    np.cumsum(paint, axis=0, out=paint)
    np.cumsum(paint, axis=1, out=paint)
    _, labels = cv2.connectedComponents((paint > 0).view(np.uint8), connectivity=8)
    _, groups = np.unique(labels[top, left], return_inverse=True)
    return groups.astype(np.intp)


def _compressed(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Return the half-open intervals between the ranks of their ends: they overlap, touch or lie apart as before."""
    _, ranks = np.unique(np.concatenate([starts, stops]), return_inverse=True)
    return ranks[: starts.size], ranks[starts.size :]
