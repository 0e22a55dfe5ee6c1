"""Means over all channels: absolute difference (the package's own and ours), squared error, signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult
from pytest_imgdiff.images.counting import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image, Pixels
    from pytest_imgdiff.images.png_pair import PngPair

_SUMS = Asked(sums=True)
"""What a metric lets files count while they are read; see `pytest_imgdiff.images.counting`."""
_COLOURS = 3
_COLOURS_AND_ALPHA = 4
_DIFFIMG_BYTES = 1 << 26
"""The size of the parts that are passed to diffimg: it limits memory, and avoids Pillow's warnings."""


@dataclass(frozen=True, slots=True)
class DiffImg:
    """The result of the package diffimg: the mean absolute difference of all channels, as a share of the full value.

    The package is given both images as RGBA in memory; where the compiled core is installed, it sums what the package
    sums, and the number is the same. Images that are opaque are compared in red, green and blue.

    Source: https://github.com/nicolashahn/diffimg. It opens files, resizes the second image where the sizes differ
    and writes an image of the differences; here the sizes are always equal and it writes none. Colour that is hidden
    under alpha 0 is 0 in both images before it sees them. `Mae` is the same formula without the package.

    Attributes:
        ignore_alpha: compare red, green and blue only.
    """

    ignore_alpha: bool = False

    name: ClassVar[str] = "diffimg"
    summary: ClassVar[str] = "mean difference of the channels, by the package diffimg"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 0.001
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 2)
    _asked: ClassVar[Asked] = _SUMS

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return diffimg's number, 0..1, of the pixels that are compared.

        Raises:
            MetricError: the images have more than 8 bits, which the package does not compare.
        """
        from pytest_imgdiff.base.derived import compared_pixels, strips
        from pytest_imgdiff.images.differing import counted

        width, height = expected.size
        counts = counted(expected, actual, _SUMS)
        if counts is not None and width * height * _COLOURS_AND_ALPHA <= _DIFFIMG_BYTES:
            share = _diffimg_of_sums(counts.sums, width * height, without_alpha=True)
            return MetricResult(min(1.0, share * height * width / compared_pixels(expected, ignore)), self.unit)
        pixels = expected.pixels, actual.pixels
        if pixels[0].dtype != "uint8":
            raise MetricError(
                f"diffimg compares 8 bits a channel and this pair has {8 * pixels[0].dtype.itemsize}: "
                "use mae, the same formula at every depth"
            )
        without_alpha = self.ignore_alpha or _channels(expected, actual) == _COLOURS
        total = 0.0
        for rows in strips(pixels[0], _DIFFIMG_BYTES):
            share = _diffimg(pixels[0][rows], pixels[1][rows], without_alpha=without_alpha)
            total += share * (rows.stop - rows.start) * expected.size[0]
        # The package knows no ignored areas: nothing differs there, and they leave the denominator here.
        return MetricResult(min(1.0, total / compared_pixels(expected, ignore)), self.unit)

    def of_counts(self, pair: PngPair) -> MetricResult | None:
        """Return the result of `measure` from counted values; None for an image that is measured in several parts."""
        if pair.pixels * _COLOURS_AND_ALPHA > _DIFFIMG_BYTES:
            return None
        share = _diffimg_of_sums(pair.counts.sums, pair.pixels, without_alpha=True)
        return MetricResult(min(1.0, share * pair.height * pair.width / pair.pixels), self.unit)


def _diffimg(expected: Pixels, actual: Pixels, *, without_alpha: bool) -> float:
    """Return what ``diffimg.diff`` returns of 8-bit RGBA."""
    if CORE is not None:
        count = expected.shape[0] * expected.shape[1]
        return _diffimg_of_sums(CORE.sums(expected, actual, count), count, without_alpha=without_alpha)
    import diffimg

    files = (_as_file(side) for side in (expected, actual))
    return float(diffimg.diff(*files, delete_diff_file=True, ignore_alpha=without_alpha))


def _diffimg_of_sums(sums: Sequence[int], count: int, *, without_alpha: bool) -> float:
    """Return the package's result from the sums of each channel's differences and the number of pixels."""
    channels = sums[: _COLOURS if without_alpha else _COLOURS_AND_ALPHA]
    return sum(channel / count for channel in channels) / (len(channels) * 255)


def _as_file(pixels: Pixels) -> BytesIO:
    """Return 8-bit RGBA as an uncompressed TIFF in memory: `PIL.Image.open` takes nothing but files."""
    from PIL import Image as PillowImage

    file = BytesIO()
    PillowImage.fromarray(pixels).save(file, "TIFF")
    file.seek(0)
    return file


@dataclass(frozen=True, slots=True)
class Mae:
    """The mean absolute difference of all channels, as a share of the full value: diffimg's formula, at every depth.

    The channels are red, green and blue, and alpha where either image is not opaque.

    Attributes:
        ignore_alpha: compare red, green and blue only.
    """

    ignore_alpha: bool = False

    name: ClassVar[str] = "mae"
    summary: ClassVar[str] = "the same mean, faster and at every depth"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 0.001
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 2)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the mean absolute difference, 0..1."""
        import cv2

        from pytest_imgdiff.base.derived import compared_pixels, full_value

        total = cv2.norm(expected.pixels, actual.pixels, cv2.NORM_L1)
        channels = _channels(expected, actual)
        if self.ignore_alpha and channels == _COLOURS_AND_ALPHA:
            alphas = [cv2.extractChannel(image.pixels, 3) for image in (expected, actual)]
            total = max(0.0, total - cv2.norm(alphas[0], alphas[1], cv2.NORM_L1))
            channels = _COLOURS
        values = channels * compared_pixels(expected, ignore)
        share = total / (values * full_value(expected.dtype))
        return MetricResult(min(1.0, share), self.unit)  # rounding may exceed it


