"""Settings typed as ``KEY=VALUE`` on a command line, as the mapping that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_imgdiff.config.rules import written_limits
from pytest_imgdiff.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_imgdiff.model import Rule


def assigned(assignments: Iterable[str], option: str) -> dict[str, Any]:
    """Return ``["metrics.ssim.min=0.98", "size=pad"]`` as ``{"metrics": {"ssim": {"min": 0.98}}, "size": "pad"}``.

    Values are YAML, read as in imgdiff.yaml.

    Args:
        assignments: keys, with dots between their levels, and values.
        option: the command line's option, for messages.

    Raises:
        ConfigError: an assignment is not of that form, or contradicts another.
    """
    mapping: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"{option} {assignment}: expected KEY=VALUE, such as size=pad or metrics.ssim.min=0.98")
        *folders, last = key.split(".")
        place = mapping
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{option} {assignment}: {folder} was set to {place!r} before; give one or the other")
        if last in place:
            raise ConfigError(f"{option} {assignment}: {key} is set twice; give it once")
        from pytest_imgdiff.config.yaml_source import parse_yaml  # most command lines set nothing

        place[last] = parse_yaml(value, f"{option} {key}").root.value
    return mapping


def measure_list(text: str, option: str) -> list[Any]:
    """Return ``orb, ssim: {window: 9}`` as ``["orb", {"ssim": {"window": 9}}]``: the items of a YAML list.

    Args:
        text: names of metrics, with options where they are wanted.
        option: the command line's option, for messages.

    Raises:
        ConfigError: it is no such list.
    """
    from pytest_imgdiff.config.yaml_source import parse_yaml  # most command lines measure nothing

    items: list[Any] = parse_yaml(f"[{text}]", option).root.value
    if not items:
        raise ConfigError(f"{option}: name at least one metric, such as {option} orb,ssim")
    return items


def with_options(measure: Iterable[Any], rules: Iterable[Rule]) -> list[Any]:
    """Return what is to be measured, metrics that are named without options with those of the first rule for them."""
    options: dict[str, dict[str, Any]] = {}
    for rule in rules:
        options.setdefault(rule.metric, dict(rule.options))
    return [{item: options[item]} if isinstance(item, str) and options.get(item) else item for item in measure]


def merges_metrics(assignments: Iterable[str]) -> bool:
    """Return whether single keys of rules are set (``metrics.ssim.min=0.9``), so that the other rules stay."""
    return any(assignment.startswith("metrics.") for assignment in assignments)


def merged_rules(rules: Iterable[Rule], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the rules as they would be written in imgdiff.yaml, with single keys of them changed."""
    metrics: dict[str, Any] = {rule.metric: _written(rule) for rule in rules}
    for name, change in changes.items():
        both = isinstance(change, dict) and name in metrics
        metrics[name] = {**metrics[name], **change} if both else change
    return metrics


def _written(rule: Rule) -> dict[str, Any]:
    choices: dict[str, str] = {"when": rule.when} if rule.when != "always" else {}
    if rule.on_unavailable != "fail":
        choices["on_unavailable"] = rule.on_unavailable
    return {**dict(rule.options), **written_limits(rule), **choices}
