"""The JSON Schema of imgdiff.yaml for editors, from the types that validate it."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.base.model import Policy
from pytest_imgdiff.config.fields import SECTIONS, FileFields
from pytest_imgdiff.config.policy import CHOICES, LIMITS, count_limits, limit_of, rule_type, written_limits

if TYPE_CHECKING:
    from pytest_imgdiff.config.policy import MetricLookup

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{name}"


def json_schema(metrics: MetricLookup) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of imgdiff.yaml, with the rules of all known metrics.

    Args:
        metrics: the known metrics; a metric whose packages are not installed accepts any rule.
    """
    definitions = markdown_definitions()
    names = sorted(metrics.names())
    rules = {name: _rule_schema(name, metrics, definitions) for name in names}
    measured = {"additionalProperties": False, "properties": {name: _without_limits(rules[name]) for name in names}}
    for definition in definitions.values():
        definition.pop("title", None)  # the name of our class
        if "metrics" in definition.get("properties", {}):
            definition["properties"]["metrics"].update(additionalProperties=False, properties=rules)
            definition["properties"]["measure"]["items"] = {
                "anyOf": [{"enum": names}, {"type": "object", "minProperties": 1, "maxProperties": 1, **measured}]
            }
    root = _REFERENCE.format(name=FileFields.__name__)
    return {"$schema": DIALECT, "title": "imgdiff.yaml", "$ref": root, "$defs": _without_links(definitions)}


def markdown_definitions() -> dict[str, Any]:
    """Return the definitions of the schema, by class name, without rules; descriptions are Markdown with links.

    Each key that has a default has it here too. The tables in docs/ are made from these definitions.
    """
    _, definitions = msgspec.json.schema_components([FileFields], ref_template=_REFERENCE)
    policy = Policy()
    _add_defaults(definitions[FileFields.__name__], policy)
    for key, section in SECTIONS.items():
        _add_defaults(definitions[section.__name__], getattr(policy, key))
    return definitions


def _add_defaults(definition: dict[str, Any], defaults: object) -> None:
    for key, schema in definition["properties"].items():
        value = getattr(defaults, key, None)
        if "default" in schema or value is None or dataclasses.is_dataclass(value):
            continue
        if key == "metrics":
            schema["default"] = {rule.metric: written_limits(rule) for rule in value}
        elif key == "kinds":
            schema["default"] = dict(value)
        else:
            schema["default"] = list(value) if isinstance(value, tuple) else getattr(value, "value", value)


def _without_links(schema: Any) -> Any:
    """Return the schema with the text of Markdown links in place of the links: editors show descriptions as text."""
    if isinstance(schema, dict):
        return {
            key: re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", value)
            if key == "description" and isinstance(value, str)
            else _without_links(value)
            for key, value in schema.items()
        }
    return [_without_links(item) for item in schema] if isinstance(schema, list) else schema


def _without_limits(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a metric's options, without limits."""
    kept = {key: value for key, value in rule.items() if key != "anyOf"}
    if "properties" in kept:
        kept["properties"] = {key: value for key, value in kept["properties"].items() if key not in (*LIMITS, *CHOICES)}
    return kept


def _rule_schema(name: str, metrics: MetricLookup, definitions: dict[str, Any]) -> dict[str, Any]:
    try:
        metric = metrics.metric_class(name)
        (_,), found = msgspec.json.schema_components([rule_type(name, metric)], ref_template=_REFERENCE)
    except (ImgdiffError, TypeError):  # not installed; or options whose types JSON Schema cannot express
        return {"type": "object"}
    schema = dict(found.pop("Rule"))
    definitions.update(found)
    limits = [limit_of(metric), *count_limits(metric)]
    schema["title"] = name
    schema["anyOf"] = [{"required": [limit]} for limit in limits]
    if metric.__doc__:
        schema["description"] = metric.__doc__.strip().splitlines()[0]
    return schema
