"""Which pixels only anti-aliasing made differ, where both pictures are opaque and have 8 bits: in integers.

The same rule as in `pytest_imgdiff.perceived.smoothing`, with the same answers; nearly all pictures are of this kind.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_imgdiff.perceived.raster import Indices, Raster

    Words = NDArray[np.uint32]
    """Pixels, one word each; (n,) or, around n of them, (8, n)."""

MARGIN = 2
"""Pixels at least so far from the border have neighbours that have all of theirs."""
_CHUNK = 1 << 16
"""How many pixels are asked about at once: few enough for the cache, enough that two threads seldom meet."""
_DENSE = 16
"""Where one pixel of so many is asked about, on an average, it pays to look at all of their rows first."""
_BLOCK = 1 << 16
"""Pixels that are held against their neighbours at once."""
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


@dataclass(frozen=True, slots=True, eq=False)
class FlatRows:
    """Which pixels of some whole rows are flat: have at least three equal neighbours.

    Attributes:
        start: the index of the first of these pixels.
        flat: for each picture, which are; nothing is known of those at the border.
        both: which are so in both pictures.
        open: which are not so in both, and have a neighbour that is; true of all within `MARGIN` of the border.
    """

    start: int
    flat: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    both: NDArray[np.bool_]
    open: NDArray[np.bool_]

    @classmethod
    def about(cls, first: Raster, second: Raster, indices: Indices) -> FlatRows | None:
        """Look at the rows of pixels, in ascending order; None where too few of them are asked about."""
        if not indices.size or indices[-1] - indices[0] >= _DENSE * indices.size:
            return None
        width = first.width
        top = max(0, int(indices[0]) // width - MARGIN)
        bottom = min(first.height, int(indices[-1]) // width + MARGIN + 1)
        flat = _flat_rows(first.values, width, top, bottom), _flat_rows(second.values, width, top, bottom)
        both = flat[0] & flat[1]
        open_ = cv2.dilate(both.view(np.uint8).reshape(-1, width), np.ones((3, 3), np.uint8)).view(np.bool_)
        open_ &= ~both.reshape(-1, width)
        open_[:, :MARGIN] = open_[:, -MARGIN:] = True
        open_[: max(0, MARGIN - top)] = True
        open_[max(0, first.height - MARGIN - top) :] = True
        return cls(top * width, flat, both, open_.reshape(-1))

    def may_be_smoothed(self, indices: Indices) -> NDArray[np.bool_]:
        """Whether each pixel may be anti-aliased: is not flat in both pictures, and has a neighbour that is."""
        may_be: NDArray[np.bool_] = self.open.take(indices - self.start)
        return may_be


def smoothed_inside(
    first: Raster, second: Raster, indices: Indices, known: FlatRows | None = None
) -> NDArray[np.bool_]:
    """Whether each pixel, none of them within `MARGIN` of the border, looks anti-aliased in either picture.

    Args:
        first: one picture.
        second: the other.
        indices: of the pixels, in ascending order.
        known: what is known of their rows.
    """
    one, two = _Grid(first.values, first.width), _Grid(second.values, second.width)
    found = np.zeros(indices.size, np.bool_)
    for start in range(0, indices.size, _CHUNK):
        part = indices[start : start + _CHUNK]
        answers = _smoothed_apart(one, two, part) if known is None else _smoothed_among(one, two, part, known)
        found[start : start + _CHUNK] = answers
    return found


def _smoothed_apart(one: _Grid, two: _Grid, indices: Indices) -> NDArray[np.bool_]:
    """Answer for pixels that lie apart: look at the surroundings of each."""
    found = np.zeros(indices.size, np.bool_)
    for picture, other in ((one, two), (two, one)):
        rest = np.flatnonzero(~found)
        asked = indices.take(rest)
        around = picture.around(asked - (picture.width + 1))
        open_ = np.flatnonzero(_count(around == picture.words.take(asked)) <= _MOST_EQUAL)
        flat_in_both = functools.partial(_flat_in_both, picture, other)
        found[rest.take(open_)] = _antialiased(picture, asked.take(open_), around.take(open_, axis=1), flat_in_both)
    return found


def _smoothed_among(one: _Grid, two: _Grid, indices: Indices, known: FlatRows) -> NDArray[np.bool_]:
    """Answer for pixels that lie close together: what is flat is looked up."""
    found = np.zeros(indices.size, np.bool_)
    for picture, flat in zip((one, two), known.flat, strict=True):
        rest = np.flatnonzero(~(found | flat.take(indices - known.start)))
        places = indices.take(rest)
        around = picture.around(places - (picture.width + 1))
        found[rest] = _antialiased(picture, places, around, lambda pixels: known.both.take(pixels - known.start))
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


def _flat_rows(words: Words, width: int, top: int, bottom: int) -> NDArray[np.bool_]:
    """Whether each pixel of these rows has at least three equal neighbours, but for those at their border."""
    flat = np.empty((bottom - top) * width, np.bool_)
    step = max(1, _BLOCK // width)
    for first in range(top, bottom, step):
        last = min(first + step, bottom)
        begin, end = max(first - 1, top), min(last + 1, bottom)
        found = _flat_block(words[begin * width : end * width], width)
        flat[(first - top) * width : (last - top) * width] = found[(first - begin) * width : (last - begin) * width]
    return flat


def _flat_block(words: Words, width: int) -> NDArray[np.bool_]:
    equal = np.zeros(words.size, np.uint8)
    for step in (1, width - 1, width, width + 1):
        same = (words[:-step] == words[step:]).view(np.uint8)
        equal[:-step] += same
        equal[step:] += same
    return equal > _MOST_EQUAL


def _count(equal: NDArray[np.bool_]) -> NDArray[np.uint8]:
    count: NDArray[np.uint8] = equal.view(np.uint8).sum(axis=0, dtype=np.uint8)
    return count


def _antialiased(
    picture: _Grid, indices: Indices, around: Words, flat_in_both: Callable[[Indices], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Whether each pixel looks anti-aliased in a picture.

    Args:
        picture: the picture.
        indices: of pixels that are not flat in it.
        around: (8, n) their neighbours.
        flat_in_both: whether each of some pixels is flat in both pictures.
    """
    result = np.zeros(indices.size, np.bool_)
    levels, centre = brightness_order(around), brightness_order(picture.words.take(indices))
    darkest, brightest = levels.min(axis=0), levels.max(axis=0)
    slopes = np.flatnonzero((darkest < centre) & (centre < brightest))
    levels = levels.take(slopes, axis=1)
    corners = indices.take(slopes) - (picture.width + 1)
    flat = flat_in_both(corners + _step_to(brightest.take(slopes), levels, picture))
    rest = np.flatnonzero(~flat)
    step = _step_to(darkest.take(slopes.take(rest)), levels.take(rest, axis=1), picture)
    flat[rest] = flat_in_both(corners.take(rest) + step)
    result[slopes] = flat
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
