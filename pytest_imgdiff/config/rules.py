"""The rules of a policy: what `metrics:` says, held against the metrics' own classes."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pytest_imgdiff.config.checking import convert
from pytest_imgdiff.config.origin import number, shown
from pytest_imgdiff.errors import ImgdiffError
from pytest_imgdiff.model import OnUnavailable, Rule, When, WindowLimit
from pytest_imgdiff.names import printable
from pytest_imgdiff.unfailing import DEPTHS, could_fail, worst_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_imgdiff.config.origin import KeyPath, Origin
    from pytest_imgdiff.errors import ConfigError

LIMITS = ("max", "min", "max_pixels", "max_in_window", "warn")
_LIKELY = ("visible", "perceptual", "pixel_match", "ssim", "orb", "phash", "classification", "embedding_cosine")
CHOICES = ("when", "on_unavailable")
"""What a rule may say beside its limits and its metric's options."""


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `max_in_window` says."""

    size: Annotated[int, Meta(ge=1, description="of the window, in pixels a side")] = 32
    pixels: Annotated[int, Meta(ge=0, description="the largest count of differing pixels in any window that passes")]


class MetricLookup(Protocol):
    """What knows the metrics: the registry."""

    def names(self) -> list[str]:
        """Return the names of all metrics, also of those whose packages are not installed."""
        ...

    def metric_class(self, name: str) -> type:
        """Return the class of a metric, a `pytest_imgdiff.model.Metric`.

        Raises:
            ImgdiffError: there is no such metric, or what it needs is not installed.
        """
        ...


def rules_from(
    named: Mapping[str, Any], metrics: MetricLookup, origin: Origin, path: KeyPath = ("metrics",)
) -> tuple[Rule, ...]:
    """Return the rules that a mapping of metrics to limits and options stands for.

    Raises:
        ConfigError: a metric is unknown or cannot be imported, a limit is of the wrong kind or cannot hold,
            an option is unknown or wrong.
    """
    return tuple(_rule(name, given, metrics, origin, (*path, name)) for name, given in named.items())


def measured_from(
    named: Sequence[str | Mapping[str, Any]], metrics: MetricLookup, origin: Origin, path: KeyPath = ("measure",)
) -> tuple[Rule, ...]:
    """Return the metrics to measure without a limit, as rules that hold none.

    Raises:
        ConfigError: a metric is unknown, cannot be imported or is named twice, or an option is unknown or wrong.
    """
    rules: list[Rule] = []
    for index, entry in enumerate(named):
        where = (*path, index)
        ((name, given),) = [(entry, {})] if isinstance(entry, str) else entry.items()
        if any(rule.metric == name for rule in rules):
            raise origin.error(where, f"{name} is listed twice; list it once")
        rules.append(_measured(name, {} if given is None else given, metrics, origin, where))
    return tuple(rules)


def _measured(name: str, given: Any, metrics: MetricLookup, origin: Origin, path: KeyPath) -> Rule:
    try:
        metric: Any = metrics.metric_class(name)
        wanted = rule_type(name, metric)
    except ImgdiffError as error:
        raise origin.error(path, printable(str(error))) from error
    if not isinstance(given, dict):
        raise origin.error((*path, name), f"expected the options of {name} as a mapping, not {shown(given)}")
    if taken := [key for key in given if key in (*LIMITS, *CHOICES)]:
        what = f"what is measured has no limit: give {taken[0]} to the rule of {name} below `metrics`"
        raise origin.error((*path, name, taken[0]), what, at_key=True)
    made = convert(given, wanted, origin, (*path, name))
    options = tuple((option.name, getattr(made, option.name)) for option in _options(metric) if option.name in given)
    try:
        hash(options)
        metric(**dict(options))
    except Exception as error:  # a metric may be anybody's code
        raise origin.error(path, f"{printable(str(error))}; change the options") from error
    return Rule(name, options, on_unavailable="skip")


@functools.lru_cache
def rule_type(name: str, metric: type) -> type[msgspec.Struct]:
    """Return the type of a rule of this metric: the limits that suit it, and its options.

    Args:
        name: the metric's key in imgdiff.yaml.
        metric: its class.

    Raises:
        ImgdiffError: the class's bounds or options cannot be used.
    """
    options = _options(metric)
    if taken := [option.name for option in options if option.name in (*LIMITS, *CHOICES)]:
        raise ImgdiffError(f'the metric {name} has an option "{taken[0]}", which every rule has already; rename it')
    try:
        hints = typing.get_type_hints(metric, include_extras=True)
        fields = [
            *_limits(name, metric),
            *_choices(metric),
            *((option.name, hints[option.name], _default(option)) for option in options),
        ]
        rule = msgspec.defstruct("Rule", fields, frozen=True, kw_only=True, forbid_unknown_fields=True)
        msgspec.json.Decoder(rule)  # looks at the types, which convert() would do when it is too late
    except (NameError, TypeError, ValueError) as error:
        raise ImgdiffError(
            f"the metric {name} cannot be used: {error}; mend its bounds or its options' types"
        ) from error
    return rule


def limit_of(metric: Any) -> Literal["max", "min"]:
    """Return the limit that a metric's direction calls for."""
    return "max" if metric.direction == "distance" else "min"


