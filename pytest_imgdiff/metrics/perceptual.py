"""Perceptible colour differences, anti-aliased pixels not counted: the rule of pixelmatch 7.2, at any depth.

Sources:
    Kotsarenko and Ramos, "Measuring perceived color difference using YIQ NTSC transmission color space in mobile
    applications", 2010: the colour difference.
    Vysniauskas, "Anti-aliased Pixel and Intensity Slope Detector", 2009: the anti-aliasing rule.
    https://github.com/mapbox/pixelmatch, release 7.2.0 (ISC): both as they are computed here, rounding included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import cv2
import msgspec
import numpy as np

from pytest_imgdiff.model import MetricResult
from pytest_imgdiff.views import STRIP_BYTES, compared_pixels, full_value, has_alpha, pixel_words, strips

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from pytest_imgdiff.model import Image, Mask, Pixels

    Indices = NDArray[np.intp]
    """(n,) or (8, n) positions of pixels, counted row by row from the top left."""
    Values = NDArray[Any]
    """Pixels gathered by indices: one word for each integer pixel, a row of four channels for each float pixel."""
    Colour = tuple[Any, Any, Any]
    """Red, green and blue: three floats, or three ``float64`` arrays of one shape."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
AntiAliasing = Literal["ignore", "count"]

LARGEST_DELTA = 35215.0
"""The delta of the two colours that differ most, as pixelmatch rounds it."""

CHUNK = 1 << 14
"""How many pixels are judged at once: enough to outweigh the calls, few enough to stay in cache."""

_Y = (0.29889531, 0.58662247, 0.11448223)
_I = (0.59597799, -0.27417610, -0.32180189)
_Q = (0.21147017, -0.52261711, 0.31114694)
_WEIGHTS = (0.5053, 0.299, 0.1957)
_AXES = np.array([_Y, _I, _Q])
_FORM = _AXES.T @ np.diag(_WEIGHTS) @ _AXES
"""The delta as a quadratic form of the differences of red, green and blue."""
_STEEPEST = float(np.linalg.eigvalsh(_FORM)[-1])
_BLACK: Colour = (0.0, 0.0, 0.0)
_WHITE: Colour = (255.0, 255.0, 255.0)
_NEIGHBOURS = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]
"""In the order in which pixelmatch visits them, which decides between equally dark ones."""
_MOST_EQUAL = 2
"""A pixel with more equal neighbours lies in a flat area; the edge of the picture counts as one."""


@dataclass(frozen=True, slots=True)
class Perceptual:
    """The share of pixels whose colours differ perceptibly, without those that only anti-aliasing made.

    The colour difference is ``delta = 0.5053 y^2 + 0.299 i^2 + 0.1957 q^2`` of the YIQ differences, 0..35215, on values
    scaled to 0..255; a pixel differs where ``delta > 35215 * threshold^2``. A differing pixel is anti-aliased where, in
    either picture, it has a darker and a brighter neighbour, at most two equal ones, and the darkest or the brightest
    neighbour lies in an area that is flat in both pictures. Where either pixel is not opaque the largest delta on three
    backdrops decides: pixelmatch's pattern (which shows through at that position), black, and white; so this counts
    every pixel that pixelmatch counts, and those that differ on a dark or a light page only.

    Attributes:
        threshold: how large a difference is perceptible, 0 (every one) to 1 (none).
        antialiasing: ``ignore`` does not count anti-aliased pixels, ``count`` does.
    """

    threshold: Share = 0.1
    antialiasing: AntiAliasing = "ignore"

    name: ClassVar[str] = "perceptual"
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["zero"]] = "zero"

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the share of the compared pixels that differ perceptibly.

        Returns:
            Details: ``pixels``, how many differ, and ``antialiased``, how many more only anti-aliasing made differ.
            Heat: (height, width) ``uint8``, 0 where a pixel is not counted, else 1..255 by the root of its delta.
        """
        found = find_differences(
            expected.pixels,
            actual.pixels,
            self.threshold,
            opaque=not (expected.derived(has_alpha) or actual.derived(has_alpha)),
            antialiasing=self.antialiasing,
        )
        value = found.pixels / compared_pixels(expected, ignore)
        details = {"pixels": found.pixels, "antialiased": found.antialiased}
        return MetricResult(value, self.unit, heat=found.heat, details=details)


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Where two pictures differ perceptibly: the heat, and the counts of differing and of anti-aliased pixels."""

    heat: NDArray[np.uint8]
    pixels: int
    antialiased: int


