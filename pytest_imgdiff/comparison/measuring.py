"""The metrics of one pair of images: each is run once, and its result is checked.

A metric may be third-party code: any error in it is a `MetricError`, never a pass.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_imgdiff import images
from pytest_imgdiff.base.errors import MetricError, ModelUnavailableError
from pytest_imgdiff.base.model import AUTO, DEFAULT_RULES, MetricResult
from pytest_imgdiff.config.policy import worst_value
from pytest_imgdiff.images.counting import together
from pytest_imgdiff.images.differing import decoded_share, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_imgdiff.base.geometry import Mask
    from pytest_imgdiff.base.image import Image
    from pytest_imgdiff.base.model import Metric, Policy, Rule
    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.images.counting import Asked

USUAL_MASK_METRIC = "perceptual"

ROUNDING = 1e-6
"""Tolerance of a value that is better than that of equal images or, as a share, worse than the worst possible value,
before it is a fault of the metric."""

MOST_BYTES = 128
"""Upper bound of the bytes per pixel and per channel byte of any pair: below it, no exact count is needed."""
MARKS, HEAT = 8, 4
"""Bytes per pixel: while a pair is read, and at most for a metric's heat."""
MOST_UNKNOWN = 16
"""Bytes per pixel, and per channel byte, that are assumed for a metric that does not specify them."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Measurements:
    """Results of the metrics for one pair; each metric is measured at most once.

    Attributes:
        expected: One image.
        actual: The other, of equal size and depth.
        ignore: (height, width), the ignored pixels; None if there are none.
        registry: The known metrics.
        results: The results by the metric's name.
    """

    expected: Image
    actual: Image
    ignore: Mask | None
    registry: Registry
    results: dict[str, MetricResult]

    def result(self, metric: Metric) -> MetricResult:
        """Return the result of the metric.

        Raises:
            MetricError: It has no value for this pair, or is faulty.
            ModelUnavailableError: The model that it needs is not on this machine.
        """
        if metric.name not in self.results:
            try:
                result = metric.measure(self.expected, self.actual, self.ignore)
            except (MetricError, ModelUnavailableError):
                raise
            except (Exception, SystemExit, GeneratorExit) as error:
                _log.debug("metric %s failed", metric.name, exc_info=True)
                msg = f"the metric {metric.name} failed with {type(error).__name__}: {error}"
                raise MetricError(msg) from error
            self.results[metric.name] = _checked(result, metric, self.expected)
        return self.results[metric.name]

    def heated(self, metric: Metric) -> tuple[slice, ...] | None:
        """Return the rows outside which a built-in metric has no heat; None if it may be anywhere."""
        margin = getattr(metric, "_margin", None)
        return None if margin is None else windows(self.expected, self.actual, margin)


def _checked(result: object, metric: Metric, image: Image) -> MetricResult:
    """Return a metric's result with a plain number as its value.

    Raises:
        MetricError: It cannot be compared with a limit, or its heat does not fit this image.
    """
    if not isinstance(result, MetricResult):
        msg = f"the metric {metric.name} returned {result!r:.60}, which is no MetricResult"
        raise MetricError(msg)
    value = _number(result.value)
    if not math.isfinite(value):
        msg = f"the metric {metric.name} returned {result.value!r:.60}; it must be a finite number"
        raise MetricError(msg)
    better = metric.perfect - value if metric.direction == "distance" else value - metric.perfect
    if better > ROUNDING:
        msg = f"the metric {metric.name} returned {value}, which is better than its {metric.perfect} of equal images"
        raise MetricError(msg)
    worst = worst_value(metric, image.dtype)
    if abs(value - metric.perfect) > abs(worst - metric.perfect) * (1 + ROUNDING):
        msg = f"the metric {metric.name} returned {value}, which is worse than its worst possible value, {worst}"
        raise MetricError(msg)
    if result.heat is not None and not _is_heat(result.heat, image):
        msg = f"the metric {metric.name} returned a heat that is not (height, width) of uint8 or float32"
        raise MetricError(msg)
    return MetricResult(value, str(result.unit), result.heat, dict(result.details), result.drawings)


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (int, float, np.integer, np.floating)) else math.nan
    except OverflowError:  # an integer beyond all floats
        return math.inf


def _is_heat(heat: object, image: Image) -> bool:
    shape = image.size[::-1]
    return isinstance(heat, np.ndarray) and heat.shape == shape and heat.dtype in (np.uint8, np.float32)


def deciding_metric(policy: Policy, registry: Registry) -> str:
    """Return the metric that shows where images differ because it decides whether they do."""
    if policy.mask != AUTO:
        return policy.mask
    if any(rule.metric == DEFAULT_RULES[0].metric for rule in policy.metrics):
        return DEFAULT_RULES[0].metric
    thresholds = {rule.metric: registry.metric(rule.metric, rule.options).heat_threshold for rule in policy.metrics}
    structure = [name for name, threshold in thresholds.items() if threshold == "otsu"]
    return structure[0] if structure and "zero" not in thresholds.values() else USUAL_MASK_METRIC


def asked_by(policy: Policy, registry: Registry) -> Asked | None:
    """Return what all metrics of a policy need to have counted while files are read; None if one needs more."""
    if policy.ignore:
        return None
    options = {rule.metric: rule.options for rule in (*policy.measure, *policy.metrics)}
    names = dict.fromkeys([*options, deciding_metric(policy, registry)])
    return together(getattr(registry.metric(name, options.get(name, ())), "_asked", None) for name in names)


def beyond_memory(
    expected: Image, actual: Image, policy: Policy, rules: Sequence[Rule], registry: Registry
) -> str | None:
    """Return why measuring the metrics of these rules takes more memory than allowed, in words; None if it does not.

    For an image whose rows are decoded on request, only the requested rows count.
    """
    width, height = (max(sides) for sides in zip(expected.size, actual.size, strict=True))
    plane = width * height
    sides = expected, actual
    value_bytes = max(image.dtype.itemsize for image in sides)
    if plane * value_bytes * MOST_BYTES <= policy.memory:  # most pairs
        return None
    options = {rule.metric: rule.options for rule in rules}
    names = dict.fromkeys([*options, deciding_metric(policy, registry)])
    metrics = [registry.metric(name, options.get(name, ())) for name in names]
    is_alike = expected.size == actual.size and expected.dtype == actual.dtype
    share = 1.0
    if all(hasattr(metric, "_margin") for metric in metrics) and not policy.ignore and is_alike:
        share = decoded_share(expected, actual)
    # The pixels, and while rows become pixels the same rows as they are stored, and a few planes of marks.
    pixels = sum(4 * image.dtype.itemsize * math.prod(image.size) * share for image in sides)
    read = plane * MARKS + sum(
        4 * image.dtype.itemsize * math.prod(image.size) * share * (1 if image.stored is None else 2) for image in sides
    )
    if policy.ignore or not is_alike:
        pixels += 2 * 4 * value_bytes * plane  # both are copied: painted, brought to one size or to one depth
    backdrops = 1 if expected.opaque and actual.opaque else 2
    held = [getattr(metric, "plane_bytes", (MOST_UNKNOWN, MOST_UNKNOWN)) for metric in metrics]
    # Gray and other forms are shared, and one metric runs at a time; each may leave a heat.
    largest = max(always for always, _ in held) + value_bytes * max(by_width for _, by_width in held)
    needed = round(max(read, pixels + plane * (largest * backdrops + HEAT * len(metrics))))
    if needed <= policy.memory:
        return None
    return (
        f"{expected.info.label} and {actual.info.label}: comparing them takes about {images.in_mebibytes(needed)} of "
        f"memory ({width}x{height} pixels of {8 * value_bytes} bits a channel; {', '.join(names)}), more than "
        f"`memory` allows ({images.in_mebibytes(policy.memory)}); raise `memory`, or compare smaller images or by "
        "fewer metrics"
    )
