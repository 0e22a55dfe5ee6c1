"""Perceptible colour differences, anti-aliased pixels not counted: the rules of pixelmatch, at any depth."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from pytest_imgdiff.model import MetricResult
from pytest_imgdiff.perceived import AntiAliasing, ColourDifference, find_differences_in_rows
from pytest_imgdiff.views import compared_pixels, most_different_colours

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from pytest_imgdiff.image import Image
    from pytest_imgdiff.model import Mask

Threshold = Annotated[float, msgspec.Meta(ge=0, lt=1)]


@dataclass(frozen=True, slots=True)
class Perceptual:
    """The share of pixels whose colours differ perceptibly, without those that only anti-aliasing made.

    A pixel differs where its colour difference is larger than the threshold:

    - ``oklab``, as in pixelmatch 8.0: the HyAB distance ``|Lr1 - Lr2| + sqrt((a1 - a2)^2 + (b1 - b2)^2)`` in OKLab with
      toe-corrected lightness, where 1 is black against white, is larger than ``threshold``;
    - ``yiq``, as in pixelmatch 7.2: ``delta = 0.5053 y^2 + 0.299 i^2 + 0.1957 q^2`` of the YIQ differences, 0..35215,
      on values scaled to 0..255, is larger than ``35215 * threshold^2``.

    A differing pixel is anti-aliased where, in either picture, it has a darker and a brighter neighbour, at most two
    equal ones, and the darkest or the brightest neighbour lies in an area that is flat in both pictures. Where either
    pixel is not opaque, the largest difference on three backdrops decides: pixelmatch's pattern (which depends on the
    position), black, and white. So this counts every pixel that pixelmatch counts, and those that differ on a dark or a
    light page only.

    Attributes:
        threshold: the largest difference that is not counted, from 0 (every one is) to below 1 (white for black is).
        antialiasing: ``ignore`` does not count anti-aliased pixels, ``count`` does.
        difference: ``oklab`` or ``yiq``.
    """

    threshold: Threshold = 0.1
    antialiasing: AntiAliasing = "ignore"
    difference: ColourDifference = "oklab"

    name: ClassVar[str] = "perceptual"
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = True
    marks_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["zero"]] = "zero"
    plane_bytes: ClassVar[tuple[int, int]] = (2, 0)
    by_rows: ClassVar[bool] = True
    """It asks for rows that differ and `pytest_imgdiff.views.NEAR` ones beside them, and for no others."""

    def worst(self, depth: DTypeLike) -> float:
        """Return the value of the colours that differ most: 0 where none of them differ by more than the threshold."""
        return _worst(self, np.dtype(depth))

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the share of the compared pixels that differ perceptibly.

        Returns:
            Details: ``pixels``, how many differ, and ``antialiased``, how many more only anti-aliasing made differ.
            Heat: (height, width) ``uint8``, 0 where a pixel is not counted, else 1..255 by its difference: the
            root of its delta, or its distance.
        """
        found = find_differences_in_rows(
            expected, actual, self.threshold, antialiasing=self.antialiasing, difference=self.difference
        )
        value = found.pixels / compared_pixels(expected, ignore)
        details = {"pixels": found.pixels, "antialiased": found.antialiased}
        return MetricResult(value, self.unit, heat=found.heat, details=details, heated=found.heated)


@functools.lru_cache
def _worst(metric: Perceptual, depth: np.dtype[Any]) -> float:
    return max(metric.measure(*pair, None).value for pair in most_different_colours(depth))
