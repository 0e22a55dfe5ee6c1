"""A policy that was made in Python, held against what imgdiff.yaml would have to say for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from pytest_imgdiff.config.checking import convert
from pytest_imgdiff.config.fields import PolicyFields
from pytest_imgdiff.config.layers import mask_metric
from pytest_imgdiff.config.origin import CallOrigin, quoted, shown
from pytest_imgdiff.config.rules import CHOICES, LIMITS, measured_from, rules_from, written_limits
from pytest_imgdiff.config.values import plain
from pytest_imgdiff.errors import ConfigError
from pytest_imgdiff.model import (
    CaptureSettings,
    Length,
    MaskArea,
    OnUnavailable,
    Policy,
    PolygonArea,
    RectangleArea,
    RegionSettings,
    Rule,
    SizePolicy,
)

if TYPE_CHECKING:
    from pytest_imgdiff.config.origin import KeyPath
    from pytest_imgdiff.config.rules import MetricLookup

ORIGIN = CallOrigin("policy")
FEWEST_CORNERS = 3


def check_policy(policy: object, metrics: MetricLookup) -> None:
    """Refuse a policy that cannot be followed: its types, its rules as in imgdiff.yaml, its ignore areas.

    Args:
        policy: what a caller gave for a `Policy`; dataclasses check nothing of what they are made of.
        metrics: what knows the metrics.

    Raises:
        ConfigError: ``policy: KEY: what is wrong; what to do``.
    """
    if not isinstance(policy, Policy):
        raise ConfigError(
            f"policy: expected a pytest_imgdiff.Policy such as Policy(size=SizePolicy.PAD), not {shown(policy)}"
        )
    _check_type(policy.size, SizePolicy, ("size",), "such as SizePolicy.PAD")
    _check_type(policy.regions, RegionSettings, ("regions",))
    _check_type(policy.capture, CaptureSettings, ("capture",))
    _check_least(policy.max_pixels, 1, ("max_pixels",))
    _check_least(policy.memory, 1, ("memory",))
    _check_least(policy.regions.merge_distance, 0, ("regions", "merge_distance"))
    _check_least(policy.regions.min_area, 1, ("regions", "min_area"))
    names = "frames", "mask", "missing", "moved", "unmatched"
    given: dict[str, Any] = {name: getattr(policy, name) for name in names}
    given["kinds"] = _kinds(policy.kinds)
    convert(plain(given, ORIGIN), PolicyFields, ORIGIN, ())
    mask_metric(policy.mask, metrics, ORIGIN, ("mask",))
    _check_rules(policy.rules, metrics)
    _check_measured(policy.measure, metrics)
    for index, area in enumerate(_listed(policy.ignore, ("ignore",))):
        _check_area(area, ("ignore", index))


def _kinds(kinds: object) -> dict[Any, Any]:
    """Return what imgdiff.yaml would say for the kinds."""
    pairs = _listed(kinds, ("kinds",))
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004 - kind and choice
        raise ORIGIN.error(("kinds",), f'expected pairs such as ("moved", "warn"), not {shown(kinds)}')
    return dict(pairs)


def _check_rules(rules: object, metrics: MetricLookup) -> None:
    named: dict[str, Any] = {}
    for index, rule in enumerate(_listed(rules, ("rules",))):
        where = ("rules", index)
        _check_type(rule, Rule, where, 'such as Rule("ssim", min=0.99)')
        _check_type(rule.metric, str, (*where, "metric"))
        if rule.metric in named:
            raise ORIGIN.error(where, f"a second rule for {quoted(rule.metric)}; give one, with all its limits")
        if rule.on_unavailable not in get_args(OnUnavailable):
            raise ORIGIN.error((*where, "on_unavailable"), f"expected fail or skip, not {shown(rule.on_unavailable)}")
        named[rule.metric] = _as_written(rule, where)
    if not named:
        raise ORIGIN.error(
            ("rules",), 'no rule, so that nothing could fail; name at least one, such as Rule("ssim", min=1)'
        )
    rules_from(plain(named, ORIGIN, ("rules",)), metrics, ORIGIN, ("rules",))


def _check_measured(measure: object, metrics: MetricLookup) -> None:
    written = []
    for index, rule in enumerate(_listed(measure, ("measure",))):
        where = ("measure", index)
        _check_type(rule, Rule, where, 'such as Rule("ssim")')
        _check_type(rule.metric, str, (*where, "metric"))
        given = _as_written(rule, where)
        del given["when"]
        written.append({rule.metric: given})
    measured_from(plain(written, ORIGIN, ("measure",)), metrics, ORIGIN)


def _as_written(rule: Rule, where: KeyPath) -> dict[str, Any]:
    """Return what imgdiff.yaml would say for the rule."""
    try:
        options = dict(rule.options)
    except (TypeError, ValueError):
        form = 'expected pairs of a name and a value, such as (("threshold", 0.1),)'
        raise ORIGIN.error((*where, "options"), f"{form}, not {shown(rule.options)}") from None
    if taken := [name for name in options if name in (*LIMITS, *CHOICES)]:
        raise ORIGIN.error((*where, "options"), f"{quoted(taken[0])} is no option: give it to Rule itself")
    return {**options, **written_limits(rule), "when": rule.when}


def _check_area(area: object, where: KeyPath) -> None:
    if isinstance(area, RectangleArea):
        for name in ("x", "y", "width", "height"):
            _check_length(getattr(area, name), (*where, name))
    elif isinstance(area, PolygonArea):
        corners = _listed(area.points, (*where, "points"))
        if len(corners) < FEWEST_CORNERS:
            raise ORIGIN.error((*where, "points"), f"a polygon has at least {FEWEST_CORNERS} corners")
        for index, corner in enumerate(corners):
            pair = _listed(corner, (*where, "points", index))
            if len(pair) != 2:  # noqa: PLR2004 - x and y
                raise ORIGIN.error((*where, "points", index), f"a corner is (x, y), not {shown(list(pair))}")
            for length in pair:
                _check_length(length, (*where, "points", index))
    elif isinstance(area, MaskArea):
        _check_type(area.path, str, (*where, "path"))
    else:
        what = f"expected a RectangleArea, PolygonArea or MaskArea of pytest_imgdiff.model, not {shown(area)}"
        raise ORIGIN.error(where, what)


def _check_length(length: object, where: KeyPath) -> None:
    if not isinstance(length, Length):
        raise ORIGIN.error(where, f"expected a Length, such as Length(200), not {shown(length)}")
    value: object = length.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ORIGIN.error(where, f"a Length is a finite number, not {shown(value)}")


def _check_least(value: object, least: int, where: KeyPath) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ORIGIN.error(where, f"expected a whole number of at least {least}, not {shown(value)}")


def _check_type(value: object, kind: type, where: KeyPath, form: str = "") -> None:
    if not isinstance(value, kind):
        raise ORIGIN.error(where, f"expected a {kind.__name__}{form and f' {form}'}, not {shown(value)}")


def _listed(value: object, where: KeyPath) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        raise ORIGIN.error(where, f"expected a tuple, not {shown(value)}")
    return tuple(value)
