"""The mean FLIP error: how visible the differences are when one flips between the two images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from pytest_imgdiff.base.derived import full_value, on_worse_backdrop
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

PixelsPerDegree = Annotated[float, msgspec.Meta(ge=1, le=500)]


@dataclass(frozen=True, slots=True)
class Flip:
    """The mean over the compared pixels of NVIDIA's FLIP error, 0 (equal) to 1.

    Source: Andersson et al., "FLIP: A Difference Evaluator for Alternating Images", 2020, as the package flip-evaluator
    computes it for images of low dynamic range.

    Attributes:
        ppd: pixels in one degree of the viewer's field. The default is the package's: a monitor of 3840 pixels and
            0.7 m width, seen from 0.7 m.
    """

    ppd: PixelsPerDegree = 67.0206432765823

    name: ClassVar[str] = "flip"
    summary: ClassVar[str] = "how visible the differences are when one flips between both, by NVIDIA's FLIP"
    group: ClassVar[MetricGroup] = "structure"
    usual_limit: ClassVar[float] = 0.01
    _extra: ClassVar[tuple[str, str]] = ("flip_evaluator", "flip")  # the module, and the extra that brings it
    direction: ClassVar[Literal["distance"]] = "distance"
    perfect: ClassVar[float] = 0.0
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "index"
    heat_threshold: ClassVar[Literal["otsu"]] = "otsu"
    plane_bytes: ClassVar[tuple[int, int]] = (160, 6)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the mean error of the compared pixels.

        Returns:
            Details: ``largest``, the largest error of a compared pixel.
            Heat: (height, width) ``float32``, the error of each pixel, 0..1.
        """
        evaluate = _evaluate()

        def on(backdrop: Backdrop) -> MetricResult:
            sides = (backdrop.rgb(image) for image in (expected, actual))
            first, second = (side.astype(np.float32) / np.float32(full_value(side.dtype)) for side in sides)
            errors, _, _ = evaluate(
                first, second, "LDR", applyMagma=False, computeMeanError=False, parameters={"ppd": self.ppd}
            )
            heat: NDArray[np.float32] = errors[..., 0].clip(0, 1)
            if ignore is not None:
                heat[ignore] = 0  # what differs nearby spreads into an ignored area
            compared = heat.size if ignore is None else heat.size - int(np.count_nonzero(ignore))
            details = {"largest": float(heat.max())}
            return MetricResult(float(heat.sum(dtype=np.float64)) / compared, self.unit, heat=heat, details=details)

        return on_worse_backdrop(expected, actual, self.direction, on)


def _evaluate() -> Callable[..., Any]:
    """Return the package's function, which works on one thread.

    Its OpenMP library reads this variable when it is loaded. Threads of its own would hang in the processes of a scan,
    which are forked.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        from flip_evaluator import evaluate
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
    function: Callable[..., Any] = evaluate
    return function
