"""Settings become a policy, layer by layer: rules, ignore areas and limits, and whether a rule could fail at all."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from pytest_imgdiff.base.errors import ConfigError, ImgdiffError, MetricError
from pytest_imgdiff.base.model import (
    AUTO,
    Clip,
    IgnoreArea,
    Length,
    MaskArea,
    MaskedElements,
    OnUnavailable,
    Policy,
    PolygonArea,
    RectangleArea,
    Rule,
    SizePolicy,
    When,
    WindowLimit,
)
from pytest_imgdiff.base.opening import read_regular
from pytest_imgdiff.base.project import label_of
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.config.fields import SECTIONS, PolicyFields
from pytest_imgdiff.config.validation import CallOrigin, convert, number, plain, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import DTypeLike

    from pytest_imgdiff.config.fields import AreaFields
    from pytest_imgdiff.config.validation import KeyPath, Origin


DEPTHS = ("uint8", "uint16", "float32", "float64")
"""The dtypes of `pytest_imgdiff.base.image.Image`."""


def worst_value(metric: Any, depth: DTypeLike) -> float:
    """Return the worst value that the metric, with its options, has for any two images of this depth.

    It comes from its method ``worst`` or, without one, from its ``bounds``.

    Args:
        metric: a `pytest_imgdiff.base.model.Metric` with its options.
        depth: dtype of the pixels.

    Raises:
        MetricError: ``worst`` fails, or does not return a number.
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
        msg = f"the metric {metric.name} failed to return its worst value: it is not a number"
        raise MetricError(msg)
    return worst


def could_fail(
    rule: Rule,
    metric: Any,
    depths: Iterable[DTypeLike] = DEPTHS,
    compared_pixels: int | None = None,
    size: tuple[int, int] | None = None,
) -> bool:
    """Return whether any two images can exceed a limit of the rule, ``warn`` included; True for a rule without limits.

    Args:
        rule: the rule.
        metric: the rule's metric, with its options.
        depths: dtypes that the images may have.
        compared_pixels: the number of compared pixels; default: any number.
        size: their width and height; default: any size.
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


LIMITS = ("max", "min", "max_pixels", "max_in_window", "warn")
_LIKELY = ("visible", "perceptual", "pixel_match", "ssim", "orb", "phash", "classification", "embedding_cosine")
CHOICES = ("when", "on_unavailable")
"""The keys of a rule other than limits and the metric's options."""


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The value of `max_in_window`."""

    size: Annotated[int, Meta(ge=1, description="of the window, in pixels a side")] = 32
    pixels: Annotated[int, Meta(ge=0, description="the largest count of differing pixels in any window that passes")]


class MetricLookup(Protocol):
    """The known metrics: the registry."""

    def names(self) -> list[str]:
        """Return the names of all metrics, also of those whose packages are not installed."""
        ...

    def metric_class(self, name: str) -> type:
        """Return the class of a metric, a `pytest_imgdiff.base.model.Metric`.

        Raises:
            ImgdiffError: the metric does not exist, or its packages are not installed.
        """
        ...


def rules_from(
    named: Mapping[str, Any], metrics: MetricLookup, origin: Origin, path: KeyPath = ("metrics",)
) -> tuple[Rule, ...]:
    """Return the rules for a mapping of metrics to limits and options.

    Raises:
        ConfigError: a metric is unknown or cannot be imported, a limit has the wrong type or cannot be met,
            or an option is unknown or invalid.
    """
    return tuple(_rule(name, given, metrics, origin, (*path, name)) for name, given in named.items())


def measured_from(
    named: Sequence[str | Mapping[str, Any]], metrics: MetricLookup, origin: Origin, path: KeyPath = ("measure",)
) -> tuple[Rule, ...]:
    """Return the metrics to measure, as rules without limits.

    Raises:
        ConfigError: a metric is unknown, cannot be imported or is listed twice, or an option is unknown or invalid.
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
        kind = rule_type(name, metric)
    except ImgdiffError as error:
        raise origin.error(path, printable(str(error))) from error
    if not isinstance(given, dict):
        raise origin.error((*path, name), f"expected the options of {name} as a mapping, not {shown(given)}")
    if taken := [key for key in given if key in (*LIMITS, *CHOICES)]:
        what = f"a measured metric has no limit: move {taken[0]} to the rule of {name} in `metrics`"
        raise origin.error((*path, name, taken[0]), what, at_key=True)
    made = convert(given, kind, origin, (*path, name))
    options = tuple((option.name, getattr(made, option.name)) for option in _options(metric) if option.name in given)
    try:
        hash(options)
        metric(**dict(options))
    except Exception as error:  # a metric may be anybody's code
        raise origin.error(path, f"{printable(str(error))}; change the options") from error
    return Rule(name, options, on_unavailable="skip")


