"""Category rules in a run: looked for before any test, skipped where that is allowed, shown in the report."""

from __future__ import annotations

import json
import sys

import pytest

from tests.pictures import BLUE, RED, square, write

RULE = "metrics:\n  pixel_match: {min: 0.5}\n  embedding_cosine: {max: 0.5, model: %s, cache: models%s}\n"
HANDLE = "https://hub.invalid/model/1"
TEST = """
    def test_plain():
        raise AssertionError("no test may run")

    def test_page(assert_images_similar):
        assert_images_similar("actual/page.png", "expected/page.png")
"""


@pytest.fixture
def two_pages(pytester):
    write(pytester.path / "expected/page.png", square(RED))
    write(pytester.path / "actual/page.png", square(BLUE))
    pytester.makepyfile(TEST)
    return pytester


def configure(pytester, model, more=""):
    (pytester.path / "imgdiff.yaml").write_text(RULE % (model, more), encoding="utf-8")


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_without_the_model_no_test_runs_and_one_line_says_why(two_pages, workers):
    configure(two_pages, HANDLE)
    run = two_pages.runpytest_subprocess(*workers)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in run.stderr.lines if HANDLE in line]
    assert len(lines) == 1
    assert "pytest-imgdiff models fetch" in lines[0]
    assert "no test may run" not in run.stdout.str()


@pytest.mark.parametrize("workers", [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")])
def test_an_override_without_its_model_stops_the_run_too(two_pages, workers):
    (two_pages.path / "imgdiff.yaml").write_text(
        f"overrides: [{{match: 'test_*/**', metrics: {{embedding_cosine: {{max: 1, model: '{HANDLE}'}}}}}}]\n",
        encoding="utf-8",
    )
    run = two_pages.runpytest_subprocess(*workers)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines([f"ERROR: imgdiff: *{HANDLE}*pytest-imgdiff models fetch*"])
    assert "INTERNALERROR" not in run.stdout.str()
    instead = two_pages.runpytest_subprocess(
        *workers, "-k", "page", "--imgdiff-set", "metrics={pixel_match: {min: 0.5}}"
    )
    instead.assert_outcomes(passed=1, **({} if workers else {"deselected": 1}))


def test_an_override_that_no_test_falls_under_asks_for_no_model(two_pages):
    text = f"overrides: [{{match: 'photos/**', metrics: {{embedding_cosine: {{max: 1, model: '{HANDLE}'}}}}}}]\n"
    (two_pages.path / "imgdiff.yaml").write_text("metrics: {pixel_match: {min: 0.5}}\n" + text, encoding="utf-8")
    two_pages.runpytest_subprocess("-k", "page").assert_outcomes(passed=1, deselected=1)


def test_a_command_without_the_model_says_why(two_pages):
    configure(two_pages, HANDLE)
    run = two_pages.run(sys.executable, "-m", "pytest_imgdiff", "compare", "expected", "actual")
    assert run.ret == 2
    run.stderr.fnmatch_lines([f"pytest-imgdiff: *{HANDLE}*pytest-imgdiff models fetch*"])
    assert run.outlines == []


def test_a_rule_that_may_be_skipped_is_and_summary_and_report_say_so(two_pages):
    configure(two_pages, HANDLE, ", on_unavailable: skip")
    run = two_pages.runpytest_subprocess("-k", "page")
    run.assert_outcomes(passed=1, deselected=1)
    run.stdout.fnmatch_lines(["*rules SKIPPED in 1 of them*"])
    report = two_pages.path / "imgdiff-report"
    (record,) = json.loads((report / "results.json").read_text(encoding="utf-8"))["comparisons"]
    assert record["verdict"] == "match"
    assert HANDLE in record["scores"][1]["omitted"]


def test_a_model_that_is_none_breaks_the_run_at_once(two_pages):
    (two_pages.path / "nothing").mkdir()
    configure(two_pages, "nothing")
    run = two_pages.runpytest_subprocess()
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["ERROR: imgdiff: *nothing*"])


def test_a_configuration_that_names_no_model_is_never_asked_for_one(two_pages):
    (two_pages.path / "imgdiff.yaml").write_text("metrics: {pixel_match: {min: 0.5}}\n", encoding="utf-8")
    two_pages.runpytest_subprocess("-k", "page").assert_outcomes(passed=1, deselected=1)
