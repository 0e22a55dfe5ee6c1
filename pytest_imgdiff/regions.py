"""From heat to a difference mask, and from the mask to regions."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from pytest_imgdiff.model import Box, Region
from pytest_imgdiff.views import full_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.model import Heat, Mask, RegionSettings

    Numbers = NDArray[np.intp]
    """(n,) one number for each piece."""

BLOCKS = (4, 2, 1)
"""Sides, in pixels, of the squares that masks are reduced by, the largest first."""
_LARGEST_WORD = 8


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
    distance = settings.merge_distance
    regions = _Pieces.of(mask, heat, distance, [slice(0, len(mask))] if heated is None else heated)
    if not regions.area.size:
        return ()
    groups = _groups(regions, distance)
    while groups.max() + 1 < groups.size:  # a joined box may be near to what its parts were not
        regions = regions.joined(groups)
        groups = _groups(regions, distance)
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
    def of(cls, mask: Mask, heat: Heat | None, distance: int, heated: Sequence[slice]) -> _Pieces:
        """Find sets of pixels that this distance joins in any case: 8-connected ones on a reduced mask.

        Pixels of two squares that touch have at most ``2 * side - 2`` pixels between them.
        """
        side = next(side for side in BLOCKS if 2 * side - 2 <= distance)
        bands = _not_empty(mask, side, heated)
        if not bands.size:
            none = np.empty(0, np.intp)
            return cls(none, none, none, none, none, np.empty(0))
        squares = _in_squares(mask, side, bands)
        reduced = np.zeros((bands[-1] - bands[0] + 1, squares.shape[2]), np.bool_)
        reduced[bands - bands[0]] = squares.any(axis=1)
        _, labels = cv2.connectedComponents(reduced.view(np.uint8), connectivity=8)
        places = np.flatnonzero(reduced)
        rows = places // reduced.shape[1]
        columns = places - rows * reduced.shape[1]
        numbers = np.searchsorted(bands, rows + bands[0])
        words = squares[numbers, :, columns]  # of each square that is not empty a word for each of its rows
        above, below = _ends(words != 0)
        before, behind = _ends(_bytes(functools.reduce(np.bitwise_or, words.T), side).view(np.bool_))
        found = cls(
            left=columns * side + before,
            top=(rows + bands[0]) * side + above,
            right=columns * side + behind,
            bottom=(rows + bands[0]) * side + below,
            area=_down(np.add, _bytes(words, side * side)).astype(np.intp),
            peak=np.ones(rows.size)
            if heat is None
            else _peaks(_in_squares(heat, side, bands)[numbers, :, columns], words, heat.dtype),
        )
        return found.joined(labels[rows, columns].astype(np.intp) - 1)

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


def _not_empty(mask: Mask, side: int, heated: Sequence[slice]) -> Numbers:
    """Return, in ascending order, the numbers of the bands of ``side`` rows in which anything is true."""
    found = [np.flatnonzero(mask[rows].any(axis=1)) + rows.start for rows in heated]
    rows = np.concatenate([np.empty(0, np.intp), *found]) // side
    return rows[np.flatnonzero(np.diff(rows, prepend=-1))]


def _in_squares(values: NDArray[Any], side: int, bands: Numbers) -> NDArray[Any]:
    """Return (n, side, across) words: in each the values of one row of one square, beyond the edge zeros.

    Args:
        values: (height, width).
        side: of a square.
        bands: which bands of ``side`` rows, (n,).
    """
    height, width = values.shape
    across = -(-width // side)
    padded = np.zeros((bands.size, side, across * side), values.dtype)
    inside = bands.size - (int(bands[-1] + 1) * side > height)  # the last band may reach beyond the edge
    for row in range(side):
        padded[:inside, row, :width] = values[bands[:inside] * side + row]
    if inside < bands.size:
        beginning = int(bands[-1]) * side
        padded[inside, : height - beginning, :width] = values[beginning:]
    size = values.itemsize * side
    word = f"u{size}" if size <= _LARGEST_WORD else f"V{size}"
    return padded.reshape(bands.size * side, -1).view(word).reshape(bands.size, side, across)


_SETS = range(1 << BLOCKS[0])
_FIRST = np.array([max(0, (places & -places).bit_length() - 1) for places in _SETS], np.uint8)
_BEHIND = np.array([places.bit_length() for places in _SETS], np.uint8)
"""For each set of places, as bits, its first place and the one behind its last."""


def _ends(true: Mask) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return, for each row of a few values, the first place that is true, and the one behind the last."""
    bits = functools.reduce(np.bitwise_or, [column << place for place, column in enumerate(true.view(np.uint8).T)])
    return _FIRST.take(bits), _BEHIND.take(bits)


def _bytes(words: NDArray[Any], count: int) -> NDArray[np.uint8]:
    """Return (n, count) bytes."""
    return np.ascontiguousarray(words).view(np.uint8).reshape(-1, count)


def _down(operation: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
    """Reduce each row of a few values; many at a time, which needs them on their side."""
    result: NDArray[Any] = operation.reduce(np.ascontiguousarray(values.T), axis=0)
    return result


def _peaks(levels: NDArray[Any], words: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Return the largest heat of each square's true pixels as a share of the largest possible."""
    pixels = words.shape[1] ** 2
    values = np.ascontiguousarray(levels).view(dtype).reshape(-1, pixels)
    peaks: NDArray[np.float64] = _down(np.maximum, values * _bytes(words, pixels)) / full_value(dtype)
    return peaks


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
    return _ranks(labels[top, left])


def _compressed(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """Return the half-open intervals between the ranks of their ends: they overlap, touch or lie apart as before."""
    ranks = _ranks(np.concatenate([starts, stops]))
    return ranks[: starts.size], ranks[starts.size :]


def _ranks(values: NDArray[Any]) -> Numbers:
    """Return the rank, from 0, that each of these numbers (none below 0) has among those that there are."""
    present = np.zeros(int(values.max()) + 1, np.bool_)
    present[values] = True
    ranks: Numbers = np.cumsum(present)[values] - 1
    return ranks
