"""The share of pixels that are equal, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.model import MetricGroup, MetricResult
from pytest_imgdiff.images.counting import Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image, Pixels
    from pytest_imgdiff.images.png_pair import PngPair

Levels = Annotated[float, msgspec.Meta(ge=0, le=255)]

_ROUNDING = 1e-4
"""Share of the tolerance by which floats may miss it: 2/255 - 1/255 is not exactly 1/255."""


@dataclass(frozen=True, slots=True)
class PixelMatch:
    """The share of the compared pixels that are equal in every channel: red, green, blue and alpha.

    Attributes:
        tolerance: by how much each channel may differ in a pixel that still counts as equal, in levels of an 8-bit
            channel (0..255, fractions allowed), scaled to the depth of the images: 1 is 257 levels of a 16-bit one.
    """

    tolerance: Levels = 0.0

    name: ClassVar[str] = "pixel_match"
    summary: ClassVar[str] = "pixels that are equal"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 1.0
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 1.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["zero"]] = "zero"
    plane_bytes: ClassVar[tuple[int, int]] = (2, 0)
    _margin: ClassVar[int] = 0  # rows beside one that differs that it looks at: see `pytest_imgdiff.images.differing`

    @property
    def _asked(self) -> Asked:
        """What this metric lets files count while they are read; see `pytest_imgdiff.images.counting`."""
        return Asked(tolerance=int(self.tolerance))

    def worst(self, depth: DTypeLike) -> float:
        """Return the value of the colours that differ most: 1 where all of them are within the tolerance."""
        if depth == "uint8":
            return float(self.tolerance >= 255)  # noqa: PLR2004 - black and white
        from pytest_imgdiff.base.derived import most_different_colours

        return min(self.measure(*pair, None).value for pair in most_different_colours(depth))

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the share of the compared pixels that are equal within the tolerance.

        Returns:
            Details: ``pixels``, how many differ, and ``compared_pixels``.
            Heat: (height, width) ``uint8``, 0 where equal, else the largest channel difference, scaled to 1..255.
        """
        import numpy as np

        from pytest_imgdiff.base.derived import compared_pixels
        from pytest_imgdiff.images.differing import counted, windows

        compared = compared_pixels(expected, ignore)
        counts = counted(expected, actual, self._asked)
        if counts is not None:
            details = {"pixels": counts.beyond, "compared_pixels": compared}
            return MetricResult((compared - counts.beyond) / compared, self.unit, heat=counts.levels, details=details)
        heat = np.zeros(expected.size[::-1], np.uint8)
        differing = 0
        for part in windows(expected, actual, self._margin):
            one, two = (image.rows(part.start, part.stop) for image in (expected, actual))
            differing += self._count(one, two, heat[part])
        details = {"pixels": differing, "compared_pixels": compared}
        return MetricResult((compared - differing) / compared, self.unit, heat=heat, details=details)

    def of_counts(self, pair: PngPair) -> MetricResult:
        """Return the result of `measure` from counted values, without the heat."""
        differing = pair.counts.beyond
        details = {"pixels": differing, "compared_pixels": pair.pixels}
        return MetricResult((pair.pixels - differing) / pair.pixels, self.unit, details=details)

    def _count(self, expected: Pixels, actual: Pixels, heat: NDArray[np.uint8]) -> int:
        """Write the heat of (height, width, 4) pixels into zeros, and return how many differ."""
        import cv2
        import numpy as np

        from pytest_imgdiff.base.derived import full_value, strips

        level = full_value(expected.dtype) / 255
        limit = self.tolerance * level * (1 + _ROUNDING if expected.dtype.kind == "f" else 1)
        if CORE is not None and expected.dtype == np.uint8:
            return int(CORE.beyond_tolerance(expected, actual, heat.size, int(limit), heat))
        for rows in strips(expected):
            largest = cv2.absdiff(expected[rows], actual[rows]).max(axis=2)
            scaled = np.ceil(largest / level).clip(0, 255).astype(np.uint8)
            heat[rows] = np.where(largest > limit, scaled, np.uint8(0))
        return int(np.count_nonzero(heat))
