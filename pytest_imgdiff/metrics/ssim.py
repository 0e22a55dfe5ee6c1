"""Mean structural similarity, as scikit-image computes it, with its map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import cv2
import msgspec
import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.derived import full_value, has_alpha, on_worse_backdrop
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

    Plane = NDArray[Any]
    """(height, width) of one channel; for the compiled core (height, width, 4) opaque RGBA as well."""
    Counted = Mask
    """(height, width), true where a window that is centred there counts."""

WindowSide = Annotated[int, msgspec.Meta(ge=3)]

UNIFORM_WINDOW = 7
GAUSSIAN_WINDOW = 11
"""2 r + 1 with r = 3.5 sigma rounded, as scikit-image truncates it; the window of Wang et al."""

_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03
_NEXT_TO_PERFECT = math.nextafter(1, 0)
"""A loss too small for the digits of 1 - loss is still one."""
_LARGEST_EXACT_WINDOW = 11
"""(2 * 255^2) * 11^4 still fits 32 bits."""
UNITS = 2**29
"""In parts of so many the losses of windows of integers are added up, each rounded down: less than 2e-9 is lost of the
mean, and the sum does not depend on its order."""
_STRIP = 128


@dataclass(frozen=True, slots=True)
class Ssim:
    """The mean structural similarity index of the two images in gray.

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
        """Return the mean over all windows that lie in the image and are centred outside ignored areas.

        Returns:
            Heat: (height, width) ``float32``, ``(1 - index) / 2`` of the window at each pixel, 0..1; at the border the
            image is reflected into the windows.

        Raises:
            MetricError: no window fits.
        """
        width, height = expected.size
        if min(width, height) < self.side:
            raise MetricError(
                f"ssim needs at least {self.side}x{self.side} pixels and this pair has {width}x{height}; "
                "name a smaller `window` (odd, at least 3) or another metric for images as small as this"
            )
        counted = np.ones((height, width), np.bool_) if ignore is None else ~ignore
        if not counted[self._inner(counted)].any():
            raise MetricError(
                f"ssim has no window left: all that is not ignored lies within {self.side // 2} pixels of the edge; "
                "name a smaller `window`, a smaller ignore area or another metric"
            )
        return on_worse_backdrop(
            expected, actual, self.direction, lambda backdrop: self._on(backdrop, expected, actual, counted)
        )

    def _on(self, backdrop: Backdrop, expected: Image, actual: Image, counted: Counted) -> MetricResult:
        losses = [self._loss(first, second, counted) for first, second in self._planes(backdrop, expected, actual)]
        heats = [heat for heat, _ in losses]
        heat = heats[0] if len(heats) == 1 else sum(heats[1:], heats[0]) / np.float32(len(heats))
        mean = sum(total for _, total in losses) / (len(losses) * np.count_nonzero(counted[self._inner(counted)]))
        value = min(1 - mean, _NEXT_TO_PERFECT) if mean else self.perfect
        return MetricResult(value, self.unit, heat=heat)

    def _planes(self, backdrop: Backdrop, expected: Image, actual: Image) -> list[tuple[Plane, Plane]]:
        """Return the pairs to measure; the compiled core itself makes opaque images of 8 bits gray."""
        if self.per_channel:
            colours = backdrop.rgb(expected), backdrop.rgb(actual)
            channels = [[cv2.extractChannel(side, channel) for side in colours] for channel in range(3)]
            return [(first, second) for first, second in channels]
        is_opaque = not (expected.derived(has_alpha) or actual.derived(has_alpha))
        if CORE is not None and self._is_exact(expected.pixels.dtype) and is_opaque:
            return [(expected.pixels, actual.pixels)]
        return [(expected.derived(backdrop.gray), actual.derived(backdrop.gray))]

    def _is_exact(self, dtype: np.dtype[Any]) -> bool:
        """Return whether the sums over windows are integers of 32 bits, and losses are counted in `UNITS`."""
        return dtype == np.uint8 and not self.gaussian and self.side <= _LARGEST_EXACT_WINDOW

    def _inner(self, plane: NDArray[Any]) -> tuple[slice, slice]:
        """Return the rows and columns that whole windows are centred in."""
        height, width = plane.shape[:2]
        margin = self.side // 2
        return slice(margin, height - margin), slice(margin, width - margin)

    def _loss(self, first: Plane, second: Plane, counted: Counted) -> tuple[NDArray[np.float32], float]:
        """Return the heat, and the sum of ``1 - index`` over the windows that count."""
        if self._is_exact(first.dtype):
            found = self._loss_by_core(first, second, counted)
            if found is not None:
                return found
        if first.ndim > 2:  # noqa: PLR2004 - RGBA that the core declined
            first, second = (np.asarray(cv2.cvtColor(side, cv2.COLOR_RGBA2GRAY)) for side in (first, second))
        loss = self.window_losses(first, second)
        inner = self._inner(loss)
        counting = loss[inner][counted[inner]]
        if self._is_exact(first.dtype):
            total = int((counting * np.float32(UNITS)).astype(np.int64).sum()) / UNITS
        else:
            total = float(counting.sum(dtype=np.float64))
        return np.minimum(loss * np.float32(0.5), np.float32(1)), total

    def _loss_by_core(self, first: Plane, second: Plane, counted: Counted) -> tuple[NDArray[np.float32], float] | None:
        if CORE is None:
            return None
        height, width, *channels = first.shape
        heat = np.zeros((height, width), np.float32)
        planes = np.ascontiguousarray(first), np.ascontiguousarray(second)
        ignore = None if counted.all() else ~counted
        total = CORE.ssim(*planes, width, height, *(channels or [1]), self.side, 0, height, ignore, heat)
        return None if total is None else (heat, total / UNITS)

    def window_losses(self, first: Plane, second: Plane) -> NDArray[np.float32]:
        """Return ``1 - index`` of the window around each pixel of two planes: ``u + w - u w``, as above.

        The image is read in strips of rows, whose sums would otherwise take ten times the memory of the result.
        """
        margin = self.side // 2
        height = len(first)
        parts = []
        for top in range(0, height, _STRIP):
            begin, end = max(0, top - margin), min(height, top + _STRIP + margin)
            losses = self._losses_of(first[begin:end], second[begin:end])
            parts.append(losses[top - begin : min(height, top + _STRIP) - begin])
        return np.concatenate(parts)

    def _losses_of(self, first: Plane, second: Plane) -> NDArray[np.float32]:
        full, pixels = full_value(first.dtype), self.side**2
        # In sums in place of means: of ``weight``, and of ``norm`` where they are variances.
        weight, norm = (1, 1) if self.gaussian else (pixels, pixels * (pixels - 1))
        exact = self._is_exact(first.dtype)
        one: Plane = first.astype(np.int32 if exact else np.float64)
        two: Plane = second.astype(one.dtype)
        squares, products = self._sums((one - two) ** 2), self._sums(one * two)
        sums = self._sums(one), self._sums(two)
        apart = (sums[0] - sums[1]) ** 2
        energy = sums[0] ** 2 + sums[1] ** 2
        spread = weight * squares - apart
        variance = weight * (squares + 2 * products) - energy  # of both: a^2 + b^2 = (a - b)^2 + 2 a b
        u = _ratio(apart, energy, (_K1 * full * weight) ** 2)
        w = _ratio(spread, variance, (_K2 * full) ** 2 * norm)
        differs = cv2.dilate((first != second).view(np.uint8), np.ones((self.side, self.side), np.uint8))
        losses: NDArray[np.float32] = (1 - u) * w + u
        losses[differs == 0] = 0  # sums of floats keep a trace of what left the window
        return losses

    def _sums(self, plane: Plane) -> Plane:
        """Return the weighted sum of the window around each pixel."""
        if self.gaussian:
            kernel = cv2.getGaussianKernel(self.side, _SIGMA, cv2.CV_64F)
            return cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
        size = self.side, self.side  # OpenCV filters no integers of 32 bits; as doubles they are as exact
        sums = cv2.boxFilter(plane.astype(np.float64), cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_REFLECT)
        return sums.astype(plane.dtype)


def _ratio(part: Plane, whole: Plane, constant: float) -> NDArray[np.float32]:
    """Return ``part / (whole + constant)``; neither is negative, but for what rounding does to floats."""
    ratio: NDArray[np.float32]
    if part.dtype == np.int32:
        ratio = part.astype(np.float32) / (whole.astype(np.float32) + np.float32(constant))
    else:
        ratio = (np.maximum(part, 0) / (np.maximum(whole, 0) + constant)).astype(np.float32)
    return ratio
