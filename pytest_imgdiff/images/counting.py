"""What the compiled core counts while it reads two PNG files: asked by metrics before the files are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be counted.

    Attributes:
        perceptual: the threshold, whether it is a distance in OKLab, and whether anti-aliased pixels are left out.
        tolerance: levels that a channel may differ by.
        sums: the sums of the differences of each channel.
    """

    perceptual: tuple[float, bool, bool] | None = None
    tolerance: int | None = None
    sums: bool = False

    def holds(self, other: Asked) -> bool:
        """Return whether what ``other`` asks is asked here too."""
        return (
            other.perceptual in (None, self.perceptual)
            and other.tolerance in (None, self.tolerance)
            and other.sums <= self.sums
        )


def together(wanted: Iterable[Asked | None]) -> Asked | None:
    """Return one request for several; None if any of them is None, or one reading does not answer them all."""
    asked = Asked()
    several = list(wanted)
    for one in several:
        if one is None:
            return None
        tolerance = asked.tolerance if one.tolerance is None else one.tolerance
        asked = Asked(one.perceptual or asked.perceptual, tolerance, one.sums or asked.sums)
    return asked if all(one is not None and asked.holds(one) for one in several) else None


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in two images of one size. They are opaque wherever they may differ.

    Attributes:
        asked: what was asked.
        unlike: (height,), true where a row differs in any pixel.
        unequal: how many pixels are not equal.
        pixels: how many differ perceptibly.
        antialiased: how many more only anti-aliasing made differ.
        heat: (height, width), 0 where a pixel does not differ perceptibly; None if that was not asked.
        beyond: how many pixels differ by more than the tolerance.
        levels: (height, width), the largest difference of a channel of these, else 0; None if that was not asked.
        sums: of the absolute differences of red, green, blue and alpha, and of all squared differences.
    """

    asked: Asked
    unlike: NDArray[np.bool_]
    unequal: int
    pixels: int
    antialiased: int
    heat: NDArray[np.uint8] | None
    beyond: int
    levels: NDArray[np.uint8] | None
    sums: tuple[int, int, int, int, int]