def find_differences(
    expected: Pixels,
    actual: Pixels,
    threshold: float,
    *,
    opaque: bool,
    antialiasing: AntiAliasing = "ignore",
    strip_bytes: int = STRIP_BYTES,
) -> Differences:
    """Judge every pixel of two (height, width, 4) arrays of equal shape and dtype.

    Args:
        expected: straight RGBA of any depth.
        actual: the same.
        threshold: as in `Perceptual`.
        opaque: that every pixel of both is fully opaque.
        antialiasing: as in `Perceptual`.
        strip_bytes: how much of a picture is searched for candidates at once; the result does not depend on it.
    """
    limit = LARGEST_DELTA * threshold * threshold
    first, second = _Raster.of(expected, opaque=opaque), _Raster.of(actual, opaque=opaque)
    heat = np.zeros(expected.shape[:2], np.uint8)
    levels = heat.reshape(-1)
    pixels = antialiased = 0
    for candidates in _chunks(_candidates(expected, actual, _harmless(limit, first), strip_bytes)):
        delta = _deltas(first, second, candidates, limit)
        beyond = delta > limit
        differing, delta = candidates[beyond], delta[beyond]
        if antialiasing == "ignore":
            smoothed = _antialiased(first, second, differing)
            rest = np.flatnonzero(~smoothed)
            smoothed[rest] = _antialiased(second, first, differing[rest])
            antialiased += int(np.count_nonzero(smoothed))
            differing, delta = differing[~smoothed], delta[~smoothed]
        pixels += differing.size
        levels[differing] = np.sqrt(delta * (255 * 255 / LARGEST_DELTA)).clip(1, 255)
    return Differences(heat, pixels, antialiased)


@dataclass(frozen=True, slots=True, eq=False)
class _Raster:
    """A picture as one row of pixels."""

    width: int
    height: int
    values: Values
    dtype: np.dtype[Any]
    opaque: bool
    """Of both pictures."""

    @classmethod
    def of(cls, pixels: Pixels, *, opaque: bool) -> _Raster:
        height, width = pixels.shape[:2]
        words = pixel_words(pixels)
        values = pixels.reshape(-1, 4) if words is None else words.reshape(-1)
        return cls(width, height, values, pixels.dtype, opaque)

    @property
    def unit(self) -> float:
        """How large one 8-bit level is in this depth."""
        return full_value(self.dtype) / 255

    def channels(self, values: Values) -> NDArray[Any]:
        """Return gathered values as (..., 4) channels."""
        return values if self.dtype.kind == "f" else values.view(self.dtype).reshape(*values.shape, 4)

    def equal(self, values: Values, others: Values) -> NDArray[np.bool_]:
        """Whether gathered pixels are equal in every channel."""
        equal: NDArray[np.bool_] = values == others
        return np.logical_and.reduce(equal, axis=-1) if self.dtype.kind == "f" else equal


def _harmless(limit: float, raster: _Raster) -> float:
    """Return the largest channel difference, in the depth's own unit, that cannot make a delta beyond the limit."""
    levels = float(np.sqrt(limit / (3 * _STEEPEST))) * (1 - 1e-5)
    if not raster.opaque:
        levels /= 2  # laid on a backdrop, a pixel changes by its colour's difference and its alpha's
    return levels * raster.unit


