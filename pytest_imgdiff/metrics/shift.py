"""How far the image was moved, across and down: phase correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from pytest_imgdiff.base.derived import halved, on_worse_backdrop
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

    Movement = tuple[float, float]
    """Pixels downwards and to the right."""

_LARGEST_PICTURE = 1 << 21
"""Pixels; larger images are halved first. A spectrum of such an image takes 32 MB."""
_LARGEST_MASKED = 1 << 19
"""The same where a part is ignored, which takes spectra of twice the height and width, and eight of them."""
_STEPS = 10
"""A movement is found to this part of a pixel."""
_SMALLEST_SIDE = 8
_LEAST_CORRELATION = 0.5
"""Of what overlaps after the movement: below that the images do not show the same thing."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The length in pixels of the translation that takes the expected image to the actual one.

    The translation is the peak of the phase correlation of both images in gray, found to a tenth of a pixel; to a
    whole pixel where a part is ignored. A peak that explains the images no better than no movement at all is none.

    Source: Kuglin and Hines 1975; Guizar-Sicairos, Thurman and Fienup 2008; Padfield 2012 where a part is ignored; all
    by ``skimage.registration.phase_cross_correlation``.
    """

    name: ClassVar[str] = "shift"
    summary: ClassVar[str] = "pixels by which the image was moved"
    group: ClassVar[MetricGroup] = "structure"
    usual_limit: ClassVar[float] = 1.0
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "pixels"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (16, 2)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return how far the image was moved.

        Returns:
            Details: ``right`` and ``down``, the translation in pixels; ``correlation``, of what overlaps after it.

        Raises:
            MetricError: the images are too small or too plain, or no translation makes them alike.
        """
        width, height = expected.size
        if min(width, height) < _SMALLEST_SIDE:
            raise MetricError(
                f"shift needs at least {_SMALLEST_SIDE}x{_SMALLEST_SIDE} pixels and this pair has {width}x{height}: "
                "use pixel_match or perceptual"
            )
        times = _halvings(width, height, _LARGEST_PICTURE if ignore is None else _LARGEST_MASKED)
        kept = None if ignore is None else halved(ignore.view(np.uint8) * np.uint8(255), times) == 0

        def on(backdrop: Backdrop) -> MetricResult:
            first, second = (
                halved(image.derived(backdrop.gray), times).astype(np.float64) for image in (expected, actual)
            )
            if np.array_equal(first, second):
                return MetricResult(0.0, self.unit, details={"right": 0.0, "down": 0.0, "correlation": 1.0})
            down, right = _movement(first, second, kept)
            correlation = _correlation(first, second, (down, right), kept)
            if correlation < _LEAST_CORRELATION:
                raise MetricError(
                    f"shift finds no movement that makes the images alike (the best one has a correlation of "
                    f"{correlation:.2f}): they are too plain, or show different things; use ssim or perceptual"
                )
            scale = 2**times
            details = {"right": scale * right, "down": scale * down, "correlation": round(correlation, 6)}
            return MetricResult(scale * math.hypot(down, right), self.unit, details=details)

        return on_worse_backdrop(expected, actual, self.direction, on)


def _halvings(width: int, height: int, largest: int) -> int:
    times = 0
    while (width >> times) * (height >> times) > largest and min(width, height) >> times > _SMALLEST_SIDE:
        times += 1
    return times


def _movement(first: NDArray[Any], second: NDArray[Any], kept: Mask | None) -> Movement:
    """Return where the content of the first image is in the second."""
    from skimage import registration

    looked_at = [plane if kept is None else plane[kept] for plane in (first, second)]
    if any(not levels.size or np.ptp(levels) == 0 for levels in looked_at):
        return 0.0, 0.0  # nothing, or something plain: there is no movement to find
    correlate: Any = registration.phase_cross_correlation  # without annotations
    # Of peaks that are equally high the first one is taken. So that the same one is found both ways round, the image
    # with the lower first value that differs is always the reference.
    at = np.argmax(first != second)
    swapped = bool(first.flat[at] > second.flat[at])
    reference, moving = (second, first) if swapped else (first, second)
    if kept is None:
        shift = correlate(reference, moving, upsample_factor=_STEPS)[0]
    else:
        shift = correlate(reference, moving, reference_mask=kept, moving_mask=kept)[0]
    sign = 1 if swapped else -1
    down, right = (round(sign * float(part), 3) + 0.0 for part in shift)
    if (round(down), round(right)) != (0, 0):
        moved, still = (_correlation(first, second, movement, kept) for movement in ((down, right), (0.0, 0.0)))
        if moved <= still:
            return 0.0, 0.0
    return down, right


def _correlation(first: NDArray[Any], second: NDArray[Any], movement: Movement, kept: Mask | None) -> float:
    """Return Pearson's correlation of what overlaps once the first image is moved by whole pixels; -1 where plain."""
    down, right = (round(part) for part in movement)
    here, there = _overlap(first.shape[0], down), _overlap(first.shape[1], right)
    one, other = first[here[0], there[0]], second[here[1], there[1]]
    if kept is not None:
        both = kept[here[0], there[0]] & kept[here[1], there[1]]
        one, other = one[both], other[both]
    if not one.size:
        return -1.0
    one, other = one - one.mean(), other - other.mean()
    spread = math.sqrt(float((one * one).sum()) * float((other * other).sum()))
    return float((one * other).sum()) / spread if spread > 0 else -1.0


def _overlap(size: int, movement: int) -> tuple[slice, slice]:
    """Return which rows (or columns) of the first image lie on which of the second."""
    length = max(0, size - abs(movement))
    start = max(0, -movement)
    return slice(start, start + length), slice(max(0, movement), max(0, movement) + length)
