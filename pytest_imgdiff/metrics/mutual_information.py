"""Normalised mutual information: how well each image predicts the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np

from pytest_imgdiff.base.derived import on_worse_backdrop, strips
from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import MetricGroup, MetricResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_imgdiff.base.derived import Backdrop
    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image

Bins = Annotated[int, msgspec.Meta(ge=2, le=1000)]

_STRIP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class NormalizedMutualInformation:
    """``(H(A) + H(B)) / H(A, B)`` of the gray levels: 2 if each image determines the other, 1 if they are independent.

    Source: Studholme, Hill and Hawkes, "An overlap invariant entropy measure of 3D medical image alignment", 1999, as
    ``skimage.metrics.normalized_mutual_information`` has it. The joint histogram is counted here, a strip of rows at a
    time: the package needs some 60 bytes for each pixel at once.

    Attributes:
        bins: into how many classes the levels of each image, from its darkest to its brightest, are divided.
    """

    bins: Bins = 100

    name: ClassVar[str] = "nmi"
    summary: ClassVar[str] = "information that the gray levels of both share"
    group: ClassVar[MetricGroup] = "structure"
    usual_limit: ClassVar[float] = 1.5
    direction: ClassVar[Literal["similarity"]] = "similarity"
    perfect: ClassVar[float] = 2.0
    bounds: ClassVar[tuple[float, float]] = (1.0, 2.0)
    counts_pixels: ClassVar[bool] = False
    unit: ClassVar[str] = "index"
    heat_threshold: ClassVar[Literal["none"]] = "none"
    plane_bytes: ClassVar[tuple[int, int]] = (0, 2)

    def measure(self, expected: Image, actual: Image, ignore: Mask | None) -> MetricResult:
        """Return the normalised mutual information of the compared pixels, 1..2.

        Raises:
            MetricError: both images are plain, so that there is no information in either.
        """
        kept = None if ignore is None else ~ignore

        def on(backdrop: Backdrop) -> MetricResult:
            first, second = expected.derived(backdrop.gray), actual.derived(backdrop.gray)
            if np.array_equal(first, second):
                return MetricResult(self.perfect, self.unit)
            joint = _joint_histogram(first, second, kept, self.bins)
            together = _entropy(joint)
            if together == 0:
                raise MetricError(
                    "nmi finds one gray level in each image and nothing to compare them by; use mae or perceptual"
                )
            value = (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together
            return MetricResult(min(max(value, 1.0), 2.0), self.unit)  # rounding may leave the range

        return on_worse_backdrop(expected, actual, self.direction, on)


def _joint_histogram(first: NDArray[Any], second: NDArray[Any], kept: Mask | None, bins: int) -> NDArray[np.int64]:
    """Return (bins, bins): how many compared pixels have which two levels."""
    edges = [_edges(plane if kept is None else plane[kept], bins) for plane in (first, second)]
    joint = np.zeros(bins * bins, np.int64)
    for rows in strips(first, _STRIP_BYTES):
        one, other = (
            _classes(plane[rows] if kept is None else plane[rows][kept[rows]], edge)
            for plane, edge in zip((first, second), edges, strict=True)
        )
        joint += np.bincount((one * bins + other).ravel(), minlength=bins * bins)
    return joint.reshape(bins, bins)


def _edges(levels: NDArray[Any], bins: int) -> NDArray[Any]:
    """Return the limits of the classes as `numpy.histogramdd` chooses them."""
    return np.histogram_bin_edges(np.array([levels.min(), levels.max()]), bins)


def _classes(levels: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.intp]:
    """Return the class of each level; the brightest belongs to the last one."""
    last = edges.size - 2
    if levels.dtype.kind != "u":
        return np.minimum(np.searchsorted(edges, levels, side="right") - 1, last)
    table = np.searchsorted(edges, np.arange(np.iinfo(levels.dtype).max + 1), side="right") - 1
    classes: NDArray[np.intp] = np.minimum(table, last)[levels]
    return classes


def _entropy(counts: NDArray[np.int64]) -> float:
    # Sorted, so that the rounding of the sum is the same both ways round.
    shares = np.sort(counts[counts > 0]) / counts.sum()
    return float(-(shares * np.log(shares)).sum())