@functools.lru_cache
def rule_type(name: str, metric: type) -> type[msgspec.Struct]:
    """Return the type of a rule of this metric, with its limits and options.

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
        msgspec.json.Decoder(rule)  # fails now, not at the first rule, if a type is unsupported
    except (NameError, TypeError, ValueError) as error:
        raise ImgdiffError(
            f"the metric {name} cannot be used: {error}; fix its bounds or its options' types"
        ) from error
    return rule


def limit_of(metric: Any) -> Literal["max", "min"]:
    """Return the limit for the metric's direction."""
    return "max" if metric.direction == "distance" else "min"


def counts_pixels(metric: type) -> bool:
    """Return whether the metric counts differing pixels, so that ``max_pixels`` can limit them."""
    return bool(getattr(metric, "counts_pixels", False))


def marks_pixels(metric: type) -> bool:
    """Return whether the metric marks the pixels that it counts, so that ``max_in_window`` can limit them."""
    return counts_pixels(metric) and bool(getattr(metric, "marks_pixels", False))


def count_limits(metric: type) -> list[str]:
    """Return the limits on counts that a rule of this metric can have."""
    return ["max_pixels"] * counts_pixels(metric) + ["max_in_window"] * marks_pixels(metric)


def written_limits(rule: Rule) -> dict[str, Any]:
    """Return the limits of a rule as written in imgdiff.yaml."""
    limits = {name: value for name in LIMITS if (value := getattr(rule, name)) is not None}
    if isinstance(rule.max_in_window, WindowLimit):
        limits["max_in_window"] = dataclasses.asdict(rule.max_in_window)
    return limits


