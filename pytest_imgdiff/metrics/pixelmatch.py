"""Perceptible colour differences, anti-aliased pixels not counted: the rules of pixelmatch 7.2 and 8.0, at any depth.

The colour differences are in `yiq` and `oklab`, the anti-aliasing rule in `smoothing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import (
    STRIP_BYTES,
    are_opaque,
    differing_rows,
    grown,
    is_core_idle,
    largest_difference,
    side_by_side,
    strips,
)
from pytest_imgdiff.metrics import oklab, yiq
from pytest_imgdiff.metrics.antialiasing import smoothed
from pytest_imgdiff.metrics.raster import Raster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Image, Pixels
    from pytest_imgdiff.base.model import AntiAliasing, ColourDifference
    from pytest_imgdiff.metrics.raster import Indices

    Counts = tuple[int, int]
    """How many pixels differ, and how many more only anti-aliasing made differ."""


A = TypeVar("A")
B = TypeVar("B")

_COLOURS = {"yiq": yiq, "oklab": oklab}
CHUNK = 1 << 17
"""How many pixels are judged at once: enough to outweigh the calls, few enough to stay in the last cache."""
_SHARED_STRIP_BYTES = 1 << 20
"""How much of a picture each of two threads searches at once; with less they would wait for one another."""
_WORTH_A_THREAD = 1 << 24
"""Bytes of a picture from which on a second thread pays: NumPy's many short calls have each wait for the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Where two pictures differ perceptibly: the heat, and the counts of differing and of anti-aliased pixels.

    Attributes:
        heated: bands of rows beyond which the heat is 0; None where it may be anywhere.
    """

    heat: NDArray[np.uint8]
    pixels: int
    antialiased: int
    heated: tuple[slice, ...] | None = None


def find_differences_in_rows(
    expected: Image,
    actual: Image,
    threshold: float,
    *,
    antialiasing: AntiAliasing = "ignore",
    difference: ColourDifference = "oklab",
) -> Differences:
    """Judge every pixel of two images of equal size and depth, of which only the rows that differ are looked at.

    Args:
        expected: one image.
        actual: the other.
        threshold: as in `Perceptual`.
        antialiasing: as in `Perceptual`.
        difference: as in `Perceptual`.
    """
    width, height = expected.size
    bands = differing_rows(expected, actual)
    parts = _parts(bands, 4 * width * expected.dtype.itemsize)
    windows = [grown(band, height) for band in bands]
    if not all(_both(lambda image: _are_opaque(image, windows), (expected, actual), at_once=len(parts) > 1)):
        # The backdrop of a pixel depends on its place in the whole picture.
        return find_differences(
            expected.pixels, actual.pixels, threshold, opaque=False, antialiasing=antialiasing, difference=difference
        )
    heat = np.zeros((height, width), np.uint8)
    judge = _Judge(threshold, antialiasing, difference, _strip_bytes(parts), opaque=True)

    def judged(band: slice) -> Counts:
        window = grown(band, height)
        one, two = (image.rows(window.start, window.stop) for image in (expected, actual))
        rows = slice(band.start - window.start, band.stop - window.start)
        return judge.rows(one, two, rows, heat[window])

    return Differences(heat, *_sums(judged, parts), bands)


def _are_opaque(image: Image, windows: Sequence[slice]) -> bool:
    return image.opaque or all(are_opaque(image.rows(window.start, window.stop)) for window in windows)


def find_differences(
    expected: Pixels,
    actual: Pixels,
    threshold: float,
    *,
    opaque: bool,
    antialiasing: AntiAliasing = "ignore",
    difference: ColourDifference = "oklab",
    strip_bytes: int | None = None,
) -> Differences:
    """Judge every pixel of two (height, width, 4) arrays of equal shape and dtype.

    Args:
        expected: straight RGBA of any depth.
        actual: the same.
        threshold: as in `Perceptual`.
        opaque: that every pixel of both is fully opaque.
        antialiasing: as in `Perceptual`.
        difference: as in `Perceptual`.
        strip_bytes: how much of a picture is searched for candidates at once, chosen where omitted; the result does not
            depend on it.
    """
    height = len(expected)
    heat = np.zeros(expected.shape[:2], np.uint8)
    parts = _parts([slice(0, height)], expected.nbytes // height)
    judge = _Judge(threshold, antialiasing, difference, strip_bytes or _strip_bytes(parts), opaque=opaque)
    return Differences(heat, *_sums(lambda rows: judge.rows(expected, actual, rows, heat), parts))


def _parts(bands: Sequence[slice], row_bytes: int) -> list[list[slice]]:
    """Return bands of rows, those of a large picture in two parts with as many rows each, to be judged at once."""
    rows = sum(band.stop - band.start for band in bands)
    if rows * row_bytes < _WORTH_A_THREAD or not is_core_idle():
        return [list(bands)]
    missing = rows // 2
    parts: list[list[slice]] = [[], []]
    for band in bands:
        cut = min(band.start + missing, band.stop)
        missing -= cut - band.start
        for part, share in zip(parts, (slice(band.start, cut), slice(cut, band.stop)), strict=True):
            if share.start < share.stop:
                part.append(share)
    return parts


def _strip_bytes(parts: Sequence[object]) -> int:
    return STRIP_BYTES if len(parts) == 1 else _SHARED_STRIP_BYTES


def _sums(judged: Callable[[slice], Counts], parts: Sequence[Sequence[slice]]) -> Counts:
    """Judge the parts, two of them at once; return the sums of their bands' counts."""

    def counted(bands: Sequence[slice]) -> Counts:
        return _sum(map(judged, bands))

    return _sum(_both(counted, parts, at_once=len(parts) > 1))