def counts_pixels(metric: type) -> bool:
    """Return whether the metric counts differing pixels, so that ``max_pixels`` can limit them."""
    return bool(getattr(metric, "counts_pixels", False))


def marks_pixels(metric: type) -> bool:
    """Return whether the metric marks the pixels that it counts, so that ``max_in_window`` can limit them."""
    return counts_pixels(metric) and bool(getattr(metric, "marks_pixels", False))


def count_limits(metric: type) -> list[str]:
    """Return the limits on counts that a rule of this metric may name."""
    return ["max_pixels"] * counts_pixels(metric) + ["max_in_window"] * marks_pixels(metric)


def written_limits(rule: Rule) -> dict[str, Any]:
    """Return the limits of a rule as imgdiff.yaml has them."""
    limits = {name: value for name in LIMITS if (value := getattr(rule, name)) is not None}
    if isinstance(rule.max_in_window, WindowLimit):
        limits["max_in_window"] = dataclasses.asdict(rule.max_in_window)
    return limits


def place_of(key: str, value: Any, metrics: MetricLookup) -> tuple[str, KeyPath, dict[str, Any]] | None:
    """Return where a setting belongs that stands beside ``metrics`` and is a metric, or belongs to one.

    Args:
        key: its name.
        value: what it was given.
        metrics: what knows the metrics.

    Returns:
        What the key is, the path of the rule that it belongs to, and what the rule would say, the setting first; None
        where it is nothing of a metric's.
    """
    if key in metrics.names():
        return "a metric", ("metrics", key), value if isinstance(value, dict) else {_class_limit(key, metrics): value}
    name = next((name for name in _likely_first(metrics) if key in _keys(name, metrics)), None)
    if name is None:
        return None
    rule = {key: value}
    if key not in LIMITS:
        metric: Any = metrics.metric_class(name)
        rule[limit_of(metric)] = metric.perfect
    what = "a limit" if key in LIMITS else "an option" if key not in CHOICES else "a choice"
    return f"{what} of a metric, such as {name}", ("metrics", name), rule


def _class_limit(name: str, metrics: MetricLookup) -> str:
    try:
        return limit_of(metrics.metric_class(name))
    except ImgdiffError:
        return "max"


def _likely_first(metrics: MetricLookup) -> list[str]:
    """Return the metrics' names, those first that need no model and that most rules name."""
    first = [name for name in _LIKELY if name in metrics.names()]
    return first + [name for name in metrics.names() if name not in first]