def place_of(key: str, value: Any, metrics: MetricLookup) -> tuple[str, KeyPath, dict[str, Any]] | None:
    """Return the correct place of a metric, or of a metric's setting, that is next to ``metrics`` instead of in it.

    Args:
        key: its name.
        value: its value.
        metrics: the known metrics.

    Returns:
        What the key is, the path of its rule, and the content of the rule, this setting first; None if the key does not
        belong to a metric.
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
    """Return the names of the metrics: first those without a model and those that most rules use."""
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
        kind = rule_type(name, metric)
    except ImgdiffError as error:
        raise origin.error(path, printable(str(error)), at_key=True) from error
    if not isinstance(given, dict):
        is_limit = isinstance(given, (int, float)) and not isinstance(given, bool)
        form = f"{name}: {{{limit_of(metric)}: {number(given if is_limit else metric.perfect)}}}"
        raise origin.error(path, f"expected limits and options such as {form}, not {shown(given)}")
    _refuse_other_limits(name, given, metric, origin, path)
    rule = convert(given, kind, origin, path)
    _require_limit(name, given, metric, origin, path)
    limits = {limit: getattr(rule, limit) for limit in LIMITS if limit in given}
    if isinstance(window := limits.get("max_in_window"), Window):
        limits["max_in_window"] = WindowLimit(window.size, window.pixels)
        _check_room(limits["max_in_window"], origin, path)
    choices = {choice: getattr(rule, choice) for choice in CHOICES if choice in given}
    _check_warn(limits, limit_of(metric), origin, path)
    options = {option.name: getattr(rule, option.name) for option in _options(metric) if option.name in given}
    try:
        hash(tuple(options.items()))  # rules and metrics are distinguished by their options
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
    way = "smaller" if limit == "max" else "larger"
    if other in given:
        what = f"{name} is a {metric.direction} ({way} is more similar): its limit is {limit}, not {other}"
        raise origin.error((*path, other), what, at_key=True)
    if "max_pixels" in given and not counts_pixels(metric):
        raise origin.error((*path, "max_pixels"), f"{name} does not count pixels; its limit is {limit}", at_key=True)
    if "max_in_window" in given and not marks_pixels(metric):
        raise origin.error((*path, "max_in_window"), f"{name} does not mark pixels; its limit is {limit}", at_key=True)


def _require_limit(name: str, given: dict[str, Any], metric: Any, origin: Origin, path: KeyPath) -> None:
    limit, counts = limit_of(metric), count_limits(metric)
    if limit not in given and not any(count in given for count in counts):
        limits = f"{limit} (or {' or '.join(counts)})" if counts else limit
        what = f"no limit, so the rule can never fail; add {limits}: {_range_of(name, metric)}"
        raise origin.error(path, what, at_key=True)


def _check_room(window: WindowLimit, origin: Origin, path: KeyPath) -> None:
    if window.pixels >= window.room():
        size = f"{window.size}x{window.size}"
        what = f"can never fail: a window of {size} has only {window.room()} pixels; set fewer pixels"
        raise origin.error((*path, "max_in_window", "pixels"), what)


def _unfailing(rule: Rule, metric: Any, origin: Origin, path: KeyPath) -> ConfigError:
    """Return the error for a rule that any two images pass: ``max: 1`` of a share, meant as one percent."""
    limit = limit_of(metric)
    values = [worst_value(metric, depth) for depth in DEPTHS]
    worst = max(values) if limit == "max" else min(values)
    if worst == metric.perfect:
        options = ", ".join(f"{name}: {shown(value)}" for name, value in rule.options) or "its own options"
        at = (*path, rule.options[0][0]) if len(rule.options) == 1 else path
        what = f"can never fail: {rule.metric} sees no difference between any two images with {options}"
        return origin.error(at, f"{what}; change the options", at_key=at == path)
    way = "smaller" if limit == "max" else "larger"
    what = (
        f"can never fail: the worst value of {rule.metric} is {number(worst)}; set a {way} {limit}, or add a "
        "`warn` for a rule that only warns"
    )
    return origin.error((*path, limit), what)


def _check_warn(limits: dict[str, Any], limit: str, origin: Origin, path: KeyPath) -> None:
    if "warn" not in limits or limit not in limits:
        return
    warn, bound = limits["warn"], limits[limit]
    stricter = warn < bound if limit == "max" else warn > bound
    if not stricter:
        side = "below" if limit == "max" else "above"
        what = f"warn must be stricter than the limit: {number(warn)} is not {side} {limit}: {number(bound)}"
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
        window = Meta(description="how many pixels may differ in any window of the image")
        fields.append(("max_in_window", Annotated[Window, window] | UnsetType, UNSET))
    return fields


def _choices(metric: Any) -> list[tuple[str, Any, Any]]:
    when = Annotated[When, Meta(description="undecided: measured only if all other rules pass")]
    fields: list[tuple[str, Any, Any]] = [("when", when, "always")]
    if hasattr(metric, "prepare"):
        skip = "skip: not measured, and reported, if the model is not on this machine"
        fields.append(("on_unavailable", Annotated[OnUnavailable, Meta(description=skip)], "fail"))
    return fields


def _range(metric: Any) -> tuple[float, float]:
    """Return the range of limits that equal images pass and some images fail."""
    low, high = (float(bound) for bound in metric.bounds)
    perfect = float(metric.perfect)
    return (max(low, perfect), high) if limit_of(metric) == "max" else (low, min(high, perfect))


def _range_of(name: str, metric: type) -> str:
    low, high = _range(metric)
    if math.isfinite(low) and math.isfinite(high):
        return f"a number from {number(low)} to {number(high)} (the range of {name})"
    if math.isfinite(low):
        return f"a number of at least {number(low)} (the smallest value of {name})"
    if math.isfinite(high):
        return f"a number of at most {number(high)} (the largest value of {name})"
    return "a number"


def _options(metric: Any) -> list[dataclasses.Field[Any]]:
    return [option for option in dataclasses.fields(metric) if option.init] if dataclasses.is_dataclass(metric) else []


def _default(option: dataclasses.Field[Any]) -> Any:
    if option.default_factory is not dataclasses.MISSING:
        return msgspec.field(default_factory=option.default_factory)
    return msgspec.NODEFAULT if option.default is dataclasses.MISSING else option.default


_RECTANGLE = ("x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class Layer:
    """The changes that one layer of settings makes.

    Attributes:
        policy: fields of `Policy` and their new values.
        sections: the fields of `Policy` with keys of their own, and the new values of these keys; other keys keep their
            values.
    """

    policy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sections: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def over(self, policy: Policy) -> Policy:
        """Return the policy with the changes of this layer."""
        sections = {name: replace(getattr(policy, name), **changes) for name, changes in self.sections.items()}
        return replace(policy, **self.policy, **sections)


@dataclass(frozen=True, slots=True)
class LayerReader:
    """Creates layers from validated fields.

    Attributes:
        metrics: the known metrics.
        origin: where the settings come from.
        folder: the base folder of relative paths.
    """

    metrics: MetricLookup
    origin: Origin
    folder: Path

    def layer(self, fields: msgspec.Struct, path: KeyPath = ()) -> Layer:
        """Return the layer of a file, an override, a command line or a call.

        Args:
            fields: a `PolicyFields`.
            path: the key path of ``fields``.

        Raises:
            ConfigError: a rule, an ignore area or the mask's metric is invalid.
        """
        given = {
            name: value for name in PolicyFields.__struct_fields__ if (value := getattr(fields, name)) is not UNSET
        }
        sections = {name: _named(given.pop(name)) for name in SECTIONS if name in given}
        if "capture" in sections:
            self._read_capture(sections["capture"], (*path, "capture"))
        readers: dict[str, Callable[[Any, KeyPath], Any]] = {
            "metrics": lambda value, at: self._rules(rules_from(value, self.metrics, self.origin, at)),
            "measure": lambda value, at: self._rules(measured_from(value, self.metrics, self.origin, at)),
            "ignore": lambda value, at: tuple(self._area(area, (*at, index)) for index, area in enumerate(value)),
            "size": lambda value, _: SizePolicy(value),
            "kinds": lambda value, _: tuple(
                (kind, choice) for kind, choice in structs.asdict(value).items() if choice != "fail"
            ),
            "mask": lambda value, at: mask_metric(value, self.metrics, self.origin, at),
        }
        for name in given.keys() & readers.keys():
            given[name] = readers[name](given[name], (*path, name))
        return Layer(given, sections)

    def _read_capture(self, named: dict[str, Any], path: KeyPath) -> None:
        """Replace the structured values of a capture by those of `CaptureSettings`, in place."""
        if named.get("clip") is not None:
            named["clip"] = Clip(**structs.asdict(named["clip"]))
        if "style" in named:
            named["style"] = self._style(named["style"], (*path, "style"))
        if "mask" in named:
            named["mask"] = tuple(
                MaskedElements(item) if isinstance(item, str) else MaskedElements(item.selector, item.what)
                for item in named["mask"]
            )

    def _style(self, given: str, path: KeyPath) -> str:
        """Return the CSS: the string itself, or the content of the file if it is a path that ends in .css."""
        if "{" in given or not given.strip().lower().endswith(".css"):
            return given
        file = self.folder / given.strip()
        try:
            return read_regular(file).decode("utf-8-sig")
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise self.origin.error(
                path, f"{quoted(given)} cannot be read: {cause}; relative paths start from {label_of(self.folder)}"
            ) from error

    def _rules(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        return tuple(map(self._with_places, rules))

    def _with_places(self, rule: Rule) -> Rule:
        """Return the rule with relative paths resolved from the folder."""
        paths = getattr(self.metrics.metric_class(rule.metric), "path_options", ())
        options = ((name, self._place(value) if name in paths else value) for name, value in rule.options)
        return replace(rule, options=tuple(options))

    def _place(self, value: object) -> object:
        if not isinstance(value, str) or "://" in value or value.startswith("~"):
            return value
        from pytest_imgdiff.networks.settings import is_of_kaggle  # only rules with a model need it

        place = self.folder / value
        return value if is_of_kaggle(value) and not place.exists() else str(place)

    def _area(self, area: AreaFields, path: KeyPath) -> IgnoreArea:
        named = [name for name in (*_RECTANGLE, "polygon", "mask") if getattr(area, name) is not UNSET]
        if area.polygon is not UNSET and named == ["polygon"]:
            return PolygonArea(tuple((_length(x), _length(y)) for x, y in area.polygon))
        if area.mask is not UNSET and named == ["mask"]:
            return self._mask_picture(area.mask, (*path, "mask"))
        if len(named) > 1 and {"polygon", "mask"} & set(named):
            raise self.origin.error(
                path, f"an area must have one shape, not {' and '.join(named)}; write several areas"
            )
        if lacking := [name for name in _RECTANGLE if name not in named]:
            raise self.origin.error(
                path, f"a rectangle needs x, y, width and height; add {', '.join(lacking)} (or give polygon, or mask)"
            )
        return RectangleArea(*(_length(getattr(area, name)) for name in _RECTANGLE))

    def _mask_picture(self, given: str, path: KeyPath) -> MaskArea:
        file = self.folder / given
        if not file.is_file():
            raise self.origin.error(
                path, f"there is no file {quoted(given)}; relative paths start from {label_of(self.folder)}"
            )
        return MaskArea(str(file))


def _named(fields: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in structs.asdict(fields).items() if value is not UNSET}


def mask_metric(name: str, metrics: MetricLookup, origin: Origin, path: KeyPath) -> str:
    """Return the metric of the difference mask, or `AUTO`.

    Raises:
        ConfigError: it is unknown, or does not return heat.
    """
    if name == AUTO:
        return name
    try:
        metric: Any = metrics.metric_class(name)
    except ImgdiffError as error:
        what = f"{printable(str(error))}; ignored areas belong in ignore"
        raise origin.error(path, what) from error
    if metric.heat_threshold == "none":
        raise origin.error(
            path, f"{name} does not return heat, so it cannot show where images differ; set another metric"
        )
    return name


def _length(given: float | str) -> Length:
    return Length(float(given.rstrip("%\n")), percent=True) if isinstance(given, str) else Length(given)


ORIGIN = CallOrigin("policy")
FEWEST_CORNERS = 3


_CHECKED_BELOW = ("metrics", "measure", "ignore", "capture")
"""Fields of a policy whose form in Python differs from imgdiff.yaml."""


def check_policy(policy: object, metrics: MetricLookup) -> None:
    """Raise if a policy is invalid: its types, its rules as in imgdiff.yaml, its ignore areas.

    Args:
        policy: a caller's `Policy`; dataclasses do not check their values.
        metrics: the known metrics.

    Raises:
        ConfigError: ``policy: KEY: what is wrong; what to do``.
    """
    if not isinstance(policy, Policy):
        raise ConfigError(
            f"policy: expected a pytest_imgdiff.Policy such as Policy(size=SizePolicy.PAD), not {shown(policy)}"
        )
    _check_type(policy.size, SizePolicy, ("size",), "such as SizePolicy.PAD")
    _check_least(policy.memory, 1, ("memory",))
    for section in SECTIONS:
        _check_type(getattr(policy, section), type(getattr(Policy(), section)), (section,))
    given = {name: getattr(policy, name) for name in PolicyFields.__struct_fields__ if name not in _CHECKED_BELOW}
    given["kinds"] = _kinds(policy.kinds)
    given |= {section: dataclasses.asdict(getattr(policy, section)) for section in SECTIONS if section != "capture"}
    convert(plain(given, ORIGIN), PolicyFields, ORIGIN, ())
    mask_metric(policy.mask, metrics, ORIGIN, ("mask",))
    _check_rules(policy.metrics, metrics)
    _check_measured(policy.measure, metrics)
    for index, area in enumerate(_listed(policy.ignore, ("ignore",))):
        _check_area(area, ("ignore", index))


def _kinds(kinds: object) -> dict[Any, Any]:
    """Return the kinds as written in imgdiff.yaml."""
    pairs = _listed(kinds, ("kinds",))
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004 - kind and choice
        raise ORIGIN.error(("kinds",), f'expected pairs such as ("moved", "warn"), not {shown(kinds)}')
    return dict(pairs)


def _check_rules(rules: object, metrics: MetricLookup) -> None:
    named: dict[str, Any] = {}
    for index, rule in enumerate(_listed(rules, ("metrics",))):
        where = ("metrics", index)
        _check_type(rule, Rule, where, 'such as Rule("ssim", min=0.99)')
        _check_type(rule.metric, str, (*where, "metric"))
        if rule.metric in named:
            raise ORIGIN.error(where, f"two rules for {quoted(rule.metric)}; combine them into one")
        if rule.on_unavailable not in get_args(OnUnavailable):
            raise ORIGIN.error((*where, "on_unavailable"), f"expected fail or skip, not {shown(rule.on_unavailable)}")
        named[rule.metric] = _as_written(rule, where)
    if not named:
        raise ORIGIN.error(("metrics",), 'no rule, so nothing can fail; add at least one, such as Rule("ssim", min=1)')
    rules_from(plain(named, ORIGIN, ("metrics",)), metrics, ORIGIN, ("metrics",))


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
    """Return the rule as written in imgdiff.yaml."""
    try:
        options = dict(rule.options)
    except (TypeError, ValueError):
        form = 'expected pairs of a name and a value, such as (("threshold", 0.1),)'
        raise ORIGIN.error((*where, "options"), f"{form}, not {shown(rule.options)}") from None
    if taken := [name for name in options if name in (*LIMITS, *CHOICES)]:
        raise ORIGIN.error((*where, "options"), f"{quoted(taken[0])} is not an option; pass it to Rule itself")
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
        what = f"expected a RectangleArea, PolygonArea or MaskArea of pytest_imgdiff.base.model, not {shown(area)}"
        raise ORIGIN.error(where, what)


def _check_length(length: object, where: KeyPath) -> None:
    if not isinstance(length, Length):
        raise ORIGIN.error(where, f"expected a Length, such as Length(200), not {shown(length)}")
    value: object = length.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ORIGIN.error(where, f"a Length is a finite number, not {shown(value)}")


def _check_least(value: object, least: int, where: KeyPath) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ORIGIN.error(where, f"expected an integer of at least {least}, not {shown(value)}")


def _check_type(value: object, kind: type, where: KeyPath, form: str = "") -> None:
    if not isinstance(value, kind):
        raise ORIGIN.error(where, f"expected a {kind.__name__}{form and f' {form}'}, not {shown(value)}")


def _listed(value: object, where: KeyPath) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        raise ORIGIN.error(where, f"expected a tuple, not {shown(value)}")
    return tuple(value)
