"""Whether a rule could fail at all: a limit that the two most different pictures hold checks nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pytest_imgdiff.errors import MetricError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike

    from pytest_imgdiff.model import Rule

DEPTHS = ("uint8", "uint16", "float32", "float64")
"""All that `pytest_imgdiff.image.Image` has."""


def worst_value(metric: Any, depth: DTypeLike) -> float:
    """Return the worst value that the metric, with its options, has for any two pictures of this depth.

    That is what its method ``worst`` returns or, where it has none, the far end of its ``bounds``.

    Args:
        metric: a `pytest_imgdiff.model.Metric`, made with its options.
        depth: dtype of the pixels.

    Raises:
        MetricError: ``worst`` fails, or returns no number.
    """
    if not hasattr(metric, "worst"):
        low, high = metric.bounds
        return float(high if metric.direction == "distance" else low)
    try:
        worst = float(metric.worst(depth))
    except Exception as error:  # a metric may be anybody's code
        msg = f"the metric {metric.name} failed to return its worst value: {type(error).__name__}: {error}"
        raise MetricError(msg) from error
    if math.isnan(worst):
        msg = f"the metric {metric.name} failed to return its worst value: it is no number"
        raise MetricError(msg)
    return worst


def could_fail(
    rule: Rule,
    metric: Any,
    depths: Iterable[DTypeLike] = DEPTHS,
    compared_pixels: int | None = None,
    size: tuple[int, int] | None = None,
) -> bool:
    """Return whether some two pictures exceed one of the rule's limits, ``warn`` included.

    A rule without any limit only measures; that is no mistake, and counts as one that could.

    Args:
        rule: what is asked.
        metric: the rule's metric, made with its options.
        depths: dtypes that the pictures may have.
        compared_pixels: how many pixels of them are looked at; any number where omitted.
        size: their width and height; any where omitted.
    """
    limits = [limit for limit in (rule.max, rule.min, rule.warn) if limit is not None]
    counts = [] if rule.max_pixels is None else [(rule.max_pixels, compared_pixels)]
    if rule.max_in_window is not None:
        counts.append((rule.max_in_window.pixels, rule.max_in_window.room(size)))
    if not limits and not counts:
        return True
    distance = metric.direction == "distance"
    for depth in depths:
        worst = worst_value(metric, depth)
        if any(worst > limit if distance else worst < limit for limit in limits):
            return True
        if worst != metric.perfect and any(room is None or room > most for most, room in counts):
            return True
    return False
