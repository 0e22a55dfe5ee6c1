"""Perceptible colour differences, anti-aliased pixels not counted: the rules of pixelmatch, at any depth."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from pytest_imgdiff._core import CORE
from pytest_imgdiff.base.model import AntiAliasing, ColourDifference, MetricGroup, MetricResult
from pytest_imgdiff.images.counting import Asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.images.png_pair import PngPair

Threshold = Annotated[float, msgspec.Meta(ge=0, lt=1)]


@dataclass(frozen=True, slots=True)
class Perceptual:
    """The share of pixels whose colours differ perceptibly, without those that only anti-aliasing made.

    A pixel differs where its colour difference is larger than the threshold:

    - ``oklab``, as in pixelmatch 8.0: the HyAB distance ``|Lr1 - Lr2| + sqrt((a1 - a2)^2 + (b1 - b2)^2)`` in OKLab with
      toe-corrected lightness, where 1 is black against white, is larger than ``threshold``;
    - ``yiq``, as in pixelmatch 7.2: ``delta = 0.5053 y^2 + 0.299 i^2 + 0.1957 q^2`` of the YIQ differences, 0..35215,
      on values scaled to 0..255, is larger than ``35215 * threshold^2``.

    A differing pixel is anti-aliased where, in either image, it has a darker and a brighter neighbour, at most two
    equal ones, and the darkest or the brightest neighbour lies in an area that is flat in both images. Where either
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
    summary: ClassVar[str] = "pixels whose colour visibly differs"
    group: ClassVar[MetricGroup] = "pixels"
    usual_limit: ClassVar[float] = 0.0
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = True
    marks_pixels: ClassVar[bool] = True
    unit: ClassVar[str] = "share"
    heat_threshold: ClassVar[Literal["zero"]] = "zero"
    plane_bytes: ClassVar[tuple[int, int]] = (2, 0)
    _margin: ClassVar[int] = 2
    """Rows beside one that differs that the rule of anti-aliasing looks at; see `pytest_imgdiff.images.differing`."""

    @property
    def _asked(self) -> Asked:
        """What this metric lets files count while they are read; see `pytest_imgdiff.images.counting`."""
        return Asked(perceptual=(self.threshold, self.difference == "oklab", self.antialiasing == "ignore"))

    def worst(self, depth: DTypeLike) -> float:
        """Return the value of the colours that differ most: 0 where none of them differ by more than the threshold."""
        if CORE is not None and depth == "uint8":
            return _worst_by_core(self)
        import numpy as np

        return _worst(self, np.dtype(depth))

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the share of the compared pixels that differ perceptibly.

        Returns:
            Details: ``pixels``, how many differ, and ``antialiased``, how many more only anti-aliasing made differ.
            Heat: (height, width) ``uint8``, 0 where a pixel is not counted, else 1..255 by its difference: the
            root of its delta, or its distance.
        """
        import numpy as np

        from pytest_imgdiff.base.derived import are_opaque, compared_pixels
        from pytest_imgdiff.images.differing import counted, windows
        from pytest_imgdiff.metrics.pixelmatch import find_differences

        counts = counted(expected, actual, self._asked)
        if counts is not None:
            details = {"pixels": counts.pixels, "antialiased": counts.antialiased}
            value = counts.pixels / compared_pixels(expected, ignore)
            return MetricResult(value, self.unit, heat=counts.heat, details=details)
        width, height = expected.size
        parts = windows(expected, actual, self._margin)
        opaque = all(
            image.opaque or all(are_opaque(image.rows(part.start, part.stop)) for part in parts)
            for image in (expected, actual)
        )
        if not opaque:  # what lies behind a pixel depends on its place in the whole image
            parts = (slice(0, height),)
        heat = np.zeros((height, width), np.uint8)
        pixels = antialiased = 0
        for part in parts:
            found = find_differences(
                expected.rows(part.start, part.stop),
                actual.rows(part.start, part.stop),
                self.threshold,
                opaque=opaque,
                antialiasing=self.antialiasing,
                difference=self.difference,
                heat=heat[part],
            )
            pixels += found.pixels
            antialiased += found.antialiased
        details = {"pixels": pixels, "antialiased": antialiased}
        return MetricResult(pixels / compared_pixels(expected, ignore), self.unit, heat=heat, details=details)

    def of_counts(self, pair: PngPair) -> MetricResult:
        """Return the result of `measure` from counted values, without the heat."""
        counts = pair.counts
        details = {"pixels": counts.pixels, "antialiased": counts.antialiased}
        return MetricResult(counts.pixels / pair.pixels, self.unit, details=details)

    def counted_by_core(
        self,
        expected: memoryview | bytes,
        actual: memoryview | bytes,
        shape: tuple[int, int, int, int],
        heat: memoryview | None,
        *,
        opaque: bool,
    ) -> tuple[int, int]:
        """Return how many pixels the core counts, and how many more only anti-aliasing made differ.

        Args:
            expected: pixels of one image, RGBA in 8 bits.
            actual: those of the other.
            shape: width and height, and from which up to which row pixels are judged.
            heat: where their heat is written to, if it is asked for.
            opaque: whether every pixel of both is fully opaque.

        Raises:
            MemoryError: there is none for it.
        """
        options = self.threshold, self.difference == "oklab", opaque, self.antialiasing == "ignore"
        counts: tuple[int, int] | None = (
            None if CORE is None else CORE.perceptual(expected, actual, *shape, *options, heat)
        )
        if counts is None:
            raise MemoryError
        return counts


@functools.lru_cache
def _worst_by_core(metric: Perceptual) -> float:
    """Return the share of pixels that differ where all of one image have the colour of one corner of the RGB cube."""
    side = 3
    corners = [bytes((*colour, 255)) * side**2 for colour in itertools.product((0, 255), repeat=3)]
    shape = side, side, 0, side
    counts = (metric.counted_by_core(*pair, shape, None, opaque=True) for pair in itertools.combinations(corners, 2))
    return max(pixels for pixels, _ in counts) / side**2


@functools.lru_cache
def _worst(metric: Perceptual, depth: np.dtype[Any]) -> float:
    from pytest_imgdiff.base.derived import most_different_colours

    return max(metric.measure(*pair, None).value for pair in most_different_colours(depth))
