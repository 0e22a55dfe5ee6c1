"""Comparison of a metric's result with its rule; without NumPy unless a window is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_imgdiff.base.errors import MetricError
from pytest_imgdiff.base.model import Score

if TYPE_CHECKING:
    from pytest_imgdiff.base.model import Metric, MetricResult, Rule, WindowLimit


def score(rule: Rule, metric: Metric, result: MetricResult, most_in_window: int | None = None) -> Score:
    """Compare a result with its rule.

    Args:
        rule: The rule with its limits.
        metric: The rule's metric.
        result: The result of the metric.
        most_in_window: The most pixels that it counted in any window of the rule's size; counted in the result's heat
            if omitted.

    Raises:
        MetricError: The rule limits a count of pixels, and the result has none, or does not show where they are.
    """
    limit = rule.max if metric.direction == "distance" else rule.min
    passed = limit is None or _holds(metric, result.value, limit)
    if rule.max_pixels is not None:
        if "pixels" not in result.details:
            msg = f"max_pixels was named, and the metric {metric.name} counted no pixels"
            raise MetricError(msg)
        passed = passed and result.details["pixels"] <= rule.max_pixels
    details = result.details
    if rule.max_in_window is not None:
        most = _most_in_window(rule.max_in_window, metric, result) if most_in_window is None else most_in_window
        details = {**details, "most_in_window": most}
        passed = passed and most <= rule.max_in_window.pixels
    warned = passed and rule.warn is not None and not _holds(metric, result.value, rule.warn)
    return Score(
        metric=metric.name,
        value=result.value,
        unit=result.unit,
        direction=metric.direction,
        limit=limit,
        max_pixels=rule.max_pixels,
        warn=rule.warn,
        passed=passed,
        warned=warned,
        details=details,
        max_in_window=rule.max_in_window,
    )


def _most_in_window(window: WindowLimit, metric: Metric, result: MetricResult) -> int:
    if result.value == metric.perfect and not result.details.get("pixels"):
        return 0
    import numpy as np

    from pytest_imgdiff.comparison.regions import most_in_window

    if result.heat is None or np.count_nonzero(result.heat) != result.details.get("pixels"):
        msg = f"max_in_window was named, and the metric {metric.name} did not mark the pixels that it counted"
        raise MetricError(msg)
    return most_in_window(result.heat, window.size)


def _holds(metric: Metric, value: float, limit: float) -> bool:
    return value <= limit if metric.direction == "distance" else value >= limit
