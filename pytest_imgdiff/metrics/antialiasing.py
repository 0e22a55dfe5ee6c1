"""Which pixels only anti-aliasing made differ.

Sources:
    Vysniauskas, "Anti-aliased Pixel and Intensity Slope Detector", 2009: the rule.
    https://github.com/mapbox/pixelmatch, releases 7.2.0 and 8.0.0 (ISC): as it is computed here, rounding included. The
        two differ in pixels that are not opaque only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff.base.derived import full_value
from pytest_imgdiff.metrics.yiq import WHITE, colour_difference, luma, pattern

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import ColourDifference
    from pytest_imgdiff.metrics.yiq import Indices, Samples

REACH = 2
"""How many rows beyond a pixel decide whether it is anti-aliased: its neighbours, and theirs."""
_MOST_EQUAL = 2
"""A pixel with more equal neighbours lies in a flat area; the edge of the image counts as one."""
_NEIGHBOURS = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]
"""In the order in which pixelmatch visits them. Of equally dark ones, the first counts."""
_ACROSS, _DOWN = (np.array(steps, np.intp)[:, None] for steps in zip(*_NEIGHBOURS, strict=True))


def smoothed(
    expected: Pixels, actual: Pixels, indices: Indices, *, opaque: bool, difference: ColourDifference
) -> NDArray[np.bool_]:
    """Return whether each pixel looks anti-aliased in either image.

    Args:
        expected: (height, width, 4) RGBA of any depth.
        actual: the same.
        indices: of the pixels.
        opaque: whether all of both images is opaque.
        difference: which release decides what lies behind pixels that are not opaque.
    """
    height, width = expected.shape[:2]
    first, second = (
        _Picture(pixels.reshape(-1, 4), width, height, opaque, difference) for pixels in (expected, actual)
    )
    return first.antialiased(second, indices) | second.antialiased(first, indices)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """An image as one row of RGBA pixels."""

    pixels: Samples
    width: int
    height: int
    opaque: bool
    difference: ColourDifference

    def antialiased(self, other: _Picture, indices: Indices) -> NDArray[np.bool_]:
        """Return whether each pixel looks anti-aliased here, beside the other image.

        So it does where it has a darker and a brighter neighbour, at most two equal ones, and where the darkest or the
        brightest neighbour is flat in both images.
        """
        around, outside = self._neighbours(indices)
        brightness = self._brightness(indices, around)
        equal = _number_equal(brightness == 0, outside)  # as bright counts as equal, whatever the colour
        slope = (brightness.min(axis=0) < 0) & (brightness.max(axis=0) > 0) & (equal <= _MOST_EQUAL)
        pixel = np.arange(indices.size)
        extremes = around[brightness.argmin(axis=0), pixel], around[brightness.argmax(axis=0), pixel]
        flat = [self._is_flat(places) & other._is_flat(places) for places in extremes]
        antialiased: NDArray[np.bool_] = slope & (flat[0] | flat[1])
        return antialiased

    def _neighbours(self, indices: Indices) -> tuple[Indices, NDArray[np.bool_]]:
        """Return the (8, n) indices around each pixel, and which of them would lie outside.

        There the pixel itself stands in.
        """
        y, x = np.divmod(indices, self.width)
        across, down = x + _ACROSS, y + _DOWN
        outside = (across < 0) | (across >= self.width) | (down < 0) | (down >= self.height)
        return np.where(outside, indices, down * self.width + across), outside

    def _is_flat(self, indices: Indices) -> NDArray[np.bool_]:
        """Return whether each pixel has at least three equal neighbours."""
        around, outside = self._neighbours(indices)
        equal = (self.pixels[around] == self.pixels[indices]).all(axis=-1)
        flat: NDArray[np.bool_] = _number_equal(equal, outside) > _MOST_EQUAL
        return flat

    def _brightness(self, indices: Indices, around: Indices) -> NDArray[np.float64]:
        """Return (8, n): how much brighter each pixel is than its neighbours; exactly 0 for equal pixels."""
        one, two = self.pixels[indices], self.pixels[around]
        if self.opaque:
            return luma(colour_difference(one, two, None))
        if self.difference == "yiq":
            return luma(colour_difference(one, two, pattern(indices)))
        brightness = luma(colour_difference(one, two, WHITE))
        # Pixels that look alike on white and differ in alpha are no equal neighbours.
        veil = np.subtract(one[..., 3], two[..., 3], dtype=np.float64) / (2 * full_value(one.dtype) / 255)
        return np.where(brightness == 0, veil, brightness)


def _number_equal(equal: NDArray[np.bool_], outside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return how many neighbours of each pixel are equal; all outside of the image count as one."""
    inside = np.count_nonzero(equal & ~outside, axis=0)
    return np.asarray(inside + outside.any(axis=0))