@dataclass(frozen=True, slots=True)
class Mse:
    """The mean squared difference of all channels, on the values as they are stored.

    8-bit values are 0..255, 16-bit ones 0..65535, floats 0..1, and the result is in the square of that unit. The
    channels are red, green and blue, and alpha where either image is not opaque.

    Source: ``mean_squared_error`` of scikit-image.
    """

    name: ClassVar[str] = "mse"
    summary: ClassVar[str] = "mean of the squared differences"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 10.0
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 65535.0**2)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "squared levels"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 2)
    _asked: ClassVar[Asked] = _SUMS

    def worst(self, depth: DTypeLike) -> float:
        """Return the error of black and white."""
        if depth == "uint8":
            return 255.0**2
        from pytest_imgdiff.base.derived import full_value

        return full_value(depth) ** 2

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the mean squared error."""
        error = _mean_squared_error(expected, actual, ignore)
        return MetricResult(min(error, self.worst(expected.dtype)), self.unit)  # rounding may exceed it

    def of_counts(self, pair: PngPair) -> MetricResult:
        """Return the result of `measure` from counted values."""
        squares = pair.counts.sums[-1]
        return MetricResult(min(squares / (_COLOURS * pair.pixels), self.worst("uint8")), self.unit)


@dataclass(frozen=True, slots=True)
class Nrmse:
    """The root of the mean squared error, as a share of the root mean square of the brighter image.

    ``|a - b| / max(|a|, |b|)`` of all values as one vector. With the larger norm of both it is symmetric and
    has a value if one image is black. The channels are red, green and blue, and alpha where either image is
    not opaque.

    Source: ``normalized_root_mse`` of scikit-image with ``normalization="euclidean"``, of which this is the number with
    the brighter image as reference.
    """

    name: ClassVar[str] = "nrmse"
    summary: ClassVar[str] = "root mean squared error, relative to the brightness"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 0.05
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, math.sqrt(2))
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 2)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the normalised root mean squared error of the compared pixels, 0..1.41."""
        import cv2

        error = cv2.norm(expected.pixels, actual.pixels, cv2.NORM_L2)
        if error == 0:
            return MetricResult(0.0, self.unit)
        channels = _channels(expected, actual)
        norm = math.sqrt(max(_sum_of_squares(image.pixels, channels, ignore) for image in (expected, actual)))
        return MetricResult(min(error / norm, self.bounds[1]), self.unit)  # rounding may exceed it