def _keys(name: str, metrics: MetricLookup) -> set[str]:
    try:
        metric = metrics.metric_class(name)
        limits = {limit_of(metric), "warn", *count_limits(metric)}
        return {*limits, *CHOICES, *(option.name for option in _options(metric))}
    except ImgdiffError:  # its package is not installed
        return set()


def _rule(name: str, given: Any, metrics: MetricLookup, origin: Origin, path: KeyPath) -> Rule:
    try:
        metric: Any = metrics.metric_class(name)
        wanted = rule_type(name, metric)
    except ImgdiffError as error:
        raise origin.error(path, printable(str(error)), at_key=True) from error
    if not isinstance(given, dict):
        form = f"{name}: {{{limit_of(metric)}: {number(metric.perfect)}}}"
        raise origin.error(path, f"expected limits and options such as {form}, not {shown(given)}")
    _refuse_other_limits(name, given, metric, origin, path)
    rule = convert(given, wanted, origin, path)
    _require_limit(name, given, metric, origin, path)
    limits = {limit: getattr(rule, limit) for limit in LIMITS if limit in given}
    if isinstance(window := limits.get("max_in_window"), Window):
        limits["max_in_window"] = WindowLimit(window.size, window.pixels)
        _check_room(limits["max_in_window"], origin, path)
    choices = {choice: getattr(rule, choice) for choice in CHOICES if choice in given}
    _check_warn(limits, limit_of(metric), origin, path)
    options = {option.name: getattr(rule, option.name) for option in _options(metric) if option.name in given}
    try:
        hash(tuple(options.items()))  # rules and metrics are told apart by their options
        made = metric(**options)
        checked = Rule(name, tuple(options.items()), **limits, **choices)
        fails = could_fail(checked, made)
    except Exception as error:  # a metric may be anybody's code
        raise origin.error(path, f"{printable(str(error))}; change the options", at_key=True) from error
    if not fails:
        raise _unfailing(checked, made, origin, path)
    return checked


def _refuse_other_limits(name: str, given: dict[str, Any], metric: Any, origin: Origin, path: KeyPath) -> None:
    limit = limit_of(metric)
    other = "min" if limit == "max" else "max"
    alike = "small" if limit == "max" else "large"
    if other in given:
        what = f"{name} is a {metric.direction} ({alike} is alike): its limit is {limit}, not {other}"
        raise origin.error((*path, other), what, at_key=True)
    if "max_pixels" in given and not counts_pixels(metric):
        raise origin.error((*path, "max_pixels"), f"{name} counts no pixels: its limit is {limit}", at_key=True)
    if "max_in_window" in given and not marks_pixels(metric):
        raise origin.error((*path, "max_in_window"), f"{name} marks no pixels: its limit is {limit}", at_key=True)


def _require_limit(name: str, given: dict[str, Any], metric: Any, origin: Origin, path: KeyPath) -> None:
    limit, counts = limit_of(metric), count_limits(metric)
    if limit not in given and not any(count in given for count in counts):
        wanted = f"{limit} (or {' or '.join(counts)})" if counts else limit
        what = f"no limit, so that it could never fail; add {wanted}: {_range_of(name, metric)}"
        raise origin.error(path, what, at_key=True)


def _check_room(window: WindowLimit, origin: Origin, path: KeyPath) -> None:
    if window.pixels >= window.room():
        size = f"{window.size}x{window.size}"
        what = f"could never fail, as a window of {size} has only {window.room()} pixels; name fewer pixels"
        raise origin.error((*path, "max_in_window", "pixels"), what)


