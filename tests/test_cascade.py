"""Rules that are measured only where they are needed, and rules whose model is not there."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_imgdiff import MetricResult, Policy, Registry, Rule, compare
from pytest_imgdiff.base.errors import ModelUnavailableError
from pytest_imgdiff.base.record import record_of
from pytest_imgdiff.report import verdict_line
from tests.pictures import BLUE, RED, square

CALLS = []


@dataclass(frozen=True)
class Costly:
    unavailable: bool = False

    name = "costly"
    direction = "distance"
    perfect = 0.0
    bounds = (0.0, 1.0)
    counts_pixels = False
    unit = "distance"
    heat_threshold = "none"

    def measure(self, expected, actual, ignore):  # noqa: ARG002 - a metric's signature
        CALLS.append(1)
        if self.unavailable:
            msg = "model https://example.org/m/1 is not on this machine: pytest-imgdiff models fetch"
            raise ModelUnavailableError(msg)
        return MetricResult(0.25, self.unit)


class Plugin:
    @staticmethod
    def imgdiff_metrics():
        return {"costly": Costly}


@pytest.fixture
def judged():
    CALLS.clear()
    registry = Registry([Plugin])

    def judge(*rules):
        return compare(square(RED), square(BLUE), Policy(metrics=rules), registry=registry)

    return judge


FAILS = Rule("pixel_match", min=1.0)
HOLDS = Rule("pixel_match", min=0.5)


def test_a_settled_verdict_needs_no_costly_rule(judged):
    comparison = judged(Rule("costly", max=0.9, when="undecided"), FAILS)
    assert CALLS == []
    assert comparison.verdict.value == "different"
    assert [(score.metric, score.omitted) for score in comparison.scores] == [
        ("costly", "not needed: another rule fails already"),
        ("pixel_match", None),
    ]
    assert "costly not needed" in verdict_line(record_of(comparison))


@pytest.mark.parametrize(("limit", "verdict"), [(0.3, "match"), (0.2, "different")])
def test_an_open_verdict_is_the_costly_rules_to_settle(judged, limit, verdict):
    comparison = judged(Rule("costly", max=limit, when="undecided"), HOLDS)
    assert CALLS == [1]
    assert comparison.verdict.value == verdict


UNAVAILABLE = (("unavailable", True),)


def test_a_model_that_is_not_there_is_no_pass(judged):
    comparison = judged(HOLDS, Rule("costly", UNAVAILABLE, max=0.9))
    assert comparison.verdict.value == "broken"
    assert "pytest-imgdiff models fetch" in comparison.reason
    assert comparison.scores[0].passed


def test_a_rule_may_be_skipped_and_that_is_told(judged):
    comparison = judged(HOLDS, Rule("costly", UNAVAILABLE, max=0.9, on_unavailable="skip"))
    assert comparison.verdict.value == "match"
    assert comparison.scores[1].omitted.startswith("skipped: model https://example.org/m/1")
    assert "skipped" in verdict_line(record_of(comparison))


def test_where_every_rule_is_skipped_nothing_was_judged(judged):
    comparison = judged(Rule("costly", UNAVAILABLE, max=0.9, on_unavailable="skip"))
    assert comparison.verdict.value == "broken"
    assert comparison.reason.startswith("nothing was judged")
    assert not comparison.passed