def _candidates(expected: Pixels, actual: Pixels, harmless: float, strip_bytes: int) -> Iterator[Indices]:
    """Yield the indices of all pixels with a channel that differs by more than ``harmless``."""
    limit = harmless if expected.dtype.kind == "f" else int(harmless)
    for rows in strips(expected, strip_bytes):
        if cv2.norm(expected[rows], actual[rows], cv2.NORM_INF) <= limit:
            continue
        beyond = cv2.absdiff(expected[rows], actual[rows]) > limit
        any_channel = beyond.reshape(-1, 4).view(np.uint32)[:, 0] != 0
        yield np.flatnonzero(any_channel) + rows.start * expected.shape[1]


def _chunks(parts: Iterable[Indices]) -> Iterator[Indices]:
    """Gather small parts and split large ones, so that each chunk is worth its calls and fits the cache."""
    waiting: list[Indices] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= CHUNK:
            yield from _split(waiting)
            waiting = []
    if waiting:
        yield from _split(waiting)


def _split(parts: list[Indices]) -> Iterator[Indices]:
    indices = np.concatenate(parts)
    for start in range(0, len(indices), CHUNK):
        yield indices[start : start + CHUNK]


def _deltas(first: _Raster, second: _Raster, indices: Indices, limit: float) -> NDArray[Any]:
    """Return the (n,) deltas of the pixels; exact wherever rounding could decide against the limit."""
    one, two = first.channels(first.values[indices]), second.channels(second.values[indices])
    if not first.opaque:
        return _largest_delta(one, two, indices, first.unit)
    if first.dtype != np.uint8:
        return _delta(_difference(one, two, None, first.unit))
    deltas = _rounded_deltas(one, two)
    near = np.flatnonzero(np.abs(deltas - np.float32(limit)) <= np.float32(1e-3 * limit + 1e-3))
    exact = deltas.astype(np.float64)
    exact[near] = _delta(_difference(one[near], two[near], None, first.unit))
    return exact