def _sum_of_squares(pixels: Pixels, channels: int, ignore: Mask | None) -> float:
    import cv2
    import numpy as np

    from pytest_imgdiff.base.derived import strips

    total = 0.0
    for rows in strips(pixels):
        values: NDArray[Any] = pixels[rows] if channels == _COLOURS_AND_ALPHA else pixels[rows][..., :_COLOURS]
        if ignore is not None:
            values = values[~ignore[rows]]
        total += cv2.norm(np.ascontiguousarray(values).reshape(1, -1), cv2.NORM_L2SQR) if values.size else 0.0
    return total


@dataclass(frozen=True, slots=True)
class Psnr:
    """The peak signal-to-noise ratio: ``10 log10(full value squared / mean squared error)``.

    The infinity of two equal images is written 1000 dB, as JSON has none; two images that are not equal never
    reach it (two 16-bit ones of 100 megapixels that differ by one level in one channel have 181 dB).

    Source: ``peak_signal_noise_ratio`` of scikit-image.
    """

    name: ClassVar[str] = "psnr"
    summary: ClassVar[str] = "peak signal-to-noise ratio"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 40.0
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 1000.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1000.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "dB"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 2)
    _asked: ClassVar[Asked] = _SUMS

    largest_unequal: ClassVar[float] = 999.0
    """The upper bound for unequal images: floats can differ by less than any real image's noise."""

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the peak signal-to-noise ratio in dB."""
        from pytest_imgdiff.base.derived import full_value

        error = _mean_squared_error(expected, actual, ignore)
        if error == 0:
            return MetricResult(self.perfect, self.unit)
        full = full_value(expected.dtype)
        ratio = max(0.0, 10 * math.log10(full * full / error))
        return MetricResult(min(ratio, self.largest_unequal), self.unit)


def _mean_squared_error(expected: Image, actual: Image, ignore: Mask | None) -> float:
    from pytest_imgdiff.base.derived import compared_pixels

    squares = _squared_differences(expected, actual)
    return squares / (_channels(expected, actual) * compared_pixels(expected, ignore))


def _squared_differences(first: Image, second: Image) -> float:
    """Return the sum of the squared differences of all values; of 8 bits it is exact, which that of OpenCV is not."""
    import cv2
    import numpy as np

    from pytest_imgdiff.base.derived import strips
    from pytest_imgdiff.images.differing import counted, windows

    if (counts := counted(first, second, _SUMS)) is not None:
        return float(counts.sums[-1])
    if first.dtype != "uint8":
        return cv2.norm(first.pixels, second.pixels, cv2.NORM_L2SQR)
    total = 0
    for window in windows(first, second):
        one, two = (image.rows(window.start, window.stop) for image in (first, second))
        if CORE is not None:
            *_, squares = CORE.sums(one, two, one.shape[0] * one.shape[1])
            total += squares
        else:
            steps = (cv2.absdiff(one[rows], two[rows]) for rows in strips(one))
            total += sum(int(np.square(step, dtype=np.uint32).sum(dtype=np.uint64)) for step in steps)
    return float(total)


def _channels(expected: Image, actual: Image) -> int:
    """Return how many channels can differ; opaque alpha is equal in both and adds nothing to a sum."""
    from pytest_imgdiff.base.derived import has_alpha

    return _COLOURS_AND_ALPHA if expected.derived(has_alpha) or actual.derived(has_alpha) else _COLOURS
