"""What the compiled core counts while it reads two PNG files: asked by metrics before the files are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_imgdiff._core import CORE, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Plane = TypeVar("Plane")
"""A buffer of one byte for each pixel: an array of NumPy, or a bytearray."""
_NOT_ASKED = -1.0, False, False


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
class Counts(Generic[Plane]):
    """What was counted in two images of one size. They are opaque where they may differ.

    Attributes:
        asked: what was asked.
        unlike: for each row, 1 where it differs in any pixel.
        unequal: how many pixels are not equal.
        pixels: how many differ perceptibly.
        antialiased: how many more only anti-aliasing made differ.
        heat: width * height, 0 where a pixel does not differ perceptibly; None if that was not asked.
        beyond: how many pixels differ by more than the tolerance.
        levels: width * height, the largest difference of a channel of these, else 0; None if that was not asked.
        sums: of the absolute differences of red, green, blue and alpha, and of all squared differences.
    """

    asked: Asked
    unlike: bytearray
    unequal: int
    pixels: int
    antialiased: int
    heat: Plane | None
    beyond: int
    levels: Plane | None
    sums: tuple[int, int, int, int, int]


def count_files(
    expected: bytes, actual: bytes, size: tuple[int, int], asked: Asked, zeros: Callable[[int, int], Plane]
) -> Counts[Plane] | None:
    """Count in two PNG files; None where the compiled core declines, or is not there.

    Both files are read once, beside each other, and found sound.

    Args:
        expected: the bytes of one file.
        actual: those of the other.
        size: width and height that both have to have.
        asked: what is to be counted.
        zeros: makes a plane of bytes of a height and a width, all 0.
    """
    if CORE is None:
        return None
    width, height = size
    heat = zeros(height, width) if asked.perceptual else None
    levels = None if asked.tolerance is None else zeros(height, width)
    rule, tolerance = asked.perceptual or _NOT_ASKED, -1 if asked.tolerance is None else asked.tolerance
    found = CORE.count(expected, actual, width, height, *rule, heat, tolerance, levels, asked.sums, threads())
    if found is None:
        return None
    unlike, unequal, pixels, antialiased, beyond, sums = found
    return Counts(asked, unlike, unequal, pixels, antialiased, heat, beyond, levels, sums)