def _rounded_deltas(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the (n,) deltas of opaque pixels in single precision, good to one part in 100,000."""
    red, green, blue = (np.subtract(one[:, c], two[:, c], dtype=np.float32) for c in range(3))
    form = _FORM.astype(np.float32)
    deltas: NDArray[np.float32] = red * (red * form[0, 0] + green * (2 * form[0, 1]) + blue * (2 * form[0, 2]))
    deltas += green * (green * form[1, 1] + blue * (2 * form[1, 2]))
    deltas += blue * blue * form[2, 2]
    return deltas


def _largest_delta(one: NDArray[Any], two: NDArray[Any], indices: Indices, unit: float) -> NDArray[np.float64]:
    backdrops = (_pattern(indices), _BLACK, _WHITE)
    deltas = [_delta(_difference(one, two, backdrop, unit)) for backdrop in backdrops]
    largest: NDArray[np.float64] = np.maximum.reduce(deltas)
    return largest


def _pattern(indices: Indices) -> Colour:
    """Return the colours, 48 or 207, on which pixelmatch lays pixels that are not opaque."""
    position = indices * 4
    green = (position / 1.618033988749895).astype(np.int64) % 2
    blue = (position / 2.618033988749895).astype(np.int64) % 2
    return 48.0, 48.0 + 159.0 * green, 48.0 + 159.0 * blue


def _difference(one: NDArray[Any], two: NDArray[Any], backdrop: Colour | None, unit: float) -> Colour:
    """Return the differences of red, green and blue in 8-bit levels, laid on the backdrop if there is one.

    The order of the operations is pixelmatch's: on 8-bit values the results are equal to the last bit.
    """
    if backdrop is None:
        differences = [np.subtract(one[..., c], two[..., c], dtype=np.float64) for c in range(3)]
    else:
        full = 255 * unit
        alpha, other_alpha = one[..., 3].astype(np.float64), two[..., 3].astype(np.float64)
        more = alpha - other_alpha
        differences = [
            (one[..., c] * alpha - two[..., c] * other_alpha - backdrop[c] * unit * more) / full for c in range(3)
        ]
    red, green, blue = differences if unit == 1 else [difference / unit for difference in differences]
    return red, green, blue


def _delta(difference: Colour) -> NDArray[np.float64]:
    red, green, blue = difference
    y = _luma(difference)
    i = red * _I[0] + green * _I[1] + blue * _I[2]
    q = red * _Q[0] + green * _Q[1] + blue * _Q[2]
    delta: NDArray[np.float64] = _WEIGHTS[0] * y * y + _WEIGHTS[1] * i * i + _WEIGHTS[2] * q * q
    return delta


def _luma(difference: Colour) -> NDArray[np.float64]:
    red, green, blue = difference
    luma: NDArray[np.float64] = red * _Y[0] + green * _Y[1] + blue * _Y[2]
    return luma


def _antialiased(picture: _Raster, other: _Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel looks anti-aliased in ``picture``, judged beside ``other``."""
    result = np.zeros(indices.size, np.bool_)
    around, surplus = _neighbourhoods(picture, indices)
    centres, neighbours = picture.values[indices], picture.values[around]
    equal = picture.equal(neighbours, centres).sum(axis=0, dtype=np.int8)
    open_ = np.flatnonzero(equal - surplus <= _MOST_EQUAL)
    if not open_.size:
        return result
    around, surplus = around.take(open_, axis=1), surplus[open_]
    brightness = _brightness(picture, centres[open_], neighbours.take(open_, axis=1), indices[open_])
    equal = (brightness == 0).sum(axis=0, dtype=np.int8) - surplus  # as bright counts as equal, whatever the colour
    slope = (brightness.min(axis=0) < 0) & (brightness.max(axis=0) > 0) & (equal <= _MOST_EQUAL)
    chosen = np.flatnonzero(slope)
    brightness, around = brightness.take(chosen, axis=1), around.take(chosen, axis=1)
    column = np.arange(chosen.size)
    flat = _flat_in_both(picture, other, around[brightness.argmin(axis=0), column])
    rest = np.flatnonzero(~flat)
    flat[rest] = _flat_in_both(picture, other, around[brightness.argmax(axis=0), column][rest])
    result[open_[chosen]] = flat
    return result


def _brightness(picture: _Raster, centres: Values, neighbours: Values, indices: Indices) -> NDArray[np.float64]:
    """Return (8, n): how much brighter each centre is than its neighbours; exactly 0 for equal pixels."""
    backdrop = None if picture.opaque else _pattern(indices)
    return _luma(_difference(picture.channels(centres), picture.channels(neighbours), backdrop, picture.unit))


def _flat_in_both(first: _Raster, second: _Raster, indices: Indices) -> NDArray[np.bool_]:
    """Whether each pixel has at least three equal neighbours in both pictures."""
    flat = _flat(first, indices)
    rest = np.flatnonzero(flat)
    flat[rest] = _flat(second, indices[rest])
    return flat


def _flat(picture: _Raster, indices: Indices) -> NDArray[np.bool_]:
    around, surplus = _neighbourhoods(picture, indices)
    equal = picture.equal(picture.values[around], picture.values[indices]).sum(axis=0, dtype=np.int8)
    flat: NDArray[np.bool_] = equal - surplus > _MOST_EQUAL
    return flat


def _neighbourhoods(picture: _Raster, indices: Indices) -> tuple[Indices, NDArray[np.int8]]:
    """Return the (8, n) indices around each pixel, and by how much these make its equal neighbours too many.

    Where a neighbour would lie outside the picture the pixel itself stands in for it; and a pixel at the edge of the
    picture is taken to have one equal neighbour outside.
    """
    width, height = picture.width, picture.height
    around = indices + np.array([[y * width + x] for x, y in _NEIGHBOURS])
    surplus = np.zeros(indices.size, np.int8)
    y, x = np.divmod(indices, width)
    edge = np.flatnonzero((x == 0) | (x == width - 1) | (y == 0) | (y == height - 1))
    if edge.size:
        steps = np.array(_NEIGHBOURS)[..., None]
        across, down = x[edge] + steps[:, 0], y[edge] + steps[:, 1]
        outside = (across < 0) | (across >= width) | (down < 0) | (down >= height)
        around[:, edge] = np.where(outside, indices[edge], around[:, edge])
        surplus[edge] = outside.sum(axis=0) - 1
    return around, surplus