def _unfailing(rule: Rule, metric: Any, origin: Origin, path: KeyPath) -> ConfigError:
    """Return the error of a rule that any two pictures hold: ``max: 1`` of a share, meant as one percent."""
    limit = limit_of(metric)
    values = [worst_value(metric, depth) for depth in DEPTHS]
    worst = max(values) if limit == "max" else min(values)
    if worst == metric.perfect:
        options = ", ".join(f"{name}: {shown(value)}" for name, value in rule.options) or "its own options"
        at = (*path, rule.options[0][0]) if len(rule.options) == 1 else path
        what = f"could never fail, as {rule.metric} sees no difference between any two pictures with {options}"
        return origin.error(at, f"{what}; change the options", at_key=at == path)
    way = "smaller" if limit == "max" else "larger"
    what = (
        f"could never fail, as {rule.metric} is {number(worst)} at the worst; name a {way} {limit}, or a `warn` beside "
        "it for a rule that only warns"
    )
    return origin.error((*path, limit), what)


def _check_warn(limits: dict[str, Any], limit: str, origin: Origin, path: KeyPath) -> None:
    if "warn" not in limits or limit not in limits:
        return
    warn, bound = limits["warn"], limits[limit]
    stricter = warn < bound if limit == "max" else warn > bound
    if not stricter:
        side = "below" if limit == "max" else "above"
        what = f"a warning comes before the limit: {number(warn)} is not {side} {limit}: {number(bound)}"
        raise origin.error((*path, "warn"), what)


def _limits(name: str, metric: Any) -> list[tuple[str, Any, Any]]:
    low, high = _range(metric)
    bound = Meta(
        ge=low if math.isfinite(low) else None,
        le=high if math.isfinite(high) else None,
        extra={"expects": _range_of(name, metric)},
    )
    limit = limit_of(metric)
    what = {"max": "the largest value that passes", "min": "the smallest value that passes"}[limit]
    unit = str(metric.unit)
    fields: list[tuple[str, Any, Any]] = [
        (limit, Annotated[float, bound, Meta(description=f"{what}, in {unit}")] | UnsetType, UNSET),
        (
            "warn",
            Annotated[float, bound, Meta(description="a stricter limit: reported, not failed")] | UnsetType,
            UNSET,
        ),
    ]
    if counts_pixels(metric):
        count = Meta(ge=0, description="the largest count of differing pixels that passes")
        fields.append(("max_pixels", Annotated[int, count] | UnsetType, UNSET))
    if marks_pixels(metric):
        window = Meta(description="how many pixels may differ in any window of the picture")
        fields.append(("max_in_window", Annotated[Window, window] | UnsetType, UNSET))
    return fields


def _choices(metric: Any) -> list[tuple[str, Any, Any]]:
    when = Annotated[When, Meta(description="undecided: measured only where the other rules hold")]
    fields: list[tuple[str, Any, Any]] = [("when", when, "always")]
    if hasattr(metric, "prepare"):
        skip = "skip: left out, and told, where the model is not on this machine"
        fields.append(("on_unavailable", Annotated[OnUnavailable, Meta(description=skip)], "fail"))
    return fields


def _range(metric: Any) -> tuple[float, float]:
    """Return the limits that can hold for equal pictures and that some pictures can fail."""
    low, high = (float(bound) for bound in metric.bounds)
    perfect = float(metric.perfect)
    return (max(low, perfect), high) if limit_of(metric) == "max" else (low, min(high, perfect))


def _range_of(name: str, metric: type) -> str:
    low, high = _range(metric)
    if math.isfinite(low) and math.isfinite(high):
        return f"a number from {number(low)} to {number(high)}, as {name} has no other values"
    if math.isfinite(low):
        return f"a number of at least {number(low)}, as no value of {name} is below"
    if math.isfinite(high):
        return f"a number of at most {number(high)}, as no value of {name} is above"
    return "a number"


def _options(metric: Any) -> list[dataclasses.Field[Any]]:
    return [option for option in dataclasses.fields(metric) if option.init] if dataclasses.is_dataclass(metric) else []


def _default(option: dataclasses.Field[Any]) -> Any:
    if option.default_factory is not dataclasses.MISSING:
        return msgspec.field(default_factory=option.default_factory)
    return msgspec.NODEFAULT if option.default is dataclasses.MISSING else option.default
