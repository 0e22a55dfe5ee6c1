"""What differs between two images of equal size and depth: whether anything does, which rows, how many pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import strips
from pytest_imgdiff.images.counting import Asked
from pytest_imgdiff.images.png_core import CoreRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.images.counting import Counts

_NEVER_APART = 4
"""Rows that are equal and lie between two that differ part no windows where they are so few,"""
_FAR_APART = 1 << 18
"""or so few bytes of pixels: each window takes a few calls."""


def unequal(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.uint8]:
    """Return (height, width), above 0 where two arrays of (height, width, channels) differ in any channel."""
    if CORE is not None and first.dtype == np.uint8 and first.shape[2] == len("RGBA"):
        found = np.zeros(first.shape[:2], np.uint8)
        CORE.beyond_tolerance(first, second, found.size, 0, found)
        return found
    differs: NDArray[np.bool_] = (first != second).any(axis=2)
    return differs.view(np.uint8)


def equal_pixels(first: Image, second: Image) -> bool:
    """Return whether two images of equal size and depth are equal in every channel of every pixel."""
    return not differing_rows(first, second).any()


def differing_pixels(first: Image, second: Image) -> int:
    """Return how many pixels of two images of equal size and depth are not equal in every channel."""
    if (counts := counted(first, second, Asked())) is not None:
        return counts.unequal
    count = 0
    for window in windows(first, second):
        one, two = (image.rows(window.start, window.stop) for image in (first, second))
        if CORE is not None and one.dtype == np.uint8:
            count += CORE.beyond_tolerance(one, two, one.shape[0] * one.shape[1], 0, None)
        else:
            count += sum(int(np.count_nonzero(unequal(one[rows], two[rows]))) for rows in strips(one))
    return count


def differing_rows(first: Image, second: Image) -> NDArray[np.bool_]:
    """Return (height,), true where a row of two images of equal size and depth differs in any pixel.

    It is found once for a pair. Where the compiled core reads both files, no other rows are decoded.
    """
    return first.derived(_DifferingFrom(second))


@dataclass(frozen=True, slots=True)
class _DifferingFrom:
    other: Image

    def __call__(self, image: Image) -> NDArray[np.bool_]:
        if (unlike := _unlike(image, self.other)) is not None:
            return unlike
        one, two = image.pixels, self.other.pixels
        steps = (cv2.absdiff(one[rows], two[rows]).reshape(rows.stop - rows.start, -1) for rows in strips(one))
        return np.concatenate([step.max(axis=1) > 0 for step in steps])


def _unlike(first: Image, second: Image) -> NDArray[np.bool_] | None:
    """Return the rows that differ as the compiled core tells; None if it does not read both files."""
    stored = first.stored
    return stored.unlike(second.stored) if isinstance(stored, CoreRows) else None


def counted(first: Image, second: Image, asked: Asked) -> Counts[NDArray[np.uint8]] | None:
    """Return what the compiled core counted while it read both files; None if this was not asked of it then."""
    stored = first.stored
    counts = stored.counted(second.stored) if isinstance(stored, CoreRows) else None
    return counts if counts is not None and counts.asked.holds(asked) else None


def decoded_share(first: Image, second: Image) -> float:
    """Return the share of the rows of two images that metrics decode which look at `windows` only."""
    unlike = _unlike(first, second)
    return 1.0 if unlike is None else float(np.mean(unlike))


def windows(first: Image, second: Image, margin: int = 0, step: int = 1) -> tuple[slice, ...]:
    """Return the rows that differ, and ``margin`` rows on either side of them, from the top; none overlap.

    This is how built-in metrics leave out what is equal. Such a metric looks at no rows of the images but these
    (`Image.rows` decodes no others), finds heat nowhere else, and says so by a private attribute ``_margin``, so that
    `pytest_imgdiff.comparison.explaining` looks for regions there only. Its result must be that of the whole images.

    Args:
        first: one image.
        second: the other, of equal size and depth.
        margin: rows beyond one that differs that the metric looks at.
        step: each window begins at a multiple of so many rows.
    """
    found: list[slice] = []
    for first_row, behind in first.derived(_RunsOfDiffering(second)):
        start = max(0, first_row - margin) // step * step
        if found and start <= found[-1].stop:
            start = found.pop().start
        found.append(slice(start, min(first.size[1], behind + margin)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _RunsOfDiffering:
    other: Image

    def __call__(self, image: Image) -> list[tuple[int, int]]:
        """Return from which up to which rows two images differ; between these runs lie enough rows that are equal."""
        rows = np.flatnonzero(differing_rows(image, self.other))
        if not rows.size:
            return []
        apart = np.flatnonzero(np.diff(rows) > max(_NEVER_APART, _FAR_APART // (4 * image.size[0])))
        return list(zip(rows[[0, *(apart + 1)]].tolist(), (rows[[*apart, -1]] + 1).tolist(), strict=True))
