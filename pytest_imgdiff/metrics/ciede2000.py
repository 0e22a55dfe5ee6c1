"""The share of pixels whose colours differ noticeably by CIEDE2000, the colour difference of the CIE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from pytest_imgdiff.base.derived import compared_pixels, full_value, on_worse_backdrop, strips
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

DeltaE = Annotated[float, msgspec.Meta(ge=0, le=50)]

_STRIP_BYTES = 1 << 17
"""So much of an image is converted at once: CIEDE2000 needs about 60 times as much, for pixels that all differ."""
_FULL_HEAT = 100.0
"""The difference of black and white."""


@dataclass(frozen=True, slots=True)
class Ciede2000:
    """The share of the compared pixels whose CIEDE2000 difference is larger than a just noticeable one.

    Source: CIE 142-2001 as ``skimage.color.deltaE_ciede2000`` computes it, with ``kL = kC = kH = 1``, on sRGB values
    converted by ``skimage.color.rgb2lab`` (D65, 2 degrees).

    Attributes:
        threshold: the largest difference that does not count. 1 is about what an eye notices on two areas side by side.
    """

    threshold: DeltaE = 1.0

    name: ClassVar[str] = "ciede2000"
    summary: ClassVar[str] = "pixels whose colour differs noticeably by CIEDE2000"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 0.0
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["zero"]] = "zero"
    plane_bytes: ClassVar[tuple[int, int]] = (8, 6)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the share of the compared pixels that differ by more than the threshold.

        Returns:
            Details: ``pixels``, how many do; ``mean``, the mean difference of all compared pixels; ``largest``.
            Heat: (height, width) ``float32``, 0 where a pixel is not counted, else its difference in units of 100.
        """
        compared = compared_pixels(expected, ignore)

        def on(backdrop: Backdrop) -> MetricResult:
            first, second = backdrop.rgb(expected), backdrop.rgb(actual)
            heat = np.zeros(first.shape[:2], np.float32)
            pixels, total, largest = 0, 0.0, 0.0
            for rows in strips(first, _STRIP_BYTES):
                differ = (first[rows] != second[rows]).any(axis=-1)
                if not differ.any():
                    continue
                delta = colour_differences(first[rows][differ], second[rows][differ])
                counted = delta > self.threshold
                pixels += int(np.count_nonzero(counted))
                total += float(delta.sum())
                largest = max(largest, float(delta.max()))
                heat[rows][differ] = np.where(counted, (delta / _FULL_HEAT).clip(1 / 255, 1), 0)
            details = {"pixels": pixels, "mean": total / compared, "largest": largest}
            return MetricResult(pixels / compared, self.unit, heat=heat, details=details)

        return on_worse_backdrop(expected, actual, self.direction, on)


def colour_differences(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return the CIEDE2000 differences of two (n, 3) arrays of sRGB values of any depth, the same both ways round."""
    from skimage import color

    convert: Any = color.rgb2lab  # without annotations
    difference: Any = color.deltaE_ciede2000
    one, other = (convert(values / full_value(values.dtype)).astype(np.float64) for values in (first, second))
    # The formula is symmetric but for rounding: the darker colour comes first, of equally dark ones the greener one.
    swapped = _comes_later(one, other)[:, None]
    delta: NDArray[np.float64] = difference(np.where(swapped, other, one), np.where(swapped, one, other))
    return delta


def _comes_later(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    (l1, a1, b1), (l2, a2, b2) = one.T, other.T
    later: NDArray[np.bool_] = (l1 > l2) | ((l1 == l2) & ((a1 > a2) | ((a1 == a2) & (b1 > b2))))
    return later
