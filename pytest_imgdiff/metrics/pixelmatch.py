"""Which pixels differ perceptibly: the rules of pixelmatch 7.2 and 8.0, at any depth.

The colour differences are in `yiq` and `oklab`, the rule of anti-aliasing in `antialiasing`. The compiled core does the
same for 8 bits a channel, with results that are equal bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_imgdiff._core import CORE
from pytest_imgdiff.metrics import oklab, yiq
from pytest_imgdiff.metrics.antialiasing import smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.image import Pixels
    from pytest_imgdiff.base.model import AntiAliasing, ColourDifference

_MEASURED = {"yiq": yiq.measured, "oklab": oklab.measured}
_AT_ONCE = 1 << 18
"""Pixels that are judged at once: some 200 bytes are computed of each, and memory must not grow with the image."""


class Differences(NamedTuple):
    """Where two images differ perceptibly.

    Attributes:
        heat: (height, width), 0 where a pixel is not counted, else 1..255 by its difference.
        pixels: how many pixels are counted.
        antialiased: how many more differ by anti-aliasing only.
    """

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
    difference: ColourDifference = "oklab",
    heat: NDArray[np.uint8] | None = None,
) -> Differences:
    """Judge every pixel of two (height, width, 4) arrays of equal shape and dtype.

    Args:
        expected: straight RGBA of any depth.
        actual: the same.
        threshold: as in `Perceptual`.
        opaque: whether every pixel of both is fully opaque.
        antialiasing: as in `Perceptual`.
        difference: as in `Perceptual`.
        heat: (height, width) zeros that become the heat; a new array where omitted.
    """
    height, width = expected.shape[:2]
    heat = np.zeros((height, width), np.uint8) if heat is None else heat
    if CORE is not None and expected.dtype == np.uint8:
        options = threshold, difference == "oklab", opaque, antialiasing == "ignore"
        counts = CORE.perceptual(expected, actual, width, height, 0, height, *options, heat)
        if counts is not None:
            return Differences(heat, *counts)
    one, two, levels = expected.reshape(-1, 4), actual.reshape(-1, 4), heat.reshape(-1)
    pixels = antialiased = 0
    for start in range(0, levels.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        differing = np.flatnonzero((one[part] != two[part]).any(axis=1)) + start
        strength, beyond = _MEASURED[difference](one[differing], two[differing], differing, threshold, opaque=opaque)
        differing, strength = differing[beyond], strength[beyond]
        if antialiasing == "ignore":
            counted = ~smoothed(expected, actual, differing, opaque=opaque, difference=difference)
            antialiased += int(np.count_nonzero(~counted))
            differing, strength = differing[counted], strength[counted]
        pixels += differing.size
        levels[differing] = (strength * 255).clip(1, 255).astype(np.uint8)
    return Differences(heat, pixels, antialiased)
