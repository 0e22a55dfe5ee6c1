"""Mean structural similarity, as scikit-image computes it, with its map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import cv2
import msgspec
import numpy as np

from pytest_imgdiff.base.derived import full_value, on_worse_backdrop, strips
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

    Plane = NDArray[Any]
    """(height, width) of one channel."""

WindowSide = Annotated[int, msgspec.Meta(ge=3)]

UNIFORM_WINDOW = 7
GAUSSIAN_WINDOW = 11
"""2 r + 1 with r = 3.5 sigma rounded, as scikit-image truncates it; the window of Wang et al."""

_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_NEXT_TO_PERFECT = math.nextafter(1, 0)
"""A loss too small for the digits of 1 - loss is still one."""
_FAR_APART = 64
"""Columns that nothing changed in, from which on two runs of changed ones are worth two calls."""
_STRIP_BYTES = 1 << 18
"""So much of a gray picture is summed at once: few rows lie around a strip beside its own, and it stays in cache."""
_LARGEST_INTEGER_WINDOW = 11
"""(2 * 255^2) * 11^4 still fits 32 bits."""


@dataclass(frozen=True, slots=True)
class Ssim:
    """The mean structural similarity index of the two pictures in gray.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", 2004, as scikit-image's ``structural_similarity`` has it: K1 0.01, K2 0.03, the full value of the depth
    as data range, sample covariance with the uniform window and population covariance with the Gaussian one.

    The index of a window is computed as ``(1 - u)(1 - w)`` with ``u = (mx - my)^2 / (mx^2 + my^2 + C1)`` and
    ``w = var(x - y) / (var x + var y + C2)``, which is the same number: what is lost is then exactly 0 where the
    windows are equal, and keeps its digits where they nearly are.

    Attributes:
        window: side of the square window, odd and at least 3; 7 where it is not named.
        gaussian: weigh the window by a Gaussian of sigma 1.5 (11 pixels wide) in place of uniformly.
        per_channel: take the mean of red, green and blue in place of gray.
    """

    window: WindowSide | None = None
    gaussian: bool = False
    per_channel: bool = False

    name: ClassVar[str] = "ssim"
    summary: ClassVar[str] = "structural similarity, with heat and contours"
    group: ClassVar[MetricGroup] = "structure"
    usual_limit: ClassVar[float] = 0.99
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 1.0
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "index"
    heat_threshold: ClassVar[Literal["otsu"]] = "otsu"
    plane_bytes: ClassVar[tuple[int, int]] = (14, 2)

    def __post_init__(self) -> None:
        if self.window is not None and self.window % 2 == 0:
            raise ValueError(f"`window` must be odd, such as {self.window + 1}")
        if self.gaussian and self.window not in (None, GAUSSIAN_WINDOW):
            raise ValueError(f"the Gaussian window is {GAUSSIAN_WINDOW} wide: leave `window` out")

    @property
    def side(self) -> int:
        """The side of the window in pixels."""
        return self.window or (GAUSSIAN_WINDOW if self.gaussian else UNIFORM_WINDOW)

    def worst(self, depth: DTypeLike) -> float:
        """Return what no window is below: that of two checkerboards of black and white, each the other's negative.

        Their means are alike and each one's covariance with the other is the negative of its variance, which is
        largest where half of the pixels are black and half white.
        """
        del depth  # the index does not depend on it
        pixels = self.side**2
        variance = 0.25 if self.gaussian else 0.25 * pixels / (pixels - 1)
        constant = _K2**2
        return (constant - 2 * variance) / (constant + 2 * variance)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the mean over all windows that lie in the picture and are centred outside ignored areas.

        Returns:
            Heat: (height, width) ``float32``, ``(1 - index) / 2`` of the window at each pixel, 0..1; at the border the
            picture is reflected into the windows.

        Raises:
            MetricError: no window fits.
        """
        width, height = expected.size
        if min(width, height) < self.side:
            raise MetricError(
                f"ssim needs at least {self.side}x{self.side} pixels and this pair has {width}x{height}; "
                "name a smaller `window` (odd, at least 3) or another metric for pictures as small as this"
            )
        counted = _Counted.of(ignore, (height, width), self.side // 2)
        return on_worse_backdrop(
            expected, actual, self.direction, lambda backdrop: self._on(backdrop, expected, actual, counted)
        )

    def _on(self, backdrop: Backdrop, expected: Image, actual: Image, counted: _Counted) -> MetricResult:
        window = _Window.of(self, expected.pixels.dtype)
        if self.per_channel:
            pairs = [
                (cv2.extractChannel(backdrop.rgb(expected), channel), cv2.extractChannel(backdrop.rgb(actual), channel))
                for channel in range(3)
            ]
        else:
            pairs = [(expected.derived(backdrop.gray), actual.derived(backdrop.gray))]
        losses = [_loss(first, second, window, counted) for first, second in pairs]
        heats = [loss.heat for loss in losses]
        heat = heats[0] if len(heats) == 1 else sum(heats[1:], heats[0]) / np.float32(len(heats))
        mean = sum(loss.total for loss in losses) / (len(losses) * counted.count)
        value = min(1 - mean, _NEXT_TO_PERFECT) if mean else self.perfect
        return MetricResult(value, self.unit, heat=heat)


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """Where the windows whose index counts are centred.

    Attributes:
        inner: where windows lie in the picture.
        among: which of these count, as ``uint8``; None where all do.
        count: how many do.
    """

    inner: tuple[slice, slice]
    among: NDArray[np.uint8] | None
    count: int

    @classmethod
    def of(cls, ignore: Mask | None, shape: tuple[int, int], margin: int) -> _Counted:
        """Return where those of a picture are.

        Raises:
            MetricError: there are none.
        """
        inner = slice(margin, shape[0] - margin), slice(margin, shape[1] - margin)
        among = None if ignore is None else np.ascontiguousarray(~ignore[inner]).view(np.uint8)
        if among is not None and not among.any():
            raise MetricError(
                f"ssim has no window left: all that is not ignored lies within {margin} pixels of the edge; "
                "name a smaller `window`, a smaller ignore area or another metric"
            )
        count = (inner[0].stop - margin) * (inner[1].stop - margin) if among is None else cv2.countNonZero(among)
        return cls(inner, among, count)

    def total(self, loss: NDArray[np.float32], top: int, left: int) -> float:
        """Return the sum over the windows that count of a part of the picture, in double precision."""
        rows, columns = (
            slice(max(first, span.start), max(first, span.start, min(first + size, span.stop)))
            for first, size, span in zip((top, left), loss.shape, self.inner, strict=True)
        )
        part = loss[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        if not part.size:
            return 0.0
        if self.among is None:
            return float(cv2.sumElems(part)[0])
        margin = self.inner[0].start
        among = self.among[rows.start - margin : rows.stop - margin, columns.start - margin : columns.stop - margin]
        return float(cv2.mean(part, among)[0]) * cv2.countNonZero(among)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """How the sums over a window are formed, and what scales them.

    Attributes:
        side: in pixels.
        weighted_sum: (height, width) of any depth to the weighted sum around each pixel.
        weight: the sum of all weights.
        norm: by what ``weight * sum of squares - square of sum`` is a variance.
        range: the data range.
    """

    side: int
    weighted_sum: Callable[[Plane], Plane]
    weight: int
    norm: int
    range: float

    @classmethod
    def of(cls, metric: Ssim, dtype: np.dtype[Any]) -> _Window:
        side, full = metric.side, full_value(dtype)
        if metric.gaussian:
            kernel: Plane = cv2.getGaussianKernel(side, _SIGMA, cv2.CV_64F)
            return cls(side, lambda plane: _filtered(plane, kernel), 1, 1, full)
        pixels = side * side
        depth = cv2.CV_32S if dtype == np.uint8 and side <= _LARGEST_INTEGER_WINDOW else cv2.CV_64F
        return cls(side, lambda plane: _boxed(plane, side, depth), pixels, pixels * (pixels - 1), full)


def _filtered(plane: Plane, kernel: Plane) -> Plane:
    return cv2.sepFilter2D(plane.astype(np.float64), cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT)


def _boxed(plane: Plane, side: int, depth: int) -> Plane:
    if depth == cv2.CV_64F:
        plane = plane.astype(np.float64)
    return cv2.boxFilter(plane, depth, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT)


class _Loss(NamedTuple):
    """What two planes have lost of their similarity.

    Attributes:
        heat: (height, width) ``(1 - index) / 2``, 0..1.
        total: the sum of ``1 - index`` over the windows that count.
    """

    heat: NDArray[np.float32]
    total: float


def _loss(first: Plane, second: Plane, window: _Window, counted: _Counted) -> _Loss:
    """Return what is lost; only windows that see a difference are computed, and nothing goes over the whole picture."""
    height, width = first.shape
    margin = window.side // 2
    heat = np.zeros((height, width), np.float32)

    def fill(part: slice) -> float:
        total = 0.0
        for strip in strips(first[part], _STRIP_BYTES):
            rows = slice(part.start + strip.start, part.start + strip.stop)
            top, bottom = max(0, rows.start - margin), min(height, rows.stop + margin)
            for left, right in _runs((first[top:bottom] != second[top:bottom]).any(axis=0), margin):
                start, stop = max(0, left - margin), min(width, right + margin)
                found = _window_loss(first[top:bottom, start:stop], second[top:bottom, start:stop], window)
                found = found[rows.start - top : rows.stop - top, left - start : right - start]
                total += counted.total(found, rows.start, left)
                found *= np.float32(0.5)
                np.minimum(found, 1, out=heat[rows, left:right])
        return total

    return _Loss(heat, fill(slice(0, height)))


def _runs(differ: Mask, margin: int) -> Iterator[tuple[int, int]]:
    """Yield the columns whose windows see a difference, in runs that are far enough apart to be worth it."""
    columns = np.flatnonzero(differ)
    if columns.size:
        breaks = np.flatnonzero(np.diff(columns) > _FAR_APART + 2 * margin)
        for first, last in zip([0, *(breaks + 1)], [*breaks, -1], strict=True):
            yield max(0, int(columns[first]) - margin), min(differ.size, int(columns[last]) + margin + 1)


def _window_loss(first: Plane, second: Plane, window: _Window) -> NDArray[np.float32]:
    """Return ``1 - index`` of the window around each pixel: ``u + w - u w``, as in `Ssim`."""
    difference = cv2.absdiff(first, second)
    squares, products = _product(difference, difference), _product(first, second)
    sums = window.weighted_sum(first), window.weighted_sum(second)
    squares, products = window.weighted_sum(squares), window.weighted_sum(products)

    apart = sums[0] - sums[1]
    apart *= apart
    variance = squares + products
    variance += products
    variance *= window.weight  # of both: a^2 + b^2 = (a - b)^2 + 2 a b
    spread = np.multiply(squares, window.weight, out=squares)  # of the difference
    spread -= apart
    energy = np.multiply(sums[0], sums[0], out=sums[0])
    energy += np.multiply(sums[1], sums[1], out=sums[1])
    variance -= energy
    u = _ratio(apart, energy, (_K1 * window.range * window.weight) ** 2)
    w = _ratio(spread, variance, (_K2 * window.range) ** 2 * window.norm)
    loss = 1 - u
    loss *= w
    loss += u
    return loss


def _product(one: Plane, two: Plane) -> Plane:
    wide = np.uint16 if one.dtype == np.uint8 else np.float64
    return np.multiply(one, two, dtype=wide)


def _ratio(part: Plane, whole: Plane, constant: float) -> NDArray[np.float32]:
    """Return ``part / (whole + constant)``; neither is negative, but for what rounding does to floats."""
    if part.dtype == np.int32:  # exact
        ratio = part.astype(np.float32)
        denominator = whole.astype(np.float32)
    else:
        ratio = np.maximum(part, 0)
        denominator = np.maximum(whole, 0)
    denominator += constant
    ratio /= denominator
    return ratio.astype(np.float32, copy=False)
