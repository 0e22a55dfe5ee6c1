"""The JSON Schema of imgdiff.yaml for editors, from the types that validate it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pytest_imgdiff.base.errors import ImgdiffError
from pytest_imgdiff.config.fields import FileFields
from pytest_imgdiff.config.policy import CHOICES, LIMITS, count_limits, limit_of, rule_type

if TYPE_CHECKING:
    from pytest_imgdiff.config.policy import MetricLookup

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{name}"


def json_schema(metrics: MetricLookup) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of imgdiff.yaml, with the rules of all known metrics.

    Args:
        metrics: what knows them; a metric whose packages are not installed is allowed any rule.
    """
    (root,), definitions = msgspec.json.schema_components([FileFields], ref_template=_REFERENCE)
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
    return {"$schema": DIALECT, "title": "imgdiff.yaml", **root, "$defs": definitions}


def _without_limits(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a metric's options alone."""
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
