"""What an upload can be judged by, and what its request asked for."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Meta
from werkzeug.exceptions import BadRequest

from pytest_imgdiff.base.errors import ConfigError, ImgdiffError
from pytest_imgdiff.base.text import printable
from pytest_imgdiff.comparison.registry import METRICS
from pytest_imgdiff.config.policy import limit_of
from pytest_imgdiff.run.accepting import Decision  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_imgdiff.base.model import Rule
    from pytest_imgdiff.comparison.registry import Registry
    from pytest_imgdiff.config import Settings


Options = tuple[tuple[str, Any], ...]
_HEADINGS: dict[str, str] = {
    "pixels": "Pixels",
    "structure": "Structure",
    "hashes": "Hashes",
    "content": "What is in the picture",
}
_OTHERS = "From plugins"
_CHOSEN = ("visible", "perceptual", "ssim", "pixel_match", "diffimg", "phash")
"""Those that have a value for nearly any two pictures; ORB, say, has none where there are no corners."""


class Offer(msgspec.Struct, frozen=True):
    """A metric that the page lists."""

    name: str
    group: str
    words: str
    limit: Literal["max", "min"]
    """``max`` for distances: the largest value that passes; ``min`` for similarities."""
    value: float
    """A limit to start from: that of imgdiff.yaml, else a usual one."""
    lowest: float
    highest: float | None
    """The bounds of a limit; None for a distance without any."""
    unit: str
    chosen: bool
    paints: bool
    """Whether it can say where pictures differ."""
    unavailable: str | None
    """Why it cannot be chosen, and what to install; None where it can."""


def offers(registry: Registry, settings: Settings) -> list[Offer]:
    """Return every metric, group by group. Models are looked for, none is loaded."""
    configured, options = _configured(settings), _options(settings)
    names = [*METRICS, *(name for name in registry.names() if name not in METRICS)]
    listed = [_offer(name, configured.get(name), options.get(name, ()), registry) for name in names]
    headings = [*_HEADINGS.values(), _OTHERS]
    return sorted(listed, key=lambda offer: headings.index(offer.group))


def _offer(name: str, rule: Rule | None, options: Options, registry: Registry) -> Offer:
    try:
        metric: Any = registry.described(name)
    except ImgdiffError as error:  # a plugin's metric that cannot be imported
        cause = printable(str(error))
        return Offer(name, _OTHERS, "", "max", 0, 0, None, "", chosen=False, paints=False, unavailable=cause)
    limit = limit_of(metric)
    start = None if rule is None else getattr(rule, limit)
    usual = _stated(metric, "usual_limit", (int, float), metric.perfect)
    unavailable = _unavailable(name, options, registry)
    lowest, highest = (float(bound) for bound in metric.bounds)
    return Offer(
        name=name,
        group=_HEADINGS.get(_stated(metric, "group", str), _OTHERS),
        words=_stated(metric, "summary", str) or (metric.__doc__ or "").strip().partition("\n")[0],
        limit=limit,
        value=float(usual if start is None else start),
        lowest=lowest,
        highest=highest if math.isfinite(highest) else None,
        unit=str(metric.unit),
        chosen=unavailable is None and (rule is not None or name in _CHOSEN),
        paints=metric.heat_threshold != "none",
        unavailable=unavailable,
    )


def _stated(metric: Any, attribute: str, kind: type | tuple[type, ...], otherwise: Any = None) -> Any:
    """Return what a metric's class may state; an option of the same name is no statement."""
    value = getattr(metric, attribute, None)
    return value if isinstance(value, kind) else otherwise


def _unavailable(name: str, options: Options, registry: Registry) -> str | None:
    try:
        metric = registry.metric(name, options)
        if hasattr(metric, "prepare"):
            metric.prepare()
    except ImgdiffError as error:
        return printable(str(error))
    return None


def _configured(settings: Settings) -> dict[str, Rule]:
    """Return the first rule of each metric that imgdiff.yaml has one for: its limit and its options are meant."""
    layers: Iterable[tuple[Rule, ...]] = (
        settings.defaults.metrics,
        *(override.layer.policy.get("metrics", ()) for override in settings.overrides),
    )
    rules: dict[str, Rule] = {}
    for rule in (rule for layer in layers for rule in layer):
        rules.setdefault(rule.metric, rule)
    return rules


def _options(settings: Settings) -> dict[str, Options]:
    """Return the options that imgdiff.yaml names for each metric, in its first rule or where it is measured only."""
    measured = {rule.metric: rule.options for rule in settings.defaults.measure}
    return {**measured, **{name: rule.options for name, rule in _configured(settings).items()}}


def policy_changes(chosen: CompareSettings, settings: Settings, registry: Registry) -> dict[str, Any]:
    """Return what the choice changes of imgdiff.yaml's policy, in that file's own words.

    Of a metric, the limit is the choice's; its options stay those of imgdiff.yaml.

    Raises:
        ImgdiffError: a metric is unknown, or a limit is none.
    """
    changes: dict[str, Any] = {}
    if chosen.metrics is not None:
        if not chosen.metrics:
            raise ConfigError("no metric is chosen, so that nothing could fail; choose at least one")
        options = _options(settings)
        changes["metrics"] = {
            name: {
                **dict(options.get(name, ())),
                limit_of(registry.metric_class(name)): value,
            }
            for name, value in chosen.metrics.items()
        }
    if chosen.size is not None:
        changes["size"] = chosen.size
    if chosen.mask is not None:
        changes["mask"] = chosen.mask
    return changes


T = TypeVar("T")

MOST_DECISIONS = 100_000


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/accept``."""

    decisions: Annotated[list[Decision], Meta(max_length=MOST_DECISIONS)]
    """As in an exported manifest."""
    dry_run: bool = False
    """Verify, and write nothing."""


class CompareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The field ``settings`` of ``POST /api/compare``. Paths, addresses and models are the configuration's alone."""

    metrics: Annotated[dict[str, float], Meta(max_length=100)] | None = None
    """Each metric's name and limit (the largest distance, the smallest similarity); None for imgdiff.yaml's policy."""
    size: Literal["fail", "pad", "crop", "scale"] | None = None
    """What to do with unequal sizes; None for imgdiff.yaml's choice."""
    mask: Annotated[str, Meta(max_length=100)] | None = None
    """The metric that says where the pictures differ; None for imgdiff.yaml's choice."""
    glance: bool = False
    """Measure, beside what judges, the metrics that show at a glance how alike two pictures are."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing: ``{}``."""


def decoded(text: bytes, wanted: type[T]) -> T:
    """Return what the JSON text says.

    Raises:
        BadRequest: it is no JSON, or not of that form; the description is one line for its sender.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unrepeated, parse_constant=_refuse_constant)
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise BadRequest(f"this is not what is expected here: {printable(str(error))}") from None
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply") from None
    except ValueError as error:  # no UTF-8, no JSON, a number of thousands of digits
        raise BadRequest(f"the body is not JSON: {printable(str(error))}") from None


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is there twice")
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