def _sum(counts: Iterable[Counts]) -> Counts:
    pixels, antialiased = (sum(column) for column in zip((0, 0), *counts, strict=True))
    return pixels, antialiased


def _both(work: Callable[[A], B], given: Sequence[A], *, at_once: bool) -> Sequence[B]:
    """Do some work for each of what is given; for two at once, where that is asked."""
    if not at_once:
        return [work(one) for one in given]
    first, second = given
    return side_by_side(lambda: work(first), lambda: work(second))


@dataclass(frozen=True, slots=True)
class _Judge:
    """How pixels are judged.

    Attributes:
        threshold: the largest difference that does not count, as a share of the largest possible.
        antialiasing: as in `Perceptual`.
        difference: as in `Perceptual`.
        strip_bytes: how much of a picture is searched for candidates at once.
        opaque: that every pixel is fully opaque.
    """

    threshold: float
    antialiasing: AntiAliasing
    difference: ColourDifference
    strip_bytes: int
    opaque: bool

    def rows(self, expected: Pixels, actual: Pixels, rows: slice, heat: NDArray[np.uint8]) -> Counts:
        """Judge some rows of two (height, width, 4) arrays; others are looked at as neighbours only.

        The heat of what differs is written into (height, width). Returned is how many pixels do, and how many more only
        anti-aliasing made differ.
        """
        if CORE is not None and expected.dtype == np.uint8:
            height, width = heat.shape
            options = self.threshold, self.difference == "oklab", self.opaque, self.antialiasing == "ignore"
            counts: Counts | None = CORE.perceptual(
                expected, actual, width, height, rows.start, rows.stop, *options, heat
            )
            if counts is not None:
                return counts
        first, second = (
            Raster.of(pixels, opaque=self.opaque, difference=self.difference) for pixels in (expected, actual)
        )
        harmless = _COLOURS[self.difference].largest_harmless_step(self.threshold, first)
        found = _candidates(expected, actual, harmless, rows, self.strip_bytes)
        return self._judged(first, second, _chunks(found), heat.reshape(-1))

    def _judged(self, first: Raster, second: Raster, chunks: Iterable[Indices], levels: NDArray[np.uint8]) -> Counts:
        pixels = antialiased = 0
        for candidates in chunks:
            strength, beyond = _COLOURS[self.difference].measured(first, second, candidates, self.threshold)
            differing, strength = candidates.take(beyond), strength.take(beyond)
            if self.antialiasing == "ignore":
                kept = np.flatnonzero(~smoothed(first, second, differing))
                antialiased += differing.size - kept.size
                differing, strength = differing.take(kept), strength.take(kept)
            pixels += differing.size
            levels[differing] = (strength * 255).clip(1, 255).astype(np.uint8)
        return pixels, antialiased


def _candidates(expected: Pixels, actual: Pixels, harmless: float, part: slice, strip_bytes: int) -> Iterator[Indices]:
    """Yield the indices of all pixels with a channel that differs by more than ``harmless``."""
    limit = harmless if expected.dtype.kind == "f" else int(harmless)
    for strip in strips(expected[part], strip_bytes):
        rows = slice(part.start + strip.start, part.start + strip.stop)
        if largest_difference(expected[rows], actual[rows]) <= limit:
            continue
        beyond = cv2.absdiff(expected[rows], actual[rows]) > limit
        any_channel = beyond.reshape(-1, 4).view(np.uint32)[:, 0] != 0
        yield np.flatnonzero(any_channel) + rows.start * expected.shape[1]


def _chunks(parts: Iterable[Indices]) -> Iterator[Indices]:
    """Gather small parts and split large ones, so that each chunk is worth its calls and fits the cache."""
    waiting: list[Indices] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        if count >= CHUNK:
            yield from _split(waiting)
            waiting, count = [], 0
    if waiting:
        yield from _split(waiting)


def _split(parts: list[Indices]) -> Iterator[Indices]:
    indices = np.concatenate(parts)
    for start in range(0, len(indices), CHUNK):
        yield indices[start : start + CHUNK]
