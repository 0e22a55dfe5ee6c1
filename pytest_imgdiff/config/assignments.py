"""Settings typed as ``KEY=VALUE`` on a command line, as the mapping that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_imgdiff.config.yaml_source import parse_yaml
from pytest_imgdiff.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        place[last] = parse_yaml(value, f"{option} {key}").root.value
    return mapping
