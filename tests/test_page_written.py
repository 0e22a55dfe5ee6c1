"""When a run writes the report's page, what it says of it, and that no page is of another run than its results."""

from __future__ import annotations

import json
import sys

import pytest

from tests import warm
from tests.server_process import serving

SUITE = """
    import os
    import numpy as np

    def test_page(assert_images_similar):
        pixels = np.full((20, 30, 3), 255, np.uint8)
        pixels[5:15, 5:15] = int(os.environ.get("LEVEL", "0"))
        assert_images_similar(pixels)
"""
WORKERS = [pytest.param([], id="alone"), pytest.param(["-n", "2"], id="xdist")]


@pytest.fixture
def suite(pytester):
    pytester.makepyfile(test_it=SUITE)
    pytester.runpytest_subprocess("--imgdiff-update=missing").assert_outcomes(passed=1)
    return pytester


def pages(suite, report="imgdiff-report"):
    names = ("index.html", "plain.html", "report.html", "assets", "data")
    return [name for name in names if (suite.path / report / name).exists()]


@pytest.mark.parametrize("workers", WORKERS)
def test_a_run_that_passes_writes_no_page_and_leaves_none_of_a_run_that_failed(suite, monkeypatch, workers):
    monkeypatch.setenv("LEVEL", "200")
    failed = suite.runpytest_subprocess(*workers)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["report: imgdiff-report/index.html"])
    assert pages(suite) == ["index.html", "plain.html", "assets", "data"]

    monkeypatch.setenv("LEVEL", "0")
    passed = suite.runpytest_subprocess(*workers)
    passed.assert_outcomes(passed=1)
    passed.stdout.fnmatch_lines(["1 comparison: 1 passed", "results: imgdiff-report/results.json"])
    passed.stdout.no_fnmatch_line("report: *")
    assert pages(suite) == []
    results = json.loads((suite.path / "imgdiff-report/results.json").read_text(encoding="utf-8"))
    assert [record["verdict"] for record in results["comparisons"]] == ["match"]
    assert "1 comparison" in (suite.path / "imgdiff-report/summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "settings", "page"),
    [
        (["--imgdiff-report", "out"], "", "out/index.html"),
        (["--imgdiff-self-contained"], "", "imgdiff-report/report.html"),
        ([], "report: {title: Shop}", "imgdiff-report/index.html"),
    ],
)
def test_a_run_that_passes_writes_the_page_that_was_asked_for(suite, options, settings, page):
    suite.makefile(".yaml", imgdiff=settings)
    run = suite.runpytest_subprocess(*options)
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines([f"report: {page}"])
    assert (suite.path / page).is_file()


def test_a_run_that_passes_with_a_warning_writes_the_page(suite, monkeypatch):
    suite.makefile(".yaml", imgdiff="metrics: {mae: {max: 0.9, warn: 0.001}}")
    monkeypatch.setenv("LEVEL", "90")
    run = suite.runpytest_subprocess()
    run.assert_outcomes(passed=1)
    run.stdout.fnmatch_lines(["report: imgdiff-report/index.html"])


def test_the_page_can_be_drawn_later(suite):
    suite.runpytest_subprocess().assert_outcomes(passed=1)
    words = ["report", "--from", "imgdiff-report", "--report", "later"]
    done = warm.run([sys.executable, "-m", "pytest_imgdiff", *words], cwd=suite.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "report: later/index.html" in done.stdout
    assert pages(suite, "later") == ["index.html", "plain.html", "assets", "data"]


def test_a_served_report_without_a_page_gets_it(suite):
    suite.runpytest_subprocess().assert_outcomes(passed=1)
    assert pages(suite) == []
    with serving(suite.path, "imgdiff-report") as served:
        answer = served.get("/")
    assert answer.status == 200
    assert b"<title>" in answer.body
    assert pages(suite) == ["index.html", "plain.html", "assets", "data"]
