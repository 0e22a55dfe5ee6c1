"""Which pixels only anti-aliasing made differ, where both pictures are opaque and have 8 bits: in integers.

The same rule as in `pytest_imgdiff.perceived.smoothing`, with the same answers; nearly all pictures are of this kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.perceived.raster import Indices, Raster

    Words = NDArray[np.uint32]
    """Pixels, one word each; (n,) or, around n of them, (8, n)."""

MARGIN = 2
"""Pixels at least so far from the border have neighbours that have all of theirs."""
_CHUNK = 1 << 16
"""How many pixels are asked about at once: few enough for the cache, enough that two threads seldom meet."""
_MOST_EQUAL = 2
_RED, _GREEN, _BLUE = (np.uint32(weight) for weight in (5_033_289, 9_878_512, 1_927_840))
"""Weights of red, green and blue, in 32 bits, that order all 2^24 colours as pixelmatch's luma does.

No two colours are equally bright by its weights (0.29889531, 0.58662247, 0.11448223); those that come nearest are 2e-6
levels apart, which is far beyond the rounding of its doubles.
"""
_LEVEL = np.uint32(255)
_FIRST = np.array([(number & -number).bit_length() - 1 for number in range(256)], np.intp)
"""The lowest bit that is set in each byte."""


def brightness_order(words: Words) -> Words:
    """Return numbers that are ordered as the pixels' brightness is, and equal only for equal colours."""
    order: Words = (words & _LEVEL) * _RED
    order += ((words >> np.uint32(8)) & _LEVEL) * _GREEN
    order += ((words >> np.uint32(16)) & _LEVEL) * _BLUE
    return order


def smoothed_inside(first: Raster, second: Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel, none of them within `MARGIN` of the border, looks anti-aliased in either picture."""
    one, two = _Grid(first.values, first.width), _Grid(second.values, second.width)
    found = np.zeros(indices.size, np.bool_)
    for start in range(0, indices.size, _CHUNK):
        part = indices[start : start + _CHUNK]
        answers = _antialiased(one, two, part)
        rest = np.flatnonzero(~answers)
        answers[rest] = _antialiased(two, one, part[rest])
        found[start : start + _CHUNK] = answers
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """A picture as one row of words."""

    words: Words
    width: int

    def steps(self) -> list[int]:
        """Return how far, along the row, the neighbours lie behind the upper left one, as pixelmatch visits them."""
        return [y * self.width + x for x in range(3) for y in range(3) if (x, y) != (1, 1)]

    def around(self, corners: Indices) -> Words:
        """Return the (8, n) neighbours of pixels, of which the upper left neighbours are given."""
        gathered = np.empty((8, corners.size), np.uint32)
        for row, step in zip(gathered, self.steps(), strict=True):
            self.words[step:].take(corners, out=row, mode="clip")  # which takes no buffer; nothing is out of range
        return gathered

    def flat(self, indices: Indices) -> NDArray[np.bool_]:
        """Whether each pixel has at least three equal neighbours."""
        equal = self.around(indices - (self.width + 1)) == self.words[indices]
        flat: NDArray[np.bool_] = _count(equal) > _MOST_EQUAL
        return flat


def _count(equal: NDArray[np.bool_]) -> NDArray[np.uint8]:
    count: NDArray[np.uint8] = equal.view(np.uint8).sum(axis=0, dtype=np.uint8)
    return count


def _antialiased(picture: _Grid, other: _Grid, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel looks anti-aliased in ``picture``, judged beside ``other``."""
    result = np.zeros(indices.size, np.bool_)
    centres, around = picture.words[indices], picture.around(indices - (picture.width + 1))
    open_ = np.flatnonzero(_count(around == centres) <= _MOST_EQUAL)
    levels, centre = brightness_order(around.take(open_, axis=1)), brightness_order(centres[open_])
    darkest, brightest = levels.min(axis=0), levels.max(axis=0)
    slopes = np.flatnonzero((darkest < centre) & (centre < brightest))
    levels, chosen = levels.take(slopes, axis=1), open_[slopes]
    corners = indices[chosen] - (picture.width + 1)
    flat = _flat_in_both(picture, other, corners + _step_to(brightest[slopes], levels, picture))
    rest = np.flatnonzero(~flat)
    step = _step_to(darkest[slopes[rest]], levels.take(rest, axis=1), picture)
    flat[rest] = _flat_in_both(picture, other, corners[rest] + step)
    result[chosen] = flat
    return result


def _step_to(extremes: Words, levels: Words, picture: _Grid) -> Indices:
    """Return the step to the first neighbour of this brightness."""
    which = np.zeros(extremes.size, np.uint8)
    for bit, row in enumerate(levels):
        which |= (row == extremes).view(np.uint8) << np.uint8(bit)
    return np.array(picture.steps(), np.intp)[_FIRST[which]]


def _flat_in_both(first: _Grid, second: _Grid, indices: Indices) -> NDArray[np.bool_]:
    flat = first.flat(indices)
    rest = np.flatnonzero(flat)
    flat[rest] = second.flat(indices[rest])
    return flat
