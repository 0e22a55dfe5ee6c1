"""Failed comparisons as SARIF 2.1.0."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_imgdiff.base.record import AcceptRecord
from pytest_imgdiff.report.sarif import MOST_RESULTS, sarif
from tests.report_records import (
    HOSTILE_NAMES,
    captured,
    different,
    equal,
    perceptual,
    region,
    run_of,
    side,
    ssim,
    uncompared,
)

TEXT = {"type": "string", "minLength": 1}
MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": TEXT}, "additionalProperties": False}
INDEX = {"type": "integer", "minimum": 0}
RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": TEXT,
        "shortDescription": MESSAGE,
        "fullDescription": MESSAGE,
        "help": MESSAGE,
        "defaultConfiguration": {
            "type": "object",
            "properties": {"level": {"enum": ["none", "note", "warning", "error"]}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
LOCATION = {
    "type": "object",
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "properties": {"uri": TEXT, "uriBaseId": TEXT},
                    "additionalProperties": False,
                },
                "region": {
                    "type": "object",
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
        "logicalLocations": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "properties": {"fullyQualifiedName": TEXT, "name": TEXT, "kind": TEXT},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "locations", "partialFingerprints"],
    "properties": {
        "ruleId": TEXT,
        "ruleIndex": INDEX,
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": {"type": "array", "minItems": 1, "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": TEXT},
        "properties": {"type": "object"},  # a property bag, which may hold anything
    },
    "additionalProperties": False,
}
RUN = {
    "type": "object",
    "required": ["tool", "results"],
    "properties": {
        "tool": {
            "type": "object",
            "required": ["driver"],
            "properties": {
                "driver": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": TEXT,
                        "version": TEXT,
                        "informationUri": {"type": "string", "pattern": "^https://"},
                        "rules": {"type": "array", "uniqueItems": True, "items": RULE},
                    },
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        "invocations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["executionSuccessful"],
                "properties": {"executionSuccessful": {"type": "boolean"}},
                "additionalProperties": False,
            },
        },
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
    },
    "additionalProperties": False,
}
ESSENTIALS = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "pattern": "^https://.*sarif-schema-2\\.1\\.0\\.json$"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": RUN},
    },
    "additionalProperties": False,
}
"""What the official schema asks of the objects that we write, and that we write no other property."""


def log_of(*records, **changes):
    log = json.loads(sarif(run_of(*records, **changes)))
    jsonschema.Draft202012Validator(ESSENTIALS).validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    return run


def place_of(record):
    (result,) = log_of(record)["results"]
    (location,) = result["locations"]
    if "physicalLocation" not in location:
        return None
    address = location["physicalLocation"]["artifactLocation"]["uri"]
    assert not urlsplit(address).scheme
    assert not urlsplit(address).netloc
    return unquote(address)


def test_each_failure_is_a_finding_and_nothing_else_is():
    run = log_of(different("a"), equal("b"), uncompared("missing", "c"), different("d", scores=[ssim(0.9)]))

    assert [(result["ruleId"], result["message"]["text"].partition(":")[0]) for result in run["results"]] == [
        ("ssim", "d"),
        ("perceptual", "a"),
        ("missing", "c"),
    ]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["ssim", "perceptual", "missing"]
    assert "fails perceptual: 1 284 px, 0.8 % > 0.5 %" in run["results"][1]["message"]["text"]


def test_a_finding_has_the_kinds_of_its_regions():
    regions = [region(area=10, kind="added"), region(area=90, kind="text"), region(area=5)]
    found = log_of(different(regions=regions), different("plain"))["results"]
    assert found[0]["properties"] == {"kinds": ["text", "added"]}
    assert "properties" not in found[1]


def test_a_finding_names_the_elements_of_a_page_and_its_capture():
    (found,) = log_of(captured())["results"]
    assert found["locations"][0]["logicalLocations"] == [
        {"fullyQualifiedName": "shop/cart"},
        {"fullyQualifiedName": "nav > a.badge", "name": "New", "kind": "element"},
        {"fullyQualifiedName": "article.card:nth-of-type(2) > p.price", "kind": "element"},
    ]
    assert "`nav > a.badge` 'New' (link), 34x18 at 310,12" in found["message"]["text"]
    assert found["properties"] == {
        "kinds": ["text"],
        "capture": {
            "page": "https://shop.example/cart 'Your cart'",
            "captured": "Playwright page, 2 captures, chromium 140.0.7339.16, viewport 1280x720, device scale 2, light",
        },
    }


def test_nothing_failed():
    run = log_of(equal("a"))
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"] == []
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_a_run_that_did_not_come_to_its_end_says_so():
    assert log_of(complete=False)["invocations"] == [{"executionSuccessful": False}]


def test_the_rule_is_the_first_that_fails():
    record = different(scores=[perceptual(0.0, 0), ssim(0.5), perceptual(0.9)])
    assert log_of(record)["results"][0]["ruleId"] == "ssim"


ACCEPTS = AcceptRecord("baselines/my chart.png", "pictures/a.png", "00", None)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, "tests/test_charts.py"),
        ({"test": "a b/tést.py::test[x::y]", "accepts": ACCEPTS}, "a b/tést.py"),
        ({"test": "expected::page.png", "accepts": ACCEPTS}, "baselines/my chart.png"),
        ({"test": None}, "baselines/chart.png"),
        ({"test": None, "expected": None}, "actual/chart.png"),
        ({"test": None, "expected": side("array"), "actual": side("figure")}, None),
        ({"test": None, "expected": side("/etc/passwd"), "actual": side("../x.png")}, None),
        ({"test": None, "expected": side("C:\\x.png"), "actual": side("shots\\new.png")}, "shots/new.png"),
        ({"test": "//evil.test/x.py::t", "expected": None, "actual": None}, None),
        ({"test": "imgdiff.yaml::page.png", "expected": None, "actual": None}, "imgdiff.yaml"),
    ],
)
def test_findings_stand_at_the_test_else_at_the_baseline(changes, place):
    assert place_of(different(**changes)) == place


@pytest.mark.parametrize("key", ["imgdiffComparison/v1", "primaryLocationLineHash"])
def test_a_failure_is_the_same_one_in_the_next_run(key):
    def fingerprints(*records):
        return [result["partialFingerprints"][key] for result in log_of(*records)["results"]]

    assert fingerprints(different("a")) == fingerprints(different("a", seconds=9.0, scores=[perceptual(0.5)]))
    assert len(set(fingerprints(different("a"), different("b"), different("a", column="mac")))) == 3


def test_columns_are_named():
    assert log_of(different("a", column="mac"))["results"][0]["message"]["text"].startswith("a (mac): ")


def test_hostile_names_stay_text():
    run = log_of(*(different(name, test=f"{name}.py::t", column=name) for name in HOSTILE_NAMES))
    assert len(run["results"]) == len(HOSTILE_NAMES)
    for result in run["results"]:
        assert result["message"]["text"].isprintable()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("test_page[chromium]", "test_page[chromium]: "),
        ("[a](https://evil.invalid)", r"\[a\](https://evil.invalid): "),
        ("{0} {x}", "{{0}} {x}: "),
    ],
)
def test_no_name_becomes_a_link_or_a_placeholder(name, text):
    assert log_of(different(name))["results"][0]["message"]["text"].startswith(text)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_gives_a_valid_log(name, label):
    log_of(different(name, test=label, expected=side(label), actual=None))


def test_a_log_is_bounded():
    records = [different(f"{number}") for number in range(MOST_RESULTS + 10)]
    assert len(json.loads(sarif(run_of(*records)))["runs"][0]["results"]) == MOST_RESULTS
