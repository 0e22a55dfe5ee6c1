"""SSIMULACRA 2: the quality of an image that was compressed again, as people rate it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytest_imgdiff.base.derived import eight_bit, on_worse_backdrop
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

_SMALLEST_SIDE = 8
"""The package measures nothing of smaller images, and calls them equal."""
_WORST = -100.0


@dataclass(frozen=True, slots=True)
class Ssimulacra2:
    """The SSIMULACRA 2 score, 100 (equal) and less, the lower one of both orders; scores below -100 are given as -100.

    Source: Sneyers, SSIMULACRA 2.1, 2023 (https://github.com/cloudinary/ssimulacra2), as the package ssimulacra2
    computes it. The formula takes artefacts that were added for worse than details that were lost, so that it depends
    on the order.
    """

    name: ClassVar[str] = "ssimulacra2"
    summary: ClassVar[str] = "quality after compression, as people rate it; 90 is visually lossless"
    group: ClassVar[MetricGroup] = "structure"
    usual_limit: ClassVar[float] = 90.0
    _extra: ClassVar[tuple[str, str]] = ("ssimulacra2", "ssimulacra2")  # the module, and the extra that brings it
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 100.0
    bounds: ClassVar[tuple[float, float]] = (_WORST, 100.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "points"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (560, 6)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:  # noqa: ARG002 - painted
        """Return the lower score of both orders.

        Returns:
            Details: ``forth`` and ``back``: the score of the actual image beside the expected one, and of the
            expected image beside the actual one.

        Raises:
            MetricError: the images are too small.
        """
        width, height = expected.size
        if min(width, height) < _SMALLEST_SIDE:
            raise MetricError(
                f"ssimulacra2 needs at least {_SMALLEST_SIDE}x{_SMALLEST_SIDE} pixels and this pair has "
                f"{width}x{height}: use pixel_match or perceptual"
            )

        def on(backdrop: Backdrop) -> MetricResult:
            first, second = (_stored(backdrop.rgb(image)) for image in (expected, actual))
            forth, back = _score(first, second), _score(second, first)
            details = {"forth": forth, "back": back}
            return MetricResult(max(_WORST, min(forth, back)), self.unit, details=details)

        return on_worse_backdrop(expected, actual, self.direction, on)


def _stored(rgb: NDArray[Any]) -> bytes:
    """Return an image as a file, which is all that the package takes, without loss."""
    from PIL import Image as PillowImage

    file = io.BytesIO()
    PillowImage.fromarray(eight_bit(rgb)).save(file, "PPM")
    return file.getvalue()


def _score(reference: bytes, other: bytes) -> float:
    from ssimulacra2 import compute_ssimulacra2

    return float(compute_ssimulacra2(io.BytesIO(reference), io.BytesIO(other)))
