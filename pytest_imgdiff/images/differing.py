"""Differences between two images of equal size and depth: whether there are any, in which rows, in how many pixels."""

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
"""Maximum equal rows between two differing ones that do not separate windows,"""
_FAR_APART = 1 << 18
"""or maximum bytes of their pixels: each window takes a few calls."""


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

    It is determined once per pair. If the compiled core reads both files, no other rows are decoded.
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
    """Return the rows that differ according to the compiled core; None if it does not read both files."""
    stored = first.stored
    return stored.unlike(second.stored) if isinstance(stored, CoreRows) else None


def counted(first: Image, second: Image, asked: Asked) -> Counts[NDArray[np.uint8]] | None:
    """Return what the compiled core counted while it read both files; None if this was not requested then."""
    stored = first.stored
    counts = stored.counted(second.stored) if isinstance(stored, CoreRows) else None
    return counts if counts is not None and counts.asked.holds(asked) else None


def decoded_share(first: Image, second: Image) -> float:
    """Return the share of the two images' rows that is decoded by metrics that read only `windows`."""
    unlike = _unlike(first, second)
    return 1.0 if unlike is None else float(np.mean(unlike))


def windows(first: Image, second: Image, margin: int = 0, step: int = 1) -> tuple[slice, ...]:
    """Return the rows that differ, and ``margin`` rows on either side of them, from the top; none overlap.

    Built-in metrics use it to skip equal rows. Such a metric reads only these rows of the images (`Image.rows` decodes
    no others), has no heat elsewhere, and declares this with a private attribute ``_margin``, so that
    `pytest_imgdiff.comparison.explaining` searches only there for regions. Its result must be that of the whole images.

    Args:
        first: One image.
        second: The other, of equal size and depth.
        margin: Rows around a differing row that the metric reads.
        step: Each window begins at a multiple of ``step`` rows.
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
        """Return the runs of rows in which two images differ, (start, stop), with enough equal rows between them."""
        rows = np.flatnonzero(differing_rows(image, self.other))
        if not rows.size:
            return []
        apart = np.flatnonzero(np.diff(rows) > max(_NEVER_APART, _FAR_APART // (4 * image.size[0])))
        return list(zip(rows[[0, *(apart + 1)]].tolist(), (rows[[*apart, -1]] + 1).tolist(), strict=True))
