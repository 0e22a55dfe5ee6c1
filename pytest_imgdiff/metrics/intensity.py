"""Means over all channels: the difference as the diffimg package has it, squared error and signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import cv2

from pytest_imgdiff.model import MetricResult
from pytest_imgdiff.views import compared_pixels, full_value, has_alpha

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from pytest_imgdiff.image import Image
    from pytest_imgdiff.model import Mask

_COLOURS = 3
_COLOURS_AND_ALPHA = 4


@dataclass(frozen=True, slots=True)
class DiffImg:
    """The mean absolute difference of all channels, as a share of the full value.

    The channels are red, green and blue, and alpha where either picture is not opaque.

    Source: https://github.com/nicolashahn/diffimg, release 0.3.0, whose number this is for 8-bit files of one size and
    mode. Colour hidden under alpha 0 counts there; it does not here.

    Attributes:
        ignore_alpha: look at red, green and blue only.
    """

    ignore_alpha: bool = False

    name: ClassVar[str] = "diffimg"
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["none"]] = "none"

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the mean absolute difference, 0..1."""
        total = cv2.norm(expected.pixels, actual.pixels, cv2.NORM_L1)
        channels = _channels(expected, actual)
        if self.ignore_alpha and channels == _COLOURS_AND_ALPHA:
            alphas = [cv2.extractChannel(image.pixels, 3) for image in (expected, actual)]
            total = max(0.0, total - cv2.norm(alphas[0], alphas[1], cv2.NORM_L1))
            channels = _COLOURS
        values = channels * compared_pixels(expected, ignore)
        return MetricResult(total / (values * full_value(expected.pixels.dtype)), self.unit)


@dataclass(frozen=True, slots=True)
class Mse:
    """The mean squared difference of all channels, on the values as they are stored.

    8-bit values are 0..255, 16-bit ones 0..65535, floats 0..1, and the result is in the square of that unit. The
    channels are red, green and blue, and alpha where either picture is not opaque.

    Source: ``mean_squared_error`` of scikit-image.
    """

    name: ClassVar[str] = "mse"
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 65535.0**2)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "squared levels"
    heat_threshold: ClassVar[Literal["none"]] = "none"

    def worst(self, depth: DTypeLike) -> float:
        """Return the error of black and white."""
        return full_value(depth) ** 2

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the mean squared error."""
        error = _mean_squared_error(expected, actual, ignore)
        return MetricResult(min(error, self.worst(expected.pixels.dtype)), self.unit)  # rounding may exceed it


@dataclass(frozen=True, slots=True)
class Psnr:
    """The peak signal-to-noise ratio: ``10 log10(full value squared / mean squared error)``.

    The infinity of two equal pictures is written 1000 dB, as JSON has none; two pictures that are not equal never
    reach it (two 16-bit ones of 100 megapixels that differ by one level in one channel have 181 dB).

    Source: ``peak_signal_noise_ratio`` of scikit-image.
    """

    name: ClassVar[str] = "psnr"
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 1000.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1000.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "dB"
    heat_threshold: ClassVar[Literal["none"]] = "none"

    largest_unequal: ClassVar[float] = 999.0
    """What unequal pictures are held below: floats can differ by less than any real picture's noise."""

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the peak signal-to-noise ratio in dB."""
        error = _mean_squared_error(expected, actual, ignore)
        if error == 0:
            return MetricResult(self.perfect, self.unit)
        full = full_value(expected.pixels.dtype)
        ratio = max(0.0, 10 * math.log10(full * full / error))
        return MetricResult(min(ratio, self.largest_unequal), self.unit)


def _mean_squared_error(expected: Image, actual: Image, ignore: Mask | None) -> float:
    squares = cv2.norm(expected.pixels, actual.pixels, cv2.NORM_L2SQR)
    return squares / (_channels(expected, actual) * compared_pixels(expected, ignore))


def _channels(expected: Image, actual: Image) -> int:
    """Return how many channels can differ; opaque alpha is equal in both and adds nothing to a sum."""
    return _COLOURS_AND_ALPHA if expected.derived(has_alpha) or actual.derived(has_alpha) else _COLOURS
