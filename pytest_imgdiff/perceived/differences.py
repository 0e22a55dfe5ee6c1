"""Perceptible colour differences, anti-aliased pixels not counted: the rule of pixelmatch 7.2, at any depth.

Sources:
    Kotsarenko and Ramos, "Measuring perceived color difference using YIQ NTSC transmission color space in mobile
    applications", 2010: the colour difference.
    Vysniauskas, "Anti-aliased Pixel and Intensity Slope Detector", 2009: the anti-aliasing rule.
    https://github.com/mapbox/pixelmatch, release 7.2.0 (ISC): both as they are computed here, rounding included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import cv2
import numpy as np

from pytest_imgdiff.perceived.raster import Raster, Y, difference, luma, pattern
from pytest_imgdiff.perceived.smoothing import smoothed
from pytest_imgdiff.views import (
    STRIP_BYTES,
    are_opaque,
    differing_rows,
    grown,
    is_core_idle,
    largest_difference,
    side_by_side,
    strips,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_imgdiff.image import Image, Pixels
    from pytest_imgdiff.perceived.opaque_smoothing import Words
    from pytest_imgdiff.perceived.raster import Colour, Indices

    Counts = tuple[int, int]
    """How many pixels differ, and how many more only anti-aliasing made differ."""

A = TypeVar("A")
B = TypeVar("B")
AntiAliasing = Literal["ignore", "count"]

LARGEST_DELTA = 35215.0
"""The delta of the two colours that differ most, as pixelmatch rounds it."""
CHUNK = 1 << 17
"""How many pixels are judged at once: enough to outweigh the calls, few enough to stay in the last cache."""
_SHARED_STRIP_BYTES = 1 << 20
"""How much of a picture each of two threads searches at once; with less they would wait for one another."""
_WORTH_A_THREAD = 1 << 24
"""Bytes of a picture from which on a second thread pays: NumPy's many short calls have each wait for the other."""
_I = (0.59597799, -0.27417610, -0.32180189)
_Q = (0.21147017, -0.52261711, 0.31114694)
_WEIGHTS = (0.5053, 0.299, 0.1957)
_AXES = np.array([Y, _I, _Q])
_FORM = _AXES.T @ np.diag(_WEIGHTS) @ _AXES
"""The delta as a quadratic form of the differences of red, green and blue."""
_STEEPEST = float(np.linalg.eigvalsh(_FORM)[-1])
_BLACK: Colour = (0.0, 0.0, 0.0)
_WHITE: Colour = (255.0, 255.0, 255.0)


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
    expected: Image, actual: Image, threshold: float, *, antialiasing: AntiAliasing = "ignore"
) -> Differences:
    """Judge every pixel of two images of equal size and depth, of which only the rows that differ are looked at.

    Args:
        expected: one image.
        actual: the other.
        threshold: as in `Perceptual`.
        antialiasing: as in `Perceptual`.
    """
    width, height = expected.size
    bands = differing_rows(expected, actual)
    parts = _parts(bands, 4 * width * expected.dtype.itemsize)
    windows = [grown(band, height) for band in bands]
    if not all(_both(lambda image: _are_opaque(image, windows), (expected, actual), at_once=len(parts) > 1)):
        # What is behind a pixel hangs on its place in the whole picture.
        return find_differences(expected.pixels, actual.pixels, threshold, opaque=False, antialiasing=antialiasing)
    heat = np.zeros((height, width), np.uint8)
    judge = _Judge(_limit(threshold), antialiasing, _strip_bytes(parts), opaque=True)

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
    strip_bytes: int | None = None,
) -> Differences:
    """Judge every pixel of two (height, width, 4) arrays of equal shape and dtype.

    Args:
        expected: straight RGBA of any depth.
        actual: the same.
        threshold: as in `Perceptual`.
        opaque: that every pixel of both is fully opaque.
        antialiasing: as in `Perceptual`.
        strip_bytes: how much of a picture is searched for candidates at once, chosen where omitted; the result does not
            depend on it.
    """
    height = len(expected)
    heat = np.zeros(expected.shape[:2], np.uint8)
    parts = _parts([slice(0, height)], expected.nbytes // height)
    judge = _Judge(_limit(threshold), antialiasing, strip_bytes or _strip_bytes(parts), opaque=opaque)
    return Differences(heat, *_sums(lambda rows: judge.rows(expected, actual, rows, heat), parts))


def _limit(threshold: float) -> float:
    return LARGEST_DELTA * threshold * threshold


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
        limit: the largest delta that is no difference.
        antialiasing: as in `Perceptual`.
        strip_bytes: how much of a picture is searched for candidates at once.
        opaque: that every pixel is fully opaque.
    """

    limit: float
    antialiasing: AntiAliasing
    strip_bytes: int
    opaque: bool

    def rows(self, expected: Pixels, actual: Pixels, rows: slice, heat: NDArray[np.uint8]) -> Counts:
        """Judge some rows of two (height, width, 4) arrays; others are looked at as neighbours only.

        The heat of what differs is written into (height, width). Returned is how many pixels do, and how many more only
        anti-aliasing made differ.
        """
        first, second = Raster.of(expected, opaque=self.opaque), Raster.of(actual, opaque=self.opaque)
        found = _candidates(expected, actual, _harmless(self.limit, first), rows, self.strip_bytes)
        return _judged(first, second, _chunks(found), self.limit, heat.reshape(-1), self.antialiasing)


def _judged(
    first: Raster,
    second: Raster,
    chunks: Iterable[Indices],
    limit: float,
    levels: NDArray[np.uint8],
    antialiasing: AntiAliasing,
) -> Counts:
    pixels = antialiased = 0
    for candidates in chunks:
        delta, beyond = _deltas(first, second, candidates, limit)
        differing, delta = candidates.take(beyond), delta.take(beyond)
        if antialiasing == "ignore":
            kept = np.flatnonzero(~smoothed(first, second, differing))
            antialiased += differing.size - kept.size
            differing, delta = differing.take(kept), delta.take(kept)
        pixels += differing.size
        levels[differing] = np.sqrt(delta * (255 * 255 / LARGEST_DELTA)).clip(1, 255).astype(np.uint8)
    return pixels, antialiased


def _harmless(limit: float, raster: Raster) -> float:
    """Return the largest channel difference, in the depth's own unit, that cannot make a delta beyond the limit."""
    levels = float(np.sqrt(limit / (3 * _STEEPEST))) * (1 - 1e-5)
    if not raster.opaque:
        levels /= 2  # laid on a backdrop, a pixel changes by its colour's difference and its alpha's
    return levels * raster.unit


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


def _deltas(first: Raster, second: Raster, indices: Indices, limit: float) -> tuple[NDArray[Any], Indices]:
    """Return the (n,) deltas of the pixels, and which of them are beyond the limit; rounding never decides that."""
    gathered, others = first.values.take(indices, axis=0), second.values.take(indices, axis=0)
    if first.opaque and first.dtype == np.uint8:
        deltas = _rounded_deltas(gathered, others)
        beyond = deltas > np.float32(limit)
        margin = 1e-3 * limit + 1e-3
        near = np.flatnonzero((deltas >= np.float32(limit - margin)) & (deltas <= np.float32(limit + margin)))
        one, two = first.channels(gathered[near]), second.channels(others[near])
        beyond[near] = _delta(difference(one, two, None, first.unit)) > limit
        return deltas, np.flatnonzero(beyond)  # NumPy takes places sooner than truths
    one, two = first.channels(gathered), second.channels(others)
    if first.opaque:
        exact = _delta(difference(one, two, None, first.unit))
    else:
        exact = _largest_delta(one, two, indices, first.unit)
    return exact, np.flatnonzero(exact > limit)


def _rounded_deltas(one: Words, two: Words) -> NDArray[np.float32]:
    """Return the (n,) deltas of opaque pixels in single precision, good to one part in 100,000."""
    red, green, blue = (_level_difference(one, two, bits) for bits in (0, 8, 16))
    form = _FORM.astype(np.float32)
    deltas: NDArray[np.float32] = red * (red * form[0, 0] + green * (2 * form[0, 1]) + blue * (2 * form[0, 2]))
    deltas += green * (green * form[1, 1] + blue * (2 * form[1, 2]))
    deltas += blue * blue * form[2, 2]
    return deltas


def _level_difference(one: Words, two: Words, bits: int) -> NDArray[np.float32]:
    levels, others = ((words >> np.uint32(bits)) & np.uint32(255) for words in (one, two))
    difference: NDArray[np.float32] = (levels - others).view(np.int32).astype(np.float32)  # it may be below 0
    return difference


def _largest_delta(one: NDArray[Any], two: NDArray[Any], indices: Indices, unit: float) -> NDArray[np.float64]:
    backdrops = (pattern(indices), _BLACK, _WHITE)
    deltas = [_delta(difference(one, two, backdrop, unit)) for backdrop in backdrops]
    largest: NDArray[np.float64] = np.maximum.reduce(deltas)
    return largest


def _delta(difference: Colour) -> NDArray[np.float64]:
    red, green, blue = difference
    y = luma(difference)
    i = red * _I[0] + green * _I[1] + blue * _I[2]
    q = red * _Q[0] + green * _Q[1] + blue * _Q[2]
    delta: NDArray[np.float64] = _WEIGHTS[0] * y * y + _WEIGHTS[1] * i * i + _WEIGHTS[2] * q * q
    return delta
